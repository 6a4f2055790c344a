package server

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"sync"

	"aicluster/e2e/localcloud/wire"
)

// fault is something that goes wrong with calls on demand.
type fault struct {
	// Service and Operation say which calls; empty or a pattern as in path.Match.
	Service   string `json:"service,omitempty"`
	Operation string `json:"operation,omitempty"`
	// Kind is throttle (the service's own "too many requests"), error (with
	// Code, Message, Status) or loseReply (done, but the connection is cut).
	Kind    string `json:"kind"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	Status  int    `json:"status,omitempty"`
	// Skip is how many such calls are left alone first, Count how many then go
	// wrong; a Count of zero is all of them.
	Skip  int `json:"skip,omitempty"`
	Count int `json:"count,omitempty"`

	seen int
}

const (
	faultThrottle = "throttle"
	faultError    = "error"
	faultLose     = "loseReply"
)

func (f *fault) check() error {
	switch f.Kind {
	case faultThrottle, faultLose:
	case faultError:
		if f.Code == "" {
			return fmt.Errorf("a fault of kind %q needs a code", f.Kind)
		}
	default:
		return fmt.Errorf("kind %q is none of throttle, error, loseReply", f.Kind)
	}
	for _, pattern := range []string{f.Service, f.Operation} {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("pattern %q: %w", pattern, err)
		}
	}
	return nil
}

// hits says whether the fault strikes this call, which it then counts.
func (f *fault) hits(c wire.Call) bool {
	if !matches(f.Service, c.Service) || !matches(f.Operation, c.Operation) {
		return false
	}
	f.seen++
	return f.seen > f.Skip && (f.Count == 0 || f.seen <= f.Skip+f.Count)
}

func matches(pattern, name string) bool {
	ok, _ := path.Match(pattern, name) // checked when it was added
	return ok || pattern == ""
}

// faults are those that are in force.
type faults struct {
	mu   sync.Mutex
	list []*fault
}

// guard answers for throttled and failing calls.
func (f *faults) guard(w *wire.Server, c wire.Call) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.list {
		if x.Kind == faultLose || !x.hits(c) {
			continue
		}
		if x.Kind == faultThrottle {
			return w.Throttled(c)
		}
		return &wire.Error{Code: x.Code, Message: x.Message, Status: x.Status}
	}
	return nil
}

// lose says whether the reply to a call gets lost.
func (f *faults) lose(c wire.Call) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.list {
		if x.Kind == faultLose && x.hits(c) {
			return true
		}
	}
	return false
}

// guard is asked before each call of any service. The local cloud's own calls
// always succeed.
func (c *Cloud) guard(ctx context.Context, call wire.Call) error {
	if c.own(call) {
		return nil
	}
	if err := c.faults.guard(c.wire, call); err != nil {
		return err
	}
	return c.authorize(ctx, call)
}

// lose says of each call that succeeded whether its reply gets lost.
func (c *Cloud) lose(call wire.Call) bool { return !c.own(call) && c.faults.lose(call) }

// ServeHTTP lets tests read (GET), add to (POST) and clear (DELETE) the faults.
func (f *faults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch r.Method {
	case http.MethodGet:
		writeJSON(w, f.list)
	case http.MethodPost:
		var x fault
		if !readJSON(w, r, &x) {
			return
		}
		if err := x.check(); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f.list = append(f.list, &x)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodDelete:
		f.list = []*fault{}
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "GET, POST or DELETE", http.StatusMethodNotAllowed)
	}
}
