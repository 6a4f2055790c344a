package iam_test

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/iam"
)

// What a request makes use of are the elements of the statements that allow it,
// and of their alternatives only those that fit.
func TestUsed(t *testing.T) {
	s, c := start(t, 1000)
	awstest.Must(c.CreateRole(t.Context(), &sdk.CreateRoleInput{RoleName: aws.String("demo"), AssumeRolePolicyDocument: aws.String(eksTrust)}))(t)
	awstest.Must(c.PutRolePolicy(t.Context(), &sdk.PutRolePolicyInput{RoleName: aws.String("demo"), PolicyName: aws.String("p"), PolicyDocument: aws.String(`{
		"Version": "2012-10-17", "Statement": [
			{"Sid": "Read", "Effect": "Allow", "Action": ["s3:Get*", "ec2:DescribeVpcs"], "Resource": ["arn:aws:s3:::a/*", "arn:aws:s3:::b/*"]},
			{"Sid": "Pass", "Effect": "Allow", "Action": "iam:PassRole", "Resource": "*",
				"Condition": {"StringEquals": {"iam:PassedToService": ["eks.amazonaws.com", "ec2.amazonaws.com"]}}},
			{"Sid": "Never", "Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::b/secret"}]}`)}))(t)
	for _, tc := range []struct {
		name    string
		request iam.Request
		want    []string
	}{
		{"the action and the resource that fit", iam.Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/x"},
			[]string{"Read Action s3:Get*", "Read Resource arn:aws:s3:::b/*"}},
		{"the value of the condition that fits", iam.Request{Action: "iam:PassRole", Resource: "arn:aws:iam::111122223333:role/x", Context: iam.Context{"iam:passedtoservice": {"ec2.amazonaws.com"}}},
			[]string{"Pass Action iam:PassRole", "Pass Resource *", "Pass Condition StringEquals iam:PassedToService ec2.amazonaws.com"}},
		{"nothing, when the condition does not hold", iam.Request{Action: "iam:PassRole", Resource: "arn:aws:iam::111122223333:role/x"}, nil},
		{"nothing, when the action is another", iam.Request{Action: "s3:PutObject", Resource: "arn:aws:s3:::b/x"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, e := range s.Used("demo", tc.request) {
				got = append(got, e.String())
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	if got := len(s.Elements("demo")); got != 8 {
		t.Errorf("the policy has %d elements, want 8: %v", got, s.Elements("demo"))
	}
	if got := s.Elements("nobody"); got != nil {
		t.Errorf("a role that does not exist has %v", got)
	}
}
