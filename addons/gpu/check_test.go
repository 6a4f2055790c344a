package gpu

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	k8stesting "k8s.io/client-go/testing"

	"aicluster/addons"
	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// fakeCluster is a Kubernetes cluster as its API shows it. Pods that are made
// there get the phase that podPhase says.
type fakeCluster struct {
	t        *testing.T
	ready    bool
	client   *fake.Clientset
	dyn      *dynfake.FakeDynamicClient
	podPhase func(*corev1.Pod)
	now      time.Time
}

func (c *fakeCluster) ID() string               { return "cluster/demo" }
func (c *fakeCluster) Needs() []engine.Resource { return nil }
func (c *fakeCluster) Name() string             { return "demo" }
func (c *fakeCluster) Exists() bool             { return c.ready }
func (c *fakeCluster) Ready() bool              { return c.ready }
func (c *fakeCluster) Version() string          { return "1.35" }
func (c *fakeCluster) RESTConfig() (*rest.Config, error) {
	return nil, errors.New("a fake has no API server")
}
func (c *fakeCluster) Observe(context.Context) (engine.Observation, error) {
	return engine.Observation{}, nil
}
func (c *fakeCluster) Apply(context.Context, engine.Progress) error  { return nil }
func (c *fakeCluster) Delete(context.Context, engine.Progress) error { return nil }

func newFakeCluster(t *testing.T, objects ...runtime.Object) *fakeCluster {
	c := &fakeCluster{t: t, ready: true, client: fake.NewClientset(objects...), now: time.Now(),
		podPhase: func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded },
		dyn:      dynfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{policyResource: "ClusterPolicyList"})}
	c.client.PrependReactor("create", "pods", func(a k8stesting.Action) (bool, runtime.Object, error) {
		pod := a.(k8stesting.CreateAction).GetObject().(*corev1.Pod)
		pod.Spec.NodeName = "n1"
		c.podPhase(pod)
		return false, nil, nil
	})
	return c
}

func (c *fakeCluster) check(pool blueprints.NodePool) *Check {
	b := &blueprints.Blueprint{Metadata: blueprints.Metadata{Name: "demo"}, NodePools: []blueprints.NodePool{pool},
		Addons: blueprints.Addons{GPUOperator: &blueprints.Release{}}}
	k := NewCheck(c, b, pool)
	k.connect = func() (inspector, error) {
		return inspector{client: c.client, dyn: c.dyn, now: func() time.Time { return c.now }}, nil
	}
	return k
}

// policy gives the cluster a ClusterPolicy.
func (c *fakeCluster) policy(state string, conditions ...any) {
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "nvidia.com/v1", "kind": "ClusterPolicy",
		"metadata": map[string]any{"name": "cluster-policy"}, "status": map[string]any{"state": state, "conditions": conditions}}}
	if _, err := c.dyn.Resource(policyResource).Create(c.t.Context(), object, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

// names of what is in kube-system.
func (c *fakeCluster) left() string {
	var out []string
	pods, err := c.client.CoreV1().Pods("").List(c.t.Context(), metav1.ListOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, p := range pods.Items {
		out = append(out, p.Name)
	}
	maps, err := c.client.CoreV1().ConfigMaps("").List(c.t.Context(), metav1.ListOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, m := range maps.Items {
		out = append(out, m.Name)
	}
	return strings.Join(out, " ")
}

func (c *fakeCluster) writes() (n int) {
	for _, a := range c.client.Actions() {
		switch a.GetVerb() {
		case "get", "list", "watch":
		default:
			n++
		}
	}
	return n
}

var taint = blueprints.Taint{Key: "nvidia.com/gpu", Value: "present", Effect: "NoSchedule"}

// pool of p4d.24xlarge, which have eight GPUs.
func pool(minNodes int) blueprints.NodePool {
	return blueprints.NodePool{Name: "gpu-a100", InstanceTypes: []string{"p4d.24xlarge"}, Nodes: blueprints.Nodes{Min: minNodes, Max: 4},
		Labels: map[string]string{"accelerator": "nvidia-a100"}, Taints: []blueprints.Taint{taint}}
}

type nodeOption func(*corev1.Node)

// node is a node of the pool, an hour old, with all its GPUs.
func node(name string, options ...nodeOption) *corev1.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(time.Now().Add(-time.Hour)), Labels: map[string]string{
			labelNodeGroup: "gpu-a100", labelImage: "ami-1", labelTemplateNumber: "1", corev1.LabelInstanceTypeStable: "p4d.24xlarge",
			"accelerator": "nvidia-a100", labelGPUPresent: "true", labelDeployPlugin: "true"}},
		Spec:   corev1.NodeSpec{Taints: []corev1.Taint{{Key: "nvidia.com/gpu", Value: "present", Effect: corev1.TaintEffectNoSchedule}}},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	}
	offer(8, 8)(n)
	for _, o := range options {
		o(n)
	}
	return n
}

