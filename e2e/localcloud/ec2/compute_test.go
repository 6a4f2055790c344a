package ec2_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/ec2"
)

func TestInstanceTypes(t *testing.T) {
	c := newCloud(t, 1000)
	out := awstest.Must(c.DescribeInstanceTypes(c.ctx, &sdk.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"p4d.24xlarge"}}))(t).InstanceTypes
	if len(out) != 1 {
		t.Fatalf("%d types", len(out))
	}
	p4d := out[0]
	if *p4d.VCpuInfo.DefaultVCpus != 96 || *p4d.MemoryInfo.SizeInMiB != 1179648 || *p4d.GpuInfo.Gpus[0].Count != 8 || *p4d.GpuInfo.Gpus[0].Name != "A100" ||
		*p4d.NetworkInfo.EfaInfo.MaximumEfaInterfaces != 4 || len(p4d.NetworkInfo.NetworkCards) != 4 || *p4d.InstanceStorageInfo.TotalSizeInGB != 8000 {
		t.Errorf("p4d.24xlarge: %+v", p4d)
	}
	_, err := c.DescribeInstanceTypes(c.ctx, &sdk.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"c6i.xlarge", "p9.huge"}})
	awstest.Fails(t, err, 400, "InvalidInstanceType", "The following supplied instance types do not exist: [p9.huge]")
	var zones []string
	offered := awstest.Must(c.DescribeInstanceTypeOfferings(c.ctx, &sdk.DescribeInstanceTypeOfferingsInput{
		LocationType: types.LocationTypeAvailabilityZone, Filters: []types.Filter{filter("instance-type", "p4d.*")},
	}))(t)
	for _, o := range offered.InstanceTypeOfferings {
		zones = append(zones, *o.Location)
	}
	if strings.Join(zones, " ") != "ap-northeast-2a ap-northeast-2c" {
		t.Errorf("p4d in %v", zones)
	}
}

// TestTypesOfTheFactSheet compares the embedded table with the figures that the
// project works with.
func TestTypesOfTheFactSheet(t *testing.T) {
	c := newCloud(t, 1000)
	for _, tt := range []struct {
		name              string
		cpus, mib         int
		gpu               string
		gpus, gpuMiB, efa int
		nvmeGB            int
	}{
		{"c6i.xlarge", 4, 8192, "", 0, 0, 0, 0},
		{"p4d.24xlarge", 96, 1179648, "A100", 8, 40960, 4, 8000},
		{"p4de.24xlarge", 96, 1179648, "A100", 8, 81920, 4, 8000},
		{"p5.4xlarge", 16, 262144, "H100", 1, 81920, 1, 3800},
		{"p5.48xlarge", 192, 2097152, "H100", 8, 81920, 32, 30400},
		{"p5en.48xlarge", 192, 2097152, "H200", 8, 144384, 16, 30400},
		{"g5.xlarge", 4, 16384, "A10G", 1, 22888, 0, 250},
		{"g6.12xlarge", 48, 196608, "L4", 4, 22888, 1, 3760},
		{"g6e.48xlarge", 192, 1572864, "L40S", 8, 45776, 4, 7600},
	} {
		i, ok := c.service.InstanceType(tt.name)
		if !ok || i.VCPUs != tt.cpus || i.MemoryMiB != tt.mib || i.GPU.Name != tt.gpu || i.GPU.Count != tt.gpus || i.GPU.MemoryMiB != tt.gpuMiB || i.EFA != tt.efa || i.NVMeGB != tt.nvmeGB {
			i.Info = types.InstanceTypeInfo{}
			t.Errorf("%s: %+v", tt.name, i)
		}
	}
}

