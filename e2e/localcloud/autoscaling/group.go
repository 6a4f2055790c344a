package autoscaling

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/google/uuid"

	"aicluster/e2e/localcloud/wire"
)

// group is one Auto Scaling group. Its fields are guarded by [Service].mu.
type group struct {
	key     groupKey
	arn     string
	created time.Time

	min, max, desired   int32
	template            *types.LaunchTemplateSpecification
	mixed               *types.MixedInstancesPolicy
	subnets             []string
	zones               []string
	capacityRebalance   *bool
	healthCheckType     string
	healthCheckGrace    int32
	cooldown            int32
	terminationPolicies []string
	newProtected        bool
	tags                []types.TagDescription

	instances  []*instance
	activities []*types.Activity // oldest first
	cause      string            // what last changed the desired capacity
	deleting   bool

	dryZones map[string]bool // zones where the last launch failed
	failures int             // launches that failed in a row
	notUntil time.Time       // no launch before

	wake chan struct{}
}

// instance is one member of a group.
type instance struct {
	id, zone, instanceType string
	subnet                 string
	state                  types.LifecycleState
	protected              bool
	leaving                bool // EC2 is about to take it back, and another is to replace it
	launched               time.Time
	activity               *types.Activity // the launch or the termination under way
}

func (g *group) wakeUp() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

func (g *group) instance(id string) *instance {
	for _, in := range g.instances {
		if in.id == id {
			return in
		}
	}
	return nil
}

// live counts the instances that count toward the desired capacity.
func (g *group) live() []*instance {
	var live []*instance
	for _, in := range g.instances {
		if !in.leaving && (in.state == types.LifecycleStatePending || in.state == types.LifecycleStateInService) {
			live = append(live, in)
		}
	}
	return live
}

// specification is the launch template, whichever way it was given.
func (g *group) specification() types.LaunchTemplateSpecification {
	if g.mixed != nil && g.mixed.LaunchTemplate != nil && g.mixed.LaunchTemplate.LaunchTemplateSpecification != nil {
		return *g.mixed.LaunchTemplate.LaunchTemplateSpecification
	}
	return deref(g.template)
}

// instanceTypes are the overrides' types in their order; none means the
// template's own type.
func (g *group) instanceTypes() []string {
	if g.mixed == nil || g.mixed.LaunchTemplate == nil {
		return nil
	}
	var list []string
	for _, o := range g.mixed.LaunchTemplate.Overrides {
		if o.InstanceType != nil {
			list = append(list, *o.InstanceType)
		}
	}
	return list
}

// market says whether the next instance is to be spot or on-demand: on-demand
// up to the base capacity, then in the percentage asked for
// (https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-mixed-instances-groups.html).
func (g *group) market() string {
	if g.mixed == nil || g.mixed.InstancesDistribution == nil {
		return "" // the launch template's own
	}
	d := g.mixed.InstancesDistribution
	base, percent := int(deref(d.OnDemandBaseCapacity)), 100
	if d.OnDemandPercentageAboveBaseCapacity != nil {
		percent = int(*d.OnDemandPercentageAboveBaseCapacity)
	}
	above := len(g.live()) - base
	if above < 0 {
		return onDemand
	}
	// The share of on-demand instances above the base is rounded up.
	if (above*percent+99)/100 < ((above+1)*percent+99)/100 {
		return onDemand
	}
	return spot
}

const (
	onDemand = "on-demand"
	spot     = "spot"
)

// start records an activity that is under way, about an instance in a subnet.
func (g *group) start(description, cause, subnet, zone string) *types.Activity {
	a := &types.Activity{
		ActivityId:           aws.String(uuid.NewString()),
		AutoScalingGroupName: aws.String(g.key.name),
		AutoScalingGroupARN:  aws.String(g.arn),
		Description:          aws.String(description),
		Cause:                aws.String(cause),
		StartTime:            aws.Time(time.Now().UTC()),
		StatusCode:           types.ScalingActivityStatusCodeInProgress,
		Progress:             aws.Int32(50),
		Details:              aws.String(details(subnet, zone)),
	}
	g.activities = append(g.activities, a)
	return a
}

