package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// An answer of each protocol's error, as the SDK reads it.
func TestErrors(t *testing.T) {
	s, cfg := newTestServer(t, Options{})
	Handle(s, "ec2", func(context.Context, *ec2.DeleteVpcInput) (*ec2.DeleteVpcOutput, error) {
		return nil, &Error{Code: "DependencyViolation", Message: "The vpc 'vpc-1' has dependencies and cannot be deleted."}
	})
	Handle(s, "iam", func(context.Context, *iam.GetRoleInput) (*iam.GetRoleOutput, error) {
		return nil, &iamtypes.NoSuchEntityException{Message: aws.String("The role with name x cannot be found.")}
	})
	Handle(s, "eks", func(context.Context, *eks.DescribeClusterInput) (*eks.DescribeClusterOutput, error) {
		return nil, &ekstypes.ResourceNotFoundException{Message: aws.String("No cluster found for name: x."), ClusterName: aws.String("x")}
	})
	Handle(s, "ssm", func(context.Context, *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
		return nil, fmt.Errorf("looking: %w", &ssmtypes.ParameterNotFound{})
	})
	Handle(s, "sts", func(context.Context, *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
		panic("a bug")
	})
	ctx := context.Background()
	tests := []struct {
		name          string
		call          func() error
		code, message string
		status        int
	}{
		{"ec2", func() error {
			_, err := ec2.NewFromConfig(cfg).DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: aws.String("vpc-1")})
			return err
		}, "DependencyViolation", "The vpc 'vpc-1' has dependencies and cannot be deleted.", 400},
		{"query", func() error {
			_, err := iam.NewFromConfig(cfg).GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("x")})
			return err
		}, "NoSuchEntity", "The role with name x cannot be found.", 404},
		{"rest", func() error {
			_, err := eks.NewFromConfig(cfg).DescribeCluster(ctx, &eks.DescribeClusterInput{Name: aws.String("x")})
			return err
		}, "ResourceNotFoundException", "No cluster found for name: x.", 404},
		{"json", func() error {
			_, err := ssm.NewFromConfig(cfg).GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("x")})
			return err
		}, "ParameterNotFound", "", 400},
		{"panic", func() error {
			_, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil)
			return err
		}, "InternalFailure", "The request processing has failed because of an unknown error: panic: a bug", 500},
		{"operation without a handler, ec2", func() error {
			_, err := ec2.NewFromConfig(cfg).DescribeVpcs(ctx, nil)
			return err
		}, "InvalidAction", "The action DescribeVpcs is not valid for this web service.", 400},
		{"operation without a handler, rest", func() error {
			_, err := eks.NewFromConfig(cfg).ListClusters(ctx, nil)
			return err
		}, "UnknownOperationException", "UnknownError", 404},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { wantError(t, test.call(), test.code, test.message, test.status) })
	}
	var notFound *ekstypes.ResourceNotFoundException
	if err := tests[2].call(); !errors.As(err, &notFound) || aws.ToString(notFound.ClusterName) != "x" {
		t.Errorf("typed error lost its members: %v", err)
	}
}

func wantError(t *testing.T, err error, code, message string, status int) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Fatalf("want %s, got %v", code, err)
	}
	if api.ErrorCode() != code || api.ErrorMessage() != message {
		t.Errorf("got  %s: %s\nwant %s: %s", api.ErrorCode(), api.ErrorMessage(), code, message)
	}
	var response *awshttp.ResponseError
	if !errors.As(err, &response) || response.HTTPStatusCode() != status || len(response.ServiceRequestID()) != 36 {
		t.Errorf("want status %d and a request id, got %v", status, err)
	}
}

