package ec2_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/ec2"
)

func TestVPC(t *testing.T) {
	c := newCloud(t, 1000)
	for _, tt := range []struct{ cidr, code, words string }{
		{"10.0.0.0/15", "InvalidVpc.Range", "The CIDR '10.0.0.0/15' is invalid."},
		{"10.0.0.0/29", "InvalidVpc.Range", "The CIDR '10.0.0.0/29' is invalid."},
		{"10.0.0/16", "InvalidParameterValue", "Value (10.0.0/16) for parameter cidrBlock is invalid. This is not a valid CIDR block."},
	} {
		_, err := c.CreateVpc(c.ctx, &sdk.CreateVpcInput{CidrBlock: aws.String(tt.cidr)})
		awstest.Fails(t, err, 400, tt.code, tt.words)
	}
	id := c.vpc("10.42.7.9/16")
	got := awstest.Must(c.DescribeVpcs(c.ctx, &sdk.DescribeVpcsInput{Filters: []types.Filter{filter("tag:Name", "de?o"), filter("cidr", "10.42.0.0/16")}}))(t).Vpcs
	if len(got) != 1 || *got[0].VpcId != id || got[0].State != types.VpcStateAvailable || *got[0].IsDefault {
		t.Fatalf("VPCs %+v", got)
	}
	_, err := c.DescribeVpcs(c.ctx, &sdk.DescribeVpcsInput{Filters: []types.Filter{filter("vpc", id)}})
	awstest.Fails(t, err, 400, "InvalidParameterValue", "The filter 'vpc' is invalid")
	_, err = c.DescribeVpcs(c.ctx, &sdk.DescribeVpcsInput{VpcIds: []string{"vpc-0123456789abcdef0"}})
	awstest.Fails(t, err, 400, "InvalidVpcID.NotFound", "The vpc ID 'vpc-0123456789abcdef0' does not exist")
	_, err = c.ModifyVpcAttribute(c.ctx, &sdk.ModifyVpcAttributeInput{VpcId: aws.String(id), EnableDnsHostnames: &types.AttributeBooleanValue{Value: aws.Bool(true)}})
	if err != nil {
		t.Fatal(err)
	}
	attribute := awstest.Must(c.DescribeVpcAttribute(c.ctx, &sdk.DescribeVpcAttributeInput{VpcId: aws.String(id), Attribute: types.VpcAttributeNameEnableDnsHostnames}))(t)
	if !*attribute.EnableDnsHostnames.Value {
		t.Error("DNS host names are off")
	}
	tables := awstest.Must(c.DescribeRouteTables(c.ctx, &sdk.DescribeRouteTablesInput{Filters: []types.Filter{filter("vpc-id", id), filter("association.main", "true")}}))(t).RouteTables
	groups := awstest.Must(c.DescribeSecurityGroups(c.ctx, &sdk.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("vpc-id", id), filter("group-name", "default")}}))(t).SecurityGroups
	acls := awstest.Must(c.DescribeNetworkAcls(c.ctx, &sdk.DescribeNetworkAclsInput{Filters: []types.Filter{filter("vpc-id", id)}}))(t).NetworkAcls
	if len(tables) != 1 || len(groups) != 1 || len(acls) != 1 {
		t.Errorf("%d main tables, %d default groups, %d ACLs", len(tables), len(groups), len(acls))
	}
	_, err = c.DeleteVpc(c.ctx, &sdk.DeleteVpcInput{VpcId: aws.String(id), DryRun: aws.Bool(true)})
	awstest.Fails(t, err, 412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
	awstest.Must(c.DeleteVpc(c.ctx, &sdk.DeleteVpcInput{VpcId: aws.String(id)}))(t)
	if left := c.service.Inventory(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestSubnets(t *testing.T) {
	c := newCloud(t, 1000)
	vpc := c.vpc("10.0.0.0/16")
	for _, tt := range []struct{ name, cidr, zone, code, words string }{
		{"first", "10.0.0.0/24", "ap-northeast-2a", "", ""},
		{"same", "10.0.0.0/24", "ap-northeast-2b", "InvalidSubnet.Conflict", "The CIDR '10.0.0.0/24' conflicts with another subnet"},
		{"inside", "10.0.0.128/25", "ap-northeast-2b", "InvalidSubnet.Conflict", "conflicts with another subnet"},
		{"outside", "10.1.0.0/24", "ap-northeast-2b", "InvalidSubnet.Range", "The CIDR '10.1.0.0/24' is invalid."},
		{"small", "10.0.9.0/29", "ap-northeast-2b", "InvalidSubnet.Range", "The CIDR '10.0.9.0/29' is invalid."},
		{"zone", "10.0.1.0/24", "us-east-1a", "InvalidParameterValue",
			"Value (us-east-1a) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: ap-northeast-2a, ap-northeast-2b, ap-northeast-2c, ap-northeast-2d."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := c.CreateSubnet(c.ctx, &sdk.CreateSubnetInput{VpcId: aws.String(vpc), CidrBlock: aws.String(tt.cidr), AvailabilityZone: aws.String(tt.zone)})
			if tt.code != "" {
				awstest.Fails(t, err, 400, tt.code, tt.words)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	got := awstest.Must(c.DescribeSubnets(c.ctx, &sdk.DescribeSubnetsInput{}))(t).Subnets[0]
	if *got.AvailableIpAddressCount != 251 || *got.AvailabilityZoneId != "apne2-az1" {
		t.Errorf("%d addresses in %s", *got.AvailableIpAddressCount, *got.AvailabilityZoneId)
	}
	if x := awstest.Must(c.service.CreateInterface(awstest.Region, ec2.InterfaceSpec{SubnetID: *got.SubnetId, Description: "Amazon EKS demo", Owner: "eks"}))(t); x.PrivateIP != "10.0.0.4" {
		t.Errorf("first address %s", x.PrivateIP)
	}
	_, err := c.DeleteSubnet(c.ctx, &sdk.DeleteSubnetInput{SubnetId: got.SubnetId})
	awstest.Fails(t, err, 400, "DependencyViolation", "The subnet '"+*got.SubnetId+"' has dependencies and cannot be deleted.")
	_, err = c.DeleteVpc(c.ctx, &sdk.DeleteVpcInput{VpcId: aws.String(vpc)})
	awstest.Fails(t, err, 400, "DependencyViolation", "The vpc '"+vpc+"' has dependencies and cannot be deleted.")
	if _, err := c.service.Subnets(awstest.Region, []string{"subnet-0123456789abcdef0"}); err == nil || err.Error() != "InvalidSubnetID.NotFound: The subnet ID 'subnet-0123456789abcdef0' does not exist" {
		t.Errorf("error %v", err)
	}
}

// TestNATGateway walks a NAT gateway through its life, with all that it holds.
func TestNATGateway(t *testing.T) {
	c := newCloud(t, 500) // pending for 200 ms, deleting for 100 ms
	vpc := c.vpc("10.0.0.0/16")
	subnet := c.subnet(vpc, "10.0.0.0/24", "ap-northeast-2a")
	igw := c.gateway(vpc)
	_, err := c.AttachInternetGateway(c.ctx, &sdk.AttachInternetGatewayInput{InternetGatewayId: aws.String(igw), VpcId: aws.String(vpc)})
	awstest.Fails(t, err, 400, "Resource.AlreadyAssociated", "resource "+igw+" is already attached to network "+vpc)
	address := awstest.Must(c.AllocateAddress(c.ctx, &sdk.AllocateAddressInput{Domain: types.DomainTypeVpc, TagSpecifications: tagged(types.ResourceTypeElasticIp, "k", "v")}))(t)
	create := func() *sdk.CreateNatGatewayOutput {
		return awstest.Must(c.CreateNatGateway(c.ctx, &sdk.CreateNatGatewayInput{SubnetId: aws.String(subnet), AllocationId: address.AllocationId, ClientToken: aws.String("once")}))(t)
	}
	nat := create().NatGateway
	if again := create().NatGateway; *again.NatGatewayId != *nat.NatGatewayId {
		t.Error("the same client token made a second gateway")
	}
	if nat.State != types.NatGatewayStatePending {
		t.Errorf("state %s", nat.State)
	}
	table := *awstest.Must(c.CreateRouteTable(c.ctx, &sdk.CreateRouteTableInput{VpcId: aws.String(vpc)}))(t).RouteTable.RouteTableId
	route := &sdk.CreateRouteInput{RouteTableId: aws.String(table), DestinationCidrBlock: aws.String("0.0.0.0/0"), NatGatewayId: nat.NatGatewayId}
	_, err = c.CreateRoute(c.ctx, route)
	awstest.Fails(t, err, 400, "InvalidNatGatewayID.NotFound", "The natGateway ID '"+*nat.NatGatewayId+"' does not exist")
	state := func() types.NatGateway {
		return awstest.Must(c.DescribeNatGateways(c.ctx, &sdk.DescribeNatGatewaysInput{NatGatewayIds: []string{*nat.NatGatewayId}}))(t).NatGateways[0]
	}
	awstest.Eventually(t, "gateway available", func() bool { return state().State == types.NatGatewayStateAvailable })
	awstest.Must(c.CreateRoute(c.ctx, route))(t)
	_, err = c.CreateRoute(c.ctx, route)
	awstest.Fails(t, err, 400, "RouteAlreadyExists", "The route identified by 0.0.0.0/0 already exists.")

	eni := *state().NatGatewayAddresses[0].NetworkInterfaceId
	_, err = c.DeleteNetworkInterface(c.ctx, &sdk.DeleteNetworkInterfaceInput{NetworkInterfaceId: aws.String(eni)})
	awstest.Fails(t, err, 400, "InvalidParameterValue", "Network interface '"+eni+"' is currently in use.")
	_, err = c.ReleaseAddress(c.ctx, &sdk.ReleaseAddressInput{AllocationId: address.AllocationId})
	awstest.Fails(t, err, 400, "InvalidIPAddress.InUse", "Address "+*address.PublicIp+" is in use.")
	detach := &sdk.DetachInternetGatewayInput{InternetGatewayId: aws.String(igw), VpcId: aws.String(vpc)}
	_, err = c.DetachInternetGateway(c.ctx, detach)
	awstest.Fails(t, err, 400, "DependencyViolation", "Network "+vpc+" has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.")

	awstest.Must(c.DeleteNatGateway(c.ctx, &sdk.DeleteNatGatewayInput{NatGatewayId: nat.NatGatewayId}))(t)
	_, err = c.DetachInternetGateway(c.ctx, detach)
	awstest.Fails(t, err, 400, "DependencyViolation", "mapped public address(es)") // until it is deleted
	awstest.Eventually(t, "gateway deleted", func() bool { return state().State == types.NatGatewayStateDeleted })
	if got := awstest.Must(c.DescribeRouteTables(c.ctx, &sdk.DescribeRouteTablesInput{RouteTableIds: []string{table}}))(t).RouteTables[0].Routes[1]; got.State != types.RouteStateBlackhole {
		t.Errorf("route is %s", got.State)
	}
	if got := awstest.Must(c.DescribeAddresses(c.ctx, &sdk.DescribeAddressesInput{}))(t).Addresses; len(got) != 1 || got[0].AssociationId != nil {
		t.Errorf("addresses %+v", got)
	}
	awstest.Must(c.DetachInternetGateway(c.ctx, detach))(t)
	awstest.Must(c.ReleaseAddress(c.ctx, &sdk.ReleaseAddressInput{AllocationId: address.AllocationId}))(t)
	awstest.Must(c.DeleteInternetGateway(c.ctx, &sdk.DeleteInternetGatewayInput{InternetGatewayId: aws.String(igw)}))(t)
	awstest.Must(c.DeleteRouteTable(c.ctx, &sdk.DeleteRouteTableInput{RouteTableId: aws.String(table)}))(t)
	awstest.Must(c.DeleteSubnet(c.ctx, &sdk.DeleteSubnetInput{SubnetId: aws.String(subnet)}))(t)
	awstest.Must(c.DeleteVpc(c.ctx, &sdk.DeleteVpcInput{VpcId: aws.String(vpc)}))(t)
	if left := c.service.Inventory(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestNATGatewayFails(t *testing.T) {
	c := newCloud(t, 1000)
	subnet := c.subnet(c.vpc("10.0.0.0/16"), "10.0.0.0/24", "ap-northeast-2a")
	address := awstest.Must(c.AllocateAddress(c.ctx, &sdk.AllocateAddressInput{}))(t)
	nat := awstest.Must(c.CreateNatGateway(c.ctx, &sdk.CreateNatGatewayInput{SubnetId: aws.String(subnet), AllocationId: address.AllocationId}))(t).NatGateway
	awstest.Eventually(t, "gateway failed", func() bool {
		got := awstest.Must(c.DescribeNatGateways(c.ctx, &sdk.DescribeNatGatewaysInput{}))(t).NatGateways[0]
		return got.State == types.NatGatewayStateFailed && *got.FailureCode == "Gateway.NotAttached" && *got.FailureMessage == "Network "+*nat.VpcId+" has no Internet gateway attached"
	})
}

func TestQuotas(t *testing.T) {
	c := newCloud(t, 1000)
	for range 5 {
		awstest.Must(c.AllocateAddress(c.ctx, &sdk.AllocateAddressInput{}))(t)
		c.vpc("10.0.0.0/16")
	}
	_, err := c.AllocateAddress(c.ctx, &sdk.AllocateAddressInput{})
	awstest.Fails(t, err, 400, "AddressLimitExceeded", "The maximum number of addresses has been reached.")
	_, err = c.CreateVpc(c.ctx, &sdk.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	awstest.Fails(t, err, 400, "VpcLimitExceeded", "The maximum number of VPCs has been reached.")
}

func TestRouteTables(t *testing.T) {
	c := newCloud(t, 1000)
	vpc, other := c.vpc("10.0.0.0/16"), c.vpc("10.1.0.0/16")
	subnet, foreign := c.subnet(vpc, "10.0.0.0/24", "ap-northeast-2a"), c.subnet(other, "10.1.0.0/24", "ap-northeast-2a")
	igw := c.gateway(vpc)
	new := func() string {
		return *awstest.Must(c.CreateRouteTable(c.ctx, &sdk.CreateRouteTableInput{VpcId: aws.String(vpc)}))(t).RouteTable.RouteTableId
	}
	first, second := new(), new()
	associate := func(table, subnet string) (*sdk.AssociateRouteTableOutput, error) {
		return c.AssociateRouteTable(c.ctx, &sdk.AssociateRouteTableInput{RouteTableId: aws.String(table), SubnetId: aws.String(subnet)})
	}
	association := awstest.Must(associate(first, subnet))(t).AssociationId
	_, err := associate(second, subnet)
	awstest.Fails(t, err, 400, "Resource.AlreadyAssociated", "the specified association for route table "+second+" conflicts with an existing association")
	_, err = associate(second, foreign)
	awstest.Fails(t, err, 400, "InvalidParameterValue", "Route table "+second+" and subnet "+foreign+" belong to different networks")
	_, err = c.DeleteRouteTable(c.ctx, &sdk.DeleteRouteTableInput{RouteTableId: aws.String(first)})
	awstest.Fails(t, err, 400, "DependencyViolation", "The routeTable '"+first+"' has dependencies and cannot be deleted.")
	_, err = c.CreateRoute(c.ctx, &sdk.CreateRouteInput{RouteTableId: aws.String(first), DestinationCidrBlock: aws.String("10.0.1.0/24"), GatewayId: aws.String(igw)})
	awstest.Fails(t, err, 400, "InvalidParameterValue", "equal to or more specific than one of this VPC's CIDR blocks")
	awstest.Must(c.CreateRoute(c.ctx, &sdk.CreateRouteInput{RouteTableId: aws.String(first), DestinationCidrBlock: aws.String("0.0.0.0/0"), GatewayId: aws.String(igw)}))(t)
	if sn := awstest.Must(c.service.Subnets(awstest.Region, []string{subnet}))(t)[0]; !sn.Public {
		t.Error("the subnet is not public")
	}
	_, err = c.DeleteRoute(c.ctx, &sdk.DeleteRouteInput{RouteTableId: aws.String(second), DestinationCidrBlock: aws.String("0.0.0.0/0")})
	awstest.Fails(t, err, 400, "InvalidRoute.NotFound", "no route with destination-cidr-block 0.0.0.0/0 in route table "+second)
	awstest.Must(c.DisassociateRouteTable(c.ctx, &sdk.DisassociateRouteTableInput{AssociationId: association}))(t)
	awstest.Must(c.DeleteRouteTable(c.ctx, &sdk.DeleteRouteTableInput{RouteTableId: aws.String(first)}))(t)
}

func TestGatewayEndpoint(t *testing.T) {
	c := newCloud(t, 1000)
	vpc := c.vpc("10.0.0.0/16")
	table := *awstest.Must(c.CreateRouteTable(c.ctx, &sdk.CreateRouteTableInput{VpcId: aws.String(vpc)}))(t).RouteTable.RouteTableId
	in := &sdk.CreateVpcEndpointInput{VpcId: aws.String(vpc), ServiceName: aws.String("com.amazonaws.ap-northeast-2.s3"), RouteTableIds: []string{table}}
	id := awstest.Must(c.CreateVpcEndpoint(c.ctx, in))(t).VpcEndpoint.VpcEndpointId
	_, err := c.CreateVpcEndpoint(c.ctx, in)
	awstest.Fails(t, err, 400, "RouteAlreadyExists", "route table "+table+" already has a route with destination-prefix-list-id pl-78a54011")
	_, err = c.CreateVpcEndpoint(c.ctx, &sdk.CreateVpcEndpointInput{VpcId: aws.String(vpc), ServiceName: aws.String("com.amazonaws.us-east-1.s3")})
	awstest.Fails(t, err, 400, "InvalidServiceName", "The Vpc Endpoint Service 'com.amazonaws.us-east-1.s3' does not exist")
	routes := awstest.Must(c.DescribeRouteTables(c.ctx, &sdk.DescribeRouteTablesInput{RouteTableIds: []string{table}}))(t).RouteTables[0].Routes
	if len(routes) != 2 || *routes[1].DestinationPrefixListId != "pl-78a54011" || *routes[1].GatewayId != *id {
		t.Errorf("routes %+v", routes)
	}
	out := awstest.Must(c.DeleteVpcEndpoints(c.ctx, &sdk.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*id, "vpce-0123456789abcdef0"}}))(t)
	if len(out.Unsuccessful) != 1 || *out.Unsuccessful[0].Error.Code != "InvalidVpcEndpointId.NotFound" {
		t.Errorf("unsuccessful %+v", out.Unsuccessful)
	}
	if routes = awstest.Must(c.DescribeRouteTables(c.ctx, &sdk.DescribeRouteTablesInput{RouteTableIds: []string{table}}))(t).RouteTables[0].Routes; len(routes) != 1 {
		t.Errorf("routes %+v", routes)
	}
}

func TestSecurityGroups(t *testing.T) {
	c := newCloud(t, 1000)
	vpc := c.vpc("10.0.0.0/16")
	subnet := c.subnet(vpc, "10.0.0.0/24", "ap-northeast-2a")
	create := func(name string) (*sdk.CreateSecurityGroupOutput, error) {
		return c.CreateSecurityGroup(c.ctx, &sdk.CreateSecurityGroupInput{VpcId: aws.String(vpc), GroupName: aws.String(name), Description: aws.String("d")})
	}
	a, b := *awstest.Must(create("a"))(t).GroupId, *awstest.Must(create("b"))(t).GroupId
	_, err := create("a")
	awstest.Fails(t, err, 400, "InvalidGroup.Duplicate", "The security group 'a' already exists for VPC '"+vpc+"'")
	_, err = create("sg-x")
	awstest.Fails(t, err, 400, "InvalidParameterValue", "Group names may not be in the format sg-*")
	from := func(peer string) []types.IpPermission {
		return []types.IpPermission{{IpProtocol: aws.String("-1"), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: aws.String(peer)}}}}
	}
	in := &sdk.AuthorizeSecurityGroupIngressInput{GroupId: aws.String(b), IpPermissions: from(a)}
	awstest.Must(c.AuthorizeSecurityGroupIngress(c.ctx, in))(t)
	_, err = c.AuthorizeSecurityGroupIngress(c.ctx, in)
	awstest.Fails(t, err, 400, "InvalidPermission.Duplicate", `the specified rule "peer: `+a+`, ALL, ALLOW" already exists`)
	awstest.Must(c.AuthorizeSecurityGroupIngress(c.ctx, &sdk.AuthorizeSecurityGroupIngressInput{GroupId: aws.String(a), IpPermissions: from(a)}))(t)
	awstest.Must(c.AuthorizeSecurityGroupEgress(c.ctx, &sdk.AuthorizeSecurityGroupEgressInput{GroupId: aws.String(a), IpPermissions: from(a)}))(t)
	remove := func(id string) error {
		_, err := c.DeleteSecurityGroup(c.ctx, &sdk.DeleteSecurityGroupInput{GroupId: aws.String(id)})
		return err
	}
	awstest.Fails(t, remove(a), 400, "DependencyViolation", "resource "+a+" has a dependent object") // a rule of b
	revoke := &sdk.RevokeSecurityGroupIngressInput{GroupId: aws.String(b), IpPermissions: from(a)}
	awstest.Must(c.RevokeSecurityGroupIngress(c.ctx, revoke))(t)
	_, err = c.RevokeSecurityGroupIngress(c.ctx, revoke)
	awstest.Fails(t, err, 400, "InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
	eni := awstest.Must(c.CreateNetworkInterface(c.ctx, &sdk.CreateNetworkInterfaceInput{SubnetId: aws.String(subnet), Groups: []string{a}}))(t).NetworkInterface
	awstest.Fails(t, remove(a), 400, "DependencyViolation", "resource "+a+" has a dependent object") // an interface
	awstest.Must(c.DeleteNetworkInterface(c.ctx, &sdk.DeleteNetworkInterfaceInput{NetworkInterfaceId: eni.NetworkInterfaceId}))(t)
	if err := remove(a); err != nil { // its own rules do not hold it
		t.Error(err)
	}
	awstest.Fails(t, remove(a), 400, "InvalidGroup.NotFound", "The security group '"+a+"' does not exist")
	group := awstest.Must(c.DescribeSecurityGroups(c.ctx, &sdk.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("group-name", "default")}}))(t).SecurityGroups[0]
	awstest.Fails(t, remove(*group.GroupId), 400, "CannotDelete", "cannot be deleted by a user")
}

func TestTags(t *testing.T) {
	c := newCloud(t, 1000)
	vpc := c.vpc("10.0.0.0/16")
	create := func(id, key string) error {
		_, err := c.CreateTags(c.ctx, &sdk.CreateTagsInput{Resources: []string{id}, Tags: []types.Tag{{Key: aws.String(key), Value: aws.String("v")}}})
		return err
	}
	if err := create(vpc, "aicluster/cluster"); err != nil {
		t.Fatal(err)
	}
	awstest.Fails(t, create(vpc, "aws:x"), 400, "InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
	awstest.Fails(t, create("subnet-0123456789abcdef0", "k"), 400, "InvalidSubnetID.NotFound", "does not exist")
	awstest.Fails(t, create("nothing", "k"), 400, "InvalidID", "The ID 'nothing' is not valid")
	_, err := c.CreateVpc(c.ctx, &sdk.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), TagSpecifications: tagged(types.ResourceTypeSubnet, "k", "v")})
	awstest.Fails(t, err, 400, "InvalidParameterValue", "'subnet' is not a valid taggable resource type for this operation.")
	var keys []string
	p := sdk.NewDescribeTagsPaginator(c, &sdk.DescribeTagsInput{Filters: []types.Filter{filter("resource-id", vpc)}})
	for p.HasMorePages() {
		for _, tag := range awstest.Must(p.NextPage(c.ctx))(t).Tags {
			keys = append(keys, *tag.Key)
		}
	}
	if strings.Join(keys, " ") != "Name aicluster/cluster" {
		t.Errorf("keys %v", keys)
	}
	awstest.Must(c.DeleteTags(c.ctx, &sdk.DeleteTagsInput{Resources: []string{vpc}, Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String("other")}, {Key: aws.String("aicluster/cluster")}}}))(t)
	got := awstest.Must(c.DescribeVpcs(c.ctx, &sdk.DescribeVpcsInput{}))(t).Vpcs[0].Tags
	if len(got) != 1 || *got[0].Key != "Name" {
		t.Errorf("tags %v", got)
	}
}
