package elb

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
)

// policy is a policy that listeners or ports of instances may have.
type policy struct {
	kind       string
	attributes []types.PolicyAttributeDescription
}

// policyAttributes are the attributes of the types of policies that the cloud
// provider makes (DescribeLoadBalancerPolicyTypes).
var policyAttributes = map[string][]string{
	"ProxyProtocolPolicyType":  {"ProxyProtocol"},
	"SSLNegotiationPolicyType": {"Reference-Security-Policy"},
}

func (b *balancer) policyNames() *types.Policies {
	return &types.Policies{
		AppCookieStickinessPolicies: []types.AppCookieStickinessPolicy{}, LBCookieStickinessPolicies: []types.LBCookieStickinessPolicy{},
		OtherPolicies: append([]string{}, sorted(b.policies)...),
	}
}

func (b *balancer) backendOutput() []types.BackendServerDescription {
	out := []types.BackendServerDescription{}
	for _, port := range slices.Sorted(maps.Keys(b.backends)) {
		out = append(out, types.BackendServerDescription{InstancePort: aws.Int32(port), PolicyNames: slices.Clone(b.backends[port])})
	}
	return out
}

func noPolicy(name string) error {
	return &types.PolicyNotFoundException{Message: aws.String(fmt.Sprintf("There is no policy with name %s for load balancer", name))}
}

func (b *balancer) checkPolicies(names []string) error {
	for _, name := range names {
		if b.policies[name] == nil {
			return noPolicy(name)
		}
	}
	return nil
}

func (s *Service) createPolicy(ctx context.Context, in *elasticloadbalancing.CreateLoadBalancerPolicyInput) (*elasticloadbalancing.CreateLoadBalancerPolicyOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.find(ctx, in.LoadBalancerName)
	if err != nil {
		return nil, err
	}
	known, ok := policyAttributes[*in.PolicyTypeName]
	if !ok {
		return nil, &types.PolicyTypeNotFoundException{Message: aws.String(fmt.Sprintf("There is no policy type named %s", *in.PolicyTypeName))}
	}
	p := &policy{kind: *in.PolicyTypeName}
	for _, a := range in.PolicyAttributes {
		if !slices.Contains(known, aws.ToString(a.AttributeName)) {
			return nil, configuration("PolicyType %s has no attribute %s", p.kind, aws.ToString(a.AttributeName))
		}
		p.attributes = append(p.attributes, types.PolicyAttributeDescription{AttributeName: a.AttributeName, AttributeValue: a.AttributeValue})
	}
	equal := func(x, y types.PolicyAttributeDescription) bool {
		return *x.AttributeName == *y.AttributeName && aws.ToString(x.AttributeValue) == aws.ToString(y.AttributeValue)
	}
	if have := b.policies[*in.PolicyName]; have != nil && (have.kind != p.kind || !slices.EqualFunc(have.attributes, p.attributes, equal)) {
		return nil, &types.DuplicatePolicyNameException{Message: aws.String(fmt.Sprintf("A policy with the name %s already exists for load balancer", *in.PolicyName))}
	}
	b.policies[*in.PolicyName] = p
	return &elasticloadbalancing.CreateLoadBalancerPolicyOutput{}, nil
}

func (s *Service) describePolicies(ctx context.Context, in *elasticloadbalancing.DescribeLoadBalancerPoliciesInput) (*elasticloadbalancing.DescribeLoadBalancerPoliciesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &elasticloadbalancing.DescribeLoadBalancerPoliciesOutput{PolicyDescriptions: []types.PolicyDescription{}}
	if in.LoadBalancerName == nil {
		if len(in.PolicyNames) > 0 { // those of AWS, of which there are none here
			return nil, noPolicy(in.PolicyNames[0])
		}
		return out, nil
	}
	b, err := s.find(ctx, in.LoadBalancerName)
	if err != nil {
		return nil, err
	}
	if err := b.checkPolicies(in.PolicyNames); err != nil {
		return nil, err
	}
	for _, name := range sorted(b.policies) {
		if len(in.PolicyNames) == 0 || slices.Contains(in.PolicyNames, name) {
			p := b.policies[name]
			out.PolicyDescriptions = append(out.PolicyDescriptions, types.PolicyDescription{
				PolicyName: aws.String(name), PolicyTypeName: aws.String(p.kind), PolicyAttributeDescriptions: p.attributes,
			})
		}
	}
	return out, nil
}

func (s *Service) deletePolicy(ctx context.Context, in *elasticloadbalancing.DeleteLoadBalancerPolicyInput) (*elasticloadbalancing.DeleteLoadBalancerPolicyOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.find(ctx, in.LoadBalancerName)
	if err != nil {
		return nil, err
	}
	used := func(names []string) bool { return slices.Contains(names, *in.PolicyName) }
	for _, l := range b.listeners {
		if used(l.policies) {
			return nil, configuration("You cannot delete policy %s because it is in use", *in.PolicyName)
		}
	}
	for _, names := range b.backends {
		if used(names) {
			return nil, configuration("You cannot delete policy %s because it is in use", *in.PolicyName)
		}
	}
	delete(b.policies, *in.PolicyName)
	return &elasticloadbalancing.DeleteLoadBalancerPolicyOutput{}, nil
}

func (s *Service) setPoliciesOfListener(ctx context.Context, in *elasticloadbalancing.SetLoadBalancerPoliciesOfListenerInput) (*elasticloadbalancing.SetLoadBalancerPoliciesOfListenerOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.find(ctx, in.LoadBalancerName)
	if err != nil {
		return nil, err
	}
	l := b.listeners[in.LoadBalancerPort]
	if l == nil {
		return nil, &types.ListenerNotFoundException{Message: aws.String(fmt.Sprintf("There is no listener configured for port %d on load balancer %s", in.LoadBalancerPort, b.name))}
	}
	if err := b.checkPolicies(in.PolicyNames); err != nil {
		return nil, err
	}
	l.policies = slices.Clone(in.PolicyNames)
	return &elasticloadbalancing.SetLoadBalancerPoliciesOfListenerOutput{}, nil
}

// setPoliciesForBackendServer sets the policies of a port of the instances, which
// must be that of a listener; none remove them.
func (s *Service) setPoliciesForBackendServer(ctx context.Context, in *elasticloadbalancing.SetLoadBalancerPoliciesForBackendServerInput) (*elasticloadbalancing.SetLoadBalancerPoliciesForBackendServerOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.find(ctx, in.LoadBalancerName)
	if err != nil {
		return nil, err
	}
	if err := b.checkPolicies(in.PolicyNames); err != nil {
		return nil, err
	}
	port := *in.InstancePort
	if len(in.PolicyNames) == 0 {
		delete(b.backends, port)
		return &elasticloadbalancing.SetLoadBalancerPoliciesForBackendServerOutput{}, nil
	}
	served := false
	for _, l := range b.listeners {
		served = served || l.instancePort == port
	}
	if !served {
		return nil, configuration("No listener is configured with instance port %d", port)
	}
	b.backends[port] = slices.Clone(in.PolicyNames)
	return &elasticloadbalancing.SetLoadBalancerPoliciesForBackendServerOutput{}, nil
}
