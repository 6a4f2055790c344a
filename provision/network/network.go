// Package network makes the ground that a cluster stands on: a VPC with public
// and private subnets, the gateways between them and the world, and a way to S3
// that costs nothing. Or it checks a VPC that exists, and leaves it alone.
//
// Each thing that AWS knows is one resource, so that what does not depend on
// each other is made at the same time: the control plane needs only the private
// subnets, and does not wait for the NAT gateways.
package network

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// API is what this package uses of EC2.
type API interface {
	ec2.DescribeVpcsAPIClient
	ec2.DescribeSubnetsAPIClient
	ec2.DescribeInternetGatewaysAPIClient
	ec2.DescribeNatGatewaysAPIClient
	ec2.DescribeRouteTablesAPIClient
	ec2.DescribeVpcEndpointsAPIClient
	ec2.DescribeNetworkInterfacesAPIClient
	ec2.DescribeSecurityGroupsAPIClient
	ec2.DescribeInstanceTypeOfferingsAPIClient
	DescribeAvailabilityZones(context.Context, *ec2.DescribeAvailabilityZonesInput, ...func(*ec2.Options)) (*ec2.DescribeAvailabilityZonesOutput, error)
	DescribeAddresses(context.Context, *ec2.DescribeAddressesInput, ...func(*ec2.Options)) (*ec2.DescribeAddressesOutput, error)
	DescribeVpcAttribute(context.Context, *ec2.DescribeVpcAttributeInput, ...func(*ec2.Options)) (*ec2.DescribeVpcAttributeOutput, error)
	CreateTags(context.Context, *ec2.CreateTagsInput, ...func(*ec2.Options)) (*ec2.CreateTagsOutput, error)
	CreateVpc(context.Context, *ec2.CreateVpcInput, ...func(*ec2.Options)) (*ec2.CreateVpcOutput, error)
	ModifyVpcAttribute(context.Context, *ec2.ModifyVpcAttributeInput, ...func(*ec2.Options)) (*ec2.ModifyVpcAttributeOutput, error)
	DeleteVpc(context.Context, *ec2.DeleteVpcInput, ...func(*ec2.Options)) (*ec2.DeleteVpcOutput, error)
	CreateInternetGateway(context.Context, *ec2.CreateInternetGatewayInput, ...func(*ec2.Options)) (*ec2.CreateInternetGatewayOutput, error)
	AttachInternetGateway(context.Context, *ec2.AttachInternetGatewayInput, ...func(*ec2.Options)) (*ec2.AttachInternetGatewayOutput, error)
	DetachInternetGateway(context.Context, *ec2.DetachInternetGatewayInput, ...func(*ec2.Options)) (*ec2.DetachInternetGatewayOutput, error)
	DeleteInternetGateway(context.Context, *ec2.DeleteInternetGatewayInput, ...func(*ec2.Options)) (*ec2.DeleteInternetGatewayOutput, error)
	CreateSubnet(context.Context, *ec2.CreateSubnetInput, ...func(*ec2.Options)) (*ec2.CreateSubnetOutput, error)
	ModifySubnetAttribute(context.Context, *ec2.ModifySubnetAttributeInput, ...func(*ec2.Options)) (*ec2.ModifySubnetAttributeOutput, error)
	DeleteSubnet(context.Context, *ec2.DeleteSubnetInput, ...func(*ec2.Options)) (*ec2.DeleteSubnetOutput, error)
	AllocateAddress(context.Context, *ec2.AllocateAddressInput, ...func(*ec2.Options)) (*ec2.AllocateAddressOutput, error)
	ReleaseAddress(context.Context, *ec2.ReleaseAddressInput, ...func(*ec2.Options)) (*ec2.ReleaseAddressOutput, error)
	CreateNatGateway(context.Context, *ec2.CreateNatGatewayInput, ...func(*ec2.Options)) (*ec2.CreateNatGatewayOutput, error)
	DeleteNatGateway(context.Context, *ec2.DeleteNatGatewayInput, ...func(*ec2.Options)) (*ec2.DeleteNatGatewayOutput, error)
	CreateRouteTable(context.Context, *ec2.CreateRouteTableInput, ...func(*ec2.Options)) (*ec2.CreateRouteTableOutput, error)
	AssociateRouteTable(context.Context, *ec2.AssociateRouteTableInput, ...func(*ec2.Options)) (*ec2.AssociateRouteTableOutput, error)
	DisassociateRouteTable(context.Context, *ec2.DisassociateRouteTableInput, ...func(*ec2.Options)) (*ec2.DisassociateRouteTableOutput, error)
	DeleteRouteTable(context.Context, *ec2.DeleteRouteTableInput, ...func(*ec2.Options)) (*ec2.DeleteRouteTableOutput, error)
	CreateRoute(context.Context, *ec2.CreateRouteInput, ...func(*ec2.Options)) (*ec2.CreateRouteOutput, error)
	ReplaceRoute(context.Context, *ec2.ReplaceRouteInput, ...func(*ec2.Options)) (*ec2.ReplaceRouteOutput, error)
	DeleteRoute(context.Context, *ec2.DeleteRouteInput, ...func(*ec2.Options)) (*ec2.DeleteRouteOutput, error)
	CreateVpcEndpoint(context.Context, *ec2.CreateVpcEndpointInput, ...func(*ec2.Options)) (*ec2.CreateVpcEndpointOutput, error)
	ModifyVpcEndpoint(context.Context, *ec2.ModifyVpcEndpointInput, ...func(*ec2.Options)) (*ec2.ModifyVpcEndpointOutput, error)
	DeleteVpcEndpoints(context.Context, *ec2.DeleteVpcEndpointsInput, ...func(*ec2.Options)) (*ec2.DeleteVpcEndpointsOutput, error)
	DeleteNetworkInterface(context.Context, *ec2.DeleteNetworkInterfaceInput, ...func(*ec2.Options)) (*ec2.DeleteNetworkInterfaceOutput, error)
	RevokeSecurityGroupIngress(context.Context, *ec2.RevokeSecurityGroupIngressInput, ...func(*ec2.Options)) (*ec2.RevokeSecurityGroupIngressOutput, error)
	DeleteSecurityGroup(context.Context, *ec2.DeleteSecurityGroupInput, ...func(*ec2.Options)) (*ec2.DeleteSecurityGroupOutput, error)
}

