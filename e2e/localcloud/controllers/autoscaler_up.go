package controllers

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// Words of the program's events and reasons (core/scaleup/orchestrator/skippedreasons.go,
// processors/status/eventing_scale_up_processor.go).
const (
	reasonMax     = "max node group size reached"
	reasonBackoff = "in backoff after failed scale-up"
	// scaleUpDelay is the annotation by which a pod makes the program wait.
	scaleUpDelay = "cluster-autoscaler.kubernetes.io/pod-scale-up-delay"
	// sayAgain is how long no event of the same reason is told of a pod.
	sayAgain = 5 * time.Minute
	// newPod and newGPUPod are how old the oldest pod has to be that waits, and the
	// oldest that waits for GPUs: more may come, and nodes are dear
	// (core/static_autoscaler.go).
	newPod    = 2 * time.Second
	newGPUPod = 30 * time.Second
)

// option is a way to help pods that wait: nodes of a group.
type option struct {
	group *scalingGroup
	pods  []*corev1.Pod
	nodes int
}

// waits tells whether the scheduler found no node for a pod, and the program is to
// look for one.
func (s *scaler) waits(p *corev1.Pod) bool {
	if p.DeletionTimestamp != nil || p.Spec.NodeName != "" || finished(p) || controllerKind(p) == daemonKind {
		return false
	}
	delay := s.flags.podDelay
	if d, err := time.ParseDuration(p.Annotations[scaleUpDelay]); err == nil {
		delay = max(delay, d)
	}
	if int(corev1helpers.PodPriority(p)) < s.flags.priorityCutoff || time.Since(p.CreationTimestamp.Time) < s.clock.Scale(delay) {
		return false
	}
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable
	})
}

// scaleUp makes one group larger if pods wait that no node will take, and tells
// whether it did.
func (s *scaler) scaleUp(ctx context.Context, w *world) (bool, error) {
	pods := s.unplaced(w)
	if len(pods) == 0 || s.allNew(pods) {
		return false, nil
	}
	options, reasons := s.options(w, pods)
	if len(options) == 0 {
		for _, p := range pods {
			s.say(p, "NotTriggerScaleUp", "pod didn't trigger scale-up: "+aggregate(reasons[p.Name]))
		}
		return false, nil
	}
	best := s.choose(w, options)
	var grown []string
	for _, g := range s.spread(w, best) {
		was := g.group.desired
		if err := s.cloud.resize(ctx, g.group, was+g.nodes); err != nil {
			s.giveUpOn(g.group)
			return false, err
		}
		g.group.grew = time.Now()
		grown = append(grown, fmt.Sprintf("{%s %d->%d (max: %d)}", g.group.name, was, g.group.desired, g.group.max))
		s.opts.Log.Info("the cluster autoscaler's stand-in scales up", "group", g.group.name, "from", was, "to", g.group.desired)
	}
	for _, p := range best.pods {
		s.say(p, "TriggeredScaleUp", "pod triggered scale-up: ["+strings.Join(grown, " ")+"]")
	}
	return true, nil
}

// allNew tells whether it is too early for the pods that wait.
func (s *scaler) allNew(pods []*corev1.Pod) bool {
	gpu := slices.DeleteFunc(slices.Clone(pods), func(p *corev1.Pod) bool {
		gpus := podRequests(p)["nvidia.com/gpu"]
		return gpus.IsZero()
	})
	old := func(pods []*corev1.Pod, age time.Duration) bool {
		return slices.ContainsFunc(pods, func(p *corev1.Pod) bool { return time.Since(p.CreationTimestamp.Time) >= s.clock.Scale(age) })
	}
	return !old(pods, newPod) || len(gpu) > 0 && !old(gpu, newGPUPod)
}

// unplaced are the pods that fit neither a node nor one that is on its way.
func (s *scaler) unplaced(w *world) []*corev1.Pod {
	var infos []*framework.NodeInfo
	for _, n := range w.nodes {
		if usable(n) {
			infos = append(infos, nodeInfo(n, w.pods[n.Name]...))
		}
	}
	for _, g := range s.sorted() {
		for range s.upcoming(w, g) {
			infos = append(infos, w.template[g.name].SnapshotConcrete())
		}
	}
	return slices.DeleteFunc(slices.Clone(w.pending), func(p *corev1.Pod) bool { return place(p, infos) != nil })
}

