package ec2

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/wire"
)

func registerInstances(w *wire.Server, a api) {
	handle(w, a.RunInstances)
	handle(w, a.TerminateInstances)
	handle(w, a.DescribeInstances)
	handle(w, a.DescribeInstanceStatus)
}

// RunInstances starts instances of one kind. With DryRun it checks everything,
// also capacity, and then answers DryRunOperation.
func (a api) RunInstances(ctx context.Context, in *ec2.RunInstancesInput) (*ec2.RunInstancesOutput, error) {
	tags, err := specified(in.TagSpecifications, types.ResourceTypeInstance, types.ResourceTypeVolume, types.ResourceTypeNetworkInterface, types.ResourceTypeSpotInstancesRequest)
	if err != nil {
		return nil, err
	}
	if *in.MinCount < 1 || *in.MaxCount < *in.MinCount {
		return nil, invalidValue("Invalid value '%d' for MinCount or '%d' for MaxCount.", *in.MinCount, *in.MaxCount)
	}
	r := a.lock(ctx)
	defer a.mu.Unlock()
	id, remember, err := r.repeated("RunInstances", in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	if id != "" {
		return r.reservationOutput(id), nil
	}
	over, err := launchData(in)
	if err != nil {
		return nil, err
	}
	template, version := "", ""
	if t := in.LaunchTemplate; t != nil {
		if t.LaunchTemplateId != nil && t.LaunchTemplateName != nil {
			return nil, fail("InvalidParameterCombination", "The parameters LaunchTemplateId and LaunchTemplateName cannot be used together. Specify only one of them.")
		}
		template, version = aws.ToString(t.LaunchTemplateId)+aws.ToString(t.LaunchTemplateName), aws.ToString(t.Version)
	}
	p, err := a.resolve(r, over, template, version, aws.ToString(in.SubnetId))
	if err != nil {
		return nil, err
	}
	p.clientToken = aws.ToString(in.ClientToken)
	for kind, m := range tags {
		p.tags[kind] = merge(p.tags[kind], m)
	}
	if err := a.check(r, p); err != nil {
		return nil, err
	}
	if aws.ToBool(in.DryRun) {
		return nil, errDryRun()
	}
	reservation := newID("r")
	for n := int32(0); n < *in.MaxCount; n++ {
		if n > 0 && a.check(r, p) != nil {
			if n < *in.MinCount {
				return nil, a.undo(r, reservation, p)
			}
			break // as many as there are, MinCount at least
		}
		if _, err := a.start(r, p, reservation); err != nil {
			return nil, err
		}
	}
	remember(reservation)
	return r.reservationOutput(reservation), nil
}

// undo takes back the instances of a call that cannot have all that it must.
func (a api) undo(r *region, reservation string, p *plan) error {
	err := a.check(r, p)
	for _, i := range r.instances.all() {
		if i.reservation != reservation {
			continue
		}
		for _, id := range i.enis {
			if e, ok := r.interfaces.get(id); ok {
				r.removeInterface(e)
			}
		}
		for _, d := range i.devices {
			r.volumes.remove(d.volume)
			r.forget(d.volume)
		}
		r.instances.remove(i.id)
		r.forget(i.id)
	}
	return err
}

// launchData brings the request into the form of a template's data; the members
// that both have bear the same names.
func launchData(in *ec2.RunInstancesInput) (types.ResponseLaunchTemplateData, error) {
	var data types.ResponseLaunchTemplateData
	if in.UserData != nil {
		if err := checkUserData(*in.UserData); err != nil {
			return data, err
		}
	}
	if len(in.NetworkInterfaces) > 0 && len(in.SecurityGroupIds) > 0 {
		return data, fail("InvalidParameterCombination", "Network interfaces and an instance-level security groups may not be specified on the same request")
	}
	if len(in.NetworkInterfaces) > 0 && in.SubnetId != nil {
		return data, fail("InvalidParameterCombination", "Network interfaces and an instance-level subnet ID may not be specified on the same request")
	}
	// One by one, so that a member which launches do not heed is refused. Tags are
	// checked apart.
	text, err := json.Marshal(ec2.RunInstancesInput{
		ImageId: in.ImageId, InstanceType: in.InstanceType, KeyName: in.KeyName, UserData: in.UserData, IamInstanceProfile: in.IamInstanceProfile,
		NetworkInterfaces: in.NetworkInterfaces, SecurityGroupIds: in.SecurityGroupIds, Placement: in.Placement, BlockDeviceMappings: in.BlockDeviceMappings,
		InstanceMarketOptions: in.InstanceMarketOptions, CapacityReservationSpecification: in.CapacityReservationSpecification,
		MetadataOptions: in.MetadataOptions, Monitoring: in.Monitoring, EbsOptimized: in.EbsOptimized, DisableApiTermination: in.DisableApiTermination,
	})
	if err == nil {
		err = json.Unmarshal(text, &data)
	}
	if err != nil {
		return data, fmt.Errorf("ec2: launch: %w", err)
	}
	return data, nil
}

func (r *region) reservationOutput(id string) *ec2.RunInstancesOutput {
	out := &ec2.RunInstancesOutput{ReservationId: aws.String(id), OwnerId: aws.String(account), Groups: []types.GroupIdentifier{}, Instances: []types.Instance{}}
	for _, i := range r.instances.all() {
		if i.reservation == id {
			out.Instances = append(out.Instances, i.output(r))
		}
	}
	return out
}

// TerminateInstances starts the end of instances, all of them or none.
func (a api) TerminateInstances(ctx context.Context, in *ec2.TerminateInstancesInput) (*ec2.TerminateInstancesOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if err := checkInstanceIDs(r, in.InstanceIds); err != nil {
		return nil, err
	}
	for _, id := range in.InstanceIds {
		if i, _ := r.instances.get(id); i.protected {
			return nil, fail("OperationNotPermitted", "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", id)
		}
	}
	out := &ec2.TerminateInstancesOutput{TerminatingInstances: []types.InstanceStateChange{}}
	for _, id := range in.InstanceIds {
		i, _ := r.instances.get(id)
		before := stateOf(i.state)
		a.terminate(r, i, "Client.UserInitiatedShutdown: User initiated shutdown")
		out.TerminatingInstances = append(out.TerminatingInstances, types.InstanceStateChange{InstanceId: aws.String(id), PreviousState: before, CurrentState: stateOf(i.state)})
	}
	return out, nil
}

// checkInstanceIDs names all instances that are missing, as EC2 does.
func checkInstanceIDs(r *region, ids []string) error {
	var missing []string
	for _, id := range ids {
		if _, ok := r.instances.seen(id); ok {
			continue
		}
		if !wellFormed("i-", id) {
			return fail("InvalidInstanceID.Malformed", "Invalid id: \"%s\"", id)
		}
		missing = append(missing, id)
	}
	switch len(missing) {
	case 0:
		return nil
	case 1:
		return fail("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", missing[0])
	}
	return fail("InvalidInstanceID.NotFound", "The instance IDs '%s' do not exist", strings.Join(missing, ", "))
}

// checkPaged: "You cannot specify this parameter and the instance IDs parameter in
// the same request" (API reference, DescribeInstances, "MaxResults").
func checkPaged(ids []string, size *int32) error {
	if len(ids) > 0 && size != nil {
		return fail("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	}
	return nil
}

// DescribeInstances lists instances by the call that started them.
func (a api) DescribeInstances(ctx context.Context, in *ec2.DescribeInstancesInput) (*ec2.DescribeInstancesOutput, error) {
	if err := checkPaged(in.InstanceIds, in.MaxResults); err != nil {
		return nil, err
	}
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if err := checkInstanceIDs(r, in.InstanceIds); err != nil {
		return nil, err
	}
	var all []types.Instance
	reservation := map[string]string{}
	for _, i := range r.instances.shown() {
		all = append(all, i.output(r))
		reservation[i.id] = i.reservation
	}
	kept, err := describe(all, in.InstanceIds, func(i types.Instance) *string { return i.InstanceId }, in.Filters, instanceFilters(reservation),
		func(i types.Instance) []types.Tag { return i.Tags })
	out := &ec2.DescribeInstancesOutput{Reservations: []types.Reservation{}}
	at := map[string]int{}
	for _, i := range kept {
		id := reservation[*i.InstanceId]
		n, ok := at[id]
		if !ok {
			n = len(out.Reservations)
			at[id] = n
			out.Reservations = append(out.Reservations, types.Reservation{ReservationId: aws.String(id), OwnerId: aws.String(account), Groups: []types.GroupIdentifier{}})
		}
		out.Reservations[n].Instances = append(out.Reservations[n].Instances, i)
	}
	return out, err
}

func instanceFilters(reservation map[string]string) filters[types.Instance] {
	groups := func(get func(types.GroupIdentifier) *string) func(types.Instance) []string {
		return func(i types.Instance) []string { return each(i.SecurityGroups, get) }
	}
	id := func(g types.GroupIdentifier) *string { return g.GroupId }
	name := func(g types.GroupIdentifier) *string { return g.GroupName }
	return filters[types.Instance]{
		"architecture":            func(i types.Instance) []string { return []string{string(i.Architecture)} },
		"availability-zone":       func(i types.Instance) []string { return one(i.Placement.AvailabilityZone) },
		"availability-zone-id":    func(i types.Instance) []string { return one(i.Placement.AvailabilityZoneId) },
		"capacity-reservation-id": func(i types.Instance) []string { return one(i.CapacityReservationId) },
		"client-token":            func(i types.Instance) []string { return one(i.ClientToken) },
		"dns-name":                func(i types.Instance) []string { return one(i.PublicDnsName) },
		"iam-instance-profile.arn": func(i types.Instance) []string {
			if i.IamInstanceProfile == nil {
				return nil
			}
			return one(i.IamInstanceProfile.Arn)
		},
		"image-id":            func(i types.Instance) []string { return one(i.ImageId) },
		"instance-id":         func(i types.Instance) []string { return one(i.InstanceId) },
		"instance-lifecycle":  func(i types.Instance) []string { return []string{string(i.InstanceLifecycle)} },
		"instance-state-code": func(i types.Instance) []string { return number(*i.State.Code) },
		"instance-state-name": func(i types.Instance) []string { return []string{string(i.State.Name)} },
		"instance-type":       func(i types.Instance) []string { return []string{string(i.InstanceType)} },
		"instance.group-id":   groups(id),
		"instance.group-name": groups(name),
		"group-id":            groups(id),
		"group-name":          groups(name),
		"ip-address":          func(i types.Instance) []string { return one(i.PublicIpAddress) },
		"key-name":            func(i types.Instance) []string { return one(i.KeyName) },
		"launch-time":         func(i types.Instance) []string { return stamp(i.LaunchTime) },
		"network-interface.network-interface-id": func(i types.Instance) []string {
			return each(i.NetworkInterfaces, func(n types.InstanceNetworkInterface) *string { return n.NetworkInterfaceId })
		},
		"network-interface.subnet-id": func(i types.Instance) []string {
			return each(i.NetworkInterfaces, func(n types.InstanceNetworkInterface) *string { return n.SubnetId })
		},
		"network-interface.vpc-id": func(i types.Instance) []string {
			return each(i.NetworkInterfaces, func(n types.InstanceNetworkInterface) *string { return n.VpcId })
		},
		"owner-id":             func(types.Instance) []string { return []string{account} },
		"placement-group-name": func(i types.Instance) []string { return one(i.Placement.GroupName) },
		"private-dns-name":     func(i types.Instance) []string { return one(i.PrivateDnsName) },
		"private-ip-address":   func(i types.Instance) []string { return one(i.PrivateIpAddress) },
		"reservation-id":       func(i types.Instance) []string { return []string{reservation[*i.InstanceId]} },
		"root-device-name":     func(i types.Instance) []string { return one(i.RootDeviceName) },
		"subnet-id":            func(i types.Instance) []string { return one(i.SubnetId) },
		"tenancy":              func(i types.Instance) []string { return []string{string(i.Placement.Tenancy)} },
		"vpc-id":               func(i types.Instance) []string { return one(i.VpcId) },
		"block-device-mapping.volume-id": func(i types.Instance) []string {
			return each(i.BlockDeviceMappings, func(b types.InstanceBlockDeviceMapping) *string { return b.Ebs.VolumeId })
		},
	}
}

// DescribeInstanceStatus lists the health of running instances, or of all when asked.
func (a api) DescribeInstanceStatus(ctx context.Context, in *ec2.DescribeInstanceStatusInput) (*ec2.DescribeInstanceStatusOutput, error) {
	if err := checkPaged(in.InstanceIds, in.MaxResults); err != nil {
		return nil, err
	}
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if err := checkInstanceIDs(r, in.InstanceIds); err != nil {
		return nil, err
	}
	var all []types.InstanceStatus
	for _, i := range r.instances.shown() {
		if i.state != types.InstanceStateNameRunning && !aws.ToBool(in.IncludeAllInstances) {
			continue
		}
		health := types.InstanceStatusSummary{Status: types.SummaryStatusNotApplicable, Details: []types.InstanceStatusDetails{}}
		if i.state == types.InstanceStateNameRunning {
			health.Status = types.SummaryStatusOk
		}
		all = append(all, types.InstanceStatus{
			InstanceId: aws.String(i.id), InstanceState: stateOf(i.state), AvailabilityZone: aws.String(i.zone.name), AvailabilityZoneId: aws.String(i.zone.id),
			InstanceStatus: &health, SystemStatus: &health, Events: []types.InstanceStatusEvent{},
		})
	}
	kept, err := describe(all, in.InstanceIds, func(i types.InstanceStatus) *string { return i.InstanceId }, in.Filters, filters[types.InstanceStatus]{
		"availability-zone":      func(i types.InstanceStatus) []string { return one(i.AvailabilityZone) },
		"instance-state-name":    func(i types.InstanceStatus) []string { return []string{string(i.InstanceState.Name)} },
		"instance-state-code":    func(i types.InstanceStatus) []string { return number(*i.InstanceState.Code) },
		"instance-status.status": func(i types.InstanceStatus) []string { return []string{string(i.InstanceStatus.Status)} },
		"system-status.status":   func(i types.InstanceStatus) []string { return []string{string(i.SystemStatus.Status)} },
		"event.code":             func(types.InstanceStatus) []string { return nil },
	}, nil)
	return &ec2.DescribeInstanceStatusOutput{InstanceStatuses: kept}, err
}
