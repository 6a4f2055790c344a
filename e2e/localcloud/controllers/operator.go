package controllers

import (
	"context"
	"fmt"
	"maps"
	"sort"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	nodelisters "k8s.io/client-go/listers/node/v1"

	"aicluster/e2e/localcloud/clock"
)

var (
	policyKind     = schema.GroupVersionKind{Group: "nvidia.com", Version: "v1", Kind: "ClusterPolicy"}
	policyResource = policyKind.GroupVersion().WithResource("clusterpolicies")
)

// How soon the operator looks again while operands are not ready, and while no
// node has NFD labels (controllers/clusterpolicy_controller.go).
const (
	requeueNotReady = 5 * time.Second
	requeueNoLabels = 45 * time.Second
)

// gpuOperator plays the process in the Deployment gpu-operator: it labels GPU
// nodes, keeps the operands' DaemonSets and reports in the ClusterPolicy. It does
// nothing while that Deployment has no available pod.
type gpuOperator struct {
	client kubernetes.Interface
	clock  *clock.Clock
	worker *worker

	daemonSets appslisters.DaemonSetLister
	nodes      corelisters.NodeLister
	classes    nodelisters.RuntimeClassLister

	resident
}

// everything is the only key of the operator's queue: its reconciler looks at all there is.
const everything = "cluster-policy"

func newGPUOperator(o Options, client kubernetes.Interface, dyn dynamic.Interface, factory informers.SharedInformerFactory) (*gpuOperator, error) {
	g := &gpuOperator{
		client: client, clock: o.Clock,
		daemonSets: factory.Apps().V1().DaemonSets().Lister(),
		nodes:      factory.Core().V1().Nodes().Lister(),
		classes:    factory.Node().V1().RuntimeClasses().Lister(),
	}
	g.worker = newWorker("gpu-operator", g.sync)
	g.resident = resident{dyn: dyn, deployments: factory.Apps().V1().Deployments().Lister(), is: runsGPUOperator,
		kinds: []schema.GroupVersionResource{policyResource}, changed: func() { g.worker.queue.Add(everything) }}
	if err := on(factory.Apps().V1().Deployments().Informer(), func(d *appsv1.Deployment) {
		if runsGPUOperator(d) {
			g.worker.queue.Add(everything)
		}
	}); err != nil {
		return nil, err
	}
	if err := on(factory.Apps().V1().DaemonSets().Informer(), func(ds *appsv1.DaemonSet) {
		if metav1.GetControllerOf(ds) != nil {
			g.worker.queue.Add(everything)
		}
	}); err != nil {
		return nil, err
	}
	return g, on(factory.Core().V1().Nodes().Informer(), func(*corev1.Node) { g.worker.queue.Add(everything) })
}

func runsGPUOperator(d *appsv1.Deployment) bool {
	return d.Name == "gpu-operator" && d.Labels["app.kubernetes.io/component"] == "gpu-operator"
}

func (g *gpuOperator) run(ctx context.Context) {
	g.worker.run(ctx)
	g.end()
}

func (g *gpuOperator) sync(ctx context.Context, _ string) (time.Duration, error) {
	if runs, err := g.attend(ctx); !runs || err != nil {
		return 0, err
	}
	policy, err := g.policy(ctx)
	if policy == nil || err != nil {
		return 0, err
	}
	return g.reconcile(ctx, policy)
}

// policy returns the ClusterPolicy that counts, the oldest, and sets the others ignored.
func (g *gpuOperator) policy(ctx context.Context) (*unstructured.Unstructured, error) {
	all := g.session.living(policyResource)
	if len(all) == 0 {
		return nil, nil
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i].GetCreationTimestamp(), all[j].GetCreationTimestamp()
		if a.Equal(&b) {
			return all[i].GetName() < all[j].GetName()
		}
		return a.Before(&b)
	})
	for _, extra := range all[1:] {
		if state, _, _ := unstructured.NestedString(extra.Object, "status", "state"); state != "ignored" {
			if err := g.report(ctx, extra, policyStatus{state: "ignored"}); err != nil {
				return nil, err
			}
		}
	}
	return all[0], nil
}

