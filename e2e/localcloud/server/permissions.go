package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"

	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/s3"
	"aicluster/e2e/localcloud/wire"
)

// need is one action on one resource that a call takes, with the condition keys
// of its own.
type need struct {
	iam.Request
	name   string // of the resource in the error, if it is not the ARN
	refuse error  // in the place of the service's usual refusal
}

// needs makes one need for each resource.
func needs(action string, keys iam.Context, resources ...string) []need {
	var list []need
	for _, r := range resources {
		list = append(list, need{Request: iam.Request{Action: action, Resource: r, Context: keys}})
	}
	return list
}

// authorize lets a call through when the policies of the role that its caller
// acts as allow all that it takes. The account's administrator may do anything.
func (c *Cloud) authorize(ctx context.Context, call wire.Call) error {
	role, limited := roleOf(call.Caller.ARN)
	if !limited {
		return nil
	}
	global := c.globalKeys(call, role)
	for _, n := range c.needsOf(ctx, call) {
		keys := iam.Context{}
		for _, from := range []iam.Context{global, n.Context} {
			for k, v := range from {
				keys.Set(k, v...)
			}
		}
		n.Context = keys
		decision := c.services.iam.Decide(role, n.Request)
		if decision == iamtypes.PolicyEvaluationDecisionTypeAllowed {
			c.usage.allow(role, c.services.iam.Used(role, n.Request))
			continue
		}
		c.usage.deny(role, n.Request)
		if n.refuse != nil {
			return n.refuse
		}
		d := wire.Denial{Action: n.Action, Resource: n.Resource, Explicit: decision == iamtypes.PolicyEvaluationDecisionTypeExplicitDeny}
		if n.name != "" {
			d.Resource = n.name
		}
		return c.wire.Denied(call, d)
	}
	return nil
}

// roleOf is the name of the role behind the ARN of an assumed role's session.
func roleOf(caller string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(caller, "arn:aws:sts::"+wire.AccountID+":assumed-role/")
	name, _, _ = strings.Cut(rest, "/")
	return name, ok
}

// globalKeys are the condition keys that every request has (IAM User Guide,
// "AWS global condition context keys").
func (c *Cloud) globalKeys(call wire.Call, role string) iam.Context {
	now := time.Now().UTC()
	keys := iam.Context{}
	for k, v := range map[string]string{
		"aws:RequestedRegion": call.Region, "aws:PrincipalAccount": wire.AccountID, "aws:PrincipalType": "AssumedRole",
		"aws:userid": call.Caller.UserID, "aws:SourceIp": "127.0.0.1", "aws:SecureTransport": "false", "aws:ViaAWSService": "false",
		"aws:CurrentTime": now.Format(time.RFC3339), "aws:EpochTime": fmt.Sprint(now.Unix()),
	} {
		keys.Set(k, v)
	}
	if r, ok := c.services.iam.Role(role); ok {
		keys.Set("aws:PrincipalArn", r.ARN)
		setTags(keys, "aws:PrincipalTag/", r.Tags)
	}
	return keys
}

// actionPrefix is how IAM calls the services whose name here is another.
var actionPrefix = map[string]string{"elb": "elasticloadbalancing", "elbv2": "elasticloadbalancing", "efs": "elasticfilesystem"}

// needsOf lists what a call takes by the service authorization reference
// (https://docs.aws.amazon.com/service-authorization/latest/reference/).
func (c *Cloud) needsOf(ctx context.Context, call wire.Call) []need {
	if call.Service == "sts" && call.Operation == "GetCallerIdentity" {
		return nil // takes no permission
	}
	if t, ok := call.Input.(s3.Target); ok {
		return s3Needs(call.Operation, t)
	}
	prefix := call.Service
	if p := actionPrefix[prefix]; p != "" {
		prefix = p
	}
	action := prefix + ":" + call.Operation
	switch call.Service {
	case "ec2":
		return append(c.ec2Needs(ctx, call, action), c.passing(call)...)
	case "iam":
		return append(c.iamNeeds(call, action), c.passing(call)...)
	case "eks":
		list := c.eksNeeds(ctx, call, action)
		return append(append(list, c.passing(call)...), c.behindEKS(call)...)
	case "logs":
		return logsNeeds(call, action)
	case "efs":
		return c.efsNeeds(call, action)
	case "sqs":
		return sqsNeeds(call, action)
	case "events":
		return eventsNeeds(call, action)
	case "autoscaling":
		return c.autoscalingNeeds(call, action)
	}
	return needs(action, tagKeys(call.Input), otherResources(call)...)
}

