package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// disk is a volume that the driver is asked for.
type disk struct {
	name, zone string
	gib        int32
	claim      *corev1.PersistentVolumeClaim
	class      *storagev1.StorageClass
}

// tags are those of the driver (aws-ebs-csi-driver, docs/tagging.md). The add-on
// of EKS runs it with --k8s-tag-cluster-id, and external-provisioner with
// --extra-create-metadata.
func (v *volumes) tags(d disk) map[string]string {
	tags := map[string]string{
		"CSIVolumeName": d.name, "ebs.csi.aws.com/cluster": "true",
		"Name": v.cluster + "-dynamic-" + d.name, "KubernetesCluster": v.cluster, "kubernetes.io/cluster/" + v.cluster: "owned",
		"kubernetes.io/created-for/pvc/name": d.claim.Name, "kubernetes.io/created-for/pvc/namespace": d.claim.Namespace,
		"kubernetes.io/created-for/pv/name": d.name,
	}
	for parameter, pair := range d.class.Parameters {
		if key, value, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(parameter, "tagSpecification") {
			tags[key] = value
		}
	}
	return tags
}

// createDisk asks for a volume, with a token that makes asking again harmless,
// and returns its id once it is available, before that an empty one.
func (v *volumes) createDisk(ctx context.Context, d disk) (string, error) {
	api, err := v.api(ctx)
	if err != nil {
		return "", err
	}
	token := sha256.Sum256([]byte(d.name))
	in := &ec2.CreateVolumeInput{
		AvailabilityZone: &d.zone, Size: &d.gib, VolumeType: ec2types.VolumeTypeGp3, ClientToken: aws.String(hex.EncodeToString(token[:])),
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeVolume}},
	}
	tags := v.tags(d)
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		in.TagSpecifications[0].Tags = append(in.TagSpecifications[0].Tags, ec2types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	for parameter, value := range d.class.Parameters { // their names know no case
		switch strings.ToLower(parameter) {
		case "type":
			in.VolumeType = ec2types.VolumeType(value)
		case "encrypted":
			in.Encrypted = aws.Bool(value == "true")
		case "iops":
			in.Iops, err = number(value)
		case "throughput":
			in.Throughput, err = number(value)
		}
		if err != nil {
			return "", fmt.Errorf("invalid %s: %w", parameter, err)
		}
	}
	out, err := api.CreateVolume(ctx, in)
	if err != nil {
		return "", fmt.Errorf("could not create volume in EC2: %w", err)
	}
	have, err := describeDisk(ctx, api, *out.VolumeId)
	if err != nil || have == nil || have.State != ec2types.VolumeStateAvailable {
		return "", err
	}
	return *out.VolumeId, nil
}

func number(text string) (*int32, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	return aws.Int32(int32(n)), err
}

// describeDisk returns a volume, nil if EC2 does not show it.
func describeDisk(ctx context.Context, api VolumeAPI, id string) (*ec2types.Volume, error) {
	out, err := api.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{id}})
	if code(err) == "InvalidVolume.NotFound" || err == nil && len(out.Volumes) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &out.Volumes[0], nil
}

func (v *volumes) deleteDisk(ctx context.Context, id string) error {
	api, err := v.api(ctx)
	if err != nil {
		return err
	}
	if _, err = api.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: &id}); err == nil {
		return nil
	}
	// A role that may delete by the volume's tags is refused what is gone already.
	if have, looked := describeDisk(ctx, api, id); looked == nil && have == nil {
		return nil
	}
	return fmt.Errorf("DeleteDisk could not delete volume: %w", err)
}

// attachDisk attaches a volume to an instance and returns its device once it is
// there, before that an empty name.
func (v *volumes) attachDisk(ctx context.Context, id, instance string) (string, error) {
	api, err := v.api(ctx)
	if err != nil {
		return "", err
	}
	have, err := describeDisk(ctx, api, id)
	if err != nil || have == nil {
		return "", err
	}
	for _, a := range have.Attachments {
		if aws.ToString(a.InstanceId) != instance {
			continue
		}
		if a.State != ec2types.VolumeAttachmentStateAttached {
			return "", nil
		}
		return *a.Device, nil
	}
	device, err := freeDevice(ctx, api, instance)
	if err != nil {
		return "", err
	}
	_, err = api.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: &id, InstanceId: &instance, Device: &device})
	if err != nil {
		return "", fmt.Errorf("could not attach volume %q to node %q: %w", id, instance, err)
	}
	return "", nil
}

// freeDevice is the first of the driver's device names that the instance does
// not use (pkg/cloud/devicemanager).
func freeDevice(ctx context.Context, api VolumeAPI, instance string) (string, error) {
	var used []string
	in := &ec2.DescribeVolumesInput{Filters: []ec2types.Filter{{Name: aws.String("attachment.instance-id"), Values: []string{instance}}}}
	for pages := ec2.NewDescribeVolumesPaginator(api, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		for _, volume := range page.Volumes {
			for _, a := range volume.Attachments {
				used = append(used, aws.ToString(a.Device))
			}
		}
	}
	for first := 'a'; first <= 'd'; first++ {
		for second := 'a'; second <= 'z'; second++ {
			if name := fmt.Sprintf("/dev/xvd%c%c", first, second); !slices.Contains(used, name) {
				return name, nil
			}
		}
	}
	return "", errors.New("there are no names available")
}

// detachDisk detaches a volume and tells whether it is off the instance. One
// that is gone, or was never there, is.
func (v *volumes) detachDisk(ctx context.Context, id, instance string) (bool, error) {
	api, err := v.api(ctx)
	if err != nil {
		return false, err
	}
	have, err := describeDisk(ctx, api, id)
	if err != nil || have == nil {
		return err == nil, err
	}
	i := slices.IndexFunc(have.Attachments, func(a ec2types.VolumeAttachment) bool { return aws.ToString(a.InstanceId) == instance })
	if i < 0 {
		return true, nil
	}
	if have.Attachments[i].State == ec2types.VolumeAttachmentStateDetaching {
		return false, nil
	}
	_, err = api.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: &id, InstanceId: &instance})
	switch code(err) {
	case "InvalidVolume.NotFound", "InvalidAttachment.NotFound", "IncorrectState":
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("could not detach volume %q from node %q: %w", id, instance, err)
	}
	return false, nil
}

// code is the code of AWS's error, empty if it is none.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// instanceOf is the instance behind a node: the last part of its provider id.
func instanceOf(node *corev1.Node) string {
	return node.Spec.ProviderID[strings.LastIndexByte(node.Spec.ProviderID, '/')+1:]
}
