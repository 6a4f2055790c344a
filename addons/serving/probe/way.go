package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"aicluster/addons/serving"
	"aicluster/addons/serving/tunnel"
	"aicluster/blueprints"
)

// The ways to a service.
const (
	Ingress     = "ingress"
	Gateway     = "gateway"
	PortForward = "port-forward"
)

// dialLimit bounds one attempt to connect.
const dialLimit = 5 * time.Second

// way is how requests reach a service.
type way struct {
	client *http.Client
	scheme string
	to     string // host and port to connect with
	host   string // for the Host header and the certificate
	key    string // of the API; empty for none
	close  func()
}

var (
	errNoAddress  = errors.New("no address yet")
	errNoRoute    = errors.New("no route")
	errNoReplicas = errors.New("no replica is ready")
)

// wayTo finds the way to a service and notes it in the result.
func (p *Prober) wayTo(ctx context.Context, svc blueprints.Service, r *Result) (way, error) {
	w := way{key: apiKey(svc.Args), close: func() {}}
	if r.Way == PortForward {
		r.URL = fmt.Sprintf("http://%s.%s/v1", svc.Name, serving.Namespace)
		return p.forward(ctx, svc, w, r)
	}
	w.scheme, w.host = "http", svc.Host
	if svc.TLS != nil {
		w.scheme = "https"
	}
	r.URL = w.scheme + "://" + svc.Host + "/v1"
	find := p.ingressAddress
	if r.Way == Gateway {
		find = p.gatewayAddress
	}
	address, err := find(ctx, svc)
	if err != nil {
		return w, err
	}
	r.Address, w.to = address, address
	w.client = direct(w)
	return w, nil
}

// ingressAddress is the load balancer's host name, as the controller has written it
// into the service's Ingress.
func (p *Prober) ingressAddress(ctx context.Context, svc blueprints.Service) (string, error) {
	i, err := p.client.NetworkingV1().Ingresses(serving.Namespace).Get(ctx, svc.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", errNoRoute
	}
	if err != nil {
		return "", err
	}
	for _, at := range i.Status.LoadBalancer.Ingress {
		if at.Hostname != "" {
			return at.Hostname, nil
		}
		if at.IP != "" {
			return at.IP, nil
		}
	}
	return "", errNoAddress
}

// Kinds of the Gateway API.
var (
	gateways     = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
	listenerSets = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "listenersets"}
	httpRoutes   = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}
)

// gatewayAddress is the load balancer's host name, as the controller has written it
// into the Gateway to which the service's route is attached, directly or by a
// ListenerSet.
func (p *Prober) gatewayAddress(ctx context.Context, svc blueprints.Service) (string, error) {
	at, kind, parent := serving.Namespace, httpRoutes, []string{"spec", "parentRefs"}
	name := svc.Name
	for {
		o, err := p.dyn.Resource(kind).Namespace(at).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return "", errNoRoute
		}
		if err != nil {
			return "", err
		}
		if kind == gateways {
			return addressOf(o)
		}
		ref, ok := parentOf(o, parent)
		if !ok {
			return "", errNoRoute
		}
		if namespace, _ := ref["namespace"].(string); namespace != "" {
			at = namespace
		}
		name, _ = ref["name"].(string)
		kind, parent = gateways, nil
		if ref["kind"] == "ListenerSet" {
			kind, parent = listenerSets, []string{"spec", "parentRef"}
		}
	}
}

// parentOf is what a route or a set of listeners is attached to: the first, of a list.
func parentOf(o *unstructured.Unstructured, path []string) (map[string]any, bool) {
	found, _, _ := unstructured.NestedFieldNoCopy(o.Object, path...)
	if list, ok := found.([]any); ok && len(list) > 0 {
		found = list[0]
	}
	ref, ok := found.(map[string]any)
	return ref, ok
}

func addressOf(gateway *unstructured.Unstructured) (string, error) {
	list, _, _ := unstructured.NestedSlice(gateway.Object, "status", "addresses")
	for _, a := range list {
		if m, ok := a.(map[string]any); ok {
			if value, _ := m["value"].(string); value != "" {
				return value, nil
			}
		}
	}
	return "", errNoAddress
}

// direct is a client that connects with the load balancer and speaks to the host. A
// redirect, such as to HTTPS, is an answer of its own.
func direct(w way) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: dialLimit}).DialContext,
			TLSHandshakeTimeout: dialLimit, TLSClientConfig: &tls.Config{ServerName: w.host, MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// forward opens a tunnel to a replica that is ready.
func (p *Prober) forward(ctx context.Context, svc blueprints.Service, w way, r *Result) (way, error) {
	ready, err := tunnel.Endpoints(ctx, p.client, serving.Namespace, svc.Name, serving.PortName)
	if err != nil {
		return w, err
	}
	if len(ready) == 0 {
		return w, errNoReplicas
	}
	r.Address = ready[0].Pod
	t, err := tunnel.Open(p.config, p.client, serving.Namespace, ready[0], 0, io.Discard)
	if err != nil {
		return w, err
	}
	w.scheme, w.to = "http", fmt.Sprintf("127.0.0.1:%d", t.Port)
	w.host = w.to
	w.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // never by a proxy
	w.close = func() { t.Close() }                                               //nolint:errcheck // how it ended does not matter any more
	return w, nil
}

// request makes a request that goes where the way leads.
func (w way) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, w.scheme+"://"+w.to+path, body)
	if err != nil {
		return nil, err
	}
	request.Host = w.host
	if w.key != "" {
		request.Header.Set("Authorization", "Bearer "+w.key)
	}
	if w.throughProxy(request) {
		// To a proxy net/http writes the Host into the request's line, and the load
		// balancer would not be found by that.
		request.URL.Opaque = "//" + w.to + path
	}
	return request, nil
}

func (w way) throughProxy(request *http.Request) bool {
	t, ok := w.client.Transport.(*http.Transport)
	if !ok || t.Proxy == nil || w.scheme != "http" {
		return false
	}
	var u *url.URL
	u, err := t.Proxy(request)
	return err == nil && u != nil
}

// resolves tells where a host's name leads.
func resolves(ctx context.Context, host, balancer string) string {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	mine, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return "nowhere"
	}
	theirs, err := net.DefaultResolver.LookupHost(ctx, balancer)
	if err == nil && slices.ContainsFunc(mine, func(a string) bool { return slices.Contains(theirs, a) }) {
		return "load balancer"
	}
	return "elsewhere"
}
