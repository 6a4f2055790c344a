package sqs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/sqs"
)

const arn = "arn:aws:sqs:" + awstest.Region + ":111122223333:have"

// lets is the policy of a queue that takes what one rule sends.
func lets(rule string) string {
	return fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
		"Action": "sqs:SendMessage", "Resource": %q, "Condition": {"ArnEquals": {"aws:SourceArn": %q}}}]}`, arn, rule)
}

func TestMessages(t *testing.T) {
	ctx := t.Context()
	s := sqs.New(clock.New(1000))
	c := sdk.NewFromConfig(awstest.Start(t, s.Register))
	in := &sdk.CreateQueueInput{QueueName: aws.String("have"), Attributes: map[string]string{"Policy": lets("arn:rule"), "MessageRetentionPeriod": "300"}, Tags: map[string]string{"a": "b"}}
	url := awstest.Must(c.CreateQueue(ctx, in))(t).QueueUrl
	if again := awstest.Must(c.CreateQueue(ctx, in))(t).QueueUrl; *again != *url {
		t.Errorf("made twice, it is at %s and %s", *url, *again)
	}
	if s.Deliver(awstest.Region, arn, "events.amazonaws.com", "arn:another", "x") || s.Deliver(awstest.Region, arn, "sns.amazonaws.com", "arn:rule", "x") {
		t.Error("what the policy does not let was delivered")
	}
	go func() { // to one who waits already
		time.Sleep(50 * time.Millisecond)
		s.Deliver(awstest.Region, arn, "events.amazonaws.com", "arn:rule", "news")
	}()
	receive := func(wait int32) []types.Message {
		return awstest.Must(c.ReceiveMessage(ctx, &sdk.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: wait, VisibilityTimeout: 1, MaxNumberOfMessages: 10,
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{"SentTimestamp"}}))(t).Messages
	}
	first := receive(20)
	if len(first) != 1 || *first[0].Body != "news" || first[0].Attributes["SentTimestamp"] == "" {
		t.Fatalf("received %+v", first)
	}
	if hidden := receive(0); len(hidden) > 0 {
		t.Errorf("a message that somebody has is handed out: %+v", hidden)
	}
	second := awstest.Must(c.ReceiveMessage(ctx, &sdk.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 5, // nobody deleted it
		AttributeNames: []types.QueueAttributeName{"SentTimestamp"}}))(t).Messages // as Karpenter asks
	if len(second) != 1 || *second[0].MessageId != *first[0].MessageId || second[0].Attributes["SentTimestamp"] == "" {
		t.Fatalf("received %+v", second)
	}
	awstest.Must(c.DeleteMessage(ctx, &sdk.DeleteMessageInput{QueueUrl: url, ReceiptHandle: second[0].ReceiptHandle}))(t)
	attributes := awstest.Must(c.GetQueueAttributes(ctx, &sdk.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{"All"}}))(t).Attributes
	if attributes["QueueArn"] != arn || attributes["ApproximateNumberOfMessages"] != "0" || attributes["MessageRetentionPeriod"] != "300" {
		t.Errorf("attributes %v", attributes)
	}
	if tags := awstest.Must(c.ListQueueTags(ctx, &sdk.ListQueueTagsInput{QueueUrl: url}))(t).Tags; tags["a"] != "b" {
		t.Errorf("tags %v", tags)
	}
	awstest.Must(c.DeleteQueue(ctx, &sdk.DeleteQueueInput{QueueUrl: url}))(t)
	if list := s.Inventory(); len(list) > 0 {
		t.Errorf("left %v", list)
	}
}

// What SQS refuses: status, code and words.
func TestRefusals(t *testing.T) {
	ctx := t.Context()
	c := sdk.NewFromConfig(awstest.Start(t, sqs.New(clock.New(1)).Register))
	errOf := func(_ any, err error) error { return err }
	create := func(name string, attributes map[string]string, tags int) error {
		in := &sdk.CreateQueueInput{QueueName: &name, Attributes: attributes, Tags: map[string]string{}}
		for i := range tags {
			in.Tags[fmt.Sprint("t", i)] = "v"
		}
		return errOf(c.CreateQueue(ctx, in))
	}
	for _, name := range []string{"have", "gone"} {
		if err := create(name, nil, 49); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) *string {
		return aws.String("https://sqs." + awstest.Region + ".amazonaws.com/111122223333/" + name)
	}
	awstest.Must(c.DeleteQueue(ctx, &sdk.DeleteQueueInput{QueueUrl: at("gone")}))(t)
	const none = "The specified queue does not exist."
	for _, tt := range []struct {
		name        string
		err         error
		code, words string
	}{
		{"another of the name", create("have", map[string]string{"DelaySeconds": "7"}, 0), "QueueAlreadyExists", "a different value for attribute DelaySeconds"},
		{"a name just deleted", create("gone", nil, 0), "AWS.SimpleQueueService.QueueDeletedRecently", "You must wait 60 seconds"},
		{"name with a blank", create("a b", nil, 0), "InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"},
		{"long name", create(strings.Repeat("q", 81), nil, 0), "InvalidParameterValue", "1 to 80 in length"},
		{"retention of a second", create("x", map[string]string{"MessageRetentionPeriod": "1"}, 0), "InvalidAttributeValue", "Invalid value for the parameter MessageRetentionPeriod."},
		{"policy without principal", create("x", map[string]string{"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:*","Resource":"*"}]}`}, 0), "InvalidAttributeValue", "Policy"},
		{"encryption perhaps", create("x", map[string]string{"SqsManagedSseEnabled": "maybe"}, 0), "InvalidAttributeValue", "SqsManagedSseEnabled"},
		{"FIFO, which is not played", create("x", map[string]string{"FifoQueue": "true"}, 0), "InvalidAttributeName", "Unknown Attribute FifoQueue."},
		{"51 tags", create("x", nil, 51), "InvalidParameterValue", "50"},
		{"URL of nothing", errOf(c.GetQueueUrl(ctx, &sdk.GetQueueUrlInput{QueueName: aws.String("none")})), "AWS.SimpleQueueService.NonExistentQueue", none},
		{"URL of another account's", errOf(c.GetQueueUrl(ctx, &sdk.GetQueueUrlInput{QueueName: aws.String("have"), QueueOwnerAWSAccountId: aws.String("999999999999")})), "AWS.SimpleQueueService.NonExistentQueue", none},
		{"attributes of nothing", errOf(c.GetQueueAttributes(ctx, &sdk.GetQueueAttributesInput{QueueUrl: at("none")})), "AWS.SimpleQueueService.NonExistentQueue", none},
		{"attributes that queues do not have", errOf(c.GetQueueAttributes(ctx, &sdk.GetQueueAttributesInput{QueueUrl: at("have"), AttributeNames: []types.QueueAttributeName{"SentTimestamp"}})), "InvalidAttributeName", "Unknown Attribute SentTimestamp."},
		{"setting nothing", errOf(c.SetQueueAttributes(ctx, &sdk.SetQueueAttributesInput{QueueUrl: at("none"), Attributes: map[string]string{"DelaySeconds": "1"}})), "AWS.SimpleQueueService.NonExistentQueue", none},
		{"tags of nothing", errOf(c.ListQueueTags(ctx, &sdk.ListQueueTagsInput{QueueUrl: at("none")})), "AWS.SimpleQueueService.NonExistentQueue", none},
		{"tagging nothing", errOf(c.TagQueue(ctx, &sdk.TagQueueInput{QueueUrl: at("none"), Tags: map[string]string{"a": "b"}})), "AWS.SimpleQueueService.NonExistentQueue", none},
		{"tag of AWS", errOf(c.TagQueue(ctx, &sdk.TagQueueInput{QueueUrl: at("have"), Tags: map[string]string{"aws:a": "b"}})), "InvalidParameterValue", "aws:"},
		{"deleting nothing", errOf(c.DeleteQueue(ctx, &sdk.DeleteQueueInput{QueueUrl: at("none")})), "AWS.SimpleQueueService.NonExistentQueue", none},
		{"sending to nothing", errOf(c.SendMessage(ctx, &sdk.SendMessageInput{QueueUrl: at("none"), MessageBody: aws.String("x")})), "AWS.SimpleQueueService.NonExistentQueue", none},
		{"receiving from nothing", errOf(c.ReceiveMessage(ctx, &sdk.ReceiveMessageInput{QueueUrl: at("none")})), "AWS.SimpleQueueService.NonExistentQueue", none},
		{"eleven messages", errOf(c.ReceiveMessage(ctx, &sdk.ReceiveMessageInput{QueueUrl: at("have"), MaxNumberOfMessages: 11})), "InvalidParameterValue", "Must be between 1 and 10"},
		{"waiting for a minute", errOf(c.ReceiveMessage(ctx, &sdk.ReceiveMessageInput{QueueUrl: at("have"), WaitTimeSeconds: 60})), "InvalidParameterValue", "<= 20"},
		{"deleting what nobody received", errOf(c.DeleteMessage(ctx, &sdk.DeleteMessageInput{QueueUrl: at("have"), ReceiptHandle: aws.String("x")})), "ReceiptHandleIsInvalid", "not a valid receipt handle"},
	} {
		t.Run(tt.name, func(t *testing.T) { awstest.Fails(t, tt.err, 400, tt.code, tt.words) })
	}
}
