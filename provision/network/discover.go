package network

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

// liveZone is a zone in which the cluster has subnets.
type liveZone struct {
	id              string
	public, private netip.Prefix // zero when there is none
}

// liveZones finds the zones of the subnets that the cluster owns, or of those
// that the blueprint names.
func liveZones(ctx context.Context, api API, b *blueprints.Blueprint) (map[string]liveZone, error) {
	in := &ec2.DescribeSubnetsInput{Filters: cloud.Owner{Cluster: b.Metadata.Name}.OwnedFilters("")}
	if b.Network.VPCID != "" {
		in = &ec2.DescribeSubnetsInput{SubnetIds: b.Network.SubnetIDs}
	}
	subnets, err := describeSubnets(ctx, api, in)
	if err != nil {
		return nil, cloud.Wrap("network", "reading subnets", err)
	}
	zones := map[string]liveZone{}
	for _, s := range subnets {
		name := aws.ToString(s.AvailabilityZone)
		z := zones[name]
		z.id = aws.ToString(s.AvailabilityZoneId)
		block, err := netip.ParsePrefix(aws.ToString(s.CidrBlock))
		if err == nil && b.Network.VPCID == "" {
			switch cloud.FromEC2(s.Tags)[cloud.TagName] {
			case subnetName(b.Metadata.Name, public, name):
				z.public = block
			case subnetName(b.Metadata.Name, private, name):
				z.private = block
			}
		}
		zones[name] = z
	}
	return zones, nil
}

func describeSubnets(ctx context.Context, api API, in *ec2.DescribeSubnetsInput) ([]types.Subnet, error) {
	var subnets []types.Subnet
	pages := ec2.NewDescribeSubnetsPaginator(api, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		subnets = append(subnets, page.Subnets...)
	}
	return subnets, nil
}

// liveNATs finds the zones for which the cluster has an address or a NAT
// gateway, by their names.
func liveNATs(ctx context.Context, api API, b *blueprints.Blueprint) ([]string, error) {
	if b.Network.VPCID != "" {
		return nil, nil
	}
	owner := cloud.Owner{Cluster: b.Metadata.Name}
	addresses, err := api.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: owner.OwnedFilters("")})
	if err != nil {
		return nil, cloud.Wrap("network", "reading addresses", err)
	}
	gateways, err := describeNATs(ctx, api, owner.OwnedFilters(""))
	if err != nil {
		return nil, cloud.Wrap("network", "reading NAT gateways", err)
	}
	var zones []string
	add := func(tags []types.Tag) {
		if zone, ok := strings.CutPrefix(cloud.FromEC2(tags)[cloud.TagName], natName(owner.Cluster, "")); ok {
			zones = append(zones, zone)
		}
	}
	for _, a := range addresses.Addresses {
		add(a.Tags)
	}
	for _, g := range gateways {
		if !natGone(g) {
			add(g.Tags)
		}
	}
	return sortedUnion(zones, nil), nil
}

func describeNATs(ctx context.Context, api API, filters []types.Filter) ([]types.NatGateway, error) {
	var gateways []types.NatGateway
	pages := ec2.NewDescribeNatGatewaysPaginator(api, &ec2.DescribeNatGatewaysInput{Filter: filters})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		gateways = append(gateways, page.NatGateways...)
	}
	return gateways, nil
}

// natGone tells that a gateway is not there any more; EC2 lists it for an hour yet.
func natGone(g types.NatGateway) bool {
	return slices.Contains([]types.NatGatewayState{types.NatGatewayStateDeleted, types.NatGatewayStateFailed}, g.State)
}

// liveTables finds the zones for which the cluster has a private route table, by
// their names: subnets may have gone before it.
func liveTables(ctx context.Context, api API, b *blueprints.Blueprint) ([]string, error) {
	owner := cloud.Owner{Cluster: b.Metadata.Name}
	tables, err := describeTables(ctx, api, owner.OwnedFilters(""))
	if err != nil {
		return nil, cloud.Wrap("network", "reading route tables", err)
	}
	var zones []string
	for _, t := range tables {
		if zone, ok := strings.CutPrefix(cloud.FromEC2(t.Tags)[cloud.TagName], owner.Cluster+"-"+privateTable); ok {
			zones = append(zones, zone)
		}
	}
	return zones, nil
}

func describeTables(ctx context.Context, api API, filters []types.Filter) ([]types.RouteTable, error) {
	var tables []types.RouteTable
	pages := ec2.NewDescribeRouteTablesPaginator(api, &ec2.DescribeRouteTablesInput{Filters: filters})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		tables = append(tables, page.RouteTables...)
	}
	return tables, nil
}
