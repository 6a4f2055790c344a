package controllers

import (
	"context"
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// trouble is why a pod does not get ready. The zero value is no trouble.
type trouble struct {
	container string // the container that crashes, or
	init      string // the init container at which the pod stands
	crashes   bool   // rather than waits
	refused   string // why containerd does not start container; empty if it does
}

// when returns t if it is the case, else no trouble.
func (t trouble) when(is bool) trouble {
	if is {
		return t
	}
	return trouble{}
}

const (
	crashLoop    = "CrashLoopBackOff"
	initializing = "PodInitializing"
	refused      = "RunContainerError"
)

// showPod gives a pod the status of its trouble. Without trouble a pod that had
// some is handed back to its kubelet, which starts it.
//
// A real pod that waits in an init container is Pending. Here it is Running with
// nothing started, since the played kubelet would start a pending one; kubectl
// prints both as Init:0/1.
func showPod(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod, t trouble) error {
	was := shown(pod)
	if was == t || was == (trouble{}) && t == (trouble{}) {
		return nil
	}
	status := map[string]any{
		"phase":                 corev1.PodPending,
		"containerStatuses":     nil,
		"initContainerStatuses": nil,
		"conditions": []corev1.PodCondition{
			podCondition(corev1.PodReadyToStartContainers, false, ""),
			podCondition(corev1.PodInitialized, true, ""),
			podCondition(corev1.PodReady, false, "ContainersNotReady"),
			podCondition(corev1.ContainersReady, false, "ContainersNotReady"),
		},
	}
	if t != (trouble{}) {
		status = troubled(pod, t)
	}
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID}, // not a successor of the same name
		"status":   status,
	})
	if err != nil {
		return err
	}
	_, err = client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status")
	return ignoreNotFound(err)
}

// troubled is the status of a pod in trouble t.
func troubled(pod *corev1.Pod, t trouble) map[string]any {
	initialized := t.init == ""
	var inits, containers []corev1.ContainerStatus
	passed := true
	for _, c := range pod.Spec.InitContainers {
		s := corev1.ContainerStatus{Name: c.Name, Image: c.Image}
		switch {
		case c.Name == t.init:
			passed = false
			if t.crashes {
				s = crashing(c)
			} else {
				s.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.Now()}
			}
		case passed:
			s.Ready = true
			s.State.Terminated = &corev1.ContainerStateTerminated{Reason: "Completed", FinishedAt: metav1.Now(), StartedAt: metav1.Now()}
		default:
			s.State.Waiting = &corev1.ContainerStateWaiting{Reason: initializing}
		}
		inits = append(inits, s)
	}
	for _, c := range pod.Spec.Containers {
		s := corev1.ContainerStatus{Name: c.Name, Image: c.Image}
		if c.Name == t.container && t.refused != "" {
			s.State.Waiting = &corev1.ContainerStateWaiting{Reason: refused, Message: t.refused}
		} else if c.Name == t.container {
			s = crashing(c)
		} else {
			s.State.Waiting = &corev1.ContainerStateWaiting{Reason: initializing}
		}
		containers = append(containers, s)
	}
	reason := ""
	if !initialized {
		reason = "ContainersNotInitialized"
	}
	return map[string]any{
		"phase":                 corev1.PodRunning,
		"initContainerStatuses": inits,
		"containerStatuses":     containers,
		"conditions": []corev1.PodCondition{
			podCondition(corev1.PodReadyToStartContainers, true, ""),
			podCondition(corev1.PodInitialized, initialized, reason),
			podCondition(corev1.PodReady, false, "ContainersNotReady"),
			podCondition(corev1.ContainersReady, false, "ContainersNotReady"),
		},
	}
}

// crashing is the status of a container that has failed a few times already.
func crashing(c corev1.Container) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: c.Name, Image: c.Image, RestartCount: 3,
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
			Reason:  crashLoop,
			Message: "back-off 40s restarting failed container=" + c.Name,
		}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 1, Reason: "Error", StartedAt: metav1.NewTime(time.Now().Add(-5 * time.Second)), FinishedAt: metav1.Now(),
		}},
	}
}

// shown reads from a pod's status the trouble that showPod gave it.
func shown(pod *corev1.Pod) trouble {
	if pod.Status.Phase != corev1.PodRunning {
		return trouble{}
	}
	for _, s := range pod.Status.InitContainerStatuses {
		switch {
		case s.State.Waiting != nil && s.State.Waiting.Reason == crashLoop:
			return trouble{init: s.Name, crashes: true}
		case s.State.Running != nil:
			return trouble{init: s.Name}
		}
	}
	for _, s := range pod.Status.ContainerStatuses {
		if s.State.Waiting != nil && s.State.Waiting.Reason == refused {
			return trouble{container: s.Name, refused: s.State.Waiting.Message}
		}
		if s.State.Waiting != nil && s.State.Waiting.Reason == crashLoop {
			return trouble{container: s.Name, crashes: true}
		}
	}
	return trouble{}
}

func podCondition(kind corev1.PodConditionType, status bool, reason string) corev1.PodCondition {
	c := corev1.PodCondition{Type: kind, Status: corev1.ConditionFalse, Reason: reason, LastTransitionTime: metav1.Now()}
	if status {
		c.Status = corev1.ConditionTrue
	}
	return c
}

func podReady(pod *corev1.Pod) bool {
	if pod == nil || pod.DeletionTimestamp != nil {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
