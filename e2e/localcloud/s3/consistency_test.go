package s3

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// TestStronglyConsistent: unlike EC2's, S3's reads and lists show at once what was
// written, overwritten or deleted
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel).
func TestStronglyConsistent(t *testing.T) {
	_, client := start(t, nil)
	c, ctx := client(testRegion), t.Context()
	bucket, key := aws.String("models"), aws.String("a/weights")
	buckets := func() []string {
		out, err := c.ListBuckets(ctx, &s3.ListBucketsInput{})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, b := range out.Buckets {
			names = append(names, *b.Name)
		}
		return names
	}
	keys := func() []string {
		out, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: aws.String("a/")})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, o := range out.Contents {
			names = append(names, *o.Key)
		}
		return names
	}
	_, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket, CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: testRegion}})
	if err != nil {
		t.Fatal(err)
	}
	if got := buckets(); !slices.Equal(got, []string{"models"}) {
		t.Errorf("buckets %v right after one was made", got)
	}
	for _, body := range []string{"first", "second"} {
		if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: bytes.NewReader([]byte(body))}); err != nil {
			t.Fatal(err)
		}
		if got := keys(); !slices.Equal(got, []string{*key}) {
			t.Errorf("keys %v right after %s", got, body)
		}
		out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(out.Body); err != nil || string(got) != body {
			t.Errorf("read %q after %s was written (%v)", got, body, err)
		}
	}
	if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: key}); err != nil {
		t.Fatal(err)
	}
	if got := keys(); len(got) > 0 {
		t.Errorf("keys %v right after the deletion", got)
	}
	if _, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	if got := buckets(); len(got) > 0 {
		t.Errorf("buckets %v right after the deletion", got)
	}
}