// tagging is what tags in a call that makes something take besides.
func tagging(action string, call wire.Call, keys iam.Context, resources []string) []need {
	if !strings.HasPrefix(call.Operation, "Create") || len(requestTags(call.Input)) == 0 {
		return nil
	}
	return needs(action, keys, resources...)
}

// passed are the members of inputs that hand a role to a service, and which.
var passed = map[string]struct{ member, service string }{
	"eks:CreateCluster":                {"RoleArn", "eks.amazonaws.com"},
	"eks:CreateNodegroup":              {"NodeRole", "eks.amazonaws.com"},
	"eks:CreateAddon":                  {"ServiceAccountRoleArn", "eks.amazonaws.com"},
	"eks:UpdateAddon":                  {"ServiceAccountRoleArn", "eks.amazonaws.com"},
	"eks:CreatePodIdentityAssociation": {"RoleArn", podIdentity},
	"eks:UpdatePodIdentityAssociation": {"RoleArn", podIdentity},
	"iam:AddRoleToInstanceProfile":     {"RoleName", "ec2.amazonaws.com"},
}

const podIdentity = "pods.eks.amazonaws.com"

// passing lists the roles that a call hands to services.
func (c *Cloud) passing(call wire.Call) []need {
	var list []need
	pass := func(role, service string) {
		if role == "" {
			return
		}
		if !strings.HasPrefix(role, "arn:") {
			role = c.roleARN(role)
		}
		list = append(list, needs("iam:PassRole", iam.Context{"iam:passedtoservice": {service}}, role)...)
	}
	p := passed[call.Service+":"+call.Operation]
	pass(stringMember(call.Input, p.member), p.service)
	switch in := call.Input.(type) {
	case *eks.CreateAddonInput:
		for _, a := range in.PodIdentityAssociations {
			pass(aws.ToString(a.RoleArn), podIdentity)
		}
	case *eks.UpdateAddonInput:
		for _, a := range in.PodIdentityAssociations {
			pass(aws.ToString(a.RoleArn), podIdentity)
		}
	case *ec2.RunInstancesInput:
		if t := in.LaunchTemplate; t != nil && in.IamInstanceProfile == nil {
			if found, err := c.services.ec2.LaunchTemplate(call.Region, aws.ToString(t.LaunchTemplateId)+aws.ToString(t.LaunchTemplateName), aws.ToString(t.Version)); err == nil {
				list = append(list, c.passProfile(templateProfile(found.Data))...)
			}
		}
		if p := in.IamInstanceProfile; p != nil {
			list = append(list, c.passProfile(aws.ToString(p.Arn)+aws.ToString(p.Name))...)
		}
	}
	return list
}

// behindEKS is what EKS checks of its caller beyond the call: that it could make
// the service-linked roles that are missing, and could start instances from the
// launch template of a node group
// (https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html).
func (c *Cloud) behindEKS(call wire.Call) []need {
	var list []need
	linked := func(service string) {
		if !c.services.iam.HasServiceLinkedRole(service) {
			list = append(list, needs("iam:CreateServiceLinkedRole", iam.Context{"iam:awsservicename": {service}}, iam.LinkedRoleARN(service))...)
		}
	}
	template := func(t *ekstypes.LaunchTemplateSpecification) {
		if t == nil {
			return
		}
		id := aws.ToString(t.Id)
		if found, err := c.services.ec2.LaunchTemplate(call.Region, id+aws.ToString(t.Name), ""); err == nil {
			id = found.ID
		}
		refuse := &ekstypes.InvalidRequestException{Message: aws.String(
			"You are not authorized to launch instances with this launch template. Encoded authorization failure message: " + wire.EncodedFailure())}
		for _, n := range needs("ec2:RunInstances", iam.Context{"aws:viaawsservice": {"true"}},
			ec2ARN(call.Region, "launch-template", id), ec2ARN(call.Region, "instance", "*")) {
			n.refuse = refuse
			list = append(list, n)
		}
	}
	switch in := call.Input.(type) {
	case *eks.CreateClusterInput:
		linked("eks.amazonaws.com")
	case *eks.CreateNodegroupInput:
		linked("eks-nodegroup.amazonaws.com")
		template(in.LaunchTemplate)
	case *eks.UpdateNodegroupVersionInput:
		template(in.LaunchTemplate)
	}
	return list
}
