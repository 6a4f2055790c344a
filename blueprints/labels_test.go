package blueprints

import "testing"

func TestPoolOf(t *testing.T) {
	for _, test := range []struct {
		node   string
		labels map[string]string
		want   string
	}{
		{"of a node group", map[string]string{PoolLabel: "gpu", "eks.amazonaws.com/nodegroup": "gpu"}, "gpu"},
		{"of a node group that an earlier version made", map[string]string{"eks.amazonaws.com/nodegroup": "gpu"}, "gpu"},
		{"of Karpenter", map[string]string{PoolLabel: "gpu", "karpenter.sh/nodepool": "gpu"}, "gpu"},
		{"of a NodePool by hand", map[string]string{"karpenter.sh/nodepool": "mine"}, "mine"},
		{"of nobody", map[string]string{"kubernetes.io/os": "linux"}, ""},
	} {
		if got := PoolOf(test.labels); got != test.want {
			t.Errorf("%s: %q, want %q", test.node, got, test.want)
		}
	}
}
