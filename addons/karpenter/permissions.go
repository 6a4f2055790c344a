package karpenter

import "aicluster/provision/cloud"

// Permissions implements [cloud.Permitted].
func (m *Machines) Permissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{
		cloud.Find("ec2:DescribeInstances", "ec2:DescribeLaunchTemplates"),
		s.Change("ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"),
	}
}
