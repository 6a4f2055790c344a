package sqs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/wire"
)

// Attributes that queues may be given, with their defaults and bounds (API
// reference, SetQueueAttributes).
const (
	policy     = string(types.QueueAttributeNamePolicy)
	retention  = string(types.QueueAttributeNameMessageRetentionPeriod)
	visibility = string(types.QueueAttributeNameVisibilityTimeout)
	delay      = string(types.QueueAttributeNameDelaySeconds)
	waiting    = string(types.QueueAttributeNameReceiveMessageWaitTimeSeconds)
	encrypted  = string(types.QueueAttributeNameSqsManagedSseEnabled)
	size       = string(types.QueueAttributeNameMaximumMessageSize)
)

func defaults() map[string]string {
	return map[string]string{retention: "345600", visibility: "30", delay: "0", waiting: "0", encrypted: "true", size: "1048576"}
}

func bounds() map[string][2]int {
	return map[string][2]int{retention: {60, 1209600}, visibility: {0, 43200}, delay: {0, 900}, waiting: {0, 20}, size: {1024, 1048576}}
}

// maxTags is how many tags a queue may have (SQS developer guide, "Amazon SQS
// cost allocation tags").
const maxTags = 50

func checkAttributes(set map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(set)) {
		value := set[name]
		limits, number := bounds()[name]
		switch {
		case number:
			n, err := strconv.Atoi(value)
			if err != nil || n < limits[0] || n > limits[1] {
				return invalidAttribute(name)
			}
		case name == policy:
			if value != "" && iam.CheckResourcePolicy(value) != nil {
				return invalidAttribute(name)
			}
		case name == encrypted:
			if value != "true" && value != "false" {
				return invalidAttribute(name)
			}
		default: // FIFO queues, keys of KMS and dead letters are not played
			return &types.InvalidAttributeName{Message: aws.String("Unknown Attribute " + name + ".")}
		}
	}
	return nil
}

func checkTags(tags, have map[string]string) error {
	all := map[string]string{}
	maps.Copy(all, have)
	for k, v := range tags {
		if strings.HasPrefix(strings.ToLower(k), "aws:") {
			return invalidParameter("aws: prefixed tag key names are not allowed for external use.") // words not found
		}
		all[k] = v
	}
	if len(all) > maxTags {
		return invalidParameter("Too many tags added for queue. Maximum number is %d.", maxTags) // words not found
	}
	return nil
}

// find finds a queue by its URL; s.mu is held.
func (s *Service) find(ctx context.Context, url *string) (key, *queue, error) {
	k := key{wire.Region(ctx), (*url)[strings.LastIndexByte(*url, '/')+1:]}
	q := s.queues[k]
	if q == nil || k.url() != *url {
		return k, nil, missing()
	}
	return k, q, nil
}

