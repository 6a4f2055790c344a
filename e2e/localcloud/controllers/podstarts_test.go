package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fakeStarts is an AWS that refuses what it is told to.
type fakeStarts struct {
	mu      sync.Mutex
	refused map[string]string // by volume or address: the words
	reads   map[string]int    // by address
	bytes   int64
	written []string
}

func newFakeStarts() *fakeStarts {
	return &fakeStarts{refused: map[string]string{}, reads: map[string]int{}, bytes: 100}
}

func (f *fakeStarts) refuse(what, words string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused[what] = words
}

func (f *fakeStarts) answer(what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads[what]++
	if words := f.refused[what]; words != "" {
		return errors.New(words)
	}
	return nil
}

func (f *fakeStarts) Mount(_ context.Context, _ *corev1.Pod, _ *corev1.Node, v *corev1.PersistentVolume) error {
	return f.answer(v.Name)
}

func (f *fakeStarts) Read(_ context.Context, _ *corev1.Pod, url string) (int64, string, error) {
	return f.bytes, "content of " + url, f.answer(url)
}

func (f *fakeStarts) Write(v *corev1.PersistentVolume, folder, content string, _ int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.written = append(f.written, v.Name+":"+folder+":"+content)
}

// loader is a container that copies a model from S3.
func loader(model string) corev1.Container {
	return corev1.Container{
		Name: "load", Image: "public.ecr.aws/aws-cli/aws-cli:2.37.11", Command: []string{"sh", "-c", "aws s3 sync $SOURCE /models"},
		Env:                      []corev1.EnvVar{{Name: "SOURCE", Value: "s3://bucket/" + model}},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		VolumeMounts:             []corev1.VolumeMount{{Name: "models", MountPath: "/models"}},
	}
}

func (c *testCluster) startPod(name string, spec corev1.PodSpec) {
	c.Helper()
	if len(spec.Containers) == 0 {
		spec.Containers = []corev1.Container{{Name: "main", Image: "vllm"}}
	}
	if _, err := c.client.CoreV1().Pods("default").Create(c.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{}); err != nil {
		c.Fatal(err)
	}
}

// seen waits until a pod of namespace default looks as wanted.
func (c *testCluster) seen(name, what string, as func(*corev1.Pod) bool) *corev1.Pod {
	c.Helper()
	var pod *corev1.Pod
	c.eventually(name+" "+what, func() (err error) {
		if pod, err = c.client.CoreV1().Pods("default").Get(c.Context(), name, metav1.GetOptions{}); err != nil {
			return err
		}
		if !as(pod) {
			return fmt.Errorf("status %+v", pod.Status)
		}
		return nil
	})
	return pod
}

func crashesWith(words string) func(*corev1.Pod) bool {
	return func(pod *corev1.Pod) bool {
		for _, s := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
			if w, t := s.State.Waiting, s.LastTerminationState.Terminated; w != nil && w.Reason == crashLoop && t != nil && t.ExitCode == 1 {
				return strings.Contains(t.Message, words)
			}
		}
		return false
	}
}

// volume makes a volume of a driver, with its claim.
func (c *testCluster) volume(name, driver string) {
	c.Helper()
	class, size := "", corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
	_, err := c.client.CoreV1().PersistentVolumes().Create(c.Context(), &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeSpec{
		Capacity: size, AccessModes: modes, ClaimRef: &corev1.ObjectReference{Namespace: "default", Name: name},
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: name}},
	}}, metav1.CreateOptions{})
	if err == nil {
		_, err = c.client.CoreV1().PersistentVolumeClaims("default").Create(c.Context(), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: modes, StorageClassName: &class, VolumeName: name, Resources: corev1.VolumeResourceRequirements{Requests: size},
		}}, metav1.CreateOptions{})
	}
	if err != nil {
		c.Fatal(err)
	}
}

func claimed(claim string) []corev1.Volume {
	return []corev1.Volume{{Name: "models", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}}}
}

