package efs

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/efs"
	"github.com/aws/aws-sdk-go-v2/service/efs/types"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/wire"
)

// mountTarget is a file system's address in a zone: a network interface. Its
// fields are guarded by [Service].mu.
type mountTarget struct {
	id     string
	system *fileSystem
	state  types.LifeCycleState
	subnet ec2.Subnet
	eni    ec2.Interface
}

// maxGroups is how many security groups a mount target may have (CreateMountTarget).
const maxGroups = 5

func (m *mountTarget) describe() types.MountTargetDescription {
	return types.MountTargetDescription{
		MountTargetId: aws.String(m.id), FileSystemId: aws.String(m.system.id), SubnetId: aws.String(m.subnet.ID), VpcId: aws.String(m.subnet.VPC),
		AvailabilityZoneName: aws.String(m.subnet.Zone), AvailabilityZoneId: aws.String(m.subnet.ZoneID), LifeCycleState: m.state,
		IpAddress: aws.String(m.eni.PrivateIP), NetworkInterfaceId: aws.String(m.eni.ID), OwnerId: aws.String(wire.AccountID),
	}
}

// targetsOf lists the mount targets of a file system, those that are going
// included; the caller holds s.mu.
func (s *Service) targetsOf(f *fileSystem) []*mountTarget {
	var list []*mountTarget
	for _, id := range sorted(s.targets) {
		if s.targets[id].system == f {
			list = append(list, s.targets[id])
		}
	}
	return list
}

