package doctor

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"aicluster/blueprints"
)

var now = time.Date(2026, 11, 25, 4, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

type podOption func(*corev1.Pod)

// newPod is a replica of the blueprint's service llama: one GPU, an hour old.
func newPod(options ...podOption) corev1.Pod {
	p := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ai-serving", Name: "llama-5c9f-x2kd9", CreationTimestamp: ago(time.Hour), Labels: map[string]string{
			"app.kubernetes.io/instance": "llama", "app.kubernetes.io/managed-by": "aicluster", "pod-template-hash": "5c9f"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "llama-5c9f", Controller: new(bool)}}},
		Spec: corev1.PodSpec{
			NodeSelector: map[string]string{"accelerator": "nvidia-a100"},
			Tolerations:  []corev1.Toleration{{Key: "nvidia.com/gpu", Operator: corev1.TolerationOpEqual, Value: "present", Effect: corev1.TaintEffectNoSchedule}},
			Containers: []corev1.Container{{Name: "vllm", Image: "vllm/vllm-openai:v1", Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{GPU: apiresource.MustParse("1"), corev1.ResourceCPU: apiresource.MustParse("4"), corev1.ResourceMemory: apiresource.MustParse("24Gi")},
				Limits:   corev1.ResourceList{GPU: apiresource.MustParse("1"), corev1.ResourceMemory: apiresource.MustParse("32Gi")}}}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	*p.OwnerReferences[0].Controller = true
	for _, o := range options {
		o(&p)
	}
	return p
}

// unschedulable is what the scheduler says.
func unschedulable(message string) podOption {
	return func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: message, LastTransitionTime: ago(time.Hour)}}
	}
}

func asks(name corev1.ResourceName, q string) podOption {
	return func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests[name] = apiresource.MustParse(q) }
}

func selecting(key, value string) podOption {
	return func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{key: value} }
}

func tolerating(t ...corev1.Toleration) podOption {
	return func(p *corev1.Pod) { p.Spec.Tolerations = t }
}

// foreign is a pod that is nobody's of the blueprint.
func foreign(namespace, name string) podOption {
	return func(p *corev1.Pod) {
		p.Namespace, p.Name = namespace, name
		p.Labels, p.OwnerReferences = map[string]string{"app": name}, nil
	}
}

// on puts a pod on a node, where it runs.
func on(node string) podOption {
	return func(p *corev1.Pod) { p.Spec.NodeName, p.Status.Phase = node, corev1.PodRunning; healthy(p) }
}

func healthy(p *corev1.Pod) {
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "vllm", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(time.Hour)}}}}
}

// state puts the container into a state; the pod is on a node and not ready.
func state(s corev1.ContainerStatus) podOption {
	return func(p *corev1.Pod) {
		p.Spec.NodeName = "gpu-1"
		s.Name = "vllm"
		p.Status.ContainerStatuses = []corev1.ContainerStatus{s}
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "ContainersNotReady", LastTransitionTime: ago(time.Hour)}}
	}
}

func waits(reason, message string) podOption {
	return state(corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}})
}

// crashes is a crash loop whose last end had an exit code and a reason.
func crashes(code int32, reason string) podOption {
	return state(corev1.ContainerStatus{RestartCount: 5, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, FinishedAt: ago(time.Minute)}}})
}

// loader gives the pod an init container "model-loader" that crashes.
func loader(p *corev1.Pod) {
	waits("PodInitializing", "")(p)
	p.Spec.InitContainers = []corev1.Container{{Name: "model-loader"}}
	p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "model-loader", RestartCount: 3, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}}}}
}

func running(p *corev1.Pod) {
	state(corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(time.Hour)}}})(p)
	p.Status.Phase = corev1.PodRunning
}

type nodeOption func(*corev1.Node)

