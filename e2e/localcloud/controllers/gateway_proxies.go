package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// proxySettings are the parts of an EnvoyProxy that are honoured
// (api/v1alpha1/envoyproxy_types.go).
type proxySettings struct {
	Provider struct {
		Kubernetes struct {
			EnvoyDeployment struct {
				Replicas *int32 `json:"replicas"`
				Pod      struct {
					Annotations               map[string]string                 `json:"annotations"`
					Labels                    map[string]string                 `json:"labels"`
					Affinity                  *corev1.Affinity                  `json:"affinity"`
					NodeSelector              map[string]string                 `json:"nodeSelector"`
					Tolerations               []corev1.Toleration               `json:"tolerations"`
					TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints"`
				} `json:"pod"`
			} `json:"envoyDeployment"`
			EnvoyService struct {
				Name                     string                              `json:"name"`
				Type                     corev1.ServiceType                  `json:"type"`
				Annotations              map[string]string                   `json:"annotations"`
				Labels                   map[string]string                   `json:"labels"`
				LoadBalancerClass        *string                             `json:"loadBalancerClass"`
				LoadBalancerSourceRanges []string                            `json:"loadBalancerSourceRanges"`
				ExternalTrafficPolicy    corev1.ServiceExternalTrafficPolicy `json:"externalTrafficPolicy"`
				Patch                    *struct {
					Value json.RawMessage `json:"value"`
				} `json:"patch"`
			} `json:"envoyService"`
			EnvoyPDB *struct {
				MinAvailable   *intstr.IntOrString `json:"minAvailable"`
				MaxUnavailable *intstr.IntOrString `json:"maxUnavailable"`
			} `json:"envoyPDB"`
		} `json:"kubernetes"`
	} `json:"provider"`
	Shutdown struct {
		DrainTimeout string `json:"drainTimeout"`
	} `json:"shutdown"`
}

// proxyName is what all objects of a Gateway are called.
func proxyName(g *unstructured.Unstructured) string {
	return hashedName(g.GetNamespace() + "/" + g.GetName())
}

// hashedName is ExpectedResourceHashedName of Envoy Gateway's
// internal/infrastructure/kubernetes/proxy.
func hashedName(id string) string {
	sum := sha256.Sum256([]byte(id))
	name := strings.ReplaceAll(id, "/", "-")
	if len(name) > 48 {
		name = strings.TrimSuffix(name[:48], "-")
	}
	return "envoy-" + name + "-" + hex.EncodeToString(sum[:])[:8]
}

func proxyLabels(g *unstructured.Unstructured) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name": "envoy", "app.kubernetes.io/component": "proxy", "app.kubernetes.io/managed-by": "envoy-gateway",
		owningName: g.GetName(), owningNamespace: g.GetNamespace(),
	}
}

// proxies makes what a Gateway's requests come in by.
func (e *envoyGateway) proxies(ctx context.Context, g, proxy *unstructured.Unstructured) error {
	var s proxySettings
	if spec, ok := proxy.Object["spec"].(map[string]any); ok {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(spec, &s); err != nil {
			return fmt.Errorf("its settings: %w", err)
		}
	}
	class := e.find(gatewayClasses, "", text(g, "spec", "gatewayClassName"))
	if class == nil {
		return nil
	}
	meta := metav1.ObjectMeta{Name: proxyName(g), Namespace: e.session.namespace, Labels: proxyLabels(g), OwnerReferences: []metav1.OwnerReference{
		{APIVersion: class.GetAPIVersion(), Kind: "GatewayClass", Name: class.GetName(), UID: class.GetUID()},
	}}
	service, err := e.service(g, s, meta)
	if err != nil {
		return err
	}
	objects := []struct {
		plural string
		object runtime.Object
	}{
		{"serviceaccounts", &corev1.ServiceAccount{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: meta}},
		{"configmaps", &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: meta}},
		{"deployments", proxyDeployment(s, meta)},
		{"services", service},
	}
	if pdb := s.Provider.Kubernetes.EnvoyPDB; pdb != nil {
		objects = append(objects, struct {
			plural string
			object runtime.Object
		}{"poddisruptionbudgets", &policyv1.PodDisruptionBudget{
			TypeMeta: metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"}, ObjectMeta: meta,
			Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: pdb.MinAvailable, MaxUnavailable: pdb.MaxUnavailable, Selector: &metav1.LabelSelector{MatchLabels: meta.Labels}},
		}})
	}
	for _, o := range objects {
		u, err := fields(o.object)
		if err != nil {
			return err
		}
		delete(u.Object, "status")
		unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
		unstructured.RemoveNestedField(u.Object, "spec", "template", "metadata", "creationTimestamp")
		gvr := u.GroupVersionKind().GroupVersion().WithResource(o.plural)
		if _, err := e.dyn.Resource(gvr).Namespace(meta.Namespace).Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: "envoy-gateway", Force: true}); err != nil {
			return fmt.Errorf("%s: %w", o.plural, err)
		}
	}
	return nil
}

