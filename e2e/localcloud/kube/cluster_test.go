package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/utils/exec"
)

func TestCluster(t *testing.T) {
	c := start(t, Options{Cluster: "lab", Version: "1.35"})
	ctx := t.Context()

	t.Run("version", func(t *testing.T) {
		v, err := c.Client().Discovery().ServerVersion()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(v.GitVersion, "v1.35.") || v.Major != "1" || v.Minor != "35" || v.EmulationMinor != "35" {
			t.Errorf("got %+v", v)
		}
	})
	t.Run("node", func(t *testing.T) { testNode(t, c) })
	t.Run("scheduling", func(t *testing.T) { testScheduling(t, c) })
	t.Run("job", func(t *testing.T) { testJob(t, c) })
	t.Run("smoke pod", func(t *testing.T) { testSmokePod(t, c) })
	t.Run("trouble", func(t *testing.T) { testTrouble(t, c) })
	t.Run("taken over", func(t *testing.T) { testTakenOver(t, c) })
	t.Run("remove node", func(t *testing.T) { testRemoveNode(t, c) })
	if err := c.RemoveNode(ctx, "never-there"); err != nil {
		t.Errorf("removing a node that does not exist: %v", err)
	}
}

const gpuNode = "ip-10-0-1-23.us-east-1.compute.internal"

func p4d() Node {
	return Node{
		Name: gpuNode, ProviderID: "aws:///us-east-1a/i-0123456789abcdef0", InternalIP: "10.0.1.23",
		InstanceType: "p4d.24xlarge", Zone: "us-east-1a", Region: "us-east-1",
		Labels: map[string]string{"eks.amazonaws.com/nodegroup": "a100"},
		Taints: []corev1.Taint{{Key: gpuResource, Value: "true", Effect: corev1.TaintEffectNoSchedule}},
		Capacity: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("96"), corev1.ResourceMemory: resource.MustParse("1152Gi"),
			corev1.ResourcePods: resource.MustParse("250"), gpuResource: resource.MustParse("8"),
		},
	}
}

