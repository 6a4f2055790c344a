package e2e

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdByHand makes one thing by the SDK, as a person or a controller would, and
// prints nothing: "byhand KIND REGION CLUSTER [SUBNET]". Things carry the tags by
// which their makers name the cluster; KIND "foreign-…" has none. The id is put
// into the environment variable ID. KIND "remove-…" takes away what the last
// argument names.
func cmdByHand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: byhand KIND REGION CLUSTER [SUBNET]")
	}
	h := &hand{ctx: context.Background(), f: of(ts), region: args[1], cluster: args[2]}
	if len(args) > 3 {
		ts.Check(h.in(args[3]))
	}
	maker, ok := map[string]func() (string, error){
		"volume":            h.volume,
		"interface":         h.cniInterface,
		"foreign-interface": h.foreignInterface,
		"balancer":          h.balancer,
		"loggroup":          h.logGroup,
		"role":              h.role,
		"foreign-group":     h.securityGroup,
		"karpenter":         h.karpenter,
		"remove-interface":  h.removeInterface,
		"remove-group":      h.removeGroup,
	}[args[0]]
	if !ok {
		ts.Fatalf("byhand does not know %q", args[0])
	}
	id, err := maker()
	ts.Check(err)
	ts.Setenv("ID", id)
}

// hand makes things for or near one cluster.
type hand struct {
	ctx                     context.Context
	f                       fixture
	region, cluster, subnet string
}

func (h hand) ec2() *ec2.Client { return ec2.NewFromConfig(h.f.config(h.region)) }

// in finds the subnet by its id or its name.
func (h *hand) in(subnet string) error {
	if h.subnet = subnet; !strings.HasPrefix(subnet, h.cluster+"-") { // an id
		return nil
	}
	found, err := h.ec2().DescribeSubnets(h.ctx, &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{{Name: aws.String("tag:Name"), Values: []string{subnet}}}})
	if err != nil {
		return err
	}
	h.subnet = *found.Subnets[0].SubnetId
	return nil
}

// volume is what the EBS driver makes for a claim (its pkg/driver/controller.go).
func (h hand) volume() (string, error) {
	out, err := h.ec2().CreateVolume(h.ctx, &ec2.CreateVolumeInput{
		AvailabilityZone: aws.String(h.region + "a"), Size: aws.Int32(20), VolumeType: ec2types.VolumeTypeGp3,
		TagSpecifications: tagSpecs(ec2types.ResourceTypeVolume, map[string]string{
			"ebs.csi.aws.com/cluster": "true", "KubernetesCluster": h.cluster, "kubernetes.io/cluster/" + h.cluster: "owned", "CSIVolumeName": "pvc-0a",
			"kubernetes.io/created-for/pv/name": "pvc-0a", "kubernetes.io/created-for/pvc/name": "data-0", "kubernetes.io/created-for/pvc/namespace": "db",
		}),
	})
	if err != nil {
		return "", err
	}
	return *out.VolumeId, nil
}

// cniInterface is what the VPC CNI leaves when a node goes (its pkg/awsutils).
func (h hand) cniInterface() (string, error) {
	tags := map[string]string{"cluster.k8s.amazonaws.com/name": h.cluster, "eks:eni:owner": "amazon-vpc-cni"}
	return h.networkInterface(tags, "aws-K8S-i-0123456789abcdef0")
}

func (h hand) foreignInterface() (string, error) {
	return h.networkInterface(nil, "the database of the data team")
}

func (h hand) networkInterface(tags map[string]string, description string) (string, error) {
	in := &ec2.CreateNetworkInterfaceInput{SubnetId: &h.subnet, Description: &description}
	if tags != nil {
		in.TagSpecifications = tagSpecs(ec2types.ResourceTypeNetworkInterface, tags)
	}
	out, err := h.ec2().CreateNetworkInterface(h.ctx, in)
	if err != nil {
		return "", err
	}
	return *out.NetworkInterface.NetworkInterfaceId, nil
}

