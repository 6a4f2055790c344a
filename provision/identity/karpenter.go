package identity

import (
	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

// KarpenterRole is what Karpenter's controller acts as. The actions and their
// bounds are those of Karpenter's documentation ("CloudFormation", the policy of
// the controller): it may make and end only what bears the cluster's tags, and
// hand nodes only the cluster's node role. It may not touch instance profiles:
// that of the nodes is made by aicluster ([InstanceProfile]). queue is the name
// of the queue with interruptions.
func KarpenterRole(b *blueprints.Blueprint, queue string) RoleSpec {
	m := b.Metadata
	partition := cloud.Partition(m.Region)
	ec2 := func(kinds ...string) []string {
		var arns []string
		for _, kind := range kinds {
			account := "*"
			if kind == "image" || kind == "snapshot" {
				account = "" // which may be anybody's
			}
			arns = append(arns, "arn:"+partition+":ec2:"+m.Region+":"+account+":"+kind+"/*")
		}
		return arns
	}
	// Tags that Karpenter gives to all that it makes.
	owned, cluster, pool := "kubernetes.io/cluster/"+m.Name, "eks:eks-cluster-name", "karpenter.sh/nodepool"
	asked := map[string]map[string]any{
		"StringEquals": {"aws:RequestTag/" + owned: "owned", "aws:RequestTag/" + cluster: m.Name},
		"StringLike":   {"aws:RequestTag/" + pool: "*"},
	}
	born := map[string]map[string]any{
		"StringEquals": {
			"aws:RequestTag/" + owned: "owned", "aws:RequestTag/" + cluster: m.Name,
			"ec2:CreateAction": []string{"RunInstances", "CreateFleet", "CreateLaunchTemplate"},
		},
		"StringLike": {"aws:RequestTag/" + pool: "*"},
	}
	its := map[string]map[string]any{
		"StringEquals": {"aws:ResourceTag/" + owned: "owned"},
		"StringLike":   {"aws:ResourceTag/" + pool: "*"},
	}
	itsNames := map[string]map[string]any{
		"StringEquals":              its["StringEquals"],
		"StringLike":                its["StringLike"],
		"ForAllValues:StringEquals": {"aws:TagKeys": []string{cluster, "karpenter.sh/nodeclaim", "Name"}},
	}
	made := []string{"fleet", "instance", "volume", "network-interface", "launch-template", "spot-instances-request"}
	return RoleSpec{
		ID:       "role/karpenter",
		Name:     roleName(b, "karpenter"),
		Region:   m.Region,
		Trust:    TrustPods(),
		PassedTo: []string{podsService},
		Inline: map[string]Document{"karpenter": Allow(
			Statement{Sid: "LaunchFrom", Action: []string{"ec2:RunInstances", "ec2:CreateFleet"},
				Resource: ec2("image", "snapshot", "security-group", "subnet", "capacity-reservation")},
			Statement{Sid: "LaunchFromOwnTemplates", Action: []string{"ec2:RunInstances", "ec2:CreateFleet"},
				Resource: ec2("launch-template"), Condition: its},
			Statement{Sid: "Launch", Action: []string{"ec2:RunInstances", "ec2:CreateFleet", "ec2:CreateLaunchTemplate"},
				Resource: ec2(made...), Condition: asked},
			Statement{Sid: "TagAtLaunch", Action: []string{"ec2:CreateTags"}, Resource: ec2(made...), Condition: born},
			Statement{Sid: "NameInstances", Action: []string{"ec2:CreateTags"}, Resource: ec2("instance"), Condition: itsNames},
			Statement{Sid: "End", Action: []string{"ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"},
				Resource: ec2("instance", "launch-template"), Condition: its},
			Statement{
				Sid: "Read",
				Action: []string{
					"ec2:DescribeCapacityReservations", "ec2:DescribeImages", "ec2:DescribeInstances", "ec2:DescribeInstanceStatus",
					"ec2:DescribeInstanceTypeOfferings", "ec2:DescribeInstanceTypes", "ec2:DescribeLaunchTemplates", "ec2:DescribePlacementGroups",
					"ec2:DescribeSecurityGroups", "ec2:DescribeSpotPriceHistory", "ec2:DescribeSubnets",
				},
				Resource: []string{"*"}, Condition: map[string]map[string]any{"StringEquals": {"aws:RequestedRegion": m.Region}},
			},
			Statement{Sid: "ReadImages", Action: []string{"ssm:GetParameter"}, Resource: []string{"arn:" + partition + ":ssm:" + m.Region + "::parameter/aws/service/*"}},
			Statement{Sid: "ReadPrices", Action: []string{"pricing:GetProducts"}, Resource: []string{"*"}},
			Statement{Sid: "ReadInstanceProfiles", Action: []string{"iam:GetInstanceProfile", "iam:ListInstanceProfiles"}, Resource: []string{"*"}},
			Statement{Sid: "ReadCluster", Action: []string{"eks:DescribeCluster"}, Resource: []string{"arn:" + partition + ":eks:" + m.Region + ":*:cluster/" + m.Name}},
			Statement{Sid: "Interruptions", Action: []string{"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage"},
				Resource: []string{"arn:" + partition + ":sqs:" + m.Region + ":*:" + queue}},
			Statement{Sid: "PassNodeRole", Action: []string{"iam:PassRole"}, Resource: []string{"arn:" + partition + ":iam::*:role/" + NodeRole(b).Name},
				Condition: map[string]map[string]any{"StringEquals": {"iam:PassedToService": ec2Service}}},
		)},
	}
}
