package traffic

import (
	"context"
	"errors"
	"net"

	corev1 "k8s.io/api/core/v1"
)

// ErrNoEndpoints is a Service's that is not there or has no endpoint that is ready.
var ErrNoEndpoints = errors.New("no endpoints available")

// DialBackend connects to an endpoint of a Service's port, which is given by its name
// or its number, as proxies do that know endpoints themselves. Another endpoint is
// tried when one refuses.
func (n *Network) DialBackend(ctx context.Context, namespace, service, port string, number int32) (net.Conn, error) {
	l, err := n.watched()
	if err != nil {
		return nil, err
	}
	s, err := l.services.Services(namespace).Get(service)
	if err != nil {
		return nil, ErrNoEndpoints
	}
	for _, p := range s.Spec.Ports {
		if port != "" && p.Name != port || port == "" && p.Port != number {
			continue
		}
		return n.dialAny(ctx, l, s, p)
	}
	return nil, ErrNoEndpoints
}

func (n *Network) dialAny(ctx context.Context, l *listers, s *corev1.Service, p corev1.ServicePort) (net.Conn, error) {
	list := l.endpoints(s, p.Name)
	if len(list) == 0 {
		return nil, ErrNoEndpoints
	}
	var failure error
	for range list {
		conn, err := n.dialOne(ctx, l, list)
		if err == nil {
			return conn, nil
		}
		failure = err
	}
	return nil, failure
}
