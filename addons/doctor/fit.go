package doctor

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"aicluster/blueprints"
	"aicluster/blueprints/instancetypes"
)

// GPU is the extended resource that NVIDIA's device plugin offers.
const GPU = corev1.ResourceName("nvidia.com/gpu")

// place is a node, or what a node of a pool will be.
type place struct {
	node *corev1.Node
	real bool
	gpus int64               // that the instance type has
	free corev1.ResourceList // of node.Status.Allocatable
}

// places are all nodes, then one for each pool that may start more.
func (e *Evidence) places() []place {
	used := Used(e.Pods)
	var out []place
	for i := range e.Nodes {
		n := &e.Nodes[i]
		p := place{node: n, real: true, free: n.Status.Allocatable.DeepCopy()}
		offered := n.Status.Allocatable[GPU]
		p.gpus = offered.Value()
		if info, ok := instancetypes.Lookup(n.Labels[corev1.LabelInstanceTypeStable]); ok {
			p.gpus = max(p.gpus, int64(info.GPUs))
		}
		for name, q := range used[n.Name] {
			free := p.free[name]
			free.Sub(q)
			p.free[name] = free
		}
		out = append(out, p)
	}
	for i := range e.Pools {
		out = append(out, template(&e.Pools[i]))
	}
	return out
}

