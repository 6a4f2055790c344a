package blueprints

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"aicluster/blueprints/instancetypes"

	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	nameHint  = "a key is up to 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit; before it may stand a DNS name and '/'"
	valueHint = "a value is up to 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
)

func isQualifiedName(s string) bool { return len(validation.IsQualifiedName(s)) == 0 }

func isLabelValue(s string) bool { return len(validation.IsValidLabelValue(s)) == 0 }

// acceleratorLabel is where the cluster autoscaler reads the kind of GPU.
const acceleratorLabel = "k8s.amazonaws.com/accelerator"

// PoolLabel is on every node that is made for a pool, by whatever makes it: its
// value is the pool's name. Pods that belong on a pool select it.
const PoolLabel = "aicluster/pool"

// Labels that say whose a node is: EKS's on the nodes of a managed node group,
// Karpenter's on those that it started.
const (
	nodeGroupLabel     = "eks.amazonaws.com/nodegroup"
	karpenterPoolLabel = "karpenter.sh/nodepool"
)

// PoolOf is the pool that a node with these labels was made for; empty if it was
// made for none. Nodes of earlier versions have no [PoolLabel].
func PoolOf(nodeLabels map[string]string) string {
	return cmp.Or(nodeLabels[PoolLabel], nodeLabels[nodeGroupLabel], nodeLabels[karpenterPoolLabel])
}

func validateLabels(d *document, pool *NodePool, path string) {
	for _, key := range slices.Sorted(maps.Keys(pool.Labels)) {
		at, value := join(path, key), pool.Labels[key]
		owner := labelOwner(key)
		switch {
		case d.values[at] == nil:
		case !isQualifiedName(key):
			d.keyErrorf(at, nameHint, "%q cannot be a label's key", key)
		case owner != "":
			d.keyErrorf(at, "choose another prefix, or none", "the label %s belongs to %s and cannot be set here", key, owner)
		case value == "":
			d.errorf(at, "write a value such as \"true\"", "label %s has an empty value, which EKS refuses", key)
		case len(value) > validation.LabelValueMaxLength:
			d.errorf(at, "shorten it", "the value of label %s has %d characters; at most 63 are allowed", key, len(value))
		case !isLabelValue(value):
			d.errorf(at, valueHint, "%q cannot be a label's value", value)
		case key == acceleratorLabel:
			validateAccelerator(d, pool, at, value)
		}
	}
}

func validateAccelerator(d *document, pool *NodePool, at, value string) {
	for _, name := range pool.InstanceTypes {
		if info, ok := instancetypes.Lookup(name); ok && info.Accelerator != value {
			d.errorf(at, "leave it out: aicluster sets it on GPU pools", "label %s is %q, which %s is not", acceleratorLabel, value, name)
			return
		}
	}
}

// labelOwner says who sets a label, if it is not the user. EKS refuses its own
// prefix (eks.amazonaws.com/); the kubelet does not start with labels of
// kubernetes.io and k8s.io outside of two namespaces
// (k8s.io/kubelet/pkg/apis/well_known_labels.go, IsKubeletLabel).
func labelOwner(key string) string {
	prefix, _, ok := strings.Cut(key, "/")
	switch {
	case !ok:
		return ""
	case prefix == "aicluster":
		return "aicluster"
	case within(prefix, "eks.amazonaws.com"):
		return "EKS"
	case within(prefix, "karpenter.sh"), within(prefix, "karpenter.k8s.aws"):
		return "Karpenter"
	case within(prefix, "kubelet.kubernetes.io"), within(prefix, "node.kubernetes.io") && key != "node.kubernetes.io/instance-type":
		return ""
	case within(prefix, "kubernetes.io"), within(prefix, "k8s.io"):
		return "Kubernetes"
	}
	return ""
}

func within(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}
