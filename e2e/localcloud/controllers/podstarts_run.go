package controllers

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"aicluster/e2e/localcloud/kube"
)

// initialize runs a pod's init containers, one after the other, and judges what its
// containers read. A pod that has passed is KWOK's.
func (s *podStarts) initialize(ctx context.Context, pod *corev1.Pod) (time.Duration, error) {
	statuses := pod.DeepCopy().Status.InitContainerStatuses
	if len(statuses) < len(pod.Spec.InitContainers) {
		return 0, s.post(ctx, pod, map[string]any{"initContainerStatuses": waiting(pod.Spec.InitContainers, initializing)})
	}
	for i, c := range pod.Spec.InitContainers {
		if statuses[i].State.Terminated != nil && statuses[i].Ready || statuses[i].State.Running != nil && sidecar(c) {
			continue
		}
		status, again, err := s.step(ctx, pod, c, statuses[i])
		if err != nil || status == nil {
			return again, err
		}
		statuses[i] = *status
		return again, s.post(ctx, pod, map[string]any{"initContainerStatuses": statuses})
	}
	for i, c := range pod.Spec.Containers {
		if kube.Reads(c) == "" || i >= len(pod.Status.ContainerStatuses) {
			continue
		}
		if pod.Spec.RestartPolicy != corev1.RestartPolicyAlways { // it does its work and ends
			return s.main(ctx, pod)
		}
		status, again, err := s.stream(ctx, pod, c, pod.Status.ContainerStatuses[i])
		if err != nil || again > 0 && status == nil {
			return again, err
		}
		if status != nil {
			all := pod.DeepCopy().Status.ContainerStatuses
			all[i] = *status
			return again, s.post(ctx, pod, map[string]any{"containerStatuses": all})
		}
	}
	return 0, s.post(ctx, pod, map[string]any{
		"containerStatuses": waiting(pod.Spec.Containers, initializing),
		"conditions":        []corev1.PodCondition{podCondition(corev1.PodInitialized, true, "")},
	})
}

func sidecar(c corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// step starts a container that reads, or ends it when its time has come. Others end
// at once. It returns the container's next status, nil while there is none, and when
// to look again.
func (s *podStarts) step(ctx context.Context, pod *corev1.Pod, c corev1.Container, was corev1.ContainerStatus) (*corev1.ContainerStatus, time.Duration, error) {
	next := corev1.ContainerStatus{Name: c.Name, Image: c.Image, RestartCount: was.RestartCount, LastTerminationState: was.LastTerminationState}
	now := metav1.Now()
	if work := s.running[pod.UID]; work != nil && work.container == c.Name {
		if left := time.Until(work.ends); left > 0 {
			return nil, left, nil
		}
		work.done()
		delete(s.running, pod.UID)
		return completed(next, now), 0, nil
	}
	if rest := s.resting[pod.UID]; rest.container == c.Name {
		if left := time.Until(rest.until); left > 0 {
			return nil, left, nil
		}
		next.RestartCount = int32(rest.times)
	}
	url := kube.Reads(c)
	if url == "" || s.aws == nil {
		if sidecar(c) {
			next.State.Running, next.Ready, next.Started = &corev1.ContainerStateRunning{StartedAt: now}, true, new(true)
			return &next, 0, nil
		}
		return completed(next, now), 0, nil
	}
	bytes, content, err := s.aws.Read(ctx, pod, url)
	if err != nil {
		return s.fail(pod, next, err), s.soon(), nil
	}
	delete(s.resting, pod.UID)
	takes := s.begin(pod, c, url, content, bytes)
	next.State.Running, next.Started = &corev1.ContainerStateRunning{StartedAt: now}, new(true)
	return &next, takes, nil
}

func completed(c corev1.ContainerStatus, now metav1.Time) *corev1.ContainerStatus {
	c.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: now, FinishedAt: now}}
	c.Ready, c.Started = true, new(false)
	return &c
}

// begin lets a container copy what it reads to where it writes. What a pod before it
// has copied to the same folder of the node, or of the volume, is found.
func (s *podStarts) begin(pod *corev1.Pod, c corev1.Container, url, content string, bytes int64) time.Duration {
	place, volume := s.target(pod, c)
	folder := folderOf(url)
	takes := lookTime
	if place == "" || s.onNode[place+"/"+folder] != content {
		takes += time.Duration(float64(bytes) / copyRate * float64(time.Second))
	}
	takes = s.clock.Scale(takes)
	s.running[pod.UID] = &run{container: c.Name, ends: time.Now().Add(takes), done: func() {
		if place != "" {
			s.onNode[place+"/"+folder] = content
		}
		if volume != nil {
			s.aws.Write(volume, folder, content, bytes)
		}
	}}
	return takes
}

