package probe

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"

	"aicluster/addons/serving"
	"aicluster/blueprints"
)

const host = "ai-api.example.com"

// engine answers as vLLM does, for one model and, if key is not empty, with that only.
func engine(model, key string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, r *http.Request) {
		if key != "" && r.Header.Get("Authorization") != "Bearer "+key {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error": "Unauthorized"}`)
			return
		}
		fmt.Fprintf(w, `{"object": "list", "data": [{"id": %q}]}`, model)
	})
	mux.HandleFunc("POST /v1/completions", func(w http.ResponseWriter, r *http.Request) {
		if r.Host != host {
			http.Error(w, "wrong host "+r.Host, http.StatusMisdirectedRequest)
			return
		}
		fmt.Fprint(w, "data: {\"choices\": [{\"text\": \"Hi\"}]}\n\ndata: [DONE]\n\n")
	})
	return mux
}

// page answers as nginx does where it has no upstream.
func page(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprintf(w, "<html>\r\n<head><title>%d</title></head></html>", code)
	})
}

func text(code int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	})
}

func endpoints(pods ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: serving.Namespace, Name: "llama-1", Labels: map[string]string{discoveryv1.LabelServiceName: "llama"}},
		Ports:      []discoveryv1.EndpointPort{{Name: new(serving.PortName), Port: new(int32(8000))}},
	}
	for _, pod := range pods {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: pod}})
	}
	return s
}

func ingress(address string) *networkingv1.Ingress {
	i := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: serving.Namespace, Name: "llama"}}
	if address != "" {
		i.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{Hostname: address}}
	}
	return i
}

// TestProbe: what is found through an ingress, and what is said of it.
func TestProbe(t *testing.T) {
	for name, c := range map[string]struct {
		answers  http.Handler
		tls      bool
		objects  []runtime.Object // beside the Ingress
		noRoute  bool
		noReach  bool
		args     []string
		verified bool
		status   int
		cause    string
		hint     string
	}{
		"it works":                 {answers: engine("Llama", ""), verified: true, status: 200},
		"with its key":             {answers: engine("Llama", "secret"), args: []string{"--api-key=secret"}, verified: true, status: 200},
		"without its key":          {answers: engine("Llama", "secret"), status: 401, cause: "/v1/models: 401 Unauthorized: Unauthorized", hint: "give the key as --api-key"},
		"another model":            {answers: engine("Qwen", ""), status: 200, cause: "/v1/models: it serves Qwen, not Llama", hint: "the engine's arguments"},
		"no route in the proxy":    {answers: page(404), status: 404, cause: "/v1/models: 404 Not Found", hint: "kubectl describe ingress -n ai-serving llama"},
		"no replica":               {answers: page(503), status: 503, objects: []runtime.Object{endpoints()}, cause: "503 Service Unavailable: no replica is ready", hint: "aicluster doctor FILE"},
		"replicas not reached":     {answers: page(503), status: 503, objects: []runtime.Object{endpoints("a")}, cause: "503 Service Unavailable", hint: "logs of the proxy"},
		"too slow":                 {answers: page(504), status: 504, objects: []runtime.Object{endpoints("a")}, cause: "504 Gateway Timeout", hint: "longer than the proxy waits"},
		"sent elsewhere":           {answers: http.RedirectHandler("https://"+host+"/v1/models", 308), status: 308, cause: "308 Permanent Redirect", hint: "add tls"},
		"not the OpenAI API":       {answers: text(200, "hello"), status: 200, cause: "the answer is no list of models", hint: "something else answers"},
		"the engine refuses":       {answers: text(400, `{"error": {"message": "too long", "type": "BadRequestError", "code": 400}}`), status: 400, cause: "400 Bad Request: too long", hint: "engine's own answer"},
		"a foreign certificate":    {answers: engine("Llama", ""), tls: true, cause: "TLS: x509: certificate signed by unknown authority", hint: "secret -n ai-serving tls"},
		"no Ingress":               {noRoute: true, cause: "it has no Ingress", hint: "aicluster up"},
		"no address":               {cause: "its Ingress has no address", hint: "kubectl get ingress"},
		"nothing at the address":   {noReach: true, cause: "connect: connection refused", hint: "takes no connections"},
		"an answer without tokens": {answers: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { engine("Llama", "").ServeHTTP(empty{w, r}, r) }), status: 200, cause: "the answer has no token"},
	} {
		t.Run(name, func(t *testing.T) {
			address := ""
			svc := blueprints.Service{Name: "llama", Model: "Llama", Host: host, Args: c.args}
			if c.answers != nil || c.noReach {
				server := httptest.NewUnstartedServer(c.answers)
				if c.tls {
					svc.TLS = &blueprints.TLS{Secret: "tls"}
					server.StartTLS()
				} else {
					server.Start()
				}
				address = server.Listener.Addr().String()
				if c.noReach {
					server.Close()
				} else {
					defer server.Close()
				}
			}
			objects := c.objects
			if !c.noRoute {
				objects = append(objects, ingress(address))
			}
			p := &Prober{client: fake.NewClientset(objects...)}
			r, _ := p.once(t.Context(), svc, Ingress)
			if r.Verified != c.verified || r.Status != c.status || !strings.Contains(r.Cause, c.cause) || !strings.Contains(r.Hint, c.hint) {
				t.Errorf("%+v, want %v, %d, %q, %q", r, c.verified, c.status, c.cause, c.hint)
			}
			if c.verified && r.FirstTokenMs <= 0 || r.Way != Ingress || r.Address != address {
				t.Errorf("%+v", r)
			}
		})
	}
}