// service listens on each port of the Gateway's listeners and of those of its sets.
// Envoy listens 10000 higher where a port is privileged.
func (e *envoyGateway) service(g *unstructured.Unstructured, s proxySettings, meta metav1.ObjectMeta) (*corev1.Service, error) {
	k := s.Provider.Kubernetes.EnvoyService
	listeners := list(g, "spec", "listeners")
	for _, set := range e.setsOf(g) {
		listeners = append(listeners, list(set, "spec", "listeners")...)
	}
	var ports []corev1.ServicePort
	for _, l := range listeners {
		port, _ := l["port"].(int64)
		target := port
		if port < 1024 {
			target += 10000
		}
		protocol, _ := l["protocol"].(string)
		name := fmt.Sprintf("%s-%d", strings.ToLower(protocol), port)
		if !slices.ContainsFunc(ports, func(p corev1.ServicePort) bool { return int64(p.Port) == port }) {
			ports = append(ports, corev1.ServicePort{Name: name, Protocol: corev1.ProtocolTCP, Port: int32(port), TargetPort: intstr.FromInt32(int32(target))})
		}
	}
	kind := k.Type
	if kind == "" {
		kind = corev1.ServiceTypeLoadBalancer
	}
	svc := &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: *meta.DeepCopy(),
		Spec: corev1.ServiceSpec{Type: kind, Selector: meta.Labels, Ports: ports, SessionAffinity: corev1.ServiceAffinityNone},
	}
	if k.Name != "" {
		svc.Name = k.Name
	}
	svc.Annotations = k.Annotations
	for key, value := range k.Labels {
		svc.Labels[key] = value
	}
	if kind == corev1.ServiceTypeLoadBalancer {
		svc.Spec.ExternalTrafficPolicy, svc.Spec.LoadBalancerClass, svc.Spec.LoadBalancerSourceRanges = k.ExternalTrafficPolicy, k.LoadBalancerClass, k.LoadBalancerSourceRanges
		if svc.Spec.ExternalTrafficPolicy == "" {
			svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		}
	}
	if k.Patch == nil {
		return svc, nil
	}
	plain, err := json.Marshal(svc)
	if err != nil {
		return nil, err
	}
	patched, err := strategicpatch.StrategicMergePatch(plain, k.Patch.Value, corev1.Service{})
	if err != nil {
		return nil, fmt.Errorf("the patch of its service: %w", err)
	}
	out := &corev1.Service{}
	return out, json.Unmarshal(patched, out)
}

// proxyDeployment has Envoy and, beside it, what lets its requests end before it does.
func proxyDeployment(s proxySettings, meta metav1.ObjectMeta) *appsv1.Deployment {
	k := s.Provider.Kubernetes.EnvoyDeployment
	pod := meta.Labels
	if len(k.Pod.Labels) > 0 {
		pod = labels.Merge(k.Pod.Labels, meta.Labels)
	}
	drain, err := time.ParseDuration(s.Shutdown.DrainTimeout)
	if err != nil {
		drain = time.Minute
	}
	grace := int64((drain + 5*time.Minute).Seconds())
	ready := func(path string, port int32) *corev1.Probe {
		return &corev1.Probe{PeriodSeconds: 5, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(port)}}}
	}
	return &appsv1.Deployment{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: meta,
		Spec: appsv1.DeploymentSpec{
			Replicas: k.Replicas, Selector: &metav1.LabelSelector{MatchLabels: meta.Labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: pod, Annotations: k.Pod.Annotations},
				Spec: corev1.PodSpec{
					ServiceAccountName: meta.Name, TerminationGracePeriodSeconds: &grace, AutomountServiceAccountToken: new(bool),
					Affinity: k.Pod.Affinity, NodeSelector: k.Pod.NodeSelector, Tolerations: k.Pod.Tolerations, TopologySpreadConstraints: k.Pod.TopologySpreadConstraints,
					Containers: []corev1.Container{
						{Name: "envoy", Image: "docker.io/envoyproxy/envoy:distroless-v1.39.0", Command: []string{"envoy"}, ReadinessProbe: ready("/ready", 19003),
							Ports: []corev1.ContainerPort{{Name: "metrics", ContainerPort: 19001, Protocol: corev1.ProtocolTCP}, {Name: "readiness", ContainerPort: 19003, Protocol: corev1.ProtocolTCP}}},
						{Name: "shutdown-manager", Image: "docker.io/envoyproxy/gateway:v1.9.0", Command: []string{"envoy-gateway"}, Args: []string{"envoy", "shutdown-manager"}, ReadinessProbe: ready("/healthz", 19002)},
					},
				},
			},
		},
	}
}

// removeProxies deletes what was made for Gateways that are gone, or another
// controller's now.
func (e *envoyGateway) removeProxies(ctx context.Context, mine []*unstructured.Unstructured) error {
	for _, kind := range []schema.GroupVersionResource{
		{Version: "v1", Resource: "services"}, {Group: "apps", Version: "v1", Resource: "deployments"}, {Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"},
		{Version: "v1", Resource: "configmaps"}, {Version: "v1", Resource: "serviceaccounts"},
	} {
		api := e.dyn.Resource(kind).Namespace(e.session.namespace)
		made, err := api.List(ctx, metav1.ListOptions{LabelSelector: owningName})
		if err != nil {
			return err
		}
		for _, u := range made.Items {
			l := u.GetLabels()
			stays := slices.ContainsFunc(mine, func(g *unstructured.Unstructured) bool {
				return g.GetName() == l[owningName] && g.GetNamespace() == l[owningNamespace]
			})
			if stays || u.GetDeletionTimestamp() != nil {
				continue
			}
			if err := api.Delete(ctx, u.GetName(), metav1.DeleteOptions{}); ignoreNotFound(err) != nil {
				return fmt.Errorf("%s %s: %w", kind.Resource, u.GetName(), err)
			}
		}
	}
	return nil
}
