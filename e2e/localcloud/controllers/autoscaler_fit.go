package controllers

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	resourcehelper "k8s.io/component-helpers/resource"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/daemon"
	"k8s.io/kubernetes/pkg/scheduler"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// Marks that the program puts on nodes (utils/taints/taints.go).
const (
	taintToBeDeleted = "ToBeDeletedByClusterAutoscaler"
	taintCandidate   = "DeletionCandidateOfClusterAutoscaler"
)

// acceleratorLabel tells the program that a node has GPUs, so that it waits for them.
const acceleratorLabel = "k8s.amazonaws.com/accelerator"

// world is the cluster at one look.
type world struct {
	nodes    []*corev1.Node
	pods     map[string][]*corev1.Pod       // by node
	pending  []*corev1.Pod                  // the scheduler found no node for them
	groupOf  map[string]*scalingGroup       // by node
	template map[string]*framework.NodeInfo // by group: what a new node will be like
}

// look reads the cluster and works out what new nodes would be like: as one that the
// group has, or else as AWS tells.
func (s *scaler) look(ctx context.Context) (*world, error) {
	w := &world{pods: map[string][]*corev1.Pod{}, groupOf: map[string]*scalingGroup{}, template: map[string]*framework.NodeInfo{}}
	w.nodes, _ = s.nodes.List(labels.Everything()) // listers over a cache do not fail
	slices.SortFunc(w.nodes, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	pods, _ := s.pods.List(labels.Everything())
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name) })
	for _, p := range pods {
		switch {
		case p.Spec.NodeName != "" && !finished(p):
			w.pods[p.Spec.NodeName] = append(w.pods[p.Spec.NodeName], p)
		case s.waits(p):
			w.pending = append(w.pending, p)
		}
	}
	instances := map[string]*scalingGroup{}
	for _, g := range s.groups {
		for _, id := range g.instances {
			instances[id] = g
		}
	}
	for _, n := range w.nodes {
		if g := instances[instanceOf(n)]; g != nil {
			w.groupOf[n.Name] = g
		}
	}
	for _, g := range s.groups {
		node, err := s.sample(ctx, w, g)
		if err != nil {
			return nil, err
		}
		w.template[g.name] = s.withDaemons(node)
	}
	return w, nil
}

func finished(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// sample is what a new node of a group will be like.
func (s *scaler) sample(ctx context.Context, w *world, g *scalingGroup) (*corev1.Node, error) {
	for _, n := range w.nodes {
		if w.groupOf[n.Name] != g || !usable(n) {
			continue
		}
		n = n.DeepCopy()
		n.Name = "template-" + g.name
		n.Labels[corev1.LabelHostname] = n.Name
		n.Spec.Taints = slices.DeleteFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == taintCandidate })
		return n, nil
	}
	return s.cloud.nodeOf(ctx, g)
}

// usable tells whether pods can go to a node: one whose GPUs are not there yet counts
// as not ready.
func usable(n *corev1.Node) bool {
	_, accelerated := n.Labels[acceleratorLabel]
	gpus := n.Status.Allocatable["nvidia.com/gpu"]
	leaving := n.DeletionTimestamp != nil || n.Spec.Unschedulable ||
		slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == taintToBeDeleted || t.Key == corev1.TaintNodeNotReady })
	return nodeReady(n) && !leaving && (!accelerated || !gpus.IsZero())
}

// withDaemons is a node with the pods that DaemonSets will put there.
func (s *scaler) withDaemons(node *corev1.Node) *framework.NodeInfo {
	info := nodeInfo(node)
	sets, _ := s.daemons.List(labels.Everything())
	for _, ds := range sets {
		if runs, _ := daemon.NodeShouldRunDaemonPod(klog.Background(), node, ds); runs {
			info.AddPod(daemon.NewPod(ds, node.Name))
		}
	}
	return info
}

func nodeInfo(node *corev1.Node, pods ...*corev1.Pod) *framework.NodeInfo {
	info := framework.NewNodeInfo(pods...)
	info.SetNode(node)
	return info
}

// untolerated is the scheduler's reason for a taint (pkg/scheduler/framework/plugins/tainttoleration).
const untolerated = "node(s) had untolerated taint(s)"

// misfit is why the scheduler would not put a pod on a node: the reasons of the first
// filter that minds, none if it would.
func misfit(pod *corev1.Pod, info *framework.NodeInfo) []string {
	counts := func(t *corev1.Taint) bool {
		return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
	}
	if _, minds := corev1helpers.FindMatchingUntoleratedTaint(klog.Background(), info.Node().Spec.Taints, pod.Spec.Tolerations, counts, true); minds {
		return []string{untolerated}
	}
	var others, resources []string
	for _, r := range scheduler.AdmissionCheck(pod, info, true) {
		if r.InsufficientResource != nil {
			resources = append(resources, r.InsufficientResource.Reason)
		} else {
			others = append(others, r.Reason)
		}
	}
	if len(others) > 0 {
		return others[:1]
	}
	return resources
}

func podRequests(p *corev1.Pod) corev1.ResourceList {
	return resourcehelper.PodRequests(p, resourcehelper.PodResourcesOptions{})
}

// controllerKind is the kind of what controls a pod, empty if nothing does.
func controllerKind(p *corev1.Pod) string {
	for _, o := range p.OwnerReferences {
		if o.Controller != nil && *o.Controller {
			return o.Kind
		}
	}
	return ""
}

const daemonKind = "DaemonSet"
