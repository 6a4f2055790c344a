package ec2_test

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/wire"
)

// codeOf is EC2's code in an error, or "".
func codeOf(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// lag is a little more than how far the API is behind at speed 1.
const lag = 1100 * time.Millisecond

// TestEventuallyConsistent makes one of each kind: for a second no call knows it
// by its id, no list and no filter shows it, and then all do.
func TestEventuallyConsistent(t *testing.T) {
	c := newCloud(t, 1)
	vpc := c.vpc("10.0.0.0/16")
	subnet := c.subnet(vpc, "10.0.0.0/24", "ap-northeast-2a")
	image := c.image()
	c.service.EventuallyConsistent()
	time.Sleep(lag)
	var last string // the id that a create call made last
	kinds := []struct {
		name   string
		create func() (*string, error)
		listed func() (int, error) // with a filter, that matches nothing else
		named  func() error        // a Describe call by id
		used   func() error        // a call that does something with it
		code   string
	}{
		{"vpc", func() (*string, error) {
			out, err := c.CreateVpc(c.ctx, &sdk.CreateVpcInput{CidrBlock: aws.String("10.1.0.0/16"), TagSpecifications: tagged(types.ResourceTypeVpc, "new", "yes")})
			return out.Vpc.VpcId, err
		}, func() (int, error) {
			out, err := c.DescribeVpcs(c.ctx, &sdk.DescribeVpcsInput{Filters: []types.Filter{filter("tag:new", "yes")}})
			return len(out.Vpcs), err
		}, func() error {
			_, err := c.DescribeVpcs(c.ctx, &sdk.DescribeVpcsInput{VpcIds: []string{last}})
			return err
		}, func() error {
			_, err := c.CreateSubnet(c.ctx, &sdk.CreateSubnetInput{VpcId: &last, CidrBlock: aws.String("10.1.0.0/24")})
			return err
		}, "InvalidVpcID.NotFound"},
		{"subnet", func() (*string, error) {
			out, err := c.CreateSubnet(c.ctx, &sdk.CreateSubnetInput{VpcId: &vpc, CidrBlock: aws.String("10.0.1.0/24")})
			return out.Subnet.SubnetId, err
		}, func() (int, error) {
			out, err := c.DescribeSubnets(c.ctx, &sdk.DescribeSubnetsInput{Filters: []types.Filter{filter("cidr", "10.0.1.0/24")}})
			return len(out.Subnets), err
		}, func() error {
			_, err := c.DescribeSubnets(c.ctx, &sdk.DescribeSubnetsInput{SubnetIds: []string{last}})
			return err
		}, func() error {
			_, err := c.CreateTags(c.ctx, &sdk.CreateTagsInput{Resources: []string{last}, Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
			return err
		}, "InvalidSubnetID.NotFound"},
		{"internet gateway", func() (*string, error) {
			out, err := c.CreateInternetGateway(c.ctx, &sdk.CreateInternetGatewayInput{})
			return out.InternetGateway.InternetGatewayId, err
		}, func() (int, error) {
			out, err := c.DescribeInternetGateways(c.ctx, &sdk.DescribeInternetGatewaysInput{})
			return len(out.InternetGateways), err
		}, func() error {
			_, err := c.DescribeInternetGateways(c.ctx, &sdk.DescribeInternetGatewaysInput{InternetGatewayIds: []string{last}})
			return err
		}, func() error {
			_, err := c.AttachInternetGateway(c.ctx, &sdk.AttachInternetGatewayInput{InternetGatewayId: &last, VpcId: &vpc})
			return err
		}, "InvalidInternetGatewayID.NotFound"},
		{"address", func() (*string, error) {
			out, err := c.AllocateAddress(c.ctx, &sdk.AllocateAddressInput{})
			return out.AllocationId, err
		}, func() (int, error) {
			out, err := c.DescribeAddresses(c.ctx, &sdk.DescribeAddressesInput{})
			return len(out.Addresses), err
		}, func() error {
			_, err := c.DescribeAddresses(c.ctx, &sdk.DescribeAddressesInput{AllocationIds: []string{last}})
			return err
		}, func() error {
			_, err := c.CreateNatGateway(c.ctx, &sdk.CreateNatGatewayInput{SubnetId: &subnet, AllocationId: &last})
			return err
		}, "InvalidAllocationID.NotFound"},
		{"route table", func() (*string, error) {
			out, err := c.CreateRouteTable(c.ctx, &sdk.CreateRouteTableInput{VpcId: &vpc})
			return out.RouteTable.RouteTableId, err
		}, func() (int, error) {
			out, err := c.DescribeRouteTables(c.ctx, &sdk.DescribeRouteTablesInput{Filters: []types.Filter{filter("vpc-id", vpc)}})
			return len(out.RouteTables) - 1, err // the main one
		}, func() error {
			_, err := c.DescribeRouteTables(c.ctx, &sdk.DescribeRouteTablesInput{RouteTableIds: []string{last}})
			return err
		}, func() error {
			_, err := c.AssociateRouteTable(c.ctx, &sdk.AssociateRouteTableInput{RouteTableId: &last, SubnetId: &subnet})
			return err
		}, "InvalidRouteTableID.NotFound"},
		{"security group", func() (*string, error) {
			out, err := c.CreateSecurityGroup(c.ctx, &sdk.CreateSecurityGroupInput{VpcId: &vpc, GroupName: aws.String("new"), Description: aws.String("new")})
			return out.GroupId, err
		}, func() (int, error) {
			out, err := c.DescribeSecurityGroups(c.ctx, &sdk.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("group-name", "new")}})
			return len(out.SecurityGroups), err
		}, func() error {
			_, err := c.DescribeSecurityGroups(c.ctx, &sdk.DescribeSecurityGroupsInput{GroupIds: []string{last}})
			return err
		}, func() error {
			_, err := c.AuthorizeSecurityGroupIngress(c.ctx, &sdk.AuthorizeSecurityGroupIngressInput{GroupId: &last, IpPermissions: []types.IpPermission{
				{IpProtocol: aws.String("-1"), IpRanges: []types.IpRange{{CidrIp: aws.String("10.0.0.0/8")}}},
			}})
			return err
		}, "InvalidGroup.NotFound"},
		{"launch template", func() (*string, error) {
			out, err := c.CreateLaunchTemplate(c.ctx, &sdk.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("new"), LaunchTemplateData: &types.RequestLaunchTemplateData{
				ImageId: &image, InstanceType: types.InstanceTypeM6iLarge,
			}})
			return out.LaunchTemplate.LaunchTemplateId, err
		}, func() (int, error) {
			out, err := c.DescribeLaunchTemplates(c.ctx, &sdk.DescribeLaunchTemplatesInput{})
			return len(out.LaunchTemplates), err
		}, func() error {
			_, err := c.DescribeLaunchTemplates(c.ctx, &sdk.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{last}})
			return err
		}, func() error {
			_, err := c.service.NamedLaunchTemplate(awstest.Region, last, "") // as EKS asks for a node group
			var refused *wire.Error
			if errors.As(err, &refused) {
				return &smithy.GenericAPIError{Code: refused.Code}
			}
			return err
		}, "InvalidLaunchTemplateId.NotFound"},
		{"instance", func() (*string, error) {
			out, err := c.RunInstances(c.ctx, &sdk.RunInstancesInput{
				MinCount: aws.Int32(1), MaxCount: aws.Int32(1), ImageId: &image, InstanceType: types.InstanceTypeM6iLarge, SubnetId: &subnet,
			})
			return out.Instances[0].InstanceId, err
		}, func() (int, error) {
			out, err := c.DescribeInstances(c.ctx, &sdk.DescribeInstancesInput{})
			return len(out.Reservations), err
		}, func() error {
			_, err := c.DescribeInstances(c.ctx, &sdk.DescribeInstancesInput{InstanceIds: []string{last}})
			return err
		}, func() error {
			_, err := c.TerminateInstances(c.ctx, &sdk.TerminateInstancesInput{InstanceIds: []string{last}})
			return err
		}, "InvalidInstanceID.NotFound"},
		{"interface of an AWS service", func() (*string, error) {
			x, err := c.service.CreateInterface(awstest.Region, ec2.InterfaceSpec{SubnetID: subnet, Description: "ELB net/new", Owner: "amazon-elb", Unmanaged: true})
			return &x.ID, err
		}, func() (int, error) {
			out, err := c.DescribeNetworkInterfaces(c.ctx, &sdk.DescribeNetworkInterfacesInput{Filters: []types.Filter{filter("description", "ELB net/new")}})
			return len(out.NetworkInterfaces), err
		}, func() error {
			_, err := c.DescribeNetworkInterfaces(c.ctx, &sdk.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{last}})
			return err
		}, func() error {
			_, err := c.DeleteNetworkInterface(c.ctx, &sdk.DeleteNetworkInterfaceInput{NetworkInterfaceId: &last})
			return err
		}, "InvalidNetworkInterfaceID.NotFound"},
	}
	ids := map[string]string{}
	for _, tt := range kinds {
		id, err := tt.create()
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		last, ids[tt.name] = *id, *id
		n, err := tt.listed()
		if err != nil || n != 0 {
			t.Errorf("%s at once: %d listed, error %v", tt.name, n, err)
		}
		if err := tt.named(); codeOf(err) != tt.code {
			t.Errorf("%s described at once: %v", tt.name, err)
		}
		if err := tt.used(); codeOf(err) != tt.code {
			t.Errorf("%s used at once: %v", tt.name, err)
		}
	}
	time.Sleep(lag)
	for _, tt := range kinds {
		last = ids[tt.name]
		n, err := tt.listed()
		if err != nil || n != 1 {
			t.Errorf("%s later: %d listed, error %v", tt.name, n, err)
		}
		if err := tt.named(); err != nil {
			t.Errorf("%s described later: %v", tt.name, err)
		}
		if err := tt.used(); err != nil {
			t.Errorf("%s used later: %v", tt.name, err)
		}
	}
}

