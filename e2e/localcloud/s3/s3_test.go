package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	tmtypes "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/wire"
)

// The test binary is its own child.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		if err := RunChild(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(awstest.Main(m, "s3"))
}

const testRegion = "ap-northeast-2"

func start(t *testing.T, change func(*Options)) (*Server, func(region string) *s3.Client) {
	t.Helper()
	w, err := wire.NewServer(wire.Options{Keys: []wire.Key{{ID: "AKIATEST", Secret: "secret", Caller: wire.Caller{ARN: "arn:aws:iam::111122223333:user/t"}}}})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Dir: t.TempDir(), Keys: []Key{{ID: "AKIATEST", Secret: "secret"}}, Wire: w}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		h.Close()
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, func(region string) *s3.Client { return newClient(h.URL, region, "secret") }
}

func newClient(url, region, secret string) *s3.Client {
	return s3.NewFromConfig(aws.Config{
		Region:       region,
		BaseEndpoint: &url,
		Credentials:  credentials.NewStaticCredentialsProvider("AKIATEST", secret, ""),
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
	})
}

func makeBucket(t *testing.T, c *s3.Client, name string) {
	t.Helper()
	_, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{
		Bucket:                    &name,
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: testRegion},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code string, status int) {
	t.Helper()
	var api smithy.APIError
	var response *awshttp.ResponseError
	if !errors.As(err, &api) || !errors.As(err, &response) || api.ErrorCode() != code || response.HTTPStatusCode() != status {
		t.Errorf("want %d %s, got %v", status, code, err)
	}
}

func TestBuckets(t *testing.T) {
	s, client := start(t, nil)
	c, ctx := client(testRegion), t.Context()
	_, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("models-1")})
	wantCode(t, err, "IllegalLocationConstraintException", 400)
	makeBucket(t, c, "models-1")
	_, err = c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("models-1"), CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: testRegion}})
	wantCode(t, err, "BucketAlreadyOwnedByYou", 409)
	_, err = client("us-east-1").CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("models-1")})
	wantCode(t, err, "BucketAlreadyOwnedByYou", 409)
	for range 2 {
		if _, err = client("us-east-1").CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("old")}); err != nil {
			t.Error(err)
		}
	}

	head, err := c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("models-1")})
	if err != nil || aws.ToString(head.BucketRegion) != testRegion {
		t.Errorf("%+v, %v", head, err)
	}
	_, err = client("us-east-1").ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("models-1")})
	wantCode(t, err, "PermanentRedirect", 301)
	where, err := client("us-east-1").GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: aws.String("models-1")})
	if err != nil || where.LocationConstraint != testRegion {
		t.Errorf("%+v, %v", where, err)
	}
	list, err := c.ListBuckets(ctx, &s3.ListBucketsInput{MaxBuckets: aws.Int32(1)})
	if err != nil || len(list.Buckets) != 1 || *list.Buckets[0].Name != "models-1" || list.ContinuationToken == nil {
		t.Errorf("%+v, %v", list, err)
	}

	put := func(key, text string) {
		t.Helper()
		if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("models-1"), Key: &key, Body: strings.NewReader(text), Metadata: map[string]string{"digest": "abc"}}); err != nil {
			t.Fatal(err)
		}
	}
	put("a/b c.txt", "text")
	var raw overhear
	listing := s3.New(c.Options(), func(o *s3.Options) { o.HTTPClient = &raw })
	for encoding, key := range map[types.EncodingType]string{"": "a/b c.txt", types.EncodingTypeUrl: "a/b+c.txt"} {
		out, err := listing.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("models-1"), EncodingType: encoding, Prefix: aws.String("a/b ")})
		if err != nil || len(out.Contents) != 1 || *out.Contents[0].Key != key || out.EncodingType != encoding || strings.Contains(raw.reply, "<EncodingType>") != (encoding != "") {
			t.Errorf("encoding %q: %v\n%s", encoding, err, raw.reply)
		}
	}
	got, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("models-1"), Key: aws.String("a/b c.txt")})
	if err != nil || got.Metadata["digest"] != "abc" {
		t.Errorf("%+v, %v", got, err)
	}
	if list := fmt.Sprint(s.Inventory()); list != "[ap-northeast-2/bucket/models-1 ap-northeast-2/object/models-1/a/b c.txt us-east-1/bucket/old]" {
		t.Error(list)
	}
	_, err = c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String("models-1")})
	wantCode(t, err, "BucketNotEmpty", 409)
	if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("models-1"), Key: aws.String("a/b c.txt")}); err != nil {
		t.Error(err)
	}
	if _, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String("models-1")}); err != nil {
		t.Error(err)
	}
	_, err = c.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: aws.String("models-1")})
	wantCode(t, err, "NoSuchBucket", 404)
}

