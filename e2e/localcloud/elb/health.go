package elb

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
)

// defaultHealthCheck is that of a new load balancer, on the port of its first listener.
func defaultHealthCheck(port int32) types.HealthCheck {
	return types.HealthCheck{
		Target: aws.String(fmt.Sprintf("TCP:%d", port)), Interval: aws.Int32(30), Timeout: aws.Int32(5), UnhealthyThreshold: aws.Int32(2), HealthyThreshold: aws.Int32(10),
	}
}

var target = regexp.MustCompile(`^(?i)(TCP|SSL|HTTP|HTTPS):(\d+)(/\S*)?$`)

func checkHealthCheck(h *types.HealthCheck) error {
	m := target.FindStringSubmatch(aws.ToString(h.Target))
	if m == nil {
		return validation("HealthCheck Target must specify a valid protocol (TCP, HTTP, HTTPS, or SSL) and port")
	}
	port, err := strconv.Atoi(m[2])
	switch {
	case err != nil || port < 1 || port > 65535:
		return validation("HealthCheck Target port must be between 1 and 65535")
	case layer(strings.ToUpper(m[1])) == 7 && m[3] == "":
		return validation("HealthCheck %s Target must specify a port followed by a path that begins with a slash. e.g. %s:80/ping/this/path", m[1], m[1])
	case layer(strings.ToUpper(m[1])) == 4 && m[3] != "":
		return validation("HealthCheck %s Target must specify a port only", m[1])
	case len(m[3]) > 1024:
		return validation("HealthCheck Target path must be 1024 characters or less")
	case *h.Timeout >= *h.Interval:
		return validation("HealthCheck timeout must be less than interval. Timeout: %d, Interval: %d", *h.Timeout, *h.Interval)
	}
	return nil
}

func (s *Service) configureHealthCheck(ctx context.Context, in *elasticloadbalancing.ConfigureHealthCheckInput) (*elasticloadbalancing.ConfigureHealthCheckOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.find(ctx, in.LoadBalancerName)
	if err != nil {
		return nil, err
	}
	if err := checkHealthCheck(in.HealthCheck); err != nil {
		return nil, err
	}
	b.health = *in.HealthCheck
	return &elasticloadbalancing.ConfigureHealthCheckOutput{HealthCheck: in.HealthCheck}, nil
}

// instancesOf lists the registered instances; the terminated ones are deregistered
// by Elastic Load Balancing itself.
func (s *Service) instancesOf(b *balancer) []types.Instance {
	out := []types.Instance{}
	for _, id := range sorted(b.instances) {
		if i, ok := s.ec2.Instance(b.region, id); !ok || i.State == "terminated" {
			delete(b.instances, id)
			continue
		}
		out = append(out, types.Instance{InstanceId: aws.String(id)})
	}
	return out
}

func invalidInstance(format string, args ...any) error {
	return &types.InvalidEndPointException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func (s *Service) registerInstances(ctx context.Context, in *elasticloadbalancing.RegisterInstancesWithLoadBalancerInput) (*elasticloadbalancing.RegisterInstancesWithLoadBalancerOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.find(ctx, in.LoadBalancerName)
	if err != nil {
		return nil, err
	}
	for _, x := range in.Instances {
		id := aws.ToString(x.InstanceId)
		switch i, ok := s.ec2.Instance(b.region, id); {
		case !ok || i.State == "terminated": // boto/boto#2274
			return nil, invalidInstance("Could not find EC2 instance %s.", id)
		case i.VPC != b.vpc:
			return nil, invalidInstance("EC2 instance %s is not in the same VPC as ELB.", id)
		}
	}
	for _, x := range in.Instances {
		b.instances[*x.InstanceId] = true
	}
	return &elasticloadbalancing.RegisterInstancesWithLoadBalancerOutput{Instances: s.instancesOf(b)}, nil
}

func (s *Service) deregisterInstances(ctx context.Context, in *elasticloadbalancing.DeregisterInstancesFromLoadBalancerInput) (*elasticloadbalancing.DeregisterInstancesFromLoadBalancerOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.find(ctx, in.LoadBalancerName)
	if err != nil {
		return nil, err
	}
	for _, x := range in.Instances {
		id := aws.ToString(x.InstanceId)
		if _, ok := s.ec2.Instance(b.region, id); !ok && !b.instances[id] {
			return nil, invalidInstance("Could not find EC2 instance %s.", id)
		}
	}
	for _, x := range in.Instances {
		delete(b.instances, *x.InstanceId)
	}
	return &elasticloadbalancing.DeregisterInstancesFromLoadBalancerOutput{Instances: s.instancesOf(b)}, nil
}

// describeInstanceHealth checks the instances now, rather than at intervals, once the
// load balancer works.
func (s *Service) describeInstanceHealth(ctx context.Context, in *elasticloadbalancing.DescribeInstanceHealthInput) (*elasticloadbalancing.DescribeInstanceHealthOutput, error) {
	s.mu.Lock()
	b, err := s.find(ctx, in.LoadBalancerName)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	have, inService, check := s.instancesOf(b), b.inService, b.health
	s.mu.Unlock()
	for _, x := range in.Instances {
		if !slices.ContainsFunc(have, func(y types.Instance) bool { return *y.InstanceId == aws.ToString(x.InstanceId) }) {
			return nil, invalidInstance("Could not find EC2 instance %s.", aws.ToString(x.InstanceId))
		}
	}
	if len(in.Instances) > 0 {
		have = in.Instances
	}
	out := &elasticloadbalancing.DescribeInstanceHealthOutput{InstanceStates: []types.InstanceState{}}
	for _, x := range have {
		state := types.InstanceState{InstanceId: x.InstanceId, State: aws.String("InService"), ReasonCode: aws.String("N/A"), Description: aws.String("N/A")}
		switch i, _ := s.ec2.Instance(b.region, *x.InstanceId); {
		case !inService:
			state.State, state.ReasonCode, state.Description = aws.String("OutOfService"), aws.String("ELB"), aws.String("Instance registration is still in progress.")
		case i.State != "running":
			state.State, state.ReasonCode, state.Description = aws.String("OutOfService"), aws.String("Instance"), aws.String("Instance is in stopped state.")
		case !s.healthy(ctx, b.region, *x.InstanceId, check):
			state.State, state.ReasonCode = aws.String("OutOfService"), aws.String("Instance")
			state.Description = aws.String("Instance has failed at least the UnhealthyThreshold number of health checks consecutively.")
		}
		out.InstanceStates = append(out.InstanceStates, state)
	}
	return out, nil
}
