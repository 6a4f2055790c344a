package orphans

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/provision/cloud"
)

func (s *Search) listVPCs(ctx context.Context, by []types.Filter) ([]item, error) {
	var all []item
	pages := ec2.NewDescribeVpcsPaginator(s.EC2, &ec2.DescribeVpcsInput{Filters: by})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return all, err
		}
		for _, v := range page.Vpcs {
			id := aws.ToString(v.VpcId)
			all = append(all, item{tags: cloud.FromEC2(v.Tags), Thing: Thing{Kind: "vpc", ID: id, Detail: aws.ToString(v.CidrBlock),
				Remove: s.command("ec2 delete-vpc --vpc-id %s", id)}})
		}
	}
	return all, nil
}

func (s *Search) listSubnets(ctx context.Context, by []types.Filter) ([]item, error) {
	var all []item
	pages := ec2.NewDescribeSubnetsPaginator(s.EC2, &ec2.DescribeSubnetsInput{Filters: by})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return all, err
		}
		for _, n := range page.Subnets {
			id := aws.ToString(n.SubnetId)
			all = append(all, item{tags: cloud.FromEC2(n.Tags), Thing: Thing{Kind: "subnet", ID: id,
				Detail: aws.ToString(n.CidrBlock) + ", " + aws.ToString(n.AvailabilityZone), Remove: s.command("ec2 delete-subnet --subnet-id %s", id)}})
		}
	}
	return all, nil
}

// listNATs takes a filter on "vpc-id" as the others do. A gateway that is gone is
// shown for an hour yet.
func (s *Search) listNATs(ctx context.Context, by []types.Filter) ([]item, error) {
	var all []item
	pages := ec2.NewDescribeNatGatewaysPaginator(s.EC2, &ec2.DescribeNatGatewaysInput{Filter: by})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return all, err
		}
		for _, n := range page.NatGateways {
			if n.State == types.NatGatewayStateDeleted || n.State == types.NatGatewayStateFailed {
				continue
			}
			id := aws.ToString(n.NatGatewayId)
			all = append(all, item{tags: cloud.FromEC2(n.Tags), Thing: Thing{Kind: "nat-gateway", ID: id, Detail: string(n.State), CostPerHour: natPrice,
				Remove: s.command("ec2 delete-nat-gateway --nat-gateway-id %s", id), going: n.State == types.NatGatewayStateDeleting}})
		}
	}
	return all, nil
}

func (s *Search) listAddresses(ctx context.Context, by []types.Filter) ([]item, error) {
	out, err := s.EC2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: by})
	if err != nil {
		return nil, err
	}
	var all []item
	for _, a := range out.Addresses {
		id := aws.ToString(a.AllocationId)
		all = append(all, item{tags: cloud.FromEC2(a.Tags), Thing: Thing{Kind: "elastic-ip", ID: id, Detail: aws.ToString(a.PublicIp), CostPerHour: addressPrice,
			Remove: s.command("ec2 release-address --allocation-id %s", id), inUse: a.AssociationId != nil}})
	}
	return all, nil
}

func (s *Search) listInterfaces(ctx context.Context, by []types.Filter) ([]item, error) {
	var all []item
	pages := ec2.NewDescribeNetworkInterfacesPaginator(s.EC2, &ec2.DescribeNetworkInterfacesInput{Filters: by})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return all, err
		}
		for _, n := range page.NetworkInterfaces {
			all = append(all, s.networkInterface(n))
		}
	}
	return all, nil
}

func (s *Search) networkInterface(n types.NetworkInterface) item {
	id := aws.ToString(n.NetworkInterfaceId)
	i := item{tags: cloud.FromEC2(n.TagSet), derived: s.derived(n), Thing: Thing{Kind: "network-interface", ID: id,
		Detail: cmp.Or(aws.ToString(n.Description), "no description") + ", " + string(n.Status) + ", of " + interfaceOwner(n),
		Remove: s.command("ec2 delete-network-interface --network-interface-id %s", id), inUse: n.Status != types.NetworkInterfaceStatusAvailable}}
	for _, g := range n.Groups {
		i.groupIDs = append(i.groupIDs, aws.ToString(g.GroupId))
	}
	return i
}