func hostFolder() []corev1.Volume {
	return []corev1.Volume{{Name: "models", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/mnt/k8s-disks/0/models"}}}}
}

// TestPodStarts has pods that read and mount: they wait, fail and start as with a
// kubelet, by what AWS says.
func TestPodStarts(t *testing.T) {
	c := startCluster(t)
	c.aws.bytes = 600 << 30 // six seconds at the tests' speed
	c.addon("vpc-cni")
	c.addNode("one", Facts{})

	// An init container copies for a while; the next pod of the node finds it there.
	c.startPod("first", corev1.PodSpec{InitContainers: []corev1.Container{loader("m")}, Volumes: hostFolder()})
	copying := func(pod *corev1.Pod) bool {
		s := pod.Status.InitContainerStatuses
		return len(s) == 1 && s[0].State.Running != nil && pod.Status.Phase == corev1.PodPending
	}
	c.seen("first", "is Init:0/1", copying)
	first := c.seen("first", "runs", podReady)
	if s := first.Status.InitContainerStatuses[0]; s.State.Terminated == nil || s.State.Terminated.ExitCode != 0 {
		t.Errorf("init container %+v", s)
	}
	took := func(pod *corev1.Pod) float64 { // from its place to its start
		ready := conditionOf(pod, corev1.PodReady).LastTransitionTime
		return ready.Sub(conditionOf(pod, corev1.PodScheduled).LastTransitionTime.Time).Seconds()
	}
	c.startPod("second", corev1.PodSpec{InitContainers: []corev1.Container{loader("m")}, Volumes: hostFolder()})
	if second := c.seen("second", "runs", podReady); took(first) < 5 || took(second) >= took(first) {
		t.Errorf("the first took %.0f s, the second %.0f s", took(first), took(second))
	}
	c.aws.bytes = 100

	// One that may not read fails again and again, in the CLI's words, until it may.
	c.aws.refuse("s3://bucket/secret", "An error occurred (AccessDenied) when calling the ListObjectsV2 operation")
	c.startPod("denied", corev1.PodSpec{InitContainers: []corev1.Container{loader("secret")}, Volumes: hostFolder()})
	c.seen("denied", "crashes", crashesWith("AccessDenied"))
	c.seen("denied", "crashes again", func(p *corev1.Pod) bool { return p.Status.InitContainerStatuses[0].RestartCount >= 2 })
	c.aws.refuse("s3://bucket/secret", "")
	c.seen("denied", "runs", podReady)

	// So does a server that streams.
	server := corev1.Container{Name: "vllm", Image: "vllm/vllm-openai:v1", Args: []string{"--model", "s3://bucket/stream", "--load-format", "runai_streamer"}}
	c.aws.refuse("s3://bucket/stream", "no")
	c.startPod("stream", corev1.PodSpec{Containers: []corev1.Container{server}})
	c.seen("stream", "crashes", crashesWith(""))
	c.aws.refuse("s3://bucket/stream", "")
	c.seen("stream", "runs", podReady)
}

// TestPodMounts: a static volume needs its driver on the node, and what it stands for.
func TestPodMounts(t *testing.T) {
	c := startCluster(t)
	c.addon("vpc-cni")
	c.addNode("one", Facts{})
	c.volume("files", "efs.csi.aws.com")
	c.aws.refuse("files", "rpc error: code = Internal desc = Could not mount")
	c.startPod("reader", corev1.PodSpec{Volumes: claimed("files")})
	c.podEvent("reader", "FailedMount", "driver name efs.csi.aws.com not found in the list of registered CSI drivers")
	c.seen("reader", "is ContainerCreating", func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodPending && waitingFor(p, "ContainerCreating")
	})
	c.addon("aws-efs-csi-driver")
	c.podEvent("reader", "FailedMount", `MountVolume.SetUp failed for volume "files" : rpc error: code = Internal desc = Could not mount`)
	c.aws.refuse("files", "")
	c.seen("reader", "runs", podReady)

	// A Job writes to the volume, and fails for good when it may not read.
	job := func(name, model string) {
		spec := corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{loader(model)}, Volumes: claimed("files")}
		if _, err := c.client.BatchV1().Jobs("default").Create(t.Context(), &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: batchv1.JobSpec{BackoffLimit: new(int32(0)), Template: corev1.PodTemplateSpec{Spec: spec}}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	ends := func(name string, as batchv1.JobConditionType) {
		t.Helper()
		c.eventually("job "+name, func() error {
			j, err := c.client.BatchV1().Jobs("default").Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			for _, condition := range j.Status.Conditions {
				if condition.Type == as && condition.Status == corev1.ConditionTrue {
					return nil
				}
			}
			return fmt.Errorf("%+v", j.Status)
		})
	}
	job("fill", "m")
	ends("fill", batchv1.JobComplete)
	if got := strings.Join(c.aws.written, " "); got != "files:m:content of s3://bucket/m" {
		t.Errorf("written %s", got)
	}
	c.aws.refuse("s3://bucket/secret", "AccessDenied")
	job("denied", "secret")
	ends("denied", batchv1.JobFailed)
}

func conditionOf(pod *corev1.Pod, kind corev1.PodConditionType) corev1.PodCondition {
	for _, c := range pod.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return corev1.PodCondition{}
}

// podEvent waits for an event of a pod of namespace default.
func (c *testCluster) podEvent(pod, reason, words string) {
	c.Helper()
	c.eventually("event "+reason, func() error {
		events, err := c.client.CoreV1().Events("default").List(c.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + pod})
		if err != nil {
			return err
		}
		var seen []string
		for _, e := range events.Items {
			if e.Reason == reason && strings.Contains(e.Message, words) {
				return nil
			}
			seen = append(seen, e.Reason+": "+e.Message)
		}
		return fmt.Errorf("%s", strings.Join(seen, "\n"))
	})
}
