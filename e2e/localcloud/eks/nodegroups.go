package eks

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/google/uuid"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/wire"
)

// Default quotas (https://docs.aws.amazon.com/eks/latest/userguide/service-quotas.html).
const (
	maxNodegroups = 30
	maxNodes      = 450
)

// defaultDiskGiB is the root volume of a node whose node group names no other.
const defaultDiskGiB = 20

// nodegroup is a managed node group; its fields are guarded by [Service].mu.
type nodegroup struct {
	data    types.Nodegroup
	request request // that made it
	source
	started time.Time

	template string // id of EKS's copy of the launch template
	group    string // name of the Auto Scaling group
	profile  string // instance profile

	joined map[string]bool // instances that were looked at, and whether they joined

	ctx  context.Context // ends when the deletion begins
	stop context.CancelFunc
	done chan struct{} // closed when its keeper has ended
}

// output is a copy to answer with.
func (n *nodegroup) output() *types.Nodegroup {
	out := n.data
	out.Tags, out.Labels = maps.Clone(n.data.Tags), maps.Clone(n.data.Labels)
	out.Taints = slices.Clone(n.data.Taints)
	scaling := *n.data.ScalingConfig
	out.ScalingConfig = &scaling
	out.Health = &types.NodegroupHealth{Issues: slices.Clone(n.data.Health.Issues)}
	return &out
}

func (c *cluster) nodegroup(name *string) (*nodegroup, error) {
	if n := c.nodegroups[deref(name)]; n != nil {
		return n, nil
	}
	return nil, noNodegroup(c.key.name, deref(name))
}

// CreateNodegroup makes a node group: CREATING until its nodes are Ready.
func (s *Service) CreateNodegroup(ctx context.Context, in *eks.CreateNodegroupInput) (*eks.CreateNodegroupOutput, error) {
	region := wire.Region(ctx)
	if out, err := s.existingNodegroup(region, in); out != nil || err != nil {
		return out, err
	}
	s.mu.Lock()
	c, err := s.cluster(region, in.ClusterName)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	view := *c.output()
	s.mu.Unlock()

	n, err := s.newNodegroup(region, view, in)
	if err != nil {
		return nil, err
	}
	s.opts.IAM.EnsureServiceLinkedRole("eks-nodegroup.amazonaws.com")
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.nodegroups[*in.NodegroupName] != nil || c.data.Status == types.ClusterStatusDeleting {
		return nil, inUse(c.key.name, *in.NodegroupName, "NodeGroup already exists with name %s and cluster name %s", *in.NodegroupName, c.key.name)
	}
	if *n.data.NodeRole != "" && c.data.AccessConfig.AuthenticationMode != types.AuthenticationModeConfigMap && c.entries[*n.data.NodeRole] == nil {
		c.newEntry(*n.data.NodeRole, "EC2_LINUX", "", nil)
	}
	n.ctx, n.stop = context.WithCancel(c.ctx)
	c.nodegroups[*in.NodegroupName] = n
	c.work.Go(func() { s.keep(c, n) })
	return &eks.CreateNodegroupOutput{Nodegroup: n.output()}, nil
}

// existingNodegroup answers a request for a node group that there is already,
// and refuses one in a cluster that is not ready for it.
func (s *Service) existingNodegroup(region string, in *eks.CreateNodegroupInput) (*eks.CreateNodegroupOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.cluster(region, in.ClusterName)
	if err != nil {
		return nil, err
	}
	if old := c.nodegroups[*in.NodegroupName]; old != nil {
		if again, err := old.request.again(requestOf(in.ClientRequestToken, in), c.key.name, *in.NodegroupName); again || err != nil {
			return &eks.CreateNodegroupOutput{Nodegroup: old.output()}, err
		}
		return nil, inUse(c.key.name, *in.NodegroupName, "NodeGroup already exists with name %s and cluster name %s", *in.NodegroupName, c.key.name)
	}
	switch {
	case c.data.Status != types.ClusterStatusActive: // being changed will not do either
		return nil, invalidRequest(c.key.name, *in.NodegroupName, "Cluster '%s' is not in ACTIVE status", c.key.name)
	case len(c.nodegroups) >= s.quota(region, quotaNodegroups, maxNodegroups): // words not found
		return nil, limitExceeded("Maximum number of nodegroups (%d) reached for cluster %s", s.quota(region, quotaNodegroups, maxNodegroups), c.key.name)
	}
	return nil, nil
}

