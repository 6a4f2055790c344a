package orphans

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"aicluster/provision/cloud"
	"aicluster/provision/interruption"
)

// QueueAPI is what the search uses of SQS.
type QueueAPI interface {
	GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error)
}

// RuleAPI is what the search uses of EventBridge.
type RuleAPI interface {
	DescribeRule(context.Context, *eventbridge.DescribeRuleInput, ...func(*eventbridge.Options)) (*eventbridge.DescribeRuleOutput, error)
}

// queues finds the queue with warnings for Karpenter, by its name.
func (s *Search) queues(ctx context.Context) ([]Thing, error) {
	name := interruption.Name(s.Cluster)
	out, err := s.Queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if cloud.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []Thing{{Kind: "queue", ID: name, Why: "its name", Remove: s.command("sqs delete-queue --queue-url %s", aws.ToString(out.QueueUrl))}}, nil
}

// rules finds the rule that fills it.
func (s *Search) rules(ctx context.Context) ([]Thing, error) {
	name := interruption.Name(s.Cluster)
	_, err := s.Rules.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: &name})
	if cloud.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []Thing{{Kind: "event-rule", ID: name, Why: "its name",
		Remove: s.command("events remove-targets --rule %s --ids queue", name) + " && " + s.command("events delete-rule --name %s", name)}}, nil
}
