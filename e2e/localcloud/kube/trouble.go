package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TroubleAnnotation on a pod says what its kubelet is to meet, as a [Trouble] in
// JSON: the played kubelets, in a process of their own, know of faults no other way.
const TroubleAnnotation = "localcloud/trouble"

// The kinds of trouble with a container.
const (
	TroublePull  = "imagePull" // its image cannot be had
	TroubleCrash = "crash"     // it ends with exit code 1 whenever it was started
	TroubleOOM   = "oom"       // the kernel ends it whenever it was started
)

// What a registry may say of an image besides that it is not there.
const (
	registryDenied  = "denied"
	registryTooMany = "tooMany"
)

// Trouble is what is wrong with a container of a pod.
type Trouble struct {
	Kind      string `json:"kind"`
	Container string `json:"container,omitempty"` // the first if empty
	Answers   string `json:"answers,omitempty"`   // of the registry: "denied", "tooMany", else not found
	Message   string `json:"message,omitempty"`   // the last lines that the container writes
}

// Annotation is the trouble as a value of [TroubleAnnotation].
func (t Trouble) Annotation() string {
	text, _ := json.Marshal(t) // texts only
	return string(text)
}

// missingTag is the tag that no image has, so that a pod of a mistyped image can be
// tried without a fault.
const missingTag = ":nosuch"

// troubleOf reads what a pod's kubelet is to meet.
func troubleOf(pod *corev1.Pod) (Trouble, bool) {
	var t Trouble
	if text := pod.Annotations[TroubleAnnotation]; text != "" && json.Unmarshal([]byte(text), &t) == nil {
		if t.Container == "" {
			t.Container = pod.Spec.Containers[0].Name
		}
		return t, true
	}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if strings.HasSuffix(c.Image, missingTag) {
			return Trouble{Kind: TroublePull, Container: c.Name}, true
		}
	}
	return t, false
}

// Of a container that ends again and again, and of an image that cannot be pulled:
// the first pause, which doubles, and the longest (kubelet, MaxContainerBackOff and
// backOffPeriod).
const (
	firstPause = 10 * time.Second
	lastPause  = 5 * time.Minute
)

// meet plays a pod's trouble one step further, and says when the next is due. It
// is busy with the pod as long as there is any; when it is over the pod is given
// back to what starts pods.
func (k *kubelets) meet(ctx context.Context, pod *corev1.Pod) (again time.Duration, busy bool, err error) {
	if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		return 0, false, nil
	}
	t, ok := troubleOf(pod)
	at := slices.IndexFunc(containers(pod), func(c corev1.Container) bool { return c.Name == t.Container })
	switch {
	case !ok || at < 0:
		again, busy = k.rests(pod)
		if !busy && troubled(pod) {
			return 0, true, k.admit(ctx, pod)
		}
		return again, busy, nil
	case t.Kind == TroublePull:
		again, err = k.refusePull(ctx, pod, containers(pod)[at], t)
	default:
		again, err = k.crash(ctx, pod, containers(pod)[at], t)
	}
	return again, true, err
}

// troubled tells that a pod was in trouble that is played here.
func troubled(pod *corev1.Pod) bool {
	return slices.ContainsFunc(statusesOf(pod), func(s corev1.ContainerStatus) bool {
		return crashedHere(s) || s.State.Waiting != nil && (s.State.Waiting.Reason == errImagePull || s.State.Waiting.Reason == imageBackOff)
	})
}

// rests is how long a container that crashed is left alone before the next start.
func (k *kubelets) rests(pod *corev1.Pod) (time.Duration, bool) {
	for _, s := range statusesOf(pod) {
		if crashedHere(s) {
			wait := time.Until(s.LastTerminationState.Terminated.FinishedAt.Add(k.clock.Scale(pause(s.RestartCount))))
			return max(wait, 0), wait > 0
		}
	}
	return 0, false
}

// crashedHere tells a crash that is played by annotation from one of a probe.
func crashedHere(s corev1.ContainerStatus) bool {
	end := s.LastTerminationState.Terminated
	return s.State.Waiting != nil && s.State.Waiting.Reason == crashLoop && end != nil && end.ContainerID == troubledID(s.Name)
}

// troubledID is the container id of a run that ended in played trouble.
func troubledID(name string) string { return "containerd://trouble-" + name }

const (
	errImagePull = "ErrImagePull"
	imageBackOff = "ImagePullBackOff"
	crashLoop    = "CrashLoopBackOff"
)

