package cloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// ec2Calls is what is called of EC2; see [op].
type ec2Calls struct {
	allocateAddress                op[ec2.AllocateAddressInput, ec2.AllocateAddressOutput, ec2.Options]
	associateRouteTable            op[ec2.AssociateRouteTableInput, ec2.AssociateRouteTableOutput, ec2.Options]
	attachInternetGateway          op[ec2.AttachInternetGatewayInput, ec2.AttachInternetGatewayOutput, ec2.Options]
	authorizeSecurityGroupIngress  op[ec2.AuthorizeSecurityGroupIngressInput, ec2.AuthorizeSecurityGroupIngressOutput, ec2.Options]
	createInternetGateway          op[ec2.CreateInternetGatewayInput, ec2.CreateInternetGatewayOutput, ec2.Options]
	createLaunchTemplate           op[ec2.CreateLaunchTemplateInput, ec2.CreateLaunchTemplateOutput, ec2.Options]
	createLaunchTemplateVersion    op[ec2.CreateLaunchTemplateVersionInput, ec2.CreateLaunchTemplateVersionOutput, ec2.Options]
	createNatGateway               op[ec2.CreateNatGatewayInput, ec2.CreateNatGatewayOutput, ec2.Options]
	createRoute                    op[ec2.CreateRouteInput, ec2.CreateRouteOutput, ec2.Options]
	createRouteTable               op[ec2.CreateRouteTableInput, ec2.CreateRouteTableOutput, ec2.Options]
	createSecurityGroup            op[ec2.CreateSecurityGroupInput, ec2.CreateSecurityGroupOutput, ec2.Options]
	createSubnet                   op[ec2.CreateSubnetInput, ec2.CreateSubnetOutput, ec2.Options]
	createTags                     op[ec2.CreateTagsInput, ec2.CreateTagsOutput, ec2.Options]
	createVpc                      op[ec2.CreateVpcInput, ec2.CreateVpcOutput, ec2.Options]
	createVpcEndpoint              op[ec2.CreateVpcEndpointInput, ec2.CreateVpcEndpointOutput, ec2.Options]
	deleteInternetGateway          op[ec2.DeleteInternetGatewayInput, ec2.DeleteInternetGatewayOutput, ec2.Options]
	deleteLaunchTemplate           op[ec2.DeleteLaunchTemplateInput, ec2.DeleteLaunchTemplateOutput, ec2.Options]
	deleteNatGateway               op[ec2.DeleteNatGatewayInput, ec2.DeleteNatGatewayOutput, ec2.Options]
	deleteNetworkInterface         op[ec2.DeleteNetworkInterfaceInput, ec2.DeleteNetworkInterfaceOutput, ec2.Options]
	deleteRoute                    op[ec2.DeleteRouteInput, ec2.DeleteRouteOutput, ec2.Options]
	deleteRouteTable               op[ec2.DeleteRouteTableInput, ec2.DeleteRouteTableOutput, ec2.Options]
	deleteSecurityGroup            op[ec2.DeleteSecurityGroupInput, ec2.DeleteSecurityGroupOutput, ec2.Options]
	deleteSubnet                   op[ec2.DeleteSubnetInput, ec2.DeleteSubnetOutput, ec2.Options]
	deleteVolume                   op[ec2.DeleteVolumeInput, ec2.DeleteVolumeOutput, ec2.Options]
	deleteVpc                      op[ec2.DeleteVpcInput, ec2.DeleteVpcOutput, ec2.Options]
	deleteVpcEndpoints             op[ec2.DeleteVpcEndpointsInput, ec2.DeleteVpcEndpointsOutput, ec2.Options]
	describeAddresses              op[ec2.DescribeAddressesInput, ec2.DescribeAddressesOutput, ec2.Options]
	describeAvailabilityZones      op[ec2.DescribeAvailabilityZonesInput, ec2.DescribeAvailabilityZonesOutput, ec2.Options]
	describeInstanceTypeOfferings  op[ec2.DescribeInstanceTypeOfferingsInput, ec2.DescribeInstanceTypeOfferingsOutput, ec2.Options]
	describeInstances              op[ec2.DescribeInstancesInput, ec2.DescribeInstancesOutput, ec2.Options]
	describeInternetGateways       op[ec2.DescribeInternetGatewaysInput, ec2.DescribeInternetGatewaysOutput, ec2.Options]
	describeLaunchTemplateVersions op[ec2.DescribeLaunchTemplateVersionsInput, ec2.DescribeLaunchTemplateVersionsOutput, ec2.Options]
	describeLaunchTemplates        op[ec2.DescribeLaunchTemplatesInput, ec2.DescribeLaunchTemplatesOutput, ec2.Options]
	describeNatGateways            op[ec2.DescribeNatGatewaysInput, ec2.DescribeNatGatewaysOutput, ec2.Options]
	describeNetworkInterfaces      op[ec2.DescribeNetworkInterfacesInput, ec2.DescribeNetworkInterfacesOutput, ec2.Options]
	describeRouteTables            op[ec2.DescribeRouteTablesInput, ec2.DescribeRouteTablesOutput, ec2.Options]
	describeSecurityGroups         op[ec2.DescribeSecurityGroupsInput, ec2.DescribeSecurityGroupsOutput, ec2.Options]
	describeSubnets                op[ec2.DescribeSubnetsInput, ec2.DescribeSubnetsOutput, ec2.Options]
	describeTags                   op[ec2.DescribeTagsInput, ec2.DescribeTagsOutput, ec2.Options]
	describeVolumes                op[ec2.DescribeVolumesInput, ec2.DescribeVolumesOutput, ec2.Options]
	describeVpcAttribute           op[ec2.DescribeVpcAttributeInput, ec2.DescribeVpcAttributeOutput, ec2.Options]
	describeVpcEndpoints           op[ec2.DescribeVpcEndpointsInput, ec2.DescribeVpcEndpointsOutput, ec2.Options]
	describeVpcs                   op[ec2.DescribeVpcsInput, ec2.DescribeVpcsOutput, ec2.Options]
	detachInternetGateway          op[ec2.DetachInternetGatewayInput, ec2.DetachInternetGatewayOutput, ec2.Options]
	disassociateRouteTable         op[ec2.DisassociateRouteTableInput, ec2.DisassociateRouteTableOutput, ec2.Options]
	modifyLaunchTemplate           op[ec2.ModifyLaunchTemplateInput, ec2.ModifyLaunchTemplateOutput, ec2.Options]
	modifySubnetAttribute          op[ec2.ModifySubnetAttributeInput, ec2.ModifySubnetAttributeOutput, ec2.Options]
	modifyVpcAttribute             op[ec2.ModifyVpcAttributeInput, ec2.ModifyVpcAttributeOutput, ec2.Options]
	modifyVpcEndpoint              op[ec2.ModifyVpcEndpointInput, ec2.ModifyVpcEndpointOutput, ec2.Options]
	releaseAddress                 op[ec2.ReleaseAddressInput, ec2.ReleaseAddressOutput, ec2.Options]
	replaceRoute                   op[ec2.ReplaceRouteInput, ec2.ReplaceRouteOutput, ec2.Options]
	revokeSecurityGroupIngress     op[ec2.RevokeSecurityGroupIngressInput, ec2.RevokeSecurityGroupIngressOutput, ec2.Options]
	terminateInstances             op[ec2.TerminateInstancesInput, ec2.TerminateInstancesOutput, ec2.Options]
}

