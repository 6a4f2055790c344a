package addons

import (
	"aicluster/blueprints"
)

// karpenterVersion is the chart's, and of what it runs. It knows Kubernetes 1.29
// to 1.36 (Karpenter's documentation, "Compatibility").
const karpenterVersion = "1.14.0"

// Where Karpenter runs.
const (
	KarpenterNamespace      = "kube-system"
	KarpenterServiceAccount = "karpenter"
	karpenterName           = "karpenter"
)

// Karpenter starts instances for pods that no node has room for, beside the node
// groups. Its permissions come by pod identity, for [KarpenterServiceAccount];
// queue is where it reads which instances are about to go. It runs on nodes of
// node groups: the chart keeps it off nodes that it has made, and from running
// twice on one node, so that a second replica needs a second system node.
func Karpenter(b *blueprints.Blueprint, queue string) ReleaseSpec {
	ours := map[string]any{
		"replicas":       min(2, max(1, systemNodes(b))),
		"serviceAccount": map[string]any{"create": true, "name": KarpenterServiceAccount},
		"settings": map[string]any{
			"clusterName":       b.Metadata.Name,
			"eksControlPlane":   true,
			"interruptionQueue": queue,
		},
		"controller": map[string]any{"resources": map[string]any{
			"requests": map[string]any{"cpu": "250m", "memory": "512Mi"},
			"limits":   map[string]any{"memory": "1Gi"},
		}},
	}
	return ReleaseSpec{
		Name: karpenterName, Namespace: KarpenterNamespace,
		Repo: "oci://public.ecr.aws/karpenter", Chart: "karpenter",
		Version: version(b.Addons.Karpenter, karpenterVersion),
		Values:  overlay(ours, values(b.Addons.Karpenter)),
		CRDs:    karpenterCRDs(),
	}
}

func karpenterCRDs() []string {
	return []string{"nodepools.karpenter.sh", "nodeclaims.karpenter.sh", "nodeoverlays.karpenter.sh",
		"ec2nodeclasses.karpenter.k8s.aws", "capacitybuffers.autoscaling.x-k8s.io"}
}

// systemNodes is how many nodes there are at least on which a pod without
// tolerations runs.
func systemNodes(b *blueprints.Blueprint) int {
	n := 0
	for _, pool := range b.NodePools {
		if len(pool.Taints) == 0 {
			n += pool.Nodes.Min
		}
	}
	return n
}