// empty leaves out the data of an answer to a completion.
type empty struct {
	http.ResponseWriter
	r *http.Request
}

func (e empty) Write(b []byte) (int, error) {
	if e.r.Method == http.MethodPost {
		return len(b), nil
	}
	return e.ResponseWriter.Write(b)
}

// TestHangUp: a proxy that ends the handshake has no certificate for the host.
func TestHangUp(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			io.ReadAtLeast(conn, make([]byte, 1<<10), 5) //nolint:errcheck // the beginning of a handshake
			conn.Close()
		}
	}()
	p := &Prober{client: fake.NewClientset(ingress(listener.Addr().String()))}
	r, _ := p.once(t.Context(), blueprints.Service{Name: "llama", Model: "Llama", Host: host, TLS: &blueprints.TLS{Issuer: "letsencrypt"}}, Ingress)
	if r.Cause != "TLS: the proxy closed the connection: it has no certificate for "+host || !strings.Contains(r.Hint, "the certificate is not issued yet") {
		t.Errorf("%+v", r)
	}
}

// TestWays: each way in that the blueprint has, and the Gateway's address by a route
// on it, or on a ListenerSet of it.
func TestWays(t *testing.T) {
	inside, outside := blueprints.Service{Name: "inner"}, blueprints.Service{Name: "llama", Host: host}
	release := &blueprints.Release{}
	for _, c := range []struct {
		nginx, gateway *blueprints.Release
		svc            blueprints.Service
		ways           []string
	}{
		{release, release, inside, []string{PortForward}},
		{release, nil, outside, []string{Ingress}},
		{nil, nil, outside, []string{Ingress}}, // of a chart of one's own
		{nil, release, outside, []string{Gateway}},
		{release, release, outside, []string{Ingress, Gateway}},
	} {
		p := &Prober{blueprint: &blueprints.Blueprint{Addons: blueprints.Addons{IngressNginx: c.nginx, EnvoyGateway: c.gateway}}}
		if got := p.Ways(c.svc); !slices.Equal(got, c.ways) {
			t.Errorf("%v, want %v", got, c.ways)
		}
	}

	object := func(kind, namespace, name string, fields map[string]any) *unstructured.Unstructured {
		u := &unstructured.Unstructured{Object: fields}
		u.SetAPIVersion("gateway.networking.k8s.io/v1")
		u.SetKind(kind)
		u.SetNamespace(namespace)
		u.SetName(name)
		return u
	}
	onGateway := map[string]any{"name": "ai", "namespace": "envoy"}
	gateway := object("Gateway", "envoy", "ai", map[string]any{"status": map[string]any{"addresses": []any{map[string]any{"value": "lb.example.com"}}}})
	bare := object("Gateway", "envoy", "ai", map[string]any{})
	direct := object("HTTPRoute", serving.Namespace, "llama", map[string]any{"spec": map[string]any{"parentRefs": []any{onGateway}}})
	byList := object("HTTPRoute", serving.Namespace, "llama", map[string]any{"spec": map[string]any{"parentRefs": []any{map[string]any{"kind": "ListenerSet", "name": "llama"}}}})
	listeners := object("ListenerSet", serving.Namespace, "llama", map[string]any{"spec": map[string]any{"parentRef": onGateway}})
	for name, c := range map[string]struct {
		objects []*unstructured.Unstructured
		address string
		cause   string
	}{
		"on the Gateway":    {[]*unstructured.Unstructured{gateway, direct}, "lb.example.com", ""},
		"by a ListenerSet":  {[]*unstructured.Unstructured{gateway, byList, listeners}, "lb.example.com", ""},
		"no route":          {[]*unstructured.Unstructured{gateway}, "", "it has no HTTPRoute"},
		"no address so far": {[]*unstructured.Unstructured{bare, direct}, "", "its Gateway has no address"},
	} {
		kinds := map[schema.GroupVersionResource]string{gateways: "GatewayList", httpRoutes: "HTTPRouteList", listenerSets: "ListenerSetList"}
		p := &Prober{client: fake.NewClientset(), dyn: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds)}
		for _, o := range c.objects {
			kind := map[string]schema.GroupVersionResource{"Gateway": gateways, "HTTPRoute": httpRoutes, "ListenerSet": listenerSets}[o.GetKind()]
			if _, err := p.dyn.Resource(kind).Namespace(o.GetNamespace()).Create(t.Context(), o, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if c.address != "" {
			if got, err := p.gatewayAddress(t.Context(), outside); err != nil || got != c.address {
				t.Errorf("%s: %s, %v", name, got, err)
			}
			continue
		}
		if r, _ := p.once(t.Context(), outside, Gateway); !strings.Contains(r.Cause, c.cause) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestPatience: what may pass is asked again, what does not is said at once.
func TestPatience(t *testing.T) {
	calls := 0
	late := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls < 3 {
			page(http.StatusNotFound).ServeHTTP(w, r)
			return
		}
		engine("Llama", "").ServeHTTP(w, r)
	})
	for name, c := range map[string]struct {
		answers  http.Handler
		patience time.Duration
		verified bool
		said     int
	}{
		"a route that comes":   {late, time.Minute, true, 1},
		"no patience":          {page(http.StatusNotFound), 0, false, 0},
		"what waiting is for ": {engine("Qwen", ""), 0, false, 0},
		"what does not heal":   {text(http.StatusUnauthorized, ""), time.Minute, false, 0},
	} {
		server := httptest.NewServer(c.answers)
		p := &Prober{client: fake.NewClientset(ingress(server.Listener.Addr().String())), Patience: c.patience}
		said := 0
		r, err := p.Probe(t.Context(), blueprints.Service{Name: "llama", Model: "Llama", Host: host}, Ingress, func(string, ...any) { said++ })
		server.Close()
		if err != nil || r.Verified != c.verified || said != c.said {
			t.Errorf("%s: %+v, %v, said %d times", name, r, err, said)
		}
	}
}

// TestThroughProxy: a proxy on the way gets the load balancer's name, and the load
// balancer the service's.
func TestThroughProxy(t *testing.T) {
	server := httptest.NewServer(engine("Llama", ""))
	defer server.Close()
	got := make(chan string, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.URL.String() }))
	defer proxy.Close()
	w := way{scheme: "http", to: "lb.example.com", host: host}
	w.client = direct(w)
	at, err := http.NewRequest(http.MethodGet, proxy.URL, nil) //nolint:noctx // for its URL
	if err != nil {
		t.Fatal(err)
	}
	w.client.Transport.(*http.Transport).Proxy = http.ProxyURL(at.URL)
	request, err := w.request(t.Context(), http.MethodGet, "/v1/models", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := w.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if url := <-got; url != "http://lb.example.com/v1/models" || request.Host != host {
		t.Errorf("the proxy is asked for %s, by host %s", url, request.Host)
	}
}
