package filesystem

import "aicluster/provision/cloud"

// Permissions implements [cloud.Permitted]. EFS makes the interface of a mount
// target with its caller's rights (EFS API reference, CreateMountTarget and
// DeleteMountTarget). Of a file system that the blueprint does not have, only the
// look for it: a policy has no room for what one may have had once.
func (f *FileSystem) Permissions(s cloud.Site) []cloud.Permission {
	look := cloud.Find("elasticfilesystem:DescribeFileSystems")
	if f.unwanted {
		return []cloud.Permission{look}
	}
	return []cloud.Permission{
		look,
		cloud.Find("elasticfilesystem:DescribeMountTargets", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeNetworkInterfaces"),
		s.Change("elasticfilesystem:CreateFileSystem", "elasticfilesystem:CreateMountTarget", "elasticfilesystem:DeleteFileSystem",
			"elasticfilesystem:DeleteMountTarget", "elasticfilesystem:TagResource", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
			"ec2:AuthorizeSecurityGroupIngress", "ec2:CreateSecurityGroup", "ec2:CreateTags", "ec2:DeleteSecurityGroup"),
	}
}
