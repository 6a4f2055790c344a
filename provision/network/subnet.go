package network

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// tier is what a subnet is for.
type tier string

const (
	public  tier = "public"  // load balancers that face the internet, NAT gateways
	private tier = "private" // nodes, pods, the control plane's interfaces
)

// roleTag is the tag by which load balancers find the subnets that are for them
// (AWS Load Balancer Controller, "Subnet discovery"; the in-tree one knows it too).
func (t tier) roleTag() string {
	if t == public {
		return "kubernetes.io/role/elb"
	}
	return "kubernetes.io/role/internal-elb"
}

// subnetName is the Name tag of a subnet.
func subnetName(cluster string, t tier, zone string) string {
	return fmt.Sprintf("%s-%s-%s", cluster, t, zone)
}

// subnet is one subnet.
type subnet struct {
	part
	tier  tier
	zone  string
	block netip.Prefix
	vpc   *vpc

	mapsPublicIP bool
}

func newSubnet(api API, owner cloud.Owner, t tier, zone string, block netip.Prefix, v *vpc) *subnet {
	return &subnet{
		part: part{
			api: api, owner: owner, kind: "subnet", short: string(t) + "-" + zone, name: subnetName(owner.Cluster, t, zone),
			extra: map[string]string{t.roleTag(): "1"}, needs: []engine.Resource{v},
		},
		tier: t, zone: zone, block: block, vpc: v,
	}
}

func (s *subnet) read(ctx context.Context) error {
	s.forget()
	found, err := describeSubnets(ctx, s.api, &ec2.DescribeSubnetsInput{Filters: s.filters()})
	if err != nil || len(found) == 0 {
		return err
	}
	s.found(aws.ToString(found[0].SubnetId), found[0].Tags)
	s.mapsPublicIP = aws.ToBool(found[0].MapPublicIpOnLaunch)
	return nil
}

// Observe implements [engine.Resource].
func (s *subnet) Observe(ctx context.Context) (engine.Observation, error) {
	if s.vpc.id == "" {
		s.forget()
		return engine.Observation{Changes: s.planned()}, nil
	}
	if err := s.read(ctx); err != nil {
		return engine.Observation{}, s.wrap("reading the subnet", err)
	}
	if s.id == "" {
		return engine.Observation{Changes: s.planned()}, nil
	}
	obs := engine.Observation{Exists: true, Detail: s.id + ", " + s.block.String(), Changes: s.tagChanges()}
	if s.tier == public && !s.mapsPublicIP {
		obs.Changes = append(obs.Changes, engine.Change{Field: "mapPublicIpOnLaunch", Live: false, Wanted: true, Policy: engine.PolicyInPlace})
	}
	return obs, nil
}

func (s *subnet) planned() []engine.Change {
	return []engine.Change{{Field: "cidr", Wanted: s.block.String(), Policy: engine.PolicyCreate}}
}

// Apply implements [engine.Resource].
func (s *subnet) Apply(ctx context.Context, p engine.Progress) error {
	if s.id == "" {
		p("creating the subnet %s", s.block)
		id, err := cloud.CreateOnce(ctx, s.lookup, s.create)
		if err != nil {
			return s.wrap("creating the subnet", err)
		}
		s.made(id)
		s.mapsPublicIP = false
	}
	if err := s.waitAvailable(ctx); err != nil {
		return err
	}
	if s.tier == public && !s.mapsPublicIP {
		err := cloud.Settled(ctx, func(ctx context.Context) error {
			_, err := s.api.ModifySubnetAttribute(ctx, &ec2.ModifySubnetAttributeInput{
				SubnetId: &s.id, MapPublicIpOnLaunch: &types.AttributeBooleanValue{Value: aws.Bool(true)},
			})
			return err
		})
		if err != nil {
			return s.wrap("letting the subnet give public addresses", err)
		}
		s.mapsPublicIP = true
	}
	return s.fixTags(ctx)
}

func (s *subnet) lookup(ctx context.Context) (string, bool, error) {
	err := s.read(ctx)
	return s.id, s.id != "", err
}

func (s *subnet) create(ctx context.Context) (string, error) {
	var id string
	err := cloud.Settled(ctx, func(ctx context.Context) error {
		out, err := s.api.CreateSubnet(ctx, &ec2.CreateSubnetInput{
			VpcId: &s.vpc.id, AvailabilityZone: &s.zone, CidrBlock: aws.String(s.block.String()),
			TagSpecifications: s.spec(types.ResourceTypeSubnet),
		}, once)
		if err == nil {
			id = aws.ToString(out.Subnet.SubnetId)
		}
		return err
	})
	return id, err
}

func (s *subnet) waitAvailable(ctx context.Context) error {
	return s.wrap("waiting for the subnet", cloud.Settled(ctx, func(ctx context.Context) error {
		return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
			found, err := describeSubnets(ctx, s.api, &ec2.DescribeSubnetsInput{SubnetIds: []string{s.id}})
			if err != nil {
				return true, err
			}
			return slices.ContainsFunc(found, func(x types.Subnet) bool { return x.State == types.SubnetStateAvailable }), nil
		})
	}))
}

// subnetDeleteLimit bounds how long interfaces may stay in a subnet: those of a
// load balancer go some minutes after it.
const subnetDeleteLimit = 10 * time.Minute

// Delete implements [engine.Resource]. Interfaces that the VPC CNI left behind
// are deleted; those that follow a load balancer are waited for.
func (s *subnet) Delete(ctx context.Context, p engine.Progress) error {
	l := leftovers{api: s.api, elb: s.vpc.elb, cluster: s.owner.Cluster, subnetIDs: []string{s.id}, all: true}
	err := l.clear(ctx, subnetDeleteLimit, p, func(ctx context.Context) error {
		_, err := s.api.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &s.id})
		return err
	})
	if err != nil && !cloud.IsNotFound(err) {
		return l.explain(ctx, s.ID(), "deleting the subnet", err)
	}
	s.forget()
	return nil
}
