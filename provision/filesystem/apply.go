package filesystem

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/efs"
	"github.com/aws/aws-sdk-go-v2/service/efs/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

const (
	// readyLimit bounds how long a file system or a mount target may be in the making.
	// EFS names none; a mount target takes a minute or two.
	readyLimit = 10 * time.Minute
	// goneLimit bounds how long what was deleted may still be there.
	goneLimit = 10 * time.Minute
)

// Apply implements [engine.Resource].
func (f *FileSystem) Apply(ctx context.Context, p engine.Progress) error {
	if err := f.read(ctx); err != nil {
		return cloud.Wrap(f.ID(), "reading the file system", err)
	}
	for _, step := range []struct {
		doing string
		do    func(context.Context, engine.Progress) error
	}{
		{"creating the file system", f.create},
		{"tagging the file system", f.fixTags},
		{"letting nodes in", func(ctx context.Context, _ engine.Progress) error { return f.applyGroup(ctx) }},
		{"creating mount targets", f.createTargets},
	} {
		if err := step.do(ctx, p); err != nil {
			return cloud.Wrap(f.ID(), step.doing, err)
		}
	}
	return nil
}

// create makes the file system and waits until it is available. The token makes EFS
// refuse a second one. Throughput is paid as it is used: weights are read in bursts.
func (f *FileSystem) create(ctx context.Context, p engine.Progress) error {
	start := time.Now()
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		if err := f.read(ctx); err != nil {
			return true, err
		}
		switch {
		case f.live == nil:
			p("creating the file system")
			_, err := f.api.CreateFileSystem(ctx, &efs.CreateFileSystemInput{
				CreationToken: aws.String(f.token()), Encrypted: aws.Bool(true), ThroughputMode: types.ThroughputModeElastic,
				PerformanceMode: types.PerformanceModeGeneralPurpose, Tags: efsTags(f.owner.Tags(f.name())),
			})
			return false, unlessExists(err)
		case f.live.LifeCycleState == types.LifeCycleStateAvailable:
			return true, nil
		case f.live.LifeCycleState == types.LifeCycleStateError:
			return true, cloud.Fail(f.ID(), "waiting for the file system", "it is in the state error", "delete it in EFS and run up again")
		case time.Since(start) > readyLimit:
			return true, cloud.Fail(f.ID(), "waiting for the file system", "it is not available after "+readyLimit.String(), "run up again: it goes on where it stopped")
		}
		return false, nil
	})
}

// unlessExists forgives that something is there already: the next look finds it.
func unlessExists(err error) error {
	if cloud.IsExists(err) {
		return nil
	}
	return err
}

func (f *FileSystem) fixTags(ctx context.Context, _ engine.Progress) error {
	set := cloud.TagChanges(f.tags(), f.owner.Tags(f.name()))
	if len(set) == 0 {
		return nil
	}
	_, err := f.api.TagResource(ctx, &efs.TagResourceInput{ResourceId: f.live.FileSystemId, Tags: efsTags(set)})
	return err
}

// createTargets gives the file system its addresses, one in each zone, and waits
// until they answer. A zone takes one, so that a repeated call is refused.
func (f *FileSystem) createTargets(ctx context.Context, p engine.Progress) error {
	for _, zone := range f.zones {
		subnets := f.network.PrivateSubnetIDs(zone)
		if len(subnets) == 0 || f.hasTarget(zone) {
			continue
		}
		err := cloud.Settled(ctx, func(ctx context.Context) error {
			_, err := f.api.CreateMountTarget(ctx, &efs.CreateMountTargetInput{
				FileSystemId: f.live.FileSystemId, SubnetId: aws.String(subnets[0]), SecurityGroups: []string{aws.ToString(f.group.GroupId)},
			})
			return err
		})
		if unlessExists(err) != nil {
			return err
		}
	}
	start := time.Now()
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		if err := f.readTargets(ctx); err != nil {
			return true, err
		}
		missing := f.missingZones()
		p("%d of %d mount targets available", len(f.zones)-len(missing), len(f.zones))
		if len(missing) > 0 && time.Since(start) > readyLimit {
			return true, cloud.Fail(f.ID(), "waiting for mount targets", "there is none in "+missing[0]+" after "+readyLimit.String(), "run up again: it goes on where it stopped")
		}
		return len(missing) == 0, nil
	})
}

// hasTarget tells that a zone has a mount target, or is getting one.
func (f *FileSystem) hasTarget(zone string) bool {
	return slices.ContainsFunc(f.targets, func(t types.MountTargetDescription) bool {
		return aws.ToString(t.AvailabilityZoneName) == zone &&
			(t.LifeCycleState == types.LifeCycleStateAvailable || t.LifeCycleState == types.LifeCycleStateCreating)
	})
}

// Delete implements [engine.Resource]. EFS deletes no file system that has mount
// targets (DeleteFileSystem, FileSystemInUse).
func (f *FileSystem) Delete(ctx context.Context, p engine.Progress) error {
	if err := f.read(ctx); err != nil {
		return cloud.Wrap(f.ID(), "reading the file system", err)
	}
	if f.live != nil {
		if err := f.deleteTargets(ctx, p); err != nil {
			return cloud.Wrap(f.ID(), "deleting mount targets", err)
		}
		p("deleting %s", f.FileSystemID())
		if err := f.deleteSystem(ctx); err != nil {
			return cloud.Wrap(f.ID(), "deleting the file system", err)
		}
	}
	return cloud.Wrap(f.ID(), "deleting the security group", f.deleteGroup(ctx))
}

func (f *FileSystem) deleteTargets(ctx context.Context, p engine.Progress) error {
	for _, t := range f.targets {
		_, err := f.api.DeleteMountTarget(ctx, &efs.DeleteMountTargetInput{MountTargetId: t.MountTargetId})
		if err != nil && !cloud.IsNotFound(err) {
			return err
		}
	}
	start := time.Now()
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		if err := f.readTargets(ctx); err != nil {
			return true, err
		}
		p("%d mount targets left", len(f.targets))
		if len(f.targets) > 0 && time.Since(start) > goneLimit {
			return true, cloud.Fail(f.ID(), "waiting for mount targets to go", *f.targets[0].MountTargetId+" is still there after "+goneLimit.String(), "run teardown again")
		}
		return len(f.targets) == 0, nil
	})
}

func (f *FileSystem) deleteSystem(ctx context.Context) error {
	err := cloud.RetryWhile(ctx, goneLimit, cloud.IsDependency, func(ctx context.Context) error {
		_, err := f.api.DeleteFileSystem(ctx, &efs.DeleteFileSystemInput{FileSystemId: f.live.FileSystemId})
		return err
	})
	if err != nil && !cloud.IsNotFound(err) {
		return err
	}
	id := f.live.FileSystemId
	err = cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		_, err := f.api.DescribeFileSystems(ctx, &efs.DescribeFileSystemsInput{FileSystemId: id})
		if cloud.IsNotFound(err) {
			return true, nil
		}
		return err != nil, err
	})
	if err == nil {
		f.live = nil
	}
	return err
}

// efsTags converts tags to EFS's type, sorted by key.
func efsTags(tags map[string]string) []types.Tag {
	var out []types.Tag
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return out
}
