// Package faults is what goes wrong in the local cloud on demand: a list of
// faults with names, and what each does to the calls that it strikes.
package faults

import (
	"fmt"
	"path"

	"aicluster/e2e/localcloud/wire"
)

// A Kind says what goes wrong.
type Kind string

// The kinds that are about calls.
const (
	Throttle  Kind = "throttle"  // the service's own "too many requests"
	Error     Kind = "error"     // an answer with Code, Message and Status
	LoseReply Kind = "loseReply" // carried out, but the connection is cut
	Hold      Kind = "hold"      // carried out, but not answered while the fault is there
)

// Fault is one thing that goes wrong.
type Fault struct {
	// Name is what it is lifted by.
	Name string `json:"name"`
	Kind Kind   `json:"kind"`

	// Service and Operation say which calls; empty or a pattern as in
	// [path.Match]. Mutating leaves alone the calls that change nothing.
	Service   string `json:"service,omitempty"`
	Operation string `json:"operation,omitempty"`
	Mutating  bool   `json:"mutating,omitempty"`
	// Skip is how many such calls are left alone first, Count how many are then
	// struck; a Count of zero is all of them. The kinds that let a call be
	// carried out count those that succeed.
	Skip  int `json:"skip,omitempty"`
	Count int `json:"count,omitempty"`

	// Before holds a call back before it is carried out. It never is when the
	// client has gone by then.
	Before bool `json:"before,omitempty"`

	// Code, Message and Status are the answer of an [Error].
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	Status  int    `json:"status,omitempty"`
}

func (f *Fault) check() error {
	switch f.Kind {
	case Throttle, LoseReply, Hold:
	case Error:
		if f.Code == "" {
			return fmt.Errorf("a fault of kind %q needs a code", f.Kind)
		}
	default:
		return fmt.Errorf("kind %q is none of throttle, error, loseReply, hold", f.Kind)
	}
	for _, pattern := range []string{f.Service, f.Operation} {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("pattern %q: %w", pattern, err)
		}
	}
	return nil
}

// before tells whether the fault strikes before a call is carried out.
func (f *Fault) before() bool {
	return f.Kind == Throttle || f.Kind == Error || f.Kind == Hold && f.Before
}

// covers tells whether the fault is about such calls at all.
func (f *Fault) covers(c wire.Call) bool {
	return matches(f.Service, c.Service) && matches(f.Operation, c.Operation) && !(f.Mutating && c.ReadOnly)
}

func matches(pattern, name string) bool {
	ok, _ := path.Match(pattern, name) // checked when it was added
	return ok || pattern == ""
}