// newNodegroup checks a request and makes the node group of it.
func (s *Service) newNodegroup(region string, cluster types.Cluster, in *eks.CreateNodegroupInput) (*nodegroup, error) {
	src, err := s.checkNodegroup(region, cluster, in)
	if err != nil {
		return nil, err
	}
	id := uuid.NewString()
	n := &nodegroup{
		request: requestOf(in.ClientRequestToken, in), source: src, started: time.Now(), joined: map[string]bool{}, done: make(chan struct{}),
		group: "eks-" + *in.NodegroupName + "-" + id, profile: "eks-" + id,
		data: types.Nodegroup{
			ClusterName: in.ClusterName, NodegroupName: in.NodegroupName, NodeRole: in.NodeRole, Subnets: in.Subnets,
			NodegroupArn: aws.String(arn(region, "nodegroup/"+*in.ClusterName+"/"+*in.NodegroupName+"/"+id)),
			AmiType:      src.amiType, CapacityType: in.CapacityType, InstanceTypes: in.InstanceTypes, DiskSize: in.DiskSize,
			Labels: maps.Clone(in.Labels), Taints: in.Taints, Tags: maps.Clone(in.Tags), LaunchTemplate: src.reference(),
			ScalingConfig: scaling(in.ScalingConfig), UpdateConfig: in.UpdateConfig, NodeRepairConfig: in.NodeRepairConfig,
			WarmPoolConfig: in.WarmPoolConfig, RemoteAccess: in.RemoteAccess, Version: cluster.Version, ReleaseVersion: aws.String(src.release),
			CreatedAt: now(), ModifiedAt: now(), Status: types.NodegroupStatusCreating, Health: &types.NodegroupHealth{Issues: []types.Issue{}},
		},
	}
	if n.data.CapacityType == "" {
		n.data.CapacityType = types.CapacityTypesOnDemand
	}
	if in.LaunchTemplate == nil {
		if len(in.InstanceTypes) == 0 {
			n.data.InstanceTypes = []string{"t3.medium"}
		}
		n.data.DiskSize = aws.Int32(or(in.DiskSize, defaultDiskGiB))
	}
	if n.data.UpdateConfig == nil {
		n.data.UpdateConfig = &types.NodegroupUpdateConfig{MaxUnavailable: aws.Int32(1)}
	}
	return n, nil
}

// scaling fills in the sizes that a request leaves out.
func scaling(in *types.NodegroupScalingConfig) *types.NodegroupScalingConfig {
	if in == nil {
		return &types.NodegroupScalingConfig{MinSize: aws.Int32(1), MaxSize: aws.Int32(2), DesiredSize: aws.Int32(2)}
	}
	out := *in
	if out.MinSize == nil {
		out.MinSize = aws.Int32(1)
	}
	if out.MaxSize == nil {
		out.MaxSize = aws.Int32(max(2, *out.MinSize))
	}
	if out.DesiredSize == nil {
		out.DesiredSize = aws.Int32(*out.MinSize)
	}
	return &out
}

// DescribeNodegroup shows one node group. The desired size is that of the Auto
// Scaling group, which the Cluster Autoscaler changes.
func (s *Service) DescribeNodegroup(ctx context.Context, in *eks.DescribeNodegroupInput) (*eks.DescribeNodegroupOutput, error) {
	s.mu.Lock()
	c, err := s.cluster(wire.Region(ctx), in.ClusterName)
	var n *nodegroup
	if err == nil {
		n, err = c.nodegroup(in.NodegroupName)
	}
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	out, group := n.output(), n.group
	s.mu.Unlock()
	if g, ok := s.opts.AutoScaling.Group(c.key.region, group); ok && out.Status != types.NodegroupStatusDeleting {
		out.ScalingConfig.DesiredSize = g.DesiredCapacity
	}
	return &eks.DescribeNodegroupOutput{Nodegroup: out}, nil
}

