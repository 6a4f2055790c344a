package serving

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	dynfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// fakeCluster is a control plane of version 1.35.
type fakeCluster struct{}

func (fakeCluster) ID() string               { return "cluster/ai-serving" }
func (fakeCluster) Needs() []engine.Resource { return nil }
func (fakeCluster) Name() string             { return "ai-serving" }
func (fakeCluster) Exists() bool             { return true }
func (fakeCluster) Ready() bool              { return true }
func (fakeCluster) Version() string          { return "1.35" }
func (fakeCluster) RESTConfig() (*rest.Config, error) {
	return nil, errors.New("a fake has no API server")
}
func (fakeCluster) Observe(context.Context) (engine.Observation, error) {
	return engine.Observation{}, nil
}
func (fakeCluster) Apply(context.Context, engine.Progress) error  { return nil }
func (fakeCluster) Delete(context.Context, engine.Progress) error { return nil }

// rolling is a cluster on which the service llama, of two replicas, is being rolled
// out: its Deployment, the ReplicaSets of its last two states, and pods.
func rolling(pods ...*corev1.Pod) connection {
	selector := map[string]string{labelName: "vllm", labelInstance: "llama"}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "llama", Namespace: Namespace, UID: "d", Generation: 2, Annotations: map[string]string{revision: "2"}},
		Spec:       appsv1.DeploymentSpec{Replicas: new(int32(2)), Selector: &metav1.LabelSelector{MatchLabels: selector}},
		Status:     appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 1},
	}
	objects := []runtime.Object{d}
	for _, r := range []string{"1", "2"} {
		objects = append(objects, &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "llama-" + r, Namespace: Namespace, UID: "r" + types.UID(r),
			Labels: selector, Annotations: map[string]string{revision: r}, OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))}}})
	}
	for _, p := range pods {
		p.Labels = map[string]string{labelName: "vllm", labelInstance: "llama", labelManagedBy: FieldManager}
		objects = append(objects, p)
	}
	kinds := map[schema.GroupVersionResource]string{}
	for _, k := range []string{"gatewayclasses", "gateways", "httproutes"} {
		kinds[schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: k}] = "List"
	}
	for _, k := range []string{"clusterissuers", "certificates"} {
		kinds[schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: k}] = "List"
	}
	kinds[schema.GroupVersionResource{Group: "acme.cert-manager.io", Version: "v1", Resource: "challenges"}] = "List"
	return connection{client: fake.NewClientset(objects...), dyn: dynfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds)}
}

// pod is one of the ReplicaSet of a state.
func pod(name, state string, status corev1.PodStatus) *corev1.Pod {
	set := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "llama-" + state, UID: "r" + types.UID(state)}}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: Namespace,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))}},
		Spec: corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: ContainerName}}}, Status: status}
	for _, c := range status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			p.Spec.NodeName = ""
		}
	}
	return p
}

func waiting(reason, message string) corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{Name: ContainerName,
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}}
}

func ended(reason string, code, restarts int32) corev1.PodStatus {
	s := waiting("CrashLoopBackOff", "back-off")
	s.ContainerStatuses[0].RestartCount = restarts
	s.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code}
	return s
}

func homeless() corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
		Reason: corev1.PodReasonUnschedulable, Message: "0/4 nodes are available: 1 Insufficient nvidia.com/gpu."}}}
}

