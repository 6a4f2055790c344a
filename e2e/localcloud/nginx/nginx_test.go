package nginx

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/traffic"
	"aicluster/e2e/localcloud/traffic/traffictest"
)

// web answers with what it was asked; at /slow it begins and goes on later, at
// /silent it says nothing.
func web(pod string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s %d", pod, r.Host, r.URL.RequestURI(), r.Header.Get("X-Forwarded-Proto"), len(body))
	})
	mux.HandleFunc("/silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		for n := range 3 {
			fmt.Fprintf(w, "%d\n", n)
			http.NewResponseController(w).Flush() //nolint:errcheck // a test's
			time.Sleep(20 * time.Millisecond)
		}
	})
	return mux
}

func ingress(name, host string, annotations map[string]string, paths ...networkingv1.HTTPIngressPath) *networkingv1.Ingress {
	class := "nginx"
	return &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ai", Name: name, Annotations: annotations},
		Spec: networkingv1.IngressSpec{IngressClassName: &class, Rules: []networkingv1.IngressRule{{
			Host: host, IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: paths}},
		}}},
	}
}

func path(path string, kind networkingv1.PathType, service string) networkingv1.HTTPIngressPath {
	return networkingv1.HTTPIngressPath{Path: path, PathType: &kind, Backend: networkingv1.IngressBackend{
		Service: &networkingv1.IngressServiceBackend{Name: service, Port: networkingv1.ServiceBackendPort{Name: "http"}},
	}}
}

func start(t *testing.T) (*traffic.Network, func(name string) *networkingv1.Ingress) {
	t.Helper()
	speed := clock.New(100)
	n := traffic.New()
	n.Install(traffictest.Web(web), New(n, speed))
	controller := traffictest.Pod("ingress-nginx", "controller", "one", "10.0.1.1", "registry.k8s.io/ingress-nginx/controller:v1.15.1",
		"/nginx-ingress-controller", "--publish-service=$(POD_NAMESPACE)/controller", "--controller-class=k8s.io/ingress-nginx", "--configmap=$(POD_NAMESPACE)/controller")
	front := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ingress-nginx", Name: "controller"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer},
		Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{Hostname: "a.elb.amazonaws.com"}}}},
	}
	a, b := traffictest.Pod("ai", "a", "one", "10.0.1.2", "web"), traffictest.Pod("ai", "b", "one", "10.0.1.3", "web")
	broken := traffictest.Pod("ai", "broken", "one", "10.0.1.4", "unknown")
	sa, saSlice := traffictest.Service("ai", "a", "172.20.0.1", a)
	sb, sbSlice := traffictest.Service("ai", "b", "172.20.0.2", b)
	empty, emptySlice := traffictest.Service("ai", "empty", "172.20.0.3")
	refuses, refusesSlice := traffictest.Service("ai", "refuses", "172.20.0.4", broken)

	cert, err := traffic.SelfSigned(pkix.Name{CommonName: "tls"}, "tls.example.com")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ai", Name: "tls"}, Data: map[string][]byte{
		"tls.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), "tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	}}
	secured := ingress("secured", "tls.example.com", nil, path("/", networkingv1.PathTypePrefix, "a"))
	secured.Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{"tls.example.com"}, SecretName: "tls"}}
	lacking := ingress("lacking", "lacking.example.com", nil, path("/", networkingv1.PathTypePrefix, "a"))
	lacking.Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{"lacking.example.com"}, SecretName: "no-such-secret"}}
	foreign := ingress("foreign", "foreign.example.com", nil, path("/", networkingv1.PathTypePrefix, "a"))
	foreign.Spec.IngressClassName = new("alb")

	client := traffictest.Start(t, n, controller, front, a, b, broken, sa, saSlice, sb, sbSlice, empty, emptySlice, refuses, refusesSlice, secret, secured, lacking, foreign,
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ingress-nginx", Name: "controller"}, Data: map[string]string{"proxy-body-size": "2k"}},
		&networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "nginx"}, Spec: networkingv1.IngressClassSpec{Controller: "k8s.io/ingress-nginx"}},
		&networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "alb"}, Spec: networkingv1.IngressClassSpec{Controller: "ingress.k8s.aws/alb"}},
		ingress("hasty", "hasty.example.com", map[string]string{prefix + "proxy-read-timeout": "1"}, path("/", networkingv1.PathTypePrefix, "a")),
		ingress("plain", "ai.example.com", map[string]string{prefix + "proxy-read-timeout": "3600"},
			path("/", networkingv1.PathTypePrefix, "a"), path("/b", networkingv1.PathTypePrefix, "b"), path("/b/exact", networkingv1.PathTypeExact, "a"),
			path("/empty", networkingv1.PathTypePrefix, "empty"), path("/refuses", networkingv1.PathTypePrefix, "refuses")),
		ingress("large", "large.example.com", map[string]string{prefix + "proxy-body-size": "0"}, path("/", networkingv1.PathTypePrefix, "a")),
		ingress("wild", "*.wild.example.com", nil, path("/", networkingv1.PathTypePrefix, "b")))
	return n, func(name string) *networkingv1.Ingress {
		i, err := client.NetworkingV1().Ingresses("ai").Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
}

