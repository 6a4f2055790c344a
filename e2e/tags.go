package e2e

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/efs"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// account is the local cloud's one account.
const account = "111122223333"

// config is how the scripts' own SDK clients reach the cloud.
func (c *cloud) config(region string) aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(c.env["AWS_ENDPOINT_URL"]),
		Credentials: credentials.NewStaticCredentialsProvider(c.env["AWS_ACCESS_KEY_ID"], c.env["AWS_SECRET_ACCESS_KEY"], ""),
	}
}

// tagsOf asks AWS for a thing's tags.
func (c *cloud) tagsOf(t thing) (map[string]string, error) {
	ctx, cfg := context.Background(), c.config(t.region)
	switch t.service {
	case "ec2":
		return ec2Tags(ctx, ec2.NewFromConfig(cfg), t)
	case "eks":
		_, tags, err := eksThing(ctx, eks.NewFromConfig(cfg), t)
		return tags, err
	case "iam":
		return iamTags(ctx, iam.NewFromConfig(c.config("us-east-1")), t)
	case "s3":
		api := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
		return s3Tags(ctx, api, t)
	case "logs":
		return logTags(ctx, cloudwatchlogs.NewFromConfig(cfg), t)
	case "sqs":
		return queueTags(ctx, sqs.NewFromConfig(cfg), t)
	case "events":
		return ruleTags(ctx, eventbridge.NewFromConfig(cfg), t)
	case "elbv2":
		return balancerTags(ctx, elasticloadbalancingv2.NewFromConfig(cfg), t)
	case "efs":
		return fileTags(ctx, efs.NewFromConfig(cfg), t)
	case "autoscaling":
		return scalingTags(ctx, autoscaling.NewFromConfig(cfg), t)
	}
	return nil, fmt.Errorf("nobody has said how the tags of service %s are read", t.service)
}

// fileTags: mount targets have none.
func fileTags(ctx context.Context, api *efs.Client, t thing) (map[string]string, error) {
	tags := map[string]string{}
	if t.kind != "file-system" {
		return tags, nil
	}
	out, err := api.ListTagsForResource(ctx, &efs.ListTagsForResourceInput{ResourceId: &t.id})
	if err != nil {
		return nil, err
	}
	for _, tag := range out.Tags {
		tags[*tag.Key] = aws.ToString(tag.Value)
	}
	return tags, nil
}

func ec2Tags(ctx context.Context, api *ec2.Client, t thing) (map[string]string, error) {
	out, err := api.DescribeTags(ctx, &ec2.DescribeTagsInput{Filters: []ec2types.Filter{{Name: aws.String("resource-id"), Values: []string{t.id}}}})
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, tag := range out.Tags {
		tags[*tag.Key] = aws.ToString(tag.Value)
	}
	if t.kind != "network-interface" {
		return tags, nil
	}
	interfaces, err := api.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{t.id}})
	if err != nil {
		return nil, err
	}
	if aws.ToBool(interfaces.NetworkInterfaces[0].RequesterManaged) {
		tags[requesterManaged] = aws.ToString(interfaces.NetworkInterfaces[0].RequesterId)
	}
	return tags, nil
}

// eksThing asks EKS for the ARN and the tags of something.
func eksThing(ctx context.Context, api *eks.Client, t thing) (arn string, tags map[string]string, err error) {
	switch t.kind {
	case "cluster":
		out, err := api.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &t.cluster})
		if err != nil {
			return "", nil, err
		}
		return *out.Cluster.Arn, out.Cluster.Tags, nil
	case "nodegroup":
		out, err := api.DescribeNodegroup(ctx, &eks.DescribeNodegroupInput{ClusterName: &t.cluster, NodegroupName: &t.id})
		if err != nil {
			return "", nil, err
		}
		return *out.Nodegroup.NodegroupArn, out.Nodegroup.Tags, nil
	case "addon":
		out, err := api.DescribeAddon(ctx, &eks.DescribeAddonInput{ClusterName: &t.cluster, AddonName: &t.id})
		if err != nil {
			return "", nil, err
		}
		return *out.Addon.AddonArn, out.Addon.Tags, nil
	case "access-entry":
		out, err := api.DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{ClusterName: &t.cluster, PrincipalArn: &t.id})
		if err != nil {
			return "", nil, err
		}
		return *out.AccessEntry.AccessEntryArn, out.AccessEntry.Tags, nil
	case "podidentityassociation":
		out, err := api.DescribePodIdentityAssociation(ctx, &eks.DescribePodIdentityAssociationInput{ClusterName: &t.cluster, AssociationId: &t.id})
		if err != nil {
			return "", nil, err
		}
		tags := map[string]string{ownedByAddon: aws.ToString(out.Association.OwnerArn)}
		maps.Copy(tags, out.Association.Tags)
		return *out.Association.AssociationArn, tags, nil
	}
	return "", nil, fmt.Errorf("nobody has said how the tags of an EKS %s are read", t.kind)
}