// testNode: NotReady until the CNI's DaemonSet runs there, as in EKS.
func testNode(t *testing.T, c *ControlPlane) {
	ctx, nodes := t.Context(), c.Client().CoreV1().Nodes()
	if err := c.AddNode(ctx, p4d()); err != nil {
		t.Fatal(err)
	}
	if err := c.AddNode(ctx, p4d()); !apierrors.IsAlreadyExists(err) {
		t.Errorf("adding it again: %v", err)
	}
	// A pod that tolerates everything but needs a pod network is bound and waits.
	waiting := pod("waits-for-network", corev1.RestartPolicyAlways, 0)
	waiting.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	create(t, c, waiting)
	eventually(t, "binding", func() error {
		return wantPod(c, waiting.Name, func(p *corev1.Pod) bool { return p.Spec.NodeName == gpuNode })
	})

	time.Sleep(time.Second) // many times the pod start
	node, err := nodes.Get(ctx, gpuNode, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if nodeReady(node) || !tainted(node, corev1.TaintNodeNotReady) {
		t.Errorf("without CNI: ready %v, taints %v", nodeReady(node), node.Spec.Taints)
	}
	if p := getPod(t, c, waiting.Name); p.Status.Phase != corev1.PodPending {
		t.Errorf("without CNI: a pod is %s", p.Status.Phase)
	}

	if _, err := c.Client().AppsV1().DaemonSets("kube-system").Create(ctx, awsNode(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "node with CNI", func() error {
		node, err := nodes.Get(ctx, gpuNode, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !nodeReady(node) || tainted(node, corev1.TaintNodeNotReady) {
			return fmt.Errorf("ready %v, taints %v", nodeReady(node), node.Spec.Taints)
		}
		if len(node.Spec.Taints) != 1 || node.Status.NodeInfo.KubeletVersion == "" || node.Status.DaemonEndpoints.KubeletEndpoint.Port != 10250 {
			return fmt.Errorf("node changed on the way: %v %+v", node.Spec.Taints, node.Status.NodeInfo)
		}
		return nil
	})
	eventually(t, "pod with network", func() error {
		return wantPod(c, waiting.Name, func(p *corev1.Pod) bool { return podReady(p) && strings.HasPrefix(p.Status.PodIP, "100.64.") })
	})
	eventually(t, "lease", func() error {
		_, err := c.Client().CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(ctx, gpuNode, metav1.GetOptions{})
		return err
	})
}

// testScheduling: the real scheduler's decisions and its words.
func testScheduling(t *testing.T, c *ControlPlane) {
	ctx := t.Context()
	intolerant := pod("intolerant", corev1.RestartPolicyAlways, 1)
	intolerant.Spec.Tolerations = nil
	create(t, c, intolerant)
	eventually(t, "intolerant", func() error { return wantUnschedulable(c, "intolerant", "untolerated taint") })

	spec := pod("vllm", corev1.RestartPolicyAlways, 4)
	replicas := int32(2)
	_, err := c.Client().AppsV1().Deployments("default").Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "vllm"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "vllm"}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "vllm"}}, Spec: spec.Spec},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "deployment", func() error {
		d, err := c.Client().AppsV1().Deployments("default").Get(ctx, "vllm", metav1.GetOptions{})
		if err == nil && d.Status.AvailableReplicas != 2 {
			err = fmt.Errorf("%d of 2 available", d.Status.AvailableReplicas)
		}
		return err
	})
	create(t, c, pod("ninth", corev1.RestartPolicyAlways, 1))
	eventually(t, "ninth", func() error { return wantUnschedulable(c, "ninth", "Insufficient nvidia.com/gpu") })

	time.Sleep(500 * time.Millisecond)
	for _, p := range listPods(t, c, "app=vllm") {
		if p.Status.Phase != corev1.PodRunning {
			t.Errorf("a serving pod is %s", p.Status.Phase)
		}
	}
	if err := c.Client().AppsV1().Deployments("default").Delete(ctx, "vllm", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "GPUs given back", func() error { return wantPod(c, "ninth", podReady) })
	for _, name := range []string{"ninth", "intolerant"} {
		if err := c.Client().CoreV1().Pods("default").Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "deletion", func() error {
			if _, err := c.Client().CoreV1().Pods("default").Get(ctx, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("pod %s: %v", name, err)
			}
			return nil
		})
	}
}

func testJob(t *testing.T, c *ControlPlane) {
	jobs := c.Client().BatchV1().Jobs("default")
	spec := pod("", corev1.RestartPolicyOnFailure, 1).Spec
	spec.InitContainers = []corev1.Container{{Name: "fetch", Image: "s5cmd"}}
	_, err := jobs.Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "finetune"},
		Spec:       batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: spec}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "job", func() error {
		job, err := jobs.Get(t.Context(), "finetune", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if job.Status.Succeeded != 1 || job.Status.CompletionTime == nil {
			return fmt.Errorf("status %+v", job.Status)
		}
		return nil
	})
}

