package events

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"aicluster/e2e/localcloud/wire"
)

// Limits (EventBridge user guide, "Amazon EventBridge quotas").
const (
	maxRules   = 300 // on a bus
	maxTargets = 5   // of a rule
	maxTags    = 50
)

func (s *Service) find(ctx context.Context, bus, name *string) (key, *rule, error) {
	if err := onDefault(bus); err != nil {
		return key{}, nil, err
	}
	k := key{wire.Region(ctx), *name}
	r := s.rules[k]
	if r == nil {
		return k, nil, missing(*name)
	}
	return k, r, nil
}

// putRule makes a rule or changes it. Tags count only when it is made (API
// reference, PutRule).
func (s *Service) putRule(ctx context.Context, in *eventbridge.PutRuleInput) (*eventbridge.PutRuleOutput, error) {
	if err := onDefault(in.EventBusName); err != nil {
		return nil, err
	}
	if in.EventPattern == nil { // schedules are not played
		return nil, validation("Parameter(s) EventPattern or ScheduleExpression must be specified.")
	}
	if err := checkPattern(*in.EventPattern); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags, nil); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{wire.Region(ctx), *in.Name}
	r := s.rules[k]
	if r == nil {
		if len(s.rules) >= maxRules {
			return nil, &types.LimitExceededException{Message: aws.String("The requested resource exceeds the maximum number allowed.")}
		}
		r = &rule{tags: tagMap(in.Tags)}
		s.rules[k] = r
	}
	r.pattern, r.description, r.role = *in.EventPattern, aws.ToString(in.Description), aws.ToString(in.RoleArn)
	if r.state = in.State; r.state == "" {
		r.state = types.RuleStateEnabled
	}
	return &eventbridge.PutRuleOutput{RuleArn: aws.String(k.arn())}, nil
}

func (s *Service) describeRule(ctx context.Context, in *eventbridge.DescribeRuleInput) (*eventbridge.DescribeRuleOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, r, err := s.find(ctx, in.EventBusName, in.Name)
	if err != nil {
		return nil, err
	}
	out := &eventbridge.DescribeRuleOutput{
		Name: aws.String(k.name), Arn: aws.String(k.arn()), EventPattern: aws.String(r.pattern), State: r.state, EventBusName: aws.String(bus), CreatedBy: aws.String(wire.AccountID),
	}
	if r.description != "" {
		out.Description = aws.String(r.description)
	}
	if r.role != "" {
		out.RoleArn = aws.String(r.role)
	}
	return out, nil
}

func (s *Service) listRules(ctx context.Context, in *eventbridge.ListRulesInput) (*eventbridge.ListRulesOutput, error) {
	if err := onDefault(in.EventBusName); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &eventbridge.ListRulesOutput{Rules: []types.Rule{}}
	for k, r := range s.rules {
		if k.region == wire.Region(ctx) && strings.HasPrefix(k.name, aws.ToString(in.NamePrefix)) {
			out.Rules = append(out.Rules, types.Rule{Name: aws.String(k.name), Arn: aws.String(k.arn()), EventPattern: aws.String(r.pattern), State: r.state, EventBusName: aws.String(bus)})
		}
	}
	slices.SortFunc(out.Rules, func(a, b types.Rule) int { return strings.Compare(*a.Name, *b.Name) })
	return out, nil
}

func (s *Service) deleteRule(ctx context.Context, in *eventbridge.DeleteRuleInput) (*eventbridge.DeleteRuleOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, r, err := s.find(ctx, in.EventBusName, in.Name)
	if err != nil {
		return nil, err
	}
	if len(r.targets) > 0 {
		return nil, validation("Rule can't be deleted since it has targets.")
	}
	delete(s.rules, k)
	return &eventbridge.DeleteRuleOutput{}, nil
}