func dial(n *traffic.Network, port int32) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		return n.DialPod(ctx, "ingress-nginx", "controller", port)
	}
}

// TestRoutes: where requests go, and nginx's pages where they cannot.
func TestRoutes(t *testing.T) {
	n, _ := start(t)
	for _, c := range []struct {
		host, path string
		body       int
		status     int
		answer     string
	}{
		{"ai.example.com", "/v1/models?x=1", 0, 200, "a ai.example.com /v1/models?x=1 http 0"},
		{"AI.example.com", "/", 0, 200, "a AI.example.com / http 0"},
		{"ai.example.com", "/b", 0, 200, "b ai.example.com /b http 0"},
		{"ai.example.com", "/b/c", 0, 200, "b ai.example.com /b/c http 0"},
		{"ai.example.com", "/b/exact", 0, 200, "a ai.example.com /b/exact http 0"},
		{"ai.example.com", "/bc", 0, 200, "a ai.example.com /bc http 0"},
		{"ai.example.com", "/empty", 0, 503, "<center><h1>503 Service Temporarily Unavailable</h1></center>"},
		{"ai.example.com", "/refuses", 0, 502, "502 Bad Gateway"},
		{"hasty.example.com", "/silent", 0, 504, "504 Gateway Time-out"},
		{"ai.example.com", "/", 2048, 200, "a ai.example.com / http 2048"},
		{"ai.example.com", "/", 2049, 413, "413 Request Entity Too Large"},
		{"large.example.com", "/", 2 << 20, 200, "http 2097152"},
		{"x.wild.example.com", "/", 0, 200, "b x.wild.example.com / http 0"},
		{"x.y.wild.example.com", "/", 0, 404, "404 Not Found"},
		{"foreign.example.com", "/", 0, 404, "404 Not Found"},
		{"other.example.com", "/", 0, 404, "<hr><center>nginx</center>"},
		{"tls.example.com", "/v1", 0, 308, "308 Permanent Redirect"},
		{"lacking.example.com", "/", 0, 200, "a lacking.example.com / http 0"},
	} {
		status, to, text := traffictest.Ask(t, dial(n, 80), c.host, c.path, c.body)
		if status != c.status || !strings.Contains(text, c.answer) {
			t.Errorf("%s%s: %d %s, want %d %s", c.host, c.path, status, text, c.status, c.answer)
		}
		if c.status == 308 && to != "https://tls.example.com/v1" {
			t.Errorf("%s%s goes to %s", c.host, c.path, to)
		}
	}
}

// TestTLS: the certificate of the Secret for its host, else nginx's fake one.
func TestTLS(t *testing.T) {
	n, _ := start(t)
	for host, want := range map[string]string{"tls.example.com": "tls", "lacking.example.com": "Kubernetes Ingress Controller Fake Certificate", "ai.example.com": "Kubernetes Ingress Controller Fake Certificate"} {
		conn, err := dial(n, 443)(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		client := tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true}) //nolint:gosec // the name is compared below
		if err := client.HandshakeContext(t.Context()); err != nil {
			t.Fatal(host, err)
		}
		if got := client.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("%s shows itself as %s, want %s", host, got, want)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := traffictest.Client(func(context.Context) (net.Conn, error) { return client, nil }).Do(request)
		if err != nil {
			t.Fatal(host, err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if string(body) != "a "+host+" / https 0" || response.Header.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s: %s %v", host, body, response.Header)
		}
	}
}

// TestStream: parts of an answer arrive as they are written.
func TestStream(t *testing.T) {
	n, _ := start(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://nginx/slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "large.example.com"
	response, err := traffictest.Client(dial(n, 80)).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var parts []string
	for buffer := make([]byte, 100); ; {
		n, err := response.Body.Read(buffer)
		if n > 0 {
			parts = append(parts, string(buffer[:n]))
		}
		if err != nil {
			break
		}
	}
	if !slices.Equal(parts, []string{"0\n", "1\n", "2\n"}) {
		t.Errorf("parts: %q", parts)
	}
}

// TestMany: requests at the same time do not wait for each other.
func TestMany(t *testing.T) {
	n, _ := start(t)
	var all sync.WaitGroup
	began := time.Now()
	for range 20 {
		all.Go(func() {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://nginx/slow", nil)
			if err != nil {
				t.Error(err)
				return
			}
			request.Host = "large.example.com"
			response, err := traffictest.Client(dial(n, 80)).Do(request)
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			if body, err := io.ReadAll(response.Body); err != nil || string(body) != "0\n1\n2\n" {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
	all.Wait()
	if took := time.Since(began); took > time.Second { // one after the other: 1.2 s
		t.Errorf("it took %s", took)
	}
}

// TestStatus: Ingresses of the class have the address of the published Service.
func TestStatus(t *testing.T) {
	_, get := start(t)
	deadline := time.Now().Add(10 * time.Second)
	for {
		at := get("plain").Status.LoadBalancer.Ingress
		if len(at) == 1 && at[0].Hostname == "a.elb.amazonaws.com" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the status has %v", at)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if at := get("foreign").Status.LoadBalancer.Ingress; len(at) != 0 {
		t.Errorf("another class's Ingress has %v", at)
	}
}
