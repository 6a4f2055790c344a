package network

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// LoadBalancerAPI is what this package uses of Elastic Load Balancing.
type LoadBalancerAPI interface {
	elb.DescribeLoadBalancersAPIClient
	elb.DescribeTargetGroupsAPIClient
	DescribeTags(context.Context, *elb.DescribeTagsInput, ...func(*elb.Options)) (*elb.DescribeTagsOutput, error)
	DeleteLoadBalancer(context.Context, *elb.DeleteLoadBalancerInput, ...func(*elb.Options)) (*elb.DeleteLoadBalancerOutput, error)
	DeleteTargetGroup(context.Context, *elb.DeleteTargetGroupInput, ...func(*elb.Options)) (*elb.DeleteTargetGroupOutput, error)
}

// loadBalancers are the load balancers that Kubernetes' controllers made for the
// cluster, and their target groups, by the controllers' own tags. Kubernetes
// removes them when their services go. Where it cannot, because the API server
// does not answer or the cluster was deleted by hand, they would cost money and
// hold the subnets for ever (eksctl #5468, #487, #253).
//
// There is nothing to be made of them. The cluster needs them, which need the
// subnets: so they are deleted once nobody is left who could make new ones, and
// before what they stand in.
//
// Classic load balancers are not among them: they have an API of their own. A
// teardown that meets the interface of one says so.
type loadBalancers struct {
	api     API
	elb     LoadBalancerAPI
	cluster string
	vpc     home
	needs   []engine.Resource

	balancers []elbtypes.LoadBalancer
	groups    []elbtypes.TargetGroup
}

// home is a VPC, ours or not.
type home interface {
	engine.Resource
	liveID() string // empty while it does not exist
}

func newLoadBalancers(api API, elb LoadBalancerAPI, cluster string, v home, needs ...engine.Resource) *loadBalancers {
	return &loadBalancers{api: api, elb: elb, cluster: cluster, vpc: v, needs: append([]engine.Resource{v}, needs...)}
}

// ID implements [engine.Resource].
func (l *loadBalancers) ID() string { return "load-balancers/" + l.cluster }

// Needs implements [engine.Resource].
func (l *loadBalancers) Needs() []engine.Resource { return l.needs }

// Unwanted implements [engine.Unwanted]: where there are none, none are to be
// made; those that exist stay until teardown.
func (l *loadBalancers) Unwanted() bool { return len(l.balancers)+len(l.groups) == 0 }

// Observe implements [engine.Resource].
func (l *loadBalancers) Observe(ctx context.Context) (engine.Observation, error) {
	l.balancers, l.groups = nil, nil
	if l.vpc.liveID() == "" {
		return engine.Observation{}, nil
	}
	if err := l.read(ctx); err != nil {
		return engine.Observation{}, cloud.Wrap(l.ID(), "looking for load balancers", err)
	}
	if l.Unwanted() {
		return engine.Observation{}, nil
	}
	var parts []string
	for _, b := range l.balancers {
		parts = append(parts, aws.ToString(b.LoadBalancerName))
	}
	if n := len(l.groups); n > 0 {
		parts = append(parts, fmt.Sprintf("target groups: %d", n))
	}
	return engine.Observation{Exists: true, Detail: strings.Join(parts, ", ")}, nil
}

// read finds what is the cluster's in the VPC. What goes while it reads makes it
// begin again.
func (l *loadBalancers) read(ctx context.Context) error {
	return settled(ctx, func(ctx context.Context) error {
		balancers, err := describeLoadBalancers(ctx, l.elb)
		if err != nil {
			return err
		}
		groups, err := describeTargetGroups(ctx, l.elb)
		if err != nil {
			return err
		}
		elsewhere := func(vpcID *string) bool { return aws.ToString(vpcID) != l.vpc.liveID() }
		balancers = slices.DeleteFunc(balancers, func(b elbtypes.LoadBalancer) bool { return elsewhere(b.VpcId) })
		groups = slices.DeleteFunc(groups, func(g elbtypes.TargetGroup) bool { return elsewhere(g.VpcId) })
		owned, err := l.owned(ctx, balancers, groups)
		if err != nil {
			return err
		}
		l.balancers = slices.DeleteFunc(balancers, func(b elbtypes.LoadBalancer) bool { return !owned[aws.ToString(b.LoadBalancerArn)] })
		l.groups = slices.DeleteFunc(groups, func(g elbtypes.TargetGroup) bool { return !owned[aws.ToString(g.TargetGroupArn)] })
		return nil
	})
}

// tagBatch is how many ARNs DescribeTags takes (API reference).
const tagBatch = 20

