package efs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	sdk "github.com/aws/aws-sdk-go-v2/service/efs"
	"github.com/aws/aws-sdk-go-v2/service/efs/types"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/efs"
	"aicluster/e2e/localcloud/iam"
)

// account is a local EFS beside a local EC2, with the SDK's clients of both.
type account struct {
	*sdk.Client
	t       *testing.T
	ec2     *ec2sdk.Client
	service *efs.Service
	network *ec2.Service
	vpc     string
}

func newAccount(t *testing.T) *account {
	c := clock.New(1000)
	identities := iam.New(c)
	network := ec2.New(c, identities)
	s := efs.New(c, network, identities)
	t.Cleanup(network.Close)
	t.Cleanup(s.Close)
	cfg := awstest.Start(t, network.Register, s.Register)
	a := &account{sdk.NewFromConfig(cfg), t, ec2sdk.NewFromConfig(cfg), s, network, ""}
	a.vpc = a.newVPC()
	return a
}

func (a *account) newVPC() string {
	a.t.Helper()
	return *awstest.Must(a.ec2.CreateVpc(a.t.Context(), &ec2sdk.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")}))(a.t).Vpc.VpcId
}

func (a *account) subnet(vpc, zone string, block int) string {
	a.t.Helper()
	return *awstest.Must(a.ec2.CreateSubnet(a.t.Context(), &ec2sdk.CreateSubnetInput{
		VpcId: &vpc, CidrBlock: aws.String(fmt.Sprintf("10.0.%d.0/24", block)), AvailabilityZone: aws.String(awstest.Region + zone),
	}))(a.t).Subnet.SubnetId
}

// system makes a file system and waits until it is available.
func (a *account) system(in *sdk.CreateFileSystemInput) string {
	a.t.Helper()
	id := *awstest.Must(a.CreateFileSystem(a.t.Context(), in))(a.t).FileSystemId
	awstest.Eventually(a.t, "file system", func() bool {
		return awstest.Must(a.DescribeFileSystems(a.t.Context(), &sdk.DescribeFileSystemsInput{FileSystemId: &id}))(a.t).FileSystems[0].LifeCycleState == types.LifeCycleStateAvailable
	})
	return id
}

func (a *account) mount(system, subnet string, groups ...string) (*sdk.CreateMountTargetOutput, error) {
	return a.CreateMountTarget(a.t.Context(), &sdk.CreateMountTargetInput{FileSystemId: &system, SubnetId: &subnet, SecurityGroups: groups})
}

func TestFileSystems(t *testing.T) {
	a := newAccount(t)
	ctx := t.Context()
	id := a.system(&sdk.CreateFileSystemInput{CreationToken: aws.String("one"), Encrypted: aws.Bool(true), Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String("models")}}})
	_, err := a.CreateFileSystem(ctx, &sdk.CreateFileSystemInput{CreationToken: aws.String("one")})
	awstest.Fails(t, err, 409, "FileSystemAlreadyExists", "File system '"+id+"' already exists with creation token 'one'")
	_, err = a.CreateFileSystem(ctx, &sdk.CreateFileSystemInput{CreationToken: aws.String("two"), ThroughputMode: types.ThroughputModeProvisioned})
	awstest.Fails(t, err, 400, "BadRequest", "ProvisionedThroughputInMibps is required")
	_, err = a.CreateFileSystem(ctx, &sdk.CreateFileSystemInput{CreationToken: aws.String("two"), AvailabilityZoneName: aws.String("us-east-1a")})
	awstest.Fails(t, err, 400, "UnsupportedAvailabilityZone", "'us-east-1a'")
	_, err = a.DescribeFileSystems(ctx, &sdk.DescribeFileSystemsInput{FileSystemId: aws.String("fs-0123456789abcdef0")})
	awstest.Fails(t, err, 404, "FileSystemNotFound", "File system 'fs-0123456789abcdef0' does not exist.")
	got := awstest.Must(a.DescribeFileSystems(ctx, &sdk.DescribeFileSystemsInput{CreationToken: aws.String("one")}))(t).FileSystems
	if len(got) != 1 || *got[0].Name != "models" || got[0].KmsKeyId == nil || got[0].ThroughputMode != types.ThroughputModeBursting {
		t.Errorf("by token: %+v", got)
	}
	awstest.Must(a.TagResource(ctx, &sdk.TagResourceInput{ResourceId: &id, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("ml")}}}))(t)
	awstest.Must(a.UntagResource(ctx, &sdk.UntagResourceInput{ResourceId: got[0].FileSystemArn, TagKeys: []string{"Name"}}))(t)
	tags := awstest.Must(a.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceId: &id}))(t).Tags
	if len(tags) != 1 || *tags[0].Key != "team" {
		t.Errorf("tags %+v", tags)
	}
	awstest.Must(a.DeleteFileSystem(ctx, &sdk.DeleteFileSystemInput{FileSystemId: &id}))(t)
	awstest.Eventually(t, "an empty account", func() bool { return len(a.service.Inventory()) == 0 })
}

