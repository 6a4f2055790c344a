package nodepools

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// Bounds of waiting for what passes by itself.
const (
	propagationLimit = 2 * time.Minute // IAM's news of a role
	busyLimit        = time.Hour       // another update of the node group or cluster
)

// Apply implements [engine.Resource]. A node group that is being made is waited
// for; one whose making failed is deleted and made again.
func (g *NodeGroup) Apply(ctx context.Context, p engine.Progress) error {
	if g.live != nil && mustGo(g.live.Status) {
		p("deleting the node group that failed")
		if err := deleteGroup(ctx, g.eks, g.scaling, g.ID(), g.cluster.Name(), g.pool.Name, p); err != nil {
			return err
		}
		g.live, g.asg = nil, nil
	}
	resumed := g.live != nil
	if !resumed {
		if err := g.create(ctx, p); err != nil {
			return err
		}
	}
	if err := g.waitActive(ctx, resumed, p); err != nil {
		return err
	}
	if err := g.update(ctx, p); err != nil {
		return err
	}
	return cloud.Wrap(g.ID(), "reading the node group", g.read(ctx))
}

// mustGo tells that a node group of this status cannot become active.
func mustGo(s types.NodegroupStatus) bool {
	return s == types.NodegroupStatusCreateFailed || s == types.NodegroupStatusDeleteFailed || s == types.NodegroupStatusDeleting
}

// create asks for the node group, or takes over the one of a call whose reply
// was lost. The cluster can be busy with another update, and the role too new.
func (g *NodeGroup) create(ctx context.Context, p engine.Progress) error {
	p("asking for the node group")
	in := g.request()
	start := time.Now()
	heals := func(err error) bool {
		return cloud.IsBusy(err) || cloud.IsPropagation(err) && time.Since(start) < propagationLimit
	}
	err := cloud.RetryWhile(ctx, busyLimit, heals, func(ctx context.Context) error {
		_, err := g.eks.CreateNodegroup(ctx, in)
		return err
	})
	if cloud.IsExists(err) {
		if readErr := g.read(ctx); readErr == nil && g.live != nil && g.live.Tags[cloud.TagCluster] == g.owner.Cluster {
			return nil
		}
	}
	return cloud.Wrap(g.ID(), "creating the node group", err)
}

// waitActive waits until the node group is active. Why it is not is read while
// waiting: EKS itself would say so only after its own half hour.
func (g *NodeGroup) waitActive(ctx context.Context, resumed bool, p engine.Progress) error {
	w := watch{group: g, resumed: resumed}
	err := cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		if err := g.read(ctx); err != nil {
			return true, err
		}
		if g.live == nil {
			return true, cloud.Fail(g.ID(), "waiting for nodes", "the node group is gone", "somebody deleted it: run 'aicluster up' again")
		}
		switch g.live.Status {
		case types.NodegroupStatusActive:
			return true, nil
		case types.NodegroupStatusCreateFailed, types.NodegroupStatusDeleting, types.NodegroupStatusDeleteFailed:
			return true, w.final(ctx)
		case types.NodegroupStatusDegraded:
			if g.asg == nil || g.asg.inService() >= g.pool.Nodes.Min {
				return true, nil
			}
		}
		p("%s", g.progress())
		return false, w.look(ctx)
	})
	return cloud.Wrap(g.ID(), "waiting for nodes", err)
}

// enough tells whether the pool has the nodes that it must have at least.
func (g *NodeGroup) enough(ctx context.Context) (bool, error) {
	if g.asg == nil || g.asg.inService() < g.pool.Nodes.Min {
		return g.asg == nil, nil
	}
	if g.ReadyNodes == nil {
		return true, nil
	}
	ready, err := g.ReadyNodes(ctx, g.pool.Name)
	return ready >= g.pool.Nodes.Min, err
}

// progress says how many of the nodes are there.
func (g *NodeGroup) progress() string {
	if g.asg == nil || g.asg.desired == 0 {
		return "the node group is " + strings.ToLower(string(g.live.Status))
	}
	return fmt.Sprintf("%d of %s in service", g.asg.inService(), nodes(g.asg.desired))
}

// update sends what differs: first what changes while nodes run, then what
// replaces them.
func (g *NodeGroup) update(ctx context.Context, p engine.Progress) error {
	if in, changes := g.configUpdate(); len(changes) > 0 {
		p("changing the node group's configuration")
		in.ClientRequestToken = aws.String(cloud.NewToken())
		err := g.run(ctx, "changing the node group's configuration", p, func(ctx context.Context) (*types.Update, error) {
			out, err := g.eks.UpdateNodegroupConfig(ctx, in)
			if err != nil {
				return nil, err
			}
			return out.Update, nil
		})
		if err != nil {
			return err
		}
	}
	if in, changes := g.nodesUpdate(); len(changes) > 0 {
		p("replacing nodes")
		in.ClientRequestToken = aws.String(cloud.NewToken())
		err := g.run(ctx, "replacing nodes", p, func(ctx context.Context) (*types.Update, error) {
			out, err := g.eks.UpdateNodegroupVersion(ctx, in)
			if err != nil {
				return nil, err
			}
			return out.Update, nil
		})
		if err != nil {
			return err
		}
	}
	set := cloud.TagChanges(g.live.Tags, g.tags())
	if len(set) == 0 {
		return nil
	}
	_, err := g.eks.TagResource(ctx, &eks.TagResourceInput{ResourceArn: g.live.NodegroupArn, Tags: set})
	return cloud.Wrap(g.ID(), "tagging the node group", err)
}

