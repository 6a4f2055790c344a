package filesystem

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/efs"
	"github.com/aws/aws-sdk-go-v2/service/efs/types"
	"github.com/aws/smithy-go"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// account is an EFS and the security groups of an EC2. Things are there, and gone,
// one look after they were asked for. A call that it does not know panics.
type account struct {
	API
	NetworkAPI
	system  *types.FileSystemDescription
	targets []types.MountTargetDescription
	groups  []ec2types.SecurityGroup
	calls   []string // that change something
	lose    string   // the call whose reply is lost, once
}

func code(c string) error { return &smithy.GenericAPIError{Code: c, Message: "as AWS says"} }

// done notes a call; it fails, after it took effect, if its reply is to be lost.
func (a *account) done(call string) error {
	a.calls = append(a.calls, call)
	if a.lose == call {
		a.lose = ""
		return code("InternalServerError")
	}
	return nil
}

func (a *account) DescribeFileSystems(_ context.Context, in *efs.DescribeFileSystemsInput, _ ...func(*efs.Options)) (*efs.DescribeFileSystemsOutput, error) {
	out := &efs.DescribeFileSystemsOutput{}
	s := a.system
	switch {
	case s != nil && (in.FileSystemId == nil || *in.FileSystemId == *s.FileSystemId) && (in.CreationToken == nil || *in.CreationToken == *s.CreationToken):
		out.FileSystems = []types.FileSystemDescription{*s}
	case in.FileSystemId != nil:
		return nil, code("FileSystemNotFound")
	}
	if s != nil && s.LifeCycleState == types.LifeCycleStateCreating {
		s.LifeCycleState = types.LifeCycleStateAvailable
	} else if s != nil && s.LifeCycleState == types.LifeCycleStateDeleting {
		a.system = nil
	}
	return out, nil
}

func (a *account) CreateFileSystem(_ context.Context, in *efs.CreateFileSystemInput, _ ...func(*efs.Options)) (*efs.CreateFileSystemOutput, error) {
	if a.system != nil {
		return nil, code("FileSystemAlreadyExists")
	}
	if !aws.ToBool(in.Encrypted) || len(in.Tags) == 0 {
		return nil, code("BadRequest")
	}
	a.system = &types.FileSystemDescription{FileSystemId: aws.String("fs-1"), CreationToken: in.CreationToken, LifeCycleState: types.LifeCycleStateCreating, Tags: in.Tags}
	return &efs.CreateFileSystemOutput{}, a.done("CreateFileSystem")
}

func (a *account) DeleteFileSystem(context.Context, *efs.DeleteFileSystemInput, ...func(*efs.Options)) (*efs.DeleteFileSystemOutput, error) {
	if len(a.targets) > 0 {
		return nil, code("FileSystemInUse")
	}
	a.system.LifeCycleState = types.LifeCycleStateDeleting
	return nil, a.done("DeleteFileSystem")
}

func (a *account) TagResource(_ context.Context, in *efs.TagResourceInput, _ ...func(*efs.Options)) (*efs.TagResourceOutput, error) {
	a.system.Tags = append(a.system.Tags, in.Tags...)
	return nil, a.done("TagResource")
}

func (a *account) DescribeMountTargets(context.Context, *efs.DescribeMountTargetsInput, ...func(*efs.Options)) (*efs.DescribeMountTargetsOutput, error) {
	out := &efs.DescribeMountTargetsOutput{MountTargets: slices.Clone(a.targets)}
	a.targets = slices.DeleteFunc(a.targets, func(t types.MountTargetDescription) bool { return t.LifeCycleState == types.LifeCycleStateDeleting })
	for i := range a.targets {
		a.targets[i].LifeCycleState = types.LifeCycleStateAvailable
	}
	return out, nil
}

