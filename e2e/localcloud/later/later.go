// Package later runs what AWS finishes some time after a call: a gateway that
// becomes available, an interface that is released. All that is still waiting
// ends with its owner.
package later

import (
	"sync"
	"time"
)

// Queue holds the functions that wait for their time. Its zero value is ready.
type Queue struct {
	mu      sync.Mutex
	closed  bool
	timers  map[*time.Timer]struct{}
	running sync.WaitGroup
}

// After runs f once d has passed, unless the queue was closed before.
func (q *Queue) After(d time.Duration, f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	if q.timers == nil {
		q.timers = map[*time.Timer]struct{}{}
	}
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		if q.begin(t) {
			defer q.running.Done()
			f()
		}
	})
	q.timers[t] = struct{}{}
}

func (q *Queue) begin(t *time.Timer) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	delete(q.timers, t)
	q.running.Add(1)
	return true
}

// Close drops all that waits and returns when what is running has ended. It
// must not be called from a function of the queue.
func (q *Queue) Close() {
	q.mu.Lock()
	q.closed = true
	for t := range q.timers {
		t.Stop()
	}
	clear(q.timers)
	q.mu.Unlock()
	q.running.Wait()
}