func TestLaunchTemplates(t *testing.T) {
	c := newCloud(t, 1000)
	create := func(name string, data types.RequestLaunchTemplateData) (*sdk.CreateLaunchTemplateOutput, error) {
		return c.CreateLaunchTemplate(c.ctx, &sdk.CreateLaunchTemplateInput{LaunchTemplateName: aws.String(name), LaunchTemplateData: &data})
	}
	id := awstest.Must(create("demo", types.RequestLaunchTemplateData{InstanceType: "c6i.xlarge", KeyName: aws.String("k"), SecurityGroupIds: []string{"sg-1"}}))(t).LaunchTemplate.LaunchTemplateId
	for _, tt := range []struct {
		name, template string
		data           types.RequestLaunchTemplateData
		code, words    string
	}{
		{"name taken", "demo", types.RequestLaunchTemplateData{InstanceType: "c6i.xlarge"}, "InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use."},
		{"user data", "x-1", types.RequestLaunchTemplateData{UserData: aws.String("#!/bin/sh")}, "InvalidUserData.Malformed", "Invalid BASE64 encoding of user data."},
		{"long user data", "x-2", types.RequestLaunchTemplateData{UserData: aws.String(base64.StdEncoding.EncodeToString(make([]byte, 16385)))}, "InvalidParameterValue", "User data is limited to 16384 bytes"},
		{"groups twice", "x-3", types.RequestLaunchTemplateData{SecurityGroupIds: []string{"sg-1"}, NetworkInterfaces: []types.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{{DeviceIndex: aws.Int32(0)}}},
			"InvalidParameterCombination", "Network interfaces and an instance-level security groups may not be specified on the same request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := create(tt.template, tt.data)
			awstest.Fails(t, err, 400, tt.code, tt.words)
		})
	}
	v2 := awstest.Must(c.CreateLaunchTemplateVersion(c.ctx, &sdk.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: id, SourceVersion: aws.String("1"), LaunchTemplateData: &types.RequestLaunchTemplateData{InstanceType: "p4d.24xlarge"},
	}))(t).LaunchTemplateVersion
	if *v2.VersionNumber != 2 || *v2.DefaultVersion || v2.LaunchTemplateData.InstanceType != "p4d.24xlarge" || *v2.LaunchTemplateData.KeyName != "k" {
		t.Errorf("version 2: %+v", v2)
	}
	if got := awstest.Must(c.service.LaunchTemplate(awstest.Region, "demo", ""))(t); got.Version != 1 || got.Latest != 2 || got.Data.InstanceType != "c6i.xlarge" {
		t.Errorf("default %+v", got)
	}
	if got := awstest.Must(c.service.LaunchTemplate(awstest.Region, *id, "$Latest"))(t); got.Version != 2 {
		t.Errorf("latest %+v", got)
	}
	_, err := c.DescribeLaunchTemplateVersions(c.ctx, &sdk.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: id, Versions: []string{"7"}})
	awstest.Fails(t, err, 400, "InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version 7 for the launch template with ID "+*id+".")
	_, err = c.DescribeLaunchTemplates(c.ctx, &sdk.DescribeLaunchTemplatesInput{LaunchTemplateNames: []string{"none"}})
	awstest.Fails(t, err, 400, "InvalidLaunchTemplateName.NotFoundException", "At least one of the launch templates specified in the request does not exist.")
	awstest.Must(c.ModifyLaunchTemplate(c.ctx, &sdk.ModifyLaunchTemplateInput{LaunchTemplateId: id, DefaultVersion: aws.String("2")}))(t)
	deleted := awstest.Must(c.DeleteLaunchTemplateVersions(c.ctx, &sdk.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: id, Versions: []string{"1", "2"}}))(t)
	if len(deleted.SuccessfullyDeletedLaunchTemplateVersions) != 1 || len(deleted.UnsuccessfullyDeletedLaunchTemplateVersions) != 1 {
		t.Errorf("deleted %+v", deleted)
	}
	awstest.Must(c.DeleteLaunchTemplate(c.ctx, &sdk.DeleteLaunchTemplateInput{LaunchTemplateId: id}))(t)
	_, err = c.DeleteLaunchTemplate(c.ctx, &sdk.DeleteLaunchTemplateInput{LaunchTemplateId: id})
	awstest.Fails(t, err, 400, "InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID "+*id+", does not exist.")
}

