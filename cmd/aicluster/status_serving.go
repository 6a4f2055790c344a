package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/duration"

	"aicluster/addons/doctor"
	"aicluster/addons/serving"
	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

// servingStatus is one service of the blueprint.
type servingStatus struct {
	Name    string `json:"name"`
	Model   string `json:"model"`
	Pool    string `json:"pool"`
	GPUs    int    `json:"gpus"` // of each replica
	Ready   int    `json:"ready"`
	Wanted  int    `json:"wanted"`
	Host    string `json:"host,omitempty"`
	Address string `json:"address"` // where requests go: by the host, else inside the cluster
	// Created is when its Deployment was made; nil if there is none.
	Created *time.Time `json:"created"`
	// Trouble is what is wrong in a few words; empty if nothing is.
	Trouble string `json:"trouble"`
}

// workloadsStatus is the namespace of the services, as kubectl shows it.
type workloadsStatus struct {
	Namespace   string             `json:"namespace"`
	Pods        []podStatus        `json:"pods"`
	Deployments []deploymentStatus `json:"deployments"`
	Services    []serviceStatus    `json:"services"`

	podRows, deploymentRows, serviceRows []map[string]string // as text
}

type podStatus struct {
	Name     string    `json:"name"`
	Ready    string    `json:"ready"`  // "1/1"
	Status   string    `json:"status"` // kubectl's word: "Running", "Init:0/1", "CrashLoopBackOff"
	Restarts int       `json:"restarts"`
	Created  time.Time `json:"created"`
	Node     string    `json:"node"`
	GPUs     int       `json:"gpus"`
}

type deploymentStatus struct {
	Name      string    `json:"name"`
	Ready     string    `json:"ready"`
	UpToDate  int       `json:"upToDate"`
	Available int       `json:"available"`
	Created   time.Time `json:"created"`
}

type serviceStatus struct {
	Name       string    `json:"name"`
	Type       string    `json:"type"`
	ClusterIP  string    `json:"clusterIP"`
	ExternalIP string    `json:"externalIP"`
	Ports      string    `json:"ports"`
	Created    time.Time `json:"created"`
}

// live is what runs on the cluster: one list of each kind.
type live struct {
	nodes       []corev1.Node
	pods        []kubeRow[corev1.Pod]        // of all namespaces
	deployments []kubeRow[appsv1.Deployment] // of the services' namespace
	services    []kubeRow[corev1.Service]    // of all namespaces
}

// readLive lists what runs. What cannot be read is in the error.
func (s *session) readLive(ctx context.Context) (live, error) {
	var l live
	c := s.stack.cluster
	if !c.Ready() {
		return l, nil
	}
	client, err := kubernetesClient(c)
	if err != nil {
		return l, err
	}
	var wg sync.WaitGroup
	errs := make([]error, 4)
	wg.Go(func() { l.nodes, errs[0] = listNodes(ctx, c) })
	read(&wg, &l.pods, &errs[1], func() ([]kubeRow[corev1.Pod], error) {
		return kubeTable[corev1.Pod](ctx, client.CoreV1().RESTClient(), "pods", "")
	})
	read(&wg, &l.deployments, &errs[2], func() ([]kubeRow[appsv1.Deployment], error) {
		return kubeTable[appsv1.Deployment](ctx, client.AppsV1().RESTClient(), "deployments", serving.Namespace)
	})
	read(&wg, &l.services, &errs[3], func() ([]kubeRow[corev1.Service], error) {
		return kubeTable[corev1.Service](ctx, client.CoreV1().RESTClient(), "services", "")
	})
	wg.Wait()
	for i, what := range []string{"nodes", "pods", "deployments", "services"} {
		errs[i] = cloud.Wrap(c.ID(), "listing its "+what, errs[i])
	}
	return l, errors.Join(errs...)
}

func read[T any](wg *sync.WaitGroup, to *T, failed *error, f func() (T, error)) {
	wg.Go(func() { *to, *failed = f() })
}

// podObjects are the pods of all namespaces.
func (l live) podObjects() []corev1.Pod {
	out := make([]corev1.Pod, len(l.pods))
	for i, r := range l.pods {
		out[i] = r.object
	}
	return out
}

// addresses are the host names of the cluster's load balancers.
func (l live) addresses() []string {
	hosts := []string{}
	for _, r := range l.services {
		for _, i := range r.object.Status.LoadBalancer.Ingress {
			hosts = append(hosts, i.Hostname)
		}
	}
	slices.Sort(hosts)
	return hosts
}

// workloads is the services' namespace.
func (l live) workloads() workloadsStatus {
	w := workloadsStatus{Namespace: serving.Namespace, Pods: []podStatus{}, Deployments: []deploymentStatus{}, Services: []serviceStatus{}}
	for _, r := range l.pods {
		if p := r.object; p.Namespace == serving.Namespace {
			restarts := 0
			for _, c := range p.Status.ContainerStatuses {
				restarts += int(c.RestartCount)
			}
			w.Pods = append(w.Pods, podStatus{p.Name, r.cells["READY"], r.cells["STATUS"], restarts, p.CreationTimestamp.Time, p.Spec.NodeName, doctor.GPUs(&p)})
			w.podRows = append(w.podRows, r.cells)
		}
	}
	for _, r := range l.deployments {
		d := r.object
		w.Deployments = append(w.Deployments, deploymentStatus{d.Name, r.cells["READY"], int(d.Status.UpdatedReplicas), int(d.Status.AvailableReplicas), d.CreationTimestamp.Time})
		w.deploymentRows = append(w.deploymentRows, r.cells)
	}
	for _, r := range l.services {
		if v := r.object; v.Namespace == serving.Namespace {
			w.Services = append(w.Services, serviceStatus{v.Name, string(v.Spec.Type), r.cells["CLUSTER-IP"], r.cells["EXTERNAL-IP"], r.cells["PORT(S)"], v.CreationTimestamp.Time})
			w.serviceRows = append(w.serviceRows, r.cells)
		}
	}
	return w
}