// template is a node that a pool would start, as far as its blueprint and the
// first of its instance types tell.
func template(pool *Pool) place {
	n := &corev1.Node{}
	n.Labels = map[string]string{blueprints.PoolLabel: pool.Name, "eks.amazonaws.com/nodegroup": pool.Name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64"}
	maps.Copy(n.Labels, pool.Labels)
	for _, t := range pool.Taints {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: t.Key, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
	p := place{node: n}
	for _, kind := range pool.InstanceTypes {
		info, ok := instancetypes.Lookup(kind)
		if !ok {
			continue
		}
		n.Labels[corev1.LabelInstanceTypeStable], n.Labels["k8s.amazonaws.com/accelerator"] = kind, info.Accelerator
		p.gpus = int64(info.GPUs)
		n.Status.Allocatable = corev1.ResourceList{
			corev1.ResourceCPU:    *apiresource.NewQuantity(int64(info.VCPUs), apiresource.DecimalSI),
			corev1.ResourceMemory: *apiresource.NewQuantity(int64(info.MemoryMiB)<<20, apiresource.BinarySI),
			GPU:                   *apiresource.NewQuantity(p.gpus, apiresource.DecimalSI),
		}
		break
	}
	p.free = n.Status.Allocatable
	return p
}

// tooSmall lists what a place can never give a pod, tooFull what it cannot now.
func (p place) tooSmall(asks corev1.ResourceList) []corev1.ResourceName {
	return lacks(p.node.Status.Allocatable, asks, !p.real)
}
func (p place) tooFull(asks corev1.ResourceList) []corev1.ResourceName {
	return lacks(p.free, asks, !p.real)
}

// lacks lists the resources of which there are fewer than asked for. What a node
// that does not exist would have besides CPU, memory and GPUs nobody knows.
func lacks(there, asks corev1.ResourceList, known bool) []corev1.ResourceName {
	var out []corev1.ResourceName
	for name, q := range asks {
		have, ok := there[name]
		if known && !ok {
			continue
		}
		if have.Cmp(q) < 0 {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Used adds up, by node, what pods that have not ended ask for.
func Used(pods []corev1.Pod) map[string]corev1.ResourceList {
	out := map[string]corev1.ResourceList{}
	for i := range pods {
		p := &pods[i]
		if p.Spec.NodeName == "" || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		if out[p.Spec.NodeName] == nil {
			out[p.Spec.NodeName] = corev1.ResourceList{}
		}
		add(out[p.Spec.NodeName], Requests(p))
	}
	return out
}

// Requests is what the scheduler reckons with for a pod: its containers and the
// sidecars together, or one init container if that asks for more (Kubernetes'
// docs, "Resource sharing within containers").
func Requests(pod *corev1.Pod) corev1.ResourceList {
	out, sidecars, inits := corev1.ResourceList{}, corev1.ResourceList{}, corev1.ResourceList{}
	for _, c := range pod.Spec.Containers {
		add(out, c.Resources.Requests)
	}
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			add(sidecars, c.Resources.Requests)
			continue
		}
		alone := sidecars.DeepCopy()
		add(alone, c.Resources.Requests)
		atLeast(inits, alone)
	}
	add(out, sidecars)
	atLeast(out, inits)
	add(out, pod.Spec.Overhead)
	out[corev1.ResourcePods] = *apiresource.NewQuantity(1, apiresource.DecimalSI)
	return out
}

// GPUs is how many GPUs a pod has or asks for.
func GPUs(pod *corev1.Pod) int {
	q := Requests(pod)[GPU]
	return int(q.Value())
}

func add(to, more corev1.ResourceList) {
	for name, q := range more {
		sum := to[name]
		sum.Add(q)
		to[name] = sum
	}
}

func atLeast(to, least corev1.ResourceList) {
	for name, q := range least {
		if have := to[name]; have.Cmp(q) < 0 {
			to[name] = q
		}
	}
}

// repelling is the first taint of a node that a pod does not tolerate, or nil.
// Taints that Kubernetes sets itself, for what is wrong with the node, are left
// out: those are the node's finding.
func repelling(n *corev1.Node, pod *corev1.Pod) *corev1.Taint {
	for i := range n.Spec.Taints {
		t := &n.Spec.Taints[i]
		if t.Effect == corev1.TaintEffectPreferNoSchedule || strings.HasPrefix(t.Key, "node.kubernetes.io/") {
			continue
		}
		if !slices.ContainsFunc(pod.Spec.Tolerations, func(o corev1.Toleration) bool { return Tolerates(o, *t) }) {
			return t
		}
	}
	return nil
}

// Tolerates is Kubernetes' rule for the operators Exists and Equal.
func Tolerates(t corev1.Toleration, taint corev1.Taint) bool {
	if (t.Effect != "" && t.Effect != taint.Effect) || (t.Key != "" && t.Key != taint.Key) {
		return false
	}
	if t.Operator == corev1.TolerationOpExists {
		return true
	}
	return t.Key != "" && t.Value == taint.Value
}

// selects tells whether a pod's node selector and required affinity let it onto a
// node.
func selects(pod *corev1.Pod, n *corev1.Node) bool {
	if !labels.SelectorFromSet(pod.Spec.NodeSelector).Matches(labels.Set(n.Labels)) {
		return false
	}
	a := pod.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return true
	}
	return slices.ContainsFunc(a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms, func(t corev1.NodeSelectorTerm) bool {
		return term(t, n)
	})
}

// term tells whether a node meets all requirements of a term; one without any is
// met by none.
func term(t corev1.NodeSelectorTerm, n *corev1.Node) bool {
	if len(t.MatchExpressions)+len(t.MatchFields) == 0 {
		return false
	}
	for _, r := range t.MatchExpressions {
		if !requirement(r, n.Labels) {
			return false
		}
	}
	for _, r := range t.MatchFields { // metadata.name is the only one that there is
		if !requirement(r, map[string]string{"metadata.name": n.Name}) {
			return false
		}
	}
	return true
}

func requirement(r corev1.NodeSelectorRequirement, set map[string]string) bool {
	operator, ok := map[corev1.NodeSelectorOperator]selection.Operator{
		corev1.NodeSelectorOpIn: selection.In, corev1.NodeSelectorOpNotIn: selection.NotIn, corev1.NodeSelectorOpExists: selection.Exists,
		corev1.NodeSelectorOpDoesNotExist: selection.DoesNotExist, corev1.NodeSelectorOpGt: selection.GreaterThan, corev1.NodeSelectorOpLt: selection.LessThan,
	}[r.Operator]
	if !ok {
		return false
	}
	q, err := labels.NewRequirement(r.Key, operator, r.Values)
	return err == nil && q.Matches(labels.Set(set))
}
