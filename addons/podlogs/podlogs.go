// Package podlogs reads the logs of several pods side by side and, when it follows
// them, of the pods that come while it does.
package podlogs

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"aicluster/addons/doctor"
)

// Options say which lines are wanted.
type Options struct {
	Namespace string
	Selector  string // of pods
	Container string
	Follow    bool
	Previous  bool          // of the container's previous life
	Tail      int64         // the last so many of each pod that is there at first; negative: all
	Since     time.Duration // not older than that; zero: any
}

// Line is one line that a container wrote.
type Line struct {
	Pod       string `json:"pod"`
	Container string `json:"container"`
	Text      string `json:"line"`
}

// Sink takes what is read; its methods are not called at the same time.
type Sink struct {
	Line func(Line)
	// Note tells why there is nothing to read of a pod.
	Note func(string)
}

// ErrNothing tells that no pod had a log; what is wrong was noted.
var ErrNothing = errors.New("there are no logs")

// lookInterval is how often followed pods are looked at: whether there are new ones,
// and whether those that did not run do now.
const lookInterval = time.Second

// Read writes the logs of the pods to the sink. Following ends with ctx only.
func Read(ctx context.Context, client kubernetes.Interface, o Options, sink Sink) error {
	r := &reader{client: client, options: o, sink: sink, runs: map[string]*run{}, noted: map[string]string{}}
	if !o.Follow {
		return r.once(ctx)
	}
	return r.follow(ctx)
}

type reader struct {
	client  kubernetes.Interface
	options Options
	noted   map[string]string // by pod

	mu   sync.Mutex // of the sink and of runs
	sink Sink
	runs map[string]*run // that are read or were, by pod and restart
}

// once reads pod after pod, as kubectl does.
func (r *reader) once(ctx context.Context) error {
	pods, err := r.pods(ctx)
	if err != nil {
		return err
	}
	some := false
	for i := range pods {
		if why := r.silent(&pods[i]); why != "" {
			r.note(pods[i].Name, why)
			continue
		}
		if err := r.stream(ctx, pods[i].Name, r.options.Tail, time.Time{}); err != nil {
			r.note(pods[i].Name, err.Error())
			continue
		}
		some = true
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !some:
		return ErrNothing
	}
	return nil
}

// follow reads all pods at once, looks for further ones, and for containers that
// were started anew.
func (r *reader) follow(ctx context.Context) error {
	var streams sync.WaitGroup
	defer streams.Wait()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	tail := r.options.Tail
	for failures := 0; ; {
		pods, err := r.pods(ctx)
		if failures++; err == nil {
			failures = 0
		}
		if failures > maxFailures && ctx.Err() == nil {
			return err
		}
		for i := range pods {
			r.begin(ctx, &pods[i], tail, &streams)
		}
		if err == nil {
			tail = -1 // what comes later is new from its first line on
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// maxFailures is how many lists in a row may fail before following gives up.
const maxFailures = 10

// run is one life of a container that is followed.
type run struct {
	reading bool
	until   time.Time // what was written by then is read
}

// begin follows a pod's container, once for each of its runs; if the connection
// ended before the run did, from there on.
func (r *reader) begin(ctx context.Context, pod *corev1.Pod, tail int64, streams *sync.WaitGroup) {
	if why := r.silent(pod); why != "" {
		r.note(pod.Name, why)
		return
	}
	key := fmt.Sprintf("%s/%d", pod.UID, restarts(pod, r.options.Container))
	c := status(pod, r.options.Container)
	r.mu.Lock()
	defer r.mu.Unlock()
	life := r.runs[key]
	switch {
	case life == nil:
		life = &run{}
		r.runs[key] = life
	case life.reading || c == nil || c.State.Running == nil:
		return
	default:
		tail = -1
	}
	life.reading = true
	delete(r.noted, pod.Name)
	name, since := pod.Name, life.until
	streams.Go(func() {
		err := r.stream(ctx, name, tail, since)
		r.mu.Lock()
		defer r.mu.Unlock()
		life.reading, life.until = false, time.Now()
		if err != nil && ctx.Err() == nil {
			r.sink.Note(fmt.Sprintf("pod %s: %v", name, err))
		}
	})
}

// pods are those of the selector, by age.
func (r *reader) pods(ctx context.Context) ([]corev1.Pod, error) {
	list, err := r.client.CoreV1().Pods(r.options.Namespace).List(ctx, metav1.ListOptions{LabelSelector: r.options.Selector})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	return list.Items, nil
}

// silent says why a pod has no log of the container; empty if it has one.
func (r *reader) silent(pod *corev1.Pod) string {
	name := r.options.Container
	var all []string
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		all = append(all, c.Name)
	}
	if !slices.Contains(all, name) {
		return "it has no container " + name + ", but " + strings.Join(all, ", ")
	}
	c := status(pod, name)
	switch {
	case r.options.Previous && (c == nil || c.LastTerminationState.Terminated == nil):
		return "container " + name + " has not ended yet: there is no previous log"
	case r.options.Previous, c != nil && (c.State.Running != nil || c.State.Terminated != nil || c.LastTerminationState.Terminated != nil):
		return ""
	}
	if f, sick := doctor.Explain(pod); sick {
		return "no logs yet: " + f.Message
	}
	for _, i := range pod.Status.InitContainerStatuses {
		if i.State.Running != nil && i.Name != name {
			return "no logs yet: init container " + i.Name + " runs (-c " + i.Name + " shows what it does)"
		}
	}
	if c != nil && c.State.Waiting != nil {
		return "no logs yet: " + c.State.Waiting.Reason
	}
	return "no logs yet: the pod is " + string(pod.Status.Phase)
}

func status(pod *corev1.Pod, container string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range list {
			if list[i].Name == container {
				return &list[i]
			}
		}
	}
	return nil
}

func restarts(pod *corev1.Pod, container string) int32 {
	if c := status(pod, container); c != nil {
		return c.RestartCount
	}
	return 0
}

// note tells something of a pod, once until it changes.
func (r *reader) note(pod, text string) {
	if r.noted[pod] == text {
		return
	}
	r.noted[pod] = text
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sink.Note("pod " + pod + ": " + text)
}

// stream reads one log to its end: its last lines, or those since a time.
func (r *reader) stream(ctx context.Context, pod string, tail int64, since time.Time) error {
	o := &corev1.PodLogOptions{Container: r.options.Container, Follow: r.options.Follow, Previous: r.options.Previous}
	if tail >= 0 {
		o.TailLines = &tail
	}
	switch {
	case !since.IsZero():
		o.SinceTime = &metav1.Time{Time: since}
	case r.options.Since > 0:
		seconds := max(int64(r.options.Since/time.Second), 1) // the API counts whole seconds from one on
		o.SinceSeconds = &seconds
	}
	body, err := r.client.CoreV1().Pods(r.options.Namespace).GetLogs(pod, o).Stream(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewReader(body)
	for {
		text, err := lines.ReadString('\n')
		if text != "" {
			r.mu.Lock()
			r.sink.Line(Line{Pod: pod, Container: r.options.Container, Text: strings.TrimRight(text, "\r\n")})
			r.mu.Unlock()
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
