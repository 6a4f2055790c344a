package addons

import (
	"testing"

	"aicluster/blueprints"
)

// Karpenter runs on nodes of node groups, one pod on each, so that a second
// replica needs a second system node.
func TestKarpenter(t *testing.T) {
	for system, replicas := range map[int]float64{1: 1, 2: 2, 5: 2} {
		b := testBlueprint()
		b.NodePools = append(b.NodePools, blueprints.NodePool{Name: "plain", Nodes: blueprints.Nodes{Min: system, Max: system}})
		b.Addons.Karpenter = &blueprints.Release{Values: map[string]any{"logLevel": "debug"}}
		spec := Karpenter(b, "demo-karpenter")
		if spec.Namespace != "kube-system" || spec.Version != karpenterVersion || spec.Repo+"/"+spec.Chart != "oci://public.ecr.aws/karpenter/karpenter" || len(spec.CRDs) != 5 {
			t.Errorf("%+v", spec)
		}
		for path, want := range map[string]any{
			"replicas": replicas, "settings/clusterName": "demo", "settings/interruptionQueue": "demo-karpenter", "serviceAccount/name": "karpenter", "logLevel": "debug",
		} {
			if got := at(spec.Values, path); got != want {
				t.Errorf("%d system nodes: %s is %v (%T), want %v", system, path, got, got, want)
			}
		}
	}
}
