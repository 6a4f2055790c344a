package addons

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// VolumeAPI is what [Volume] uses of EC2.
type VolumeAPI interface {
	ec2.DescribeVolumesAPIClient
	DeleteVolume(context.Context, *ec2.DeleteVolumeInput, ...func(*ec2.Options)) (*ec2.DeleteVolumeOutput, error)
}

// Volume is an EBS volume that the EBS driver made for a volume claim. Teardown
// deletes it if its reclaim policy says so; Kubernetes does that when the claim
// goes, and where Kubernetes cannot, teardown does once the nodes are gone. A
// volume to be retained, or of which Kubernetes does not say what is to become,
// is kept: data is never lost silently.
type Volume struct {
	api    VolumeAPI
	id     string
	policy corev1.PersistentVolumeReclaimPolicy // empty when it is not known
}

// The tags of the EBS driver (aws-ebs-csi-driver, docs/tagging.md).
const (
	volumeName  = "CSIVolumeName"
	volumeClaim = "kubernetes.io/created-for/pvc/name"
	volumeSpace = "kubernetes.io/created-for/pvc/namespace"
	ebsDriver   = "ebs.csi.aws.com"
)

// DiscoverVolumes lists the volumes that the EBS driver made for a cluster and
// that exist.
func DiscoverVolumes(ctx context.Context, api VolumeAPI, cluster string) ([]string, error) {
	var ids []string
	pages := ec2.NewDescribeVolumesPaginator(api, &ec2.DescribeVolumesInput{Filters: []types.Filter{cloud.Filter("tag:kubernetes.io/cluster/"+cluster, "owned")}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if cloud.IsUnsupported(err) {
			return nil, nil
		}
		if err != nil {
			return nil, cloud.Wrap("cluster/"+cluster, "looking for volumes of claims", err)
		}
		for _, v := range page.Volumes {
			tags := cloud.FromEC2(v.Tags)
			if tags[volumeName] != "" || tags[volumeClaim] != "" {
				ids = append(ids, aws.ToString(v.VolumeId))
			}
		}
	}
	return ids, nil
}

// NewVolume makes the resource "volume/<id>".
func NewVolume(api VolumeAPI, id string) *Volume { return &Volume{api: api, id: id} }

// ID implements engine.Resource.
func (v *Volume) ID() string { return "volume/" + v.id }

// Needs implements engine.Resource.
func (v *Volume) Needs() []engine.Resource { return nil }

// Observe implements engine.Resource.
func (v *Volume) Observe(ctx context.Context) (engine.Observation, error) {
	live, err := v.read(ctx)
	if err != nil || live == nil {
		return engine.Observation{}, err
	}
	detail := fmt.Sprintf("%s, %d GiB, %s", v.id, aws.ToInt32(live.Size), live.VolumeType)
	if tags := cloud.FromEC2(live.Tags); tags[volumeClaim] != "" {
		detail += ", of claim " + tags[volumeSpace] + "/" + tags[volumeClaim]
	}
	return engine.Observation{Exists: true, Detail: detail, Keep: v.keep()}, nil
}

func (v *Volume) keep() string {
	switch v.policy {
	case corev1.PersistentVolumeReclaimDelete:
		return ""
	case corev1.PersistentVolumeReclaimRetain:
		return "its reclaim policy is Retain"
	}
	return "Kubernetes does not say whether its data is to be retained"
}

// read is nil when the volume is gone or going.
func (v *Volume) read(ctx context.Context) (*types.Volume, error) {
	out, err := v.api.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{v.id}})
	if cloud.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, cloud.Wrap(v.ID(), "reading the volume", err)
	}
	for _, live := range out.Volumes {
		if live.State != types.VolumeStateDeleted && live.State != types.VolumeStateDeleting {
			return &live, nil
		}
	}
	return nil, nil
}

// Apply implements engine.Resource; there is nothing to make.
func (v *Volume) Apply(context.Context, engine.Progress) error { return nil }

// detachLimit bounds the wait for a volume to be free of a node that is gone.
const detachLimit = 5 * time.Minute

// Delete implements engine.Resource. As a rule Kubernetes has done it already.
func (v *Volume) Delete(ctx context.Context, p engine.Progress) error {
	start := time.Now()
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		live, err := v.read(ctx)
		if err != nil || live == nil {
			return true, err
		}
		_, err = v.api.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: aws.String(v.id)})
		if err == nil || cloud.IsNotFound(err) {
			return false, nil // look whether it goes
		}
		if cloud.Code(err) != "VolumeInUse" || time.Since(start) >= detachLimit {
			return true, cloud.Wrap(v.ID(), "deleting the volume", err)
		}
		p("waiting until it is detached from %s", attachedTo(live))
		return false, nil
	})
}

func attachedTo(v *types.Volume) string {
	for _, a := range v.Attachments {
		return aws.ToString(a.InstanceId)
	}
	return "its node"
}

// ReadPolicies asks Kubernetes what is to become of volumes. Those that it does
// not know, or when it does not answer, keep what is in them.
func ReadPolicies(ctx context.Context, cluster Cluster, volumes []*Volume) error {
	if len(volumes) == 0 || !cluster.Ready() {
		return nil
	}
	config, err := cluster.RESTConfig()
	if err != nil {
		return cloud.Wrap(cluster.ID(), "connecting to the cluster", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return cloud.Wrap(cluster.ID(), "connecting to the cluster", err)
	}
	return readPolicies(ctx, client, cluster.ID(), volumes)
}

func readPolicies(ctx context.Context, client kubernetes.Interface, id string, volumes []*Volume) error {
	list, err := client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return unreachable(id, "listing the volumes", err)
	}
	for _, pv := range list.Items {
		if pv.Spec.CSI == nil || pv.Spec.CSI.Driver != ebsDriver {
			continue
		}
		i := slices.IndexFunc(volumes, func(v *Volume) bool { return v.id == pv.Spec.CSI.VolumeHandle })
		if i >= 0 {
			volumes[i].policy = pv.Spec.PersistentVolumeReclaimPolicy
		}
	}
	return nil
}