// testSmokePod: a bare pod that runs nvidia-smi ends, and its log shows the GPUs.
func testSmokePod(t *testing.T, c *ControlPlane) {
	smoke := pod("smoke", corev1.RestartPolicyNever, 2)
	smoke.Spec.Containers[0].Command = []string{"nvidia-smi", "-L"}
	create(t, c, smoke)
	forever := pod("forever", corev1.RestartPolicyNever, 0)
	forever.Spec.Containers[0].Command = []string{"sh", "-c", "nvidia-smi; sleep infinity"}
	create(t, c, forever)
	eventually(t, "smoke pod", func() error {
		return wantPod(c, "smoke", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
	})
	end := getPod(t, c, "smoke").Status.ContainerStatuses[0].State.Terminated
	if end == nil || end.ExitCode != 0 || end.Reason != "Completed" || end.StartedAt.IsZero() {
		t.Errorf("ended with %+v", end)
	}

	log, err := logs(t, c, "smoke")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(log), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-") || !strings.HasPrefix(lines[1], "GPU 1: ") {
		t.Errorf("log of the smoke pod:\n%s", log)
	}
	if log, err := logs(t, c, "forever"); err != nil || log != "No devices were found\n" {
		t.Errorf("log of a pod without a GPU: %q, %v", log, err)
	}
	if p := getPod(t, c, "forever"); p.Status.Phase != corev1.PodRunning {
		t.Errorf("a pod that sleeps for ever is %s", p.Status.Phase)
	}
	if out, _, err := execute(t, c, "forever", "nvidia-smi"); err != nil || out != "No devices were found\n" {
		t.Errorf("nvidia-smi in a pod without a GPU: %q, %v", out, err)
	}
	var exit utilexec.ExitError
	if _, stderr, err := execute(t, c, "forever", "vi"); !errors.As(err, &exit) || exit.ExitStatus() != 127 || !strings.Contains(stderr, "not found") {
		t.Errorf("a command that is not there: %q, %v", stderr, err)
	}
	if _, err := logs(t, c, "no-such-pod"); !apierrors.IsNotFound(err) {
		t.Errorf("log of no pod: %v", err)
	}
}

// testTakenOver: a pod that is about to start, and that another player of the
// local cloud has given a status of its own, keeps that one.
func testTakenOver(t *testing.T, c *ControlPlane) {
	pods := c.Client().CoreV1().Pods("default")
	create(t, c, pod("crashing", corev1.RestartPolicyAlways, 0))
	eventually(t, "sandbox", func() error {
		return wantPod(c, "crashing", func(p *corev1.Pod) bool { return podCondition(p, corev1.PodReadyToStartContainers) })
	})
	patch := `{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"False"}],
		"containerStatuses":[{"name":"main","image":"x","imageID":"","ready":false,"restartCount":3,"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}}`
	if _, err := pods.Patch(t.Context(), "crashing", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // many times the pod start
	if p := getPod(t, c, "crashing"); podReady(p) || p.Status.ContainerStatuses[0].State.Waiting == nil {
		t.Errorf("it was started: %+v", p.Status)
	}
}

func testRemoveNode(t *testing.T, c *ControlPlane) {
	ctx := t.Context()
	if _, ok := c.Node(gpuNode); !ok {
		t.Error("node is not known")
	}
	if err := c.RemoveNode(ctx, gpuNode); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Node(gpuNode); ok {
		t.Error("node is still known")
	}
	if _, err := c.Client().CoreV1().Nodes().Get(ctx, gpuNode, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("node: %v", err)
	}
	eventually(t, "pods of the node", func() error {
		pods, err := c.Client().CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + gpuNode})
		if err == nil && len(pods.Items) > 0 {
			err = fmt.Errorf("%d pods left", len(pods.Items))
		}
		return err
	})
}

// pod is one that tolerates the GPU taint and asks for GPUs.
func pod(name string, restart corev1.RestartPolicy, gpus int64) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec: corev1.PodSpec{
			RestartPolicy: restart,
			Containers:    []corev1.Container{{Name: "main", Image: "nvidia/cuda:13.0.1-base-ubi9"}},
			Tolerations:   []corev1.Toleration{{Key: gpuResource, Operator: corev1.TolerationOpExists}},
		},
	}
	if gpus > 0 {
		p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{gpuResource: *resource.NewQuantity(gpus, resource.DecimalSI)}
	}
	return p
}