func offer(capacity, allocatable int) nodeOption {
	return func(n *corev1.Node) {
		n.Status.Capacity = corev1.ResourceList{ResourceName: *resource.NewQuantity(int64(capacity), resource.DecimalSI)}
		n.Status.Allocatable = corev1.ResourceList{ResourceName: *resource.NewQuantity(int64(allocatable), resource.DecimalSI)}
	}
}

func age(d time.Duration) nodeOption {
	return func(n *corev1.Node) { n.CreationTimestamp = metav1.NewTime(time.Now().Add(-d)) }
}

func unlabelled(key string) nodeOption { return func(n *corev1.Node) { delete(n.Labels, key) } }

func daemonSet(name string, tolerations ...corev1.Toleration) *appsv1.DaemonSet {
	return &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: addons.GPUOperatorNamespace},
		Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Tolerations: tolerations}}}}
}

var tolerant = corev1.Toleration{Key: "nvidia.com/gpu", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}

func quiet(string, ...any) {}

func observe(t *testing.T, c *Check) engine.Observation {
	t.Helper()
	o, err := c.Observe(t.Context())
	if err != nil {
		t.Fatalf("Observe: %v", err)
	}
	for _, change := range o.Changes {
		if change.Policy != engine.PolicyVerify {
			t.Errorf("%s has policy %s", change.Field, change.Policy)
		}
	}
	return o
}

