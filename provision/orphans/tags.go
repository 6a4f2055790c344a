package orphans

import (
	"cmp"
	"slices"
	"strings"

	"aicluster/provision/cloud"
)

// Tags by which AWS and the controllers of Kubernetes say which cluster they made
// something for.
const (
	tagEKSMade   = "aws:eks:cluster-name"           // EKS, on a cluster's security group and a node group's launch template
	tagNodes     = "eks:cluster-name"               // EKS, on scaling groups and instances
	tagPool      = "eks:nodegroup-name"             // beside it
	tagInterface = "cluster.k8s.amazonaws.com/name" // amazon-vpc-cni-k8s, on interfaces
	tagBalancer  = "elbv2.k8s.aws/cluster"          // aws-load-balancer-controller
	tagKarpenter = "eks:eks-cluster-name"           // Karpenter, on instances and launch templates
	tagVolume    = "KubernetesCluster"              // aws-ebs-csi-driver, beside the next
	ownedPrefix  = "kubernetes.io/cluster/"         // the cloud provider and drivers, with the value "owned"
	owned        = "owned"

	tagNodePool  = "karpenter.sh/nodepool"          // Karpenter, on instances
	tagNodeClass = "karpenter.k8s.aws/ec2nodeclass" // and on launch templates; it is named like the pool

	tagService   = "kubernetes.io/service-name"              // the cloud provider, on load balancers: NAMESPACE/NAME
	tagPV        = "kubernetes.io/created-for/pv/name"       // aws-ebs-csi-driver, on volumes
	tagClaim     = "kubernetes.io/created-for/pvc/name"      //
	tagClaimIn   = "kubernetes.io/created-for/pvc/namespace" //
	serviceGroup = "service.k8s.aws/stack"                   // aws-load-balancer-controller: NAMESPACE/NAME
)

// tagKeys are the keys of the tags that name a cluster.
func (s *Search) tagKeys() []string {
	return []string{cloud.TagCluster, ownedPrefix + s.Cluster, tagEKSMade, tagNodes, tagInterface, tagBalancer, tagKarpenter, tagVolume}
}

// names tells that a tag names the cluster. A VPC or subnet that the cluster only
// shares carries "shared" and is not meant.
func (s *Search) names(key, value string) bool {
	if key == ownedPrefix+s.Cluster {
		return value == owned
	}
	return slices.Contains(s.tagKeys(), key) && value == s.Cluster
}

// reason is the tag that names the cluster, or empty: our own if it is there.
func (s *Search) reason(tags map[string]string) string {
	for _, key := range s.tagKeys() {
		if value, ok := tags[key]; ok && s.names(key, value) {
			return "tag " + key + "=" + value
		}
	}
	return ""
}

// poolOf is the pool that something was made for, or empty.
func poolOf(tags map[string]string) string {
	return cmp.Or(tags[tagPool], tags[tagNodePool], tags[tagNodeClass])
}

// objectOf is the Kubernetes object that a controller made something for, or empty.
func objectOf(tags map[string]string) string {
	switch {
	case tags[tagPV] != "":
		return "pv/" + tags[tagPV]
	case tags[tagService] != "":
		return "service/" + tags[tagService]
	case strings.Contains(tags[serviceGroup], "/"):
		return "service/" + tags[serviceGroup]
	}
	return ""
}

// claimOf is the volume claim that a volume was made for, or empty.
func claimOf(tags map[string]string) string {
	if tags[tagClaim] == "" {
		return ""
	}
	return tags[tagClaimIn] + "/" + tags[tagClaim]
}
