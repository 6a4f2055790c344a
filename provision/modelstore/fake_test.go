package modelstore

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

var testOwner = cloud.Owner{Cluster: "demo", Extra: map[string]string{"team": "ml"}}

func quiet(string, ...any) {}

// fakeBucket is a bucket with its settings and objects.
type fakeBucket struct {
	region    string
	tags      map[string]string
	public    *types.PublicAccessBlockConfiguration
	ownership types.ObjectOwnership
	policy    string
	lifecycle []types.LifecycleRule
	objects   map[string]fakeObject
}

type fakeObject struct {
	data     []byte
	sum      string
	modified time.Time
}

// fakeS3 holds buckets as S3 does; other accounts' are in taken. Safe for
// concurrent use.
type fakeS3 struct {
	API // what is not written below panics

	mu      sync.Mutex
	buckets map[string]*fakeBucket
	taken   map[string]int // name: status that HeadBucket gives
	uploads map[string]map[int32][]byte
	writes  []string
	lists   int
	heads   int
	created *s3.CreateBucketInput
	corrupt bool // report a wrong checksum
	putErr  error
}

func newFakeS3() *fakeS3 {
	return &fakeS3{buckets: map[string]*fakeBucket{}, taken: map[string]int{}, uploads: map[string]map[int32][]byte{}}
}

// failed is S3's error with its HTTP status.
func failed(status int, code string) error {
	return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}},
		Err: &smithy.GenericAPIError{Code: code, Message: code + " (fake)"}}
}

func (f *fakeS3) lock(write string) func() {
	f.mu.Lock()
	if write != "" {
		f.writes = append(f.writes, write)
	}
	return f.mu.Unlock
}

func (f *fakeS3) bucket(name *string) (*fakeBucket, error) {
	if b := f.buckets[aws.ToString(name)]; b != nil {
		return b, nil
	}
	return nil, failed(http.StatusNotFound, "NoSuchBucket")
}

func (f *fakeS3) HeadBucket(_ context.Context, in *s3.HeadBucketInput, _ ...func(*s3.Options)) (*s3.HeadBucketOutput, error) {
	defer f.lock("")()
	if status := f.taken[aws.ToString(in.Bucket)]; status != 0 {
		return nil, failed(status, http.StatusText(status))
	}
	_, err := f.bucket(in.Bucket)
	return &s3.HeadBucketOutput{}, err
}

