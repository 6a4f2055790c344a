// Package doctor says why pods, and what pods need, do not work, and what to do
// next.
//
// It only thinks: [Evidence] goes in and findings come out. Who gathers the
// evidence decides how much there is; what is missing makes answers shorter, not
// wrong. The zero Evidence explains a pod from its own status alone, which is
// what a wait for a rollout needs ([Evidence.Pod]).
//
// Files: doctor (this one) is the types and the order of findings; pod, crash,
// image and slow explain one pod that is on a node; schedule, fit and grow one
// that is on none; node, workload and traffic are about the rest.
package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"aicluster/blueprints"
)

// Severity tells what does not work from what will not one day.
type Severity string

// The severities of a finding.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Finding is one thing that is wrong.
type Finding struct {
	Resource string   `json:"resource"` // kind/namespace/name: "pod/ai-serving/llama-5c9f-x2kd9"
	Reason   string   `json:"reason"`   // one word of this package's: "NoGPULeft"
	What     string   `json:"what"`     // the reason as a phrase
	Message  string   `json:"message"`  // why, in Kubernetes' or AWS's words
	Next     string   `json:"next"`     // what to do
	Severity Severity `json:"severity"`
	// Also are further resources with the same trouble, such as the other replicas.
	Also []string `json:"also,omitempty"`

	// Stuck tells that a pod hardly gets out of it by itself: it crashes again and
	// again, or its image cannot be had.
	Stuck bool `json:"-"`

	kin string // findings of one kin and one reason are one finding
}

// String is one line for the progress or the error of a wait: the pod and
// Kubernetes' words.
func (f Finding) String() string {
	_, name, _ := strings.Cut(f.Resource, "/")
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		name = name[i+1:]
	}
	kind, _, _ := strings.Cut(f.Resource, "/")
	return kind + " " + name + ": " + f.Message
}

// Evidence is what was seen of a cluster.
type Evidence struct {
	// Now is when it was gathered. While it is zero nothing counts as slow.
	Now time.Time
	// Grace is how long something may be unhealthy before it is a finding.
	Grace time.Duration
	// First is the namespace whose findings come first.
	First string

	Nodes  []corev1.Node
	Pods   []corev1.Pod
	Events []corev1.Event

	ReplicaSets []appsv1.ReplicaSet
	Claims      []corev1.PersistentVolumeClaim
	Classes     []storagev1.StorageClass
	Budgets     []policyv1.PodDisruptionBudget
	Scalers     []autoscalingv2.HorizontalPodAutoscaler

	Services       []corev1.Service
	Slices         []discoveryv1.EndpointSlice
	Ingresses      []networkingv1.Ingress
	IngressClasses []networkingv1.IngressClass
	// Secrets tells of TLS secrets, as namespace/name, whether they are there.
	// Those that are not in it were not looked for.
	Secrets map[string]bool
	// Conditioned are objects of other APIs that say in conditions how they are:
	// gateways, routes, certificates.
	Conditioned []unstructured.Unstructured

	Pools []Pool
	// Autoscaler is what makes nodes for pods that wait: clusterAutoscaler,
	// karpenter, or nothing.
	Autoscaler string
	// GPUs says of nodes that offer fewer GPUs than they have why that is.
	GPUs map[string]string
	// Logs are the last lines of containers that ended, see [Evidence.Ended].
	Logs map[Container]string
	// Bucket holds the models; empty if there is none.
	Bucket string
}

// Pool is a node pool and what AWS says of it.
type Pool struct {
	blueprints.NodePool
	Status  string // EKS's word; empty when there is no node group
	Desired int    // nodes that Auto Scaling wants
	Issues  []string
	// Failure is why AWS starts no nodes, in its words; nil if it does.
	Failure error
}

// Diagnose says what is wrong: what concerns the namespace First before the rest,
// errors before warnings. What is one cause for several pods of one controller is
// one finding.
func (e *Evidence) Diagnose() []Finding {
	found := slices.Concat(e.pods(), e.workloads(), e.claims(), e.nodes(), e.pools(), e.services(), e.ingresses(), e.conditioned(), e.scalers(), e.budgets())
	out := []Finding{}
	for _, f := range found {
		at := slices.IndexFunc(out, func(o Finding) bool { return f.kin != "" && o.kin == f.kin && o.Reason == f.Reason })
		if at < 0 {
			out = append(out, f)
			continue
		}
		out[at].Also = append(out[at].Also, f.Resource)
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(e.rank(a), e.rank(b)), strings.Compare(string(a.Severity), string(b.Severity)))
	})
	return out
}

// rank puts the namespace First before what no namespace has, and that before
// other namespaces.
func (e *Evidence) rank(f Finding) int {
	parts := strings.Split(f.Resource, "/")
	switch {
	case len(parts) == 3 && parts[1] == e.First:
		return 0
	case len(parts) < 3:
		return 1
	}
	return 2
}

// pods explains every pod that has been unhealthy for longer than the grace.
func (e *Evidence) pods() []Finding {
	var out []Finding
	for i := range e.Pods {
		f, sick := e.Pod(&e.Pods[i])
		if sick && (e.late(unhealthySince(&e.Pods[i])) || restarts(&e.Pods[i]) > 1) {
			out = append(out, f)
		}
	}
	return out
}

// late tells that something has been so for longer than the grace.
func (e *Evidence) late(since time.Time) bool { return e.Now.Sub(since) >= e.Grace }

// event is the newest event with one of the reasons about an object, or nil.
func (e *Evidence) event(kind, namespace, name string, reasons ...string) *corev1.Event {
	var newest *corev1.Event
	for i := range e.Events {
		v := &e.Events[i]
		o := v.InvolvedObject
		if o.Kind != kind || o.Namespace != namespace || o.Name != name || !slices.Contains(reasons, v.Reason) {
			continue
		}
		if newest == nil || eventTime(v).After(eventTime(newest)) {
			newest = v
		}
	}
	return newest
}

// eventTime is when an event was last seen.
func eventTime(v *corev1.Event) time.Time {
	switch {
	case v.Series != nil:
		return v.Series.LastObservedTime.Time
	case !v.LastTimestamp.IsZero():
		return v.LastTimestamp.Time
	case !v.EventTime.IsZero():
		return v.EventTime.Time
	}
	return v.CreationTimestamp.Time
}

// resource names an object of a namespace.
func resource(kind, namespace, name string) string { return kind + "/" + namespace + "/" + name }

// count is "1 GPU" or "8 GPUs".
func count(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// listed joins at most a handful of words, and says how many more there are.
func listed(words []string) string {
	const most = 5
	if len(words) <= most {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
}
