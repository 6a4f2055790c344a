package gpu

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"aicluster/addons"
	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

const (
	// readyLimit bounds the wait for all GPUs of a pool whose nodes are there.
	readyLimit = 20 * time.Minute
	// settleTime is how long a cause that cannot heal must stand before it is
	// believed: while a node starts, its parts contradict each other for seconds.
	settleTime = 30 * time.Second
)

// Check proves the GPUs of one pool. It makes nothing but a short-lived pod and
// a ConfigMap that says that the pod passed.
type Check struct {
	cluster addons.Cluster
	pool    blueprints.NodePool
	// operator is the version of the GPU operator's chart, empty when the
	// blueprint has none.
	operator string
	needs    []engine.Resource

	// Image is what the smoke pod runs; [SmokeImage] unless it is changed before
	// the check is used.
	Image string

	connect func() (inspector, error)

	due    bool // an Observe since the last Apply found something to check
	lacked bool // or GPUs missing
}

// NewCheck makes the resource "check/<pool>" for a pool with GPUs. It needs the
// cluster and, in needs, the pool's node group and what makes GPUs usable.
func NewCheck(cluster addons.Cluster, b *blueprints.Blueprint, pool blueprints.NodePool, needs ...engine.Resource) *Check {
	c := &Check{cluster: cluster, pool: pool, needs: append([]engine.Resource{cluster}, needs...), Image: SmokeImage}
	if b.Addons.GPUOperator != nil {
		c.operator = addons.GPUOperator(b).Version
	}
	c.connect = func() (inspector, error) { return connect(cluster) }
	return c
}

func connect(cluster addons.Cluster) (inspector, error) {
	i := inspector{now: time.Now}
	config, err := cluster.RESTConfig()
	if err != nil {
		return i, err
	}
	config = rest.CopyConfig(config)
	config.Timeout = time.Minute // of one request
	config.WarningHandler = rest.NoWarnings{}
	if i.client, err = kubernetes.NewForConfig(config); err != nil {
		return i, err
	}
	i.dyn, err = dynamic.NewForConfig(config)
	return i, err
}

// ID implements engine.Resource.
func (c *Check) ID() string { return "check/" + c.pool.Name }

// Needs implements engine.Resource.
func (c *Check) Needs() []engine.Resource { return c.needs }

// Container implements engine.Inner.
func (c *Check) Container() engine.Resource { return c.cluster }

// Pool is the name of the pool that is checked.
func (c *Check) Pool() string { return c.pool.Name }

// provable tells whether the pool has nodes at all times, so that a smoke pod
// can always run. A pool that scales from zero is judged by its nodes only.
func (c *Check) provable() bool { return c.pool.Nodes.Min > 0 }

// promise is what the check proves, in words.
func (c *Check) promise() string {
	if !c.provable() {
		return countGPUs(c.pool.GPUs()) + " on each node"
	}
	return countGPUs(c.pool.GPUs()) + " on each node, and a pod that gets one"
}

// Observe implements engine.Resource. What it found once is checked, even if it
// heals before its turn: a plan has announced the step.
func (c *Check) Observe(ctx context.Context) (engine.Observation, error) {
	o, err := c.observe(ctx)
	if err != nil {
		return o, err
	}
	if len(o.Changes) == 0 && c.due {
		o.Changes = []engine.Change{{Field: "gpus", Wanted: c.promise(), Policy: engine.PolicyVerify}}
	}
	c.due = len(o.Changes) > 0
	return o, nil
}

func (c *Check) observe(ctx context.Context) (engine.Observation, error) {
	unproven := engine.Change{Field: "gpus", Wanted: c.promise(), Policy: engine.PolicyVerify}
	if !c.cluster.Ready() {
		return engine.Observation{Changes: []engine.Change{unproven}}, nil
	}
	i, err := c.connect()
	if err != nil {
		return engine.Observation{}, cloud.Wrap(c.ID(), "connecting to the cluster", err)
	}
	report, nodes, err := i.inspect(ctx, c.pool)
	if err != nil {
		return engine.Observation{}, cloud.Wrap(c.ID(), "looking at the nodes", err)
	}
	c.lacked = c.lacked || report.lacks()
	o := engine.Observation{Exists: true, Detail: summary(report), Changes: c.differences(report), Notes: c.notes(report)}
	if !c.provable() {
		return o, nil
	}
	kept, err := c.evidence(ctx, i)
	if err != nil {
		return engine.Observation{}, cloud.Wrap(c.ID(), "reading what was proven", err)
	}
	if kept == "" {
		o.Exists, o.Changes = false, append(o.Changes, unproven)
	} else if kept != fingerprint(nodes, c.operator, c.Image) {
		unproven.Live = "proven for other nodes or another operator version"
		o.Changes = append(o.Changes, unproven)
	}
	return o, nil
}

