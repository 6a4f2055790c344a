package eks

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/wire"
)

// UpdateNodegroupConfig changes sizes, labels, taints and how updates go.
func (s *Service) UpdateNodegroupConfig(ctx context.Context, in *eks.UpdateNodegroupConfigInput) (*eks.UpdateNodegroupConfigOutput, error) {
	// The Cluster Autoscaler may have moved the desired size.
	current, err := s.DescribeNodegroup(ctx, &eks.DescribeNodegroupInput{ClusterName: in.ClusterName, NodegroupName: in.NodegroupName})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.cluster(wire.Region(ctx), in.ClusterName)
	if err != nil {
		return nil, err
	}
	asked := requestOf(in.ClientRequestToken, in)
	if u, err := c.repeated(asked, *in.NodegroupName, ""); u != nil || err != nil {
		return &eks.UpdateNodegroupConfigOutput{Update: u}, err
	}
	c, n, err := s.updatable(ctx, in.ClusterName, in.NodegroupName)
	if err != nil {
		return nil, err
	}
	next, params, err := n.configured(in, *current.Nodegroup.ScalingConfig)
	if err != nil {
		return nil, err
	}
	if len(params) == 0 {
		return nil, invalidParameter(c.key.name, *in.NodegroupName, "No changes needed for the node group config provided")
	}
	u := c.begin(types.UpdateTypeConfigUpdate, asked, params...)
	u.nodegroup = *in.NodegroupName
	old := n.data
	n.data.Status = types.NodegroupStatusUpdating
	c.work.Go(func() { s.applyConfig(c, n, u, old, next, in.ScalingConfig != nil) })
	return &eks.UpdateNodegroupConfigOutput{Update: u.output()}, nil
}

// configured is what a node group becomes by a request, and the parameters of
// the update that says so; s.mu is held.
func (n *nodegroup) configured(in *eks.UpdateNodegroupConfigInput, current types.NodegroupScalingConfig) (types.Nodegroup, []types.UpdateParam, error) {
	next, cluster, name := *n.output(), *in.ClusterName, *in.NodegroupName
	var params []types.UpdateParam
	if in.ScalingConfig != nil {
		next.ScalingConfig = &current
		params = append(params, resize(&current, in.ScalingConfig)...)
		if err := checkScaling(cluster, name, &current); err != nil {
			return next, nil, err
		}
	}
	if in.Labels != nil {
		if err := checkLabels(cluster, name, in.Labels.AddOrUpdateLabels); err != nil {
			return next, nil, err
		}
		params = append(params, relabelGroup(&next, in.Labels)...)
	}
	if in.Taints != nil {
		params = append(params, retaint(&next, in.Taints)...)
		if err := checkTaints(cluster, name, next.Taints); err != nil {
			return next, nil, err
		}
	}
	if up := in.UpdateConfig; up != nil {
		if err := checkUpdateConfig(cluster, name, up); err != nil {
			return next, nil, err
		}
		next.UpdateConfig = up
		params = append(params, param(types.UpdateParamTypeMaxUnavailable, asJSON(up)))
	}
	if r := in.NodeRepairConfig; r != nil {
		if err := checkRepair(cluster, name, r); err != nil {
			return next, nil, err
		}
		next.NodeRepairConfig = r
		params = append(params, param(types.UpdateParamTypeNodeRepairConfig, asJSON(r)))
	}
	if w := in.WarmPoolConfig; w != nil {
		next.WarmPoolConfig = w
		params = append(params, param(types.UpdateParamTypeWarmPoolEnabled, asJSON(w)))
	}
	return next, params, nil
}