// balancer is what the cloud provider makes for a service.
func (h hand) balancer() (string, error) {
	out, err := elb.NewFromConfig(h.f.config(h.region)).CreateLoadBalancer(h.ctx, &elb.CreateLoadBalancerInput{
		Name: aws.String("a0123456789"), Type: elbtypes.LoadBalancerTypeEnumNetwork, Scheme: elbtypes.LoadBalancerSchemeEnumInternal, Subnets: []string{h.subnet},
		Tags: []elbtypes.Tag{
			{Key: aws.String("kubernetes.io/cluster/" + h.cluster), Value: aws.String("owned")},
			{Key: aws.String("kubernetes.io/service-name"), Value: aws.String("web/api")},
		},
	})
	if err != nil {
		return "", err
	}
	return *out.LoadBalancers[0].LoadBalancerName, nil
}

// logGroup is what EKS makes of late lines: it bears no tag.
func (h hand) logGroup() (string, error) {
	name := "/aws/eks/" + h.cluster + "/cluster"
	_, err := cloudwatchlogs.NewFromConfig(h.f.config(h.region)).CreateLogGroup(h.ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &name})
	return name, err
}

func (h hand) role() (string, error) {
	name := h.cluster + "-" + h.region + "-nodes"
	_, err := iam.NewFromConfig(h.f.config(h.region)).CreateRole(h.ctx, &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`),
		Tags: []iamtypes.Tag{{Key: aws.String(ownershipTag), Value: &h.cluster}}})
	return name, err
}

// securityGroup is somebody's, in the VPC of the subnet.
func (h hand) securityGroup() (string, error) {
	found, err := h.ec2().DescribeSubnets(h.ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{h.subnet}})
	if err != nil {
		return "", err
	}
	out, err := h.ec2().CreateSecurityGroup(h.ctx, &ec2.CreateSecurityGroupInput{
		VpcId: found.Subnets[0].VpcId, GroupName: aws.String("web-team"), Description: aws.String("of the web team"),
	})
	if err != nil {
		return "", err
	}
	return *out.GroupId, nil
}

func (h hand) removeInterface() (string, error) {
	_, err := h.ec2().DeleteNetworkInterface(h.ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &h.subnet})
	return "", err
}

func (h hand) removeGroup() (string, error) {
	_, err := h.ec2().DeleteSecurityGroup(h.ctx, &ec2.DeleteSecurityGroupInput{GroupId: &h.subnet})
	return "", err
}

func tagSpecs(kind ec2types.ResourceType, tags map[string]string) []ec2types.TagSpecification {
	spec := ec2types.TagSpecification{ResourceType: kind}
	for k, v := range tags {
		spec.Tags = append(spec.Tags, ec2types.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
	return []ec2types.TagSpecification{spec}
}

// cmdLoad puts what a JSONPath template picks of a file into an environment
// variable: "load NAME FILE TEMPLATE".
func cmdLoad(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: load NAME FILE TEMPLATE")
	}
	text, err := evaluate(ts.ReadFile(args[1]), args[2])
	ts.Check(err)
	ts.Setenv(args[0], text)
}

// karpenter is what Karpenter leaves when it ends at a bad moment: an instance and
// a launch template, with the tags that it gives to both.
func (h hand) karpenter() (string, error) {
	image, err := ssm.NewFromConfig(h.f.config(h.region)).GetParameter(h.ctx, &ssm.GetParameterInput{
		Name: aws.String("/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/standard/recommended/image_id")})
	if err != nil {
		return "", err
	}
	tags := map[string]string{"kubernetes.io/cluster/" + h.cluster: "owned", "karpenter.sh/nodepool": "work", "karpenter.k8s.aws/ec2nodeclass": "work", "eks:eks-cluster-name": h.cluster}
	_, err = h.ec2().CreateLaunchTemplate(h.ctx, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("karpenter.k8s.aws/1234567890"), TagSpecifications: tagSpecs(ec2types.ResourceTypeLaunchTemplate, tags),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: image.Parameter.Value, InstanceType: ec2types.InstanceTypeM6iLarge},
	})
	if err != nil {
		return "", err
	}
	out, err := h.ec2().RunInstances(h.ctx, &ec2.RunInstancesInput{
		ImageId: image.Parameter.Value, InstanceType: ec2types.InstanceTypeM6iLarge,
		MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SubnetId: &h.subnet, TagSpecifications: tagSpecs(ec2types.ResourceTypeInstance, tags),
	})
	if err != nil {
		return "", err
	}
	return *out.Instances[0].InstanceId, nil
}