// reconcile is one pass of the operator's ClusterPolicy controller.
func (g *gpuOperator) reconcile(ctx context.Context, policy *unstructured.Unstructured) (time.Duration, error) {
	nfd, gpus, err := g.labelNodes(ctx)
	if err != nil {
		return 0, err
	}
	if err := g.runtimeClass(ctx, policy); err != nil {
		return 0, err
	}
	var notReady []string
	for _, o := range operands() {
		ready, err := g.operand(ctx, policy, o, gpus)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", o.state, err)
		}
		if !ready {
			notReady = append(notReady, o.state)
		}
	}
	if err := g.dcgmMonitor(ctx, policy); err != nil {
		return 0, err
	}
	switch {
	case len(notReady) > 0:
		err := g.report(ctx, policy, policyStatus{state: "notReady", reason: "OperandNotReady",
			message: fmt.Sprintf("ClusterPolicy is not ready; states not ready: [%s]", strings.Join(notReady, " "))})
		return g.clock.Scale(requeueNotReady), err
	case !nfd:
		err := g.report(ctx, policy, policyStatus{state: "ready", reason: "NFDLabelsMissing", message: "No NFD labels found"})
		return g.clock.Scale(requeueNoLabels), err
	case !gpus:
		return 0, g.report(ctx, policy, policyStatus{state: "ready", reason: "NoGPUNodes",
			message: "No GPU node found, watching for new nodes to join the cluster."})
	default:
		return 0, g.report(ctx, policy, policyStatus{state: "ready", reason: "Reconciled",
			message: "ClusterPolicy is ready as all resources have been successfully reconciled"})
	}
}

// labelNodes labels all nodes and says whether any has NFD labels, and GPUs.
func (g *gpuOperator) labelNodes(ctx context.Context) (nfd, gpus bool, err error) {
	nodes, err := g.nodes.List(labels.Everything())
	if err != nil {
		return false, false, err
	}
	for _, node := range nodes {
		for key := range node.Labels {
			nfd = nfd || strings.HasPrefix(key, nfdPrefix)
		}
		want := operatorLabels(node.Labels)
		gpus = gpus || want[gpuPresent] == "true"
		if err := patchLabels(ctx, g.client, node, want); err != nil {
			return false, false, err
		}
	}
	return nfd, gpus, nil
}