// resize puts the sizes of a request over the current ones.
func resize(current, in *types.NodegroupScalingConfig) (params []types.UpdateParam) {
	for _, size := range []struct {
		want *int32
		have **int32
		kind types.UpdateParamType
	}{
		{in.MinSize, &current.MinSize, types.UpdateParamTypeMinSize},
		{in.MaxSize, &current.MaxSize, types.UpdateParamTypeMaxSize},
		{in.DesiredSize, &current.DesiredSize, types.UpdateParamTypeDesiredSize},
	} {
		if size.want != nil {
			*size.have = size.want
			params = append(params, param(size.kind, strconv.Itoa(int(*size.want))))
		}
	}
	return params
}

func relabelGroup(n *types.Nodegroup, in *types.UpdateLabelsPayload) (params []types.UpdateParam) {
	if n.Labels == nil {
		n.Labels = map[string]string{}
	}
	maps.Copy(n.Labels, in.AddOrUpdateLabels)
	for _, k := range in.RemoveLabels {
		delete(n.Labels, k)
	}
	if len(in.AddOrUpdateLabels) > 0 {
		params = append(params, param(types.UpdateParamTypeLabelsToAdd, asJSON(in.AddOrUpdateLabels)))
	}
	if len(in.RemoveLabels) > 0 {
		params = append(params, param(types.UpdateParamTypeLabelsToRemove, asJSON(in.RemoveLabels)))
	}
	return params
}

func retaint(n *types.Nodegroup, in *types.UpdateTaintsPayload) (params []types.UpdateParam) {
	drop := map[string]bool{}
	for _, t := range slices.Concat(in.AddOrUpdateTaints, in.RemoveTaints) {
		drop[taintID(t)] = true
	}
	n.Taints = slices.DeleteFunc(n.Taints, func(have types.Taint) bool { return drop[taintID(have)] })
	n.Taints = append(n.Taints, in.AddOrUpdateTaints...)
	if len(in.AddOrUpdateTaints) > 0 {
		params = append(params, param(types.UpdateParamTypeTaintsToAdd, asJSON(in.AddOrUpdateTaints)))
	}
	if len(in.RemoveTaints) > 0 {
		params = append(params, param(types.UpdateParamTypeTaintsToRemove, asJSON(in.RemoveTaints)))
	}
	return params
}

