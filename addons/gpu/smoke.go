package gpu

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"aicluster/addons"
	"aicluster/addons/doctor"
	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// SmokeImage is what a smoke pod runs; nvidia-smi itself comes from the node's
// driver. NVIDIA's registry has no pull limit, unlike Docker Hub.
const SmokeImage = "nvcr.io/nvidia/cuda:12.8.1-base-ubuntu24.04"

const (
	// smokeNamespace always exists, and policies seldom forbid pods there.
	smokeNamespace = "kube-system"
	smokeLimit     = 10 * time.Minute // the image has 90 MB
	stuckLimit     = 90 * time.Second
	cleanupLimit   = 30 * time.Second
	// scaleUpDelay is how long the cluster autoscaler waits with a node for a pod
	// (its FAQ, "How can I modify Cluster Autoscaler reaction time?").
	scaleUpDelay = "cluster-autoscaler.kubernetes.io/pod-scale-up-delay"
	logLines     = 40
	logBytes     = 8 << 10
)

// busyMessage says why a pool is not proven by a pod.
const busyMessage = "pods use every GPU of the pool"

// objectName is a Kubernetes name made of a pool's; EKS allows capitals and
// underscores in a node group's name, Kubernetes does not.
func objectName(prefix, pool string) string {
	return prefix + "-" + strings.Trim(strings.ReplaceAll(strings.ToLower(pool), "_", "-"), "-")
}

// smokePod asks for one GPU on any node of the pool. It is to prove a node that is
// there: as long as it exists, the cluster autoscaler starts none for it.
func smokePod(cluster string, pool *blueprints.NodePool, image string) *corev1.Pod {
	one := corev1.ResourceList{ResourceName: resource.MustParse("1")}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: objectName("aicluster-smoke", pool.Name), Namespace: smokeNamespace, Labels: addons.OwnerLabels(cluster),
			Annotations: map[string]string{scaleUpDelay: (smokeLimit + cleanupLimit).String()},
		},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			NodeSelector:  map[string]string{labelNodeGroup: pool.Name},
			Containers: []corev1.Container{{
				Name: "nvidia-smi", Image: image, Command: []string{"nvidia-smi"},
				Resources: corev1.ResourceRequirements{Requests: one, Limits: one},
			}},
			AutomountServiceAccountToken: new(bool),
		},
	}
	for _, t := range pool.Taints {
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{Key: t.Key, Operator: corev1.TolerationOpEqual, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
	return pod
}

// smoke runs the pool's smoke pod to its end and removes it, whatever happens.
// The error is about the cluster; that the pod failed is in the result.
func smoke(ctx context.Context, client kubernetes.Interface, cluster string, pool *blueprints.NodePool, image string, p engine.Progress) (result *Smoke, err error) {
	pods, pod := client.CoreV1().Pods(smokeNamespace), smokePod(cluster, pool, image)
	if err := removePod(ctx, client, pod.Name); err != nil { // of a run that was killed
		return nil, fmt.Errorf("removing an old smoke pod: %w", err)
	}
	// Whatever scales the pool shall not see a pod that could not run.
	busy, err := allInUse(ctx, client, pool.Name)
	if err != nil {
		return nil, fmt.Errorf("counting the GPUs in use: %w", err)
	}
	if busy {
		return &Smoke{Image: image, State: SmokeBusy, Message: busyMessage}, nil
	}
	start := time.Now()
	if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("creating the smoke pod: %w", err)
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
		defer cancel()
		if e := removePod(clean, client, pod.Name); e != nil && err == nil {
			err = fmt.Errorf("removing the smoke pod: %w", e)
		}
	}()
	result = &Smoke{Image: image}
	w := &smokeWait{client: client, pool: pool, result: result, start: start, progress: p}
	err = cloud.Poll(ctx, func(ctx context.Context) (bool, error) { return w.check(ctx, pod.Name) })
	if err != nil {
		return nil, err
	}
	result.Log = tail(ctx, client, pod.Name)
	result.Seconds = time.Since(start).Round(time.Millisecond).Seconds()
	return result, nil
}

