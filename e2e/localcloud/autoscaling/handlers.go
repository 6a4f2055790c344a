package autoscaling

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/google/uuid"

	"aicluster/e2e/localcloud/wire"
)

// CreateAutoScalingGroup makes a group and starts its scaler.
func (s *Service) CreateAutoScalingGroup(ctx context.Context, in *as.CreateAutoScalingGroupInput) (*as.CreateAutoScalingGroupOutput, error) {
	return &as.CreateAutoScalingGroupOutput{}, s.Create(wire.Region(ctx), in)
}

// Create is CreateAutoScalingGroup for other services.
func (s *Service) Create(region string, in *as.CreateAutoScalingGroupInput) error {
	g := &group{
		key: groupKey{region, *in.AutoScalingGroupName}, created: time.Now().UTC(),
		min: *in.MinSize, max: *in.MaxSize, desired: *in.MinSize,
		template: in.LaunchTemplate, mixed: in.MixedInstancesPolicy,
		capacityRebalance: in.CapacityRebalance, healthCheckType: "EC2",
		healthCheckGrace: deref(in.HealthCheckGracePeriod), cooldown: 300,
		terminationPolicies: in.TerminationPolicies, newProtected: deref(in.NewInstancesProtectedFromScaleIn),
		wake: make(chan struct{}, 1),
	}
	if in.DesiredCapacity != nil {
		g.desired = *in.DesiredCapacity
	}
	if in.HealthCheckType != nil {
		g.healthCheckType = *in.HealthCheckType
	}
	if in.DefaultCooldown != nil {
		g.cooldown = *in.DefaultCooldown
	}
	if len(g.terminationPolicies) == 0 {
		g.terminationPolicies = []string{"Default"}
	}
	if err := checkBounds(g.min, g.max, g.desired); err != nil {
		return err
	}
	if (in.LaunchTemplate == nil) == (in.MixedInstancesPolicy == nil) {
		return validation("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	}
	if err := s.place(g, in.VPCZoneIdentifier); err != nil {
		return err
	}
	if err := s.resolve(region, g); err != nil {
		return err
	}
	if err := checkTags(in.Tags, 0); err != nil {
		return err
	}
	g.arn = fmt.Sprintf("arn:aws:autoscaling:%s:%s:autoScalingGroup:%s:autoScalingGroupName/%s", region, wire.AccountID, uuid.NewString(), g.key.name)
	for _, t := range in.Tags {
		g.setTag(t)
	}
	g.cause = fmt.Sprintf("At %s a user request created an AutoScalingGroup changing the desired capacity from 0 to %d.", stamp(g.created), g.desired)
	s.iam.EnsureServiceLinkedRole("autoscaling.amazonaws.com")

	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.groups[g.key]; ok {
		if old.deleting {
			return validation("AutoScalingGroup by this name already exists and is being deleted - '%s' is pending delete", g.key.name)
		}
		return &types.AlreadyExistsFault{Message: aws.String("AutoScalingGroup by this name already exists - A group with the name " + g.key.name + " already exists")}
	}
	if len(s.sorted(region)) >= maxGroups { // words not found
		return &types.LimitExceededFault{Message: aws.String(fmt.Sprintf("The number of AutoScalingGroups cannot exceed %d", maxGroups))}
	}
	if s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	s.groups[g.key] = g
	s.work.Go(func() { s.run(g) })
	return nil
}

// place sets the subnets and zones of a group from a comma-separated list.
func (s *Service) place(g *group, list *string) error {
	ids := strings.FieldsFunc(deref(list), func(r rune) bool { return r == ',' || r == ' ' })
	if len(ids) == 0 {
		return validation("At least one Availability Zone or VPC Subnet is required.")
	}
	subnets, err := s.compute.Subnets(g.key.region, ids)
	if err != nil {
		return validation("The subnet ID '%s' does not exist", strings.Join(ids, ","))
	}
	var zones []string
	for _, sn := range subnets {
		if sn.VPC != subnets[0].VPC { // words not found
			return validation("The subnets %s are not all in the same VPC", strings.Join(ids, ","))
		}
		if !slices.Contains(zones, sn.Zone) {
			zones = append(zones, sn.Zone)
		}
	}
	slices.Sort(zones)
	g.subnets, g.zones = ids, zones
	return nil
}

// UpdateAutoScalingGroup changes a group.
func (s *Service) UpdateAutoScalingGroup(ctx context.Context, in *as.UpdateAutoScalingGroupInput) (*as.UpdateAutoScalingGroupOutput, error) {
	return &as.UpdateAutoScalingGroupOutput{}, s.Update(wire.Region(ctx), in)
}

// Update is UpdateAutoScalingGroup for other services. As AWS does, it moves
// the desired capacity into new bounds when the request does not name one.
func (s *Service) Update(region string, in *as.UpdateAutoScalingGroupInput) error {
	var moved group // subnets are looked up before the lock is taken
	if in.VPCZoneIdentifier != nil {
		moved.key.region = region
		if err := s.place(&moved, in.VPCZoneIdentifier); err != nil {
			return err
		}
	}
	if in.LaunchTemplate != nil && in.MixedInstancesPolicy != nil {
		return validation("Valid requests must contain either LaunchTemplate, LaunchConfigurationName or MixedInstancesPolicy parameter.")
	}
	if in.LaunchTemplate != nil || in.MixedInstancesPolicy != nil {
		moved.template, moved.mixed = in.LaunchTemplate, in.MixedInstancesPolicy
		if err := s.resolve(region, &moved); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.lookup(region, in.AutoScalingGroupName)
	if err != nil {
		return err
	}
	lo, hi, desired := g.min, g.max, g.desired
	if in.MinSize != nil {
		lo = *in.MinSize
	}
	if in.MaxSize != nil {
		hi = *in.MaxSize
	}
	if in.DesiredCapacity != nil {
		desired = *in.DesiredCapacity
	} else {
		desired = max(lo, min(hi, desired))
	}
	if err := checkBounds(lo, hi, desired); err != nil {
		return err
	}
	g.min, g.max = lo, hi
	g.setDesired(desired, "a user request update of AutoScalingGroup constraints to min: %d, max: %d, desired: %d", lo, hi, desired)
	if in.VPCZoneIdentifier != nil {
		g.subnets, g.zones = moved.subnets, moved.zones
	}
	if moved.template != nil || moved.mixed != nil {
		g.template, g.mixed = moved.template, moved.mixed
	}
	if in.CapacityRebalance != nil {
		g.capacityRebalance = in.CapacityRebalance
	}
	if in.NewInstancesProtectedFromScaleIn != nil {
		g.newProtected = *in.NewInstancesProtectedFromScaleIn
	}
	return nil
}

// setDesired changes the desired capacity and wakes the scaler.
func (g *group) setDesired(n int32, why string, args ...any) {
	if n != g.desired {
		g.cause = fmt.Sprintf("At %s %s changing the desired capacity from %d to %d.", stamp(time.Now()), fmt.Sprintf(why, args...), g.desired, n)
		g.failures, g.notUntil = 0, time.Time{}
	}
	g.desired = n
	g.wakeUp()
}

// SetDesiredCapacity changes how many instances a group shall have.
func (s *Service) SetDesiredCapacity(ctx context.Context, in *as.SetDesiredCapacityInput) (*as.SetDesiredCapacityOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.lookup(wire.Region(ctx), in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	busy := g.inProgress()
	switch n := *in.DesiredCapacity; {
	case n > g.max:
		return nil, validation("New SetDesiredCapacity value %d is above max value %d for the AutoScalingGroup.", n, g.max)
	case n < g.min:
		return nil, validation("New SetDesiredCapacity value %d is below min value %d for the AutoScalingGroup.", n, g.min)
	case g.deleting:
		return nil, &types.ScalingActivityInProgressFault{Message: aws.String("AutoScalingGroup is pending delete.")}
	case deref(in.HonorCooldown) && busy != "":
		return nil, &types.ScalingActivityInProgressFault{Message: aws.String("Scaling activity " + busy + " is in progress and blocks this action")}
	default:
		g.setDesired(n, "a user request explicitly set group desired capacity")
	}
	return &as.SetDesiredCapacityOutput{}, nil
}

// DeleteAutoScalingGroup deletes an empty group, or any with ForceDelete.
func (s *Service) DeleteAutoScalingGroup(ctx context.Context, in *as.DeleteAutoScalingGroupInput) (*as.DeleteAutoScalingGroupOutput, error) {
	return &as.DeleteAutoScalingGroupOutput{}, s.Delete(wire.Region(ctx), *in.AutoScalingGroupName, deref(in.ForceDelete))
}

// Delete is DeleteAutoScalingGroup for other services; the group is gone once
// its last instance is terminated.
func (s *Service) Delete(region, name string, force bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.lookup(region, &name)
	if err != nil {
		return err
	}
	if !force && len(g.instances) > 0 {
		return &types.ResourceInUseFault{Message: aws.String("You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")}
	}
	if !force && g.inProgress() != "" {
		return &types.ScalingActivityInProgressFault{Message: aws.String("You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.")}
	}
	g.deleting, g.min = true, 0
	g.setDesired(0, "a user request deleted the AutoScalingGroup")
	return nil
}

// TerminateInstanceInAutoScalingGroup ends one instance, to be replaced or not.
func (s *Service) TerminateInstanceInAutoScalingGroup(ctx context.Context, in *as.TerminateInstanceInAutoScalingGroupInput) (*as.TerminateInstanceInAutoScalingGroupOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := deref(in.InstanceId)
	g, member := s.groupOf(wire.Region(ctx), id)
	if g == nil || member.state == types.LifecycleStateTerminated {
		return nil, validation("Instance Id not found - No managed instance found for instance ID: %s", id)
	}
	if member.state != types.LifecycleStatePending && member.state != types.LifecycleStateInService {
		return nil, &types.ScalingActivityInProgressFault{Message: aws.String("Instance " + id + " is already being terminated.")}
	}
	cause := fmt.Sprintf("At %s instance %s was taken out of service in response to a user request", stamp(time.Now()), id)
	if *in.ShouldDecrementDesiredCapacity {
		if g.desired <= g.min {
			return nil, validation("Currently, desiredSize equals minSize (%d). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.", g.min)
		}
		cause += fmt.Sprintf(", shrinking the capacity from %d to %d", g.desired, g.desired-1)
		g.desired--
	}
	a := s.terminate(g, member, cause+".")
	g.wakeUp()
	copied := *a
	return &as.TerminateInstanceInAutoScalingGroupOutput{Activity: &copied}, nil
}
