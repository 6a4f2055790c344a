package elb

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
)

// maxListeners is the quota of listeners of a classic load balancer.
const maxListeners = 100

// listener takes traffic on a port of the load balancer to a port of the instances.
type listener struct {
	port, instancePort         int32
	protocol, instanceProtocol string // HTTP, HTTPS, TCP, SSL
	policies                   []string
}

// same tells whether two listeners do the same, policies apart.
func (l *listener) same(o *listener) bool {
	return l.port == o.port && l.instancePort == o.instancePort && l.protocol == o.protocol && l.instanceProtocol == o.instanceProtocol
}

func layer(protocol string) int {
	return map[string]int{"TCP": 4, "SSL": 4, "HTTP": 7, "HTTPS": 7}[protocol]
}

func newListener(in types.Listener) (*listener, error) {
	l := &listener{port: in.LoadBalancerPort, instancePort: aws.ToInt32(in.InstancePort), protocol: strings.ToUpper(aws.ToString(in.Protocol))}
	l.instanceProtocol = strings.ToUpper(aws.ToString(in.InstanceProtocol))
	if l.instanceProtocol == "" { // "the same as the front-end", unencrypted
		l.instanceProtocol = map[int]string{4: "TCP", 7: "HTTP"}[layer(l.protocol)]
	}
	switch {
	case layer(l.protocol) == 0 || layer(l.instanceProtocol) == 0:
		return nil, &types.UnsupportedProtocolException{Message: aws.String("The specified protocol or signature version is not supported.")}
	case l.port < 1 || l.port > 65535:
		return nil, validation("Listener port %d must be between 1 and 65535", l.port)
	case layer(l.protocol) != layer(l.instanceProtocol):
		return nil, configuration("The back-end protocol must be at the same internet protocol layer as the front-end protocol %s", l.protocol)
	case l.protocol != "HTTPS" && l.protocol != "SSL":
		return l, nil
	case in.SSLCertificateId == nil:
		return nil, validation("Secure Listeners need to specify a SSLCertificateId")
	}
	// There are no server certificates here.
	return nil, &types.CertificateNotFoundException{Message: aws.String("Server Certificate not found for the key: " + *in.SSLCertificateId)}
}

// addListeners adds listeners, all or none; one that is there with the same
// settings is no error.
func (b *balancer) addListeners(list []types.Listener) error {
	all := maps.Clone(b.listeners)
	for _, in := range list {
		l, err := newListener(in)
		if err != nil {
			return err
		}
		switch have := all[l.port]; {
		case have == nil:
			all[l.port] = l
		case !have.same(l):
			return &types.DuplicateListenerException{Message: aws.String(fmt.Sprintf(
				"A listener already exists for %s with LoadBalancerPort %d, but with a different InstancePort, Protocol, or SSLCertificateId", b.name, l.port))}
		}
	}
	if len(all) > maxListeners {
		return configuration("A load balancer can have at most %d listeners", maxListeners)
	}
	b.listeners = all
	return nil
}

func (b *balancer) listenerOutput() []types.ListenerDescription {
	out := []types.ListenerDescription{}
	for _, port := range slices.Sorted(maps.Keys(b.listeners)) {
		l := b.listeners[port]
		out = append(out, types.ListenerDescription{PolicyNames: append([]string{}, l.policies...), Listener: &types.Listener{
			LoadBalancerPort: l.port, InstancePort: aws.Int32(l.instancePort), Protocol: aws.String(l.protocol), InstanceProtocol: aws.String(l.instanceProtocol),
		}})
	}
	return out
}

func (s *Service) createListeners(ctx context.Context, in *elasticloadbalancing.CreateLoadBalancerListenersInput) (*elasticloadbalancing.CreateLoadBalancerListenersOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.find(ctx, in.LoadBalancerName)
	if err != nil {
		return nil, err
	}
	return &elasticloadbalancing.CreateLoadBalancerListenersOutput{}, b.addListeners(in.Listeners)
}

func (s *Service) deleteListeners(ctx context.Context, in *elasticloadbalancing.DeleteLoadBalancerListenersInput) (*elasticloadbalancing.DeleteLoadBalancerListenersOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.find(ctx, in.LoadBalancerName)
	if err != nil {
		return nil, err
	}
	for _, port := range in.LoadBalancerPorts {
		delete(b.listeners, port)
	}
	return &elasticloadbalancing.DeleteLoadBalancerListenersOutput{}, nil
}