func TestRunInstances(t *testing.T) {
	c := newCloud(t, 300) // boots in 200 ms, ends in 150 ms
	vpc := c.vpc("10.0.0.0/16")
	subnet := c.subnet(vpc, "10.0.0.0/24", "ap-northeast-2a")
	var ended atomic.Value
	c.service.OnTerminated(func(region, id string) { ended.Store(region + "/" + id) })
	in := func() *sdk.RunInstancesInput {
		return &sdk.RunInstancesInput{
			MinCount: aws.Int32(1), MaxCount: aws.Int32(1), ImageId: aws.String(c.image()), InstanceType: "p4d.24xlarge", SubnetId: aws.String(subnet),
			TagSpecifications:   tagged(types.ResourceTypeInstance, "k", "v"),
			BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &types.EbsBlockDevice{VolumeSize: aws.Int32(200)}}},
		}
	}
	dry := in()
	dry.DryRun = aws.Bool(true)
	_, err := c.RunInstances(c.ctx, dry)
	awstest.Fails(t, err, 412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
	i := awstest.Must(c.RunInstances(c.ctx, in()))(t).Instances[0]
	if i.State.Name != types.InstanceStateNamePending || *i.PrivateDnsName != "ip-10-0-0-4.ap-northeast-2.compute.internal" {
		t.Errorf("%s %s", i.State.Name, *i.PrivateDnsName)
	}
	describe := func() types.Instance {
		return awstest.Must(c.DescribeInstances(c.ctx, &sdk.DescribeInstancesInput{InstanceIds: []string{*i.InstanceId}}))(t).Reservations[0].Instances[0]
	}
	awstest.Eventually(t, "instance running", func() bool { return describe().State.Name == types.InstanceStateNameRunning })
	volumes := awstest.Must(c.DescribeVolumes(c.ctx, &sdk.DescribeVolumesInput{Filters: []types.Filter{filter("attachment.instance-id", *i.InstanceId)}}))(t).Volumes
	if len(volumes) != 1 || *volumes[0].Size != 200 || volumes[0].VolumeType != types.VolumeTypeGp3 {
		t.Errorf("volumes %+v", volumes)
	}
	_, err = c.DeleteSubnet(c.ctx, &sdk.DeleteSubnetInput{SubnetId: aws.String(subnet)})
	awstest.Fails(t, err, 400, "DependencyViolation", "has dependencies and cannot be deleted.")
	awstest.Must(c.TerminateInstances(c.ctx, &sdk.TerminateInstancesInput{InstanceIds: []string{*i.InstanceId}}))(t)
	if got := describe().State.Name; got != types.InstanceStateNameShuttingDown {
		t.Errorf("state %s", got)
	}
	awstest.Eventually(t, "subscriber told", func() bool { return ended.Load() == "ap-northeast-2/"+*i.InstanceId })
	if got := describe(); got.State.Name != types.InstanceStateNameTerminated || got.SubnetId != nil {
		t.Errorf("terminated instance %+v", got)
	}
	awstest.Must(c.DeleteSubnet(c.ctx, &sdk.DeleteSubnetInput{SubnetId: aws.String(subnet)}))(t)
	_, err = c.TerminateInstances(c.ctx, &sdk.TerminateInstancesInput{InstanceIds: []string{"i-0123456789abcdef0"}})
	awstest.Fails(t, err, 400, "InvalidInstanceID.NotFound", "The instance ID 'i-0123456789abcdef0' does not exist")
}