func TestCheckProvesOnce(t *testing.T) {
	c := newFakeCluster(t, node("n1"), node("n2"))
	var pod *corev1.Pod
	c.podPhase = func(p *corev1.Pod) { pod, p.Status.Phase = p, corev1.PodSucceeded }
	k := c.check(pool(1))
	if o := observe(t, k); o.Exists || len(o.Changes) != 1 {
		t.Fatalf("before: %+v", o)
	}
	if c.writes() > 0 {
		t.Error("Observe wrote")
	}
	if err := k.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if pod.Spec.NodeSelector[labelNodeGroup] != "gpu-a100" || pod.Spec.Tolerations[0].Value != "present" || pod.Labels[cloud.TagCluster] != "demo" {
		t.Errorf("smoke pod %+v", pod.Spec)
	}
	if limits := pod.Spec.Containers[0].Resources.Limits[ResourceName]; limits.Value() != 1 {
		t.Errorf("asks for %v GPUs", limits)
	}
	if c.left() != "aicluster-verified-gpu-a100" {
		t.Errorf("left %s", c.left())
	}
	o := observe(t, k)
	if !o.Exists || len(o.Changes) > 0 || o.Detail != "2 of 2 nodes have 8 GPUs" {
		t.Fatalf("after: %+v", o)
	}
	if err := k.Delete(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if err := k.Delete(t.Context(), quiet); err != nil || c.left() != "" {
		t.Errorf("second Delete: %v, left %q", err, c.left())
	}
}

func TestCheckIsDueAgainForNewImagesOnly(t *testing.T) {
	c := newFakeCluster(t, node("n1"))
	k := c.check(pool(1))
	if err := k.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if err := c.client.Tracker().Add(node("n2")); err != nil { // the autoscaler added one
		t.Fatal(err)
	}
	if o := observe(t, k); len(o.Changes) > 0 {
		t.Errorf("one more node of the same kind: %+v", o.Changes)
	}
	if err := c.client.Tracker().Add(node("n3", func(n *corev1.Node) { n.Labels[labelImage] = "ami-2" })); err != nil {
		t.Fatal(err)
	}
	if o := observe(t, k); !o.Exists || len(o.Changes) != 1 || o.Changes[0].Field != "gpus" {
		t.Errorf("a node with another image: %+v", o)
	}
	k.operator = "v27.0.0"
	if o := observe(t, k); len(o.Changes) != 1 {
		t.Errorf("another operator: %+v", o)
	}
}

func TestCheckOfAPoolAtZero(t *testing.T) {
	c := newFakeCluster(t)
	k := c.check(pool(0))
	o := observe(t, k)
	if !o.Exists || len(o.Changes) > 0 || len(o.Notes) != 1 {
		t.Fatalf("observed %+v", o)
	}
	if err := k.Apply(t.Context(), quiet); err != nil || c.writes() > 0 {
		t.Errorf("Apply: %v, %d writes", err, c.writes())
	}
	r, err := k.Verify(t.Context(), quiet)
	if err != nil || !r.OK() || !r.AtZero() || r.Smoke != nil {
		t.Errorf("Verify: %+v %v", r, err)
	}
	c.ready = false
	if o := observe(t, k); o.Exists || len(o.Changes) != 1 {
		t.Errorf("without a cluster: %+v", o)
	}
}

func TestCheckTellsStartingFromLacking(t *testing.T) {
	young := node("n2", offer(0, 0), age(time.Minute))
	c := newFakeCluster(t, node("n1"), young, daemonSet(devicePluginSet, tolerant))
	k := c.check(pool(1))
	if err := k.keepEvidence(t.Context(), inspector{client: c.client, now: time.Now}, fingerprint([]corev1.Node{*young}, k.operator, k.Image)); err != nil {
		t.Fatal(err)
	}
	if o := observe(t, k); len(o.Changes) > 0 || len(o.Notes) != 1 || o.Notes[0] != "n2 is starting" {
		t.Errorf("a node that the autoscaler just added: %+v", o)
	}
	c.now = time.Now().Add(time.Hour)
	o := observe(t, k)
	if len(o.Changes) != 1 || o.Changes[0].Field != "nodes.n2.gpus" || o.Changes[0].Live != 0 || o.Changes[0].Wanted != 8 {
		t.Errorf("an hour later: %+v", o)
	}
}

func TestCauses(t *testing.T) {
	crash := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: devicePluginSet + "-x1", Namespace: addons.GPUOperatorNamespace}, Spec: corev1.PodSpec{NodeName: "n1"},
		Status: corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{{Name: "toolkit-validation", RestartCount: 9,
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}}}}}
	running := corev1.Pod{ObjectMeta: crash.ObjectMeta, Spec: crash.Spec, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	notReady := func(n *corev1.Node) {
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse, Message: "cni plugin not initialized"}}
	}
	failed := map[string]any{"type": "Error", "status": "True", "reason": "ReconcileFailed", "message": "no such runtime class"}
	starting := map[string]any{"type": "Error", "status": "True", "reason": "OperandNotReady", "message": "states not ready"}
	tests := []struct {
		name     string
		node     *corev1.Node
		state    string
		error    any
		objects  []runtime.Object
		want     string
		hopeless bool
	}{
		{name: "not Ready", node: node("n1", offer(0, 0), notReady), want: "the node is not Ready: cni plugin not initialized"},
		{name: "no operator", node: node("n1", offer(0, 0)), want: "the GPU operator is not installed"},
		{name: "operator fails", node: node("n1", offer(0, 0)), state: "notReady", error: failed, want: "ReconcileFailed: no such runtime class", hopeless: true},
		{name: "operator starts", node: node("n1", offer(0, 0)), state: "notReady", error: starting, want: "has not made DaemonSet " + devicePluginSet + " (operator state: notReady): states not ready"},
		{name: "not discovered", node: node("n1", offer(0, 0), unlabelled(labelGPUPresent)), state: "ready",
			objects: []runtime.Object{daemonSet("gpu-operator-"+discoverySetSuffix, tolerant)}, want: "node feature discovery has not found the GPUs yet"},
		{name: "discovery repelled", node: node("n1", offer(0, 0), unlabelled(labelGPUPresent)), state: "ready",
			objects: []runtime.Object{daemonSet("gpu-operator-" + discoverySetSuffix)}, want: "does not tolerate the node's taint nvidia.com/gpu=present:NoSchedule", hopeless: true},
		{name: "plugin repelled", node: node("n1", offer(0, 0)), state: "ready",
			objects: []runtime.Object{daemonSet(devicePluginSet, corev1.Toleration{Key: "nvidia.com/gpu", Value: "other"})}, want: "DaemonSet " + devicePluginSet + " does not tolerate", hopeless: true},
		{name: "plugin kept off", node: node("n1", offer(0, 0), unlabelled(labelDeployPlugin)), state: "ready",
			objects: []runtime.Object{daemonSet(devicePluginSet, tolerant)}, want: "the device plugin is kept off this node"},
		{name: "plugin crashes", node: node("n1", offer(0, 0)), state: "notReady",
			objects: []runtime.Object{daemonSet(devicePluginSet, tolerant), &crash}, want: "pod " + crash.Name + ": CrashLoopBackOff: container toolkit-validation ended 9 times", hopeless: true},
		{name: "plugin runs", node: node("n1", offer(0, 0)), state: "ready",
			objects: []runtime.Object{daemonSet(devicePluginSet, tolerant), &running}, want: "has not reported them yet (operator state: ready); see pod " + running.Name},
		{name: "seven of eight", node: node("n1", offer(8, 7)), state: "ready",
			objects: []runtime.Object{daemonSet(devicePluginSet, tolerant), &running}, want: "7 of 8 GPUs are allocatable (capacity 8): a GPU is missing or unhealthy; see the logs of pod " + running.Name, hopeless: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newFakeCluster(t, append(tt.objects, tt.node)...)
			if tt.state != "" {
				c.policy(tt.state, tt.error)
			}
			k := c.check(pool(1))
			r, err := k.Report(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n := r.Nodes[0]
			if r.OK() || len(n.Problems) != 1 || !strings.Contains(n.Problems[0], tt.want) {
				t.Errorf("problems %q, want %q", n.Problems, tt.want)
			}
			if n.hopeless != tt.hopeless {
				t.Errorf("hopeless: %v", n.hopeless)
			}
		})
	}
}

