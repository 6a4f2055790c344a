// Package filesystem makes the EFS file system from which services load their
// models: with an address in each zone of the cluster, which its nodes can reach.
// It holds copies of what is in the models bucket, so it goes with the cluster.
package filesystem

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/efs"
	"github.com/aws/aws-sdk-go-v2/service/efs/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// API is what this package uses of EFS.
type API interface {
	efs.DescribeFileSystemsAPIClient
	efs.DescribeMountTargetsAPIClient
	CreateFileSystem(context.Context, *efs.CreateFileSystemInput, ...func(*efs.Options)) (*efs.CreateFileSystemOutput, error)
	CreateMountTarget(context.Context, *efs.CreateMountTargetInput, ...func(*efs.Options)) (*efs.CreateMountTargetOutput, error)
	DeleteFileSystem(context.Context, *efs.DeleteFileSystemInput, ...func(*efs.Options)) (*efs.DeleteFileSystemOutput, error)
	DeleteMountTarget(context.Context, *efs.DeleteMountTargetInput, ...func(*efs.Options)) (*efs.DeleteMountTargetOutput, error)
	TagResource(context.Context, *efs.TagResourceInput, ...func(*efs.Options)) (*efs.TagResourceOutput, error)
}

// NetworkAPI is what it uses of EC2.
type NetworkAPI interface {
	ec2.DescribeSecurityGroupsAPIClient
	AuthorizeSecurityGroupIngress(context.Context, *ec2.AuthorizeSecurityGroupIngressInput, ...func(*ec2.Options)) (*ec2.AuthorizeSecurityGroupIngressOutput, error)
	CreateSecurityGroup(context.Context, *ec2.CreateSecurityGroupInput, ...func(*ec2.Options)) (*ec2.CreateSecurityGroupOutput, error)
	CreateTags(context.Context, *ec2.CreateTagsInput, ...func(*ec2.Options)) (*ec2.CreateTagsOutput, error)
	DeleteSecurityGroup(context.Context, *ec2.DeleteSecurityGroupInput, ...func(*ec2.Options)) (*ec2.DeleteSecurityGroupOutput, error)
}

// Cluster is what it needs of the control plane.
type Cluster interface {
	engine.Resource
	// SecurityGroupID is the group that all nodes are in; empty while there is no cluster.
	SecurityGroupID() string
}

// Network is where the file system gets its addresses.
type Network interface {
	VPCID() string
	PrivateSubnetIDs(zones ...string) []string
}

// FileSystem is the cluster's file system, with its mount targets and their
// security group.
type FileSystem struct {
	api      API
	ec2      NetworkAPI
	owner    cloud.Owner
	cluster  Cluster
	network  Network
	zones    []string
	needs    []engine.Resource
	unwanted bool

	live    *types.FileSystemDescription // nil while there is none
	targets []types.MountTargetDescription
	group   *ec2types.SecurityGroup // nil while there is none
}

// New is the resource "file-system/models". It is reached in these zones; needs
// are the subnets there.
func New(api API, network NetworkAPI, owner cloud.Owner, cluster Cluster, where Network, zones []string, needs ...engine.Resource) *FileSystem {
	return &FileSystem{api: api, ec2: network, owner: owner, cluster: cluster, network: where, zones: zones, needs: append([]engine.Resource{cluster}, needs...)}
}

// NewRemoved is the file system of a cluster whose blueprint has no use for it any more.
func NewRemoved(api API, network NetworkAPI, owner cloud.Owner, cluster Cluster, where Network, needs ...engine.Resource) *FileSystem {
	f := New(api, network, owner, cluster, where, nil, needs...)
	f.unwanted = true
	return f
}

// ID implements [engine.Resource].
func (f *FileSystem) ID() string { return "file-system/models" }

// Needs implements [engine.Resource].
func (f *FileSystem) Needs() []engine.Resource { return f.needs }

// Need adds to what the file system needs, before a graph is made of it.
func (f *FileSystem) Need(more ...engine.Resource) { f.needs = append(f.needs, more...) }

// Unwanted implements [engine.Unwanted].
func (f *FileSystem) Unwanted() bool { return f.unwanted }

// FileSystemID is EFS's id of it; empty while it does not exist.
func (f *FileSystem) FileSystemID() string {
	if f.live == nil {
		return ""
	}
	return aws.ToString(f.live.FileSystemId)
}

// token makes EFS refuse a second file system for the cluster; it is of its region.
func (f *FileSystem) token() string {
	const longest = 64 // CreateFileSystem, CreationToken
	token := "aicluster-" + f.owner.Cluster
	return token[:min(len(token), longest)]
}

