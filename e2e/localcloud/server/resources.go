package server

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"

	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/s3"
	"aicluster/e2e/localcloud/wire"
)

// s3Actions are the actions of S3's operations that are not called like them
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html).
var s3Actions = map[string]string{
	"ListBuckets": "ListAllMyBuckets", "HeadBucket": "ListBucket", "ListObjects": "ListBucket", "ListObjectsV2": "ListBucket",
	"ListObjectVersions": "ListBucketVersions", "ListMultipartUploads": "ListBucketMultipartUploads", "ListParts": "ListMultipartUploadParts",
	"HeadObject": "GetObject", "CreateMultipartUpload": "PutObject", "UploadPart": "PutObject", "CompleteMultipartUpload": "PutObject",
	"CopyObject": "PutObject", "UploadPartCopy": "PutObject", "DeleteObjects": "DeleteObject",
	"GetPublicAccessBlock": "GetBucketPublicAccessBlock", "PutPublicAccessBlock": "PutBucketPublicAccessBlock", "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
	"GetBucketEncryption": "GetEncryptionConfiguration", "PutBucketEncryption": "PutEncryptionConfiguration", "DeleteBucketEncryption": "PutEncryptionConfiguration",
	"GetBucketLifecycleConfiguration": "GetLifecycleConfiguration", "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration", "DeleteBucketLifecycle": "PutLifecycleConfiguration",
	"DeleteBucketTagging": "PutBucketTagging", "GetBucketNotificationConfiguration": "GetBucketNotification",
}

func s3Needs(operation string, t s3.Target) []need {
	action := operation
	if a := s3Actions[operation]; a != "" {
		action = a
	}
	arn := "arn:aws:s3:::" + t.Bucket
	switch {
	case t.Bucket == "":
		arn = "*"
	case t.Key != "" || operation == "DeleteObjects", operation == "DeleteObjectVersion":
		arn += "/" + t.Key
	}
	keys := iam.Context{}
	if action == "ListBucket" && t.Prefix != "" {
		keys.Set("s3:prefix", t.Prefix)
	}
	return needs("s3:"+action, keys, arn)
}

// roleARN is the ARN of a role by its name. Of one that does not exist IAM knows
// no path.
func (c *Cloud) roleARN(name string) string {
	if r, ok := c.services.iam.Role(name); ok {
		return r.ARN
	}
	return iamARN("role/" + name)
}

func iamARN(resource string) string { return "arn:aws:iam::" + wire.AccountID + ":" + resource }

// iamNeeds is about a role, an instance profile, a policy or a provider. What
// exists IAM names by its kind and name in its refusals, not by its ARN.
func (c *Cloud) iamNeeds(call wire.Call, action string) []need {
	member := func(name string) string { return stringMember(call.Input, name) }
	keys := tagKeys(call.Input)
	for key, value := range map[string]string{
		"iam:PolicyARN": member("PolicyArn"), "iam:AWSServiceName": member("AWSServiceName"), "iam:PermissionsBoundary": member("PermissionsBoundary"),
	} {
		if value != "" {
			keys.Set(key, value)
		}
	}
	path := member("Path")
	if path == "" {
		path = "/"
	}
	resource, name := "*", ""
	role, profile := member("RoleName"), member("InstanceProfileName")
	switch {
	case call.Operation == "CreateServiceLinkedRole":
		resource = iam.LinkedRoleARN(member("AWSServiceName"))
	case call.Operation == "CreateRole":
		resource = iamARN("role" + path + role)
	case call.Operation == "CreateInstanceProfile":
		resource = iamARN("instance-profile" + path + profile)
	case call.Operation == "CreatePolicy":
		resource = iamARN("policy" + path + member("PolicyName"))
	case profile != "":
		resource, name = c.services.iam.InstanceProfileARN(profile), "instance profile "+profile
	case role != "":
		resource, name = c.roleARN(role), "role "+role
		if r, ok := c.services.iam.Role(role); ok {
			setTags(keys, "aws:ResourceTag/", r.Tags)
			setTags(keys, "iam:ResourceTag/", r.Tags)
		}
	case member("PolicySourceArn") != "":
		resource = member("PolicySourceArn")
	case strings.HasPrefix(member("PolicyArn"), "arn:"):
		resource, name = member("PolicyArn"), "policy "+member("PolicyArn")
	case member("OpenIDConnectProviderArn") != "":
		resource = member("OpenIDConnectProviderArn")
	}
	list := needs(action, keys, resource)
	list[0].name = name
	kind := map[string]string{"CreateRole": "Role", "CreatePolicy": "Policy", "CreateInstanceProfile": "InstanceProfile"}[call.Operation]
	if kind == "" {
		return list
	}
	return append(list, tagging("iam:Tag"+kind, call, keys, []string{resource})...)
}

// logsNeeds is about a log group. CloudWatch Logs takes calls about the group for
// ones about all of its streams, but those of tags.
func logsNeeds(call wire.Call, action string) []need {
	arn := fmt.Sprintf("arn:aws:logs:%s:%s:log-group:", call.Region, wire.AccountID)
	keys := tagKeys(call.Input)
	if tagged := stringMember(call.Input, "ResourceArn"); tagged != "" {
		return needs(action, keys, tagged)
	}
	group := stringMember(call.Input, "LogGroupName")
	list := needs(action, keys, arn+group+":log-stream:"+stringMember(call.Input, "LogStreamName"))
	return append(list, tagging("logs:TagResource", call, keys, []string{arn + group})...)
}

