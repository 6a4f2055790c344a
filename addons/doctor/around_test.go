package doctor

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"

	"aicluster/provision/cloud"
)

func claiming(name string) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "models", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}}}
	}
}

// claim is one that waits for a volume; no class is the default one.
func claim(class string) corev1.PersistentVolumeClaim {
	c := corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ai-serving", Name: "model-storage", CreationTimestamp: ago(time.Hour)}, Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending}}
	if class != "" {
		c.Spec.StorageClassName = &class
	}
	return c
}

func failing(p Pool, code, words string) Pool {
	p.Failure = cloud.Wrap("nodepool/"+p.Name, "waiting for nodes", cloud.LaunchError("Could not launch On-Demand Instances. "+code+" - "+words+". Launching EC2 instance failed.", "AsgInstanceLaunchFailures"))
	return p
}

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "ai-serving", Name: name, CreationTimestamp: ago(time.Hour)}
}

// service sends to pods of newPod.
func aService(target string, selects map[string]string) corev1.Service {
	return corev1.Service{ObjectMeta: meta("llama"), Spec: corev1.ServiceSpec{Selector: selects, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.Parse(target)}}}}
}

type ingressOption func(*networkingv1.Ingress)

// anIngress is in order: class nginx, service llama, an address.
func anIngress(options ...ingressOption) networkingv1.Ingress {
	class := "nginx"
	g := networkingv1.Ingress{ObjectMeta: meta("llama"), Spec: networkingv1.IngressSpec{IngressClassName: &class,
		TLS: []networkingv1.IngressTLS{{Hosts: []string{"ai-api.example.com"}, SecretName: "ai-api-tls"}},
		Rules: []networkingv1.IngressRule{{Host: "ai-api.example.com", IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
			Paths: []networkingv1.HTTPIngressPath{{Path: "/", Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "llama"}}}}}}}}}}
	g.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{Hostname: "a.elb.amazonaws.com"}}
	for _, o := range options {
		o(&g)
	}
	return g
}

func object(kind string, status map[string]any, spec map[string]any) unstructured.Unstructured {
	o := unstructured.Unstructured{Object: map[string]any{"kind": kind, "spec": spec, "status": status}}
	o.SetNamespace("ai-serving")
	o.SetName("llama")
	o.SetCreationTimestamp(ago(time.Hour))
	return o
}

func condition(kind, reason, message string) map[string]any {
	return map[string]any{"conditions": []any{map[string]any{"type": kind, "status": "False", "reason": reason, "message": message, "lastTransitionTime": ago(time.Hour).Format(time.RFC3339)}}}
}

