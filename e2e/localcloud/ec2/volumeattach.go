package ec2

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/clock"
)

// AttachVolume plugs an available volume into a running instance of its zone
// (API reference, AttachVolume; "Error codes for the Amazon EC2 API").
func (a api) AttachVolume(ctx context.Context, in *ec2.AttachVolumeInput) (*ec2.AttachVolumeOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	v, err := lookup(r.volumes, kindVolume, in.VolumeId)
	if err != nil {
		return nil, err
	}
	i, err := lookup(r.instances, kindInstance, in.InstanceId)
	if err != nil {
		return nil, err
	}
	name := aws.ToString(in.Device)
	switch {
	case v.creating:
		return nil, fail("IncorrectState", "Volume '%s' is in the 'creating' state.", v.id)
	case v.instance != "":
		return nil, fail("VolumeInUse", "%s is already attached to an instance", v.id)
	case v.zone != i.zone:
		return nil, fail("InvalidVolume.ZoneMismatch", "The volume '%s' is not in the same availability zone as instance '%s'", v.id, i.id)
	case i.state != types.InstanceStateNameRunning:
		return nil, fail("IncorrectState", "Instance '%s' is not 'running'.", i.id)
	case slices.ContainsFunc(i.devices, func(d device) bool { return d.name == name }):
		return nil, invalidValue("Invalid value '%s' for unixDevice. Attachment point %s is already in use", name, name)
	}
	v.instance, v.device, v.attachment, v.attached, v.deleteWithHost = i.id, name, types.VolumeAttachmentStateAttaching, now(), false
	i.devices = append(slices.Clone(i.devices), device{name: name, volume: v.id})
	a.step(clock.VolumeAttach, func() {
		if v.instance == i.id && v.attachment == types.VolumeAttachmentStateAttaching {
			v.attachment = types.VolumeAttachmentStateAttached
		}
	})
	return &ec2.AttachVolumeOutput{
		VolumeId: in.VolumeId, InstanceId: in.InstanceId, Device: in.Device, State: v.attachment,
		AttachTime: aws.Time(v.attached), DeleteOnTermination: aws.Bool(false),
	}, nil
}

// DetachVolume unplugs a volume; the root volume of an instance that runs stays.
func (a api) DetachVolume(ctx context.Context, in *ec2.DetachVolumeInput) (*ec2.DetachVolumeOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	v, err := lookup(r.volumes, kindVolume, in.VolumeId)
	if err != nil {
		return nil, err
	}
	if in.InstanceId != nil {
		if _, err := lookup(r.instances, kindInstance, in.InstanceId); err != nil {
			return nil, err
		}
	}
	switch {
	case v.instance == "":
		return nil, fail("IncorrectState", "Volume '%s' is in the '%s' state.", v.id, v.state())
	case in.InstanceId != nil && *in.InstanceId != v.instance:
		return nil, fail("InvalidAttachment.NotFound", "The volume '%s' is not attached to instance '%s'.", v.id, *in.InstanceId)
	case v.device == rootDevice:
		return nil, fail("OperationNotPermitted", "Unable to detach root volume '%s' from instance '%s'", v.id, v.instance)
	}
	out := &ec2.DetachVolumeOutput{
		VolumeId: in.VolumeId, InstanceId: aws.String(v.instance), Device: aws.String(v.device), State: types.VolumeAttachmentStateDetaching,
		AttachTime: aws.Time(v.attached), DeleteOnTermination: aws.Bool(v.deleteWithHost),
	}
	if v.attachment == types.VolumeAttachmentStateDetaching {
		return out, nil
	}
	v.attachment = types.VolumeAttachmentStateDetaching
	host := v.instance
	a.step(clock.VolumeDetach, func() {
		if v.instance != host {
			return // the instance's end was faster
		}
		v.unplug()
		if i, ok := r.instances.get(host); ok {
			i.devices = slices.DeleteFunc(slices.Clone(i.devices), func(d device) bool { return d.volume == v.id })
		}
	})
	return out, nil
}

// unplug makes the volume available.
func (v *volume) unplug() { v.instance, v.device, v.attachment = "", "", "" }