// awsNode is the vpc-cni add-on's DaemonSet as far as it matters here.
func awsNode() *appsv1.DaemonSet {
	labels := map[string]string{"k8s-app": cniDaemonSet}
	return &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: cniDaemonSet},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					HostNetwork:    true,
					InitContainers: []corev1.Container{{Name: "aws-vpc-cni-init", Image: "amazon-k8s-cni-init"}},
					Containers:     []corev1.Container{{Name: cniDaemonSet, Image: "amazon-k8s-cni"}},
					Tolerations:    []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
				},
			},
		},
	}
}

// create makes a pod once the service account that every pod needs is there.
func create(t *testing.T, c *ControlPlane, p *corev1.Pod) {
	t.Helper()
	eventually(t, "create pod "+p.Name, func() error {
		_, err := c.Client().CoreV1().Pods(p.Namespace).Create(t.Context(), p, metav1.CreateOptions{})
		return err
	})
}

func getPod(t *testing.T, c *ControlPlane, name string) *corev1.Pod {
	t.Helper()
	p, err := c.Client().CoreV1().Pods("default").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func listPods(t *testing.T, c *ControlPlane, selector string) []corev1.Pod {
	t.Helper()
	pods, err := c.Client().CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) == 0 {
		t.Fatalf("no pods with %s", selector)
	}
	return pods.Items
}

func wantPod(c *ControlPlane, name string, ok func(*corev1.Pod) bool) error {
	p, err := c.Client().CoreV1().Pods("default").Get(context.Background(), name, metav1.GetOptions{})
	if err == nil && !ok(p) {
		err = fmt.Errorf("pod %s: node %q, status %+v", name, p.Spec.NodeName, p.Status)
	}
	return err
}

func wantUnschedulable(c *ControlPlane, name, message string) error {
	return wantPod(c, name, func(p *corev1.Pod) bool {
		for _, cond := range p.Status.Conditions {
			if cond.Type == corev1.PodScheduled && cond.Reason == corev1.PodReasonUnschedulable && strings.Contains(cond.Message, message) {
				return true
			}
		}
		return false
	})
}

func logs(t *testing.T, c *ControlPlane, pod string) (string, error) {
	t.Helper()
	data, err := c.Client().CoreV1().Pods("default").GetLogs(pod, &corev1.PodLogOptions{}).DoRaw(t.Context())
	return string(data), err
}

func execute(t *testing.T, c *ControlPlane, pod string, command ...string) (stdout, stderr string, err error) {
	t.Helper()
	url := c.Client().CoreV1().RESTClient().Post().Namespace("default").Resource("pods").Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: command, Stdout: true, Stderr: true}, scheme.ParameterCodec).URL()
	session, err := remotecommand.NewWebSocketExecutor(c.Admin(), "GET", url.String())
	if err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	err = session.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: &out, Stderr: &errs})
	return out.String(), errs.String(), err
}

func tainted(node *corev1.Node, key string) bool {
	for _, taint := range node.Spec.Taints {
		if taint.Key == key {
			return true
		}
	}
	return false
}

// A Kubernetes that runs already takes nodes as one of our own, and stays.
func TestBeside(t *testing.T) {
	ctx := t.Context()
	there := start(t, Options{Cluster: "there", Version: "1.35"})
	c, err := Start(ctx, Options{Dir: t.TempDir(), Cluster: "lab", Version: "1.35", Executable: there.opts.Executable,
		Kubeconfig: filepath.Join(there.opts.Dir, fileAdminConfig)})
	if err != nil {
		t.Fatal(err)
	}
	if c.Endpoint() != there.Endpoint() || !bytes.Equal(c.CA(), there.CA()) {
		t.Errorf("endpoint %s, wanted %s", c.Endpoint(), there.Endpoint())
	}
	if err := c.AddNode(ctx, p4d()); err != nil {
		t.Error(err)
	}
	if err := c.Stop(ctx); err != nil {
		t.Error(err)
	}
	if _, err := there.Client().CoreV1().Nodes().Get(ctx, gpuNode, metav1.GetOptions{}); err != nil {
		t.Errorf("after Stop: %v", err)
	}
}
