package faults

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

// IAMDelay is how many times longer IAM takes.
func (l *List) IAMDelay() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	times := 1.0
	for _, e := range l.entries {
		if e.Kind == IAMLate {
			times = max(times, e.Times)
		}
	}
	return times
}
