package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	s3sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/smithy-go"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/kube"
	"aicluster/e2e/localcloud/s3"
)

// The test binary is its own children.
func TestMain(m *testing.M) {
	children := map[string]func(context.Context, []string) error{kube.Command: kube.RunChild, s3.Command: s3.RunChild}
	if len(os.Args) > 1 && children[os.Args[1]] != nil {
		if err := children[os.Args[1]](context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func startCloud(t *testing.T) (*Cloud, aws.Config) {
	t.Helper()
	atOnce := map[clock.Step]time.Duration{clock.EC2Visible: 0, clock.EC2Gone: 0} // these tests are not about time
	c, err := Start(t.Context(), Options{Dir: filepath.Join(t.TempDir(), "it's"), Speed: 1000, Durations: atOnce})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		start := time.Now()
		if err := c.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d > 3*time.Second {
			t.Errorf("stopping took %v", d)
		}
		if left, _ := os.ReadDir(c.opts.Dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	return c, aws.Config{
		Region: Region, BaseEndpoint: aws.String(c.URL()),
		Credentials: credentials.NewStaticCredentialsProvider(c.key.ID, c.key.Secret, ""),
	}
}

func get(t *testing.T, c *Cloud, path string, into any) {
	t.Helper()
	r, err := http.Get(c.URL() + adminPath + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(into); err != nil || r.StatusCode != 200 {
		t.Fatalf("%s: %s, %v", path, r.Status, err)
	}
}

func TestEnvFile(t *testing.T) {
	c, _ := startCloud(t)
	file := c.path("env")
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	cmd := exec.Command("sh", "-c", `. "$1" && echo "$AWS_ENDPOINT_URL $AWS_REGION $AWS_ACCESS_KEY_ID $AICLUSTER_CHART_MIRROR ${AWS_PROFILE-none}"`, "sh", file)
	cmd.Env = []string{"AWS_PROFILE=real"}
	out, err := cmd.CombinedOutput()
	want := strings.Join([]string{c.URL(), Region, c.key.ID, c.path("charts"), "none"}, " ")
	if err != nil || strings.TrimSpace(string(out)) != want {
		t.Errorf("got  %s, %v\nwant %s", out, err, want)
	}
	if _, err := os.Stat(filepath.Join(c.path("charts"), "index.yaml")); err != nil {
		t.Error(err)
	}
}

func TestAdmin(t *testing.T) {
	c, cfg := startCloud(t)
	var before, after map[string][]string
	get(t, c, "inventory", &before)
	vpcs := ec2.NewFromConfig(cfg)
	vpc, err := vpcs.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.42.0.0/16")})
	if err != nil {
		t.Fatal(err)
	}
	buckets := s3sdk.NewFromConfig(cfg)
	_, err = buckets.CreateBucket(t.Context(), &s3sdk.CreateBucketInput{
		Bucket: aws.String("models"), CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(Region)}})
	if err != nil {
		t.Fatal(err)
	}
	get(t, c, "inventory", &after)
	if text := fmt.Sprint(after["ec2"]); !strings.Contains(text, *vpc.Vpc.VpcId) || len(before["s3"]) != 0 || len(after["s3"]) != 1 {
		t.Errorf("before %v\nafter %v", before, after)
	}
	if _, err := vpcs.DescribeVpcs(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	var calls callReport
	get(t, c, "calls", &calls)
	if calls.Total != 3 || calls.Mutating != 2 || calls.Calls[0] != (callCount{"ec2", "CreateVpc", true, 1, 0}) {
		t.Errorf("%+v", calls)
	}
	r, err := http.NewRequest(http.MethodDelete, c.URL()+adminPath+"calls", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.DefaultClient.Do(r); err != nil {
		t.Fatal(err)
	}
	get(t, c, "calls", &calls)
	if calls.Total != 0 {
		t.Errorf("%+v", calls)
	}
	quota, err := servicequotas.NewFromConfig(cfg).GetServiceQuota(t.Context(), &servicequotas.GetServiceQuotaInput{
		ServiceCode: aws.String("ec2"), QuotaCode: aws.String("L-417A185B")})
	if err != nil || *quota.Quota.QuotaName != "Running On-Demand P instances" {
		t.Errorf("%+v, %v", quota, err)
	}
	var p profile
	get(t, c, "profile", &p)
	if p.Speed != 1000 || p.Real["eks.cluster.create"] != 540 || p.Scaled["eks.cluster.create"] != 0.54 {
		t.Errorf("%+v", p)
	}
}

func TestFaults(t *testing.T) {
	c, cfg := startCloud(t)
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	post := func(path, body string, want int) {
		t.Helper()
		r, err := http.Post(c.URL()+adminPath+path, "application/json", strings.NewReader(body))
		if err != nil || r.StatusCode != want {
			t.Fatalf("%v, %v", r, err)
		}
		r.Body.Close()
	}
	post("faults", `{"kind": "trottle"}`, 400)
	post("faults", `{"service": "ec2", "operation": "Describe*", "kind": "throttle", "skip": 1, "count": 1}`, 200)
	post("faults", `{"service": "s3", "kind": "throttle"}`, 200)
	post("faults", `{"kind": "capacity", "instanceType": "p4d.24xlarge", "zone": "ap-northeast-2a", "count": 0}`, 200)
	post("faults", `{"kind": "brokenGPU"}`, 200)
	var codes []string
	for range 3 {
		_, err := ec2.NewFromConfig(cfg).DescribeVpcs(t.Context(), nil)
		codes = append(codes, code(err))
	}
	_, err := s3sdk.NewFromConfig(cfg).ListBuckets(t.Context(), nil)
	codes = append(codes, code(err))
	if got := fmt.Sprint(codes); got != "[ RequestLimitExceeded  SlowDown]" {
		t.Error(got)
	}
	if n := c.faults.HealthyGPUs(Region, "i-1", 8); n != 7 {
		t.Errorf("%d GPUs are healthy", n)
	}
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// A client with the keys of a role may do what the role's policy says.
func TestPermissions(t *testing.T) {
	_, cfg := startCloud(t)
	cfg = operator(t, cfg, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:Describe*","iam:GetRole"],"Resource":"*"},{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::models"}]}`)
	vpcs, buckets := ec2.NewFromConfig(cfg), s3sdk.NewFromConfig(cfg)
	tests := []struct {
		name, want string
		call       func() error
	}{
		{"allowed", "", func() error { _, err := vpcs.DescribeVpcs(t.Context(), nil); return err }},
		{"denied", "UnauthorizedOperation", func() error {
			_, err := vpcs.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
			return err
		}},
		{"denied, as a dry run", "UnauthorizedOperation", func() error {
			_, err := vpcs.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), DryRun: aws.Bool(true)})
			return err
		}},
		{"allowed, as a dry run", "DryRunOperation", func() error {
			_, err := vpcs.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{DryRun: aws.Bool(true)})
			return err
		}},
		{"denied, query", "AccessDenied", func() error { _, err := iam.NewFromConfig(cfg).ListRoles(t.Context(), nil); return err }},
		{"denied, rest", "AccessDeniedException", func() error { _, err := eks.NewFromConfig(cfg).ListClusters(t.Context(), nil); return err }},
		{"bucket allowed", "NoSuchBucket", func() error {
			_, err := buckets.ListObjectsV2(t.Context(), &s3sdk.ListObjectsV2Input{Bucket: aws.String("models")})
			return err
		}},
		{"other bucket", "AccessDenied", func() error {
			_, err := buckets.ListObjectsV2(t.Context(), &s3sdk.ListObjectsV2Input{Bucket: aws.String("others")})
			return err
		}},
	}
	for _, test := range tests {
		if err := test.call(); code(err) != test.want || (err == nil) != (test.want == "") {
			t.Errorf("%s: want %q, got %v", test.name, test.want, err)
		}
	}
}
