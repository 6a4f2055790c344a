package cloud

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
)

// Answers of servers that stand in for AWS, and of AWS itself.
func TestIsUnsupported(t *testing.T) {
	const xml, json = "text/xml", "application/json"
	for _, test := range []struct {
		name        string
		status      int
		contentType string
		body        string
		want        bool
	}{
		{"a page that says not found", 404, "text/html", "<!doctype html><title>404 Not Found</title>", true},
		{"a sentence", 404, "text/plain", "The action has not been implemented", true},
		{"not implemented", 501, json, `{"__type": "InternalFailure", "message": "API not yet implemented"}`, true},
		{"an unknown path of AWS", 404, json, `{"__type": "UnknownOperationException"}`, true},
		{"an unknown action of AWS", 400, xml, "<Response><Errors><Error><Code>InvalidAction</Code><Message>no</Message></Error></Errors></Response>", true},
		{"AWS does not find the thing", 404, json, `{"__type": "ResourceNotFoundException", "message": "No cluster found for name: x."}`, false},
		{"AWS refuses", 403, xml, "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></Response>", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", test.contentType)
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			}))
			defer server.Close()
			cfg := aws.Config{Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), RetryMaxAttempts: 1}
			check := func(operation string, err error) {
				if IsUnsupported(err) != test.want {
					t.Errorf("%s: %v", operation, err)
				}
				want := strings.TrimPrefix(server.URL, "http://") + " does not know " + operation
				if said := Wrap("cluster/x", "looking", err).Error(); strings.Contains(said, want) != test.want {
					t.Errorf("said %s", said)
				}
			}
			if test.contentType != xml {
				_, err := eks.NewFromConfig(cfg).DescribeCluster(t.Context(), &eks.DescribeClusterInput{Name: aws.String("x")})
				check("EKS DescribeCluster", err)
			}
			if test.contentType != json {
				_, err := ec2.NewFromConfig(cfg).DescribeVpcs(t.Context(), nil)
				check("EC2 DescribeVpcs", err)
			}
		})
	}
}

// proxy answers every request with a page, whatever host it is for.
type proxy struct{ status int }

func (p proxy) Do(r *http.Request) (*http.Response, error) {
	page := httptest.NewRecorder()
	page.Header().Set("Content-Type", "text/html")
	page.WriteHeader(p.status)
	reply := page.Result()
	reply.Request = r
	return reply, nil
}

// A proxy that answers in AWS's name does not make clusters go away.
func TestAWSKnowsItsOperations(t *testing.T) {
	for _, region := range []string{"us-east-1", "cn-north-1"} {
		for _, status := range []int{http.StatusNotFound, http.StatusNotImplemented} {
			cfg := aws.Config{Region: region, HTTPClient: proxy{status}, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), RetryMaxAttempts: 1}
			_, err := eks.NewFromConfig(cfg).DescribeCluster(t.Context(), &eks.DescribeClusterInput{Name: aws.String("x")})
			if err == nil || IsUnsupported(err) || IsAbsent(err) {
				t.Errorf("%s, %d: %v", region, status, err)
			}
			_, err = ec2.NewFromConfig(cfg).DescribeVpcs(t.Context(), nil)
			if err == nil || IsUnsupported(err) || IsAbsent(err) {
				t.Errorf("%s, %d: %v", region, status, err)
			}
		}
	}
}
