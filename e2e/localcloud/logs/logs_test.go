package logs_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

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
