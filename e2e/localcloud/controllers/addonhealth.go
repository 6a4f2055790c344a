package controllers

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
)

// AddonHealth looks at the workloads of one add-on.
type AddonHealth struct{ workloads []*unstructured.Unstructured }

// NewAddonHealth returns the look at the add-on of this name.
func NewAddonHealth(name string) (AddonHealth, error) {
	var h AddonHealth
	objects, err := Addon(name, "any", "")
	for _, object := range objects {
		u := object.(*unstructured.Unstructured)
		if u.GetKind() == "Deployment" || u.GetKind() == "DaemonSet" {
			h.workloads = append(h.workloads, u)
		}
	}
	return h, err
}

// Healthy reports whether the add-on's workloads have the pods they want, and
// if not, which has not. A DaemonSet without nodes wants none and is healthy; a
// Deployment without nodes is not, which is why EKS reports coredns as degraded
// in a cluster without nodes.
func (h AddonHealth) Healthy(ctx context.Context, client kubernetes.Interface) (bool, string) {
	for _, u := range h.workloads {
		has, wants, err := replicas(ctx, client, u)
		switch {
		case apierrors.IsNotFound(err):
			return false, fmt.Sprintf("%s %s/%s does not exist", u.GetKind(), u.GetNamespace(), u.GetName())
		case err != nil:
			return false, err.Error()
		case has < wants:
			return false, fmt.Sprintf("%s %s/%s has %d of %d pods available", u.GetKind(), u.GetNamespace(), u.GetName(), has, wants)
		}
	}
	return true, ""
}

// replicas returns how many pods of a workload are available and how many it
// wants; a generation that its controller has not seen yet wants one more.
func replicas(ctx context.Context, client kubernetes.Interface, u *unstructured.Unstructured) (has, wants int32, err error) {
	var behind int32
	switch u.GetKind() {
	case "Deployment":
		d, err := client.AppsV1().Deployments(u.GetNamespace()).Get(ctx, u.GetName(), metav1.GetOptions{})
		if err != nil {
			return 0, 0, err
		}
		wants = 1
		if d.Spec.Replicas != nil {
			wants = *d.Spec.Replicas
		}
		if d.Status.ObservedGeneration < d.Generation {
			behind = 1
		}
		return min(d.Status.AvailableReplicas, d.Status.UpdatedReplicas), wants + behind, nil
	default: // a DaemonSet
		d, err := client.AppsV1().DaemonSets(u.GetNamespace()).Get(ctx, u.GetName(), metav1.GetOptions{})
		if err != nil {
			return 0, 0, err
		}
		if d.Status.ObservedGeneration < d.Generation {
			behind = 1
		}
		return min(d.Status.NumberAvailable, d.Status.UpdatedNumberScheduled), d.Status.DesiredNumberScheduled + behind, nil
	}
}
