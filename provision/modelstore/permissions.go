package modelstore

import "aicluster/provision/cloud"

// What the bucket and the models ask of their caller's IAM policy.

// OwnedPermissions is what [Owned] needs, beside the tags of the cluster's own
// bucket: one whose tags may not be read is not the cluster's.
func OwnedPermissions(cloud.Site) []cloud.Permission {
	return []cloud.Permission{cloud.Find("s3:ListAllMyBuckets")}
}

// Permissions implements [cloud.Permitted].
func (b *Bucket) Permissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{
		{
			Sid: "MakeModelsBucket", Resources: []string{s.S3(b.name)},
			Actions: []string{
				"s3:CreateBucket", "s3:TagResource", "s3:DeleteBucket", "s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads",
				"s3:GetBucketOwnershipControls", "s3:GetBucketPolicy", "s3:GetBucketPublicAccessBlock",
				"s3:GetBucketTagging", "s3:GetLifecycleConfiguration",
				"s3:PutBucketOwnershipControls", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock",
				"s3:PutBucketTagging", "s3:PutLifecycleConfiguration",
			},
		},
		{Sid: "SeedModels", Resources: []string{s.S3(b.name + "/*")}, Actions: []string{"s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload"}},
	}
}

// Permissions implements [cloud.Permitted]. GetObject is for HeadObject, which
// compares checksums.
func (m *Model) Permissions(s cloud.Site) []cloud.Permission {
	return []cloud.Permission{
		{Sid: "MakeModelsBucket", Resources: []string{s.S3(m.bucket.name)}, Actions: []string{"s3:ListBucket"}},
		{Sid: "SeedModels", Resources: []string{s.S3(m.bucket.name + "/*")}, Actions: []string{"s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"}},
	}
}
