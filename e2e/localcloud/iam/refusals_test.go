package iam_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"aicluster/e2e/localcloud/awstest"
)

// What IAM refuses: status, code and words.
func TestRefusals(t *testing.T) {
	ctx := t.Context()
	_, c := start(t, 1000)
	errOf := func(_ any, err error) error { return err }
	role := func(name, trust string) error {
		return errOf(c.CreateRole(ctx, &sdk.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust}))
	}
	with := func(change func(*sdk.CreateRoleInput)) error {
		in := &sdk.CreateRoleInput{RoleName: aws.String("x"), AssumeRolePolicyDocument: aws.String(eksTrust)}
		change(in)
		return errOf(c.CreateRole(ctx, in))
	}
	attach := func(role, policy string) error {
		return errOf(c.AttachRolePolicy(ctx, &sdk.AttachRolePolicyInput{RoleName: &role, PolicyArn: &policy}))
	}
	inline := func(document string) error {
		return errOf(c.PutRolePolicy(ctx, &sdk.PutRolePolicyInput{RoleName: aws.String("have"), PolicyName: aws.String("p"), PolicyDocument: &document}))
	}
	policy := func(name, document string) error {
		return errOf(c.CreatePolicy(ctx, &sdk.CreatePolicyInput{PolicyName: &name, PolicyDocument: &document}))
	}
	tags := func(list ...types.Tag) error {
		return errOf(c.TagRole(ctx, &sdk.TagRoleInput{RoleName: aws.String("have"), Tags: list}))
	}
	tag := func(k string) types.Tag { return types.Tag{Key: &k, Value: aws.String("v")} }
	linked := func(service string) error {
		return errOf(c.CreateServiceLinkedRole(ctx, &sdk.CreateServiceLinkedRoleInput{AWSServiceName: &service}))
	}
	provider := func(url string, thumbprints ...string) error {
		return errOf(c.CreateOpenIDConnectProvider(ctx, &sdk.CreateOpenIDConnectProviderInput{Url: &url, ThumbprintList: thumbprints}))
	}
	const aws1, allow = "arn:aws:iam::aws:policy/", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":[%s"*"]}]}`
	own := "arn:aws:iam::111122223333:policy/have"
	long := func(n int) string { return fmt.Sprintf(allow, strings.Repeat(`"arn:aws:s3:::b/k",`, n/19)) }
	longTrust := strings.Replace(eksTrust, `"eks.amazonaws.com"`, `[`+strings.Repeat(`"eks.amazonaws.com",`, 110)+`"eks.amazonaws.com"]`, 1)
	prints := strings.Split(strings.TrimSuffix(strings.Repeat(strings.Repeat("a", 40)+",", 6), ","), ",")

	if err := role("have", eksTrust); err != nil {
		t.Fatal(err)
	}
	awstest.Must(c.CreatePolicy(ctx, &sdk.CreatePolicyInput{PolicyName: aws.String("have"), PolicyDocument: aws.String(fmt.Sprintf(allow, ""))}))(t)
	for i := range 9 {
		name := fmt.Sprint("policy", i)
		if err := policy(name, fmt.Sprintf(allow, "")); err != nil {
			t.Fatal(err)
		}
		if err := attach("have", "arn:aws:iam::111122223333:policy/"+name); err != nil {
			t.Fatal(err)
		}
	}
	if err := attach("have", own); err != nil {
		t.Fatal(err)
	}
	profile := &sdk.CreateInstanceProfileInput{InstanceProfileName: aws.String("have")}
	awstest.Must(c.CreateInstanceProfile(ctx, profile))(t)
	into := &sdk.AddRoleToInstanceProfileInput{InstanceProfileName: aws.String("have"), RoleName: aws.String("have")}
	awstest.Must(c.AddRoleToInstanceProfile(ctx, into))(t)
	var tags51 []types.Tag
	for i := range 51 {
		tags51 = append(tags51, tag(fmt.Sprint(i)))
	}
	if err := tags(tags51[:49]...); err != nil {
		t.Fatal(err)
	}

	for _, tt := range []struct {
		name        string
		err         error
		status      int
		code, words string
	}{
		{"name taken", role("have", eksTrust), 409, "EntityAlreadyExists", "Role with name have already exists."},
		{"name taken in another case", role("HAVE", eksTrust), 409, "EntityAlreadyExists", "Role with name HAVE already exists."},
		{"name of 65 characters", role(strings.Repeat("r", 65), eksTrust), 400, "ValidationError", "Member must have length less than or equal to 64"},
		{"name with a slash", role("a/b", eksTrust), 400, "ValidationError", "Member must satisfy regular expression pattern"},
		{"session of a day", with(func(in *sdk.CreateRoleInput) { in.MaxSessionDuration = aws.Int32(86400) }), 400, "ValidationError", "Member must have value less than or equal to 43200"},
		{"path of AWS", with(func(in *sdk.CreateRoleInput) { in.Path = aws.String("/aws-service-role/x/") }), 400, "InvalidInput", "/aws-service-role/"},
		{"boundary that is no policy", with(func(in *sdk.CreateRoleInput) { in.PermissionsBoundary = aws.String(aws1 + "None") }), 404, "NoSuchEntity", "Scope ARN: arn:aws:iam::aws:policy/None does not exist or is not attachable."},
		{"no JSON", role("x", `{"Version`), 400, "MalformedPolicyDocument", "This policy contains invalid Json"},
		{"unknown element", role("x", `{"Version":"2012-10-17","Statements":[]}`), 400, "MalformedPolicyDocument", "Syntax errors in policy."},
		{"no principal", role("x", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole"}]}`), 400, "MalformedPolicyDocument", "Missing required field Principal"},
		{"resource in trust", role("x", strings.Replace(eksTrust, `"Effect"`, `"Resource": "*", "Effect"`, 1)), 400, "MalformedPolicyDocument", "Has prohibited field Resource"},
		{"another action in trust", role("x", strings.Replace(eksTrust, "sts:AssumeRole", "s3:GetObject", 1)), 400, "MalformedPolicyDocument", "AssumeRole policy may only specify STS AssumeRole actions."},
		{"bad service", role("x", strings.Replace(eksTrust, "eks.amazonaws.com", "eks", 1)), 400, "MalformedPolicyDocument", `Invalid principal in policy: "Service":"eks"`},
		{"long trust", role("x", longTrust), 409, "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048"},
		{"longer trust later", errOf(c.UpdateAssumeRolePolicy(ctx, &sdk.UpdateAssumeRolePolicyInput{RoleName: aws.String("have"), PolicyDocument: &longTrust})), 409, "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048"},
		{"trust of no role", errOf(c.UpdateAssumeRolePolicy(ctx, &sdk.UpdateAssumeRolePolicyInput{RoleName: aws.String("none"), PolicyDocument: aws.String(eksTrust)})), 404, "NoSuchEntity", "The role with name none cannot be found."},

		{"missing role", attach("none", aws1+"AmazonEKSClusterPolicy"), 404, "NoSuchEntity", "The role with name none cannot be found."},
		{"missing policy", attach("have", aws1+"AmazonEKSClusterPolicie"), 404, "NoSuchEntity", "Policy arn:aws:iam::aws:policy/AmazonEKSClusterPolicie does not exist or is not attachable."},
		{"policy of a service", attach("have", aws1+"aws-service-role/AmazonEKSServiceRolePolicy"), 404, "NoSuchEntity", "does not exist or is not attachable."},
		{"eleventh policy", attach("have", aws1+"AmazonEKSClusterPolicy"), 409, "LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10"},
		{"detach what is not attached", errOf(c.DetachRolePolicy(ctx, &sdk.DetachRolePolicyInput{RoleName: aws.String("have"), PolicyArn: aws.String(aws1 + "AmazonEKSClusterPolicy")})), 404, "NoSuchEntity", "Policy arn:aws:iam::aws:policy/AmazonEKSClusterPolicy was not found."},
		{"principal in permissions", inline(eksTrust), 400, "MalformedPolicyDocument", "Policy document should not specify a principal."},
		{"no resource", inline(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*"}]}`), 400, "MalformedPolicyDocument", "Policy statement must contain resources."},
		{"no vendor", inline(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"GetObject","Resource":"*"}]}`), 400, "MalformedPolicyDocument", "must be prefaced by a vendor"},
		{"resource that is no ARN", inline(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"b/k"}]}`), 400, "MalformedPolicyDocument", `Resource b/k must be in ARN format or "*".`},
		{"long inline policy", inline(long(10300)), 409, "LimitExceeded", "Maximum policy size of 10240 bytes exceeded for role have"},
		{"no inline policy", errOf(c.GetRolePolicy(ctx, &sdk.GetRolePolicyInput{RoleName: aws.String("have"), PolicyName: aws.String("none")})), 404, "NoSuchEntity", "The role policy with name none cannot be found."},
		{"delete no inline policy", errOf(c.DeleteRolePolicy(ctx, &sdk.DeleteRolePolicyInput{RoleName: aws.String("have"), PolicyName: aws.String("none")})), 404, "NoSuchEntity", "The role policy with name none cannot be found."},
		{"policy name taken", policy("have", fmt.Sprintf(allow, "")), 409, "EntityAlreadyExists", "A policy called have already exists. Duplicate names are not allowed."},
		{"long policy", policy("long", long(6200)), 409, "LimitExceeded", "Cannot exceed quota for PolicySize: 6144"},
		{"delete an attached policy", errOf(c.DeletePolicy(ctx, &sdk.DeletePolicyInput{PolicyArn: &own})), 409, "DeleteConflict", "Cannot delete a policy attached to entities."},

		{"51 tags at once", tags(tags51...), 400, "ValidationError", "Member must have length less than or equal to 50"},
		{"51st tag", tags(tags51[48], tags51[49], tags51[50]), 409, "LimitExceeded", "The number of tags has reached the maximum limit."},
		{"tag twice", tags(tag("a"), tag("A")), 400, "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive."},
		{"tag of AWS", tags(tag("aws:a")), 400, "InvalidInput", "reserved for AWS use"},

		{"role in a profile", errOf(c.DeleteRole(ctx, &sdk.DeleteRoleInput{RoleName: aws.String("have")})), 409, "DeleteConflict", "Cannot delete entity, must remove roles from instance profile first."},
		{"delete no role", errOf(c.DeleteRole(ctx, &sdk.DeleteRoleInput{RoleName: aws.String("none")})), 404, "NoSuchEntity", "The role with name none cannot be found."},
		{"look at no role", errOf(c.GetRole(ctx, &sdk.GetRoleInput{RoleName: aws.String("none")})), 404, "NoSuchEntity", "The role with name none cannot be found."},
		{"policies attached to no role", errOf(c.ListAttachedRolePolicies(ctx, &sdk.ListAttachedRolePoliciesInput{RoleName: aws.String("none")})), 404, "NoSuchEntity", "The role with name none cannot be found."},
		{"policies in no role", errOf(c.ListRolePolicies(ctx, &sdk.ListRolePoliciesInput{RoleName: aws.String("none")})), 404, "NoSuchEntity", "The role with name none cannot be found."},
		{"profiles of no role", errOf(c.ListInstanceProfilesForRole(ctx, &sdk.ListInstanceProfilesForRoleInput{RoleName: aws.String("none")})), 404, "NoSuchEntity", "The role with name none cannot be found."},
		{"profiles from a made-up page", errOf(c.ListInstanceProfiles(ctx, &sdk.ListInstanceProfilesInput{Marker: aws.String("x")})), 400, "ValidationError", "Invalid Marker."},
		{"1001 profiles a page", errOf(c.ListInstanceProfiles(ctx, &sdk.ListInstanceProfilesInput{MaxItems: aws.Int32(1001)})), 400, "ValidationError", "Member must have value less than or equal to 1000"},
		{"role out of no profile", errOf(c.RemoveRoleFromInstanceProfile(ctx, &sdk.RemoveRoleFromInstanceProfileInput{InstanceProfileName: aws.String("none"), RoleName: aws.String("have")})), 404, "NoSuchEntity", "Instance Profile none cannot be found."},
		{"profile again", errOf(c.CreateInstanceProfile(ctx, profile)), 409, "EntityAlreadyExists", "Instance Profile have already exists."},
		{"second role in a profile", errOf(c.AddRoleToInstanceProfile(ctx, into)), 409, "LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1"},
		{"profile with a role", errOf(c.DeleteInstanceProfile(ctx, &sdk.DeleteInstanceProfileInput{InstanceProfileName: aws.String("have")})), 409, "DeleteConflict", "Cannot delete entity, must remove roles from instance profile first."},
		{"tags of no profile", errOf(c.TagInstanceProfile(ctx, &sdk.TagInstanceProfileInput{InstanceProfileName: aws.String("none"), Tags: []types.Tag{tag("a")}})), 404, "NoSuchEntity", "Instance Profile none cannot be found."},
		{"tag of AWS on a profile", errOf(c.TagInstanceProfile(ctx, &sdk.TagInstanceProfileInput{InstanceProfileName: aws.String("have"), Tags: []types.Tag{tag("aws:x")}})), 400, "InvalidInput", "aws:"},
		{"no profile", errOf(c.GetInstanceProfile(ctx, &sdk.GetInstanceProfileInput{InstanceProfileName: aws.String("none")})), 404, "NoSuchEntity", "Instance Profile none cannot be found."},
		{"linked role of no service", linked("none.amazonaws.com"), 400, "InvalidInput", "none.amazonaws.com"},
		{"provider without TLS", provider("http://oidc.example.com"), 400, "ValidationError", "Invalid Open ID Connect Provider URL"},
		{"six thumbprints", provider("https://oidc.example.com", prints...), 400, "InvalidInput", "Thumbprint list must contain fewer than 5 entries."},
		{"no provider", errOf(c.GetOpenIDConnectProvider(ctx, &sdk.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: aws.String("arn:aws:iam::111122223333:oidc-provider/none")})), 404, "NoSuchEntity", "OpenIDConnect Provider not found for arn"},
	} {
		t.Run(tt.name, func(t *testing.T) { awstest.Fails(t, tt.err, tt.status, tt.code, tt.words) })
	}
	for i := range 999 {
		if err := role(fmt.Sprint("r", i), eksTrust); err != nil {
			t.Fatal(err)
		}
	}
	awstest.Fails(t, role("r1000", eksTrust), 409, "LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1000")
}

// IAM pages by markers; a marker is good for its own list only.
func TestPages(t *testing.T) {
	ctx := t.Context()
	_, c := start(t, 1000)
	for i := range 12 {
		awstest.Must(c.CreateRole(ctx, &sdk.CreateRoleInput{RoleName: aws.String(fmt.Sprint("r", i)), AssumeRolePolicyDocument: aws.String(eksTrust)}))(t)
	}
	first := awstest.Must(c.ListRoles(ctx, &sdk.ListRolesInput{}))(t)
	if !first.IsTruncated || len(first.Roles) >= 12 {
		t.Errorf("%d roles in the first page, truncated %v", len(first.Roles), first.IsTruncated)
	}
	_, err := c.ListPolicies(ctx, &sdk.ListPoliciesInput{Marker: first.Marker})
	awstest.Fails(t, err, 400, "ValidationError", "Invalid Marker.")
	_, err = c.ListRoles(ctx, &sdk.ListRolesInput{MaxItems: aws.Int32(1001)})
	awstest.Fails(t, err, 400, "ValidationError", "Member must have value less than or equal to 1000")
}
