package iam

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// The decisions follow the IAM User Guide, "Policy evaluation logic" and the
// pages about Resource and Condition.
func TestDecide(t *testing.T) {
	const (
		allowed  = types.PolicyEvaluationDecisionTypeAllowed
		implicit = types.PolicyEvaluationDecisionTypeImplicitDeny
		explicit = types.PolicyEvaluationDecisionTypeExplicitDeny
		role     = "arn:aws:iam::111122223333:role/ai-eu-nodes"
	)
	allow := func(rest string) string {
		return `{"Version":"2012-10-17","Statement":{"Effect":"Allow",` + rest + `}}`
	}
	when := func(condition string) string {
		return allow(`"Action":"iam:PassRole","Resource":"*","Condition":` + condition)
	}
	const deny = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":"eu-west-1"}}}]}`
	for _, tt := range []struct {
		name     string
		policies []string
		keys     map[string][]string
		want     types.PolicyEvaluationDecisionType
	}{
		{"nothing", nil, nil, implicit},
		{"action with wildcard", []string{allow(`"Action":"IAM:Pass*","Resource":"*"`)}, nil, allowed},
		{"other action", []string{allow(`"Action":"iam:GetRole","Resource":"*"`)}, nil, implicit},
		{"NotAction", []string{allow(`"NotAction":"ec2:*","Resource":"*"`)}, nil, allowed},
		{"resource", []string{allow(`"Action":"*","Resource":["arn:aws:iam::111122223333:role/x","arn:aws:iam::*:role/ai-??-*"]`)}, nil, allowed},
		{"a wildcard does not reach over a colon", []string{allow(`"Action":"*","Resource":"arn:aws:*:role/ai-eu-nodes"`)}, nil, implicit},
		{"an ARN that ends early", []string{allow(`"Action":"*","Resource":"arn:aws:iam:*"`)}, nil, allowed},
		{"other account", []string{allow(`"Action":"*","Resource":"arn:aws:iam::999922223333:role/*"`)}, nil, implicit},
		{"NotResource", []string{allow(`"Action":"*","NotResource":"arn:aws:iam::111122223333:role/*"`)}, nil, implicit},
		{"variable", []string{allow(`"Action":"*","Resource":"arn:aws:iam::${aws:PrincipalAccount}:role/*"`)}, map[string][]string{"aws:principalaccount": {"111122223333"}}, allowed},
		{"variable without a value", []string{allow(`"Action":"*","Resource":"arn:aws:iam::${aws:PrincipalAccount}:role/*"`)}, nil, implicit},
		{"explicit deny wins", []string{allow(`"Action":"*","Resource":"*"`), deny}, map[string][]string{"aws:requestedregion": {"us-east-1"}}, explicit},
		{"deny for others", []string{allow(`"Action":"*","Resource":"*"`), deny}, map[string][]string{"aws:requestedregion": {"eu-west-1"}}, allowed},
		{"deny without the key", []string{allow(`"Action":"*","Resource":"*"`), deny}, nil, explicit},

		{"StringEquals", []string{when(`{"StringEquals":{"iam:PassedToService":["ec2.amazonaws.com","eks.amazonaws.com"]}}`)}, map[string][]string{"iam:passedtoservice": {"eks.amazonaws.com"}}, allowed},
		{"StringEquals, other value", []string{when(`{"StringEquals":{"iam:PassedToService":"ec2.amazonaws.com"}}`)}, map[string][]string{"iam:passedtoservice": {"eks.amazonaws.com"}}, implicit},
		{"StringEquals, no key", []string{when(`{"StringEquals":{"iam:PassedToService":"ec2.amazonaws.com"}}`)}, nil, implicit},
		{"IfExists", []string{when(`{"StringEqualsIfExists":{"iam:PassedToService":"ec2.amazonaws.com"}}`)}, nil, allowed},
		{"StringLike", []string{when(`{"StringLike":{"aws:RequestTag/Team":"ml-*"}}`)}, map[string][]string{"aws:requesttag/team": {"ml-platform"}}, allowed},
		{"all keys must hold", []string{when(`{"StringEquals":{"a:b":"1","a:c":"2"}}`)}, map[string][]string{"a:b": {"1"}}, implicit},
		{"ArnLike", []string{when(`{"ArnLike":{"iam:PolicyARN":"arn:aws:iam::aws:policy/*"}}`)}, map[string][]string{"iam:policyarn": {"arn:aws:iam::aws:policy/service-role/X"}}, allowed},
		{"ForAnyValue", []string{when(`{"ForAnyValue:StringEquals":{"aws:TagKeys":["owner","team"]}}`)}, map[string][]string{"aws:tagkeys": {"x", "team"}}, allowed},
		{"ForAnyValue, no key", []string{when(`{"ForAnyValue:StringEquals":{"aws:TagKeys":["owner"]}}`)}, nil, implicit},
		{"ForAllValues", []string{when(`{"ForAllValues:StringEquals":{"aws:TagKeys":["owner","team"]}}`)}, map[string][]string{"aws:tagkeys": {"x", "team"}}, implicit},
		{"ForAllValues, no key", []string{when(`{"ForAllValues:StringEquals":{"aws:TagKeys":["owner"]}}`)}, nil, allowed},
		{"Null", []string{when(`{"Null":{"aws:RequestTag/owner":"true"}}`)}, nil, allowed},
		{"Null, but there", []string{when(`{"Null":{"aws:RequestTag/owner":"true"}}`)}, map[string][]string{"aws:requesttag/owner": {"me"}}, implicit},
		{"Bool", []string{when(`{"Bool":{"aws:SecureTransport":false}}`)}, map[string][]string{"aws:securetransport": {"false"}}, allowed},
		{"NotIpAddress", []string{when(`{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`)}, map[string][]string{"aws:sourceip": {"10.1.2.3"}}, implicit},
		{"dates", []string{when(`{"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}`)}, map[string][]string{"aws:currenttime": {"2026-11-24T00:00:00Z"}}, allowed},
		{"numbers", []string{when(`{"NumericLessThanEquals":{"s3:max-keys":10}}`)}, map[string][]string{"s3:max-keys": {"11"}}, implicit},
	} {
		for i, p := range tt.policies {
			if err := checkPermissions(p); err != nil {
				t.Errorf("%s: policy %d: %v", tt.name, i, err)
			}
		}
		got := decide(tt.policies, Request{Action: "iam:PassRole", Resource: role, Context: tt.keys})
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	for _, operator := range []string{"StringEqual", "NotEquals", "ForSomeValue:StringEquals", "NullIfExists"} {
		if err := checkPermissions(when(fmt.Sprintf(`{%q:{"a:b":"c"}}`, operator))); err == nil {
			t.Errorf("the operator %s was accepted", operator)
		}
	}
}
