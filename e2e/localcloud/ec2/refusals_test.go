package ec2_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/ec2"
)

// refusal is a call that EC2 refuses.
type refusal struct {
	name   string
	call   func() error
	status int
	code   string
	words  string
}

func refuse(t *testing.T, list []refusal) {
	t.Helper()
	for _, tt := range list {
		t.Run(tt.name, func(t *testing.T) { awstest.Fails(t, tt.call(), tt.status, tt.code, tt.words) })
	}
}

// network is a VPC with a subnet, and one of somebody else.
type network struct {
	*cloud
	vpc, subnet, other, table, group, igw string
}

func newNetwork(t *testing.T) network {
	n := network{cloud: newCloud(t, 1000)}
	n.vpc, n.other = n.cloud.vpc("10.0.0.0/16"), n.cloud.vpc("10.1.0.0/16")
	n.subnet = n.cloud.subnet(n.vpc, "10.0.0.0/24", "ap-northeast-2a")
	n.igw = n.gateway(n.vpc)
	n.table = *awstest.Must(n.CreateRouteTable(n.ctx, &sdk.CreateRouteTableInput{VpcId: &n.vpc}))(t).RouteTable.RouteTableId
	n.group = *awstest.Must(n.CreateSecurityGroup(n.ctx, &sdk.CreateSecurityGroupInput{VpcId: &n.vpc, GroupName: aws.String("nodes"), Description: aws.String("nodes")}))(t).GroupId
	return n
}

