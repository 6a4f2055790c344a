package server

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	s3sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// report is what GET tells of a fault.
type report struct {
	Name    string
	Struck  int
	Holding int
}

func (c *Cloud) admin(t *testing.T, method, path, body string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequest(method, c.URL()+adminPath+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b.String()
}

// await waits until the list of faults reads as wanted.
func await(t *testing.T, c *Cloud, want string) {
	t.Helper()
	got := ""
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var list []report
		get(t, c, "faults", &list)
		if got = fmt.Sprint(list); got == want {
			return
		}
	}
	t.Fatalf("faults are %s, want %s", got, want)
}

// A call is held before or after it is carried out, of the wire layer's
// services and of S3; what counts is whether it was once the client has gone.
func TestHold(t *testing.T) {
	c, cfg := startCloud(t)
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	vpcs, buckets := ec2.NewFromConfig(cfg), s3sdk.NewFromConfig(cfg)
	bucket := func(name string) *s3sdk.CreateBucketInput {
		return &s3sdk.CreateBucketInput{Bucket: &name, CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(Region)}}
	}
	if _, err := buckets.CreateBucket(t.Context(), bucket("models")); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, makes string
		call        func(context.Context) error
	}{
		{"EC2", "/vpc-", func(ctx context.Context) error {
			_, err := vpcs.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.42.0.0/16")})
			return err
		}},
		{"a bucket", "/bucket/held", func(ctx context.Context) error { _, err := buckets.CreateBucket(ctx, bucket("held")); return err }},
		{"an object", "/object/models/weights", func(ctx context.Context) error {
			_, err := buckets.PutObject(ctx, &s3sdk.PutObjectInput{Bucket: aws.String("models"), Key: aws.String("weights"), Body: bytes.NewReader(make([]byte, 3<<20))})
			return err
		}},
	}
	exists := func(what string) bool {
		var all map[string][]string
		get(t, c, "inventory", &all)
		return slices.ContainsFunc(slices.Concat(all["ec2"], all["s3"]), func(line string) bool { return strings.Contains(line, what) })
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			held := func(before, leave bool) {
				t.Helper()
				c.admin(t, "POST", "faults", fmt.Sprintf(`{"name": "stop", "kind": "hold", "mutating": true, "count": 1, "before": %v}`, before))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := make(chan error, 1)
				go func() { done <- test.call(ctx) }()
				await(t, c, "[{stop 1 1}]")
				if got := exists(test.makes); got == before {
					t.Errorf("held, before=%v: it exists: %v", before, got)
				}
				if leave {
					cancel()
					if err := <-done; err == nil {
						t.Error("the call succeeded without an answer")
					}
					await(t, c, "[{stop 1 0}]")
				}
				if status, text := c.admin(t, "DELETE", "faults/stop", ""); status != 204 {
					t.Error(status, text)
				}
				if leave {
					return
				}
				if err := <-done; err != nil {
					t.Errorf("let go: %v", err)
				}
			}
			held(true, true)
			if time.Sleep(50 * time.Millisecond); exists(test.makes) {
				t.Error("carried out although the client has gone")
			}
			held(false, true)
			if !exists(test.makes) {
				t.Error("it is not there after it was carried out")
			}
		})
	}
	t.Run("let go", func(t *testing.T) {
		for _, before := range []bool{true, false} {
			c.admin(t, "POST", "faults", fmt.Sprintf(`{"name": "stop", "kind": "hold", "operation": "CreateVpc", "before": %v}`, before))
			done := make(chan error, 1)
			go func() {
				_, err := vpcs.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.43.0.0/16")})
				done <- err
			}()
			await(t, c, "[{stop 1 1}]")
			c.admin(t, "DELETE", "faults", "")
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	if status, _ := c.admin(t, "DELETE", "faults/stop", ""); status != 404 {
		t.Errorf("lifting what is not there: %d", status)
	}
}

// A test stops a run at its k-th mutating call: reading calls do not count.
func TestHoldTheThird(t *testing.T) {
	c, cfg := startCloud(t)
	vpcs := ec2.NewFromConfig(cfg)
	c.admin(t, "POST", "faults", `{"name": "third", "kind": "hold", "mutating": true, "skip": 2, "count": 1}`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	made := make(chan error, 9)
	go func() {
		for ctx.Err() == nil {
			_, err := vpcs.DescribeVpcs(ctx, nil)
			if err == nil {
				_, err = vpcs.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.42.0.0/16")})
			}
			made <- err
		}
	}()
	await(t, c, "[{third 1 1}]")
	cancel()
	for range 2 {
		if err := <-made; err != nil {
			t.Error(err)
		}
	}
	if err := <-made; err == nil {
		t.Error("the third was answered")
	}
}
