package orphans

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/efs"
	efstypes "github.com/aws/aws-sdk-go-v2/service/efs/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	classic "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	classictypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"aicluster/provision/cloud"
)

type tags = map[string]string

// thing is what the fake EC2 knows of one resource.
type thing struct {
	id, vpc string
	tags    tags
	state   string
	set     func(any) // fills in what the SDK type has beside
}

// account is a fake of everything that the search asks. What is not written below
// panics.
type account struct {
	EC2API
	ec2      map[types.ResourceType][]thing
	cluster  *ekstypes.Cluster
	groups   map[string]tags // Auto Scaling
	roles    map[string]tags
	profiles map[string]string // instance profile: role
	logs     []string
	lbs      map[string]tags // name: tags; in VPC "vpc-1"
	classic  map[string]tags // so are these
	buckets  map[string]tags
	files    map[string]tags // EFS
	events   []string        // names of queues and rules
	calls    int             // of DescribeNatGateways
}

// search is a search for cluster "demo" in us-west-2.
func (a *account) search() *Search {
	return &Search{EC2: a, EKS: fakeEKS{a}, IAM: fakeIAM{a}, Logs: fakeLogs{a}, AutoScaling: fakeScaling{a}, ELB: fakeELB{a}, Classic: fakeClassic{a}, S3: fakeS3{a}, EFS: fakeEFS{a},
		Queues: fakeEvents{a}, Rules: fakeEvents{a}, Cluster: "demo", Region: "us-west-2"}
}