func TestMountTargets(t *testing.T) {
	a := newAccount(t)
	ctx := t.Context()
	first, second := a.subnet(a.vpc, "a", 0), a.subnet(a.vpc, "a", 1)
	elsewhere := a.subnet(a.newVPC(), "c", 0)
	id := a.system(&sdk.CreateFileSystemInput{CreationToken: aws.String("zones")})
	single := a.system(&sdk.CreateFileSystemInput{CreationToken: aws.String("zone"), AvailabilityZoneName: aws.String(awstest.Region + "c")})
	group := *awstest.Must(a.ec2.CreateSecurityGroup(ctx, &ec2sdk.CreateSecurityGroupInput{VpcId: &a.vpc, GroupName: aws.String("nfs"), Description: aws.String("nfs")}))(t).GroupId
	target := awstest.Must(a.mount(id, first, group))(t)
	_, err := a.mount(id, second)
	awstest.Fails(t, err, 409, "MountTargetConflict", "mount target already exists in this AZ")
	_, err = a.mount(id, elsewhere)
	awstest.Fails(t, err, 409, "MountTargetConflict", "requested subnet for new mount target is not in the same VPC as existing mount targets")
	_, err = a.mount(single, first)
	awstest.Fails(t, err, 400, "AvailabilityZonesMismatch", "")
	_, err = a.mount(single, "subnet-0123456789abcdef0")
	awstest.Fails(t, err, 400, "SubnetNotFound", "The subnet ID 'subnet-0123456789abcdef0' does not exist")
	_, err = a.mount(single, elsewhere, group)
	awstest.Fails(t, err, 400, "SecurityGroupNotFound", group)
	_, err = a.mount(single, elsewhere, "sg-1", "sg-2", "sg-3", "sg-4", "sg-5", "sg-6")
	if err == nil || !strings.Contains(err.Error(), "SecurityGroup") && !strings.Contains(err.Error(), "ValidationException") {
		t.Errorf("six groups: %v", err)
	}
	_, err = a.DeleteFileSystem(ctx, &sdk.DeleteFileSystemInput{FileSystemId: &id})
	awstest.Fails(t, err, 409, "FileSystemInUse", "")

	eni := awstest.Must(a.ec2.DescribeNetworkInterfaces(ctx, &ec2sdk.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{*target.NetworkInterfaceId}}))(t).NetworkInterfaces[0]
	if *eni.Description != "EFS mount target for "+id+" ("+*target.MountTargetId+")" || !*eni.RequesterManaged || eni.Status != "in-use" {
		t.Errorf("interface %+v", eni)
	}
	_, err = a.ec2.DeleteSubnet(ctx, &ec2sdk.DeleteSubnetInput{SubnetId: &first})
	awstest.Fails(t, err, 400, "DependencyViolation", "The subnet '"+first+"' has dependencies and cannot be deleted.")
	_, err = a.ec2.DeleteSecurityGroup(ctx, &ec2sdk.DeleteSecurityGroupInput{GroupId: &group})
	awstest.Fails(t, err, 400, "DependencyViolation", "resource "+group+" has a dependent object")
	if groups := awstest.Must(a.DescribeMountTargetSecurityGroups(ctx, &sdk.DescribeMountTargetSecurityGroupsInput{MountTargetId: target.MountTargetId}))(t).SecurityGroups; len(groups) != 1 || groups[0] != group {
		t.Errorf("groups %v", groups)
	}

	awstest.Must(a.DeleteMountTarget(ctx, &sdk.DeleteMountTargetInput{MountTargetId: target.MountTargetId}))(t)
	awstest.Eventually(t, "no mount target", func() bool {
		return len(awstest.Must(a.DescribeMountTargets(ctx, &sdk.DescribeMountTargetsInput{FileSystemId: &id}))(t).MountTargets) == 0
	})
	awstest.Must(a.ec2.DeleteSubnet(ctx, &ec2sdk.DeleteSubnetInput{SubnetId: &first}))(t)
	awstest.Must(a.ec2.DeleteSecurityGroup(ctx, &ec2sdk.DeleteSecurityGroupInput{GroupId: &group}))(t)
	_, err = a.DeleteMountTarget(ctx, &sdk.DeleteMountTargetInput{MountTargetId: target.MountTargetId})
	awstest.Fails(t, err, 404, "MountTargetNotFound", *target.MountTargetId)
}