func (s *Service) putTargets(ctx context.Context, in *eventbridge.PutTargetsInput) (*eventbridge.PutTargetsOutput, error) {
	for _, t := range in.Targets {
		if !strings.HasPrefix(*t.Arn, "arn:aws:") || len(strings.Split(*t.Arn, ":")) < 6 {
			return nil, validation("Parameter %s is not valid. Reason: Provided Arn is not in correct format.", *t.Arn)
		}
		if !strings.HasPrefix(*t.Arn, "arn:aws:sqs:") {
			return nil, validation("Parameter %s is not valid. Reason: the local cloud delivers to queues only.", *t.Arn)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, r, err := s.find(ctx, in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	targets := slices.Clone(r.targets)
	for _, t := range in.Targets {
		targets = slices.DeleteFunc(targets, func(have types.Target) bool { return *have.Id == *t.Id })
		targets = append(targets, types.Target{Id: t.Id, Arn: t.Arn})
	}
	if len(targets) > maxTargets {
		return nil, &types.LimitExceededException{Message: aws.String("The requested resource exceeds the maximum number allowed.")}
	}
	r.targets = targets
	return &eventbridge.PutTargetsOutput{FailedEntries: []types.PutTargetsResultEntry{}}, nil
}

func (s *Service) removeTargets(ctx context.Context, in *eventbridge.RemoveTargetsInput) (*eventbridge.RemoveTargetsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, r, err := s.find(ctx, in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	r.targets = slices.DeleteFunc(r.targets, func(t types.Target) bool { return slices.Contains(in.Ids, *t.Id) })
	return &eventbridge.RemoveTargetsOutput{FailedEntries: []types.RemoveTargetsResultEntry{}}, nil
}

func (s *Service) listTargetsByRule(ctx context.Context, in *eventbridge.ListTargetsByRuleInput) (*eventbridge.ListTargetsByRuleOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, r, err := s.find(ctx, in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	return &eventbridge.ListTargetsByRuleOutput{Targets: append([]types.Target{}, r.targets...)}, nil
}

func tagMap(tags []types.Tag) map[string]string {
	m := map[string]string{}
	for _, t := range tags {
		m[*t.Key] = *t.Value
	}
	return m
}

func checkTags(tags []types.Tag, have map[string]string) error {
	all := map[string]string{}
	maps.Copy(all, have)
	for _, t := range tags {
		if strings.HasPrefix(strings.ToLower(*t.Key), "aws:") {
			return validation("aws: prefixed tag key names are not allowed for external use.") // words not found
		}
		all[*t.Key] = *t.Value
	}
	if len(all) > maxTags {
		return &types.LimitExceededException{Message: aws.String("The requested resource exceeds the maximum number allowed.")}
	}
	return nil
}

// tagged finds a rule by its ARN; s.mu is held.
func (s *Service) tagged(ctx context.Context, arn *string) (*rule, error) {
	name := (*arn)[strings.LastIndexByte(*arn, '/')+1:]
	if k, r, err := s.find(ctx, nil, &name); err == nil && k.arn() == *arn {
		return r, nil
	}
	return nil, missing(name)
}

func (s *Service) tagResource(ctx context.Context, in *eventbridge.TagResourceInput) (*eventbridge.TagResourceOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.tagged(ctx, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags, r.tags); err != nil {
		return nil, err
	}
	maps.Copy(r.tags, tagMap(in.Tags))
	return &eventbridge.TagResourceOutput{}, nil
}

func (s *Service) untagResource(ctx context.Context, in *eventbridge.UntagResourceInput) (*eventbridge.UntagResourceOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.tagged(ctx, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(r.tags, k)
	}
	return &eventbridge.UntagResourceOutput{}, nil
}

func (s *Service) listTagsForResource(ctx context.Context, in *eventbridge.ListTagsForResourceInput) (*eventbridge.ListTagsForResourceOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.tagged(ctx, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	out := &eventbridge.ListTagsForResourceOutput{Tags: []types.Tag{}}
	for _, k := range slices.Sorted(maps.Keys(r.tags)) {
		out.Tags = append(out.Tags, types.Tag{Key: aws.String(k), Value: aws.String(r.tags[k])})
	}
	return out, nil
}
