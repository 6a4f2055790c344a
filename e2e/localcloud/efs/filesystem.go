package efs

import (
	"cmp"
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/efs"
	"github.com/aws/aws-sdk-go-v2/service/efs/types"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/wire"
)

// fileSystem is a file system; its fields are guarded by [Service].mu.
type fileSystem struct {
	id, region, token string
	zone              string // of one that is in a single zone
	state             types.LifeCycleState
	performance       types.PerformanceMode
	throughput        types.ThroughputMode
	mibps             *float64
	encrypted         bool
	key               string
	created           time.Time
	tags              map[string]string
	folders           map[string]string // what is in each, by its path
	sizes             map[string]int64
}

// emptySize is what an empty file system is metered at, in bytes (EFS User
// Guide, "Metering").
const emptySize = 6144

func (f *fileSystem) size() int64 {
	size := int64(emptySize)
	for _, bytes := range f.sizes {
		size += bytes
	}
	return size
}

func (s *Service) describe(f *fileSystem) types.FileSystemDescription {
	out := types.FileSystemDescription{
		FileSystemId: aws.String(f.id), FileSystemArn: aws.String(ARN(f.region, f.id)), CreationToken: aws.String(f.token), CreationTime: aws.Time(f.created),
		LifeCycleState: f.state, OwnerId: aws.String(wire.AccountID), PerformanceMode: f.performance, ThroughputMode: f.throughput,
		ProvisionedThroughputInMibps: f.mibps, Encrypted: aws.Bool(f.encrypted), SizeInBytes: &types.FileSystemSize{Value: f.size()},
		NumberOfMountTargets: int32(len(s.targetsOf(f))), Tags: sdkTags(f.tags),
		FileSystemProtection: &types.FileSystemProtectionDescription{ReplicationOverwriteProtection: types.ReplicationOverwriteProtectionEnabled},
	}
	if name, ok := f.tags["Name"]; ok {
		out.Name = aws.String(name)
	}
	if f.key != "" {
		out.KmsKeyId = aws.String(f.key)
	}
	if f.zone != "" {
		out.AvailabilityZoneName, out.AvailabilityZoneId = aws.String(f.zone), aws.String(s.ec2.Zones(f.region)[f.zone])
	}
	return out
}