// run sends an update, waits for it, and then for the node group.
func (g *NodeGroup) run(ctx context.Context, doing string, p engine.Progress, send func(context.Context) (*types.Update, error)) error {
	var update *types.Update
	err := cloud.RetryWhile(ctx, busyLimit, cloud.IsBusy, func(ctx context.Context) (err error) {
		update, err = send(ctx)
		return err
	})
	if err != nil {
		return cloud.Wrap(g.ID(), doing, err)
	}
	if update != nil {
		if err := g.waitUpdate(ctx, doing, update, p); err != nil {
			return cloud.Wrap(g.ID(), doing, err)
		}
	}
	if err := g.waitActive(ctx, true, p); err != nil {
		return err
	}
	return g.waitNodes(ctx, p)
}

// waitNodes waits until a changed pool has the nodes that it must have.
func (g *NodeGroup) waitNodes(ctx context.Context, p engine.Progress) error {
	w := watch{group: g, resumed: true}
	err := cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		if err := g.read(ctx); err != nil || g.live == nil {
			return true, err
		}
		if enough, err := g.enough(ctx); enough || err != nil {
			return true, err
		}
		p("%s", g.progress())
		return false, w.look(ctx)
	})
	return cloud.Wrap(g.ID(), "waiting for nodes", err)
}

func (g *NodeGroup) waitUpdate(ctx context.Context, doing string, update *types.Update, p engine.Progress) error {
	w := watch{group: g, resumed: true}
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		out, err := g.eks.DescribeUpdate(ctx, &eks.DescribeUpdateInput{
			Name: aws.String(g.cluster.Name()), NodegroupName: &g.pool.Name, UpdateId: update.Id,
		})
		if cloud.IsUnsupported(err) {
			return true, nil // the node group's own state has to do
		}
		if err != nil {
			return true, err
		}
		switch out.Update.Status {
		case types.UpdateStatusSuccessful:
			return true, nil
		case types.UpdateStatusFailed, types.UpdateStatusCancelled:
			return true, updateError(g.ID(), doing, out.Update)
		}
		if err := g.read(ctx); err != nil {
			return true, err
		}
		p("%s", doing)
		if g.live == nil {
			return false, nil
		}
		return false, w.look(ctx)
	})
}

// updateError is why EKS gave an update up, in its words.
func updateError(id, doing string, u *types.Update) error {
	e := &cloud.Error{Resource: id, Doing: doing, Message: "EKS reports the update as " + strings.ToLower(string(u.Status)), Hint: "mend the cause and run 'aicluster up' again"}
	if len(u.Errors) > 0 {
		first := u.Errors[0]
		e.Code, e.Message = string(first.ErrorCode), aws.ToString(first.ErrorMessage)
		if first.ErrorCode == types.ErrorCodePodEvictionFailure {
			e.Hint = "a PodDisruptionBudget keeps pods on the old nodes: loosen it and run 'aicluster up' again"
		}
	}
	return e
}

// Delete implements [engine.Resource].
func (g *NodeGroup) Delete(ctx context.Context, p engine.Progress) error {
	if err := deleteGroup(ctx, g.eks, g.scaling, g.ID(), g.cluster.Name(), g.pool.Name, p); err != nil {
		return err
	}
	g.live, g.asg = nil, nil
	return nil
}

// deleteGroup deletes a node group and waits until it is gone. EKS gives up now
// and then on what a second request manages, so it is asked once more.
func deleteGroup(ctx context.Context, api EKSAPI, scaling AutoScalingAPI, id, cluster, pool string, p engine.Progress) error {
	requests := 0
	request := func(ctx context.Context) error {
		requests++
		err := cloud.RetryWhile(ctx, busyLimit, cloud.IsDependency, func(ctx context.Context) error {
			_, err := api.DeleteNodegroup(ctx, &eks.DeleteNodegroupInput{ClusterName: &cluster, NodegroupName: &pool})
			return err
		})
		if cloud.IsNotFound(err) {
			return nil
		}
		return err
	}
	err := cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		ng, err := describe(ctx, api, cluster, pool)
		if err != nil || ng == nil {
			return true, err
		}
		switch {
		case ng.Status == types.NodegroupStatusDeleting:
			p("%s", draining(ctx, scaling, ng))
			return false, nil
		case ng.Status == types.NodegroupStatusDeleteFailed && requests > 1:
			return true, deleteFailed(id, ng)
		case requests > 0 && ng.Status != types.NodegroupStatusDeleteFailed:
			return false, nil // EKS's reads lag behind its writes
		}
		return false, request(ctx)
	})
	return cloud.Wrap(id, "deleting the node group", err)
}

// draining says how many nodes are left.
func draining(ctx context.Context, scaling AutoScalingAPI, ng *types.Nodegroup) string {
	asg, err := readScalingGroup(ctx, scaling, ng)
	if err != nil || asg == nil || len(asg.instances) == 0 {
		return "the node group is being deleted"
	}
	return nodes(len(asg.instances)) + " to drain and terminate"
}

// deleteFailed is why EKS could not delete a node group, in its words.
func deleteFailed(id string, ng *types.Nodegroup) error {
	e := &cloud.Error{
		Resource: id, Doing: "deleting the node group", Message: "EKS gave up twice without a reason",
		Hint: "mend the cause and run the same command again",
	}
	if list := issues(ng); len(list) > 0 {
		e.Code, e.Message = string(list[0].Code), aws.ToString(list[0].Message)
		if len(list[0].ResourceIds) > 0 {
			e.Message += " (" + strings.Join(list[0].ResourceIds, ", ") + ")"
		}
	}
	return e
}
