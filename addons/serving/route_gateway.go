package serving

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"aicluster/addons"
	"aicluster/blueprints"
)

const gatewayGroup = "gateway.networking.k8s.io"

// gatewayRoute is the way to a service through the Gateway that all services share.
// One with a certificate brings the listener for it, in a ListenerSet; plain HTTP
// is sent there. A dot is in no service's name, so that the second route can be no other's.
func gatewayRoute(b *blueprints.Blueprint, svc blueprints.Service) []Object {
	gateway := map[string]any{"group": gatewayGroup, "kind": "Gateway", "name": addons.GatewayName, "namespace": addons.EnvoyGatewayNamespace}
	http := map[string]any{"group": gatewayGroup, "kind": "Gateway", "name": addons.GatewayName, "namespace": addons.EnvoyGatewayNamespace, "sectionName": addons.GatewayHTTP}
	toService := map[string]any{
		"matches":     []any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": "/"}}},
		"backendRefs": []any{map[string]any{"group": "", "kind": "Service", "name": svc.Name, "port": int64(ServicePort), "weight": int64(1)}},
	}
	if tlsSecret(svc) == "" {
		return []Object{httpRoute(b, svc, svc.Name, http, toService), backendPolicy(b, svc)}
	}
	https := map[string]any{"group": gatewayGroup, "kind": "ListenerSet", "name": svc.Name, "namespace": Namespace, "sectionName": "https"}
	toHTTPS := map[string]any{
		"matches": []any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": "/"}}},
		"filters": []any{map[string]any{"type": "RequestRedirect", "requestRedirect": map[string]any{"scheme": "https", "statusCode": int64(301)}}},
	}
	return []Object{
		listenerSet(b, svc, gateway),
		httpRoute(b, svc, svc.Name, https, toService),
		httpRoute(b, svc, svc.Name+".redirect", http, toHTTPS),
		backendPolicy(b, svc),
	}
}

// listenerSet adds a listener for the service's host, with its certificate, to the Gateway.
func listenerSet(b *blueprints.Blueprint, svc blueprints.Service, gateway map[string]any) Object {
	return custom(b, svc, gatewayGroup+"/v1", "ListenerSet", svc.Name, map[string]any{
		"parentRef": gateway,
		"listeners": []any{map[string]any{
			"name": "https", "port": int64(443), "protocol": "HTTPS", "hostname": svc.Host,
			"tls": map[string]any{"mode": "Terminate", "certificateRefs": []any{map[string]any{"group": "", "kind": "Secret", "name": tlsSecret(svc)}}},
		}},
	})
}

func httpRoute(b *blueprints.Blueprint, svc blueprints.Service, name string, parent, rule map[string]any) Object {
	return custom(b, svc, gatewayGroup+"/v1", "HTTPRoute", name, map[string]any{
		"parentRefs": []any{parent}, "hostnames": []any{svc.Host}, "rules": []any{rule},
	})
}

// backendPolicy is how the Gateway's proxies treat the service's replicas. The one
// with the fewest answers under way is next. Answers take their time; the engine
// queues requests itself, so they are not refused for their number, of which Envoy
// allows 1024 otherwise.
func backendPolicy(b *blueprints.Blueprint, svc blueprints.Service) Object {
	const many = int64(65536)
	return custom(b, svc, "gateway.envoyproxy.io/v1alpha1", "BackendTrafficPolicy", svc.Name, map[string]any{
		"targetRefs":   []any{map[string]any{"group": gatewayGroup, "kind": "HTTPRoute", "name": svc.Name}},
		"loadBalancer": map[string]any{"type": "LeastRequest"},
		"timeout": map[string]any{"http": map[string]any{
			"requestTimeout": addons.AnswerSeconds + "s", "streamIdleTimeout": addons.AnswerSeconds + "s", "connectionIdleTimeout": addons.UnusedSeconds + "s",
		}},
		"circuitBreaker": map[string]any{"maxConnections": many, "maxPendingRequests": many, "maxParallelRequests": many},
	})
}

// certificate asks cert-manager for one, in the secret that both ways in name. The
// secret is ours as far as it can be: it goes with the namespace.
func certificate(b *blueprints.Blueprint, svc blueprints.Service) Object {
	labels := map[string]any{}
	for k, v := range Labels(b, svc) {
		labels[k] = v
	}
	return custom(b, svc, "cert-manager.io/v1", "Certificate", svc.Name, map[string]any{
		"secretName":     tlsSecret(svc),
		"secretTemplate": map[string]any{"labels": labels},
		"dnsNames":       []any{svc.Host},
		"issuerRef":      map[string]any{"group": "cert-manager.io", "kind": "ClusterIssuer", "name": svc.TLS.Issuer},
		"privateKey":     map[string]any{"algorithm": "ECDSA", "size": int64(256), "rotationPolicy": "Always"},
	})
}

// custom is an object of a kind that a chart brings.
func custom(b *blueprints.Blueprint, svc blueprints.Service, apiVersion, kind, name string, spec map[string]any) Object {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind, "spec": spec}}
	u.SetName(name)
	u.SetNamespace(Namespace)
	u.SetLabels(Labels(b, svc))
	return u
}