func (f *fakeS3) CreateBucket(_ context.Context, in *s3.CreateBucketInput, _ ...func(*s3.Options)) (*s3.CreateBucketOutput, error) {
	defer f.lock("CreateBucket")()
	f.created = in
	name := aws.ToString(in.Bucket)
	if f.buckets[name] != nil {
		return nil, failed(http.StatusConflict, "BucketAlreadyOwnedByYou")
	}
	b := &fakeBucket{region: string(in.CreateBucketConfiguration.LocationConstraint), ownership: in.ObjectOwnership, objects: map[string]fakeObject{}, tags: map[string]string{}}
	for _, t := range in.CreateBucketConfiguration.Tags {
		b.tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	// What S3 gives a new bucket.
	on := aws.Bool(true)
	b.public = &types.PublicAccessBlockConfiguration{BlockPublicAcls: on, BlockPublicPolicy: on, IgnorePublicAcls: on, RestrictPublicBuckets: on}
	f.buckets[name] = b
	return &s3.CreateBucketOutput{}, nil
}

func (f *fakeS3) DeleteBucket(_ context.Context, in *s3.DeleteBucketInput, _ ...func(*s3.Options)) (*s3.DeleteBucketOutput, error) {
	defer f.lock("DeleteBucket")()
	b, err := f.bucket(in.Bucket)
	if err != nil {
		return nil, err
	}
	if len(b.objects) > 0 {
		return nil, failed(http.StatusConflict, "BucketNotEmpty")
	}
	delete(f.buckets, aws.ToString(in.Bucket))
	return &s3.DeleteBucketOutput{}, nil
}

func (f *fakeS3) ListBuckets(context.Context, *s3.ListBucketsInput, ...func(*s3.Options)) (*s3.ListBucketsOutput, error) {
	defer f.lock("")()
	out := &s3.ListBucketsOutput{}
	for _, name := range slices.Sorted(maps.Keys(f.buckets)) {
		out.Buckets = append(out.Buckets, types.Bucket{Name: aws.String(name)})
	}
	return out, nil
}

func (f *fakeS3) GetBucketTagging(_ context.Context, in *s3.GetBucketTaggingInput, _ ...func(*s3.Options)) (*s3.GetBucketTaggingOutput, error) {
	defer f.lock("")()
	b, err := f.bucket(in.Bucket)
	if err != nil {
		return nil, err
	}
	if len(b.tags) == 0 {
		return nil, failed(http.StatusNotFound, "NoSuchTagSet")
	}
	return &s3.GetBucketTaggingOutput{TagSet: s3Tags(b.tags)}, nil
}

func (f *fakeS3) PutBucketTagging(_ context.Context, in *s3.PutBucketTaggingInput, _ ...func(*s3.Options)) (*s3.PutBucketTaggingOutput, error) {
	defer f.lock("PutBucketTagging")()
	b, err := f.bucket(in.Bucket)
	if err != nil {
		return nil, err
	}
	b.tags = map[string]string{}
	for _, t := range in.Tagging.TagSet {
		b.tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return &s3.PutBucketTaggingOutput{}, nil
}

func (f *fakeS3) GetPublicAccessBlock(_ context.Context, in *s3.GetPublicAccessBlockInput, _ ...func(*s3.Options)) (*s3.GetPublicAccessBlockOutput, error) {
	defer f.lock("")()
	b, err := f.bucket(in.Bucket)
	if err == nil && b.public == nil {
		err = failed(http.StatusNotFound, "NoSuchPublicAccessBlockConfiguration")
	}
	if err != nil {
		return nil, err
	}
	return &s3.GetPublicAccessBlockOutput{PublicAccessBlockConfiguration: b.public}, nil
}

func (f *fakeS3) PutPublicAccessBlock(_ context.Context, in *s3.PutPublicAccessBlockInput, _ ...func(*s3.Options)) (*s3.PutPublicAccessBlockOutput, error) {
	defer f.lock("PutPublicAccessBlock")()
	f.buckets[aws.ToString(in.Bucket)].public = in.PublicAccessBlockConfiguration
	return &s3.PutPublicAccessBlockOutput{}, nil
}

func (f *fakeS3) GetBucketOwnershipControls(_ context.Context, in *s3.GetBucketOwnershipControlsInput, _ ...func(*s3.Options)) (*s3.GetBucketOwnershipControlsOutput, error) {
	defer f.lock("")()
	b, err := f.bucket(in.Bucket)
	if err == nil && b.ownership == "" {
		err = failed(http.StatusNotFound, "OwnershipControlsNotFoundError")
	}
	if err != nil {
		return nil, err
	}
	return &s3.GetBucketOwnershipControlsOutput{OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{{ObjectOwnership: b.ownership}}}}, nil
}

func (f *fakeS3) PutBucketOwnershipControls(_ context.Context, in *s3.PutBucketOwnershipControlsInput, _ ...func(*s3.Options)) (*s3.PutBucketOwnershipControlsOutput, error) {
	defer f.lock("PutBucketOwnershipControls")()
	f.buckets[aws.ToString(in.Bucket)].ownership = in.OwnershipControls.Rules[0].ObjectOwnership
	return &s3.PutBucketOwnershipControlsOutput{}, nil
}

func (f *fakeS3) GetBucketPolicy(_ context.Context, in *s3.GetBucketPolicyInput, _ ...func(*s3.Options)) (*s3.GetBucketPolicyOutput, error) {
	defer f.lock("")()
	b, err := f.bucket(in.Bucket)
	if err == nil && b.policy == "" {
		err = failed(http.StatusNotFound, "NoSuchBucketPolicy")
	}
	if err != nil {
		return nil, err
	}
	return &s3.GetBucketPolicyOutput{Policy: aws.String(b.policy)}, nil
}

func (f *fakeS3) PutBucketPolicy(_ context.Context, in *s3.PutBucketPolicyInput, _ ...func(*s3.Options)) (*s3.PutBucketPolicyOutput, error) {
	defer f.lock("PutBucketPolicy")()
	f.buckets[aws.ToString(in.Bucket)].policy = aws.ToString(in.Policy)
	return &s3.PutBucketPolicyOutput{}, nil
}

func (f *fakeS3) GetBucketLifecycleConfiguration(_ context.Context, in *s3.GetBucketLifecycleConfigurationInput, _ ...func(*s3.Options)) (*s3.GetBucketLifecycleConfigurationOutput, error) {
	defer f.lock("")()
	b, err := f.bucket(in.Bucket)
	if err == nil && b.lifecycle == nil {
		err = failed(http.StatusNotFound, "NoSuchLifecycleConfiguration")
	}
	if err != nil {
		return nil, err
	}
	return &s3.GetBucketLifecycleConfigurationOutput{Rules: b.lifecycle}, nil
}

func (f *fakeS3) PutBucketLifecycleConfiguration(_ context.Context, in *s3.PutBucketLifecycleConfigurationInput, _ ...func(*s3.Options)) (*s3.PutBucketLifecycleConfigurationOutput, error) {
	defer f.lock("PutBucketLifecycleConfiguration")()
	f.buckets[aws.ToString(in.Bucket)].lifecycle = in.LifecycleConfiguration.Rules
	return &s3.PutBucketLifecycleConfigurationOutput{}, nil
}

func (f *fakeS3) ListObjectsV2(_ context.Context, in *s3.ListObjectsV2Input, _ ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	defer f.lock("")()
	f.lists++
	b, err := f.bucket(in.Bucket)
	if err != nil {
		return nil, err
	}
	out := &s3.ListObjectsV2Output{}
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		if !strings.HasPrefix(key, aws.ToString(in.Prefix)) || key <= aws.ToString(in.ContinuationToken) {
			continue
		}
		if len(out.Contents) == 2 { // small pages
			out.NextContinuationToken, out.IsTruncated = out.Contents[1].Key, aws.Bool(true)
			break
		}
		o := b.objects[key]
		out.Contents = append(out.Contents, types.Object{Key: aws.String(key), Size: aws.Int64(int64(len(o.data))), LastModified: aws.Time(o.modified)})
	}
	return out, nil
}

