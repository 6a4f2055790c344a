package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// Gather reads from a cluster what [Evidence.Diagnose] goes by: one list of each
// kind, side by side, then the last lines of what crashed. What cannot be read is
// in the error; the rest is there. It changes nothing.
func Gather(ctx context.Context, client kubernetes.Interface, dyn dynamic.Interface) (*Evidence, error) {
	e := &Evidence{Now: time.Now(), Secrets: map[string]bool{}, Logs: map[Container]string{}, GPUs: map[string]string{}}
	g := &gatherer{ctx: ctx}
	core := client.CoreV1()
	list(g, "nodes", core.Nodes().List, func(l *corev1.NodeList) { e.Nodes = l.Items })
	list(g, "pods", core.Pods("").List, func(l *corev1.PodList) { e.Pods = l.Items })
	list(g, "events", core.Events("").List, func(l *corev1.EventList) { e.Events = l.Items })
	list(g, "replica sets", client.AppsV1().ReplicaSets("").List, func(l *appsv1.ReplicaSetList) { e.ReplicaSets = l.Items })
	list(g, "volume claims", core.PersistentVolumeClaims("").List, func(l *corev1.PersistentVolumeClaimList) { e.Claims = l.Items })
	list(g, "storage classes", client.StorageV1().StorageClasses().List, func(l *storagev1.StorageClassList) { e.Classes = l.Items })
	list(g, "disruption budgets", client.PolicyV1().PodDisruptionBudgets("").List, func(l *policyv1.PodDisruptionBudgetList) { e.Budgets = l.Items })
	list(g, "pod autoscalers", client.AutoscalingV2().HorizontalPodAutoscalers("").List, func(l *autoscalingv2.HorizontalPodAutoscalerList) { e.Scalers = l.Items })
	list(g, "services", core.Services("").List, func(l *corev1.ServiceList) { e.Services = l.Items })
	list(g, "endpoints", client.DiscoveryV1().EndpointSlices("").List, func(l *discoveryv1.EndpointSliceList) { e.Slices = l.Items })
	list(g, "ingresses", client.NetworkingV1().Ingresses("").List, func(l *networkingv1.IngressList) { e.Ingresses = l.Items })
	list(g, "ingress classes", client.NetworkingV1().IngressClasses().List, func(l *networkingv1.IngressClassList) { e.IngressClasses = l.Items })
	for _, kind := range conditionedKinds() {
		list(g, kind.Resource, dyn.Resource(kind).List, func(l *unstructured.UnstructuredList) { e.Conditioned = append(e.Conditioned, l.Items...) })
	}
	err := g.wait()
	return e, errors.Join(err, e.gatherDetails(ctx, client))
}

// conditionedKinds are the APIs beside Kubernetes' own that lead requests to
// pods. A cluster need not have them.
func conditionedKinds() []schema.GroupVersionResource {
	return []schema.GroupVersionResource{
		{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gatewayclasses"},
		{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"},
		{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"},
		{Group: "cert-manager.io", Version: "v1", Resource: "clusterissuers"},
		{Group: "cert-manager.io", Version: "v1", Resource: "certificates"},
		{Group: "acme.cert-manager.io", Version: "v1", Resource: "challenges"},
	}
}

// gatherDetails reads what only the lists make interesting: whether the secrets
// are there that ingresses name, and the last lines of containers that crashed.
func (e *Evidence) gatherDetails(ctx context.Context, client kubernetes.Interface) error {
	g := &gatherer{ctx: ctx}
	for i := range e.Ingresses {
		for _, t := range e.Ingresses[i].Spec.TLS {
			namespace, name := e.Ingresses[i].Namespace, t.SecretName
			if name == "" {
				continue
			}
			g.run("secret "+name, func(ctx context.Context) (func(), error) {
				_, err := client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
				if err != nil && !apierrors.IsNotFound(err) {
					return nil, err
				}
				return func() { e.Secrets[namespace+"/"+name] = err == nil }, nil
			})
		}
	}
	for c, previous := range e.Ended() {
		g.run("", func(ctx context.Context) (func(), error) {
			text, _ := lastLines(ctx, client, c, previous) // a log that is gone makes an answer shorter
			return func() { e.Logs[c] = text }, nil
		})
	}
	return g.wait()
}

// How much of a log is read: tracebacks of Python are long.
const (
	logLines = 40
	logBytes = 16 << 10
)

func lastLines(ctx context.Context, client kubernetes.Interface, c Container, previous bool) (string, error) {
	lines, bytes := int64(logLines), int64(logBytes)
	stream, err := client.CoreV1().Pods(c.Namespace).GetLogs(c.Pod, &corev1.PodLogOptions{Container: c.Name, Previous: previous, TailLines: &lines, LimitBytes: &bytes}).Stream(ctx)
	if err != nil {
		return "", err
	}
	defer stream.Close()
	text, err := io.ReadAll(io.LimitReader(stream, logBytes))
	return strings.ToValidUTF8(string(text), ""), err
}

// gatherer reads side by side, a few at a time.
type gatherer struct {
	ctx   context.Context
	slots chan struct{}
	group sync.WaitGroup
	mu    sync.Mutex // guards what the readings are put into, and errs
	errs  []error
}

// readers is how many requests are under way at once.
const readers = 8

// run reads; what keep returns is called under the lock.
func (g *gatherer) run(what string, read func(context.Context) (keep func(), err error)) {
	if g.slots == nil {
		g.slots = make(chan struct{}, readers)
	}
	g.group.Go(func() {
		g.slots <- struct{}{}
		defer func() { <-g.slots }()
		keep, err := read(g.ctx)
		g.mu.Lock()
		defer g.mu.Unlock()
		if err != nil {
			g.errs = append(g.errs, fmt.Errorf("listing %s: %w", what, err))
			return
		}
		keep()
	})
}

func (g *gatherer) wait() error {
	g.group.Wait()
	return errors.Join(g.errs...)
}

// list reads one kind. A kind that the cluster does not know has no objects.
func list[L any](g *gatherer, what string, read func(context.Context, metav1.ListOptions) (*L, error), keep func(*L)) {
	g.run(what, func(ctx context.Context) (func(), error) {
		l, err := read(ctx, metav1.ListOptions{})
		if apierrors.IsNotFound(err) {
			return func() {}, nil
		}
		return func() { keep(l) }, err
	})
}
