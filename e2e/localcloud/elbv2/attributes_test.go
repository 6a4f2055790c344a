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
)

// TestSettings changes what can be changed on a network load balancer and its
// target group after they were made.
func TestSettings(t *testing.T) {
	ctx := t.Context()
	clk := clock.New(100)
	_, c, net := start(t, clk)
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

// TestListenerAttributes: how long a silent connection lasts can be changed of a
// TCP listener only, from 60 to 6000 seconds.
func TestListenerAttributes(t *testing.T) {
	ctx := t.Context()
	clk := clock.New(100)
	_, c, net := start(t, clk)
	vpc := awstest.Must(net.CreateVpc(ctx, &ec2sdk.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")}))(t).Vpc.VpcId
	subnet := *awstest.Must(net.CreateSubnet(ctx, &ec2sdk.CreateSubnetInput{VpcId: vpc, CidrBlock: aws.String("10.0.0.0/24")}))(t).Subnet.SubnetId
	lb := awstest.Must(c.CreateLoadBalancer(ctx, &sdk.CreateLoadBalancerInput{
		Name: aws.String("lb"), Type: types.LoadBalancerTypeEnumNetwork, Scheme: types.LoadBalancerSchemeEnumInternal, Subnets: []string{subnet},
	}))(t).LoadBalancers[0].LoadBalancerArn
	listen := func(port int32, protocol types.ProtocolEnum) *string {
		tg := awstest.Must(c.CreateTargetGroup(ctx, &sdk.CreateTargetGroupInput{Name: aws.String("tg-" + strings.ToLower(string(protocol))), Protocol: protocol, Port: aws.Int32(port), VpcId: vpc}))(t).TargetGroups[0].TargetGroupArn
		return awstest.Must(c.CreateListener(ctx, &sdk.CreateListenerInput{LoadBalancerArn: lb, Port: aws.Int32(port), Protocol: protocol,
			DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: tg}}}))(t).Listeners[0].ListenerArn
	}
	tcp, udp := listen(80, types.ProtocolEnumTcp), listen(53, types.ProtocolEnumUdp)
	gone := aws.String(strings.Replace(*tcp, "/lb/", "/gone/", 1))
	seconds := func(arn *string) []types.ListenerAttribute {
		return awstest.Must(c.DescribeListenerAttributes(ctx, &sdk.DescribeListenerAttributesInput{ListenerArn: arn}))(t).Attributes
	}
	modify := func(arn *string, key, value string) error {
		_, err := c.ModifyListenerAttributes(ctx, &sdk.ModifyListenerAttributesInput{ListenerArn: arn, Attributes: []types.ListenerAttribute{{Key: &key, Value: &value}}})
		return err
	}
	if got := seconds(tcp); len(got) != 1 || *got[0].Key != "tcp.idle_timeout.seconds" || *got[0].Value != "350" {
		t.Errorf("at first %+v", got)
	}
	if got := seconds(udp); len(got) != 0 {
		t.Errorf("of UDP %+v", got)
	}
	for _, tt := range []struct {
		arn               *string
		key, value, error string
	}{
		{tcp, "tcp.idle_timeout.seconds", "59", "InvalidConfigurationRequest"},
		{tcp, "tcp.idle_timeout.seconds", "6001", "InvalidConfigurationRequest"},
		{tcp, "tcp.idle_timeout.seconds", "1h", "InvalidConfigurationRequest"},
		{tcp, "idle_timeout.timeout_seconds", "60", "ValidationError"},
		{udp, "tcp.idle_timeout.seconds", "60", "ValidationError"},
		{gone, "tcp.idle_timeout.seconds", "60", "ListenerNotFound"},
	} {
		awstest.Fails(t, modify(tt.arn, tt.key, tt.value), 400, tt.error, "")
	}
	_, err := c.DescribeListenerAttributes(ctx, &sdk.DescribeListenerAttributesInput{ListenerArn: gone})
	awstest.Fails(t, err, 400, "ListenerNotFound", "")
	_, err = c.DescribeListeners(ctx, &sdk.DescribeListenersInput{})
	awstest.Fails(t, err, 400, "ValidationError", "You must specify either listener ARNs or a load balancer ARN")
	if err := modify(tcp, "tcp.idle_timeout.seconds", "3600"); err != nil {
		t.Error(err)
	}
	if got := seconds(tcp); *got[0].Value != "3600" {
		t.Errorf("afterwards %+v", got)
	}
}

// TestDraining: an unhealthy target keeps its connections only if they do not end at once.
func TestDraining(t *testing.T) {
	ctx := t.Context()
	clk := clock.New(100)
	_, c, net := start(t, clk)
	vpc := awstest.Must(net.CreateVpc(ctx, &ec2sdk.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")}))(t).Vpc.VpcId
	tg := awstest.Must(c.CreateTargetGroup(ctx, &sdk.CreateTargetGroupInput{Name: aws.String("tg"), Protocol: types.ProtocolEnumTcp, Port: aws.Int32(80), VpcId: vpc}))(t).TargetGroups[0].TargetGroupArn
	modify := func(arn *string, pairs ...string) error {
		in := &sdk.ModifyTargetGroupAttributesInput{TargetGroupArn: arn}
		for i := 0; i < len(pairs); i += 2 {
			in.Attributes = append(in.Attributes, types.TargetGroupAttribute{Key: &pairs[i], Value: &pairs[i+1]})
		}
		_, err := c.ModifyTargetGroupAttributes(ctx, in)
		return err
	}
	const ends, interval = "target_health_state.unhealthy.connection_termination.enabled", "target_health_state.unhealthy.draining_interval_seconds"
	awstest.Fails(t, modify(tg, interval, "900"), 400, "ValidationError", "cannot be set while")
	awstest.Fails(t, modify(tg, ends, "false", interval, "360001"), 400, "ValidationError", "between 0 and 360000")
	gone := aws.String(strings.Replace(*tg, "/tg/", "/gone/", 1))
	awstest.Fails(t, modify(gone, ends, "false"), 400, "TargetGroupNotFound", "")
	_, err := c.DescribeTargetGroupAttributes(ctx, &sdk.DescribeTargetGroupAttributesInput{TargetGroupArn: gone})
	awstest.Fails(t, err, 400, "TargetGroupNotFound", "")
	if err := modify(tg, ends, "false", interval, "900"); err != nil {
		t.Error(err)
	}
}