func (f *fakeS3) ListObjectVersions(_ context.Context, in *s3.ListObjectVersionsInput, _ ...func(*s3.Options)) (*s3.ListObjectVersionsOutput, error) {
	defer f.lock("")()
	b, err := f.bucket(in.Bucket)
	if err != nil {
		return nil, err
	}
	out := &s3.ListObjectVersionsOutput{}
	for key := range b.objects {
		if strings.HasPrefix(key, aws.ToString(in.Prefix)) {
			out.Versions = append(out.Versions, types.ObjectVersion{Key: aws.String(key), VersionId: aws.String("null")})
		}
	}
	return out, nil
}

func (f *fakeS3) DeleteObjects(_ context.Context, in *s3.DeleteObjectsInput, _ ...func(*s3.Options)) (*s3.DeleteObjectsOutput, error) {
	defer f.lock("DeleteObjects")()
	for _, o := range in.Delete.Objects {
		delete(f.buckets[aws.ToString(in.Bucket)].objects, aws.ToString(o.Key))
	}
	return &s3.DeleteObjectsOutput{}, nil
}

func (f *fakeS3) HeadObject(_ context.Context, in *s3.HeadObjectInput, _ ...func(*s3.Options)) (*s3.HeadObjectOutput, error) {
	defer f.lock("")()
	f.heads++
	b, err := f.bucket(in.Bucket)
	if err != nil {
		return nil, err
	}
	o, ok := b.objects[aws.ToString(in.Key)]
	if !ok {
		return nil, failed(http.StatusNotFound, "NotFound")
	}
	out := &s3.HeadObjectOutput{ContentLength: aws.Int64(int64(len(o.data)))}
	if in.ChecksumMode == types.ChecksumModeEnabled && o.sum != "" {
		out.ChecksumCRC64NVME = aws.String(o.sum)
	}
	return out, nil
}

// store keeps an object with the checksum of all of it.
func (f *fakeS3) store(bucket, key *string, data []byte, algorithm types.ChecksumAlgorithm) string {
	o := fakeObject{data: data, modified: time.Now()}
	if algorithm == types.ChecksumAlgorithmCrc64nvme {
		h := newChecksum()
		h.Write(data)
		o.sum = encode(h)
	}
	f.buckets[aws.ToString(bucket)].objects[aws.ToString(key)] = o
	if f.corrupt {
		return "AAAAAAAAAAA="
	}
	return o.sum
}

