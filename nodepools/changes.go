package nodepools

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// changes says how the live node group differs from the pool. How many nodes it
// has between its bounds is the autoscaler's to decide and no difference.
func (g *NodeGroup) changes() []engine.Change {
	if c := g.statusChange(); c != nil {
		return []engine.Change{*c}
	}
	_, config := g.configUpdate()
	_, nodes := g.nodesUpdate()
	return slices.Concat(g.refused(), config, nodes, g.tagChanges())
}

// statusChange is a node group that is not at rest: Apply waits for it, or makes
// it anew. A degraded one counts only while it has fewer nodes than its minimum;
// else it is a remark.
func (g *NodeGroup) statusChange() *engine.Change {
	change := engine.Change{Field: "status", Live: g.live.Status, Wanted: types.NodegroupStatusActive, Policy: engine.PolicyInPlace}
	switch g.live.Status {
	case types.NodegroupStatusActive:
		return nil
	case types.NodegroupStatusDegraded:
		if g.asg == nil || g.asg.inService() >= g.pool.Nodes.Min {
			return nil
		}
		change.Policy, change.Hint = engine.PolicyVerify, "it is looked at again"
	case types.NodegroupStatusCreateFailed, types.NodegroupStatusDeleteFailed:
		change.Policy, change.Hint = engine.PolicyReplace, "it is deleted and made again"
	case types.NodegroupStatusDeleting:
		change.Hint = "it is made again once it is gone"
	default:
		change.Hint = "it is waited for"
	}
	return &change
}

// refused lists the differences in what a node group is born with (EKS API
// reference, UpdateNodegroupConfig and -Version: neither has these members).
func (g *NodeGroup) refused() []engine.Change {
	var out []engine.Change
	add := func(field string, live, wanted any) {
		out = append(out, engine.Change{
			Field: field, Live: live, Wanted: wanted, Policy: engine.PolicyRefused,
			Hint: "a node group keeps it for life: give the pool another name, and 'aicluster up' makes the new one and removes this one",
		})
	}
	if !slices.Equal(g.live.InstanceTypes, g.pool.InstanceTypes) {
		add("instanceTypes", g.live.InstanceTypes, g.pool.InstanceTypes)
	}
	if want := capacityType(g.pool.Capacity); g.live.CapacityType != want {
		add("capacity", capacityWord(g.live.CapacityType), capacityWord(want))
	}
	if want := amiType(g.pool); g.live.AmiType != want {
		add("amiType", g.live.AmiType, want)
	}
	if live, want := g.liveTemplateID(), g.template.TemplateID(); want != "" && live != want {
		add("launchTemplate", live, want)
	}
	if live, want := sortedCopy(g.live.Subnets), sortedCopy(g.subnets.PrivateSubnetIDs(g.zones...)); !g.subnetsFit(live, want) {
		add("zones", live, want)
	}
	return out
}

// liveTemplateID is the launch template that the node group was made with.
func (g *NodeGroup) liveTemplateID() string {
	if g.live.LaunchTemplate == nil {
		return ""
	}
	return aws.ToString(g.live.LaunchTemplate.Id)
}

// subnetsFit tells whether a node group stands where it should. A pool that
// names no zones may stand in fewer than could serve it now: AWS offers types in
// new zones now and then, and that is no reason to change a blueprint.
func (g *NodeGroup) subnetsFit(live, want []string) bool {
	if len(g.pool.Zones) > 0 {
		return slices.Equal(live, want)
	}
	all := g.subnets.PrivateSubnetIDs()
	return !slices.ContainsFunc(live, func(id string) bool { return !slices.Contains(all, id) })
}

func sortedCopy(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return out
}

// configUpdate is what UpdateNodegroupConfig can mend while nodes run, and how
// it reads in a plan; nil if there is nothing.
func (g *NodeGroup) configUpdate() (*eks.UpdateNodegroupConfigInput, []engine.Change) {
	in := &eks.UpdateNodegroupConfigInput{ClusterName: aws.String(g.cluster.Name()), NodegroupName: &g.pool.Name}
	var changes []engine.Change
	add := func(field string, live, wanted any) {
		changes = append(changes, engine.Change{Field: field, Live: live, Wanted: wanted, Policy: engine.PolicyInPlace, Hint: shrinking(field, live, wanted)})
	}
	in.ScalingConfig = g.scalingUpdate(add)
	in.Labels = g.labelUpdate(add)
	in.Taints = g.taintUpdate(add)
	want := updateConfig(g.pool)
	if u := g.live.UpdateConfig; u == nil || aws.ToInt32(u.MaxUnavailable) != aws.ToInt32(want.MaxUnavailable) {
		var live any
		if u != nil {
			live = aws.ToInt32(u.MaxUnavailable)
		}
		add("maxUnavailable", live, aws.ToInt32(want.MaxUnavailable))
		in.UpdateConfig = want
	}
	if len(changes) == 0 {
		return nil, nil
	}
	return in, changes
}

// shrinking says what it means that a node group gets fewer nodes.
func shrinking(field string, live, wanted any) string {
	was, ok := live.(int32)
	is, also := wanted.(int32)
	if field != "nodes" || !ok || !also || is >= was {
		return ""
	}
	return nodes(int(was-is)) + " of the node group go; their pods are evicted and start again where there is room"
}

type adder func(field string, live, wanted any)