// target is where a container writes that outlives its pod: a folder of the node, or
// a volume.
func (s *podStarts) target(pod *corev1.Pod, c corev1.Container) (place string, volume *corev1.PersistentVolume) {
	for _, m := range c.VolumeMounts {
		i := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
		if i < 0 || m.ReadOnly {
			continue
		}
		v := pod.Spec.Volumes[i]
		if v.HostPath != nil {
			return pod.Spec.NodeName + ":" + v.HostPath.Path, nil
		}
		if v.PersistentVolumeClaim == nil || v.PersistentVolumeClaim.ReadOnly {
			continue
		}
		for _, volume := range s.volumesOf(pod) {
			if ref := volume.Spec.ClaimRef; ref != nil && ref.Name == v.PersistentVolumeClaim.ClaimName {
				return "volume:" + volume.Name, volume
			}
		}
	}
	return "", nil
}

// fail is a container that ended with an error. What it wrote last is in its status,
// if it asks for that.
func (s *podStarts) fail(pod *corev1.Pod, c corev1.ContainerStatus, err error) *corev1.ContainerStatus {
	times := 1
	if rest := s.resting[pod.UID]; rest.container == c.Name {
		times = rest.times + 1
	}
	delay := min(restartDelay<<min(times-1, 6), restartMax)
	s.resting[pod.UID] = resting{container: c.Name, times: times, until: time.Now().Add(max(s.clock.Scale(delay), volumeRest))}
	now := metav1.Now()
	end := &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", StartedAt: now, FinishedAt: now}
	if says(pod, c.Name) {
		end.Message = err.Error() + "\n"
	}
	c.RestartCount = int32(times)
	c.LastTerminationState = corev1.ContainerState{Terminated: end}
	c.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: crashLoop, Message: "back-off " + delay.String() + " restarting failed container=" + c.Name + " pod=" + pod.Name + "_" + pod.Namespace + "(" + string(pod.UID) + ")"}}
	return &c
}

func says(pod *corev1.Pod, container string) bool {
	return slices.ContainsFunc(slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers), func(c corev1.Container) bool {
		return c.Name == container && c.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError
	})
}

// stream judges a server that reads a model from S3 before it answers: it ends when
// it may not. With nothing to say, it may.
func (s *podStarts) stream(ctx context.Context, pod *corev1.Pod, c corev1.Container, was corev1.ContainerStatus) (*corev1.ContainerStatus, time.Duration, error) {
	if s.aws == nil {
		return nil, 0, nil
	}
	if rest := s.resting[pod.UID]; rest.container == c.Name && time.Until(rest.until) > 0 {
		return nil, time.Until(rest.until), nil
	}
	if _, _, err := s.aws.Read(ctx, pod, kube.Reads(c)); err != nil {
		next := corev1.ContainerStatus{Name: c.Name, Image: c.Image, RestartCount: was.RestartCount}
		return s.fail(pod, next, err), s.soon(), nil
	}
	delete(s.resting, pod.UID)
	return nil, 0, nil
}

// main runs the container of a pod that does its work and ends.
func (s *podStarts) main(ctx context.Context, pod *corev1.Pod) (time.Duration, error) {
	all := pod.DeepCopy().Status.ContainerStatuses
	status, again, err := s.step(ctx, pod, pod.Spec.Containers[0], all[0])
	if err != nil || status == nil {
		return again, err
	}
	all[0] = *status
	phase := corev1.PodRunning
	switch {
	case status.State.Terminated != nil:
		phase, all[0].Ready = corev1.PodSucceeded, false
	case status.State.Waiting != nil && pod.Spec.RestartPolicy == corev1.RestartPolicyNever:
		phase, all[0].State, all[0].LastTerminationState = corev1.PodFailed, status.LastTerminationState, corev1.ContainerState{}
		all[0].RestartCount = 0
	}
	// Init containers are over. It is not called ready, or KWOK would end it.
	return again, s.post(ctx, pod, map[string]any{
		"phase": phase, "containerStatuses": all,
		"conditions": []corev1.PodCondition{podCondition(corev1.PodInitialized, true, "")},
	})
}

// post merges a status into a pod, if it is still as it was seen.
func (s *podStarts) post(ctx context.Context, pod *corev1.Pod, status map[string]any) error {
	if pod.Status.StartTime == nil {
		status["startTime"] = metav1.Now()
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID, "resourceVersion": pod.ResourceVersion}, "status": status})
	if err != nil {
		return err
	}
	_, err = s.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status")
	return ignoreNotFound(err)
}