// upcoming is how many of a group's nodes are on their way.
func (s *scaler) upcoming(w *world, g *scalingGroup) int {
	n := g.desired
	for _, node := range w.nodes {
		late := time.Since(node.CreationTimestamp.Time) > s.clock.Scale(s.flags.provision)
		if w.groupOf[node.Name] == g && (usable(node) || late) {
			n--
		}
	}
	return max(n, 0)
}

// place puts a pod on the first node that takes it, and returns that.
func place(p *corev1.Pod, infos []*framework.NodeInfo) *framework.NodeInfo {
	for _, info := range infos {
		if len(misfit(p, info)) == 0 {
			info.AddPod(p)
			return info
		}
	}
	return nil
}

func (s *scaler) sorted() []*scalingGroup {
	return slices.SortedFunc(maps.Values(s.groups), func(a, b *scalingGroup) int { return cmp.Compare(a.name, b.name) })
}

// options lists what each group could do, and of each pod why a group cannot help.
func (s *scaler) options(w *world, pods []*corev1.Pod) ([]option, map[string][]string) {
	var out []option
	reasons := map[string][]string{}
	for _, g := range s.sorted() {
		skip := ""
		if g.desired >= g.max {
			skip = reasonMax
		} else if time.Now().Before(g.until) {
			skip = reasonBackoff
		}
		o := option{group: g}
		var bins []*framework.NodeInfo
		for _, p := range pods {
			if skip != "" {
				reasons[p.Name] = append(reasons[p.Name], skip)
				continue
			}
			if why := misfit(p, w.template[g.name]); len(why) > 0 {
				reasons[p.Name] = append(reasons[p.Name], why...)
				continue
			}
			if place(p, bins) == nil {
				if g.desired+len(bins) == g.max {
					continue // in another group, or not at all
				}
				bins = append(bins, w.template[g.name].SnapshotConcrete())
				bins[len(bins)-1].AddPod(p)
			}
			o.pods = append(o.pods, p)
		}
		if o.nodes = len(bins); o.nodes > 0 {
			out = append(out, o)
		}
	}
	return out, reasons
}

func aggregate(reasons []string) string {
	counts := map[string]int{}
	for _, r := range reasons {
		counts[r]++
	}
	var out []string
	for _, r := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, fmt.Sprintf("%d %s", counts[r], r))
	}
	return strings.Join(out, ", ")
}

// choose takes the option that leaves the least share of CPU and memory unused. Among
// equal ones the program takes any; here it is the first by name.
func (s *scaler) choose(w *world, options []option) option {
	if s.flags.expanders[0] != "least-waste" {
		return options[0]
	}
	waste := func(o option) float64 {
		var cpu, memory int64
		for _, p := range o.pods {
			r := podRequests(p)
			cpu, memory = cpu+r.Cpu().MilliValue(), memory+r.Memory().Value()
		}
		size := w.template[o.group.name].Node().Status.Capacity
		allCPU, allMemory := size.Cpu().MilliValue()*int64(o.nodes), size.Memory().Value()*int64(o.nodes)
		return float64(allCPU-cpu)/float64(allCPU) + float64(allMemory-memory)/float64(allMemory)
	}
	return slices.MinFunc(options, func(a, b option) int { return cmp.Compare(waste(a), waste(b)) })
}

// spread divides an option's nodes among its group and those like it, the smallest
// group first.
func (s *scaler) spread(w *world, o option) []option {
	shares := []option{{group: o.group}}
	for _, g := range s.sorted() {
		helps := func(p *corev1.Pod) bool { return len(misfit(p, w.template[g.name])) == 0 }
		all := !slices.ContainsFunc(o.pods, func(p *corev1.Pod) bool { return !helps(p) })
		if s.flags.balance && g != o.group && g.desired < g.max && time.Now().After(g.until) && all && s.similar(w, g, o.group) {
			shares = append(shares, option{group: g})
		}
	}
	for range o.nodes {
		smallest := -1
		for i, x := range shares {
			size := x.group.desired + x.nodes
			if size < x.group.max && (smallest < 0 || size < shares[smallest].group.desired+shares[smallest].nodes) {
				smallest = i
			}
		}
		shares[smallest].nodes++
	}
	return slices.DeleteFunc(shares, func(x option) bool { return x.nodes == 0 })
}

