package eks

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/google/uuid"

	"aicluster/e2e/localcloud/wire"
)

// update is one update of a cluster, a node group or an add-on.
type update struct {
	types.Update
	nodegroup, addon string
	request          request
}

// begin records an update that is in progress; s.mu is held.
func (c *cluster) begin(kind types.UpdateType, asked request, params ...types.UpdateParam) *update {
	u := &update{request: asked}
	u.Id, u.Type, u.Status, u.CreatedAt, u.Params = aws.String(uuid.NewString()), kind, types.UpdateStatusInProgress, now(), params
	c.updates = append(c.updates, u)
	return u
}

// output is a copy to answer with.
func (u *update) output() *types.Update {
	out := u.Update
	return &out
}

func (u *update) fail(code types.ErrorCode, message string, resources ...string) {
	u.Status = types.UpdateStatusFailed
	u.Errors = append(u.Errors, types.ErrorDetail{ErrorCode: code, ErrorMessage: aws.String(message), ResourceIds: resources})
}

func param(kind types.UpdateParamType, value string) types.UpdateParam {
	return types.UpdateParam{Type: kind, Value: aws.String(value)}
}

// DescribeUpdate shows one update.
func (s *Service) DescribeUpdate(ctx context.Context, in *eks.DescribeUpdateInput) (*eks.DescribeUpdateOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.cluster(wire.Region(ctx), in.Name)
	if err != nil {
		return nil, err
	}
	for _, u := range c.updates {
		if *u.Id == *in.UpdateId && u.nodegroup == deref(in.NodegroupName) && u.addon == deref(in.AddonName) {
			return &eks.DescribeUpdateOutput{Update: u.output()}, nil
		}
	}
	return nil, notFound("No update found for ID: %s", *in.UpdateId)
}

// ListUpdates lists the ids of updates, newest first.
func (s *Service) ListUpdates(ctx context.Context, in *eks.ListUpdatesInput) (*eks.ListUpdatesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.cluster(wire.Region(ctx), in.Name)
	if err != nil {
		return nil, err
	}
	if in.NodegroupName != nil && c.nodegroups[*in.NodegroupName] == nil {
		return nil, noNodegroup(c.key.name, *in.NodegroupName)
	}
	if in.AddonName != nil && c.addons[*in.AddonName] == nil {
		return nil, noAddon(c.key.name, *in.AddonName)
	}
	out := &eks.ListUpdatesOutput{}
	for i := len(c.updates) - 1; i >= 0; i-- {
		if u := c.updates[i]; u.nodegroup == deref(in.NodegroupName) && u.addon == deref(in.AddonName) {
			out.UpdateIds = append(out.UpdateIds, *u.Id)
		}
	}
	return out, nil
}
