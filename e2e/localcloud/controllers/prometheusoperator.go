package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// monitoringGroup is the group of the Prometheus operator's kinds.
const monitoringGroup = "monitoring.coreos.com"

var (
	prometheusResource   = schema.GroupVersionResource{Group: monitoringGroup, Version: "v1", Resource: "prometheuses"}
	alertmanagerResource = schema.GroupVersionResource{Group: monitoringGroup, Version: "v1", Resource: "alertmanagers"}
)

// prometheusOperator plays the process in the pods of the Prometheus operator: for
// each Prometheus and Alertmanager it keeps a StatefulSet and the Service that
// governs it, and makes them anew when somebody deletes them. It does nothing while
// no operator pod is available.
type prometheusOperator struct {
	client kubernetes.Interface
	worker *worker

	resident
}

func newPrometheusOperator(client kubernetes.Interface, dyn dynamic.Interface, factory informers.SharedInformerFactory) (*prometheusOperator, error) {
	p := &prometheusOperator{client: client}
	p.worker = newWorker("prometheus-operator", p.sync)
	p.resident = resident{dyn: dyn, deployments: factory.Apps().V1().Deployments().Lister(), is: runsPrometheusOperator,
		kinds:   []schema.GroupVersionResource{prometheusResource, alertmanagerResource},
		changed: func() { p.worker.queue.Add(monitoringGroup) }}
	if err := on(factory.Apps().V1().Deployments().Informer(), func(d *appsv1.Deployment) {
		if runsPrometheusOperator(d) {
			p.worker.queue.Add(monitoringGroup)
		}
	}); err != nil {
		return nil, err
	}
	return p, on(factory.Apps().V1().StatefulSets().Informer(), func(s *appsv1.StatefulSet) {
		if owner := metav1.GetControllerOf(s); owner != nil && strings.HasPrefix(owner.APIVersion, monitoringGroup+"/") {
			p.worker.queue.Add(monitoringGroup)
		}
	})
}

func runsPrometheusOperator(d *appsv1.Deployment) bool {
	containers := d.Spec.Template.Spec.Containers
	return len(containers) > 0 && imageName(containers[0].Image) == "prometheus-operator"
}

// imageName is the last part of an image's repository: "nginx" of
// registry.example.com/library/nginx:1.2.
func imageName(image string) string {
	name, _, _ := strings.Cut(image[strings.LastIndexByte(image, '/')+1:], ":")
	return name
}

func (p *prometheusOperator) run(ctx context.Context) {
	p.worker.run(ctx)
	p.end()
}

func (p *prometheusOperator) sync(ctx context.Context, _ string) (time.Duration, error) {
	if runs, err := p.attend(ctx); !runs || err != nil {
		return 0, err
	}
	reloader := argument(p.session.deployment.Spec.Template.Spec.Containers[0].Args, "--prometheus-config-reloader=")
	var errs []error
	for _, kind := range p.kinds {
		for _, o := range p.session.living(kind) {
			errs = append(errs, p.keep(ctx, kind, o, reloader))
		}
	}
	return 0, errors.Join(errs...)
}

// server is the part of a Prometheus' or an Alertmanager's spec that is played.
type server struct {
	Image              string                      `json:"image"`
	Replicas           *int32                      `json:"replicas"`
	ServiceAccountName string                      `json:"serviceAccountName"`
	Retention          string                      `json:"retention"`
	RetentionSize      string                      `json:"retentionSize"`
	Resources          corev1.ResourceRequirements `json:"resources"`
	Tolerations        []corev1.Toleration         `json:"tolerations"`
	NodeSelector       map[string]string           `json:"nodeSelector"`
	Storage            *struct {
		VolumeClaimTemplate *corev1.PersistentVolumeClaim `json:"volumeClaimTemplate"`
	} `json:"storage"`
	RetentionPolicy *appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy `json:"persistentVolumeClaimRetentionPolicy"`
}

