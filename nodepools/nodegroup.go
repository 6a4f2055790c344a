package nodepools

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// EKSAPI is what this package uses of EKS.
type EKSAPI interface {
	eks.DescribeNodegroupAPIClient
	eks.ListNodegroupsAPIClient
	CreateNodegroup(context.Context, *eks.CreateNodegroupInput, ...func(*eks.Options)) (*eks.CreateNodegroupOutput, error)
	UpdateNodegroupConfig(context.Context, *eks.UpdateNodegroupConfigInput, ...func(*eks.Options)) (*eks.UpdateNodegroupConfigOutput, error)
	UpdateNodegroupVersion(context.Context, *eks.UpdateNodegroupVersionInput, ...func(*eks.Options)) (*eks.UpdateNodegroupVersionOutput, error)
	DescribeUpdate(context.Context, *eks.DescribeUpdateInput, ...func(*eks.Options)) (*eks.DescribeUpdateOutput, error)
	DeleteNodegroup(context.Context, *eks.DeleteNodegroupInput, ...func(*eks.Options)) (*eks.DeleteNodegroupOutput, error)
	TagResource(context.Context, *eks.TagResourceInput, ...func(*eks.Options)) (*eks.TagResourceOutput, error)
}

// AutoScalingAPI is what this package uses of EC2 Auto Scaling.
type AutoScalingAPI interface {
	autoscaling.DescribeAutoScalingGroupsAPIClient
	autoscaling.DescribeScalingActivitiesAPIClient
}

// Cluster is the control plane that node groups belong to.
type Cluster interface {
	engine.Resource
	Name() string
	// Exists tells, after the cluster was observed or applied, whether it is there.
	Exists() bool
	// Ready tells whether node groups can be read and made.
	Ready() bool
	// TargetVersion is the Kubernetes version that nodes are to have.
	TargetVersion() string
}

// Role is the IAM role that nodes act as.
type Role interface{ ARN() string }

// Subnets tells the subnets for nodes in some zones, or in all if none is named.
type Subnets interface {
	PrivateSubnetIDs(zones ...string) []string
}

// NodeGroup is an EKS managed node group: the nodes of a pool.
type NodeGroup struct {
	eks     EKSAPI
	scaling AutoScalingAPI

	owner    cloud.Owner
	pool     blueprints.NodePool
	cluster  Cluster
	template *LaunchTemplate
	role     Role
	subnets  Subnets
	zones    []string
	needs    []engine.Resource

	// ReadyNodes counts the pool's nodes that Kubernetes calls ready. EKS calls a
	// node group active before the nodes of a scale-up have joined. Nil asks nobody.
	ReadyNodes func(ctx context.Context, pool string) (int, error)
	// LeftOut are instance types of the blueprint's pool that its zones do not
	// offer, so that the node group goes without them.
	LeftOut []string

	live *types.Nodegroup // nil while it does not exist
	asg  *scalingGroup    // nil until EKS has made it
}

// NewNodeGroup is the node group of a pool, in the private subnets of zones.
// It needs cluster and template besides needs.
func NewNodeGroup(eksAPI EKSAPI, scaling AutoScalingAPI, owner cloud.Owner, pool blueprints.NodePool, cluster Cluster,
	template *LaunchTemplate, role Role, subnets Subnets, zones []string, needs ...engine.Resource,
) *NodeGroup {
	return &NodeGroup{
		eks: eksAPI, scaling: scaling, owner: owner, pool: pool, cluster: cluster, template: template,
		role: role, subnets: subnets, zones: zones, needs: append([]engine.Resource{cluster, template}, needs...),
	}
}

// ID implements [engine.Resource].
func (g *NodeGroup) ID() string { return "nodepool/" + g.pool.Name }

// Needs implements [engine.Resource].
func (g *NodeGroup) Needs() []engine.Resource { return g.needs }

// Pool is the pool that the node group is made of.
func (g *NodeGroup) Pool() blueprints.NodePool { return g.pool }

// Exists tells whether the node group was there when it was last looked at.
func (g *NodeGroup) Exists() bool { return g.live != nil }

// Observe implements [engine.Resource].
func (g *NodeGroup) Observe(ctx context.Context) (engine.Observation, error) {
	if err := g.read(ctx); err != nil {
		return engine.Observation{}, cloud.Wrap(g.ID(), "reading the node group", err)
	}
	if g.live == nil {
		return engine.Observation{Notes: g.leftOut(), Changes: g.creation()}, nil
	}
	obs := engine.Observation{Exists: true, Detail: g.describe(), Notes: g.notes()}
	if owner := g.live.Tags[cloud.TagCluster]; owner != g.owner.Cluster {
		obs.Keep = "it does not carry the tag " + cloud.TagCluster + "=" + g.owner.Cluster
		obs.Changes = []engine.Change{{
			Field: "tags." + cloud.TagCluster, Live: owner, Wanted: g.owner.Cluster, Policy: engine.PolicyRefused,
			Hint: "the cluster has a node group of this name that aicluster did not make: delete it, or name the pool differently",
		}}
		return obs, nil
	}
	obs.Changes = g.changes()
	return obs, nil
}

