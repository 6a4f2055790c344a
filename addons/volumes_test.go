package addons

import (
	"context"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"aicluster/provision/cloud"
)

// fakeVolumes is EC2 with volumes. One is detached when it was asked for busy times.
type fakeVolumes struct {
	volumes []types.Volume
	busy    int
}

func (f *fakeVolumes) DescribeVolumes(_ context.Context, in *ec2.DescribeVolumesInput, _ ...func(*ec2.Options)) (*ec2.DescribeVolumesOutput, error) {
	out := &ec2.DescribeVolumesOutput{}
	for _, v := range f.volumes {
		if len(in.VolumeIds) == 0 && cloud.FromEC2(v.Tags)["kubernetes.io/cluster/demo"] == in.Filters[0].Values[0] || slices.Contains(in.VolumeIds, *v.VolumeId) {
			out.Volumes = append(out.Volumes, v)
		}
	}
	if len(out.Volumes) == 0 && len(in.VolumeIds) > 0 {
		return nil, &smithy.GenericAPIError{Code: "InvalidVolume.NotFound"}
	}
	return out, nil
}

func (f *fakeVolumes) DeleteVolume(_ context.Context, in *ec2.DeleteVolumeInput, _ ...func(*ec2.Options)) (*ec2.DeleteVolumeOutput, error) {
	if f.busy--; f.busy >= 0 {
		return nil, &smithy.GenericAPIError{Code: "VolumeInUse"}
	}
	f.volumes = slices.DeleteFunc(f.volumes, func(v types.Volume) bool { return *v.VolumeId == *in.VolumeId })
	return &ec2.DeleteVolumeOutput{}, nil
}

func volume(id string, tags map[string]string) types.Volume {
	return types.Volume{VolumeId: aws.String(id), Size: aws.Int32(20), VolumeType: types.VolumeTypeGp3, State: types.VolumeStateInUse, Tags: cloud.EC2Tags(tags)}
}

var ofClaim = map[string]string{"kubernetes.io/cluster/demo": "owned", "CSIVolumeName": "pvc-1", volumeClaim: "data-0", volumeSpace: "db"}

func TestVolumesAreFoundByTheDriversTags(t *testing.T) {
	api := &fakeVolumes{volumes: []types.Volume{volume("vol-1", ofClaim), volume("vol-2", nil), volume("vol-root", map[string]string{"kubernetes.io/cluster/demo": "owned"})}}
	ids, err := DiscoverVolumes(t.Context(), api, "demo")
	if err != nil || !slices.Equal(ids, []string{"vol-1"}) {
		t.Errorf("%v, %v", ids, err)
	}
}

// What becomes of a volume is for Kubernetes to say; where it says nothing, data
// is kept.
func TestWhatBecomesOfAVolume(t *testing.T) {
	pv := func(policy corev1.PersistentVolumeReclaimPolicy, driver string) *corev1.PersistentVolume {
		return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pvc-1"}, Spec: corev1.PersistentVolumeSpec{PersistentVolumeReclaimPolicy: policy,
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: "vol-1"}}}}
	}
	tests := map[string]struct {
		pv   *corev1.PersistentVolume
		keep string
	}{
		"to be deleted":    {pv(corev1.PersistentVolumeReclaimDelete, ebsDriver), ""},
		"to be retained":   {pv(corev1.PersistentVolumeReclaimRetain, ebsDriver), "its reclaim policy is Retain"},
		"unknown":          {nil, "Kubernetes does not say whether its data is to be retained"},
		"another driver's": {pv(corev1.PersistentVolumeReclaimDelete, "other"), "Kubernetes does not say whether its data is to be retained"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset()
			if tt.pv != nil {
				client = fake.NewClientset(tt.pv)
			}
			v := NewVolume(&fakeVolumes{volumes: []types.Volume{volume("vol-1", ofClaim)}}, "vol-1")
			if err := readPolicies(t.Context(), client, "cluster/demo", []*Volume{v}); err != nil {
				t.Fatal(err)
			}
			o, err := v.Observe(t.Context())
			if err != nil || !o.Exists || o.Keep != tt.keep || o.Detail != "vol-1, 20 GiB, gp3, of claim db/data-0" {
				t.Errorf("%+v, %v", o, err)
			}
		})
	}
}

func TestAVolumeIsDeletedOnceItIsDetached(t *testing.T) {
	api := &fakeVolumes{volumes: []types.Volume{volume("vol-1", ofClaim)}, busy: 2}
	v := NewVolume(api, "vol-1")
	if err := v.Delete(t.Context(), quiet); err != nil || len(api.volumes) > 0 {
		t.Errorf("%v, %d left", err, len(api.volumes))
	}
	if err := v.Delete(t.Context(), quiet); err != nil {
		t.Errorf("deleting what Kubernetes has deleted: %v", err)
	}
	if o, err := v.Observe(t.Context()); err != nil || o.Exists {
		t.Errorf("%+v, %v", o, err)
	}
}
