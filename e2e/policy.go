package e2e

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/rogpeppe/go-internal/testscript"
)

// operatorRole is whom a script's aicluster acts as once a policy is in force.
const operatorRole = "operator"

// cmdPolicy makes the rest of the script run as a role that may do exactly what
// "aicluster iam-policy FILE" prints: "policy FILE". The role counts as part of
// what was there at the start. "policy used" fails when a call was refused since,
// or when a part of the policy was never made use of. "policy used ROLE [ACTION…]"
// asks that of another role, whose policy may have these actions in reserve.
func cmdPolicy(ts *testscript.TestScript, neg bool, args []string) {
	f := of(ts)
	switch {
	case !neg && len(args) == 1 && args[0] == "used":
		f.checkPolicyUsed(operatorRole)
	case !neg && len(args) > 1 && args[0] == "used":
		f.checkPolicyUsed(args[1], args[2:]...)
	case !neg && len(args) == 1:
		f.becomeOperator(args[0])
	default:
		ts.Fatalf("usage: policy FILE | policy used [ROLE [ACTION...]]")
	}
}

func (f fixture) becomeOperator(blueprint string) {
	ctx := context.Background()
	f.Check(f.Exec("aicluster", "iam-policy", "--account", account, blueprint))
	policy := f.ReadFile("stdout")
	api := iam.NewFromConfig(f.config("us-east-1"))
	role, err := api.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String(operatorRole), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"sts:AssumeRole"}]}`)})
	f.Check(err)
	_, err = api.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String(operatorRole), PolicyName: aws.String("aicluster"), PolicyDocument: &policy})
	f.Check(err)
	session, err := sts.NewFromConfig(f.config("us-east-1")).AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: role.Role.Arn, RoleSessionName: aws.String("script")})
	f.Check(err)
	f.Setenv("AWS_ACCESS_KEY_ID", *session.Credentials.AccessKeyId)
	f.Setenv("AWS_SECRET_ACCESS_KEY", *session.Credentials.SecretAccessKey)
	f.Setenv("AWS_SESSION_TOKEN", *session.Credentials.SessionToken)
	f.Check(writeInventory(f, f.MkAbs(startInventory)))
}

func (f fixture) checkPolicyUsed(role string, reserve ...string) {
	var report struct{ Unused, Denied []string }
	f.Check(f.get("permissions?role="+url.QueryEscape(role), &report))
	for _, list := range [][]string{report.Unused, report.Denied} {
		slices.Sort(list)
	}
	report.Unused = slices.DeleteFunc(report.Unused, func(element string) bool {
		return slices.ContainsFunc(reserve, func(action string) bool { return strings.HasSuffix(element, " "+action) })
	})
	if len(report.Denied) > 0 {
		f.Logf("refused to the policy's role:\n  %s", strings.Join(report.Denied, "\n  "))
	}
	if len(report.Unused) > 0 {
		f.Logf("in the policy and never used:\n  %s", strings.Join(report.Unused, "\n  "))
	}
	if len(report.Denied)+len(report.Unused) > 0 {
		f.Fatalf("the policy is not what the calls need")
	}
}