// servingStatuses are the blueprint's services, with what runs of them.
func (s *session) servingStatuses(l live) []servingStatus {
	out := []servingStatus{}
	evidence := &doctor.Evidence{Nodes: l.nodes, Pods: l.podObjects(), Autoscaler: s.blueprint.Addons.Autoscaler}
	for _, g := range s.stack.pools {
		evidence.Pools = append(evidence.Pools, doctor.Pool{NodePool: g.Pool(), Desired: g.Live().Desired})
	}
	for _, svc := range s.blueprint.Serving {
		out = append(out, newServingStatus(svc, l.deployments, evidence))
	}
	return out
}

func newServingStatus(svc blueprints.Service, deployments []kubeRow[appsv1.Deployment], e *doctor.Evidence) servingStatus {
	v := servingStatus{Name: svc.Name, Model: svc.Model, Pool: svc.Pool, GPUs: svc.GPUs, Host: svc.Host, Address: serviceAddress(svc)}
	at := slices.IndexFunc(deployments, func(r kubeRow[appsv1.Deployment]) bool { return r.object.Name == svc.Name })
	if at < 0 {
		v.Wanted, v.Trouble = wantedOf(svc), "not there: 'aicluster up' makes it"
		return v
	}
	d := deployments[at].object
	v.Created, v.Ready, v.Wanted = &d.CreationTimestamp.Time, int(d.Status.ReadyReplicas), 1
	if d.Spec.Replicas != nil {
		v.Wanted = int(*d.Spec.Replicas)
	}
	if v.Ready < v.Wanted {
		v.Trouble = serviceTrouble(e, svc, &d)
	}
	return v
}

// wantedOf is how many replicas a service starts with.
func wantedOf(svc blueprints.Service) int {
	switch {
	case svc.Autoscaling != nil:
		return svc.Autoscaling.Min
	case svc.Replicas != nil:
		return *svc.Replicas
	}
	return 1
}

// serviceAddress is where requests for a service go.
func serviceAddress(svc blueprints.Service) string {
	switch {
	case svc.Host != "" && svc.TLS != nil:
		return "https://" + svc.Host
	case svc.Host != "":
		return "http://" + svc.Host
	}
	return fmt.Sprintf("http://%s.%s", svc.Name, serving.Namespace)
}

// serviceTrouble is why replicas are not ready, in a few words.
func serviceTrouble(e *doctor.Evidence, svc blueprints.Service, d *appsv1.Deployment) string {
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return c.Message
		}
	}
	picks := labels.SelectorFromSet(serving.Selector(svc))
	for i := range e.Pods {
		p := &e.Pods[i]
		if p.Namespace != serving.Namespace || !picks.Matches(labels.Set(p.Labels)) || p.DeletionTimestamp != nil {
			continue
		}
		if f, sick := e.Pod(p); sick {
			return f.What
		}
	}
	return "starting"
}

// showServices prints the services and what runs of them.
func (s *session) showServices(d statusDocument, now time.Time) {
	var rows [][]string
	for _, v := range d.Serving {
		age := "-"
		if v.Created != nil {
			age = duration.HumanDuration(now.Sub(*v.Created))
		}
		rows = append(rows, []string{v.Name, v.Model, v.Pool, fmt.Sprint(v.GPUs), fmt.Sprintf("%d of %d", v.Ready, v.Wanted), age, v.Address, cmp.Or(v.Trouble, "-")})
	}
	if len(rows) > 0 {
		s.console.Data("")
		s.console.Table([]string{"SERVICE", "MODEL", "POOL", "GPUS", "READY", "AGE", "ADDRESS", "TROUBLE"}, rows)
	}
	w := d.Workloads
	for _, r := range w.podRows {
		r["POD"] = r["NAME"]
	}
	for _, r := range w.deploymentRows {
		r["DEPLOYMENT"] = r["NAME"]
	}
	for _, r := range w.serviceRows {
		r["KUBERNETES SERVICE"] = r["NAME"]
	}
	s.printRows(w.podRows, "POD", "READY", "STATUS", "RESTARTS", "AGE", "NODE")
	s.printRows(w.deploymentRows, "DEPLOYMENT", "READY", "UP-TO-DATE", "AVAILABLE", "AGE")
	s.printRows(w.serviceRows, "KUBERNETES SERVICE", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE")
	if slices.ContainsFunc(d.Serving, func(v servingStatus) bool { return v.Trouble != "" && !strings.HasPrefix(v.Trouble, "starting") }) {
		s.console.Hint("aicluster doctor %s says why, and what to do", s.file)
	}
}
