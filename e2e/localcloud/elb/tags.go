package elb

import (
	"context"
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
)

// maxTags is the quota of tags per resource.
const maxTags = 50

// mergeTags adds tags to those there are, all or none.
func mergeTags(have map[string]string, tags []types.Tag) error {
	more := map[string]string{}
	for _, t := range tags {
		k := aws.ToString(t.Key)
		if _, ok := more[k]; ok {
			return &types.DuplicateTagKeysException{Message: aws.String("The same tag key has been specified more than once.")}
		}
		if strings.HasPrefix(strings.ToLower(k), "aws:") {
			return validation("aws: prefixed tag key names are not allowed for external use.")
		}
		more[k] = aws.ToString(t.Value)
	}
	all := maps.Clone(have)
	maps.Copy(all, more)
	if len(all) > maxTags {
		return &types.TooManyTagsException{Message: aws.String("The quota for the number of tags that can be assigned to a load balancer has been reached.")}
	}
	maps.Copy(have, more)
	return nil
}

func (s *Service) addTags(ctx context.Context, in *elasticloadbalancing.AddTagsInput) (*elasticloadbalancing.AddTagsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.one(ctx, in.LoadBalancerNames)
	if err != nil {
		return nil, err
	}
	return &elasticloadbalancing.AddTagsOutput{}, mergeTags(b.tags, in.Tags)
}

// one is for the calls that take a list of names but only one in it ("You can
// specify one load balancer only").
func (s *Service) one(ctx context.Context, names []string) (*balancer, error) {
	if len(names) != 1 {
		return nil, validation("Only one load balancer can be specified")
	}
	return s.find(ctx, &names[0])
}

func (s *Service) removeTags(ctx context.Context, in *elasticloadbalancing.RemoveTagsInput) (*elasticloadbalancing.RemoveTagsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.one(ctx, in.LoadBalancerNames)
	if err != nil {
		return nil, err
	}
	for _, t := range in.Tags {
		delete(b.tags, aws.ToString(t.Key))
	}
	return &elasticloadbalancing.RemoveTagsOutput{}, nil
}

func (s *Service) describeTags(ctx context.Context, in *elasticloadbalancing.DescribeTagsInput) (*elasticloadbalancing.DescribeTagsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &elasticloadbalancing.DescribeTagsOutput{TagDescriptions: []types.TagDescription{}}
	for _, name := range in.LoadBalancerNames {
		b, err := s.find(ctx, &name)
		if err != nil {
			return nil, err
		}
		d := types.TagDescription{LoadBalancerName: aws.String(b.name), Tags: []types.Tag{}}
		for _, k := range sorted(b.tags) {
			d.Tags = append(d.Tags, types.Tag{Key: aws.String(k), Value: aws.String(b.tags[k])})
		}
		out.TagDescriptions = append(out.TagDescriptions, d)
	}
	return out, nil
}
