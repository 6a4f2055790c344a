package karpenter

import (
	"context"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"aicluster/provision/engine"
)

// field is a part of an object's spec and what it is in the blueprint.
type field struct {
	name     string
	path     []string
	replaces bool // nodes are replaced for it
}

var (
	poolFields = []field{
		{"nodes.max", []string{"limits"}, false},
		{"disruption", []string{"disruption"}, false},
		{"labels", []string{"template", "metadata", "labels"}, true},
		{"taints", []string{"template", "spec", "taints"}, true},
		{"instanceTypes", []string{"template", "spec", "requirements"}, true},
		{"expireAfter", []string{"template", "spec", "expireAfter"}, true},
		{"nodeClass", []string{"template", "spec", "nodeClassRef"}, true},
	}
	classFields = []field{
		{"amiRelease", []string{"amiSelectorTerms"}, true},
		{"instanceProfile", []string{"instanceProfile"}, true},
		{"zones", []string{"subnetSelectorTerms"}, true},
		{"securityGroup", []string{"securityGroupSelectorTerms"}, true},
		{"rootVolume", []string{"blockDeviceMappings"}, true},
		{"localStorage", []string{"instanceStorePolicy"}, true},
		{"userData", []string{"userData"}, true},
		{"metadataOptions", []string{"metadataOptions"}, true},
		{"tags", []string{"tags"}, true},
	}
)

// changes asks the API server what the objects would be if they were applied, and
// compares that with what they are.
func (p *Pool) changes(ctx context.Context, kube dynamic.Interface) ([]engine.Change, error) {
	var changes []engine.Change
	for _, o := range p.wanted() {
		live, fields := p.live, poolFields
		if o.GetKind() == "EC2NodeClass" {
			live, fields = p.class, classFields
		}
		if live == nil {
			changes = append(changes, engine.Change{Field: o.GetKind(), Wanted: o.GetName(), Policy: engine.PolicyCreate})
			continue
		}
		applied, err := p.apply(ctx, kube, o, "All")
		if err != nil {
			return nil, err
		}
		changes = append(changes, compare(live, applied, fields)...)
		if ready, why := isReady(live); !ready {
			changes = append(changes, engine.Change{Field: "status", Live: why, Wanted: "Ready", Policy: engine.PolicyVerify})
		}
	}
	return changes, nil
}

func compare(live, applied *unstructured.Unstructured, fields []field) []engine.Change {
	var changes []engine.Change
	for _, f := range fields {
		path := append([]string{"spec"}, f.path...)
		was, _, _ := unstructured.NestedFieldNoCopy(live.Object, path...)
		is, _, _ := unstructured.NestedFieldNoCopy(applied.Object, path...)
		if reflect.DeepEqual(was, is) {
			continue
		}
		c := engine.Change{Field: f.name, Live: was, Wanted: is, Policy: engine.PolicyInPlace}
		if f.replaces {
			c.Policy, c.Hint = engine.PolicyReplace, "Karpenter replaces its nodes that differ, one at a time"
		}
		changes = append(changes, c)
	}
	was, is := live.GetLabels(), applied.GetLabels()
	if !reflect.DeepEqual(was, is) {
		changes = append(changes, engine.Change{Field: "metadata.labels", Live: was, Wanted: is, Policy: engine.PolicyInPlace})
	}
	if len(changes) == 0 && !reflect.DeepEqual(live.Object["spec"], applied.Object["spec"]) { // what no field of ours is about
		changes = append(changes, engine.Change{Field: "spec", Policy: engine.PolicyInPlace})
	}
	return slices.Clip(changes)
}
