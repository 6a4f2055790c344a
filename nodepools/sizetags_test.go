package nodepools

import (
	"maps"
	"testing"

	"aicluster/blueprints"
)

// Karpenter's documentation has what nodes of some types offered: 95690m CPUs and
// 1082712 MiB on a p4d.24xlarge, 3920m and 6584 MiB on a c6i.xlarge. The tags promise
// no more than that, but for the 250 pods to which EKS holds the former.
func TestSizeTags(t *testing.T) {
	for _, test := range []struct {
		pool blueprints.NodePool
		want [3]string // CPU, memory, disk
	}{
		{blueprints.NodePool{InstanceTypes: []string{"p4d.24xlarge"}, LocalStorage: "raid0"}, [3]string{"95690m", "1088069Mi", "7038G"}},
		{blueprints.NodePool{InstanceTypes: []string{"p4d.24xlarge"}, LocalStorage: "none"}, [3]string{"95690m", "1088069Mi", "86Gi"}},
		{blueprints.NodePool{InstanceTypes: []string{"c6i.xlarge"}, LocalStorage: "raid0"}, [3]string{"3920m", "6012Mi", "86Gi"}},
		{blueprints.NodePool{InstanceTypes: []string{"g6.2xlarge", "g5.xlarge"}, LocalStorage: "raid0"}, [3]string{"3920m", "13590Mi", "218G"}},
		{blueprints.NodePool{InstanceTypes: []string{"g5.xlarge", "c6i.2xlarge"}, LocalStorage: "raid0", RootVolume: blueprints.RootVolume{SizeGiB: 200}}, [3]string{"3920m", "13590Mi", "174Gi"}},
	} {
		want := map[string]string{sizeTag + "cpu": test.want[0], sizeTag + "memory": test.want[1], sizeTag + "ephemeral-storage": test.want[2]}
		if got := sizeTags(test.pool); !maps.Equal(got, want) {
			t.Errorf("%v, %s: got %v, want %v", test.pool.InstanceTypes, test.pool.LocalStorage, got, want)
		}
	}
	got := sizeTags(blueprints.NodePool{InstanceTypes: []string{"p9.48xlarge"}})
	if want := map[string]string{sizeTag + "ephemeral-storage": "86Gi"}; !maps.Equal(got, want) {
		t.Errorf("a type that is not known: got %v, want %v", got, want)
	}
}