// TestEventuallyTagged: tags that are set, changed or removed show late; and what
// was deleted is listed for a while yet, but cannot be used.
func TestEventuallyTagged(t *testing.T) {
	c := newCloud(t, 1)
	vpc := c.vpc("10.0.0.0/16")
	subnet := c.subnet(vpc, "10.0.0.0/24", "ap-northeast-2a")
	c.service.EventuallyConsistent()
	time.Sleep(lag)
	name := func() string {
		out := awstest.Must(c.DescribeVpcs(c.ctx, &sdk.DescribeVpcsInput{VpcIds: []string{vpc}}))(t)
		return *out.Vpcs[0].Tags[0].Value
	}
	awstest.Must(c.CreateTags(c.ctx, &sdk.CreateTagsInput{Resources: []string{vpc}, Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String("other")}}}))(t)
	awstest.Must(c.DeleteSubnet(c.ctx, &sdk.DeleteSubnetInput{SubnetId: &subnet}))(t)
	if got := name(); got != "demo" {
		t.Errorf("at once the name is %q", got)
	}
	if got := c.service.Tags(awstest.Region, vpc)["Name"]; got != "other" {
		t.Errorf("the tag is %q", got)
	}
	subnets := awstest.Must(c.DescribeSubnets(c.ctx, &sdk.DescribeSubnetsInput{SubnetIds: []string{subnet}}))(t).Subnets
	if len(subnets) != 1 {
		t.Errorf("%d subnets right after the deletion", len(subnets))
	}
	_, err := c.DeleteSubnet(c.ctx, &sdk.DeleteSubnetInput{SubnetId: &subnet})
	awstest.Fails(t, err, 400, "InvalidSubnetID.NotFound", "The subnet ID '"+subnet+"' does not exist")
	if left := c.service.Inventory(); len(left) != 1 {
		t.Errorf("the inventory shows the past: %v", left)
	}
	time.Sleep(lag)
	if got := name(); got != "other" {
		t.Errorf("later the name is %q", got)
	}
	_, err = c.DescribeSubnets(c.ctx, &sdk.DescribeSubnetsInput{SubnetIds: []string{subnet}})
	awstest.Fails(t, err, 400, "InvalidSubnetID.NotFound", "does not exist")
	awstest.Must(c.DeleteVpc(c.ctx, &sdk.DeleteVpcInput{VpcId: &vpc}))(t)
}
