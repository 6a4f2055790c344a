package sts_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	iamsdk "github.com/aws/aws-sdk-go-v2/service/iam"
	sdk "github.com/aws/aws-sdk-go-v2/service/sts"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/sts"
)

func TestIdentity(t *testing.T) {
	ctx := context.Background()
	identities := iam.New(clock.New(1))
	cfg := awstest.Start(t, identities.Register, sts.New(identities).Register)
	c := sdk.NewFromConfig(cfg)
	me := awstest.Must(c.GetCallerIdentity(ctx, &sdk.GetCallerIdentityInput{}))(t)
	if *me.Account != "111122223333" || *me.Arn != "arn:aws:iam::111122223333:user/tester" {
		t.Errorf("%s %s", *me.Account, *me.Arn)
	}
	signed := awstest.Must(sdk.NewPresignClient(c).PresignGetCallerIdentity(ctx, &sdk.GetCallerIdentityInput{}))(t)
	for url, status := range map[string]int{signed.URL: 200, strings.Replace(signed.URL, "X-Amz-Signature=", "X-Amz-Signature=0", 1): 403} {
		r, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != status || status == 200 && !strings.Contains(string(body), "user/tester") {
			t.Errorf("%d: %s", r.StatusCode, body)
		}
	}

	unknown := func(o *sdk.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider("AKIANOBODY", "secret", "")
	}
	_, err := c.GetCallerIdentity(ctx, &sdk.GetCallerIdentityInput{}, unknown)
	awstest.Fails(t, err, 403, "InvalidClientTokenId", "The security token included in the request is invalid")

	roles := iamsdk.NewFromConfig(cfg)
	for name, principal := range map[string]string{"mine": `"AWS":"arn:aws:iam::111122223333:root"`, "theirs": `"Service":"eks.amazonaws.com"`} {
		awstest.Must(roles.CreateRole(ctx, &iamsdk.CreateRoleInput{RoleName: aws.String(name), AssumeRolePolicyDocument: aws.String(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{` + principal + `},"Action":"sts:AssumeRole"}]}`)}))(t)
	}
	assume := func(name string) (*sdk.AssumeRoleOutput, error) {
		return c.AssumeRole(ctx, &sdk.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::111122223333:role/" + name), RoleSessionName: aws.String("session")})
	}
	for name, in := range map[string]*sdk.AssumeRoleInput{
		"a day":                {DurationSeconds: aws.Int32(7200)},
		"no session name":      {RoleSessionName: aws.String("")},
		"a minute":             {DurationSeconds: aws.Int32(60)},
		"role that is not one": {RoleArn: aws.String("mine")},
	} {
		want := map[string]string{
			"a day":                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
			"no session name":      "Member must have length greater than or equal to 2",
			"a minute":             "Member must have value greater than or equal to 900",
			"role that is not one": "Member must have length greater than or equal to 20",
		}[name]
		t.Run(name, func(t *testing.T) {
			if in.RoleArn == nil {
				in.RoleArn = aws.String("arn:aws:iam::111122223333:role/mine")
			}
			if in.RoleSessionName == nil {
				in.RoleSessionName = aws.String("session")
			}
			_, err := c.AssumeRole(ctx, in)
			awstest.Fails(t, err, 400, "ValidationError", want)
		})
	}
	_, err = assume("none")
	awstest.Fails(t, err, 403, "AccessDenied", "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111122223333:role/none")
	_, err = assume("theirs")
	awstest.Fails(t, err, 403, "AccessDenied", "User: arn:aws:iam::111122223333:user/tester is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111122223333:role/theirs")
	keys := awstest.Must(assume("mine"))(t).Credentials
	cfg.Credentials = credentials.NewStaticCredentialsProvider(*keys.AccessKeyId, *keys.SecretAccessKey, *keys.SessionToken)
	if got := awstest.Must(sdk.NewFromConfig(cfg).GetCallerIdentity(ctx, &sdk.GetCallerIdentityInput{}))(t); *got.Arn != "arn:aws:sts::111122223333:assumed-role/mine/session" {
		t.Error(*got.Arn)
	}
	awstest.Must(roles.UpdateRole(ctx, &iamsdk.UpdateRoleInput{RoleName: aws.String("mine"), MaxSessionDuration: aws.Int32(43200)}))(t)
	_, err = sdk.NewFromConfig(cfg).AssumeRole(ctx, &sdk.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::111122223333:role/mine"), RoleSessionName: aws.String("chained"), DurationSeconds: aws.Int32(7200)})
	awstest.Fails(t, err, 400, "ValidationError", "1 hour session limit for roles assumed by role chaining")
}