func (s *Service) createQueue(ctx context.Context, in *sqs.CreateQueueInput) (*sqs.CreateQueueOutput, error) {
	if !queueName.MatchString(*in.QueueName) {
		return nil, invalidParameter("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	if err := checkAttributes(in.Attributes); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags, nil); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{wire.Region(ctx), *in.QueueName}
	if q := s.queues[k]; q != nil {
		for _, name := range slices.Sorted(maps.Keys(in.Attributes)) {
			if q.attributes[name] != in.Attributes[name] {
				return nil, &types.QueueNameExists{Message: aws.String("A queue already exists with the same name and a different value for attribute " + name), ErrorCodeOverride: aws.String(codeExists)}
			}
		}
		return &sqs.CreateQueueOutput{QueueUrl: aws.String(k.url())}, nil
	}
	if gone, ok := s.deleted[k]; ok && time.Since(gone) < s.clock.Scale(forgets) {
		return nil, &types.QueueDeletedRecently{Message: aws.String("You must wait 60 seconds after deleting a queue before you can create another with the same name."), ErrorCodeOverride: aws.String(codeRecent)}
	}
	q := &queue{created: time.Now(), modified: time.Now(), attributes: defaults(), tags: map[string]string{}, news: make(chan struct{})}
	maps.Copy(q.attributes, in.Attributes)
	maps.Copy(q.tags, in.Tags)
	s.queues[k] = q
	return &sqs.CreateQueueOutput{QueueUrl: aws.String(k.url())}, nil
}

func (s *Service) deleteQueue(ctx context.Context, in *sqs.DeleteQueueInput) (*sqs.DeleteQueueOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, q, err := s.find(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	close(q.news)
	delete(s.queues, k)
	s.deleted[k] = time.Now()
	return &sqs.DeleteQueueOutput{}, nil
}

func (s *Service) getQueueURL(ctx context.Context, in *sqs.GetQueueUrlInput) (*sqs.GetQueueUrlOutput, error) {
	if owner := aws.ToString(in.QueueOwnerAWSAccountId); owner != "" && owner != wire.AccountID {
		return nil, missing()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{wire.Region(ctx), *in.QueueName}
	if s.queues[k] == nil {
		return nil, missing()
	}
	return &sqs.GetQueueUrlOutput{QueueUrl: aws.String(k.url())}, nil
}

func (s *Service) listQueues(ctx context.Context, in *sqs.ListQueuesInput) (*sqs.ListQueuesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &sqs.ListQueuesOutput{QueueUrls: []string{}}
	for k := range s.queues {
		if k.region == wire.Region(ctx) && strings.HasPrefix(k.name, aws.ToString(in.QueueNamePrefix)) {
			out.QueueUrls = append(out.QueueUrls, k.url())
		}
	}
	slices.Sort(out.QueueUrls)
	return out, nil
}

func (s *Service) getQueueAttributes(ctx context.Context, in *sqs.GetQueueAttributesInput) (*sqs.GetQueueAttributesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, q, err := s.find(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	seconds := func(t time.Time) string { return fmt.Sprint(t.Unix()) }
	all := maps.Clone(q.attributes)
	maps.Copy(all, map[string]string{
		"QueueArn": k.arn(), "CreatedTimestamp": seconds(q.created), "LastModifiedTimestamp": seconds(q.modified),
		"ApproximateNumberOfMessages": fmt.Sprint(q.count(false)), "ApproximateNumberOfMessagesNotVisible": fmt.Sprint(q.count(true)), "ApproximateNumberOfMessagesDelayed": "0",
	})
	out := map[string]string{}
	for _, name := range in.AttributeNames {
		if name == types.QueueAttributeNameAll {
			return &sqs.GetQueueAttributesOutput{Attributes: all}, nil
		}
		if !slices.Contains(name.Values(), name) {
			return nil, &types.InvalidAttributeName{Message: aws.String("Unknown Attribute " + string(name) + ".")}
		}
		if value, ok := all[string(name)]; ok {
			out[string(name)] = value
		}
	}
	return &sqs.GetQueueAttributesOutput{Attributes: out}, nil
}

func (s *Service) setQueueAttributes(ctx context.Context, in *sqs.SetQueueAttributesInput) (*sqs.SetQueueAttributesOutput, error) {
	if err := checkAttributes(in.Attributes); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, q, err := s.find(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	maps.Copy(q.attributes, in.Attributes)
	if q.attributes[policy] == "" {
		delete(q.attributes, policy)
	}
	q.modified = time.Now()
	return &sqs.SetQueueAttributesOutput{}, nil
}

func (s *Service) tagQueue(ctx context.Context, in *sqs.TagQueueInput) (*sqs.TagQueueOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, q, err := s.find(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags, q.tags); err != nil {
		return nil, err
	}
	maps.Copy(q.tags, in.Tags)
	return &sqs.TagQueueOutput{}, nil
}

func (s *Service) untagQueue(ctx context.Context, in *sqs.UntagQueueInput) (*sqs.UntagQueueOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, q, err := s.find(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(q.tags, k)
	}
	return &sqs.UntagQueueOutput{}, nil
}

func (s *Service) listQueueTags(ctx context.Context, in *sqs.ListQueueTagsInput) (*sqs.ListQueueTagsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, q, err := s.find(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return &sqs.ListQueueTagsOutput{Tags: maps.Clone(q.tags)}, nil
}
