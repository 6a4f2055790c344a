package ec2

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/wire"
)

// placement is a placement group.
type placement struct {
	id, name   string
	strategy   types.PlacementStrategy
	partitions *int32
	spread     types.SpreadLevel
}

func registerPlacements(w *wire.Server, a api) {
	handle(w, a.CreatePlacementGroup)
	handle(w, a.DescribePlacementGroups)
	handle(w, a.DeletePlacementGroup)
}

func (r *region) placement(name string) (*placement, error) {
	for _, p := range r.placements.all() {
		if p.name == name {
			return p, nil
		}
	}
	return nil, fail("InvalidPlacementGroup.Unknown", "The Placement Group '%s' is unknown.", name)
}

func (p *placement) output(r *region) types.PlacementGroup {
	return types.PlacementGroup{
		GroupId: aws.String(p.id), GroupName: aws.String(p.name), State: types.PlacementGroupStateAvailable, Strategy: p.strategy, PartitionCount: p.partitions,
		SpreadLevel: p.spread, GroupArn: aws.String("arn:aws:ec2:" + r.name + ":" + account + ":placement-group/" + p.name), Tags: r.sdkTags(p.id),
	}
}

// CreatePlacementGroup makes a placement group.
func (a api) CreatePlacementGroup(ctx context.Context, in *ec2.CreatePlacementGroupInput) (*ec2.CreatePlacementGroupOutput, error) {
	tags, err := tagsFor(types.ResourceTypePlacementGroup, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	r := a.lock(ctx)
	defer a.mu.Unlock()
	name := aws.ToString(in.GroupName)
	if name == "" {
		return nil, fail("MissingParameter", "The request must contain the parameter groupName")
	}
	if _, err := r.placement(name); err == nil {
		return nil, fail("InvalidPlacementGroup.Duplicate", "The Placement Group '%s' already exists.", name)
	}
	p := &placement{id: newID("pg"), name: name, strategy: in.Strategy, partitions: in.PartitionCount, spread: in.SpreadLevel}
	if p.strategy == "" {
		p.strategy = types.PlacementStrategyCluster
	}
	r.placements.add(p.id, p)
	r.tags[p.id] = tags
	out := p.output(r)
	return &ec2.CreatePlacementGroupOutput{PlacementGroup: &out}, nil
}

// DescribePlacementGroups lists placement groups.
func (a api) DescribePlacementGroups(ctx context.Context, in *ec2.DescribePlacementGroupsInput) (*ec2.DescribePlacementGroupsOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	ids, idOf := in.GroupIds, func(p types.PlacementGroup) *string { return p.GroupId }
	if len(in.GroupNames) > 0 {
		ids, idOf = in.GroupNames, func(p types.PlacementGroup) *string { return p.GroupName }
	}
	for _, id := range in.GroupIds {
		if _, ok := r.placements.get(id); !ok {
			return nil, fail("InvalidPlacementGroup.Unknown", "The Placement Group '%s' is unknown.", id)
		}
	}
	for _, name := range in.GroupNames {
		if _, err := r.placement(name); err != nil {
			return nil, err
		}
	}
	var all []types.PlacementGroup
	for _, p := range r.placements.shown() {
		all = append(all, p.output(r))
	}
	kept, err := describe(all, ids, idOf, in.Filters, filters[types.PlacementGroup]{
		"group-name": func(p types.PlacementGroup) []string { return one(p.GroupName) },
		"group-arn":  func(p types.PlacementGroup) []string { return one(p.GroupArn) },
		"state":      func(p types.PlacementGroup) []string { return []string{string(p.State)} },
		"strategy":   func(p types.PlacementGroup) []string { return []string{string(p.Strategy)} },
	}, func(p types.PlacementGroup) []types.Tag { return p.Tags })
	return &ec2.DescribePlacementGroupsOutput{PlacementGroups: kept}, err
}

// DeletePlacementGroup deletes a group without instances.
func (a api) DeletePlacementGroup(ctx context.Context, in *ec2.DeletePlacementGroupInput) (*ec2.DeletePlacementGroupOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	p, err := r.placement(aws.ToString(in.GroupName))
	if err != nil {
		return nil, err
	}
	for _, i := range r.instances.all() {
		if i.placement == p.name && !i.ended() {
			return nil, fail("InvalidPlacementGroup.InUse", "The placement group '%s' is in use and may not be deleted.", p.name)
		}
	}
	r.placements.remove(p.id)
	r.forget(p.id)
	return &ec2.DeletePlacementGroupOutput{}, nil
}

// checkPlacement: the group exists, the type supports its strategy, and the
// instances of a cluster group are in one zone.
func (r *region) checkPlacement(p *plan) error {
	if p.data.Placement == nil || aws.ToString(p.data.Placement.GroupName) == "" {
		return nil
	}
	g, err := r.placement(*p.data.Placement.GroupName)
	if err != nil {
		return err
	}
	for _, i := range r.instances.all() {
		if g.strategy == types.PlacementStrategyCluster && i.placement == g.name && !i.ended() && i.zone != p.subnet.zone {
			return fail("InvalidPlacementGroup.Zone", "A cluster placement group can't span multiple Availability Zones.")
		}
	}
	for _, s := range p.entry.info.PlacementGroupInfo.SupportedStrategies {
		if string(s) == string(g.strategy) {
			return nil
		}
	}
	return invalidValue("The instance type '%s' does not support the placement strategy '%s'.", p.entry.info.InstanceType, g.strategy)
}
