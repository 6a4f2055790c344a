package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
)

// unscheduled says why no node takes a pod. The scheduler's message counts nodes
// by reason; which reason is the one to mend follows from going through the nodes
// in the order in which somebody would mend them: labels, GPUs, taints, size,
// health, and last what other pods have taken.
func (e *Evidence) unscheduled(f *Finding, pod *corev1.Pod, c corev1.PodCondition) {
	f.Reason, f.What = "Unschedulable", "no node takes the pod"
	f.Message = strings.TrimSuffix(c.Reason+": "+c.Message, ": ")
	f.Next = "read the scheduler's words: kubectl -n " + pod.Namespace + " describe pod " + pod.Name
	if c.Reason == corev1.PodReasonSchedulingGated {
		f.What, f.Next, f.Severity = "the pod waits for a scheduling gate", "whoever set spec.schedulingGates takes it away (Kueue: when the queue has room)", Warning
		return
	}
	if len(e.Nodes) == 0 && len(e.Pools) == 0 {
		return // nothing is known of the nodes
	}
	if e.claimWaits(f, pod) {
		return
	}
	s := search{e: e, f: f, pod: pod, asks: Requests(pod), places: e.places()}
	for _, step := range []func() bool{s.bySelector, s.byGPUs, s.byTaint, s.bySize, s.byHealth, s.byUse} {
		if step() {
			return
		}
	}
}

// search narrows down where a pod could go.
type search struct {
	e      *Evidence
	f      *Finding
	pod    *corev1.Pod
	asks   corev1.ResourceList
	places []place // that are still possible
}

// keep narrows the places down; it tells whether any are left.
func (s *search) keep(possible func(place) bool) bool {
	left := slices.DeleteFunc(slices.Clone(s.places), func(p place) bool { return !possible(p) })
	if len(left) > 0 {
		s.places = left
	}
	return len(left) > 0
}

func (s *search) bySelector() bool {
	if s.keep(func(p place) bool { return selects(s.pod, p.node) }) {
		return false
	}
	s.f.Reason, s.f.What = "NoNodeMatches", "no node and no pool has the labels that the pod's node selector or affinity asks for"
	var wants []string
	for _, key := range slices.Sorted(maps.Keys(s.pod.Spec.NodeSelector)) {
		have := map[string]bool{}
		for _, p := range s.places {
			if v, ok := p.node.Labels[key]; ok {
				have[v] = true
			}
		}
		want := key + "=" + s.pod.Spec.NodeSelector[key]
		switch values := slices.Sorted(maps.Keys(have)); {
		case len(values) == 0:
			want += " (no node has " + key + ")"
		case !have[s.pod.Spec.NodeSelector[key]]:
			want += " (nodes have " + listed(values) + ")"
		}
		wants = append(wants, want)
	}
	if len(wants) > 0 {
		s.f.Message += "; it asks for " + strings.Join(wants, ", ")
	}
	s.f.Next = mend(s.pod, "correct pool", "correct nodeSelector or affinity") + "; or give a pool the labels (nodePools[].labels)"
	return true
}

func (s *search) byTaint() bool {
	taints := map[string]*corev1.Taint{}
	if s.keep(func(p place) bool {
		t := repelling(p.node, s.pod)
		if t != nil {
			taints[t.ToString()] = t
		}
		return t == nil
	}) {
		return false
	}
	names := slices.Sorted(maps.Keys(taints))
	t := taints[names[0]]
	s.f.Reason, s.f.What = "TaintNotTolerated", "the nodes that it may use have the taint "+listed(names)+", and the pod does not tolerate it"
	toleration := fmt.Sprintf("{key: %s, operator: Equal, value: %q, effect: %s}", t.Key, t.Value, t.Effect)
	if t.Value == "" {
		toleration = fmt.Sprintf("{key: %s, operator: Exists, effect: %s}", t.Key, t.Effect)
	}
	s.f.Next = "add to spec.tolerations of " + workload(s.pod) + ": " + toleration
	if _, asks := s.asks[GPU]; !asks && strings.HasPrefix(t.Key, string(GPU)) {
		s.f.Next += "; or, since it asks for no GPU, let it run elsewhere: its nodeSelector or affinity keeps it off the other nodes"
		if len(s.pod.Spec.NodeSelector) == 0 && s.pod.Spec.Affinity == nil {
			s.f.Next = "a pod that asks for no GPU belongs onto a pool without this taint: add one, or make it larger (nodePools)"
		}
	}
	return true
}

// byGPUs: nodes without that many GPUs are out, however few taints they have.
func (s *search) byGPUs() bool {
	asks, ok := s.asks[GPU]
	if !ok || asks.IsZero() {
		return false
	}
	most := int64(0)
	for _, p := range s.places {
		most = max(most, p.gpus)
	}
	if s.keep(func(p place) bool { return p.gpus >= asks.Value() }) {
		return false
	}
	s.f.Reason = "MoreGPUsThanANode"
	s.f.What = fmt.Sprintf("it asks for %s, and no node that it may use has more than %d", count(asks.Value(), "GPU"), most)
	s.f.Next = mend(s.pod, "lower gpus", "lower the limit nvidia.com/gpu") + ", or add a pool of a type with as many; a pod is on one node, larger models go over several pods"
	return true
}

