// Package gpu proves that the GPUs of a node pool can be used: each node offers
// as many as its instance type has, and a pod that asks for one gets it.
//
// That a node group is active or that NVIDIA's operator calls itself ready
// proves neither: the operator is "ready" on a cluster without GPU nodes.
package gpu

import (
	"fmt"
	"slices"
)

// ResourceName is the extended resource that NVIDIA's device plugin offers.
const ResourceName = "nvidia.com/gpu"

// Report is what was found of a pool's GPUs.
type Report struct {
	Pool     string       `json:"pool"`
	MinNodes int          `json:"minNodes"`
	Nodes    []NodeReport `json:"nodes"`
	// Operator is the state of NVIDIA's operator: ready, notReady, or empty when
	// it is not there.
	Operator string `json:"operator,omitempty"`
	// Smoke is the pod that asked for one GPU; nil when none was run.
	Smoke *Smoke `json:"smoke,omitempty"`
}

// NodeReport is one node of a pool.
type NodeReport struct {
	Name         string `json:"name"`
	InstanceType string `json:"instanceType"`
	Expected     int    `json:"expected"` // GPUs that the instance type has
	Capacity     int    `json:"capacity"`
	Allocatable  int    `json:"allocatable"`
	Ready        bool   `json:"ready"`
	// Problems say what is wrong and where to look.
	Problems []string `json:"problems,omitempty"`

	young    bool   // joined a short time ago
	hopeless bool   // waiting does not help
	cause    string // why it lacks GPUs
	wrong    []difference
}

// difference is a label or taint of the pool that a node has otherwise.
type difference struct {
	field  string // "labels.tier"
	live   any    // nil when it is missing
	wanted any
	cure   string // a command
}

func (d difference) String() string {
	if d.live == nil {
		return fmt.Sprintf("%s is missing; it should be %v", d.field, d.wanted)
	}
	return fmt.Sprintf("%s is %v, not %v", d.field, d.live, d.wanted)
}

// complete tells whether the node offers every GPU that it has.
func (n NodeReport) complete() bool {
	return n.Ready && n.Capacity == n.Expected && n.Allocatable == n.Expected
}

// OK tells whether nothing is wrong with the node.
func (n NodeReport) OK() bool { return n.complete() && len(n.Problems) == 0 }

// noneWorks tells that there are nodes, and that none of them offers any GPU.
func (r Report) noneWorks() bool {
	return len(r.Nodes) > 0 && !slices.ContainsFunc(r.Nodes, func(n NodeReport) bool { return n.Allocatable > 0 })
}

// AtZero tells that the pool has no nodes and needs none, so that there is
// nothing to prove now.
func (r Report) AtZero() bool { return len(r.Nodes) == 0 && r.MinNodes == 0 }

// OK tells whether all nodes are there and offer all their GPUs, and the smoke
// pod, if one was run, did not fail.
func (r Report) OK() bool {
	return len(r.Problems()) == 0
}

// Problems lists what is wrong with the pool, each with its node.
func (r Report) Problems() []string {
	out := r.nodeProblems()
	if len(r.Nodes) < r.MinNodes {
		out[0] = r.Pool + ": " + out[0]
	}
	if r.Smoke != nil && r.Smoke.State == SmokeFailed {
		out = append(out, "smoke pod: "+r.Smoke.Message)
	}
	return out
}

// nodeProblems lists what is wrong with the nodes, for a reader who knows the
// pool; that there are too few comes first.
func (r Report) nodeProblems() []string {
	var out []string
	if len(r.Nodes) < r.MinNodes {
		out = append(out, fmt.Sprintf("%d of at least %s there", len(r.Nodes), areNodes(r.MinNodes)))
	}
	for _, n := range r.Nodes {
		for _, p := range n.Problems {
			out = append(out, n.Name+": "+p)
		}
	}
	return out
}

// cures are the commands that put labels and taints right.
func (r Report) cures() []string {
	var out []string
	for _, n := range r.Nodes {
		for _, d := range n.wrong {
			out = append(out, d.cure)
		}
	}
	return out
}

// lacks tells whether GPUs are missing, on a node or with one.
func (r Report) lacks() bool { return len(r.Nodes) < r.MinNodes || r.Complete() < len(r.Nodes) }

// Complete is how many nodes offer every GPU that they have.
func (r Report) Complete() int {
	n := 0
	for _, node := range r.Nodes {
		if node.complete() {
			n++
		}
	}
	return n
}

// SmokeState is how a smoke pod ended.
type SmokeState string

// The ends of a smoke pod.
const (
	SmokeSucceeded SmokeState = "succeeded"
	SmokeFailed    SmokeState = "failed"
	// SmokeBusy means that running pods use every GPU of the pool, which proves
	// as much.
	SmokeBusy SmokeState = "busy"
)

// Smoke is the result of a smoke pod.
type Smoke struct {
	State   SmokeState `json:"state"`
	Node    string     `json:"node,omitempty"`
	Image   string     `json:"image"`
	Message string     `json:"message,omitempty"` // why it failed
	Log     string     `json:"log,omitempty"`     // the last lines of nvidia-smi
	Seconds float64    `json:"seconds"`
}

// String is one phrase: "smoke pod succeeded on ip-10-0-1-2 in 4.2s". Why it
// failed is not in it: see [Report.Problems].
func (s Smoke) String() string {
	if s.State == SmokeBusy {
		return "smoke pod not run: " + s.Message
	}
	text := "smoke pod " + string(s.State)
	if s.Node != "" {
		text += " on " + s.Node
	}
	return fmt.Sprintf("%s in %.1fs", text, s.Seconds)
}

// countGPUs is "1 GPU" or "8 GPUs".
func countGPUs(n int) string {
	if n == 1 {
		return "1 GPU"
	}
	return fmt.Sprintf("%d GPUs", n)
}

// areNodes is "1 node is" or "2 nodes are".
func areNodes(n int) string {
	if n == 1 {
		return "1 node is"
	}
	return fmt.Sprintf("%d nodes are", n)
}

// areGPUs is "1 GPU is" or "8 GPUs are".
func areGPUs(n int) string {
	if n == 1 {
		return "1 GPU is"
	}
	return countGPUs(n) + " are"
}
