package controllers

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// lookAgain is how soon secrets are looked for again, which are not watched.
const lookAgain = time.Second

// setsOf lists the ListenerSets that attach to a Gateway which lets them.
func (e *envoyGateway) setsOf(g *unstructured.Unstructured) []*unstructured.Unstructured {
	from := text(g, "spec", "allowedListeners", "namespaces", "from")
	return slices.DeleteFunc(e.session.living(listenerSets), func(set *unstructured.Unstructured) bool {
		namespace := text(set, "spec", "parentRef", "namespace")
		if namespace == "" {
			namespace = set.GetNamespace()
		}
		allowed := from == "All" || from == "Same" && set.GetNamespace() == g.GetNamespace()
		return !allowed || text(set, "spec", "parentRef", "name") != g.GetName() || namespace != g.GetNamespace()
	})
}

// reports writes the statuses of all that belongs to the Gateways. It says when to
// look again: while a certificate is missing.
func (e *envoyGateway) reports(ctx context.Context, mine []*unstructured.Unstructured) (time.Duration, error) {
	var again time.Duration
	for _, g := range mine {
		sets := e.setsOf(g)
		accepted := 0
		for _, set := range sets {
			complete, err := e.reportSet(ctx, set)
			if err != nil {
				return 0, fmt.Errorf("listener set %s: %w", set.GetName(), err)
			}
			if !complete {
				again = lookAgain
				continue
			}
			accepted++
		}
		if err := e.reportGateway(ctx, g, accepted); err != nil {
			return 0, fmt.Errorf("gateway %s: %w", g.GetName(), err)
		}
		if err := e.reportRoutes(ctx, g, sets); err != nil {
			return 0, err
		}
		if err := e.reportPolicies(ctx, g); err != nil {
			return 0, err
		}
	}
	return again, nil
}

// reportGateway tells the addresses of the service and how many proxies run
// (internal/gatewayapi/status/gateway.go).
func (e *envoyGateway) reportGateway(ctx context.Context, g *unstructured.Unstructured, sets int) error {
	services, err := e.services.Services(e.session.namespace).List(labels.SelectorFromSet(labels.Set{owningName: g.GetName(), owningNamespace: g.GetNamespace()}))
	if err != nil {
		return err
	}
	var addresses []any
	for _, s := range services {
		for _, at := range s.Status.LoadBalancer.Ingress {
			switch {
			case at.Hostname != "":
				addresses = append(addresses, map[string]any{"type": "Hostname", "value": at.Hostname})
			case at.IP != "":
				addresses = append(addresses, map[string]any{"type": "IPAddress", "value": at.IP})
			}
		}
		if s.Spec.Type == corev1.ServiceTypeClusterIP {
			addresses = append(addresses, map[string]any{"type": "IPAddress", "value": s.Spec.ClusterIP})
		}
	}
	var available, wanted int32
	if d, err := e.deployments.Deployments(e.session.namespace).Get(proxyName(g)); err == nil {
		available, wanted = d.Status.AvailableReplicas, d.Status.Replicas
	}
	programmed := gatewayCondition(g, "Programmed", metav1.ConditionTrue, "Programmed", fmt.Sprintf("Address assigned to the Gateway, %d/%d envoy replicas available", available, wanted))
	switch {
	case len(addresses) == 0:
		programmed = gatewayCondition(g, "Programmed", metav1.ConditionFalse, "AddressNotAssigned", "No addresses have been assigned to the Gateway")
	case available == 0:
		programmed = gatewayCondition(g, "Programmed", metav1.ConditionFalse, "NoResources", "Envoy replicas unavailable")
	}
	var listeners []any
	for _, l := range list(g, "spec", "listeners") {
		listeners = append(listeners, e.listenerStatus(g, "Gateway", l, nil))
	}
	return e.report(ctx, gateways, g, map[string]any{
		"addresses": addresses, "attachedListenerSets": int64(sets), "listeners": listeners,
		"conditions": []any{gatewayCondition(g, "Accepted", metav1.ConditionTrue, "Accepted", "The Gateway has been scheduled by Envoy Gateway"), programmed},
	})
}