// TestRefusals: what EFS turns away in a cluster's life, beside what the tests above see.
func TestRefusals(t *testing.T) {
	a := newAccount(t)
	ctx := t.Context()
	none := "fs-0123456789abcdef0"
	_, err := a.DescribeMountTargets(ctx, &sdk.DescribeMountTargetsInput{FileSystemId: &none})
	awstest.Fails(t, err, 404, "FileSystemNotFound", "File system '"+none+"' does not exist.")
	_, err = a.DescribeMountTargets(ctx, &sdk.DescribeMountTargetsInput{})
	awstest.Fails(t, err, 400, "BadRequest", "One of FileSystemId or MountTargetId must be provided.")
	_, err = a.TagResource(ctx, &sdk.TagResourceInput{ResourceId: &none, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("ml")}}})
	awstest.Fails(t, err, 404, "FileSystemNotFound", "File system '"+none+"' does not exist.")
	_, err = a.CreateFileSystem(ctx, &sdk.CreateFileSystemInput{CreationToken: aws.String("one"), ThroughputMode: types.ThroughputModeElastic, PerformanceMode: types.PerformanceModeMaxIo})
	awstest.Fails(t, err, 400, "BadRequest", "maxIO")
}

// TestWhatNodesMeet: where a node finds a file system, who lets it in, and what is there.
func TestWhatNodesMeet(t *testing.T) {
	a := newAccount(t)
	ctx := t.Context()
	id := a.system(&sdk.CreateFileSystemInput{CreationToken: aws.String("one")})
	if _, ok := a.service.Target(awstest.Region, id, awstest.Region+"a"); ok {
		t.Error("it answers without a mount target")
	}
	newGroup := func(name string) string {
		return *awstest.Must(a.ec2.CreateSecurityGroup(ctx, &ec2sdk.CreateSecurityGroupInput{VpcId: &a.vpc, GroupName: &name, Description: &name}))(t).GroupId
	}
	nfs, nodes, others := newGroup("nfs"), newGroup("nodes"), newGroup("others")
	awstest.Must(a.mount(id, a.subnet(a.vpc, "a", 0), nfs))(t)
	awstest.Eventually(t, "a mount target", func() bool { _, ok := a.service.Target(awstest.Region, id, awstest.Region+"a"); return ok })
	if _, ok := a.service.Target(awstest.Region, id, awstest.Region+"b"); ok {
		t.Error("it answers in another zone")
	}
	admits := func(from string) bool { return a.network.Admits(awstest.Region, []string{nfs}, []string{from}, 2049) }
	if admits(nodes) {
		t.Error("a closed group lets nodes in")
	}
	awstest.Must(a.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2sdk.AuthorizeSecurityGroupIngressInput{GroupId: &nfs, IpPermissions: []ec2types.IpPermission{{
		IpProtocol: aws.String("tcp"), FromPort: aws.Int32(2049), ToPort: aws.Int32(2049), UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: &nodes}},
	}}}))(t)
	if !admits(nodes) || admits(others) || a.network.Admits(awstest.Region, []string{nfs}, []string{nodes}, 22) {
		t.Error("the group does not let in whom its rule says")
	}
	if _, ok := a.service.Folder(awstest.Region, id, "/"); !ok {
		t.Error("no root")
	}
	if _, ok := a.service.Folder(awstest.Region, id, "/llama"); ok {
		t.Error("a folder that nobody made")
	}
	a.service.Write(awstest.Region, id, "/llama", "weights", 1<<20)
	if got, ok := a.service.Folder(awstest.Region, id, "llama/"); !ok || got != "weights" {
		t.Errorf("%q %v", got, ok)
	}
	size := awstest.Must(a.DescribeFileSystems(ctx, &sdk.DescribeFileSystemsInput{FileSystemId: &id}))(t).FileSystems[0].SizeInBytes.Value
	if size <= 1<<20 {
		t.Errorf("%d bytes", size)
	}
}
