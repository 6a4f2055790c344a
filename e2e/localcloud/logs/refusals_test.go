package logs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/logs"
)

// What CloudWatch Logs refuses: status, code and words.
func TestRefusals(t *testing.T) {
	ctx := t.Context()
	c := sdk.NewFromConfig(awstest.Start(t, logs.New().Register))
	errOf := func(_ any, err error) error { return err }
	create := func(name string, change func(*sdk.CreateLogGroupInput)) error {
		in := &sdk.CreateLogGroupInput{LogGroupName: &name}
		change(in)
		return errOf(c.CreateLogGroup(ctx, in))
	}
	plain := func(*sdk.CreateLogGroupInput) {}
	tags := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprint("t", i)] = "v"
		}
		return m
	}
	if err := create("have", func(in *sdk.CreateLogGroupInput) { in.Tags = map[string]string{"a": "b"} }); err != nil {
		t.Fatal(err)
	}
	if err := create("kept", func(in *sdk.CreateLogGroupInput) { in.DeletionProtectionEnabled = aws.Bool(true) }); err != nil {
		t.Fatal(err)
	}
	awstest.Must(c.CreateLogStream(ctx, &sdk.CreateLogStreamInput{LogGroupName: aws.String("have"), LogStreamName: aws.String("s")}))(t)
	line := func(at int64) types.InputLogEvent {
		return types.InputLogEvent{Timestamp: &at, Message: aws.String("m")}
	}
	put := func(group, stream string, events ...types.InputLogEvent) error {
		if events == nil {
			events = []types.InputLogEvent{}
		}
		return errOf(c.PutLogEvents(ctx, &sdk.PutLogEventsInput{LogGroupName: &group, LogStreamName: &stream, LogEvents: events}))
	}
	const arn = "arn:aws:logs:" + awstest.Region + ":111122223333:log-group:"
	none := aws.String("none")
	for _, tt := range []struct {
		name        string
		err         error
		code, words string
	}{
		{"again", create("have", plain), "ResourceAlreadyExistsException", "The specified log group already exists"},
		{"name of AWS", create("aws/x", plain), "InvalidParameterException", "reserved for AWS"},
		{"name with a blank", create("a b", plain), "InvalidParameterException", "Value 'a b' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern"},
		{"long name", create(strings.Repeat("a", 513), plain), "InvalidParameterException", "Member must have length less than or equal to 512"},
		{"class", create("x", func(in *sdk.CreateLogGroupInput) { in.LogGroupClass = "CHEAP" }), "InvalidParameterException", "Member must satisfy enum value set"},
		{"key", create("x", func(in *sdk.CreateLogGroupInput) { in.KmsKeyId = aws.String("arn:aws:kms:x") }), "InvalidParameterException", "arn:aws:kms:x"},
		{"tag of AWS", create("x", func(in *sdk.CreateLogGroupInput) { in.Tags = map[string]string{"aws:x": "y"} }), "InvalidParameterException", "aws:"},
		{"51 tags", create("x", func(in *sdk.CreateLogGroupInput) { in.Tags = tags(51) }), "InvalidParameterException", "Member must have length less than or equal to 50"},
		{"51st tag", errOf(c.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: aws.String(arn + "have"), Tags: tags(50)})), "TooManyTagsException", "50 tags"},
		{"tag nothing", errOf(c.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: aws.String(arn + "none"), Tags: tags(1)})), "ResourceNotFoundException", "The specified log group does not exist."},
		{"tags of nothing", errOf(c.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceArn: aws.String(arn + "none")})), "ResourceNotFoundException", "The specified log group does not exist."},
		{"delete nothing", errOf(c.DeleteLogGroup(ctx, &sdk.DeleteLogGroupInput{LogGroupName: none})), "ResourceNotFoundException", "The specified log group does not exist."},
		{"delete what is protected", errOf(c.DeleteLogGroup(ctx, &sdk.DeleteLogGroupInput{LogGroupName: aws.String("kept")})), "ValidationException", "Cannot delete log group with deletion protection enabled. Disable deletion protection first."},
		{"keep nothing", errOf(c.PutRetentionPolicy(ctx, &sdk.PutRetentionPolicyInput{LogGroupName: none, RetentionInDays: aws.Int32(7)})), "ResourceNotFoundException", "The specified log group does not exist."},
		{"eight days", errOf(c.PutRetentionPolicy(ctx, &sdk.PutRetentionPolicyInput{LogGroupName: aws.String("have"), RetentionInDays: aws.Int32(8)})), "InvalidParameterException", "Value '8' at 'retentionInDays' failed to satisfy constraint"},
		{"prefix and pattern", errOf(c.DescribeLogGroups(ctx, &sdk.DescribeLogGroupsInput{LogGroupNamePrefix: none, LogGroupNamePattern: none})), "InvalidParameterException", "mutually exclusive"},
		{"51 a page", errOf(c.DescribeLogGroups(ctx, &sdk.DescribeLogGroupsInput{Limit: aws.Int32(51)})), "InvalidParameterException", "Member must have value less than or equal to 50"},
		{"made-up page", errOf(c.DescribeLogGroups(ctx, &sdk.DescribeLogGroupsInput{NextToken: aws.String("x")})), "InvalidParameterException", "The specified nextToken is"},
		{"stream of nothing", errOf(c.CreateLogStream(ctx, &sdk.CreateLogStreamInput{LogGroupName: none, LogStreamName: none})), "ResourceNotFoundException", "The specified log group does not exist."},
		{"stream again", errOf(c.CreateLogStream(ctx, &sdk.CreateLogStreamInput{LogGroupName: aws.String("have"), LogStreamName: aws.String("s")})), "ResourceAlreadyExistsException", "The specified log stream already exists"},
		{"stream with a colon", errOf(c.CreateLogStream(ctx, &sdk.CreateLogStreamInput{LogGroupName: aws.String("have"), LogStreamName: aws.String("a:b")})), "InvalidParameterException", "regular expression pattern"},
		{"delete no stream", errOf(c.DeleteLogStream(ctx, &sdk.DeleteLogStreamInput{LogGroupName: aws.String("have"), LogStreamName: none})), "ResourceNotFoundException", "The specified log stream does not exist."},
		{"write to nothing", put("none", "s", line(0)), "ResourceNotFoundException", "The specified log group does not exist."},
		{"write to no stream", put("have", "none", line(0)), "ResourceNotFoundException", "The specified log stream does not exist."},
		{"no lines", put("have", "s"), "InvalidParameterException", "Member must have length greater than or equal to 1"},
		{"not in order", put("have", "s", line(1), line(0)), "InvalidParameterException", "Log events in a single PutLogEvents request must be in chronological order."},
		{"too large", put("have", "s", types.InputLogEvent{Timestamp: aws.Int64(1), Message: aws.String(strings.Repeat("x", 1<<20))}), "InvalidParameterException", "Upload too large"},
		{"streams of nothing", errOf(c.DescribeLogStreams(ctx, &sdk.DescribeLogStreamsInput{LogGroupName: none})), "ResourceNotFoundException", "The specified log group does not exist."},
		{"streams by time and name", errOf(c.DescribeLogStreams(ctx, &sdk.DescribeLogStreamsInput{LogGroupName: none, LogStreamNamePrefix: none, OrderBy: types.OrderByLastEventTime})), "InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix."},
		{"lines of nothing", errOf(c.FilterLogEvents(ctx, &sdk.FilterLogEventsInput{LogGroupName: none})), "ResourceNotFoundException", "The specified log group does not exist."},
		{"lines by names and prefix", errOf(c.FilterLogEvents(ctx, &sdk.FilterLogEventsInput{LogGroupName: none, LogStreamNames: []string{"a"}, LogStreamNamePrefix: none})), "InvalidParameterException", "mutually exclusive"},
	} {
		t.Run(tt.name, func(t *testing.T) { awstest.Fails(t, tt.err, 400, tt.code, tt.words) })
	}
}
