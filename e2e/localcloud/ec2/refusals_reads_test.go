package ec2_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/awstest"
)

// calling is a row's call: one operation of the client with one input.
func calling[I, O any](operation func(context.Context, *I, ...func(*sdk.Options)) (O, error), in I) func() error {
	return func() error {
		_, err := operation(context.Background(), &in)
		return err
	}
}

// TestRefusedReads is what EC2 refuses of the calls that only look: an id that is
// not there is an error, unlike a filter that nothing passes, and so is a filter
// that the operation does not have. Codes: "Error codes for the Amazon EC2 API".
func TestRefusedReads(t *testing.T) {
	c := newNetwork(t)
	nope := []types.Filter{filter("nope", "x")}
	const noFilter, badToken = "The filter 'nope' is invalid", "The specified token is not valid."
	refuse(t, []refusal{
		{"address by id", calling(c.DescribeAddresses, sdk.DescribeAddressesInput{AllocationIds: []string{"eipalloc-0123456789abcdef0"}}), 400, "InvalidAllocationID.NotFound", "The allocation ID 'eipalloc-0123456789abcdef0' does not exist"},
		{"address by its number", calling(c.DescribeAddresses, sdk.DescribeAddressesInput{PublicIps: []string{"203.0.113.1"}}), 400, "InvalidAddress.NotFound", "Address '203.0.113.1' not found."},
		{"addresses by filter", calling(c.DescribeAddresses, sdk.DescribeAddressesInput{Filters: nope}), 400, "InvalidParameterValue", noFilter},
		{"zone", calling(c.DescribeAvailabilityZones, sdk.DescribeAvailabilityZonesInput{ZoneNames: []string{"ap-northeast-2z"}}), 400, "InvalidParameterValue", "Invalid availability zone: [ap-northeast-2z]"},
		{"zones by filter", calling(c.DescribeAvailabilityZones, sdk.DescribeAvailabilityZonesInput{Filters: nope}), 400, "InvalidParameterValue", noFilter},
		{"offerings by filter", calling(c.DescribeInstanceTypeOfferings, sdk.DescribeInstanceTypeOfferingsInput{Filters: nope}), 400, "InvalidParameterValue", noFilter},
		{"offerings from a made-up page", calling(c.DescribeInstanceTypeOfferings, sdk.DescribeInstanceTypeOfferingsInput{NextToken: aws.String("x")}), 400, "InvalidNextToken", badToken},
		{"internet gateway", calling(c.DescribeInternetGateways, sdk.DescribeInternetGatewaysInput{InternetGatewayIds: []string{"igw-0123456789abcdef0"}}), 400, "InvalidInternetGatewayID.NotFound", "The internetGateway ID 'igw-0123456789abcdef0' does not exist"},
		{"NAT gateway", calling(c.DescribeNatGateways, sdk.DescribeNatGatewaysInput{NatGatewayIds: []string{"nat-0123456789abcdef0"}}), 400, "NatGatewayNotFound", "NatGateway nat-0123456789abcdef0 was not found"},
		{"NAT gateway by another's id", calling(c.DescribeNatGateways, sdk.DescribeNatGatewaysInput{NatGatewayIds: []string{c.igw}}), 400, "NatGatewayMalformed", c.igw},
		{"interface", calling(c.DescribeNetworkInterfaces, sdk.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{"eni-0123456789abcdef0"}}), 400, "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID 'eni-0123456789abcdef0' does not exist"},
		{"interfaces by filter", calling(c.DescribeNetworkInterfaces, sdk.DescribeNetworkInterfacesInput{Filters: nope}), 400, "InvalidParameterValue", noFilter},
		{"route table", calling(c.DescribeRouteTables, sdk.DescribeRouteTablesInput{RouteTableIds: []string{"rtb-0123456789abcdef0"}}), 400, "InvalidRouteTableID.NotFound", "The routeTable ID 'rtb-0123456789abcdef0' does not exist"},
		{"security group", calling(c.DescribeSecurityGroups, sdk.DescribeSecurityGroupsInput{GroupIds: []string{"sg-0123456789abcdef0"}}), 400, "InvalidGroup.NotFound", "The security group 'sg-0123456789abcdef0' does not exist"},
		{"security groups by filter", calling(c.DescribeSecurityGroups, sdk.DescribeSecurityGroupsInput{Filters: nope}), 400, "InvalidParameterValue", noFilter},
		{"security groups of no VPC's id", calling(c.DescribeSecurityGroups, sdk.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("vpc-id", "vpc-xyz")}}), 400, "InvalidParameterValue", "vpc-id"},
		{"filter without a value", calling(c.DescribeSecurityGroups, sdk.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("vpc-id")}}), 400, "InvalidParameterValue", "The filter value for 'vpc-id' is missing"},
		{"tags by filter", calling(c.DescribeTags, sdk.DescribeTagsInput{Filters: nope}), 400, "InvalidParameterValue", noFilter},
		{"tags from a made-up page", calling(c.DescribeTags, sdk.DescribeTagsInput{NextToken: aws.String("x")}), 400, "InvalidNextToken", badToken},
		{"volume", calling(c.DescribeVolumes, sdk.DescribeVolumesInput{VolumeIds: []string{"vol-0123456789abcdef0"}}), 400, "InvalidVolume.NotFound", "The volume 'vol-0123456789abcdef0' does not exist."},
		{"attribute of no VPC", calling(c.DescribeVpcAttribute, sdk.DescribeVpcAttributeInput{VpcId: aws.String("vpc-0123456789abcdef0"), Attribute: types.VpcAttributeNameEnableDnsSupport}), 400, "InvalidVpcID.NotFound", "The vpc ID 'vpc-0123456789abcdef0' does not exist"},
		{"no attribute of a VPC", calling(c.DescribeVpcAttribute, sdk.DescribeVpcAttributeInput{VpcId: &c.vpc, Attribute: "enableDns"}), 400, "InvalidParameterValue", "enableDns"},
		{"endpoint", calling(c.DescribeVpcEndpoints, sdk.DescribeVpcEndpointsInput{VpcEndpointIds: []string{"vpce-0123456789abcdef0"}}), 400, "InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id 'vpce-0123456789abcdef0' does not exist"},
		{"endpoint by another's id", calling(c.DescribeVpcEndpoints, sdk.DescribeVpcEndpointsInput{VpcEndpointIds: []string{c.vpc}}), 400, "InvalidVpcEndpointId.Malformed", "Invalid Id: '" + c.vpc + "' (expecting 'vpce-...; the Id may only contain lowercase alphanumeric characters and a single dash')"},
		{"endpoints by filter", calling(c.DescribeVpcEndpoints, sdk.DescribeVpcEndpointsInput{Filters: nope}), 400, "InvalidParameterValue", noFilter},
	})
}

