package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"aicluster/e2e/localcloud/wire"
)

// List is the faults in force.
type List struct {
	mu      sync.Mutex
	entries []*entry
	unnamed int // how many have been given a name
}

// entry is a fault and what it has done.
type entry struct {
	Fault
	Struck  int `json:"struck"`  // how many calls it has struck
	Holding int `json:"holding"` // how many it holds back right now

	seen   int
	lifted chan struct{} // closed when the fault is no more
}

// Add puts a fault in force, in the place of one of the same name. It returns
// the name, which is made up when there is none.
func (l *List) Add(f Fault) (name string, err error) {
	if err := f.check(); err != nil {
		return "", err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.Name == "" {
		l.unnamed++
		f.Name = fmt.Sprintf("%s-%d", f.Kind, l.unnamed)
	}
	l.remove(f.Name)
	l.entries = append(l.entries, &entry{Fault: f, lifted: make(chan struct{})})
	return f.Name, nil
}

// Lift ends a fault and lets go what it holds. It reports whether there was one.
func (l *List) Lift(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.remove(name)
}

// Clear lifts all.
func (l *List) Clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.entries) > 0 {
		l.remove(l.entries[0].Name)
	}
}

func (l *List) remove(name string) bool {
	i := slices.IndexFunc(l.entries, func(e *entry) bool { return e.Name == name })
	if i < 0 {
		return false
	}
	close(l.entries[i].lifted)
	l.entries = slices.Delete(l.entries, i, i+1)
	return true
}

// Before comes before each call. An error is answered in the call's place.
func (l *List) Before(ctx context.Context, w *wire.Server, c wire.Call) error {
	e := l.strike(c, true)
	switch {
	case e == nil:
		return nil
	case e.Kind == Throttle:
		return w.Throttled(c)
	case e.Kind == Error:
		return &wire.Error{Code: e.Code, Message: e.Message, Status: e.Status}
	}
	if c.TakeBody != nil {
		if err := c.TakeBody(); err != nil {
			return err
		}
	}
	return l.hold(ctx, e)
}

// After comes after each call that succeeded and before it is answered. It
// tells whether it is to be answered at all.
func (l *List) After(ctx context.Context, c wire.Call) bool {
	e := l.strike(c, false)
	switch {
	case e == nil:
		return true
	case e.Kind == LoseReply:
		return false
	}
	return l.hold(ctx, e) == nil
}

// strike finds the first fault that strikes a call.
func (l *List) strike(c wire.Call, before bool) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if e.before() != before || !e.covers(c) {
			continue
		}
		e.seen++
		if e.seen > e.Skip && (e.Count == 0 || e.seen <= e.Skip+e.Count) {
			e.Struck++
			return e
		}
	}
	return nil
}

// errGone is never seen by anybody: the client has gone.
var errGone = errors.New("the client has gone")

// hold waits until the fault is lifted or the client has gone.
func (l *List) hold(ctx context.Context, e *entry) error {
	l.addHolding(e, 1)
	defer l.addHolding(e, -1)
	select {
	case <-e.lifted:
		return nil
	case <-ctx.Done():
		return errGone
	}
}

func (l *List) addHolding(e *entry, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Holding += n
}