// createFileSystem makes a file system, which is available after a moment. A
// token that was used already is refused, with the id of what it made.
func (s *Service) createFileSystem(ctx context.Context, in *efs.CreateFileSystemInput) (*efs.CreateFileSystemOutput, error) {
	region, zone := wire.Region(ctx), aws.ToString(in.AvailabilityZoneName)
	throughput := cmp.Or(in.ThroughputMode, types.ThroughputModeBursting)
	switch {
	case zone != "" && s.ec2.Zones(region)[zone] == "":
		return nil, &types.UnsupportedAvailabilityZone{ErrorCode_: aws.String("UnsupportedAvailabilityZone"), Message: text("The Availability Zone '%s' is not supported.", zone)}
	case throughput == types.ThroughputModeProvisioned && in.ProvisionedThroughputInMibps == nil:
		return nil, badRequest("ProvisionedThroughputInMibps is required when ThroughputMode is provisioned.")
	case throughput != types.ThroughputModeProvisioned && in.ProvisionedThroughputInMibps != nil:
		return nil, badRequest("ProvisionedThroughputInMibps is only supported when ThroughputMode is provisioned.")
	case in.KmsKeyId != nil && !aws.ToBool(in.Encrypted):
		return nil, badRequest("KmsKeyId can only be specified for an encrypted file system.")
	case throughput == types.ThroughputModeElastic && in.PerformanceMode == types.PerformanceModeMaxIo:
		return nil, badRequest("Elastic throughput is not supported with the maxIO performance mode.")
	case zone != "" && in.PerformanceMode == types.PerformanceModeMaxIo:
		return nil, badRequest("The maxIO performance mode is not supported for One Zone file systems.")
	}
	tags, err := tagMap(in.Tags, nil)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, have := range s.systems {
		if have.region == region && have.token == *in.CreationToken {
			return nil, &types.FileSystemAlreadyExists{
				ErrorCode_: aws.String("FileSystemAlreadyExists"), FileSystemId: aws.String(have.id),
				Message: text("File system '%s' already exists with creation token '%s'", have.id, have.token),
			}
		}
	}
	f := &fileSystem{
		id: newID("fs"), region: region, token: *in.CreationToken, zone: zone, state: types.LifeCycleStateCreating, created: now(), tags: tags,
		performance: cmp.Or(in.PerformanceMode, types.PerformanceModeGeneralPurpose), throughput: throughput, mibps: in.ProvisionedThroughputInMibps,
		encrypted: aws.ToBool(in.Encrypted), key: aws.ToString(in.KmsKeyId),
	}
	if f.encrypted && f.key == "" {
		f.key = "arn:aws:kms:" + region + ":" + wire.AccountID + ":alias/aws/elasticfilesystem"
	}
	s.systems[f.id] = f
	s.step(clock.FileSystemCreate, func() {
		if f.state == types.LifeCycleStateCreating {
			f.state = types.LifeCycleStateAvailable
		}
	})
	d := s.describe(f)
	return &efs.CreateFileSystemOutput{
		FileSystemId: d.FileSystemId, FileSystemArn: d.FileSystemArn, CreationToken: d.CreationToken, CreationTime: d.CreationTime, LifeCycleState: d.LifeCycleState,
		OwnerId: d.OwnerId, PerformanceMode: d.PerformanceMode, ThroughputMode: d.ThroughputMode, ProvisionedThroughputInMibps: d.ProvisionedThroughputInMibps,
		Encrypted: d.Encrypted, SizeInBytes: d.SizeInBytes, NumberOfMountTargets: d.NumberOfMountTargets, Tags: d.Tags, Name: d.Name, KmsKeyId: d.KmsKeyId,
		AvailabilityZoneName: d.AvailabilityZoneName, AvailabilityZoneId: d.AvailabilityZoneId, FileSystemProtection: d.FileSystemProtection,
	}, nil
}

// describeFileSystems lists file systems: one by its id, those of a token, or all.
func (s *Service) describeFileSystems(ctx context.Context, in *efs.DescribeFileSystemsInput) (*efs.DescribeFileSystemsOutput, error) {
	if in.FileSystemId != nil && in.CreationToken != nil {
		return nil, badRequest("You can specify either FileSystemId or CreationToken, but not both.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &efs.DescribeFileSystemsOutput{FileSystems: []types.FileSystemDescription{}}
	if in.FileSystemId != nil {
		f, err := s.system(ctx, in.FileSystemId)
		if err != nil {
			return nil, err
		}
		out.FileSystems = append(out.FileSystems, s.describe(f))
		return out, nil
	}
	for _, id := range sorted(s.systems) {
		f := s.systems[id]
		if f.region == wire.Region(ctx) && (in.CreationToken == nil || *in.CreationToken == f.token) {
			out.FileSystems = append(out.FileSystems, s.describe(f))
		}
	}
	return out, nil
}

// deleteFileSystem deletes a file system that has no mount target any more.
func (s *Service) deleteFileSystem(ctx context.Context, in *efs.DeleteFileSystemInput) (*efs.DeleteFileSystemOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.system(ctx, in.FileSystemId)
	if err != nil {
		return nil, err
	}
	if len(s.targetsOf(f)) > 0 {
		return nil, &types.FileSystemInUse{ErrorCode_: aws.String("FileSystemInUse"), Message: text("File system '%s' has mount targets created in it.", f.id)}
	}
	if f.state != types.LifeCycleStateDeleting {
		f.state = types.LifeCycleStateDeleting
		s.step(clock.FileSystemDelete, func() { delete(s.systems, f.id) })
	}
	return &efs.DeleteFileSystemOutput{}, nil
}