// gpuNode is a p4d of pool gpu-a100 with all its GPUs.
func gpuNode(name string, options ...nodeOption) corev1.Node {
	n := corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: ago(time.Hour), Labels: map[string]string{
			"accelerator": "nvidia-a100", "eks.amazonaws.com/nodegroup": "gpu-a100", corev1.LabelInstanceTypeStable: "p4d.24xlarge"}},
		Spec: corev1.NodeSpec{ProviderID: "aws:///ap-northeast-2a/i-0123456789abcdef0", Taints: []corev1.Taint{{Key: "nvidia.com/gpu", Value: "present", Effect: corev1.TaintEffectNoSchedule}}},
		Status: corev1.NodeStatus{
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: ago(time.Hour)}},
			Allocatable: corev1.ResourceList{corev1.ResourceCPU: apiresource.MustParse("95"), corev1.ResourceMemory: apiresource.MustParse("1000Gi"),
				corev1.ResourcePods: apiresource.MustParse("250"), GPU: apiresource.MustParse("8")},
		},
	}
	for _, o := range options {
		o(&n)
	}
	return n
}

func systemNode(name string) corev1.Node {
	return gpuNode(name, func(n *corev1.Node) {
		n.Labels = map[string]string{"eks.amazonaws.com/nodegroup": "system", corev1.LabelInstanceTypeStable: "c6i.xlarge"}
		n.Spec.Taints = nil
		n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: apiresource.MustParse("3920m"), corev1.ResourceMemory: apiresource.MustParse("6Gi"), corev1.ResourcePods: apiresource.MustParse("58")}
	})
}

func offers(gpus string) nodeOption {
	return func(n *corev1.Node) { n.Status.Allocatable[GPU] = apiresource.MustParse(gpus) }
}

func notReady(message string) nodeOption {
	return func(n *corev1.Node) {
		n.Status.Conditions[0].Status, n.Status.Conditions[0].Reason, n.Status.Conditions[0].Message = corev1.ConditionUnknown, "NodeStatusUnknown", message
	}
}

func event(kind, namespace, name, reason, message string) corev1.Event {
	return corev1.Event{InvolvedObject: corev1.ObjectReference{Kind: kind, Namespace: namespace, Name: name}, Reason: reason, Message: message, LastTimestamp: ago(time.Minute)}
}

// said is an event about the pod of newPod.
func said(reason, message string) corev1.Event {
	return event("Pod", "ai-serving", "llama-5c9f-x2kd9", reason, message)
}

// gpuPool is the pool of gpuNode.
func gpuPool(desired, most int) Pool {
	return Pool{Desired: desired, Status: "ACTIVE", NodePool: blueprints.NodePool{Name: "gpu-a100", InstanceTypes: []string{"p4d.24xlarge"}, Nodes: blueprints.Nodes{Min: 1, Max: most},
		Labels: map[string]string{"accelerator": "nvidia-a100"}, Taints: []blueprints.Taint{{Key: "nvidia.com/gpu", Value: "present", Effect: "NoSchedule"}}}}
}

// want is what a finding has to say.
type want struct {
	reason   string
	severity Severity // Error if left out
	message  string   // a part of it
	next     string   // a part of it
}

// check compares the first finding with what is wanted; no reason wants none.
func check(t *testing.T, e Evidence, w want) {
	t.Helper()
	e.Now, e.Grace, e.First = now, time.Minute, "ai-serving"
	found := e.Diagnose()
	if w.reason == "" {
		if len(found) > 0 {
			t.Errorf("found %+v, wanted nothing", found)
		}
		return
	}
	if len(found) == 0 {
		t.Fatalf("found nothing, wanted %s", w.reason)
	}
	if w.severity == "" {
		w.severity = Error
	}
	f := found[0]
	if f.Reason != w.reason || f.Severity != w.severity || !strings.Contains(f.Message, w.message) || !strings.Contains(f.Next, w.next) {
		t.Errorf("found\n  %s (%s)\n  what:    %s\n  message: %s\n  next:    %s\nwanted\n  %s (%s)\n  message: …%s…\n  next:    …%s…", f.Reason, f.Severity, f.What, f.Message, f.Next, w.reason, w.severity, w.message, w.next)
	}
	if f.What == "" || f.Next == "" || f.Message == "" {
		t.Errorf("the finding is not whole: %+v", f)
	}
}