func newEC2Calls(c *ec2.Client) *ec2Calls {
	return &ec2Calls{
		allocateAddress:                c.AllocateAddress,
		associateRouteTable:            c.AssociateRouteTable,
		attachInternetGateway:          c.AttachInternetGateway,
		authorizeSecurityGroupIngress:  c.AuthorizeSecurityGroupIngress,
		createInternetGateway:          c.CreateInternetGateway,
		createLaunchTemplate:           c.CreateLaunchTemplate,
		createLaunchTemplateVersion:    c.CreateLaunchTemplateVersion,
		createNatGateway:               c.CreateNatGateway,
		createRoute:                    c.CreateRoute,
		createRouteTable:               c.CreateRouteTable,
		createSecurityGroup:            c.CreateSecurityGroup,
		createSubnet:                   c.CreateSubnet,
		createTags:                     c.CreateTags,
		createVpc:                      c.CreateVpc,
		createVpcEndpoint:              c.CreateVpcEndpoint,
		deleteInternetGateway:          c.DeleteInternetGateway,
		deleteLaunchTemplate:           c.DeleteLaunchTemplate,
		deleteNatGateway:               c.DeleteNatGateway,
		deleteNetworkInterface:         c.DeleteNetworkInterface,
		deleteRoute:                    c.DeleteRoute,
		deleteRouteTable:               c.DeleteRouteTable,
		deleteSecurityGroup:            c.DeleteSecurityGroup,
		deleteSubnet:                   c.DeleteSubnet,
		deleteVolume:                   c.DeleteVolume,
		deleteVpc:                      c.DeleteVpc,
		deleteVpcEndpoints:             c.DeleteVpcEndpoints,
		describeAddresses:              c.DescribeAddresses,
		describeAvailabilityZones:      c.DescribeAvailabilityZones,
		describeInstanceTypeOfferings:  c.DescribeInstanceTypeOfferings,
		describeInstances:              c.DescribeInstances,
		describeInternetGateways:       c.DescribeInternetGateways,
		describeLaunchTemplateVersions: c.DescribeLaunchTemplateVersions,
		describeLaunchTemplates:        c.DescribeLaunchTemplates,
		describeNatGateways:            c.DescribeNatGateways,
		describeNetworkInterfaces:      c.DescribeNetworkInterfaces,
		describeRouteTables:            c.DescribeRouteTables,
		describeSecurityGroups:         c.DescribeSecurityGroups,
		describeSubnets:                c.DescribeSubnets,
		describeTags:                   c.DescribeTags,
		describeVolumes:                c.DescribeVolumes,
		describeVpcAttribute:           c.DescribeVpcAttribute,
		describeVpcEndpoints:           c.DescribeVpcEndpoints,
		describeVpcs:                   c.DescribeVpcs,
		detachInternetGateway:          c.DetachInternetGateway,
		disassociateRouteTable:         c.DisassociateRouteTable,
		modifyLaunchTemplate:           c.ModifyLaunchTemplate,
		modifySubnetAttribute:          c.ModifySubnetAttribute,
		modifyVpcAttribute:             c.ModifyVpcAttribute,
		modifyVpcEndpoint:              c.ModifyVpcEndpoint,
		releaseAddress:                 c.ReleaseAddress,
		replaceRoute:                   c.ReplaceRoute,
		revokeSecurityGroupIngress:     c.RevokeSecurityGroupIngress,
		terminateInstances:             c.TerminateInstances,
	}
}

