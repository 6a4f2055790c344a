package logs_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/logs"
)

func TestLogGroups(t *testing.T) {
	ctx := context.Background()
	s := logs.New()
	c := sdk.NewFromConfig(awstest.Start(t, s.Register))
	name := aws.String("/aws/eks/demo/cluster")
	create := &sdk.CreateLogGroupInput{LogGroupName: name, Tags: map[string]string{"k": "v"}}
	awstest.Must(c.CreateLogGroup(ctx, create))(t)
	_, err := c.CreateLogGroup(ctx, create)
	awstest.Fails(t, err, 400, "ResourceAlreadyExistsException", "The specified log group already exists")
	s.EnsureLogGroup(awstest.Region, *name) // keeps what is there
	awstest.Must(c.PutRetentionPolicy(ctx, &sdk.PutRetentionPolicyInput{LogGroupName: name, RetentionInDays: aws.Int32(7)}))(t)
	_, err = c.PutRetentionPolicy(ctx, &sdk.PutRetentionPolicyInput{LogGroupName: name, RetentionInDays: aws.Int32(8)})
	awstest.Fails(t, err, 400, "InvalidParameterException", "retentionInDays")
	groups := awstest.Must(c.DescribeLogGroups(ctx, &sdk.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("/aws/eks/")}))(t).LogGroups
	if len(groups) != 1 || *groups[0].RetentionInDays != 7 || *groups[0].Arn != "arn:aws:logs:ap-northeast-2:111122223333:log-group:/aws/eks/demo/cluster:*" {
		t.Errorf("groups %+v", groups)
	}
	tags := awstest.Must(c.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceArn: groups[0].LogGroupArn}))(t).Tags
	if tags["k"] != "v" {
		t.Errorf("tags %v", tags)
	}
	awstest.Must(c.DeleteLogGroup(ctx, &sdk.DeleteLogGroupInput{LogGroupName: name}))(t)
	_, err = c.DeleteLogGroup(ctx, &sdk.DeleteLogGroupInput{LogGroupName: name})
	awstest.Fails(t, err, 400, "ResourceNotFoundException", "The specified log group does not exist.")
	if left := s.Inventory(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestStreams: lines are kept by time and go with their group; what is older than
// the group's retention is rejected, and says which.
func TestStreams(t *testing.T) {
	ctx := t.Context()
	s := logs.New()
	c := sdk.NewFromConfig(awstest.Start(t, s.Register))
	group, now := aws.String("g"), time.Now()
	awstest.Must(c.CreateLogGroup(ctx, &sdk.CreateLogGroupInput{LogGroupName: group}))(t)
	awstest.Must(c.PutRetentionPolicy(ctx, &sdk.PutRetentionPolicyInput{LogGroupName: group, RetentionInDays: aws.Int32(1)}))(t)
	for _, name := range []string{"b.pod", "a.pod"} {
		awstest.Must(c.CreateLogStream(ctx, &sdk.CreateLogStreamInput{LogGroupName: group, LogStreamName: aws.String(name)}))(t)
	}
	line := func(ago time.Duration, message string) types.InputLogEvent {
		return types.InputLogEvent{Timestamp: aws.Int64(now.Add(-ago).UnixMilli()), Message: &message}
	}
	put := func(stream string, events ...types.InputLogEvent) *types.RejectedLogEventsInfo {
		return awstest.Must(c.PutLogEvents(ctx, &sdk.PutLogEventsInput{LogGroupName: group, LogStreamName: &stream, LogEvents: events}))(t).RejectedLogEventsInfo
	}
	if r := put("a.pod", line(48*time.Hour, "old"), line(time.Minute, "second"), line(-3*time.Hour, "new")); r == nil || *r.TooOldLogEventEndIndex != 1 || *r.TooNewLogEventStartIndex != 2 {
		t.Errorf("rejected %+v", r)
	}
	if r := put("b.pod", line(time.Hour, "first")); r != nil {
		t.Errorf("rejected %+v", r)
	}
	events := awstest.Must(c.FilterLogEvents(ctx, &sdk.FilterLogEventsInput{LogGroupName: group}))(t).Events
	if len(events) != 2 || *events[0].Message != "first" || *events[1].LogStreamName != "a.pod" {
		t.Errorf("events %+v", events)
	}
	if events := awstest.Must(c.FilterLogEvents(ctx, &sdk.FilterLogEventsInput{LogGroupName: group, FilterPattern: aws.String("sec"), LogStreamNamePrefix: aws.String("a.")}))(t).Events; len(events) != 1 {
		t.Errorf("events %+v", events)
	}
	streams := awstest.Must(c.DescribeLogStreams(ctx, &sdk.DescribeLogStreamsInput{LogGroupIdentifier: group, OrderBy: types.OrderByLastEventTime, Descending: aws.Bool(true)}))(t).LogStreams
	if len(streams) != 2 || *streams[0].LogStreamName != "a.pod" || streams[0].LastIngestionTime == nil {
		t.Errorf("streams %+v", streams)
	}
	awstest.Must(c.DeleteLogStream(ctx, &sdk.DeleteLogStreamInput{LogGroupName: group, LogStreamName: aws.String("a.pod")}))(t)
	if groups := awstest.Must(c.DescribeLogGroups(ctx, &sdk.DescribeLogGroupsInput{}))(t).LogGroups; *groups[0].StoredBytes == 0 {
		t.Error("nothing is stored")
	}
}
