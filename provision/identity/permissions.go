package identity

import (
	"strings"

	"aicluster/provision/cloud"
)

// What each role asks of its maker's IAM policy.

// roles is the ARN of all roles of the cluster in its region, or of this one when
// its name was too long for that.
func (r *Role) roles(s cloud.Site) string {
	prefix := s.Cluster + "-" + s.Region + "-"
	if strings.HasPrefix(r.spec.Name, prefix) {
		return s.IAM("role/" + prefix + "*")
	}
	return s.IAM("role/" + r.spec.Name)
}

// Permissions implements [cloud.Permitted]: of a role that is not wanted any
// more, only what it takes to remove it.
func (r *Role) Permissions(s cloud.Site) []cloud.Permission {
	role := []string{r.roles(s)}
	remove := cloud.Permission{Sid: "MakeRoles", Resources: role, Actions: []string{
		"iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies",
		"iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy",
	}}
	if r.unwanted {
		return []cloud.Permission{remove}
	}
	list := []cloud.Permission{
		remove,
		{Sid: "MakeRoles", Resources: role, Actions: []string{"iam:CreateRole", "iam:TagRole", "iam:UpdateAssumeRolePolicy"}},
		{
			Sid: "PassRoles", Resources: role, Actions: []string{"iam:PassRole"},
			Conditions: cloud.Conditions{"StringEquals": {"iam:PassedToService": r.spec.PassedTo}},
		},
	}
	if len(r.spec.ManagedPolicies) > 0 {
		list = append(list, cloud.Permission{
			Sid: "AttachKnownPolicies", Resources: role, Actions: []string{"iam:AttachRolePolicy"},
			Conditions: cloud.Conditions{"ArnEquals": {"iam:PolicyARN": r.wantedARNs()}},
		})
	}
	if len(r.spec.Inline) > 0 {
		list = append(list, cloud.Permission{Sid: "WriteRolePolicies", Resources: []string{s.IAM("role/" + r.spec.Name)}, Actions: []string{"iam:PutRolePolicy"}})
	}
	return append(list, cloud.Permission{ // in which EKS keeps the role of nodes
		Sid: "LeaveInstanceProfiles", Resources: []string{s.IAM("instance-profile/eks-*")}, Actions: []string{"iam:RemoveRoleFromInstanceProfile"},
	})
}

// Permissions implements [cloud.Permitted].
func (r *ServiceLinkedRole) Permissions(s cloud.Site) []cloud.Permission {
	linked := s.IAM("role/aws-service-role/*")
	return []cloud.Permission{
		cloud.Find("iam:ListRoles"),
		{
			Sid: "LinkServices", Actions: []string{"iam:CreateServiceLinkedRole"}, Resources: []string{linked},
			Conditions: cloud.Conditions{"StringEquals": {"iam:AWSServiceName": {r.service}}},
		},
	}
}

// Permissions implements [cloud.Permitted]. Who puts a role into a profile hands it
// to EC2.
func (p *InstanceProfile) Permissions(s cloud.Site) []cloud.Permission {
	profile := []string{s.IAM("instance-profile/" + p.Name())}
	list := []cloud.Permission{{Sid: "MakeInstanceProfile", Resources: profile, Actions: []string{
		"iam:GetInstanceProfile", "iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile",
	}}}
	if p.unwanted {
		return list
	}
	return append(list,
		cloud.Permission{Sid: "MakeInstanceProfile", Resources: profile, Actions: []string{
			"iam:CreateInstanceProfile", "iam:TagInstanceProfile", "iam:AddRoleToInstanceProfile",
		}},
		cloud.Permission{
			Sid: "PassRoles", Resources: []string{p.role.roles(s)}, Actions: []string{"iam:PassRole"},
			Conditions: cloud.Conditions{"StringEquals": {"iam:PassedToService": {ec2Service}}},
		})
}
