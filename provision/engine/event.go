package engine

import "time"

// Action is what a step does to its resource.
type Action string

// The actions of a step.
const (
	ActionNone    Action = "none"
	ActionRead    Action = "read"
	ActionCreate  Action = "create"
	ActionUpdate  Action = "update"
	ActionReplace Action = "replace" // nodes are replaced
	ActionDelete  Action = "delete"
	ActionVerify  Action = "verify"
	ActionKeep    Action = "keep" // teardown leaves it
)

// State is where a step is.
type State string

// The states of a step. The last four end it.
const (
	Started     State = "started"
	Running     State = "running" // with a message about its progress
	Succeeded   State = "succeeded"
	Failed      State = "failed"
	Blocked     State = "blocked"     // something that it depends on failed
	Interrupted State = "interrupted" // the run was interrupted before or in it
)

// Ended tells whether a step in this state is over.
func (s State) Ended() bool { return s != Started && s != Running }

// Event is one thing that happened in a walk.
type Event struct {
	Time     time.Time
	Resource string
	Action   Action
	State    State
	Message  string        // progress, or the detail of what is there now
	Elapsed  time.Duration // since the step started
	Err      error         // when State is Failed
	Cause    string        // the resource whose failure blocked this one
}
