package efs

import (
	"context"
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/efs"
	"github.com/aws/aws-sdk-go-v2/service/efs/types"
)

// maxTags is the limit of tags per file system (EFS User Guide, "Tagging EFS resources").
const maxTags = 50

// tagMap merges new tags into those that a file system has, by EFS's rules.
func tagMap(tags []types.Tag, have map[string]string) (map[string]string, error) {
	merged := maps.Clone(have)
	if merged == nil {
		merged = map[string]string{}
	}
	for _, t := range tags {
		key := aws.ToString(t.Key)
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return nil, badRequest("Tag keys cannot start with 'aws:'.")
		}
		merged[key] = aws.ToString(t.Value)
	}
	if len(merged) > maxTags {
		return nil, badRequest("A resource can have at most %d tags.", maxTags)
	}
	return merged, nil
}

func sdkTags(tags map[string]string) []types.Tag {
	list := []types.Tag{}
	for _, k := range sorted(tags) {
		list = append(list, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return list
}

func (s *Service) tagResource(ctx context.Context, in *efs.TagResourceInput) (*efs.TagResourceOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.system(ctx, in.ResourceId)
	if err != nil {
		return nil, err
	}
	tags, err := tagMap(in.Tags, f.tags)
	if err != nil {
		return nil, err
	}
	f.tags = tags
	return &efs.TagResourceOutput{}, nil
}

func (s *Service) untagResource(ctx context.Context, in *efs.UntagResourceInput) (*efs.UntagResourceOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.system(ctx, in.ResourceId)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(f.tags, k)
	}
	return &efs.UntagResourceOutput{}, nil
}

func (s *Service) listTags(ctx context.Context, in *efs.ListTagsForResourceInput) (*efs.ListTagsForResourceOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.system(ctx, in.ResourceId)
	if err != nil {
		return nil, err
	}
	return &efs.ListTagsForResourceOutput{Tags: sdkTags(f.tags)}, nil
}
