package addons

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"aicluster/blueprints"
)

// Versions of the charts that a blueprint does not pin, tried together on
// Kubernetes 1.33 to 1.36.
const (
	gpuOperatorVersion       = "v26.7.0"
	clusterAutoscalerVersion = "9.59.0"
)

// Where the known releases live.
const (
	GPUOperatorNamespace = "gpu-operator"
	gpuOperatorName      = "gpu-operator"
	// AutoscalerNamespace and AutoscalerServiceAccount are what the pod identity
	// of the cluster autoscaler is for.
	AutoscalerNamespace      = "kube-system"
	AutoscalerServiceAccount = "cluster-autoscaler"
	// EBSCSIDriver and EFSCSIDriver are add-ons whose pods act by a role of their own.
	EBSCSIDriver = "aws-ebs-csi-driver"
	EFSCSIDriver = "aws-efs-csi-driver"
	// MountpointDriver is the add-on that makes volumes of buckets. It acts by the
	// roles of the pods that have such a volume.
	MountpointDriver = "aws-mountpoint-s3-csi-driver"
	// EBSServiceAccount is the service account of [EBSCSIDriver]'s controller
	// (EKS user guide, "Use Kubernetes volume storage with Amazon EBS").
	EBSServiceAccount = "ebs-csi-controller-sa"
	// EFSServiceAccount is the service account of [EFSCSIDriver]'s controller (EKS
	// user guide, "Use elastic file system storage with Amazon EFS").
	EFSServiceAccount = "efs-csi-controller-sa"
)

// EKSAddonChoice is an add-on of EKS that a blueprint asks for.
type EKSAddonChoice struct {
	Spec
	// NeedsNodes tells that it has Deployments, so that it is ready only once
	// untainted nodes are. The others are DaemonSets, which nodes need in turn.
	NeedsNodes bool
}

// EKSAddons lists the add-ons of EKS that the blueprint leaves on, in the order
// in which a reader expects them. roles has, by the add-on's name, the role of an
// add-on that acts by one ([EBSCSIDriver], [EFSCSIDriver]).
func EKSAddons(b *blueprints.Blueprint, roles map[string]Role) []EKSAddonChoice {
	a := b.Addons
	all := []struct {
		name  string
		addon *blueprints.EKSAddon
	}{
		{"vpc-cni", a.VPCCNI},
		{"kube-proxy", a.KubeProxy},
		{"eks-pod-identity-agent", a.PodIdentityAgent},
		{"coredns", a.CoreDNS},
		{"metrics-server", a.MetricsServer},
		{EBSCSIDriver, a.EBSCSIDriver},
		{EFSCSIDriver, a.EFSCSIDriver},
		{MountpointDriver, a.MountpointS3CSIDriver},
	}
	var out []EKSAddonChoice
	for _, x := range all {
		offUnlessGiven := x.name == EFSCSIDriver || x.name == MountpointDriver
		if !Enabled(x.addon) || x.addon == nil && offUnlessGiven {
			continue
		}
		choice := EKSAddonChoice{Spec: Spec{Name: x.name}, NeedsNodes: needsNodes(x.name)}
		if x.addon != nil {
			choice.Version, choice.Configuration = x.addon.Version, x.addon.Configuration
		}
		switch x.name {
		case EBSCSIDriver:
			choice.PodIdentity = &PodIdentitySpec{ServiceAccount: EBSServiceAccount, Role: roles[EBSCSIDriver]}
			// EKS has no default storage class: a claim without one would wait for ever.
			choice.Configuration = overlay(map[string]any{"defaultStorageClass": map[string]any{"enabled": true}}, choice.Configuration)
		case EFSCSIDriver:
			choice.PodIdentity = &PodIdentitySpec{ServiceAccount: EFSServiceAccount, Role: roles[EFSCSIDriver]}
		case MountpointDriver:
			// Its pods have to be on GPU nodes, whatever their taints.
			choice.Configuration = overlay(map[string]any{"node": map[string]any{"tolerateAllTaints": true}}, choice.Configuration)
		}
		out = append(out, choice)
	}
	return out
}

// needsNodes tells whether an add-on of EKS has Deployments.
func needsNodes(name string) bool {
	return !slices.Contains([]string{"vpc-cni", "kube-proxy", "eks-pod-identity-agent"}, name)
}

// NeedsNodes is [EKSAddonChoice.NeedsNodes] of the add-on.
func (a *EKSAddon) NeedsNodes() bool { return needsNodes(a.spec.Name) }

// Enabled tells whether an add-on of EKS is on; it is unless switched off.
func Enabled(a *blueprints.EKSAddon) bool { return a == nil || a.Enabled == nil || *a.Enabled }

