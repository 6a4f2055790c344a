package autoscaling

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"aicluster/e2e/localcloud/wire"
)

// DescribeAutoScalingGroups lists groups by name or by tag filters.
func (s *Service) DescribeAutoScalingGroups(ctx context.Context, in *as.DescribeAutoScalingGroupsInput) (*as.DescribeAutoScalingGroupsOutput, error) {
	for _, f := range in.Filters {
		name := deref(f.Name)
		if name != "tag-key" && name != "tag-value" && !strings.HasPrefix(name, "tag:") {
			return nil, validation("Filter type %s is not correct. Allowed Filter types are: tag-key tag-value tag:<key>", name)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &as.DescribeAutoScalingGroupsOutput{}
	for _, g := range s.sorted(wire.Region(ctx)) {
		if len(in.AutoScalingGroupNames) > 0 && !slices.Contains(in.AutoScalingGroupNames, g.key.name) {
			continue
		}
		if !matches(g.tags, in.Filters) {
			continue
		}
		d := g.describe()
		if in.IncludeInstances != nil && !*in.IncludeInstances {
			d.Instances = nil
		}
		out.AutoScalingGroups = append(out.AutoScalingGroups, d)
	}
	return out, nil
}

// Group is the group as DescribeAutoScalingGroups shows it, for other services.
func (s *Service) Group(region, name string) (types.AutoScalingGroup, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.groups[groupKey{region, name}]
	if !ok {
		return types.AutoScalingGroup{}, false
	}
	return g.describe(), true
}

// GroupOf is the name of the group that an instance is in, empty if it is in none.
func (s *Service) GroupOf(region, instanceID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, _ := s.groupOf(region, instanceID)
	if g == nil {
		return ""
	}
	return g.key.name
}

// Activities are the scaling activities of one group, newest first.
func (s *Service) Activities(region, name string) []types.Activity {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.groups[groupKey{region, name}]
	if !ok {
		return nil
	}
	return g.newestFirst()
}

func (g *group) newestFirst() []types.Activity {
	list := make([]types.Activity, 0, len(g.activities))
	for _, a := range slices.Backward(g.activities) {
		list = append(list, *a)
	}
	return list
}

// sorted are the groups of a region by name; s.mu is held.
func (s *Service) sorted(region string) []*group {
	var list []*group
	for key, g := range s.groups {
		if key.region == region {
			list = append(list, g)
		}
	}
	slices.SortFunc(list, func(a, b *group) int { return cmp.Compare(a.key.name, b.key.name) })
	return list
}

// matches says whether tags pass all filters; the values of one are alternatives.
func matches(tags []types.TagDescription, filters []types.Filter) bool {
	for _, f := range filters {
		name := deref(f.Name)
		ok := slices.ContainsFunc(tags, func(t types.TagDescription) bool {
			switch {
			case name == "tag-key" || name == "key":
				return slices.Contains(f.Values, *t.Key)
			case name == "tag-value" || name == "value":
				return slices.Contains(f.Values, *t.Value)
			default:
				return "tag:"+*t.Key == name && slices.Contains(f.Values, *t.Value)
			}
		})
		if !ok {
			return false
		}
	}
	return true
}

// DescribeAutoScalingInstances lists the instances of all groups.
func (s *Service) DescribeAutoScalingInstances(ctx context.Context, in *as.DescribeAutoScalingInstancesInput) (*as.DescribeAutoScalingInstancesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &as.DescribeAutoScalingInstancesOutput{}
	for _, g := range s.sorted(wire.Region(ctx)) {
		for _, i := range g.describe().Instances {
			if len(in.InstanceIds) > 0 && !slices.Contains(in.InstanceIds, *i.InstanceId) {
				continue
			}
			out.AutoScalingInstances = append(out.AutoScalingInstances, types.AutoScalingInstanceDetails{
				AutoScalingGroupName: aws.String(g.key.name), AvailabilityZone: i.AvailabilityZone,
				HealthStatus: aws.String("HEALTHY"), InstanceId: i.InstanceId, InstanceType: i.InstanceType,
				LaunchTemplate: i.LaunchTemplate, LifecycleState: aws.String(string(i.LifecycleState)),
				ProtectedFromScaleIn: i.ProtectedFromScaleIn,
			})
		}
	}
	return out, nil
}

// DescribeScalingActivities lists activities, newest first.
func (s *Service) DescribeScalingActivities(ctx context.Context, in *as.DescribeScalingActivitiesInput) (*as.DescribeScalingActivitiesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	groups := s.sorted(wire.Region(ctx))
	if in.AutoScalingGroupName != nil {
		g, err := s.lookup(wire.Region(ctx), in.AutoScalingGroupName)
		if err != nil {
			return nil, err
		}
		groups = []*group{g}
	}
	out := &as.DescribeScalingActivitiesOutput{}
	for _, g := range groups {
		for _, a := range g.newestFirst() {
			if len(in.ActivityIds) == 0 || slices.Contains(in.ActivityIds, *a.ActivityId) {
				out.Activities = append(out.Activities, a)
			}
		}
	}
	slices.SortStableFunc(out.Activities, func(a, b types.Activity) int { return b.StartTime.Compare(*a.StartTime) })
	return out, nil
}

// CreateOrUpdateTags tags groups.
func (s *Service) CreateOrUpdateTags(ctx context.Context, in *as.CreateOrUpdateTagsInput) (*as.CreateOrUpdateTagsOutput, error) {
	if err := checkTags(in.Tags, 0); err != nil {
		return nil, err
	}
	err := s.eachTag(wire.Region(ctx), in.Tags, func(g *group, t types.Tag) { g.setTag(t) })
	return &as.CreateOrUpdateTagsOutput{}, err
}

// DeleteTags takes tags from groups.
func (s *Service) DeleteTags(ctx context.Context, in *as.DeleteTagsInput) (*as.DeleteTagsOutput, error) {
	err := s.eachTag(wire.Region(ctx), in.Tags, func(g *group, t types.Tag) { g.removeTag(*t.Key) })
	return &as.DeleteTagsOutput{}, err
}

func (s *Service) eachTag(region string, tags []types.Tag, do func(*group, types.Tag)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	groups := make([]*group, len(tags))
	for i, t := range tags {
		if t.ResourceType != nil && *t.ResourceType != "auto-scaling-group" {
			return validation("Invalid resource type '%s'. Supported resource types: auto-scaling-group", *t.ResourceType)
		}
		g, err := s.lookup(region, t.ResourceId)
		if err != nil {
			return err
		}
		groups[i] = g
	}
	for i, t := range tags {
		do(groups[i], t)
	}
	return nil
}

// DescribeTags lists tags of groups; its filters are auto-scaling-group, key,
// value and propagate-at-launch.
func (s *Service) DescribeTags(ctx context.Context, in *as.DescribeTagsInput) (*as.DescribeTagsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &as.DescribeTagsOutput{}
	for _, g := range s.sorted(wire.Region(ctx)) {
		for _, t := range g.tags {
			ok := true
			for _, f := range in.Filters {
				var value string
				switch deref(f.Name) {
				case "auto-scaling-group":
					value = g.key.name
				case "key":
					value = *t.Key
				case "value":
					value = *t.Value
				case "propagate-at-launch":
					value = map[bool]string{true: "true", false: "false"}[*t.PropagateAtLaunch]
				default:
					return nil, validation("Filter type %s is not correct. Allowed Filter types are: auto-scaling-group key value propagate-at-launch", deref(f.Name))
				}
				ok = ok && slices.Contains(f.Values, value)
			}
			if ok {
				out.Tags = append(out.Tags, t)
			}
		}
	}
	return out, nil
}