func (f *fakeS3) PutObject(_ context.Context, in *s3.PutObjectInput, _ ...func(*s3.Options)) (*s3.PutObjectOutput, error) {
	data, err := io.ReadAll(in.Body)
	if err != nil {
		return nil, err
	}
	defer f.lock("PutObject " + aws.ToString(in.Key))()
	if f.putErr != nil {
		return nil, f.putErr
	}
	return &s3.PutObjectOutput{ChecksumCRC64NVME: aws.String(f.store(in.Bucket, in.Key, data, in.ChecksumAlgorithm))}, nil
}

func (f *fakeS3) CreateMultipartUpload(_ context.Context, in *s3.CreateMultipartUploadInput, _ ...func(*s3.Options)) (*s3.CreateMultipartUploadOutput, error) {
	defer f.lock("CreateMultipartUpload " + aws.ToString(in.Key))()
	if in.ChecksumAlgorithm != types.ChecksumAlgorithmCrc64nvme || in.ChecksumType != types.ChecksumTypeFullObject {
		return nil, fmt.Errorf("checksum %s %s", in.ChecksumAlgorithm, in.ChecksumType)
	}
	id := fmt.Sprintf("upload-%d", len(f.uploads)+1)
	f.uploads[id] = map[int32][]byte{}
	return &s3.CreateMultipartUploadOutput{UploadId: aws.String(id)}, nil
}

func (f *fakeS3) UploadPart(_ context.Context, in *s3.UploadPartInput, _ ...func(*s3.Options)) (*s3.UploadPartOutput, error) {
	data, err := io.ReadAll(in.Body)
	if err != nil {
		return nil, err
	}
	defer f.lock("UploadPart")()
	f.uploads[aws.ToString(in.UploadId)][aws.ToInt32(in.PartNumber)] = data
	h := newChecksum()
	h.Write(data)
	return &s3.UploadPartOutput{ETag: aws.String("e"), ChecksumCRC64NVME: aws.String(encode(h))}, nil
}

func (f *fakeS3) CompleteMultipartUpload(_ context.Context, in *s3.CompleteMultipartUploadInput, _ ...func(*s3.Options)) (*s3.CompleteMultipartUploadOutput, error) {
	defer f.lock("CompleteMultipartUpload")()
	var all bytes.Buffer
	for _, p := range in.MultipartUpload.Parts {
		if p.ChecksumCRC64NVME == nil {
			return nil, failed(http.StatusBadRequest, "InvalidRequest")
		}
		all.Write(f.uploads[aws.ToString(in.UploadId)][aws.ToInt32(p.PartNumber)])
	}
	delete(f.uploads, aws.ToString(in.UploadId))
	return &s3.CompleteMultipartUploadOutput{ChecksumCRC64NVME: aws.String(f.store(in.Bucket, in.Key, all.Bytes(), types.ChecksumAlgorithmCrc64nvme))}, nil
}

func (f *fakeS3) ListMultipartUploads(context.Context, *s3.ListMultipartUploadsInput, ...func(*s3.Options)) (*s3.ListMultipartUploadsOutput, error) {
	defer f.lock("")()
	out := &s3.ListMultipartUploadsOutput{}
	for id := range f.uploads {
		out.Uploads = append(out.Uploads, types.MultipartUpload{Key: aws.String("m/big"), UploadId: aws.String(id)})
	}
	return out, nil
}

func (f *fakeS3) AbortMultipartUpload(_ context.Context, in *s3.AbortMultipartUploadInput, _ ...func(*s3.Options)) (*s3.AbortMultipartUploadOutput, error) {
	defer f.lock("AbortMultipartUpload")()
	delete(f.uploads, aws.ToString(in.UploadId))
	return &s3.AbortMultipartUploadOutput{}, nil
}

// observe reads a resource and fails the test on an error.
func observe(t *testing.T, r engine.Resource) engine.Observation {
	t.Helper()
	o, err := r.Observe(t.Context())
	if err != nil {
		t.Fatalf("Observe: %v", err)
	}
	return o
}

// settled fails unless the resource exists without a difference.
func settled(t *testing.T, r engine.Resource) engine.Observation {
	t.Helper()
	o := observe(t, r)
	if !o.Exists || len(o.Changes) > 0 {
		t.Fatalf("after Apply: exists %v, changes %+v", o.Exists, o.Changes)
	}
	return o
}

// fields lists the fields that an observation finds different.
func fields(o engine.Observation) string {
	var out []string
	for _, c := range o.Changes {
		out = append(out, c.Field)
	}
	return strings.Join(out, ", ")
}
