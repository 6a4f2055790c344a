package cloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
)

// elbCalls is what is called of Elastic Load Balancing.
type elbCalls struct {
	deleteLoadBalancer            op[elasticloadbalancingv2.DeleteLoadBalancerInput, elasticloadbalancingv2.DeleteLoadBalancerOutput, elasticloadbalancingv2.Options]
	deleteTargetGroup             op[elasticloadbalancingv2.DeleteTargetGroupInput, elasticloadbalancingv2.DeleteTargetGroupOutput, elasticloadbalancingv2.Options]
	describeListenerAttributes    op[elasticloadbalancingv2.DescribeListenerAttributesInput, elasticloadbalancingv2.DescribeListenerAttributesOutput, elasticloadbalancingv2.Options]
	describeListeners             op[elasticloadbalancingv2.DescribeListenersInput, elasticloadbalancingv2.DescribeListenersOutput, elasticloadbalancingv2.Options]
	describeLoadBalancers         op[elasticloadbalancingv2.DescribeLoadBalancersInput, elasticloadbalancingv2.DescribeLoadBalancersOutput, elasticloadbalancingv2.Options]
	describeTags                  op[elasticloadbalancingv2.DescribeTagsInput, elasticloadbalancingv2.DescribeTagsOutput, elasticloadbalancingv2.Options]
	describeTargetGroupAttributes op[elasticloadbalancingv2.DescribeTargetGroupAttributesInput, elasticloadbalancingv2.DescribeTargetGroupAttributesOutput, elasticloadbalancingv2.Options]
	describeTargetGroups          op[elasticloadbalancingv2.DescribeTargetGroupsInput, elasticloadbalancingv2.DescribeTargetGroupsOutput, elasticloadbalancingv2.Options]
	modifyListenerAttributes      op[elasticloadbalancingv2.ModifyListenerAttributesInput, elasticloadbalancingv2.ModifyListenerAttributesOutput, elasticloadbalancingv2.Options]
	modifyTargetGroupAttributes   op[elasticloadbalancingv2.ModifyTargetGroupAttributesInput, elasticloadbalancingv2.ModifyTargetGroupAttributesOutput, elasticloadbalancingv2.Options]
}

func newELBCalls(c *elasticloadbalancingv2.Client) *elbCalls {
	return &elbCalls{
		deleteLoadBalancer:            c.DeleteLoadBalancer,
		deleteTargetGroup:             c.DeleteTargetGroup,
		describeListenerAttributes:    c.DescribeListenerAttributes,
		describeListeners:             c.DescribeListeners,
		describeLoadBalancers:         c.DescribeLoadBalancers,
		describeTags:                  c.DescribeTags,
		describeTargetGroupAttributes: c.DescribeTargetGroupAttributes,
		describeTargetGroups:          c.DescribeTargetGroups,
		modifyListenerAttributes:      c.ModifyListenerAttributes,
		modifyTargetGroupAttributes:   c.ModifyTargetGroupAttributes,
	}
}

func (c *elbCalls) DeleteLoadBalancer(ctx context.Context, in *elasticloadbalancingv2.DeleteLoadBalancerInput, o ...func(*elasticloadbalancingv2.Options)) (*elasticloadbalancingv2.DeleteLoadBalancerOutput, error) {
	return c.deleteLoadBalancer(ctx, in, o...)
}

func (c *elbCalls) DeleteTargetGroup(ctx context.Context, in *elasticloadbalancingv2.DeleteTargetGroupInput, o ...func(*elasticloadbalancingv2.Options)) (*elasticloadbalancingv2.DeleteTargetGroupOutput, error) {
	return c.deleteTargetGroup(ctx, in, o...)
}

func (c *elbCalls) DescribeListenerAttributes(ctx context.Context, in *elasticloadbalancingv2.DescribeListenerAttributesInput, o ...func(*elasticloadbalancingv2.Options)) (*elasticloadbalancingv2.DescribeListenerAttributesOutput, error) {
	return c.describeListenerAttributes(ctx, in, o...)
}

func (c *elbCalls) DescribeListeners(ctx context.Context, in *elasticloadbalancingv2.DescribeListenersInput, o ...func(*elasticloadbalancingv2.Options)) (*elasticloadbalancingv2.DescribeListenersOutput, error) {
	return c.describeListeners(ctx, in, o...)
}

func (c *elbCalls) DescribeLoadBalancers(ctx context.Context, in *elasticloadbalancingv2.DescribeLoadBalancersInput, o ...func(*elasticloadbalancingv2.Options)) (*elasticloadbalancingv2.DescribeLoadBalancersOutput, error) {
	return c.describeLoadBalancers(ctx, in, o...)
}

func (c *elbCalls) DescribeTags(ctx context.Context, in *elasticloadbalancingv2.DescribeTagsInput, o ...func(*elasticloadbalancingv2.Options)) (*elasticloadbalancingv2.DescribeTagsOutput, error) {
	return c.describeTags(ctx, in, o...)
}

func (c *elbCalls) DescribeTargetGroupAttributes(ctx context.Context, in *elasticloadbalancingv2.DescribeTargetGroupAttributesInput, o ...func(*elasticloadbalancingv2.Options)) (*elasticloadbalancingv2.DescribeTargetGroupAttributesOutput, error) {
	return c.describeTargetGroupAttributes(ctx, in, o...)
}

func (c *elbCalls) DescribeTargetGroups(ctx context.Context, in *elasticloadbalancingv2.DescribeTargetGroupsInput, o ...func(*elasticloadbalancingv2.Options)) (*elasticloadbalancingv2.DescribeTargetGroupsOutput, error) {
	return c.describeTargetGroups(ctx, in, o...)
}

func (c *elbCalls) ModifyListenerAttributes(ctx context.Context, in *elasticloadbalancingv2.ModifyListenerAttributesInput, o ...func(*elasticloadbalancingv2.Options)) (*elasticloadbalancingv2.ModifyListenerAttributesOutput, error) {
	return c.modifyListenerAttributes(ctx, in, o...)
}

func (c *elbCalls) ModifyTargetGroupAttributes(ctx context.Context, in *elasticloadbalancingv2.ModifyTargetGroupAttributesInput, o ...func(*elasticloadbalancingv2.Options)) (*elasticloadbalancingv2.ModifyTargetGroupAttributesOutput, error) {
	return c.modifyTargetGroupAttributes(ctx, in, o...)
}
