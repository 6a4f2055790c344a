package faults

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"aicluster/e2e/localcloud/wire"
)

// Before comes before each call. An error is answered in the call's place.
func (l *List) Before(ctx context.Context, w *wire.Server, c wire.Call) error {
	e := l.strike(c, (*Fault).before)
	switch {
	case e == nil:
		return nil
	case e.Kind == Throttle:
		return w.Throttled(c)
	case e.Kind == Error:
		return e.answer(w, c)
	}
	if c.TakeBody != nil {
		if err := c.TakeBody(); err != nil {
			return err
		}
	}
	return l.hold(ctx, e, nil)
}

// answer is what an [Error] answers. A status of 500 or above alone stands for the
// service's own code and words.
func (f *Fault) answer(w *wire.Server, c wire.Call) error {
	if f.Code == "" && f.Status >= http.StatusInternalServerError {
		return w.Troubled(c, f.Status, f.Message)
	}
	return &wire.Error{Code: cmp.Or(f.Code, "ValidationError"), Message: f.Message, Status: cmp.Or(f.Status, http.StatusBadRequest)}
}

// After comes after each call that succeeded and before it is answered. It
// tells whether it is to be answered at all.
func (l *List) After(ctx context.Context, c wire.Call) bool {
	e := l.strike(c, (*Fault).after)
	switch {
	case e == nil:
		return true
	case e.Kind == LoseReply:
		return false
	case e.Kind == Slow:
		t := time.NewTimer(l.clock.Scale(e.Delay))
		defer t.Stop()
		return l.hold(ctx, e, t.C) == nil
	}
	return l.hold(ctx, e, nil) == nil
}

// strike finds the first fault that strikes a call.
func (l *List) strike(c wire.Call, when func(*Fault) bool) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if !when(&e.Fault) || !matches(e.Service, c.Service) || !matches(e.Operation, c.Operation) || e.Mutating && c.ReadOnly {
			continue
		}
		e.seen++
		if e.seen > e.Skip && (e.Count == 0 || e.seen <= e.Skip+e.Count) {
			e.struck++
			return e
		}
	}
	return nil
}

// errGone is never seen by anybody: the client has gone.
var errGone = errors.New("the client has gone")

// hold waits until the fault is lifted, its time is over or the client has gone.
func (l *List) hold(ctx context.Context, e *entry, over <-chan time.Time) error {
	l.addHolding(e, 1)
	defer l.addHolding(e, -1)
	select {
	case <-e.lifted:
	case <-over:
	case <-ctx.Done():
		return errGone
	}
	return nil
}

func (l *List) addHolding(e *entry, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.holding += n
}
