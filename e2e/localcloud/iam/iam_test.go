package iam_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/iam"
)

const eksTrust = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}]}`

func start(t *testing.T, speed float64) (*iam.Service, *sdk.Client) {
	s := iam.New(clock.New(speed))
	return s, sdk.NewFromConfig(awstest.Start(t, s.Register))
}

func TestRoleLifecycle(t *testing.T) {
	ctx := context.Background()
	s, c := start(t, 1000)
	out := awstest.Must(c.CreateRole(ctx, &sdk.CreateRoleInput{
		RoleName: aws.String("demo"), AssumeRolePolicyDocument: aws.String(eksTrust), Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}},
	}))(t)
	if *out.Role.Arn != "arn:aws:iam::111122223333:role/demo" || !strings.HasPrefix(*out.Role.RoleId, "AROA") || len(*out.Role.RoleId) != 21 {
		t.Errorf("role %s, id %s", *out.Role.Arn, *out.Role.RoleId)
	}
	got := awstest.Must(c.GetRole(ctx, &sdk.GetRoleInput{RoleName: aws.String("demo")}))(t).Role
	if strings.ContainsAny(*got.AssumeRolePolicyDocument, `+" `) {
		t.Errorf("trust policy is not percent-encoded: %s", *got.AssumeRolePolicyDocument)
	}
	if text, _ := url.PathUnescape(*got.AssumeRolePolicyDocument); text != eksTrust {
		t.Errorf("trust policy %s", text)
	}
	if len(got.Tags) != 1 || *got.MaxSessionDuration != 3600 {
		t.Errorf("tags %v, session %d", got.Tags, *got.MaxSessionDuration)
	}
	managed := aws.String("arn:aws:iam::aws:policy/AmazonEKSClusterPolicy")
	for range 2 { // a second time is no error
		awstest.Must(c.AttachRolePolicy(ctx, &sdk.AttachRolePolicyInput{RoleName: aws.String("demo"), PolicyArn: managed}))(t)
	}
	r, ok := s.Role("arn:aws:iam::111122223333:role/demo")
	if !ok || !r.HasPolicy("AmazonEKSClusterPolicy") || !r.Trusts("eks.amazonaws.com") || r.Trusts("ec2.amazonaws.com") {
		t.Errorf("snapshot %+v", r)
	}
	_, err := c.DeleteRole(ctx, &sdk.DeleteRoleInput{RoleName: aws.String("demo")})
	awstest.Fails(t, err, 409, "DeleteConflict", "Cannot delete entity, must detach all policies first.")
	awstest.Must(c.DetachRolePolicy(ctx, &sdk.DetachRolePolicyInput{RoleName: aws.String("demo"), PolicyArn: managed}))(t)
	awstest.Must(c.PutRolePolicy(ctx, &sdk.PutRolePolicyInput{RoleName: aws.String("demo"), PolicyName: aws.String("p"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}}`)}))(t)
	_, err = c.DeleteRole(ctx, &sdk.DeleteRoleInput{RoleName: aws.String("demo")})
	awstest.Fails(t, err, 409, "DeleteConflict", "Cannot delete entity, must delete policies first.")
	awstest.Must(c.DeleteRolePolicy(ctx, &sdk.DeleteRolePolicyInput{RoleName: aws.String("demo"), PolicyName: aws.String("p")}))(t)
	awstest.Must(c.CreateInstanceProfile(ctx, &sdk.CreateInstanceProfileInput{InstanceProfileName: aws.String("demo")}))(t)
	awstest.Must(c.AddRoleToInstanceProfile(ctx, &sdk.AddRoleToInstanceProfileInput{InstanceProfileName: aws.String("demo"), RoleName: aws.String("demo")}))(t)
	_, err = c.DeleteRole(ctx, &sdk.DeleteRoleInput{RoleName: aws.String("demo")})
	awstest.Fails(t, err, 409, "DeleteConflict", "must remove roles from instance profile first")
	_, err = c.DeleteInstanceProfile(ctx, &sdk.DeleteInstanceProfileInput{InstanceProfileName: aws.String("demo")})
	awstest.Fails(t, err, 409, "DeleteConflict", "must remove roles from instance profile first")
	awstest.Must(c.RemoveRoleFromInstanceProfile(ctx, &sdk.RemoveRoleFromInstanceProfileInput{InstanceProfileName: aws.String("demo"), RoleName: aws.String("demo")}))(t)
	awstest.Must(c.DeleteInstanceProfile(ctx, &sdk.DeleteInstanceProfileInput{InstanceProfileName: aws.String("demo")}))(t)
	awstest.Must(c.DeleteRole(ctx, &sdk.DeleteRoleInput{RoleName: aws.String("demo")}))(t)
	if left := s.Inventory(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestServiceLinkedRoles(t *testing.T) {
	ctx := context.Background()
	s, c := start(t, 1000)
	for service, name := range map[string]string{
		"eks.amazonaws.com": "AWSServiceRoleForAmazonEKS", "eks-nodegroup.amazonaws.com": "AWSServiceRoleForAmazonEKSNodegroup",
		"autoscaling.amazonaws.com": "AWSServiceRoleForAutoScaling", "spot.amazonaws.com": "AWSServiceRoleForEC2Spot",
		"elasticfilesystem.amazonaws.com": "AWSServiceRoleForAmazonElasticFileSystem",
	} {
		out := awstest.Must(c.CreateServiceLinkedRole(ctx, &sdk.CreateServiceLinkedRoleInput{AWSServiceName: aws.String(service)}))(t)
		if *out.Role.RoleName != name || *out.Role.Path != "/aws-service-role/"+service+"/" {
			t.Errorf("%s: %s%s", service, *out.Role.Path, *out.Role.RoleName)
		}
		_, err := c.CreateServiceLinkedRole(ctx, &sdk.CreateServiceLinkedRoleInput{AWSServiceName: aws.String(service)})
		awstest.Fails(t, err, 400, "InvalidInput", "Service role name "+name+" has been taken in this account, please try a different suffix.")
		_, err = c.DeleteRole(ctx, &sdk.DeleteRoleInput{RoleName: aws.String(name)})
		awstest.Fails(t, err, 400, "UnmodifiableEntity", "this role is only modifiable by AWS")
		attached := awstest.Must(c.ListAttachedRolePolicies(ctx, &sdk.ListAttachedRolePoliciesInput{RoleName: aws.String(name)}))(t)
		for _, p := range attached.AttachedPolicies {
			awstest.Must(c.GetPolicy(ctx, &sdk.GetPolicyInput{PolicyArn: p.PolicyArn}))(t)
		}
	}
	s.EnsureServiceLinkedRole("elasticloadbalancing.amazonaws.com")
	if inv := s.Inventory(); len(inv) != 5 {
		t.Errorf("a role that a service made for itself is listed: %v", inv)
	}
}

func TestPropagation(t *testing.T) {
	ctx := context.Background()
	s, c := start(t, 50) // 10 s become 200 ms
	awstest.Must(c.CreateRole(ctx, &sdk.CreateRoleInput{RoleName: aws.String("demo"), AssumeRolePolicyDocument: aws.String(eksTrust)}))(t)
	if s.Propagated("demo") {
		t.Error("a new role is known at once")
	}
	time.Sleep(250 * time.Millisecond)
	if !s.Propagated("demo") {
		t.Error("the role is not known after the time")
	}
	awstest.Must(c.UpdateAssumeRolePolicy(ctx, &sdk.UpdateAssumeRolePolicyInput{RoleName: aws.String("demo"), PolicyDocument: aws.String(eksTrust)}))(t)
	if s.Propagated("demo") {
		t.Error("a changed trust policy is known at once")
	}
}

func TestSimulate(t *testing.T) {
	ctx := context.Background()
	_, c := start(t, 1000)
	awstest.Must(c.CreateRole(ctx, &sdk.CreateRoleInput{RoleName: aws.String("demo"), AssumeRolePolicyDocument: aws.String(eksTrust)}))(t)
	awstest.Must(c.PutRolePolicy(ctx, &sdk.PutRolePolicyInput{RoleName: aws.String("demo"), PolicyName: aws.String("p"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","EC2:Describe*"],"Resource":"arn:aws:s3:::b/*"},{"Effect":"Deny","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/secret/*"}]}`)}))(t)
	for _, tt := range []struct{ action, resource, want string }{
		{"s3:GetObject", "arn:aws:s3:::b/models/x", "allowed"},
		{"s3:GetObject", "arn:aws:s3:::b/secret/x", "explicitDeny"},
		{"s3:PutObject", "arn:aws:s3:::b/models/x", "implicitDeny"},
		{"s3:GetObject", "arn:aws:s3:::other/x", "implicitDeny"},
	} {
		out := awstest.Must(c.SimulatePrincipalPolicy(ctx, &sdk.SimulatePrincipalPolicyInput{
			PolicySourceArn: aws.String("arn:aws:iam::111122223333:role/demo"), ActionNames: []string{tt.action}, ResourceArns: []string{tt.resource},
		}))(t)
		if got := string(out.EvaluationResults[0].EvalDecision); got != tt.want {
			t.Errorf("%s on %s: %s, want %s", tt.action, tt.resource, got, tt.want)
		}
	}
}

