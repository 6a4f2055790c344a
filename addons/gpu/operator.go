package gpu

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"aicluster/addons"
	"aicluster/addons/doctor"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Names that NVIDIA's operator and node feature discovery give to their parts
// (gpu-operator v26.7, assets/state-*).
const (
	devicePluginSet    = "nvidia-device-plugin-daemonset"
	discoverySetSuffix = "node-feature-discovery-worker"
	labelGPUPresent    = "nvidia.com/gpu.present"
	labelDeployPlugin  = "nvidia.com/gpu.deploy.device-plugin"
)

var policyResource = schema.GroupVersionResource{Group: "nvidia.com", Version: "v1", Resource: "clusterpolicies"}

// operator is what a cluster says of NVIDIA's operator.
type operator struct {
	state string // of the ClusterPolicy; empty when there is none
	// failure is the operator's own account of an error, with its reason.
	failure, reason string
	sets            []appsv1.DaemonSet // of its namespace
}

// operator reads the ClusterPolicy and the DaemonSets that it makes.
func (i inspector) operator(ctx context.Context) (operator, error) {
	var o operator
	policies, err := i.dyn.Resource(policyResource).List(ctx, metav1.ListOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return o, fmt.Errorf("reading the ClusterPolicy: %w", err)
	}
	if err == nil && len(policies.Items) > 0 {
		o.read(&policies.Items[0])
	}
	sets, err := i.client.AppsV1().DaemonSets(addons.GPUOperatorNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return o, fmt.Errorf("listing the DaemonSets of the GPU operator: %w", err)
	}
	o.sets = sets.Items
	return o, nil
}

func (o *operator) read(policy *unstructured.Unstructured) {
	o.state, _, _ = unstructured.NestedString(policy.Object, "status", "state")
	conditions, _, _ := unstructured.NestedSlice(policy.Object, "status", "conditions")
	for _, c := range conditions {
		m, ok := c.(map[string]any)
		if !ok || m["type"] != "Error" || m["status"] != string(metav1.ConditionTrue) {
			continue
		}
		o.reason, _ = m["reason"].(string)
		o.failure, _ = m["message"].(string)
	}
}

// broken tells that the operator cannot do its work. OperandNotReady is what
// it also says while its pods start.
func (o operator) broken() bool { return o.reason == "ReconcileFailed" }

// set is the first DaemonSet whose name is or ends in name.
func (o operator) set(name string) *appsv1.DaemonSet {
	at := slices.IndexFunc(o.sets, func(d appsv1.DaemonSet) bool { return strings.HasSuffix(d.Name, name) })
	if at < 0 {
		return nil
	}
	return &o.sets[at]
}

// explain adds to n why the node lacks GPUs and where to look.
func (i inspector) explain(ctx context.Context, node *corev1.Node, n *NodeReport, o operator) error {
	pods, err := i.client.CoreV1().Pods(addons.GPUOperatorNamespace).List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + node.Name})
	if err != nil {
		return fmt.Errorf("listing the operator's pods on %s: %w", node.Name, err)
	}
	onNode := slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool { return p.Spec.NodeName != node.Name })
	cause, hopeless := o.cause(node, onNode, n)
	n.hopeless, n.cause = hopeless, fmt.Sprintf("%d of %s allocatable (capacity %d): %s", n.Allocatable, areGPUs(n.Expected), n.Capacity, cause)
	n.Problems = append(n.Problems, n.cause)
	return nil
}

// cause walks the chain that leads to GPUs on a node, from its start: kubelet,
// operator, discovery of the hardware, the pods on the node, the device plugin.
func (o operator) cause(node *corev1.Node, pods []corev1.Pod, n *NodeReport) (words string, hopeless bool) {
	if ready, why := nodeReady(node); !ready {
		return "the node is not Ready: " + why, false
	}
	if o.broken() {
		return fmt.Sprintf("the GPU operator reports %s: %s; see `kubectl describe clusterpolicy`", o.reason, o.failure), true
	}
	for _, part := range []string{discoverySetSuffix, devicePluginSet} {
		if set := o.set(part); set != nil {
			if taint := repelledBy(set, node); taint != "" {
				return fmt.Sprintf("DaemonSet %s does not tolerate the node's taint %s; add it under addons.gpuOperator.values (daemonsets.tolerations and node-feature-discovery.worker.tolerations)", set.Name, taint), true
			}
		}
	}
	if n.Capacity > 0 || n.Allocatable > 0 {
		return "a GPU is missing or unhealthy; see the logs of " + podOf(pods, devicePluginSet) + " and Xid errors in the node's kernel log; replacing the node is the usual cure", true
	}
	for i := range pods {
		if t, sick := doctor.Explain(&pods[i]); sick {
			return fmt.Sprintf("%s; see `kubectl logs -n %s %s --all-containers`", t, addons.GPUOperatorNamespace, pods[i].Name), t.Stuck
		}
	}
	return o.waitingFor(node, pods), false
}

// waitingFor names the first part that is not there yet.
func (o operator) waitingFor(node *corev1.Node, pods []corev1.Pod) string {
	switch {
	case o.state == "" && len(o.sets) == 0:
		return "the GPU operator is not installed or has not begun; see deployment gpu-operator in namespace " + addons.GPUOperatorNamespace
	case node.Labels[labelGPUPresent] != "true":
		return "node feature discovery has not found the GPUs yet; see " + podOf(pods, discoverySetSuffix)
	case o.set(devicePluginSet) == nil:
		return fmt.Sprintf("the operator has not made DaemonSet %s (operator state: %s)%s", devicePluginSet, orUnknown(o.state), ended(o.failure))
	case node.Labels[labelDeployPlugin] != "true":
		return fmt.Sprintf("label %s is %q: the device plugin is kept off this node", labelDeployPlugin, node.Labels[labelDeployPlugin])
	}
	return fmt.Sprintf("the device plugin has not reported them yet (operator state: %s); see %s", orUnknown(o.state), podOf(pods, devicePluginSet))
}

func orUnknown(state string) string {
	if state == "" {
		return "unknown"
	}
	return state
}

func ended(failure string) string {
	if failure == "" {
		return ""
	}
	return ": " + failure
}

// podOf names the DaemonSet's pod on the node, or says that there is none.
func podOf(pods []corev1.Pod, set string) string {
	for _, p := range pods {
		if strings.Contains(p.Name, set) {
			return "pod " + p.Name
		}
	}
	return "DaemonSet …" + set + ", which has no pod on the node"
}

// repelledBy is a taint of the node that keeps the DaemonSet's pods off it, or
// empty. Taints of node conditions do not count: every DaemonSet tolerates them.
func repelledBy(set *appsv1.DaemonSet, node *corev1.Node) string {
	for _, taint := range node.Spec.Taints {
		if taint.Effect == corev1.TaintEffectPreferNoSchedule || strings.Contains(taint.Key, "kubernetes.io/") {
			continue
		}
		if !slices.ContainsFunc(set.Spec.Template.Spec.Tolerations, func(t corev1.Toleration) bool { return doctor.Tolerates(t, taint) }) {
			return taint.ToString()
		}
	}
	return ""
}
