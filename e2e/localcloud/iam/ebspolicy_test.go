package iam

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// TestEBSPolicies asks the managed policies of the EBS CSI driver what they let
// it do with volumes of its own and of others.
func TestEBSPolicies(t *testing.T) {
	const allowed, denied = types.PolicyEvaluationDecisionTypeAllowed, types.PolicyEvaluationDecisionTypeImplicitDeny
	volume, instance := "arn:aws:ec2:eu-west-1:111122223333:volume/vol-0123456789abcdef0", "arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0"
	own := Context{"aws:requesttag/ebs.csi.aws.com/cluster": {"true"}}
	tagged := Context{"ec2:resourcetag/ebs.csi.aws.com/cluster": {"true"}}
	for _, tt := range []struct {
		name, action, resource string
		context                Context
		v1, v2                 types.PolicyEvaluationDecisionType
	}{
		{"makes a tagged volume", "ec2:CreateVolume", volume, own, allowed, allowed},
		{"makes an untagged volume", "ec2:CreateVolume", volume, nil, denied, denied},
		{"tags what it makes", "ec2:CreateTags", volume, Context{"ec2:createaction": {"CreateVolume"}}, allowed, allowed},
		{"tags something else", "ec2:CreateTags", volume, nil, denied, denied},
		{"attaches its volume", "ec2:AttachVolume", volume, tagged, allowed, allowed},
		{"attaches somebody's volume", "ec2:AttachVolume", volume, nil, allowed, denied},
		{"attaches to any instance", "ec2:AttachVolume", instance, nil, allowed, allowed},
		{"deletes its volume", "ec2:DeleteVolume", volume, tagged, allowed, allowed},
		{"deletes somebody's volume", "ec2:DeleteVolume", volume, nil, denied, denied},
		{"describes volumes", "ec2:DescribeVolumes", "*", nil, allowed, allowed},
		{"terminates nothing", "ec2:TerminateInstances", instance, nil, denied, denied},
	} {
		for arn, want := range map[string]types.PolicyEvaluationDecisionType{
			"arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy": tt.v1, "arn:aws:iam::aws:policy/AmazonEBSCSIDriverPolicyV2": tt.v2,
		} {
			got := decide([]string{ebsDocument(arn)}, Request{Action: tt.action, Resource: tt.resource, Context: tt.context})
			if got != want {
				t.Errorf("%s with %s: %s, want %s", tt.name, arn, got, want)
			}
		}
	}
}
