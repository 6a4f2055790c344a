package elbv2

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// maxTags is the quota of tags per resource.
const maxTags = 50

// missing is the error for an ARN that names nothing, by what it would name.
func missing(arn string) error {
	message := aws.String(fmt.Sprintf("One or more %s not found", kindOf(arn)))
	switch kindOf(arn) {
	case "target groups":
		return &types.TargetGroupNotFoundException{Message: message}
	case "listeners":
		return &types.ListenerNotFoundException{Message: message}
	}
	return &types.LoadBalancerNotFoundException{Message: message}
}

func kindOf(arn string) string {
	switch {
	case strings.Contains(arn, ":targetgroup/"):
		return "target groups"
	case strings.Contains(arn, ":listener/"):
		return "listeners"
	}
	return "load balancers"
}

func (s *Service) addTags(_ context.Context, in *elbv2.AddTagsInput) (*elbv2.AddTagsOutput, error) {
	tags, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, arn := range in.ResourceArns {
		if s.tags[arn] == nil {
			return nil, missing(arn)
		}
		merged := maps.Clone(s.tags[arn])
		maps.Copy(merged, tags)
		if len(merged) > maxTags {
			return nil, &types.TooManyTagsException{Message: aws.String("The maximum number of tags has been reached")}
		}
	}
	for _, arn := range in.ResourceArns {
		maps.Copy(s.tags[arn], tags)
	}
	return &elbv2.AddTagsOutput{}, nil
}

func (s *Service) removeTags(_ context.Context, in *elbv2.RemoveTagsInput) (*elbv2.RemoveTagsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, arn := range in.ResourceArns {
		if s.tags[arn] == nil {
			return nil, missing(arn)
		}
		for _, k := range in.TagKeys {
			delete(s.tags[arn], k)
		}
	}
	return &elbv2.RemoveTagsOutput{}, nil
}

func (s *Service) describeTags(_ context.Context, in *elbv2.DescribeTagsInput) (*elbv2.DescribeTagsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &elbv2.DescribeTagsOutput{TagDescriptions: []types.TagDescription{}}
	for _, arn := range in.ResourceArns {
		tags := s.tags[arn]
		if tags == nil {
			return nil, missing(arn)
		}
		d := types.TagDescription{ResourceArn: aws.String(arn), Tags: []types.Tag{}}
		for _, k := range sorted(tags) {
			d.Tags = append(d.Tags, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
		}
		out.TagDescriptions = append(out.TagDescriptions, d)
	}
	return out, nil
}
