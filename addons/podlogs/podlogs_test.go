package podlogs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// kubelets is an API server that knows pods and has their logs.
type kubelets struct {
	mu    sync.Mutex
	pods  []corev1.Pod
	logs  map[string]string // by pod
	asked []string          // queries of logs
}

func (k *kubelets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	const pods = "/api/v1/namespaces/ai-serving/pods"
	if r.URL.Path == pods {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: k.pods})
		return
	}
	name := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, pods+"/"), "/log")
	k.asked = append(k.asked, name+"?"+r.URL.RawQuery)
	if r.URL.Query().Get("sinceTime") == "" { // the connection ends here, and what is asked for again has been sent
		fmt.Fprint(w, k.logs[name])
	}
}

func (k *kubelets) add(p corev1.Pod, log string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pods = append(k.pods, p)
	k.logs[p.Name] = log
}

func pod(name string, age time.Duration, s corev1.ContainerStatus) corev1.Pod {
	s.Name = "vllm"
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ai-serving", UID: types.UID(name), CreationTimestamp: metav1.NewTime(time.Now().Add(-age))},
		Spec:       corev1.PodSpec{InitContainers: []corev1.Container{{Name: "model-loader"}}, Containers: []corev1.Container{{Name: "vllm"}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{s}},
	}
}

var (
	running = corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	pulling = corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "not found"}}}
	waiting = corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}}
	crashed = corev1.ContainerStatus{RestartCount: 3, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}}}
)

// loading is a pod whose init container runs.
func loading(name string) corev1.Pod {
	p := pod(name, time.Minute, waiting)
	p.Status.Phase = corev1.PodPending
	p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "model-loader", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	return p
}

// record is a sink that keeps everything, and can be waited on.
type record struct {
	mu    sync.Mutex
	lines []string
	notes []string
}

func (r *record) sink() Sink {
	return Sink{
		Line: func(l Line) { r.mu.Lock(); r.lines = append(r.lines, l.Pod+" "+l.Text); r.mu.Unlock() },
		Note: func(s string) { r.mu.Lock(); r.notes = append(r.notes, s); r.mu.Unlock() },
	}
}

func (r *record) all() (lines, notes []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines), slices.Clone(r.notes)
}

func client(t *testing.T, k *kubelets) kubernetes.Interface {
	t.Helper()
	server := httptest.NewServer(k)
	t.Cleanup(server.Close)
	c, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOnce(t *testing.T) {
	for _, tt := range []struct {
		name    string
		pods    []corev1.Pod
		options Options
		lines   []string
		notes   []string
		query   string
		err     error
	}{
		{name: "the oldest first", pods: []corev1.Pod{pod("b", time.Minute, running), pod("a", time.Second, running)}, options: Options{Tail: 10, Since: 90 * time.Second},
			lines: []string{"b one of b", "b two", "a one of a", "a two"}, query: "container=vllm&sinceSeconds=90&tailLines=10"},
		{name: "all lines", pods: []corev1.Pod{pod("a", 0, running)}, options: Options{Tail: -1}, lines: []string{"a one of a", "a two"}, query: "container=vllm"},
		{name: "the previous life", pods: []corev1.Pod{pod("a", 0, crashed)}, options: Options{Tail: -1, Previous: true}, lines: []string{"a one of a", "a two"}, query: "container=vllm&previous=true"},
		{name: "a crash loop shows its last life", pods: []corev1.Pod{pod("a", 0, crashed)}, options: Options{Tail: -1}, lines: []string{"a one of a", "a two"}},
		{name: "it never ended", pods: []corev1.Pod{pod("a", 0, running)}, options: Options{Previous: true}, notes: []string{"pod a: container vllm has not ended yet: there is no previous log"}, err: ErrNothing},
		{name: "one has none yet", pods: []corev1.Pod{pod("a", 0, running), pod("z", 0, pulling)}, options: Options{Tail: -1}, lines: []string{"a one of a", "a two"},
			notes: []string{"pod z: no logs yet: ImagePullBackOff: container vllm: not found"}},
		{name: "the weights are being copied", pods: []corev1.Pod{loading("a")}, notes: []string{"pod a: no logs yet: init container model-loader runs (-c model-loader shows what it does)"}, err: ErrNothing},
		{name: "the loader's log", pods: []corev1.Pod{loading("a")}, options: Options{Container: "model-loader", Tail: -1}, lines: []string{"a one of a", "a two"}},
		{name: "no such container", pods: []corev1.Pod{pod("a", 0, running)}, options: Options{Container: "vlm"}, notes: []string{"pod a: it has no container vlm, but model-loader, vllm"}, err: ErrNothing},
		{name: "no pods", err: ErrNothing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := &kubelets{logs: map[string]string{}}
			for _, p := range tt.pods {
				k.add(p, "one of "+p.Name+"\ntwo\n")
			}
			tt.options.Namespace = "ai-serving"
			if tt.options.Container == "" {
				tt.options.Container = "vllm"
			}
			var r record
			err := Read(t.Context(), client(t, k), tt.options, r.sink())
			if !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if lines, notes := r.all(); !slices.Equal(lines, tt.lines) || !slices.Equal(notes, tt.notes) {
				t.Errorf("lines %q, want %q\nnotes %q, want %q", lines, tt.lines, notes, tt.notes)
			}
			if tt.query != "" && !strings.HasSuffix(k.asked[0], "?"+tt.query) {
				t.Errorf("asked %q, want %q", k.asked[0], tt.query)
			}
		})
	}
}

