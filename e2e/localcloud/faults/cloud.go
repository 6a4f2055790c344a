package faults

import "slices"

// find is the first fault of a kind that strikes something with an id, once
// for each.
func (l *List) find(k Kind, id string, is func(*Fault) bool) (Fault, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if e.Kind != k || !is(&e.Fault) {
			continue
		}
		if !e.chosen[id] {
			if e.Nodes > 0 && len(e.chosen) >= e.Nodes {
				continue
			}
			e.chosen[id] = true
			e.struck++
		}
		return e.Fault, true
	}
	return Fault{}, false
}

// HealthyGPUs is how many of an instance's GPUs work.
func (l *List) HealthyGPUs(_, instanceID string, total int) int {
	f, ok := l.find(BrokenGPU, instanceID, func(f *Fault) bool { return f.Instance == "" || f.Instance == instanceID })
	if !ok {
		return total
	}
	return max(0, total-max(1, f.GPUs))
}

// NeverJoins tells whether an instance of a node group becomes no node.
func (l *List) NeverJoins(cluster, nodeGroup, instanceID string) bool {
	_, ok := l.find(NodesNeverJoin, instanceID, func(f *Fault) bool { return matches(f.Cluster, cluster) && matches(f.NodeGroup, nodeGroup) })
	return ok
}

// BadAMI is what an AMI breaks on an instance: [DevicePlugin], [Kubelet] or nothing.
func (l *List) BadAMI(amiType, releaseVersion, instanceID string) string {
	f, ok := l.find(BadAMI, instanceID, func(f *Fault) bool {
		return matches(f.AMIType, amiType) && matches(f.ReleaseVersion, releaseVersion)
	})
	switch {
	case !ok:
		return ""
	case f.Breaks == "":
		return DevicePlugin
	}
	return f.Breaks
}

// HookFails tells whether a hook of a Helm release fails, or never ends.
func (l *List) HookFails(release, hook string) (fails, hangs bool) {
	f, ok := l.find(HookFails, release+" "+hook, func(f *Fault) bool { return matches(f.Release, release) && matches(f.Hook, hook) })
	return ok && !f.Hangs, ok && f.Hangs
}

// Quota is what a region has of a quota, if it was set.
func (l *List) Quota(region, code string) (limit int, ok bool) {
	f, ok := l.find(Quota, region, func(f *Fault) bool { return f.Quota == code && (f.Region == "" || f.Region == region) })
	return int(f.Value), ok
}

// Has tells whether a fault is in force.
func (l *List) Has(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.entries, func(e *entry) bool { return e.Name == name })
}

// Interrupts tells whether a fault is about a spot instance of a node group.
func (l *List) Interrupts(name, cluster, nodeGroup, instanceID string) bool {
	_, ok := l.find(SpotInterruption, instanceID, func(f *Fault) bool {
		return f.Name == name && matches(f.Cluster, cluster) && matches(f.NodeGroup, nodeGroup)
	})
	return ok
}

// OfPod is what is wrong with a pod's container, if anything is.
func (l *List) OfPod(cluster, namespace, pod string) (Fault, bool) {
	for _, kind := range []Kind{ImagePull, Crash, OOM} {
		f, ok := l.find(kind, namespace+"/"+pod, func(f *Fault) bool {
			return matches(f.Cluster, cluster) && matches(f.Namespace, namespace) && matches(f.Pod, pod)
		})
		if ok {
			return f, true
		}
	}
	return Fault{}, false
}
