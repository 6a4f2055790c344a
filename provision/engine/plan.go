package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Plan is what a walk over everything found: for each resource what exists and
// what [Graph.Up] would do about it.
type Plan struct {
	Steps []Step // each after those it needs
	byID  map[string]*Step
}

// Step is one resource in a plan.
type Step struct {
	Resource    string
	Needs       []string
	Action      Action // what Up would do
	Observation        // what was found
	Err         error  // why the resource could not be read
	Unknown     string // the resource whose failure kept this one from being read
}

// Plan observes every resource. The returned error joins what could not be
// read; the plan holds the rest all the same.
func (g *Graph) Plan(ctx context.Context, o Options) (*Plan, error) {
	p := &Plan{Steps: make([]Step, len(g.nodes)), byID: make(map[string]*Step, len(g.nodes))}
	for i, n := range g.nodes {
		p.Steps[i] = Step{Resource: n.id, Needs: ids(n.needs), Action: ActionNone}
		p.byID[n.id] = &p.Steps[i]
	}
	w := newWalker(o)
	var mu sync.Mutex // guards reading other steps' Err and Unknown; each visit writes only its own
	w.run(ctx, g.nodes, (*node).forwards, func(n *node) {
		s := p.byID[n.id]
		mu.Lock()
		for _, m := range n.needs {
			if need := p.byID[m.id]; s.Unknown == "" && (need.Err != nil || need.Unknown != "") {
				s.Unknown = m.id
				if need.Unknown != "" {
					s.Unknown = need.Unknown
				}
			}
		}
		mu.Unlock()
		if s.Unknown != "" {
			return
		}
		obs, err := observe(ctx, n)
		mu.Lock()
		defer mu.Unlock()
		s.Observation, s.Err = obs, err
		if err == nil {
			s.Action = plannedAction(n, obs)
		}
		w.emit(Event{Resource: n.id, Action: ActionRead, State: readState(err), Err: err})
	})
	return p, p.Err()
}

// observe reads one resource unless ctx has ended, and fills in what the engine adds.
func observe(ctx context.Context, n *node) (Observation, error) {
	if err := context.Cause(ctx); err != nil {
		return Observation{}, err
	}
	obs, err := n.Observe(ctx)
	if err != nil {
		return Observation{}, err
	}
	if unwanted(n) {
		obs.Changes = nil
		if obs.Exists {
			obs.Changes = []Change{{Live: obs.Detail, Policy: PolicyDelete}}
		}
	} else if !obs.Exists && len(obs.Changes) == 0 {
		obs.Changes = []Change{{Wanted: "created", Policy: PolicyCreate}}
	}
	for i := range obs.Changes {
		obs.Changes[i].Resource = n.id
	}
	return obs, nil
}

func readState(err error) State {
	if err != nil {
		return Failed
	}
	return Succeeded
}

// plannedAction is what Up does about an observation.
func plannedAction(n *node, obs Observation) Action {
	switch {
	case unwanted(n) && obs.Exists:
		return ActionDelete
	case unwanted(n):
		return ActionNone
	case !obs.Exists && onlyVerify(obs.Changes):
		return ActionVerify
	case !obs.Exists:
		return ActionCreate
	case len(obs.Changes) == 0:
		return ActionNone
	case onlyVerify(obs.Changes):
		return ActionVerify
	case has(obs.Changes, PolicyReplace):
		return ActionReplace
	}
	return ActionUpdate
}

func onlyVerify(changes []Change) bool {
	for _, c := range changes {
		if c.Policy != PolicyVerify {
			return false
		}
	}
	return len(changes) > 0
}

func has(changes []Change, p Policy) bool {
	for _, c := range changes {
		if c.Policy == p {
			return true
		}
	}
	return false
}

func unwanted(n *node) bool {
	u, ok := n.Resource.(Unwanted)
	return ok && u.Unwanted()
}

// Step is the plan's step for a resource, or nil.
func (p *Plan) Step(id string) *Step { return p.byID[id] }

// Changes lists all differences, in the order of the steps.
func (p *Plan) Changes() []Change {
	var all []Change
	for _, s := range p.Steps {
		all = append(all, s.Changes...)
	}
	return all
}

// Refused lists the changes that cannot be made to a living cluster.
func (p *Plan) Refused() []Change {
	var out []Change
	for _, c := range p.Changes() {
		if c.Policy == PolicyRefused {
			out = append(out, c)
		}
	}
	return out
}

// Exists tells whether anything of the cluster is there.
func (p *Plan) Exists() bool {
	for _, s := range p.Steps {
		if s.Exists && s.Keep == "" {
			return true
		}
	}
	return false
}

// Err joins the errors of the resources that could not be read.
func (p *Plan) Err() error {
	var errs []error
	for _, s := range p.Steps {
		if s.Err != nil {
			errs = append(errs, s.Err)
		}
	}
	return errors.Join(errs...)
}

func ids(nodes []*node) []string {
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = n.id
	}
	return out
}

// RefusedError is a change that cannot be made to a living cluster.
type RefusedError struct{ Change }

func (e *RefusedError) Error() string {
	msg := fmt.Sprintf("%s: %s cannot change from %v to %v on a living cluster", e.Resource, e.Field, e.Live, e.Wanted)
	if e.Live == nil {
		msg = fmt.Sprintf("%s: %s cannot be %v", e.Resource, e.Field, e.Wanted)
	}
	if e.Hint != "" {
		msg += ": " + e.Hint
	}
	return msg
}

// refusal is the first change that cannot be made, or nil.
func refusal(changes []Change) error {
	for _, c := range changes {
		if c.Policy == PolicyRefused {
			return &RefusedError{c}
		}
	}
	return nil
}