// differences lists the nodes that do not offer what they should, and labels and
// taints that they have otherwise. A node beyond the minimum that joined a short
// time ago is starting, not lacking.
func (c *Check) differences(r Report) []engine.Change {
	var out []engine.Change
	if len(r.Nodes) < r.MinNodes {
		out = append(out, engine.Change{Field: "nodes", Live: len(r.Nodes), Wanted: r.MinNodes, Policy: engine.PolicyVerify})
	}
	for _, n := range r.Nodes {
		if n.OK() || c.starting(r, n) {
			continue
		}
		if !n.complete() {
			out = append(out, engine.Change{Field: "nodes." + n.Name + ".gpus", Live: n.Allocatable, Wanted: n.Expected, Policy: engine.PolicyVerify, Hint: n.cause})
		}
		for _, d := range n.wrong {
			out = append(out, engine.Change{Field: "nodes." + n.Name + "." + d.field, Live: d.live, Wanted: d.wanted, Policy: engine.PolicyVerify})
		}
	}
	return out
}

func (c *Check) starting(r Report, n NodeReport) bool {
	return n.young && !n.hopeless && n.Allocatable == 0 && r.Complete() >= r.MinNodes
}

func (c *Check) notes(r Report) []string {
	var out []string
	if r.AtZero() {
		out = append(out, "no nodes now; its GPUs are checked when it has some")
	}
	for _, n := range r.Nodes {
		if !n.OK() && c.starting(r, n) {
			out = append(out, n.Name+" is starting")
		}
	}
	return out
}

// summary says how many nodes offer all their GPUs.
func summary(r Report) string {
	if len(r.Nodes) == 0 {
		return "no nodes"
	}
	return haveGPUs(r.Complete(), len(r.Nodes), r.Nodes[0].Expected)
}

func haveGPUs(complete, nodes, gpus int) string {
	if nodes == 1 {
		return fmt.Sprintf("%d of 1 node has %s", complete, countGPUs(gpus))
	}
	return fmt.Sprintf("%d of %d nodes have %s", complete, nodes, countGPUs(gpus))
}

// Report looks at the pool's GPUs and changes nothing. A cluster that is not
// ready has no nodes.
func (c *Check) Report(ctx context.Context) (Report, error) {
	if !c.cluster.Ready() {
		return Report{Pool: c.pool.Name, MinNodes: c.pool.Nodes.Min, Nodes: []NodeReport{}}, nil
	}
	i, err := c.connect()
	if err != nil {
		return Report{}, cloud.Wrap(c.ID(), "connecting to the cluster", err)
	}
	r, _, err := i.inspect(ctx, c.pool)
	return r, cloud.Wrap(c.ID(), "looking at the nodes", err)
}

// Verify looks at the pool's GPUs and runs a smoke pod if the pool has a node
// that offers any. What is wrong is in the report; the error is about the cluster.
func (c *Check) Verify(ctx context.Context, p engine.Progress) (Report, error) {
	r, err := c.Report(ctx)
	if err != nil || r.Complete() == 0 {
		return r, err
	}
	i, err := c.connect()
	if err != nil {
		return r, cloud.Wrap(c.ID(), "connecting to the cluster", err)
	}
	r.Smoke, err = smoke(ctx, i.client, c.cluster.Name(), &c.pool, c.Image, p)
	return r, cloud.Wrap(c.ID(), "running a smoke pod", err)
}

// Apply implements engine.Resource: it waits for the GPUs, runs the smoke pod,
// and keeps the evidence. Where GPUs were never missing and the evidence is of
// these nodes, it waits only: for labels and taints that EKS is putting on them.
func (c *Check) Apply(ctx context.Context, p engine.Progress) error {
	i, err := c.connect()
	if err != nil {
		return cloud.Wrap(c.ID(), "connecting to the cluster", err)
	}
	nodes, err := c.waitForGPUs(ctx, i, p)
	if err != nil {
		return err
	}
	if err := c.prove(ctx, i, nodes, p); err != nil {
		return err
	}
	c.due, c.lacked = false, false
	return nil
}

