package blueprints

import (
	"maps"
	"regexp"
	"slices"
)

// The words of addons.autoscaler.
const (
	ClusterAutoscaler = "clusterAutoscaler"
	Karpenter         = "karpenter"
)

// BeyondMin is how many nodes of a pool Karpenter may start beside the pool's
// node group, which then stays at min; 0 if Karpenter does not serve the pool. It
// serves no pool without taints: it could not make the nodes that it runs on.
func (b *Blueprint) BeyondMin(p *NodePool) int {
	if b.Addons.Autoscaler != Karpenter || len(p.Taints) == 0 {
		return 0
	}
	return max(p.Nodes.Max-p.Nodes.Min, 0)
}

// validateAutoscaler refuses two autoscalers, which would size the same pools
// against each other, and what Karpenter's own rules refuse.
func validateAutoscaler(d *document, b *Blueprint) {
	const choice = "addons.autoscaler"
	given := func(key string) bool { return d.values["addons."+key] != nil }
	switch word := b.Addons.Autoscaler; {
	case d.bad[choice]:
	case word == Karpenter && given(ClusterAutoscaler):
		d.keyErrorf("addons.clusterAutoscaler", "remove it, or write 'autoscaler: clusterAutoscaler'", "autoscaler is karpenter: a second autoscaler would size the same pools")
	case word == ClusterAutoscaler && given(Karpenter):
		d.keyErrorf("addons.karpenter", "remove it, or write 'autoscaler: karpenter' and remove clusterAutoscaler", "autoscaler is clusterAutoscaler: a second autoscaler would size the same pools")
	}
	if b.Addons.Autoscaler != Karpenter {
		return
	}
	validateKarpenterTags(d, b)
	for i := range b.NodePools {
		pool, at := &b.NodePools[i], item("nodePools", i)
		switch {
		case !d.given(at+".name", at+".nodes.min", at+".nodes.max"):
		case b.BeyondMin(pool) > 0 && !objectName.MatchString(pool.Name):
			d.errorf(at+".name", "write it in lowercase letters, digits and hyphens, or make max equal to min", "pool %q cannot be Karpenter's: its name cannot be that of a Kubernetes object", pool.Name)
		case len(pool.Taints) == 0 && pool.Nodes.Min < pool.Nodes.Max && d.values[at+".taints"] == nil:
			d.warnf(at+".nodes.min", "make min the number you want", "nothing scales the pool: Karpenter serves pools with taints, and this one stays at min (%d)", pool.Nodes.Min)
		}
	}
}

// objectName is how Kubernetes' objects are named (RFC 1123 label).
var objectName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// validateKarpenterTags refuses the tags that Karpenter sets itself (EC2NodeClass,
// spec.tags).
func validateKarpenterTags(d *document, b *Blueprint) {
	for _, key := range slices.Sorted(maps.Keys(b.Metadata.Tags)) {
		own := slices.Contains([]string{"eks:eks-cluster-name", "karpenter.sh/nodepool", "karpenter.sh/nodeclaim", "karpenter.k8s.aws/ec2nodeclass"}, key)
		if at := join("metadata.tags", key); own && d.values[at] != nil {
			d.keyErrorf(at, "choose another key", "the tag %s is Karpenter's and cannot be set here", key)
		}
	}
}
