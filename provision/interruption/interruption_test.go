package interruption

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

var owner = cloud.Owner{Cluster: "demo", Extra: map[string]string{"team": "ml"}}

func quiet(string, ...any) {}

// fakeAWS is an account with at most one queue and one rule. A call that it does
// not know panics.
type fakeAWS struct {
	QueueAPI
	RuleAPI
	attributes map[string]string // of the queue; nil if there is none
	queueTags  map[string]string
	lately     int // how often CreateQueue is refused
	rule       *eventbridge.DescribeRuleOutput
	targets    []eventtypes.Target
	ruleTags   []eventtypes.Tag
	calls      []string
}

const arn = "arn:aws:sqs:us-west-2:111122223333:demo-karpenter"

func (f *fakeAWS) exists() error {
	if f.attributes == nil {
		return &types.QueueDoesNotExist{}
	}
	return nil
}

func (f *fakeAWS) CreateQueue(_ context.Context, in *sqs.CreateQueueInput, _ ...func(*sqs.Options)) (*sqs.CreateQueueOutput, error) {
	f.calls = append(f.calls, "CreateQueue")
	if f.lately > 0 {
		f.lately--
		return nil, &smithy.GenericAPIError{Code: "AWS.SimpleQueueService.QueueDeletedRecently"}
	}
	f.attributes, f.queueTags = maps.Clone(in.Attributes), maps.Clone(in.Tags)
	f.attributes["QueueArn"] = arn
	return &sqs.CreateQueueOutput{}, nil
}

func (f *fakeAWS) GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error) {
	return &sqs.GetQueueUrlOutput{QueueUrl: aws.String("https://sqs/demo-karpenter")}, f.exists()
}

func (f *fakeAWS) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	return &sqs.GetQueueAttributesOutput{Attributes: f.attributes}, f.exists()
}

func (f *fakeAWS) SetQueueAttributes(_ context.Context, in *sqs.SetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.SetQueueAttributesOutput, error) {
	f.calls = append(f.calls, "SetQueueAttributes "+strings.Join(slices.Sorted(maps.Keys(in.Attributes)), " "))
	maps.Copy(f.attributes, in.Attributes)
	return &sqs.SetQueueAttributesOutput{}, nil
}

func (f *fakeAWS) ListQueueTags(context.Context, *sqs.ListQueueTagsInput, ...func(*sqs.Options)) (*sqs.ListQueueTagsOutput, error) {
	return &sqs.ListQueueTagsOutput{Tags: f.queueTags}, nil
}

func (f *fakeAWS) TagQueue(_ context.Context, in *sqs.TagQueueInput, _ ...func(*sqs.Options)) (*sqs.TagQueueOutput, error) {
	f.calls = append(f.calls, "TagQueue")
	maps.Copy(f.queueTags, in.Tags)
	return &sqs.TagQueueOutput{}, nil
}

func (f *fakeAWS) DeleteQueue(context.Context, *sqs.DeleteQueueInput, ...func(*sqs.Options)) (*sqs.DeleteQueueOutput, error) {
	f.calls = append(f.calls, "DeleteQueue")
	f.attributes = nil
	return &sqs.DeleteQueueOutput{}, nil
}

func (f *fakeAWS) PutRule(_ context.Context, in *eventbridge.PutRuleInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutRuleOutput, error) {
	f.calls = append(f.calls, "PutRule")
	if f.rule == nil {
		f.ruleTags = in.Tags
	}
	f.rule = &eventbridge.DescribeRuleOutput{EventPattern: in.EventPattern, State: in.State, Arn: aws.String("arn:rule")}
	return &eventbridge.PutRuleOutput{RuleArn: f.rule.Arn}, nil
}

func (f *fakeAWS) DescribeRule(context.Context, *eventbridge.DescribeRuleInput, ...func(*eventbridge.Options)) (*eventbridge.DescribeRuleOutput, error) {
	if f.rule == nil {
		return nil, &eventtypes.ResourceNotFoundException{}
	}
	return f.rule, nil
}

func (f *fakeAWS) ListTargetsByRule(context.Context, *eventbridge.ListTargetsByRuleInput, ...func(*eventbridge.Options)) (*eventbridge.ListTargetsByRuleOutput, error) {
	return &eventbridge.ListTargetsByRuleOutput{Targets: f.targets}, nil
}

func (f *fakeAWS) ListTagsForResource(context.Context, *eventbridge.ListTagsForResourceInput, ...func(*eventbridge.Options)) (*eventbridge.ListTagsForResourceOutput, error) {
	return &eventbridge.ListTagsForResourceOutput{Tags: f.ruleTags}, nil
}

func (f *fakeAWS) TagResource(_ context.Context, in *eventbridge.TagResourceInput, _ ...func(*eventbridge.Options)) (*eventbridge.TagResourceOutput, error) {
	f.calls = append(f.calls, "TagResource")
	f.ruleTags = append(f.ruleTags, in.Tags...)
	return &eventbridge.TagResourceOutput{}, nil
}

func (f *fakeAWS) PutTargets(_ context.Context, in *eventbridge.PutTargetsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutTargetsOutput, error) {
	f.calls = append(f.calls, "PutTargets")
	f.targets = append(f.targets, in.Targets...)
	return &eventbridge.PutTargetsOutput{}, nil
}