// eksNeeds is about the resource that the call names most closely. One that is
// about to be made counts as its cluster.
func (c *Cloud) eksNeeds(ctx context.Context, call wire.Call, action string) []need {
	member := func(name string) string { return stringMember(call.Input, name) }
	keys := tagKeys(call.Input)
	for key, name := range map[string]string{"eks:policyArn": "PolicyArn", "eks:principalArn": "PrincipalArn"} {
		if v := member(name); v != "" {
			keys.Set(key, v)
		}
	}
	resource := c.eksResource(ctx, call)
	if out, err := wire.Invoke[eks.ListTagsForResourceInput, eks.ListTagsForResourceOutput](ctx, c.wire, "eks", &eks.ListTagsForResourceInput{ResourceArn: aws.String(resource)}); err == nil {
		setTags(keys, "aws:ResourceTag/", out.Tags)
	}
	list := needs(action, keys, resource)
	switch in := call.Input.(type) { // an add-on's associations are made by its caller
	case *eks.CreateAddonInput:
		if len(in.PodIdentityAssociations) > 0 {
			list = append(list, needs("eks:CreatePodIdentityAssociation", keys, resource)...)
		}
	}
	return append(list, tagging("eks:TagResource", call, keys, []string{resource})...)
}

func (c *Cloud) eksResource(ctx context.Context, call wire.Call) string {
	member := func(name string) string { return stringMember(call.Input, name) }
	if v := member("ResourceArn"); v != "" {
		return v
	}
	cluster := member("ClusterName")
	if cluster == "" {
		cluster = member("Name")
	}
	if cluster == "" || call.Operation == "DescribeClusterVersions" || call.Operation == "DescribeAddonVersions" {
		return "*"
	}
	arn := fmt.Sprintf("arn:aws:eks:%s:%s:", call.Region, wire.AccountID)
	nodegroup, addon, principal, association := member("NodegroupName"), member("AddonName"), member("PrincipalArn"), member("AssociationId")
	switch {
	case strings.HasPrefix(call.Operation, "Create"):
	case nodegroup != "":
		in := &eks.DescribeNodegroupInput{ClusterName: &cluster, NodegroupName: &nodegroup}
		if out, err := wire.Invoke[eks.DescribeNodegroupInput, eks.DescribeNodegroupOutput](ctx, c.wire, "eks", in); err == nil {
			return *out.Nodegroup.NodegroupArn
		}
		return arn + "nodegroup/" + cluster + "/" + nodegroup + "/*"
	case addon != "":
		in := &eks.DescribeAddonInput{ClusterName: &cluster, AddonName: &addon}
		if out, err := wire.Invoke[eks.DescribeAddonInput, eks.DescribeAddonOutput](ctx, c.wire, "eks", in); err == nil {
			return *out.Addon.AddonArn
		}
		return arn + "addon/" + cluster + "/" + addon + "/*"
	case principal != "":
		in := &eks.DescribeAccessEntryInput{ClusterName: &cluster, PrincipalArn: &principal}
		if out, err := wire.Invoke[eks.DescribeAccessEntryInput, eks.DescribeAccessEntryOutput](ctx, c.wire, "eks", in); err == nil {
			return *out.AccessEntry.AccessEntryArn
		}
		return arn + "access-entry/" + cluster + "/*"
	case association != "":
		return arn + "podidentityassociation/" + cluster + "/" + association
	}
	return arn + "cluster/" + cluster
}

// otherResources are those of the remaining services, "*" for the calls that
// name none.
func otherResources(call wire.Call) []string {
	member := func(name string) string { return stringMember(call.Input, name) }
	if strings.HasPrefix(call.Operation, "Describe") && call.Service != "ssm" {
		return []string{"*"}
	}
	switch call.Service {
	case "sts":
		if v := member("RoleArn"); v != "" {
			return []string{v}
		}
	case "elb":
		names := listMember(call.Input, "LoadBalancerNames")
		if v := member("LoadBalancerName"); v != "" {
			names = []string{v}
		}
		var list []string
		for _, name := range names {
			list = append(list, fmt.Sprintf("arn:aws:elasticloadbalancing:%s:%s:loadbalancer/%s", call.Region, wire.AccountID, name))
		}
		if len(list) > 0 {
			return list
		}
	case "elbv2":
		for _, name := range []string{"ListenerArn", "TargetGroupArn", "LoadBalancerArn"} {
			if v := member(name); v != "" {
				return []string{v}
			}
		}
		if v := listMember(call.Input, "ResourceArns"); len(v) > 0 {
			return v
		}
	case "ssm":
		var list []string
		for _, name := range append(slices.Clone(listMember(call.Input, "Names")), member("Name"), member("Path")) {
			account := wire.AccountID
			if strings.HasPrefix(name, "/aws/") {
				account = "" // AWS's public parameters
			}
			if name != "" {
				list = append(list, fmt.Sprintf("arn:aws:ssm:%s:%s:parameter/%s", call.Region, account, strings.TrimPrefix(name, "/")))
			}
		}
		if len(list) > 0 {
			return list
		}
	}
	return []string{"*"}
}
