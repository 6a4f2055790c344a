package controlplane

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// inUseLimit bounds how long EKS may still count node groups that are gone.
const inUseLimit = 2 * time.Minute

// protected tells whether EKS will refuse to delete the cluster. EKS enforces
// the protection on active clusters only; one that is being made or changed is
// active before it can be deleted (EKS user guide, "Protect EKS clusters from
// accidental deletion").
func (c *Cluster) protected() bool {
	if c.live == nil || !aws.ToBool(c.live.DeletionProtection) {
		return false
	}
	return c.live.Status != types.ClusterStatusFailed && c.live.Status != types.ClusterStatusDeleting
}

// Deletable is nil unless the cluster is protected against deletion. A teardown
// asks before it deletes anything: EKS itself would refuse only when nodes and
// applications are gone.
//
// Nothing here switches the protection off. It is there so that deleting takes
// two steps, whoever asked for it: a teardown with --yes in a script is the very
// accident that it is against. Terraform and the AWS CLI refuse in the same way.
func (c *Cluster) Deletable() error {
	if !c.protected() || c.live.Tags[cloud.TagCluster] != c.Name() { // somebody else's is kept anyway
		return nil
	}
	return cloud.Fail(c.ID(), "tearing down", "the cluster is protected against deletion, and nothing was deleted", c.unprotectHint())
}

// unprotectHint says how to switch the protection off where it was switched on.
func (c *Cluster) unprotectHint() string {
	byHand := "aws eks update-cluster-config --no-deletion-protection --name " + c.Name()
	if parts := strings.Split(c.ARN(), ":"); len(parts) > 3 {
		byHand += " --region " + parts[3]
	}
	if c.want.DeletionProtection {
		return "set cluster.deletionProtection to false and run 'aicluster up', or run: " + byHand
	}
	return "switch the protection off first: " + byHand
}

// Delete implements [engine.Resource].
func (c *Cluster) Delete(ctx context.Context, p engine.Progress) error {
	if err := c.read(ctx); err != nil {
		return cloud.Wrap(c.ID(), "reading the cluster", err)
	}
	if c.live == nil {
		return nil
	}
	// EKS neither deletes nor changes a cluster that it is making or changing.
	if s := c.live.Status; s == types.ClusterStatusCreating || s == types.ClusterStatusPending || s == types.ClusterStatusUpdating {
		if err := c.settle(ctx, p); err != nil {
			return err
		}
	}
	if c.live == nil {
		return nil
	}
	if c.live.Status != types.ClusterStatusDeleting {
		if err := c.requestDelete(ctx); err != nil {
			return err
		}
	}
	return c.waitGone(ctx, p)
}

// settle waits until the cluster is in a state in which it can be deleted,
// whatever state that is.
func (c *Cluster) settle(ctx context.Context, p engine.Progress) error {
	err := cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		if err := c.read(ctx); err != nil || c.live == nil {
			return true, err
		}
		switch c.live.Status {
		case types.ClusterStatusCreating, types.ClusterStatusPending, types.ClusterStatusUpdating:
			p("it is %s and can be deleted after that", strings.ToLower(c.Status()))
			return false, nil
		}
		return true, nil
	})
	return cloud.Wrap(c.ID(), "waiting until it can be deleted", err)
}

// requestDelete asks EKS to delete the cluster. EKS refuses while node groups
// are there or an update runs. An update is waited for, and node groups that are
// on their way out; one that stays is somebody else's.
func (c *Cluster) requestDelete(ctx context.Context) error {
	start := time.Now()
	var holders []string
	inUse := func(err error) bool {
		if cloud.IsBusy(err) || !cloud.IsDependency(err) {
			return cloud.IsBusy(err)
		}
		holders = c.holders(ctx)
		return len(holders) == 0 && time.Since(start) < inUseLimit
	}
	err := cloud.RetryWhile(ctx, busyLimit, inUse, func(ctx context.Context) error {
		_, err := c.api.DeleteCluster(ctx, &eks.DeleteClusterInput{Name: aws.String(c.Name())})
		return err
	})
	if err == nil || cloud.IsNotFound(err) {
		return nil
	}
	err = cloud.Wrap(c.ID(), "deleting the control plane", err)
	var e *cloud.Error
	if c.protected() && errors.As(err, &e) { // switched on since Deletable was asked
		e.Hint = c.unprotectHint()
	}
	if len(holders) > 0 && errors.As(err, &e) {
		e.Message += " It holds " + strings.Join(holders, ", ") + "."
		e.Hint = "delete what aicluster did not make, then run 'aicluster teardown' again"
	}
	return err
}

// holders names what keeps a cluster from being deleted and is not being deleted
// itself. A failure to read it is of no interest: then nothing is known.
func (c *Cluster) holders(ctx context.Context) []string {
	var names []string
	groups, err := c.api.ListNodegroups(ctx, &eks.ListNodegroupsInput{ClusterName: aws.String(c.Name())})
	if err == nil {
		for _, name := range groups.Nodegroups {
			out, err := c.api.DescribeNodegroup(ctx, &eks.DescribeNodegroupInput{ClusterName: aws.String(c.Name()), NodegroupName: &name})
			if err == nil && out.Nodegroup.Status != types.NodegroupStatusDeleting {
				names = append(names, "node group "+name)
			}
		}
	}
	profiles, err := c.api.ListFargateProfiles(ctx, &eks.ListFargateProfilesInput{ClusterName: aws.String(c.Name())})
	if err == nil {
		for _, name := range profiles.FargateProfileNames {
			names = append(names, "Fargate profile "+name)
		}
	}
	return names
}

// waitGone waits until EKS does not know the cluster any more.
func (c *Cluster) waitGone(ctx context.Context, p engine.Progress) error {
	deleting := false
	err := cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		if err := c.read(ctx); err != nil || c.live == nil {
			return true, err
		}
		deleting = deleting || c.live.Status == types.ClusterStatusDeleting
		if deleting && (c.live.Status == types.ClusterStatusActive || c.live.Status == types.ClusterStatusFailed) {
			return true, c.undeleted()
		}
		p("the control plane is %s", strings.ToLower(c.Status()))
		return false, nil
	})
	return cloud.Wrap(c.ID(), "waiting for the control plane to go", err)
}

// undeleted is why EKS gave a deletion up, in its words.
func (c *Cluster) undeleted() error {
	e := &cloud.Error{
		Resource: c.ID(), Doing: "deleting the control plane", Message: "EKS gave up and left it " + strings.ToLower(c.Status()),
		Hint: "mend the cause and run 'aicluster teardown' again",
	}
	for _, issue := range clusterIssues(c.live) {
		e.Code, e.Message = string(issue.Code), aws.ToString(issue.Message)
		break
	}
	return e
}
