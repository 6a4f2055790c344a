// Package engine walks a graph of resources: to compare them with what exists
// ([Graph.Plan]), to make them so ([Graph.Up]) and to take them away
// ([Graph.Teardown]). It knows no cloud.
//
// A resource starts the moment everything it needs is done; there are no
// phases. A failure stops only what depends on it. All three walks use the same
// [Resource] methods, so a plan cannot disagree with what an apply does, and
// applying again is how a run is resumed.
package engine

import "context"

// Resource is one thing a cluster is made of.
//
// A resource keeps what it observed (ids, endpoints) in itself; resources that
// need it hold a pointer to it and read that after it is done. The engine
// orders these accesses: a resource's methods are never called while one that
// it needs is being observed, applied or deleted, and never twice at once.
type Resource interface {
	// ID is the resource's name in plans, events and errors, as "kind/name":
	// "nodepool/gpu-a100". It is unique in a graph.
	ID() string

	// Needs lists what must be in place before this resource, and what is
	// deleted only after it.
	Needs() []Resource

	// Observe reads what exists and how it differs from what is wanted. It makes
	// no mutating call. If something it needs does not exist, it reports that it
	// does not exist itself, without an error.
	Observe(ctx context.Context) (Observation, error)

	// Apply creates or changes the resource and returns when it is usable. It
	// follows an Observe that found a difference, and copes with a half-made
	// resource that an earlier run left.
	Apply(ctx context.Context, p Progress) error

	// Delete removes the resource and returns when it is gone. Deleting what is
	// gone already is no error.
	Delete(ctx context.Context, p Progress) error
}

// Unwanted is implemented by resources that exist but are not in the blueprint
// any more, such as a node pool that was removed from it: [Graph.Up] deletes
// them.
type Unwanted interface {
	Resource
	Unwanted() bool
}

// Inner is implemented by resources that live inside another one and vanish
// with it, as a Helm release does with its cluster. When such a resource cannot
// be observed or deleted, teardown goes on with Container.
type Inner interface {
	Resource
	Container() Resource
}

// SkippedError is returned by the Delete of an [Inner] resource that cannot be
// deleted by itself now and goes with its container.
type SkippedError struct{ Cause string } // what failed: "reaching the API server of cluster/x"

func (e *SkippedError) Error() string { return "left to its container: " + e.Cause }

// Progress reports how far a long step is, as one short phrase
// ("3 of 4 nodes ready"). Safe for concurrent use.
type Progress func(format string, args ...any)

// Observation is what [Resource.Observe] found.
type Observation struct {
	// Exists is false when the resource is to be created (or is not there to be deleted).
	Exists bool
	// Changes is how the live resource differs from the wanted one. When the
	// resource does not exist, they say what will be created, if it is worth saying.
	Changes []Change
	// Detail identifies what exists in a few words: "vpc-0abc, 10.42.0.0/16".
	Detail string
	// Notes are remarks for the reader of a plan that are no changes:
	// "2 nodes now; the autoscaler owns the number between 1 and 4".
	Notes []string
	// Keep says why teardown leaves the resource alone; empty means it is deleted.
	Keep string
}

// Policy says what applying a change does to a running cluster.
type Policy string

// The policies of a change.
const (
	PolicyCreate  Policy = "create"         // the resource is made
	PolicyInPlace Policy = "in-place"       // changed while it runs
	PolicyReplace Policy = "replaces-nodes" // nodes are replaced
	PolicyDelete  Policy = "delete"         // the resource is removed
	PolicyRefused Policy = "refused"        // cannot be changed on a living cluster; Up fails on it
	PolicyVerify  Policy = "verify"         // nothing changes: a check is run
)

// Change is one difference between live and wanted.
type Change struct {
	Resource string `json:"resource"` // filled by the engine
	Field    string `json:"field"`    // path in the blueprint's terms: "nodes.max"; empty for the whole resource
	Live     any    `json:"live"`     // nil when there is none
	Wanted   any    `json:"wanted"`
	Policy   Policy `json:"policy"`
	Hint     string `json:"hint,omitempty"` // what to do about a refused change, or what a change costs
}
