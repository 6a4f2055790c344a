package controllers

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	batchlisters "k8s.io/client-go/listers/batch/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"aicluster/e2e/localcloud/clock"
)

// hookAnnotation names the hooks that an object of a chart is (Helm's docs, "Chart Hooks").
const hookAnnotation = "helm.sh/hook"

// hooks makes the pods of Helm hooks fail, or go on for ever.
type hooks struct {
	client kubernetes.Interface
	wrong  func(release, hook string) (fails, hangs bool)
	worker *worker
	pods   corelisters.PodLister
	jobs   batchlisters.JobLister

	clock   *clock.Clock
	crashes map[types.UID]crashes // of the worker's goroutine
}

// crashes are those of a pod's container.
type crashes struct {
	restarts int32
	next     time.Time
}

func newHooks(o Options, client kubernetes.Interface, factory informers.SharedInformerFactory) (*hooks, error) {
	h := &hooks{client: client, clock: o.Clock, crashes: map[types.UID]crashes{}, wrong: o.HookFails, pods: factory.Core().V1().Pods().Lister(), jobs: factory.Batch().V1().Jobs().Lister()}
	h.worker = newWorker("hooks", h.sync)
	if h.wrong == nil {
		h.wrong = func(string, string) (bool, bool) { return false, false }
	}
	return h, on(factory.Core().V1().Pods().Informer(), func(p *corev1.Pod) {
		if p.Spec.RestartPolicy != corev1.RestartPolicyAlways {
			h.worker.queue.Add(p.Namespace + "/" + p.Name)
		}
	})
}

func (h *hooks) run(ctx context.Context) { h.worker.run(ctx) }

func (h *hooks) sync(ctx context.Context, key string) (time.Duration, error) {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return 0, err
	}
	pod, err := h.pods.Pods(namespace).Get(name)
	if err != nil {
		return 0, ignoreNotFound(err)
	}
	if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		return 0, nil
	}
	limit, annotations := int32(6), pod.Annotations
	if owner := metav1.GetControllerOf(pod); owner != nil && owner.Kind == "Job" {
		job, err := h.jobs.Jobs(namespace).Get(owner.Name)
		if err != nil {
			return 10 * time.Millisecond, ignoreNotFound(err) // not in the cache yet
		}
		annotations, limit = job.Annotations, backoff(job)
	}
	for hook := range strings.SplitSeq(annotations[hookAnnotation], ",") {
		if hook == "" {
			continue
		}
		fails, hangs := h.wrong(pod.Labels["app.kubernetes.io/instance"], strings.TrimSpace(hook))
		switch {
		case fails && pod.Spec.RestartPolicy == corev1.RestartPolicyNever:
			return 0, h.show(ctx, pod, corev1.PodFailed, corev1.ContainerState{Terminated: ended()}, 0)
		case fails:
			restarts, again := h.crash(pod.UID, limit)
			waits := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: crashLoop, Message: "back-off restarting failed container"}}
			return again, h.show(ctx, pod, corev1.PodRunning, waits, restarts)
		case hangs:
			return 0, h.show(ctx, pod, corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}, 0)
		}
	}
	return 0, nil
}

// crash counts how often a pod's container has ended by now, and says when it
// ends again: after 10 s, 20 s and so on to 5 minutes, as a kubelet backs off.
func (h *hooks) crash(pod types.UID, limit int32) (restarts int32, again time.Duration) {
	c := h.crashes[pod]
	if time.Now().After(c.next) && c.restarts < max(1, limit) {
		c.next = time.Now().Add(h.clock.Scale(min(10*time.Second<<c.restarts, 5*time.Minute)))
		c.restarts++
		h.crashes[pod] = c
	}
	return c.restarts, max(time.Until(c.next), 10*time.Millisecond)
}

// backoff is how often a Job's pod may fail.
func backoff(job *batchv1.Job) int32 {
	if job.Spec.BackoffLimit != nil {
		return *job.Spec.BackoffLimit
	}
	return 6
}

func ended() *corev1.ContainerStateTerminated {
	return &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", StartedAt: metav1.Now(), FinishedAt: metav1.Now()}
}

// show posts a status that is not Ready, so that the played kubelet, which ends
// pods that are, has nothing more to do with the pod. It names the version that
// it is for: a kubelet may be at work on the pod.
func (h *hooks) show(ctx context.Context, pod *corev1.Pod, phase corev1.PodPhase, state corev1.ContainerState, restarts int32) error {
	if s := pod.Status.ContainerStatuses; pod.Status.Phase == phase && len(s) > 0 && s[0].RestartCount == restarts {
		return nil
	}
	status := corev1.ContainerStatus{Name: pod.Spec.Containers[0].Name, Image: pod.Spec.Containers[0].Image, State: state, RestartCount: restarts}
	if restarts > 0 {
		status.LastTerminationState.Terminated = ended()
	}
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": pod.ResourceVersion},
		"status": map[string]any{
			"phase": phase, "containerStatuses": []corev1.ContainerStatus{status},
			"conditions": []corev1.PodCondition{
				podCondition(corev1.PodReadyToStartContainers, true, ""), podCondition(corev1.PodInitialized, true, ""),
				podCondition(corev1.PodReady, false, "ContainersNotReady"), podCondition(corev1.ContainersReady, false, "ContainersNotReady"),
			},
		},
	})
	if err != nil {
		return err
	}
	_, err = h.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status")
	return ignoreNotFound(err)
}
