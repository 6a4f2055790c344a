package addons

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
	"aicluster/provision/identity"
)

// Where Fluent Bit runs, and for which service account its pod identity is.
const (
	LogsNamespace      = "amazon-cloudwatch"
	LogsServiceAccount = fluentBitName
	fluentBitName      = "aws-for-fluent-bit"
	fluentBitVersion   = "0.2.0"
	// The image that the EKS add-on amazon-cloudwatch-observability 6.4.0 has: it
	// gets fixes more often than the chart.
	fluentBitImage = "3.4.8"
)

// ContainerLogs is Fluent Bit as AWS builds it, on every node whatever its taints.
// It sends the logs of all containers to one log group, a stream for each.
//
// The EKS add-on amazon-cloudwatch-observability would do the same, but its Fluent
// Bit mounts certificates that only come with the CloudWatch agent, which runs on
// every node and whose metrics are charged for; and it makes log groups of its own.
func ContainerLogs(b *blueprints.Blueprint) ReleaseSpec {
	return ReleaseSpec{
		Name: fluentBitName, Namespace: LogsNamespace,
		Repo: "https://aws.github.io/eks-charts", Chart: "aws-for-fluent-bit", Version: fluentBitVersion,
		Values: map[string]any{
			"image":             map[string]any{"tag": fluentBitImage},
			"serviceAccount":    map[string]any{"name": LogsServiceAccount},
			"priorityClassName": "system-node-critical",
			"tolerations":       []any{map[string]any{"operator": "Exists"}},
			"cloudWatchLogs": map[string]any{
				"region":       b.Metadata.Region,
				"logGroupName": identity.ContainerLogGroup(b.Metadata.Name),
				// Where Kubernetes says nothing of a container any more, its file's name.
				"logStreamPrefix":   "unknown.",
				"logStreamTemplate": "$kubernetes['namespace_name'].$kubernetes['pod_name'].$kubernetes['container_name']",
				"autoCreateGroup":   false, // it would have no retention, and no owner
			},
		},
		// It reads the logs from the node's disk.
		NamespaceLabels: map[string]string{"pod-security.kubernetes.io/enforce": "privileged"},
	}
}

// LogsAPI is what [LogGroup] uses of CloudWatch Logs.
type LogsAPI interface {
	cloudwatchlogs.DescribeLogGroupsAPIClient
	ListTagsForResource(context.Context, *cloudwatchlogs.ListTagsForResourceInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.ListTagsForResourceOutput, error)
	CreateLogGroup(context.Context, *cloudwatchlogs.CreateLogGroupInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.CreateLogGroupOutput, error)
	DeleteLogGroup(context.Context, *cloudwatchlogs.DeleteLogGroupInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DeleteLogGroupOutput, error)
	PutRetentionPolicy(context.Context, *cloudwatchlogs.PutRetentionPolicyInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.PutRetentionPolicyOutput, error)
	TagResource(context.Context, *cloudwatchlogs.TagResourceInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.TagResourceOutput, error)
}

// LogGroup holds the logs of a cluster's containers. It is made before Fluent Bit
// writes, with its retention. When the blueprint does not ask for logs any more, it
// stays until teardown: its lines may still be wanted, and its retention ends them.
type LogGroup struct {
	api       LogsAPI
	owner     cloud.Owner
	retention int32 // in days; 0 when no logs are wanted
	needs     []engine.Resource

	live *types.LogGroup // nil when it does not exist
	tags map[string]string
}

// NewLogGroup makes the resource "log-group/<cluster>-containers".
func NewLogGroup(api LogsAPI, owner cloud.Owner, b *blueprints.Blueprint, needs ...engine.Resource) *LogGroup {
	l := &LogGroup{api: api, owner: owner, needs: needs}
	if logs := b.Addons.ContainerLogs; logs != nil {
		l.retention = int32(logs.RetentionDays)
	}
	return l
}

func (l *LogGroup) name() string { return identity.ContainerLogGroup(l.owner.Cluster) }

// ID implements engine.Resource.
func (l *LogGroup) ID() string { return "log-group/" + l.owner.Cluster + "-containers" }

// Needs implements engine.Resource.
func (l *LogGroup) Needs() []engine.Resource { return l.needs }

// Unwanted implements engine.Unwanted.
func (l *LogGroup) Unwanted() bool { return l.retention == 0 && l.live == nil }

