package orphans

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/provision/cloud"
)

// EKSAPI is what the search uses of EKS.
type EKSAPI interface{ eks.DescribeClusterAPIClient }

// LogsAPI is what the search uses of CloudWatch Logs.
type LogsAPI interface {
	cloudwatchlogs.DescribeLogGroupsAPIClient
}

// AutoScalingAPI is what the search uses of Auto Scaling.
type AutoScalingAPI interface {
	autoscaling.DescribeAutoScalingGroupsAPIClient
}

// clusters finds the EKS cluster of that name, whoever made it.
func (s *Search) clusters(ctx context.Context) ([]Thing, error) {
	out, err := s.EKS.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &s.Cluster})
	if cloud.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c := out.Cluster
	t := Thing{Kind: "cluster", ID: s.Cluster, Detail: "Kubernetes " + aws.ToString(c.Version) + ", " + strings.ToLower(string(c.Status)), CostPerHour: clusterPrice,
		Remove: s.command("eks delete-cluster --name %s", s.Cluster), going: c.Status == ekstypes.ClusterStatusDeleting}
	if t.Why = s.reason(c.Tags); t.Why == "" {
		t.disown(whyNamed)
	}
	return []Thing{t}, nil
}

// scalingGroups finds the groups that EKS made for node groups. A group that is
// being deleted has a status.
func (s *Search) scalingGroups(ctx context.Context) ([]Thing, error) {
	var found []Thing
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(s.AutoScaling, &autoscaling.DescribeAutoScalingGroupsInput{
		Filters: []astypes.Filter{{Name: aws.String("tag-key"), Values: []string{cloud.TagCluster, tagNodes, ownedPrefix + s.Cluster}}}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return found, err
		}
		for _, g := range page.AutoScalingGroups {
			tags := map[string]string{}
			for _, t := range g.Tags {
				tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
			name := aws.ToString(g.AutoScalingGroupName)
			t := Thing{Kind: "auto-scaling-group", ID: name, Detail: fmt.Sprintf("%d instances", len(g.Instances)), Why: s.reason(tags), pool: tags[tagPool],
				going: aws.ToString(g.Status) != "", Remove: s.command("autoscaling delete-auto-scaling-group --force-delete --auto-scaling-group-name %s", name)}
			if t.Why != "" {
				found = append(found, t)
			}
		}
	}
	return found, nil
}

// logGroups finds where EKS writes a control plane's logs, and Fluent Bit those of
// containers. EKS makes its group anew, without a tag, when lines come late.
func (s *Search) logGroups(ctx context.Context) ([]Thing, error) {
	var found []Thing
	for _, name := range []string{"/aws/eks/" + s.Cluster + "/cluster", "/aws/containerinsights/" + s.Cluster + "/application"} {
		groups, err := s.logGroup(ctx, name)
		if err != nil {
			return nil, err
		}
		found = append(found, groups...)
	}
	return found, nil
}

func (s *Search) logGroup(ctx context.Context, name string) ([]Thing, error) {
	pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(s.Logs, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, g := range page.LogGroups {
			if aws.ToString(g.LogGroupName) == name {
				return []Thing{{Kind: "log-group", ID: name, Detail: fmt.Sprintf("%d bytes", aws.ToInt64(g.StoredBytes)), Why: "its name",
					CostPerHour: logGiBMonth * float64(aws.ToInt64(g.StoredBytes)) / gib / hoursOfMonth, Remove: s.command("logs delete-log-group --log-group-name %s", name)}}, nil
			}
		}
	}
	return nil, nil
}

// roleSuffixes end the names of the roles that are made for a cluster; roleOfService
// is in that of a service's role.
var roleSuffixes = []string{"-cluster", "-nodes", "-ebs-csi", "-efs-csi", "-cluster-autoscaler", "-container-logs", "-karpenter"}

const roleOfService = "-serving-"

// rolePrefix begins them: IAM is global, so the region is in the name. A name
// that would be longer than 64 characters is cut, down to rolePrefixMin.
func (s *Search) rolePrefix() string {
	const rolePrefixMin = 64 - len("-01234567-") - 30 // a service's part has 30 characters at most
	prefix := s.Cluster + "-" + s.Region + "-"
	return prefix[:min(len(prefix), rolePrefixMin)]
}

func hasRoleSuffix(name string) bool {
	return strings.Contains(name, roleOfService) ||
		slices.ContainsFunc(roleSuffixes, func(suffix string) bool { return strings.HasSuffix(name, suffix) })
}