// run searches and lists what was found as "kind/id", foreign things with a "!".
func (a *account) run(t *testing.T) string {
	t.Helper()
	found, err := a.search().Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range found {
		name := f.Name()
		if f.Foreign {
			name += "!"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func sdkTags(m tags) []types.Tag { return cloud.EC2Tags(m) }

// pick lists the things of a type that all filters select.
func (a *account) pick(kind types.ResourceType, filters []types.Filter) []thing {
	return slices.DeleteFunc(slices.Clone(a.ec2[kind]), func(t thing) bool {
		for _, f := range filters {
			name, value := aws.ToString(f.Name), t.id
			if strings.HasSuffix(name, "vpc-id") && kind != types.ResourceTypeVpc {
				value = t.vpc
			}
			if key, ok := strings.CutPrefix(name, "tag:"); ok {
				value = t.tags[key]
			}
			if !slices.Contains(f.Values, value) {
				return true
			}
		}
		return false
	})
}

// DescribeTags also tells the tags of what is gone, as EC2 does for a while.
func (a *account) DescribeTags(_ context.Context, in *ec2.DescribeTagsInput, _ ...func(*ec2.Options)) (*ec2.DescribeTagsOutput, error) {
	out := &ec2.DescribeTagsOutput{}
	for kind, things := range a.ec2 {
		for _, t := range things {
			for k, v := range t.tags {
				if slices.Contains(in.Filters[0].Values, k) {
					out.Tags = append(out.Tags, types.TagDescription{ResourceType: kind, ResourceId: aws.String(strings.TrimPrefix(t.id, "gone:")), Key: aws.String(k), Value: aws.String(v)})
				}
			}
		}
	}
	return out, nil
}

func list[T any](things []thing, of func(thing) T) []T {
	var out []T
	for _, t := range things {
		if strings.HasPrefix(t.id, "gone:") {
			continue
		}
		v := of(t)
		if t.set != nil {
			t.set(&v)
		}
		out = append(out, v)
	}
	return out
}

func (a *account) DescribeVpcs(_ context.Context, in *ec2.DescribeVpcsInput, _ ...func(*ec2.Options)) (*ec2.DescribeVpcsOutput, error) {
	return &ec2.DescribeVpcsOutput{Vpcs: list(a.pick(types.ResourceTypeVpc, in.Filters), func(t thing) types.Vpc {
		return types.Vpc{VpcId: &t.id, Tags: sdkTags(t.tags)}
	})}, nil
}

func (a *account) DescribeSubnets(_ context.Context, in *ec2.DescribeSubnetsInput, _ ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error) {
	return &ec2.DescribeSubnetsOutput{Subnets: list(a.pick(types.ResourceTypeSubnet, in.Filters), func(t thing) types.Subnet {
		return types.Subnet{SubnetId: &t.id, Tags: sdkTags(t.tags)}
	})}, nil
}

func (a *account) DescribeInstances(_ context.Context, in *ec2.DescribeInstancesInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	return &ec2.DescribeInstancesOutput{Reservations: []types.Reservation{{Instances: list(a.pick(types.ResourceTypeInstance, in.Filters), func(t thing) types.Instance {
		return types.Instance{InstanceId: &t.id, InstanceType: "m6i.large", State: &types.InstanceState{Name: types.InstanceStateName(t.state)}, Tags: sdkTags(t.tags)}
	})}}}, nil
}

func (a *account) DescribeVolumes(_ context.Context, in *ec2.DescribeVolumesInput, _ ...func(*ec2.Options)) (*ec2.DescribeVolumesOutput, error) {
	return &ec2.DescribeVolumesOutput{Volumes: list(a.pick(types.ResourceTypeVolume, in.Filters), func(t thing) types.Volume {
		return types.Volume{VolumeId: &t.id, Size: aws.Int32(73), VolumeType: types.VolumeTypeGp3, State: types.VolumeState(t.state), Tags: sdkTags(t.tags)}
	})}, nil
}

func (a *account) DescribeNatGateways(_ context.Context, in *ec2.DescribeNatGatewaysInput, _ ...func(*ec2.Options)) (*ec2.DescribeNatGatewaysOutput, error) {
	a.calls++
	return &ec2.DescribeNatGatewaysOutput{NatGateways: list(a.pick(types.ResourceTypeNatgateway, in.Filter), func(t thing) types.NatGateway {
		return types.NatGateway{NatGatewayId: &t.id, State: types.NatGatewayState(t.state), Tags: sdkTags(t.tags)}
	})}, nil
}

func (a *account) DescribeAddresses(_ context.Context, in *ec2.DescribeAddressesInput, _ ...func(*ec2.Options)) (*ec2.DescribeAddressesOutput, error) {
	return &ec2.DescribeAddressesOutput{Addresses: list(a.pick(types.ResourceTypeElasticIp, in.Filters), func(t thing) types.Address {
		return types.Address{AllocationId: &t.id, Tags: sdkTags(t.tags)}
	})}, nil
}

func (a *account) DescribeNetworkInterfaces(_ context.Context, in *ec2.DescribeNetworkInterfacesInput, _ ...func(*ec2.Options)) (*ec2.DescribeNetworkInterfacesOutput, error) {
	return &ec2.DescribeNetworkInterfacesOutput{NetworkInterfaces: list(a.pick(types.ResourceTypeNetworkInterface, in.Filters), func(t thing) types.NetworkInterface {
		return types.NetworkInterface{NetworkInterfaceId: &t.id, Status: types.NetworkInterfaceStatus(t.state), TagSet: sdkTags(t.tags), OwnerId: aws.String("111122223333")}
	})}, nil
}

func (a *account) DescribeSecurityGroups(_ context.Context, in *ec2.DescribeSecurityGroupsInput, _ ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupsOutput, error) {
	return &ec2.DescribeSecurityGroupsOutput{SecurityGroups: list(a.pick(types.ResourceTypeSecurityGroup, in.Filters), func(t thing) types.SecurityGroup {
		return types.SecurityGroup{GroupId: &t.id, GroupName: aws.String(t.state), Tags: sdkTags(t.tags)}
	})}, nil
}

func (a *account) DescribeRouteTables(_ context.Context, in *ec2.DescribeRouteTablesInput, _ ...func(*ec2.Options)) (*ec2.DescribeRouteTablesOutput, error) {
	return &ec2.DescribeRouteTablesOutput{RouteTables: list(a.pick(types.ResourceTypeRouteTable, in.Filters), func(t thing) types.RouteTable {
		return types.RouteTable{RouteTableId: &t.id, Tags: sdkTags(t.tags), Associations: []types.RouteTableAssociation{{Main: aws.Bool(t.state == "main")}}}
	})}, nil
}

func (a *account) DescribeInternetGateways(_ context.Context, in *ec2.DescribeInternetGatewaysInput, _ ...func(*ec2.Options)) (*ec2.DescribeInternetGatewaysOutput, error) {
	return &ec2.DescribeInternetGatewaysOutput{InternetGateways: list(a.pick(types.ResourceTypeInternetGateway, in.Filters), func(t thing) types.InternetGateway {
		return types.InternetGateway{InternetGatewayId: &t.id, Tags: sdkTags(t.tags)}
	})}, nil
}

func (a *account) DescribeVpcEndpoints(_ context.Context, in *ec2.DescribeVpcEndpointsInput, _ ...func(*ec2.Options)) (*ec2.DescribeVpcEndpointsOutput, error) {
	return &ec2.DescribeVpcEndpointsOutput{VpcEndpoints: list(a.pick(types.ResourceTypeVpcEndpoint, in.Filters), func(t thing) types.VpcEndpoint {
		return types.VpcEndpoint{VpcEndpointId: &t.id, State: types.State(t.state), Tags: sdkTags(t.tags)}
	})}, nil
}

func (a *account) DescribeLaunchTemplates(_ context.Context, in *ec2.DescribeLaunchTemplatesInput, _ ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplatesOutput, error) {
	return &ec2.DescribeLaunchTemplatesOutput{LaunchTemplates: list(a.pick(types.ResourceTypeLaunchTemplate, in.Filters), func(t thing) types.LaunchTemplate {
		return types.LaunchTemplate{LaunchTemplateName: &t.id, Tags: sdkTags(t.tags)}
	})}, nil
}

type fakeEKS struct{ *account }

func (f fakeEKS) DescribeCluster(context.Context, *eks.DescribeClusterInput, ...func(*eks.Options)) (*eks.DescribeClusterOutput, error) {
	if f.cluster == nil {
		return nil, &ekstypes.ResourceNotFoundException{}
	}
	return &eks.DescribeClusterOutput{Cluster: f.cluster}, nil
}

type fakeIAM struct{ *account }

func (f fakeIAM) ListRoles(context.Context, *iam.ListRolesInput, ...func(*iam.Options)) (*iam.ListRolesOutput, error) {
	out := &iam.ListRolesOutput{}
	for _, name := range slices.Sorted(maps.Keys(f.roles)) {
		out.Roles = append(out.Roles, iamtypes.Role{RoleName: aws.String(name)})
	}
	return out, nil
}

func (f fakeIAM) GetRole(_ context.Context, in *iam.GetRoleInput, _ ...func(*iam.Options)) (*iam.GetRoleOutput, error) {
	return &iam.GetRoleOutput{Role: &iamtypes.Role{RoleName: in.RoleName, Tags: cloud.IAMTags(f.roles[aws.ToString(in.RoleName)])}}, nil
}

func (f fakeIAM) ListInstanceProfiles(context.Context, *iam.ListInstanceProfilesInput, ...func(*iam.Options)) (*iam.ListInstanceProfilesOutput, error) {
	out := &iam.ListInstanceProfilesOutput{}
	for name, role := range f.profiles {
		p := iamtypes.InstanceProfile{InstanceProfileName: aws.String(name)}
		if role != "" {
			p.Roles = []iamtypes.Role{{RoleName: aws.String(role)}}
		}
		out.InstanceProfiles = append(out.InstanceProfiles, p)
	}
	return out, nil
}

type fakeEvents struct{ *account }

func (f fakeEvents) GetQueueUrl(_ context.Context, in *sqs.GetQueueUrlInput, _ ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error) {
	if !slices.Contains(f.events, "queue/"+*in.QueueName) {
		return nil, &sqstypes.QueueDoesNotExist{}
	}
	return &sqs.GetQueueUrlOutput{QueueUrl: aws.String("https://sqs/" + *in.QueueName)}, nil
}

func (f fakeEvents) DescribeRule(_ context.Context, in *eventbridge.DescribeRuleInput, _ ...func(*eventbridge.Options)) (*eventbridge.DescribeRuleOutput, error) {
	if !slices.Contains(f.events, "rule/"+*in.Name) {
		return nil, &eventtypes.ResourceNotFoundException{}
	}
	return &eventbridge.DescribeRuleOutput{}, nil
}

type fakeLogs struct{ *account }

func (f fakeLogs) DescribeLogGroups(context.Context, *cloudwatchlogs.DescribeLogGroupsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DescribeLogGroupsOutput, error) {
	out := &cloudwatchlogs.DescribeLogGroupsOutput{}
	for _, name := range f.logs {
		out.LogGroups = append(out.LogGroups, logtypes.LogGroup{LogGroupName: aws.String(name)})
	}
	return out, nil
}

type fakeScaling struct{ *account }

func (f fakeScaling) DescribeAutoScalingGroups(context.Context, *autoscaling.DescribeAutoScalingGroupsInput, ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
	out := &autoscaling.DescribeAutoScalingGroupsOutput{}
	for name, has := range f.groups {
		g := astypes.AutoScalingGroup{AutoScalingGroupName: aws.String(name)}
		for k, v := range has {
			g.Tags = append(g.Tags, astypes.TagDescription{Key: aws.String(k), Value: aws.String(v)})
		}
		out.AutoScalingGroups = append(out.AutoScalingGroups, g)
	}
	return out, nil
}

type fakeELB struct{ *account }

func (f fakeELB) DescribeLoadBalancers(context.Context, *elb.DescribeLoadBalancersInput, ...func(*elb.Options)) (*elb.DescribeLoadBalancersOutput, error) {
	out := &elb.DescribeLoadBalancersOutput{}
	for name := range f.lbs {
		out.LoadBalancers = append(out.LoadBalancers, elbtypes.LoadBalancer{LoadBalancerArn: aws.String(name), LoadBalancerName: aws.String(name), VpcId: aws.String("vpc-1")})
	}
	return out, nil
}

func (f fakeELB) DescribeTargetGroups(context.Context, *elb.DescribeTargetGroupsInput, ...func(*elb.Options)) (*elb.DescribeTargetGroupsOutput, error) {
	return &elb.DescribeTargetGroupsOutput{}, nil
}

func (f fakeELB) DescribeTags(_ context.Context, in *elb.DescribeTagsInput, _ ...func(*elb.Options)) (*elb.DescribeTagsOutput, error) {
	out := &elb.DescribeTagsOutput{}
	for _, arn := range in.ResourceArns {
		d := elbtypes.TagDescription{ResourceArn: aws.String(arn)}
		for k, v := range f.lbs[arn] {
			d.Tags = append(d.Tags, elbtypes.Tag{Key: aws.String(k), Value: aws.String(v)})
		}
		out.TagDescriptions = append(out.TagDescriptions, d)
	}
	return out, nil
}

type fakeClassic struct{ *account }

func (f fakeClassic) DescribeLoadBalancers(context.Context, *classic.DescribeLoadBalancersInput, ...func(*classic.Options)) (*classic.DescribeLoadBalancersOutput, error) {
	out := &classic.DescribeLoadBalancersOutput{}
	for name := range f.classic {
		out.LoadBalancerDescriptions = append(out.LoadBalancerDescriptions, classictypes.LoadBalancerDescription{LoadBalancerName: aws.String(name), VPCId: aws.String("vpc-1")})
	}
	return out, nil
}

func (f fakeClassic) DescribeTags(_ context.Context, in *classic.DescribeTagsInput, _ ...func(*classic.Options)) (*classic.DescribeTagsOutput, error) {
	out := &classic.DescribeTagsOutput{}
	for _, name := range in.LoadBalancerNames {
		d := classictypes.TagDescription{LoadBalancerName: aws.String(name)}
		for k, v := range f.classic[name] {
			d.Tags = append(d.Tags, classictypes.Tag{Key: aws.String(k), Value: aws.String(v)})
		}
		out.TagDescriptions = append(out.TagDescriptions, d)
	}
	return out, nil
}

type fakeS3 struct{ *account }

func (f fakeS3) ListBuckets(context.Context, *s3.ListBucketsInput, ...func(*s3.Options)) (*s3.ListBucketsOutput, error) {
	out := &s3.ListBucketsOutput{}
	for name := range f.buckets {
		out.Buckets = append(out.Buckets, s3types.Bucket{Name: aws.String(name)})
	}
	return out, nil
}

func (f fakeS3) GetBucketTagging(_ context.Context, in *s3.GetBucketTaggingInput, _ ...func(*s3.Options)) (*s3.GetBucketTaggingOutput, error) {
	out := &s3.GetBucketTaggingOutput{}
	for k, v := range f.buckets[aws.ToString(in.Bucket)] {
		out.TagSet = append(out.TagSet, s3types.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
	return out, nil
}

type fakeEFS struct{ *account }

func (f fakeEFS) DescribeFileSystems(context.Context, *efs.DescribeFileSystemsInput, ...func(*efs.Options)) (*efs.DescribeFileSystemsOutput, error) {
	out := &efs.DescribeFileSystemsOutput{}
	for _, id := range slices.Sorted(maps.Keys(f.files)) {
		fs := efstypes.FileSystemDescription{FileSystemId: aws.String(id), SizeInBytes: &efstypes.FileSystemSize{Value: 10 << 30}, LifeCycleState: efstypes.LifeCycleStateAvailable}
		for k, v := range f.files[id] {
			fs.Tags = append(fs.Tags, efstypes.Tag{Key: aws.String(k), Value: aws.String(v)})
		}
		out.FileSystems = append(out.FileSystems, fs)
	}
	return out, nil
}
