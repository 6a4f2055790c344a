package server

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	s3sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// operator makes a role with a policy and returns the configuration of a client
// that acts as it.
func operator(t *testing.T, admin aws.Config, policy string) aws.Config {
	t.Helper()
	roles := iam.NewFromConfig(admin)
	name := aws.String(fmt.Sprintf("operator-%d", time.Now().UnixNano()))
	_, err := roles.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = roles.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("p"), PolicyDocument: &policy}); err != nil {
		t.Fatal(err)
	}
	session, err := sts.NewFromConfig(admin).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::111122223333:role/" + *name), RoleSessionName: aws.String("test")})
	if err != nil {
		t.Fatal(err)
	}
	k := session.Credentials
	admin.Credentials = credentials.NewStaticCredentialsProvider(*k.AccessKeyId, *k.SecretAccessKey, *k.SessionToken)
	return admin
}

// leastPolicy is what aicluster iam-policy prints for the cluster "demo" in
// [Region].
func leastPolicy(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../cmd/aicluster/testdata/policy/whole.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// attempt is one call and how it must end: allowed, or refused for want of an
// action on a resource.
type attempt struct {
	name, refused string
	call          func() error
}

func try(t *testing.T, attempts []attempt) {
	t.Helper()
	for _, a := range attempts {
		err := a.call()
		switch {
		case a.refused == "" && err != nil:
			t.Fatalf("%s: %v", a.name, err)
		case a.refused != "" && (err == nil || !strings.Contains(err.Error(), a.refused)):
			t.Errorf("%s:\n got %v\nwant %s", a.name, err, a.refused)
		}
	}
}

// What aicluster iam-policy prints is enough for a cluster and its network, and
// for nothing else.
func TestLeastPolicy(t *testing.T) {
	c, admin := startCloud(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cfg := operator(t, admin, leastPolicy(t))
	net, roles, clusters := ec2.NewFromConfig(cfg), iam.NewFromConfig(cfg), eks.NewFromConfig(cfg)
	buckets, groups := s3sdk.NewFromConfig(cfg), cloudwatchlogs.NewFromConfig(cfg)
	tags := []ec2types.Tag{{Key: aws.String("team"), Value: aws.String("ml")}}
	tagged := func(kind ec2types.ResourceType) []ec2types.TagSpecification {
		return []ec2types.TagSpecification{{ResourceType: kind, Tags: tags}}
	}

	var vpc, template string
	var subnets []string
	const prefix = "demo-" + Region + "-"
	role := func(name, trust string, policies ...string) func() error {
		return func() error {
			_, err := roles.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String(name), AssumeRolePolicyDocument: aws.String(strings.Replace(clusterTrust, "eks.", trust+".", 1)),
				Tags: []iamtypes.Tag{{Key: aws.String("team"), Value: aws.String("ml")}}})
			for _, p := range policies {
				if err == nil {
					_, err = roles.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String(name), PolicyArn: aws.String("arn:aws:iam::aws:policy/" + p)})
				}
			}
			return err
		}
	}
	inline := func(name string) func() error {
		return func() error {
			_, err := roles.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String(name), PolicyName: aws.String("p"), PolicyDocument: aws.String(
				`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"autoscaling:*","Resource":"*"}]}`)})
			return err
		}
	}
	linked := func(service string) func() error {
		return func() error {
			_, err := roles.CreateServiceLinkedRole(ctx, &iam.CreateServiceLinkedRoleInput{AWSServiceName: aws.String(service)})
			return err
		}
	}
	cluster := func(name, roleName string) func() error {
		return func() error {
			_, err := clusters.CreateCluster(ctx, &eks.CreateClusterInput{
				Name: aws.String(name), RoleArn: aws.String("arn:aws:iam::111122223333:role/" + roleName), Version: aws.String("1.35"),
				ResourcesVpcConfig: &ekstypes.VpcConfigRequest{SubnetIds: subnets}, Tags: map[string]string{"team": "ml"},
				AccessConfig: &ekstypes.CreateAccessConfigRequest{AuthenticationMode: ekstypes.AuthenticationModeApi},
			})
			return err
		}
	}
	bucket := func(name string) func() error {
		return func() error {
			_, err := buckets.CreateBucket(ctx, &s3sdk.CreateBucketInput{Bucket: aws.String(name),
				CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(Region)}})
			return err
		}
	}
	object := func(bucket string) func() error {
		return func() error {
			_, err := buckets.PutObject(ctx, &s3sdk.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("llama/config.json"), Body: strings.NewReader("{}")})
			return err
		}
	}
	logGroup := func(name string) func() error {
		return func() error {
			_, err := groups.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(name), Tags: map[string]string{"team": "ml"}})
			return err
		}
	}
	try(t, []attempt{
		{"VPC", "", func() error {
			out, err := net.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.42.0.0/16"), TagSpecifications: tagged("vpc")})
			if err == nil {
				vpc = *out.Vpc.VpcId
			}
			return err
		}},
		{"VPC of another region", "ec2:CreateVpc on resource: arn:aws:ec2:eu-west-1:111122223333:vpc/* because no identity-based policy allows the ec2:CreateVpc action. Encoded authorization failure message: ", func() error {
			_, err := net.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.42.0.0/16")}, func(o *ec2.Options) { o.Region = "eu-west-1" })
			return err
		}},
		{"subnets", "", func() error {
			for i, zone := range []string{"a", "b"} {
				out, err := net.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: aws.String(fmt.Sprintf("10.42.%d.0/20", 16*i)),
					AvailabilityZone: aws.String(Region + zone), TagSpecifications: tagged("subnet")})
				if err != nil {
					return err
				}
				subnets = append(subnets, *out.Subnet.SubnetId)
			}
			return nil
		}},
		{"security group", "ec2:CreateSecurityGroup on resource: arn:aws:ec2:ap-northeast-2:111122223333:security-group/* because", func() error {
			_, err := net.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{VpcId: &vpc, GroupName: aws.String("x"), Description: aws.String("x")})
			return err
		}},
		{"reading what is not in it", "User: arn:aws:sts::111122223333:assumed-role/", func() error {
			_, err := roles.ListPolicies(ctx, nil)
			return err
		}},
		{"launch template", "", func() error {
			out, err := net.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("demo"), TagSpecifications: tagged("launch-template"),
				LaunchTemplateData: &ec2types.RequestLaunchTemplateData{MetadataOptions: &ec2types.LaunchTemplateInstanceMetadataOptionsRequest{HttpTokens: "required"}}})
			if err == nil {
				template = *out.LaunchTemplate.LaunchTemplateId
			}
			return err
		}},

		{"cluster role", "", role(prefix+"cluster", "eks", "AmazonEKSClusterPolicy")},
		{"node role", "", role(prefix+"nodes", "ec2", "AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly")},
		{"autoscaler's role", "", role(prefix+"cluster-autoscaler", "pods.eks")},
		{"another's role", "iam:CreateRole on resource: arn:aws:iam::111122223333:role/admin because", role("admin", "ec2")},
		{"administrator", "iam:AttachRolePolicy on resource: role " + prefix + "nodes because", func() error {
			_, err := roles.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String(prefix + "nodes"), PolicyArn: aws.String("arn:aws:iam::aws:policy/AdministratorAccess")})
			return err
		}},
		{"autoscaler's policy", "", inline(prefix + "cluster-autoscaler")},
		{"policy of another role", "iam:PutRolePolicy on resource: role " + prefix + "nodes because", inline(prefix + "nodes")},
		{"service-linked role", "", linked("eks.amazonaws.com")},
		{"service-linked role for nodes", "", linked("eks-nodegroup.amazonaws.com")},
		{"service-linked role of another service", "iam:CreateServiceLinkedRole on resource: arn:aws:iam::111122223333:role/aws-service-role/elasticloadbalancing.amazonaws.com/AWSServiceRoleForElasticLoadBalancing because", linked("elasticloadbalancing.amazonaws.com")},
		{"finding a service-linked role", "", func() error {
			_, err := roles.ListRoles(ctx, &iam.ListRolesInput{PathPrefix: aws.String("/aws-service-role/eks.amazonaws.com/")})
			return err
		}},

		{"another cluster", "eks:CreateCluster on resource: arn:aws:eks:ap-northeast-2:111122223333:cluster/prod because", cluster("prod", prefix+"cluster")},
		{"another's role for it", "iam:PassRole on resource: arn:aws:iam::111122223333:role/boss because", cluster("demo", "boss")},
		{"cluster", "", func() error {
			time.Sleep(c.clock.Duration("iam.propagation") + 20*time.Millisecond)
			if err := cluster("demo", prefix+"cluster")(); err != nil {
				return err
			}
			return eks.NewClusterActiveWaiter(clusters, func(o *eks.ClusterActiveWaiterOptions) {
				o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second
			}).Wait(ctx, &eks.DescribeClusterInput{Name: aws.String("demo")}, time.Minute)
		}},
		{"node group", "", func() error {
			_, err := clusters.CreateNodegroup(ctx, &eks.CreateNodegroupInput{ClusterName: aws.String("demo"), NodegroupName: aws.String("system"),
				NodeRole: aws.String("arn:aws:iam::111122223333:role/" + prefix + "nodes"), Subnets: subnets, InstanceTypes: []string{"c6i.large"},
				LaunchTemplate: &ekstypes.LaunchTemplateSpecification{Id: &template}, Tags: map[string]string{"team": "ml"}})
			return err
		}},
		{"reading it", "", func() error {
			_, err := clusters.DescribeNodegroup(ctx, &eks.DescribeNodegroupInput{ClusterName: aws.String("demo"), NodegroupName: aws.String("system")})
			return err
		}},
		{"access entry", "", func() error {
			who := aws.String("arn:aws:iam::111122223333:role/" + prefix + "cluster")
			_, err := clusters.CreateAccessEntry(ctx, &eks.CreateAccessEntryInput{ClusterName: aws.String("demo"), PrincipalArn: who, Tags: map[string]string{"team": "ml"}})
			if err == nil {
				_, err = clusters.AssociateAccessPolicy(ctx, &eks.AssociateAccessPolicyInput{ClusterName: aws.String("demo"), PrincipalArn: who,
					PolicyArn: aws.String("arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"), AccessScope: &ekstypes.AccessScope{Type: "cluster"}})
			}
			return err
		}},
		{"pod identity", "", func() error {
			_, err := clusters.CreatePodIdentityAssociation(ctx, &eks.CreatePodIdentityAssociationInput{ClusterName: aws.String("demo"), Namespace: aws.String("kube-system"),
				ServiceAccount: aws.String("cluster-autoscaler"), RoleArn: aws.String("arn:aws:iam::111122223333:role/" + prefix + "cluster-autoscaler")})
			return err
		}},
		{"clusters of the account", "eks:ListClusters on resource: ", func() error { _, err := clusters.ListClusters(ctx, nil); return err }},

		{"bucket", "", bucket("demo-models")},
		{"another bucket", `s3:CreateBucket on resource: "arn:aws:s3:::others" because`, bucket("others")},
		{"object", "", object("demo-models")},
		{"another bucket's object", `s3:PutObject on resource: "arn:aws:s3:::others/llama/config.json" because`, object("others")},
		{"log group", "", logGroup("/aws/eks/demo/cluster")},
		{"another log group", "logs:CreateLogGroup on resource: arn:aws:logs:ap-northeast-2:111122223333:log-group:/aws/eks/prod/cluster:log-stream: because", logGroup("/aws/eks/prod/cluster")},
		{"log groups", "", func() error { _, err := groups.DescribeLogGroups(ctx, nil); return err }},
	})
}

