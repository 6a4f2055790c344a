package engine

import (
	"fmt"
	"slices"
	"strings"
)

// Graph is a set of resources and what they need, free of cycles.
type Graph struct {
	nodes []*node // in an order in which every resource comes after what it needs
	byID  map[string]*node
}

// node is a resource with its edges in both directions.
type node struct {
	Resource
	id        string
	needs     []*node
	neededBy  []*node
	awaits    []*node // started together with this one, which cannot finish without them
	awaitedBy []*node
}

// NewGraph checks and orders resources. It fails on two resources with the same
// id, on a need that is not among the resources, and on a cycle, which it names.
func NewGraph(resources ...Resource) (*Graph, error) {
	g := &Graph{byID: make(map[string]*node, len(resources))}
	var all []*node
	for _, r := range resources {
		id := r.ID()
		if g.byID[id] != nil {
			return nil, fmt.Errorf("two resources are named %s", id)
		}
		n := &node{Resource: r, id: id}
		g.byID[id] = n
		all = append(all, n)
	}
	for _, n := range all {
		for _, need := range n.Needs() {
			m := g.byID[need.ID()]
			if m == nil {
				return nil, fmt.Errorf("%s needs %s, which is not part of the graph", n.id, need.ID())
			}
			if slices.Contains(n.needs, m) {
				continue
			}
			n.needs = append(n.needs, m)
			m.neededBy = append(m.neededBy, n)
		}
	}
	ordered, err := order(all)
	if err != nil {
		return nil, err
	}
	g.nodes = ordered
	return g, nil
}

// Await says that r can start before others are done but cannot finish without
// them: a Helm release is installed while nodes are still coming up, and its
// pods run once they are there. When one of others fails, r is stopped and
// counts as blocked by it. Teardown deletes r before others. It fails if that
// contradicts what they need.
//
// r must not read the state of others, which may be changing.
func (g *Graph) Await(r Resource, others ...Resource) error {
	n := g.byID[r.ID()]
	for _, o := range others {
		m := g.byID[o.ID()]
		if n == nil || m == nil {
			return fmt.Errorf("%s or %s is not part of the graph", r.ID(), o.ID())
		}
		if m.standsOn(n) {
			return fmt.Errorf("%s cannot await %s, which cannot be made without it", n.id, m.id)
		}
		n.awaits = append(n.awaits, m)
		m.awaitedBy = append(m.awaitedBy, n)
	}
	return nil
}

// standsOn tells whether n is other or needs or awaits it, directly or not.
func (n *node) standsOn(other *node) bool {
	if n == other {
		return true
	}
	return slices.ContainsFunc(slices.Concat(n.needs, n.awaits), func(m *node) bool { return m.standsOn(other) })
}

// IDs lists the resources' ids, each after those it needs.
func (g *Graph) IDs() []string {
	ids := make([]string, len(g.nodes))
	for i, n := range g.nodes {
		ids[i] = n.id
	}
	return ids
}

// Resources lists the resources, each after those it needs.
func (g *Graph) Resources() []Resource {
	list := make([]Resource, len(g.nodes))
	for i, n := range g.nodes {
		list[i] = n.Resource
	}
	return list
}

// order sorts nodes so that each comes after what it needs and otherwise keeps
// their order.
func order(all []*node) ([]*node, error) {
	const (
		unseen = iota
		open
		closed
	)
	state := make(map[*node]int, len(all))
	ordered := make([]*node, 0, len(all))
	var path []string
	var visit func(n *node) error
	visit = func(n *node) error {
		switch state[n] {
		case closed:
			return nil
		case open:
			start := slices.Index(path, n.id)
			return fmt.Errorf("resources need each other in a circle: %s", strings.Join(append(path[start:], n.id), " -> "))
		}
		state[n] = open
		path = append(path, n.id)
		for _, m := range n.needs {
			if err := visit(m); err != nil {
				return err
			}
		}
		path = path[:len(path)-1]
		state[n] = closed
		ordered = append(ordered, n)
		return nil
	}
	for _, n := range all {
		if err := visit(n); err != nil {
			return nil, err
		}
	}
	return ordered, nil
}