// smokeWait follows a smoke pod.
type smokeWait struct {
	client   kubernetes.Interface
	pool     *blueprints.NodePool
	result   *Smoke
	start    time.Time
	stuck    time.Time // since when
	progress engine.Progress
}

func (w *smokeWait) check(ctx context.Context, name string) (bool, error) {
	pod, err := w.client.CoreV1().Pods(smokeNamespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return w.fail("something removed it while it ran")
	}
	if err != nil {
		return true, err
	}
	w.result.Node = pod.Spec.NodeName
	trouble, troubled := doctor.Explain(pod)
	switch {
	case pod.Status.Phase == corev1.PodSucceeded:
		w.result.State = SmokeSucceeded
		return true, nil
	case pod.Status.Phase == corev1.PodFailed:
		return w.fail(failure(pod))
	case troubled && pod.Spec.NodeName == "":
		busy, err := allInUse(ctx, w.client, w.pool.Name)
		if err != nil {
			return true, err
		}
		if busy {
			w.result.State, w.result.Message = SmokeBusy, busyMessage
			return true, nil
		}
	}
	if stuck := troubled && (trouble.Stuck || pod.Spec.NodeName == ""); !stuck {
		w.stuck = time.Time{}
	} else if w.stuck.IsZero() {
		w.stuck = time.Now()
	} else if time.Since(w.stuck) > stuckLimit {
		return w.fail(trouble.String())
	}
	if time.Since(w.start) > smokeLimit {
		return w.fail(fmt.Sprintf("it is %s after %s", pod.Status.Phase, smokeLimit))
	}
	if troubled {
		w.progress("smoke %s", trouble)
	} else {
		w.progress("smoke pod %s", strings.ToLower(string(pod.Status.Phase)))
	}
	return false, nil
}

func (w *smokeWait) fail(message string) (bool, error) {
	w.result.State, w.result.Message = SmokeFailed, message
	return true, nil
}

// failure says how the container of a failed pod ended.
func failure(pod *corev1.Pod) string {
	for _, c := range pod.Status.ContainerStatuses {
		if end := c.State.Terminated; end != nil {
			return strings.TrimSpace(fmt.Sprintf("nvidia-smi ended with exit code %d on %s: %s %s", end.ExitCode, pod.Spec.NodeName, end.Reason, end.Message))
		}
	}
	return strings.TrimSpace("it failed on " + pod.Spec.NodeName + ": " + pod.Status.Reason + " " + pod.Status.Message)
}

// allInUse tells whether pods hold every GPU that the pool's nodes offer: those that
// run, and those that still load something before they do.
func allInUse(ctx context.Context, client kubernetes.Interface, pool string) (bool, error) {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, err
	}
	offered, ours := 0, map[string]bool{}
	for _, n := range nodes.Items {
		if blueprints.PoolOf(n.Labels) == pool {
			offered += gpus(n.Status.Allocatable)
			ours[n.Name] = true
		}
	}
	pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName!="})
	if err != nil {
		return false, err
	}
	held := 0
	for _, pod := range pods.Items {
		if !ours[pod.Spec.NodeName] || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		for _, c := range pod.Spec.Containers {
			held += gpus(c.Resources.Requests)
		}
	}
	return offered > 0 && held >= offered, nil
}

// tail reads the end of the pod's log; a log that cannot be read is no failure.
func tail(ctx context.Context, client kubernetes.Interface, name string) string {
	lines, limit := int64(logLines), int64(logBytes)
	stream, err := client.CoreV1().Pods(smokeNamespace).GetLogs(name, &corev1.PodLogOptions{TailLines: &lines, LimitBytes: &limit}).Stream(ctx)
	if err != nil {
		return ""
	}
	defer stream.Close()
	text, _ := io.ReadAll(io.LimitReader(stream, logBytes)) // what came before an error is still worth reading
	return strings.TrimSpace(string(text))
}

// removePod deletes a pod at once and waits until it is gone.
func removePod(ctx context.Context, client kubernetes.Interface, name string) error {
	pods, now := client.CoreV1().Pods(smokeNamespace), int64(0)
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		_, err := pods.Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			err = pods.Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &now})
		}
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return err != nil, err
	})
}
