package envoy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/traffic"
	"aicluster/e2e/localcloud/traffic/traffictest"
)

// gatewayAPI is what the API server has, by path.
const gatewayAPI = `
/apis/gateway.networking.k8s.io/v1/gateways:
  items:
  - metadata: {namespace: envoy, name: ai}
    spec: {listeners: [{name: http, port: 80}]}
  - metadata: {namespace: envoy, name: other}
    spec: {listeners: [{name: http, port: 80}]}
/apis/gateway.networking.k8s.io/v1/listenersets:
  items:
  - metadata: {namespace: ai, name: secured}
    spec:
      parentRef: {kind: Gateway, name: ai, namespace: envoy}
      listeners: [{name: https, port: 443, hostname: tls.example.com, tls: {certificateRefs: [{name: tls}]}}]
/apis/gateway.networking.k8s.io/v1/httproutes:
  items:
  - metadata: {namespace: ai, name: plain}
    spec:
      parentRefs: [{name: ai, namespace: envoy, sectionName: http}]
      hostnames: [ai.example.com, "*.wild.example.com"]
      rules:
      - {backendRefs: [{name: a, port: 80}]}
      - {matches: [{path: {type: PathPrefix, value: /b}}], backendRefs: [{name: b, port: 80}]}
      - {matches: [{path: {type: PathPrefix, value: /empty}}], backendRefs: [{name: empty, port: 80}]}
      - {matches: [{path: {type: PathPrefix, value: /none}}]}
      - {matches: [{path: {type: Exact, value: /header}, headers: [{name: x, value: y}]}], backendRefs: [{name: b, port: 80}]}
  - metadata: {namespace: ai, name: secured}
    spec:
      parentRefs: [{kind: ListenerSet, name: secured}]
      hostnames: [tls.example.com]
      rules: [{backendRefs: [{name: a, port: 80}]}]
  - metadata: {namespace: ai, name: redirected}
    spec:
      parentRefs: [{name: ai, namespace: envoy, sectionName: http}]
      hostnames: [tls.example.com]
      rules: [{filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 301}}]}]
  - metadata: {namespace: ai, name: others}
    spec:
      parentRefs: [{name: other, namespace: envoy}]
      hostnames: [other.example.com]
      rules: [{backendRefs: [{name: a, port: 80}]}]
/apis/gateway.envoyproxy.io/v1alpha1/backendtrafficpolicies:
  items:
  - metadata: {namespace: ai, name: plain}
    spec: {targetRefs: [{kind: HTTPRoute, name: plain}], timeout: {http: {requestTimeout: 200s}}}
`

func start(t *testing.T) *traffic.Network {
	t.Helper()
	documents := map[string]any{}
	if err := yaml.Unmarshal([]byte(gatewayAPI), &documents); err != nil {
		t.Fatal(err)
	}
	cert, err := traffic.SelfSigned(pkix.Name{CommonName: "tls"}, "tls.example.com")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	documents["/api/v1/namespaces/ai/secrets/tls"] = map[string]any{"kind": "Secret", "apiVersion": "v1", "data": map[string]any{
		"tls.crt": encode("CERTIFICATE", cert.Certificate[0]), "tls.key": encode("PRIVATE KEY", key),
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, ok := documents[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(d) //nolint:errcheck // a test's
	}))
	t.Cleanup(server.Close)

	n := traffic.New()
	image := New(n, clock.New(100))
	n.Install(image, traffictest.Web(func(pod string) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s %s %s", pod, r.Host, r.URL.RequestURI(), r.Header.Get("X-Forwarded-Proto"))
		})
		mux.HandleFunc("/silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		return mux
	}))
	pod := traffictest.Pod("envoy", "proxy", "one", "10.0.1.1", "docker.io/envoyproxy/envoy:distroless-v1.39.0")
	pod.Labels = map[string]string{owningName: "ai", owningNamespace: "envoy"}
	a, b := traffictest.Pod("ai", "a", "one", "10.0.1.2", "web"), traffictest.Pod("ai", "b", "one", "10.0.1.3", "web")
	sa, saSlice := traffictest.Service("ai", "a", "172.20.0.1", a)
	sb, sbSlice := traffictest.Service("ai", "b", "172.20.0.2", b)
	empty, emptySlice := traffictest.Service("ai", "empty", "172.20.0.3")
	traffictest.Start(t, n, pod, a, b, sa, saSlice, sb, sbSlice, empty, emptySlice)
	if image.client, err = kubernetes.NewForConfig(&rest.Config{Host: server.URL}); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRoutes: where requests go, and Envoy's answers where they cannot.
func TestRoutes(t *testing.T) {
	n := start(t)
	for _, c := range []struct {
		host, path string
		status     int
		answer     string
	}{
		{"ai.example.com", "/v1/models?x=1", 200, "a ai.example.com /v1/models?x=1 http"},
		{"x.y.wild.example.com", "/", 200, "a x.y.wild.example.com / http"},
		{"wild.example.com", "/", 404, ""},
		{"ai.example.com", "/b/c", 200, "b ai.example.com /b/c http"},
		{"ai.example.com", "/bc", 200, "a ai.example.com /bc http"},
		{"ai.example.com", "/header", 200, "a ai.example.com /header http"},
		{"ai.example.com", "/empty", 503, "no healthy upstream"},
		{"ai.example.com", "/none", 500, ""},
		{"ai.example.com", "/silent", 504, "upstream request timeout"},
		{"tls.example.com", "/v1", 301, ""},
		{"other.example.com", "/", 404, ""},
	} {
		dial := func(ctx context.Context) (net.Conn, error) { return n.DialPod(ctx, "envoy", "proxy", 10080) }
		status, to, text := traffictest.Ask(t, dial, c.host, c.path, 0)
		if status != c.status || !strings.Contains(text, c.answer) {
			t.Errorf("%s%s: %d %s, want %d %s", c.host, c.path, status, text, c.status, c.answer)
		}
		if c.status == 301 && to != "https://tls.example.com/v1" {
			t.Errorf("%s%s goes to %s", c.host, c.path, to)
		}
	}
}

// TestTLS: a listener's certificate for its host; no other host gets through.
func TestTLS(t *testing.T) {
	n := start(t)
	handshake := func(host string) (*tls.Conn, error) {
		conn, err := n.DialPod(t.Context(), "envoy", "proxy", 10443)
		if err != nil {
			t.Fatal(err)
		}
		c := tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true}) //nolint:gosec // the name is compared below
		return c, c.HandshakeContext(t.Context())
	}
	c, err := handshake("tls.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != "tls" {
		t.Errorf("it shows itself as %s", got)
	}
	response, err := traffictest.Client(func(context.Context) (net.Conn, error) { return c, nil }).Get("http://tls.example.com/v1") //nolint:noctx // a test's
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); string(body) != "a tls.example.com /v1 https" {
		t.Errorf("%s", body)
	}
	if _, err := handshake("ai.example.com"); err == nil {
		t.Error("a name of no listener gets through")
	}
}
