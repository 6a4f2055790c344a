package engine

import (
	"context"
	"errors"
	"time"
)

// Result is how a walk that changes things ended.
type Result struct {
	Steps        []StepResult // in the plan's order
	Interrupted  bool
	Elapsed      time.Duration
	CriticalPath time.Duration // the longest chain of steps that waited for each other
}

// StepResult is how one step ended.
type StepResult struct {
	Resource string
	Action   Action
	State    State
	Detail   string // what is there now, or why it was kept
	Cause    string // the failed resource that blocked it
	Err      error
	Elapsed  time.Duration

	chain time.Duration // the longest chain of steps that ends with this one
}

// Err joins the causes of failure; what was only blocked by them is left out.
func (r Result) Err() error {
	var errs []error
	for _, s := range r.Steps {
		if s.State == Failed {
			errs = append(errs, s.Err)
		}
	}
	return errors.Join(errs...)
}

// Changed counts the resources that were created, changed or deleted.
func (r Result) Changed() int {
	n := 0
	for _, s := range r.Steps {
		switch s.Action {
		case ActionCreate, ActionUpdate, ActionReplace, ActionDelete:
			if s.State == Succeeded {
				n++
			}
		}
	}
	return n
}

// ended sets the state of a step by how its work ended. A step that fails
// because the run was interrupted is interrupted, not failed.
func (s *StepResult) ended(ctx context.Context, err error) {
	switch {
	case err == nil:
		s.State = Succeeded
	case ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Cause(ctx))):
		s.State = Interrupted
	default:
		s.State, s.Err = Failed, err
	}
}

// finish sums up a walk.
func finish(ctx context.Context, g *Graph, results map[*node]*StepResult, start time.Time) Result {
	r := Result{Elapsed: time.Since(start), Interrupted: ctx.Err() != nil}
	for _, n := range g.nodes {
		s := results[n]
		r.Steps = append(r.Steps, *s)
		r.CriticalPath = max(r.CriticalPath, s.chain)
	}
	return r
}