func TestLists(t *testing.T) {
	ctx := context.Background()
	_, c := start(t, 1000)
	want := []string{"a", "b", "c"}
	for _, n := range want {
		awstest.Must(c.CreateRole(ctx, &sdk.CreateRoleInput{RoleName: aws.String(n), AssumeRolePolicyDocument: aws.String(eksTrust)}))(t)
	}
	var got []string
	for p := sdk.NewListRolesPaginator(c, &sdk.ListRolesInput{MaxItems: aws.Int32(1)}); p.HasMorePages(); {
		for _, r := range awstest.Must(p.NextPage(ctx))(t).Roles {
			got = append(got, *r.RoleName)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("roles %v", got)
	}
	// AWS's own policies have a version, as the description says.
	managed := awstest.Must(c.GetPolicy(ctx, &sdk.GetPolicyInput{PolicyArn: aws.String("arn:aws:iam::aws:policy/AmazonEKSClusterPolicy")}))(t).Policy
	version := awstest.Must(c.GetPolicyVersion(ctx, &sdk.GetPolicyVersionInput{PolicyArn: managed.Arn, VersionId: managed.DefaultVersionId}))(t).PolicyVersion
	if !version.IsDefaultVersion || *version.VersionId != *managed.DefaultVersionId || aws.ToString(version.Document) == "" {
		t.Errorf("version %+v", version)
	}
	_, err := c.GetPolicyVersion(ctx, &sdk.GetPolicyVersionInput{PolicyArn: aws.String("arn:aws:iam::aws:policy/NoSuch"), VersionId: aws.String("v1")})
	awstest.Fails(t, err, 404, "NoSuchEntity", "was not found")

	created := awstest.Must(c.CreateOpenIDConnectProvider(ctx, &sdk.CreateOpenIDConnectProviderInput{Url: aws.String("https://oidc.eks.ap-northeast-2.amazonaws.com/id/ABC"), ClientIDList: []string{"sts.amazonaws.com"}}))(t)
	if *created.OpenIDConnectProviderArn != "arn:aws:iam::111122223333:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/ABC" {
		t.Error(*created.OpenIDConnectProviderArn)
	}
	_, err = c.CreateOpenIDConnectProvider(ctx, &sdk.CreateOpenIDConnectProviderInput{Url: aws.String("https://oidc.eks.ap-northeast-2.amazonaws.com/id/ABC")})
	awstest.Fails(t, err, 409, "EntityAlreadyExists", "already exists")
}