func (c *ec2Calls) AllocateAddress(ctx context.Context, in *ec2.AllocateAddressInput, o ...func(*ec2.Options)) (*ec2.AllocateAddressOutput, error) {
	return c.allocateAddress(ctx, in, o...)
}

func (c *ec2Calls) AssociateRouteTable(ctx context.Context, in *ec2.AssociateRouteTableInput, o ...func(*ec2.Options)) (*ec2.AssociateRouteTableOutput, error) {
	return c.associateRouteTable(ctx, in, o...)
}

func (c *ec2Calls) AttachInternetGateway(ctx context.Context, in *ec2.AttachInternetGatewayInput, o ...func(*ec2.Options)) (*ec2.AttachInternetGatewayOutput, error) {
	return c.attachInternetGateway(ctx, in, o...)
}

func (c *ec2Calls) AuthorizeSecurityGroupIngress(ctx context.Context, in *ec2.AuthorizeSecurityGroupIngressInput, o ...func(*ec2.Options)) (*ec2.AuthorizeSecurityGroupIngressOutput, error) {
	return c.authorizeSecurityGroupIngress(ctx, in, o...)
}

func (c *ec2Calls) CreateInternetGateway(ctx context.Context, in *ec2.CreateInternetGatewayInput, o ...func(*ec2.Options)) (*ec2.CreateInternetGatewayOutput, error) {
	return c.createInternetGateway(ctx, in, o...)
}

func (c *ec2Calls) CreateLaunchTemplate(ctx context.Context, in *ec2.CreateLaunchTemplateInput, o ...func(*ec2.Options)) (*ec2.CreateLaunchTemplateOutput, error) {
	return c.createLaunchTemplate(ctx, in, o...)
}