// TestRefusedNetwork is what EC2 refuses about networks; TestVPC, TestSubnets,
// TestRouteTables and others have more, in their order.
func TestRefusedNetwork(t *testing.T) {
	c := newNetwork(t)
	groupNamed := func(name, description string) func() error {
		return func() error {
			_, err := c.CreateSecurityGroup(c.ctx, &sdk.CreateSecurityGroupInput{VpcId: &c.vpc, GroupName: &name, Description: &description})
			return err
		}
	}
	ingress := func(p types.IpPermission) func() error {
		return func() error {
			_, err := c.AuthorizeSecurityGroupIngress(c.ctx, &sdk.AuthorizeSecurityGroupIngressInput{GroupId: &c.group, IpPermissions: []types.IpPermission{p}})
			return err
		}
	}
	from := func(cidr, description string) []types.IpRange {
		return []types.IpRange{{CidrIp: &cidr, Description: &description}}
	}
	route := func(in sdk.CreateRouteInput) func() error {
		return func() error {
			in.RouteTableId = &c.table
			_, err := c.CreateRoute(c.ctx, &in)
			return err
		}
	}
	otherGateway := awstest.Must(c.CreateInternetGateway(c.ctx, &sdk.CreateInternetGatewayInput{}))(t).InternetGateway.InternetGatewayId
	endpoint := func(change func(*sdk.CreateVpcEndpointInput)) func() error {
		return func() error {
			in := &sdk.CreateVpcEndpointInput{VpcId: &c.vpc, ServiceName: aws.String("com.amazonaws.ap-northeast-2.s3"), RouteTableIds: []string{c.table}}
			change(in)
			_, err := c.CreateVpcEndpoint(c.ctx, in)
			return err
		}
	}
	const anywhere = "0.0.0.0/0"
	refuse(t, []refusal{
		{"VPC without a block", func() error { _, err := c.CreateVpc(c.ctx, &sdk.CreateVpcInput{}); return err }, 400, "MissingParameter", "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided."},
		{"two attributes at once", func() error {
			on := &types.AttributeBooleanValue{Value: aws.Bool(true)}
			_, err := c.ModifyVpcAttribute(c.ctx, &sdk.ModifyVpcAttributeInput{VpcId: &c.vpc, EnableDnsSupport: on, EnableDnsHostnames: on})
			return err
		}, 400, "InvalidParameterCombination", "Fields for multiple attribute types specified: enableDnsHostnames, enableDnsSupport"},
		{"overlapping second block", func() error {
			_, err := c.AssociateVpcCidrBlock(c.ctx, &sdk.AssociateVpcCidrBlockInput{VpcId: &c.vpc, CidrBlock: aws.String("10.0.128.0/17")})
			return err
		}, 400, "InvalidVpc.Conflict", "The CIDR '10.0.128.0/17' conflicts with another CIDR of the VPC"},
		{"a VPC with things in it", func() error {
			_, err := c.DeleteVpc(c.ctx, &sdk.DeleteVpcInput{VpcId: &c.vpc})
			return err
		}, 400, "DependencyViolation", "The vpc '" + c.vpc + "' has dependencies and cannot be deleted."},
		{"malformed id", func() error {
			_, err := c.DeleteVpc(c.ctx, &sdk.DeleteVpcInput{VpcId: aws.String("vpc-xyz")})
			return err
		}, 400, "InvalidVpcID.Malformed", `Invalid id: "vpc-xyz"`},
		{"subnet in two ways of naming a zone", func() error {
			_, err := c.CreateSubnet(c.ctx, &sdk.CreateSubnetInput{VpcId: &c.vpc, CidrBlock: aws.String("10.0.9.0/24"), AvailabilityZone: aws.String("ap-northeast-2a"), AvailabilityZoneId: aws.String("apne2-az1")})
			return err
		}, 400, "InvalidParameterCombination", "You cannot specify both the parameter availabilityZone and the parameter availabilityZoneId."},
		{"attached gateway", func() error {
			_, err := c.DeleteInternetGateway(c.ctx, &sdk.DeleteInternetGatewayInput{InternetGatewayId: &c.igw})
			return err
		}, 400, "DependencyViolation", "The internetGateway '" + c.igw + "' has dependencies and cannot be deleted."},
		{"second gateway", func() error {
			_, err := c.AttachInternetGateway(c.ctx, &sdk.AttachInternetGatewayInput{InternetGatewayId: otherGateway, VpcId: &c.vpc})
			return err
		}, 400, "InvalidParameterValue", "Network " + c.vpc + " already has an internet gateway attached"},
		{"gateway of another VPC detached", func() error {
			_, err := c.DetachInternetGateway(c.ctx, &sdk.DetachInternetGatewayInput{InternetGatewayId: otherGateway, VpcId: &c.vpc})
			return err
		}, 400, "Gateway.NotAttached", "resource " + *otherGateway + " is not attached to network " + c.vpc},
		{"route without a target", route(sdk.CreateRouteInput{DestinationCidrBlock: aws.String(anywhere)}), 400, "MissingParameter", "The request must contain exactly one of gatewayId, natGatewayId"},
		{"route without a destination", route(sdk.CreateRouteInput{GatewayId: &c.igw}), 400, "MissingParameter", "The request must contain the parameter destinationCidrBlock"},
		{"route to two targets", route(sdk.CreateRouteInput{DestinationCidrBlock: aws.String(anywhere), GatewayId: &c.igw, NatGatewayId: aws.String("nat-0123456789abcdef0")}), 400, "InvalidParameterCombination", "two route targets"},
		{"route to a gateway of no VPC", route(sdk.CreateRouteInput{DestinationCidrBlock: aws.String(anywhere), GatewayId: otherGateway}), 400, "InvalidParameterValue", "route table " + c.table + " and network gateway " + *otherGateway + " belong to different networks"},
		{"route for the VPC itself", route(sdk.CreateRouteInput{DestinationCidrBlock: aws.String("10.0.0.0/16"), GatewayId: &c.igw}), 400, "RouteAlreadyExists", "The route identified by 10.0.0.0/16 already exists."},
		{"route inside the VPC", route(sdk.CreateRouteInput{DestinationCidrBlock: aws.String("10.0.1.0/24"), GatewayId: &c.igw}), 400, "InvalidParameterValue", "is equal to or more specific than one of this VPC's CIDR blocks"},
		{"no such route", func() error {
			_, err := c.DeleteRoute(c.ctx, &sdk.DeleteRouteInput{RouteTableId: &c.table, DestinationCidrBlock: aws.String(anywhere)})
			return err
		}, 400, "InvalidRoute.NotFound", "no route with destination-cidr-block 0.0.0.0/0 in route table " + c.table},
		{"table of another VPC", func() error {
			table := awstest.Must(c.CreateRouteTable(c.ctx, &sdk.CreateRouteTableInput{VpcId: &c.other}))(t).RouteTable.RouteTableId
			_, err := c.AssociateRouteTable(c.ctx, &sdk.AssociateRouteTableInput{RouteTableId: table, SubnetId: &c.subnet})
			return err
		}, 400, "InvalidParameterValue", "belong to different networks"},
		{"NAT gateway without an address", func() error {
			_, err := c.CreateNatGateway(c.ctx, &sdk.CreateNatGatewayInput{SubnetId: &c.subnet})
			return err
		}, 400, "MissingParameter", "The request must include the AllocationId parameter."},
		{"NAT gateway that is private, with an address", func() error {
			_, err := c.CreateNatGateway(c.ctx, &sdk.CreateNatGatewayInput{SubnetId: &c.subnet, ConnectivityType: types.ConnectivityTypePrivate, AllocationId: aws.String("eipalloc-0123456789abcdef0")})
			return err
		}, 400, "InvalidParameterCombination", "private NAT gateways"},
		{"group named like an id", groupNamed("sg-1", "d"), 400, "InvalidParameterValue", "Group names may not be in the format sg-*"},
		{"group named default", groupNamed("default", "d"), 400, "InvalidParameterValue", "Cannot use reserved security group name: default"},
		{"group of the same name", groupNamed("nodes", "d"), 400, "InvalidGroup.Duplicate", "The security group 'nodes' already exists for VPC '" + c.vpc + "'"},
		{"group description", groupNamed("new", "the cluster's"), 400, "InvalidParameterValue", "Invalid security group description. Valid descriptions are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"},
		{"rule description", ingress(types.IpPermission{IpProtocol: aws.String("-1"), IpRanges: from("10.0.0.0/8", "the cluster's")}), 400, "InvalidParameterValue", "Invalid rule description. Valid descriptions are strings less than 256 characters"},
		{"rule without ports", ingress(types.IpPermission{IpProtocol: aws.String("tcp"), IpRanges: from("10.0.0.0/8", "")}), 400, "InvalidParameterValue", "Must specify both from and to ports with TCP/UDP."},
		{"rule with ports in the wrong order", ingress(types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(90), ToPort: aws.Int32(80), IpRanges: from("10.0.0.0/8", "")}), 400, "InvalidParameterValue", "Invalid TCP/UDP port range (90:80)"},
		{"rule without a source", ingress(types.IpPermission{IpProtocol: aws.String("-1")}), 400, "MissingParameter", "include source security group or CIDR information"},
		{"rule with a bad block", ingress(types.IpPermission{IpProtocol: aws.String("-1"), IpRanges: from("10.0.0/8", "")}), 400, "InvalidParameterValue", "CIDR block 10.0.0/8 is malformed"},
		{"rule from a group of another VPC", func() error {
			g := awstest.Must(c.CreateSecurityGroup(c.ctx, &sdk.CreateSecurityGroupInput{VpcId: &c.other, GroupName: aws.String("far"), Description: aws.String("far")}))(t).GroupId
			return ingress(types.IpPermission{IpProtocol: aws.String("-1"), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: g}}})()
		}, 400, "InvalidGroup.NotFound", "different networks"},
		{"endpoint of no service", endpoint(func(in *sdk.CreateVpcEndpointInput) { in.ServiceName = aws.String("com.amazonaws.ap-northeast-2.nope") }), 400, "InvalidServiceName", "The Vpc Endpoint Service 'com.amazonaws.ap-northeast-2.nope' does not exist"},
		{"endpoint of the wrong type", endpoint(func(in *sdk.CreateVpcEndpointInput) {
			in.ServiceName, in.VpcEndpointType = aws.String("com.amazonaws.ap-northeast-2.ec2"), types.VpcEndpointTypeGateway
		}), 400, "InvalidParameter", "Endpoint type (Gateway) does not match available service types ([Interface])."},
		{"endpoint policy", endpoint(func(in *sdk.CreateVpcEndpointInput) { in.PolicyDocument = aws.String("{") }), 400, "InvalidPolicyDocument", "Invalid policy document"},
		{"endpoint with private DNS in a VPC without host names", endpoint(func(in *sdk.CreateVpcEndpointInput) {
			in.ServiceName, in.VpcEndpointType, in.RouteTableIds, in.SubnetIds = aws.String("com.amazonaws.ap-northeast-2.ec2"), types.VpcEndpointTypeInterface, nil, []string{c.subnet}
		}), 400, "InvalidParameter", "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for " + c.vpc},
	})
	// Host bits in a rule's block are no error: EC2 takes them out.
	if err := ingress(types.IpPermission{IpProtocol: aws.String("-1"), IpRanges: from("100.68.0.18/18", "")})(); err != nil {
		t.Fatal(err)
	}
	awstest.Fails(t, ingress(types.IpPermission{IpProtocol: aws.String("-1"), IpRanges: from("100.68.0.0/18", "")})(), 400, "InvalidPermission.Duplicate", "peer: 100.68.0.0/18")
}