// Network is all resources of a cluster's network.
type Network struct {
	// VPC is the VPC, made or found.
	VPC engine.Resource

	resources []engine.Resource
	existing  *existingVPC // nil if the VPC is ours
	vpc       *vpc         // nil if it is not
	private   map[string]*subnet
	public    map[string]*subnet
	balancers *loadBalancers
	forNodes  []engine.Resource            // what all nodes need
	inZone    map[string][]engine.Resource // what nodes in a zone need
}

// New is the network of b in the zones of layout.
func New(api API, elb LoadBalancerAPI, owner cloud.Owner, b *blueprints.Blueprint, layout Layout) *Network {
	if b.Network.VPCID != "" {
		return useExisting(api, elb, owner, b)
	}
	return build(api, elb, owner, b, layout)
}

// build lists the resources of a network of our own.
func build(api API, elb LoadBalancerAPI, owner cloud.Owner, b *blueprints.Blueprint, layout Layout) *Network {
	n := &Network{private: map[string]*subnet{}, public: map[string]*subnet{}, inZone: map[string][]engine.Resource{}}
	n.vpc = newVPC(api, elb, owner, b.Network.CIDR)
	n.VPC = n.vpc
	gateway := newInternetGateway(api, owner, n.vpc)
	n.add(n.vpc, gateway)
	for _, z := range layout.Zones {
		n.public[z.Name] = newSubnet(api, owner, public, z.Name, z.Public, n.vpc)
		n.private[z.Name] = newSubnet(api, owner, private, z.Name, z.Private, n.vpc)
		n.add(n.public[z.Name], n.private[z.Name])
	}
	n.balancers = newLoadBalancers(api, elb, owner.Cluster, n.vpc, n.ground(gateway)...)
	n.add(n.balancers)
	publicTable := newRouteTable(api, owner, "public", n.vpc, inOrder(n.public)...)
	publicRoute := newRoute(api, publicTable, gateway)
	n.add(publicTable, publicRoute)
	n.forNodes = []engine.Resource{publicRoute}
	nats := n.addNATs(api, owner, natZones(b, layout), gateway, publicRoute)
	tables := []*routeTable{publicTable}
	for i, z := range layout.Zones {
		table := newRouteTable(api, owner, privateTable+z.Name, n.vpc, n.private[z.Name])
		out := newNoRoute(api, table)
		if len(nats) > 0 {
			out = newRoute(api, table, nats[min(i, len(nats)-1)])
		}
		tables = append(tables, table)
		n.add(table, out)
		n.inZone[z.Name] = []engine.Resource{table, out}
	}
	n.addUnwantedNATs(api, owner, b, layout)
	endpoint := newS3Endpoint(api, owner, b.Metadata.Region, n.vpc, tables)
	n.add(endpoint)
	n.forNodes = append(n.forNodes, endpoint)
	return n
}

