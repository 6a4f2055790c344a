// Package awstest helps the services' tests: the real SDK against handlers of
// the local cloud, and assertions on what AWS answers.
package awstest

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"aicluster/e2e/localcloud/wire"
)

// Region is the region of the configurations that [Start] returns.
const Region = "ap-northeast-2"

// Start serves what register adds until the test ends, and returns the
// configuration of an SDK that calls it once, without retries.
func Start(t *testing.T, register ...func(*wire.Server)) aws.Config {
	t.Helper()
	key := wire.Key{ID: "AKIAEXAMPLE", Secret: "secret", Caller: wire.Caller{ARN: "arn:aws:iam::111122223333:user/tester", UserID: "AIDAEXAMPLE"}}
	w, err := wire.NewServer(wire.Options{Keys: []wire.Key{key}})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range register {
		f(w)
	}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	return aws.Config{
		Region: Region, BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider(key.ID, key.Secret, ""),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// Fails asserts that err is AWS's error with this code, a message that contains
// words, and the HTTP status. It keeps in mind which operation it was; see [Main].
func Fails(t *testing.T, err error, status int, code, words string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Errorf("got error %v, want %s", err, code)
		return
	}
	if api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), words) {
		t.Errorf("got %s: %q, want %s: %q", api.ErrorCode(), api.ErrorMessage(), code, words)
	}
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) && response.HTTPStatusCode() != status {
		t.Errorf("%s: got status %d, want %d", code, response.HTTPStatusCode(), status)
	}
	sawRefused(err)
}

// Unchecked is cfg for clients that send what the SDK itself would refuse, such as
// a request without a required member.
func Unchecked(cfg aws.Config) aws.Config {
	cfg = cfg.Copy()
	cfg.APIOptions = append(cfg.APIOptions, func(s *middleware.Stack) error {
		_, err := s.Initialize.Remove("OperationInputValidation")
		return err
	})
	return cfg
}

// Must returns out, or ends the test if the call failed.
func Must[T any](out T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// Eventually waits until f is true, for ten seconds at most.
func Eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 10 s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