// details is the JSON in which an activity names the subnet and the zone that
// it was about (as in kubernetes/autoscaler#1263 and aws-parallelcluster#1944).
func details(subnet, zone string) string {
	if subnet == "" {
		return "{}"
	}
	return fmt.Sprintf(`{"Subnet ID":%q,"Availability Zone":%q}`, subnet, zone)
}

func finish(a *types.Activity, status types.ScalingActivityStatusCode, message string) {
	if a == nil {
		return
	}
	a.StatusCode, a.Progress, a.EndTime = status, aws.Int32(100), aws.Time(time.Now().UTC())
	if message != "" {
		a.StatusMessage = aws.String(message)
	}
}

// describe is the group as the API shows it. Cluster Autoscaler dereferences
// DesiredCapacity, tag keys and values and the first zone without a check.
func (g *group) describe() types.AutoScalingGroup {
	out := types.AutoScalingGroup{
		AutoScalingGroupName:             aws.String(g.key.name),
		AutoScalingGroupARN:              aws.String(g.arn),
		AvailabilityZones:                slices.Clone(g.zones),
		CapacityRebalance:                g.capacityRebalance,
		CreatedTime:                      aws.Time(g.created),
		DefaultCooldown:                  aws.Int32(g.cooldown),
		DesiredCapacity:                  aws.Int32(g.desired),
		HealthCheckGracePeriod:           aws.Int32(g.healthCheckGrace),
		HealthCheckType:                  aws.String(g.healthCheckType),
		LaunchTemplate:                   g.template,
		MaxSize:                          aws.Int32(g.max),
		MinSize:                          aws.Int32(g.min),
		MixedInstancesPolicy:             g.mixed,
		NewInstancesProtectedFromScaleIn: aws.Bool(g.newProtected),
		ServiceLinkedRoleARN: aws.String("arn:aws:iam::" + wire.AccountID +
			":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"),
		Tags:                slices.Clone(g.tags),
		TerminationPolicies: slices.Clone(g.terminationPolicies),
	}
	if len(g.subnets) > 0 {
		out.VPCZoneIdentifier = aws.String(strings.Join(g.subnets, ","))
	}
	if g.deleting {
		out.Status = aws.String("Delete in progress")
	}
	spec := g.specification()
	for _, in := range g.instances {
		out.Instances = append(out.Instances, types.Instance{
			AvailabilityZone:     aws.String(in.zone),
			HealthStatus:         aws.String("Healthy"),
			InstanceId:           aws.String(in.id),
			InstanceType:         aws.String(in.instanceType),
			LaunchTemplate:       &spec,
			LifecycleState:       in.state,
			ProtectedFromScaleIn: aws.Bool(in.protected),
		})
	}
	return out
}

// setTag adds or changes one tag; the order of first setting is kept.
func (g *group) setTag(t types.Tag) {
	d := types.TagDescription{
		Key: t.Key, Value: aws.String(deref(t.Value)), PropagateAtLaunch: aws.Bool(deref(t.PropagateAtLaunch)),
		ResourceId: aws.String(g.key.name), ResourceType: aws.String("auto-scaling-group"),
	}
	for i := range g.tags {
		if *g.tags[i].Key == *t.Key {
			g.tags[i] = d
			return
		}
	}
	g.tags = append(g.tags, d)
}

func (g *group) removeTag(key string) {
	g.tags = slices.DeleteFunc(g.tags, func(t types.TagDescription) bool { return *t.Key == key })
}

// launchTags are the tags of new instances: the propagated ones and the group's name.
func (g *group) launchTags() map[string]string {
	tags := map[string]string{"aws:autoscaling:groupName": g.key.name}
	spec := g.specification()
	tags["aws:ec2launchtemplate:id"] = deref(spec.LaunchTemplateId)
	tags["aws:ec2launchtemplate:version"] = deref(spec.Version)
	for _, t := range g.tags {
		if deref(t.PropagateAtLaunch) {
			tags[*t.Key] = *t.Value
		}
	}
	return tags
}
