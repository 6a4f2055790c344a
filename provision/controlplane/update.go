package controlplane

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// busyLimit bounds how long another update of the cluster is waited for; an
// upgrade of the control plane can take most of an hour.
const busyLimit = time.Hour

// configure returns a function that sends one change of the configuration and
// waits for it. EKS takes one kind of change at a time (API reference,
// UpdateClusterConfig).
func (c *Cluster) configure(doing string, in *eks.UpdateClusterConfigInput) func(context.Context, engine.Progress) error {
	return func(ctx context.Context, p engine.Progress) error {
		p("%s", doing)
		in.Name, in.ClientRequestToken = aws.String(c.Name()), aws.String(cloud.NewToken())
		var update *types.Update
		err := cloud.RetryWhile(ctx, busyLimit, cloud.IsBusy, func(ctx context.Context) error {
			out, err := c.api.UpdateClusterConfig(ctx, in)
			if err == nil {
				update = out.Update
			}
			return err
		})
		if err != nil {
			return cloud.Wrap(c.ID(), doing, err)
		}
		return c.waitUpdate(ctx, doing, update, p)
	}
}

// protect switches deletion protection on or off.
func (c *Cluster) protect(on bool) func(context.Context, engine.Progress) error {
	doing := "switching deletion protection off"
	if on {
		doing = "switching deletion protection on"
	}
	return c.configure(doing, &eks.UpdateClusterConfigInput{DeletionProtection: &on})
}

// upgrade takes the control plane to the next minor version.
func (c *Cluster) upgrade(ctx context.Context, p engine.Progress) error {
	doing := "upgrading the control plane to " + c.want.Version
	if err := CheckVersion(ctx, c.api, c.want.Version); err != nil {
		return err
	}
	p("%s", doing)
	token := cloud.NewToken()
	var update *types.Update
	err := cloud.RetryWhile(ctx, busyLimit, cloud.IsBusy, func(ctx context.Context) error {
		out, err := c.api.UpdateClusterVersion(ctx, &eks.UpdateClusterVersionInput{
			Name: aws.String(c.Name()), Version: &c.want.Version, ClientRequestToken: &token,
		})
		if err == nil {
			update = out.Update
		}
		return err
	})
	if err != nil {
		return cloud.Wrap(c.ID(), doing, err)
	}
	return c.waitUpdate(ctx, doing, update, p)
}

// waitUpdate waits for an update and then for the cluster to be active again.
func (c *Cluster) waitUpdate(ctx context.Context, doing string, update *types.Update, p engine.Progress) error {
	if update == nil {
		return c.waitActive(ctx, p)
	}
	err := cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		out, err := c.api.DescribeUpdate(ctx, &eks.DescribeUpdateInput{Name: aws.String(c.Name()), UpdateId: update.Id})
		if cloud.IsUnsupported(err) {
			return true, nil // the cluster's own state has to do
		}
		if err != nil {
			return true, err
		}
		switch out.Update.Status {
		case types.UpdateStatusSuccessful:
			return true, nil
		case types.UpdateStatusFailed, types.UpdateStatusCancelled:
			return true, updateError(c.ID(), doing, out.Update)
		}
		p("%s", doing)
		return false, nil
	})
	if err != nil {
		return cloud.Wrap(c.ID(), doing, err)
	}
	return c.waitActive(ctx, p)
}

// updateError is why EKS gave an update up, in its words.
func updateError(id, doing string, u *types.Update) error {
	e := &cloud.Error{Resource: id, Doing: doing, Message: "EKS reports the update as " + strings.ToLower(string(u.Status)), Hint: "mend the cause and run 'aicluster up' again"}
	if len(u.Errors) > 0 {
		first := u.Errors[0]
		e.Code, e.Message = string(first.ErrorCode), aws.ToString(first.ErrorMessage)
		if len(first.ResourceIds) > 0 {
			e.Message += " (" + strings.Join(first.ResourceIds, ", ") + ")"
		}
	}
	return e
}