func (a *account) CreateMountTarget(_ context.Context, in *efs.CreateMountTargetInput, _ ...func(*efs.Options)) (*efs.CreateMountTargetOutput, error) {
	zone := strings.TrimPrefix(*in.SubnetId, "subnet-")
	if slices.ContainsFunc(a.targets, func(t types.MountTargetDescription) bool { return *t.AvailabilityZoneName == zone }) {
		return nil, code("MountTargetConflict")
	}
	if a.system.LifeCycleState != types.LifeCycleStateAvailable || !slices.Equal(in.SecurityGroups, []string{"sg-1"}) {
		return nil, code("BadRequest")
	}
	a.targets = append(a.targets, types.MountTargetDescription{MountTargetId: aws.String("fsmt-" + zone), AvailabilityZoneName: &zone, LifeCycleState: types.LifeCycleStateCreating})
	return nil, a.done("CreateMountTarget")
}

func (a *account) DeleteMountTarget(_ context.Context, in *efs.DeleteMountTargetInput, _ ...func(*efs.Options)) (*efs.DeleteMountTargetOutput, error) {
	for i := range a.targets {
		if *a.targets[i].MountTargetId == *in.MountTargetId {
			a.targets[i].LifeCycleState = types.LifeCycleStateDeleting
		}
	}
	return nil, a.done("DeleteMountTarget")
}

func (a *account) DescribeSecurityGroups(context.Context, *ec2.DescribeSecurityGroupsInput, ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupsOutput, error) {
	return &ec2.DescribeSecurityGroupsOutput{SecurityGroups: a.groups}, nil
}

func (a *account) CreateSecurityGroup(_ context.Context, in *ec2.CreateSecurityGroupInput, _ ...func(*ec2.Options)) (*ec2.CreateSecurityGroupOutput, error) {
	if len(a.groups) > 0 {
		return nil, code("InvalidGroup.Duplicate")
	}
	a.groups = []ec2types.SecurityGroup{{GroupId: aws.String("sg-1"), GroupName: in.GroupName, Tags: in.TagSpecifications[0].Tags}}
	return nil, a.done("CreateSecurityGroup")
}

func (a *account) AuthorizeSecurityGroupIngress(_ context.Context, in *ec2.AuthorizeSecurityGroupIngressInput, _ ...func(*ec2.Options)) (*ec2.AuthorizeSecurityGroupIngressOutput, error) {
	a.groups[0].IpPermissions = append(a.groups[0].IpPermissions, in.IpPermissions...)
	return nil, a.done("AuthorizeSecurityGroupIngress")
}

func (a *account) DeleteSecurityGroup(context.Context, *ec2.DeleteSecurityGroupInput, ...func(*ec2.Options)) (*ec2.DeleteSecurityGroupOutput, error) {
	a.groups = nil
	return nil, a.done("DeleteSecurityGroup")
}

// plane is a control plane whose nodes are in a group, ground the subnets.
type plane struct{ engine.Resource }

func (plane) SecurityGroupID() string { return "sg-nodes" }

type ground struct{}

func (ground) VPCID() string                             { return "vpc-1" }
func (ground) PrivateSubnetIDs(zones ...string) []string { return []string{"subnet-" + zones[0]} }

func quiet(string, ...any) {}

func owner() cloud.Owner { return cloud.Owner{Cluster: "demo", Extra: map[string]string{"team": "ml"}} }

func (a *account) files() *FileSystem {
	return New(a, a, owner(), plane{}, ground{}, []string{"a", "b"})
}

// settle applies and checks that nothing is left to do, and that doing it again
// changes nothing.
func settle(t *testing.T, a *account) engine.Observation {
	t.Helper()
	f := a.files()
	if _, err := f.Observe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	o, err := f.Observe(t.Context())
	if err != nil || !o.Exists || len(o.Changes) > 0 {
		t.Fatalf("observed %+v %v", o, err)
	}
	calls := len(a.calls)
	if err := f.Apply(t.Context(), quiet); err != nil || len(a.calls) != calls {
		t.Fatalf("again: %v, called %v", err, a.calls[calls:])
	}
	return o
}