// What is well is no finding, nor what has been unwell for a moment only.
func TestNothing(t *testing.T) {
	for name, e := range map[string]Evidence{
		"an empty cluster": {},
		"a healthy one":    {Nodes: []corev1.Node{gpuNode("gpu-1"), systemNode("sys-1")}, Pods: []corev1.Pod{newPod(on("gpu-1"))}, Pools: []Pool{gpuPool(1, 4)}},
		"a job that ended": {Pods: []corev1.Pod{newPod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })}},
		"just made":        {Pods: []corev1.Pod{newPod(unschedulable("0/1 nodes"), func(p *corev1.Pod) { p.CreationTimestamp = ago(10 * time.Second) })}},
		"a model is loading": {Pods: []corev1.Pod{newPod(loader, func(p *corev1.Pod) {
			p.Status.InitContainerStatuses[0] = corev1.ContainerStatus{Name: "model-loader", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(5 * time.Minute)}}}
		})}},
	} {
		t.Run(name, func(t *testing.T) { check(t, e, want{}) })
	}
}

// A pod on no node, and why.
func TestPending(t *testing.T) {
	const full = "0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) didn't match Pod's node affinity/selector."
	pending := func(o ...podOption) []corev1.Pod {
		return []corev1.Pod{newPod(append([]podOption{unschedulable(full)}, o...)...)}
	}
	nodes := []corev1.Node{gpuNode("gpu-1"), systemNode("sys-1")}
	hog := newPod(foreign("team-b", "notebook"), asks(GPU, "8"), on("gpu-1"))
	busy := append(pending(), hog)
	for name, tt := range map[string]struct {
		Evidence
		want
	}{
		"no GPU left, nothing scales": {
			Evidence{Nodes: nodes, Pods: busy, Pools: []Pool{gpuPool(1, 4)}},
			want{reason: "NoGPULeft", message: "gpu-1: 8 of 8 in use (team-b/notebook: 8)", next: "raise nodes.min of pool gpu-a100 (it has 1 node)"}},
		"no GPU left, pool at its maximum": {
			Evidence{Nodes: nodes, Pods: busy, Pools: []Pool{gpuPool(1, 1)}, Autoscaler: "clusterAutoscaler", Events: []corev1.Event{said("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached")}},
			want{reason: "NoGPULeft", message: "pool gpu-a100 is at its maximum of 1 node", next: "raise nodes.max of pool gpu-a100"}},
		"no GPU left, a node is coming": {
			Evidence{Nodes: nodes, Pods: busy, Pools: []Pool{gpuPool(2, 4)}, Autoscaler: "clusterAutoscaler", Events: []corev1.Event{said("TriggeredScaleUp", "pod triggered scale-up: [{eks-gpu-a100 1->2 (max: 4)}]")}},
			want{reason: "NoGPULeft", severity: Warning, message: "TriggeredScaleUp: pod triggered scale-up", next: "wait"}},
		"no GPU left, Karpenter has begun": {
			Evidence{Nodes: nodes, Pods: busy, Pools: []Pool{gpuPool(1, 4)}, Autoscaler: "karpenter", Events: []corev1.Event{said("Nominated", "Pod should schedule on: nodeclaim/gpu-a100-x7")}},
			want{reason: "NoGPULeft", severity: Warning, message: "nodeclaim/gpu-a100-x7", next: "wait"}},
		"no GPU left, AWS has no capacity": {
			Evidence{Nodes: nodes, Pods: busy, Autoscaler: "clusterAutoscaler", Pools: []Pool{failing(gpuPool(2, 4), "InsufficientInstanceCapacity", "We currently do not have sufficient p4d.24xlarge capacity")},
				Events: []corev1.Event{said("TriggeredScaleUp", "pod triggered scale-up")}},
			want{reason: "NoCapacity", message: "pool gpu-a100: InsufficientInstanceCapacity: Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not have sufficient p4d.24xlarge capacity", next: "try other zones, more instance types"}},
		"no GPU left, quota reached": {
			Evidence{Nodes: nodes, Pods: busy, Autoscaler: "clusterAutoscaler", Pools: []Pool{failing(gpuPool(2, 4), "VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit of 96 allows")}},
			want{reason: "QuotaReached", message: "vCPU limit of 96", next: "Service Quotas"}},
		"no GPU left, the last scale-up failed": {
			Evidence{Nodes: nodes, Pods: busy, Pools: []Pool{gpuPool(1, 4)}, Autoscaler: "clusterAutoscaler", Events: []corev1.Event{said("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 in backoff after failed scale-up")}},
			want{reason: "NoGPULeft", message: "in backoff", next: "tries again"}},
		"no GPU left, the autoscaler is silent": {
			Evidence{Nodes: nodes, Pods: append(busy, newPod(foreign("kube-system", "cluster-autoscaler-x"), on("sys-1"))), Pools: []Pool{gpuPool(1, 4)}, Autoscaler: "clusterAutoscaler"},
			want{reason: "NoGPULeft", next: "logs deploy/cluster-autoscaler"}},
		"no GPU left, no autoscaler runs": {
			Evidence{Nodes: nodes, Pods: busy, Pools: []Pool{gpuPool(1, 4)}, Autoscaler: "clusterAutoscaler"},
			want{reason: "NoGPULeft", message: "the autoscaler does not run", next: "'aicluster up FILE' installs it"}},
		"the pool is at zero": {
			Evidence{Nodes: nodes[1:], Pods: append(pending(), newPod(foreign("kube-system", "cluster-autoscaler-x"), on("sys-1"))), Pools: []Pool{gpuPool(0, 4)}, Autoscaler: "clusterAutoscaler", Events: []corev1.Event{said("TriggeredScaleUp", "pod triggered scale-up: [{eks-gpu-a100 0->1 (max: 4)}]")}},
			want{reason: "NoNodeYet", severity: Warning, message: "0->1", next: "wait"}},
		"the pool is at zero and nothing scales": {
			Evidence{Nodes: nodes[1:], Pods: pending(), Pools: []Pool{gpuPool(0, 4)}},
			want{reason: "NoNodeYet", next: "raise nodes.min"}},
		"more GPUs than any node": {
			Evidence{Nodes: nodes, Pods: pending(asks(GPU, "16")), Pools: []Pool{gpuPool(1, 4)}},
			want{reason: "MoreGPUsThanANode", next: "lower gpus of service llama"}},
		"the node does not offer its GPUs": {
			Evidence{Nodes: []corev1.Node{gpuNode("gpu-1", offers("0"))}, Pods: pending(), GPUs: map[string]string{"gpu-1": "pod nvidia-device-plugin-x: CrashLoopBackOff"}},
			want{reason: "GPUsNotOffered", message: "nvidia-device-plugin-x: CrashLoopBackOff", next: "node gpu-1"}},
		"taint": {
			Evidence{Nodes: nodes, Pods: pending(tolerating())},
			want{reason: "TaintNotTolerated", next: `{key: nvidia.com/gpu, operator: Equal, value: "present", effect: NoSchedule}`}},
		"taint with another value": {
			Evidence{Nodes: nodes, Pods: pending(tolerating(corev1.Toleration{Key: "nvidia.com/gpu", Value: "true", Effect: corev1.TaintEffectNoSchedule}))},
			want{reason: "TaintNotTolerated", next: `value: "present"`}},
		"taint, and nodes without taint that have no GPU": {
			Evidence{Nodes: nodes, Pods: pending(tolerating(), func(p *corev1.Pod) { p.Spec.NodeSelector = nil })},
			want{reason: "TaintNotTolerated", next: "key: nvidia.com/gpu"}},
		"taint, no GPU wanted": {
			Evidence{Nodes: nodes[:1], Pods: []corev1.Pod{newPod(foreign("default", "web"), unschedulable("0/1 nodes"), tolerating(), func(p *corev1.Pod) {
				p.Spec.NodeSelector = nil
				delete(p.Spec.Containers[0].Resources.Requests, GPU)
			})}},
			want{reason: "TaintNotTolerated", next: "belongs onto a pool without this taint"}},
		"selector": {
			Evidence{Nodes: nodes, Pods: pending(selecting("accelerator", "nvidia-h100"))},
			want{reason: "NoNodeMatches", message: "accelerator=nvidia-h100 (nodes have nvidia-a100)", next: "correct pool of service llama"}},
		"a label that no node has": {
			Evidence{Nodes: nodes, Pods: pending(foreign("default", "web"), selecting("disk", "ssd"))},
			want{reason: "NoNodeMatches", message: "disk=ssd (no node has disk)", next: "nodeSelector or affinity of pod web"}},
		"affinity": {
			Evidence{Nodes: nodes, Pods: pending(func(p *corev1.Pod) {
				p.Spec.NodeSelector = nil
				p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
					{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "topology.kubernetes.io/zone", Operator: corev1.NodeSelectorOpIn, Values: []string{"ap-northeast-2d"}}}}}}}}
			})},
			want{reason: "NoNodeMatches"}},
		"too little CPU, ever": {
			Evidence{Nodes: nodes, Pods: pending(asks(corev1.ResourceCPU, "128"))},
			want{reason: "LargerThanANode", next: "lower resources.requests of service llama"}},
		"too little memory, ever": {
			Evidence{Nodes: nodes, Pods: pending(asks(corev1.ResourceMemory, "2Ti"))},
			want{reason: "LargerThanANode"}},
		"too little CPU left": {
			Evidence{Nodes: nodes, Pods: append(pending(), newPod(foreign("team-b", "train"), asks(GPU, "1"), asks(corev1.ResourceCPU, "94"), on("gpu-1")))},
			want{reason: "NoCPULeft", next: "free what others use"}},
		"too little memory left": {
			Evidence{Nodes: nodes, Pods: append(pending(), newPod(foreign("team-b", "train"), asks(GPU, "1"), asks(corev1.ResourceMemory, "990Gi"), on("gpu-1")))},
			want{reason: "NoMemoryLeft"}},
		"cordoned": {
			Evidence{Nodes: []corev1.Node{gpuNode("gpu-1", func(n *corev1.Node) { n.Spec.Unschedulable = true })}, Pods: pending()},
			want{reason: "NodesClosed", message: "gpu-1 is cordoned", next: "kubectl uncordon"}},
		"the only node is not Ready": {
			Evidence{Nodes: []corev1.Node{gpuNode("gpu-1", notReady("Kubelet stopped posting node status."))}, Pods: pending()},
			want{reason: "NodesClosed", message: "Kubelet stopped posting node status"}},
		"its claim has no volume": {
			Evidence{Nodes: nodes, Pods: pending(claiming("model-storage")), Claims: []corev1.PersistentVolumeClaim{claim("efs-sc")}},
			want{reason: "ClaimPending", next: "pvc model-storage"}},
		"its claim does not exist": {
			Evidence{Nodes: nodes, Pods: pending(claiming("model-storage"), unschedulable(`0/2 nodes are available: persistentvolumeclaim "model-storage" not found.`))},
			want{reason: "ClaimMissing", next: "make it in namespace ai-serving"}},
		"something that only the scheduler knows": {
			Evidence{Nodes: nodes, Pods: pending(unschedulable("0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules."))},
			want{reason: "Unschedulable", message: "anti-affinity rules", next: "read the scheduler's words"}},
		"a gate": {
			Evidence{Nodes: nodes, Pods: pending(func(p *corev1.Pod) { p.Status.Conditions[0].Reason = "SchedulingGated" })},
			want{reason: "Unschedulable", severity: Warning, next: "spec.schedulingGates"}},
	} {
		t.Run(name, func(t *testing.T) { check(t, tt.Evidence, tt.want) })
	}
}

