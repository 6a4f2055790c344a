package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Options say how a walk is done. The zero value is usable.
type Options struct {
	// Limit is how many resources are worked on at once; 0 means 32. Waiting for
	// what a resource needs takes no place.
	Limit int
	// Events receives what happens, one call at a time. It must not block for long.
	Events func(Event)
}

const defaultLimit = 32

// walker carries what the visits of one walk share.
type walker struct {
	limit  chan struct{}
	mu     sync.Mutex // serialises events
	events func(Event)
}

func newWalker(o Options) *walker {
	limit := o.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	return &walker{limit: make(chan struct{}, limit), events: o.Events}
}

func (w *walker) emit(e Event) {
	if w.events == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	e.Time = time.Now()
	w.events(e)
}

// run calls visit once for every node, as soon as before(node) have all been
// visited, and returns when all visits have ended. It starts nothing itself
// after ctx ends, but still calls visit, which is to see that and only take
// note.
func (w *walker) run(ctx context.Context, nodes []*node, before func(*node) []*node, visit func(*node)) {
	done := make(map[*node]chan struct{}, len(nodes))
	for _, n := range nodes {
		done[n] = make(chan struct{})
	}
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() {
			defer close(done[n])
			for _, m := range before(n) {
				<-done[m]
			}
			if len(n.awaits) == 0 { // one that awaits others must not take a place that they need
				select {
				case w.limit <- struct{}{}:
					defer func() { <-w.limit }()
				case <-ctx.Done():
				}
			}
			visit(n)
		})
	}
	wg.Wait()
}

func (n *node) forwards() []*node  { return n.needs }
func (n *node) backwards() []*node { return slices.Concat(n.neededBy, n.awaitedBy) }

// progress reports the progress of one step: each message once, however often
// a wait repeats it.
func (w *walker) progress(n *node, a Action, start time.Time) Progress {
	var mu sync.Mutex
	var last string
	return func(format string, args ...any) {
		message := format
		if len(args) > 0 {
			message = fmt.Sprintf(format, args...)
		}
		mu.Lock()
		defer mu.Unlock()
		if message == last {
			return
		}
		last = message
		w.emit(Event{Resource: n.id, Action: a, State: Running, Message: message, Elapsed: time.Since(start)})
	}
}
