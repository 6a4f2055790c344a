package network

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// loadBalancers are the load balancers that Kubernetes' controllers made for the
// cluster, of both generations, with their target groups and security groups, by
// the controllers' own tags. Kubernetes removes them when their services go. Where
// it cannot, because the API server does not answer or the cluster was deleted by
// hand, they would cost money and hold the subnets for ever (eksctl #5468, #487,
// #253).
//
// There is nothing to be made of them. The cluster needs them, which need the
// subnets: so they are deleted once nobody is left who could make new ones, and
// before what they stand in.
type loadBalancers struct {
	api     API
	elb     LoadBalancerAPI
	cluster string
	vpc     home
	needs   []engine.Resource

	balancers      []balancer
	targetGroups   []elbtypes.TargetGroup
	securityGroups []types.SecurityGroup
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
func (l *loadBalancers) Unwanted() bool {
	return len(l.balancers)+len(l.targetGroups)+len(l.securityGroups) == 0
}

// Observe implements [engine.Resource].
func (l *loadBalancers) Observe(ctx context.Context) (engine.Observation, error) {
	l.forget()
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
		parts = append(parts, b.name)
	}
	if n := len(l.targetGroups); n > 0 {
		parts = append(parts, fmt.Sprintf("target groups: %d", n))
	}
	if n := len(l.securityGroups); n > 0 {
		parts = append(parts, fmt.Sprintf("security groups: %d", n))
	}
	return engine.Observation{Exists: true, Detail: strings.Join(parts, ", ")}, nil
}

// read finds what is the cluster's in the VPC. What goes while it reads makes it
// begin again.
func (l *loadBalancers) read(ctx context.Context) error {
	return cloud.Settled(ctx, func(ctx context.Context) error {
		balancers, err := l.elb.balancers(ctx)
		if err != nil {
			return err
		}
		groups, err := l.elb.targetGroups(ctx)
		if err != nil {
			return err
		}
		elsewhere := func(vpcID *string) bool { return aws.ToString(vpcID) != l.vpc.liveID() }
		balancers = slices.DeleteFunc(balancers, func(b balancer) bool { return elsewhere(&b.vpcID) })
		groups = slices.DeleteFunc(groups, func(g elbtypes.TargetGroup) bool { return elsewhere(g.VpcId) })
		tags, err := l.elb.tags(ctx, balancers, groups)
		if err != nil {
			return err
		}
		l.balancers = slices.DeleteFunc(balancers, func(b balancer) bool { return !madeFor(l.cluster, tags[b.key()]) })
		l.targetGroups = slices.DeleteFunc(groups, func(g elbtypes.TargetGroup) bool { return !madeFor(l.cluster, tags[aws.ToString(g.TargetGroupArn)]) })
		return l.readSecurityGroups(ctx)
	})
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
		p("deleting load balancer %s, which Kubernetes left", b.name)
		if err := l.elb.delete(ctx, b); err != nil && !cloud.IsNotFound(err) {
			return l.refused(b, err)
		}
	}
	for _, g := range l.targetGroups {
		err := cloud.RetryWhile(ctx, targetGroupLimit, cloud.IsDependency, func(ctx context.Context) error {
			_, err := l.elb.V2.DeleteTargetGroup(ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: g.TargetGroupArn})
			return err
		})
		if err != nil && !cloud.IsNotFound(err) {
			return cloud.Wrap(l.ID(), "deleting target group "+aws.ToString(g.TargetGroupName), err)
		}
	}
	if err := l.waitUnplugged(ctx, p); err != nil {
		return cloud.Wrap(l.ID(), "waiting for the load balancers' interfaces to go", err)
	}
	if err := l.deleteSecurityGroups(ctx, p); err != nil {
		return err
	}
	l.forget()
	return nil
}

func (l *loadBalancers) forget() { l.balancers, l.targetGroups, l.securityGroups = nil, nil, nil }

// refused is why AWS does not delete a load balancer, and what to do about it.
func (l *loadBalancers) refused(b balancer, err error) error {
	doing := "deleting load balancer " + b.name
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
		descriptions = append(descriptions, elbDescription+b.plug())
	}
	start := time.Now()
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		found, err := l.inVPC().interfaces(ctx)
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
