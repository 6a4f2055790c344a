package addons

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// fakeLogs is CloudWatch Logs with one log group at most.
type fakeLogs struct {
	name      string
	retention int32
	tags      map[string]string
	calls     []string
}

func (f *fakeLogs) DescribeLogGroups(context.Context, *cloudwatchlogs.DescribeLogGroupsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DescribeLogGroupsOutput, error) {
	out := &cloudwatchlogs.DescribeLogGroupsOutput{LogGroups: []types.LogGroup{{LogGroupName: aws.String(f.name + "-of-another"), LogGroupArn: aws.String("arn:other")}}}
	if f.name != "" {
		g := types.LogGroup{LogGroupName: &f.name, LogGroupArn: aws.String("arn:" + f.name)}
		if f.retention > 0 {
			g.RetentionInDays = &f.retention
		}
		out.LogGroups = append(out.LogGroups, g)
	}
	return out, nil
}

func (f *fakeLogs) ListTagsForResource(context.Context, *cloudwatchlogs.ListTagsForResourceInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.ListTagsForResourceOutput, error) {
	return &cloudwatchlogs.ListTagsForResourceOutput{Tags: maps.Clone(f.tags)}, nil
}

func (f *fakeLogs) CreateLogGroup(_ context.Context, in *cloudwatchlogs.CreateLogGroupInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.CreateLogGroupOutput, error) {
	f.name, f.tags = *in.LogGroupName, in.Tags
	f.calls = append(f.calls, "create")
	return &cloudwatchlogs.CreateLogGroupOutput{}, nil
}

func (f *fakeLogs) DeleteLogGroup(context.Context, *cloudwatchlogs.DeleteLogGroupInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DeleteLogGroupOutput, error) {
	f.calls = append(f.calls, "delete")
	if f.name == "" {
		return nil, &types.ResourceNotFoundException{}
	}
	f.name = ""
	return &cloudwatchlogs.DeleteLogGroupOutput{}, nil
}

func (f *fakeLogs) PutRetentionPolicy(_ context.Context, in *cloudwatchlogs.PutRetentionPolicyInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.PutRetentionPolicyOutput, error) {
	f.retention = *in.RetentionInDays
	f.calls = append(f.calls, "retain")
	return &cloudwatchlogs.PutRetentionPolicyOutput{}, nil
}

func (f *fakeLogs) TagResource(_ context.Context, in *cloudwatchlogs.TagResourceInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.TagResourceOutput, error) {
	maps.Copy(f.tags, in.Tags)
	f.calls = append(f.calls, "tag")
	return &cloudwatchlogs.TagResourceOutput{}, nil
}

func TestLogGroup(t *testing.T) {
	const name = "/aws/containerinsights/demo/application"
	owned := map[string]string{cloud.TagCluster: "demo"}
	for what, tc := range map[string]struct {
		live      fakeLogs
		days      int    // wanted; 0: no containerLogs
		unwanted  bool   // nothing to make
		fields    string // that differ
		keep      bool
		calls     string // of Apply
		retention int32  // after it
	}{
		"none":                      {days: 30, fields: "retentionDays", calls: "create retain", retention: 30},
		"none and none wanted":      {unwanted: true, fields: "retentionDays"},
		"as wanted":                 {live: fakeLogs{name: name, retention: 30, tags: owned}, days: 30, retention: 30},
		"for ever":                  {live: fakeLogs{name: name, tags: owned}, days: 7, fields: "retentionDays", calls: "retain", retention: 7},
		"not wanted any more":       {live: fakeLogs{name: name, retention: 30, tags: owned}, retention: 30},
		"somebody else's":           {live: fakeLogs{name: name, tags: map[string]string{}}, days: 30, fields: "tags." + cloud.TagCluster, keep: true},
		"somebody else's, unwanted": {live: fakeLogs{name: name, tags: map[string]string{}}, keep: true},
	} {
		t.Run(what, func(t *testing.T) {
			b := testBlueprint()
			if tc.days > 0 {
				b.Addons.ContainerLogs = &blueprints.ContainerLogs{RetentionDays: tc.days}
			}
			tc.live.tags = maps.Clone(tc.live.tags)
			l := NewLogGroup(&tc.live, cloud.Owner{Cluster: "demo"}, b)
			o, err := l.Observe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var fields []string
			for _, c := range o.Changes {
				fields = append(fields, c.Field)
			}
			if got := strings.Join(fields, " "); got != tc.fields || l.Unwanted() != tc.unwanted || (o.Keep != "") != tc.keep {
				t.Errorf("fields %q, unwanted %v, keep %q", got, l.Unwanted(), o.Keep)
			}
			if len(o.Changes) == 0 || o.Changes[0].Policy == engine.PolicyRefused || tc.unwanted {
				return
			}
			if err := l.Apply(t.Context(), quiet); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(tc.live.calls, " "); got != tc.calls || tc.live.retention != tc.retention {
				t.Errorf("calls %q, retention %d", got, tc.live.retention)
			}
			if o, err = l.Observe(t.Context()); err != nil || len(o.Changes) > 0 {
				t.Errorf("after that it differs: %v %v", o.Changes, err)
			}
			for range 2 { // gone already is no error
				if err := l.Delete(t.Context(), quiet); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
