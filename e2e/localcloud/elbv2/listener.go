package elbv2

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"aicluster/e2e/localcloud/wire"
)

// listener is a listener with its default actions.
type listener struct {
	balancer   string
	out        types.Listener
	attributes map[string]string
}

func registerListeners(w *wire.Server, s *Service) {
	handle(w, s.createListener)
	handle(w, s.describeListeners)
	handle(w, s.modifyListener)
	handle(w, s.deleteListener)
}

// targets lists the target groups that the listener forwards to.
func (l *listener) targets() []string {
	var arns []string
	for _, a := range l.out.DefaultActions {
		if a.TargetGroupArn != nil {
			arns = append(arns, *a.TargetGroupArn)
		}
		if a.ForwardConfig != nil {
			for _, t := range a.ForwardConfig.TargetGroups {
				arns = append(arns, aws.ToString(t.TargetGroupArn))
			}
		}
	}
	return arns
}

func (s *Service) checkActions(actions []types.Action) error {
	for _, arn := range (&listener{out: types.Listener{DefaultActions: actions}}).targets() {
		if _, err := s.group(&arn); err != nil {
			return err
		}
	}
	return nil
}

// protocols tells which protocols a load balancer's listeners may have.
func protocols(kind types.LoadBalancerTypeEnum) []types.ProtocolEnum {
	if kind == types.LoadBalancerTypeEnumApplication {
		return []types.ProtocolEnum{types.ProtocolEnumHttp, types.ProtocolEnumHttps}
	}
	return []types.ProtocolEnum{types.ProtocolEnumTcp, types.ProtocolEnumTls, types.ProtocolEnumUdp, types.ProtocolEnumTcpUdp}
}

func (s *Service) createListener(_ context.Context, in *elbv2.CreateListenerInput) (*elbv2.CreateListenerOutput, error) {
	tags, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.balancers[*in.LoadBalancerArn]
	if b == nil {
		return nil, missing(*in.LoadBalancerArn)
	}
	if in.Port == nil || in.Protocol == "" {
		return nil, validation("A listener protocol and port must be specified")
	}
	if !slices.Contains(protocols(b.kind), in.Protocol) {
		return nil, validation("Listener protocol '%s' must be one of '%s'", in.Protocol, strings.Trim(fmt.Sprint(protocols(b.kind)), "[]"))
	}
	for _, l := range s.listeners {
		if l.balancer == b.arn && *l.out.Port == *in.Port {
			return nil, &types.DuplicateListenerException{Message: aws.String("A listener already exists on this port for this load balancer '" + b.arn + "'")}
		}
	}
	if err := s.checkActions(in.DefaultActions); err != nil {
		return nil, err
	}
	arn := strings.Replace(b.arn, ":loadbalancer/", ":listener/", 1) + "/" + newHex()
	l := &listener{balancer: b.arn, attributes: listenerDefaults(in.Protocol), out: types.Listener{
		ListenerArn: aws.String(arn), LoadBalancerArn: aws.String(b.arn), Port: in.Port, Protocol: in.Protocol, DefaultActions: slices.Clone(in.DefaultActions),
		Certificates: slices.Clone(in.Certificates), SslPolicy: in.SslPolicy, AlpnPolicy: slices.Clone(in.AlpnPolicy),
	}}
	s.listeners[arn], s.tags[arn] = l, tags
	return &elbv2.CreateListenerOutput{Listeners: []types.Listener{l.out}}, nil
}

func (s *Service) describeListeners(_ context.Context, in *elbv2.DescribeListenersInput) (*elbv2.DescribeListenersOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.LoadBalancerArn == nil && len(in.ListenerArns) == 0 {
		return nil, validation("You must specify either listener ARNs or a load balancer ARN")
	}
	if in.LoadBalancerArn != nil && s.balancers[*in.LoadBalancerArn] == nil {
		return nil, missing(*in.LoadBalancerArn)
	}
	out := &elbv2.DescribeListenersOutput{Listeners: []types.Listener{}}
	for _, arn := range in.ListenerArns {
		if s.listeners[arn] == nil {
			return nil, missing(arn)
		}
	}
	for _, arn := range sorted(s.listeners) {
		l := s.listeners[arn]
		if slices.Contains(in.ListenerArns, arn) || in.LoadBalancerArn != nil && l.balancer == *in.LoadBalancerArn {
			out.Listeners = append(out.Listeners, l.out)
		}
	}
	return out, nil
}

func (s *Service) modifyListener(_ context.Context, in *elbv2.ModifyListenerInput) (*elbv2.ModifyListenerOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.listeners[*in.ListenerArn]
	if l == nil {
		return nil, missing(*in.ListenerArn)
	}
	if err := s.checkActions(in.DefaultActions); err != nil {
		return nil, err
	}
	if in.Port != nil {
		l.out.Port = in.Port
	}
	if in.Protocol != "" && in.Protocol != l.out.Protocol {
		l.out.Protocol, l.attributes = in.Protocol, listenerDefaults(in.Protocol)
	}
	if len(in.DefaultActions) > 0 {
		l.out.DefaultActions = slices.Clone(in.DefaultActions)
	}
	return &elbv2.ModifyListenerOutput{Listeners: []types.Listener{l.out}}, nil
}

func (s *Service) deleteListener(_ context.Context, in *elbv2.DeleteListenerInput) (*elbv2.DeleteListenerOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners[*in.ListenerArn] == nil {
		return nil, missing(*in.ListenerArn)
	}
	delete(s.listeners, *in.ListenerArn)
	delete(s.tags, *in.ListenerArn)
	return &elbv2.DeleteListenerOutput{}, nil
}
