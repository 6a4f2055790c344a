// Package faults is what goes wrong in the local cloud on demand: a list of
// faults with names, which a file or the admin endpoint fills, and what each
// does to that which it strikes.
//
// Files: fault (this one) and keys say what a fault is; read takes it from YAML
// or JSON; list holds those in force; calls and cloud ask what they strike.
package faults

import (
	"path"
	"time"
)

// A Kind says what goes wrong.
type Kind string

// The kinds that are about calls.
const (
	Throttle  Kind = "throttle"  // the service's own "too many requests"
	Error     Kind = "error"     // an answer with Code, Message and Status
	LoseReply Kind = "loseReply" // carried out, but the connection is cut
	Slow      Kind = "slow"      // carried out, and answered after Delay
	Hold      Kind = "hold"      // carried out, but not answered while the fault is there
)

// The kinds that are about what AWS has and what instances do.
const (
	Capacity         Kind = "capacity"         // only Count instances of a type are to be had
	Quota            Kind = "quota"            // the account's quota is Value
	BadAMI           Kind = "badAMI"           // an AMI whose nodes are of no use
	NodesNeverJoin   Kind = "nodesNeverJoin"   // instances run, but become no nodes
	BrokenGPU        Kind = "brokenGPU"        // GPUs are missing on nodes
	HookFails        Kind = "hookFails"        // a hook of a Helm release fails, or never ends
	SpotInterruption Kind = "spotInterruption" // EC2 takes spot instances back
	IAMLate          Kind = "iamLate"          // what is new in IAM takes longer to be known
)

// The kinds that are about a pod's container.
const (
	ImagePull Kind = "imagePull" // its image cannot be had
	Crash     Kind = "crash"     // it ends with exit code 1 whenever it was started
	OOM       Kind = "oom"       // the kernel ends it whenever it was started
)

// Fault is one thing that goes wrong. Which of the members count depends on its
// kind. Names may be patterns as in [path.Match]; an empty one is all.
type Fault struct {
	Name string // what it is lifted by
	Kind Kind

	// Service and Operation say which calls; Mutating leaves alone those that
	// change nothing. Skip is how many such calls are left alone first, Count how
	// many are then struck; a Count of zero is all of them. The kinds that let a
	// call be carried out count those that succeed.
	Service, Operation string
	Mutating           bool
	Skip, Count        int

	// Before holds a call back before it is carried out. It never is when the
	// client has gone by then.
	Before bool
	// Delay is how much longer an answer takes, in AWS's time.
	Delay time.Duration
	// Code, Message and Status are an answer.
	Code, Message string
	Status        int

	Region string // of Capacity and Quota; one, not a pattern

	InstanceType, Zone, Market string // of Capacity
	Quota                      string // a code such as L-417A185B
	Value                      float64

	AMIType, ReleaseVersion string // patterns
	Breaks                  string // devicePlugin or kubelet

	Cluster, NodeGroup string // patterns
	Instance           string // an id
	Nodes              int    // how many nodes; zero is all
	GPUs               int    // how many of a node's are broken

	Release, Hook string // patterns: of a Helm release, of a kind such as pre-delete
	Hangs         bool   // rather than fails

	Namespace, Pod string // patterns
	Container      string // its name; the pod's first if left out
	Answers        string // what the registry says: notFound, denied or tooMany

	After time.Duration // in AWS's time, since the fault is there
	Times float64
}

// What a [BadAMI] may break.
const (
	DevicePlugin = "devicePlugin" // NVIDIA's device plugin crashes (awslabs/amazon-eks-ami#2790)
	Kubelet      = "kubelet"      // the node never becomes Ready
)

// What a registry may answer to an [ImagePull].
const (
	NotFound = "notFound"
	Denied   = "denied"
	TooMany  = "tooMany"
)

// before tells whether the fault strikes a call before it is carried out.
func (f *Fault) before() bool {
	return f.Kind == Throttle || f.Kind == Error || f.Kind == Hold && f.Before
}

// after tells whether it strikes one that was carried out.
func (f *Fault) after() bool {
	return f.Kind == LoseReply || f.Kind == Slow || f.Kind == Hold && !f.Before
}

func matches(pattern, name string) bool {
	ok, _ := path.Match(pattern, name) // checked when it was read
	return ok || pattern == ""
}