// Following goes on with pods that come and with containers that are started anew,
// says once why there is nothing to read, and ends with its context.
func TestFollow(t *testing.T) {
	k := &kubelets{logs: map[string]string{}}
	k.add(pod("a", time.Hour, running), "old\n")
	k.add(loading("b"), "")
	ctx, stop := context.WithCancelCause(t.Context())
	var r record
	ended := make(chan error)
	go func() {
		ended <- Read(ctx, client(t, k), Options{Namespace: "ai-serving", Container: "vllm", Follow: true, Tail: 5}, r.sink())
	}()
	wait := func(line string) {
		t.Helper()
		for range 100 {
			if lines, _ := r.all(); slices.Contains(lines, line) {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		lines, notes := r.all()
		t.Fatalf("%q did not come; lines %q, notes %q", line, lines, notes)
	}
	wait("a old")
	k.add(pod("c", 0, running), "new\n")
	k.mu.Lock()
	k.pods[0].Status.ContainerStatuses[0].RestartCount = 1
	k.logs["a"] = "again\n"
	k.mu.Unlock()
	wait("c new")
	wait("a again")
	if !again(k, "a?container=vllm&follow=true&sinceTime=") {
		t.Errorf("a connection that ended was not made again: %q", k.asked)
	}
	stop(errors.New("interrupted"))
	if err := <-ended; err == nil || err.Error() != "interrupted" {
		t.Errorf("ended with %v", err)
	}
	lines, notes := r.all()
	if len(slices.Compact(slices.Sorted(slices.Values(lines)))) != 3 || len(notes) != 1 {
		t.Errorf("lines %q, notes %q", lines, notes)
	}
	asked := strings.Join(k.asked, " ")
	if !strings.Contains(asked, "a?container=vllm&follow=true&tailLines=5") || !strings.Contains(asked, "c?container=vllm&follow=true") || strings.Contains(asked, "c?container=vllm&follow=true&tailLines") {
		t.Errorf("asked %q", k.asked)
	}
}

// again waits until a log was asked for in a way.
func again(k *kubelets, query string) bool {
	for range 100 {
		k.mu.Lock()
		asked := strings.Join(k.asked, " ")
		k.mu.Unlock()
		if strings.Contains(asked, query) {
			return true
		}
		time.Sleep(50 * time.Millisecond)
	}
	return false
}
