package controllers

import "slices"

// addonVersions are the add-ons' versions by Kubernetes version, newest first.
// "" is for every Kubernetes version. They are versions that EKS has offered, as
// far as public records of mid 2026 show them; where a record shows one version
// only, older builds were added so that there is something to upgrade from.
func addonVersions() map[string]map[string][]string {
	return map[string]map[string][]string{
		"vpc-cni": {"": {"v1.22.4-eksbuild.3", "v1.21.1-eksbuild.3", "v1.20.4-eksbuild.2"}},
		"kube-proxy": {
			"1.36": {"v1.36.0-eksbuild.21", "v1.36.0-eksbuild.2"},
			"1.35": {"v1.35.6-eksbuild.2", "v1.35.4-eksbuild.3", "v1.35.0-eksbuild.2"},
			"1.34": {"v1.34.4-eksbuild.2", "v1.34.1-eksbuild.2", "v1.34.0-eksbuild.5"},
			"1.33": {"v1.33.5-eksbuild.2", "v1.33.3-eksbuild.11"},
			"1.32": {"v1.32.9-eksbuild.2", "v1.32.6-eksbuild.13"},
			"1.31": {"v1.31.13-eksbuild.2", "v1.31.10-eksbuild.13"},
		},
		"coredns": {
			"1.36": {"v1.14.3-eksbuild.16", "v1.14.2-eksbuild.3"},
			"1.35": {"v1.14.3-eksbuild.3", "v1.13.2-eksbuild.1"},
			"1.34": {"v1.13.2-eksbuild.1", "v1.12.4-eksbuild.1"},
			"1.33": {"v1.12.4-eksbuild.1", "v1.12.1-eksbuild.2"},
			"1.32": {"v1.11.4-eksbuild.24", "v1.11.4-eksbuild.2"},
			"1.31": {"v1.11.4-eksbuild.24", "v1.11.3-eksbuild.1"},
		},
		"eks-pod-identity-agent": {"": {"v1.3.10-eksbuild.3", "v1.3.5-eksbuild.2"}},
		"metrics-server":         {"": {"v0.8.1-eksbuild.2", "v0.8.0-eksbuild.3", "v0.7.2-eksbuild.4"}},
		"aws-ebs-csi-driver":     {"": {"v1.64.0-eksbuild.1", "v1.58.0-eksbuild.1", "v1.48.0-eksbuild.2"}},
		"aws-efs-csi-driver":     {"": {"v3.4.1-eksbuild.1", "v3.0.0-eksbuild.1"}},

		"aws-mountpoint-s3-csi-driver": {"": {"v2.7.0-eksbuild.1", "v2.4.0-eksbuild.1"}},
	}
}

// AddonVersions returns the versions of an add-on that are offered for a
// Kubernetes version such as "1.35", newest first; none for an unknown add-on.
func AddonVersions(name, k8sVersion string) []string {
	byKubernetes := addonVersions()[name]
	if versions, ok := byKubernetes[k8sVersion]; ok {
		return slices.Clone(versions)
	}
	return slices.Clone(byKubernetes[""])
}