func TestLabelsAndTaintsOfThePool(t *testing.T) {
	c := newFakeCluster(t, node("n1", unlabelled("accelerator"), func(n *corev1.Node) { n.Spec.Taints = nil }))
	r, err := c.check(pool(2)).Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(r.Problems(), "\n")
	want := "gpu-a100: 1 of at least 2 nodes are there\n" +
		"n1: labels.accelerator is missing; it should be nvidia-a100\n" +
		"n1: taints.nvidia.com/gpu is missing; it should be present:NoSchedule"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func relabelled(key, value string) nodeOption {
	return func(n *corev1.Node) { n.Labels[key] = value }
}

func TestWrongLabelsAreChangesOfTheirOwn(t *testing.T) {
	c := newFakeCluster(t, node("n1"))
	k := c.check(pool(1))
	if err := k.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	nodes := corev1.SchemeGroupVersion.WithResource("nodes")
	if err := c.client.Tracker().Update(nodes, node("n1", relabelled("accelerator", "none"), func(n *corev1.Node) { n.Spec.Taints[0].Value = "absent" }), ""); err != nil {
		t.Fatal(err)
	}
	o := observe(t, k)
	want := []engine.Change{
		{Field: "nodes.n1.labels.accelerator", Live: "none", Wanted: "nvidia-a100", Policy: engine.PolicyVerify},
		{Field: "nodes.n1.taints.nvidia.com/gpu", Live: "absent:NoSchedule", Wanted: "present:NoSchedule", Policy: engine.PolicyVerify},
	}
	if !slices.Equal(o.Changes, want) {
		t.Errorf("changes %+v", o.Changes)
	}
	c.client.ClearActions()
	var said []string
	err := k.Apply(t.Context(), func(format string, args ...any) {
		said = append(said, fmt.Sprintf(format, args...))
		if err := c.client.Tracker().Update(nodes, node("n1"), ""); err != nil { // as EKS does a little after a node group's update
			t.Error(err)
		}
	})
	if err != nil || c.writes() > 0 {
		t.Errorf("Apply: %v, %d writes; no smoke pod was due", err, c.writes())
	}
	if last := said[len(said)-1]; last != "1 of 1 node has 8 GPUs; proven before" {
		t.Errorf("said %q", said)
	}
	if o := observe(t, k); len(o.Changes) > 0 {
		t.Errorf("after: %+v", o.Changes)
	}
}

func TestWrongLabelThatNobodyMends(t *testing.T) {
	c := newFakeCluster(t, node("n1", unlabelled("accelerator")))
	k := c.check(pool(1))
	r, err := k.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var e *cloud.Error
	if err := k.failure(r); !errors.As(err, &e) || e.Message != "n1: labels.accelerator is missing; it should be nvidia-a100" ||
		!strings.Contains(e.Hint, "kubectl label node n1 accelerator=nvidia-a100 --overwrite") {
		t.Errorf("got %v, hint %q", err, e.Hint)
	}
}

// TestAnnouncedCheckIsMade: a plan has announced it, and a line must end it.
func TestAnnouncedCheckIsMade(t *testing.T) {
	c := newFakeCluster(t, node("n1"))
	k := c.check(pool(1))
	if err := k.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	nodes := corev1.SchemeGroupVersion.WithResource("nodes")
	for _, n := range []*corev1.Node{node("n1", relabelled("accelerator", "none")), node("n1")} {
		if err := c.client.Tracker().Update(nodes, n, ""); err != nil {
			t.Fatal(err)
		}
		if o := observe(t, k); len(o.Changes) != 1 {
			t.Errorf("changes %+v", o.Changes)
		}
	}
	c.client.ClearActions()
	if err := k.Apply(t.Context(), quiet); err != nil || c.writes() > 0 {
		t.Errorf("Apply: %v, %d writes", err, c.writes())
	}
	if o := observe(t, k); len(o.Changes) > 0 {
		t.Errorf("after: %+v", o.Changes)
	}
}

func TestMissingGPUsAreProvenAgain(t *testing.T) {
	c := newFakeCluster(t, node("n1"))
	k := c.check(pool(1))
	if err := k.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	nodes := corev1.SchemeGroupVersion.WithResource("nodes")
	if err := c.client.Tracker().Update(nodes, node("n1", offer(8, 7)), ""); err != nil {
		t.Fatal(err)
	}
	if o := observe(t, k); len(o.Changes) != 1 || o.Changes[0].Field != "nodes.n1.gpus" || !strings.HasPrefix(o.Changes[0].Hint, "7 of 8 GPUs are allocatable") {
		t.Errorf("changes %+v", o.Changes)
	}
	if err := c.client.Tracker().Update(nodes, node("n1"), ""); err != nil {
		t.Fatal(err)
	}
	c.client.ClearActions()
	if err := k.Apply(t.Context(), quiet); err != nil || c.writes() == 0 {
		t.Errorf("Apply: %v, %d writes", err, c.writes())
	}
}

func TestWords(t *testing.T) {
	for want, got := range map[string]string{
		"smoke pod succeeded on n1 in 4.2s":                 Smoke{State: SmokeSucceeded, Node: "n1", Seconds: 4.2}.String(),
		"smoke pod failed in 91.0s":                         Smoke{State: SmokeFailed, Message: "unschedulable", Seconds: 91}.String(),
		"smoke pod not run: pods use every GPU of the pool": Smoke{State: SmokeBusy, Message: "pods use every GPU of the pool"}.String(),
		"0 of 1 node has 1 GPU":                             haveGPUs(0, 1, 1),
		"1 of 2 nodes have 1 GPU":                           haveGPUs(1, 2, 1),
		"gpu: 0 of at least 1 node is there":                Report{Pool: "gpu", MinNodes: 1}.Problems()[0],
		"0 of at least 2 nodes are there":                   Report{Pool: "gpu", MinNodes: 2}.nodeProblems()[0],
		"1 GPU is allocatable, 8 GPUs are allocatable":      areGPUs(1) + " allocatable, " + areGPUs(8) + " allocatable",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNodesOnTheirWayOutDoNotCount(t *testing.T) {
	going := node("n2", offer(0, 0), func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: taintScaleDown, Effect: corev1.TaintEffectNoSchedule})
	})
	c := newFakeCluster(t, node("n1"), going)
	r, err := c.check(pool(1)).Report(t.Context())
	if err != nil || len(r.Nodes) != 1 || !r.OK() {
		t.Errorf("report %+v %v", r, err)
	}
}