// TestRefusedLaunch is what EC2 refuses about launch templates, instances and
// their disks.
func TestRefusedLaunch(t *testing.T) {
	c := newNetwork(t)
	image := c.image()
	template := func(name string, data types.RequestLaunchTemplateData) func() error {
		return func() error {
			_, err := c.CreateLaunchTemplate(c.ctx, &sdk.CreateLaunchTemplateInput{LaunchTemplateName: &name, LaunchTemplateData: &data})
			return err
		}
	}
	run := func(change func(*sdk.RunInstancesInput)) func() error {
		return func() error {
			in := &sdk.RunInstancesInput{MinCount: aws.Int32(1), MaxCount: aws.Int32(1), ImageId: &image, InstanceType: types.InstanceTypeM6iLarge, SubnetId: &c.subnet}
			change(in)
			_, err := c.RunInstances(c.ctx, in)
			return err
		}
	}
	disk := func(device string, ebs types.EbsBlockDevice) func() error {
		return run(func(in *sdk.RunInstancesInput) {
			in.BlockDeviceMappings = []types.BlockDeviceMapping{{DeviceName: &device, Ebs: &ebs}}
		})
	}
	nics := func(specs ...types.InstanceNetworkInterfaceSpecification) func() error {
		return run(func(in *sdk.RunInstancesInput) {
			specs[0].SubnetId, in.SubnetId, in.NetworkInterfaces = &c.subnet, nil, specs
		})
	}
	target := &types.CapacityReservationTarget{CapacityReservationId: aws.String("cr-0123456789abcdef0")}
	big := base64.StdEncoding.EncodeToString(make([]byte, 16385))
	const root = "/dev/xvda"
	refuse(t, []refusal{
		{"template name", template("a b", types.RequestLaunchTemplateData{ImageId: &image}), 400, "InvalidLaunchTemplateName.MalformedException", "between 3 and 128 characters"},
		{"template's user data", template("abc", types.RequestLaunchTemplateData{UserData: aws.String("#!/bin/sh")}), 400, "InvalidUserData.Malformed", "Invalid BASE64 encoding of user data."},
		{"template's long user data", template("abc", types.RequestLaunchTemplateData{UserData: &big}), 400, "InvalidParameterValue", "User data is limited to 16384 bytes"},
		{"template with interfaces and groups", template("abc", types.RequestLaunchTemplateData{SecurityGroupIds: []string{c.group}, NetworkInterfaces: []types.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{{DeviceIndex: aws.Int32(0)}}}),
			400, "InvalidParameterCombination", "Network interfaces and an instance-level security groups may not be specified on the same request"},
		{"template with type and requirements", template("abc", types.RequestLaunchTemplateData{InstanceType: types.InstanceTypeM6iLarge, InstanceRequirements: &types.InstanceRequirementsRequest{
			VCpuCount: &types.VCpuCountRangeRequest{Min: aws.Int32(1)}, MemoryMiB: &types.MemoryMiBRequest{Min: aws.Int32(1)}}}), 400, "InvalidParameterCombination", "InstanceType and InstanceRequirements"},
		{"template with a profile named twice", template("abc", types.RequestLaunchTemplateData{IamInstanceProfile: &types.LaunchTemplateIamInstanceProfileSpecificationRequest{Name: aws.String("p"), Arn: aws.String("arn:aws:iam::111122223333:instance-profile/p")}}),
			400, "InvalidParameterCombination", "'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'"},
		{"template that tags what instances do not bring", template("abc", types.RequestLaunchTemplateData{TagSpecifications: []types.LaunchTemplateTagSpecificationRequest{{ResourceType: types.ResourceTypeSubnet, Tags: []types.Tag{{Key: aws.String("k")}}}}}),
			400, "InvalidParameterValue", "'subnet' is not a valid taggable resource type for this operation."},
		{"counts", run(func(in *sdk.RunInstancesInput) { in.MinCount = aws.Int32(2) }), 400, "InvalidParameterValue", "MinCount"},
		{"no image", run(func(in *sdk.RunInstancesInput) { in.ImageId = nil }), 400, "MissingParameter", "The request must contain the parameter ImageId"},
		{"type that does not exist", run(func(in *sdk.RunInstancesInput) { in.InstanceType = "p9.huge" }), 400, "InvalidParameterValue", "Invalid value 'p9.huge' for InstanceType."},
		{"type of another architecture", run(func(in *sdk.RunInstancesInput) { in.InstanceType = "m7g.2xlarge" }), 400, "InvalidParameterValue", "The architecture 'arm64' of the specified instance type does not match the architecture 'x86_64' of the specified AMI."},
		{"no subnet", run(func(in *sdk.RunInstancesInput) { in.SubnetId = nil }), 400, "MissingInput", "No subnets found for the default VPC"},
		{"template by id and name", run(func(in *sdk.RunInstancesInput) {
			in.LaunchTemplate = &types.LaunchTemplateSpecification{LaunchTemplateId: aws.String("lt-1"), LaunchTemplateName: aws.String("n")}
		}), 400, "InvalidParameterCombination", "The parameters LaunchTemplateId and LaunchTemplateName cannot be used together."},
		{"six groups", run(func(in *sdk.RunInstancesInput) {
			in.SecurityGroupIds = strings.Split(strings.Repeat(c.group+" ", 6), " ")[:6]
		}), 400, "SecurityGroupsPerInterfaceLimitExceeded", "The maximum number of security groups per interface has been reached."},
		{"group of another VPC", run(func(in *sdk.RunInstancesInput) {
			g := awstest.Must(c.CreateSecurityGroup(c.ctx, &sdk.CreateSecurityGroupInput{VpcId: &c.other, GroupName: aws.String("far"), Description: aws.String("far")}))(t).GroupId
			in.SecurityGroupIds = []string{*g}
		}), 400, "InvalidParameter", "belong to different networks"},
		{"profile that does not exist", run(func(in *sdk.RunInstancesInput) {
			in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: aws.String("nope")}
		}), 400, "InvalidParameterValue", "Value (nope) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"},
		{"hop limit", run(func(in *sdk.RunInstancesInput) {
			in.MetadataOptions = &types.InstanceMetadataOptionsRequest{HttpPutResponseHopLimit: aws.Int32(65)}
		}), 400, "InvalidParameterValue", "between 1 and 64"},
		{"interface without an index", nics(types.InstanceNetworkInterfaceSpecification{}), 400, "InvalidParameterCombination", "Each network interface requires a device index."},
		{"two interfaces of one index", nics(types.InstanceNetworkInterfaceSpecification{DeviceIndex: aws.Int32(0)}, types.InstanceNetworkInterfaceSpecification{DeviceIndex: aws.Int32(0)}), 400, "InvalidParameterCombination", "unique device index"},
		{"public address with two interfaces", nics(types.InstanceNetworkInterfaceSpecification{DeviceIndex: aws.Int32(0), AssociatePublicIpAddress: aws.Bool(true)}, types.InstanceNetworkInterfaceSpecification{DeviceIndex: aws.Int32(1)}),
			400, "InvalidParameterCombination", "The associatePublicIPAddress parameter cannot be specified when launching with multiple network interfaces."},
		{"EFA on a type without", nics(types.InstanceNetworkInterfaceSpecification{DeviceIndex: aws.Int32(0), InterfaceType: aws.String("efa")}), 400, "InvalidParameterCombination", "EFA interfaces are not supported on m6i.large"},
		{"disk smaller than the image", disk(root, types.EbsBlockDevice{VolumeSize: aws.Int32(8)}), 400, "InvalidBlockDeviceMapping", "Volume of size 8GB is smaller than snapshot 'snap-"},
		{"second disk without a size", disk("/dev/sdf", types.EbsBlockDevice{VolumeType: types.VolumeTypeGp3}), 400, "InvalidBlockDeviceMapping", "'/dev/sdf' needs a volume size or a snapshot"},
		{"disk that is too large", disk(root, types.EbsBlockDevice{VolumeType: types.VolumeTypeGp3, VolumeSize: aws.Int32(70000)}), 400, "InvalidParameterValue", "maximum is 65536GiB"},
		{"iops of gp2", disk(root, types.EbsBlockDevice{VolumeType: types.VolumeTypeGp2, VolumeSize: aws.Int32(50), Iops: aws.Int32(3000)}), 400, "InvalidParameterCombination", "The parameter iops is not supported for gp2 volumes."},
		{"throughput of io2", disk(root, types.EbsBlockDevice{VolumeType: types.VolumeTypeIo2, VolumeSize: aws.Int32(50), Iops: aws.Int32(3000), Throughput: aws.Int32(125)}), 400, "InvalidParameterCombination", "The parameter throughput is not supported for io2 volumes."},
		{"io2 without iops", disk(root, types.EbsBlockDevice{VolumeType: types.VolumeTypeIo2, VolumeSize: aws.Int32(50)}), 400, "MissingParameter", "iops"},
		{"few iops of gp3", disk(root, types.EbsBlockDevice{VolumeType: types.VolumeTypeGp3, VolumeSize: aws.Int32(50), Iops: aws.Int32(2999)}), 400, "InvalidParameterValue", "Volume iops of 2999 is too low; minimum is 3000."},
		{"many iops of gp3", disk(root, types.EbsBlockDevice{VolumeType: types.VolumeTypeGp3, VolumeSize: aws.Int32(500), Iops: aws.Int32(80001)}), 400, "InvalidParameterValue", "Volume iops of 80001 is too high; maximum is 80000."},
		{"many iops of a small gp3", disk(root, types.EbsBlockDevice{VolumeType: types.VolumeTypeGp3, VolumeSize: aws.Int32(20), Iops: aws.Int32(16000)}), 400, "InvalidParameterValue", "Iops to volume size ratio of 800.000000 is too high; maximum is 500"},
		{"throughput of gp3", disk(root, types.EbsBlockDevice{VolumeType: types.VolumeTypeGp3, VolumeSize: aws.Int32(50), Throughput: aws.Int32(1000)}), 400, "InvalidParameterValue", "Throughput (MiBps) to iops ratio of 0.333333 is too high"},
		{"volume of too many iops", func() error {
			_, err := c.CreateVolume(c.ctx, &sdk.CreateVolumeInput{AvailabilityZone: aws.String("ap-northeast-2a"), Size: aws.Int32(10), VolumeType: types.VolumeTypeGp3, Iops: aws.Int32(6000)})
			return err
		}, 400, "InvalidParameterValue", "Iops to volume size ratio of 600.000000 is too high; maximum is 500"},
		{"spot in a reservation", run(func(in *sdk.RunInstancesInput) {
			in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot}
			in.CapacityReservationSpecification = &types.CapacityReservationSpecification{CapacityReservationTarget: target}
		}), 400, "InvalidParameterCombination", "Spot Instances"},
		{"reservation by preference and target", run(func(in *sdk.RunInstancesInput) {
			in.CapacityReservationSpecification = &types.CapacityReservationSpecification{CapacityReservationPreference: types.CapacityReservationPreferenceOpen, CapacityReservationTarget: target}
		}), 400, "InvalidParameterCombination", "cannot be used together"},
		{"reservation that does not exist", run(func(in *sdk.RunInstancesInput) {
			in.CapacityReservationSpecification = &types.CapacityReservationSpecification{CapacityReservationTarget: target}
		}), 400, "InvalidCapacityReservationId.NotFound", "The capacity reservation ID 'cr-0123456789abcdef0' does not exist"},
		{"capacity block without its reservation", run(func(in *sdk.RunInstancesInput) {
			in.InstanceType = "p5.48xlarge"
			in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeCapacityBlock}
		}), 400, "InvalidParameterCombination", "requires a capacity reservation target"},
		{"a page of named instances", func() error {
			_, err := c.DescribeInstances(c.ctx, &sdk.DescribeInstancesInput{InstanceIds: []string{"i-0123456789abcdef0"}, MaxResults: aws.Int32(5)})
			return err
		}, 400, "InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults"},
		{"a page that is too small", func() error {
			_, err := c.DescribeVpcs(c.ctx, &sdk.DescribeVpcsInput{MaxResults: aws.Int32(1)})
			return err
		}, 400, "InvalidParameterValue", "5"},
		{"a token of another call", func() error {
			_, err := c.DescribeVpcs(c.ctx, &sdk.DescribeVpcsInput{NextToken: aws.String("abc")})
			return err
		}, 400, "InvalidNextToken", "The specified token is not valid."},
		{"several instances that do not exist", func() error {
			_, err := c.TerminateInstances(c.ctx, &sdk.TerminateInstancesInput{InstanceIds: []string{"i-0123456789abcdef0", "i-0123456789abcdef1"}})
			return err
		}, 400, "InvalidInstanceID.NotFound", "The instance IDs 'i-0123456789abcdef0, i-0123456789abcdef1' do not exist"},
		{"dry run", run(func(in *sdk.RunInstancesInput) { in.DryRun = aws.Bool(true) }), 412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."},
		{"dry run that would fail", run(func(in *sdk.RunInstancesInput) { in.DryRun, in.InstanceType = aws.Bool(true), "p9.huge" }), 400, "InvalidParameterValue", "Invalid value 'p9.huge' for InstanceType."},
	})
	if list := c.service.Instances(awstest.Region, func(ec2.Instance) bool { return true }); len(list) > 0 {
		t.Errorf("instances were started: %+v", list)
	}
}

