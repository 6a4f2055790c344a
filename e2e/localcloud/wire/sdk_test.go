package wire

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

var testKey = Key{ID: "AKIAEXAMPLE", Secret: "secret", Caller: Caller{ARN: "arn:aws:iam::111122223333:user/tester", UserID: "AIDAEXAMPLE"}}

// newTestServer starts a server without operations and returns it with the
// configuration of an SDK that talks to it without retries.
func newTestServer(t *testing.T, opts Options) (*Server, aws.Config) {
	t.Helper()
	opts.Keys = append(opts.Keys, testKey)
	s, err := NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return s, aws.Config{
		Region:       "ap-northeast-2",
		BaseEndpoint: aws.String(h.URL),
		Credentials:  credentials.NewStaticCredentialsProvider(testKey.ID, testKey.Secret, ""),
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// sdkClients is the real SDK client of each service of the table.
func sdkClients(cfg aws.Config) map[string]reflect.Value {
	return map[string]reflect.Value{
		"autoscaling":   reflect.ValueOf(autoscaling.NewFromConfig(cfg)),
		"ec2":           reflect.ValueOf(ec2.NewFromConfig(cfg)),
		"eks":           reflect.ValueOf(eks.NewFromConfig(cfg)),
		"elbv2":         reflect.ValueOf(elasticloadbalancingv2.NewFromConfig(cfg)),
		"iam":           reflect.ValueOf(iam.NewFromConfig(cfg)),
		"logs":          reflect.ValueOf(cloudwatchlogs.NewFromConfig(cfg)),
		"servicequotas": reflect.ValueOf(servicequotas.NewFromConfig(cfg)),
		"ssm":           reflect.ValueOf(ssm.NewFromConfig(cfg)),
		"sts":           reflect.ValueOf(sts.NewFromConfig(cfg)),
	}
}

// handleAny registers an operation by the types of the SDK's method.
func handleAny(s *Server, service, name string, method reflect.Type, f func(in any) (any, error)) {
	s.handlers[service+":"+name] = &handler{
		op:     s.table.Operation(service, name),
		input:  method.In(1).Elem(),
		output: method.Out(0).Elem(),
		call:   func(_ context.Context, in any) (any, error) { return f(in) },
	}
}

// postSigned sends a form that no SDK would send, signed by the SDK's signer.
func postSigned(t *testing.T, cfg aws.Config, service, form string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequest("POST", *cfg.BaseEndpoint, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	keys := aws.Credentials{AccessKeyID: testKey.ID, SecretAccessKey: testKey.Secret}
	if err := v4.NewSigner().SignHTTP(t.Context(), keys, r, hash([]byte(form)), service, cfg.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, string(text)
}