func TestApplyWaitsUntilAllGPUsAreThere(t *testing.T) {
	c := newFakeCluster(t, node("n1"), node("n2", offer(0, 0), age(time.Second)))
	k := c.check(pool(2))
	var said []string
	err := k.Apply(t.Context(), func(format string, args ...any) {
		said = append(said, fmt.Sprintf(format, args...))
		if len(said) == 2 {
			if err := c.client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("nodes"), node("n2"), ""); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(said[0], "1 of 2 nodes have 8 GPUs (n2: 0 of 8 GPUs are allocatable") {
		t.Errorf("said %q", said)
	}
	if last := said[len(said)-1]; !strings.HasPrefix(last, "2 of 2 nodes have 8 GPUs; smoke pod succeeded on n1 in 0.") {
		t.Errorf("said at the end %q", last)
	}
}

func TestHopelessNodesEndTheWait(t *testing.T) {
	r := Report{Pool: "gpu-a100", Nodes: []NodeReport{{Name: "n1", Expected: 8, Capacity: 8, Allocatable: 7, Ready: true, Problems: []string{"x"}, hopeless: true}}}
	since := map[string]time.Time{}
	if lost(r, since) {
		t.Error("given up at first sight")
	}
	since["n1"] = time.Now().Add(-settleTime - time.Second)
	if !lost(r, since) {
		t.Error("not given up after the settle time")
	}
	r.Nodes[0].hopeless, r.Nodes[0].Allocatable = false, 0
	if lost(r, since) || len(since) > 0 {
		t.Error("a cause that went away is still held against the node")
	}
}

func TestSmokePodFailureIsToldAndCleanedUp(t *testing.T) {
	c := newFakeCluster(t, node("n1"))
	c.podPhase = func(p *corev1.Pod) {
		p.Status.Phase = corev1.PodFailed
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 9, Reason: "Error"}}}}
	}
	k := c.check(pool(1))
	err := k.Apply(t.Context(), quiet)
	var e *cloud.Error
	if !errors.As(err, &e) || !strings.Contains(e.Message, "nvidia-smi ended with exit code 9 on n1") || e.Hint == "" {
		t.Fatalf("got %v", err)
	}
	if c.left() != "" {
		t.Errorf("left %s", c.left())
	}
	r, err := k.Verify(t.Context(), quiet)
	if err != nil || r.OK() || r.Smoke.State != SmokeFailed {
		t.Errorf("Verify: %+v %v", r.Smoke, err)
	}
}