// owned tells, by ARN, which of these have the cluster's tags.
func (l *loadBalancers) owned(ctx context.Context, balancers []elbtypes.LoadBalancer, groups []elbtypes.TargetGroup) (map[string]bool, error) {
	var arns []string
	for _, b := range balancers {
		arns = append(arns, aws.ToString(b.LoadBalancerArn))
	}
	for _, g := range groups {
		arns = append(arns, aws.ToString(g.TargetGroupArn))
	}
	owned := map[string]bool{}
	for batch := range slices.Chunk(arns, tagBatch) {
		out, err := l.elb.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: batch})
		if err != nil {
			return nil, err
		}
		for _, d := range out.TagDescriptions {
			tags := make(map[string]string, len(d.Tags))
			for _, t := range d.Tags {
				tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
			owned[aws.ToString(d.ResourceArn)] = madeFor(l.cluster, tags)
		}
	}
	return owned, nil
}

// Apply implements [engine.Resource]; there is never anything to change.
func (l *loadBalancers) Apply(context.Context, engine.Progress) error { return nil }

// Bounds of a deletion: listeners let go of their target groups at once, and
// AWS takes a load balancer's interfaces away some minutes after it.
const (
	targetGroupLimit = 2 * time.Minute
	unplugLimit      = 10 * time.Minute
)

// Delete implements [engine.Resource]. It looks again: as a rule Kubernetes has
// removed them since.
func (l *loadBalancers) Delete(ctx context.Context, p engine.Progress) error {
	if err := l.read(ctx); err != nil {
		return cloud.Wrap(l.ID(), "looking for load balancers", err)
	}
	for _, b := range l.balancers {
		p("deleting load balancer %s, which Kubernetes left", aws.ToString(b.LoadBalancerName))
		_, err := l.elb.DeleteLoadBalancer(ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: b.LoadBalancerArn})
		if err != nil && !cloud.IsNotFound(err) {
			return l.refused(b, err)
		}
	}
	for _, g := range l.groups {
		err := cloud.RetryWhile(ctx, targetGroupLimit, cloud.IsDependency, func(ctx context.Context) error {
			_, err := l.elb.DeleteTargetGroup(ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: g.TargetGroupArn})
			return err
		})
		if err != nil && !cloud.IsNotFound(err) {
			return cloud.Wrap(l.ID(), "deleting target group "+aws.ToString(g.TargetGroupName), err)
		}
	}
	if err := l.waitUnplugged(ctx, p); err != nil {
		return cloud.Wrap(l.ID(), "waiting for the load balancers' interfaces to go", err)
	}
	l.balancers, l.groups = nil, nil
	return nil
}

// refused is why AWS does not delete a load balancer, and what to do about it.
func (l *loadBalancers) refused(b elbtypes.LoadBalancer, err error) error {
	doing := "deleting load balancer " + aws.ToString(b.LoadBalancerName)
	if cloud.Code(err) != "OperationNotPermitted" {
		return cloud.Wrap(l.ID(), doing, err)
	}
	wrapped := &cloud.Error{Resource: l.ID(), Doing: doing, Code: cloud.Code(err), Message: cloud.Message(err), Err: err}
	wrapped.Hint = "switch its deletion protection off, then run 'aicluster teardown' again"
	return wrapped
}

// waitUnplugged waits until the interfaces of the load balancers are gone.
func (l *loadBalancers) waitUnplugged(ctx context.Context, p engine.Progress) error {
	if len(l.balancers) == 0 {
		return nil
	}
	var descriptions []string
	for _, b := range l.balancers {
		descriptions = append(descriptions, elbDescription+balancerPath(b))
	}
	inVPC := leftovers{api: l.api, vpcID: l.vpc.liveID()}
	start := time.Now()
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		found, err := inVPC.interfaces(ctx)
		if err != nil {
			return true, err
		}
		var held []string
		for _, i := range found {
			if slices.Contains(descriptions, aws.ToString(i.Description)) {
				held = append(held, nameInterface(i))
			}
		}
		if len(held) == 0 {
			return true, nil
		}
		if time.Since(start) >= unplugLimit {
			return true, cloud.Fail(l.ID(), "waiting for the load balancers' interfaces to go",
				fmt.Sprintf("AWS has not taken away %s in %s", strings.Join(held, ", "), unplugLimit), "run 'aicluster teardown' again later")
		}
		p("waiting for %s to go", held[0])
		return false, nil
	})
}

// balancerPath is the part of a load balancer's ARN that AWS puts into the
// description of its interfaces: "net/k8s-ingress/0123456789abcdef".
func balancerPath(b elbtypes.LoadBalancer) string {
	_, path, _ := strings.Cut(aws.ToString(b.LoadBalancerArn), ":loadbalancer/")
	return path
}

func describeLoadBalancers(ctx context.Context, api LoadBalancerAPI) ([]elbtypes.LoadBalancer, error) {
	var all []elbtypes.LoadBalancer
	pages := elb.NewDescribeLoadBalancersPaginator(api, &elb.DescribeLoadBalancersInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, page.LoadBalancers...)
	}
	return all, nil
}

func describeTargetGroups(ctx context.Context, api LoadBalancerAPI) ([]elbtypes.TargetGroup, error) {
	var all []elbtypes.TargetGroup
	pages := elb.NewDescribeTargetGroupsPaginator(api, &elb.DescribeTargetGroupsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, page.TargetGroups...)
	}
	return all, nil
}
