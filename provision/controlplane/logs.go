package controlplane

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// LogsAPI is what [LogGroup] uses of CloudWatch Logs.
type LogsAPI interface {
	cloudwatchlogs.DescribeLogGroupsAPIClient
	ListTagsForResource(context.Context, *cloudwatchlogs.ListTagsForResourceInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.ListTagsForResourceOutput, error)
	CreateLogGroup(context.Context, *cloudwatchlogs.CreateLogGroupInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.CreateLogGroupOutput, error)
	DeleteLogGroup(context.Context, *cloudwatchlogs.DeleteLogGroupInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DeleteLogGroupOutput, error)
	TagResource(context.Context, *cloudwatchlogs.TagResourceInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.TagResourceOutput, error)
}

// LogGroup is where EKS writes the control plane's logs. EKS would make it by
// itself, without our tag, so it is made before the cluster; and the cluster
// needs it, so that it is deleted after the cluster has written its last line.
//
// Without cluster.logging none is made. One that exists from a time with
// logging is left alone until teardown: its lines may still be wanted.
type LogGroup struct {
	api      LogsAPI
	clusters eks.DescribeClusterAPIClient
	owner    cloud.Owner
	wanted   bool
	needs    []engine.Resource

	exists  bool
	arn     string // without the trailing ":*"
	created time.Time
	tags    map[string]string
}

// NewLogGroup is the log group of b's control plane.
func NewLogGroup(api LogsAPI, clusters eks.DescribeClusterAPIClient, owner cloud.Owner, b *blueprints.Blueprint, needs ...engine.Resource) *LogGroup {
	return &LogGroup{api: api, clusters: clusters, owner: owner, wanted: len(b.Cluster.Logging) > 0, needs: needs}
}

// name is EKS's choice (EKS user guide, "Send control plane logs to CloudWatch Logs").
func (l *LogGroup) name() string { return "/aws/eks/" + l.owner.Cluster + "/cluster" }

// ID implements [engine.Resource].
func (l *LogGroup) ID() string { return "log-group/" + l.owner.Cluster }

// Needs implements [engine.Resource].
func (l *LogGroup) Needs() []engine.Resource { return l.needs }

// Unwanted implements [engine.Unwanted]: a log group that is not wanted and does
// not exist is not to be made; one that exists stays until teardown.
func (l *LogGroup) Unwanted() bool { return !l.wanted && !l.exists }

// Observe implements [engine.Resource].
func (l *LogGroup) Observe(ctx context.Context) (engine.Observation, error) {
	if err := l.read(ctx); err != nil {
		return engine.Observation{}, cloud.Wrap(l.ID(), "reading the log group", err)
	}
	if !l.exists {
		return engine.Observation{}, nil
	}
	obs := engine.Observation{Exists: true, Detail: l.name()}
	ours, err := l.ours(ctx)
	if err != nil {
		return engine.Observation{}, cloud.Wrap(l.ID(), "reading whose log group it is", err)
	}
	if !ours {
		obs.Keep = "it does not carry the tag " + cloud.TagCluster + ": an earlier cluster of this name wrote to it, or EKS after the cluster was gone; " +
			"'aws logs delete-log-group --log-group-name " + l.name() + "' deletes it"
		return obs, nil
	}
	if !l.wanted {
		return obs, nil
	}
	obs.Changes = engine.TagChanges(l.tags, l.owner.Tags(""))
	return obs, nil
}

// lateGroup is the age up to which a log group that stands without its cluster was
// made by EKS's last lines, after a teardown that was killed had deleted it.
const lateGroup = 10 * time.Minute

// ours tells whether the log group is this cluster's. One without our tag is,
// too, if it is younger than the cluster: then EKS made it for the cluster, since
// somebody switched logging on by hand or deleted the group that we had made.
func (l *LogGroup) ours(ctx context.Context) (bool, error) {
	if owner := l.tags[cloud.TagCluster]; owner != "" {
		return owner == l.owner.Cluster, nil
	}
	out, err := l.clusters.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &l.owner.Cluster})
	if cloud.IsNotFound(err) { // then only EKS's last lines about it can be this young
		return time.Since(l.created) < lateGroup, nil
	}
	if err != nil {
		return false, err
	}
	c := out.Cluster
	return c.Tags[cloud.TagCluster] == l.owner.Cluster && c.CreatedAt != nil && l.created.After(*c.CreatedAt), nil
}

func (l *LogGroup) read(ctx context.Context) error {
	l.exists, l.arn, l.tags = false, "", nil
	group, err := l.find(ctx)
	if err != nil || group == nil {
		return err
	}
	arn := aws.ToString(group.LogGroupArn)
	out, err := l.api.ListTagsForResource(ctx, &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: &arn})
	if cloud.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	l.exists, l.arn, l.created, l.tags = true, arn, time.UnixMilli(aws.ToInt64(group.CreationTime)), out.Tags
	return nil
}

func (l *LogGroup) find(ctx context.Context) (*types.LogGroup, error) {
	pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(l.api, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String(l.name())})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, g := range page.LogGroups {
			if aws.ToString(g.LogGroupName) == l.name() {
				return &g, nil
			}
		}
	}
	return nil, nil
}

// Apply implements [engine.Resource].
func (l *LogGroup) Apply(ctx context.Context, _ engine.Progress) error {
	if !l.exists {
		_, err := l.api.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(l.name()), Tags: l.owner.Tags("")})
		if err != nil && !cloud.IsExists(err) {
			return cloud.Wrap(l.ID(), "creating the log group", err)
		}
		return cloud.Wrap(l.ID(), "reading the log group", l.read(ctx))
	}
	set := cloud.TagChanges(l.tags, l.owner.Tags(""))
	if len(set) == 0 {
		return nil
	}
	_, err := l.api.TagResource(ctx, &cloudwatchlogs.TagResourceInput{ResourceArn: &l.arn, Tags: set})
	return cloud.Wrap(l.ID(), "tagging the log group", err)
}

// EKS may still write after the cluster is gone and so make the log group again,
// without our tag (terraform-aws-modules/terraform-aws-eks#920, #2486, #2763). It
// is gone for good when that has not happened for lateWrites; if it goes on for
// lateLimit, it is not EKS that writes.
const (
	lateWrites = 30 * time.Second
	lateLimit  = 2 * time.Minute
	lateLook   = time.Second // between two looks
)

// Delete implements [engine.Resource]. It looks again for a while.
func (l *LogGroup) Delete(ctx context.Context, p engine.Progress) error {
	if err := l.deleteForGood(ctx, p); err != nil {
		return cloud.Wrap(l.ID(), "deleting the log group", err)
	}
	l.exists, l.arn, l.tags = false, "", nil
	return nil
}

func (l *LogGroup) deleteForGood(ctx context.Context, p engine.Progress) error {
	start := time.Now()
	for deleted := start; ; {
		group, err := l.find(ctx)
		switch {
		case err != nil:
			return err
		case group == nil && time.Since(deleted) >= lateWrites:
			return nil
		case group != nil && time.Since(start) > lateLimit:
			return cloud.Fail(l.ID(), "deleting the log group", "something goes on writing to "+l.name()+" and makes it again",
				"find out what writes there, then run 'aicluster teardown' again")
		case group != nil:
			if _, err := l.api.DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: aws.String(l.name())}); err != nil && !cloud.IsNotFound(err) {
				return err
			}
			deleted = time.Now()
			p("watching for late log lines")
		}
		if err := cloud.Sleep(ctx, lateLook); err != nil {
			return err
		}
	}
}