func (c *ec2Calls) CreateLaunchTemplateVersion(ctx context.Context, in *ec2.CreateLaunchTemplateVersionInput, o ...func(*ec2.Options)) (*ec2.CreateLaunchTemplateVersionOutput, error) {
	return c.createLaunchTemplateVersion(ctx, in, o...)
}

func (c *ec2Calls) CreateNatGateway(ctx context.Context, in *ec2.CreateNatGatewayInput, o ...func(*ec2.Options)) (*ec2.CreateNatGatewayOutput, error) {
	return c.createNatGateway(ctx, in, o...)
}

func (c *ec2Calls) CreateRoute(ctx context.Context, in *ec2.CreateRouteInput, o ...func(*ec2.Options)) (*ec2.CreateRouteOutput, error) {
	return c.createRoute(ctx, in, o...)
}

func (c *ec2Calls) CreateRouteTable(ctx context.Context, in *ec2.CreateRouteTableInput, o ...func(*ec2.Options)) (*ec2.CreateRouteTableOutput, error) {
	return c.createRouteTable(ctx, in, o...)
}

func (c *ec2Calls) CreateSecurityGroup(ctx context.Context, in *ec2.CreateSecurityGroupInput, o ...func(*ec2.Options)) (*ec2.CreateSecurityGroupOutput, error) {
	return c.createSecurityGroup(ctx, in, o...)
}

func (c *ec2Calls) CreateSubnet(ctx context.Context, in *ec2.CreateSubnetInput, o ...func(*ec2.Options)) (*ec2.CreateSubnetOutput, error) {
	return c.createSubnet(ctx, in, o...)
}

func (c *ec2Calls) CreateTags(ctx context.Context, in *ec2.CreateTagsInput, o ...func(*ec2.Options)) (*ec2.CreateTagsOutput, error) {
	return c.createTags(ctx, in, o...)
}

func (c *ec2Calls) CreateVpc(ctx context.Context, in *ec2.CreateVpcInput, o ...func(*ec2.Options)) (*ec2.CreateVpcOutput, error) {
	return c.createVpc(ctx, in, o...)
}

func (c *ec2Calls) CreateVpcEndpoint(ctx context.Context, in *ec2.CreateVpcEndpointInput, o ...func(*ec2.Options)) (*ec2.CreateVpcEndpointOutput, error) {
	return c.createVpcEndpoint(ctx, in, o...)
}

func (c *ec2Calls) DeleteInternetGateway(ctx context.Context, in *ec2.DeleteInternetGatewayInput, o ...func(*ec2.Options)) (*ec2.DeleteInternetGatewayOutput, error) {
	return c.deleteInternetGateway(ctx, in, o...)
}

func (c *ec2Calls) DeleteLaunchTemplate(ctx context.Context, in *ec2.DeleteLaunchTemplateInput, o ...func(*ec2.Options)) (*ec2.DeleteLaunchTemplateOutput, error) {
	return c.deleteLaunchTemplate(ctx, in, o...)
}

func (c *ec2Calls) DeleteNatGateway(ctx context.Context, in *ec2.DeleteNatGatewayInput, o ...func(*ec2.Options)) (*ec2.DeleteNatGatewayOutput, error) {
	return c.deleteNatGateway(ctx, in, o...)
}

func (c *ec2Calls) DeleteNetworkInterface(ctx context.Context, in *ec2.DeleteNetworkInterfaceInput, o ...func(*ec2.Options)) (*ec2.DeleteNetworkInterfaceOutput, error) {
	return c.deleteNetworkInterface(ctx, in, o...)
}

func (c *ec2Calls) DeleteRoute(ctx context.Context, in *ec2.DeleteRouteInput, o ...func(*ec2.Options)) (*ec2.DeleteRouteOutput, error) {
	return c.deleteRoute(ctx, in, o...)
}

func (c *ec2Calls) DeleteRouteTable(ctx context.Context, in *ec2.DeleteRouteTableInput, o ...func(*ec2.Options)) (*ec2.DeleteRouteTableOutput, error) {
	return c.deleteRouteTable(ctx, in, o...)
}

func (c *ec2Calls) DeleteSecurityGroup(ctx context.Context, in *ec2.DeleteSecurityGroupInput, o ...func(*ec2.Options)) (*ec2.DeleteSecurityGroupOutput, error) {
	return c.deleteSecurityGroup(ctx, in, o...)
}