func TestIsMadeAndGoes(t *testing.T) {
	a := &account{}
	if o, err := a.files().Observe(t.Context()); err != nil || o.Exists || o.Changes[0].Policy != engine.PolicyCreate {
		t.Fatalf("observed %+v %v", o, err)
	}
	o := settle(t, a)
	if o.Detail != "fs-1, fsmt-a, fsmt-b, sg-1" || o.Keep != "" {
		t.Errorf("observed %+v", o)
	}
	rule := a.groups[0].IpPermissions[0]
	if *rule.FromPort != 2049 || *rule.ToPort != 2049 || *rule.UserIdGroupPairs[0].GroupId != "sg-nodes" {
		t.Errorf("rule %+v", rule)
	}
	a.calls = nil
	gone := NewRemoved(a, a, owner(), plane{}, ground{})
	if o, err := gone.Observe(t.Context()); err != nil || !o.Exists || len(o.Changes) > 0 {
		t.Fatalf("observed %+v %v", o, err)
	}
	if err := gone.Delete(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(a.calls, " "); got != "DeleteMountTarget DeleteMountTarget DeleteFileSystem DeleteSecurityGroup" {
		t.Errorf("called %s", got)
	}
	if o, err := gone.Observe(t.Context()); err != nil || o.Exists {
		t.Errorf("observed %+v %v", o, err)
	}
	if err := gone.Delete(t.Context(), quiet); err != nil {
		t.Errorf("deleting what is gone: %v", err)
	}
}

// TestRepairs: what a run left half-made, or somebody changed, is made right.
func TestRepairs(t *testing.T) {
	for name, spoil := range map[string]func(*account) string{
		"a zone without mount target": func(a *account) string { a.targets = a.targets[:1]; return "CreateMountTarget" },
		"a closed group":              func(a *account) string { a.groups[0].IpPermissions = nil; return "AuthorizeSecurityGroupIngress" },
		"a lost tag": func(a *account) string {
			a.system.Tags = slices.DeleteFunc(a.system.Tags, func(t types.Tag) bool { return *t.Key == "team" })
			return "TagResource"
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := &account{}
			settle(t, a)
			want := spoil(a)
			a.calls = nil
			if o, err := a.files().Observe(t.Context()); err != nil || len(o.Changes) != 1 {
				t.Fatalf("observed %+v %v", o, err)
			}
			settle(t, a)
			if got := strings.Join(a.calls, " "); got != want {
				t.Errorf("called %s", got)
			}
		})
	}
}

// TestLostReplies: a call that took effect without an answer is not made twice.
func TestLostReplies(t *testing.T) {
	for _, call := range []string{"CreateFileSystem", "CreateSecurityGroup", "CreateMountTarget"} {
		a := &account{lose: call}
		if err := a.files().Apply(t.Context(), quiet); err == nil {
			t.Fatalf("%s: no error", call)
		}
		settle(t, a)
		if got := fmt.Sprint(len(a.targets), len(a.groups)); got != "2 1" {
			t.Errorf("%s: mount targets and groups: %s", call, got)
		}
	}
}

func TestSomebodyElses(t *testing.T) {
	a := &account{system: &types.FileSystemDescription{FileSystemId: aws.String("fs-9"), CreationToken: aws.String("aicluster-demo"), LifeCycleState: types.LifeCycleStateAvailable}}
	o, err := a.files().Observe(t.Context())
	if err != nil || o.Keep == "" || o.Changes[0].Policy != engine.PolicyRefused {
		t.Errorf("observed %+v %v", o, err)
	}
	if o, err := NewRemoved(a, a, owner(), plane{}, ground{}).Observe(t.Context()); err != nil || o.Exists {
		t.Errorf("removed: observed %+v %v", o, err)
	}
}
