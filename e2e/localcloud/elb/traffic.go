package elb

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	"aicluster/e2e/localcloud/traffic"
)

// Reach connects to a port of an instance.
type Reach func(ctx context.Context, region, instanceID string, port int32) (net.Conn, error)

// Forward has load balancers send what they get to the instances. It is called
// before the service is used; without it every running instance is healthy and none
// is reached.
func (s *Service) Forward(reach Reach) { s.reach = reach }

// Dial connects to a port of the load balancer with a DNS name; known tells whether
// there is one. Only instances in service get connections.
func (s *Service) Dial(ctx context.Context, name string, port int32) (conn net.Conn, known bool, err error) {
	s.mu.Lock()
	var b *balancer
	for _, have := range s.balancers {
		if strings.EqualFold(have.hostname(), name) {
			b = have
		}
	}
	if b == nil {
		s.mu.Unlock()
		return nil, false, nil
	}
	l, inService, check, instances := b.listeners[port], b.inService, b.health, s.instancesOf(b)
	s.mu.Unlock()
	switch {
	case !inService:
		return nil, true, syscall.ETIMEDOUT // it takes no connections yet
	case l == nil || s.reach == nil:
		return nil, true, syscall.ECONNREFUSED
	}
	var healthy []string
	for _, i := range instances {
		if s.healthy(ctx, b.region, *i.InstanceId, check) {
			healthy = append(healthy, *i.InstanceId)
		}
	}
	if len(healthy) == 0 {
		return nil, true, syscall.ECONNREFUSED
	}
	conn, err = s.reach(ctx, b.region, healthy[rand.IntN(len(healthy))], l.instancePort)
	return conn, true, err
}

// healthy asks an instance as its load balancer's health check says.
func (s *Service) healthy(ctx context.Context, region, instance string, check types.HealthCheck) bool {
	if i, ok := s.ec2.Instance(region, instance); !ok || i.State != "running" {
		return false
	}
	m := target.FindStringSubmatch(aws.ToString(check.Target))
	if s.reach == nil || m == nil {
		return true
	}
	port, err := strconv.ParseInt(m[2], 10, 32)
	if err != nil {
		return false
	}
	h := traffic.HealthCheck{Path: m[3], Timeout: time.Duration(aws.ToInt32(check.Timeout)) * time.Second, Passes: func(code int) bool { return code == http.StatusOK }}
	return h.Ask(ctx, func(ctx context.Context) (net.Conn, error) { return s.reach(ctx, region, instance, int32(port)) }) == nil
}