// listenerStatus is about one listener; trouble is why its certificate cannot be had.
func (e *envoyGateway) listenerStatus(owner *unstructured.Unstructured, kind string, l map[string]any, trouble error) map[string]any {
	name, _ := l["name"].(string)
	conditions := []any{
		gatewayCondition(owner, "Programmed", metav1.ConditionTrue, "Programmed", "Sending translated listener configuration to the data plane"),
		gatewayCondition(owner, "Accepted", metav1.ConditionTrue, "Accepted", "Listener has been successfully translated"),
		gatewayCondition(owner, "ResolvedRefs", metav1.ConditionTrue, "ResolvedRefs", "Listener references have been resolved"),
	}
	if trouble != nil {
		conditions = []any{
			gatewayCondition(owner, "ResolvedRefs", metav1.ConditionFalse, "InvalidCertificateRef", trouble.Error()),
			gatewayCondition(owner, "Programmed", metav1.ConditionFalse, "Invalid", "Listener is invalid, see other Conditions for details."),
		}
	}
	routes := 0
	for _, r := range e.session.living(httpRoutes) {
		for _, p := range list(r, "spec", "parentRefs") {
			if p["kind"] == kind && p["name"] == owner.GetName() && (p["sectionName"] == nil || p["sectionName"] == name) && parentNamespace(p, r) == owner.GetNamespace() {
				routes++
			}
		}
	}
	return map[string]any{
		"name": name, "attachedRoutes": int64(routes), "conditions": conditions,
		"supportedKinds": []any{map[string]any{"group": gateways.Group, "kind": "HTTPRoute"}, map[string]any{"group": gateways.Group, "kind": "GRPCRoute"}},
	}
}

// reportSet tells whether the set's certificates are there.
func (e *envoyGateway) reportSet(ctx context.Context, set *unstructured.Unstructured) (complete bool, err error) {
	var statuses []any
	complete = true
	for _, l := range list(set, "spec", "listeners") {
		trouble, err := e.certificate(ctx, set.GetNamespace(), l)
		if err != nil {
			return false, err
		}
		complete = complete && trouble == nil
		statuses = append(statuses, e.listenerStatus(set, "ListenerSet", l, trouble))
	}
	conditions := []any{
		gatewayCondition(set, "Accepted", metav1.ConditionTrue, "Accepted", "All listeners are accepted"),
		gatewayCondition(set, "Programmed", metav1.ConditionTrue, "Programmed", "All listeners are programmed"),
	}
	if !complete {
		conditions = []any{
			gatewayCondition(set, "Accepted", metav1.ConditionFalse, "ListenersNotValid", "No listeners are accepted"),
			gatewayCondition(set, "Programmed", metav1.ConditionFalse, "ListenersNotValid", "No listeners are programmed"),
		}
	}
	return complete, e.report(ctx, listenerSets, set, map[string]any{"conditions": conditions, "listeners": statuses})
}

// certificate looks for the secrets of a listener. trouble is what the listener's
// status says; other namespaces' secrets need a ReferenceGrant, of which none is
// looked for.
func (e *envoyGateway) certificate(ctx context.Context, namespace string, listener map[string]any) (trouble, err error) {
	refs, _, _ := unstructured.NestedSlice(listener, "tls", "certificateRefs")
	for i, ref := range refs {
		r, _ := ref.(map[string]any)
		name, _ := r["name"].(string)
		if other, _ := r["namespace"].(string); other != "" && other != namespace {
			return fmt.Errorf("No valid secrets exist: certificate refs %d: Certificate ref to secret %s/%s not permitted by any ReferenceGrant.", i, other, name), nil
		}
		secret, err := e.client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("No valid secrets exist: certificate refs %d: Secret %s/%s does not exist.", i, namespace, name), nil
		}
		if err != nil {
			return nil, err
		}
		if secret.Type != corev1.SecretTypeTLS || len(secret.Data[corev1.TLSCertKey]) == 0 || len(secret.Data[corev1.TLSPrivateKeyKey]) == 0 {
			return fmt.Errorf("No valid secrets exist: certificate refs %d: Secret %s/%s must contain %s and %s", i, namespace, name, corev1.TLSCertKey, corev1.TLSPrivateKeyKey), nil
		}
	}
	return nil, nil
}

// reportRoutes accepts the routes of a Gateway and of its sets, and says whether
// the services that they lead to exist.
func (e *envoyGateway) reportRoutes(ctx context.Context, g *unstructured.Unstructured, sets []*unstructured.Unstructured) error {
	for _, route := range e.session.living(httpRoutes) {
		var parents []any
		for _, p := range list(route, "spec", "parentRefs") {
			namespace := parentNamespace(p, route)
			ours := p["kind"] == "Gateway" && p["name"] == g.GetName() && namespace == g.GetNamespace() ||
				p["kind"] == "ListenerSet" && slices.ContainsFunc(sets, func(s *unstructured.Unstructured) bool {
					return p["name"] == s.GetName() && namespace == s.GetNamespace()
				})
			if !ours {
				continue
			}
			resolved := gatewayCondition(route, "ResolvedRefs", metav1.ConditionTrue, "ResolvedRefs", "Resolved all the Object references for the Route")
			if missing := e.missingBackend(route); missing != "" {
				resolved = gatewayCondition(route, "ResolvedRefs", metav1.ConditionFalse, "BackendNotFound", missing)
			}
			parents = append(parents, map[string]any{"parentRef": p, "controllerName": envoyController,
				"conditions": []any{gatewayCondition(route, "Accepted", metav1.ConditionTrue, "Accepted", "Route is accepted"), resolved}})
		}
		if len(parents) == 0 {
			continue
		}
		if err := e.report(ctx, httpRoutes, route, map[string]any{"parents": parents}); err != nil {
			return fmt.Errorf("route %s: %w", route.GetName(), err)
		}
	}
	return nil
}

