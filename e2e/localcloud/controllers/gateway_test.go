package controllers

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/dynamicinformer"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/yaml"
)

// TestHashedName: the names are those of the real controller, as its own tests have them.
func TestHashedName(t *testing.T) {
	if got := hashedName("default"); got != "envoy-default-37a8eec1" {
		t.Error(got)
	}
	if got := hashedName("envoy-gateway/" + strings.Repeat("a", 60)); len(got) > 63 || !strings.HasPrefix(got, "envoy-envoy-gateway-aaa") {
		t.Errorf("%s has %d characters", got, len(got))
	}
}

// gatewayWith is a controller that sees these objects.
func gatewayWith(t *testing.T, manifests map[schema.GroupVersionResource]string) *envoyGateway {
	t.Helper()
	kinds := map[schema.GroupVersionResource]string{}
	all := []schema.GroupVersionResource{gatewayClasses, gateways, listenerSets, httpRoutes, envoyProxies, clientPolicies, backendRules}
	for _, kind := range all {
		kinds[kind] = "List"
	}
	e := &envoyGateway{client: fake.NewClientset(), resident: resident{session: &session{namespace: "envoy-gateway-system", stores: map[schema.GroupVersionResource]cache.SharedIndexInformer{}}}}
	factory := dynamicinformer.NewDynamicSharedInformerFactory(dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds), 0)
	for _, kind := range all {
		e.session.stores[kind] = factory.ForResource(kind).Informer()
	}
	for kind, manifest := range manifests {
		if err := e.session.stores[kind].GetStore().Add(object(t, manifest)); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func object(t *testing.T, manifest string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	data, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	if err := u.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	return u
}

const (
	aGateway = `{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: g, namespace: infra},
		spec: {gatewayClassName: c, listeners: [{name: http, port: 80, protocol: HTTP}], allowedListeners: {namespaces: {from: %s}}}}`
	aSet = `{apiVersion: gateway.networking.k8s.io/v1, kind: ListenerSet, metadata: {name: s, namespace: apps},
		spec: {parentRef: {name: g, namespace: infra}, listeners: [{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}, {name: alt, port: 8443, protocol: HTTPS}]}}`
)

// TestGatewayService listens on every port once, on those of sets only if the
// Gateway lets them, and on what its patch adds.
func TestGatewayService(t *testing.T) {
	tests := map[string]struct {
		from, patch string
		want        []string
	}{
		"sets":             {"All", "", []string{"http-80>10080", "https-443>10443", "https-8443>8443"}},
		"no sets":          {"None", "", []string{"http-80>10080"}},
		"another's sets":   {"Same", "", []string{"http-80>10080"}},
		"a port by patch":  {"None", `{"spec": {"ports": [{"name": "https-443", "port": 443, "protocol": "TCP", "targetPort": 10443}]}}`, []string{"http-80>10080", "https-443>10443"}},
		"one that is both": {"All", `{"spec": {"ports": [{"name": "https-443", "port": 443, "protocol": "TCP", "targetPort": 10443}]}}`, []string{"http-80>10080", "https-443>10443", "https-8443>8443"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			gateway := fmt.Sprintf(aGateway, test.from)
			e := gatewayWith(t, map[schema.GroupVersionResource]string{gateways: gateway, listenerSets: aSet})
			var s proxySettings
			if test.patch != "" {
				settings := fmt.Sprintf(`{"provider": {"kubernetes": {"envoyService": {"patch": {"value": %s}}}}}`, test.patch)
				if err := json.Unmarshal([]byte(settings), &s); err != nil {
					t.Fatal(err)
				}
			}
			svc, err := e.service(object(t, gateway), s, metav1.ObjectMeta{Name: "envoy", Labels: map[string]string{}})
			if err != nil {
				t.Fatal(err)
			}
			var ports []string
			for _, p := range svc.Spec.Ports {
				ports = append(ports, p.Name+">"+p.TargetPort.String())
			}
			slices.Sort(ports)
			if !slices.Equal(ports, test.want) || svc.Spec.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal {
				t.Errorf("ports %v, %s", ports, svc.Spec.ExternalTrafficPolicy)
			}
		})
	}
}

// TestListenerNeedsItsCertificate: the words are those of a listener's status.
func TestListenerNeedsItsCertificate(t *testing.T) {
	secret := func(kind corev1.SecretType, data ...string) *corev1.Secret {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "cert", Namespace: "apps"}, Type: kind, Data: map[string][]byte{}}
		for _, key := range data {
			s.Data[key] = []byte("x")
		}
		return s
	}
	tests := map[string]struct {
		secret    *corev1.Secret
		namespace string
		trouble   string
	}{
		"there":               {secret(corev1.SecretTypeTLS, "tls.crt", "tls.key"), "", ""},
		"missing":             {nil, "", "Secret apps/cert does not exist."},
		"no key":              {secret(corev1.SecretTypeTLS, "tls.crt"), "", "must contain tls.crt and tls.key"},
		"another's namespace": {secret(corev1.SecretTypeTLS, "tls.crt", "tls.key"), "other", "not permitted by any ReferenceGrant"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := gatewayWith(t, nil)
			if test.secret != nil {
				e.client = fake.NewClientset(test.secret)
			}
			ref := map[string]any{"name": "cert"}
			if test.namespace != "" {
				ref["namespace"] = test.namespace
			}
			trouble, err := e.certificate(t.Context(), "apps", map[string]any{"tls": map[string]any{"certificateRefs": []any{ref}}})
			if err != nil || (trouble == nil) != (test.trouble == "") || trouble != nil && !strings.Contains(trouble.Error(), test.trouble) {
				t.Errorf("trouble %v, %v", trouble, err)
			}
		})
	}
}
