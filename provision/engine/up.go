package engine

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Up makes every resource what it is wanted to be, or deletes it when it is
// unwanted. plan is a fresh plan of the same graph: what it found in order is
// not read again unless something it needs has changed.
//
// When ctx ends, nothing new is started and the steps under way end as soon as
// they can.
func (g *Graph) Up(ctx context.Context, plan *Plan, o Options) Result {
	u := &upWalk{walker: newWalker(o), plan: plan, results: results(g), stops: map[*node]*stop{}}
	for _, n := range g.nodes {
		if len(n.awaits) > 0 {
			u.stops[n] = &stop{}
		}
	}
	start := time.Now()
	u.run(ctx, g.nodes, (*node).forwards, func(n *node) { u.visit(ctx, n) })
	return finish(ctx, g, u.results, start)
}

type upWalk struct {
	*walker
	plan    *Plan
	results map[*node]*StepResult // each written only by its own visit, read by later ones
	stops   map[*node]*stop       // of nodes that await others
}

// stop ends a step whose awaited resource has failed.
type stop struct {
	mu     sync.Mutex
	cause  string             // the resource to blame; empty while there is none
	cancel context.CancelFunc // set while the step runs
}

// errBlocked ends the context of a step that awaits what has failed.
var errBlocked = errors.New("what it waits for has failed")

// block stops a step, now or when it starts.
func (s *stop) block(cause string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cause = cause
	if s.cancel != nil {
		s.cancel()
	}
}

// blame is the resource that blocks the step, or empty.
func (s *stop) blame() string {
	if s == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// watch returns a context that ends when the step is blocked.
func (s *stop) watch(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if s == nil {
		return ctx, func() { cancel(nil) }
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel = func() { cancel(errBlocked) }
	if s.cause != "" {
		s.cancel()
	}
	return ctx, func() { cancel(nil) }
}

func results(g *Graph) map[*node]*StepResult {
	m := make(map[*node]*StepResult, len(g.nodes))
	for _, n := range g.nodes {
		m[n] = &StepResult{Resource: n.id, Action: ActionNone}
	}
	return m
}

func (u *upWalk) visit(ctx context.Context, n *node) {
	r := u.results[n]
	defer u.release(n, r)
	changed := false
	for _, m := range n.needs {
		need := u.results[m]
		r.chain = max(r.chain, need.chain)
		changed = changed || need.Action != ActionNone
		if r.State == "" && need.State != Succeeded {
			r.State, r.Cause = blockedBy(need)
		}
	}
	if r.State == "" && ctx.Err() != nil {
		r.State = Interrupted
	}
	s := u.plan.Step(n.id)
	if r.State != "" {
		if unwanted(n) && s != nil && s.Action == ActionNone {
			r.State, r.Cause = Succeeded, "" // it is not there, as it should be
			return
		}
		u.emit(Event{Resource: n.id, State: r.State, Action: r.Action, Cause: r.Cause})
		return
	}
	if s != nil && s.Err == nil && s.Unknown == "" && s.Action == ActionNone && !changed {
		r.State, r.Detail = Succeeded, s.Detail
		u.emit(Event{Resource: n.id, Action: ActionNone, State: Succeeded, Message: r.Detail})
		return
	}
	start := time.Now()
	stepCtx, cancel := u.stops[n].watch(ctx)
	defer cancel()
	err := u.apply(stepCtx, n, r, start)
	if cause := u.stops[n].blame(); err != nil && cause != "" && ctx.Err() == nil {
		r.State, r.Cause = Blocked, cause
	} else {
		r.ended(ctx, err)
	}
	r.Elapsed = time.Since(start)
	r.chain += r.Elapsed
	u.emit(Event{Resource: n.id, Action: r.Action, State: r.State, Err: r.Err, Message: r.Detail, Cause: r.Cause, Elapsed: r.Elapsed})
}

// release stops the steps that await n if n has not become what it should.
func (u *upWalk) release(n *node, r *StepResult) {
	if state, cause := blockedBy(r); r.State != Succeeded && state == Blocked {
		for _, m := range n.awaitedBy {
			u.stops[m].block(cause)
		}
	}
}

// apply observes n again and does what is to be done about it.
func (u *upWalk) apply(ctx context.Context, n *node, r *StepResult, start time.Time) error {
	obs, err := observe(ctx, n)
	if err != nil {
		r.Action = ActionRead
		return err
	}
	r.Detail = obs.Detail
	r.Action = plannedAction(n, obs)
	if r.Action == ActionNone {
		return nil
	}
	if err := refusal(obs.Changes); err != nil {
		return err
	}
	u.emit(Event{Resource: n.id, Action: r.Action, State: Started})
	r.Detail = "" // what was there before
	p := u.progress(n, r.Action, start)
	if r.Action == ActionDelete {
		return n.Delete(ctx, p)
	}
	return n.Apply(ctx, p)
}

// blockedBy is the state of a step one of whose needs ended as it did, and the
// resource to blame.
func blockedBy(need *StepResult) (State, string) {
	switch need.State {
	case Failed:
		return Blocked, need.Resource
	case Blocked:
		return Blocked, need.Cause
	}
	return Interrupted, ""
}