// The choices of network.natGateways.
const (
	natSingle  = "single"
	natPerZone = "perZone"
)

// natZones lists the zones that are to have a NAT gateway.
func natZones(b *blueprints.Blueprint, layout Layout) []string {
	switch b.Network.NATGateways {
	case natPerZone:
		return layout.ZoneNames()
	case natSingle, "":
		return singleNAT(layout)
	}
	return nil
}

// singleNAT is the zone of a single NAT gateway: where there is one already, or
// the first.
func singleNAT(layout Layout) []string {
	names := layout.ZoneNames()
	for _, z := range layout.NATZones {
		if slices.Contains(names, z) {
			return []string{z}
		}
	}
	return names[:min(1, len(names))]
}

// addNATs adds the NAT gateways of these zones. One needs the internet gateway,
// and the public route: without a way out of its own it would be of no use.
func (n *Network) addNATs(api API, owner cloud.Owner, zones []string, needs ...engine.Resource) []*natGateway {
	var nats []*natGateway
	for _, zone := range zones {
		nat := newNATGateway(api, owner, zone, n.public[zone], needs, false)
		nats = append(nats, nat)
		n.add(nat)
	}
	return nats
}

// addUnwantedNATs adds the gateways that exist and are not wanted any more. They
// go once no route leads to them: they need the routes, which Up changes first.
func (n *Network) addUnwantedNATs(api API, owner cloud.Owner, b *blueprints.Blueprint, layout Layout) {
	wanted := natZones(b, layout)
	for _, zone := range layout.NATZones {
		if slices.Contains(wanted, zone) || n.public[zone] == nil {
			continue
		}
		needs := slices.Clone(n.forNodes)
		for _, z := range layout.Zones {
			needs = append(needs, n.inZone[z.Name]...)
		}
		n.add(newNATGateway(api, owner, zone, n.public[zone], needs, true))
	}
}

// ground is what load balancers stand in: all subnets, and the gateway that gives
// them public addresses.
func (n *Network) ground(gateway *internetGateway) []engine.Resource {
	ground := []engine.Resource{gateway}
	for _, s := range slices.Concat(inOrder(n.public), inOrder(n.private)) {
		ground = append(ground, s)
	}
	return ground
}

func (n *Network) add(resources ...engine.Resource) { n.resources = append(n.resources, resources...) }

// inOrder lists subnets by the names of their zones.
func inOrder(subnets map[string]*subnet) []*subnet {
	var list []*subnet
	for _, zone := range slices.Sorted(maps.Keys(subnets)) {
		list = append(list, subnets[zone])
	}
	return list
}

// Resources lists all of the network's resources, each after what it needs.
func (n *Network) Resources() []engine.Resource { return n.resources }

// ClusterNeeds is what must be in place before the control plane is made, and
// what goes only after it.
func (n *Network) ClusterNeeds() []engine.Resource {
	if n.existing != nil {
		return n.resources
	}
	needs := []engine.Resource{n.vpc, n.balancers}
	for _, s := range inOrder(n.private) {
		needs = append(needs, s)
	}
	return needs
}

// NodeNeeds is what must be in place before nodes in some zones, or in all if
// none is named: their subnets, their ways out, and the public subnets for load
// balancers.
func (n *Network) NodeNeeds(zones ...string) []engine.Resource {
	if n.existing != nil {
		return n.resources
	}
	needs := slices.Clone(n.forNodes)
	for _, s := range inOrder(n.private) {
		if len(zones) == 0 || slices.Contains(zones, s.zone) {
			needs = append(needs, s)
			needs = append(needs, n.inZone[s.zone]...)
		}
	}
	return needs
}

// VPCID is the VPC's id; empty while it does not exist.
func (n *Network) VPCID() string {
	if n.existing != nil {
		return n.existing.vpcID
	}
	return n.vpc.id
}

// ClusterSubnetIDs are the subnets for the control plane's interfaces.
func (n *Network) ClusterSubnetIDs() []string { return n.PrivateSubnetIDs() }

// PrivateSubnetIDs are the subnets for nodes in some zones, or in all if none is
// named; those that do not exist are left out. Of an existing VPC they are the
// subnets that the blueprint names.
func (n *Network) PrivateSubnetIDs(zones ...string) []string {
	if n.existing != nil {
		return n.existing.subnetsIn(zones)
	}
	var ids []string
	for _, s := range inOrder(n.private) {
		if s.id != "" && (len(zones) == 0 || slices.Contains(zones, s.zone)) {
			ids = append(ids, s.id)
		}
	}
	return ids
}
