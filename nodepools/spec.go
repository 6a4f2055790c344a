package nodepools

import (
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/blueprints"
	"aicluster/blueprints/instancetypes"
	"aicluster/provision/cloud"
)

// acceleratorLabel tells the cluster autoscaler that nodes of a pool have GPUs
// before their device plugin runs (cluster-autoscaler, cloudprovider/aws README,
// "Special note on GPU instances").
const acceleratorLabel = "k8s.amazonaws.com/accelerator"

// request is the call that makes the node group.
func (g *NodeGroup) request() *eks.CreateNodegroupInput {
	in := &eks.CreateNodegroupInput{
		ClusterName:        aws.String(g.cluster.Name()),
		NodegroupName:      &g.pool.Name,
		AmiType:            amiType(g.pool),
		CapacityType:       capacityType(g.pool.Capacity),
		InstanceTypes:      g.pool.InstanceTypes,
		Labels:             labels(g.pool),
		LaunchTemplate:     g.templateSpec(),
		NodeRole:           aws.String(g.role.ARN()),
		ScalingConfig:      scaling(g.pool.Nodes),
		Subnets:            g.subnets.PrivateSubnetIDs(g.zones...),
		Tags:               g.tags(),
		Taints:             taints(g.pool.Taints),
		UpdateConfig:       updateConfig(g.pool),
		ClientRequestToken: aws.String(cloud.NewToken()),
	}
	switch version := g.cluster.TargetVersion(); {
	case g.pool.AMIRelease != "":
		in.ReleaseVersion = &g.pool.AMIRelease
	case version != "":
		in.Version = &version
	}
	return in
}

func (g *NodeGroup) templateSpec() *types.LaunchTemplateSpecification {
	return &types.LaunchTemplateSpecification{Id: aws.String(g.template.TemplateID()), Version: aws.String(g.template.Version())}
}

// amiType is EKS's image for a pool: Amazon Linux 2023, with NVIDIA's driver and
// container toolkit for GPUs.
func amiType(pool blueprints.NodePool) types.AMITypes {
	if pool.GPUs() > 0 {
		return types.AMITypesAl2023X8664Nvidia
	}
	return types.AMITypesAl2023X8664Standard
}

func capacityType(c blueprints.Capacity) types.CapacityTypes {
	if c == blueprints.Spot {
		return types.CapacityTypesSpot
	}
	return types.CapacityTypesOnDemand
}

// scaling is the size of a new node group: it starts with the fewest nodes. EKS
// wants room for one even in a pool that is closed.
func scaling(n blueprints.Nodes) *types.NodegroupScalingConfig {
	return &types.NodegroupScalingConfig{
		MinSize: aws.Int32(int32(n.Min)), MaxSize: aws.Int32(maxSize(n)), DesiredSize: aws.Int32(int32(n.Min)),
	}
}

func maxSize(n blueprints.Nodes) int32 { return int32(max(n.Max, 1)) }

func updateConfig(pool blueprints.NodePool) *types.NodegroupUpdateConfig {
	return &types.NodegroupUpdateConfig{MaxUnavailable: aws.Int32(int32(max(pool.MaxUnavailable, 1)))}
}

// Labels are those of a pool's nodes, whatever makes them.
func Labels(pool blueprints.NodePool) map[string]string { return labels(pool) }

// labels are the pool's, its name, and the one that the autoscaler knows GPU
// nodes by.
func labels(pool blueprints.NodePool) map[string]string {
	out := map[string]string{blueprints.PoolLabel: pool.Name}
	maps.Copy(out, pool.Labels)
	if _, set := out[acceleratorLabel]; set {
		return out
	}
	for _, name := range pool.InstanceTypes {
		if info, ok := instancetypes.Lookup(name); ok && info.Accelerator != "" {
			out[acceleratorLabel] = info.Accelerator
			break
		}
	}
	return out
}

// taintEffects are EKS's words for Kubernetes'.
var taintEffects = map[string]types.TaintEffect{
	"NoSchedule":       types.TaintEffectNoSchedule,
	"PreferNoSchedule": types.TaintEffectPreferNoSchedule,
	"NoExecute":        types.TaintEffectNoExecute,
}

// taints always have a value: the cluster autoscaler drops one whose value is
// missing (its aws_wrapper.go), and so would never scale the pool up from zero.
func taints(list []blueprints.Taint) []types.Taint {
	var out []types.Taint
	for _, t := range list {
		out = append(out, types.Taint{Key: aws.String(t.Key), Value: aws.String(t.Value), Effect: taintEffects[t.Effect]})
	}
	return out
}

// tags are the owner's and what the autoscaler has to know of a pool without
// nodes. They do not go on to instances; the launch template's do.
func (g *NodeGroup) tags() map[string]string {
	tags := g.owner.Tags("")
	maps.Copy(tags, sizeTags(g.pool))
	return tags
}

// capacityWord is the blueprint's word for EKS's.
func capacityWord(c types.CapacityTypes) string {
	switch c {
	case types.CapacityTypesSpot:
		return string(blueprints.Spot)
	case types.CapacityTypesOnDemand:
		return string(blueprints.OnDemand)
	}
	return strings.ToLower(string(c))
}
