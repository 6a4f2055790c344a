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
	state               types.VpcState
	dnsSupport, dnsName bool
}

func newVPC(api API, elb LoadBalancerAPI, owner cloud.Owner, cidr string) *vpc {
	return &vpc{part: part{api: api, owner: owner, kind: "vpc", short: owner.Cluster, name: owner.Cluster}, elb: elb, cidr: cidr}
}

func (v *vpc) liveID() string { return v.id }

func (v *vpc) read(ctx context.Context) error {
	v.forget()
	return v.find(ctx)
}

// find looks for the VPC by its tags.
func (v *vpc) find(ctx context.Context) error {
	found := map[string]types.Vpc{}
	var ids []string
	pages := ec2.NewDescribeVpcsPaginator(v.api, &ec2.DescribeVpcsInput{Filters: v.filters()})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, x := range page.Vpcs {
			ids = append(ids, aws.ToString(x.VpcId))
			found[aws.ToString(x.VpcId)] = x
		}
	}
	if v.id != "" && !slices.Contains(ids, v.id) {
		return nil // made just now, and not listed yet
	}
	used := map[string]bool{}
	if len(ids) > 1 {
		subnets, err := describeSubnets(ctx, v.api, &ec2.DescribeSubnetsInput{Filters: []types.Filter{cloud.Filter("vpc-id", ids...)}})
		if err != nil {
			return err
		}
		for _, s := range subnets {
			used[aws.ToString(s.VpcId)] = true
		}
	}
	var id string
	if id, v.more = choose(ids, v.id, func(id string) bool { return used[id] }); id != "" {
		v.found(id, found[id].Tags)
		v.liveCIDR, v.state = aws.ToString(found[id].CidrBlock), found[id].State
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

func (v *vpc) absent() engine.Observation {
	return engine.Observation{Changes: []engine.Change{{Field: "network.cidr", Wanted: v.cidr, Policy: engine.PolicyCreate}}}
}

// Observe implements [engine.Resource].
func (v *vpc) Observe(ctx context.Context) (engine.Observation, error) {
	if err := v.read(ctx); err != nil {
		return engine.Observation{}, v.wrap("reading the VPC", err)
	}
	if v.id == "" {
		return v.absent(), nil
	}
	err := v.readDNS(ctx)
	if cloud.IsNotFound(err) { // it was deleted just now and is only listed yet
		v.forget()
		return v.absent(), nil
	}
	if err != nil {
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
	obs.Changes = append(obs.Changes, v.doubles()...)
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
		p(listing, id)
		v.liveCIDR, v.dnsSupport, v.dnsName = v.cidr, true, false // EC2's defaults for a new VPC
	}
	if err := v.waitAvailable(ctx); err != nil {
		return v.wrap("waiting for the VPC", err)
	}
	for _, id := range v.more {
		p("deleting %s, a second VPC without use", id)
		if err := v.remove(ctx, id, p); err != nil {
			return err
		}
	}
	v.more = nil
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

// waitAvailable waits until EC2 lists the VPC by its tags, ready. Only then is it
// known that there is no second one.
func (v *vpc) waitAvailable(ctx context.Context) error {
	return cloud.WaitListed(ctx, func(ctx context.Context) (bool, error) {
		v.state = ""
		err := v.find(ctx)
		return v.state == types.VpcStateAvailable, err
	})
}

// setDNS takes two calls: EC2 changes one attribute of a VPC at a time.
func (v *vpc) setDNS(ctx context.Context) error {
	on := &types.AttributeBooleanValue{Value: aws.Bool(true)}
	if !v.dnsSupport {
		if err := v.modify(ctx, &ec2.ModifyVpcAttributeInput{VpcId: &v.id, EnableDnsSupport: on}); err != nil {
			return err
		}
		v.dnsSupport = true
	}
	if !v.dnsName {
		if err := v.modify(ctx, &ec2.ModifyVpcAttributeInput{VpcId: &v.id, EnableDnsHostnames: on}); err != nil {
			return err
		}
		v.dnsName = true
	}
	return nil
}

func (v *vpc) modify(ctx context.Context, in *ec2.ModifyVpcAttributeInput) error {
	return cloud.Settled(ctx, func(ctx context.Context) error {
		_, err := v.api.ModifyVpcAttribute(ctx, in)
		return err
	})
}

// vpcDeleteLimit bounds how long something may still be in the VPC.
const vpcDeleteLimit = 5 * time.Minute

// Delete implements [engine.Resource].
func (v *vpc) Delete(ctx context.Context, p engine.Progress) error {
	for _, id := range append(slices.Clone(v.more), v.id) {
		if err := v.remove(ctx, id, p); err != nil {
			return err
		}
	}
	v.forget()
	return nil
}

// remove deletes a VPC. Security groups that load balancers left behind go first.
func (v *vpc) remove(ctx context.Context, id string, p engine.Progress) error {
	l := leftovers{api: v.api, elb: v.elb, cluster: v.owner.Cluster, vpcID: id, all: true}
	err := l.clear(ctx, vpcDeleteLimit, p, func(ctx context.Context) error {
		if err := l.deleteSecurityGroups(ctx, p); err != nil {
			return err
		}
		_, err := v.api.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &id})
		return err
	})
	if err != nil && !cloud.IsNotFound(err) {
		return l.explain(ctx, v.ID(), "deleting the VPC", err)
	}
	return nil
}
