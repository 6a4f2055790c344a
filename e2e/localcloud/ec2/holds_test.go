package ec2_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/ec2"
)

// site is a VPC with one of each thing that something may hold on to.
type site struct {
	*cloud
	vpc, subnet, group, gateway string
}

func newSite(t *testing.T) *site {
	s := &site{cloud: newCloud(t, 1000)}
	s.vpc = s.cloud.vpc("10.0.0.0/16")
	s.subnet = s.cloud.subnet(s.vpc, "10.0.0.0/24", "ap-northeast-2a")
	s.group, s.gateway = s.newGroup("held"), s.cloud.gateway(s.vpc)
	return s
}

func (s *site) newGroup(name string) string {
	s.t.Helper()
	return *awstest.Must(s.CreateSecurityGroup(s.ctx, &sdk.CreateSecurityGroupInput{VpcId: &s.vpc, GroupName: &name, Description: aws.String("d")}))(s.t).GroupId
}

// service makes an interface of another service; what is returned takes it away.
func (s *site) serviceInterface(in ec2.InterfaceSpec) func() {
	s.t.Helper()
	in.SubnetID = s.subnet
	e := awstest.Must(s.service.CreateInterface(awstest.Region, in))(s.t)
	return func() { s.service.DeleteInterface(awstest.Region, e.ID) }
}

// public lets new instances of the subnet have public addresses.
func (s *site) public() {
	awstest.Must(s.ModifySubnetAttribute(s.ctx, &sdk.ModifySubnetAttributeInput{SubnetId: &s.subnet, MapPublicIpOnLaunch: &types.AttributeBooleanValue{Value: aws.Bool(true)}}))(s.t)
}

func (s *site) run() func() {
	s.t.Helper()
	out := awstest.Must(s.RunInstances(s.ctx, &sdk.RunInstancesInput{
		ImageId: aws.String(s.image()), InstanceType: "m6i.large", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SubnetId: &s.subnet, SecurityGroupIds: []string{s.group},
	}))(s.t)
	return func() { s.service.Terminate(awstest.Region, *out.Instances[0].InstanceId) }
}

func (s *site) nat() func() {
	s.t.Helper()
	address := awstest.Must(s.AllocateAddress(s.ctx, &sdk.AllocateAddressInput{}))(s.t)
	out := awstest.Must(s.CreateNatGateway(s.ctx, &sdk.CreateNatGatewayInput{SubnetId: &s.subnet, AllocationId: address.AllocationId}))(s.t)
	_, err := s.ReleaseAddress(s.ctx, &sdk.ReleaseAddressInput{AllocationId: address.AllocationId})
	awstest.Fails(s.t, err, 400, "InvalidIPAddress.InUse", "is in use.")
	return func() {
		awstest.Must(s.DeleteNatGateway(s.ctx, &sdk.DeleteNatGatewayInput{NatGatewayId: out.NatGateway.NatGatewayId}))(s.t)
	}
}

func (s *site) endpoint(in *sdk.CreateVpcEndpointInput) func() {
	s.t.Helper()
	in.VpcId = &s.vpc
	id := *awstest.Must(s.CreateVpcEndpoint(s.ctx, in))(s.t).VpcEndpoint.VpcEndpointId
	return func() {
		awstest.Must(s.DeleteVpcEndpoints(s.ctx, &sdk.DeleteVpcEndpointsInput{VpcEndpointIds: []string{id}}))(s.t)
	}
}

func (s *site) ownInterface(in *sdk.CreateNetworkInterfaceInput) func() {
	s.t.Helper()
	in.SubnetId, in.Groups = &s.subnet, []string{s.group}
	id := awstest.Must(s.CreateNetworkInterface(s.ctx, in))(s.t).NetworkInterface.NetworkInterfaceId
	return func() {
		awstest.Must(s.DeleteNetworkInterface(s.ctx, &sdk.DeleteNetworkInterfaceInput{NetworkInterfaceId: id}))(s.t)
	}
}

// ruleOn lets another group's rule refer to the site's group.
func (s *site) ruleOn(egress bool) func() {
	s.t.Helper()
	other := s.newGroup("other")
	rule := []types.IpPermission{{IpProtocol: aws.String("-1"), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &s.group}}}}
	if egress {
		awstest.Must(s.AuthorizeSecurityGroupEgress(s.ctx, &sdk.AuthorizeSecurityGroupEgressInput{GroupId: &other, IpPermissions: rule}))(s.t)
	} else {
		awstest.Must(s.AuthorizeSecurityGroupIngress(s.ctx, &sdk.AuthorizeSecurityGroupIngressInput{GroupId: &other, IpPermissions: rule}))(s.t)
	}
	return func() {
		awstest.Must(s.DeleteSecurityGroup(s.ctx, &sdk.DeleteSecurityGroupInput{GroupId: &other}))(s.t)
	}
}

