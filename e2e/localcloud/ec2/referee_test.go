package ec2_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/awstest"
)

// What boto3 disagreed with (e2e/referees), and parameters that were once passed over.

func TestVolumesByDeletionOnTermination(t *testing.T) {
	c := newCloud(t, 1000)
	subnet := c.subnet(c.vpc("10.0.0.0/16"), "10.0.0.0/24", awstest.Region+"a")
	awstest.Must(c.RunInstances(c.ctx, &sdk.RunInstancesInput{
		ImageId: aws.String(c.image()), InstanceType: "m6i.large", SubnetId: &subnet, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
	}))(t)
	awstest.Must(c.CreateVolume(c.ctx, &sdk.CreateVolumeInput{AvailabilityZone: aws.String(awstest.Region + "a"), Size: aws.Int32(10)}))(t)
	for value, want := range map[string]int{"true": 1, "false": 0} {
		out := awstest.Must(c.DescribeVolumes(c.ctx, &sdk.DescribeVolumesInput{Filters: []types.Filter{filter("attachment.delete-on-termination", value)}}))(t)
		if len(out.Volumes) != want {
			t.Errorf("%s: %d volumes, want %d", value, len(out.Volumes), want)
		}
	}
}

func TestPlacementGroupsByID(t *testing.T) {
	c := newCloud(t, 1000)
	made := awstest.Must(c.CreatePlacementGroup(c.ctx, &sdk.CreatePlacementGroupInput{GroupName: aws.String("efa"), Strategy: types.PlacementStrategyCluster}))(t)
	id := *made.PlacementGroup.GroupId
	if out := awstest.Must(c.DescribePlacementGroups(c.ctx, &sdk.DescribePlacementGroupsInput{GroupIds: []string{id}}))(t); len(out.PlacementGroups) != 1 {
		t.Errorf("%+v", out.PlacementGroups)
	}
	_, err := c.DescribePlacementGroups(c.ctx, &sdk.DescribePlacementGroupsInput{GroupIds: []string{"pg-0123456789abcdef0"}})
	awstest.Fails(t, err, 400, "InvalidPlacementGroup.Unknown", "is unknown")
}

func TestVolumeToken(t *testing.T) {
	c := newCloud(t, 1000)
	in := &sdk.CreateVolumeInput{AvailabilityZone: aws.String(awstest.Region + "a"), Size: aws.Int32(10), ClientToken: aws.String("once")}
	first, again := awstest.Must(c.CreateVolume(c.ctx, in))(t), awstest.Must(c.CreateVolume(c.ctx, in))(t)
	if *first.VolumeId != *again.VolumeId {
		t.Errorf("%s and %s", *first.VolumeId, *again.VolumeId)
	}
	in.Size = aws.Int32(20)
	_, err := c.CreateVolume(c.ctx, in)
	awstest.Fails(t, err, 400, "IdempotentParameterMismatch", "")
}

func TestParametersAreHeeded(t *testing.T) {
	c := newCloud(t, 1000)
	_, err := c.AllocateAddress(c.ctx, &sdk.AllocateAddressInput{Domain: types.DomainTypeStandard})
	awstest.Fails(t, err, 400, "InvalidParameterValue", "parameter domain is invalid")
	_, err = c.AllocateAddress(c.ctx, &sdk.AllocateAddressInput{CustomerOwnedIpv4Pool: aws.String("ipv4pool-coip-1")})
	awstest.Fails(t, err, 400, "UnknownParameter", "The parameter CustomerOwnedIpv4Pool is not recognized")

	made := awstest.Must(c.CreateCapacityReservation(c.ctx, &sdk.CreateCapacityReservationInput{
		InstanceType: aws.String("m6i.large"), InstancePlatform: types.CapacityReservationInstancePlatformWindows,
		AvailabilityZone: aws.String(awstest.Region + "a"), InstanceCount: aws.Int32(1),
	}))(t)
	if p := made.CapacityReservation.InstancePlatform; p != types.CapacityReservationInstancePlatformWindows {
		t.Errorf("platform %s", p)
	}

	subnet := c.subnet(c.vpc("10.0.0.0/16"), "10.0.0.0/24", awstest.Region+"a")
	run := &sdk.RunInstancesInput{
		ImageId: aws.String(c.image()), InstanceType: "m6i.large", SubnetId: &subnet, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		Monitoring: &types.RunInstancesMonitoringEnabled{Enabled: aws.Bool(true)}, EbsOptimized: aws.Bool(true),
	}
	i := awstest.Must(c.RunInstances(c.ctx, run))(t).Instances[0]
	if i.Monitoring.State == types.MonitoringStateDisabled || !*i.EbsOptimized {
		t.Errorf("monitoring %s, EBS-optimized %v", i.Monitoring.State, *i.EbsOptimized)
	}
	run.PrivateIpAddress = aws.String("10.0.0.9")
	_, err = c.RunInstances(c.ctx, run)
	awstest.Fails(t, err, 400, "UnknownParameter", "The parameter PrivateIpAddress is not recognized")
}