// bySize: too large for any node, however empty.
func (s *search) bySize() bool {
	all := s.places
	if s.keep(func(p place) bool { return len(p.tooSmall(s.asks)) == 0 }) {
		return false
	}
	if asks, ok := s.asks[GPU]; ok && s.gpusNotOffered(all, asks.Value()) {
		return true
	}
	name := corev1.ResourceName("")
	largest := place{}
	for _, p := range all {
		if lack := p.tooSmall(s.asks); name == "" || len(lack) == 1 {
			name = lack[0]
		}
	}
	for _, p := range all {
		q, best := p.node.Status.Allocatable[name], largest.amount(name)
		if largest.node == nil || q.Cmp(*best) > 0 {
			largest = p
		}
	}
	asks := s.asks[name]
	s.f.Reason = "LargerThanANode"
	s.f.What = fmt.Sprintf("it asks for %s %s, and the largest node that it may use has %s", asks.String(), name, largest.amount(name).String())
	s.f.Next = mend(s.pod, "lower resources.requests", "lower the requests") + ", or use a pool of a larger type"
	return true
}

// gpusNotOffered: the instances have the GPUs, but Kubernetes does not know.
func (s *search) gpusNotOffered(all []place, asks int64) bool {
	for _, p := range all {
		have := p.node.Status.Allocatable[GPU]
		if !p.real || p.gpus < asks || have.Value() >= asks {
			continue
		}
		s.f.Reason = "GPUsNotOffered"
		s.f.What = fmt.Sprintf("node %s has %s and offers %d", p.node.Name, count(p.gpus, "GPU"), have.Value())
		s.f.Next = "see the finding about node " + p.node.Name
		if why := s.e.GPUs[p.node.Name]; why != "" {
			s.f.Message += "; " + p.node.Name + ": " + why
		}
		return true
	}
	return false
}

// byHealth: the nodes that would do are not in order, and no pool starts more.
func (s *search) byHealth() bool {
	var ill []string
	if s.keep(func(p place) bool {
		switch ok, words := nodeReady(p.node); {
		case !p.real:
			return true
		case p.node.Spec.Unschedulable:
			ill = append(ill, p.node.Name+" is cordoned")
		case !ok:
			ill = append(ill, p.node.Name+" is not Ready: "+words)
		default:
			return true
		}
		return false
	}) {
		return false
	}
	s.f.Reason, s.f.What = "NodesClosed", "the nodes that it may use take no pods"
	s.f.Message += "; " + listed(ill)
	s.f.Next = "uncordon them (kubectl uncordon NODE) once their work is done, or see the findings about them"
	return true
}

// byUse: the nodes that would do are full.
func (s *search) byUse() bool {
	short := map[corev1.ResourceName]bool{}
	real := 0
	for _, p := range s.places {
		if !p.real {
			continue
		}
		real++
		full := p.tooFull(s.asks)
		if len(full) == 0 {
			return false // something else: volumes, anti-affinity, spreading, ports
		}
		for _, name := range full {
			short[name] = true
		}
	}
	switch {
	case real == 0:
		s.f.Reason, s.f.What = "NoNodeYet", "the pool that it is for has no node"
	case short[GPU]:
		s.f.Reason, s.f.What = "NoGPULeft", "no GPU is left"
		s.f.Message += "; " + s.holders()
	default:
		names := slices.Sorted(maps.Keys(short))
		s.f.Reason = map[corev1.ResourceName]string{corev1.ResourceCPU: "NoCPULeft", corev1.ResourceMemory: "NoMemoryLeft"}[names[0]]
		s.f.Reason = orElse(s.f.Reason, "NoRoomLeft")
		asks := s.asks[names[0]]
		s.f.What = fmt.Sprintf("no node that it may use has %s %s left", asks.String(), names[0])
	}
	s.grow()
	return true
}

// holders says who has the GPUs.
func (s *search) holders() string {
	var out []string
	for _, p := range s.places {
		if !p.real {
			continue
		}
		var pods []string
		used := 0
		for _, pod := range On(s.e.Pods, p.node.Name) {
			if n := GPUs(pod); n > 0 {
				used += n
				pods = append(pods, fmt.Sprintf("%s/%s: %d", pod.Namespace, pod.Name, n))
			}
		}
		all := p.node.Status.Allocatable[GPU]
		text := fmt.Sprintf("%s: %d of %d in use", p.node.Name, used, all.Value())
		if len(pods) > 0 {
			text += " (" + listed(pods) + ")"
		}
		out = append(out, text)
	}
	return listed(out)
}

// On are the pods on a node that have not ended.
func On(pods []corev1.Pod, node string) []*corev1.Pod {
	var out []*corev1.Pod
	for i := range pods {
		if p := &pods[i]; p.Spec.NodeName == node && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			out = append(out, p)
		}
	}
	return out
}

// amount is how much a node has of a resource.
func (p place) amount(name corev1.ResourceName) *apiresource.Quantity {
	if p.node == nil {
		return &apiresource.Quantity{}
	}
	q := p.node.Status.Allocatable[name]
	return &q
}
