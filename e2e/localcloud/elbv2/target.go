package elbv2

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"aicluster/e2e/localcloud/wire"
)

// targetGroup is a target group with the targets that were registered.
type targetGroup struct {
	arn, region, name, vpc string
	protocol               types.ProtocolEnum
	port                   int32
	kind                   types.TargetTypeEnum
	health                 types.TargetGroup // the health check settings
	targets                map[string]types.TargetDescription
	attributes             map[string]string
}

func registerTargets(w *wire.Server, s *Service) {
	handle(w, s.createTargetGroup)
	handle(w, s.describeTargetGroups)
	handle(w, s.modifyTargetGroup)
	handle(w, s.deleteTargetGroup)
	handle(w, s.registerTargets)
	handle(w, s.deregisterTargets)
	handle(w, s.describeTargetHealth)
}

// balancersOf lists the load balancers whose listeners forward to the group.
func (s *Service) balancersOf(arn string) []string {
	list := []string{}
	for _, l := range s.listeners {
		if slices.Contains(l.targets(), arn) && !slices.Contains(list, l.balancer) {
			list = append(list, l.balancer)
		}
	}
	slices.Sort(list)
	return list
}

func (s *Service) targetGroupOutput(g *targetGroup) types.TargetGroup {
	out := g.health
	out.TargetGroupArn, out.TargetGroupName, out.VpcId = aws.String(g.arn), aws.String(g.name), aws.String(g.vpc)
	out.Protocol, out.Port, out.TargetType, out.IpAddressType = g.protocol, aws.Int32(g.port), g.kind, types.TargetGroupIpAddressTypeEnumIpv4
	out.LoadBalancerArns = s.balancersOf(g.arn)
	return out
}

