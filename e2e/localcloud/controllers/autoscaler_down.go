package controllers

import (
	"cmp"
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// Annotations by which nodes and pods are kept, or not (cluster-autoscaler's FAQ).
const (
	keepNode    = "cluster-autoscaler.kubernetes.io/scale-down-disabled"
	safeToEvict = "cluster-autoscaler.kubernetes.io/safe-to-evict"
)

// scaleDown notes which nodes are not needed, and removes those that were not for
// long enough.
func (s *scaler) scaleDown(ctx context.Context, w *world) {
	if !s.flags.down {
		return
	}
	spare := s.spare(w)
	for name := range s.unneeded {
		if !slices.ContainsFunc(spare, func(c candidate) bool { return c.node.Name == name }) {
			delete(s.unneeded, name)
		}
	}
	drains := 0
	for _, drained := range s.deleting {
		if drained {
			drains++
		}
	}
	for _, c := range spare {
		if _, known := s.unneeded[c.node.Name]; !known {
			s.unneeded[c.node.Name] = time.Now()
		}
		wait := s.flags.unneeded
		if !usable(c.node) {
			wait = s.flags.unready
		}
		if time.Since(s.unneeded[c.node.Name]) < s.clock.Scale(wait) || s.pausing(c.group) || len(s.deleting) >= s.flags.parallel {
			continue
		}
		if len(c.pods) > 0 {
			if drains >= s.flags.parallelDrains {
				continue
			}
			drains++
		}
		s.deleting[c.node.Name] = len(c.pods) > 0
		delete(s.unneeded, c.node.Name)
		s.opts.Log.Info("the cluster autoscaler's stand-in scales down", "group", c.group.name, "node", c.node.Name, "pods to move", len(c.pods))
		s.work.Go(func() { s.remove(ctx, c) })
	}
}

// pausing tells whether something was just done after which no node of a group is
// removed for a while.
func (s *scaler) pausing(g *scalingGroup) bool {
	recent := func(at time.Time, d time.Duration) bool { return time.Since(at) < s.clock.Scale(d) }
	if recent(s.failed, s.flags.afterFailure) || recent(s.deleted, s.flags.afterDelete) {
		return true
	}
	return slices.ContainsFunc(s.sorted(), func(other *scalingGroup) bool {
		return (other == g || !s.flags.afterAddLocal) && recent(other.grew, s.flags.afterAdd)
	})
}

// candidate is a node that the cluster could do without, and the pods that would have
// to move.
type candidate struct {
	node  *corev1.Node
	group *scalingGroup
	pods  []*corev1.Pod
	load  float64
}

// spare lists the nodes that could go, all at once: the emptiest first. Pods of one
// move to none that goes, too.
func (s *scaler) spare(w *world) []candidate {
	var all []candidate
	for _, n := range w.nodes {
		g := w.groupOf[n.Name]
		if _, leaving := s.deleting[n.Name]; g == nil || leaving || n.Annotations[keepNode] == "true" {
			continue
		}
		if c := (candidate{node: n, group: g}); s.idle(w, &c) {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(len(a.pods), len(b.pods)), cmp.Compare(a.load, b.load))
	})
	places := map[string]*framework.NodeInfo{}
	for _, n := range w.nodes {
		if _, leaving := s.deleting[n.Name]; !leaving && usable(n) {
			places[n.Name] = nodeInfo(n, w.pods[n.Name]...)
		}
	}
	left := map[string]int{} // sizes that groups are going to have
	for _, g := range s.groups {
		left[g.name] = g.desired
	}
	for name := range s.deleting {
		if g := w.groupOf[name]; g != nil {
			left[g.name]--
		}
	}
	var out []candidate
	for _, c := range all {
		own := places[c.node.Name]
		delete(places, c.node.Name)
		moved, fits := s.move(c.pods, places)
		if left[c.group.name] <= c.group.min || !fits {
			if own != nil {
				places[c.node.Name] = own
			}
			continue
		}
		places = moved
		left[c.group.name]--
		out = append(out, c)
	}
	return out
}

// move finds places for pods, and returns what the nodes are like then.
func (s *scaler) move(pods []*corev1.Pod, places map[string]*framework.NodeInfo) (map[string]*framework.NodeInfo, bool) {
	moved := map[string]*framework.NodeInfo{}
	var infos []*framework.NodeInfo
	for name, info := range places {
		moved[name] = info.SnapshotConcrete()
		infos = append(infos, moved[name])
	}
	slices.SortFunc(infos, func(a, b *framework.NodeInfo) int { return cmp.Compare(a.Node().Name, b.Node().Name) })
	for _, p := range pods {
		p = p.DeepCopy()
		p.Spec.NodeName = ""
		if place(p, infos) == nil {
			return nil, false
		}
	}
	return moved, true
}

