package eks_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ekssdk "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/e2e/localcloud/eks"
)

// What EKS refuses of node groups.
func TestRefusedNodegroups(t *testing.T) {
	a := settledAccount(t)
	ctx := t.Context()
	a.put("life", func(c *eks.Standing) {
		c.Nodegroups = []types.Nodegroup{
			{NodegroupName: aws.String("idle"), Status: types.NodegroupStatusActive},
			{NodegroupName: aws.String("busy"), Status: types.NodegroupStatusUpdating},
		}
	})
	a.put("new", func(c *eks.Standing) { c.Status = types.ClusterStatusCreating })
	a.put("changing", func(c *eks.Standing) { c.Status = types.ClusterStatusUpdating })
	a.put("full", func(c *eks.Standing) {
		for i := range eks.MaxNodegroups {
			c.Nodegroups = append(c.Nodegroups, types.Nodegroup{NodegroupName: aws.String(fmt.Sprint("n", i))})
		}
	})
	elsewhere := a.otherSubnets(a.ec2, "10.43", region+"a", region+"b")
	create := func(change func(*ekssdk.CreateNodegroupInput)) error {
		in := a.nodegroupInput("refused")
		change(in)
		_, err := a.eks.CreateNodegroup(ctx, in)
		return err
	}
	in := func(cluster string) error {
		return create(func(in *ekssdk.CreateNodegroupInput) { in.ClusterName = &cluster })
	}
	sizes := func(lo, hi, desired int32) error {
		return create(func(in *ekssdk.CreateNodegroupInput) {
			in.ScalingConfig = &types.NodegroupScalingConfig{MinSize: &lo, MaxSize: &hi, DesiredSize: &desired}
		})
	}
	label := func(k, v string) error {
		return create(func(in *ekssdk.CreateNodegroupInput) { in.Labels = map[string]string{k: v} })
	}
	taints := func(list ...types.Taint) error {
		return create(func(in *ekssdk.CreateNodegroupInput) { in.Taints = list })
	}
	taint := func(key, value string) types.Taint {
		return types.Taint{Key: &key, Value: &value, Effect: types.TaintEffectNoSchedule}
	}
	kinds := func(ami types.AMITypes, list ...string) error {
		return create(func(in *ekssdk.CreateNodegroupInput) { in.AmiType, in.InstanceTypes = ami, list })
	}
	var many []types.Taint
	for i := range 51 {
		many = append(many, taint(fmt.Sprint("t", i), ""))
	}
	var twenty1 []string
	for i := range 21 {
		twenty1 = append(twenty1, fmt.Sprint("m6i.", i))
	}
	config := func(name string, in ekssdk.UpdateNodegroupConfigInput) error {
		in.ClusterName, in.NodegroupName = aws.String("life"), &name
		_, err := a.eks.UpdateNodegroupConfig(ctx, &in)
		return err
	}
	version := func(name string, in ekssdk.UpdateNodegroupVersionInput) error {
		in.ClusterName, in.NodegroupName = aws.String("life"), &name
		_, err := a.eks.UpdateNodegroupVersion(ctx, &in)
		return err
	}
	remove := func(name string) error {
		_, err := a.eks.DeleteNodegroup(ctx, &ekssdk.DeleteNodegroupInput{ClusterName: aws.String("life"), NodegroupName: &name})
		return err
	}
	two := ekssdk.UpdateNodegroupConfigInput{ScalingConfig: &types.NodegroupScalingConfig{DesiredSize: aws.Int32(2)}}
	checkRefusals(t, []refusal{
		{"no cluster", in("none"), 404, noSuch, "No cluster found for name: none."},
		{"cluster is being made", in("new"), 400, badRequest, "Cluster 'new' is not in ACTIVE status"},
		{"cluster is being changed", in("changing"), 400, badRequest, "Cluster 'changing' is not in ACTIVE status"},
		{"31st of a cluster", in("full"), 400, overLimit, "30"},
		{"name in use", create(func(in *ekssdk.CreateNodegroupInput) { in.NodegroupName = aws.String("idle") }), 409, inUse, "NodeGroup already exists with name idle and cluster name life"},
		{"name", create(func(in *ekssdk.CreateNodegroupInput) { in.NodegroupName = aws.String("a.b") }), 400, badParameter, "can contain only alphanumeric characters, hyphens and underscores"},
		{"name too long", create(func(in *ekssdk.CreateNodegroupInput) { in.NodegroupName = aws.String(strings.Repeat("n", 64)) }), 400, badParameter, "at most 63 characters"},
		{"role for others", create(func(in *ekssdk.CreateNodegroupInput) { in.NodeRole = aws.String(a.roles["cluster"]) }), 400, badParameter, "Following required service principals [ec2.amazonaws.com] were not found in the trust relationships of nodeRole " + a.roles["cluster"]},
		{"role that is not there", create(func(in *ekssdk.CreateNodegroupInput) { in.NodeRole = aws.String("arn:aws:iam::111122223333:role/none") }), 400, badParameter, "The role with name none cannot be found. (Service: AmazonIdentityManagement; Status Code: 404; Error Code: NoSuchEntity)"},
		{"no subnets", create(func(in *ekssdk.CreateNodegroupInput) { in.Subnets = []string{} }), 400, badParameter, "Subnets cannot be empty"},
		{"subnet that is not there", create(func(in *ekssdk.CreateNodegroupInput) { in.Subnets = []string{"subnet-0123456789abcdef0"} }), 400, badParameter, "The subnet ID 'subnet-0123456789abcdef0' does not exist"},
		{"subnets of another VPC", create(func(in *ekssdk.CreateNodegroupInput) { in.Subnets = elsewhere }), 400, badParameter, "does not belong to the VPC"},
		{"min above max", sizes(3, 2, 2), 400, badParameter, "Minimum capacity 3 can't be greater than maximum capacity 2"},
		{"min above desired", sizes(2, 4, 1), 400, badParameter, "Minimum capacity 2 can't be greater than desired size 1"},
		{"desired above max", sizes(0, 4, 5), 400, badParameter, "desired capacity 5 can't be greater than max size 4"},
		{"max 0", sizes(0, 0, 0), 400, badParameter, "Member must have value greater than or equal to 1"},
		{"451 nodes", sizes(0, 451, 1), 400, overLimit, "450 nodes"},
		{"label of AWS", label("eks.amazonaws.com/x", "y"), 400, badParameter, "Label cannot contain reserved prefixes [kubernetes.io/, k8s.io/, eks.amazonaws.com/]"},
		{"label without value", label("a", ""), 400, badParameter, "Member must have length greater than or equal to 1"},
		{"long label", label(strings.Repeat("a", 64), "b"), 400, badParameter, "Member must have length less than or equal to 63"},
		{"label that Kubernetes refuses", label("a", "b c"), 400, badParameter, "is not a valid Kubernetes label"},
		{"taint twice", taints(taint("a", "b"), taint("a", "c")), 400, badParameter, "Duplicate taint"},
		{"51 taints", taints(many...), 400, badParameter, "At most 50 taints"},
		{"taint value", taints(taint("a", "b c")), 400, badParameter, "is not valid"},
		{"taint effect", taints(types.Taint{Key: aws.String("a"), Effect: "NoSchedule"}), 400, badParameter, "Member must satisfy enum value set"},
		{"number and percentage", create(func(in *ekssdk.CreateNodegroupInput) {
			in.UpdateConfig = &types.NodegroupUpdateConfig{MaxUnavailable: aws.Int32(1), MaxUnavailablePercentage: aws.Int32(1)}
		}), 400, badParameter, "cannot be specified at the same time"},
		{"101 unavailable", create(func(in *ekssdk.CreateNodegroupInput) {
			in.UpdateConfig = &types.NodegroupUpdateConfig{MaxUnavailable: aws.Int32(101)}
		}), 400, badParameter, "at most 100"},
		{"101 per cent", create(func(in *ekssdk.CreateNodegroupInput) {
			in.UpdateConfig = &types.NodegroupUpdateConfig{MaxUnavailablePercentage: aws.Int32(101)}
		}), 400, badParameter, "Member must have value less than or equal to 100"},
		{"repair by number and percentage", create(func(in *ekssdk.CreateNodegroupInput) {
			in.NodeRepairConfig = &types.NodeRepairConfig{MaxParallelNodesRepairedCount: aws.Int32(1), MaxParallelNodesRepairedPercentage: aws.Int32(1)}
		}), 400, badParameter, "cannot be specified at the same time"},
		{"unknown type", kinds("", "p9.huge"), 400, badParameter, "The following supplied instance types do not exist: [p9.huge]"},
		{"type twice", kinds("", "m6i.large", "m6i.large"), 400, badParameter, "more than once"},
		{"21 types", kinds("", twenty1...), 400, badParameter, "At most 20 instance types"},
		{"architectures", kinds("", "m6i.large", "m7g.large"), 400, badParameter, "have different architectures"},
		{"AMI for the other architecture", kinds(types.AMITypesAl2023Arm64Standard, "m6i.large"), 400, badParameter, "[m6i.large] is not a valid instance type for requested amiType AL2023_ARM_64_STANDARD"},
		{"AMI for GPUs without any", kinds(types.AMITypesAl2023X8664Nvidia, "g5.xlarge", "m6i.large"), 400, badParameter, "[m6i.large] is not a valid instance type for requested amiType AL2023_x86_64_NVIDIA"},
		{"AMI that ended", kinds(types.AMITypesAl2X8664, "m6i.large"), 400, badParameter, "AMI Type AL2_x86_64 is only supported for kubernetes versions 1.32 or earlier"},
		{"AMI release", create(func(in *ekssdk.CreateNodegroupInput) { in.ReleaseVersion = aws.String("1.35.5-20200101") }), 400, badParameter, "Requested release version 1.35.5-20200101 is not valid for kubernetes version 1.35."},
		{"another version than the cluster's", create(func(in *ekssdk.CreateNodegroupInput) { in.Version = aws.String("1.34") }), 400, badParameter, "should be equal to the version of cluster life: 1.35"},
		{"own AMI without a template", create(func(in *ekssdk.CreateNodegroupInput) { in.AmiType = types.AMITypesCustom }), 400, badParameter, "You must specify an image id in your launch template when using CUSTOM AMI Type."},
		{"Capacity Block without a template", create(func(in *ekssdk.CreateNodegroupInput) { in.CapacityType = types.CapacityTypesCapacityBlock }), 400, badParameter, "A launch template with an instance type is required for capacity type CAPACITY_BLOCK."},
		{"key pair", create(func(in *ekssdk.CreateNodegroupInput) {
			in.RemoteAccess = &types.RemoteAccessConfig{Ec2SshKey: aws.String("k")}
		}), 400, badParameter, "The key pair 'k' does not exist"},
		{"tag of AWS", create(func(in *ekssdk.CreateNodegroupInput) { in.Tags = map[string]string{"aws:x": "y"} }), 400, badParameter, "reserved for internal use"},

		{"config of nothing", config("none", two), 404, noSuch, "No node group found for name: none."},
		{"config while updating", config("busy", two), 409, inUse, "Nodegroup cannot be updated as it is currently not in Active State"},
		{"no change", config("idle", ekssdk.UpdateNodegroupConfigInput{}), 400, badParameter, "No changes needed"},
		{"desired above the live max", config("idle", ekssdk.UpdateNodegroupConfigInput{ScalingConfig: &types.NodegroupScalingConfig{DesiredSize: aws.Int32(3)}}), 400, badParameter, "desired capacity 3 can't be greater than max size 2"},
		{"labels of AWS", config("idle", ekssdk.UpdateNodegroupConfigInput{Labels: &types.UpdateLabelsPayload{AddOrUpdateLabels: map[string]string{"k8s.io/x": "y"}}}), 400, badParameter, "reserved prefixes"},
		{"51 taints later", config("idle", ekssdk.UpdateNodegroupConfigInput{Taints: &types.UpdateTaintsPayload{AddOrUpdateTaints: many}}), 400, badParameter, "At most 50 taints"},
		{"101 unavailable later", config("idle", ekssdk.UpdateNodegroupConfigInput{UpdateConfig: &types.NodegroupUpdateConfig{MaxUnavailable: aws.Int32(101)}}), 400, badParameter, "at most 100"},
		{"version of nothing", version("none", ekssdk.UpdateNodegroupVersionInput{}), 404, noSuch, "No node group found for name: none."},
		{"version while updating", version("busy", ekssdk.UpdateNodegroupVersionInput{}), 409, inUse, "Nodegroup cannot be updated as it is currently not in Active State"},
		{"version ahead of the cluster", version("idle", ekssdk.UpdateNodegroupVersionInput{Version: aws.String("1.36")}), 400, badParameter, "should be equal to the version of cluster life: 1.35"},
		{"delete nothing", remove("none"), 404, noSuch, "No node group found for name: none."},
		{"delete while updating", remove("busy"), 409, inUse, "Nodegroup cannot be deleted as it is currently not in Active State"},
	})
}