// similar tells whether nodes of two groups are alike: in their size, and in their
// labels but for those that say where and of which group they are
// (processors/nodegroupset/aws_nodegroups.go).
func (s *scaler) similar(w *world, a, b *scalingGroup) bool {
	ignored := append([]string{
		corev1.LabelHostname, corev1.LabelTopologyZone, corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion,
		"alpha.eksctl.io/instance-id", "alpha.eksctl.io/nodegroup-name", "eks.amazonaws.com/nodegroup", "k8s.amazonaws.com/eniConfig",
		"lifecycle", "topology.ebs.csi.aws.com/zone", "topology.k8s.aws/zone-id", "kops.k8s.io/instancegroup",
	}, s.flags.ignored...)
	x, y := w.template[a.name].Node(), w.template[b.name].Node()
	plain := func(n *corev1.Node) map[string]string {
		out := maps.Clone(n.Labels)
		maps.DeleteFunc(out, func(k, _ string) bool { return slices.Contains(ignored, k) })
		return out
	}
	sizes := func(n, m *corev1.Node) bool {
		for name, q := range n.Status.Capacity {
			if other, ok := m.Status.Capacity[name]; !ok || q.Cmp(other) != 0 {
				return false
			}
		}
		return true
	}
	return maps.Equal(plain(x), plain(y)) && sizes(x, y) && sizes(y, x)
}

// giveUp takes back what AWS could not start, and leaves those groups alone for a
// while: longer each time.
func (s *scaler) giveUp(ctx context.Context) {
	for _, g := range s.sorted() {
		if g.failedLaunch == "" {
			continue
		}
		s.opts.Log.Info("the cluster autoscaler's stand-in gives a group up for a while", "group", g.name, "because", g.failedLaunch)
		if !s.trouble("taking back what could not be started", s.cloud.resize(ctx, g, max(len(g.instances), g.min))) {
			s.giveUpOn(g)
		}
	}
}

// abandon removes instances that became no nodes in good time, and leaves their
// groups alone for a while.
func (s *scaler) abandon(ctx context.Context, w *world) error {
	joined, lacking := map[string]bool{}, map[string]time.Time{}
	for _, n := range w.nodes {
		joined[instanceOf(n)] = true
	}
	for _, g := range s.sorted() {
		for _, id := range g.instances {
			if joined[id] {
				continue
			}
			since, known := s.lacking[id]
			if !known {
				since = time.Now()
			}
			lacking[id] = since
			if time.Since(since) < s.clock.Scale(s.flags.provision) || g.desired <= g.min {
				continue
			}
			s.opts.Log.Info("the cluster autoscaler's stand-in removes an instance that became no node", "group", g.name, "instance", id)
			if err := s.cloud.terminate(ctx, id); err != nil {
				return err
			}
			delete(lacking, id)
			g.desired--
			g.instances = slices.DeleteFunc(slices.Clone(g.instances), func(other string) bool { return other == id })
			s.giveUpOn(g)
			s.read = time.Time{}
		}
	}
	s.lacking = lacking
	return nil
}

func (s *scaler) giveUpOn(g *scalingGroup) {
	g.failedLaunch = ""
	g.pause = min(max(2*g.pause, s.flags.backoff), s.flags.maxBackoff)
	g.until = time.Now().Add(s.clock.Scale(g.pause))
}

// say records an event, of each reason one in a while: the program's recorder drops the
// others, also if they say something else (utils/kubernetes/factory.go).
func (s *scaler) say(p *corev1.Pod, reason, message string) {
	key := string(p.UID) + reason
	if at, ok := s.said[key]; ok && time.Since(at) < s.clock.Scale(sayAgain) {
		return
	}
	s.said[key] = time.Now()
	s.events.Event(p, corev1.EventTypeNormal, reason, message)
}
