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

// strangers names what keeps a VPC of our own from going and has no interface:
// what stands there once everything of ours is gone. Each is named with its kind,
// description and owner.
func (l leftovers) strangers(ctx context.Context) ([]string, error) {
	if !l.all || l.mapped || len(l.subnetIDs) > 0 || l.vpcID == "" {
		return nil, nil
	}
	var names []string
	for _, find := range []func(context.Context) ([]string, error){l.strangeGroups, l.strangeSubnets, l.strangeGateways, l.strangeEndpoints} {
		found, err := find(ctx)
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	return names, nil
}

// stranger is how one is named: "sg-0abc (security group web: the web team's) of
// account 111122223333".
func stranger(id *string, kind string, words []string, owner *string) string {
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	name := aws.ToString(id) + " (" + strings.TrimSpace(kind+" "+strings.Join(words, ": ")) + ")"
	if owner != nil {
		name += " of account " + *owner
	}
	return name
}

func (l leftovers) strangeGroups(ctx context.Context) ([]string, error) {
	groups, err := l.groupsOfVPC(ctx)
	var names []string
	for _, g := range groups {
		if !l.ofCluster(g) {
			names = append(names, stranger(g.GroupId, "security group", []string{aws.ToString(g.GroupName), aws.ToString(g.Description)}, g.OwnerId))
		}
	}
	return names, err
}

func (l leftovers) strangeSubnets(ctx context.Context) ([]string, error) {
	subnets, err := describeSubnets(ctx, l.api, &ec2.DescribeSubnetsInput{Filters: []types.Filter{cloud.Filter("vpc-id", l.vpcID)}})
	var names []string
	for _, s := range subnets {
		names = append(names, stranger(s.SubnetId, "subnet", []string{cmp.Or(cloud.FromEC2(s.Tags)[cloud.TagName], aws.ToString(s.CidrBlock))}, s.OwnerId))
	}
	return names, err
}

func (l leftovers) strangeGateways(ctx context.Context) ([]string, error) {
	gateways, err := describeNATs(ctx, l.api, []types.Filter{cloud.Filter("vpc-id", l.vpcID)})
	var names []string
	for _, g := range gateways {
		if !natGone(g) && aws.ToString(g.VpcId) == l.vpcID {
			names = append(names, stranger(g.NatGatewayId, "NAT gateway", []string{cloud.FromEC2(g.Tags)[cloud.TagName]}, nil))
		}
	}
	return names, err
}

func (l leftovers) strangeEndpoints(ctx context.Context) ([]string, error) {
	var names []string
	pages := ec2.NewDescribeVpcEndpointsPaginator(l.api, &ec2.DescribeVpcEndpointsInput{Filters: []types.Filter{cloud.Filter("vpc-id", l.vpcID)}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, e := range page.VpcEndpoints {
			if !strings.EqualFold(string(e.State), "deleted") && aws.ToString(e.VpcId) == l.vpcID {
				names = append(names, stranger(e.VpcEndpointId, "endpoint", []string{aws.ToString(e.ServiceName)}, e.OwnerId))
			}
		}
	}
	return names, nil
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
	for _, name := range strangers {
		names = append(names, name+", which is not this cluster's")
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
	return names, len(strangers) > 0
}