// What EKS refuses of a launch template, or of it beside the node group.
func TestRefusedTemplates(t *testing.T) {
	a := settledAccount(t)
	ctx := t.Context()
	a.put("life", nil)
	n := 0
	template := func(data ec2types.RequestLaunchTemplateData) *types.LaunchTemplateSpecification {
		t.Helper()
		n++
		if data.EbsOptimized == nil {
			data.EbsOptimized = aws.Bool(true) // a template must say something
		}
		out := must(a.ec2.CreateLaunchTemplate(ctx, &ec2sdk.CreateLaunchTemplateInput{LaunchTemplateName: aws.String(fmt.Sprint("template-", n)), LaunchTemplateData: &data}))(t)
		return &types.LaunchTemplateSpecification{Id: out.LaunchTemplate.LaunchTemplateId}
	}
	create := func(data ec2types.RequestLaunchTemplateData, change func(*ekssdk.CreateNodegroupInput)) error {
		in := a.nodegroupInput("refused")
		in.InstanceTypes, in.LaunchTemplate = nil, template(data)
		change(in)
		_, err := a.eks.CreateNodegroup(ctx, in)
		return err
	}
	of := func(data ec2types.RequestLaunchTemplateData) error {
		return create(data, func(*ekssdk.CreateNodegroupInput) {})
	}
	block := func(data ec2types.RequestLaunchTemplateData, subnets []string) error {
		return create(data, func(in *ekssdk.CreateNodegroupInput) {
			in.CapacityType, in.Subnets = types.CapacityTypesCapacityBlock, subnets
		})
	}
	type data = ec2types.RequestLaunchTemplateData
	market := func(m ec2types.MarketType) *ec2types.LaunchTemplateInstanceMarketOptionsRequest {
		return &ec2types.LaunchTemplateInstanceMarketOptionsRequest{MarketType: m}
	}
	target := &ec2types.LaunchTemplateCapacityReservationSpecificationRequest{CapacityReservationTarget: &ec2types.CapacityReservationTarget{CapacityReservationId: aws.String("cr-0123456789abcdef0")}}
	own, _, _ := a.compute.EKSImage(region, string(types.AMITypesAl2023X8664Standard), "1.35", "")
	checkRefusals(t, []refusal{
		{"neither id nor name", create(data{}, func(in *ekssdk.CreateNodegroupInput) { in.LaunchTemplate.Id = nil }), 400, badParameter, "Either provide launch template ID or launch template name in the request."},
		{"id and name", create(data{}, func(in *ekssdk.CreateNodegroupInput) { in.LaunchTemplate.Name = aws.String("template-1") }), 400, badParameter, "Either provide launch template ID or launch template name in the request."},
		{"not there", create(data{}, func(in *ekssdk.CreateNodegroupInput) { in.LaunchTemplate.Id = aws.String("lt-0123456789abcdef0") }), 400, badRequest, "could not be found"},
		{"version not there", create(data{}, func(in *ekssdk.CreateNodegroupInput) { in.LaunchTemplate.Version = aws.String("9") }), 400, badRequest, "could not be found"},
		{"disk size", create(data{}, func(in *ekssdk.CreateNodegroupInput) { in.DiskSize = aws.Int32(100) }), 400, badParameter, "Disk size must be specified within the launch template."},
		{"remote access", create(data{}, func(in *ekssdk.CreateNodegroupInput) {
			in.RemoteAccess = &types.RemoteAccessConfig{Ec2SshKey: aws.String("k")}
		}), 400, badParameter, "Remote access configuration cannot be specified with a launch template."},
		{"types in both", create(data{InstanceType: "c6i.xlarge"}, func(in *ekssdk.CreateNodegroupInput) { in.InstanceTypes = []string{"c6i.xlarge"} }), 400, badParameter, "not in both"},
		{"instance profile", of(data{IamInstanceProfile: &ec2types.LaunchTemplateIamInstanceProfileSpecificationRequest{Name: aws.String("x")}}), 400, badParameter, "Launch template should not specify an instance profile. The noderole in your request will be used to construct an instance profile."},
		{"hibernation", of(data{HibernationOptions: &ec2types.LaunchTemplateHibernationOptionsRequest{Configured: aws.Bool(true)}}), 400, badParameter, "hibernation"},
		{"terminate on shutdown", of(data{InstanceInitiatedShutdownBehavior: ec2types.ShutdownBehaviorTerminate}), 400, badParameter, "shutdown behavior"},
		{"spot", of(data{InstanceMarketOptions: market(ec2types.MarketTypeSpot)}), 400, badParameter, "market options"},
		{"Capacity Block on demand", of(data{InstanceType: "p4d.24xlarge", InstanceMarketOptions: market(ec2types.MarketTypeCapacityBlock)}), 400, badParameter, "market options"},
		{"instance requirements", of(data{InstanceRequirements: &ec2types.InstanceRequirementsRequest{
			VCpuCount: &ec2types.VCpuCountRangeRequest{Min: aws.Int32(1)}, MemoryMiB: &ec2types.MemoryMiBRequest{Min: aws.Int32(1)},
		}}), 400, badParameter, "instance requirements"},
		{"subnet", of(data{NetworkInterfaces: []ec2types.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{{DeviceIndex: aws.Int32(0), SubnetId: &a.subnets[0]}}}), 400, badParameter, "subnets"},
		{"own image and AMI type", create(data{ImageId: &own}, func(in *ekssdk.CreateNodegroupInput) { in.AmiType = types.AMITypesAl2023X8664Standard }), 400, badParameter, "You cannot specify an AMI Type other than CUSTOM, when specifying an image id in your launch template."},
		{"own image and version", create(data{ImageId: &own}, func(in *ekssdk.CreateNodegroupInput) { in.Version = aws.String("1.35") }), 400, badParameter, "You cannot specify the field kubernetesVersion when using custom AMIs."},
		{"own image and release", create(data{ImageId: &own}, func(in *ekssdk.CreateNodegroupInput) { in.ReleaseVersion = aws.String("1.35.5-20260714") }), 400, badParameter, "You cannot specify the field releaseVersion when using custom AMIs."},
		{"own AMI type without image", create(data{}, func(in *ekssdk.CreateNodegroupInput) { in.AmiType = types.AMITypesCustom }), 400, badParameter, "You must specify an image id in your launch template when using CUSTOM AMI Type."},
		{"block without type", block(data{InstanceMarketOptions: market(ec2types.MarketTypeCapacityBlock), CapacityReservationSpecification: target}, a.subnets[:1]), 400, badParameter, "instance type"},
		{"block without market", block(data{InstanceType: "p4d.24xlarge", CapacityReservationSpecification: target}, a.subnets[:1]), 400, badParameter, "market type"},
		{"block without reservation", block(data{InstanceType: "p4d.24xlarge", InstanceMarketOptions: market(ec2types.MarketTypeCapacityBlock)}, a.subnets[:1]), 400, badParameter, "reservation"},
		{"block in two zones", block(data{InstanceType: "p4d.24xlarge", InstanceMarketOptions: market(ec2types.MarketTypeCapacityBlock), CapacityReservationSpecification: target}, a.subnets), 400, badParameter, "Availability Zone of the Capacity Block"},
	})
}
