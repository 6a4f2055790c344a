package filesystem

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/provision/cloud"
)

// nfsPort is where a mount target listens (EFS User Guide, "Using VPC security
// groups for Amazon EC2 instances and mount targets").
const nfsPort = 2049

// readGroup looks for the security group of the mount targets by its tags.
func (f *FileSystem) readGroup(ctx context.Context) error {
	f.group = nil
	if f.network.VPCID() == "" {
		return nil
	}
	filters := append(f.owner.OwnedFilters(f.name()), cloud.Filter("vpc-id", f.network.VPCID()))
	out, err := f.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: filters})
	if err != nil {
		return err
	}
	if len(out.SecurityGroups) > 0 {
		f.group = &out.SecurityGroups[0]
	}
	return nil
}

// reachable tells that nodes are let in.
func (f *FileSystem) reachable() bool {
	return f.group != nil && slices.ContainsFunc(f.group.IpPermissions, func(p types.IpPermission) bool {
		return aws.ToString(p.IpProtocol) == "tcp" && aws.ToInt32(p.FromPort) == nfsPort && aws.ToInt32(p.ToPort) == nfsPort &&
			slices.ContainsFunc(p.UserIdGroupPairs, func(g types.UserIdGroupPair) bool { return aws.ToString(g.GroupId) == f.cluster.SecurityGroupID() })
	})
}

// applyGroup makes the security group and lets the nodes in. A VPC has one group of
// a name, so that a call whose reply was lost is refused when it is made again, and
// finds what it made.
func (f *FileSystem) applyGroup(ctx context.Context) error {
	if f.group == nil {
		_, err := f.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
			GroupName: aws.String(f.name()), Description: aws.String("EFS mount targets of " + f.owner.Cluster + ", for its nodes"), VpcId: aws.String(f.network.VPCID()),
			TagSpecifications: cloud.EC2TagSpec(types.ResourceTypeSecurityGroup, f.owner.Tags(f.name())),
		})
		if unlessExists(err) != nil {
			return err
		}
		if err := cloud.WaitListed(ctx, func(ctx context.Context) (bool, error) {
			err := f.readGroup(ctx)
			return f.group != nil, err
		}); err != nil {
			return err
		}
	}
	if set := cloud.TagChanges(cloud.FromEC2(f.group.Tags), f.owner.Tags(f.name())); len(set) > 0 {
		if _, err := f.ec2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{*f.group.GroupId}, Tags: cloud.EC2Tags(set)}); err != nil {
			return err
		}
	}
	if f.reachable() {
		return nil
	}
	return unlessExists(cloud.Settled(ctx, func(ctx context.Context) error {
		_, err := f.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
			GroupId: f.group.GroupId,
			IpPermissions: []types.IpPermission{{
				IpProtocol: aws.String("tcp"), FromPort: aws.Int32(nfsPort), ToPort: aws.Int32(nfsPort),
				UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: aws.String(f.cluster.SecurityGroupID()), Description: aws.String("NFS from nodes")}},
			}},
		})
		return err
	}))
}

// deleteGroup removes the group once no interface of a mount target is in it.
func (f *FileSystem) deleteGroup(ctx context.Context) error {
	if f.group == nil {
		return nil
	}
	err := cloud.RetryWhile(ctx, goneLimit, cloud.IsDependency, func(ctx context.Context) error {
		_, err := f.ec2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: f.group.GroupId})
		return err
	})
	if cloud.IsNotFound(err) {
		err = nil
	}
	if err == nil {
		f.group = nil
	}
	return err
}