func parentNamespace(p map[string]any, route *unstructured.Unstructured) string {
	if namespace, ok := p["namespace"].(string); ok {
		return namespace
	}
	return route.GetNamespace()
}

func (e *envoyGateway) missingBackend(route *unstructured.Unstructured) string {
	for _, rule := range list(route, "spec", "rules") {
		refs, _, _ := unstructured.NestedSlice(rule, "backendRefs")
		for _, ref := range refs {
			r, _ := ref.(map[string]any)
			name, _ := r["name"].(string)
			port, _ := r["port"].(int64)
			svc, err := e.services.Services(route.GetNamespace()).Get(name)
			if err != nil {
				return fmt.Sprintf("Failed to process route rule 0 backendRef 0: service %s/%s not found.", route.GetNamespace(), name)
			}
			if !slices.ContainsFunc(svc.Spec.Ports, func(p corev1.ServicePort) bool { return int64(p.Port) == port }) {
				return fmt.Sprintf("Failed to process route rule 0 backendRef 0: TCP Port %d not found on Service %s/%s.", port, route.GetNamespace(), name)
			}
		}
	}
	return ""
}

// reportPolicies accepts the policies whose target there is.
func (e *envoyGateway) reportPolicies(ctx context.Context, g *unstructured.Unstructured) error {
	for _, kind := range []schema.GroupVersionResource{clientPolicies, backendRules} {
		for _, policy := range e.session.living(kind) {
			found := false
			for _, target := range list(policy, "spec", "targetRefs") {
				name, _ := target["name"].(string)
				switch target["kind"] {
				case "Gateway":
					found = found || name == g.GetName() && policy.GetNamespace() == g.GetNamespace()
				case "HTTPRoute":
					found = found || e.find(httpRoutes, policy.GetNamespace(), name) != nil
				}
			}
			if !found {
				continue
			}
			status := map[string]any{"ancestors": []any{map[string]any{
				"ancestorRef":    map[string]any{"group": gateways.Group, "kind": "Gateway", "name": g.GetName(), "namespace": g.GetNamespace()},
				"controllerName": envoyController,
				"conditions":     []any{gatewayCondition(policy, "Accepted", metav1.ConditionTrue, "Accepted", "Policy has been accepted.")},
			}}}
			if err := e.report(ctx, kind, policy, status); err != nil {
				return fmt.Errorf("policy %s: %w", policy.GetName(), err)
			}
		}
	}
	return nil
}

// gatewayCondition is a condition as of what the object says now.
func gatewayCondition(of *unstructured.Unstructured, kind string, status metav1.ConditionStatus, reason, message string) map[string]any {
	c := condition(kind, status, reason, message)
	c["observedGeneration"] = of.GetGeneration()
	return c
}

// report writes a status if more than times differ.
func (e *envoyGateway) report(ctx context.Context, kind schema.GroupVersionResource, u *unstructured.Unstructured, status map[string]any) error {
	was, _, _ := unstructured.NestedMap(u.Object, "status")
	if reflect.DeepEqual(timeless(was), timeless(status)) {
		return nil
	}
	next := u.DeepCopy()
	next.Object["status"] = status
	api := e.dyn.Resource(kind)
	if u.GetNamespace() == "" {
		_, err := api.UpdateStatus(ctx, next, metav1.UpdateOptions{})
		return ignoreNotFound(err)
	}
	_, err := api.Namespace(u.GetNamespace()).UpdateStatus(ctx, next, metav1.UpdateOptions{})
	return ignoreNotFound(err)
}

// timeless is a value without the times of its conditions, and without what is empty.
func timeless(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, value := range v {
			if inner := timeless(value); key != "lastTransitionTime" && inner != nil {
				out[key] = inner
			}
		}
		return out
	case []any:
		if len(v) == 0 {
			return nil
		}
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = timeless(item)
		}
		return out
	}
	return v
}
