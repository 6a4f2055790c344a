package network

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/provision/cloud"
)

// A stranger keeps a VPC of our own from going, and is nothing that teardown knows
// of: somebody else's, or made by a run that died so lately that EC2 did not list it
// when this teardown began.
type stranger struct {
	name string // with kind, description and owner: "sg-0abc (security group web: the web team's) of account 111122223333"
	late bool
}

func (s stranger) String() string {
	if s.late {
		return s.name + ", which was made so lately that EC2 did not list it yet"
	}
	return s.name + ", which is not this cluster's"
}

// strangers finds what stands in a VPC of our own and has no interface once
// everything of ours is gone.
func (l leftovers) strangers(ctx context.Context) ([]stranger, error) {
	if !l.all || l.mapped || len(l.subnetIDs) > 0 || l.vpcID == "" {
		return nil, nil
	}
	var all []stranger
	for _, find := range []func(context.Context) ([]stranger, error){l.strangeGroups, l.strangeSubnets, l.strangeGateways, l.strangeInternet, l.strangeTables, l.strangeEndpoints} {
		found, err := find(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func (l leftovers) stranger(id *string, kind string, words []string, owner *string, tags []types.Tag) stranger {
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	name := aws.ToString(id) + " (" + strings.TrimSpace(kind+" "+strings.Join(words, ": ")) + ")"
	if owner != nil {
		name += " of account " + *owner
	}
	return stranger{name, cloud.FromEC2(tags)[cloud.TagCluster] == l.cluster}
}

func (l leftovers) strangeGroups(ctx context.Context) ([]stranger, error) {
	groups, err := l.groupsOfVPC(ctx)
	var all []stranger
	for _, g := range groups {
		if !l.ofCluster(g) {
			all = append(all, l.stranger(g.GroupId, "security group", []string{aws.ToString(g.GroupName), aws.ToString(g.Description)}, g.OwnerId, g.Tags))
		}
	}
	return all, err
}

func (l leftovers) strangeSubnets(ctx context.Context) ([]stranger, error) {
	subnets, err := describeSubnets(ctx, l.api, &ec2.DescribeSubnetsInput{Filters: []types.Filter{cloud.Filter("vpc-id", l.vpcID)}})
	var all []stranger
	for _, s := range subnets {
		all = append(all, l.stranger(s.SubnetId, "subnet", []string{cmp.Or(cloud.FromEC2(s.Tags)[cloud.TagName], aws.ToString(s.CidrBlock))}, s.OwnerId, s.Tags))
	}
	return all, err
}

func (l leftovers) strangeGateways(ctx context.Context) ([]stranger, error) {
	gateways, err := describeNATs(ctx, l.api, []types.Filter{cloud.Filter("vpc-id", l.vpcID)})
	var all []stranger
	for _, g := range gateways {
		if !natGone(g) && aws.ToString(g.VpcId) == l.vpcID {
			all = append(all, l.stranger(g.NatGatewayId, "NAT gateway", []string{cloud.FromEC2(g.Tags)[cloud.TagName]}, nil, g.Tags))
		}
	}
	return all, err
}

// strangeTables leaves the main route table out, which goes with the VPC.
func (l leftovers) strangeTables(ctx context.Context) ([]stranger, error) {
	tables, err := describeTables(ctx, l.api, []types.Filter{cloud.Filter("vpc-id", l.vpcID)})
	var all []stranger
	for _, t := range tables {
		isMain := func(a types.RouteTableAssociation) bool { return aws.ToBool(a.Main) }
		if !slices.ContainsFunc(t.Associations, isMain) && aws.ToString(t.VpcId) == l.vpcID {
			all = append(all, l.stranger(t.RouteTableId, "route table", []string{cloud.FromEC2(t.Tags)[cloud.TagName]}, t.OwnerId, t.Tags))
		}
	}
	return all, err
}

func (l leftovers) strangeInternet(ctx context.Context) ([]stranger, error) {
	out, err := l.api.DescribeInternetGateways(ctx, &ec2.DescribeInternetGatewaysInput{Filters: []types.Filter{cloud.Filter("attachment.vpc-id", l.vpcID)}})
	if err != nil {
		return nil, err
	}
	var all []stranger
	for _, g := range out.InternetGateways { // a VPC has one at most
		all = append(all, l.stranger(g.InternetGatewayId, "internet gateway", []string{cloud.FromEC2(g.Tags)[cloud.TagName]}, g.OwnerId, g.Tags))
	}
	return all, nil
}

func (l leftovers) strangeEndpoints(ctx context.Context) ([]stranger, error) {
	var all []stranger
	pages := ec2.NewDescribeVpcEndpointsPaginator(l.api, &ec2.DescribeVpcEndpointsInput{Filters: []types.Filter{cloud.Filter("vpc-id", l.vpcID)}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, e := range page.VpcEndpoints {
			if !strings.EqualFold(string(e.State), "deleted") && aws.ToString(e.VpcId) == l.vpcID {
				all = append(all, l.stranger(e.VpcEndpointId, "endpoint", []string{aws.ToString(e.ServiceName)}, e.OwnerId, e.Tags))
			}
		}
	}
	return all, nil
}

// holders names what is still there, and tells whether any of it is somebody
// else's. That goes into an error, so that a failure to read it is of no interest.
func (l leftovers) holders(ctx context.Context) (names []string, foreign bool) {
	found, _ := l.interfaces(ctx)
	others, _ := l.foreign(ctx, found)
	strangers, _ := l.strangers(ctx)
	for _, i := range others {
		strangers = append(strangers, describeForeign(i))
	}
	for _, s := range strangers {
		names = append(names, s.String())
		foreign = foreign || !s.late
	}
	for _, i := range found {
		if !slices.ContainsFunc(others, func(o types.NetworkInterface) bool { return *o.NetworkInterfaceId == *i.NetworkInterfaceId }) {
			names = append(names, nameInterface(i))
		}
	}
	if len(l.subnetIDs) == 0 && !l.mapped {
		groups, _ := l.groupsOfVPC(ctx)
		if l.all { // the others are strangers
			groups, _ = l.securityGroups(ctx)
		}
		for _, g := range groups {
			names = append(names, fmt.Sprintf("%s (security group %s)", aws.ToString(g.GroupId), aws.ToString(g.GroupName)))
		}
	}
	return names, foreign
}
