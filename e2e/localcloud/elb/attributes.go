package elb

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
)

// desyncMode is the one additional attribute; it has three values.
const desyncMode = "elb.http.desyncmitigationmode"

func defaultAttributes() types.LoadBalancerAttributes {
	return types.LoadBalancerAttributes{
		CrossZoneLoadBalancing: &types.CrossZoneLoadBalancing{}, AccessLog: &types.AccessLog{},
		ConnectionDraining: &types.ConnectionDraining{Timeout: aws.Int32(300)}, ConnectionSettings: &types.ConnectionSettings{IdleTimeout: aws.Int32(60)},
		AdditionalAttributes: []types.AdditionalAttribute{{Key: aws.String(desyncMode), Value: aws.String("defensive")}},
	}
}

func (s *Service) describeAttributes(ctx context.Context, in *elasticloadbalancing.DescribeLoadBalancerAttributesInput) (*elasticloadbalancing.DescribeLoadBalancerAttributesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.find(ctx, in.LoadBalancerName)
	if err != nil {
		return nil, err
	}
	attributes := b.attributes
	return &elasticloadbalancing.DescribeLoadBalancerAttributesOutput{LoadBalancerAttributes: &attributes}, nil
}

// checkAttributes holds the ranges that the model does not have
// (https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/config-conn-drain.html
// and the pages beside it).
func checkAttributes(a *types.LoadBalancerAttributes) error {
	if d := a.ConnectionDraining; d != nil && d.Timeout != nil && (*d.Timeout < 1 || *d.Timeout > 3600) {
		return configuration("ConnectionDraining timeout must be between 1 and 3600")
	}
	if l := a.AccessLog; l != nil {
		if l.Enabled && aws.ToString(l.S3BucketName) == "" {
			return configuration("S3 bucket name must be provided to enable access logs")
		}
		if l.EmitInterval != nil && *l.EmitInterval != 5 && *l.EmitInterval != 60 {
			return configuration("AccessLog EmitInterval must be 5 or 60")
		}
	}
	for _, x := range a.AdditionalAttributes {
		if aws.ToString(x.Key) != desyncMode {
			return &types.LoadBalancerAttributeNotFoundException{Message: aws.String("The specified load balancer attribute does not exist.")}
		}
		if !slices.Contains([]string{"monitor", "defensive", "strictest"}, aws.ToString(x.Value)) {
			return configuration("The value of %s must be monitor, defensive or strictest", desyncMode)
		}
	}
	return nil
}

func (s *Service) modifyAttributes(ctx context.Context, in *elasticloadbalancing.ModifyLoadBalancerAttributesInput) (*elasticloadbalancing.ModifyLoadBalancerAttributesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.find(ctx, in.LoadBalancerName)
	if err != nil {
		return nil, err
	}
	to := in.LoadBalancerAttributes
	if err := checkAttributes(to); err != nil {
		return nil, err
	}
	have := &b.attributes
	if to.CrossZoneLoadBalancing != nil {
		have.CrossZoneLoadBalancing = to.CrossZoneLoadBalancing
	}
	if to.AccessLog != nil {
		have.AccessLog = to.AccessLog
	}
	if d := to.ConnectionDraining; d != nil {
		have.ConnectionDraining = &types.ConnectionDraining{Enabled: d.Enabled, Timeout: have.ConnectionDraining.Timeout}
		if d.Timeout != nil {
			have.ConnectionDraining.Timeout = d.Timeout
		}
	}
	if to.ConnectionSettings != nil {
		have.ConnectionSettings = to.ConnectionSettings
	}
	if len(to.AdditionalAttributes) > 0 {
		have.AdditionalAttributes = slices.Clone(to.AdditionalAttributes)
	}
	return &elasticloadbalancing.ModifyLoadBalancerAttributesOutput{LoadBalancerName: in.LoadBalancerName, LoadBalancerAttributes: to}, nil
}
