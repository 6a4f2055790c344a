package addons

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/kube"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/kubernetes/fake"
)

// info is an object as Helm holds it.
func info(kind, name string, o runtime.Object) *resource.Info {
	gvk := schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: kind}
	if kind == "Job" {
		gvk.Group = "batch"
	}
	o.GetObjectKind().SetGroupVersionKind(gvk)
	return &resource.Info{Namespace: "apps", Name: name, Object: o, Mapping: &meta.RESTMapping{GroupVersionKind: gvk}}
}

func daemonSet(ready int32) *appsv1.DaemonSet {
	none := intstr.FromInt32(0)
	return &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: "agent", Namespace: "apps", Generation: 1},
		Spec: appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "agent"}},
			UpdateStrategy: appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType, RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: &none}}},
		Status: appsv1.DaemonSetStatus{ObservedGeneration: 1, DesiredNumberScheduled: 1, UpdatedNumberScheduled: 1, NumberReady: ready},
	}
}

func crashing(restarts int32) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "agent-x", Namespace: "apps", Labels: map[string]string{"app": "agent"}},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "main", RestartCount: restarts,
			State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: "no config"}}}}}}
}

func newWaiter(ctx context.Context, client *fake.Clientset, said *phrases) *waiter {
	return &waiter{Client: &kube.Client{Log: quiet}, ctx: ctx, client: client, progress: said.add}
}

func TestWaitEndsWhenReady(t *testing.T) {
	set, unready := daemonSet(1), daemonSet(0)
	client := fake.NewClientset(unready, crashing(1))
	var said phrases
	w := newWaiter(t.Context(), client, &said)
	w.progress = func(format string, args ...any) {
		said.add(format, args...)
		if _, err := client.AppsV1().DaemonSets("apps").Update(t.Context(), set, metav1.UpdateOptions{}); err != nil {
			t.Error(err)
		}
	}
	if err := w.Wait(kube.ResourceList{info("DaemonSet", "agent", unready.DeepCopy())}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if want := "0 of 1 objects ready; waiting for DaemonSet agent: pod agent-x: CrashLoopBackOff: container main ended 1 times, last with exit code 1: no config"; !slices.Contains(said, want) {
		t.Errorf("said %q", said)
	}
}

func TestWaitNamesWhatIsNotReady(t *testing.T) {
	unready := daemonSet(0)
	var said phrases
	w := newWaiter(t.Context(), fake.NewClientset(unready, crashing(1)), &said)
	err := w.Wait(kube.ResourceList{info("DaemonSet", "agent", unready.DeepCopy())}, 0)
	if err == nil || !strings.Contains(err.Error(), "DaemonSet agent does not become ready: pod agent-x: CrashLoopBackOff") {
		t.Fatalf("got %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupted by the user")
	cancel(stop)
	w = newWaiter(ctx, fake.NewClientset(unready), &said)
	if err := w.Wait(kube.ResourceList{info("DaemonSet", "agent", unready.DeepCopy())}, time.Minute); !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
}

func TestStuckPodsEndAWait(t *testing.T) {
	troubles := newTroubles(fake.NewClientset(crashing(4)))
	objects := kube.ResourceList{info("DaemonSet", "agent", daemonSet(0))}
	if words, hopeless := troubles.look(t.Context(), objects); hopeless || words == "" {
		t.Fatalf("at first sight: %q %v", words, hopeless)
	}
	troubles.since["agent-x"] = time.Now().Add(-patience - time.Second)
	if _, hopeless := troubles.look(t.Context(), objects); !hopeless {
		t.Error("a pod that crashes for minutes is not given up")
	}
}

func TestHooks(t *testing.T) {
	job := func(kind batchv1.JobConditionType) *batchv1.Job {
		j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "init", Namespace: "apps"}}
		if kind != "" {
			j.Status.Conditions = []batchv1.JobCondition{{Type: kind, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded", Message: "it failed 7 times"}}
		}
		return j
	}
	for name, tt := range map[string]struct {
		job  *batchv1.Job
		want string
	}{
		"complete": {job(batchv1.JobComplete), ""},
		"failed":   {job(batchv1.JobFailed), "BackoffLimitExceeded: it failed 7 times"},
		"running":  {job(""), "the hook Job init does not end"},
	} {
		var said phrases
		w := newWaiter(t.Context(), fake.NewClientset(tt.job), &said)
		err := w.WatchUntilReady(kube.ResourceList{info("Job", "init", tt.job.DeepCopy())}, 0)
		if (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var said phrases
	w := newWaiter(t.Context(), fake.NewClientset(), &said)
	if err := w.WatchUntilReady(kube.ResourceList{info("Job", "gone", job(""))}, time.Minute); err != nil {
		t.Errorf("a job that its TTL removed: %v", err)
	}
}

// A Job with a time to live of zero is gone as soon as it has failed.
func TestFailedHookThatIsGone(t *testing.T) {
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "init", Namespace: "apps"}, Spec: batchv1.JobSpec{Selector: daemonSet(0).Spec.Selector}}
	client := fake.NewClientset(job, crashing(6))
	var said phrases
	w := newWaiter(t.Context(), client, &said)
	w.progress = func(string, ...any) {
		if err := client.BatchV1().Jobs("apps").Delete(t.Context(), "init", metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	}
	err := w.WatchUntilReady(kube.ResourceList{info("Job", "init", job.DeepCopy())}, time.Minute)
	if err == nil || !strings.Contains(err.Error(), "Job init has failed and is gone: pod agent-x: CrashLoopBackOff") {
		t.Error(err)
	}
}

func TestPlural(t *testing.T) {
	if got := plural(1, "volume") + ", " + plural(2, "volume"); got != "1 volume, 2 volumes" {
		t.Error(got)
	}
}
