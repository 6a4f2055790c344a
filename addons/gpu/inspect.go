package gpu

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"aicluster/blueprints"
	"aicluster/blueprints/instancetypes"
)

// Labels that EKS puts on the nodes of a managed node group (EKS user guide,
// "Simplify node lifecycle with managed node groups").
const (
	labelNodeGroup      = "eks.amazonaws.com/nodegroup"
	labelImage          = "eks.amazonaws.com/nodegroup-image"
	labelTemplate       = "eks.amazonaws.com/sourceLaunchTemplateId"
	labelTemplateNumber = "eks.amazonaws.com/sourceLaunchTemplateVersion"
)

// startTime is how long a node may take from joining until its GPUs are
// offered. On an AMI with the driver it is two to four minutes.
const startTime = 10 * time.Minute

// Taints of a node that is being removed, by the cluster autoscaler and by
// Karpenter.
const (
	taintScaleDown = "ToBeDeletedByClusterAutoscaler"
	taintDisrupted = "karpenter.sh/disrupted"
)

// inspector reads a cluster's GPUs.
type inspector struct {
	client kubernetes.Interface
	dyn    dynamic.Interface
	now    func() time.Time
}

// inspect reports on a pool. Nodes on their way out are left out. What is wrong
// with a node is looked into only if it lacks GPUs.
func (i inspector) inspect(ctx context.Context, pool blueprints.NodePool) (Report, []corev1.Node, error) {
	report := Report{Pool: pool.Name, MinNodes: pool.Nodes.Min, Nodes: []NodeReport{}}
	list, err := i.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return report, nil, fmt.Errorf("listing the nodes of %s: %w", pool.Name, err)
	}
	nodes := slices.DeleteFunc(list.Items, func(n corev1.Node) bool { return blueprints.PoolOf(n.Labels) != pool.Name || leaving(n) })
	slices.SortFunc(nodes, func(a, b corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	operator, err := i.operator(ctx)
	if err != nil {
		return report, nil, err
	}
	report.Operator = operator.state
	for _, node := range nodes {
		n := i.node(&node, &pool)
		if !n.complete() {
			if err := i.explain(ctx, &node, &n, operator); err != nil {
				return report, nil, err
			}
		}
		report.Nodes = append(report.Nodes, n)
	}
	return report, nodes, nil
}

func leaving(n corev1.Node) bool {
	return n.DeletionTimestamp != nil || slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == taintScaleDown || t.Key == taintDisrupted })
}

// node compares one node with its instance type and its pool.
func (i inspector) node(node *corev1.Node, pool *blueprints.NodePool) NodeReport {
	n := NodeReport{
		Name:         node.Name,
		InstanceType: node.Labels[corev1.LabelInstanceTypeStable],
		Expected:     pool.GPUs(),
		Capacity:     gpus(node.Status.Capacity),
		Allocatable:  gpus(node.Status.Allocatable),
		young:        i.now().Sub(node.CreationTimestamp.Time) < startTime,
	}
	if info, ok := instancetypes.Lookup(n.InstanceType); ok {
		n.Expected = info.GPUs
	}
	n.Ready, _ = nodeReady(node)
	n.wrong = append(labelDifferences(node, pool), taintDifferences(node, pool)...)
	for _, d := range n.wrong {
		n.Problems = append(n.Problems, d.String())
	}
	return n
}

func gpus(r corev1.ResourceList) int {
	q := r[ResourceName]
	return int(q.Value())
}

// nodeReady tells whether a node is Ready, and if not the kubelet's words.
func nodeReady(node *corev1.Node) (bool, string) {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue, c.Message
		}
	}
	return false, "the kubelet has not reported yet"
}

// labelDifferences compares a node's labels with its pool's. EKS puts a node
// group's labels on its nodes, and changed ones on those that run already
// (UpdateNodegroupConfig), but does not restore one that somebody took off a node.
func labelDifferences(node *corev1.Node, pool *blueprints.NodePool) []difference {
	var out []difference
	for _, key := range slices.Sorted(maps.Keys(pool.Labels)) {
		live, ok := node.Labels[key]
		if ok && live == pool.Labels[key] {
			continue
		}
		d := difference{field: "labels." + key, wanted: pool.Labels[key],
			cure: fmt.Sprintf("kubectl label node %s %s=%s --overwrite", node.Name, key, pool.Labels[key])}
		if ok {
			d.live = live
		}
		out = append(out, d)
	}
	return out
}

// taintDifferences does the same for taints, which key and effect tell apart.
func taintDifferences(node *corev1.Node, pool *blueprints.NodePool) []difference {
	var out []difference
	for _, t := range pool.Taints {
		at := slices.IndexFunc(node.Spec.Taints, func(l corev1.Taint) bool { return l.Key == t.Key && string(l.Effect) == t.Effect })
		if at >= 0 && node.Spec.Taints[at].Value == t.Value {
			continue
		}
		d := difference{field: "taints." + t.Key, wanted: t.Value + ":" + t.Effect,
			cure: fmt.Sprintf("kubectl taint node %s %s=%s:%s --overwrite", node.Name, t.Key, t.Value, t.Effect)}
		if at >= 0 {
			d.live = node.Spec.Taints[at].Value + ":" + t.Effect
		}
		out = append(out, d)
	}
	return out
}