// ListNodegroups lists the names of a cluster's node groups.
func (s *Service) ListNodegroups(ctx context.Context, in *eks.ListNodegroupsInput) (*eks.ListNodegroupsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.cluster(wire.Region(ctx), in.ClusterName)
	if err != nil {
		return nil, err
	}
	return &eks.ListNodegroupsOutput{Nodegroups: sortedKeys(c.nodegroups)}, nil
}

// DeleteNodegroup drains and terminates the nodes and removes the group.
func (s *Service) DeleteNodegroup(ctx context.Context, in *eks.DeleteNodegroupInput) (*eks.DeleteNodegroupOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.cluster(wire.Region(ctx), in.ClusterName)
	if err != nil {
		return nil, err
	}
	n, err := c.nodegroup(in.NodegroupName)
	if err != nil {
		return nil, err
	}
	switch n.data.Status {
	case types.NodegroupStatusDeleting:
		return &eks.DeleteNodegroupOutput{Nodegroup: n.output()}, nil
	case types.NodegroupStatusUpdating:
		return nil, inUse(c.key.name, *in.NodegroupName, "Nodegroup cannot be deleted as it is currently not in Active State")
	}
	n.data.Status, n.data.ModifiedAt = types.NodegroupStatusDeleting, now()
	n.stop()
	c.work.Go(func() { s.removeNodegroup(c, n) })
	return &eks.DeleteNodegroupOutput{Nodegroup: n.output()}, nil
}

// removeNodegroup does what a deletion takes: the Auto Scaling group drains and
// terminates its instances, then EKS's launch template and instance profile go.
func (s *Service) removeNodegroup(c *cluster, n *nodegroup) {
	<-n.done
	region := c.key.region
	if _, ok := s.opts.AutoScaling.Group(region, n.group); ok {
		if err := s.opts.AutoScaling.Delete(region, n.group, true); err != nil {
			s.deleteFailed(n, types.NodegroupIssueCodeAutoScalingGroupNotFound, err)
			return
		}
	}
	for {
		if _, ok := s.opts.AutoScaling.Group(region, n.group); !ok {
			break
		}
		if !s.pause(c.ctx, time.Second) {
			return
		}
	}
	if s.clock.Wait(c.ctx, clock.NodegroupDelete) != nil {
		return
	}
	if n.template != "" {
		s.opts.EC2.DeleteLaunchTemplate(region, n.template)
	}
	s.opts.IAM.DeleteInstanceProfile(n.profile)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(c.nodegroups, *n.data.NodegroupName)
	for _, other := range c.nodegroups {
		if *other.data.NodeRole == *n.data.NodeRole {
			return
		}
	}
	if e := c.entries[*n.data.NodeRole]; e != nil && *e.Type == "EC2_LINUX" {
		delete(c.entries, *n.data.NodeRole)
	}
}

func (s *Service) deleteFailed(n *nodegroup, code types.NodegroupIssueCode, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n.data.Status = types.NodegroupStatusDeleteFailed
	n.data.Health.Issues = []types.Issue{{Code: code, Message: aws.String(err.Error()), ResourceIds: []string{n.group}}}
}

// updatable finds a node group that an update may begin on; s.mu is held.
func (s *Service) updatable(ctx context.Context, clusterName, name *string) (*cluster, *nodegroup, error) {
	c, err := s.active(wire.Region(ctx), clusterName)
	if err != nil {
		return nil, nil, err
	}
	n, err := c.nodegroup(name)
	if err != nil {
		return nil, nil, err
	}
	if n.data.Status != types.NodegroupStatusActive && n.data.Status != types.NodegroupStatusDegraded {
		return nil, nil, inUse(c.key.name, *name, "Nodegroup cannot be updated as it is currently not in Active State")
	}
	return c, n, nil
}
