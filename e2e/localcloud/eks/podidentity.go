package eks

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/e2e/localcloud/wire"
)

// checkPodRole refuses a role that pods could not be given.
func (s *Service) checkPodRole(cluster, roleARN string) error {
	role, ok := s.opts.IAM.Role(roleARN)
	switch {
	case !ok:
		return invalidParameter(cluster, "", "Role provided in the request does not exist.")
	case !role.Trusts("pods.eks.amazonaws.com"):
		return invalidParameter(cluster, "", "Trust policy of role %s must allow pods.eks.amazonaws.com to perform sts:AssumeRole and sts:TagSession", roleARN)
	}
	return nil
}

// associate records an association; s.mu is held. An owner is the add-on that
// it belongs to.
func (c *cluster) associate(namespace, account, roleARN, owner string, tags map[string]string) (*types.PodIdentityAssociation, error) {
	for _, id := range sortedKeys(c.associations) {
		if a := c.associations[id]; *a.Namespace == namespace && *a.ServiceAccount == account {
			return nil, inUse(c.key.name, "", "Association already exists: %s", id)
		}
	}
	id := "a-" + short(17)
	a := &types.PodIdentityAssociation{
		AssociationId: aws.String(id), AssociationArn: aws.String(arn(c.key.region, "podidentityassociation/"+c.key.name+"/"+id)),
		ClusterName: aws.String(c.key.name), Namespace: aws.String(namespace), ServiceAccount: aws.String(account), RoleArn: aws.String(roleARN),
		CreatedAt: now(), ModifiedAt: now(), Tags: tags, DisableSessionTags: aws.Bool(false),
	}
	if a.Tags == nil {
		a.Tags = map[string]string{}
	}
	if owner != "" {
		a.OwnerArn = aws.String(owner)
	}
	c.associations[id] = a
	return a, nil
}

// CreatePodIdentityAssociation gives the pods of a service account a role.
func (s *Service) CreatePodIdentityAssociation(ctx context.Context, in *eks.CreatePodIdentityAssociationInput) (*eks.CreatePodIdentityAssociationOutput, error) {
	if err := s.checkPodRole(*in.ClusterName, *in.RoleArn); err != nil {
		return nil, err
	}
	if err := checkNewTags(*in.ClusterName, "", in.Tags); err != nil {
		return nil, err
	}
	// "When using this policy, disableSessionTags must be set to true" (API reference; words not found).
	if in.Policy != nil && !deref(in.DisableSessionTags) {
		return nil, invalidParameter(*in.ClusterName, "", "disableSessionTags must be true when a policy is specified")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.active(wire.Region(ctx), in.ClusterName)
	if err != nil {
		return nil, err
	}
	asked := requestOf(in.ClientRequestToken, in)
	for _, id := range sortedKeys(c.associations) {
		if again, err := c.asked[id].again(asked, c.key.name, ""); again || err != nil {
			out := *c.associations[id]
			return &eks.CreatePodIdentityAssociationOutput{Association: &out}, err
		}
	}
	a, err := c.associate(*in.Namespace, *in.ServiceAccount, *in.RoleArn, "", in.Tags)
	if err != nil {
		return nil, err
	}
	c.asked[*a.AssociationId] = asked
	if in.DisableSessionTags != nil {
		a.DisableSessionTags = in.DisableSessionTags
	}
	a.TargetRoleArn, a.Policy = in.TargetRoleArn, in.Policy
	out := *a
	return &eks.CreatePodIdentityAssociationOutput{Association: &out}, nil
}

func (s *Service) association(ctx context.Context, cluster, id *string) (*cluster, *types.PodIdentityAssociation, error) {
	c, err := s.cluster(wire.Region(ctx), cluster)
	if err != nil {
		return nil, nil, err
	}
	a := c.associations[deref(id)]
	if a == nil {
		// Words not found.
		return nil, nil, notFound("No pod identity association found for associationId: %s.", deref(id))
	}
	return c, a, nil
}

// DescribePodIdentityAssociation shows one association.
func (s *Service) DescribePodIdentityAssociation(ctx context.Context, in *eks.DescribePodIdentityAssociationInput) (*eks.DescribePodIdentityAssociationOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, a, err := s.association(ctx, in.ClusterName, in.AssociationId)
	if err != nil {
		return nil, err
	}
	out := *a
	return &eks.DescribePodIdentityAssociationOutput{Association: &out}, nil
}

// ListPodIdentityAssociations lists associations by namespace and service account.
func (s *Service) ListPodIdentityAssociations(ctx context.Context, in *eks.ListPodIdentityAssociationsInput) (*eks.ListPodIdentityAssociationsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.cluster(wire.Region(ctx), in.ClusterName)
	if err != nil {
		return nil, err
	}
	out := &eks.ListPodIdentityAssociationsOutput{}
	for _, id := range sortedKeys(c.associations) {
		a := c.associations[id]
		if in.Namespace != nil && *in.Namespace != *a.Namespace || in.ServiceAccount != nil && *in.ServiceAccount != *a.ServiceAccount {
			continue
		}
		out.Associations = append(out.Associations, types.PodIdentityAssociationSummary{
			AssociationArn: a.AssociationArn, AssociationId: a.AssociationId, ClusterName: a.ClusterName,
			Namespace: a.Namespace, OwnerArn: a.OwnerArn, ServiceAccount: a.ServiceAccount,
		})
	}
	return out, nil
}

// UpdatePodIdentityAssociation changes the role.
func (s *Service) UpdatePodIdentityAssociation(ctx context.Context, in *eks.UpdatePodIdentityAssociationInput) (*eks.UpdatePodIdentityAssociationOutput, error) {
	if in.RoleArn != nil {
		if err := s.checkPodRole(*in.ClusterName, *in.RoleArn); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, a, err := s.association(ctx, in.ClusterName, in.AssociationId)
	if err != nil {
		return nil, err
	}
	_ = in.ClientRequestToken // the same request again changes nothing
	if in.RoleArn != nil {
		a.RoleArn = in.RoleArn
	}
	if in.DisableSessionTags != nil {
		a.DisableSessionTags = in.DisableSessionTags
	}
	if in.TargetRoleArn != nil {
		a.TargetRoleArn = in.TargetRoleArn
	}
	a.ModifiedAt = now()
	out := *a
	return &eks.UpdatePodIdentityAssociationOutput{Association: &out}, nil
}

// DeletePodIdentityAssociation takes a role from a service account. One that
// belongs to an add-on is the add-on's to change.
func (s *Service) DeletePodIdentityAssociation(ctx context.Context, in *eks.DeletePodIdentityAssociationInput) (*eks.DeletePodIdentityAssociationOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, a, err := s.association(ctx, in.ClusterName, in.AssociationId)
	if err != nil {
		return nil, err
	}
	if a.OwnerArn != nil {
		return nil, invalidRequest(c.key.name, "", "The pod identity association is owned by %s and cannot be deleted", *a.OwnerArn)
	}
	delete(c.associations, *a.AssociationId)
	out := *a
	return &eks.DeletePodIdentityAssociationOutput{Association: &out}, nil
}

// associationsOf are the ARNs of an add-on's associations; s.mu is held.
func (c *cluster) associationsOf(owner string) []string {
	var list []string
	for _, a := range c.associations {
		if deref(a.OwnerArn) == owner {
			list = append(list, *a.AssociationArn)
		}
	}
	slices.Sort(list)
	return list
}
