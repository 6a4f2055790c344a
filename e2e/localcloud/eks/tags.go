package eks

import (
	"context"
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/e2e/localcloud/wire"
)

// tagged finds the tags of the resource of an ARN; s.mu is held.
func (s *Service) tagged(ctx context.Context, resource string) (*map[string]string, error) {
	for key, c := range s.clusters {
		if key.region != wire.Region(ctx) {
			continue
		}
		if *c.data.Arn == resource {
			return &c.data.Tags, nil
		}
		for _, ng := range c.nodegroups {
			if *ng.data.NodegroupArn == resource {
				return &ng.data.Tags, nil
			}
		}
		for _, a := range c.addons {
			if *a.data.AddonArn == resource {
				return &a.data.Tags, nil
			}
		}
		for _, p := range c.fargate {
			if *p.FargateProfileArn == resource {
				return &p.Tags, nil
			}
		}
		for _, e := range c.entries {
			if *e.AccessEntryArn == resource {
				return &e.Tags, nil
			}
		}
		for _, a := range c.associations {
			if *a.AssociationArn == resource {
				return &a.Tags, nil
			}
		}
	}
	return nil, &types.NotFoundException{Message: aws.String("The specified resource could not be found: " + resource)}
}

// TagResource sets tags.
func (s *Service) TagResource(ctx context.Context, in *eks.TagResourceInput) (*eks.TagResourceOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tags, err := s.tagged(ctx, *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	merged := maps.Clone(*tags)
	if merged == nil {
		merged = map[string]string{}
	}
	for k, v := range in.Tags {
		if strings.HasPrefix(strings.ToLower(k), "aws:") {
			return nil, &types.BadRequestException{Message: aws.String("Tag keys must not begin with aws:")}
		}
		merged[k] = v
	}
	if len(merged) > 50 {
		return nil, &types.BadRequestException{Message: aws.String("Too many tags: at most 50")}
	}
	*tags = merged
	return &eks.TagResourceOutput{}, nil
}

// UntagResource takes tags away.
func (s *Service) UntagResource(ctx context.Context, in *eks.UntagResourceInput) (*eks.UntagResourceOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tags, err := s.tagged(ctx, *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	left := maps.Clone(*tags)
	for _, k := range in.TagKeys {
		delete(left, k)
	}
	*tags = left
	return &eks.UntagResourceOutput{}, nil
}

// ListTagsForResource lists tags.
func (s *Service) ListTagsForResource(ctx context.Context, in *eks.ListTagsForResourceInput) (*eks.ListTagsForResourceOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tags, err := s.tagged(ctx, *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &eks.ListTagsForResourceOutput{Tags: maps.Clone(*tags)}, nil
}