// A pod on a node that does not start, or ends.
func TestContainers(t *testing.T) {
	log := func(text string) map[Container]string {
		return map[Container]string{{"ai-serving", "llama-5c9f-x2kd9", "vllm"}: text, {"ai-serving", "llama-5c9f-x2kd9", "model-loader"}: text}
	}
	for name, tt := range map[string]struct {
		pod    podOption
		log    string
		events []corev1.Event
		want
	}{
		"image not found": {pod: waits("ImagePullBackOff", `Back-off pulling image "vllm/vllm-openai:v1": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/vllm/vllm-openai:v1": docker.io/vllm/vllm-openai:v1: not found`),
			want: want{reason: "ImageNotFound", message: "ImagePullBackOff: container vllm: Back-off", next: "correct image of service llama in the blueprint"}},
		"image not found, an older kubelet": {pod: waits("ImagePullBackOff", `Back-off pulling image "vllm/vllm-openai:v1"`),
			events: []corev1.Event{said("Failed", `Failed to pull image "vllm/vllm-openai:v1": rpc error: code = NotFound desc = not found`)},
			want:   want{reason: "ImageNotFound", message: "code = NotFound"}},
		"image of somebody else": {pod: waits("ErrImagePull", `failed to resolve reference "111122223333.dkr.ecr.us-east-1.amazonaws.com/x:1": unexpected status from HEAD request to https://111122223333.dkr.ecr.us-east-1.amazonaws.com/v2/x/manifests/1: 403 Forbidden`),
			want: want{reason: "ImageNoAccess", next: "imagePullSecret"}},
		"Docker Hub denies": {pod: waits("ErrImagePull", `pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed`),
			want: want{reason: "ImageNoAccess"}},
		"rate limit": {pod: waits("ErrImagePull", `429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit`),
			want: want{reason: "ImageRateLimit", next: "mirror the image to ECR"}},
		"no way to the registry": {pod: waits("ErrImagePull", `dial tcp: lookup registry-1.docker.io: i/o timeout`), want: want{reason: "RegistryNotReached", next: "network.natGateways"}},
		"malformed image":        {pod: waits("InvalidImageName", `couldn't parse image name`), want: want{reason: "InvalidImageName"}},
		"secret missing":         {pod: waits("CreateContainerConfigError", `secret "hf-token" not found`), want: want{reason: "ConfigMissing", message: "hf-token", next: "namespace ai-serving"}},
		"runtime refuses":        {pod: waits("RunContainerError", `OCI runtime create failed: nvidia-container-cli: initialization error`), want: want{reason: "ContainerNotStarted"}},

		"host out of memory": {pod: crashes(137, "OOMKilled"), want: want{reason: "OutOfMemory", message: "CrashLoopBackOff: container vllm ended 5 times, last with exit code 137 (OOMKilled)", next: "raise resources.limits.memory (now 32Gi) and requests.memory of service llama"}},
		"GPU out of memory": {pod: crashes(1, "Error"), log: "INFO loading\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.96 GiB. GPU 0 has a total capacity of 39.49 GiB of which 1.2 GiB is free.\n",
			want: want{reason: "OutOfGPUMemory", message: "its log: torch.OutOfMemoryError: CUDA out of memory", next: "more gpus for each replica"}},
		"context too long": {pod: crashes(1, "Error"), log: "ValueError: To serve at least one request with the model's max seq len (131072), 16.00 GiB KV cache is needed, which is larger than the available KV cache memory (10.12 GiB).",
			want: want{reason: "ContextTooLong", next: "--max-model-len=N"}},
		"GPU in use": {pod: crashes(1, "Error"), log: "ValueError: Free memory on device (5.0/39.5 GiB) on startup is less than desired GPU memory utilization (0.9, 35.5 GiB).",
			want: want{reason: "GPUMemoryInUse", next: "nvidia-smi"}},
		"unknown argument": {pod: crashes(2, "Error"), log: "usage: api_server.py\napi_server.py: error: unrecognized arguments: --max-len=1", want: want{reason: "UnknownArgument", message: "--max-len=1"}},
		"no GPU":           {pod: crashes(1, "Error"), log: "RuntimeError: Failed to infer device type", want: want{reason: "NoGPUInContainer", next: "aicluster verify"}},
		"model missing": {pod: loader, log: "fatal error: An error occurred (404) when calling the HeadObject operation: Key \"Llama/config.json\" does not exist",
			want: want{reason: "ModelMissing", message: "CrashLoopBackOff: container model-loader ended 3 times", next: "aicluster models push FILE"}},
		"model missing, by our own loader": {pod: loader, log: "there is nothing at s3://models/Llama-3.1-8B-Instruct/", want: want{reason: "ModelMissing", next: "s3://models: aicluster models list FILE"}},
		"role not allowed": {pod: loader, log: "fatal error: An error occurred (AccessDenied) when calling the ListObjectsV2 operation: User: arn:aws:sts::1:assumed-role/x is not authorized to perform: s3:ListBucket",
			want: want{reason: "ModelNotAllowed", next: "pod identity"}},
		"disk full":         {pod: loader, log: "OSError: [Errno 28] No space left on device", want: want{reason: "DiskFull", next: "localStorage"}},
		"command not found": {pod: crashes(127, "Error"), want: want{reason: "CommandNotFound"}},
		"an unknown crash":  {pod: crashes(1, "Error"), log: "Traceback\nKeyError: 'rope_scaling'\n", want: want{reason: "Crash", message: "KeyError: 'rope_scaling'", next: "aicluster logs llama FILE --previous"}},
		"it ends by itself": {pod: crashes(0, "Completed"), want: want{reason: "Crash", next: "must stay in the foreground"}},
		"start-up too short": {pod: func(p *corev1.Pod) {
			crashes(137, "Error")(p)
			p.Spec.Containers[0].StartupProbe = &corev1.Probe{PeriodSeconds: 10, FailureThreshold: 60}
		},
			events: []corev1.Event{said("Unhealthy", "Startup probe failed: Get \"http://10.42.0.7:8000/health\": connection refused"), said("Killing", "Container vllm failed startup probe, will be restarted")},
			want:   want{reason: "StartupTooShort", message: "connection refused", next: "10m0s"}},
		"liveness": {pod: crashes(137, "Error"), events: []corev1.Event{said("Killing", "Container vllm failed liveness probe, will be restarted")}, want: want{reason: "LivenessFails"}},
		"readiness": {pod: running, events: []corev1.Event{said("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")},
			want: want{reason: "ProbeFails", message: "statuscode: 503", next: "aicluster logs llama FILE"}},
		"still starting": {pod: running, events: []corev1.Event{said("Unhealthy", "Startup probe failed: connection refused")}, want: want{reason: "Starting", severity: Warning}},
		"not mounted": {pod: waits("ContainerCreating", ""), events: []corev1.Event{said("FailedMount", `MountVolume.MountDevice failed for volume "models": driver name efs.csi.aws.com not found in the list of registered CSI drivers`)},
			want: want{reason: "VolumeNotMounted", next: "whether its DaemonSet tolerates"}},
		"no address": {pod: waits("ContainerCreating", ""), events: []corev1.Event{said("FailedCreatePodSandBox", "plugin type=\"aws-cni\" failed (add): add cmd: failed to assign an IP address to container")},
			want: want{reason: "NoPodNetwork", next: "out of addresses"}},
		"works again": {pod: func(p *corev1.Pod) {
			on("gpu-1")(p)
			p.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137, FinishedAt: ago(10 * time.Minute)}
		}, want: want{reason: "OutOfMemory", severity: Warning}},
		"evicted": {pod: func(p *corev1.Pod) {
			p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, "Evicted", "The node was low on resource: ephemeral-storage."
		}, want: want{reason: "Evicted", severity: Warning, message: "ephemeral-storage", next: "delete pod llama-5c9f-x2kd9"}},
		"GPUs gone between": {pod: func(p *corev1.Pod) {
			p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, "UnexpectedAdmissionError", "Allocate failed due to requested number of devices unavailable for nvidia.com/gpu. Requested: 8, Available: 7, which is unexpected"
		}, want: want{reason: "NotAdmitted", severity: Warning, next: "device plugin"}},
		"deleted and still there": {pod: func(p *corev1.Pod) {
			on("gpu-1")(p)
			p.DeletionTimestamp = &metav1.Time{Time: now.Add(-time.Hour)}
			p.Finalizers = []string{"example.com/hold"}
		}, want: want{reason: "NotDeleted", severity: Warning, message: "example.com/hold"}},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, Evidence{Pods: []corev1.Pod{newPod(tt.pod)}, Events: tt.events, Logs: log(tt.log), Bucket: "models"}, tt.want)
		})
	}
}