// name is in the tag Name, of the file system and of the security group; and it is
// the group's name, of which a VPC has one.
func (f *FileSystem) name() string { return f.owner.Cluster + "-models" }

// Observe implements [engine.Resource].
func (f *FileSystem) Observe(ctx context.Context) (engine.Observation, error) {
	if err := f.read(ctx); err != nil {
		return engine.Observation{}, cloud.Wrap(f.ID(), "reading the file system", err)
	}
	if f.live == nil && f.group == nil {
		return engine.Observation{Changes: []engine.Change{{Field: "zones", Wanted: strings.Join(f.zones, ", "), Policy: engine.PolicyCreate}}}, nil
	}
	o := engine.Observation{Exists: true, Detail: f.detail()}
	if f.live == nil { // an earlier run was deleting it, and got no further than the group
		o.Changes = []engine.Change{{Field: "zones", Wanted: strings.Join(f.zones, ", "), Policy: engine.PolicyInPlace}}
		return o, nil
	}
	if owner := f.tags()[cloud.TagCluster]; owner != f.owner.Cluster {
		o.Keep = "it does not carry the tag " + cloud.TagCluster + "=" + f.owner.Cluster
		o.Exists = !f.unwanted
		o.Changes = []engine.Change{{Field: "tags." + cloud.TagCluster, Live: owner, Wanted: f.owner.Cluster, Policy: engine.PolicyRefused,
			Hint: "a file system with the creation token " + f.token() + " exists that this cluster did not make"}}
		return o, nil
	}
	if !f.unwanted {
		o.Changes = f.changes()
	}
	return o, nil
}

// detail names all that AWS has of it.
func (f *FileSystem) detail() string {
	var words []string
	if f.live != nil {
		words = append(words, f.FileSystemID())
	}
	for _, t := range f.targets {
		words = append(words, aws.ToString(t.MountTargetId))
	}
	if f.group != nil {
		words = append(words, aws.ToString(f.group.GroupId))
	}
	return strings.Join(words, ", ")
}

func (f *FileSystem) tags() map[string]string {
	tags := map[string]string{}
	for _, t := range f.live.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags
}

func (f *FileSystem) changes() []engine.Change {
	var changes []engine.Change
	if missing := f.missingZones(); len(missing) > 0 {
		changes = append(changes, engine.Change{Field: "zones", Live: len(f.targets), Wanted: strings.Join(missing, ", "), Policy: engine.PolicyInPlace})
	}
	if !f.reachable() {
		changes = append(changes, engine.Change{Field: "securityGroup", Live: "closed", Wanted: fmt.Sprintf("port %d open for nodes", nfsPort), Policy: engine.PolicyInPlace})
	}
	if f.group != nil {
		changes = append(changes, engine.TagChanges(cloud.FromEC2(f.group.Tags), f.owner.Tags(f.name()))...)
	}
	return append(changes, engine.TagChanges(f.tags(), f.owner.Tags(f.name()))...)
}

// missingZones are those in which nodes cannot reach the file system yet.
func (f *FileSystem) missingZones() []string {
	return slices.DeleteFunc(slices.Clone(f.zones), func(zone string) bool {
		return slices.ContainsFunc(f.targets, func(t types.MountTargetDescription) bool {
			return aws.ToString(t.AvailabilityZoneName) == zone && t.LifeCycleState == types.LifeCycleStateAvailable
		})
	})
}

// read looks for the file system by its token, and for its mount targets and
// security group.
func (f *FileSystem) read(ctx context.Context) error {
	f.live, f.targets = nil, nil
	out, err := f.api.DescribeFileSystems(ctx, &efs.DescribeFileSystemsInput{CreationToken: aws.String(f.token())})
	if err != nil && !cloud.IsNotFound(err) {
		if f.unwanted && cloud.IsUnsupported(err) { // what an emulator does not know it does not hold
			return nil
		}
		return err
	}
	if err == nil {
		for i := range out.FileSystems {
			if s := out.FileSystems[i]; s.LifeCycleState != types.LifeCycleStateDeleted {
				f.live = &s
			}
		}
	}
	if err := f.readTargets(ctx); err != nil {
		return err
	}
	return f.readGroup(ctx)
}

func (f *FileSystem) readTargets(ctx context.Context) error {
	f.targets = nil
	if f.live == nil {
		return nil
	}
	pages := efs.NewDescribeMountTargetsPaginator(f.api, &efs.DescribeMountTargetsInput{FileSystemId: f.live.FileSystemId})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if cloud.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		f.targets = append(f.targets, page.MountTargets...)
	}
	return nil
}
