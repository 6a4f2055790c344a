package cloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// sqsCalls is what is called of SQS; see [op].
type sqsCalls struct {
	createQueue        op[sqs.CreateQueueInput, sqs.CreateQueueOutput, sqs.Options]
	deleteQueue        op[sqs.DeleteQueueInput, sqs.DeleteQueueOutput, sqs.Options]
	getQueueAttributes op[sqs.GetQueueAttributesInput, sqs.GetQueueAttributesOutput, sqs.Options]
	getQueueUrl        op[sqs.GetQueueUrlInput, sqs.GetQueueUrlOutput, sqs.Options]
	listQueueTags      op[sqs.ListQueueTagsInput, sqs.ListQueueTagsOutput, sqs.Options]
	setQueueAttributes op[sqs.SetQueueAttributesInput, sqs.SetQueueAttributesOutput, sqs.Options]
	tagQueue           op[sqs.TagQueueInput, sqs.TagQueueOutput, sqs.Options]
}

func newSqsCalls(c *sqs.Client) *sqsCalls {
	return &sqsCalls{
		createQueue:        c.CreateQueue,
		deleteQueue:        c.DeleteQueue,
		getQueueAttributes: c.GetQueueAttributes,
		getQueueUrl:        c.GetQueueUrl,
		listQueueTags:      c.ListQueueTags,
		setQueueAttributes: c.SetQueueAttributes,
		tagQueue:           c.TagQueue,
	}
}

func (c *sqsCalls) CreateQueue(ctx context.Context, in *sqs.CreateQueueInput, o ...func(*sqs.Options)) (*sqs.CreateQueueOutput, error) {
	return c.createQueue(ctx, in, o...)
}

func (c *sqsCalls) DeleteQueue(ctx context.Context, in *sqs.DeleteQueueInput, o ...func(*sqs.Options)) (*sqs.DeleteQueueOutput, error) {
	return c.deleteQueue(ctx, in, o...)
}

func (c *sqsCalls) GetQueueAttributes(ctx context.Context, in *sqs.GetQueueAttributesInput, o ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	return c.getQueueAttributes(ctx, in, o...)
}

func (c *sqsCalls) GetQueueUrl(ctx context.Context, in *sqs.GetQueueUrlInput, o ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error) {
	return c.getQueueUrl(ctx, in, o...)
}

func (c *sqsCalls) ListQueueTags(ctx context.Context, in *sqs.ListQueueTagsInput, o ...func(*sqs.Options)) (*sqs.ListQueueTagsOutput, error) {
	return c.listQueueTags(ctx, in, o...)
}

func (c *sqsCalls) SetQueueAttributes(ctx context.Context, in *sqs.SetQueueAttributesInput, o ...func(*sqs.Options)) (*sqs.SetQueueAttributesOutput, error) {
	return c.setQueueAttributes(ctx, in, o...)
}

func (c *sqsCalls) TagQueue(ctx context.Context, in *sqs.TagQueueInput, o ...func(*sqs.Options)) (*sqs.TagQueueOutput, error) {
	return c.tagQueue(ctx, in, o...)
}

// eventsCalls is what is called of EventBridge; see [op].
type eventsCalls struct {
	deleteRule          op[eventbridge.DeleteRuleInput, eventbridge.DeleteRuleOutput, eventbridge.Options]
	describeRule        op[eventbridge.DescribeRuleInput, eventbridge.DescribeRuleOutput, eventbridge.Options]
	listTagsForResource op[eventbridge.ListTagsForResourceInput, eventbridge.ListTagsForResourceOutput, eventbridge.Options]
	listTargetsByRule   op[eventbridge.ListTargetsByRuleInput, eventbridge.ListTargetsByRuleOutput, eventbridge.Options]
	putRule             op[eventbridge.PutRuleInput, eventbridge.PutRuleOutput, eventbridge.Options]
	putTargets          op[eventbridge.PutTargetsInput, eventbridge.PutTargetsOutput, eventbridge.Options]
	removeTargets       op[eventbridge.RemoveTargetsInput, eventbridge.RemoveTargetsOutput, eventbridge.Options]
	tagResource         op[eventbridge.TagResourceInput, eventbridge.TagResourceOutput, eventbridge.Options]
}

func newEventsCalls(c *eventbridge.Client) *eventsCalls {
	return &eventsCalls{
		deleteRule:          c.DeleteRule,
		describeRule:        c.DescribeRule,
		listTagsForResource: c.ListTagsForResource,
		listTargetsByRule:   c.ListTargetsByRule,
		putRule:             c.PutRule,
		putTargets:          c.PutTargets,
		removeTargets:       c.RemoveTargets,
		tagResource:         c.TagResource,
	}
}

func (c *eventsCalls) DeleteRule(ctx context.Context, in *eventbridge.DeleteRuleInput, o ...func(*eventbridge.Options)) (*eventbridge.DeleteRuleOutput, error) {
	return c.deleteRule(ctx, in, o...)
}

func (c *eventsCalls) DescribeRule(ctx context.Context, in *eventbridge.DescribeRuleInput, o ...func(*eventbridge.Options)) (*eventbridge.DescribeRuleOutput, error) {
	return c.describeRule(ctx, in, o...)
}

func (c *eventsCalls) ListTagsForResource(ctx context.Context, in *eventbridge.ListTagsForResourceInput, o ...func(*eventbridge.Options)) (*eventbridge.ListTagsForResourceOutput, error) {
	return c.listTagsForResource(ctx, in, o...)
}

func (c *eventsCalls) ListTargetsByRule(ctx context.Context, in *eventbridge.ListTargetsByRuleInput, o ...func(*eventbridge.Options)) (*eventbridge.ListTargetsByRuleOutput, error) {
	return c.listTargetsByRule(ctx, in, o...)
}

func (c *eventsCalls) PutRule(ctx context.Context, in *eventbridge.PutRuleInput, o ...func(*eventbridge.Options)) (*eventbridge.PutRuleOutput, error) {
	return c.putRule(ctx, in, o...)
}

func (c *eventsCalls) PutTargets(ctx context.Context, in *eventbridge.PutTargetsInput, o ...func(*eventbridge.Options)) (*eventbridge.PutTargetsOutput, error) {
	return c.putTargets(ctx, in, o...)
}

func (c *eventsCalls) RemoveTargets(ctx context.Context, in *eventbridge.RemoveTargetsInput, o ...func(*eventbridge.Options)) (*eventbridge.RemoveTargetsOutput, error) {
	return c.removeTargets(ctx, in, o...)
}

func (c *eventsCalls) TagResource(ctx context.Context, in *eventbridge.TagResourceInput, o ...func(*eventbridge.Options)) (*eventbridge.TagResourceOutput, error) {
	return c.tagResource(ctx, in, o...)
}
