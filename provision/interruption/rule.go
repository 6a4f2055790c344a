package interruption

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// RuleAPI is what this package uses of EventBridge.
type RuleAPI interface {
	PutRule(context.Context, *eventbridge.PutRuleInput, ...func(*eventbridge.Options)) (*eventbridge.PutRuleOutput, error)
	DescribeRule(context.Context, *eventbridge.DescribeRuleInput, ...func(*eventbridge.Options)) (*eventbridge.DescribeRuleOutput, error)
	DeleteRule(context.Context, *eventbridge.DeleteRuleInput, ...func(*eventbridge.Options)) (*eventbridge.DeleteRuleOutput, error)
	PutTargets(context.Context, *eventbridge.PutTargetsInput, ...func(*eventbridge.Options)) (*eventbridge.PutTargetsOutput, error)
	ListTargetsByRule(context.Context, *eventbridge.ListTargetsByRuleInput, ...func(*eventbridge.Options)) (*eventbridge.ListTargetsByRuleOutput, error)
	RemoveTargets(context.Context, *eventbridge.RemoveTargetsInput, ...func(*eventbridge.Options)) (*eventbridge.RemoveTargetsOutput, error)
	ListTagsForResource(context.Context, *eventbridge.ListTagsForResourceInput, ...func(*eventbridge.Options)) (*eventbridge.ListTagsForResourceOutput, error)
	TagResource(context.Context, *eventbridge.TagResourceInput, ...func(*eventbridge.Options)) (*eventbridge.TagResourceOutput, error)
}

// warnings are the events that Karpenter acts on (its documentation,
// "Interruption"): spot instances that are taken back or soon may be, instances
// that stop, and hosts that are to be serviced.
var warnings = map[string][]string{
	"source": {"aws.ec2", "aws.health"},
	"detail-type": {
		"AWS Health Event", "EC2 Instance Rebalance Recommendation", "EC2 Instance State-change Notification", "EC2 Spot Instance Interruption Warning",
	},
}

// target is the id of the queue among the rule's targets.
const target = "queue"

// Rule is the rule of EventBridge that puts warnings into a [Queue].
type Rule struct {
	api      RuleAPI
	owner    cloud.Owner
	queue    *Queue
	unwanted bool
	needs    []engine.Resource

	live    *eventbridge.DescribeRuleOutput // nil while it does not exist
	targets []types.Target
	tags    map[string]string
}

// NewRule makes the resource "event-rule/<name>".
func NewRule(api RuleAPI, owner cloud.Owner, queue *Queue) *Rule {
	return &Rule{api: api, owner: owner, queue: queue, unwanted: queue.unwanted, needs: []engine.Resource{queue}}
}

// ID implements [engine.Resource].
func (r *Rule) ID() string { return "event-rule/" + r.name() }

// Needs implements [engine.Resource].
func (r *Rule) Needs() []engine.Resource { return r.needs }

// Unwanted implements [engine.Unwanted].
func (r *Rule) Unwanted() bool { return r.unwanted }

func (r *Rule) name() string { return Name(r.owner.Cluster) }

// pattern is [warnings] as EventBridge takes it.
func pattern() string {
	text, err := json.Marshal(warnings)
	if err != nil {
		panic(fmt.Sprintf("a pattern of strings cannot fail to marshal: %v", err))
	}
	return string(text)
}

// Observe implements [engine.Resource].
func (r *Rule) Observe(ctx context.Context) (engine.Observation, error) {
	if err := r.read(ctx); err != nil {
		return engine.Observation{}, cloud.Wrap(r.ID(), "reading the rule", err)
	}
	if r.live == nil {
		return engine.Observation{}, nil
	}
	obs := engine.Observation{Exists: true, Detail: r.name()}
	if owner := r.tags[cloud.TagCluster]; owner != r.owner.Cluster {
		obs.Keep = "it does not carry the tag " + cloud.TagCluster + "=" + r.owner.Cluster
		obs.Changes = []engine.Change{{
			Field: "tags." + cloud.TagCluster, Live: owner, Wanted: r.owner.Cluster, Policy: engine.PolicyRefused,
			Hint: "a rule named " + r.name() + " exists that this cluster did not make: delete it, or name the cluster differently",
		}}
		return obs, nil
	}
	change := func(field string, live, wanted any) {
		obs.Changes = append(obs.Changes, engine.Change{Field: field, Live: live, Wanted: wanted, Policy: engine.PolicyInPlace})
	}
	if live := aws.ToString(r.live.EventPattern); !same(live, pattern()) {
		change("eventPattern", live, pattern())
	}
	if r.live.State != types.RuleStateEnabled {
		change("state", r.live.State, types.RuleStateEnabled)
	}
	if !r.aimed() {
		change("targets", r.targetARNs(), r.queue.ARN())
	}
	obs.Changes = append(obs.Changes, engine.TagChanges(r.tags, r.owner.Tags(""))...)
	return obs, nil
}

