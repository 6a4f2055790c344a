package ec2_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/ec2"
)

// fleet is the request of Karpenter for one instance of these types in a subnet.
func (c *cloud) fleet(template, subnet string, market types.DefaultTargetCapacityType, names ...types.InstanceType) *sdk.CreateFleetInput {
	config := types.FleetLaunchTemplateConfigRequest{LaunchTemplateSpecification: &types.FleetLaunchTemplateSpecificationRequest{LaunchTemplateName: &template, Version: aws.String("$Latest")}}
	for _, name := range names {
		config.Overrides = append(config.Overrides, types.FleetLaunchTemplateOverridesRequest{InstanceType: name, SubnetId: &subnet, AvailabilityZone: aws.String("ap-northeast-2a")})
	}
	return &sdk.CreateFleetInput{
		Type: types.FleetTypeInstant, LaunchTemplateConfigs: []types.FleetLaunchTemplateConfigRequest{config},
		TargetCapacitySpecification: &types.TargetCapacitySpecificationRequest{TotalTargetCapacity: aws.Int32(1), DefaultTargetCapacityType: market},
		TagSpecifications:           tagged(types.ResourceTypeInstance, "karpenter.sh/nodepool", "gpu"),
	}
}

func (c *cloud) fleetTemplate(name string) {
	image, _, _ := c.service.EKSImage(awstest.Region, "AL2023_x86_64_NVIDIA", "1.35", "")
	awstest.Must(c.CreateLaunchTemplate(c.ctx, &sdk.CreateLaunchTemplateInput{LaunchTemplateName: &name, LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: &image}}))(c.t)
}

// A fleet takes the cheapest that is to be had, and says why the others are not.
func TestFleet(t *testing.T) {
	c := newCloud(t, 1000)
	vpc := c.vpc("10.0.0.0/16")
	subnet := c.subnet(vpc, "10.0.0.0/24", "ap-northeast-2a")
	c.fleetTemplate("karpenter")
	spot := func() *sdk.CreateFleetOutput {
		return awstest.Must(c.CreateFleet(c.ctx, c.fleet("karpenter", subnet, types.DefaultTargetCapacityTypeSpot, "g5.12xlarge", "g5.48xlarge")))(t)
	}

	out := spot()
	if len(out.Instances) != 1 || out.Instances[0].InstanceType != "g5.12xlarge" || out.Instances[0].Lifecycle != types.InstanceLifecycleSpot || len(out.Errors) > 0 {
		t.Fatalf("%+v", out)
	}
	i, _ := c.service.Instance(awstest.Region, out.Instances[0].InstanceIds[0])
	if i.Market != ec2.Spot || i.SubnetID != subnet || i.Tags["karpenter.sh/nodepool"] != "gpu" {
		t.Errorf("instance %+v", i)
	}

	c.service.SetCapacity(awstest.Region, "g5.12xlarge", "", "", 1) // which runs already
	out = spot()
	if len(out.Instances) != 1 || out.Instances[0].InstanceType != "g5.48xlarge" || len(out.Errors) != 1 || *out.Errors[0].ErrorCode != "InsufficientInstanceCapacity" ||
		out.Errors[0].LaunchTemplateAndOverrides.Overrides.InstanceType != "g5.12xlarge" {
		t.Fatalf("%+v", out)
	}

	c.service.SetCapacity(awstest.Region, "g5.48xlarge", "", "", 1)
	out = spot()
	if len(out.Instances) != 0 || len(out.Errors) != 2 {
		t.Fatalf("%+v", out)
	}

	// The same request again makes nothing.
	again := c.fleet("karpenter", subnet, types.DefaultTargetCapacityTypeOnDemand, "m6i.large")
	again.ClientToken = aws.String("once")
	first, second := awstest.Must(c.CreateFleet(c.ctx, again))(t), awstest.Must(c.CreateFleet(c.ctx, again))(t)
	if *first.FleetId != *second.FleetId || first.Instances[0].InstanceIds[0] != second.Instances[0].InstanceIds[0] {
		t.Errorf("%+v, then %+v", first, second)
	}
}

// What EC2 refuses of fleets: status, code and words.
func TestFleetRefusals(t *testing.T) {
	c := newCloud(t, 1000)
	subnet := c.subnet(c.vpc("10.0.0.0/16"), "10.0.0.0/24", "ap-northeast-2a")
	c.fleetTemplate("karpenter")
	ask := func(change func(*sdk.CreateFleetInput)) error {
		in := c.fleet("karpenter", subnet, types.DefaultTargetCapacityTypeOnDemand, "m6i.large")
		change(in)
		_, err := c.CreateFleet(c.ctx, in)
		return err
	}
	override := func(in *sdk.CreateFleetInput) *types.FleetLaunchTemplateOverridesRequest {
		return &in.LaunchTemplateConfigs[0].Overrides[0]
	}
	for _, tt := range []struct {
		name        string
		err         error
		status      int
		code, words string
	}{
		{"dry", ask(func(in *sdk.CreateFleetInput) { in.DryRun = aws.Bool(true) }), 412, "DryRunOperation", "would have succeeded"},
		{"one that is maintained", ask(func(in *sdk.CreateFleetInput) { in.Type = types.FleetTypeMaintain }), 400, "UnsupportedOperation", "instant"},
		{"nothing", ask(func(in *sdk.CreateFleetInput) { in.TargetCapacitySpecification.TotalTargetCapacity = aws.Int32(0) }), 400, "InvalidParameterValue", "positive"},
		{"no such template", ask(func(in *sdk.CreateFleetInput) {
			in.LaunchTemplateConfigs[0].LaunchTemplateSpecification.LaunchTemplateName = aws.String("none")
		}), 400, "InvalidLaunchTemplateName.NotFoundException", "none"},
		{"template by name and id", ask(func(in *sdk.CreateFleetInput) {
			in.LaunchTemplateConfigs[0].LaunchTemplateSpecification.LaunchTemplateId = aws.String("lt-0123456789abcdef0")
		}), 400, "InvalidFleetConfig", "one of them"},
		{"no such subnet", ask(func(in *sdk.CreateFleetInput) { override(in).SubnetId = aws.String("subnet-0123456789abcdef0") }), 400, "InvalidSubnetID.NotFound", "does not exist"},
		{"subnet of another zone", ask(func(in *sdk.CreateFleetInput) { override(in).AvailabilityZone = aws.String("ap-northeast-2b") }), 400, "InvalidParameterValue", "does not match"},
		{"no such type", ask(func(in *sdk.CreateFleetInput) { override(in).InstanceType = "m6i.tiny" }), 400, "InvalidParameterValue", "m6i.tiny"},
		{"tags for what is not made", ask(func(in *sdk.CreateFleetInput) { in.TagSpecifications = tagged(types.ResourceTypeVpc, "a", "b") }), 400, "InvalidParameterValue", "vpc"},
	} {
		t.Run(tt.name, func(t *testing.T) { awstest.Fails(t, tt.err, tt.status, tt.code, tt.words) })
	}
}
