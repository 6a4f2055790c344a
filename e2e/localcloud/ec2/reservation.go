package ec2

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/wire"
)

// reservation is an On-Demand capacity reservation.
type reservation struct {
	id, instanceType string
	zone             zone
	total            int32
	targeted         bool
	platform         types.CapacityReservationInstancePlatform
	state            types.CapacityReservationState
	created          time.Time
	end              *time.Time
}

func registerReservations(w *wire.Server, a api) {
	handle(w, a.CreateCapacityReservation)
	handle(w, a.DescribeCapacityReservations)
	handle(w, a.CancelCapacityReservation)
}

func (x *reservation) used(r *region) int32 {
	n := int32(0)
	for _, i := range r.instances.all() {
		if i.capacityReservation == x.id && !i.ended() {
			n++
		}
	}
	return n
}

func (x *reservation) output(r *region) types.CapacityReservation {
	out := types.CapacityReservation{
		CapacityReservationId: aws.String(x.id), OwnerId: aws.String(account), InstanceType: aws.String(x.instanceType), InstancePlatform: x.platform,
		CapacityReservationArn: aws.String("arn:aws:ec2:" + r.name + ":" + account + ":capacity-reservation/" + x.id),
		AvailabilityZone:       aws.String(x.zone.name), AvailabilityZoneId: aws.String(x.zone.id), TotalInstanceCount: aws.Int32(x.total),
		AvailableInstanceCount: aws.Int32(max(0, x.total-x.used(r))), State: x.state, CreateDate: aws.Time(x.created), StartDate: aws.Time(x.created),
		EndDateType: types.EndDateTypeUnlimited, InstanceMatchCriteria: types.InstanceMatchCriteriaOpen, Tenancy: types.CapacityReservationTenancyDefault,
		EbsOptimized: aws.Bool(false), EphemeralStorage: aws.Bool(false), ReservationType: types.CapacityReservationTypeDefault, Tags: r.sdkTags(x.id),
	}
	if x.targeted {
		out.InstanceMatchCriteria = types.InstanceMatchCriteriaTargeted
	}
	if x.end != nil {
		out.EndDate, out.EndDateType = x.end, types.EndDateTypeLimited
	}
	return out
}

// CreateCapacityReservation reserves capacity, if there is any.
func (a api) CreateCapacityReservation(ctx context.Context, in *ec2.CreateCapacityReservationInput) (*ec2.CreateCapacityReservationOutput, error) {
	tags, err := tagsFor(types.ResourceTypeCapacityReservation, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	r := a.lock(ctx)
	defer a.mu.Unlock()
	name := aws.ToString(in.InstanceType)
	t := a.types[name]
	if t == nil {
		return nil, fail("InvalidInstanceType", "The instance type '%s' does not exist", name)
	}
	wanted := aws.ToString(in.AvailabilityZone) + aws.ToString(in.AvailabilityZoneId)
	z, ok := findZone(r.name, wanted)
	if !ok {
		return nil, invalidValue("Value (%s) for parameter availabilityZone is invalid.", wanted)
	}
	if err := r.checkZone(t, z.name); err != nil {
		return nil, err
	}
	if err := a.checkQuota(r, t, OnDemand); err != nil {
		return nil, fail("InstanceLimitExceeded", "%s", err.(*wire.Error).Message)
	}
	if err := r.checkCapacity(t, z.name, OnDemand); err != nil {
		return nil, err
	}
	x := &reservation{
		id: newID("cr"), instanceType: name, platform: in.InstancePlatform, zone: z, total: *in.InstanceCount, targeted: in.InstanceMatchCriteria == types.InstanceMatchCriteriaTargeted,
		state: types.CapacityReservationStateActive, created: now(), end: in.EndDate,
	}
	r.reservations.add(x.id, x)
	r.tags[x.id] = tags
	out := x.output(r)
	return &ec2.CreateCapacityReservationOutput{CapacityReservation: &out}, nil
}

// DescribeCapacityReservations lists reservations.
func (a api) DescribeCapacityReservations(ctx context.Context, in *ec2.DescribeCapacityReservationsInput) (*ec2.DescribeCapacityReservationsOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if err := checkIDs(r.reservations, kindReserved, in.CapacityReservationIds); err != nil {
		return nil, err
	}
	var all []types.CapacityReservation
	for _, x := range r.reservations.shown() {
		all = append(all, x.output(r))
	}
	kept, err := describe(all, in.CapacityReservationIds, func(x types.CapacityReservation) *string { return x.CapacityReservationId }, in.Filters, filters[types.CapacityReservation]{
		"availability-zone":       func(x types.CapacityReservation) []string { return one(x.AvailabilityZone) },
		"availability-zone-id":    func(x types.CapacityReservation) []string { return one(x.AvailabilityZoneId) },
		"instance-type":           func(x types.CapacityReservation) []string { return one(x.InstanceType) },
		"instance-match-criteria": func(x types.CapacityReservation) []string { return []string{string(x.InstanceMatchCriteria)} },
		"owner-id":                func(x types.CapacityReservation) []string { return one(x.OwnerId) },
		"reservation-type":        func(x types.CapacityReservation) []string { return []string{string(x.ReservationType)} },
		"state":                   func(x types.CapacityReservation) []string { return []string{string(x.State)} },
	}, func(x types.CapacityReservation) []types.Tag { return x.Tags })
	return &ec2.DescribeCapacityReservationsOutput{CapacityReservations: kept}, err
}

// CancelCapacityReservation gives a reservation up; it stays visible for a while.
func (a api) CancelCapacityReservation(ctx context.Context, in *ec2.CancelCapacityReservationInput) (*ec2.CancelCapacityReservationOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	x, err := lookup(r.reservations, kindReserved, in.CapacityReservationId)
	if err != nil {
		return nil, err
	}
	if x.state == types.CapacityReservationStateCancelled {
		return nil, fail("InvalidCapacityReservationState", "The capacity reservation %s is in the cancelled state.", x.id)
	}
	x.state = types.CapacityReservationStateCancelled
	a.expire(func() { r.reservations.remove(x.id); r.forget(x.id) })
	return &ec2.CancelCapacityReservationOutput{Return: aws.Bool(true)}, nil
}

// resolveReservation finds the reservation that a launch runs in: the one that it
// targets, or an open one that fits.
func (r *region) resolveReservation(p *plan, instanceType string) error {
	p.reservation = nil
	fits := func(x *reservation) bool {
		return x.state == types.CapacityReservationStateActive && x.instanceType == instanceType && x.zone == p.subnet.zone && x.used(r) < x.total
	}
	spec := p.data.CapacityReservationSpecification
	if spec != nil && spec.CapacityReservationTarget != nil && spec.CapacityReservationTarget.CapacityReservationId != nil {
		x, err := lookup(r.reservations, kindReserved, spec.CapacityReservationTarget.CapacityReservationId)
		if err != nil {
			return err
		}
		if !fits(x) {
			return fail("ReservationCapacityExceeded", "The requested reservation does not have sufficient compatible and available capacity for this request.")
		}
		p.reservation = x
		return nil
	}
	if p.market == Spot || spec != nil && spec.CapacityReservationPreference == types.CapacityReservationPreferenceNone {
		return nil
	}
	for _, x := range r.reservations.all() {
		if !x.targeted && fits(x) {
			p.reservation = x
			return nil
		}
	}
	return nil
}