// refusePull: the kubelet tries to pull, waits, tries again.
func (k *kubelets) refusePull(ctx context.Context, pod *corev1.Pod, c corev1.Container, t Trouble) (time.Duration, error) {
	words := pullError(c.Image, t.Answers)
	was := ""
	for _, s := range statusesOf(pod) {
		if s.Name == c.Name && s.State.Waiting != nil {
			was = s.State.Waiting.Reason
		}
	}
	switch was {
	case imageBackOff:
		return 0, nil
	case errImagePull:
		if wait := k.clock.Scale(firstPause) - time.Since(readySince(pod)); wait > 0 {
			return wait, nil
		}
		k.event(ctx, pod, &c, corev1.EventTypeNormal, "BackOff", fmt.Sprintf("Back-off pulling image %q", c.Image))
		k.event(ctx, pod, &c, corev1.EventTypeWarning, "Failed", "Error: "+imageBackOff)
		waits := corev1.ContainerStateWaiting{Reason: imageBackOff, Message: fmt.Sprintf("Back-off pulling image %q: %s: %s", c.Image, errImagePull, words)}
		return 0, k.hold(ctx, pod, c, corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &waits}})
	}
	k.event(ctx, pod, &c, corev1.EventTypeNormal, "Pulling", fmt.Sprintf("Pulling image %q", c.Image))
	k.event(ctx, pod, &c, corev1.EventTypeWarning, "Failed", fmt.Sprintf("Failed to pull image %q: %s", c.Image, words))
	k.event(ctx, pod, &c, corev1.EventTypeWarning, "Failed", "Error: "+errImagePull)
	waits := corev1.ContainerStateWaiting{Reason: errImagePull, Message: words}
	return k.clock.Scale(firstPause), k.hold(ctx, pod, c, corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &waits}})
}

// pullError is what containerd 2 says of an image, with its registry's answer.
func pullError(image, answers string) string {
	ref := image
	if first, _, ok := strings.Cut(image, "/"); !ok || !strings.ContainsAny(first, ".:") { // Docker Hub is left out of names
		if ref = "docker.io/" + image; !ok {
			ref = "docker.io/library/" + image
		}
	}
	head := fmt.Sprintf("failed to pull and unpack image %q: failed to resolve reference %q: ", ref, ref)
	switch answers {
	case registryTooMany:
		host, path, _ := strings.Cut(ref, "/")
		return "rpc error: code = Unknown desc = " + head + fmt.Sprintf("unexpected status from HEAD request to https://%s/v2/%s: 429 Too Many Requests\ntoomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit", host, path)
	case registryDenied:
		return "rpc error: code = Unknown desc = " + head + "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed"
	}
	return "rpc error: code = NotFound desc = " + head + ref + ": not found"
}

// crash ends a container, and again when its pause is over. Pods that are not to be
// restarted fail.
func (k *kubelets) crash(ctx context.Context, pod *corev1.Pod, c corev1.Container, t Trouble) (time.Duration, error) {
	end := &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", StartedAt: metav1.Now(), FinishedAt: metav1.Now(), ContainerID: troubledID(c.Name)}
	if t.Kind == TroubleOOM {
		end.ExitCode, end.Reason = 137, "OOMKilled"
	}
	restarts := int32(0)
	for _, s := range statusesOf(pod) {
		if s.Name == c.Name {
			restarts = s.RestartCount
		}
	}
	if wait, rests := k.rests(pod); rests {
		return wait, nil
	}
	if pod.Spec.RestartPolicy == corev1.RestartPolicyNever {
		return 0, k.hold(ctx, pod, c, corev1.ContainerStatus{State: corev1.ContainerState{Terminated: end}})
	}
	restarts++
	wait := pause(restarts)
	waits := corev1.ContainerStateWaiting{Reason: crashLoop,
		Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)", wait, c.Name, pod.Name, pod.Namespace, pod.UID)}
	k.event(ctx, pod, &c, corev1.EventTypeWarning, "BackOff", fmt.Sprintf("Back-off restarting failed container %s in pod %s_%s(%s)", c.Name, pod.Name, pod.Namespace, pod.UID))
	return k.clock.Scale(wait), k.hold(ctx, pod, c, corev1.ContainerStatus{RestartCount: restarts,
		State: corev1.ContainerState{Waiting: &waits}, LastTerminationState: corev1.ContainerState{Terminated: end}})
}

// pause is how long the kubelet waits before the next start.
func pause(restarts int32) time.Duration {
	wait := firstPause
	for range min(max(restarts-1, 0), 10) {
		wait = min(2*wait, lastPause)
	}
	return wait
}

