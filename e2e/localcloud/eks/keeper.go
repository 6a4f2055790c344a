package eks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"aicluster/e2e/localcloud/clock"
)

const (
	// keepInterval is how often a keeper looks at its instances and nodes.
	keepInterval = 3 * time.Second
	// joinTimeout is how long nodes may take to become Ready
	// (https://docs.aws.amazon.com/eks/latest/userguide/troubleshooting.html).
	joinTimeout = 15 * time.Minute
)

var (
	errUserData = errors.New("User data was not in the MIME multipart format")  //nolint:staticcheck // EKS's words
	errJoin     = errors.New("Instances failed to join the kubernetes cluster") //nolint:staticcheck // EKS's words
)

// keep is the keeper of a node group: it makes the Auto Scaling group and from
// then on turns instances into nodes and problems into health issues, until the
// node group is deleted.
func (s *Service) keep(c *cluster, n *nodegroup) {
	defer close(n.done)
	if s.clock.Wait(n.ctx, clock.NodegroupCreate) != nil {
		return
	}
	if err := s.makeNodegroup(c, n); err != nil {
		s.createFailed(n, err)
		return
	}
	for n.ctx.Err() == nil {
		ready := s.round(n.ctx, c, n)
		if ready && s.settled(n) {
			s.activate(n)
		}
		if !s.pause(n.ctx, keepInterval) {
			return
		}
	}
}

// makeNodegroup makes the launch template copy and the Auto Scaling group.
func (s *Service) makeNodegroup(c *cluster, n *nodegroup) error {
	t, err := s.makeTemplate(c, n)
	if err != nil {
		return err
	}
	s.mu.Lock()
	n.template = t.ID
	s.mu.Unlock()
	if err := s.makeGroup(c, n, t); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n.data.Resources = &types.NodegroupResources{AutoScalingGroups: []types.AutoScalingGroup{{Name: aws.String(n.group)}}}
	return nil
}

// publicSubnetError is a node in a public subnet without a public address: it
// reaches neither the cluster's endpoint nor a registry.
type publicSubnetError struct{ subnet, nodegroup string }

func (e publicSubnetError) Error() string {
	return fmt.Sprintf("One or more Amazon EC2 Subnets of [%s] for node group %s does not automatically assign public IP addresses to instances launched into it. If you want your instances to be assigned a public IP address, then you need to enable auto-assign public IP address for the subnet. See IP addressing in VPC guide: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-ip-addressing.html#subnet-public-ip",
		e.subnet, e.nodegroup)
}

