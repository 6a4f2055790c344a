package ec2

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/wire"
)

func registerFleets(w *wire.Server, a api) { handle(w, a.CreateFleet) }

// candidate is one combination of a launch template and an override that a fleet
// may start instances from.
type candidate struct {
	plan     *plan
	template types.FleetLaunchTemplateSpecification
	override types.FleetLaunchTemplateOverrides
	price    float64
	started  []string // ids of instances
}

// CreateFleet starts instances at once, from whichever candidate has capacity; the
// reply says why the others had none. Only fleets of type instant are played: they
// are done with the call, and no instance of theirs is replaced (EC2 User Guide,
// "EC2 Fleet request types").
func (a api) CreateFleet(ctx context.Context, in *ec2.CreateFleetInput) (*ec2.CreateFleetOutput, error) {
	tags, err := specified(in.TagSpecifications, types.ResourceTypeFleet, types.ResourceTypeInstance, types.ResourceTypeVolume, types.ResourceTypeNetworkInterface)
	if err != nil {
		return nil, err
	}
	market, err := fleetMarket(in)
	if err != nil {
		return nil, err
	}
	r := a.lock(ctx)
	defer a.mu.Unlock()
	id, remember, err := r.repeated("CreateFleet", in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	if id != "" {
		return r.fleets[id], nil
	}
	candidates, err := a.candidates(r, in, market)
	if err != nil {
		return nil, err
	}
	if aws.ToBool(in.DryRun) {
		return nil, errDryRun()
	}
	for kind, m := range tags {
		for _, c := range candidates {
			c.plan.tags[kind] = merge(c.plan.tags[kind], m)
		}
	}
	out, err := a.fulfil(r, candidates, int(*in.TargetCapacitySpecification.TotalTargetCapacity), market)
	if err != nil {
		return nil, err
	}
	r.fleets[*out.FleetId] = out
	remember(*out.FleetId)
	return out, nil
}

// fleetMarket checks what kind of fleet is asked for, and in which market.
func fleetMarket(in *ec2.CreateFleetInput) (string, error) {
	target := in.TargetCapacitySpecification
	switch {
	case in.Type != types.FleetTypeInstant:
		return "", fail("UnsupportedOperation", "Fleets of type %s are not played: only instant ones are.", cmp.Or(in.Type, types.FleetTypeMaintain))
	case aws.ToInt32(target.TotalTargetCapacity) < 1:
		return "", invalidValue("TotalTargetCapacity must be a positive number.")
	case target.DefaultTargetCapacityType == types.DefaultTargetCapacityTypeSpot:
		if in.SpotOptions != nil && !slices.Contains(types.SpotAllocationStrategy("").Values(), cmp.Or(in.SpotOptions.AllocationStrategy, types.SpotAllocationStrategyLowestPrice)) {
			return "", invalidValue("Invalid allocation strategy %s.", in.SpotOptions.AllocationStrategy)
		}
		return Spot, nil
	case target.DefaultTargetCapacityType == types.DefaultTargetCapacityTypeOnDemand:
		if in.OnDemandOptions != nil && !slices.Contains(types.FleetOnDemandAllocationStrategy("").Values(), cmp.Or(in.OnDemandOptions.AllocationStrategy, types.FleetOnDemandAllocationStrategyLowestPrice)) {
			return "", invalidValue("Invalid allocation strategy %s.", in.OnDemandOptions.AllocationStrategy)
		}
		return OnDemand, nil
	}
	return "", invalidValue("The DefaultTargetCapacityType %s is not played.", target.DefaultTargetCapacityType)
}

// candidates resolves every override of every template, the cheapest first.
func (a api) candidates(r *region, in *ec2.CreateFleetInput, market string) ([]*candidate, error) {
	if len(in.LaunchTemplateConfigs) == 0 {
		return nil, fail("MissingParameter", "The request must contain the parameter LaunchTemplateConfigs")
	}
	var all []*candidate
	for _, config := range in.LaunchTemplateConfigs {
		spec := config.LaunchTemplateSpecification
		if spec == nil || (spec.LaunchTemplateId == nil) == (spec.LaunchTemplateName == nil) {
			return nil, fail("InvalidFleetConfig", "A launch template is named by its ID or by its name, one of them.")
		}
		name := aws.ToString(spec.LaunchTemplateId) + aws.ToString(spec.LaunchTemplateName)
		overrides := config.Overrides
		if len(overrides) == 0 {
			overrides = []types.FleetLaunchTemplateOverridesRequest{{}}
		}
		for _, o := range overrides {
			c, err := a.candidate(r, name, aws.ToString(spec.Version), o, market)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(x, y *candidate) int { return cmp.Compare(x.price, y.price) })
	return all, nil
}

func (a api) candidate(r *region, template, version string, o types.FleetLaunchTemplateOverridesRequest, market string) (*candidate, error) {
	over := types.ResponseLaunchTemplateData{InstanceType: o.InstanceType, ImageId: o.ImageId}
	if market == Spot {
		over.InstanceMarketOptions = &types.LaunchTemplateInstanceMarketOptions{MarketType: types.MarketTypeSpot}
	}
	if o.AvailabilityZone != nil {
		over.Placement = &types.LaunchTemplatePlacement{AvailabilityZone: o.AvailabilityZone}
	}
	p, err := a.resolve(r, over, template, version, aws.ToString(o.SubnetId))
	if err != nil {
		return nil, err
	}
	c := &candidate{plan: p, price: p.entry.spotPrice()}
	if market == OnDemand && o.Priority != nil { // on-demand has no price here: the client's own order
		c.price = *o.Priority
	}
	c.template = types.FleetLaunchTemplateSpecification{LaunchTemplateId: aws.String(p.template.id), Version: aws.String(version)}
	c.override = types.FleetLaunchTemplateOverrides{
		InstanceType: p.entry.info.InstanceType, SubnetId: aws.String(p.subnet.id), AvailabilityZone: aws.String(p.subnet.zone.name), ImageId: p.data.ImageId, Priority: o.Priority,
	}
	return c, nil
}

// fulfil starts as many instances as there are, up to n, and tells why a candidate
// had none.
func (a api) fulfil(r *region, candidates []*candidate, n int, market string) (*ec2.CreateFleetOutput, error) {
	out := &ec2.CreateFleetOutput{FleetId: aws.String(newID("fleet")), Instances: []types.CreateFleetInstance{}, Errors: []types.CreateFleetError{}}
	lifecycle := types.InstanceLifecycle(market)
	reservation := newID("r")
	for _, c := range candidates {
		pair := &types.LaunchTemplateAndOverridesResponse{LaunchTemplateSpecification: &c.template, Overrides: &c.override}
		for n > 0 {
			err := a.check(r, c.plan)
			if own := (*wire.Error)(nil); errors.As(err, &own) {
				out.Errors = append(out.Errors, types.CreateFleetError{ErrorCode: aws.String(own.Code), ErrorMessage: aws.String(own.Message), Lifecycle: lifecycle, LaunchTemplateAndOverrides: pair})
				break
			}
			if err != nil {
				return nil, err
			}
			i, err := a.start(r, c.plan, reservation)
			if err != nil {
				return nil, err
			}
			c.started = append(c.started, i.id)
			n--
		}
		if len(c.started) > 0 {
			out.Instances = append(out.Instances, types.CreateFleetInstance{
				InstanceIds: c.started, InstanceType: c.override.InstanceType, Lifecycle: lifecycle, LaunchTemplateAndOverrides: pair,
			})
		}
	}
	return out, nil
}
