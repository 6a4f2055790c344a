package ec2_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/awstest"
)

func (c *cloud) instance(subnet string) string {
	c.t.Helper()
	out := awstest.Must(c.RunInstances(c.ctx, &sdk.RunInstancesInput{
		ImageId: aws.String(c.image()), InstanceType: "m6i.large", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SubnetId: aws.String(subnet),
	}))(c.t)
	id := *out.Instances[0].InstanceId
	awstest.Eventually(c.t, "instance runs", func() bool {
		i, ok := c.service.Instance(awstest.Region, id)
		return ok && i.State == "running"
	})
	return id
}

func (c *cloud) volume(zone string) string {
	c.t.Helper()
	out := awstest.Must(c.CreateVolume(c.ctx, &sdk.CreateVolumeInput{AvailabilityZone: aws.String(zone), Size: aws.Int32(8), VolumeType: types.VolumeTypeGp3}))(c.t)
	if out.State != types.VolumeStateCreating {
		c.t.Errorf("a new volume is %s", out.State)
	}
	c.volumeBecomes(*out.VolumeId, types.VolumeStateAvailable)
	return *out.VolumeId
}

func (c *cloud) volumeBecomes(id string, want types.VolumeState) {
	c.t.Helper()
	awstest.Eventually(c.t, id+" "+string(want), func() bool {
		return awstest.Must(c.DescribeVolumes(c.ctx, &sdk.DescribeVolumesInput{VolumeIds: []string{id}}))(c.t).Volumes[0].State == want
	})
}

func TestVolumesThatCannotBe(t *testing.T) {
	c := newCloud(t, 1000)
	zone := aws.String("ap-northeast-2a")
	for _, tt := range []struct {
		name        string
		in          sdk.CreateVolumeInput
		code, words string
	}{
		{"no zone", sdk.CreateVolumeInput{Size: aws.Int32(8)}, "MissingParameter", "AvailabilityZone"},
		{"another region's zone", sdk.CreateVolumeInput{AvailabilityZone: aws.String("us-east-1a"), Size: aws.Int32(8)}, "InvalidZone.NotFound", "The zone 'us-east-1a' does not exist."},
		{"no size", sdk.CreateVolumeInput{AvailabilityZone: zone}, "MissingParameter", "size or snapshotId"},
		{"st1 too small", sdk.CreateVolumeInput{AvailabilityZone: zone, Size: aws.Int32(8), VolumeType: types.VolumeTypeSt1}, "InvalidParameterValue", "too small for volume type st1; minimum is 125GiB"},
		{"io2 without IOPS", sdk.CreateVolumeInput{AvailabilityZone: zone, Size: aws.Int32(8), VolumeType: types.VolumeTypeIo2}, "MissingParameter", "The request must contain the parameter iops for io2 volumes."},
		{"gp2 with IOPS", sdk.CreateVolumeInput{AvailabilityZone: zone, Size: aws.Int32(8), VolumeType: types.VolumeTypeGp2, Iops: aws.Int32(3000)}, "InvalidParameterCombination", "The parameter iops is not supported for gp2 volumes."},
		{"gp2 with throughput", sdk.CreateVolumeInput{AvailabilityZone: zone, Size: aws.Int32(8), VolumeType: types.VolumeTypeGp2, Throughput: aws.Int32(250)}, "InvalidParameterCombination", "The parameter throughput is not supported for gp2 volumes."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := c.CreateVolume(c.ctx, &tt.in)
			awstest.Fails(t, err, 400, tt.code, tt.words)
		})
	}
}

// TestVolumeLife attaches a volume, detaches it, leaves one behind when its
// instance ends, and asks for what AWS refuses on the way.
func TestVolumeLife(t *testing.T) {
	c := newCloud(t, 1000)
	subnet := c.subnet(c.vpc("10.0.0.0/16"), "10.0.0.0/24", "ap-northeast-2a")
	host, volume, far := c.instance(subnet), c.volume("ap-northeast-2a"), c.volume("ap-northeast-2c")
	attach := func(volume, device string) error {
		_, err := c.AttachVolume(c.ctx, &sdk.AttachVolumeInput{VolumeId: &volume, InstanceId: &host, Device: &device})
		return err
	}
	detach := func(volume string) error {
		_, err := c.DetachVolume(c.ctx, &sdk.DetachVolumeInput{VolumeId: &volume, InstanceId: &host})
		return err
	}
	remove := func(volume string) error {
		_, err := c.DeleteVolume(c.ctx, &sdk.DeleteVolumeInput{VolumeId: &volume})
		return err
	}
	awstest.Fails(t, attach(far, "/dev/xvdaa"), 400, "InvalidVolume.ZoneMismatch", "The volume '"+far+"' is not in the same availability zone as instance '"+host+"'")
	awstest.Fails(t, attach(volume, "/dev/xvda"), 400, "InvalidParameterValue", "Attachment point /dev/xvda is already in use")
	awstest.Fails(t, detach(volume), 400, "IncorrectState", "Volume '"+volume+"' is in the 'available' state.")
	if err := attach(volume, "/dev/xvdaa"); err != nil {
		t.Fatal(err)
	}
	c.volumeBecomes(volume, types.VolumeStateInUse)
	awstest.Fails(t, attach(volume, "/dev/xvdab"), 400, "VolumeInUse", volume+" is already attached to an instance")
	awstest.Fails(t, remove(volume), 400, "VolumeInUse", "Volume "+volume+" is currently attached to "+host)
	got := awstest.Must(c.DescribeVolumes(c.ctx, &sdk.DescribeVolumesInput{Filters: []types.Filter{filter("attachment.instance-id", host)}}))(t).Volumes
	if len(got) != 2 || *got[1].Attachments[0].Device != "/dev/xvdaa" || *got[1].Attachments[0].DeleteOnTermination {
		t.Errorf("on the instance: %+v", got)
	}
	awstest.Fails(t, detach(*got[0].VolumeId), 400, "OperationNotPermitted", "Unable to detach root volume")

	if err := detach(volume); err != nil {
		t.Fatal(err)
	}
	c.volumeBecomes(volume, types.VolumeStateAvailable)
	if err := attach(volume, "/dev/xvdaa"); err != nil { // the name is free again
		t.Fatal(err)
	}
	c.service.Terminate(awstest.Region, host)
	c.volumeBecomes(volume, types.VolumeStateAvailable) // it outlives the instance, the root volume does not
	if all := awstest.Must(c.DescribeVolumes(c.ctx, &sdk.DescribeVolumesInput{}))(t).Volumes; len(all) != 2 {
		t.Errorf("%d volumes are left", len(all))
	}
	if err := remove(volume); err != nil {
		t.Error(err)
	}
}