func (c *ec2Calls) DeleteSubnet(ctx context.Context, in *ec2.DeleteSubnetInput, o ...func(*ec2.Options)) (*ec2.DeleteSubnetOutput, error) {
	return c.deleteSubnet(ctx, in, o...)
}

func (c *ec2Calls) DeleteVolume(ctx context.Context, in *ec2.DeleteVolumeInput, o ...func(*ec2.Options)) (*ec2.DeleteVolumeOutput, error) {
	return c.deleteVolume(ctx, in, o...)
}

func (c *ec2Calls) DeleteVpc(ctx context.Context, in *ec2.DeleteVpcInput, o ...func(*ec2.Options)) (*ec2.DeleteVpcOutput, error) {
	return c.deleteVpc(ctx, in, o...)
}

func (c *ec2Calls) DeleteVpcEndpoints(ctx context.Context, in *ec2.DeleteVpcEndpointsInput, o ...func(*ec2.Options)) (*ec2.DeleteVpcEndpointsOutput, error) {
	return c.deleteVpcEndpoints(ctx, in, o...)
}

func (c *ec2Calls) DescribeAddresses(ctx context.Context, in *ec2.DescribeAddressesInput, o ...func(*ec2.Options)) (*ec2.DescribeAddressesOutput, error) {
	return c.describeAddresses(ctx, in, o...)
}

func (c *ec2Calls) DescribeAvailabilityZones(ctx context.Context, in *ec2.DescribeAvailabilityZonesInput, o ...func(*ec2.Options)) (*ec2.DescribeAvailabilityZonesOutput, error) {
	return c.describeAvailabilityZones(ctx, in, o...)
}

func (c *ec2Calls) DescribeInstanceTypeOfferings(ctx context.Context, in *ec2.DescribeInstanceTypeOfferingsInput, o ...func(*ec2.Options)) (*ec2.DescribeInstanceTypeOfferingsOutput, error) {
	return c.describeInstanceTypeOfferings(ctx, in, o...)
}

func (c *ec2Calls) DescribeInstances(ctx context.Context, in *ec2.DescribeInstancesInput, o ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	return c.describeInstances(ctx, in, o...)
}

func (c *ec2Calls) DescribeInternetGateways(ctx context.Context, in *ec2.DescribeInternetGatewaysInput, o ...func(*ec2.Options)) (*ec2.DescribeInternetGatewaysOutput, error) {
	return c.describeInternetGateways(ctx, in, o...)
}

func (c *ec2Calls) DescribeLaunchTemplateVersions(ctx context.Context, in *ec2.DescribeLaunchTemplateVersionsInput, o ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplateVersionsOutput, error) {
	return c.describeLaunchTemplateVersions(ctx, in, o...)
}

func (c *ec2Calls) DescribeLaunchTemplates(ctx context.Context, in *ec2.DescribeLaunchTemplatesInput, o ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplatesOutput, error) {
	return c.describeLaunchTemplates(ctx, in, o...)
}

func (c *ec2Calls) DescribeNatGateways(ctx context.Context, in *ec2.DescribeNatGatewaysInput, o ...func(*ec2.Options)) (*ec2.DescribeNatGatewaysOutput, error) {
	return c.describeNatGateways(ctx, in, o...)
}

func (c *ec2Calls) DescribeNetworkInterfaces(ctx context.Context, in *ec2.DescribeNetworkInterfacesInput, o ...func(*ec2.Options)) (*ec2.DescribeNetworkInterfacesOutput, error) {
	return c.describeNetworkInterfaces(ctx, in, o...)
}

func (c *ec2Calls) DescribeRouteTables(ctx context.Context, in *ec2.DescribeRouteTablesInput, o ...func(*ec2.Options)) (*ec2.DescribeRouteTablesOutput, error) {
	return c.describeRouteTables(ctx, in, o...)
}

func (c *ec2Calls) DescribeSecurityGroups(ctx context.Context, in *ec2.DescribeSecurityGroupsInput, o ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupsOutput, error) {
	return c.describeSecurityGroups(ctx, in, o...)
}

func (c *ec2Calls) DescribeSubnets(ctx context.Context, in *ec2.DescribeSubnetsInput, o ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error) {
	return c.describeSubnets(ctx, in, o...)
}

