package ec2

import (
	"cmp"
	"context"
	"maps"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/wire"
)

// rootDevice is the root device's name in the images of EKS.
const rootDevice = "/dev/xvda"

// volume is an EBS volume.
type volume struct {
	id               string
	zone             zone
	gib, iops, mibps int32
	kind             types.VolumeType
	encrypted        bool
	created          time.Time
	creating         bool
	instance, device string // set while it is attached, or on its way to or fro
	attachment       types.VolumeAttachmentState
	attached         time.Time
	deleteWithHost   bool
}

func registerVolumes(w *wire.Server, a api) {
	handle(w, a.CreateVolume)
	handle(w, a.DescribeVolumes)
	handle(w, a.DeleteVolume)
	handle(w, a.AttachVolume)
	handle(w, a.DetachVolume)
}

func (v *volume) state() types.VolumeState {
	switch {
	case v.creating:
		return types.VolumeStateCreating
	case v.instance != "":
		return types.VolumeStateInUse
	}
	return types.VolumeStateAvailable
}

func (v *volume) output(r *region) types.Volume {
	out := types.Volume{
		VolumeId: aws.String(v.id), AvailabilityZone: aws.String(v.zone.name), AvailabilityZoneId: aws.String(v.zone.id), Size: aws.Int32(v.gib), VolumeType: v.kind,
		State: v.state(), Encrypted: aws.Bool(v.encrypted), CreateTime: aws.Time(v.created), MultiAttachEnabled: aws.Bool(false),
		SnapshotId: aws.String(""), Attachments: []types.VolumeAttachment{}, Tags: r.sdkTags(v.id),
	}
	if v.iops > 0 {
		out.Iops = aws.Int32(v.iops)
	}
	if v.mibps > 0 {
		out.Throughput = aws.Int32(v.mibps)
	}
	if v.instance != "" {
		out.Attachments = append(out.Attachments, types.VolumeAttachment{
			VolumeId: aws.String(v.id), InstanceId: aws.String(v.instance), Device: aws.String(v.device), State: v.attachment,
			AttachTime: aws.Time(v.attached), DeleteOnTermination: aws.Bool(v.deleteWithHost),
		})
	}
	return out
}

func newVolume(z zone, gib int32, kind types.VolumeType) *volume {
	v := &volume{id: newID("vol"), zone: z, gib: gib, kind: cmp.Or(kind, types.VolumeTypeGp2), created: now()}
	switch v.kind {
	case types.VolumeTypeGp3:
		v.iops, v.mibps = 3000, 125
	case types.VolumeTypeGp2:
		v.iops = min(max(100, 3*gib), 16000)
	}
	return v
}

// addVolumes makes the volumes of a new instance: those of its image, changed
// and extended by those of the plan.
func (r *region) addVolumes(i *instance, p *plan) {
	root := newVolume(i.zone, 20, types.VolumeTypeGp3)
	root.device, root.deleteWithHost = rootDevice, true
	all := []*volume{root}
	for _, m := range p.data.BlockDeviceMappings {
		if m.Ebs == nil {
			continue
		}
		v := root
		if name := aws.ToString(m.DeviceName); name != rootDevice {
			v = newVolume(i.zone, 8, m.Ebs.VolumeType)
			v.device, v.deleteWithHost = name, true
			all = append(all, v)
		}
		v.kind = cmp.Or(m.Ebs.VolumeType, v.kind)
		v.encrypted = aws.ToBool(m.Ebs.Encrypted)
		v.gib = cmp.Or(aws.ToInt32(m.Ebs.VolumeSize), v.gib)
		v.iops = cmp.Or(aws.ToInt32(m.Ebs.Iops), v.iops)
		v.mibps = cmp.Or(aws.ToInt32(m.Ebs.Throughput), v.mibps)
		if m.Ebs.DeleteOnTermination != nil {
			v.deleteWithHost = *m.Ebs.DeleteOnTermination
		}
	}
	for _, v := range all {
		v.instance, v.attachment, v.attached = i.id, types.VolumeAttachmentStateAttached, i.launched
		r.volumes.add(v.id, v)
		r.tags[v.id] = maps.Clone(p.tags[types.ResourceTypeVolume])
		i.devices = append(i.devices, device{name: v.device, volume: v.id, deleteOnTermination: v.deleteWithHost})
	}
}