// GPUOperator is NVIDIA's operator for the NVIDIA AMIs of EKS. Driver and
// container toolkit are in the AMI and must be off here (EKS user guide,
// "EKS-optimized accelerated AMIs"); the device plugin is not and stays on.
//
// The operator puts its DaemonSets on every GPU node and so must tolerate every
// taint of every GPU pool; its own Deployments stay on nodes without taints.
func GPUOperator(b *blueprints.Blueprint) ReleaseSpec {
	tolerations := gpuTolerations(b)
	ours := map[string]any{
		"driver":                 map[string]any{"enabled": false},
		"toolkit":                map[string]any{"enabled": false},
		"daemonsets":             map[string]any{"tolerations": tolerations},
		"node-feature-discovery": map[string]any{"worker": map[string]any{"tolerations": tolerations}},
	}
	var first *ReleaseSpec
	if b.Addons.KubePrometheusStack != nil {
		ours["dcgmExporter"] = dcgmMonitor()
		stack := KubePrometheusStack(b) // the operator skips its ServiceMonitor where there is no such kind
		first = &stack
	}
	return ReleaseSpec{
		Name: gpuOperatorName, Namespace: GPUOperatorNamespace,
		Repo: "https://helm.ngc.nvidia.com/nvidia", Chart: "gpu-operator",
		Version: version(b.Addons.GPUOperator, gpuOperatorVersion),
		Values:  overlay(ours, values(b.Addons.GPUOperator)),
		// Its pods use host paths and devices, which the other levels forbid.
		NamespaceLabels: map[string]string{"pod-security.kubernetes.io/enforce": "privileged"},
		CRDs:            gpuOperatorCRDs(),
		CRDsFirst:       first,
	}
}

func gpuOperatorCRDs() []string {
	return []string{"clusterpolicies.nvidia.com", "nvidiadrivers.nvidia.com", "gpuclusters.nvidia.com",
		"computedomains.resource.nvidia.com", "computedomaincliques.resource.nvidia.com",
		"nodefeatures.nfd.k8s-sigs.io", "nodefeaturerules.nfd.k8s-sigs.io", "nodefeaturegroups.nfd.k8s-sigs.io"}
}

// gpuTolerations tolerate nvidia.com/gpu, as the chart's own default does, and
// every other taint of a pool with GPUs, whatever its value.
func gpuTolerations(b *blueprints.Blueprint) []any {
	type taint struct{ key, effect string }
	seen := map[taint]bool{{"nvidia.com/gpu", "NoSchedule"}: true}
	for _, pool := range b.NodePools {
		if pool.GPUs() == 0 {
			continue
		}
		for _, t := range pool.Taints {
			seen[taint{t.Key, t.Effect}] = true
		}
	}
	sorted := slices.SortedFunc(maps.Keys(seen), func(x, y taint) int {
		return strings.Compare(x.key+" "+x.effect, y.key+" "+y.effect)
	})
	out := make([]any, 0, len(sorted))
	for _, t := range sorted {
		out = append(out, map[string]any{"key": t.key, "operator": "Exists", "effect": t.effect})
	}
	return out
}

// ClusterAutoscaler sizes the node groups between their minimum and maximum. It
// finds them by the tags that EKS puts on their Auto Scaling groups, and reads
// labels and taints of an empty one by eks:DescribeNodegroup. Its permissions
// come by pod identity, for [AutoscalerServiceAccount].
//
// A node without work goes after its own default of 10 minutes. That is about how
// long an A100 node takes until it serves, so an idle one never costs more than
// starting it again would. One that has just come to another pool delays nothing:
// by default a scale-up keeps every idle node for 10 minutes.
func ClusterAutoscaler(b *blueprints.Blueprint) ReleaseSpec {
	ours := map[string]any{
		"fullnameOverride": "cluster-autoscaler",
		"cloudProvider":    "aws",
		"awsRegion":        b.Metadata.Region,
		"autoDiscovery":    map[string]any{"clusterName": b.Metadata.Name},
		"image":            map[string]any{"tag": autoscalerImage(b.Cluster.Version)},
		"rbac":             map[string]any{"serviceAccount": map[string]any{"create": true, "name": AutoscalerServiceAccount}},
		// The chart asks for none; without, it would be the first to go when a node runs out.
		"resources": map[string]any{"requests": map[string]any{"cpu": "100m", "memory": "300Mi"}},
		"extraArgs": map[string]any{
			"expander":                    "least-waste",
			"balance-similar-node-groups": true,
			// The label tells all pools apart, and none would be similar.
			"balancing-ignore-label":      blueprints.PoolLabel,
			"scale-down-delay-type-local": true,
			// A pod of kube-system or with a scratch disk must not keep an idle
			// GPU node running.
			"skip-nodes-with-system-pods":   false,
			"skip-nodes-with-local-storage": false,
		},
	}
	return ReleaseSpec{
		Name: "cluster-autoscaler", Namespace: AutoscalerNamespace,
		Repo: "https://kubernetes.github.io/autoscaler", Chart: "cluster-autoscaler",
		Version: version(b.Addons.ClusterAutoscaler, clusterAutoscalerVersion),
		Values:  overlay(ours, values(b.Addons.ClusterAutoscaler)),
	}
}

// autoscalerImage is the autoscaler's image for a Kubernetes minor version, with
// which it is released: the newest of each on 2026-11-25.
func autoscalerImage(kubernetes string) string {
	patches := map[string]int{"1.31": 5, "1.32": 7, "1.33": 6, "1.34": 5, "1.35": 2, "1.36": 1}
	return fmt.Sprintf("v%s.%d", kubernetes, patches[kubernetes])
}

// Charts are the blueprint's further charts.
func Charts(b *blueprints.Blueprint) []ReleaseSpec {
	var out []ReleaseSpec
	for _, c := range b.Addons.Charts {
		namespace := c.Namespace
		if namespace == "" {
			namespace = c.Name
		}
		out = append(out, ReleaseSpec{Name: c.Name, Namespace: namespace, Repo: c.Repo, Chart: c.Chart, Version: c.Version, Values: c.Values})
	}
	return out
}

func version(r *blueprints.Release, ours string) string {
	if r != nil && r.Version != "" {
		return r.Version
	}
	return ours
}

func values(r *blueprints.Release) map[string]any {
	if r == nil {
		return nil
	}
	return r.Values
}
