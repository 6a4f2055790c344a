package eks

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	iamsdk "github.com/aws/aws-sdk-go-v2/service/iam"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/iam"
)

// TestRoleSpreads: what EKS says of a role that IAM has and that EKS does not see
// yet, as new or as changed. The words are those that the Terraform AWS provider
// waits on.
func TestRoleSpreads(t *testing.T) {
	const spread = 500 * time.Millisecond
	c := clock.New(1).With(map[clock.Step]time.Duration{clock.IAMPropagation: spread})
	identities := iam.New(c)
	s := &Service{clock: c, opts: Options{IAM: identities}}
	api, ctx := iamsdk.NewFromConfig(awstest.Start(t, identities.Register)), t.Context()
	const arn = "arn:aws:iam::111122223333:role/demo"
	trust := func(service string) *string {
		return aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":["` + service + `"]},"Action":"sts:AssumeRole"}]}`)
	}
	says := func(what string, err error, words string) {
		t.Helper()
		if words == "" && err != nil || words != "" && (err == nil || !strings.Contains(err.Error(), words)) {
			t.Errorf("%s: %v, want %q", what, err, words)
		}
	}
	says("no role", s.checkClusterRole("c", arn), "Role with arn: "+arn+", could not be assumed because it does not exist or the trusted entity is not correct")
	says("no role for nodes", s.checkNodeRole("c", "n", arn), "The role with name demo cannot be found. (Service: AmazonIdentityManagement; Status Code: 404; Error Code: NoSuchEntity)")

	awstest.Must(api.CreateRole(ctx, &iamsdk.CreateRoleInput{RoleName: aws.String("demo"), AssumeRolePolicyDocument: trust("eks.amazonaws.com")}))(t)
	says("new role", s.checkClusterRole("c", arn), "Role with arn: "+arn+", could not be assumed because it does not exist or the trusted entity is not correct")
	says("new role for nodes", s.checkNodeRole("c", "n", arn), "The role with name demo cannot be found.")
	time.Sleep(spread + time.Second) // a role's age counts in whole seconds

	says("role without its policy", s.checkClusterRole("c", arn), "The provided role doesn't have the Amazon EKS Managed Policies associated with it. Please ensure the following policies [arn:aws:iam::aws:policy/AmazonEKSClusterPolicy] are attached")
	says("role for others", s.checkNodeRole("c", "n", arn), "Following required service principals [ec2.amazonaws.com] were not found in the trust relationships of nodeRole "+arn)
	awstest.Must(api.AttachRolePolicy(ctx, &iamsdk.AttachRolePolicyInput{RoleName: aws.String("demo"), PolicyArn: aws.String("arn:aws:iam::aws:policy/AmazonEKSClusterPolicy")}))(t)
	says("policy attached just now", s.checkClusterRole("c", arn), "The provided role doesn't have the Amazon EKS Managed Policies associated with it")
	time.Sleep(spread)
	says("policy attached", s.checkClusterRole("c", arn), "")

	awstest.Must(api.UpdateAssumeRolePolicy(ctx, &iamsdk.UpdateAssumeRolePolicyInput{RoleName: aws.String("demo"), PolicyDocument: trust("ec2.amazonaws.com")}))(t)
	says("trust changed just now", s.checkNodeRole("c", "n", arn), "Following required service principals [ec2.amazonaws.com] were not found in the trust relationships of nodeRole "+arn)
	time.Sleep(spread)
	says("trust changed", s.checkNodeRole("c", "n", arn), "")
	says("trust that leaves EKS out", s.checkClusterRole("c", arn), "Role could not be assumed because the trusted entity is not correct")
}
