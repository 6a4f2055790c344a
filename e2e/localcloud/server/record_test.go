package server

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// TestRecord: every call is in the recording, those that failed too, and of S3
// the request's parts. A second cloud adds to the file.
func TestRecord(t *testing.T) {
	file := filepath.Join(t.TempDir(), "calls.jsonl")
	for range 2 {
		c, err := Start(t.Context(), Options{Dir: t.TempDir(), Speed: 1000, Record: file})
		if err != nil {
			t.Fatal(err)
		}
		cfg := aws.Config{Region: Region, BaseEndpoint: aws.String(c.URL()), Credentials: credentials.NewStaticCredentialsProvider(c.key.ID, c.key.Secret, "")}
		ec2.NewFromConfig(cfg).DeleteVpc(t.Context(), &ec2.DeleteVpcInput{VpcId: aws.String("vpc-0123456789abcdef0")}) //nolint:errcheck // refused
		if _, err := s3.NewFromConfig(cfg).CreateBucket(t.Context(), &s3.CreateBucketInput{
			Bucket: aws.String("recorded"), CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: Region},
		}); err != nil {
			t.Error(err)
		}
		if err := c.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var got []record
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	if len(got) != 4 {
		t.Fatalf("%d records: %+v", len(got), got)
	}
	for i := range 2 {
		vpc, bucket := got[2*i], got[2*i+1]
		if vpc.Operation != "DeleteVpc" || vpc.Params["VpcId"] != "vpc-0123456789abcdef0" || vpc.Status != 400 || vpc.Code != "InvalidVpcID.NotFound" {
			t.Errorf("%+v", vpc)
		}
		body, _ := bucket.Params["body"].(string)
		if bucket.Operation != "CreateBucket" || bucket.Status != 200 || bucket.Params["method"] != "PUT" || bucket.Params["path"] != "/recorded" || !strings.Contains(body, Region) {
			t.Errorf("%+v", bucket)
		}
		if headers, _ := bucket.Params["headers"].(map[string]any); headers["authorization"] != nil {
			t.Error("a signature was recorded")
		}
	}
}
