package e2e

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// trustPolicy lets a service assume a role.
func trustPolicy(service string) *string {
	return aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":["sts:AssumeRole","sts:TagSession"]}]}`)
}

// role makes a role that pods may have, and people.
func (d drift) role() error {
	_, err := d.iam.CreateRole(d.ctx, &iam.CreateRoleInput{RoleName: &d.name, AssumeRolePolicyDocument: trustPolicy("pods.eks.amazonaws.com")})
	return err
}

func (d drift) trust() error {
	_, err := d.iam.UpdateAssumeRolePolicy(d.ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: d.roleName("nodes"), PolicyDocument: trustPolicy("lambda.amazonaws.com")})
	return err
}

func (d drift) rights() error {
	role := d.roleName("cluster")
	_, err := d.iam.AttachRolePolicy(d.ctx, &iam.AttachRolePolicyInput{RoleName: role, PolicyArn: aws.String("arn:aws:iam::aws:policy/AdministratorAccess")})
	if err != nil {
		return err
	}
	_, err = d.iam.PutRolePolicy(d.ctx, &iam.PutRolePolicyInput{RoleName: role, PolicyName: aws.String("more"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)})
	return err
}

func (d drift) association() error {
	out, err := d.eks.ListPodIdentityAssociations(d.ctx, &eks.ListPodIdentityAssociationsInput{ClusterName: &d.cluster, ServiceAccount: aws.String("cluster-autoscaler")})
	if err != nil {
		return err
	}
	if len(out.Associations) != 1 {
		return fmt.Errorf("the cluster autoscaler has %d associations", len(out.Associations))
	}
	_, err = d.eks.UpdatePodIdentityAssociation(d.ctx, &eks.UpdatePodIdentityAssociationInput{
		ClusterName: &d.cluster, AssociationId: out.Associations[0].AssociationId, RoleArn: aws.String("arn:aws:iam::" + account + ":role/" + d.name),
	})
	return err
}

// profile makes an instance profile as EKS does for a node group, and forgets it.
func (d drift) profile() error {
	if _, err := d.iam.CreateInstanceProfile(d.ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: &d.name}); err != nil {
		return err
	}
	_, err := d.iam.AddRoleToInstanceProfile(d.ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: &d.name, RoleName: d.roleName("nodes")})
	return err
}

func (d drift) unprofile() error {
	_, err := d.iam.DeleteInstanceProfile(d.ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: &d.name})
	return err
}

// nodegroup makes a node group without nodes, as somebody does in the console.
func (d drift) nodegroup() error {
	_, subnets, err := d.subnets()
	if err != nil {
		return err
	}
	role, err := d.iam.GetRole(d.ctx, &iam.GetRoleInput{RoleName: d.roleName("nodes")})
	if err != nil {
		return err
	}
	_, err = d.eks.CreateNodegroup(d.ctx, &eks.CreateNodegroupInput{
		ClusterName: &d.cluster, NodegroupName: &d.name, NodeRole: role.Role.Arn, Subnets: subnets,
		ScalingConfig: &ekstypes.NodegroupScalingConfig{MinSize: aws.Int32(0), DesiredSize: aws.Int32(0), MaxSize: aws.Int32(1)},
	})
	if err != nil {
		return err
	}
	wait := eks.NewNodegroupActiveWaiter(d.eks, func(o *eks.NodegroupActiveWaiterOptions) { o.MinDelay, o.MaxDelay = natPoll, natPoll })
	return wait.Wait(d.ctx, &eks.DescribeNodegroupInput{ClusterName: &d.cluster, NodegroupName: &d.name}, time.Minute)
}

func (d drift) ungroup() error {
	if _, err := d.eks.DeleteNodegroup(d.ctx, &eks.DeleteNodegroupInput{ClusterName: &d.cluster, NodegroupName: &d.name}); err != nil {
		return err
	}
	wait := eks.NewNodegroupDeletedWaiter(d.eks, func(o *eks.NodegroupDeletedWaiterOptions) { o.MinDelay, o.MaxDelay = natPoll, natPoll })
	return wait.Wait(d.ctx, &eks.DescribeNodegroupInput{ClusterName: &d.cluster, NodegroupName: &d.name}, time.Minute)
}

// bucket takes every setting off a bucket, and lets access lists in again.
func (d drift) bucket() error {
	_, err := d.s3.DeletePublicAccessBlock(d.ctx, &s3.DeletePublicAccessBlockInput{Bucket: &d.name})
	if err == nil {
		_, err = d.s3.DeleteBucketPolicy(d.ctx, &s3.DeleteBucketPolicyInput{Bucket: &d.name})
	}
	if err == nil {
		_, err = d.s3.DeleteBucketLifecycle(d.ctx, &s3.DeleteBucketLifecycleInput{Bucket: &d.name})
	}
	if err == nil {
		_, err = d.s3.PutBucketOwnershipControls(d.ctx, &s3.PutBucketOwnershipControlsInput{Bucket: &d.name, OwnershipControls: &s3types.OwnershipControls{
			Rules: []s3types.OwnershipControlsRule{{ObjectOwnership: s3types.ObjectOwnershipObjectWriter}},
		}})
	}
	return err
}

func (d drift) upload() error {
	_, err := d.s3.CreateMultipartUpload(d.ctx, &s3.CreateMultipartUploadInput{Bucket: &d.name, Key: aws.String("unfinished")})
	return err
}

// versions leaves three versions of one object, and two of another under a delete marker.
func (d drift) versions() error {
	_, err := d.s3.PutBucketVersioning(d.ctx, &s3.PutBucketVersioningInput{
		Bucket: &d.name, VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled},
	})
	for _, key := range []string{"notes", "notes", "notes", "old", "old"} {
		if err == nil {
			_, err = d.s3.PutObject(d.ctx, &s3.PutObjectInput{Bucket: &d.name, Key: &key, Body: strings.NewReader(key)})
		}
	}
	if err == nil {
		_, err = d.s3.DeleteObject(d.ctx, &s3.DeleteObjectInput{Bucket: &d.name, Key: aws.String("old")})
	}
	return err
}
