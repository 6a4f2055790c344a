package orphans

import "aicluster/provision/cloud"

// Permissions is what the search asks of its caller's IAM policy. A bucket or a
// role whose tags may not be read is not the cluster's.
func Permissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{
		cloud.Find("ec2:DescribeTags", "ec2:DescribeVpcs", "ec2:DescribeSubnets", "ec2:DescribeInstances", "ec2:DescribeVolumes", "ec2:DescribeNatGateways",
			"ec2:DescribeAddresses", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeRouteTables",
			"ec2:DescribeInternetGateways", "ec2:DescribeVpcEndpoints", "ec2:DescribeLaunchTemplates",
			"autoscaling:DescribeAutoScalingGroups", "elasticloadbalancing:DescribeLoadBalancers", "elasticloadbalancing:DescribeTargetGroups",
			"elasticloadbalancing:DescribeTags", "iam:ListRoles", "iam:ListInstanceProfiles", "logs:DescribeLogGroups", "s3:ListAllMyBuckets",
			"sqs:GetQueueUrl", "events:DescribeRule", "elasticfilesystem:DescribeFileSystems"),
		{Sid: "MakeCluster", Actions: []string{"eks:DescribeCluster"}, Resources: []string{s.ARN("eks", "cluster/"+s.Cluster)}},
	}
}