// hold posts a pod that does not get ready because of one container: those that
// start before it are done, those that start after it wait.
func (k *kubelets) hold(ctx context.Context, pod *corev1.Pod, c corev1.Container, s corev1.ContainerStatus) error {
	s.Name, s.Image, s.Started = c.Name, c.Image, new(false)
	isInit := slices.ContainsFunc(pod.Spec.InitContainers, func(i corev1.Container) bool { return i.Name == c.Name })
	var inits, mains []corev1.ContainerStatus
	reached := false
	for _, i := range pod.Spec.InitContainers {
		status := corev1.ContainerStatus{Name: i.Name, Image: i.Image}
		switch {
		case i.Name == c.Name:
			status, reached = s, true
		case reached:
			status.State.Waiting = &corev1.ContainerStateWaiting{Reason: "PodInitializing"}
		default:
			status.Ready = true
			status.State.Terminated = &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: metav1.Now(), FinishedAt: metav1.Now()}
		}
		inits = append(inits, status)
	}
	for _, m := range pod.Spec.Containers {
		status := corev1.ContainerStatus{Name: m.Name, Image: m.Image}
		switch {
		case m.Name == c.Name:
			status = s
		case isInit:
			status.State.Waiting = &corev1.ContainerStateWaiting{Reason: "PodInitializing"}
		default:
			status.Ready, status.Started = true, new(true)
			status.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.Now()}
		}
		mains = append(mains, status)
	}
	phase := corev1.PodRunning
	switch {
	case s.State.Terminated != nil:
		phase = corev1.PodFailed
	case isInit || slices.Contains([]string{errImagePull, imageBackOff}, s.State.Waiting.Reason) && len(mains) == 1:
		phase = corev1.PodPending
	}
	now := metav1.Now()
	condition := func(kind corev1.PodConditionType, ok bool, reason, message string) map[string]any {
		m := map[string]any{"type": kind, "status": corev1.ConditionTrue, "lastTransitionTime": now, "reason": nil, "message": nil}
		if !ok {
			m["status"], m["reason"], m["message"] = corev1.ConditionFalse, reason, message
		}
		return m
	}
	unready := fmt.Sprintf("containers with unready status: [%s]", c.Name)
	conditions := []map[string]any{
		condition(corev1.PodReadyToStartContainers, true, "", ""),
		condition(corev1.PodInitialized, !isInit, "ContainersNotInitialized", fmt.Sprintf("containers with incomplete status: [%s]", c.Name)),
		condition(corev1.PodReady, false, "ContainersNotReady", unready),
		condition(corev1.ContainersReady, false, "ContainersNotReady", unready),
	}
	if podCondition(pod, corev1.PodReadyToStartContainers) && !podCondition(pod, corev1.PodReady) { // unready as before
		for _, m := range conditions {
			delete(m, "lastTransitionTime")
		}
	}
	return k.patchStatus(ctx, k.client.CoreV1().RESTClient().Patch(types.StrategicMergePatchType).Namespace(pod.Namespace).Resource("pods").Name(pod.Name),
		pod.ResourceVersion, map[string]any{"phase": phase, "startTime": orNow(pod.Status.StartTime), "conditions": conditions,
			"initContainerStatuses": inits, "containerStatuses": mains})
}

func orNow(t *metav1.Time) metav1.Time {
	if t == nil {
		return metav1.Now()
	}
	return *t
}

// readySince is when the pod's sandbox was there.
func readySince(pod *corev1.Pod) time.Time {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReadyToStartContainers {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

func containers(pod *corev1.Pod) []corev1.Container {
	return slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers)
}

func statusesOf(pod *corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
}

// event tells what happened to a container. That it could not be told is no error.
func (k *kubelets) event(ctx context.Context, pod *corev1.Pod, c *corev1.Container, kind, reason, message string) {
	now := metav1.Now()
	k.client.CoreV1().Events(pod.Namespace).Create(ctx, &corev1.Event{ //nolint:errcheck // see above
		ObjectMeta: metav1.ObjectMeta{GenerateName: pod.Name + ".", Namespace: pod.Namespace},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, FieldPath: "spec.containers{" + c.Name + "}",
		},
		Type: kind, Reason: reason, Message: message, Count: 1, FirstTimestamp: now, LastTimestamp: now,
		Source: corev1.EventSource{Component: "kubelet", Host: pod.Spec.NodeName},
	}, metav1.CreateOptions{})
}