// keep applies the StatefulSet of a Prometheus or an Alertmanager and its Service
// (prometheus-operator, pkg/prometheus/server/statefulset.go).
func (p *prometheusOperator) keep(ctx context.Context, resource schema.GroupVersionResource, o *unstructured.Unstructured, reloader string) error {
	var spec server
	content, err := json.Marshal(o.Object["spec"])
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, &spec); err != nil {
		return err
	}
	kind, port := "prometheus", int32(9090)
	if resource == alertmanagerResource {
		kind, port = "alertmanager", 9093
	}
	owner := *metav1.NewControllerRef(o, o.GroupVersionKind())
	set := spec.statefulSet(kind, port, o, reloader)
	set.OwnerReferences = []metav1.OwnerReference{owner}
	if err := p.apply(ctx, appsv1.SchemeGroupVersion.WithResource("statefulsets"), set); err != nil {
		return err
	}
	owner.Controller = nil // several may share it
	return p.apply(ctx, corev1.SchemeGroupVersion.WithResource("services"), &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: kind + "-operated", Namespace: o.GetNamespace(), Labels: map[string]string{"operated-" + kind: "true"}, OwnerReferences: []metav1.OwnerReference{owner}},
		Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone, Selector: map[string]string{"app.kubernetes.io/name": kind},
			Ports: []corev1.ServicePort{{Name: "http-web", Port: port, TargetPort: intstr.FromString("http-web"), Protocol: corev1.ProtocolTCP}},
		},
	})
}

func (p *prometheusOperator) apply(ctx context.Context, resource schema.GroupVersionResource, object runtime.Object) error {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: fields}
	delete(fields, "status")
	body, err := json.Marshal(u)
	if err != nil {
		return err
	}
	_, err = p.dyn.Resource(resource).Namespace(u.GetNamespace()).Patch(ctx, u.GetName(), types.ApplyPatchType, body,
		metav1.PatchOptions{FieldManager: "PrometheusOperator", Force: ptr.To(true)})
	return ignoreNotFound(err) // its namespace may be going
}

func (s server) statefulSet(kind string, port int32, o *unstructured.Unstructured, reloader string) *appsv1.StatefulSet {
	name := kind + "-" + o.GetName()
	pods := map[string]string{
		"app.kubernetes.io/name": kind, "app.kubernetes.io/instance": o.GetName(), "app.kubernetes.io/managed-by": "prometheus-operator",
		kind: o.GetName(),
	}
	if kind == "prometheus" {
		pods["operator.prometheus.io/name"], pods["operator.prometheus.io/shard"] = o.GetName(), "0"
	}
	args := []string{"--config.file=/etc/" + kind + "/config_out/" + kind + ".env.yaml", "--storage.path=/" + kind}
	if s.Retention != "" {
		args = append(args, "--storage.tsdb.retention.time="+s.Retention)
	}
	if s.RetentionSize != "" {
		args = append(args, "--storage.tsdb.retention.size="+s.RetentionSize)
	}
	data := name + "-db"
	spec := corev1.PodSpec{
		ServiceAccountName: s.ServiceAccountName, Tolerations: s.Tolerations, NodeSelector: s.NodeSelector,
		InitContainers: []corev1.Container{{Name: "init-config-reloader", Image: reloader}},
		Containers: []corev1.Container{
			{Name: kind, Image: s.Image, Args: args, Resources: s.Resources, Ports: []corev1.ContainerPort{{Name: "http-web", ContainerPort: port, Protocol: corev1.ProtocolTCP}},
				VolumeMounts: []corev1.VolumeMount{{Name: data, MountPath: "/" + kind}}},
			{Name: "config-reloader", Image: reloader, Ports: []corev1.ContainerPort{{Name: "reloader-web", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}}},
		},
	}
	set := &appsv1.StatefulSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: o.GetNamespace(), Labels: maps.Clone(o.GetLabels())},
		Spec: appsv1.StatefulSetSpec{
			Replicas: s.Replicas, ServiceName: kind + "-operated", PodManagementPolicy: appsv1.ParallelPodManagement,
			PersistentVolumeClaimRetentionPolicy: s.RetentionPolicy,
			Selector:                             &metav1.LabelSelector{MatchLabels: pods},
		},
	}
	if s.Storage != nil && s.Storage.VolumeClaimTemplate != nil {
		claim := *s.Storage.VolumeClaimTemplate
		claim.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"}
		claim.Name, claim.Status = data, corev1.PersistentVolumeClaimStatus{}
		set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{claim}
	} else {
		spec.Volumes = []corev1.Volume{{Name: data, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	}
	set.Spec.Template = corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pods, Annotations: map[string]string{"kubectl.kubernetes.io/default-container": kind}}, Spec: spec}
	return set
}

// argument is the value of the argument with that prefix, or empty.
func argument(args []string, prefix string) string {
	for _, arg := range args {
		if value, ok := strings.CutPrefix(arg, prefix); ok {
			return value
		}
	}
	return ""
}
