package network

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// vpc is a VPC of our own. EKS nodes cannot join without DNS support and host
// names (EKS user guide, "VPC requirements and considerations").
type vpc struct {
	part
	elb  LoadBalancerAPI
	cidr string

	liveCIDR            string
	dnsSupport, dnsName bool
}

func newVPC(api API, elb LoadBalancerAPI, owner cloud.Owner, cidr string) *vpc {
	return &vpc{part: part{api: api, owner: owner, kind: "vpc", short: owner.Cluster, name: owner.Cluster}, elb: elb, cidr: cidr}
}

func (v *vpc) liveID() string { return v.id }

func (v *vpc) read(ctx context.Context) error {
	v.forget()
	pages := ec2.NewDescribeVpcsPaginator(v.api, &ec2.DescribeVpcsInput{Filters: v.filters()})
	for pages.HasMorePages() && v.id == "" {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, found := range page.Vpcs {
			v.found(aws.ToString(found.VpcId), found.Tags)
			v.liveCIDR = aws.ToString(found.CidrBlock)
		}
	}
	return nil
}

func (v *vpc) readDNS(ctx context.Context) error {
	support, err := v.api.DescribeVpcAttribute(ctx, &ec2.DescribeVpcAttributeInput{VpcId: &v.id, Attribute: types.VpcAttributeNameEnableDnsSupport})
	if err != nil {
		return err
	}
	names, err := v.api.DescribeVpcAttribute(ctx, &ec2.DescribeVpcAttributeInput{VpcId: &v.id, Attribute: types.VpcAttributeNameEnableDnsHostnames})
	if err != nil {
		return err
	}
	v.dnsSupport = support.EnableDnsSupport != nil && aws.ToBool(support.EnableDnsSupport.Value)
	v.dnsName = names.EnableDnsHostnames != nil && aws.ToBool(names.EnableDnsHostnames.Value)
	return nil
}

// Observe implements [engine.Resource].
func (v *vpc) Observe(ctx context.Context) (engine.Observation, error) {
	if err := v.read(ctx); err != nil {
		return engine.Observation{}, v.wrap("reading the VPC", err)
	}
	if v.id == "" {
		return engine.Observation{Changes: []engine.Change{{Field: "network.cidr", Wanted: v.cidr, Policy: engine.PolicyCreate}}}, nil
	}
	if err := v.readDNS(ctx); err != nil {
		return engine.Observation{}, v.wrap("reading the VPC's DNS settings", err)
	}
	obs := engine.Observation{Exists: true, Detail: v.id + ", " + v.liveCIDR}
	if v.cidr != "" && v.liveCIDR != v.cidr {
		obs.Changes = append(obs.Changes, engine.Change{
			Field: "network.cidr", Live: v.liveCIDR, Wanted: v.cidr, Policy: engine.PolicyRefused,
			Hint: "a VPC keeps its address block: put back " + v.liveCIDR + ", or make a cluster of another name",
		})
	}
	if !v.dnsSupport || !v.dnsName {
		obs.Changes = append(obs.Changes, engine.Change{Field: "dns", Live: "off", Wanted: "on", Policy: engine.PolicyInPlace})
	}
	obs.Changes = append(obs.Changes, v.tagChanges()...)
	return obs, nil
}

// Apply implements [engine.Resource].
func (v *vpc) Apply(ctx context.Context, p engine.Progress) error {
	if v.id == "" {
		p("creating the VPC")
		id, err := cloud.CreateOnce(ctx, v.lookup, v.create)
		if err != nil {
			return v.wrap("creating the VPC", err)
		}
		v.made(id)
		v.liveCIDR, v.dnsSupport, v.dnsName = v.cidr, true, false // EC2's defaults for a new VPC
	}
	if err := v.waitAvailable(ctx); err != nil {
		return err
	}
	if err := v.setDNS(ctx); err != nil {
		return v.wrap("switching DNS on", err)
	}
	return v.fixTags(ctx)
}

func (v *vpc) lookup(ctx context.Context) (string, bool, error) {
	err := v.read(ctx)
	return v.id, v.id != "", err
}

func (v *vpc) create(ctx context.Context) (string, error) {
	out, err := v.api.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: &v.cidr, TagSpecifications: v.spec(types.ResourceTypeVpc)}, once)
	if err != nil {
		return "", err
	}
	return aws.ToString(out.Vpc.VpcId), nil
}

// waitAvailable waits until EC2 has made the VPC ready.
func (v *vpc) waitAvailable(ctx context.Context) error {
	return v.wrap("waiting for the VPC", settled(ctx, func(ctx context.Context) error {
		return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
			out, err := v.api.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{v.id}})
			if err != nil {
				return true, err
			}
			return slices.ContainsFunc(out.Vpcs, func(x types.Vpc) bool { return x.State == types.VpcStateAvailable }), nil
		})
	}))
}

// setDNS takes two calls: EC2 changes one attribute of a VPC at a time.
func (v *vpc) setDNS(ctx context.Context) error {
	on := &types.AttributeBooleanValue{Value: aws.Bool(true)}
	if !v.dnsSupport {
		if _, err := v.api.ModifyVpcAttribute(ctx, &ec2.ModifyVpcAttributeInput{VpcId: &v.id, EnableDnsSupport: on}); err != nil {
			return err
		}
		v.dnsSupport = true
	}
	if !v.dnsName {
		if _, err := v.api.ModifyVpcAttribute(ctx, &ec2.ModifyVpcAttributeInput{VpcId: &v.id, EnableDnsHostnames: on}); err != nil {
			return err
		}
		v.dnsName = true
	}
	return nil
}

// vpcDeleteLimit bounds how long something may still be in the VPC.
const vpcDeleteLimit = 5 * time.Minute

// Delete implements [engine.Resource]. Security groups that load balancers left
// behind go first.
func (v *vpc) Delete(ctx context.Context, p engine.Progress) error {
	l := leftovers{api: v.api, elb: v.elb, cluster: v.owner.Cluster, vpcID: v.id, all: true}
	err := l.clear(ctx, vpcDeleteLimit, p, func(ctx context.Context) error {
		if err := l.deleteSecurityGroups(ctx, p); err != nil {
			return err
		}
		_, err := v.api.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &v.id})
		return err
	})
	if err != nil && !cloud.IsNotFound(err) {
		return l.explain(ctx, v.ID(), "deleting the VPC", err)
	}
	v.forget()
	return nil
}
