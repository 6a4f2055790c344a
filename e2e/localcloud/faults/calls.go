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
		return e.answer()
	}
	if c.TakeBody != nil {
		if err := c.TakeBody(); err != nil {
			return err
		}
	}
	return l.hold(ctx, e, nil)
}

// answer is what an [Error] answers. A status alone stands for the code that
// services have in common for it (the page "Common Errors" of each one's API
// reference).
func (f *Fault) answer() error {
	code, message := f.Code, f.Message
	switch {
	case code != "":
	case f.Status == http.StatusServiceUnavailable:
		code, message = "ServiceUnavailable", cmp.Or(message, "The request has failed due to a temporary failure of the server.")
	case f.Status >= http.StatusInternalServerError:
		code, message = "InternalFailure", cmp.Or(message, "The request processing has failed because of an unknown error, exception or failure.")
	default:
		code = "ValidationError"
	}
	return &wire.Error{Code: code, Message: message, Status: cmp.Or(f.Status, http.StatusBadRequest)}
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