// TestRefusedTokens: for each operation with a client token, the same request
// gives the same resource, another one is refused, and so is the token of what is
// gone.
func TestRefusedTokens(t *testing.T) {
	c := newNetwork(t)
	image := c.image()
	address := awstest.Must(c.AllocateAddress(c.ctx, &sdk.AllocateAddressInput{}))(t).AllocationId
	other := c.cloud.subnet(c.vpc, "10.0.1.0/24", "ap-northeast-2b")
	pick := func(first bool, a, b string) *string {
		if first {
			return &a
		}
		return &b
	}
	for _, tt := range []struct {
		name   string
		create func(first bool, token *string) (*string, error)
		remove func(id *string) error
	}{
		{"CreateRouteTable", func(first bool, token *string) (*string, error) {
			out, err := c.CreateRouteTable(c.ctx, &sdk.CreateRouteTableInput{VpcId: pick(first, c.vpc, c.other), ClientToken: token})
			if err != nil {
				return nil, err
			}
			return out.RouteTable.RouteTableId, nil
		}, func(id *string) error {
			_, err := c.DeleteRouteTable(c.ctx, &sdk.DeleteRouteTableInput{RouteTableId: id})
			return err
		}},
		{"CreateVpcEndpoint", func(first bool, token *string) (*string, error) {
			out, err := c.CreateVpcEndpoint(c.ctx, &sdk.CreateVpcEndpointInput{VpcId: pick(first, c.vpc, c.other), ServiceName: aws.String("com.amazonaws.ap-northeast-2.s3"), ClientToken: token})
			if err != nil {
				return nil, err
			}
			return out.VpcEndpoint.VpcEndpointId, nil
		}, func(id *string) error {
			_, err := c.DeleteVpcEndpoints(c.ctx, &sdk.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*id}})
			return err
		}},
		{"CreateNetworkInterface", func(first bool, token *string) (*string, error) {
			out, err := c.CreateNetworkInterface(c.ctx, &sdk.CreateNetworkInterfaceInput{SubnetId: pick(first, c.subnet, other), ClientToken: token})
			if err != nil {
				return nil, err
			}
			return out.NetworkInterface.NetworkInterfaceId, nil
		}, func(id *string) error {
			_, err := c.DeleteNetworkInterface(c.ctx, &sdk.DeleteNetworkInterfaceInput{NetworkInterfaceId: id})
			return err
		}},
		{"CreateLaunchTemplate", func(first bool, token *string) (*string, error) {
			out, err := c.CreateLaunchTemplate(c.ctx, &sdk.CreateLaunchTemplateInput{LaunchTemplateName: pick(first, "one", "two"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: &image}, ClientToken: token})
			if err != nil {
				return nil, err
			}
			return out.LaunchTemplate.LaunchTemplateId, nil
		}, func(id *string) error {
			_, err := c.DeleteLaunchTemplate(c.ctx, &sdk.DeleteLaunchTemplateInput{LaunchTemplateId: id})
			return err
		}},
		{"CreateNatGateway", func(first bool, token *string) (*string, error) {
			out, err := c.CreateNatGateway(c.ctx, &sdk.CreateNatGatewayInput{SubnetId: pick(first, c.subnet, other), AllocationId: address, ClientToken: token})
			if err != nil {
				return nil, err
			}
			return out.NatGateway.NatGatewayId, nil
		}, nil}, // seen for an hour after its end
		{"RunInstances", func(first bool, token *string) (*string, error) {
			out, err := c.RunInstances(c.ctx, &sdk.RunInstancesInput{MinCount: aws.Int32(1), MaxCount: aws.Int32(1), ImageId: &image, InstanceType: types.InstanceTypeM6iLarge, SubnetId: pick(first, c.subnet, other), ClientToken: token})
			if err != nil {
				return nil, err
			}
			return out.Instances[0].InstanceId, nil
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := awstest.Must(tt.create(true, &tt.name))(t)
			if same := awstest.Must(tt.create(true, &tt.name))(t); *same != *id {
				t.Errorf("the same request made %s and %s", *id, *same)
			}
			_, err := tt.create(false, &tt.name)
			awstest.Fails(t, err, 400, "IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
			_, err = tt.create(true, aws.String(strings.Repeat("x", 65)))
			awstest.Fails(t, err, 400, "InvalidClientToken", "The specified client token is not valid.")
			if tt.remove == nil {
				return
			}
			if err := tt.remove(id); err != nil {
				t.Fatal(err)
			}
			_, err = tt.create(true, &tt.name)
			awstest.Fails(t, err, 400, "IdempotentParameterMismatch", "The client token you have provided is associated with a resource that is already deleted. Please use a different client token.")
		})
	}
}