func TestCapacity(t *testing.T) {
	c := newCloud(t, 1000)
	vpc := c.vpc("10.0.0.0/16")
	subnets := map[string]string{}
	for n, letter := range []string{"a", "b", "c"} {
		subnets[letter] = c.subnet(vpc, "10.0."+string(rune('0'+n))+".0/24", awstest.Region+letter)
	}
	launch := func(letter, market string) error {
		_, err := c.service.Launch(awstest.Region, ec2.LaunchSpec{Type: "p4d.24xlarge", SubnetID: subnets[letter], Market: market, ImageID: c.image()})
		return err
	}
	const empty = "InsufficientInstanceCapacity: "
	for _, tt := range []struct {
		name           string
		set            func()
		letter, market string
		want           string
	}{
		{"zone without the type", func() {}, "b", ec2.OnDemand, "Unsupported: Your requested instance type (p4d.24xlarge) is not supported in your requested Availability Zone (ap-northeast-2b). Please retry your request by not specifying an Availability Zone or choosing ap-northeast-2a, ap-northeast-2c."},
		{"on-demand gone in a", func() { c.service.SetCapacity(awstest.Region, "p4d.24xlarge", "ap-northeast-2a", ec2.OnDemand, 0) }, "a", ec2.OnDemand,
			empty + "We currently do not have sufficient p4d.24xlarge capacity in the Availability Zone you requested (ap-northeast-2a). Our system will be working on provisioning additional capacity. You can currently get p4d.24xlarge capacity by not specifying an Availability Zone in your request or choosing ap-northeast-2c."},
		{"spot is there", func() {}, "a", ec2.Spot, ""},
		{"spot gone everywhere", func() { c.service.SetCapacity(awstest.Region, "p4d.24xlarge", "", ec2.Spot, 0) }, "c", ec2.Spot, empty + "There is no Spot capacity available that matches your request."},
		{"room for one", func() { c.service.SetCapacity(awstest.Region, "p4d.24xlarge", "ap-northeast-2a", ec2.OnDemand, 1) }, "a", ec2.OnDemand, ""},
		{"room is used", func() {}, "a", ec2.OnDemand, "capacity in the Availability Zone you requested (ap-northeast-2a)"},
		{"quota", func() { c.service.SetQuota(awstest.Region, "L-417A185B", 96) }, "c", ec2.OnDemand, "VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit of 96 allows for the instance bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."},
		{"spot quota", func() {
			c.service.SetCapacity(awstest.Region, "p4d.24xlarge", "", ec2.Spot, -1)
			c.service.SetQuota(awstest.Region, "L-7212CCBC", 96)
		}, "c", ec2.Spot, "MaxSpotInstanceCountExceeded: Max spot instance count exceeded"},
	} {
		tt.set()
		err := launch(tt.letter, tt.market)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	defer func() { // a lift that names neither zone nor market lifts what named them
		c.service.SetQuota(awstest.Region, "L-7212CCBC", 9600)
		c.service.SetCapacity(awstest.Region, "p4d.24xlarge", "ap-northeast-2a", ec2.Spot, 0)
		c.service.SetCapacity(awstest.Region, "p4d.24xlarge", "", "", -1)
		for _, market := range []string{ec2.OnDemand, ec2.Spot} {
			if err := launch("a", market); err != nil {
				t.Errorf("after the lift, %s: %v", market, err)
			}
		}
	}()
	_, err := c.RunInstances(c.ctx, &sdk.RunInstancesInput{MinCount: aws.Int32(1), MaxCount: aws.Int32(1), ImageId: aws.String(c.image()), InstanceType: "p4d.24xlarge", SubnetId: aws.String(subnets["b"])})
	awstest.Fails(t, err, 400, "Unsupported", "is not supported in your requested Availability Zone")
	c.service.SetQuota(awstest.Region, "L-417A185B", 9600)
	_, err = c.RunInstances(c.ctx, &sdk.RunInstancesInput{MinCount: aws.Int32(1), MaxCount: aws.Int32(1), ImageId: aws.String(c.image()), InstanceType: "p4d.24xlarge", SubnetId: aws.String(subnets["a"])})
	awstest.Fails(t, err, 500, "InsufficientInstanceCapacity", "We currently do not have sufficient p4d.24xlarge capacity")
}

// TestTemplateLaunch starts an instance with EFA interfaces from a template, as
// an Auto Scaling group does.
func TestTemplateLaunch(t *testing.T) {
	c := newCloud(t, 1000)
	vpc := c.vpc("10.0.0.0/16")
	subnet := c.subnet(vpc, "10.0.0.0/24", "ap-northeast-2a")
	group := awstest.Must(c.service.CreateSecurityGroup(awstest.Region, ec2.GroupSpec{VPC: vpc, Name: "eks-cluster-sg-demo-1", Description: "d", Tags: map[string]string{"aws:eks:cluster-name": "demo"}}))(t)
	if err := c.service.AuthorizeSelf(awstest.Region, group.ID); err != nil {
		t.Fatal(err)
	}
	c.iam.EnsureInstanceProfile("eks-1", "node")
	data := types.RequestLaunchTemplateData{
		ImageId: aws.String(c.image()), IamInstanceProfile: &types.LaunchTemplateIamInstanceProfileSpecificationRequest{Name: aws.String("eks-1")},
		TagSpecifications: []types.LaunchTemplateTagSpecificationRequest{{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("ml")}}}},
	}
	for card := range int32(4) {
		data.NetworkInterfaces = append(data.NetworkInterfaces, types.LaunchTemplateInstanceNetworkInterfaceSpecificationRequest{
			NetworkCardIndex: aws.Int32(card), DeviceIndex: aws.Int32(min(card, 1)), InterfaceType: aws.String("efa"), Groups: []string{group.ID},
		})
	}
	template := awstest.Must(c.service.CreateLaunchTemplate(awstest.Region, ec2.TemplateSpec{Name: "eks-1", Data: data}))(t)
	i := awstest.Must(c.service.Launch(awstest.Region, ec2.LaunchSpec{Type: "p4d.24xlarge", SubnetID: subnet, Template: template.ID, Tags: map[string]string{"aws:autoscaling:groupName": "g"}}))(t)
	if len(i.Interfaces) != 4 || i.Tags["team"] != "ml" || i.Tags["aws:autoscaling:groupName"] != "g" || i.Zone != "ap-northeast-2a" || !slices.Equal(i.Groups, []string{group.ID}) {
		t.Errorf("instance %+v", i)
	}
	if err := c.service.DeleteSecurityGroup(awstest.Region, group.ID); err == nil || !strings.Contains(err.Error(), "has a dependent object") {
		t.Errorf("group in use: %v", err)
	}
	_, err := c.service.Launch(awstest.Region, ec2.LaunchSpec{Type: "c6i.xlarge", SubnetID: subnet, Template: template.ID})
	if err == nil || !strings.Contains(err.Error(), "EFA") && !strings.Contains(err.Error(), "card") {
		t.Errorf("EFA on c6i.xlarge: %v", err)
	}
	_, err = c.service.Launch(awstest.Region, ec2.LaunchSpec{Type: "g5.8xlarge", SubnetID: subnet, Template: template.ID})
	if err == nil {
		t.Error("four network cards on g5.8xlarge")
	}
}

