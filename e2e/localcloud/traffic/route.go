package traffic

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// What a connection ends with when nobody takes it: kube-proxy rejects one to a
// Service without endpoints, and drops one to a node without a pod of a Service
// whose external traffic policy is Local
// (https://kubernetes.io/docs/reference/networking/virtual-ips/).
const (
	errRefused = syscall.ECONNREFUSED
	errDropped = syscall.ETIMEDOUT
	errNoHost  = syscall.EHOSTUNREACH
)

func (n *Network) dial(ctx context.Context, address string) (net.Conn, error) {
	l, err := n.watched()
	if err != nil {
		return nil, err
	}
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, err
	}
	port := int32(number)
	if _, err := netip.ParseAddr(host); err != nil {
		return n.dialName(ctx, l, host, port)
	}
	if service := l.byClusterIP(host); service != nil {
		return n.dialService(ctx, l, service, port)
	}
	if node := l.byNodeIP(host); node != "" {
		if conn, err := n.dialNodePort(ctx, l, node, port); err == nil {
			return conn, nil
		}
	}
	pods, err := l.pods.ByIndex(byAddress, host) // several on the network of their node
	if err != nil || len(pods) == 0 {
		return nil, errNoHost
	}
	for _, obj := range pods {
		if conn, err := n.connect(ctx, l, obj.(*corev1.Pod), port); err == nil {
			return conn, nil
		}
	}
	return nil, errRefused
}

// dialName connects to NAME.NAMESPACE.svc, with or without the cluster's domain.
func (n *Network) dialName(ctx context.Context, l *listers, host string, port int32) (net.Conn, error) {
	parts := strings.Split(strings.TrimSuffix(strings.TrimSuffix(host, "."), ".cluster.local"), ".")
	if len(parts) != 3 || parts[2] != "svc" {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	service, err := l.services.Services(parts[1]).Get(parts[0])
	if err != nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return n.dialService(ctx, l, service, port)
}

func (l *listers) byClusterIP(ip string) *corev1.Service {
	services, _ := l.services.List(labels.Everything())
	i := slices.IndexFunc(services, func(s *corev1.Service) bool { return slices.Contains(s.Spec.ClusterIPs, ip) })
	if i < 0 {
		return nil
	}
	return services[i]
}

func (l *listers) byNodeIP(ip string) string {
	nodes, _ := l.nodes.List(labels.Everything())
	for _, node := range nodes {
		for _, a := range node.Status.Addresses {
			if a.Type == corev1.NodeInternalIP && a.Address == ip {
				return node.Name
			}
		}
	}
	return ""
}

// dialService connects to a port of a Service at its address.
func (n *Network) dialService(ctx context.Context, l *listers, service *corev1.Service, port int32) (net.Conn, error) {
	for _, p := range service.Spec.Ports {
		if p.Port == port {
			return n.dialOne(ctx, l, l.endpoints(service, p.Name))
		}
	}
	return nil, errRefused
}

// dialNodePort connects to a node's port as its kube-proxy does.
func (n *Network) dialNodePort(ctx context.Context, l *listers, node string, port int32) (net.Conn, error) {
	services, err := l.services.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	for _, s := range services {
		local := s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
		if local && s.Spec.HealthCheckNodePort == port {
			return serveOnce(healthCheck(len(l.onNode(s, "", node, true)))), nil
		}
		for _, p := range s.Spec.Ports {
			if p.NodePort != port {
				continue
			}
			found := l.endpoints(s, p.Name)
			if local {
				if found = l.onNode(s, p.Name, node, false); len(found) == 0 {
					return nil, errDropped
				}
			}
			return n.dialOne(ctx, l, found)
		}
	}
	return nil, errRefused
}

// healthCheck answers at a Service's healthCheckNodePort, which is kube-proxy's: 200
// while the node has endpoints of the Service, else 503.
func healthCheck(endpoints int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if endpoints == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		w.Write([]byte(`{"localEndpoints": ` + strconv.Itoa(endpoints) + `, "serviceProxyHealthy": true}` + "\n")) //nolint:errcheck // the client is gone
	})
}

// endpoint is a pod's port, or an address that is no pod's.
type endpoint struct {
	namespace, pod, address, node string
	port                          int32
}

// endpoints are the ready ones of a Service's port, from its EndpointSlices.
func (l *listers) endpoints(service *corev1.Service, port string) []endpoint {
	return l.ready(service, func(name string) bool { return name == port })
}

// onNode are those on one node; of any port, if so asked.
func (l *listers) onNode(service *corev1.Service, port, node string, anyPort bool) []endpoint {
	all := l.ready(service, func(name string) bool { return anyPort || name == port })
	return slices.DeleteFunc(all, func(e endpoint) bool { return e.node != node })
}

func (l *listers) ready(service *corev1.Service, wanted func(port string) bool) []endpoint {
	found, err := l.slices.EndpointSlices(service.Namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service.Name}))
	if err != nil {
		return nil
	}
	var out []endpoint
	for _, slice := range found {
		for _, p := range slice.Ports {
			if p.Port == nil || !wanted(deref(p.Name)) {
				continue
			}
			for _, e := range slice.Endpoints {
				if ready := e.Conditions.Ready; ready != nil && !*ready || len(e.Addresses) == 0 {
					continue
				}
				to := endpoint{namespace: service.Namespace, address: e.Addresses[0], node: deref(e.NodeName), port: *p.Port}
				if e.TargetRef != nil && e.TargetRef.Kind == "Pod" {
					to.pod = e.TargetRef.Name
				}
				out = append(out, to)
			}
		}
	}
	return out
}

// dialOne connects to any of some endpoints.
func (n *Network) dialOne(ctx context.Context, l *listers, list []endpoint) (net.Conn, error) {
	if len(list) == 0 {
		return nil, errRefused
	}
	e := list[rand.IntN(len(list))]
	if e.pod != "" {
		return n.dialPod(ctx, l, e.namespace, e.pod, e.port)
	}
	return n.dial(ctx, net.JoinHostPort(e.address, strconv.Itoa(int(e.port))))
}

func (n *Network) dialPod(ctx context.Context, l *listers, namespace, name string, port int32) (net.Conn, error) {
	obj, ok, err := l.pods.GetByKey(namespace + "/" + name)
	if err != nil || !ok {
		return nil, errNoHost
	}
	return n.connect(ctx, l, obj.(*corev1.Pod), port)
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
