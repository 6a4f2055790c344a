package kube

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/tools/cache"

	"aicluster/e2e/localcloud/vllm"
)

// Containers that listen on the cluster's network and take their time until they do
// are probed by their kubelet: a startup probe, then readiness and liveness, with
// the delays, periods and thresholds of their spec in the clock's time, until they
// are ready. A ready one is not asked again. All other containers are ready when
// they start.
//
// The kubelet restarts a container whose startup or liveness probe fails too often
// (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes).

// Proven tells whether a container has to prove by a probe that it is ready.
func Proven(c *corev1.Container) bool {
	return vllm.Is(c) && (c.StartupProbe != nil || c.ReadinessProbe != nil)
}

// probing is what a kubelet knows of one run of a container.
type probing struct {
	restarts                     int32
	since                        time.Time // it runs
	began, ended                 time.Time // the run before
	pause                        time.Duration
	backOff                      time.Time // it is started again then; zero while it runs
	startup, liveness, readiness tries
}

// tries are how one kind of probe went so far.
type tries struct {
	next     time.Time
	failures int32
	passes   int32
}

// probe looks after the containers of a pod that have something to prove, and says
// when it wants to do so again; zero for not before the pod changes.
func (k *kubelets) probe(ctx context.Context, pod *corev1.Pod) (time.Duration, error) {
	if k.network == nil || pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodRunning {
		return 0, nil
	}
	again := time.Duration(0)
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		status := containerStatus(pod, c.Name)
		if !Proven(c) || status == nil || status.Ready {
			continue
		}
		wait, err := k.probeContainer(ctx, pod, c, status)
		if err != nil {
			return 0, err
		}
		if wait > 0 && (again == 0 || wait < again) {
			again = wait
		}
	}
	return again, nil
}

func (k *kubelets) probeContainer(ctx context.Context, pod *corev1.Pod, c *corev1.Container, status *corev1.ContainerStatus) (time.Duration, error) {
	p := k.probingOf(pod.UID, c.Name)
	switch {
	case status.State.Running == nil && p.backOff.IsZero():
		return 0, nil // it is in somebody else's hands
	case status.State.Running == nil:
		if wait := time.Until(p.backOff); wait > 0 {
			return wait, nil
		}
		return 0, k.patchContainer(ctx, pod, c, nil, func(s *corev1.ContainerStatus) {
			s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
		})
	case status.RestartCount < p.restarts && !p.backOff.IsZero():
		return 0, k.postKilled(ctx, pod, c, p) // that was not seen yet, or not taken
	case p.since.IsZero() || p.restarts != status.RestartCount || !p.backOff.IsZero():
		*p = probing{restarts: status.RestartCount, since: time.Now()}
	}

	if started := status.Started != nil && *status.Started; c.StartupProbe != nil && !started {
		wait, dead, err := k.try(ctx, pod, c, "Startup", c.StartupProbe, &p.startup, p.since)
		switch {
		case dead:
			return k.kill(ctx, pod, c, p, "startup")
		case wait > 0 || err != nil:
			return wait, err
		case c.ReadinessProbe != nil:
			return time.Millisecond, k.patchContainer(ctx, pod, c, nil, func(s *corev1.ContainerStatus) { s.Started = new(true) })
		}
		return 0, k.markContainerReady(ctx, pod, c)
	}
	var pause time.Duration
	if c.LivenessProbe != nil {
		wait, dead, err := k.try(ctx, pod, c, "Liveness", c.LivenessProbe, &p.liveness, p.since)
		if dead {
			return k.kill(ctx, pod, c, p, "liveness")
		}
		if err != nil {
			return 0, err
		}
		pause = wait
	}
	wait, _, err := k.try(ctx, pod, c, "Readiness", c.ReadinessProbe, &p.readiness, p.since)
	if err != nil {
		return 0, err
	}
	if wait > 0 {
		if pause > 0 {
			wait = min(wait, pause)
		}
		return wait, nil
	}
	return 0, k.markContainerReady(ctx, pod, c)
}

// try probes if it is time to. It says when to try again, or zero if the container
// has passed, and whether it has failed too often.
func (k *kubelets) try(ctx context.Context, pod *corev1.Pod, c *corev1.Container, kind string, spec *corev1.Probe, t *tries, since time.Time) (wait time.Duration, dead bool, err error) {
	seconds := func(n int32) time.Duration { return k.clock.Scale(time.Duration(n) * time.Second) }
	period := max(seconds(max(spec.PeriodSeconds, 1)), shortestPause)
	if t.next.IsZero() {
		t.next = since.Add(seconds(spec.InitialDelaySeconds))
	}
	if wait := time.Until(t.next); wait > 0 {
		return wait, false, nil
	}
	t.next = time.Now().Add(period)
	// The answer of a process takes its real time, whatever the clock's speed.
	attempt, cancel := context.WithTimeout(ctx, time.Duration(max(spec.TimeoutSeconds, 1))*time.Second)
	defer cancel()
	failure := ask(attempt, k.network, pod, c, spec)
	if failure == nil {
		t.failures = 0
		if t.passes++; t.passes >= max(spec.SuccessThreshold, 1) {
			return 0, false, nil
		}
		return period, false, nil
	}
	t.passes = 0
	if t.failures++; t.failures == 1 {
		k.event(ctx, pod, c, corev1.EventTypeWarning, "Unhealthy", kind+" probe failed: "+failure.Error())
	}
	return period, kind != "Readiness" && t.failures >= max(spec.FailureThreshold, 1), nil
}

