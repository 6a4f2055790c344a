package elbv2

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"aicluster/e2e/localcloud/wire"
)

func registerAttributes(w *wire.Server, s *Service) {
	handle(w, s.describeLoadBalancerAttributes)
	handle(w, s.modifyLoadBalancerAttributes)
	handle(w, s.describeTargetGroupAttributes)
	handle(w, s.modifyTargetGroupAttributes)
	handle(w, s.describeListenerAttributes)
	handle(w, s.modifyListenerAttributes)
}

// balancerDefaults are the attributes that a load balancer may have, as they are
// at first (API reference, LoadBalancerAttribute).
func balancerDefaults(kind types.LoadBalancerTypeEnum) map[string]string {
	all := map[string]string{"deletion_protection.enabled": "false", "load_balancing.cross_zone.enabled": "false"}
	if kind == types.LoadBalancerTypeEnumGateway {
		return all
	}
	maps.Copy(all, map[string]string{
		"access_logs.s3.enabled": "false", "access_logs.s3.bucket": "", "access_logs.s3.prefix": "",
		"ipv6.deny_all_igw_traffic": "false", "zonal_shift.config.enabled": "false",
	})
	if kind == types.LoadBalancerTypeEnumNetwork {
		maps.Copy(all, map[string]string{"dns_record.client_routing_policy": "any_availability_zone", "secondary_ips.auto_assigned.per_subnet": "0"})
		return all
	}
	maps.Copy(all, map[string]string{
		"load_balancing.cross_zone.enabled": "true", "connection_logs.s3.enabled": "false", "connection_logs.s3.bucket": "", "connection_logs.s3.prefix": "",
		"idle_timeout.timeout_seconds": "60", "client_keep_alive.seconds": "3600", "routing.http.desync_mitigation_mode": "defensive",
		"routing.http.drop_invalid_header_fields.enabled": "false", "routing.http.preserve_host_header.enabled": "false",
		"routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false", "routing.http.xff_client_port.enabled": "false",
		"routing.http.xff_header_processing.mode": "append", "routing.http2.enabled": "true", "waf.fail_open.enabled": "false",
	})
	return all
}

func (b *balancer) attributeList() []types.LoadBalancerAttribute {
	list := []types.LoadBalancerAttribute{}
	for _, k := range sorted(b.attributes) {
		list = append(list, types.LoadBalancerAttribute{Key: aws.String(k), Value: aws.String(b.attributes[k])})
	}
	return list
}

func (s *Service) describeLoadBalancerAttributes(_ context.Context, in *elbv2.DescribeLoadBalancerAttributesInput) (*elbv2.DescribeLoadBalancerAttributesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.balancers[*in.LoadBalancerArn]
	if b == nil {
		return nil, missing(*in.LoadBalancerArn)
	}
	return &elbv2.DescribeLoadBalancerAttributesOutput{Attributes: b.attributeList()}, nil
}

func (s *Service) modifyLoadBalancerAttributes(_ context.Context, in *elbv2.ModifyLoadBalancerAttributesInput) (*elbv2.ModifyLoadBalancerAttributesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.balancers[*in.LoadBalancerArn]
	if b == nil {
		return nil, missing(*in.LoadBalancerArn)
	}
	for _, x := range in.Attributes {
		if _, ok := b.attributes[aws.ToString(x.Key)]; !ok {
			return nil, validation("Load balancer attribute key '%s' is not supported on load balancers with type '%s'", aws.ToString(x.Key), b.kind)
		}
	}
	for _, x := range in.Attributes {
		b.attributes[*x.Key] = aws.ToString(x.Value)
	}
	return &elbv2.ModifyLoadBalancerAttributesOutput{Attributes: b.attributeList()}, nil
}

// groupDefaults are the attributes of a target group as they are at first (API
// reference, TargetGroupAttribute).
func groupDefaults(g *targetGroup) map[string]string {
	all := map[string]string{
		"deregistration_delay.timeout_seconds": "300", "stickiness.enabled": "false", "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
		"target_group_health.dns_failover.minimum_healthy_targets.count": "1", "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
		"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1", "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
	}
	if g.protocol == types.ProtocolEnumHttp || g.protocol == types.ProtocolEnumHttps {
		maps.Copy(all, map[string]string{
			"stickiness.type": "lb_cookie", "stickiness.lb_cookie.duration_seconds": "86400", "slow_start.duration_seconds": "0",
			"load_balancing.algorithm.type": "round_robin", "load_balancing.algorithm.anomaly_mitigation": "off",
		})
		return all
	}
	maps.Copy(all, map[string]string{
		"stickiness.type": "source_ip", "proxy_protocol_v2.enabled": "false", "preserve_client_ip.enabled": "true",
		"deregistration_delay.connection_termination.enabled": "false", "target_health_state.unhealthy.connection_termination.enabled": "true",
		"target_health_state.unhealthy.draining_interval_seconds": "0",
	})
	if g.kind == types.TargetTypeEnumIp && g.protocol == types.ProtocolEnumTcp {
		all["preserve_client_ip.enabled"] = "false"
	}
	return all
}