func TestSmokePodIsRemovedWhenInterrupted(t *testing.T) {
	c := newFakeCluster(t, node("n1"))
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupted by the user")
	c.podPhase = func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning }
	k := c.check(pool(1))
	err := k.Apply(ctx, func(string, ...any) { cancel(stop) })
	if !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
	if c.left() != "" {
		t.Errorf("left %s", c.left())
	}
}

func TestSmokePodOfAKilledRunIsReplaced(t *testing.T) {
	p := pool(1)
	c := newFakeCluster(t, node("n1"), smokePod("demo", &p, SmokeImage))
	if err := c.check(p).Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
}

// gpuUser is a pod that uses all GPUs of a node.
func gpuUser(node string, phase corev1.PodPhase) *corev1.Pod {
	eight := corev1.ResourceList{ResourceName: resource.MustParse("8")}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "vllm", Namespace: "team"}, Status: corev1.PodStatus{Phase: phase},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: eight}}}},
	}
}

func TestAllGPUsInUseIsProofEnough(t *testing.T) {
	for _, phase := range []corev1.PodPhase{corev1.PodRunning, corev1.PodPending} { // a replica that copies its weights is pending
		c := newFakeCluster(t, node("n1"), gpuUser("n1", phase))
		r, err := c.check(pool(1)).Verify(t.Context(), quiet)
		if err != nil || !r.OK() || r.Smoke.State != SmokeBusy || c.writes() > 0 {
			t.Errorf("%s: report %+v %v, %d writes: a pod that cannot run could make a pool grow", phase, r.Smoke, err, c.writes())
		}
	}

	// Somebody takes them while the smoke pod waits.
	c := newFakeCluster(t, node("n1"))
	c.podPhase = func(p *corev1.Pod) {
		if p.Annotations[scaleUpDelay] == "" {
			t.Error("the cluster autoscaler would start a node for a smoke pod")
		}
		if err := c.client.Tracker().Add(gpuUser("n1", corev1.PodRunning)); err != nil {
			t.Error(err)
		}
		p.Spec.NodeName = ""
		p.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
			Reason: corev1.PodReasonUnschedulable, Message: "0/4 nodes are available: 1 Insufficient nvidia.com/gpu."}}}
	}
	r, err := c.check(pool(1)).Verify(t.Context(), quiet)
	if err != nil || !r.OK() || r.Smoke.State != SmokeBusy {
		t.Errorf("report %+v %v", r.Smoke, err)
	}
}

func TestSmokeLogIsReported(t *testing.T) {
	c := newFakeCluster(t, node("n1"))
	r, err := c.check(pool(1)).Verify(t.Context(), quiet)
	if err != nil || r.Smoke.State != SmokeSucceeded || r.Smoke.Log != "fake logs" /* what client-go's fake answers */ || r.Smoke.Node != "n1" {
		t.Errorf("smoke %+v %v", r.Smoke, err)
	}
}

func TestNames(t *testing.T) {
	if got := objectName("aicluster-verified", "GPU_a100"); got != "aicluster-verified-gpu-a100" {
		t.Error(got)
	}
}