// Observe implements engine.Resource.
func (l *LogGroup) Observe(ctx context.Context) (engine.Observation, error) {
	if err := l.read(ctx); err != nil {
		return engine.Observation{}, cloud.Wrap(l.ID(), "reading the log group", err)
	}
	if l.live == nil {
		return engine.Observation{Changes: []engine.Change{{Field: "retentionDays", Wanted: l.retention, Policy: engine.PolicyCreate}}}, nil
	}
	o := engine.Observation{Exists: true, Detail: l.name()}
	if l.tags[cloud.TagCluster] != l.owner.Cluster {
		o.Keep = "it does not carry the tag " + cloud.TagCluster + "=" + l.owner.Cluster + ": something else made it"
	}
	if l.retention == 0 {
		return o, nil
	}
	o.Changes = l.changes()
	return o, nil
}

func (l *LogGroup) changes() []engine.Change {
	if owner := l.tags[cloud.TagCluster]; owner != l.owner.Cluster {
		return []engine.Change{{Field: "tags." + cloud.TagCluster, Live: orNil(owner), Wanted: l.owner.Cluster, Policy: engine.PolicyRefused,
			Hint: "the log group " + l.name() + " exists and is not this cluster's: delete it, or take containerLogs out of the blueprint"}}
	}
	var out []engine.Change
	if live := aws.ToInt32(l.live.RetentionInDays); live != l.retention {
		c := engine.Change{Field: "retentionDays", Live: live, Wanted: l.retention, Policy: engine.PolicyInPlace}
		if live == 0 {
			c.Live = "for ever"
		}
		out = append(out, c)
	}
	return append(out, engine.TagChanges(l.tags, l.owner.Tags(""))...)
}

// read finds the log group and its tags.
func (l *LogGroup) read(ctx context.Context) error {
	l.live, l.tags = nil, nil
	pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(l.api, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String(l.name())})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, g := range page.LogGroups {
			if aws.ToString(g.LogGroupName) != l.name() {
				continue
			}
			out, err := l.api.ListTagsForResource(ctx, &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: g.LogGroupArn})
			if cloud.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return err
			}
			l.live, l.tags = &g, out.Tags
		}
	}
	return nil
}

// Apply implements engine.Resource.
func (l *LogGroup) Apply(ctx context.Context, _ engine.Progress) error {
	if l.live == nil {
		_, err := l.api.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(l.name()), Tags: l.owner.Tags("")})
		if err != nil && !cloud.IsExists(err) {
			return cloud.Wrap(l.ID(), "creating the log group", err)
		}
		if err := l.read(ctx); err != nil {
			return cloud.Wrap(l.ID(), "reading the log group", err)
		}
		if l.live == nil {
			return cloud.Fail(l.ID(), "creating the log group", "CloudWatch does not show it", "run the same command again")
		}
	}
	if set := cloud.TagChanges(l.tags, l.owner.Tags("")); len(set) > 0 {
		if _, err := l.api.TagResource(ctx, &cloudwatchlogs.TagResourceInput{ResourceArn: l.live.LogGroupArn, Tags: set}); err != nil {
			return cloud.Wrap(l.ID(), "tagging the log group", err)
		}
	}
	if aws.ToInt32(l.live.RetentionInDays) == l.retention {
		return nil
	}
	_, err := l.api.PutRetentionPolicy(ctx, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: aws.String(l.name()), RetentionInDays: aws.Int32(l.retention)})
	return cloud.Wrap(l.ID(), "setting how long its lines are kept", err)
}

// Delete implements engine.Resource. Nothing makes it again: see
// [identity.ContainerLogsRole].
func (l *LogGroup) Delete(ctx context.Context, _ engine.Progress) error {
	_, err := l.api.DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: aws.String(l.name())})
	if err != nil && !cloud.IsNotFound(err) {
		return cloud.Wrap(l.ID(), "deleting the log group", err)
	}
	l.live, l.tags = nil, nil
	return nil
}

// Permissions implements [cloud.Permitted]. CloudWatch Logs takes calls about a
// group for ones about all of its streams, but those about tags. One pattern is for
// both: a policy may not be long.
func (l *LogGroup) Permissions(s cloud.Site) []cloud.Permission {
	group := s.ARN("logs", "log-group:"+l.name()+"*")
	p := cloud.Permission{Sid: "RemoveLogGroup", Resources: []string{group}, Actions: []string{"logs:ListTagsForResource", "logs:DeleteLogGroup"}}
	if l.retention > 0 {
		p.Sid, p.Actions = "MakeLogGroup", append(p.Actions, "logs:CreateLogGroup", "logs:TagResource", "logs:PutRetentionPolicy")
	}
	return []cloud.Permission{cloud.Find("logs:DescribeLogGroups"), p}
}