// What pods stand on, and what leads to them.
func TestAround(t *testing.T) {
	class := []networkingv1.IngressClass{{ObjectMeta: metav1.ObjectMeta{Name: "nginx"}}}
	llama := map[string]string{"app.kubernetes.io/instance": "llama"}
	behind := []corev1.Service{aService("8000", nil)}
	for name, tt := range map[string]struct {
		Evidence
		want
	}{
		"node not Ready":   {Evidence{Nodes: []corev1.Node{gpuNode("gpu-1", notReady("Kubelet stopped posting node status."))}}, want{reason: "NodeNotReady", message: "Kubelet stopped", next: "terminate-instances --instance-ids i-0123456789abcdef0"}},
		"no pod network":   {Evidence{Nodes: []corev1.Node{gpuNode("gpu-1", notReady("container runtime network not ready: cni plugin not initialized"))}}, want{reason: "NodeNotReady", next: "aws-node"}},
		"no device plugin": {Evidence{Nodes: []corev1.Node{gpuNode("gpu-1", offers("0"))}, GPUs: map[string]string{"gpu-1": "the GPU operator is not installed"}}, want{reason: "GPUsNotOffered", message: "the GPU operator is not installed"}},
		"a broken GPU":     {Evidence{Nodes: []corev1.Node{gpuNode("gpu-1", offers("7"))}}, want{reason: "GPUsNotOffered", next: "replace the node"}},
		"disk pressure": {Evidence{Nodes: []corev1.Node{gpuNode("gpu-1", func(n *corev1.Node) {
			n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue, Reason: "KubeletHasDiskPressure"})
		})}}, want{reason: "DiskPressure", severity: Warning}},
		"pool without capacity": {Evidence{Pools: []Pool{failing(gpuPool(2, 4), "InsufficientInstanceCapacity", "no p4d")}}, want{reason: "NodesDoNotStart", message: "no p4d"}},
		"pool degraded":         {Evidence{Pools: []Pool{{Status: "DEGRADED", Issues: []string{"AccessDenied: x"}}}}, want{reason: "PoolUnhealthy", message: "AccessDenied: x"}},

		"quota": {Evidence{ReplicaSets: []appsv1.ReplicaSet{refused(`pods "llama-5c9f-" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=4, limited: requests.nvidia.com/gpu=4`)}},
			want{reason: "QuotaExceeded", message: "limited: requests.nvidia.com/gpu=4", next: "describe resourcequota"}},
		"pod security": {Evidence{ReplicaSets: []appsv1.ReplicaSet{refused(`pods "llama-5c9f-" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false`)}},
			want{reason: "PodSecurity", next: "pod-security.kubernetes.io/enforce"}},
		"a Job's pods are refused": {Evidence{Events: []corev1.Event{event("Job", "ai-serving", "batch", "FailedCreate", `pods "batch-" is forbidden: error looking up service account ai-serving/x: serviceaccount "x" not found`)}},
			want{reason: "ServiceAccountMissing", message: `serviceaccount "x" not found`}},

		"no default class": {Evidence{Claims: []corev1.PersistentVolumeClaim{claim("")}, Classes: []storagev1.StorageClass{{ObjectMeta: metav1.ObjectMeta{Name: "gp2"}}},
			Events: []corev1.Event{event("PersistentVolumeClaim", "ai-serving", "model-storage", "FailedBinding", "no persistent volumes available for this claim and no storage class is set")}},
			want{reason: "NoStorageClass", message: "no storage class is set", next: "spec.storageClassName (gp2)"}},
		"unknown class": {Evidence{Claims: []corev1.PersistentVolumeClaim{claim("efs-sc")}, Classes: []storagev1.StorageClass{{ObjectMeta: metav1.ObjectMeta{Name: "gp2"}}}},
			want{reason: "StorageClassMissing", next: "gp2"}},
		"a driver without rights": {Evidence{Claims: []corev1.PersistentVolumeClaim{claim("gp2")}, Classes: []storagev1.StorageClass{{ObjectMeta: metav1.ObjectMeta{Name: "gp2"}}},
			Events: []corev1.Event{event("PersistentVolumeClaim", "ai-serving", "model-storage", "ProvisioningFailed", "UnauthorizedOperation: You are not authorized to perform this operation.")}},
			want{reason: "ClaimPending", message: "UnauthorizedOperation", next: "aicluster up"}},
		"waits for its pod": {Evidence{Claims: []corev1.PersistentVolumeClaim{claim("gp2")}, Events: []corev1.Event{event("PersistentVolumeClaim", "ai-serving", "model-storage", "WaitForFirstConsumer", "waiting for first consumer")}}, want{}},

		"a service of nothing":   {Evidence{Services: []corev1.Service{aService("8000", map[string]string{"app": "lama"})}, Pods: []corev1.Pod{newPod(on("gpu-1"))}}, want{reason: "NoPods", severity: Warning, message: "app=lama"}},
		"a service of two ports": {Evidence{Services: []corev1.Service{aService("http", llama)}, Pods: []corev1.Pod{newPod(on("gpu-1"))}}, want{reason: "NoSuchPort", severity: Warning, message: "names no ports"}},
		"a service that works": {Evidence{Services: []corev1.Service{aService("8000", llama)}, Pods: []corev1.Pod{newPod(on("gpu-1"))},
			Slices: []discoveryv1.EndpointSlice{{ObjectMeta: metav1.ObjectMeta{Namespace: "ai-serving", Labels: map[string]string{discoveryv1.LabelServiceName: "llama"}}, Ports: []discoveryv1.EndpointPort{{}}, Endpoints: []discoveryv1.Endpoint{{}}}}}, want{}},
		"no load balancer": {Evidence{Services: []corev1.Service{{ObjectMeta: meta("in"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}}},
			Events: []corev1.Event{event("Service", "ai-serving", "in", "SyncLoadBalancerFailed", "Error syncing load balancer: could not find any suitable subnets for creating the ELB")}},
			want{reason: "NoLoadBalancer", message: "could not find any suitable subnets", next: "kubernetes.io/role/elb=1"}},

		"an ingress that works": {Evidence{Ingresses: []networkingv1.Ingress{anIngress()}, IngressClasses: class, Services: behind, Secrets: map[string]bool{"ai-serving/ai-api-tls": true}}, want{}},
		"no controller":         {Evidence{Ingresses: []networkingv1.Ingress{anIngress()}, Services: behind}, want{reason: "NoIngressClass", message: "there is no IngressClass nginx", next: "addons.ingressNginx"}},
		"no class": {Evidence{Ingresses: []networkingv1.Ingress{anIngress(func(g *networkingv1.Ingress) { g.Spec.IngressClassName = nil })}, IngressClasses: class, Services: behind},
			want{reason: "NoIngressClass", next: "spec.ingressClassName (nginx)"}},
		"no certificate": {Evidence{Ingresses: []networkingv1.Ingress{anIngress()}, IngressClasses: class, Services: behind, Secrets: map[string]bool{"ai-serving/ai-api-tls": false}},
			want{reason: "TLSSecretMissing", message: "ai-serving/ai-api-tls", next: "create secret tls ai-api-tls"}},
		"no backend": {Evidence{Ingresses: []networkingv1.Ingress{anIngress()}, IngressClasses: class}, want{reason: "NoBackend", message: "ai-serving/llama"}},
		"no address": {Evidence{Ingresses: []networkingv1.Ingress{anIngress(func(g *networkingv1.Ingress) { g.Status.LoadBalancer.Ingress = nil })}, IngressClasses: class, Services: behind}, want{reason: "NoAddress"}},

		"a certificate that is not issued": {Evidence{Conditioned: []unstructured.Unstructured{
			object("Certificate", condition("Ready", "DoesNotExist", "Issuing certificate as Secret does not exist"), map[string]any{"dnsNames": []any{"ai-api.example.com"}}),
			object("Challenge", map[string]any{"state": "pending", "reason": "Waiting for HTTP-01 challenge propagation: no such host"}, map[string]any{"dnsName": "ai-api.example.com"})}},
			want{reason: "CertificateNotIssued", message: "no such host", next: "DNS record"}},
		"a route without a backend": {Evidence{Conditioned: []unstructured.Unstructured{object("HTTPRoute", map[string]any{"parents": []any{condition("ResolvedRefs", "BackendNotFound", "service ai-serving/llama not found")}}, nil)}},
			want{reason: "NotResolvedRefs", message: "BackendNotFound", next: "backend"}},
		"a gateway that is not programmed": {Evidence{Conditioned: []unstructured.Unstructured{object("Gateway", condition("Programmed", "AddressNotAssigned", "No addresses have been assigned"), nil)}},
			want{reason: "NotProgrammed", message: "AddressNotAssigned"}},

		"a budget that blocks drains": {Evidence{Budgets: []policyv1.PodDisruptionBudget{{ObjectMeta: meta("one"), Status: policyv1.PodDisruptionBudgetStatus{ExpectedPods: 1, CurrentHealthy: 1, DesiredHealthy: 1}}}},
			want{reason: "BlocksDrains", severity: Warning, message: "1 of 1 pods", next: "maxUnavailable: 1"}},
		"a budget that does not": {Evidence{Budgets: []policyv1.PodDisruptionBudget{{ObjectMeta: meta("two"), Status: policyv1.PodDisruptionBudgetStatus{ExpectedPods: 2, CurrentHealthy: 2, DesiredHealthy: 1, DisruptionsAllowed: 1}}}}, want{}},
		"an autoscaler without its metric": {Evidence{Scalers: []autoscalingv2.HorizontalPodAutoscaler{{ObjectMeta: meta("llama"), Status: autoscalingv2.HorizontalPodAutoscalerStatus{Conditions: []autoscalingv2.HorizontalPodAutoscalerCondition{
			{Type: autoscalingv2.ScalingActive, Status: corev1.ConditionFalse, Reason: "FailedGetPodsMetric", Message: "no metrics returned from custom metrics API", LastTransitionTime: ago(time.Hour)}}}}}},
			want{reason: "NotScaling", severity: Warning, message: "FailedGetPodsMetric"}},
	} {
		t.Run(name, func(t *testing.T) { check(t, tt.Evidence, tt.want) })
	}
}

// refused is a ReplicaSet of Deployment llama whose pods the API server refuses.
func refused(message string) appsv1.ReplicaSet {
	yes := true
	rs := appsv1.ReplicaSet{ObjectMeta: meta("llama-5c9f")}
	rs.OwnerReferences = []metav1.OwnerReference{{Kind: "Deployment", Name: "llama", Controller: &yes}}
	rs.Status.Conditions = []appsv1.ReplicaSetCondition{{Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: message, LastTransitionTime: ago(time.Hour)}}
	return rs
}

// The last lines that are worth reading: of the previous life in a crash loop.
func TestEnded(t *testing.T) {
	e := Evidence{Pods: []corev1.Pod{newPod(crashes(1, "Error")), newPod(foreign("x", "fine"), on("gpu-1"))}}
	ended := e.Ended()
	if previous, ok := ended[Container{"ai-serving", "llama-5c9f-x2kd9", "vllm"}]; len(ended) != 1 || !ok || !previous {
		t.Errorf("ended: %v", ended)
	}
}