// derived tells that an interface is part of something that the search finds
// itself: an instance, a NAT gateway, an endpoint, a load balancer, the control
// plane.
func (s *Search) derived(n types.NetworkInterface) bool {
	if n.Attachment != nil && aws.ToString(n.Attachment.InstanceId) != "" {
		return true
	}
	if slices.Contains([]types.NetworkInterfaceType{types.NetworkInterfaceTypeNatGateway, types.NetworkInterfaceTypeVpcEndpoint}, n.InterfaceType) {
		return true
	}
	words := aws.ToString(n.Description)
	return words == "Amazon EKS "+s.Cluster || strings.HasPrefix(words, "ELB ") || strings.HasPrefix(words, "EFS mount target for ") && s.inOwnGroup(n)
}

// inOwnGroup tells that an interface is in a security group of the cluster's file
// system.
func (s *Search) inOwnGroup(n types.NetworkInterface) bool {
	return slices.ContainsFunc(n.Groups, func(g types.GroupIdentifier) bool { return aws.ToString(g.GroupName) == s.Cluster+"-models" })
}

// interfaceOwner is the AWS service that made an interface, or the account.
func interfaceOwner(n types.NetworkInterface) string {
	if aws.ToBool(n.RequesterManaged) && aws.ToString(n.RequesterId) != "" {
		return *n.RequesterId
	}
	return "account " + aws.ToString(n.OwnerId)
}

func (s *Search) listGroups(ctx context.Context, by []types.Filter) ([]item, error) {
	var all []item
	pages := ec2.NewDescribeSecurityGroupsPaginator(s.EC2, &ec2.DescribeSecurityGroupsInput{Filters: by})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return all, err
		}
		for _, g := range page.SecurityGroups {
			id, name := aws.ToString(g.GroupId), aws.ToString(g.GroupName)
			all = append(all, item{tags: cloud.FromEC2(g.Tags), derived: name == "default", Thing: Thing{Kind: "security-group", ID: id,
				Detail: name + ", " + aws.ToString(g.Description), Remove: s.command("ec2 delete-security-group --group-id %s", id)}})
		}
	}
	return all, nil
}

func (s *Search) listTables(ctx context.Context, by []types.Filter) ([]item, error) {
	var all []item
	pages := ec2.NewDescribeRouteTablesPaginator(s.EC2, &ec2.DescribeRouteTablesInput{Filters: by})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return all, err
		}
		for _, t := range page.RouteTables {
			id := aws.ToString(t.RouteTableId)
			main := slices.ContainsFunc(t.Associations, func(a types.RouteTableAssociation) bool { return aws.ToBool(a.Main) })
			all = append(all, item{tags: cloud.FromEC2(t.Tags), derived: main, Thing: Thing{Kind: "route-table", ID: id,
				Remove: s.command("ec2 delete-route-table --route-table-id %s", id)}})
		}
	}
	return all, nil
}

func (s *Search) listGateways(ctx context.Context, by []types.Filter) ([]item, error) {
	var all []item
	pages := ec2.NewDescribeInternetGatewaysPaginator(s.EC2, &ec2.DescribeInternetGatewaysInput{Filters: by})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return all, err
		}
		for _, g := range page.InternetGateways {
			id := aws.ToString(g.InternetGatewayId)
			all = append(all, item{tags: cloud.FromEC2(g.Tags), Thing: Thing{Kind: "internet-gateway", ID: id,
				Remove: s.command("ec2 delete-internet-gateway --internet-gateway-id %s", id)}})
		}
	}
	return all, nil
}

// listEndpoints reads states that EC2 writes in both cases.
func (s *Search) listEndpoints(ctx context.Context, by []types.Filter) ([]item, error) {
	var all []item
	pages := ec2.NewDescribeVpcEndpointsPaginator(s.EC2, &ec2.DescribeVpcEndpointsInput{Filters: by})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return all, err
		}
		for _, e := range page.VpcEndpoints {
			state := strings.ToLower(string(e.State))
			if state == "deleted" {
				continue
			}
			id := aws.ToString(e.VpcEndpointId)
			all = append(all, item{tags: cloud.FromEC2(e.Tags), Thing: Thing{Kind: "vpc-endpoint", ID: id, Detail: aws.ToString(e.ServiceName) + ", " + state,
				CostPerHour: endpointPrice * float64(len(e.SubnetIds)), Remove: s.command("ec2 delete-vpc-endpoints --vpc-endpoint-ids %s", id), going: state == "deleting"}})
		}
	}
	return all, nil
}