func (c *ec2Calls) DescribeTags(ctx context.Context, in *ec2.DescribeTagsInput, o ...func(*ec2.Options)) (*ec2.DescribeTagsOutput, error) {
	return c.describeTags(ctx, in, o...)
}

func (c *ec2Calls) DescribeVolumes(ctx context.Context, in *ec2.DescribeVolumesInput, o ...func(*ec2.Options)) (*ec2.DescribeVolumesOutput, error) {
	return c.describeVolumes(ctx, in, o...)
}

func (c *ec2Calls) DescribeVpcAttribute(ctx context.Context, in *ec2.DescribeVpcAttributeInput, o ...func(*ec2.Options)) (*ec2.DescribeVpcAttributeOutput, error) {
	return c.describeVpcAttribute(ctx, in, o...)
}

func (c *ec2Calls) DescribeVpcEndpoints(ctx context.Context, in *ec2.DescribeVpcEndpointsInput, o ...func(*ec2.Options)) (*ec2.DescribeVpcEndpointsOutput, error) {
	return c.describeVpcEndpoints(ctx, in, o...)
}

func (c *ec2Calls) DescribeVpcs(ctx context.Context, in *ec2.DescribeVpcsInput, o ...func(*ec2.Options)) (*ec2.DescribeVpcsOutput, error) {
	return c.describeVpcs(ctx, in, o...)
}

func (c *ec2Calls) DetachInternetGateway(ctx context.Context, in *ec2.DetachInternetGatewayInput, o ...func(*ec2.Options)) (*ec2.DetachInternetGatewayOutput, error) {
	return c.detachInternetGateway(ctx, in, o...)
}

func (c *ec2Calls) DisassociateRouteTable(ctx context.Context, in *ec2.DisassociateRouteTableInput, o ...func(*ec2.Options)) (*ec2.DisassociateRouteTableOutput, error) {
	return c.disassociateRouteTable(ctx, in, o...)
}

func (c *ec2Calls) ModifyLaunchTemplate(ctx context.Context, in *ec2.ModifyLaunchTemplateInput, o ...func(*ec2.Options)) (*ec2.ModifyLaunchTemplateOutput, error) {
	return c.modifyLaunchTemplate(ctx, in, o...)
}

func (c *ec2Calls) ModifySubnetAttribute(ctx context.Context, in *ec2.ModifySubnetAttributeInput, o ...func(*ec2.Options)) (*ec2.ModifySubnetAttributeOutput, error) {
	return c.modifySubnetAttribute(ctx, in, o...)
}

func (c *ec2Calls) ModifyVpcAttribute(ctx context.Context, in *ec2.ModifyVpcAttributeInput, o ...func(*ec2.Options)) (*ec2.ModifyVpcAttributeOutput, error) {
	return c.modifyVpcAttribute(ctx, in, o...)
}

func (c *ec2Calls) ModifyVpcEndpoint(ctx context.Context, in *ec2.ModifyVpcEndpointInput, o ...func(*ec2.Options)) (*ec2.ModifyVpcEndpointOutput, error) {
	return c.modifyVpcEndpoint(ctx, in, o...)
}

func (c *ec2Calls) ReleaseAddress(ctx context.Context, in *ec2.ReleaseAddressInput, o ...func(*ec2.Options)) (*ec2.ReleaseAddressOutput, error) {
	return c.releaseAddress(ctx, in, o...)
}

func (c *ec2Calls) ReplaceRoute(ctx context.Context, in *ec2.ReplaceRouteInput, o ...func(*ec2.Options)) (*ec2.ReplaceRouteOutput, error) {
	return c.replaceRoute(ctx, in, o...)
}

func (c *ec2Calls) RevokeSecurityGroupIngress(ctx context.Context, in *ec2.RevokeSecurityGroupIngressInput, o ...func(*ec2.Options)) (*ec2.RevokeSecurityGroupIngressOutput, error) {
	return c.revokeSecurityGroupIngress(ctx, in, o...)
}

func (c *ec2Calls) TerminateInstances(ctx context.Context, in *ec2.TerminateInstancesInput, o ...func(*ec2.Options)) (*ec2.TerminateInstancesOutput, error) {
	return c.terminateInstances(ctx, in, o...)
}
