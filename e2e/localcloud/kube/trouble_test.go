package kube

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// testTrouble: pods that meet trouble look as a kubelet shows them, and start once
// it is over.
func testTrouble(t *testing.T, c *ControlPlane) {
	ctx, pods := t.Context(), c.Client().CoreV1().Pods("default")
	mistyped := pod("mistyped", corev1.RestartPolicyAlways, 0)
	mistyped.Spec.Containers[0].Image = "vllm/vllm-openai:nosuch"
	create(t, c, mistyped)
	eventually(t, "an image that is not there", func() error {
		return wantWaiting(c, "mistyped", "ImagePullBackOff", `Back-off pulling image "vllm/vllm-openai:nosuch": ErrImagePull: rpc error: code = NotFound desc = `)
	})
	if p := getPod(t, c, "mistyped"); p.Status.Phase != corev1.PodPending {
		t.Errorf("it is %s", p.Status.Phase)
	}

	for name, trouble := range map[string]Trouble{
		"crash": {Kind: TroubleCrash, Message: "torch.OutOfMemoryError: CUDA out of memory."},
		"oom":   {Kind: TroubleOOM},
	} {
		p := pod(name, corev1.RestartPolicyAlways, 0)
		p.Annotations = map[string]string{TroubleAnnotation: trouble.Annotation()}
		create(t, c, p)
	}
	eventually(t, "a crash", func() error { return wantWaiting(c, "crash", "CrashLoopBackOff", " restarting failed container=") })
	eventually(t, "no memory", func() error {
		return wantPod(c, "oom", func(p *corev1.Pod) bool {
			s := p.Status.ContainerStatuses
			return len(s) == 1 && s[0].LastTerminationState.Terminated != nil && s[0].LastTerminationState.Terminated.Reason == "OOMKilled" && s[0].LastTerminationState.Terminated.ExitCode == 137
		})
	})
	eventually(t, "another crash", func() error {
		return wantPod(c, "crash", func(p *corev1.Pod) bool { return p.Status.ContainerStatuses[0].RestartCount > 1 })
	})
	for _, previous := range []bool{true, false} { // a kubelet shows the last life of a container that waits
		stream, err := pods.GetLogs("crash", &corev1.PodLogOptions{Previous: previous}).Stream(ctx)
		if err != nil {
			t.Fatal(err)
		}
		log, err := io.ReadAll(stream)
		stream.Close()
		if err != nil || string(log) != "torch.OutOfMemoryError: CUDA out of memory.\n" {
			t.Errorf("previous %v: log %q, %v", previous, log, err)
		}
	}
	over := fmt.Appendf(nil, `{"metadata": {"annotations": {%q: null}}}`, TroubleAnnotation)
	if _, err := pods.Patch(ctx, "crash", types.MergePatchType, over, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "mended", func() error { return wantPod(c, "crash", podReady) })
}

func wantWaiting(c *ControlPlane, name, reason, message string) error {
	return wantPod(c, name, func(p *corev1.Pod) bool {
		s := p.Status.ContainerStatuses
		return len(s) == 1 && s[0].State.Waiting != nil && s[0].State.Waiting.Reason == reason && strings.Contains(s[0].State.Waiting.Message, message)
	})
}

// What registries say.
func TestPullError(t *testing.T) {
	for _, tt := range []struct{ image, answers, want string }{
		{"vllm/vllm-openai:v9", "", "docker.io/vllm/vllm-openai:v9: not found"},
		{"busybox", "", "docker.io/library/busybox: not found"},
		{"111122223333.dkr.ecr.us-east-1.amazonaws.com/x:1", "denied", `"111122223333.dkr.ecr.us-east-1.amazonaws.com/x:1": pull access denied`},
		{"busybox", "tooMany", "429 Too Many Requests"},
	} {
		if got := pullError(tt.image, tt.answers); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s", tt.image, got)
		}
	}
}

func TestPause(t *testing.T) {
	for restarts, want := range map[int32]time.Duration{1: 10 * time.Second, 2: 20 * time.Second, 5: 160 * time.Second, 6: 5 * time.Minute, 99: 5 * time.Minute} {
		if got := pause(restarts); got != want {
			t.Errorf("after %d restarts %s, want %s", restarts, got, want)
		}
	}
}