// remove tries to delete, or detach, one of the site's things.
func (s *site) remove(what string) error {
	var err error
	switch what {
	case "subnet":
		_, err = s.DeleteSubnet(s.ctx, &sdk.DeleteSubnetInput{SubnetId: &s.subnet})
	case "group":
		_, err = s.DeleteSecurityGroup(s.ctx, &sdk.DeleteSecurityGroupInput{GroupId: &s.group})
	case "gateway":
		_, err = s.DetachInternetGateway(s.ctx, &sdk.DetachInternetGatewayInput{VpcId: &s.vpc, InternetGatewayId: &s.gateway})
	}
	return err
}

// words are what AWS says of a thing that is held.
func (s *site) words(what string) string {
	return map[string]string{
		"subnet":  "The subnet '" + s.subnet + "' has dependencies and cannot be deleted.",
		"group":   "resource " + s.group + " has a dependent object",
		"gateway": "Network " + s.vpc + " has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.",
	}[what]
}

// TestWhatHoldsWhat says for each kind of thing what cannot be deleted as long as
// it is there. What a row does not name goes at once; the rest goes afterwards.
func TestWhatHoldsWhat(t *testing.T) {
	for _, tt := range []struct {
		name  string
		make  func(*site) (end func())
		holds []string
	}{
		{"nothing", func(*site) func() { return func() {} }, nil},
		{"the account's own interface", func(s *site) func() { return s.ownInterface(&sdk.CreateNetworkInterfaceInput{}) }, []string{"subnet", "group"}},
		{"an instance", (*site).run, []string{"subnet", "group"}},
		{"an instance with a public address", func(s *site) func() { s.public(); return s.run() }, []string{"subnet", "group", "gateway"}},
		{"a NAT gateway, with its Elastic IP address", (*site).nat, []string{"subnet", "gateway"}},
		{"an interface endpoint", func(s *site) func() {
			return s.endpoint(&sdk.CreateVpcEndpointInput{
				VpcEndpointType: types.VpcEndpointTypeInterface, ServiceName: aws.String("com.amazonaws.ap-northeast-2.ecr.api"), SubnetIds: []string{s.subnet},
				SecurityGroupIds: []string{s.group}, PrivateDnsEnabled: aws.Bool(false),
			})
		}, []string{"subnet", "group"}},
		{"a gateway endpoint", func(s *site) func() {
			return s.endpoint(&sdk.CreateVpcEndpointInput{ServiceName: aws.String("com.amazonaws.ap-northeast-2.s3")})
		}, nil},
		{"a network load balancer that faces the internet", func(s *site) func() {
			return s.serviceInterface(ec2.InterfaceSpec{Groups: []string{s.group}, Description: "ELB net/a/b", Owner: "amazon-elb", Type: types.NetworkInterfaceTypeNetworkLoadBalancer, PublicIP: true})
		}, []string{"subnet", "group", "gateway"}},
		{"an internal one without groups", func(s *site) func() {
			return s.serviceInterface(ec2.InterfaceSpec{Description: "ELB net/a/b", Owner: "amazon-elb", Type: types.NetworkInterfaceTypeNetworkLoadBalancer})
		}, []string{"subnet"}},
		{"a control plane of EKS", func(s *site) func() {
			return s.serviceInterface(ec2.InterfaceSpec{Groups: []string{s.group}, Description: "Amazon EKS demo", Owner: "amazon-eks", InUse: true})
		}, []string{"subnet", "group"}},
		{"an EFS mount target", func(s *site) func() {
			return s.serviceInterface(ec2.InterfaceSpec{Groups: []string{s.group}, Description: "EFS mount target for fs-1 (fsmt-1)", Owner: "amazon-elasticfilesystem", InUse: true})
		}, []string{"subnet", "group"}},
		{"what the VPC CNI leaves behind", func(s *site) func() {
			return s.serviceInterface(ec2.InterfaceSpec{Groups: []string{s.group}, Description: "aws-K8S-i-1", Unmanaged: true})
		}, []string{"subnet", "group"}},
		{"a rule of another group", func(s *site) func() { return s.ruleOn(false) }, []string{"group"}},
		{"a rule of another group, outward", func(s *site) func() { return s.ruleOn(true) }, []string{"group"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			end := tt.make(s)
			for _, what := range tt.holds {
				awstest.Fails(t, s.remove(what), 400, "DependencyViolation", s.words(what))
			}
			_, err := s.DeleteVpc(s.ctx, &sdk.DeleteVpcInput{VpcId: &s.vpc})
			awstest.Fails(t, err, 400, "DependencyViolation", "The vpc '"+s.vpc+"' has dependencies and cannot be deleted.")
			end()
			for _, what := range []string{"subnet", "group", "gateway"} {
				awstest.Eventually(t, what+" goes", func() bool { return s.remove(what) == nil })
			}
			awstest.Must(s.DeleteInternetGateway(s.ctx, &sdk.DeleteInternetGatewayInput{InternetGatewayId: &s.gateway}))(t)
			// Default group, main route table and default network ACL go with the VPC.
			awstest.Eventually(t, "VPC goes", func() bool {
				_, err := s.DeleteVpc(s.ctx, &sdk.DeleteVpcInput{VpcId: &s.vpc})
				return err == nil
			})
		})
	}
}

