package orphans

import "slices"

// Living is what stands of a cluster while it is not being taken away.
type Living struct {
	Pools   []string // node groups
	Objects []string // "service/NAMESPACE/NAME", "pv/NAME"
	Known   []string // ids and names of what the cluster's own resources account for
}

// Holds tells that a thing belongs to the living cluster: one of its resources
// accounts for it, a node group or an object in Kubernetes has it, or it is
// plugged into something that stands. The rest are orphans.
func (l Living) Holds(t Thing) bool {
	switch {
	case t.Foreign:
		return false
	case slices.Contains(l.Known, t.ID):
		return true
	case t.pool != "":
		return slices.Contains(l.Pools, t.pool)
	case t.object != "":
		return slices.Contains(l.Objects, t.object)
	}
	return t.inUse
}