// CreateVolume makes an empty volume, which can be used after a moment.
func (a api) CreateVolume(ctx context.Context, in *ec2.CreateVolumeInput) (*ec2.CreateVolumeOutput, error) {
	tags, err := tagsFor(types.ResourceTypeVolume, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	r := a.lock(ctx)
	defer a.mu.Unlock()
	id, remember, err := r.repeated("CreateVolume", in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	v, ok := r.volumes.get(id)
	if !ok {
		if v, err = r.requestedVolume(in); err != nil {
			return nil, err
		}
		v.creating = true
		r.volumes.add(v.id, v)
		r.tags[v.id] = tags
		remember(v.id)
		a.step(clock.VolumeCreate, func() { v.creating = false })
	}
	out := v.output(r)
	return &ec2.CreateVolumeOutput{
		VolumeId: out.VolumeId, AvailabilityZone: out.AvailabilityZone, AvailabilityZoneId: out.AvailabilityZoneId, Size: out.Size, VolumeType: out.VolumeType,
		State: out.State, Encrypted: out.Encrypted, CreateTime: out.CreateTime, Iops: out.Iops, Throughput: out.Throughput, Tags: out.Tags,
		MultiAttachEnabled: out.MultiAttachEnabled, SnapshotId: out.SnapshotId,
	}, nil
}

// requestedVolume checks what CreateVolume is asked for: a zone, a size of the
// type's range, and IOPS and throughput for the types that take them (API
// reference, CreateVolume).
func (r *region) requestedVolume(in *ec2.CreateVolumeInput) (*volume, error) {
	name := cmp.Or(aws.ToString(in.AvailabilityZone), aws.ToString(in.AvailabilityZoneId))
	if name == "" {
		return nil, fail("MissingParameter", "The request must contain the parameter AvailabilityZone or AvailabilityZoneId")
	}
	z, ok := findZone(r.name, name)
	if !ok {
		return nil, fail("InvalidZone.NotFound", "The zone '%s' does not exist.", name)
	}
	if in.Size == nil {
		return nil, fail("MissingParameter", "The request must contain the parameter size or snapshotId")
	}
	if err := checkDisk(in.VolumeType, *in.Size, in.Iops, in.Throughput); err != nil {
		return nil, err
	}
	v := newVolume(z, *in.Size, in.VolumeType)
	v.encrypted = aws.ToBool(in.Encrypted)
	v.iops, v.mibps = cmp.Or(aws.ToInt32(in.Iops), v.iops), cmp.Or(aws.ToInt32(in.Throughput), v.mibps)
	return v, nil
}

// DescribeVolumes lists volumes.
func (a api) DescribeVolumes(ctx context.Context, in *ec2.DescribeVolumesInput) (*ec2.DescribeVolumesOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if err := checkIDs(r.volumes, kindVolume, in.VolumeIds); err != nil {
		return nil, err
	}
	var all []types.Volume
	for _, v := range r.volumes.shown() {
		all = append(all, v.output(r))
	}
	attached := func(get func(types.VolumeAttachment) *string) func(types.Volume) []string {
		return func(v types.Volume) []string { return each(v.Attachments, get) }
	}
	kept, err := describe(all, in.VolumeIds, func(v types.Volume) *string { return v.VolumeId }, in.Filters, filters[types.Volume]{
		"attachment.instance-id": attached(func(t types.VolumeAttachment) *string { return t.InstanceId }),
		"attachment.delete-on-termination": attached(func(t types.VolumeAttachment) *string {
			return aws.String(strconv.FormatBool(aws.ToBool(t.DeleteOnTermination)))
		}),
		"attachment.device":    attached(func(t types.VolumeAttachment) *string { return t.Device }),
		"attachment.status":    attached(func(t types.VolumeAttachment) *string { return aws.String(string(t.State)) }),
		"availability-zone":    func(v types.Volume) []string { return one(v.AvailabilityZone) },
		"availability-zone-id": func(v types.Volume) []string { return one(v.AvailabilityZoneId) },
		"create-time":          func(v types.Volume) []string { return stamp(v.CreateTime) },
		"encrypted":            func(v types.Volume) []string { return yes(v.Encrypted) },
		"size":                 func(v types.Volume) []string { return number(*v.Size) },
		"snapshot-id":          func(v types.Volume) []string { return one(v.SnapshotId) },
		"status":               func(v types.Volume) []string { return []string{string(v.State)} },
		"volume-id":            func(v types.Volume) []string { return one(v.VolumeId) },
		"volume-type":          func(v types.Volume) []string { return []string{string(v.VolumeType)} },
	}, func(v types.Volume) []types.Tag { return v.Tags })
	return &ec2.DescribeVolumesOutput{Volumes: kept}, err
}

// DeleteVolume deletes a volume that is attached to nothing.
func (a api) DeleteVolume(ctx context.Context, in *ec2.DeleteVolumeInput) (*ec2.DeleteVolumeOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	v, err := lookup(r.volumes, kindVolume, in.VolumeId)
	if err != nil {
		return nil, err
	}
	if v.instance != "" {
		return nil, fail("VolumeInUse", "Volume %s is currently attached to %s", v.id, v.instance)
	}
	if v.creating {
		return nil, fail("IncorrectState", "Volume '%s' is in the 'creating' state.", v.id)
	}
	r.volumes.remove(v.id)
	r.forget(v.id)
	return &ec2.DeleteVolumeOutput{}, nil
}