func (r *Rule) read(ctx context.Context) error {
	r.live, r.targets, r.tags = nil, nil, map[string]string{}
	live, err := r.api.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: aws.String(r.name())})
	if cloud.IsNotFound(err) || cloud.IsUnsupported(err) {
		return nil
	}
	if err != nil {
		return err
	}
	targets, err := r.api.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: aws.String(r.name())}) // a rule has five at most: one page
	if err != nil {
		return err
	}
	tags, err := r.api.ListTagsForResource(ctx, &eventbridge.ListTagsForResourceInput{ResourceARN: live.Arn})
	if err != nil {
		return err
	}
	r.live, r.targets = live, targets.Targets
	for _, t := range tags.Tags {
		r.tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return nil
}

// aimed tells that the queue is the rule's one target.
func (r *Rule) aimed() bool {
	return r.queue.ARN() != "" && slices.Equal(r.targetARNs(), []string{r.queue.ARN()})
}

func (r *Rule) targetARNs() []string {
	var arns []string
	for _, t := range r.targets {
		arns = append(arns, aws.ToString(t.Arn))
	}
	return arns
}

// Apply implements [engine.Resource]. Tags count only in the call that makes a
// rule (API reference, PutRule).
func (r *Rule) Apply(ctx context.Context, _ engine.Progress) error {
	made, err := r.api.PutRule(ctx, &eventbridge.PutRuleInput{
		Name: aws.String(r.name()), EventPattern: aws.String(pattern()), State: types.RuleStateEnabled, Tags: r.ruleTags(r.owner.Tags("")),
		Description: aws.String("Made by aicluster for the EKS cluster " + r.owner.Cluster + "."),
	})
	if err != nil {
		return cloud.Wrap(r.ID(), "writing the rule", err)
	}
	if set := cloud.TagChanges(r.tags, r.owner.Tags("")); r.live != nil && len(set) > 0 {
		if _, err := r.api.TagResource(ctx, &eventbridge.TagResourceInput{ResourceARN: made.RuleArn, Tags: r.ruleTags(set)}); err != nil {
			return cloud.Wrap(r.ID(), "tagging the rule", err)
		}
	}
	if r.aimed() {
		return nil
	}
	if err := r.removeTargets(ctx); err != nil {
		return cloud.Wrap(r.ID(), "taking other targets away", err)
	}
	out, err := r.api.PutTargets(ctx, &eventbridge.PutTargetsInput{
		Rule: aws.String(r.name()), Targets: []types.Target{{Id: aws.String(target), Arn: aws.String(r.queue.ARN())}},
	})
	if err != nil {
		return cloud.Wrap(r.ID(), "aiming the rule at the queue", err)
	}
	for _, f := range out.FailedEntries {
		return &cloud.Error{Resource: r.ID(), Doing: "aiming the rule at the queue", Code: aws.ToString(f.ErrorCode), Message: aws.ToString(f.ErrorMessage),
			Hint: "run the same command again"}
	}
	return nil
}

func (r *Rule) ruleTags(tags map[string]string) []types.Tag {
	var out []types.Tag
	for k, v := range tags {
		out = append(out, types.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
	return out
}

func (r *Rule) removeTargets(ctx context.Context) error {
	if len(r.targets) == 0 {
		return nil
	}
	in := &eventbridge.RemoveTargetsInput{Rule: aws.String(r.name())}
	for _, t := range r.targets {
		in.Ids = append(in.Ids, aws.ToString(t.Id))
	}
	_, err := r.api.RemoveTargets(ctx, in)
	if cloud.IsNotFound(err) {
		return nil
	}
	return err
}

// Delete implements [engine.Resource]. EventBridge deletes only a rule without
// targets (API reference, DeleteRule).
func (r *Rule) Delete(ctx context.Context, _ engine.Progress) error {
	if r.live == nil {
		return nil
	}
	if err := r.removeTargets(ctx); err != nil {
		return cloud.Wrap(r.ID(), "taking the rule's targets away", err)
	}
	_, err := r.api.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: aws.String(r.name())})
	if err != nil && !cloud.IsNotFound(err) {
		return cloud.Wrap(r.ID(), "deleting the rule", err)
	}
	r.live, r.targets = nil, nil
	return nil
}