func (s *Service) createFailed(n *nodegroup, err error) {
	issue := types.Issue{Code: types.NodegroupIssueCodeInternalFailure, Message: aws.String(err.Error()), ResourceIds: []string{*n.data.NodegroupName}}
	if errors.Is(err, errUserData) {
		issue.Code, issue.Message = types.NodegroupIssueCodeEc2LaunchTemplateInvalidConfiguration, aws.String(errUserData.Error()+".")
		if n.launch != nil {
			issue.ResourceIds = []string{n.launch.ID}
		}
	}
	if public := (publicSubnetError{}); errors.As(err, &public) {
		issue.Code, issue.ResourceIds = types.NodegroupIssueCodeEc2SubnetInvalidConfiguration, []string{public.subnet}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.data.Status == types.NodegroupStatusCreating {
		n.data.Status, n.data.Health.Issues = types.NodegroupStatusCreateFailed, []types.Issue{issue}
	}
}

// round joins new instances, updates health and says whether all desired nodes
// are Ready.
func (s *Service) round(ctx context.Context, c *cluster, n *nodegroup) bool {
	group, ok := s.opts.AutoScaling.Group(c.key.region, n.group)
	if !ok {
		s.setIssues(n, []types.Issue{{
			Code: types.NodegroupIssueCodeAutoScalingGroupNotFound, ResourceIds: []string{n.group},
			Message: aws.String("We couldn't find the Auto Scaling group associated with the managed node group."),
		}})
		return false
	}
	for _, in := range group.Instances {
		if in.LifecycleState == astypes.LifecycleStateInService {
			s.join(ctx, c, n, *in.InstanceId)
		}
	}
	s.sweep(c, n)
	issues := s.launchIssues(c, n, group)
	s.mu.Lock()
	creating := n.data.Status == types.NodegroupStatusCreating
	s.mu.Unlock()
	if !creating {
		if late := s.lateInstances(c, group); len(late) > 0 {
			issues = append(issues, types.Issue{Code: types.NodegroupIssueCodeNodeCreationFailure, Message: aws.String(errJoin.Error()), ResourceIds: late})
		}
		s.setIssues(n, issues)
		return false
	}
	ready := s.readyNodes(c, *n.data.NodegroupName)
	if ready >= int(*group.DesiredCapacity) {
		s.setIssues(n, nil)
		return true
	}
	if time.Since(n.started) > s.patience(joinTimeout) {
		issues = append(issues, types.Issue{
			Code: types.NodegroupIssueCodeNodeCreationFailure, Message: aws.String(errJoin.Error()), ResourceIds: unjoined(group),
		})
	}
	s.setIssues(n, issues)
	return false
}

// lateInstances are those that run for longer than a node may take to join, and
// have not.
func (s *Service) lateInstances(c *cluster, group astypes.AutoScalingGroup) []string {
	var late []string
	for _, member := range group.Instances {
		s.mu.Lock()
		_, joined := c.nodes[*member.InstanceId]
		s.mu.Unlock()
		in, ok := s.opts.EC2.Instance(c.key.region, *member.InstanceId)
		if ok && !joined && in.State == "running" && time.Since(in.Running) > s.patience(joinTimeout) {
			late = append(late, in.ID)
		}
	}
	return late
}

// sweep removes nodes whose instance ended while it was joining.
func (s *Service) sweep(c *cluster, n *nodegroup) {
	s.mu.Lock()
	var ids []string
	for id := range c.nodes {
		if n.joined[id] {
			ids = append(ids, id)
		}
	}
	s.mu.Unlock()
	for _, id := range ids {
		if in, ok := s.opts.EC2.Instance(c.key.region, id); !ok || in.State == "terminated" {
			s.instanceTerminated(c.key.region, id)
		}
	}
}

// unjoined are the resources of a NodeCreationFailure: the instances, or a
// made-up id when there is none.
func unjoined(group astypes.AutoScalingGroup) []string {
	var ids []string
	for _, in := range group.Instances {
		ids = append(ids, *in.InstanceId)
	}
	if len(ids) == 0 {
		return []string{"DUMMY_" + uuid.NewString()}
	}
	return ids
}

// launchIssues reports the last launch if it failed and instances are missing.
func (s *Service) launchIssues(c *cluster, n *nodegroup, group astypes.AutoScalingGroup) []types.Issue {
	alive := 0
	for _, in := range group.Instances {
		if in.LifecycleState == astypes.LifecycleStatePending || in.LifecycleState == astypes.LifecycleStateInService {
			alive++
		}
	}
	if alive >= int(*group.DesiredCapacity) {
		return nil
	}
	for _, a := range s.opts.AutoScaling.Activities(c.key.region, n.group) {
		if !strings.HasPrefix(deref(a.Description), "Launching") {
			continue
		}
		if a.StatusCode != astypes.ScalingActivityStatusCodeFailed {
			return nil
		}
		return []types.Issue{{
			Code: types.NodegroupIssueCodeAsgInstanceLaunchFailures, Message: a.StatusMessage, ResourceIds: []string{n.group},
		}}
	}
	return nil
}

// setIssues publishes the health and what follows from it for the status.
func (s *Service) setIssues(n *nodegroup, issues []types.Issue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if issues == nil {
		issues = []types.Issue{}
	}
	switch n.data.Status {
	case types.NodegroupStatusCreating:
		for _, i := range issues {
			if i.Code == types.NodegroupIssueCodeNodeCreationFailure {
				n.data.Status = types.NodegroupStatusCreateFailed
			}
		}
	case types.NodegroupStatusActive:
		if len(issues) > 0 {
			n.data.Status = types.NodegroupStatusDegraded
		}
	case types.NodegroupStatusDegraded:
		if len(issues) == 0 {
			n.data.Status = types.NodegroupStatusActive
		}
	case types.NodegroupStatusCreateFailed, types.NodegroupStatusDeleting:
		return // what is known stays
	}
	n.data.Health.Issues = issues
}

// settled waits the time between the last node's Ready and EKS's ACTIVE.
func (s *Service) settled(n *nodegroup) bool {
	return s.clock.Wait(n.ctx, clock.NodegroupActive) == nil
}

func (s *Service) activate(n *nodegroup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.data.Status == types.NodegroupStatusCreating {
		n.data.Status, n.data.ModifiedAt = types.NodegroupStatusActive, now()
	}
}

// readyNodes counts the node group's nodes that Kubernetes calls Ready and whose
// instance is there.
func (s *Service) readyNodes(c *cluster, nodegroup string) int {
	s.mu.Lock()
	lister := c.kubeNodes
	alive := map[string]bool{}
	for _, name := range c.nodes {
		alive[name] = true
	}
	s.mu.Unlock()
	if lister == nil {
		return 0
	}
	nodes, err := lister.List(labels.SelectorFromSet(labels.Set{labelNodegroup: nodegroup}))
	if err != nil {
		return 0
	}
	ready := 0
	for _, node := range nodes {
		if alive[node.Name] && slices.ContainsFunc(node.Status.Conditions, func(cond corev1.NodeCondition) bool {
			return cond.Type == corev1.NodeReady && cond.Status == corev1.ConditionTrue
		}) {
			ready++
		}
	}
	return ready
}
