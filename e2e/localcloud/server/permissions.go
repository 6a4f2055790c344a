package server

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	iamsdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"aicluster/e2e/localcloud/s3"
	"aicluster/e2e/localcloud/wire"
)

// access is one action on one resource that a call needs.
type access struct{ action, resource string }

// authorize lets a call through when the policies of the role that its caller
// acts as allow all that it needs. The account's administrator may do anything.
// Conditions are not evaluated.
func (c *Cloud) authorize(ctx context.Context, call wire.Call) error {
	role, limited := roleOf(call.Caller.ARN)
	if !limited {
		return nil
	}
	for _, need := range needs(call) {
		out, err := wire.Invoke[iamsdk.SimulatePrincipalPolicyInput, iamsdk.SimulatePrincipalPolicyOutput](ctx, c.wire, "iam", &iamsdk.SimulatePrincipalPolicyInput{
			PolicySourceArn: aws.String(role), ActionNames: []string{need.action}, ResourceArns: []string{need.resource},
		})
		if err != nil || out.EvaluationResults[0].EvalDecision != types.PolicyEvaluationDecisionTypeAllowed {
			return c.wire.Denied(call, need.action, need.resource)
		}
	}
	return nil
}

// roleOf is the role behind the ARN of an assumed role's session.
func roleOf(caller string) (arn string, ok bool) {
	rest, ok := strings.CutPrefix(caller, "arn:aws:sts::"+wire.AccountID+":assumed-role/")
	name, _, _ := strings.Cut(rest, "/")
	return "arn:aws:iam::" + wire.AccountID + ":role/" + name, ok
}

// actionPrefix is how IAM calls the services whose name here is another.
var actionPrefix = map[string]string{"elbv2": "elasticloadbalancing"}

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

// passed are the members of inputs that hand a role to a service.
var passed = map[string]string{
	"eks:CreateCluster": "RoleArn", "eks:CreateNodegroup": "NodeRole", "eks:CreateAddon": "ServiceAccountRoleArn",
	"eks:UpdateAddon": "ServiceAccountRoleArn", "eks:CreatePodIdentityAssociation": "RoleArn", "eks:UpdatePodIdentityAssociation": "RoleArn",
}

// needs lists what a call needs by the service authorization reference.
func needs(call wire.Call) []access {
	if call.Service == "sts" && call.Operation == "GetCallerIdentity" {
		return nil // needs no permission
	}
	if t, ok := call.Input.(s3.Target); ok {
		return []access{s3Access(call.Operation, t)}
	}
	prefix := call.Service
	if p := actionPrefix[prefix]; p != "" {
		prefix = p
	}
	member := func(name string) string { return stringMember(call.Input, name) }
	list := []access{{prefix + ":" + call.Operation, resource(call, member)}}
	if name := passed[call.Service+":"+call.Operation]; name != "" && member(name) != "" {
		list = append(list, access{"iam:PassRole", member(name)})
	}
	if call.Service == "iam" && call.Operation == "AddRoleToInstanceProfile" {
		list = append(list, access{"iam:PassRole", iamARN("role", member("RoleName"))})
	}
	return list
}

func s3Access(operation string, t s3.Target) access {
	action := operation
	if a := s3Actions[operation]; a != "" {
		action = a
	}
	arn := "arn:aws:s3:::" + t.Bucket
	switch {
	case t.Bucket == "":
		arn = "*"
	case t.Key != "" || operation == "DeleteObjects":
		arn += "/" + t.Key
	}
	return access{"s3:" + action, arn}
}

// resource is the ARN that a call is about, as far as its input names one; "*"
// for the many that have none, such as all of EC2's.
func resource(call wire.Call, member func(string) string) string {
	switch call.Service {
	case "iam":
		for name, kind := range map[string]string{"InstanceProfileName": "instance-profile", "RoleName": "role"} {
			if v := member(name); v != "" && !(name == "RoleName" && member("InstanceProfileName") != "") {
				return iamARN(kind, v)
			}
		}
		for _, name := range []string{"PolicyArn", "OpenIDConnectProviderArn"} {
			if v := member(name); v != "" {
				return v
			}
		}
	case "eks":
		return eksResource(call, member)
	case "logs":
		if v := member("LogGroupName"); v != "" {
			return fmt.Sprintf("arn:aws:logs:%s:%s:log-group:%s:*", call.Region, wire.AccountID, v)
		}
	}
	return "*"
}

func iamARN(kind, name string) string {
	return fmt.Sprintf("arn:aws:iam::%s:%s/%s", wire.AccountID, kind, name)
}

func eksResource(call wire.Call, member func(string) string) string {
	cluster := member("ClusterName")
	if cluster == "" {
		cluster = member("Name")
	}
	arn := fmt.Sprintf("arn:aws:eks:%s:%s:", call.Region, wire.AccountID)
	switch {
	case member("ResourceArn") != "":
		return member("ResourceArn")
	case cluster == "":
		return "*"
	case member("NodegroupName") != "" && call.Operation != "CreateNodegroup":
		return arn + "nodegroup/" + cluster + "/" + member("NodegroupName") + "/*"
	case member("AddonName") != "" && call.Operation != "CreateAddon":
		return arn + "addon/" + cluster + "/" + member("AddonName") + "/*"
	}
	return arn + "cluster/" + cluster
}

// stringMember reads a *string field of an input.
func stringMember(input any, name string) string {
	v := reflect.Indirect(reflect.ValueOf(input))
	if v.Kind() != reflect.Struct {
		return ""
	}
	f := v.FieldByName(name)
	if !f.IsValid() {
		return ""
	}
	text, _ := f.Interface().(*string)
	return aws.ToString(text)
}