// TestWhatHoldsVPC goes through the things in a VPC, each of which keeps it.
func TestWhatHoldsVPC(t *testing.T) {
	for name, make := range map[string]func(c *cloud, vpc string){
		"a subnet":         func(c *cloud, vpc string) { c.subnet(vpc, "10.0.0.0/24", "ap-northeast-2a") },
		"a gateway":        func(c *cloud, vpc string) { c.gateway(vpc) },
		"a security group": func(c *cloud, vpc string) { (&site{cloud: c, vpc: vpc}).newGroup("g") },
		"a route table": func(c *cloud, vpc string) {
			awstest.Must(c.CreateRouteTable(c.ctx, &sdk.CreateRouteTableInput{VpcId: &vpc}))(c.t)
		},
		"a gateway endpoint": func(c *cloud, vpc string) {
			(&site{cloud: c, vpc: vpc}).endpoint(&sdk.CreateVpcEndpointInput{ServiceName: aws.String("com.amazonaws.ap-northeast-2.s3")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCloud(t, 1000)
			vpc := c.vpc("10.0.0.0/16")
			make(c, vpc)
			_, err := c.DeleteVpc(c.ctx, &sdk.DeleteVpcInput{VpcId: &vpc})
			awstest.Fails(t, err, 400, "DependencyViolation", "The vpc '"+vpc+"' has dependencies and cannot be deleted.")
		})
	}
}

// TestInterfacesOfOthers asks for what AWS does not let an account do with
// interfaces that are in use, or that a service manages.
func TestInterfacesOfOthers(t *testing.T) {
	s := newSite(t)
	s.run()
	instance := s.only("attachment.device-index", "0")
	s.serviceInterface(ec2.InterfaceSpec{Description: "ELB net/a/b", Owner: "amazon-elb", Type: types.NetworkInterfaceTypeNetworkLoadBalancer})
	balancer := s.only("interface-type", "network_load_balancer")
	remove := func(e types.NetworkInterface) error {
		_, err := s.DeleteNetworkInterface(s.ctx, &sdk.DeleteNetworkInterfaceInput{NetworkInterfaceId: e.NetworkInterfaceId})
		return err
	}
	detach := func(e types.NetworkInterface) error {
		_, err := s.DetachNetworkInterface(s.ctx, &sdk.DetachNetworkInterfaceInput{AttachmentId: e.Attachment.AttachmentId})
		return err
	}
	for _, e := range []types.NetworkInterface{instance, balancer} {
		awstest.Fails(t, remove(e), 400, "InvalidParameterValue", "Network interface '"+*e.NetworkInterfaceId+"' is currently in use.")
	}
	awstest.Fails(t, detach(instance), 400, "OperationNotPermitted", "The network interface at device index 0 and networkCard index 0 cannot be detached.")
	awstest.Fails(t, detach(balancer), 400, "OperationNotPermitted", "You are not allowed to manage 'ela-attach' attachments.")
	_, err := s.ModifyNetworkInterfaceAttribute(s.ctx, &sdk.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: balancer.NetworkInterfaceId, Groups: []string{s.group}})
	awstest.Fails(t, err, 400, "OperationNotPermitted", "You do not have permission to access the specified resource.")
	address := awstest.Must(s.AllocateAddress(s.ctx, &sdk.AllocateAddressInput{}))(t)
	_, err = s.AssociateAddress(s.ctx, &sdk.AssociateAddressInput{AllocationId: address.AllocationId, NetworkInterfaceId: balancer.NetworkInterfaceId})
	awstest.Fails(t, err, 400, "AuthFailure", "You do not have permission to access the specified resource.")
}

// only returns the one interface that a filter finds.
func (s *site) only(name, value string) types.NetworkInterface {
	s.t.Helper()
	found := awstest.Must(s.DescribeNetworkInterfaces(s.ctx, &sdk.DescribeNetworkInterfacesInput{Filters: []types.Filter{filter(name, value)}}))(s.t).NetworkInterfaces
	if len(found) != 1 {
		s.t.Fatalf("%d interfaces with %s %s", len(found), name, value)
	}
	return found[0]
}