func (g *targetGroup) attributeList() []types.TargetGroupAttribute {
	list := []types.TargetGroupAttribute{}
	for _, k := range sorted(g.attributes) {
		list = append(list, types.TargetGroupAttribute{Key: aws.String(k), Value: aws.String(g.attributes[k])})
	}
	return list
}

// drainable refuses an interval in which an unhealthy target keeps its connections,
// where they end at once (API reference, TargetGroupAttribute: it must be disabled
// "before configuring"; 0 to 360000 seconds). The words are not AWS's own.
func drainable(g *targetGroup, change []types.TargetGroupAttribute) error {
	const ends, interval = "target_health_state.unhealthy.connection_termination.enabled", "target_health_state.unhealthy.draining_interval_seconds"
	after := maps.Clone(g.attributes)
	for _, x := range change {
		after[*x.Key] = aws.ToString(x.Value)
	}
	if after[interval] == g.attributes[interval] {
		return nil
	}
	if n, err := strconv.Atoi(after[interval]); err != nil || n < 0 || n > 360000 {
		return validation("Target group attribute '%s' value must be between 0 and 360000 inclusive", interval)
	}
	if after[ends] == "true" && after[interval] != "0" {
		return validation("Target group attribute '%s' cannot be set while '%s' is 'true'", interval, ends)
	}
	return nil
}

func (s *Service) describeTargetGroupAttributes(_ context.Context, in *elbv2.DescribeTargetGroupAttributesInput) (*elbv2.DescribeTargetGroupAttributesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.group(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	return &elbv2.DescribeTargetGroupAttributesOutput{Attributes: g.attributeList()}, nil
}

func (s *Service) modifyTargetGroupAttributes(_ context.Context, in *elbv2.ModifyTargetGroupAttributesInput) (*elbv2.ModifyTargetGroupAttributesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.group(in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	for _, x := range in.Attributes {
		if _, ok := g.attributes[aws.ToString(x.Key)]; !ok {
			return nil, validation("Target group attribute key '%s' is not supported on target groups with protocol '%s'", aws.ToString(x.Key), g.protocol)
		}
	}
	if err := drainable(g, in.Attributes); err != nil {
		return nil, err
	}
	for _, x := range in.Attributes {
		g.attributes[*x.Key] = aws.ToString(x.Value)
	}
	return &elbv2.ModifyTargetGroupAttributesOutput{Attributes: g.attributeList()}, nil
}

// idleTimeout is the one attribute of a TCP listener (API reference,
// ListenerAttribute). A TLS listener's cannot be changed (NLB guide, "Update the
// TCP idle timeout").
const idleTimeout = "tcp.idle_timeout.seconds"

// listenerDefaults are the attributes that a listener of a network load balancer
// may have, as they are at first.
func listenerDefaults(protocol types.ProtocolEnum) map[string]string {
	if protocol == types.ProtocolEnumTcp || protocol == types.ProtocolEnumTcpUdp {
		return map[string]string{idleTimeout: "350"}
	}
	return map[string]string{}
}

func (l *listener) attributeList() []types.ListenerAttribute {
	list := []types.ListenerAttribute{}
	for _, k := range sorted(l.attributes) {
		list = append(list, types.ListenerAttribute{Key: aws.String(k), Value: aws.String(l.attributes[k])})
	}
	return list
}

func (s *Service) describeListenerAttributes(_ context.Context, in *elbv2.DescribeListenerAttributesInput) (*elbv2.DescribeListenerAttributesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.listeners[*in.ListenerArn]
	if l == nil {
		return nil, missing(*in.ListenerArn)
	}
	return &elbv2.DescribeListenerAttributesOutput{Attributes: l.attributeList()}, nil
}

// modifyListenerAttributes refuses what a listener cannot have. The words are not
// AWS's own, which are not documented.
func (s *Service) modifyListenerAttributes(_ context.Context, in *elbv2.ModifyListenerAttributesInput) (*elbv2.ModifyListenerAttributesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.listeners[*in.ListenerArn]
	if l == nil {
		return nil, missing(*in.ListenerArn)
	}
	for _, x := range in.Attributes {
		key, value := aws.ToString(x.Key), aws.ToString(x.Value)
		if _, ok := l.attributes[key]; !ok {
			return nil, validation("Listener attribute key '%s' is not supported on listeners with protocol '%s'", key, l.out.Protocol)
		}
		if n, err := strconv.Atoi(value); err != nil || n < 60 || n > 6000 {
			return nil, &types.InvalidConfigurationRequestException{Message: aws.String(fmt.Sprintf("Listener attribute '%s' value must be between 60 and 6000 inclusive", key))}
		}
	}
	for _, x := range in.Attributes {
		l.attributes[*x.Key] = aws.ToString(x.Value)
	}
	return &elbv2.ModifyListenerAttributesOutput{Attributes: l.attributeList()}, nil
}
