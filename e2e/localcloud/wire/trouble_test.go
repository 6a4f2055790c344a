package wire

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"
)

// Each service has its own codes and words for its troubles.
func TestTroubles(t *testing.T) {
	s, _ := newTestServer(t, Options{})
	for service, want := range map[string][3]string{
		"ec2":           {"503 RequestLimitExceeded", "500 InternalError", "503 Unavailable"},
		"eks":           {"429 ThrottlingException", "500 ServerException", "503 ServiceUnavailableException"},
		"iam":           {"400 Throttling", "500 ServiceFailure", "503 ServiceUnavailable"},
		"sts":           {"400 Throttling", "500 InternalFailure", "503 ServiceUnavailable"},
		"autoscaling":   {"400 Throttling", "500 InternalFailure", "503 ServiceUnavailable"},
		"elbv2":         {"400 Throttling", "500 InternalFailure", "503 ServiceUnavailable"},
		"logs":          {"400 ThrottlingException", "500 InternalServerException", "503 ServiceUnavailableException"},
		"ssm":           {"400 ThrottlingException", "500 InternalServerError", "503 ServiceUnavailable"},
		"servicequotas": {"400 TooManyRequestsException", "500 ServiceException", "503 ServiceUnavailable"},
		"s3":            {"503 SlowDown", "500 InternalError", "503 ServiceUnavailable"},
	} {
		t.Run(service, func(t *testing.T) {
			c := Call{Service: service}
			for i, err := range []error{s.Throttled(c), s.Troubled(c, 500, ""), s.Troubled(c, 503, "")} {
				e := err.(*Error) //nolint:errorlint // made just now
				status, code, _ := strings.Cut(want[i], " ")
				if e.Code != code || e.Message == "" || e.Status != map[string]int{"400": 0, "429": 429, "500": 500, "503": 503}[status] {
					t.Errorf("%d %s: %q, want %s", e.Status, e.Code, e.Message, want[i])
				}
			}
		})
	}
}

// An operation that is not here gets its service's error and a line in the log.
func TestUnknownOperations(t *testing.T) {
	var log bytes.Buffer
	_, cfg := newTestServer(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	ctx := t.Context()
	errOf := func(_ any, err error) error { return err }
	for name, test := range map[string]struct {
		err    error
		code   string
		status int
		logged string
	}{
		"ec2":           {errOf(ec2.NewFromConfig(cfg).DescribeFpgaImages(ctx, nil)), "InvalidAction", 400, "operation=DescribeFpgaImages"},
		"iam":           {errOf(iam.NewFromConfig(cfg).ListRoles(ctx, nil)), "InvalidAction", 400, "operation=ListRoles"},
		"autoscaling":   {errOf(autoscaling.NewFromConfig(cfg).DescribePolicies(ctx, nil)), "InvalidAction", 400, "operation=DescribePolicies"},
		"eks":           {errOf(eks.NewFromConfig(cfg).DescribeInsight(ctx, &eks.DescribeInsightInput{ClusterName: aws.String("c"), Id: aws.String("i")})), "UnknownOperationException", 404, "path=/clusters/c/insights/i"},
		"logs":          {errOf(cloudwatchlogs.NewFromConfig(cfg).DescribeQueries(ctx, nil)), "UnknownOperationException", 400, "operation=DescribeQueries"},
		"ssm":           {errOf(ssm.NewFromConfig(cfg).ListDocuments(ctx, nil)), "UnknownOperationException", 400, "operation=ListDocuments"},
		"servicequotas": {errOf(servicequotas.NewFromConfig(cfg).ListServices(ctx, nil)), "UnknownOperationException", 400, "operation=ListServices"},
	} {
		t.Run(name, func(t *testing.T) {
			var api smithy.APIError
			var response *awshttp.ResponseError
			if !errors.As(test.err, &api) || !errors.As(test.err, &response) || api.ErrorCode() != test.code || response.HTTPStatusCode() != test.status {
				t.Errorf("got %v, want %d %s", test.err, test.status, test.code)
			}
			if !strings.Contains(log.String(), test.logged) {
				t.Errorf("the log has no %s:\n%s", test.logged, log.String())
			}
		})
	}
}