// TestWaitGivesUp: the first cause that waiting does not heal ends a wait, after the
// time that it takes to believe it, and is told with what to do.
func TestWaitGivesUp(t *testing.T) {
	going := pod("old", "1", corev1.PodStatus{Phase: corev1.PodRunning})
	going.DeletionTimestamp, going.Finalizers = &metav1.Time{Time: time.Unix(1, 0)}, []string{"test/going"}
	full := func(b *blueprints.Blueprint) { b.Pool("gpu-a100").Nodes.Max = 0 }
	alone := func(b *blueprints.Blueprint) { b.Addons.Autoscaler, b.Addons.ClusterAutoscaler = "", nil }
	for _, test := range []struct {
		name   string
		change func(*blueprints.Blueprint)
		pods   []*corev1.Pod
		after  time.Duration // about when it gives up
		want   []string      // in the message and the hint
	}{
		{"an image that is not there", nil, []*corev1.Pod{pod("new", "2", waiting("ImagePullBackOff", "not found"))}, stuckPatience,
			[]string{"1 of 2 replicas ready", "pod new: ImagePullBackOff", "not found"}},
		{"a crash, once more", nil, []*corev1.Pod{pod("new", "2", ended("Error", 1, crashes))}, 0,
			[]string{"pod new: CrashLoopBackOff", "exit code 1", "fake logs", "aicluster logs llama"}},
		{"out of memory, at once", nil, []*corev1.Pod{pod("new", "2", ended("OOMKilled", 137, 1))}, 0, []string{"OOMKilled", "raise resources.limits.memory"}},
		{"no room and no autoscaler", alone, []*corev1.Pod{pod("new", "2", homeless())}, schedulePatience, []string{"Insufficient nvidia.com/gpu"}},
		{"no room and all nodes that may be", full, []*corev1.Pod{pod("new", "2", homeless())}, schedulePatience, []string{"Insufficient nvidia.com/gpu"}},
		{"no room yet: an autoscaler", nil, []*corev1.Pod{pod("new", "2", homeless())}, 70 * time.Minute, []string{"after 1h10m", "Insufficient nvidia.com/gpu"}},
		{"no room yet: a replica ends", full, []*corev1.Pod{pod("new", "2", homeless()), going}, 70 * time.Minute, []string{"after 1h10m", "Insufficient nvidia.com/gpu"}},
		{"a first crash", nil, []*corev1.Pod{pod("new", "2", ended("Error", 1, 1))}, 70 * time.Minute, []string{"after 1h10m", "CrashLoopBackOff"}},
		{"what an older state did is no matter", nil, []*corev1.Pod{pod("old", "1", ended("Error", 1, 9))}, 70 * time.Minute, []string{"1 of 2 replicas ready after 1h10m"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := blueprint(t)
			if test.change != nil {
				test.change(b)
			}
			synctest.Test(t, func(t *testing.T) {
				s := New(fakeCluster{}, b, b.Serving[0], nil)
				start := time.Now()
				err := s.wait(t.Context(), rolling(test.pods...), func(string, ...any) {})
				var e *cloud.Error
				if !errors.As(err, &e) {
					t.Fatalf("the error is %v", err)
				}
				if took := time.Since(start); took < test.after || took > test.after+test.after/2+10*time.Second {
					t.Errorf("gave up after %s, wanted about %s", took, test.after)
				}
				for _, words := range test.want {
					if !strings.Contains(e.Message+" | "+e.Hint, words) {
						t.Errorf("%q is not in %q, hint %q", words, e.Message, e.Hint)
					}
				}
				if e.Hint == "" {
					t.Error("no hint")
				}
			})
		})
	}
}

// TestWaitEnds when the Deployment is what it should be, and says how far it is.
func TestWaitEnds(t *testing.T) {
	b := blueprint(t)
	c := rolling(pod("new", "2", corev1.PodStatus{Phase: corev1.PodPending, InitContainerStatuses: []corev1.ContainerStatus{
		{Name: loaderName, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}}))
	s := New(fakeCluster{}, b, b.Serving[0], nil)
	var said []string
	err := s.wait(t.Context(), c, func(format string, args ...any) {
		said = append(said, fmt.Sprintf(format, args...))
		d, err := c.client.AppsV1().Deployments(Namespace).Get(t.Context(), "llama", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		d.Status.AvailableReplicas = 2
		if _, err := c.client.AppsV1().Deployments(Namespace).UpdateStatus(t.Context(), d, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	})
	if err != nil || !slices.Equal(said, []string{"1 of 2 replicas ready: pod new copies the weights"}) {
		t.Errorf("%v, said %q", err, said)
	}
}

func TestLimitsGrowWithTheModel(t *testing.T) {
	for _, test := range []struct {
		gib   int64
		start time.Duration
	}{
		{0, 30 * time.Minute}, // not known
		{1, 15 * time.Minute},
		{16, 15 * time.Minute},
		{131, 35 * time.Minute},
		{750, 140 * time.Minute},
	} {
		f := Facts{ModelBytes: test.gib << 30}
		if got := StartLimit(f); got != test.start {
			t.Errorf("%d GiB: %s, want %s", test.gib, got, test.start)
		}
		if ReadyLimit(f) <= StartLimit(f) {
			t.Errorf("%d GiB: ready within %s", test.gib, ReadyLimit(f))
		}
	}
}