func iamTags(ctx context.Context, api *iam.Client, t thing) (map[string]string, error) {
	switch t.kind {
	case "role":
		name := t.id[strings.LastIndex(t.id, "/")+1:]
		out, err := api.ListRoleTags(ctx, &iam.ListRoleTagsInput{RoleName: &name})
		if err != nil {
			return nil, err
		}
		tags := map[string]string{}
		for _, tag := range out.Tags {
			tags[*tag.Key] = aws.ToString(tag.Value)
		}
		return tags, nil
	case "instance-profile":
		name := t.id[strings.LastIndex(t.id, "/")+1:]
		out, err := api.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: &name})
		if err != nil {
			return nil, err
		}
		tags := map[string]string{}
		for _, tag := range out.InstanceProfile.Tags {
			tags[*tag.Key] = aws.ToString(tag.Value)
		}
		return tags, nil
	}
	return nil, fmt.Errorf("nobody has said how the tags of an IAM %s are read", t.kind)
}

func s3Tags(ctx context.Context, api *s3.Client, t thing) (map[string]string, error) {
	if t.kind != "bucket" {
		return nil, nil
	}
	out, err := api.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: &t.id})
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, tag := range out.TagSet {
		tags[*tag.Key] = aws.ToString(tag.Value)
	}
	return tags, nil
}

func scalingTags(ctx context.Context, api *autoscaling.Client, t thing) (map[string]string, error) {
	out, err := api.DescribeTags(ctx, &autoscaling.DescribeTagsInput{Filters: []astypes.Filter{{Name: aws.String("auto-scaling-group"), Values: []string{t.id}}}})
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, tag := range out.Tags {
		tags[*tag.Key] = aws.ToString(tag.Value)
	}
	return tags, nil
}

func balancerTags(ctx context.Context, api *elasticloadbalancingv2.Client, t thing) (map[string]string, error) {
	out, err := api.DescribeTags(ctx, &elasticloadbalancingv2.DescribeTagsInput{ResourceArns: []string{t.id}})
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, d := range out.TagDescriptions {
		for _, tag := range d.Tags {
			tags[*tag.Key] = aws.ToString(tag.Value)
		}
	}
	return tags, nil
}

func logTags(ctx context.Context, api *cloudwatchlogs.Client, t thing) (map[string]string, error) {
	arn := "arn:aws:logs:" + t.region + ":" + account + ":log-group:" + t.id
	out, err := api.ListTagsForResource(ctx, &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: &arn})
	if err != nil {
		return nil, err
	}
	return out.Tags, nil
}

func queueTags(ctx context.Context, api *sqs.Client, t thing) (map[string]string, error) {
	found, err := api.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &t.id})
	if err != nil {
		return nil, err
	}
	out, err := api.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: found.QueueUrl})
	if err != nil {
		return nil, err
	}
	return out.Tags, nil
}

func ruleTags(ctx context.Context, api *eventbridge.Client, t thing) (map[string]string, error) {
	arn := "arn:aws:events:" + t.region + ":" + account + ":rule/" + t.id
	out, err := api.ListTagsForResource(ctx, &eventbridge.ListTagsForResourceInput{ResourceARN: &arn})
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, tag := range out.Tags {
		tags[*tag.Key] = aws.ToString(tag.Value)
	}
	return tags, nil
}
