package controllers

import (
	"context"
	"reflect"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	appslisters "k8s.io/client-go/listers/apps/v1"

	"aicluster/e2e/localcloud/clock"
)

// karpenter plays as much of Karpenter as somebody sees who makes a NodePool: that
// it and its EC2NodeClass become Ready. It starts no instances; the real Karpenter
// does, which runs beside the local cloud as a process (make e2e-karpenter) and has
// marked its Deployment with [KarpenterElsewhere]. It does nothing while the chart's
// Deployment has no available pod.
type karpenter struct {
	dyn         dynamic.Interface
	clock       *clock.Clock
	deployments appslisters.DeploymentLister
}

// KarpenterElsewhere is an annotation of Karpenter's Deployment: what its pods do is
// done by a process outside of the local cloud.
const KarpenterElsewhere = "localcloud/elsewhere"

var (
	karpenterClasses = schema.GroupVersionResource{Group: "karpenter.k8s.aws", Version: "v1", Resource: "ec2nodeclasses"}
	karpenterPools   = schema.GroupVersionResource{Group: "karpenter.sh", Version: "v1", Resource: "nodepools"}
)

// karpenterLook is how long Karpenter takes about until it has looked at an object.
const karpenterLook = 3 * time.Second

func newKarpenter(o Options, dyn dynamic.Interface, factory informers.SharedInformerFactory) *karpenter {
	return &karpenter{dyn: dyn, clock: o.Clock, deployments: factory.Apps().V1().Deployments().Lister()}
}

func (k *karpenter) run(ctx context.Context) {
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		d, err := k.deployments.Deployments("kube-system").Get("karpenter")
		if err != nil || d.Status.AvailableReplicas == 0 || d.Annotations[KarpenterElsewhere] != "" {
			return
		}
		classes := k.settle(ctx, karpenterClasses, func(*unstructured.Unstructured) (string, string) { return "ValidationSucceeded", "" })
		k.settle(ctx, karpenterPools, func(pool *unstructured.Unstructured) (string, string) {
			name, _, _ := unstructured.NestedString(pool.Object, "spec", "template", "spec", "nodeClassRef", "name")
			if !classes[name] {
				return "NodeClassReady", "NodeClass not found on cluster"
			}
			return "NodeClassReady", ""
		})
	}, max(k.clock.Scale(karpenterLook), 50*time.Millisecond))
}

// settle writes what Karpenter finds of all objects of a kind into their status,
// and tells which are in order.
func (k *karpenter) settle(ctx context.Context, kind schema.GroupVersionResource, look func(*unstructured.Unstructured) (condition, trouble string)) map[string]bool {
	ready := map[string]bool{}
	list, err := k.dyn.Resource(kind).List(ctx, metav1.ListOptions{})
	if err != nil {
		return ready
	}
	for _, o := range list.Items {
		condition, trouble := look(&o)
		ready[o.GetName()] = trouble == ""
		was, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
		is := conditions(was, o.GetGeneration(), condition, trouble)
		if reflect.DeepEqual(was, is) {
			continue
		}
		if err := unstructured.SetNestedSlice(o.Object, is, "status", "conditions"); err != nil {
			continue
		}
		_, err := k.dyn.Resource(kind).UpdateStatus(ctx, &o, metav1.UpdateOptions{FieldManager: "karpenter"})
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return ready // again in the next round
		}
	}
	return ready
}

// conditions are a condition of its own and Ready, which keep the time of their
// last change.
func conditions(was []any, generation int64, own, trouble string) []any {
	status, reason := "True", own
	if trouble != "" {
		status, reason = "False", "NotFound"
	}
	var list []any
	for _, kind := range []string{own, "Ready"} {
		c := map[string]any{"type": kind, "status": status, "reason": reason, "message": trouble, "observedGeneration": generation}
		c["lastTransitionTime"] = time.Now().UTC().Format(time.RFC3339)
		for _, w := range was {
			if have, ok := w.(map[string]any); ok && have["type"] == kind && have["status"] == status {
				c["lastTransitionTime"] = have["lastTransitionTime"]
			}
		}
		list = append(list, c)
	}
	return list
}