// applyConfig carries an accepted change out: on the Auto Scaling group and on
// the nodes that there are.
func (s *Service) applyConfig(c *cluster, n *nodegroup, u *update, old, next types.Nodegroup, resize bool) {
	if s.clock.Wait(n.ctx, clock.NodegroupUpdate) != nil {
		return
	}
	var err error
	if resize {
		err = s.opts.AutoScaling.Update(c.key.region, &as.UpdateAutoScalingGroupInput{
			AutoScalingGroupName: aws.String(n.group), MinSize: next.ScalingConfig.MinSize, MaxSize: next.ScalingConfig.MaxSize,
			DesiredCapacity: next.ScalingConfig.DesiredSize,
		})
	}
	if err == nil {
		err = s.relabel(n.ctx, c, *next.NodegroupName, old, next)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.data.Status != types.NodegroupStatusUpdating {
		return
	}
	n.data.Status = types.NodegroupStatusActive
	if err != nil {
		u.fail(types.ErrorCodeClusterUnreachable, err.Error(), n.group)
		return
	}
	u.Status = types.UpdateStatusSuccessful
	n.data.ScalingConfig, n.data.Labels, n.data.Taints = next.ScalingConfig, next.Labels, next.Taints
	n.data.UpdateConfig, n.data.NodeRepairConfig, n.data.WarmPoolConfig = next.UpdateConfig, next.NodeRepairConfig, next.WarmPoolConfig
	n.data.ModifiedAt = now()
}

// relabel changes labels and taints of the nodes that a group has already.
func (s *Service) relabel(ctx context.Context, c *cluster, name string, old, next types.Nodegroup) error {
	if maps.Equal(old.Labels, next.Labels) && asJSON(old.Taints) == asJSON(next.Taints) {
		return nil
	}
	s.mu.Lock()
	plane := c.plane
	s.mu.Unlock()
	if plane == nil {
		return nil
	}
	api := plane.Client().CoreV1().Nodes()
	nodes, err := api.List(ctx, metav1.ListOptions{LabelSelector: labelNodegroup + "=" + name})
	if err != nil {
		return err
	}
	for _, node := range nodes.Items {
		// Kubelets and controllers write to the node as well.
		err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			fresh, err := api.Get(ctx, node.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			relabelNode(fresh, old, next)
			_, err = api.Update(ctx, fresh, metav1.UpdateOptions{})
			return err
		})
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// relabelNode takes the old labels and taints from a node and adds the new ones;
// those that others put there stay.
func relabelNode(node *corev1.Node, old, next types.Nodegroup) {
	for k := range old.Labels {
		delete(node.Labels, k)
	}
	maps.Copy(node.Labels, next.Labels)
	drop := map[string]bool{}
	for _, t := range kubeTaints(append(slices.Clone(old.Taints), next.Taints...)) {
		drop[t.Key+":"+string(t.Effect)] = true
	}
	node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, func(t corev1.Taint) bool { return drop[t.Key+":"+string(t.Effect)] })
	node.Spec.Taints = append(node.Spec.Taints, kubeTaints(next.Taints)...)
}

// UpdateNodegroupVersion replaces the nodes by ones of another AMI release,
// Kubernetes version or launch template version.
func (s *Service) UpdateNodegroupVersion(ctx context.Context, in *eks.UpdateNodegroupVersionInput) (*eks.UpdateNodegroupVersionOutput, error) {
	launch, err := s.newLaunch(ctx, in)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.cluster(wire.Region(ctx), in.ClusterName)
	if err != nil {
		return nil, err
	}
	asked := requestOf(in.ClientRequestToken, in)
	if u, err := c.repeated(asked, *in.NodegroupName, ""); u != nil || err != nil {
		return &eks.UpdateNodegroupVersionOutput{Update: u}, err
	}
	c, n, err := s.updatable(ctx, in.ClusterName, in.NodegroupName)
	if err != nil {
		return nil, err
	}
	request := eks.CreateNodegroupInput{
		ClusterName: in.ClusterName, NodegroupName: in.NodegroupName, Version: in.Version, ReleaseVersion: in.ReleaseVersion,
	}
	src := n.source
	var params []types.UpdateParam
	switch {
	case launch != nil && n.launch == nil:
		return nil, invalidParameter(c.key.name, *in.NodegroupName, "Launch template cannot be added to a node group that was created without one.")
	case launch != nil && launch.ID != n.launch.ID:
		return nil, invalidParameter(c.key.name, *in.NodegroupName, "The launch template of a node group cannot be changed, only its version.")
	case launch != nil:
		if err := checkTemplateData(c.key.name, *in.NodegroupName, n.data.CapacityType, launch.Data); err != nil {
			return nil, err
		}
		src.launch, src.ownImage = launch, deref(launch.Data.ImageId)
		if launch.Data.InstanceType != "" {
			src.types = []string{string(launch.Data.InstanceType)}
		}
		params = append(params, param(types.UpdateParamTypeLaunchTemplateName, launch.Name),
			param(types.UpdateParamTypeLaunchTemplateVersion, strconv.FormatInt(launch.Version, 10)))
	}
	if src.ownImage != "" && (in.Version != nil || in.ReleaseVersion != nil) {
		return nil, invalidParameter(c.key.name, *in.NodegroupName, "You cannot specify the field %s when using custom AMIs.", "kubernetesVersion or releaseVersion")
	}
	if err := s.checkRelease(c.key.region, c.data, &request, &src); err != nil {
		return nil, err
	}
	params = append(params, param(types.UpdateParamTypeVersion, *c.data.Version), param(types.UpdateParamTypeReleaseVersion, src.release))
	u := c.begin(types.UpdateTypeVersionUpdate, asked, params...)
	u.nodegroup = *in.NodegroupName
	n.data.Status = types.NodegroupStatusUpdating
	version := *c.data.Version
	c.work.Go(func() { s.roll(c, n, u, src, version) })
	return &eks.UpdateNodegroupVersionOutput{Update: u.output()}, nil
}

// newLaunch resolves the launch template that an update names, if any.
func (s *Service) newLaunch(ctx context.Context, in *eks.UpdateNodegroupVersionInput) (*ec2.Template, error) {
	ref := in.LaunchTemplate
	if ref == nil {
		return nil, nil
	}
	if (ref.Id == nil) == (ref.Name == nil) {
		return nil, invalidParameter(*in.ClusterName, *in.NodegroupName, "Either provide launch template ID or launch template name in the request.")
	}
	launch, err := s.opts.EC2.NamedLaunchTemplate(wire.Region(ctx), or(ref.Id, deref(ref.Name)), or(ref.Version, "$Default"))
	if err != nil {
		return nil, invalidRequest(*in.ClusterName, *in.NodegroupName, "Launch template could not be found: %v", err)
	}
	return &launch, nil
}

// roll replaces the instances one after the other.
func (s *Service) roll(c *cluster, n *nodegroup, u *update, src source, version string) {
	err := s.rollAll(c, n, src, version)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.data.Status != types.NodegroupStatusUpdating {
		return
	}
	n.data.Status, n.data.ModifiedAt = types.NodegroupStatusActive, now()
	if err != nil {
		u.fail(types.ErrorCodeNodeCreationFailure, err.Error(), n.group)
		return
	}
	u.Status = types.UpdateStatusSuccessful
}

func (s *Service) rollAll(c *cluster, n *nodegroup, src source, version string) error {
	if err := s.clock.Wait(n.ctx, clock.NodegroupUpdate); err != nil {
		return err
	}
	s.mu.Lock()
	n.source = src
	n.data.Version, n.data.ReleaseVersion, n.data.LaunchTemplate = &version, aws.String(src.release), src.reference()
	s.mu.Unlock()
	t, err := s.makeTemplate(c, n)
	if err != nil {
		return err
	}
	in := &as.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String(n.group)}
	if n.data.CapacityType == types.CapacityTypesCapacityBlock {
		in.LaunchTemplate = launchSpecification(t)
	} else {
		in.MixedInstancesPolicy = n.mixedPolicy(t)
	}
	if err := s.opts.AutoScaling.Update(c.key.region, in); err != nil {
		return err
	}
	group, _ := s.opts.AutoScaling.Group(c.key.region, n.group)
	for _, old := range group.Instances {
		if err := s.replace(c, n, *old.InstanceId); err != nil {
			return err
		}
	}
	return nil
}

// replace terminates an instance and waits until the group is whole again.
func (s *Service) replace(c *cluster, n *nodegroup, instanceID string) error {
	_, err := s.opts.AutoScaling.TerminateInstanceInAutoScalingGroup(internal(n.ctx, c.key.region), &as.TerminateInstanceInAutoScalingGroupInput{
		InstanceId: aws.String(instanceID), ShouldDecrementDesiredCapacity: aws.Bool(false),
	})
	if err != nil {
		return nil //nolint:nilerr // gone already: its replacement is new
	}
	deadline := time.Now().Add(s.patience(drainTimeout + joinTimeout))
	for s.pause(n.ctx, keepInterval) {
		_, still := s.opts.EC2.Instance(c.key.region, instanceID)
		s.mu.Lock()
		_, node := c.nodes[instanceID]
		s.mu.Unlock()
		group, _ := s.opts.AutoScaling.Group(c.key.region, n.group)
		if (!still || !node) && s.readyNodes(c, *n.data.NodegroupName) >= int(deref(group.DesiredCapacity)) {
			return nil
		}
		if time.Now().After(deadline) {
			return errJoin
		}
	}
	return n.ctx.Err()
}