// scalingUpdate leaves the number of nodes alone unless the new bounds exclude
// it: EKS refuses bounds that the desired size is outside of.
func (g *NodeGroup) scalingUpdate(add adder) *types.NodegroupScalingConfig {
	live := g.live.ScalingConfig
	if live == nil {
		return nil
	}
	lower, upper := int32(g.pool.Nodes.Min), maxSize(g.pool.Nodes)
	if aws.ToInt32(live.MinSize) == lower && aws.ToInt32(live.MaxSize) == upper {
		return nil
	}
	if aws.ToInt32(live.MinSize) != lower {
		add("nodes.min", aws.ToInt32(live.MinSize), lower)
	}
	if aws.ToInt32(live.MaxSize) != upper {
		add("nodes.max", aws.ToInt32(live.MaxSize), upper)
	}
	update := &types.NodegroupScalingConfig{MinSize: &lower, MaxSize: &upper}
	desired := aws.ToInt32(live.DesiredSize)
	if g.asg != nil {
		desired = int32(g.asg.desired)
	}
	if clamped := min(max(desired, lower), upper); clamped != desired {
		add("nodes", desired, clamped)
		update.DesiredSize = &clamped
	}
	return update
}

func (g *NodeGroup) labelUpdate(add adder) *types.UpdateLabelsPayload {
	want := labels(g.pool)
	update := &types.UpdateLabelsPayload{AddOrUpdateLabels: cloud.TagChanges(g.live.Labels, want)}
	for _, k := range slices.Sorted(maps.Keys(update.AddOrUpdateLabels)) {
		add("labels."+k, optional(g.live.Labels, k), want[k])
	}
	for _, k := range slices.Sorted(maps.Keys(g.live.Labels)) {
		if _, ok := want[k]; !ok {
			add("labels."+k, g.live.Labels[k], nil)
			update.RemoveLabels = append(update.RemoveLabels, k)
		}
	}
	if len(update.AddOrUpdateLabels) == 0 && len(update.RemoveLabels) == 0 {
		return nil
	}
	return update
}

// optional is a map's value, or nil.
func optional(m map[string]string, key string) any {
	if v, ok := m[key]; ok {
		return v
	}
	return nil
}

// taintUpdate goes by key and effect, which are a taint's identity to EKS.
func (g *NodeGroup) taintUpdate(add adder) *types.UpdateTaintsPayload {
	live, want := taintsByIdentity(g.live.Taints), taintsByIdentity(taints(g.pool.Taints))
	update := &types.UpdateTaintsPayload{}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		old, ok := live[id]
		if ok && aws.ToString(old.Value) == aws.ToString(want[id].Value) {
			continue
		}
		if ok {
			add("taints", describeTaint(old), describeTaint(want[id]))
		} else {
			add("taints", nil, describeTaint(want[id]))
		}
		update.AddOrUpdateTaints = append(update.AddOrUpdateTaints, want[id])
	}
	for _, id := range slices.Sorted(maps.Keys(live)) {
		if _, ok := want[id]; !ok {
			add("taints", describeTaint(live[id]), nil)
			update.RemoveTaints = append(update.RemoveTaints, live[id])
		}
	}
	if len(update.AddOrUpdateTaints) == 0 && len(update.RemoveTaints) == 0 {
		return nil
	}
	return update
}

func taintsByIdentity(list []types.Taint) map[string]types.Taint {
	m := map[string]types.Taint{}
	for _, t := range list {
		m[aws.ToString(t.Key)+":"+string(t.Effect)] = t
	}
	return m
}

// describeTaint writes a taint as kubectl does.
func describeTaint(t types.Taint) string {
	effect := string(t.Effect)
	for word, e := range taintEffects {
		if e == t.Effect {
			effect = word
		}
	}
	return blueprintTaint(blueprints.Taint{Key: aws.ToString(t.Key), Value: aws.ToString(t.Value), Effect: effect})
}

func blueprintTaint(t blueprints.Taint) string {
	return fmt.Sprintf("%s=%s:%s", t.Key, t.Value, t.Effect)
}

// nodesUpdate is what only new nodes can have: another launch template version,
// Kubernetes version or AMI release; nil if there is nothing.
func (g *NodeGroup) nodesUpdate() (*eks.UpdateNodegroupVersionInput, []engine.Change) {
	in := &eks.UpdateNodegroupVersionInput{ClusterName: aws.String(g.cluster.Name()), NodegroupName: &g.pool.Name}
	var changes []engine.Change
	add := func(field string, live, wanted any) {
		changes = append(changes, engine.Change{
			Field: field, Live: live, Wanted: wanted, Policy: engine.PolicyReplace,
			Hint: fmt.Sprintf("nodes are drained and replaced, %d at a time", max(g.pool.MaxUnavailable, 1)),
		})
	}
	if t := g.live.LaunchTemplate; t != nil && g.liveTemplateID() == g.template.TemplateID() && !g.template.Serves(aws.ToString(t.Version)) {
		add("launchTemplate", "version "+aws.ToString(t.Version), "a new version")
		in.LaunchTemplate = g.templateSpec()
	}
	live, release := aws.ToString(g.live.Version), aws.ToString(g.live.ReleaseVersion)
	switch target := g.cluster.TargetVersion(); {
	case g.pool.AMIRelease != "" && g.pool.AMIRelease != release:
		add("amiRelease", release, g.pool.AMIRelease)
		in.ReleaseVersion = &g.pool.AMIRelease
	case g.pool.AMIRelease == "" && live != target && target != "":
		add("cluster.version", live, target)
		in.Version = &target
	}
	if len(changes) == 0 {
		return nil, nil
	}
	return in, changes
}

func (g *NodeGroup) tagChanges() []engine.Change {
	changes := engine.TagChanges(g.live.Tags, g.tags())
	for i := range changes {
		if size, ok := strings.CutPrefix(changes[i].Field, engine.TagField(sizeTag)); ok {
			changes[i].Field = "tags." + size
		}
	}
	slices.SortStableFunc(changes, func(a, b engine.Change) int { return cmp.Compare(a.Field, b.Field) })
	return changes
}
