package engine

import (
	"context"
	"errors"
	"time"
)

// Receipt says what a teardown did with everything that was there.
type Receipt struct {
	Deleted []ReceiptLine `json:"deleted"`
	Kept    []ReceiptLine `json:"kept"`
	Left    []ReceiptLine `json:"left"` // still there, or not known, against what was wanted
}

// ReceiptLine is one resource in a receipt.
type ReceiptLine struct {
	Resource string `json:"resource"`
	Detail   string `json:"detail,omitempty"`
	Reason   string `json:"reason,omitempty"`

	// Of what is not deleted: US dollars an hour, and the command that removes it.
	CostPerHour float64 `json:"costPerHour,omitempty"`
	Remove      string  `json:"remove,omitempty"`
}

// Teardown deletes everything that plan found and that is not to be kept, each
// resource after all that needs it. A resource that could not be read blocks
// the deletion of what it needs, unless it lives inside something that is
// deleted with it ([Inner]).
func (g *Graph) Teardown(ctx context.Context, plan *Plan, o Options) (Result, Receipt) {
	t := &teardownWalk{walker: newWalker(o), plan: plan, results: results(g), graph: g}
	start := time.Now()
	t.run(ctx, g.nodes, (*node).backwards, func(n *node) { t.visit(ctx, n) })
	receipt := t.receipt()
	return finish(ctx, g, t.results, start), receipt
}

type teardownWalk struct {
	*walker
	graph   *Graph
	plan    *Plan
	results map[*node]*StepResult
}

func (t *teardownWalk) visit(ctx context.Context, n *node) {
	r := t.results[n]
	s := t.plan.Step(n.id)
	r.Detail = s.Detail
	for _, m := range n.backwards() {
		dependent := t.results[m]
		r.chain = max(r.chain, dependent.chain)
		if r.State == "" && dependent.State != Succeeded && !t.inside(m) {
			r.State, r.Cause = blockedBy(dependent)
		}
	}
	switch {
	case s.Err == nil && s.Unknown == "" && !s.Exists:
		r.State, r.Cause = Succeeded, ""
		return
	case s.Keep != "":
		r.Action, r.State, r.Cause, r.Detail = ActionKeep, Succeeded, "", s.Keep
		t.emit(Event{Resource: n.id, Action: ActionKeep, State: Succeeded, Message: s.Keep})
		return
	case r.State == "" && ctx.Err() != nil:
		r.State = Interrupted
	case r.State == "" && s.Unknown != "":
		r.State, r.Cause = Blocked, s.Unknown
	}
	if r.State != "" {
		r.Action = ActionDelete
		t.emit(Event{Resource: n.id, Action: ActionDelete, State: r.State, Cause: r.Cause})
		return
	}
	t.delete(ctx, n, r, s)
}

func (t *teardownWalk) delete(ctx context.Context, n *node, r *StepResult, s *Step) {
	r.Action = ActionDelete
	if s.Err != nil {
		r.State, r.Err = Failed, s.Err
		t.emit(Event{Resource: n.id, Action: ActionRead, State: Failed, Err: s.Err})
		return
	}
	start := time.Now()
	t.emit(Event{Resource: n.id, Action: ActionDelete, State: Started})
	err := n.Delete(ctx, t.progress(n, ActionDelete, start))
	r.ended(ctx, err)
	if skipped := (*SkippedError)(nil); errors.As(err, &skipped) {
		r.State, r.Err, r.Cause = Blocked, nil, skipped.Cause
	}
	r.Elapsed = time.Since(start)
	r.chain += r.Elapsed
	t.emit(Event{Resource: n.id, Action: ActionDelete, State: r.State, Err: r.Err, Cause: r.Cause, Elapsed: r.Elapsed})
}

// inside tells whether m vanishes with something that teardown deletes, so that
// a failure to delete it holds up nothing.
func (t *teardownWalk) inside(m *node) bool {
	if t.results[m].State == Interrupted {
		return false
	}
	inner, ok := m.Resource.(Inner)
	return ok && inner.Container() != nil && t.graph.byID[inner.Container().ID()] != nil
}

// receipt sorts the results: what lived inside a deleted container went with it.
func (t *teardownWalk) receipt() Receipt {
	rc := Receipt{Deleted: []ReceiptLine{}, Kept: []ReceiptLine{}, Left: []ReceiptLine{}}
	for _, n := range t.graph.nodes {
		r := t.results[n]
		if c := t.goneWith(n); c != "" && r.State != Succeeded {
			r.Detail = "went with " + c
			if r.Err != nil { // a hook that failed may have left something elsewhere
				r.Detail += ": " + r.Err.Error()
			}
			r.State, r.Err = Succeeded, nil
		}
		line := ReceiptLine{Resource: r.Resource, Detail: r.Detail}
		switch {
		case r.Action == ActionKeep:
			rc.Kept = append(rc.Kept, ReceiptLine{Resource: r.Resource, Detail: t.plan.Step(n.id).Detail, Reason: r.Detail})
		case r.Action == ActionDelete && r.State == Succeeded:
			rc.Deleted = append(rc.Deleted, line)
		case r.State != Succeeded:
			line.Reason = leftReason(r)
			rc.Left = append(rc.Left, line)
		}
	}
	return rc
}

// goneWith is the deleted container of a resource, or empty.
func (t *teardownWalk) goneWith(n *node) string {
	inner, ok := n.Resource.(Inner)
	if !ok || inner.Container() == nil {
		return ""
	}
	c := t.graph.byID[inner.Container().ID()]
	if c == nil || t.results[c].Action != ActionDelete || t.results[c].State != Succeeded {
		return ""
	}
	return c.id
}

func leftReason(r *StepResult) string {
	switch {
	case r.Err != nil:
		return r.Err.Error()
	case r.Cause != "":
		return "not tried: " + r.Cause + " failed or is still there"
	}
	return "the run was interrupted"
}
