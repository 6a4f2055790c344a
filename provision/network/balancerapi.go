package network

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	classic "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// LoadBalancerAPI is what this package uses of Elastic Load Balancing, which has
// an API for each of its generations.
type LoadBalancerAPI struct {
	V2      BalancerV2API
	Classic ClassicAPI
}

// BalancerV2API is about network, application and gateway load balancers.
type BalancerV2API interface {
	elb.DescribeLoadBalancersAPIClient
	elb.DescribeTargetGroupsAPIClient
	DescribeTags(context.Context, *elb.DescribeTagsInput, ...func(*elb.Options)) (*elb.DescribeTagsOutput, error)
	DeleteLoadBalancer(context.Context, *elb.DeleteLoadBalancerInput, ...func(*elb.Options)) (*elb.DeleteLoadBalancerOutput, error)
	DeleteTargetGroup(context.Context, *elb.DeleteTargetGroupInput, ...func(*elb.Options)) (*elb.DeleteTargetGroupOutput, error)
}

// ClassicAPI is about classic load balancers, which EKS makes for a service of
// type LoadBalancer that asks for nothing else.
type ClassicAPI interface {
	classic.DescribeLoadBalancersAPIClient
	DescribeTags(context.Context, *classic.DescribeTagsInput, ...func(*classic.Options)) (*classic.DescribeTagsOutput, error)
	DeleteLoadBalancer(context.Context, *classic.DeleteLoadBalancerInput, ...func(*classic.Options)) (*classic.DeleteLoadBalancerOutput, error)
}

// balancer is a load balancer of either generation.
type balancer struct {
	name, vpcID string
	arn         string // empty for a classic one, which has but a name
}

// key is what a load balancer's tags are found by.
func (b balancer) key() string {
	if b.arn == "" {
		return b.name
	}
	return b.arn
}

// plug is what AWS writes into the description of a load balancer's interfaces:
// "net/k8s-ingress/0123456789abcdef", or the name of a classic one.
func (b balancer) plug() string {
	if b.arn == "" {
		return b.name
	}
	_, path, _ := strings.Cut(b.arn, ":loadbalancer/")
	return path
}

// balancers lists the region's load balancers.
func (api LoadBalancerAPI) balancers(ctx context.Context) ([]balancer, error) {
	var all []balancer
	pages := elb.NewDescribeLoadBalancersPaginator(api.V2, &elb.DescribeLoadBalancersInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range page.LoadBalancers {
			all = append(all, balancer{name: aws.ToString(b.LoadBalancerName), vpcID: aws.ToString(b.VpcId), arn: aws.ToString(b.LoadBalancerArn)})
		}
	}
	old := classic.NewDescribeLoadBalancersPaginator(api.Classic, &classic.DescribeLoadBalancersInput{})
	for old.HasMorePages() {
		page, err := old.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range page.LoadBalancerDescriptions {
			all = append(all, balancer{name: aws.ToString(b.LoadBalancerName), vpcID: aws.ToString(b.VPCId)})
		}
	}
	return all, nil
}

// targetGroups lists the region's target groups, which only load balancers of the
// second generation have.
func (api LoadBalancerAPI) targetGroups(ctx context.Context) ([]elbtypes.TargetGroup, error) {
	var all []elbtypes.TargetGroup
	pages := elb.NewDescribeTargetGroupsPaginator(api.V2, &elb.DescribeTargetGroupsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, page.TargetGroups...)
	}
	return all, nil
}

// tagBatch is how many load balancers DescribeTags takes (API references of both).
const tagBatch = 20

// tags reads the tags of load balancers, by their keys, and of target groups, by
// their ARNs.
func (api LoadBalancerAPI) tags(ctx context.Context, balancers []balancer, groups []elbtypes.TargetGroup) (map[string]map[string]string, error) {
	var arns, names []string
	for _, b := range balancers {
		if b.arn == "" {
			names = append(names, b.name)
			continue
		}
		arns = append(arns, b.arn)
	}
	for _, g := range groups {
		arns = append(arns, aws.ToString(g.TargetGroupArn))
	}
	found := map[string]map[string]string{}
	put := func(of, key, value *string) {
		if found[aws.ToString(of)] == nil {
			found[aws.ToString(of)] = map[string]string{}
		}
		found[aws.ToString(of)][aws.ToString(key)] = aws.ToString(value)
	}
	for batch := range slices.Chunk(arns, tagBatch) {
		out, err := api.V2.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: batch})
		if err != nil {
			return nil, err
		}
		for _, d := range out.TagDescriptions {
			for _, t := range d.Tags {
				put(d.ResourceArn, t.Key, t.Value)
			}
		}
	}
	for batch := range slices.Chunk(names, tagBatch) {
		out, err := api.Classic.DescribeTags(ctx, &classic.DescribeTagsInput{LoadBalancerNames: batch})
		if err != nil {
			return nil, err
		}
		for _, d := range out.TagDescriptions {
			for _, t := range d.Tags {
				put(d.LoadBalancerName, t.Key, t.Value)
			}
		}
	}
	return found, nil
}

// delete deletes a load balancer, with its listeners.
func (api LoadBalancerAPI) delete(ctx context.Context, b balancer) error {
	if b.arn == "" {
		_, err := api.Classic.DeleteLoadBalancer(ctx, &classic.DeleteLoadBalancerInput{LoadBalancerName: &b.name})
		return err
	}
	_, err := api.V2.DeleteLoadBalancer(ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: &b.arn})
	return err
}
