// Package serving turns the services of a blueprint into Kubernetes objects and
// keeps them on a cluster: replicas of vLLM that load a model from the bucket and
// answer by the OpenAI API.
//
// [Render] makes the objects of one service; it is the same for a plan, for up
// and for people who only want manifests. [Service] is the resource. What a
// replica loads its weights by is in load.go, how requests come in from outside in
// route.go, how many replicas there are in autoscaling.go.
package serving

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"aicluster/addons"
	"aicluster/blueprints"
)

const (
	// Namespace holds all services.
	Namespace = "ai-serving"
	// FieldManager is the name under which the API server knows our fields.
	FieldManager = "aicluster"
	// ContainerName is the engine's container.
	ContainerName = "vllm"
	// PortName is the engine's port in the container and in the Service.
	PortName = "http"
	// ContainerPort is where the engine listens, ServicePort where its Service does.
	ContainerPort = 8000
	ServicePort   = 80
)

// The labels of all objects of a service, beside the owner's
// (kubernetes.io/docs, "Recommended Labels").
const (
	labelName      = "app.kubernetes.io/name"
	labelInstance  = "app.kubernetes.io/instance"
	labelManagedBy = "app.kubernetes.io/managed-by"
)

// Object is a Kubernetes object with its kind and version set.
type Object interface {
	metav1.Object
	runtime.Object
}

// Facts are what the objects of a service depend on beside the blueprint.
type Facts struct {
	// ModelBytes is the size of the model's files; 0 if it is not known.
	ModelBytes int64
	// FileSystem is the id of the EFS file system with the weights, of services that
	// load by efs.
	FileSystem string
}

// Render makes the objects of one service, each after those that it refers to. The
// namespace is not among them; see [NamespaceObject].
func Render(b *blueprints.Blueprint, svc blueprints.Service, f Facts) []Object {
	l := load(b, svc, f)
	objects := []Object{serviceAccount(b, svc)}
	objects = append(objects, l.Objects...)
	objects = append(objects, service(b, svc), deployment(b, svc, f, l), budget(b, svc))
	objects = append(objects, route(b, svc)...)
	return append(objects, autoscaler(b, svc)...)
}

// NamespaceObject is the namespace of all services.
func NamespaceObject(b *blueprints.Blueprint) Object {
	labels := addons.OwnerLabels(b.Metadata.Name)
	labels[labelManagedBy] = FieldManager
	return &corev1.Namespace{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: Namespace, Labels: labels},
	}
}

// Labels are set on every object of a service.
func Labels(b *blueprints.Blueprint, svc blueprints.Service) map[string]string {
	labels := Selector(svc)
	labels[labelManagedBy] = FieldManager
	maps.Copy(labels, addons.OwnerLabels(b.Metadata.Name))
	return labels
}

// Selector picks the pods of a service.
func Selector(svc blueprints.Service) map[string]string {
	return map[string]string{labelName: ContainerName, labelInstance: svc.Name}
}

// meta is the metadata of an object that is named after its service.
func meta(b *blueprints.Blueprint, svc blueprints.Service) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: svc.Name, Namespace: Namespace, Labels: Labels(b, svc)}
}

// serviceAccount is what the pods' IAM role belongs to. vLLM does not talk to the
// API server.
func serviceAccount(b *blueprints.Blueprint, svc blueprints.Service) Object {
	return &corev1.ServiceAccount{
		TypeMeta:                     metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta:                   meta(b, svc),
		AutomountServiceAccountToken: new(false),
	}
}

func service(b *blueprints.Blueprint, svc blueprints.Service) Object {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: meta(b, svc),
		Spec: corev1.ServiceSpec{
			Type:     corev1.ServiceTypeClusterIP,
			Selector: Selector(svc),
			Ports:    []corev1.ServicePort{{Name: PortName, Protocol: corev1.ProtocolTCP, Port: ServicePort, TargetPort: intstr.FromString(PortName)}},
		},
	}
}

// budget lets a drain take one replica at a time. It never holds a drain up, as a
// minimum would where there is one replica.
func budget(b *blueprints.Blueprint, svc blueprints.Service) Object {
	one := intstr.FromInt32(1)
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: meta(b, svc),
		Spec:       policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &one, Selector: &metav1.LabelSelector{MatchLabels: Selector(svc)}},
	}
}
