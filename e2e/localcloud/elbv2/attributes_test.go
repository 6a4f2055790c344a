package elbv2_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	sdk "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/elbv2"
	"aicluster/e2e/localcloud/iam"
)

// TestSettings changes what can be changed on a network load balancer and its
// target group after they were made.
func TestSettings(t *testing.T) {
	ctx := t.Context()
	clk := clock.New(100)
	identities := iam.New(clk)
	compute := ec2.New(clk, identities)
	s := elbv2.New(clk, compute, identities)
	t.Cleanup(func() { s.Close(); compute.Close() })
	cfg := awstest.Start(t, compute.Register, s.Register)
	c, net := sdk.NewFromConfig(cfg), ec2sdk.NewFromConfig(cfg)
	vpc := awstest.Must(net.CreateVpc(ctx, &ec2sdk.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")}))(t).Vpc.VpcId
	subnet := *awstest.Must(net.CreateSubnet(ctx, &ec2sdk.CreateSubnetInput{VpcId: vpc, CidrBlock: aws.String("10.0.0.0/24")}))(t).Subnet.SubnetId
	group := *awstest.Must(net.CreateSecurityGroup(ctx, &ec2sdk.CreateSecurityGroupInput{VpcId: vpc, GroupName: aws.String("lb"), Description: aws.String("lb")}))(t).GroupId
	make := func(name string, groups ...string) *string {
		return awstest.Must(c.CreateLoadBalancer(ctx, &sdk.CreateLoadBalancerInput{
			Name: &name, Type: types.LoadBalancerTypeEnumNetwork, Scheme: types.LoadBalancerSchemeEnumInternal, Subnets: []string{subnet}, SecurityGroups: groups,
		}))(t).LoadBalancers[0].LoadBalancerArn
	}
	bare, guarded := make("bare"), make("guarded", group)

	_, err := c.SetSecurityGroups(ctx, &sdk.SetSecurityGroupsInput{LoadBalancerArn: bare, SecurityGroups: []string{group}})
	awstest.Fails(t, err, 400, "InvalidConfigurationRequest", "without a security group")
	_, err = c.SetSecurityGroups(ctx, &sdk.SetSecurityGroupsInput{LoadBalancerArn: guarded, SecurityGroups: []string{"sg-0123456789abcdef0"}})
	awstest.Fails(t, err, 400, "InvalidSecurityGroup", "invalid")
	if _, err := net.DeleteSecurityGroup(ctx, &ec2sdk.DeleteSecurityGroupInput{GroupId: &group}); err == nil {
		t.Error("the group of a load balancer could be deleted")
	}
	awstest.Must(c.SetSecurityGroups(ctx, &sdk.SetSecurityGroupsInput{LoadBalancerArn: guarded, SecurityGroups: []string{}}))(t)
	awstest.Must(net.DeleteSecurityGroup(ctx, &ec2sdk.DeleteSecurityGroupInput{GroupId: &group}))(t)

	gone := strings.Replace(*bare, "/bare/", "/gone/", 1)
	_, err = c.DescribeTags(ctx, &sdk.DescribeTagsInput{ResourceArns: []string{gone}})
	awstest.Fails(t, err, 400, "LoadBalancerNotFound", "not found")
	_, err = c.DescribeTargetGroups(ctx, &sdk.DescribeTargetGroupsInput{LoadBalancerArn: &gone})
	awstest.Fails(t, err, 400, "LoadBalancerNotFound", "not found")
	_, err = c.DescribeTargetGroups(ctx, &sdk.DescribeTargetGroupsInput{Names: []string{"gone"}})
	awstest.Fails(t, err, 400, "TargetGroupNotFound", "One or more target groups not found")
	_, err = c.DescribeTargetGroups(ctx, &sdk.DescribeTargetGroupsInput{Marker: aws.String("x")})
	awstest.Fails(t, err, 400, "ValidationError", "Invalid Marker.")

	attribute := func(key, value string) []types.LoadBalancerAttribute {
		return []types.LoadBalancerAttribute{{Key: &key, Value: &value}}
	}
	_, err = c.ModifyLoadBalancerAttributes(ctx, &sdk.ModifyLoadBalancerAttributesInput{LoadBalancerArn: bare, Attributes: attribute("routing.http2.enabled", "true")})
	awstest.Fails(t, err, 400, "ValidationError", "Load balancer attribute key 'routing.http2.enabled' is not supported on load balancers with type 'network'")
	awstest.Must(c.ModifyLoadBalancerAttributes(ctx, &sdk.ModifyLoadBalancerAttributesInput{LoadBalancerArn: bare, Attributes: attribute("deletion_protection.enabled", "true")}))(t)
	_, err = c.DeleteLoadBalancer(ctx, &sdk.DeleteLoadBalancerInput{LoadBalancerArn: bare})
	awstest.Fails(t, err, 400, "OperationNotPermitted", "deletion protection is enabled")

	tg := awstest.Must(c.CreateTargetGroup(ctx, &sdk.CreateTargetGroupInput{
		Name: aws.String("k8s-default-web-0123456789"), Protocol: types.ProtocolEnumTcp, Port: aws.Int32(30080), VpcId: vpc, HealthCheckProtocol: types.ProtocolEnumHttp,
	}))(t).TargetGroups[0]
	if *tg.HealthCheckTimeoutSeconds != 6 || *tg.HealthCheckPath != "/" || *tg.HealthCheckPort != "traffic-port" {
		t.Errorf("health check %+v", tg)
	}
	tg = awstest.Must(c.ModifyTargetGroup(ctx, &sdk.ModifyTargetGroupInput{TargetGroupArn: tg.TargetGroupArn, HealthCheckPort: aws.String("10256"), HealthyThresholdCount: aws.Int32(2)}))(t).TargetGroups[0]
	if *tg.HealthCheckPort != "10256" || *tg.HealthyThresholdCount != 2 || *tg.HealthCheckTimeoutSeconds != 6 {
		t.Errorf("health check %+v", tg)
	}
	modify := func(key, value string) error {
		_, err := c.ModifyTargetGroupAttributes(ctx, &sdk.ModifyTargetGroupAttributesInput{TargetGroupArn: tg.TargetGroupArn, Attributes: []types.TargetGroupAttribute{{Key: &key, Value: &value}}})
		return err
	}
	awstest.Fails(t, modify("slow_start.duration_seconds", "30"), 400, "ValidationError", "slow_start.duration_seconds")
	if err := modify("proxy_protocol_v2.enabled", "true"); err != nil {
		t.Error(err)
	}
	for _, a := range awstest.Must(c.DescribeTargetGroupAttributes(ctx, &sdk.DescribeTargetGroupAttributesInput{TargetGroupArn: tg.TargetGroupArn}))(t).Attributes {
		if *a.Key == "proxy_protocol_v2.enabled" && *a.Value != "true" {
			t.Errorf("%s is %s", *a.Key, *a.Value)
		}
	}
}
