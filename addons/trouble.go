package addons

import (
	"context"
	"fmt"
	"slices"
	"time"

	"helm.sh/helm/v3/pkg/kube"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// patience is how long a pod may be in a state that seldom heals before a wait
// gives up on it.
const patience = 2 * time.Minute

// Trouble is what keeps a pod from running, in Kubernetes' words.
type Trouble struct {
	Pod     string
	Reason  string // "CrashLoopBackOff", "Unschedulable"
	Message string
	// Stuck tells that the pod hardly gets out of it by itself: it crashes again
	// and again, or its image cannot be had.
	Stuck bool
}

func (t Trouble) String() string {
	s := fmt.Sprintf("pod %s: %s", t.Pod, t.Reason)
	if t.Message != "" {
		s += ": " + t.Message
	}
	return s
}

// restartsToStuck is how many restarts make a crash a habit; with Kubernetes'
// back-off of 10 s doubled each time they take about 150 seconds.
const restartsToStuck = 4

// PodTrouble says what keeps a pod from running; ok is false when nothing does.
func PodTrouble(pod *corev1.Pod) (t Trouble, ok bool) {
	t.Pod = pod.Name
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		w := c.State.Waiting
		if w == nil {
			continue
		}
		switch w.Reason {
		case "CrashLoopBackOff":
			t.Stuck = c.RestartCount >= restartsToStuck
			t.Reason, t.Message = w.Reason, fmt.Sprintf("container %s ended %d times%s", c.Name, c.RestartCount, lastEnd(c))
			return t, true
		case "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
			t.Stuck = true
			t.Reason, t.Message = w.Reason, fmt.Sprintf("container %s: %s", c.Name, w.Message)
			return t, true
		}
	}
	if pod.Status.Phase == corev1.PodFailed {
		t.Reason, t.Message = "Failed "+pod.Status.Reason, pod.Status.Message
		return t, true
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			t.Reason, t.Message = c.Reason, c.Message
			return t, true
		}
	}
	return t, false
}

// lastEnd says how a container ended the last time.
func lastEnd(c corev1.ContainerStatus) string {
	end := c.LastTerminationState.Terminated
	if end == nil {
		return ""
	}
	s := fmt.Sprintf(", last with exit code %d", end.ExitCode)
	if end.Message != "" {
		s += ": " + end.Message
	}
	return s
}

// troubles looks for the pods that hold up a wait, and remembers since when
// they are stuck.
type troubles struct {
	client kubernetes.Interface
	since  map[string]time.Time
	stuck  bool // as the pods were when there were any
}

func newTroubles(client kubernetes.Interface) *troubles {
	return &troubles{client: client, since: map[string]time.Time{}}
}

// look names one pod that keeps one of the objects from getting ready. hopeless
// tells that it has been stuck for too long. A cluster that does not answer has
// no troubles to tell.
func (t *troubles) look(ctx context.Context, objects kube.ResourceList) (words string, hopeless bool) {
	for _, object := range objects {
		selector, err := kube.SelectorsForObject(kube.AsVersioned(object))
		if err != nil {
			continue // not a kind that has pods
		}
		pods, err := t.client.CoreV1().Pods(object.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
		if err != nil {
			return "", false
		}
		for i := range pods.Items {
			trouble, ok := PodTrouble(&pods.Items[i])
			if !ok {
				delete(t.since, pods.Items[i].Name)
				t.stuck = false
				continue
			}
			if trouble.Stuck && t.stuckFor(trouble.Pod) > patience {
				t.stuck = true
				return trouble.String(), true
			}
			words, t.stuck = trouble.String(), trouble.Stuck
		}
	}
	return words, false
}

func (t *troubles) stuckFor(pod string) time.Duration {
	since, ok := t.since[pod]
	if !ok {
		t.since[pod] = time.Now()
		return 0
	}
	return time.Since(since)
}
