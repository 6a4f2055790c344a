package addons

import (
	"reflect"
	"testing"

	"aicluster/blueprints"
)

// gatewayBlueprint has three system nodes and the Gateway as the way in.
func gatewayBlueprint() *blueprints.Blueprint {
	b := testBlueprint()
	b.NodePools = append(b.NodePools, blueprints.NodePool{Name: "plain", InstanceTypes: []string{"c6i.xlarge"}, Nodes: blueprints.Nodes{Min: 3, Max: 3}})
	b.Addons = blueprints.Addons{Ingress: "gateway", EnvoyGateway: &blueprints.Release{}, CertManager: &blueprints.CertManager{Email: "ops@example.com"}}
	return b
}

// TestGatewayObjects: fields are those of Gateway API 1.6 and Envoy Gateway 1.9.
func TestGatewayObjects(t *testing.T) {
	objects := map[string]map[string]any{}
	for _, o := range NewGateway(&fakeCluster{}, gatewayBlueprint()).wanted {
		objects[o.unstructured().GetKind()] = o.Body
	}
	const kubernetes = "spec/provider/kubernetes/"
	tests := []struct {
		kind, path string
		want       any
	}{
		{"EnvoyProxy", kubernetes + "envoyDeployment/replicas", 3.0},
		{"EnvoyProxy", kubernetes + "envoyPDB/minAvailable", 2.0},
		{"EnvoyProxy", kubernetes + "envoyService/externalTrafficPolicy", "Local"},
		{"EnvoyProxy", kubernetes + "envoyService/annotations", balancerAnnotations(gatewayBlueprint())},
		{"EnvoyProxy", kubernetes + "envoyService/patch/value/spec/ports", []any{map[string]any{"name": "https-443", "port": 443.0, "protocol": "TCP", "targetPort": 10443.0}}},
		{"EnvoyProxy", "spec/shutdown/drainTimeout", "900s"},
		{"GatewayClass", "spec/controllerName", "gateway.envoyproxy.io/gatewayclass-controller"},
		{"GatewayClass", "spec/parametersRef/name", GatewayName},
		{"Gateway", "spec/gatewayClassName", GatewayName},
		{"Gateway", "spec/allowedListeners/namespaces/from", "All"},
		{"Gateway", "metadata/labels", map[string]string{"aicluster/cluster": "demo", "app.kubernetes.io/managed-by": "aicluster"}},
		{"ClientTrafficPolicy", "spec/timeout/http/idleTimeout", "3600s"},
		{"ClientTrafficPolicy", "spec/timeout/http/streamIdleTimeout", "3600s"},
		{"ClientTrafficPolicy", "spec/connection/bufferLimit", "1Mi"},
		{"ClientTrafficPolicy", "spec/tcpKeepalive/idleTime", "60s"},
	}
	for _, test := range tests {
		got := at(objects[test.kind], test.path)
		if test.path == "metadata/labels" {
			got = map[string]string{}
			for k, v := range at(objects[test.kind], test.path).(map[string]any) {
				got.(map[string]string)[k] = v.(string)
			}
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s %s = %v, want %v", test.kind, test.path, got, test.want)
		}
	}
}

func TestEnvoyGatewayValues(t *testing.T) {
	b := gatewayBlueprint()
	b.Addons.EnvoyGateway = &blueprints.Release{Values: map[string]any{"deployment": map[string]any{"replicas": 1}}}
	spec := EnvoyGateway(b)
	if spec.Version != "v1.9.0" || spec.Repo != "oci://docker.io/envoyproxy" || spec.Chart != "gateway-helm" {
		t.Errorf("%+v", spec)
	}
	for path, want := range map[string]any{"deployment/replicas": 1.0, "topologyInjector/enabled": false, "podDisruptionBudget/minAvailable": 1.0} {
		if got := at(spec.Values, path); got != want {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
}

// TestIssuerAnswersByTheWayIn: a challenge comes to where the blueprint's ingress
// leads, also while another way in stands beside it.
func TestIssuerAnswersByTheWayIn(t *testing.T) {
	tests := map[string]struct {
		ingress string
		want    map[string]any
		config  any // of cert-manager
	}{
		"nginx": {"nginx", map[string]any{"ingress": map[string]any{"ingressClassName": "nginx"}}, true},
		"gateway": {"gateway", map[string]any{"gatewayHTTPRoute": map[string]any{"parentRefs": []any{map[string]any{
			"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": GatewayName, "namespace": EnvoyGatewayNamespace, "sectionName": "http"}}}}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := gatewayBlueprint()
			b.Addons.Ingress, b.Addons.IngressNginx = test.ingress, &blueprints.Release{}
			acme := at(NewIssuer(&fakeCluster{}, b).wanted[0].Body, "spec/acme").(map[string]any)
			if acme["email"] != "ops@example.com" || acme["server"] != "https://acme-v02.api.letsencrypt.org/directory" {
				t.Errorf("%v", acme)
			}
			if got := acme["solvers"].([]any)[0].(map[string]any)["http01"]; !reflect.DeepEqual(got, test.want) {
				t.Errorf("solver %v", got)
			}
			spec := CertManager(b)
			if spec.Version != "v1.21.1" || at(spec.Values, "crds/enabled") != true || at(spec.Values, "config/gatewayAPI/enabled") != test.config {
				t.Errorf("%+v", spec)
			}
		})
	}
}
