// Package envoy plays the proxies of Envoy Gateway: a pod of Envoy that belongs to a
// Gateway takes requests on the ports of the Gateway's listeners, and of those of the
// ListenerSets that are attached, and sends them by its HTTPRoutes to the endpoints
// of Services. Hosts, paths, redirects to HTTPS, certificates and request timeouts
// are honoured; other filters and matches are not known here, and a rule that has
// any does not match.
//
// The Gateway API is read when a request comes: its kinds need not exist.
package envoy

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/traffic"
)

// The labels by which a proxy's pod belongs to a Gateway.
const (
	owningName      = "gateway.envoyproxy.io/owning-gateway-name"
	owningNamespace = "gateway.envoyproxy.io/owning-gateway-namespace"
)

// Where Envoy listens for the ports 80 and 443: 10000 higher, as all privileged ones
// (Envoy Gateway, "Customize EnvoyProxy").
const (
	shift     = 10000
	httpPort  = 80
	httpsPort = 443
	readyPort = 19003
)

// Image is Envoy's image for the nodes of one cluster.
type Image struct {
	network *traffic.Network
	clock   *clock.Clock
	client  kubernetes.Interface
}

// New returns the image. Timeouts take the clock's time.
func New(n *traffic.Network, c *clock.Clock) *Image { return &Image{network: n, clock: c} }

// Watch implements traffic.Watcher.
func (i *Image) Watch(client kubernetes.Interface, _ informers.SharedInformerFactory) error {
	i.client = client
	return nil
}

// Run implements traffic.Watcher: there is nothing to do on its own.
func (i *Image) Run(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// proxy is one pod's Envoy.
type proxy struct {
	*Image
	gateway name
}

// Servers are Envoy's ports.
func (i *Image) Servers(pod *corev1.Pod, c *corev1.Container) map[int32]traffic.Server {
	if !strings.Contains(c.Image, "envoyproxy/envoy") || pod.Labels[owningName] == "" {
		return nil
	}
	p := &proxy{i, name{pod.Labels[owningNamespace], pod.Labels[owningName]}}
	ready := http.NewServeMux()
	ready.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "LIVE") })
	return map[int32]traffic.Server{
		shift + httpPort:  {Handler: p.handler(httpPort)},
		shift + httpsPort: {Handler: p.handler(httpsPort), TLS: p.tls()},
		readyPort:         {Handler: ready},
	}
}

// handler answers at a port of the Gateway, with Envoy's words where there is no way.
func (p *proxy) handler(port int32) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "envoy")
		host := strings.ToLower(r.Host)
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		all, err := p.read(r.Context())
		if err != nil {
			http.Error(w, "no healthy upstream", http.StatusServiceUnavailable)
			return
		}
		found := all.find(port, host, r.URL.Path)
		switch {
		case found == nil:
			w.WriteHeader(http.StatusNotFound)
		case found.rule.redirect() != nil:
			to := found.rule.redirect()
			w.Header().Set("Location", to.location(r, host))
			w.WriteHeader(to.code())
		default:
			p.forward(w, r, port, all, found)
		}
	})
}

func (p *proxy) forward(w http.ResponseWriter, r *http.Request, port int32, all *objects, found *match) {
	backend := found.rule.backend()
	if backend == nil {
		w.WriteHeader(http.StatusInternalServerError) // as the Gateway API wants it
		return
	}
	scheme := map[int32]string{httpPort: "http", httpsPort: "https"}[port]
	remote, _, _ := net.SplitHostPort(r.RemoteAddr)
	namespace := backend.Namespace
	if namespace == "" {
		namespace = found.route.Namespace
	}
	err := traffic.Forward{
		Dial: func(ctx context.Context) (net.Conn, error) {
			return p.network.DialBackend(ctx, namespace, backend.Name, "", backend.Port)
		},
		Header:  map[string]string{"X-Request-Id": uuid.NewString(), "X-Forwarded-For": remote, "X-Forwarded-Proto": scheme},
		Whole:   p.clock.Scale(all.requestTimeout(found)),
		Silence: p.clock.Scale(all.idleTimeout(found)),
	}.Serve(w, r)
	switch {
	case err == nil, r.Context().Err() != nil:
	case errors.Is(err, traffic.ErrSlow):
		fail(w, http.StatusGatewayTimeout, "upstream request timeout")
	case errors.Is(err, traffic.ErrNoEndpoints):
		fail(w, http.StatusServiceUnavailable, "no healthy upstream")
	default:
		fail(w, http.StatusServiceUnavailable, "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: delayed connect error: Connection refused")
	}
}

func fail(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(code)
	fmt.Fprint(w, text)
}

// errNoListener closes a TLS connection for a name that no listener has.
var errNoListener = errors.New("no filter chain for this name")

// tls ends TLS with the certificate of the listener for the name.
func (p *proxy) tls() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			all, err := p.read(hello.Context())
			if err != nil {
				return nil, err
			}
			for _, l := range all.listeners(httpsPort) {
				if !covers(l.Hostname, strings.ToLower(hello.ServerName)) || l.TLS == nil {
					continue
				}
				for _, ref := range l.TLS.CertificateRefs {
					namespace := ref.Namespace
					if namespace == "" {
						namespace = l.owner.Namespace
					}
					s, err := p.client.CoreV1().Secrets(namespace).Get(hello.Context(), ref.Name, metav1.GetOptions{})
					if err != nil {
						continue
					}
					if cert, err := tls.X509KeyPair(s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey]); err == nil {
						return &cert, nil
					}
				}
			}
			hello.Conn.Close() // without an alert, as Envoy does
			return nil, errNoListener
		},
	}
}

// list reads all objects of a kind; none when the kind does not exist.
func list[T any](ctx context.Context, client kubernetes.Interface, path string) ([]T, error) {
	body, err := client.Discovery().RESTClient().Get().AbsPath(path).DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var found struct {
		Items []T `json:"items"`
	}
	return found.Items, json.Unmarshal(body, &found)
}