// What a call takes beyond itself, and conditions that the least policy
// does not use.
func TestConditions(t *testing.T) {
	_, admin := startCloud(t)
	ctx := t.Context()
	made, err := ec2.NewFromConfig(admin).CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"),
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: "vpc", Tags: []ec2types.Tag{{Key: aws.String("team"), Value: aws.String("others")}}}}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := operator(t, admin, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"ec2:CreateVpc","Resource":"*"},
		{"Effect":"Allow","Action":"ec2:CreateTags","Resource":"arn:aws:ec2:*:*:vpc/*","Condition":{"StringEquals":{"ec2:CreateAction":"CreateVpc","aws:RequestTag/team":"ml"},"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}},
		{"Effect":"Allow","Action":"ec2:DeleteVpc","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"ml"}}},
		{"Effect":"Allow","Action":"ec2:ModifyVpcAttribute","Resource":"*"},
		{"Effect":"Deny","Action":"ec2:Modify*","Resource":"*"}]}`)
	net := ec2.NewFromConfig(cfg)
	var own *string
	create := func(tags ...string) error {
		in := &ec2.CreateVpcInput{CidrBlock: aws.String("10.1.0.0/16"), TagSpecifications: []ec2types.TagSpecification{{ResourceType: "vpc"}}}
		for _, k := range tags {
			key, value, _ := strings.Cut(k, "=")
			in.TagSpecifications[0].Tags = append(in.TagSpecifications[0].Tags, ec2types.Tag{Key: &key, Value: &value})
		}
		out, err := net.CreateVpc(ctx, in)
		if err == nil {
			own = out.Vpc.VpcId
		}
		return err
	}
	const tagging = "ec2:CreateTags on resource: arn:aws:ec2:ap-northeast-2:111122223333:vpc/* because"
	try(t, []attempt{
		{"tag of another team", tagging, func() error { return create("team=others") }},
		{"further tag", tagging, func() error { return create("team=ml", "x=y") }},
		{"own tag", "", func() error { return create("team=ml") }},
		{"tags by a call of their own", "ec2:CreateTags on resource: arn:aws:ec2:ap-northeast-2:111122223333:vpc/vpc-", func() error {
			_, err := net.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{*made.Vpc.VpcId}, Tags: []ec2types.Tag{{Key: aws.String("team"), Value: aws.String("ml")}}})
			return err
		}},
		{"deleting another's", "ec2:DeleteVpc on resource: arn:aws:ec2:ap-northeast-2:111122223333:vpc/" + *made.Vpc.VpcId + " because", func() error {
			_, err := net.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: made.Vpc.VpcId})
			return err
		}},
		{"explicit deny", "with an explicit deny in an identity-based policy. Encoded", func() error {
			_, err := net.ModifyVpcAttribute(ctx, &ec2.ModifyVpcAttributeInput{VpcId: own, EnableDnsSupport: &ec2types.AttributeBooleanValue{Value: aws.Bool(true)}})
			return err
		}},
		{"deleting one's own", "", func() error { _, err := net.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: own}); return err }},
		{"no permission for a reading call", "is not authorized to perform: ec2:DescribeVpcs because no identity-based policy allows the ec2:DescribeVpcs action", func() error {
			_, err := net.DescribeVpcs(ctx, nil)
			return err
		}},
	})
}