// runtimeClass makes the RuntimeClass that pods may name; handler and name are the same.
func (g *gpuOperator) runtimeClass(ctx context.Context, policy *unstructured.Unstructured) error {
	name, _, _ := unstructured.NestedString(policy.Object, "spec", "operator", "runtimeClass")
	if name == "" {
		name = "nvidia"
	}
	if _, err := g.classes.Get(name); !apierrors.IsNotFound(err) {
		return err
	}
	_, err := g.client.NodeV1().RuntimeClasses().Create(ctx, &nodev1.RuntimeClass{
		ObjectMeta: metav1.ObjectMeta{
			Name:            name,
			Labels:          map[string]string{"app.kubernetes.io/component": "gpu-operator"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(policy, policyKind)},
		},
		Handler: name,
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// operand makes one operand's DaemonSet right and says whether it is ready.
// A cluster without GPU nodes gets none, and that counts as ready.
func (g *gpuOperator) operand(ctx context.Context, policy *unstructured.Unstructured, o operand, gpuNodes bool) (bool, error) {
	namespace := g.session.namespace
	is, err := g.daemonSets.DaemonSets(namespace).Get(o.name)
	exists := err == nil
	if err != nil && !apierrors.IsNotFound(err) {
		return false, err
	}
	api := g.client.AppsV1().DaemonSets(namespace)
	if !o.enabled(policy) {
		if exists {
			err = api.Delete(ctx, o.name, metav1.DeleteOptions{})
		}
		return true, ignoreNotFound(err)
	}
	if !gpuNodes {
		return true, nil
	}
	want, err := o.daemonSet(policy, namespace)
	if err != nil {
		return false, err
	}
	switch {
	case !exists:
		_, err = api.Create(ctx, want, metav1.CreateOptions{})
		return false, err
	case is.Annotations[appliedHash] != want.Annotations[appliedHash]:
		want.ResourceVersion = is.ResourceVersion
		_, err = api.Update(ctx, want, metav1.UpdateOptions{})
		return false, err
	}
	return daemonSetReady(is), nil
}

// daemonSetReady is the operator's isDaemonSetReady.
func daemonSetReady(ds *appsv1.DaemonSet) bool {
	s := ds.Status
	if s.ObservedGeneration < ds.Generation {
		return false
	}
	if s.DesiredNumberScheduled == 0 {
		return true
	}
	if s.NumberUnavailable != 0 || s.NumberAvailable < s.DesiredNumberScheduled {
		return false
	}
	return ds.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType || s.UpdatedNumberScheduled == s.DesiredNumberScheduled
}

// policyStatus is what one pass reports.
type policyStatus struct {
	state, reason, message string
}

// report writes the policy's status, if it changes, with the two conditions of
// the operator's internal/conditions: Ready and Error, one of them true.
func (g *gpuOperator) report(ctx context.Context, policy *unstructured.Unstructured, s policyStatus) error {
	status := map[string]any{"state": s.state, "namespace": g.session.namespace}
	if s.reason != "" {
		ready := condition("Ready", metav1.ConditionTrue, s.reason, s.message)
		failed := condition("Error", metav1.ConditionFalse, "Ready", "")
		if s.state != "ready" {
			ready = condition("Ready", metav1.ConditionFalse, "Error", "")
			failed = condition("Error", metav1.ConditionTrue, s.reason, s.message)
		}
		old, _, _ := unstructured.NestedSlice(policy.Object, "status", "conditions")
		status["conditions"] = []any{keepTransition(old, ready), keepTransition(old, failed)}
	}
	was, _, _ := unstructured.NestedMap(policy.Object, "status")
	if fmt.Sprint(was) == fmt.Sprint(status) {
		return nil
	}
	next := policy.DeepCopy()
	next.Object["status"] = status
	_, err := g.dyn.Resource(policyResource).UpdateStatus(ctx, next, metav1.UpdateOptions{})
	return ignoreNotFound(err)
}

func condition(kind string, status metav1.ConditionStatus, reason, message string) map[string]any {
	return map[string]any{
		"type": kind, "status": string(status), "reason": reason, "message": message,
		"lastTransitionTime": time.Now().UTC().Format(time.RFC3339),
	}
}

// keepTransition gives next the transition time of its predecessor of the same status.
func keepTransition(old []any, next map[string]any) map[string]any {
	for _, entry := range old {
		if was, ok := entry.(map[string]any); ok && was["type"] == next["type"] && was["status"] == next["status"] {
			next["lastTransitionTime"] = was["lastTransitionTime"]
		}
	}
	return next
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// patchLabels changes a node's labels to want. A node that is gone is no error.
func patchLabels(ctx context.Context, client kubernetes.Interface, node *corev1.Node, want map[string]string) error {
	if maps.Equal(node.Labels, want) {
		return nil
	}
	change := map[string]any{}
	for key, value := range want {
		if old, ok := node.Labels[key]; !ok || old != value {
			change[key] = value
		}
	}
	for key := range node.Labels {
		if _, ok := want[key]; !ok {
			change[key] = nil
		}
	}
	return patchNode(ctx, client, node.Name, "", map[string]any{"metadata": map[string]any{"labels": change}})
}
