package eks

import (
	"context"
	"fmt"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/google/uuid"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/wire"
)

// Fargate profiles exist and hold their cluster; no pod runs on Fargate here.

// maxFargateProfiles is the default quota "Fargate profiles per cluster", and
// maxSelectors "Selectors per Fargate profile".
const (
	maxFargateProfiles = 10
	maxSelectors       = 5
)

func (c *cluster) fargateProfile(name *string) (*types.FargateProfile, error) {
	if p := c.fargate[deref(name)]; p != nil {
		return p, nil
	}
	return nil, &types.ResourceNotFoundException{
		Message: aws.String(fmt.Sprintf("No Fargate Profile found with name: %s.", deref(name))), ClusterName: &c.key.name, FargateProfileName: name,
	}
}

// CreateFargateProfile makes a profile; its words are those that moto has from AWS.
func (s *Service) CreateFargateProfile(ctx context.Context, in *eks.CreateFargateProfileInput) (*eks.CreateFargateProfileOutput, error) {
	name := *in.FargateProfileName
	switch {
	case len(in.Selectors) == 0:
		return nil, invalidParameter(*in.ClusterName, "", "Fargate Profile requires at least one selector.")
	case len(in.Selectors) > maxSelectors: // words not found
		return nil, invalidParameter(*in.ClusterName, "", "Fargate Profile can have at most %d selectors.", maxSelectors)
	}
	for _, sel := range in.Selectors {
		switch {
		case deref(sel.Namespace) == "":
			return nil, invalidParameter(*in.ClusterName, "", "Fargate Profile must have at least one selector with at least one namespace value.")
		case len(sel.Labels) > 5:
			return nil, invalidParameter(*in.ClusterName, "", "Request contains Selector with more than 5 Label pairs")
		}
	}
	if role, ok := s.opts.IAM.Role(*in.PodExecutionRoleArn); !ok || !role.Trusts("eks-fargate-pods.amazonaws.com") {
		return nil, invalidParameter(*in.ClusterName, "", "Misconfigured PodExecutionRole Trust Policy; Please add the eks-fargate-pods.amazonaws.com Service Principal")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.active(wire.Region(ctx), in.ClusterName)
	if err != nil {
		return nil, err
	}
	token := deref(in.ClientRequestToken)
	switch {
	case c.fargate[name] != nil && token != "" && c.fargateToken[name] == token:
		again := *c.fargate[name]
		return &eks.CreateFargateProfileOutput{FargateProfile: &again}, nil
	case c.fargate[name] != nil:
		return nil, inUse(c.key.name, "", "A Fargate Profile already exists with this name in this cluster.")
	case len(c.fargate) >= maxFargateProfiles: // words not found
		return nil, limitExceeded("Maximum number of Fargate profiles (%d) reached for cluster %s", maxFargateProfiles, c.key.name)
	}
	p := &types.FargateProfile{
		FargateProfileName: in.FargateProfileName, ClusterName: in.ClusterName, PodExecutionRoleArn: in.PodExecutionRoleArn,
		FargateProfileArn: aws.String(arn(c.key.region, "fargateprofile/"+c.key.name+"/"+name+"/"+uuid.NewString())),
		Selectors:         in.Selectors, Subnets: in.Subnets, Tags: maps.Clone(in.Tags), CreatedAt: now(), Status: types.FargateProfileStatusCreating,
	}
	c.fargate[name], c.fargateToken[name] = p, token
	c.work.Go(func() {
		if s.clock.Wait(c.ctx, clock.AddonCreate) != nil {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if p.Status == types.FargateProfileStatusCreating {
			p.Status = types.FargateProfileStatusActive
		}
	})
	out := *p
	return &eks.CreateFargateProfileOutput{FargateProfile: &out}, nil
}

// DescribeFargateProfile shows one profile.
func (s *Service) DescribeFargateProfile(ctx context.Context, in *eks.DescribeFargateProfileInput) (*eks.DescribeFargateProfileOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.cluster(wire.Region(ctx), in.ClusterName)
	if err != nil {
		return nil, err
	}
	p, err := c.fargateProfile(in.FargateProfileName)
	if err != nil {
		return nil, err
	}
	out := *p
	return &eks.DescribeFargateProfileOutput{FargateProfile: &out}, nil
}

// ListFargateProfiles lists the names of a cluster's profiles.
func (s *Service) ListFargateProfiles(ctx context.Context, in *eks.ListFargateProfilesInput) (*eks.ListFargateProfilesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.cluster(wire.Region(ctx), in.ClusterName)
	if err != nil {
		return nil, err
	}
	return &eks.ListFargateProfilesOutput{FargateProfileNames: sortedKeys(c.fargate)}, nil
}

// DeleteFargateProfile deletes a profile, one at a time in a cluster
// (hashicorp/terraform#25059).
func (s *Service) DeleteFargateProfile(ctx context.Context, in *eks.DeleteFargateProfileInput) (*eks.DeleteFargateProfileOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.cluster(wire.Region(ctx), in.ClusterName)
	if err != nil {
		return nil, err
	}
	p, err := c.fargateProfile(in.FargateProfileName)
	if err != nil {
		return nil, err
	}
	for _, other := range sortedKeys(c.fargate) {
		if c.fargate[other].Status == types.FargateProfileStatusDeleting {
			return nil, inUse(c.key.name, "", "Cannot Delete Fargate Profile %s because cluster %s currently has Fargate profile %s in status DELETING", *p.FargateProfileName, c.key.name, other)
		}
	}
	p.Status = types.FargateProfileStatusDeleting
	c.work.Go(func() {
		if s.clock.Wait(c.ctx, clock.AddonDelete) != nil {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(c.fargate, *p.FargateProfileName)
		delete(c.fargateToken, *p.FargateProfileName)
	})
	out := *p
	return &eks.DeleteFargateProfileOutput{FargateProfile: &out}, nil
}
