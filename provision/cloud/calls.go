package cloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
)

// op is an operation of an SDK client, as a method value.
//
// [Clients] has operations in the place of the large clients. Helm brings in
// text/template, which finds methods by name at run time: so the linker keeps
// every method of a type that may end up in an interface, and of all types that
// such a one leads to. EC2's client has some 700 methods. What is here has only
// those that are called, and a function leads to no client; the binary is smaller
// by a third. Clients that save nothing that way are what the SDK makes.
//
// To call one more operation, name it three times in its client's type here.
type op[In, Out, Options any] = func(context.Context, *In, ...func(*Options)) (*Out, error)

// autoScalingCalls is what is called of EC2 Auto Scaling.
type autoScalingCalls struct {
	describeAutoScalingGroups op[autoscaling.DescribeAutoScalingGroupsInput, autoscaling.DescribeAutoScalingGroupsOutput, autoscaling.Options]
	describeScalingActivities op[autoscaling.DescribeScalingActivitiesInput, autoscaling.DescribeScalingActivitiesOutput, autoscaling.Options]
}

func newAutoScalingCalls(c *autoscaling.Client) *autoScalingCalls {
	return &autoScalingCalls{
		describeAutoScalingGroups: c.DescribeAutoScalingGroups,
		describeScalingActivities: c.DescribeScalingActivities,
	}
}

func (c *autoScalingCalls) DescribeAutoScalingGroups(ctx context.Context, in *autoscaling.DescribeAutoScalingGroupsInput, o ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
	return c.describeAutoScalingGroups(ctx, in, o...)
}

func (c *autoScalingCalls) DescribeScalingActivities(ctx context.Context, in *autoscaling.DescribeScalingActivitiesInput, o ...func(*autoscaling.Options)) (*autoscaling.DescribeScalingActivitiesOutput, error) {
	return c.describeScalingActivities(ctx, in, o...)
}

// logsCalls is what is called of CloudWatch Logs.
type logsCalls struct {
	createLogGroup      op[cloudwatchlogs.CreateLogGroupInput, cloudwatchlogs.CreateLogGroupOutput, cloudwatchlogs.Options]
	deleteLogGroup      op[cloudwatchlogs.DeleteLogGroupInput, cloudwatchlogs.DeleteLogGroupOutput, cloudwatchlogs.Options]
	describeLogGroups   op[cloudwatchlogs.DescribeLogGroupsInput, cloudwatchlogs.DescribeLogGroupsOutput, cloudwatchlogs.Options]
	listTagsForResource op[cloudwatchlogs.ListTagsForResourceInput, cloudwatchlogs.ListTagsForResourceOutput, cloudwatchlogs.Options]
	putRetentionPolicy  op[cloudwatchlogs.PutRetentionPolicyInput, cloudwatchlogs.PutRetentionPolicyOutput, cloudwatchlogs.Options]
	tagResource         op[cloudwatchlogs.TagResourceInput, cloudwatchlogs.TagResourceOutput, cloudwatchlogs.Options]
}

func newLogsCalls(c *cloudwatchlogs.Client) *logsCalls {
	return &logsCalls{
		createLogGroup:      c.CreateLogGroup,
		deleteLogGroup:      c.DeleteLogGroup,
		describeLogGroups:   c.DescribeLogGroups,
		listTagsForResource: c.ListTagsForResource,
		putRetentionPolicy:  c.PutRetentionPolicy,
		tagResource:         c.TagResource,
	}
}

func (c *logsCalls) CreateLogGroup(ctx context.Context, in *cloudwatchlogs.CreateLogGroupInput, o ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.CreateLogGroupOutput, error) {
	return c.createLogGroup(ctx, in, o...)
}

func (c *logsCalls) DeleteLogGroup(ctx context.Context, in *cloudwatchlogs.DeleteLogGroupInput, o ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DeleteLogGroupOutput, error) {
	return c.deleteLogGroup(ctx, in, o...)
}

func (c *logsCalls) DescribeLogGroups(ctx context.Context, in *cloudwatchlogs.DescribeLogGroupsInput, o ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DescribeLogGroupsOutput, error) {
	return c.describeLogGroups(ctx, in, o...)
}

func (c *logsCalls) ListTagsForResource(ctx context.Context, in *cloudwatchlogs.ListTagsForResourceInput, o ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.ListTagsForResourceOutput, error) {
	return c.listTagsForResource(ctx, in, o...)
}

func (c *logsCalls) PutRetentionPolicy(ctx context.Context, in *cloudwatchlogs.PutRetentionPolicyInput, o ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.PutRetentionPolicyOutput, error) {
	return c.putRetentionPolicy(ctx, in, o...)
}

func (c *logsCalls) TagResource(ctx context.Context, in *cloudwatchlogs.TagResourceInput, o ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.TagResourceOutput, error) {
	return c.tagResource(ctx, in, o...)
}

// classicELBCalls is what is called of the first generation of Elastic Load Balancing.
type classicELBCalls struct {
	deleteLoadBalancer    op[elasticloadbalancing.DeleteLoadBalancerInput, elasticloadbalancing.DeleteLoadBalancerOutput, elasticloadbalancing.Options]
	describeLoadBalancers op[elasticloadbalancing.DescribeLoadBalancersInput, elasticloadbalancing.DescribeLoadBalancersOutput, elasticloadbalancing.Options]
	describeTags          op[elasticloadbalancing.DescribeTagsInput, elasticloadbalancing.DescribeTagsOutput, elasticloadbalancing.Options]
}

func newClassicELBCalls(c *elasticloadbalancing.Client) *classicELBCalls {
	return &classicELBCalls{
		deleteLoadBalancer:    c.DeleteLoadBalancer,
		describeLoadBalancers: c.DescribeLoadBalancers,
		describeTags:          c.DescribeTags,
	}
}

func (c *classicELBCalls) DeleteLoadBalancer(ctx context.Context, in *elasticloadbalancing.DeleteLoadBalancerInput, o ...func(*elasticloadbalancing.Options)) (*elasticloadbalancing.DeleteLoadBalancerOutput, error) {
	return c.deleteLoadBalancer(ctx, in, o...)
}

func (c *classicELBCalls) DescribeLoadBalancers(ctx context.Context, in *elasticloadbalancing.DescribeLoadBalancersInput, o ...func(*elasticloadbalancing.Options)) (*elasticloadbalancing.DescribeLoadBalancersOutput, error) {
	return c.describeLoadBalancers(ctx, in, o...)
}

func (c *classicELBCalls) DescribeTags(ctx context.Context, in *elasticloadbalancing.DescribeTagsInput, o ...func(*elasticloadbalancing.Options)) (*elasticloadbalancing.DescribeTagsOutput, error) {
	return c.describeTags(ctx, in, o...)
}
