package controlplane

import "aicluster/provision/cloud"

// What the control plane asks of its caller's IAM policy.

// onCluster permits actions on the cluster and on one kind of what is in it.
func onCluster(s cloud.Site, kind string, actions ...string) cloud.Permission {
	p := cloud.Permission{Sid: "MakeCluster", Actions: actions, Resources: []string{s.ARN("eks", "cluster/"+s.Cluster)}}
	if kind != "" {
		p.Resources = append(p.Resources, s.ARN("eks", kind+"/"+s.Cluster+"/*"))
	}
	return p
}

// Permissions implements [cloud.Permitted].
func (c *Cluster) Permissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{
		onCluster(s, "",
			"eks:CreateCluster", "eks:DeleteCluster", "eks:DescribeCluster", "eks:DescribeUpdate", "eks:TagResource",
			"eks:UpdateClusterConfig", "eks:UpdateClusterVersion"),
		onCluster(s, "nodegroup", "eks:ListNodegroups", "eks:DescribeNodegroup", "eks:ListFargateProfiles"), // what holds it
	}
}

// VersionPermissions is what [Versions] needs.
func VersionPermissions(cloud.Site) []cloud.Permission {
	return []cloud.Permission{cloud.Find("eks:DescribeClusterVersions")}
}

// AdminPermissions is what [DiscoverAdmins] needs.
func AdminPermissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{onCluster(s, "access-entry", "eks:ListAccessEntries", "eks:DescribeAccessEntry")}
}

// Permissions implements [cloud.Permitted].
func (a *AccessEntry) Permissions(s cloud.Site) []cloud.Permission {
	list := []cloud.Permission{onCluster(s, "access-entry",
		"eks:DescribeAccessEntry", "eks:ListAssociatedAccessPolicies", "eks:DeleteAccessEntry")}
	if a.unwanted {
		return list
	}
	return append(list, onCluster(s, "access-entry", "eks:CreateAccessEntry", "eks:TagResource", "eks:AssociateAccessPolicy"))
}

// Permissions implements [cloud.Permitted]. CloudWatch Logs takes calls about a
// group for ones about all of its streams, but those about tags. Without logging
// a group of an earlier time is still looked for and deleted.
func (l *LogGroup) Permissions(s cloud.Site) []cloud.Permission {
	group := s.ARN("logs", "log-group:"+l.name())
	p := cloud.Permission{Sid: "RemoveLogGroup", Resources: []string{group + "*"}, Actions: []string{"logs:ListTagsForResource", "logs:DeleteLogGroup"}}
	if l.wanted {
		p.Sid, p.Actions = "MakeLogGroup", append(p.Actions, "logs:CreateLogGroup", "logs:TagResource")
	}
	return []cloud.Permission{cloud.Find("logs:DescribeLogGroups"), p}
}