// ask probes once. Commands in a container are not run here; they pass.
func ask(ctx context.Context, network utilnet.DialFunc, pod *corev1.Pod, c *corev1.Container, spec *corev1.Probe) error {
	switch {
	case spec.HTTPGet != nil:
		transport := &http.Transport{DialContext: network, DisableKeepAlives: true}
		url := "http://" + net.JoinHostPort(pod.Status.PodIP, portNumber(c, spec.HTTPGet.Port)) + spec.HTTPGet.Path
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			return fmt.Errorf("Get %q: %w", url, err) //nolint:staticcheck // the kubelet's words
		}
		response.Body.Close()
		if response.StatusCode < http.StatusOK || response.StatusCode >= http.StatusBadRequest {
			return fmt.Errorf("HTTP probe failed with statuscode: %d", response.StatusCode)
		}
	case spec.TCPSocket != nil:
		conn, err := network(ctx, "tcp", net.JoinHostPort(pod.Status.PodIP, portNumber(c, spec.TCPSocket.Port)))
		if err != nil {
			return err
		}
		conn.Close()
	}
	return nil
}

func portNumber(c *corev1.Container, port intstr.IntOrString) string {
	for _, p := range c.Ports {
		if port.Type == intstr.String && p.Name == port.StrVal {
			return strconv.Itoa(int(p.ContainerPort))
		}
	}
	return port.String()
}

// kill ends a container that fails a probe for good, and says when it starts again.
func (k *kubelets) kill(ctx context.Context, pod *corev1.Pod, c *corev1.Container, p *probing, probe string) (time.Duration, error) {
	k.event(ctx, pod, c, corev1.EventTypeNormal, "Killing", fmt.Sprintf("Container %s failed %s probe, will be restarted", c.Name, probe))
	now, wait := time.Now(), pause(p.restarts+1)
	*p = probing{restarts: p.restarts + 1, began: p.since, ended: now, pause: wait, backOff: now.Add(k.clock.Scale(wait))}
	return k.clock.Scale(wait), k.postKilled(ctx, pod, c, p)
}

// postKilled posts that a container has ended and waits for its next start.
func (k *kubelets) postKilled(ctx context.Context, pod *corev1.Pod, c *corev1.Container, p *probing) error {
	return k.patchContainer(ctx, pod, c, nil, func(s *corev1.ContainerStatus) {
		s.Started, s.RestartCount = new(false), p.restarts
		s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
			Reason:  crashLoop,
			Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)", p.pause, c.Name, pod.Name, pod.Namespace, pod.UID),
		}}
		s.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "Error", StartedAt: metav1.NewTime(p.began), FinishedAt: metav1.NewTime(p.ended)}
	})
}

// markContainerReady posts that a container is ready, and the pod if it was the last.
func (k *kubelets) markContainerReady(ctx context.Context, pod *corev1.Pod, c *corev1.Container) error {
	k.forget(pod.UID, c.Name)
	ready := func(s *corev1.ContainerStatus) { s.Ready, s.Started = true, new(true) }
	for _, s := range pod.Status.ContainerStatuses {
		if s.Name != c.Name && !s.Ready {
			return k.patchContainer(ctx, pod, c, nil, ready)
		}
	}
	now := metav1.Now()
	return k.patchContainer(ctx, pod, c, []map[string]any{
		{"type": corev1.ContainersReady, "status": corev1.ConditionTrue, "reason": nil, "message": nil, "lastTransitionTime": now},
		{"type": corev1.PodReady, "status": corev1.ConditionTrue, "reason": nil, "message": nil, "lastTransitionTime": now},
	}, ready)
}

// patchContainer posts a container's status as change makes it, and conditions of
// the pod. The list of statuses is one value to the API server.
func (k *kubelets) patchContainer(ctx context.Context, pod *corev1.Pod, c *corev1.Container, conditions []map[string]any, change func(*corev1.ContainerStatus)) error {
	next := pod.DeepCopy()
	change(containerStatus(next, c.Name))
	content := map[string]any{"containerStatuses": next.Status.ContainerStatuses}
	if conditions != nil {
		content["conditions"] = conditions
	}
	return k.patchStatus(ctx, k.client.CoreV1().RESTClient().Patch(types.StrategicMergePatchType).Namespace(pod.Namespace).Resource("pods").Name(pod.Name),
		pod.ResourceVersion, content)
}

// probingOf is what is known of a container; it is used by the worker of its node.
func (k *kubelets) probingOf(pod types.UID, container string) *probing {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := string(pod) + "/" + container
	if k.probings[key] == nil {
		k.probings[key] = &probing{}
	}
	return k.probings[key]
}

func (k *kubelets) forget(pod types.UID, container string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.probings, string(pod)+"/"+container)
}

// forgetAll forgets a pod that is gone.
func (k *kubelets) forgetAll(obj any) {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	if pod, ok := obj.(*corev1.Pod); ok {
		for _, c := range pod.Spec.Containers {
			k.forget(pod.UID, c.Name)
		}
	}
}

func containerStatus(pod *corev1.Pod, name string) *corev1.ContainerStatus {
	for i := range pod.Status.ContainerStatuses {
		if pod.Status.ContainerStatuses[i].Name == name {
			return &pod.Status.ContainerStatuses[i]
		}
	}
	return nil
}