func (f *fakeAWS) RemoveTargets(_ context.Context, in *eventbridge.RemoveTargetsInput, _ ...func(*eventbridge.Options)) (*eventbridge.RemoveTargetsOutput, error) {
	f.calls = append(f.calls, "RemoveTargets")
	f.targets = slices.DeleteFunc(f.targets, func(t eventtypes.Target) bool { return slices.Contains(in.Ids, *t.Id) })
	return &eventbridge.RemoveTargetsOutput{}, nil
}

func (f *fakeAWS) DeleteRule(context.Context, *eventbridge.DeleteRuleInput, ...func(*eventbridge.Options)) (*eventbridge.DeleteRuleOutput, error) {
	f.calls = append(f.calls, "DeleteRule")
	if len(f.targets) > 0 {
		return nil, &smithy.GenericAPIError{Code: "ValidationException"}
	}
	f.rule = nil
	return &eventbridge.DeleteRuleOutput{}, nil
}

// converge applies what differs, and checks that nothing does then. It returns the
// calls that it took.
func converge(t *testing.T, f *fakeAWS, resources ...engine.Resource) string {
	t.Helper()
	f.calls = nil
	for _, r := range resources {
		obs, err := r.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !obs.Exists || len(obs.Changes) > 0 {
			if err := r.Apply(t.Context(), quiet); err != nil {
				t.Fatal(err)
			}
		}
		if obs, err = r.Observe(t.Context()); err != nil || !obs.Exists || len(obs.Changes) > 0 {
			t.Errorf("%s after Apply: %+v (%v)", r.ID(), obs, err)
		}
	}
	return strings.Join(f.calls, ", ")
}

func TestLife(t *testing.T) {
	f := &fakeAWS{}
	queue := NewQueue(f, owner)
	rule := NewRule(f, owner, queue)
	if got := converge(t, f, queue, rule); got != "CreateQueue, SetQueueAttributes Policy, PutRule, PutTargets" {
		t.Errorf("calls %s", got)
	}
	if f.queueTags[cloud.TagCluster] != "demo" || f.attributes["MessageRetentionPeriod"] != "300" ||
		!strings.Contains(f.attributes["Policy"], `"aws:SourceArn":"arn:aws:events:us-west-2:111122223333:rule/demo-karpenter"`) {
		t.Errorf("queue %v, tags %v", f.attributes, f.queueTags)
	}
	if len(f.targets) != 1 || *f.targets[0].Arn != arn || !strings.Contains(*f.rule.EventPattern, "EC2 Spot Instance Interruption Warning") {
		t.Errorf("rule %+v, targets %+v", f.rule, f.targets)
	}
	if got := converge(t, f, queue, rule); got != "" {
		t.Errorf("a second run calls %s", got)
	}

	// Somebody changed things.
	f.attributes["MessageRetentionPeriod"], f.rule.State = "60", eventtypes.RuleStateDisabled
	f.targets = []eventtypes.Target{{Id: aws.String("mine"), Arn: aws.String("arn:aws:sqs:x")}}
	f.queueTags["team"], f.ruleTags = "web", f.ruleTags[:0]
	f.ruleTags = append(f.ruleTags, eventtypes.Tag{Key: aws.String(cloud.TagCluster), Value: aws.String("demo")})
	if got := converge(t, f, queue, rule); got != "SetQueueAttributes MessageRetentionPeriod, TagQueue, PutRule, TagResource, RemoveTargets, PutTargets" {
		t.Errorf("calls %s", got)
	}

	f.calls = nil
	for _, r := range []engine.Resource{rule, queue, rule, queue} {
		if err := r.Delete(t.Context(), quiet); err != nil {
			t.Error(err)
		}
	}
	if got := strings.Join(f.calls, ", "); got != "RemoveTargets, DeleteRule, DeleteQueue" || f.rule != nil || f.attributes != nil {
		t.Errorf("calls %s", got)
	}
}

// SQS takes a name again a minute after a queue of that name was deleted.
func TestQueueDeletedLately(t *testing.T) {
	f := &fakeAWS{lately: 2}
	if got := converge(t, f, NewQueue(f, owner)); got != "CreateQueue, CreateQueue, CreateQueue, SetQueueAttributes Policy" {
		t.Errorf("calls %s", got)
	}
}

func TestSomebodyElses(t *testing.T) {
	f := &fakeAWS{attributes: map[string]string{"QueueArn": arn}, rule: &eventbridge.DescribeRuleOutput{EventPattern: aws.String("{}")}}
	queue := NewQueue(f, owner)
	for _, r := range []engine.Resource{queue, NewRule(f, owner, queue)} {
		obs, err := r.Observe(t.Context())
		if err != nil || obs.Keep == "" || len(obs.Changes) != 1 || obs.Changes[0].Policy != engine.PolicyRefused {
			t.Errorf("%s: %+v (%v)", r.ID(), obs, err)
		}
	}
}

func TestName(t *testing.T) {
	long := strings.Repeat("c", 100)
	for cluster, want := range map[string]string{"demo": "demo-karpenter", long: strings.Repeat("c", 45) + "-" + Name(long)[46:54] + "-karpenter"} {
		if got := Name(cluster); got != want || len(got) > 64 {
			t.Errorf("%s has %d characters, want %s", got, len(got), want)
		}
	}
	if Name(long) == Name(long[1:]) {
		t.Error("two clusters share a name")
	}
}
