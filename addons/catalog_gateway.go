package addons

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"aicluster/blueprints"
	"aicluster/provision/engine"
)

const envoyGatewayVersion = "v1.9.0" // Gateway API 1.6.1; Kubernetes 1.33 to 1.36

// Names of the way in by Gateway API. Services attach to the Gateway.
const (
	EnvoyGatewayName      = "envoy-gateway" // of the release
	EnvoyGatewayNamespace = "envoy-gateway-system"
	GatewayName           = "ai-gateway" // of the Gateway, its class and its proxies' settings
	// GatewayHTTP is the Gateway's listener for plain HTTP. HTTPS is listened for
	// by a ListenerSet for each service, with the service's certificate.
	GatewayHTTP = "http"
)

// EnvoyGateway is the controller that makes proxies and load balancers for
// Gateways. Its webhook, which tells proxies their zone, is off: no route here
// asks for it, and it would stay when the release goes.
func EnvoyGateway(b *blueprints.Blueprint) ReleaseSpec {
	labels := map[string]any{"control-plane": "envoy-gateway"}
	ours := map[string]any{
		"topologyInjector":    map[string]any{"enabled": false},
		"podDisruptionBudget": map[string]any{"minAvailable": 1},
		"deployment": map[string]any{
			"replicas": 2, // one leads
			"pod":      map[string]any{"topologySpreadConstraints": entrance{replicas: 2}.spread(labels)},
		},
	}
	return ReleaseSpec{
		Name: EnvoyGatewayName, Namespace: EnvoyGatewayNamespace,
		Repo: "oci://docker.io/envoyproxy", Chart: "gateway-helm",
		Version: version(b.Addons.EnvoyGateway, envoyGatewayVersion),
		Values:  overlay(ours, values(b.Addons.EnvoyGateway)),
	}
}

// Kinds of the way in by Gateway API.
var (
	GatewayClassResource = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gatewayclasses"}
	GatewayResource      = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
	envoyProxyResource   = schema.GroupVersionResource{Group: "gateway.envoyproxy.io", Version: "v1alpha1", Resource: "envoyproxies"}
	clientPolicyResource = schema.GroupVersionResource{Group: "gateway.envoyproxy.io", Version: "v1alpha1", Resource: "clienttrafficpolicies"}
)

// NewGateway makes the resource "gateway/ai-gateway": the Gateway that all services
// share, and how its proxies run. It needs the release of Envoy Gateway.
func NewGateway(cluster Cluster, b *blueprints.Blueprint, needs ...engine.Resource) *Objects {
	o := newObjects("gateway/"+GatewayName, cluster, []Object{
		{Resource: envoyProxyResource, Body: envoyProxy(b)},
		{Resource: GatewayClassResource, Body: gatewayClass(), Ready: "Accepted"},
		{Resource: GatewayResource, Body: gateway(), Ready: "Programmed"},
		{Resource: clientPolicyResource, Body: clientPolicy()},
	}, needs...)
	o.removed = waitGatewayServicesGone
	return o
}

// NewRemovedGateway is the Gateway of a blueprint that has another way in now.
func NewRemovedGateway(cluster Cluster) *Objects {
	o := NewGateway(cluster, &blueprints.Blueprint{})
	o.unwanted = true
	return o
}

// NewGatewayBalancer makes the resource "load-balancer/ai-gateway", which needs
// the Gateway.
func NewGatewayBalancer(api BalancerAPI, cluster Cluster, gateway engine.Resource) *Balancer {
	return newBalancer(GatewayName, api, cluster, serviceLabels{EnvoyGatewayNamespace, fmt.Sprintf("%s=%s,%s=%s",
		owningGatewayName, GatewayName, owningGatewayNamespace, EnvoyGatewayNamespace)}, gateway)
}

// What Envoy Gateway labels the objects with that it makes for a Gateway.
const (
	owningGatewayName      = "gateway.envoyproxy.io/owning-gateway-name"
	owningGatewayNamespace = "gateway.envoyproxy.io/owning-gateway-namespace"
)

// envoyProxy is how the Gateway's proxies run: as many and as far apart as those
// of ingress-nginx, behind an NLB of the same kind, and with as much time to end.
//
// The service listens on 443 from the beginning. Otherwise the first service with
// a certificate would bring the load balancer a listener that nobody has told how
// long to keep silent connections. Envoy listens on 10443 for it.
func envoyProxy(b *blueprints.Blueprint) map[string]any {
	e := newEntrance(b)
	labels := map[string]any{owningGatewayName: GatewayName, owningGatewayNamespace: EnvoyGatewayNamespace}
	https := map[string]any{"name": "https-443", "port": int64(443), "protocol": "TCP", "targetPort": int64(10443)}
	return manifest("gateway.envoyproxy.io/v1alpha1", "EnvoyProxy", EnvoyGatewayNamespace, map[string]any{
		"provider": map[string]any{"type": "Kubernetes", "kubernetes": map[string]any{
			"envoyDeployment": map[string]any{
				"replicas": e.replicas,
				"pod":      map[string]any{"topologySpreadConstraints": e.spread(labels)},
			},
			"envoyPDB": map[string]any{"minAvailable": e.replicas - 1},
			"envoyService": map[string]any{
				"type": "LoadBalancer", "externalTrafficPolicy": "Local", "annotations": balancerAnnotations(b),
				"patch": map[string]any{"type": "StrategicMerge", "value": map[string]any{"spec": map[string]any{"ports": []any{https}}}},
			},
		}},
		"shutdown": map[string]any{"drainTimeout": fmt.Sprintf("%ds", drainSeconds), "minDrainDuration": leaveSeconds + "s"},
	})
}

func gatewayClass() map[string]any {
	return manifest("gateway.networking.k8s.io/v1", "GatewayClass", "", map[string]any{
		"controllerName": "gateway.envoyproxy.io/gatewayclass-controller",
		"parametersRef":  map[string]any{"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": GatewayName, "namespace": EnvoyGatewayNamespace},
	})
}

func gateway() map[string]any {
	everyNamespace := map[string]any{"namespaces": map[string]any{"from": "All"}}
	return manifest("gateway.networking.k8s.io/v1", "Gateway", EnvoyGatewayNamespace, map[string]any{
		"gatewayClassName": GatewayName,
		"listeners":        []any{map[string]any{"name": GatewayHTTP, "port": 80, "protocol": "HTTP", "allowedRoutes": everyNamespace}},
		"allowedListeners": everyNamespace,
	})
}

// clientPolicy is how clients' connections are treated. Keepalives find out about
// clients that are gone, and tell firewalls on the way that the others are not.
func clientPolicy() map[string]any {
	return manifest("gateway.envoyproxy.io/v1alpha1", "ClientTrafficPolicy", EnvoyGatewayNamespace, map[string]any{
		"targetRefs":   []any{map[string]any{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": GatewayName}},
		"timeout":      map[string]any{"http": map[string]any{"idleTimeout": AnswerSeconds + "s", "streamIdleTimeout": AnswerSeconds + "s"}},
		"tcpKeepalive": map[string]any{"idleTime": "60s", "interval": "60s", "probes": 3},
		"connection":   map[string]any{"bufferLimit": "1Mi"}, // prompts may hold pictures; Envoy's 32 KiB is for small requests
	})
}

// manifest is an object of the way in; all have the Gateway's name.
func manifest(apiVersion, kind, namespace string, spec map[string]any) map[string]any {
	metadata := map[string]any{"name": GatewayName}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	body, err := canonical(map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": metadata, "spec": spec})
	if err != nil { // what is written above can be JSON
		panic(err)
	}
	return body
}