// The replicas of one Deployment with one trouble are one finding.
func TestReplicasAreOneFinding(t *testing.T) {
	a, b := newPod(crashes(137, "OOMKilled")), newPod(crashes(137, "OOMKilled"))
	b.Name = "llama-5c9f-zzzzz"
	e := Evidence{Now: now, Grace: time.Minute, Pods: []corev1.Pod{a, b}}
	found := e.Diagnose()
	if len(found) != 1 || len(found[0].Also) != 1 || found[0].Also[0] != "pod/ai-serving/llama-5c9f-zzzzz" {
		t.Errorf("found %+v", found)
	}
}

// What users notice comes first.
func TestOrder(t *testing.T) {
	other := newPod(foreign("team-b", "notebook"), crashes(1, "Error"))
	e := Evidence{Now: now, Grace: time.Minute, First: "ai-serving", Nodes: []corev1.Node{gpuNode("gpu-1", notReady("gone"))},
		Pods: []corev1.Pod{other, newPod(crashes(137, "OOMKilled"))}}
	var order []string
	for _, f := range e.Diagnose() {
		order = append(order, f.Resource)
	}
	if got, want := strings.Join(order, " "), "pod/ai-serving/llama-5c9f-x2kd9 node/gpu-1 pod/team-b/notebook"; got != want {
		t.Errorf("order: %s, want %s", got, want)
	}
}

// Without evidence a pod explains itself, as waits need it.
func TestPodAlone(t *testing.T) {
	var e Evidence
	p := newPod(crashes(1, "Error"))
	f, sick := e.Pod(&p)
	if !sick || !f.Stuck || f.String() != "pod llama-5c9f-x2kd9: CrashLoopBackOff: container vllm ended 5 times, last with exit code 1" {
		t.Errorf("%v %q", sick, f)
	}
	p = newPod(unschedulable("0/3 nodes are available: 3 Insufficient nvidia.com/gpu."))
	if f, sick = e.Pod(&p); !sick || f.Stuck || f.String() != "pod llama-5c9f-x2kd9: Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu." {
		t.Errorf("%v %q", sick, f)
	}
	p = newPod(running)
	if _, sick = e.Pod(&p); sick {
		t.Error("a pod that is getting ready is no trouble")
	}
}