// TestRefusedChanges is what EC2 refuses of changes to what is there.
func TestRefusedChanges(t *testing.T) {
	c := newNetwork(t)
	image := c.image()
	endpoint := awstest.Must(c.CreateVpcEndpoint(c.ctx, &sdk.CreateVpcEndpointInput{VpcId: &c.vpc, ServiceName: aws.String("com.amazonaws.ap-northeast-2.s3")}))(t).VpcEndpoint.VpcEndpointId
	template := awstest.Must(c.CreateLaunchTemplate(c.ctx, &sdk.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("nodes"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: &image}}))(t).LaunchTemplate.LaunchTemplateId
	tables := awstest.Must(c.DescribeRouteTables(c.ctx, &sdk.DescribeRouteTablesInput{Filters: []types.Filter{filter("vpc-id", c.vpc), filter("association.main", "true")}}))(t).RouteTables
	main := tables[0].Associations[0].RouteTableAssociationId
	noTemplate, noEndpoint, anywhere := aws.String("lt-0123456789abcdef0"), aws.String("vpce-0123456789abcdef0"), aws.String("0.0.0.0/0")
	on := &types.AttributeBooleanValue{Value: aws.Bool(true)}
	data := &types.RequestLaunchTemplateData{InstanceType: types.InstanceTypeM6iLarge}
	refuse(t, []refusal{
		{"version of no template", calling(c.CreateLaunchTemplateVersion, sdk.CreateLaunchTemplateVersionInput{LaunchTemplateId: noTemplate, LaunchTemplateData: data}), 400, "InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID lt-0123456789abcdef0, does not exist."},
		{"version from no version", calling(c.CreateLaunchTemplateVersion, sdk.CreateLaunchTemplateVersionInput{LaunchTemplateId: template, LaunchTemplateData: data, SourceVersion: aws.String("7")}), 400, "InvalidLaunchTemplateId.VersionNotFound", "7"},
		{"default that is no version", calling(c.ModifyLaunchTemplate, sdk.ModifyLaunchTemplateInput{LaunchTemplateId: template, DefaultVersion: aws.String("7")}), 400, "InvalidLaunchTemplateId.VersionNotFound", "7"},
		{"default of no template", calling(c.ModifyLaunchTemplate, sdk.ModifyLaunchTemplateInput{LaunchTemplateId: noTemplate, DefaultVersion: aws.String("1")}), 400, "InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID lt-0123456789abcdef0, does not exist."},
		{"end of no NAT gateway", calling(c.DeleteNatGateway, sdk.DeleteNatGatewayInput{NatGatewayId: aws.String("nat-0123456789abcdef0")}), 400, "NatGatewayNotFound", "NatGateway nat-0123456789abcdef0 was not found"},
		{"end of unnamed endpoints", calling(sdk.NewFromConfig(awstest.Unchecked(c.cfg)).DeleteVpcEndpoints, sdk.DeleteVpcEndpointsInput{}), 400, "MissingParameter", "VpcEndpointId"},
		{"main route table", calling(c.DisassociateRouteTable, sdk.DisassociateRouteTableInput{AssociationId: main}), 400, "InvalidParameterValue", "cannot disassociate the main route table association " + *main},
		{"no association", calling(c.DisassociateRouteTable, sdk.DisassociateRouteTableInput{AssociationId: aws.String("rtbassoc-0123456789abcdef0")}), 400, "InvalidAssociationID.NotFound", "The association ID 'rtbassoc-0123456789abcdef0' does not exist"},
		{"no subnet", calling(c.ModifySubnetAttribute, sdk.ModifySubnetAttributeInput{SubnetId: aws.String("subnet-0123456789abcdef0"), MapPublicIpOnLaunch: on}), 400, "InvalidSubnetID.NotFound", "The subnet ID 'subnet-0123456789abcdef0' does not exist"},
		{"two attributes of a subnet", calling(c.ModifySubnetAttribute, sdk.ModifySubnetAttributeInput{SubnetId: &c.subnet, MapPublicIpOnLaunch: on, EnableResourceNameDnsARecordOnLaunch: on}), 400, "InvalidParameterCombination", ""},
		{"no endpoint", calling(c.ModifyVpcEndpoint, sdk.ModifyVpcEndpointInput{VpcEndpointId: noEndpoint}), 400, "InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id 'vpce-0123456789abcdef0' does not exist"},
		{"endpoint on no route table", calling(c.ModifyVpcEndpoint, sdk.ModifyVpcEndpointInput{VpcEndpointId: endpoint, AddRouteTableIds: []string{"rtb-0123456789abcdef0"}}), 400, "InvalidRouteTableID.NotFound", "The routeTable ID 'rtb-0123456789abcdef0' does not exist"},
		{"endpoint's policy", calling(c.ModifyVpcEndpoint, sdk.ModifyVpcEndpointInput{VpcEndpointId: endpoint, PolicyDocument: aws.String("{")}), 400, "InvalidPolicyDocument", "Invalid policy document"},
		{"no route to replace", calling(c.ReplaceRoute, sdk.ReplaceRouteInput{RouteTableId: &c.table, DestinationCidrBlock: anywhere, GatewayId: &c.igw}), 400, "InvalidParameterValue", "There is no route defined for '0.0.0.0/0' in the route table. Use CreateRoute instead."},
		{"route of no table", calling(c.ReplaceRoute, sdk.ReplaceRouteInput{RouteTableId: aws.String("rtb-0123456789abcdef0"), DestinationCidrBlock: anywhere, GatewayId: &c.igw}), 400, "InvalidRouteTableID.NotFound", "The routeTable ID 'rtb-0123456789abcdef0' does not exist"},
	})
	// DeleteVpcEndpoints says of each endpoint what is wrong, in a reply that is none.
	out := awstest.Must(c.DeleteVpcEndpoints(c.ctx, &sdk.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*noEndpoint}}))(t).Unsuccessful
	if len(out) != 1 || *out[0].Error.Code != "InvalidVpcEndpointId.NotFound" || *out[0].ResourceId != *noEndpoint {
		t.Errorf("unsuccessful: %+v", out)
	}
}
