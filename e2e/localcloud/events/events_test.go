package events_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	sdksqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/events"
	"aicluster/e2e/localcloud/sqs"
)

const (
	pattern = `{"source": ["aws.ec2"], "detail-type": ["EC2 Spot Instance Interruption Warning"], "detail": {"instance-action": ["terminate"]}}`
	queue   = "arn:aws:sqs:" + awstest.Region + ":111122223333:warnings"
	rule    = "arn:aws:events:" + awstest.Region + ":111122223333:rule/warnings"
)

// An event travels from a rule that matches it into a queue that takes it.
func TestDelivery(t *testing.T) {
	ctx := t.Context()
	queues := sqs.New(clock.New(1))
	s := events.New(queues)
	cfg := awstest.Start(t, queues.Register, s.Register)
	c, q := sdk.NewFromConfig(cfg), sdksqs.NewFromConfig(cfg)
	policy := fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
		"Action": "sqs:SendMessage", "Resource": %q, "Condition": {"ArnEquals": {"aws:SourceArn": %q}}}]}`, queue, rule)
	url := awstest.Must(q.CreateQueue(ctx, &sdksqs.CreateQueueInput{QueueName: aws.String("warnings"), Attributes: map[string]string{"Policy": policy}}))(t).QueueUrl
	for _, name := range []string{"warnings", "others"} { // the queue takes only what the first sends
		made := awstest.Must(c.PutRule(ctx, &sdk.PutRuleInput{Name: &name, EventPattern: aws.String(pattern), Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}))(t)
		awstest.Must(c.PutTargets(ctx, &sdk.PutTargetsInput{Rule: &name, Targets: []types.Target{{Id: aws.String("q"), Arn: aws.String(queue)}}}))(t)
		tags := awstest.Must(c.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceARN: made.RuleArn}))(t).Tags
		if len(tags) != 1 || *tags[0].Value != "b" {
			t.Errorf("tags %+v", tags)
		}
	}
	for _, e := range []events.Event{
		{Source: "aws.ec2", DetailType: "EC2 Spot Instance Interruption Warning", Detail: map[string]any{"instance-id": "i-1", "instance-action": "terminate"}},
		{Source: "aws.ec2", DetailType: "EC2 Spot Instance Interruption Warning", Detail: map[string]any{"instance-id": "i-2", "instance-action": "stop"}},
		{Source: "aws.ec2", DetailType: "EC2 Instance State-change Notification", Detail: map[string]any{"instance-id": "i-3"}},
	} {
		s.Emit(awstest.Region, e)
	}
	s.Emit("us-east-1", events.Event{Source: "aws.ec2", DetailType: "EC2 Spot Instance Interruption Warning", Detail: map[string]any{"instance-action": "terminate"}})
	got := awstest.Must(q.ReceiveMessage(ctx, &sdksqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10}))(t).Messages
	if len(got) != 1 {
		t.Fatalf("%d messages: %+v", len(got), got)
	}
	var event struct {
		Source     string
		Region     string
		DetailType string         `json:"detail-type"`
		Detail     map[string]any `json:"detail"`
	}
	if err := json.Unmarshal([]byte(*got[0].Body), &event); err != nil || event.Detail["instance-id"] != "i-1" || event.Region != awstest.Region || event.Source != "aws.ec2" {
		t.Errorf("event %s (%v)", *got[0].Body, err)
	}
	for _, name := range []string{"warnings", "others"} {
		awstest.Must(c.RemoveTargets(ctx, &sdk.RemoveTargetsInput{Rule: &name, Ids: []string{"q"}}))(t)
		awstest.Must(c.DeleteRule(ctx, &sdk.DeleteRuleInput{Name: &name}))(t)
	}
	if list := s.Inventory(); len(list) > 0 {
		t.Errorf("left %v", list)
	}
}

// What EventBridge refuses: status, code and words.
func TestRefusals(t *testing.T) {
	ctx := t.Context()
	c := sdk.NewFromConfig(awstest.Start(t, events.New(sqs.New(clock.New(1))).Register))
	errOf := func(_ any, err error) error { return err }
	put := func(name string, pattern *string, tags int) error {
		in := &sdk.PutRuleInput{Name: &name, EventPattern: pattern}
		for i := range tags {
			in.Tags = append(in.Tags, types.Tag{Key: aws.String(fmt.Sprint(i)), Value: aws.String("v")})
		}
		return errOf(c.PutRule(ctx, in))
	}
	target := func(rule, arn string, more int) error {
		in := &sdk.PutTargetsInput{Rule: &rule, Targets: []types.Target{{Id: aws.String("q"), Arn: &arn}}}
		for i := range more {
			in.Targets = append(in.Targets, types.Target{Id: aws.String(fmt.Sprint(i)), Arn: &arn})
		}
		return errOf(c.PutTargets(ctx, in))
	}
	if err := put("warnings", aws.String(pattern), 0); err != nil {
		t.Fatal(err)
	}
	if err := target("warnings", queue, 0); err != nil {
		t.Fatal(err)
	}
	none := aws.String("none")
	const missing = "Rule none does not exist on EventBus default."
	for _, tt := range []struct {
		name        string
		err         error
		code, words string
	}{
		{"rule of nothing", put("x", nil, 0), "ValidationException", "EventPattern or ScheduleExpression must be specified"},
		{"pattern that is no object", put("x", aws.String(`["a"]`), 0), "InvalidEventPatternException", "Filter is not an object"},
		{"pattern of a word", put("x", aws.String(`{"source": "aws.ec2"}`), 0), "InvalidEventPatternException", `"source" must be an object or an array`},
		{"name with a blank", put("a b", aws.String(pattern), 0), "ValidationException", "pattern"},
		{"51 tags", put("x", aws.String(pattern), 51), "LimitExceededException", ""},
		{"another bus", errOf(c.PutRule(ctx, &sdk.PutRuleInput{Name: aws.String("x"), EventBusName: aws.String("mine"), EventPattern: aws.String(pattern)})), "ResourceNotFoundException", "Event bus mine does not exist."},
		{"describing nothing", errOf(c.DescribeRule(ctx, &sdk.DescribeRuleInput{Name: none})), "ResourceNotFoundException", missing},
		{"deleting nothing", errOf(c.DeleteRule(ctx, &sdk.DeleteRuleInput{Name: none})), "ResourceNotFoundException", missing},
		{"deleting what has targets", errOf(c.DeleteRule(ctx, &sdk.DeleteRuleInput{Name: aws.String("warnings")})), "ValidationException", "Rule can't be deleted since it has targets."},
		{"target of nothing", target("none", queue, 0), "ResourceNotFoundException", missing},
		{"target that is no ARN", target("warnings", "queue", 0), "ValidationException", "Provided Arn is not in correct format."},
		{"six targets", target("warnings", queue, 5), "LimitExceededException", ""},
		{"targets of nothing", errOf(c.ListTargetsByRule(ctx, &sdk.ListTargetsByRuleInput{Rule: none})), "ResourceNotFoundException", missing},
		{"targets off nothing", errOf(c.RemoveTargets(ctx, &sdk.RemoveTargetsInput{Rule: none, Ids: []string{"q"}})), "ResourceNotFoundException", missing},
		{"tags of nothing", errOf(c.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceARN: aws.String(rule + "x")})), "ResourceNotFoundException", "does not exist"},
		{"tagging nothing", errOf(c.TagResource(ctx, &sdk.TagResourceInput{ResourceARN: aws.String(rule + "x"), Tags: []types.Tag{{Key: none, Value: none}}})), "ResourceNotFoundException", "does not exist"},
	} {
		t.Run(tt.name, func(t *testing.T) { awstest.Fails(t, tt.err, 400, tt.code, tt.words) })
	}
}