func (s *Service) createTargetGroup(ctx context.Context, in *elbv2.CreateTargetGroupInput) (*elbv2.CreateTargetGroupOutput, error) {
	name := *in.Name
	switch {
	case len(name) > 32:
		return nil, validation("Target group name '%s' cannot be longer than '32' characters", name)
	case !balancerName.MatchString(name):
		return nil, validation("Target group name '%s' can only contain characters that are alphanumeric characters and hyphens(-) and cannot begin or end with a hyphen", name)
	case in.Protocol == "" && in.TargetType != types.TargetTypeEnumLambda:
		return nil, validation("A protocol must be specified")
	case in.Port == nil && in.TargetType != types.TargetTypeEnumLambda:
		return nil, validation("A port must be specified")
	case in.VpcId == nil && in.TargetType != types.TargetTypeEnumLambda:
		return nil, validation("A VPC ID must be specified")
	}
	tags, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	region := wire.Region(ctx)
	if _, ok := s.ec2.VPC(region, aws.ToString(in.VpcId)); !ok {
		return nil, validation("The VPC ID '%s' is not found", aws.ToString(in.VpcId))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &targetGroup{
		region: region, name: name, vpc: *in.VpcId, protocol: in.Protocol, port: *in.Port, kind: cmp.Or(in.TargetType, types.TargetTypeEnumInstance),
		targets: map[string]types.TargetDescription{},
	}
	for _, have := range s.groups {
		if have.region == region && have.name == name {
			if have.vpc != g.vpc || have.protocol != g.protocol || have.port != g.port || have.kind != g.kind {
				return nil, &types.DuplicateTargetGroupNameException{Message: aws.String(fmt.Sprintf("A target group with the same name '%s' exists, but with different settings", name))}
			}
			return &elbv2.CreateTargetGroupOutput{TargetGroups: []types.TargetGroup{s.targetGroupOutput(have)}}, nil
		}
	}
	g.arn = arnOf(region, "targetgroup/"+name+"/"+newHex())
	g.health, g.attributes = healthCheck(in), groupDefaults(g)
	s.groups[g.arn], s.tags[g.arn] = g, tags
	return &elbv2.CreateTargetGroupOutput{TargetGroups: []types.TargetGroup{s.targetGroupOutput(g)}}, nil
}

// healthCheck fills in the defaults (API reference of CreateTargetGroup): by TCP,
// and with a path and a timeout of its own by HTTP.
func healthCheck(in *elbv2.CreateTargetGroupInput) types.TargetGroup {
	or := func(p *int32, v int32) *int32 {
		if p != nil {
			return p
		}
		return aws.Int32(v)
	}
	protocol := types.ProtocolEnumTcp
	if in.Protocol == types.ProtocolEnumHttp || in.Protocol == types.ProtocolEnumHttps {
		protocol = types.ProtocolEnumHttp
	}
	out := types.TargetGroup{
		HealthCheckEnabled: aws.Bool(true), HealthCheckPort: in.HealthCheckPort, HealthCheckProtocol: cmp.Or(in.HealthCheckProtocol, protocol), HealthCheckPath: in.HealthCheckPath,
		HealthCheckIntervalSeconds: or(in.HealthCheckIntervalSeconds, 30), HealthyThresholdCount: or(in.HealthyThresholdCount, 5), UnhealthyThresholdCount: or(in.UnhealthyThresholdCount, 2), Matcher: in.Matcher,
	}
	timeout := int32(10)
	if out.HealthCheckProtocol == types.ProtocolEnumHttp {
		timeout = 6
	}
	if out.HealthCheckProtocol != types.ProtocolEnumTcp {
		if out.HealthCheckPath == nil {
			out.HealthCheckPath = aws.String("/")
		}
		if out.Matcher == nil {
			out.Matcher = &types.Matcher{HttpCode: aws.String("200-399")}
		}
	}
	out.HealthCheckTimeoutSeconds = or(in.HealthCheckTimeoutSeconds, timeout)
	if out.HealthCheckPort == nil {
		out.HealthCheckPort = aws.String("traffic-port")
	}
	return out
}

// modifyTargetGroup changes the settings of the health check.
func (s *Service) modifyTargetGroup(_ context.Context, in *elbv2.ModifyTargetGroupInput) (*elbv2.ModifyTargetGroupOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.group(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	h := &g.health
	h.HealthCheckProtocol = cmp.Or(in.HealthCheckProtocol, h.HealthCheckProtocol)
	h.HealthCheckPort, h.HealthCheckPath = either(in.HealthCheckPort, h.HealthCheckPort), either(in.HealthCheckPath, h.HealthCheckPath)
	h.HealthCheckEnabled, h.Matcher = either(in.HealthCheckEnabled, h.HealthCheckEnabled), either(in.Matcher, h.Matcher)
	h.HealthCheckIntervalSeconds, h.HealthCheckTimeoutSeconds = either(in.HealthCheckIntervalSeconds, h.HealthCheckIntervalSeconds), either(in.HealthCheckTimeoutSeconds, h.HealthCheckTimeoutSeconds)
	h.HealthyThresholdCount, h.UnhealthyThresholdCount = either(in.HealthyThresholdCount, h.HealthyThresholdCount), either(in.UnhealthyThresholdCount, h.UnhealthyThresholdCount)
	return &elbv2.ModifyTargetGroupOutput{TargetGroups: []types.TargetGroup{s.targetGroupOutput(g)}}, nil
}

func either[T any](p, otherwise *T) *T {
	if p != nil {
		return p
	}
	return otherwise
}

func (s *Service) describeTargetGroups(ctx context.Context, in *elbv2.DescribeTargetGroupsInput) (*elbv2.DescribeTargetGroupsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.LoadBalancerArn != nil && s.balancers[*in.LoadBalancerArn] == nil {
		return nil, missing(*in.LoadBalancerArn)
	}
	out := &elbv2.DescribeTargetGroupsOutput{TargetGroups: []types.TargetGroup{}}
	found := map[string]bool{}
	for _, arn := range sorted(s.groups) {
		g := s.groups[arn]
		if g.region != wire.Region(ctx) || len(in.TargetGroupArns) > 0 && !slices.Contains(in.TargetGroupArns, arn) || len(in.Names) > 0 && !slices.Contains(in.Names, g.name) {
			continue
		}
		if in.LoadBalancerArn != nil && !slices.Contains(s.balancersOf(arn), *in.LoadBalancerArn) {
			continue
		}
		found[arn], found[g.name] = true, true
		out.TargetGroups = append(out.TargetGroups, s.targetGroupOutput(g))
	}
	for _, wanted := range append(slices.Clone(in.TargetGroupArns), in.Names...) {
		if !found[wanted] {
			return nil, &types.TargetGroupNotFoundException{Message: aws.String("One or more target groups not found")}
		}
	}
	return out, nil
}

func (s *Service) deleteTargetGroup(_ context.Context, in *elbv2.DeleteTargetGroupInput) (*elbv2.DeleteTargetGroupOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.balancersOf(*in.TargetGroupArn)) > 0 {
		return nil, &types.ResourceInUseException{Message: aws.String(fmt.Sprintf("Target group '%s' is currently in use by a listener or a rule", *in.TargetGroupArn))}
	}
	delete(s.groups, *in.TargetGroupArn)
	delete(s.tags, *in.TargetGroupArn)
	return &elbv2.DeleteTargetGroupOutput{}, nil
}

func (s *Service) group(arn *string) (*targetGroup, error) {
	g := s.groups[aws.ToString(arn)]
	if g == nil {
		return nil, &types.TargetGroupNotFoundException{Message: aws.String("Target groups '" + aws.ToString(arn) + "' not found")}
	}
	return g, nil
}

func (g *targetGroup) key(t types.TargetDescription) string {
	return fmt.Sprintf("%s:%d", aws.ToString(t.Id), cmp.Or(aws.ToInt32(t.Port), g.port))
}

func (s *Service) registerTargets(_ context.Context, in *elbv2.RegisterTargetsInput) (*elbv2.RegisterTargetsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.group(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	for _, t := range in.Targets {
		if i, ok := s.ec2.Instance(g.region, aws.ToString(t.Id)); g.kind == types.TargetTypeEnumInstance && (!ok || i.State != "running") {
			return nil, &types.InvalidTargetException{Message: aws.String(fmt.Sprintf("The following targets are not in a running state and cannot be registered: '%s'", aws.ToString(t.Id)))}
		}
	}
	for _, t := range in.Targets {
		t.Port = aws.Int32(cmp.Or(aws.ToInt32(t.Port), g.port))
		g.targets[g.key(t)] = t
	}
	return &elbv2.RegisterTargetsOutput{}, nil
}

func (s *Service) deregisterTargets(_ context.Context, in *elbv2.DeregisterTargetsInput) (*elbv2.DeregisterTargetsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.group(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	for _, t := range in.Targets {
		for k, have := range g.targets {
			if aws.ToString(have.Id) == aws.ToString(t.Id) && (t.Port == nil || *t.Port == *have.Port) {
				delete(g.targets, k)
			}
		}
	}
	return &elbv2.DeregisterTargetsOutput{}, nil
}

// among tells whether t was asked for; an empty list asks for all. A port that is
// left out means any (DescribeTargetHealth, "Targets").
func among(asked []types.TargetDescription, t types.TargetDescription) bool {
	return len(asked) == 0 || slices.ContainsFunc(asked, func(a types.TargetDescription) bool {
		return aws.ToString(a.Id) == aws.ToString(t.Id) && (a.Port == nil || *a.Port == aws.ToInt32(t.Port))
	})
}

// describeTargetHealth checks the targets of a group in use now, rather than at
// intervals.
func (s *Service) describeTargetHealth(ctx context.Context, in *elbv2.DescribeTargetHealthInput) (*elbv2.DescribeTargetHealthOutput, error) {
	s.mu.Lock()
	g, err := s.group(in.TargetGroupArn)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	used, targets := len(s.balancersOf(g.arn)) > 0, s.targetsOf(g)
	s.mu.Unlock()
	out := &elbv2.DescribeTargetHealthOutput{TargetHealthDescriptions: []types.TargetHealthDescription{}}
	for _, t := range targets {
		if !among(in.Targets, t.TargetDescription) {
			continue
		}
		health := &types.TargetHealth{
			State: types.TargetHealthStateEnumUnused, Reason: types.TargetHealthReasonEnumNotInUse,
			Description: aws.String("Target group is not configured to receive traffic from the load balancer"),
		}
		if used {
			health = t.check(ctx, s.reach)
		}
		out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, types.TargetHealthDescription{
			Target: &t.TargetDescription, TargetHealth: health, HealthCheckPort: aws.String(fmt.Sprint(t.port)),
		})
	}
	return out, nil
}