// createMountTarget gives a file system its address in the zone of a subnet: one
// per zone, all in one VPC. The interface is EFS's, and blocks subnet and groups.
func (s *Service) createMountTarget(ctx context.Context, in *efs.CreateMountTargetInput) (*efs.CreateMountTargetOutput, error) {
	region := wire.Region(ctx)
	if in.IpAddress != nil || in.Ipv6Address != nil || in.IpAddressType != "" && in.IpAddressType != types.IpAddressTypeIpv4Only {
		return nil, badRequest("Addresses of one's choice are not supported here.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.system(ctx, in.FileSystemId)
	if err != nil {
		return nil, err
	}
	if f.state != types.LifeCycleStateAvailable {
		return nil, &types.IncorrectFileSystemLifeCycleState{ErrorCode_: aws.String("IncorrectFileSystemLifeCycleState"), Message: text("File system '%s' is in the '%s' state.", f.id, f.state)}
	}
	subnets, err := s.ec2.Subnets(region, []string{*in.SubnetId})
	if err != nil {
		return nil, &types.SubnetNotFound{ErrorCode_: aws.String("SubnetNotFound"), Message: text("The subnet ID '%s' does not exist", *in.SubnetId)}
	}
	subnet := subnets[0]
	if err := s.placeable(f, subnet, in.SecurityGroups); err != nil {
		return nil, err
	}
	m := &mountTarget{id: newID("fsmt"), system: f, state: types.LifeCycleStateCreating, subnet: subnet}
	m.eni, err = s.ec2.CreateInterface(region, ec2.InterfaceSpec{
		SubnetID: subnet.ID, Groups: in.SecurityGroups, Description: "EFS mount target for " + f.id + " (" + m.id + ")", Owner: "amazon-elasticfilesystem", InUse: true,
	})
	if err != nil {
		return nil, interfaceError(err)
	}
	s.iam.EnsureServiceLinkedRole("elasticfilesystem.amazonaws.com")
	s.targets[m.id] = m
	s.step(clock.MountTargetCreate, func() {
		if m.state == types.LifeCycleStateCreating {
			m.state = types.LifeCycleStateAvailable
		}
	})
	d := m.describe()
	return &efs.CreateMountTargetOutput{
		MountTargetId: d.MountTargetId, FileSystemId: d.FileSystemId, SubnetId: d.SubnetId, VpcId: d.VpcId, AvailabilityZoneName: d.AvailabilityZoneName,
		AvailabilityZoneId: d.AvailabilityZoneId, LifeCycleState: d.LifeCycleState, IpAddress: d.IpAddress, NetworkInterfaceId: d.NetworkInterfaceId, OwnerId: d.OwnerId,
	}, nil
}

// placeable refuses a subnet or groups where a file system can have no mount target.
func (s *Service) placeable(f *fileSystem, subnet ec2.Subnet, groups []string) error {
	if f.zone != "" && f.zone != subnet.Zone {
		return &types.AvailabilityZonesMismatch{ErrorCode_: aws.String("AvailabilityZonesMismatch"), Message: text("The mount target's Availability Zone '%s' differs from the file system's, '%s'.", subnet.Zone, f.zone)}
	}
	for _, have := range s.targetsOf(f) {
		switch {
		case have.subnet.VPC != subnet.VPC:
			return conflict("requested subnet for new mount target is not in the same VPC as existing mount targets")
		case have.subnet.Zone == subnet.Zone:
			return conflict("mount target already exists in this AZ")
		}
	}
	if len(groups) > maxGroups {
		return &types.SecurityGroupLimitExceeded{ErrorCode_: aws.String("SecurityGroupLimitExceeded"), Message: text("The maximum number of security groups per interface has been reached.")}
	}
	return nil
}

func conflict(words string) error {
	return &types.MountTargetConflict{ErrorCode_: aws.String("MountTargetConflict"), Message: aws.String(words)}
}

// interfaceError is EFS's error for what EC2 said about the interface.
func interfaceError(err error) error {
	refused, ok := errors.AsType[*wire.Error](err)
	if !ok {
		return err
	}
	message := aws.String(refused.Message)
	switch refused.Code {
	case "InvalidGroup.NotFound", "InvalidGroupId.Malformed", "InvalidParameter":
		return &types.SecurityGroupNotFound{ErrorCode_: aws.String("SecurityGroupNotFound"), Message: message}
	case "InsufficientFreeAddressesInSubnet":
		return &types.NoFreeAddressesInSubnet{ErrorCode_: aws.String("NoFreeAddressesInSubnet"), Message: message}
	}
	return badRequest("%s", refused.Message)
}

func (s *Service) target(ctx context.Context, id *string) (*mountTarget, error) {
	m, ok := s.targets[aws.ToString(id)]
	if !ok || m.system.region != wire.Region(ctx) {
		return nil, &types.MountTargetNotFound{ErrorCode_: aws.String("MountTargetNotFound"), Message: text("Mount target '%s' does not exist.", aws.ToString(id))}
	}
	return m, nil
}

// describeMountTargets lists the mount targets of a file system, or one.
func (s *Service) describeMountTargets(ctx context.Context, in *efs.DescribeMountTargetsInput) (*efs.DescribeMountTargetsOutput, error) {
	if (in.FileSystemId == nil) == (in.MountTargetId == nil) || in.AccessPointId != nil {
		return nil, badRequest("One of FileSystemId or MountTargetId must be provided.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &efs.DescribeMountTargetsOutput{MountTargets: []types.MountTargetDescription{}}
	if in.MountTargetId != nil {
		m, err := s.target(ctx, in.MountTargetId)
		if err != nil {
			return nil, err
		}
		out.MountTargets = append(out.MountTargets, m.describe())
		return out, nil
	}
	f, err := s.system(ctx, in.FileSystemId)
	if err != nil {
		return nil, err
	}
	for _, m := range s.targetsOf(f) {
		out.MountTargets = append(out.MountTargets, m.describe())
	}
	return out, nil
}

// describeMountTargetSecurityGroups lists the groups of a mount target's interface.
func (s *Service) describeMountTargetSecurityGroups(ctx context.Context, in *efs.DescribeMountTargetSecurityGroupsInput) (*efs.DescribeMountTargetSecurityGroupsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.target(ctx, in.MountTargetId)
	if err != nil {
		return nil, err
	}
	return &efs.DescribeMountTargetSecurityGroupsOutput{SecurityGroups: slices.Clone(m.eni.Groups)}, nil
}

// deleteMountTarget starts the end of a mount target; its interface goes with it.
func (s *Service) deleteMountTarget(ctx context.Context, in *efs.DeleteMountTargetInput) (*efs.DeleteMountTargetOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.target(ctx, in.MountTargetId)
	if err != nil {
		return nil, err
	}
	if m.state != types.LifeCycleStateDeleting {
		m.state = types.LifeCycleStateDeleting
		s.step(clock.MountTargetDelete, func() {
			s.ec2.DeleteInterface(m.system.region, m.eni.ID)
			delete(s.targets, m.id)
		})
	}
	return &efs.DeleteMountTargetOutput{}, nil
}
