package network

import "aicluster/provision/cloud"

// What each resource of a network asks of its caller's IAM policy.

// ZonePermissions is what [ChooseZones] and [LiveZones] need.
func ZonePermissions(cloud.Site) []cloud.Permission {
	return []cloud.Permission{cloud.Find(
		"ec2:DescribeAvailabilityZones", "ec2:DescribeInstanceTypeOfferings", "ec2:DescribeSubnets",
		"ec2:DescribeVpcs", "ec2:DescribeAddresses", "ec2:DescribeNatGateways", "ec2:DescribeRouteTables",
	)}
}

// Permissions implements [cloud.Permitted]. A VPC goes once nothing is left in
// it: what Kubernetes and EKS left is removed with it.
func (v *vpc) Permissions(s cloud.Site) []cloud.Permission {
	return append(leftovers{}.Permissions(s),
		cloud.Find("ec2:DescribeVpcs", "ec2:DescribeVpcAttribute", "ec2:DescribeSubnets", "ec2:DescribeNatGateways", "ec2:DescribeRouteTables",
			"ec2:DescribeInternetGateways", "ec2:DescribeVpcEndpoints"),
		s.Change("ec2:CreateVpc", "ec2:CreateTags", "ec2:ModifyVpcAttribute", "ec2:DeleteVpc"))
}

// Permissions implements [cloud.Permitted].
func (g *internetGateway) Permissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{
		cloud.Find("ec2:DescribeInternetGateways"),
		s.Change("ec2:CreateInternetGateway", "ec2:CreateTags", "ec2:AttachInternetGateway", "ec2:DetachInternetGateway", "ec2:DeleteInternetGateway"),
	}
}

// Permissions implements [cloud.Permitted].
func (n *subnet) Permissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{
		cloud.Find("ec2:DescribeSubnets"),
		s.Change("ec2:CreateSubnet", "ec2:CreateTags", "ec2:ModifySubnetAttribute", "ec2:DeleteSubnet"),
	}
}

// Permissions implements [cloud.Permitted]: of a gateway that is not wanted any
// more, only what it takes to remove it.
func (n *natGateway) Permissions(s cloud.Site) []cloud.Permission {
	list := []cloud.Permission{
		cloud.Find("ec2:DescribeNatGateways", "ec2:DescribeAddresses"),
		s.Change("ec2:DeleteNatGateway", "ec2:ReleaseAddress"),
	}
	if n.unwanted {
		return list
	}
	return append(list, s.Change("ec2:AllocateAddress", "ec2:CreateNatGateway", "ec2:CreateTags"))
}

// Permissions implements [cloud.Permitted].
func (t *routeTable) Permissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{
		cloud.Find("ec2:DescribeRouteTables"),
		s.Change("ec2:CreateRouteTable", "ec2:CreateTags", "ec2:AssociateRouteTable", "ec2:DisassociateRouteTable", "ec2:DeleteRouteTable"),
	}
}

// Permissions implements [cloud.Permitted].
func (r *route) Permissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{
		cloud.Find("ec2:DescribeRouteTables"),
		s.Change("ec2:CreateRoute", "ec2:ReplaceRoute", "ec2:DeleteRoute"),
	}
}

// Permissions implements [cloud.Permitted].
func (e *s3Endpoint) Permissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{
		cloud.Find("ec2:DescribeVpcEndpoints"),
		s.Change("ec2:CreateVpcEndpoint", "ec2:CreateTags", "ec2:ModifyVpcEndpoint", "ec2:DeleteVpcEndpoints"),
	}
}

// Permissions implements [cloud.Permitted].
func (l *loadBalancers) Permissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{
		cloud.Find("elasticloadbalancing:DescribeLoadBalancers", "elasticloadbalancing:DescribeTargetGroups",
			"elasticloadbalancing:DescribeTags", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups"),
		s.Change("elasticloadbalancing:DeleteLoadBalancer", "elasticloadbalancing:DeleteTargetGroup",
			"ec2:RevokeSecurityGroupIngress", "ec2:DeleteSecurityGroup"),
	}
}

// Permissions implements [cloud.Permitted].
func (v *existingVPC) Permissions(cloud.Site) []cloud.Permission {
	return []cloud.Permission{cloud.Find("ec2:DescribeVpcs", "ec2:DescribeSubnets")}
}

// Permissions implements [cloud.Permitted].
func (leftovers) Permissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{
		cloud.Find("ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups"),
		s.Change("ec2:DeleteNetworkInterface", "ec2:DeleteSecurityGroup"),
	}
}
