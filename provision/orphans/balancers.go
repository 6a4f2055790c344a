package orphans

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	classic "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"aicluster/provision/cloud"
)

// BalancerAPI is what the search uses of Elastic Load Balancing.
type BalancerAPI interface {
	elb.DescribeLoadBalancersAPIClient
	elb.DescribeTargetGroupsAPIClient
	DescribeTags(context.Context, *elb.DescribeTagsInput, ...func(*elb.Options)) (*elb.DescribeTagsOutput, error)
}

// ClassicAPI is what the search uses of the first generation of it.
type ClassicAPI interface {
	classic.DescribeLoadBalancersAPIClient
	DescribeTags(context.Context, *classic.DescribeTagsInput, ...func(*classic.Options)) (*classic.DescribeTagsOutput, error)
}

// standing is a load balancer or a target group, what its tags are found by (an
// ARN, or a classic one's name), and where it stands.
type standing struct {
	Thing
	key, vpc string
}

// balancers finds load balancers and target groups whose tags name the cluster,
// and those that stand in a VPC of its own.
func (s *Search) balancers(ctx context.Context) ([]Thing, error) {
	vpcs, err := s.ownVPCs(ctx)
	if err != nil {
		return nil, err
	}
	var found []Thing
	for _, generation := range []struct {
		list func(context.Context) ([]standing, error)
		tags tagReader
	}{{s.newBalancers, s.newTags}, {s.classicBalancers, s.classicTags}} {
		all, err := generation.list(ctx)
		if err != nil {
			return nil, err
		}
		tags, err := readTags(ctx, all, generation.tags)
		if err != nil {
			return nil, err
		}
		for _, b := range all {
			t := b.Thing
			t.Why, t.object = s.reason(tags[b.key]), objectOf(tags[b.key])
			if t.Why == "" && !slices.Contains(vpcs, b.vpc) {
				continue
			}
			if t.Why == "" {
				t.disown(whyInVPC)
			}
			found = append(found, t)
		}
	}
	return found, nil
}

// newBalancers lists network, application and gateway load balancers, and target
// groups.
func (s *Search) newBalancers(ctx context.Context) ([]standing, error) {
	var all []standing
	balancers := elb.NewDescribeLoadBalancersPaginator(s.ELB, &elb.DescribeLoadBalancersInput{})
	for balancers.HasMorePages() {
		page, err := balancers.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range page.LoadBalancers {
			arn := aws.ToString(b.LoadBalancerArn)
			all = append(all, standing{key: arn, vpc: aws.ToString(b.VpcId), Thing: Thing{Kind: "load-balancer", ID: aws.ToString(b.LoadBalancerName),
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
			all = append(all, standing{key: arn, vpc: aws.ToString(g.VpcId), Thing: Thing{Kind: "target-group", ID: aws.ToString(g.TargetGroupName),
				Detail: strings.ToLower(string(g.Protocol)), Remove: s.command("elbv2 delete-target-group --target-group-arn %s", arn)}})
		}
	}
	return all, nil
}

// classicBalancers lists classic load balancers.
func (s *Search) classicBalancers(ctx context.Context) ([]standing, error) {
	var all []standing
	balancers := classic.NewDescribeLoadBalancersPaginator(s.Classic, &classic.DescribeLoadBalancersInput{})
	for balancers.HasMorePages() {
		page, err := balancers.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range page.LoadBalancerDescriptions {
			name := aws.ToString(b.LoadBalancerName)
			all = append(all, standing{key: name, vpc: aws.ToString(b.VPCId), Thing: Thing{Kind: "load-balancer", ID: name,
				Detail: "classic, " + aws.ToString(b.DNSName), CostPerHour: balancerPrice, Remove: s.command("elb delete-load-balancer --load-balancer-name %s", name)}})
		}
	}
	return all, nil
}

// tagBatch is how many keys DescribeTags takes (API references of both).
const tagBatch = 20

// tagReader reads the tags of what has one of the keys.
type tagReader func(ctx context.Context, keys []string) (map[string]map[string]string, error)

// readTags reads the tags by key. What goes in between has none.
func readTags(ctx context.Context, all []standing, read tagReader) (map[string]map[string]string, error) {
	tags := map[string]map[string]string{}
	for batch := range slices.Chunk(all, tagBatch) {
		keys := make([]string, len(batch))
		for i, b := range batch {
			keys[i] = b.key
		}
		some, err := read(ctx, keys)
		if cloud.IsNotFound(err) { // one of them is gone
			some, err = map[string]map[string]string{}, nil
			for _, k := range keys {
				one, failed := read(ctx, []string{k})
				if failed != nil && !cloud.IsNotFound(failed) {
					return nil, failed
				}
				maps.Copy(some, one)
			}
		}
		if err != nil {
			return nil, err
		}
		maps.Copy(tags, some)
	}
	return tags, nil
}

func (s *Search) newTags(ctx context.Context, arns []string) (map[string]map[string]string, error) {
	out, err := s.ELB.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: arns})
	if err != nil {
		return nil, err
	}
	tags := map[string]map[string]string{}
	for _, d := range out.TagDescriptions {
		of := map[string]string{}
		for _, t := range d.Tags {
			of[aws.ToString(t.Key)] = aws.ToString(t.Value)
		}
		tags[aws.ToString(d.ResourceArn)] = of
	}
	return tags, nil
}

func (s *Search) classicTags(ctx context.Context, names []string) (map[string]map[string]string, error) {
	out, err := s.Classic.DescribeTags(ctx, &classic.DescribeTagsInput{LoadBalancerNames: names})
	if err != nil {
		return nil, err
	}
	tags := map[string]map[string]string{}
	for _, d := range out.TagDescriptions {
		of := map[string]string{}
		for _, t := range d.Tags {
			of[aws.ToString(t.Key)] = aws.ToString(t.Value)
		}
		tags[aws.ToString(d.LoadBalancerName)] = of
	}
	return tags, nil
}
