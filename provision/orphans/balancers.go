package orphans

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"aicluster/provision/cloud"
)

// BalancerAPI is what the search uses of Elastic Load Balancing.
type BalancerAPI interface {
	elb.DescribeLoadBalancersAPIClient
	elb.DescribeTargetGroupsAPIClient
	DescribeTags(context.Context, *elb.DescribeTagsInput, ...func(*elb.Options)) (*elb.DescribeTagsOutput, error)
}

// standing is a load balancer or a target group, and where it stands.
type standing struct {
	Thing
	arn, vpc string
}

// balancers finds load balancers and target groups whose tags name the cluster,
// and those that stand in a VPC of its own.
func (s *Search) balancers(ctx context.Context) ([]Thing, error) {
	vpcs, err := s.ownVPCs(ctx)
	if err != nil {
		return nil, err
	}
	all, err := s.allBalancers(ctx)
	if err != nil {
		return nil, err
	}
	tags, err := s.balancerTags(ctx, all)
	if err != nil {
		return nil, err
	}
	var found []Thing
	for _, b := range all {
		t := b.Thing
		t.Why, t.object = s.reason(tags[b.arn]), objectOf(tags[b.arn])
		if t.Why == "" && !slices.Contains(vpcs, b.vpc) {
			continue
		}
		if t.Why == "" {
			t.Why, t.Foreign, t.Remove, t.CostPerHour = "stands in the cluster's VPC", true, "", 0
		}
		found = append(found, t)
	}
	return found, nil
}

func (s *Search) allBalancers(ctx context.Context) ([]standing, error) {
	var all []standing
	balancers := elb.NewDescribeLoadBalancersPaginator(s.ELB, &elb.DescribeLoadBalancersInput{})
	for balancers.HasMorePages() {
		page, err := balancers.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range page.LoadBalancers {
			arn := aws.ToString(b.LoadBalancerArn)
			all = append(all, standing{arn: arn, vpc: aws.ToString(b.VpcId), Thing: Thing{Kind: "load-balancer", ID: aws.ToString(b.LoadBalancerName),
				Detail: string(b.Type) + ", " + aws.ToString(b.DNSName), CostPerHour: balancerPrice, Remove: s.command("elbv2 delete-load-balancer --load-balancer-arn %s", arn)}})
		}
	}
	groups := elb.NewDescribeTargetGroupsPaginator(s.ELB, &elb.DescribeTargetGroupsInput{})
	for groups.HasMorePages() {
		page, err := groups.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, g := range page.TargetGroups {
			arn := aws.ToString(g.TargetGroupArn)
			all = append(all, standing{arn: arn, vpc: aws.ToString(g.VpcId), Thing: Thing{Kind: "target-group", ID: aws.ToString(g.TargetGroupName),
				Detail: strings.ToLower(string(g.Protocol)), Remove: s.command("elbv2 delete-target-group --target-group-arn %s", arn)}})
		}
	}
	return all, nil
}

// tagBatch is how many ARNs DescribeTags takes (API reference).
const tagBatch = 20

// balancerTags reads the tags by ARN. What goes in between has none.
func (s *Search) balancerTags(ctx context.Context, all []standing) (map[string]map[string]string, error) {
	tags := map[string]map[string]string{}
	var read func(batch []standing) error
	read = func(batch []standing) error {
		arns := make([]string, len(batch))
		for i, b := range batch {
			arns[i] = b.arn
		}
		out, err := s.ELB.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: arns})
		switch {
		case cloud.IsNotFound(err) && len(batch) == 1:
			return nil
		case cloud.IsNotFound(err): // one of them is gone
			for _, b := range batch {
				if err := read([]standing{b}); err != nil {
					return err
				}
			}
			return nil
		case err != nil:
			return err
		}
		for _, d := range out.TagDescriptions {
			of := map[string]string{}
			for _, t := range d.Tags {
				of[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
			tags[aws.ToString(d.ResourceArn)] = of
		}
		return nil
	}
	for batch := range slices.Chunk(all, tagBatch) {
		if err := read(batch); err != nil {
			return nil, err
		}
	}
	return tags, nil
}