// prove runs the smoke pod if one is due.
func (c *Check) prove(ctx context.Context, i inspector, nodes []corev1.Node, p engine.Progress) error {
	all := haveGPUs(len(nodes), len(nodes), c.pool.GPUs())
	if !c.provable() {
		p("%s", all)
		return nil
	}
	hash := fingerprint(nodes, c.operator, c.Image)
	kept, err := c.evidence(ctx, i)
	if err != nil {
		return cloud.Wrap(c.ID(), "reading what was proven", err)
	}
	if kept == hash && !c.lacked {
		p("%s; proven before", all)
		return nil
	}
	result, err := smoke(ctx, i.client, c.cluster.Name(), &c.pool, c.Image, p)
	if err != nil {
		return cloud.Wrap(c.ID(), "running a smoke pod", err)
	}
	if result.State == SmokeFailed {
		return cloud.Fail(c.ID(), "running a smoke pod", result.Message+logExcerpt(result.Log),
			"the nodes offer their GPUs but a container cannot use one; see the pods nvidia-operator-validator in namespace "+addons.GPUOperatorNamespace)
	}
	p("%s; %s", all, result)
	return cloud.Wrap(c.ID(), "keeping the evidence", c.keepEvidence(ctx, i, hash))
}

func logExcerpt(log string) string {
	if log == "" {
		return ""
	}
	return "; its log ends: " + log[max(0, len(log)-300):]
}

// waitForGPUs returns when every node of the pool offers all its GPUs. It ends
// early when a node lacks them for a cause that waiting does not heal.
func (c *Check) waitForGPUs(ctx context.Context, i inspector, p engine.Progress) (nodes []corev1.Node, err error) {
	start, hopeless := time.Now(), map[string]time.Time{}
	err = cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		report, live, err := i.inspect(ctx, c.pool)
		if err != nil {
			return true, cloud.Wrap(c.ID(), "looking at the nodes", err)
		}
		if report.OK() {
			nodes = live
			return true, nil
		}
		c.lacked = c.lacked || report.lacks()
		if lost(report, hopeless) || time.Since(start) > readyLimit {
			return true, c.failure(report)
		}
		p("%s%s", haveGPUs(report.Complete(), max(len(report.Nodes), report.MinNodes), c.pool.GPUs()), firstProblem(report))
		return false, nil
	})
	return nodes, err
}

// lost tells that a node has been hopeless for the settle time. since remembers.
func lost(r Report, since map[string]time.Time) bool {
	for _, n := range r.Nodes {
		at, known := since[n.Name]
		switch {
		case !n.hopeless && (n.OK() || !n.complete()):
			delete(since, n.Name)
		case !known:
			since[n.Name] = time.Now()
		case time.Since(at) > settleTime:
			return true
		}
	}
	return false
}

func firstProblem(r Report) string {
	if problems := r.nodeProblems(); len(problems) > 0 {
		return " (" + problems[0] + ")"
	}
	return ""
}

func (c *Check) failure(r Report) error {
	hint := "mend the cause, or replace the node (terminate its instance: the node group makes another), and run up again"
	if r.noneWorks() {
		hint = "no node of the pool offers a GPU: if the pods are right, it is the AMI release; pin one that works (amiRelease in the pool), and run up again"
	}
	if cures := r.cures(); !r.lacks() && len(cures) > 0 {
		hint = "somebody changed the node; run `" + strings.Join(cures, " && ") + "`, or replace the node, and run up again"
	}
	return cloud.Fail(c.ID(), "waiting for the GPUs", strings.Join(r.nodeProblems(), "; "), hint)
}

// Delete implements engine.Resource.
func (c *Check) Delete(ctx context.Context, p engine.Progress) error {
	if !c.cluster.Ready() {
		return nil
	}
	i, err := c.connect()
	if err != nil {
		return cloud.Wrap(c.ID(), "connecting to the cluster", err)
	}
	if err := removePod(ctx, i.client, objectName("aicluster-smoke", c.pool.Name)); err != nil {
		return cloud.Wrap(c.ID(), "removing the smoke pod", err)
	}
	err = i.client.CoreV1().ConfigMaps(evidenceNamespace).Delete(ctx, c.evidenceName(), metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		err = nil
	}
	return cloud.Wrap(c.ID(), "removing the evidence", err)
}
