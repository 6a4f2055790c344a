package nodepools

import "aicluster/provision/cloud"

// What node pools ask of their caller's IAM policy.

// onNodeGroups permits actions on the cluster and its node groups.
func onNodeGroups(s cloud.Site, actions ...string) cloud.Permission {
	return cloud.Permission{
		Sid: "MakeCluster", Actions: actions,
		Resources: []string{s.ARN("eks", "cluster/"+s.Cluster), s.ARN("eks", "nodegroup/"+s.Cluster+"/*")},
	}
}

// DiscoverPermissions is what [Discover] needs.
func DiscoverPermissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{
		cloud.Find("ec2:DescribeLaunchTemplates"),
		onNodeGroups(s, "eks:ListNodegroups", "eks:DescribeNodegroup"),
	}
}

// Permissions implements [cloud.Permitted]. RunInstances is not called: EKS and
// Auto Scaling check that the caller of CreateNodegroup could start instances
// from the template (EKS user guide, "Customize managed nodes with launch
// templates").
func (l *LaunchTemplate) Permissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{
		cloud.Find("ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions"),
		s.Change("ec2:CreateLaunchTemplate", "ec2:CreateTags", "ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate",
			"ec2:DeleteLaunchTemplate", "ec2:RunInstances"),
	}
}

// Permissions implements [cloud.Permitted].
func (g *NodeGroup) Permissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{
		cloud.Find("autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeScalingActivities"),
		onNodeGroups(s, "eks:CreateNodegroup", "eks:TagResource", "eks:DescribeNodegroup", "eks:UpdateNodegroupConfig",
			"eks:UpdateNodegroupVersion", "eks:DescribeUpdate", "eks:DeleteNodegroup"),
	}
}

// Permissions implements [cloud.Permitted].
func (r *Removed) Permissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{
		cloud.Find("ec2:DescribeLaunchTemplates", "autoscaling:DescribeAutoScalingGroups"),
		s.Change("ec2:DeleteLaunchTemplate"),
		onNodeGroups(s, "eks:DescribeNodegroup", "eks:DeleteNodegroup"),
	}
}