func TestConfigurations(t *testing.T) {
	_, client := start(t, nil)
	c, ctx, name := client(testRegion), t.Context(), aws.String("models-2")
	makeBucket(t, c, *name)

	block, err := c.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: name})
	if err != nil || !*block.PublicAccessBlockConfiguration.BlockPublicPolicy {
		t.Errorf("a new bucket is not private: %+v, %v", block, err)
	}
	if _, err := c.DeletePublicAccessBlock(ctx, &s3.DeletePublicAccessBlockInput{Bucket: name}); err != nil {
		t.Error(err)
	}
	_, err = c.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: name})
	wantCode(t, err, "NoSuchPublicAccessBlockConfiguration", 404)
	_, err = c.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: name, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{BlockPublicAcls: aws.Bool(true)}})
	if err != nil {
		t.Error(err)
	}
	block, err = c.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: name})
	if err != nil || !*block.PublicAccessBlockConfiguration.BlockPublicAcls || aws.ToBool(block.PublicAccessBlockConfiguration.BlockPublicPolicy) {
		t.Errorf("%+v, %v", block, err)
	}

	encryption, err := c.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: name})
	if err != nil || encryption.ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm != types.ServerSideEncryptionAes256 {
		t.Errorf("%+v, %v", encryption, err)
	}
	_, err = c.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: name, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
		Rules: []types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: "rot13"}}}}})
	wantCode(t, err, "MalformedXML", 400)

	_, err = c.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: name})
	wantCode(t, err, "NoSuchLifecycleConfiguration", 404)
	rule := types.LifecycleRule{
		ID: aws.String("abort"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")},
		AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(7)},
	}
	if _, err := c.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: name, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{rule}}}); err != nil {
		t.Error(err)
	}
	lifecycle, err := c.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: name})
	if err != nil || *lifecycle.Rules[0].AbortIncompleteMultipartUpload.DaysAfterInitiation != 7 {
		t.Errorf("%+v, %v", lifecycle, err)
	}

	tags := []types.Tag{{Key: aws.String("aicluster"), Value: aws.String("x")}}
	if _, err := c.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: name, Tagging: &types.Tagging{TagSet: tags}}); err != nil {
		t.Error(err)
	}
	tagging, err := c.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: name})
	if err != nil || *tagging.TagSet[0].Value != "x" {
		t.Errorf("%+v, %v", tagging, err)
	}
	policy := `{"Version":"2012-10-17","Statement":[{"Sid":"TLSOnly","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::models-2","arn:aws:s3:::models-2/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`
	if _, err := c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: name, Policy: &policy}); err != nil {
		t.Error(err)
	}
	back, err := c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: name})
	if err != nil || *back.Policy != policy {
		t.Errorf("%+v, %v", back, err)
	}
	owner, err := c.GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: name})
	if err != nil || owner.OwnershipControls.Rules[0].ObjectOwnership != types.ObjectOwnershipBucketOwnerEnforced {
		t.Errorf("%+v, %v", owner, err)
	}
	if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: name, Key: aws.String("k"), Body: strings.NewReader("the account's own key still may")}); err != nil {
		t.Error(err)
	}
	_, err = c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	if err != nil {
		t.Error(err)
	}
}

// A multipart upload by the SDK's transfer manager, with checksums, over plain http.
func TestTransferManager(t *testing.T) {
	_, client := start(t, nil)
	c, ctx, name := client(testRegion), t.Context(), aws.String("models-3")
	makeBucket(t, c, *name)
	data := make([]byte, 20<<20)
	source := rand.NewChaCha8([32]byte{1})
	source.Read(data)
	manager := transfermanager.New(c, func(o *transfermanager.Options) { o.PartSizeBytes = 5 << 20 })
	_, err := manager.UploadObject(ctx, &transfermanager.UploadObjectInput{
		Bucket: name, Key: aws.String("model.safetensors"), Body: bytes.NewReader(data), ChecksumAlgorithm: tmtypes.ChecksumAlgorithmCrc32, IfNoneMatch: aws.String("*"),
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: name, Key: aws.String("model.safetensors"), ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	back, err := io.ReadAll(out.Body)
	if err != nil || !bytes.Equal(back, data) {
		t.Errorf("%d bytes back of %d, %v", len(back), len(data), err)
	}

	sum := sha256.Sum256([]byte("other"))
	_, err = c.PutObject(ctx, &s3.PutObjectInput{Bucket: name, Key: aws.String("bad"), Body: strings.NewReader("text"), ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:]))})
	wantCode(t, err, "BadDigest", 400)
	for i := range 50 { // refused before the body is read: the connection has to live on
		_, err = c.PutObject(ctx, &s3.PutObjectInput{Bucket: name, Key: aws.String("model.safetensors"), Body: bytes.NewReader(data[:2<<20]), IfNoneMatch: aws.String("*")})
		if wantCode(t, err, "PreconditionFailed", 412); t.Failed() {
			t.Fatalf("at try %d", i)
		}
	}
}

func TestRefusals(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	_, client := start(t, func(o *Options) {
		o.Guard = func(_ context.Context, c wire.Call) error {
			if c.Operation == "PutBucketPolicy" {
				return o.Wire.Denied(c, wire.Denial{Action: "s3:PutBucketPolicy", Resource: "arn:aws:s3:::" + c.Input.(Target).Bucket})
			}
			return nil
		}
		o.Observe = func(c wire.Call) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprint(c.Operation, " ", c.ReadOnly, " ", c.Status))
		}
	})
	c, ctx, name := client(testRegion), t.Context(), aws.String("models-4")
	makeBucket(t, c, *name)
	_, err := c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: name, Policy: aws.String("{}")})
	wantCode(t, err, "AccessDenied", 403)
	wrong := newClient(*c.Options().BaseEndpoint, testRegion, "wrong")
	_, err = wrong.ListBuckets(ctx, nil)
	wantCode(t, err, "SignatureDoesNotMatch", 403)
	_, err = wrong.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: name})
	wantCode(t, err, "SignatureDoesNotMatch", 403)
	_, err = wrong.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: name})
	wantCode(t, err, "SignatureDoesNotMatch", 403)
	mu.Lock()
	defer mu.Unlock()
	if got := fmt.Sprint(seen); got != "[CreateBucket false 200 PutBucketPolicy false 403 ListBuckets true 403 GetBucketEncryption true 403 ListObjectsV2 true 403]" {
		t.Error(got)
	}
}

// overhear is an HTTP client that keeps the last reply.
type overhear struct{ reply string }

func (o *overhear) Do(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	o.reply, resp.Body = string(body), io.NopCloser(strings.NewReader(string(body)))
	return resp, err
}
