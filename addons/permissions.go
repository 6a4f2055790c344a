package addons

import "aicluster/provision/cloud"

// What add-ons ask of their caller's IAM policy. Helm releases need none: they
// are Kubernetes' affair.

// within permits actions on the cluster and on one kind of what is in it.
func within(s cloud.Site, kind string, actions ...string) cloud.Permission {
	return cloud.Permission{
		Sid: "MakeCluster", Actions: actions,
		Resources: []string{s.ARN("eks", "cluster/"+s.Cluster), s.ARN("eks", kind+"/"+s.Cluster+"/*")},
	}
}

// DiscoverPermissions is what [DiscoverAddons] needs.
func DiscoverPermissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{within(s, "addon", "eks:ListAddons", "eks:DescribeAddon")}
}

// VolumePermissions is what [DiscoverVolumes] and every [Volume] need, of which
// only a teardown knows.
func VolumePermissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{cloud.Find("ec2:DescribeVolumes"), s.Change("ec2:DeleteVolume")}
}

// Permissions implements [cloud.Permitted]. EKS makes the pod identity
// association of an add-on in the name of its caller.
func (a *EKSAddon) Permissions(s cloud.Site) []cloud.Permission {
	remove := within(s, "addon", "eks:DescribeAddon", "eks:DeleteAddon")
	if a.unwanted {
		return []cloud.Permission{remove}
	}
	list := []cloud.Permission{
		remove,
		cloud.Find("eks:DescribeAddonVersions"),
		within(s, "addon", "eks:CreateAddon", "eks:TagResource", "eks:UpdateAddon", "eks:DescribeUpdate"),
	}
	if a.spec.PodIdentity != nil {
		list = append(list, within(s, "podidentityassociation", "eks:CreatePodIdentityAssociation", "eks:DescribePodIdentityAssociation"))
	}
	return list
}

// Permissions implements [cloud.Permitted].
func (i *PodIdentity) Permissions(s cloud.Site) []cloud.Permission {
	remove := within(s, "podidentityassociation",
		"eks:ListPodIdentityAssociations", "eks:DescribePodIdentityAssociation", "eks:DeletePodIdentityAssociation")
	if i.unwanted {
		return []cloud.Permission{remove}
	}
	return []cloud.Permission{remove, within(s, "podidentityassociation",
		"eks:CreatePodIdentityAssociation", "eks:TagResource", "eks:UpdatePodIdentityAssociation")}
}

// Permissions implements [cloud.Permitted].
func (b *Balancer) Permissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{
		cloud.Find("elasticloadbalancing:DescribeLoadBalancers", "elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeListenerAttributes",
			"elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetGroupAttributes"),
		s.Change("elasticloadbalancing:ModifyListenerAttributes", "elasticloadbalancing:ModifyTargetGroupAttributes"),
	}
}
