package e2e

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdLBC makes what the AWS Load Balancer Controller makes for a service of
// namespace web, with its names, tags and rules: "lbc CLUSTER REGION"
// (https://kubernetes-sigs.github.io/aws-load-balancer-controller/, "NLB" and
// "Security groups"). The controller is a chart of the user's own.
func cmdLBC(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lbc CLUSTER REGION")
	}
	ctx, config := context.Background(), of(ts).config(args[1])
	out, err := eks.NewFromConfig(config).DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &args[0]})
	ts.Check(err)
	vpc := out.Cluster.ResourcesVpcConfig
	var groupTags []ec2types.Tag
	var balancerTags []elbtypes.Tag
	for k, v := range map[string]string{"elbv2.k8s.aws/cluster": args[0], "service.k8s.aws/stack": "web/web", "service.k8s.aws/resource": "LoadBalancer"} {
		groupTags = append(groupTags, ec2types.Tag{Key: &k, Value: &v})
		balancerTags = append(balancerTags, elbtypes.Tag{Key: &k, Value: &v})
	}

	network := ec2.NewFromConfig(config)
	group := func(name string) string {
		made, err := network.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
			GroupName: &name, Description: aws.String("[k8s] " + name), VpcId: vpc.VpcId,
			TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSecurityGroup, Tags: groupTags}},
		})
		ts.Check(err)
		seen := ec2.NewSecurityGroupExistsWaiter(network, func(o *ec2.SecurityGroupExistsWaiterOptions) { o.MinDelay, o.MaxDelay = natPoll, natPoll })
		ts.Check(seen.Wait(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*made.GroupId}}, natLimit))
		return *made.GroupId
	}
	backend, frontend := group("k8s-traffic-"+args[0]+"-0123456789"), group("k8s-web-web-0123456789")
	for _, to := range []string{*vpc.ClusterSecurityGroupId, frontend} {
		_, err := network.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &to, IpPermissions: []ec2types.IpPermission{{
			IpProtocol: aws.String("tcp"), FromPort: aws.Int32(30000), ToPort: aws.Int32(32767),
			UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: &backend, Description: aws.String("elbv2.k8s.aws/targetGroupBinding=shared")}},
		}}})
		ts.Check(err)
	}

	balancing := elb.NewFromConfig(config)
	balancer, err := balancing.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{
		Name: aws.String("k8s-web-web-0123456789"), Type: elbtypes.LoadBalancerTypeEnumNetwork, Scheme: elbtypes.LoadBalancerSchemeEnumInternal,
		Subnets: vpc.SubnetIds, SecurityGroups: []string{frontend, backend}, Tags: balancerTags,
	})
	ts.Check(err)
	targets, err := balancing.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
		Name: aws.String("k8s-web-web-9876543210"), Protocol: elbtypes.ProtocolEnumTcp, Port: aws.Int32(30080), VpcId: vpc.VpcId, Tags: balancerTags,
	})
	ts.Check(err)
	_, err = balancing.CreateListener(ctx, &elb.CreateListenerInput{
		LoadBalancerArn: balancer.LoadBalancers[0].LoadBalancerArn, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumTcp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: targets.TargetGroups[0].TargetGroupArn}},
	})
	ts.Check(err)
}