// Input that the SDK's own checks let pass and AWS refuses.
func TestValidation(t *testing.T) {
	s, cfg := newTestServer(t, Options{})
	Handle(s, "ec2", func(context.Context, *ec2.DescribeNatGatewaysInput) (*ec2.DescribeNatGatewaysOutput, error) {
		return nil, nil
	})
	Handle(s, "ec2", func(context.Context, *ec2.CreateSubnetInput) (*ec2.CreateSubnetOutput, error) { return nil, nil })
	Handle(s, "ec2", func(context.Context, *ec2.CreateNatGatewayInput) (*ec2.CreateNatGatewayOutput, error) {
		return nil, nil
	})
	Handle(s, "iam", func(context.Context, *iam.CreateRoleInput) (*iam.CreateRoleOutput, error) { return nil, nil })
	Handle(s, "eks", func(context.Context, *eks.CreateNodegroupInput) (*eks.CreateNodegroupOutput, error) { return nil, nil })
	Handle(s, "logs", func(context.Context, *cloudwatchlogs.CreateLogGroupInput) (*cloudwatchlogs.CreateLogGroupOutput, error) {
		return nil, nil
	})
	ctx := context.Background()
	nodegroup := func(change func(*eks.CreateNodegroupInput)) func() error {
		return func() error {
			in := &eks.CreateNodegroupInput{ClusterName: aws.String("c"), NodegroupName: aws.String("n"), NodeRole: aws.String("r"), Subnets: []string{"subnet-1"}}
			change(in)
			_, err := eks.NewFromConfig(cfg).CreateNodegroup(ctx, in)
			return err
		}
	}
	tests := []struct {
		name          string
		call          func() error
		code, message string
	}{
		{"ec2 enum", func() error {
			_, err := ec2.NewFromConfig(cfg).CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{SubnetId: aws.String("subnet-1"), ConnectivityType: "half"})
			return err
		}, "InvalidParameterValue", "Value (half) for parameter connectivityType is invalid."},
		{"ec2 range", func() error {
			_, err := ec2.NewFromConfig(cfg).DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{MaxResults: aws.Int32(1)})
			return err
		}, "InvalidParameterValue", "Value ( 1 ) for parameter maxResults is invalid. Expecting a value greater than or equal to 5."},
		{"query, two at once", func() error {
			_, err := iam.NewFromConfig(cfg).CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("a b"), AssumeRolePolicyDocument: aws.String("{}"), MaxSessionDuration: aws.Int32(60)})
			return err
		}, "ValidationError", `2 validation errors detected: Value 'a b' at 'roleName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]+; Value '60' at 'maxSessionDuration' failed to satisfy constraint: Member must have value greater than or equal to 3600`},
		{"rest, label value", nodegroup(func(in *eks.CreateNodegroupInput) { in.Labels = map[string]string{"k": ""} }),
			"InvalidParameterException", "1 validation error detected: Value '{k=}' at 'labels' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 63, Member must have length greater than or equal to 1]"},
		{"rest, nested enum", nodegroup(func(in *eks.CreateNodegroupInput) {
			in.Taints = []ekstypes.Taint{{Key: aws.String("k"), Effect: "NoSchedule"}}
		}),
			"InvalidParameterException", "1 validation error detected: Value 'NoSchedule' at 'taints.1.member.effect' failed to satisfy constraint: Member must satisfy enum value set: [NO_SCHEDULE, NO_EXECUTE, PREFER_NO_SCHEDULE]"},
		{"json", func() error {
			_, err := cloudwatchlogs.NewFromConfig(cfg).CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("a b")})
			return err
		}, "InvalidParameterException", `1 validation error detected: Value 'a b' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { wantError(t, test.call(), test.code, test.message, 400) })
	}
}

// What no SDK sends.
func TestRawRequests(t *testing.T) {
	s, cfg := newTestServer(t, Options{})
	Handle(s, "ec2", func(context.Context, *ec2.CreateSubnetInput) (*ec2.CreateSubnetOutput, error) { return nil, nil })
	tests := []struct {
		name, form string
		status     int
		want       string
	}{
		{"required", "Action=CreateSubnet&Version=2016-11-15", 400, "<Code>MissingParameter</Code><Message>The request must contain the parameter VpcId</Message>"},
		{"unknown parameter", "Action=CreateSubnet&Version=2016-11-15&VpcId=vpc-1&Colour=red", 400, "<Code>UnknownParameter</Code><Message>The parameter Colour is not recognized</Message>"},
		{"not a boolean", "Action=CreateSubnet&Version=2016-11-15&VpcId=vpc-1&DryRun=maybe", 400, "<Code>InvalidParameterValue</Code><Message>Value (maybe) for parameter dryRun is invalid.</Message>"},
		{"no action", "Version=2016-11-15", 400, "<Code>MissingAction</Code>"},
		{"other version", "Action=CreateSubnet&Version=2014-01-01&VpcId=vpc-1", 400, "<Code>InvalidAction</Code>"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, body := postSigned(t, cfg, "ec2", test.form)
			if status != test.status || !strings.Contains(body, test.want) || !strings.Contains(body, "<RequestID>") {
				t.Errorf("got %d %s\nwant %d %s", status, body, test.status, test.want)
			}
		})
	}
	r, err := http.Post(*cfg.BaseEndpoint, "application/x-www-form-urlencoded", strings.NewReader("Action=CreateSubnet&Version=2016-11-15"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	if r.StatusCode != 403 || !strings.Contains(string(body), "<Code>MissingAuthenticationToken</Code><Message>Request is missing Authentication Token</Message>") {
		t.Errorf("unsigned request: %d %s", r.StatusCode, body)
	}
}

func TestSignatures(t *testing.T) {
	s, cfg := newTestServer(t, Options{})
	temporary := Key{ID: "ASIAEXAMPLE", Secret: "other", SessionToken: "token", Caller: Caller{ARN: "arn:aws:sts::111122223333:assumed-role/r/s"}}
	s.AddKey(temporary)
	Handle(s, "sts", func(ctx context.Context, _ *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
		return &sts.GetCallerIdentityOutput{Arn: aws.String(CallerOf(ctx).ARN + " " + Region(ctx))}, nil
	})
	Handle(s, "eks", func(context.Context, *eks.ListAccessEntriesInput) (*eks.ListAccessEntriesOutput, error) {
		return nil, nil
	})
	Handle(s, "eks", func(_ context.Context, in *eks.DescribeAccessEntryInput) (*eks.DescribeAccessEntryOutput, error) {
		return &eks.DescribeAccessEntryOutput{AccessEntry: &ekstypes.AccessEntry{PrincipalArn: in.PrincipalArn}}, nil
	})
	ctx := context.Background()
	identity := func(id, secret, token string) (string, error) {
		c := cfg.Copy()
		c.Credentials = credentials.NewStaticCredentialsProvider(id, secret, token)
		out, err := sts.NewFromConfig(c).GetCallerIdentity(ctx, nil)
		if err != nil {
			return "", err
		}
		return *out.Arn, nil
	}
	if arn, err := identity(testKey.ID, testKey.Secret, ""); err != nil || arn != testKey.Caller.ARN+" ap-northeast-2" {
		t.Errorf("got %s, %v", arn, err)
	}
	if arn, err := identity(temporary.ID, temporary.Secret, temporary.SessionToken); err != nil || !strings.HasPrefix(arn, temporary.Caller.ARN) {
		t.Errorf("got %s, %v", arn, err)
	}
	_, err := identity(testKey.ID, "wrong", "")
	wantError(t, err, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.", 403)
	_, err = identity("AKIANOBODY", "wrong", "")
	wantError(t, err, "InvalidClientTokenId", "The security token included in the request is invalid.", 403)

	bad := cfg.Copy()
	bad.Credentials = credentials.NewStaticCredentialsProvider(testKey.ID, "wrong", "")
	_, err = ec2.NewFromConfig(bad).DescribeVpcs(ctx, nil)
	wantError(t, err, "AuthFailure", "AWS was not able to validate the provided access credentials", 401)

	// An ARN in the path is signed with its escapes escaped again.
	arn := "arn:aws:iam::111122223333:role/a b/x"
	out, err := eks.NewFromConfig(cfg).DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{ClusterName: aws.String("c"), PrincipalArn: &arn})
	if err != nil || *out.AccessEntry.PrincipalArn != arn {
		t.Errorf("got %v, %v", out, err)
	}

	presigned, err := sts.NewPresignClient(sts.NewFromConfig(cfg)).PresignGetCallerIdentity(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	tampered := strings.Replace(presigned.URL, "X-Amz-Date=2", "X-Amz-Expires=60&X-Amz-Date=2", 1)
	for url, want := range map[string]int{presigned.URL: 200, tampered: 403} {
		r, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("GET %s: %s, want %d", url, r.Status, want)
		}
	}
}

func TestExpiredSignature(t *testing.T) {
	s, cfg := newTestServer(t, Options{Now: func() time.Time { return time.Now().Add(6 * time.Minute) }})
	Handle(s, "ec2", func(context.Context, *ec2.DescribeVpcsInput) (*ec2.DescribeVpcsOutput, error) { return nil, nil })
	_, err := ec2.NewFromConfig(cfg).DescribeVpcs(context.Background(), nil)
	wantError(t, err, "RequestExpired", "Request has expired.", 400)
}

func TestPaging(t *testing.T) {
	s, cfg := newTestServer(t, Options{})
	Handle(s, "ec2", func(context.Context, *ec2.DescribeVpcsInput) (*ec2.DescribeVpcsOutput, error) {
		out := &ec2.DescribeVpcsOutput{}
		for i := range 23 {
			out.Vpcs = append(out.Vpcs, ec2types.Vpc{VpcId: aws.String(fmt.Sprint(i))})
		}
		return out, nil
	})
	Handle(s, "iam", func(context.Context, *iam.ListRolesInput) (*iam.ListRolesOutput, error) {
		out := &iam.ListRolesOutput{}
		for i := range 12 {
			out.Roles = append(out.Roles, iamtypes.Role{RoleName: aws.String(fmt.Sprint(i))})
		}
		return out, nil
	})
	ctx := context.Background()
	client := ec2.NewFromConfig(cfg)
	pages, total := 0, 0
	for p := ec2.NewDescribeVpcsPaginator(client, &ec2.DescribeVpcsInput{MaxResults: aws.Int32(10)}); p.HasMorePages(); pages++ {
		out, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range out.Vpcs {
			if *v.VpcId != fmt.Sprint(total) {
				t.Fatalf("item %d is %s", total, *v.VpcId)
			}
			total++
		}
	}
	if pages != 3 || total != 23 {
		t.Errorf("%d items on %d pages", total, pages)
	}

	roles := iam.NewFromConfig(cfg)
	first, err := roles.ListRoles(ctx, nil)
	if err != nil || len(first.Roles) != 5 || !first.IsTruncated {
		t.Fatalf("first page by default: %+v, %v", first, err)
	}
	last, err := roles.ListRoles(ctx, &iam.ListRolesInput{Marker: first.Marker, MaxItems: aws.Int32(50)})
	if err != nil || len(last.Roles) != 7 || last.IsTruncated || last.Marker != nil {
		t.Errorf("last page: %+v, %v", last, err)
	}
	_, err = roles.ListRoles(ctx, &iam.ListRolesInput{Marker: first.Marker, PathPrefix: aws.String("/other/")})
	wantError(t, err, "ValidationError", "Invalid Marker.", 400)
	_, err = client.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{NextToken: first.Marker})
	wantError(t, err, "InvalidNextToken", "The specified token is not valid.", 400)
}

func TestGuardAndObserve(t *testing.T) {
	var seen []string
	var s *Server
	opts := Options{
		Guard: func(_ context.Context, c Call) error {
			if c.Operation == "DeleteVpc" {
				return s.Denied(c, Denial{Action: "ec2:DeleteVpc", Resource: "*"})
			}
			return nil
		},
		Observe: func(c Call, err error) {
			seen = append(seen, fmt.Sprint(c.Service, ":", c.Operation, " ", c.ReadOnly, " ", c.Status, " ", c.Code, " ", c.Params))
		},
	}
	s, cfg := newTestServer(t, opts)
	Handle(s, "ec2", func(context.Context, *ec2.DeleteVpcInput) (*ec2.DeleteVpcOutput, error) {
		t.Error("handler called")
		return nil, nil
	})
	Handle(s, "ec2", func(context.Context, *ec2.RunInstancesInput) (*ec2.RunInstancesOutput, error) {
		return nil, &Error{Code: "DryRunOperation", Message: "Request would have succeeded, but DryRun flag is set.", Status: 412}
	})
	client, ctx := ec2.NewFromConfig(cfg), context.Background()
	_, err := client.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: aws.String("vpc-1")})
	wantError(t, err, "UnauthorizedOperation", "You are not authorized to perform this operation. User: arn:aws:iam::111122223333:user/tester is not authorized to perform: ec2:DeleteVpc because no identity-based policy allows the ec2:DeleteVpc action", 403)
	_, err = client.RunInstances(ctx, &ec2.RunInstancesInput{DryRun: aws.Bool(true), ClientToken: aws.String("t"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
	wantError(t, err, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
	if got := fmt.Sprint(seen); got != "[ec2:DeleteVpc false 403 UnauthorizedOperation map[VpcId:vpc-1] "+
		"ec2:RunInstances true 412 DryRunOperation map[ClientToken:t DryRun:true MaxCount:1 MinCount:1]]" {
		t.Error(got)
	}
}

// TestUnsupportedParameters: what a service's code does not read is refused, in the
// service's way, and logged; what the layer itself takes care of is not.
func TestUnsupportedParameters(t *testing.T) {
	var log bytes.Buffer
	s, cfg := newTestServer(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	Handle(s, "ec2", func(context.Context, *ec2.DescribeVpcsInput) (*ec2.DescribeVpcsOutput, error) {
		return &ec2.DescribeVpcsOutput{}, nil
	})
	Handle(s, "eks", func(context.Context, *eks.DeleteAddonInput) (*eks.DeleteAddonOutput, error) {
		return &eks.DeleteAddonOutput{}, nil
	})
	Handle(s, "iam", func(context.Context, *iam.CreatePolicyInput) (*iam.CreatePolicyOutput, error) {
		return &iam.CreatePolicyOutput{}, nil
	})
	if got := fmt.Sprint(s.Unjudged()); got != "[ec2:DescribeVpcs eks:DeleteAddon iam:CreatePolicy]" {
		t.Errorf("unjudged: %s", got)
	}
	source := func(sdk, operation, read string) fstest.MapFS {
		text := fmt.Sprintf("package p\n\nimport %q\n\nfunc f(in *%s.%sInput) { use(%s) }\n", "github.com/aws/aws-sdk-go-v2/service/"+sdk, sdk, operation, read)
		return fstest.MapFS{"a.go": {Data: []byte(text)}}
	}
	s.Honours("ec2", "ec2", source("ec2", "DescribeVpcs", "in.VpcIds"))
	s.Honours("eks", "eks", source("eks", "DeleteAddon", "in.ClusterName, in.AddonName"))
	s.Honours("iam", "iam", source("iam", "CreatePolicy", "in.PolicyName, in.PolicyDocument"))
	if got := s.Unjudged(); got != nil {
		t.Errorf("unjudged: %s", got)
	}
	ctx := t.Context()
	vpcs, addons, policies := ec2.NewFromConfig(cfg), eks.NewFromConfig(cfg), iam.NewFromConfig(cfg)
	for _, in := range []*ec2.DescribeVpcsInput{
		{VpcIds: []string{"vpc-1"}}, {MaxResults: aws.Int32(5)}, {DryRun: aws.Bool(false)},
	} {
		if _, err := vpcs.DescribeVpcs(ctx, in); err != nil {
			t.Error(err)
		}
	}
	_, err := vpcs.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: []ec2types.Filter{{Name: aws.String("state"), Values: []string{"available"}}}})
	wantError(t, err, "UnknownParameter", "The parameter Filter is not recognized", 400)
	_, err = addons.DeleteAddon(ctx, &eks.DeleteAddonInput{ClusterName: aws.String("c"), AddonName: aws.String("a"), Preserve: true})
	wantError(t, err, "InvalidParameterException", "The parameter preserve is not supported", 400)
	_, err = policies.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("p"), PolicyDocument: aws.String("{}"), Description: aws.String("d")})
	wantError(t, err, "ValidationError", "The parameter Description is not supported", 400)
	_, err = addons.ListAddons(ctx, &eks.ListAddonsInput{ClusterName: aws.String("c")})
	wantError(t, err, "UnknownOperationException", "UnknownError", 404) // AWS says nothing: the SDK does
	for _, want := range []string{"parameter=Filters", "parameter=preserve", "parameter=Description", "operation=ListAddons"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no line with %s in\n%s", want, &log)
		}
	}
}

func TestLostReply(t *testing.T) {
	calls := 0
	s, cfg := newTestServer(t, Options{Answer: func(_ context.Context, c Call) bool { return c.Operation != "CreateVpc" || calls != 1 }})
	Handle(s, "ec2", func(context.Context, *ec2.CreateVpcInput) (*ec2.CreateVpcOutput, error) {
		calls++
		return &ec2.CreateVpcOutput{}, nil
	})
	ctx, in := context.Background(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")}
	if _, err := ec2.NewFromConfig(cfg).CreateVpc(ctx, in); err == nil || !errors.Is(err, io.EOF) {
		t.Errorf("want a cut connection, got %v", err)
	}
	if _, err := ec2.NewFromConfig(cfg).CreateVpc(ctx, in); err != nil || calls != 2 {
		t.Errorf("%d calls, %v", calls, err)
	}
}
