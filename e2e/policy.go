package e2e

import (
	"context"
	"os"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/rogpeppe/go-internal/testscript"
)

// documentedPolicy finds the policy in docs/iam.md.
var documentedPolicy = regexp.MustCompile("(?s)```json\n(.*?)```")

// cmdPolicy makes the rest of the script run as a role that may do exactly what
// docs/iam.md says: "policy CLUSTER REGION BUCKET". The role counts as part of
// what was there at the start.
func cmdPolicy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: policy CLUSTER REGION BUCKET")
	}
	f, ctx := of(ts), context.Background()
	text, err := os.ReadFile("../docs/iam.md")
	ts.Check(err)
	block := documentedPolicy.FindSubmatch(text)
	if block == nil {
		ts.Fatalf("docs/iam.md has no policy")
	}
	policy := strings.NewReplacer("ACCOUNT", account, "REGION", args[1], "CLUSTER", args[0], "BUCKET", args[2]).Replace(string(block[1]))

	api := iam.NewFromConfig(f.config("us-east-1"))
	const name = "operator"
	role, err := api.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String(name), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"sts:AssumeRole"}]}`)})
	ts.Check(err)
	_, err = api.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String(name), PolicyName: aws.String("aicluster"), PolicyDocument: &policy})
	ts.Check(err)
	session, err := sts.NewFromConfig(f.config(args[1])).AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: role.Role.Arn, RoleSessionName: aws.String("script")})
	ts.Check(err)
	ts.Setenv("AWS_ACCESS_KEY_ID", *session.Credentials.AccessKeyId)
	ts.Setenv("AWS_SECRET_ACCESS_KEY", *session.Credentials.SecretAccessKey)
	ts.Setenv("AWS_SESSION_TOKEN", *session.Credentials.SessionToken)
	ts.Check(writeInventory(f, ts.MkAbs(startInventory)))
}