// creation says what will be made, defaults too.
func (g *NodeGroup) creation() []engine.Change {
	var out []engine.Change
	add := func(field string, wanted any) {
		out = append(out, engine.Change{Field: field, Wanted: wanted, Policy: engine.PolicyCreate})
	}
	add("nodes", fmt.Sprintf("%d to %d × %s, %s", g.pool.Nodes.Min, g.pool.Nodes.Max, strings.Join(g.pool.InstanceTypes, " or "), capacityWord(capacityType(g.pool.Capacity))))
	add("zones", strings.Join(g.zones, ", "))
	add("amiType", string(amiType(g.pool)))
	all := labels(g.pool)
	delete(all, blueprints.PoolLabel) // it says nothing new
	for _, k := range slices.Sorted(maps.Keys(all)) {
		add("labels."+k, all[k])
	}
	for _, t := range taints(g.pool.Taints) {
		add("taints", describeTaint(t))
	}
	return out
}

// read fills g.live and g.asg. Without a cluster there is no node group.
func (g *NodeGroup) read(ctx context.Context) error {
	g.live, g.asg = nil, nil
	if !g.cluster.Ready() {
		return nil
	}
	live, err := describe(ctx, g.eks, g.cluster.Name(), g.pool.Name)
	if err != nil || live == nil {
		return err
	}
	g.live = live
	g.asg, err = readScalingGroup(ctx, g.scaling, live)
	return err
}

// describe is a node group as EKS has it, or nil.
func describe(ctx context.Context, api EKSAPI, cluster, name string) (*types.Nodegroup, error) {
	out, err := api.DescribeNodegroup(ctx, &eks.DescribeNodegroupInput{ClusterName: &cluster, NodegroupName: &name})
	if cloud.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return out.Nodegroup, nil
}

func (g *NodeGroup) describe() string {
	return fmt.Sprintf("%s, %s, %s", nodes(g.nodes()), strings.Join(g.live.InstanceTypes, " or "), g.live.CapacityType)
}

// nodes counts nodes in words.
func nodes(n int) string {
	if n == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", n)
}

// nodes is how many instances the pool has now.
func (g *NodeGroup) nodes() int {
	if g.asg == nil {
		return 0
	}
	return len(g.asg.instances)
}

// leftOut says which instance types the node group goes without.
func (g *NodeGroup) leftOut() []string {
	if len(g.LeftOut) == 0 {
		return nil
	}
	return []string{strings.Join(g.LeftOut, ", ") + ": not offered in " + strings.Join(g.zones, ", ") + ", and left out"}
}

func (g *NodeGroup) notes() []string {
	notes := g.leftOut()
	if s := g.live.ScalingConfig; s != nil && g.pool.Nodes.Min < g.pool.Nodes.Max {
		notes = append(notes, fmt.Sprintf("%s now; the autoscaler owns the number between %d and %d", nodes(g.nodes()), g.pool.Nodes.Min, g.pool.Nodes.Max))
	}
	for _, issue := range issues(g.live) {
		notes = append(notes, fmt.Sprintf("%s: %s", issue.Code, aws.ToString(issue.Message)))
	}
	return notes
}

func issues(ng *types.Nodegroup) []types.Issue {
	if ng.Health == nil {
		return nil
	}
	return ng.Health.Issues
}

// Live is what runs of a pool.
type Live struct {
	Status        string // EKS's word: "ACTIVE"; empty when there is no node group
	Version       string // Kubernetes minor version of new nodes
	Release       string // of the AMI
	Min, Max      int
	Desired       int
	Capacity      string // EKS's word: "ON_DEMAND" or "SPOT"
	InstanceTypes []string
	Instances     []Instance
	Issues        []string // EKS's code and words
}

// Instance is one EC2 instance of a pool.
type Instance struct {
	ID    string
	Type  string
	Zone  string
	State string // Auto Scaling's word: "InService"
}

// Live tells what runs of the pool, as of the last Observe or Apply.
func (g *NodeGroup) Live() Live {
	if g.live == nil {
		return Live{}
	}
	l := Live{
		Status: string(g.live.Status), Version: aws.ToString(g.live.Version), Release: aws.ToString(g.live.ReleaseVersion),
		Capacity: string(g.live.CapacityType), InstanceTypes: g.live.InstanceTypes,
	}
	if s := g.live.ScalingConfig; s != nil {
		l.Min, l.Max, l.Desired = int(aws.ToInt32(s.MinSize)), int(aws.ToInt32(s.MaxSize)), int(aws.ToInt32(s.DesiredSize))
	}
	if g.asg != nil {
		l.Desired, l.Instances = g.asg.desired, g.asg.instances
	}
	for _, issue := range issues(g.live) {
		l.Issues = append(l.Issues, fmt.Sprintf("%s: %s", issue.Code, aws.ToString(issue.Message)))
	}
	return l
}
