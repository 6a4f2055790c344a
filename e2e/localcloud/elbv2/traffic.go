package elbv2

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"aicluster/e2e/localcloud/traffic"
)

// Reach connects to a port of an instance.
type Reach func(ctx context.Context, region, instanceID string, port int32) (net.Conn, error)

// Forward has load balancers send what they get to the instances. It is called
// before the service is used; without it every target is healthy and none reached.
func (s *Service) Forward(reach Reach) { s.reach = reach }

// Dial connects to a port of the load balancer with a DNS name; known tells whether
// there is one.
//
// Which target gets a connection: any healthy one, or any at all when none is ("fail
// open", https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html).
func (s *Service) Dial(ctx context.Context, name string, port int32) (conn net.Conn, known bool, err error) {
	s.mu.Lock()
	b := s.named(name)
	if b == nil {
		s.mu.Unlock()
		return nil, false, nil
	}
	g := s.groupAt(b, port)
	if b.state != types.LoadBalancerStateEnumActive {
		err = syscall.ETIMEDOUT // it takes no connections yet
	} else if g == nil {
		err = syscall.ECONNREFUSED // there is no listener
	}
	var targets []checkedTarget
	if err == nil {
		targets = s.targetsOf(g)
	}
	s.mu.Unlock()
	if err != nil {
		return nil, true, err
	}
	var healthy []checkedTarget
	for _, t := range targets {
		if t.check(ctx, s.reach).State == types.TargetHealthStateEnumHealthy {
			healthy = append(healthy, t)
		}
	}
	if len(healthy) == 0 {
		healthy = targets
	}
	if len(healthy) == 0 || s.reach == nil {
		return nil, true, syscall.ECONNREFUSED
	}
	t := healthy[rand.IntN(len(healthy))]
	conn, err = s.reach(ctx, t.region, aws.ToString(t.Id), *t.Port)
	return conn, true, err
}

// named finds a load balancer by its DNS name, of which case is no part.
func (s *Service) named(name string) *balancer {
	for _, b := range s.balancers {
		if strings.EqualFold(b.hostname(), name) {
			return b
		}
	}
	return nil
}

// groupAt is where a load balancer's listener at a port forwards to.
func (s *Service) groupAt(b *balancer, port int32) *targetGroup {
	for _, l := range s.listeners {
		if l.balancer != b.arn || *l.out.Port != port {
			continue
		}
		for _, arn := range l.targets() {
			if g := s.groups[arn]; g != nil {
				return g
			}
		}
	}
	return nil
}

// checkedTarget is a target with what its group's health check needs.
type checkedTarget struct {
	types.TargetDescription
	region  string
	running bool // the instance is
	port    int32
	ask     traffic.HealthCheck
}

// targetsOf lists a group's targets; s.mu is held.
func (s *Service) targetsOf(g *targetGroup) []checkedTarget {
	var list []checkedTarget
	for _, key := range sorted(g.targets) {
		t := checkedTarget{TargetDescription: g.targets[key], region: g.region, running: true}
		t.port = *t.Port
		if n, err := strconv.ParseInt(aws.ToString(g.health.HealthCheckPort), 10, 32); err == nil { // else traffic-port
			t.port = int32(n)
		}
		if g.kind == types.TargetTypeEnumInstance {
			i, ok := s.ec2.Instance(g.region, aws.ToString(t.Id))
			t.running = ok && i.State == "running"
		}
		t.ask.Timeout = time.Duration(cmp.Or(aws.ToInt32(g.health.HealthCheckTimeoutSeconds), 10)) * time.Second
		if p := g.health.HealthCheckProtocol; p == types.ProtocolEnumHttp || p == types.ProtocolEnumHttps {
			codes := "200-399"
			if m := g.health.Matcher; m != nil && m.HttpCode != nil {
				codes = *m.HttpCode
			}
			t.ask.Path, t.ask.Passes = cmp.Or(aws.ToString(g.health.HealthCheckPath), "/"), matcher(codes)
		}
		list = append(list, t)
	}
	return list
}

// check asks a target. Reasons and descriptions are those of the API reference of
// TargetHealth.
func (t checkedTarget) check(ctx context.Context, reach Reach) *types.TargetHealth {
	if !t.running {
		return &types.TargetHealth{State: types.TargetHealthStateEnumUnused, Reason: types.TargetHealthReasonEnumInvalidState, Description: aws.String("Target is in the stopped state")}
	}
	if reach == nil {
		return &types.TargetHealth{State: types.TargetHealthStateEnumHealthy}
	}
	err := t.ask.Ask(ctx, func(ctx context.Context) (net.Conn, error) { return reach(ctx, t.region, aws.ToString(t.Id), t.port) })
	health := &types.TargetHealth{State: types.TargetHealthStateEnumUnhealthy, Reason: types.TargetHealthReasonEnumFailedHealthChecks, Description: aws.String("Health checks failed")}
	var code traffic.CodeError
	switch {
	case err == nil:
		return &types.TargetHealth{State: types.TargetHealthStateEnumHealthy}
	case errors.As(err, &code):
		health.Reason, health.Description = types.TargetHealthReasonEnumResponseCodeMismatch, aws.String(code.Error())
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, context.DeadlineExceeded):
		health.Reason, health.Description = types.TargetHealthReasonEnumTimeout, aws.String("Request timed out")
	}
	return health
}

// matcher reads codes such as 200,202 or 200-399.
func matcher(codes string) func(int) bool {
	return func(code int) bool {
		for _, part := range strings.Split(codes, ",") {
			var low, high int
			if n, _ := fmt.Sscanf(part, "%d-%d", &low, &high); n == 1 {
				high = low
			}
			if low <= code && code <= high {
				return true
			}
		}
		return false
	}
}