func TestCapacityReservation(t *testing.T) {
	c := newCloud(t, 1000)
	subnet := c.subnet(c.vpc("10.0.0.0/16"), "10.0.0.0/24", "ap-northeast-2a")
	cr := awstest.Must(c.CreateCapacityReservation(c.ctx, &sdk.CreateCapacityReservationInput{
		InstanceType: aws.String("p4d.24xlarge"), InstancePlatform: types.CapacityReservationInstancePlatformLinuxUnix, AvailabilityZone: aws.String("ap-northeast-2a"),
		InstanceCount: aws.Int32(1), InstanceMatchCriteria: types.InstanceMatchCriteriaTargeted,
	}))(t).CapacityReservation
	c.service.SetCapacity(awstest.Region, "p4d.24xlarge", "", "", 0)
	in := sdk.RunInstancesInput{
		MinCount: aws.Int32(1), MaxCount: aws.Int32(1), ImageId: aws.String(c.image()), InstanceType: "p4d.24xlarge", SubnetId: aws.String(subnet),
		CapacityReservationSpecification: &types.CapacityReservationSpecification{CapacityReservationTarget: &types.CapacityReservationTarget{CapacityReservationId: cr.CapacityReservationId}},
	}
	first, second := in, in // the SDK puts a client token into each
	if i := awstest.Must(c.RunInstances(c.ctx, &first))(t).Instances[0]; *i.CapacityReservationId != *cr.CapacityReservationId {
		t.Errorf("instance %+v", i)
	}
	if again := awstest.Must(c.RunInstances(c.ctx, &first))(t).Instances; len(again) != 1 {
		t.Errorf("the same client token started %d instances", len(again))
	}
	_, err := c.RunInstances(c.ctx, &second)
	awstest.Fails(t, err, 400, "ReservationCapacityExceeded", "The requested reservation does not have sufficient compatible and available capacity for this request.")
}

func TestImages(t *testing.T) {
	c := newCloud(t, 1000)
	id, release, ok := c.service.EKSImage(awstest.Region, "AL2023_x86_64_NVIDIA", "1.36", "1.36.2-20260714")
	if !ok || release != "1.36.2-20260714" {
		t.Fatal(release)
	}
	got := awstest.Must(c.DescribeImages(c.ctx, &sdk.DescribeImagesInput{ImageIds: []string{id}, Owners: []string{"amazon"}}))(t).Images
	if len(got) != 1 || *got[0].Name != "amazon-eks-node-al2023-x86_64-nvidia-1.36-v20260714" {
		t.Errorf("images %+v", got)
	}
	_, err := c.DescribeImages(c.ctx, &sdk.DescribeImagesInput{ImageIds: []string{"ami-0123456789abcdef0"}})
	awstest.Fails(t, err, 400, "InvalidAMIID.NotFound", "The image id '[ami-0123456789abcdef0]' does not exist")
}
