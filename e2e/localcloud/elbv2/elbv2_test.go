package elbv2_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	sdk "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/elbv2"
	"aicluster/e2e/localcloud/iam"
)

// TestNetworkLoadBalancer makes one as the cloud controller of EKS does and
// looks at what it holds until some time after its deletion.
func TestNetworkLoadBalancer(t *testing.T) {
	ctx := context.Background()
	clk := clock.New(100) // provisioning for 1.2 s, interfaces released after 300 ms
	s, c, net := start(t, clk)

	vpc := awstest.Must(net.CreateVpc(ctx, &ec2sdk.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")}))(t).Vpc.VpcId
	var subnets []string
	for n, letter := range []string{"a", "b"} {
		out := awstest.Must(net.CreateSubnet(ctx, &ec2sdk.CreateSubnetInput{VpcId: vpc, CidrBlock: aws.String("10.0." + string(rune('0'+n)) + ".0/24"), AvailabilityZone: aws.String(awstest.Region + letter)}))(t)
		subnets = append(subnets, *out.Subnet.SubnetId)
	}
	name := "a0123456789abcdef0123456789abcde"
	in := &sdk.CreateLoadBalancerInput{
		Name: aws.String(name), Type: types.LoadBalancerTypeEnumNetwork, Scheme: types.LoadBalancerSchemeEnumInternetFacing, Subnets: subnets,
		Tags: []types.Tag{{Key: aws.String("kubernetes.io/cluster/demo"), Value: aws.String("owned")}},
	}
	_, err := c.CreateLoadBalancer(ctx, in)
	awstest.Fails(t, err, 400, "InvalidSubnet", "VPC "+*vpc+" has no internet gateway")
	igw := awstest.Must(net.CreateInternetGateway(ctx, &ec2sdk.CreateInternetGatewayInput{}))(t).InternetGateway.InternetGatewayId
	awstest.Must(net.AttachInternetGateway(ctx, &ec2sdk.AttachInternetGatewayInput{InternetGatewayId: igw, VpcId: vpc}))(t)

	lb := awstest.Must(c.CreateLoadBalancer(ctx, in))(t).LoadBalancers[0]
	if again := awstest.Must(c.CreateLoadBalancer(ctx, in))(t).LoadBalancers[0]; *again.LoadBalancerArn != *lb.LoadBalancerArn {
		t.Error("the same request made a second load balancer")
	}
	if !strings.HasPrefix(*lb.DNSName, name+"-") || !strings.HasSuffix(*lb.DNSName, ".elb.ap-northeast-2.amazonaws.com") || lb.State.Code != types.LoadBalancerStateEnumProvisioning {
		t.Errorf("%s is %s", *lb.DNSName, lb.State.Code)
	}
	different := *in
	different.Scheme = types.LoadBalancerSchemeEnumInternal
	_, err = c.CreateLoadBalancer(ctx, &different)
	awstest.Fails(t, err, 400, "DuplicateLoadBalancerName", "A load balancer with the same name '"+name+"' exists, but with different settings")

	group := awstest.Must(c.CreateTargetGroup(ctx, &sdk.CreateTargetGroupInput{Name: aws.String("k8s-1"), Protocol: types.ProtocolEnumTcp, Port: aws.Int32(30080), VpcId: vpc}))(t).TargetGroups[0]
	forward := []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: group.TargetGroupArn}}
	listener := &sdk.CreateListenerInput{LoadBalancerArn: lb.LoadBalancerArn, Port: aws.Int32(80), Protocol: types.ProtocolEnumTcp, DefaultActions: forward}
	awstest.Must(c.CreateListener(ctx, listener))(t)
	_, err = c.CreateListener(ctx, listener)
	awstest.Fails(t, err, 400, "DuplicateListener", "A listener already exists on this port for this load balancer")
	_, err = c.DeleteTargetGroup(ctx, &sdk.DeleteTargetGroupInput{TargetGroupArn: group.TargetGroupArn})
	awstest.Fails(t, err, 400, "ResourceInUse", "is currently in use by a listener or a rule")
	awstest.Eventually(t, "load balancer active", func() bool {
		return awstest.Must(c.DescribeLoadBalancers(ctx, &sdk.DescribeLoadBalancersInput{Names: []string{name}}))(t).LoadBalancers[0].State.Code == types.LoadBalancerStateEnumActive
	})
	tags := awstest.Must(c.DescribeTags(ctx, &sdk.DescribeTagsInput{ResourceArns: []string{*lb.LoadBalancerArn}}))(t).TagDescriptions
	if len(tags) != 1 || *tags[0].Tags[0].Key != "kubernetes.io/cluster/demo" {
		t.Errorf("tags %+v", tags)
	}

	enis := func() []ec2types.NetworkInterface {
		return awstest.Must(net.DescribeNetworkInterfaces(ctx, &ec2sdk.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{{Name: aws.String("description"), Values: []string{"ELB net/" + name + "/*"}}}}))(t).NetworkInterfaces
	}
	if got := enis(); len(got) != 2 || !*got[0].RequesterManaged || got[0].Association == nil || got[0].InterfaceType != ec2types.NetworkInterfaceTypeNetworkLoadBalancer {
		t.Errorf("interfaces %+v", got)
	}
	targetHealth(t, c, *vpc)
	awstest.Must(c.DeleteLoadBalancer(ctx, &sdk.DeleteLoadBalancerInput{LoadBalancerArn: lb.LoadBalancerArn}))(t)
	_, err = c.DescribeLoadBalancers(ctx, &sdk.DescribeLoadBalancersInput{Names: []string{name}})
	awstest.Fails(t, err, 400, "LoadBalancerNotFound", "not found")
	_, err = net.DeleteSubnet(ctx, &ec2sdk.DeleteSubnetInput{SubnetId: aws.String(subnets[0])})
	awstest.Fails(t, err, 400, "DependencyViolation", "has dependencies and cannot be deleted.")
	_, err = net.DetachInternetGateway(ctx, &ec2sdk.DetachInternetGatewayInput{InternetGatewayId: igw, VpcId: vpc})
	awstest.Fails(t, err, 400, "DependencyViolation", "mapped public address(es)")
	awstest.Must(c.DeleteTargetGroup(ctx, &sdk.DeleteTargetGroupInput{TargetGroupArn: group.TargetGroupArn}))(t)
	awstest.Eventually(t, "interfaces released", func() bool { return len(enis()) == 0 })
	awstest.Must(net.DeleteSubnet(ctx, &ec2sdk.DeleteSubnetInput{SubnetId: aws.String(subnets[0])}))(t)
	if left := s.Inventory(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// targetHealth registers two addresses and asks for the health of all and of some.
func targetHealth(t *testing.T, c *sdk.Client, vpc string) {
	ctx := t.Context()
	group := awstest.Must(c.CreateTargetGroup(ctx, &sdk.CreateTargetGroupInput{
		Name: aws.String("addresses"), Protocol: types.ProtocolEnumTcp, Port: aws.Int32(80), VpcId: &vpc, TargetType: types.TargetTypeEnumIp,
	}))(t).TargetGroups[0].TargetGroupArn
	both := []types.TargetDescription{{Id: aws.String("10.0.0.4")}, {Id: aws.String("10.0.0.5")}}
	awstest.Must(c.RegisterTargets(ctx, &sdk.RegisterTargetsInput{TargetGroupArn: group, Targets: both}))(t)
	for _, tt := range []struct {
		asked []types.TargetDescription
		want  int
	}{
		{nil, 2},
		{both[:1], 1},
		{[]types.TargetDescription{{Id: aws.String("10.0.0.4"), Port: aws.Int32(80)}}, 1},
		{[]types.TargetDescription{{Id: aws.String("10.0.0.4"), Port: aws.Int32(81)}}, 0},
	} {
		got := awstest.Must(c.DescribeTargetHealth(ctx, &sdk.DescribeTargetHealthInput{TargetGroupArn: group, Targets: tt.asked}))(t).TargetHealthDescriptions
		if len(got) != tt.want {
			t.Errorf("asked for %+v: %d targets, want %d", tt.asked, len(got), tt.want)
		}
	}
	awstest.Must(c.DeleteTargetGroup(ctx, &sdk.DeleteTargetGroupInput{TargetGroupArn: group}))(t)
}

// start serves load balancing and the EC2 that it stands on, until the test ends.
func start(t *testing.T, clk *clock.Clock) (*elbv2.Service, *sdk.Client, *ec2sdk.Client) {
	t.Helper()
	identities := iam.New(clk)
	compute := ec2.New(clk, identities)
	s := elbv2.New(clk, compute, identities)
	t.Cleanup(func() { s.Close(); compute.Close() })
	cfg := awstest.Start(t, compute.Register, s.Register)
	return s, sdk.NewFromConfig(cfg), ec2sdk.NewFromConfig(cfg)
}
