package controlplane

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// propagationLimit bounds how long IAM may take to tell EKS of a new role. Two
// minutes are what other tools wait, too.
const propagationLimit = 2 * time.Minute

// Apply implements [engine.Resource]. A cluster that is being made or changed is
// waited for; a failed one cannot be mended and is made again.
func (c *Cluster) Apply(ctx context.Context, p engine.Progress) error {
	if c.live != nil && c.live.Status == types.ClusterStatusFailed {
		p("deleting the failed control plane")
		if err := c.requestDelete(ctx); err != nil {
			return err
		}
	}
	if c.live != nil && (c.live.Status == types.ClusterStatusFailed || c.live.Status == types.ClusterStatusDeleting) {
		if err := c.waitGone(ctx, p); err != nil {
			return err
		}
	}
	if c.live == nil {
		if err := c.create(ctx, p); err != nil {
			return err
		}
	}
	if err := c.waitActive(ctx, p); err != nil {
		return err
	}
	for _, d := range c.differences() {
		if d.mend == nil {
			continue
		}
		if err := d.mend(ctx, p); err != nil {
			return err
		}
	}
	return cloud.Wrap(c.ID(), "reading the cluster", c.read(ctx))
}

// create asks for the cluster, or takes over the one of a call whose reply was lost.
func (c *Cluster) create(ctx context.Context, p engine.Progress) error {
	if err := CheckVersion(ctx, c.api, c.want.Version); err != nil {
		return err
	}
	p("asking for the control plane")
	in := c.request()
	err := cloud.RetryWhile(ctx, propagationLimit, cloud.IsPropagation, func(ctx context.Context) error {
		out, err := c.api.CreateCluster(ctx, in)
		if err == nil {
			c.live = out.Cluster
		}
		return err
	})
	if cloud.IsExists(err) {
		if readErr := c.read(ctx); readErr == nil && c.live != nil && c.live.Tags[cloud.TagCluster] == c.Name() {
			return nil
		}
	}
	return c.createError(err)
}

// request is the create call. Add-ons that EKS would put in by itself are left
// to the blueprint's, whose versions are known; who creates the cluster is its
// first administrator.
func (c *Cluster) request() *eks.CreateClusterInput {
	public, private, cidrs := c.endpoint(nil)
	in := &eks.CreateClusterInput{
		Name:    aws.String(c.Name()),
		RoleArn: aws.String(c.role.ARN()),
		ResourcesVpcConfig: &types.VpcConfigRequest{
			SubnetIds:            c.network.ClusterSubnetIDs(),
			EndpointPublicAccess: &public, EndpointPrivateAccess: &private, PublicAccessCidrs: cidrs,
		},
		AccessConfig: &types.CreateAccessConfigRequest{
			AuthenticationMode:                      types.AuthenticationModeApi,
			BootstrapClusterCreatorAdminPermissions: aws.Bool(true),
		},
		BootstrapSelfManagedAddons: aws.Bool(false),
		ClientRequestToken:         aws.String(cloud.NewToken()),
		DeletionProtection:         aws.Bool(c.want.DeletionProtection),
		Tags:                       c.owner.Tags(""),
	}
	if c.want.Version != "" {
		in.Version = &c.want.Version
	}
	if len(c.want.Logging) > 0 {
		in.Logging = logging(c.want.Logging)
	}
	if s := c.supportType(); s != "" {
		in.UpgradePolicy = &types.UpgradePolicyRequest{SupportType: s}
	}
	return in
}

// createError adds to EKS's words what to do about them.
func (c *Cluster) createError(err error) error {
	if err == nil {
		return nil
	}
	err = cloud.Wrap(c.ID(), "creating the control plane", err)
	var e *cloud.Error
	if !errors.As(err, &e) || e.Hint != "" {
		return err
	}
	var zone *types.UnsupportedAvailabilityZoneException
	switch {
	case errors.As(err, &zone):
		e.Hint = "set network.zones to some of " + strings.Join(zone.ValidZones, ", ")
	case cloud.IsPropagation(err):
		e.Hint = "IAM had " + propagationLimit.String() + " to spread the role: check that it, and the subnets, still exist; then run 'aicluster up' again"
	case cloud.IsExists(err):
		e.Hint = "an EKS cluster of this name exists that aicluster did not make: choose another metadata.name"
	}
	return err
}

// looks is how often in a row a health issue must be seen before it counts as
// one that does not heal by itself.
const looks = 3

// waitActive waits until the cluster is active, and fails early on a health
// issue that stays.
func (c *Cluster) waitActive(ctx context.Context, p engine.Progress) error {
	seen := 0
	err := cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		if err := c.read(ctx); err != nil {
			return true, err
		}
		if c.live == nil {
			return true, cloud.Fail(c.ID(), "waiting for the control plane", "it is gone", "somebody deleted it: run 'aicluster up' again")
		}
		switch c.live.Status {
		case types.ClusterStatusActive:
			return true, nil
		case types.ClusterStatusFailed, types.ClusterStatusDeleting:
			return true, c.unhealthy("it is " + strings.ToLower(c.Status()))
		}
		if len(clusterIssues(c.live)) == 0 {
			seen = 0
		} else if seen++; seen >= looks {
			return true, c.unhealthy("it cannot be made")
		}
		p("the control plane is %s", strings.ToLower(c.Status()))
		return false, nil
	})
	return cloud.Wrap(c.ID(), "waiting for the control plane", err)
}

// unhealthy is the failure of a cluster, with EKS's words on its health.
func (c *Cluster) unhealthy(what string) error {
	e := &cloud.Error{
		Resource: c.ID(), Doing: "waiting for the control plane", Message: what,
		Hint: "mend the cause; 'aicluster up' then deletes the failed control plane and makes it again",
	}
	for _, issue := range clusterIssues(c.live) {
		e.Code = string(issue.Code)
		e.Message = fmt.Sprintf("%s (%s)", aws.ToString(issue.Message), what)
		break
	}
	return e
}
