package s3

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"aicluster/e2e/localcloud/awstest"
)

// What S3 refuses: status, code and words. Some of it the S3 server behind
// refuses, some the handler in front of it.
func TestRefused(t *testing.T) {
	_, client := start(t, nil)
	c, virginia, ctx := client(testRegion), client("us-east-1"), t.Context()
	errOf := func(_ any, err error) error { return err }
	makeBucket(t, c, "have")
	makeBucket(t, c, "full")
	if _, err := virginia.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("virginia")}); err != nil {
		t.Fatal(err)
	}
	have, full, key := aws.String("have"), aws.String("full"), aws.String("k")
	if _, err := c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: full, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
		t.Fatal(err)
	}
	put := func(in s3.PutObjectInput) error {
		in.Body = strings.NewReader("x")
		return errOf(c.PutObject(ctx, &in))
	}
	for _, bucket := range []*string{have, full} {
		if err := put(s3.PutObjectInput{Bucket: bucket, Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: full, Key: key}); err != nil { // leaves a version and a marker
		t.Fatal(err)
	}
	create := func(name, location string) error {
		in := &s3.CreateBucketInput{Bucket: &name}
		if location != "" {
			in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(location)}
		}
		return errOf(c.CreateBucket(ctx, in))
	}
	policy := func(text string) error {
		return errOf(c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: have, Policy: &text}))
	}
	statement := func(effect, rest string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":%q%s}]}`, effect, rest)
	}
	tags := func(list ...types.Tag) error {
		return errOf(c.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: have, Tagging: &types.Tagging{TagSet: list}}))
	}
	tag := func(k string) types.Tag { return types.Tag{Key: &k, Value: aws.String("v")} }
	var tags51 []types.Tag
	for i := range 51 {
		tags51 = append(tags51, tag(fmt.Sprint(i)))
	}
	var ids1001 []types.ObjectIdentifier
	for i := range 1001 {
		ids1001 = append(ids1001, types.ObjectIdentifier{Key: aws.String(fmt.Sprint(i))})
	}
	upload := awstest.Must(c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: have, Key: aws.String("parts")}))(t).UploadId
	complete := func(id *string, parts ...types.CompletedPart) error {
		return errOf(c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: have, Key: aws.String("parts"), UploadId: id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}))
	}
	var done []types.CompletedPart
	for n := range int32(2) {
		out := awstest.Must(c.UploadPart(ctx, &s3.UploadPartInput{Bucket: have, Key: aws.String("parts"), UploadId: upload, PartNumber: aws.Int32(n + 1), Body: strings.NewReader("small")}))(t)
		done = append(done, types.CompletedPart{ETag: out.ETag, PartNumber: aws.Int32(n + 1), ChecksumCRC32: out.ChecksumCRC32})
	}
	none := aws.String("none")
	ownership := func(owner types.ObjectOwnership) error {
		return errOf(c.PutBucketOwnershipControls(ctx, &s3.PutBucketOwnershipControlsInput{Bucket: have, OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{{ObjectOwnership: owner}}}}))
	}
	stranger := func(o *s3.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider("AKIANOBODY", "secret", "")
	}
	const public = `,"Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::have/*"`

	for _, tt := range []struct {
		name        string
		err         error
		status      int
		code, words string
	}{
		{"name in capitals", create("Have", testRegion), 400, "InvalidBucketName", "The specified bucket is not valid."},
		{"name with an underscore", create("a_b_c", testRegion), 400, "InvalidBucketName", "The specified bucket is not valid."},
		{"name with two dots", create("a..b", testRegion), 400, "InvalidBucketName", "The specified bucket is not valid."},
		{"name that is an address", create("192.168.0.1", testRegion), 400, "InvalidBucketName", "The specified bucket is not valid."},
		{"name that ends in a dash", create("models-", testRegion), 400, "InvalidBucketName", "The specified bucket is not valid."},
		{"name of an alias", create("models-s3alias", testRegion), 400, "InvalidBucketName", "The specified bucket is not valid."},
		{"name of two characters", create("ab", testRegion), 400, "InvalidBucketName", "The specified bucket is not valid."},
		{"name of 64 characters", create(strings.Repeat("b", 64), testRegion), 400, "InvalidBucketName", "The specified bucket is not valid."},
		{"no location", create("other", ""), 400, "IllegalLocationConstraintException", "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to."},
		{"another region's location", create("other", "eu-west-1"), 400, "IllegalLocationConstraintException", "The eu-west-1 location constraint is incompatible for the region specific endpoint this request was sent to."},
		{"us-east-1 as location", create("other", "us-east-1"), 400, "InvalidLocationConstraint", "The specified location-constraint is not valid"},
		{"own name", create("have", testRegion), 409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it."},
		{"own name of us-east-1", create("virginia", testRegion), 409, "BucketAlreadyOwnedByYou", "you already own it"},
		{"somebody else's name", create("my-bucket", testRegion), 409, "BucketAlreadyExists", "The requested bucket name is not available. The bucket namespace is shared by all users of the system."},
		{"somebody else's bucket", errOf(c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("my-bucket")})), 403, "Forbidden", ""},
		{"somebody else's objects", errOf(c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("my-bucket")})), 403, "AccessDenied", "Access Denied"},
		{"no bucket", errOf(c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("none")})), 404, "NotFound", ""},
		{"objects of no bucket", errOf(c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("none")})), 404, "NoSuchBucket", "The specified bucket does not exist"},
		{"settings of no bucket", errOf(c.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: aws.String("none")})), 404, "NoSuchBucket", "The specified bucket does not exist"},
		{"another region's bucket", errOf(virginia.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: have})), 301, "PermanentRedirect", "must be addressed using the specified endpoint"},
		{"bucket with an object", errOf(c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: have})), 409, "BucketNotEmpty", "The bucket you tried to delete is not empty"},
		{"bucket with versions and markers", errOf(c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: full})), 409, "BucketNotEmpty", "The bucket you tried to delete is not empty"},
		{"delete no bucket", errOf(c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String("none")})), 404, "NoSuchBucket", "The specified bucket does not exist"},

		{"policy that is no JSON", policy("x"), 400, "MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'"},
		{"policy without a principal", policy(statement("Allow", `,"Action":"s3:GetObject","Resource":"arn:aws:s3:::have/*"`)), 400, "MalformedPolicy", "Missing required field Principal"},
		{"policy for another bucket", policy(statement("Deny", `,"Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::full/*"`)), 400, "MalformedPolicy", "Policy has invalid resource"},
		{"policy with another service's action", policy(statement("Deny", `,"Principal":"*","Action":"ec2:*","Resource":"arn:aws:s3:::have"`)), 400, "MalformedPolicy", "Policy has invalid action"},
		{"policy without an effect", policy(statement("Maybe", public)), 400, "MalformedPolicy", "Invalid effect: Maybe"},
		{"public policy", policy(statement("Allow", public)), 403, "AccessDenied", "because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access."},
		{"no policy", errOf(c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: have})), 404, "NoSuchBucketPolicy", "The bucket policy does not exist"},
		{"no tags", errOf(c.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: have})), 404, "NoSuchTagSet", "The TagSet does not exist"},
		{"tag twice", tags(tag("a"), tag("a")), 400, "InvalidTag", "Cannot provide multiple Tags with the same key"},
		{"tag of AWS", tags(tag("aws:a")), 400, "InvalidTag", "System tags cannot be added/updated by requester"},
		{"51 tags", tags(tags51...), 400, "BadRequest", "50"},
		{"public access list", errOf(c.PutBucketAcl(ctx, &s3.PutBucketAclInput{Bucket: have, ACL: types.BucketCannedACLPublicRead})), 400, "AccessControlListNotSupported", "The bucket does not allow ACLs"},

		{"subresource that is not here", errOf(c.PutBucketAnalyticsConfiguration(ctx, &s3.PutBucketAnalyticsConfigurationInput{Bucket: aws.String("fresh"), Id: aws.String("x"), AnalyticsConfiguration: &types.AnalyticsConfiguration{Id: aws.String("x"), StorageClassAnalysis: &types.StorageClassAnalysis{}}})), 501, "NotImplemented", "not implemented"},
		{"list of them", errOf(c.ListBucketMetricsConfigurations(ctx, &s3.ListBucketMetricsConfigurationsInput{Bucket: have})), 501, "NotImplemented", "not implemented"},
		{"lifecycle that is not there", errOf(c.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: have})), 404, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"},
		{"lifecycle without an action", errOf(c.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: have, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{
			{ID: aws.String("r"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")}}}}})), 400, "MalformedXML", "not well-formed or did not validate against our published schema"},
		{"ownership of no bucket", errOf(c.GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: none})), 404, "NoSuchBucket", "The specified bucket does not exist"},
		{"ownership by nobody", ownership("Nobody"), 400, "MalformedXML", "not well-formed or did not validate against our published schema"},
		{"access block of no bucket", errOf(c.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: none})), 404, "NoSuchBucket", "The specified bucket does not exist"},
		{"access block for no bucket", errOf(c.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: none, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{BlockPublicAcls: aws.Bool(true)}})), 404, "NoSuchBucket", "The specified bucket does not exist"},
		{"buckets of an unknown key", errOf(c.ListBuckets(ctx, &s3.ListBucketsInput{}, stranger)), 403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."},
		{"10001 buckets a page", errOf(c.ListBuckets(ctx, &s3.ListBucketsInput{MaxBuckets: aws.Int32(10001)})), 400, "InvalidArgument", "Argument max-buckets must be an integer between 1 and 10000"},
		{"versions in no bucket", errOf(c.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: none})), 404, "NoSuchBucket", "The specified bucket does not exist"},
		{"uploads to no bucket", errOf(c.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: none})), 404, "NoSuchBucket", "The specified bucket does not exist"},
		{"end of no upload", errOf(c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: have, Key: aws.String("parts"), UploadId: none})), 404, "NoSuchUpload", "The upload ID may be invalid, or the upload may have been aborted or completed."},
		{"head of no object", errOf(c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: have, Key: none})), 404, "NotFound", ""},
		{"no object", errOf(c.GetObject(ctx, &s3.GetObjectInput{Bucket: have, Key: aws.String("none")})), 404, "NoSuchKey", "The specified key does not exist."},
		{"object that is there", put(s3.PutObjectInput{Bucket: have, Key: key, IfNoneMatch: aws.String("*")}), 412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"},
		{"wrong checksum", put(s3.PutObjectInput{Bucket: have, Key: aws.String("sum"), ChecksumCRC32: aws.String("AAAAAA==")}), 400, "BadDigest", "did not match"},
		{"1001 objects at once", errOf(c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: have, Delete: &types.Delete{Objects: ids1001}})), 400, "MalformedXML", "not well-formed or did not validate against our published schema"},
		{"no upload", complete(aws.String("none"), done[0]), 404, "NoSuchUpload", "The upload ID may be invalid, or the upload may have been aborted or completed."},
		{"parts in disorder", complete(upload, done[1], done[0]), 400, "InvalidPartOrder", "The list of parts was not in ascending order."},
		{"part that is not there", complete(upload, types.CompletedPart{ETag: done[0].ETag, PartNumber: aws.Int32(7)}), 400, "InvalidPart", "One or more of the specified parts could not be found."},
		{"small parts", complete(upload, done...), 400, "EntityTooSmall", "smaller than the minimum allowed"},
		{"part 10001", errOf(c.UploadPart(ctx, &s3.UploadPartInput{Bucket: have, Key: aws.String("parts"), UploadId: upload, PartNumber: aws.Int32(10001), Body: strings.NewReader("x")})), 400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive"},
	} {
		t.Run(tt.name, func(t *testing.T) { awstest.Fails(t, tt.err, tt.status, tt.code, tt.words) })
	}

	t.Run("us-east-1 says yes again", func(t *testing.T) {
		if _, err := virginia.CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: aws.String("virginia")}); err != nil {
			t.Error(err)
		}
	})
	t.Run("public policy once it is allowed", func(t *testing.T) {
		if _, err := c.DeletePublicAccessBlock(ctx, &s3.DeletePublicAccessBlockInput{Bucket: have}); err != nil {
			t.Error(err)
		}
		if err := policy(statement("Allow", public)); err != nil {
			t.Error(err)
		}
	})
}
