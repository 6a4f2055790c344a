package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// restartsToStuck is how many restarts make a crash a habit; with Kubernetes'
// back-off of 10 s doubled each time they take about 150 seconds.
const restartsToStuck = 4

// Explain says what keeps a pod from running, from its own status alone; sick is
// false when nothing does.
func Explain(pod *corev1.Pod) (f Finding, sick bool) {
	var e Evidence
	return e.Pod(pod)
}

// Pod says what keeps a pod from working; sick is false when nothing does, as far
// as the evidence goes.
func (e *Evidence) Pod(pod *corev1.Pod) (f Finding, sick bool) {
	f = Finding{Resource: resource("pod", pod.Namespace, pod.Name), Severity: Error, kin: kin(pod)}
	if pod.Status.Phase == corev1.PodSucceeded {
		return f, false
	}
	for _, c := range statuses(pod) {
		if e.waiting(&f, pod, c) {
			return f, true
		}
	}
	if pod.Status.Phase == corev1.PodFailed {
		e.failed(&f, pod)
		return f, true
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			e.unscheduled(&f, pod, c)
			return f, true
		}
	}
	if e.Now.IsZero() {
		return f, false
	}
	return f, e.slow(&f, pod)
}

// waiting explains a container that Kubernetes does not start, or starts in vain.
func (e *Evidence) waiting(f *Finding, pod *corev1.Pod, c corev1.ContainerStatus) bool {
	w := c.State.Waiting
	if w == nil {
		return false
	}
	switch w.Reason {
	case "CrashLoopBackOff":
		f.Stuck = c.RestartCount >= restartsToStuck
		f.Message = fmt.Sprintf("%s: container %s ended %d times%s", w.Reason, c.Name, c.RestartCount, lastEnd(c))
		e.crashed(f, pod, c, c.LastTerminationState.Terminated)
	case "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull":
		f.Stuck = true
		f.Message = fmt.Sprintf("%s: container %s: %s", w.Reason, c.Name, w.Message)
		e.unpulled(f, pod, c)
	case "CreateContainerConfigError":
		f.Stuck = true
		f.Message = fmt.Sprintf("%s: container %s: %s", w.Reason, c.Name, w.Message)
		f.Reason, f.What = "ConfigMissing", "a Secret or ConfigMap that container "+c.Name+" takes settings from is missing"
		f.Next = "make it in namespace " + pod.Namespace + ", or take it out of the pod's env; the pod starts by itself then"
	case "CreateContainerError", "RunContainerError":
		f.Stuck = true
		f.Message = fmt.Sprintf("%s: container %s: %s", w.Reason, c.Name, w.Message)
		f.Reason, f.What = "ContainerNotStarted", "the container runtime does not start container "+c.Name
		f.Next = "read the runtime's words: a command that the image lacks, a mount that does not fit, or (NVIDIA's hook) a driver that the node does not have"
	default:
		return false
	}
	return true
}

// failed explains a pod that has ended for good.
func (e *Evidence) failed(f *Finding, pod *corev1.Pod) {
	f.Message = strings.TrimSuffix(strings.TrimSpace("Failed "+pod.Status.Reason)+": "+pod.Status.Message, ": ")
	f.Reason, f.What = "Failed", "the pod has failed"
	f.Next = "read why: kubectl -n " + pod.Namespace + " describe pod " + pod.Name
	switch pod.Status.Reason {
	case "Evicted":
		f.Reason, f.What = "Evicted", "the kubelet evicted the pod, since its node was short of something"
		f.Next = "give the pod requests as large as its use, or a larger disk (rootVolume.sizeGiB, localStorage); " + leftover(pod)
		f.Severity = Warning
		return
	case "UnexpectedAdmissionError", "NodeAffinity", "OutOfcpu", "OutOfmemory", "OutOfpods":
		f.Reason, f.What = "NotAdmitted", "the kubelet did not admit the pod"
		f.Next = "its controller makes another; if that goes on, restart the device plugin's pod on the node, or replace the node; " + leftover(pod)
		f.Severity = Warning
		return
	}
	for _, c := range statuses(pod) {
		if end := c.State.Terminated; end != nil && end.ExitCode != 0 {
			f.Message = strings.TrimSpace(fmt.Sprintf("Failed %s: container %s ended with exit code %d: %s %s", pod.Status.Reason, c.Name, end.ExitCode, end.Reason, end.Message))
			e.crashed(f, pod, c, end)
			return
		}
	}
}

// leftover is how a pod goes that its controller has replaced.
func leftover(pod *corev1.Pod) string {
	return "what is left of this one goes with: kubectl -n " + pod.Namespace + " delete pod " + pod.Name
}

// lastEnd says how a container ended the last time.
func lastEnd(c corev1.ContainerStatus) string {
	end := c.LastTerminationState.Terminated
	if end == nil {
		return ""
	}
	s := fmt.Sprintf(", last with exit code %d", end.ExitCode)
	if end.Reason != "" && end.Reason != "Error" && end.Reason != "Completed" {
		s += " (" + end.Reason + ")"
	}
	if end.Message != "" {
		s += ": " + end.Message
	}
	return s
}

// statuses are those of a pod's containers, in the order in which they start.
func statuses(pod *corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
}

// spec is a container of a pod by its name; an empty one if there is none.
func spec(pod *corev1.Pod, name string) corev1.Container {
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if c.Name == name {
			return c
		}
	}
	return corev1.Container{Name: name}
}

// restarts is how often the pod's containers were started anew.
func restarts(pod *corev1.Pod) int32 {
	var n int32
	for _, c := range statuses(pod) {
		n += c.RestartCount
	}
	return n
}

// kin is what a pod's controller makes: of pods that differ in nothing but their
// name one explanation is enough.
func kin(pod *corev1.Pod) string {
	if owner := metav1.GetControllerOf(pod); owner != nil {
		return pod.Namespace + "/" + owner.Kind + "/" + owner.Name
	}
	return ""
}

// Labels by which the pods of the blueprint's services are known.
const (
	labelInstance  = "app.kubernetes.io/instance"
	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "aicluster"
)

// service is the blueprint's service that a pod belongs to, or empty.
func service(labels map[string]string) string {
	if labels[labelManagedBy] != managedBy {
		return ""
	}
	return labels[labelInstance]
}

// mend says where to change something about a pod: in the blueprint if that is
// where the pod comes from.
func mend(pod *corev1.Pod, inBlueprint, inPod string) string {
	if name := service(pod.Labels); name != "" {
		return inBlueprint + " of service " + name + " in the blueprint, then run 'aicluster up'"
	}
	return inPod + " of " + workload(pod)
}

// workload names what a pod comes from, as kubectl takes it.
func workload(pod *corev1.Pod) string {
	owner := metav1.GetControllerOf(pod)
	switch {
	case owner == nil:
		return "pod " + pod.Name
	case owner.Kind == "ReplicaSet":
		if hash := pod.Labels["pod-template-hash"]; hash != "" {
			return "deployment " + strings.TrimSuffix(owner.Name, "-"+hash)
		}
	}
	return strings.ToLower(owner.Kind) + " " + owner.Name
}

// unhealthySince is since when a pod is not ready.
func unhealthySince(pod *corev1.Pod) time.Time {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionFalse && !c.LastTransitionTime.IsZero() {
			return c.LastTransitionTime.Time
		}
	}
	return pod.CreationTimestamp.Time
}

func ready(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