// TestRefusedBeyondLimits fills an account up to its quotas.
func TestRefusedBeyondLimits(t *testing.T) {
	c := newNetwork(t)
	image := c.image()
	fill := func(n int, f func(i int) error) func() error {
		return func() error {
			for i := range n {
				if err := f(i); err != nil {
					return fmt.Errorf("number %d of %d: %w", i+1, n, err)
				}
			}
			return f(n)
		}
	}
	refuse(t, []refusal{
		{"VPCs", fill(3, func(i int) error { // two are there
			_, err := c.CreateVpc(c.ctx, &sdk.CreateVpcInput{CidrBlock: aws.String(fmt.Sprintf("10.%d.0.0/16", 100+i))})
			return err
		}), 400, "VpcLimitExceeded", "The maximum number of VPCs has been reached."},
		{"subnets", fill(199, func(i int) error {
			_, err := c.CreateSubnet(c.ctx, &sdk.CreateSubnetInput{VpcId: &c.vpc, CidrBlock: aws.String(fmt.Sprintf("10.0.%d.%d/28", 1+i/16, i%16*16))})
			return err
		}), 400, "SubnetLimitExceeded", "The maximum number of subnets has been reached."},
		{"internet gateways", fill(4, func(int) error {
			_, err := c.CreateInternetGateway(c.ctx, &sdk.CreateInternetGatewayInput{})
			return err
		}), 400, "InternetGatewayLimitExceeded", "The maximum number of internet gateways has been reached."},
		{"addresses", fill(5, func(int) error {
			_, err := c.AllocateAddress(c.ctx, &sdk.AllocateAddressInput{})
			return err
		}), 400, "AddressLimitExceeded", "The maximum number of addresses has been reached."},
		{"NAT gateways of a zone", fill(5, func(int) error {
			_, err := c.CreateNatGateway(c.ctx, &sdk.CreateNatGatewayInput{SubnetId: &c.subnet, ConnectivityType: types.ConnectivityTypePrivate})
			return err
		}), 400, "NatGatewayLimitExceeded", "Performing this operation would exceed the limit of 5 NAT gateways"},
		{"rules of a group", fill(60, func(i int) error {
			_, err := c.AuthorizeSecurityGroupIngress(c.ctx, &sdk.AuthorizeSecurityGroupIngressInput{GroupId: &c.group, IpPermissions: []types.IpPermission{
				{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(int32(i)), ToPort: aws.Int32(int32(i)), IpRanges: []types.IpRange{{CidrIp: aws.String("10.0.0.0/8")}}},
			}})
			return err
		}), 400, "RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached."},
		{"routes of a table", fill(500, func(i int) error {
			_, err := c.CreateRoute(c.ctx, &sdk.CreateRouteInput{RouteTableId: &c.table, GatewayId: &c.igw, DestinationCidrBlock: aws.String(fmt.Sprintf("11.%d.%d.0/24", i/250, i%250))})
			return err
		}), 400, "RouteLimitExceeded", "The maximum number of routes has been reached."},
		{"blocks of a VPC", fill(4, func(i int) error {
			_, err := c.AssociateVpcCidrBlock(c.ctx, &sdk.AssociateVpcCidrBlockInput{VpcId: &c.vpc, CidrBlock: aws.String(fmt.Sprintf("10.%d.0.0/16", 50+i))})
			return err
		}), 400, "CidrLimitExceeded", "maximum number of allowed CIDRs: 5"},
		{"gateway endpoints", fill(20, func(int) error {
			_, err := c.CreateVpcEndpoint(c.ctx, &sdk.CreateVpcEndpointInput{VpcId: &c.vpc, ServiceName: aws.String("com.amazonaws.ap-northeast-2.s3")})
			return err
		}), 400, "VpcEndpointLimitExceeded", "The maximum number of VPC endpoints has been reached."},
		{"launch templates", func() error {
			for i := range 5000 {
				_, err := c.service.CreateLaunchTemplate(awstest.Region, ec2.TemplateSpec{Name: fmt.Sprintf("lt-of-eks-%d", i), Data: types.RequestLaunchTemplateData{ImageId: &image}})
				if err != nil {
					return err
				}
			}
			_, err := c.CreateLaunchTemplate(c.ctx, &sdk.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("more"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: &image}})
			return err
		}, 400, "LaunchTemplateLimitExceeded", "(5000)"},
	})
}