// idle tells whether little is asked of a node and nothing keeps it, and fills in what
// would have to move. Of a node with GPUs only those count.
func (s *scaler) idle(w *world, c *candidate) bool {
	limit, asked := s.flags.threshold, corev1.ResourceList{}
	for _, p := range w.pods[c.node.Name] {
		fixed := controllerKind(p) == daemonKind || p.Annotations[corev1.MirrorPodAnnotationKey] != ""
		if !fixed && p.DeletionTimestamp == nil {
			c.pods = append(c.pods, p)
		}
		if controllerKind(p) == daemonKind && s.flags.ignoreDaemons {
			continue
		}
		for name, q := range podRequests(p) {
			sum := asked[name]
			sum.Add(q)
			asked[name] = sum
		}
	}
	share := func(name corev1.ResourceName) float64 {
		has, wants := c.node.Status.Allocatable[name], asked[name]
		if has.IsZero() {
			return 0
		}
		return wants.AsApproximateFloat64() / has.AsApproximateFloat64()
	}
	c.load = max(share(corev1.ResourceCPU), share(corev1.ResourceMemory))
	if gpus := c.node.Status.Allocatable["nvidia.com/gpu"]; !gpus.IsZero() {
		limit, c.load = s.flags.gpuThreshold, share("nvidia.com/gpu")
	}
	return c.load < limit && s.movable(c.pods)
}

// movable tells whether pods may be moved, by the program's rules
// (simulator/drainability/rules).
func (s *scaler) movable(pods []*corev1.Pod) bool {
	budgets, _ := s.budgets.List(labels.Everything()) // a lister over a cache does not fail
	allowed := map[string]int32{}
	for _, p := range pods {
		if p.Annotations[safeToEvict] == "true" {
			continue
		}
		kind := controllerKind(p)
		replaced := slices.Contains([]string{"ReplicaSet", "StatefulSet", "Job", "ReplicationController"}, kind) || kind != "" && !s.flags.keepCustom
		guarded := false
		for _, b := range budgets {
			selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
			if err != nil || b.Namespace != p.Namespace || !selector.Matches(labels.Set(p.Labels)) {
				continue
			}
			guarded = true
			key := b.Namespace + "/" + b.Name
			if _, seen := allowed[key]; !seen {
				allowed[key] = b.Status.DisruptionsAllowed
			}
			if allowed[key]--; allowed[key] < 0 {
				return false
			}
		}
		switch {
		case !replaced, p.Annotations[safeToEvict] == "false":
			return false
		case s.flags.keepSystem && p.Namespace == metav1.NamespaceSystem && !guarded:
			return false
		case s.flags.keepLocal && slices.ContainsFunc(p.Spec.Volumes, local):
			return false
		}
	}
	return true
}

// local tells whether a volume is on the node's disk.
func local(v corev1.Volume) bool {
	return v.HostPath != nil || v.EmptyDir != nil && v.EmptyDir.Medium != corev1.StorageMediumMemory
}

// remove marks a node, moves its pods away and ends its instance.
func (s *scaler) remove(ctx context.Context, c candidate) {
	err := s.drain(ctx, c)
	if err == nil {
		err = s.cloud.terminate(ctx, instanceOf(c.node))
	}
	if err != nil && ctx.Err() == nil {
		s.opts.Log.Warn("the cluster autoscaler's stand-in keeps a node after all", "node", c.node.Name, "error", err)
		err = s.mark(ctx, c.node.Name, false)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.deleting, c.node.Name)
	if s.trouble("removing a node", err) {
		s.failed = time.Now()
		return
	}
	s.deleted, s.read = time.Now(), time.Time{}
}

// drain marks a node and has its pods evicted: that disruption budgets are honoured
// is the API server's doing.
func (s *scaler) drain(ctx context.Context, c candidate) error {
	if err := s.mark(ctx, c.node.Name, true); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.scaled(s.flags.eviction+s.flags.termination))
	defer cancel()
	for left := c.pods; len(left) > 0; {
		if left = s.evict(ctx, left); len(left) == 0 {
			break
		}
		if err := s.wait(ctx, 5*time.Second); err != nil {
			return err
		}
	}
	return s.wait(ctx, s.flags.rest)
}

// evict asks for the eviction of pods, and returns those that are there still.
func (s *scaler) evict(ctx context.Context, pods []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(p *corev1.Pod) bool {
		now, err := s.pods.Pods(p.Namespace).Get(p.Name)
		if err != nil || now.UID != p.UID {
			return true
		}
		if now.DeletionTimestamp == nil {
			s.events.Event(p, corev1.EventTypeNormal, "ScaleDown", "deleting pod for node scale down")
			// A refusal (429) is a disruption budget: asked again in the next round.
			_ = s.client.CoreV1().Pods(p.Namespace).EvictV1(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace}})
		}
		return false
	})
}

func (s *scaler) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(s.scaled(d)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
