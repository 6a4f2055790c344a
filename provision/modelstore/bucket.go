package modelstore

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// Bucket is the private S3 bucket for model weights.
//
// A bucket of that name that lies in the account already, is not tagged as this
// cluster's and holds objects is used as it is: it is not configured, and never
// deleted. An empty one is taken over.
type Bucket struct {
	api    API
	owner  cloud.Owner
	region string
	name   string
	needs  []engine.Resource

	// DeleteModels makes teardown delete the bucket with all that is in it.
	DeleteModels bool

	exists   bool
	foreign  string // why the bucket is not ours to configure; empty when it is
	settings []setting
}

// NewBucket makes the resource "bucket/<name>" of a blueprint that has models.
func NewBucket(api API, owner cloud.Owner, b *blueprints.Blueprint) *Bucket {
	return NewNamedBucket(api, owner, b.Metadata.Region, b.Models.Bucket)
}

// NewNamedBucket makes the same resource without a blueprint, for a teardown by
// the cluster's name.
func NewNamedBucket(api API, owner cloud.Owner, region, name string) *Bucket {
	b := &Bucket{api: api, owner: owner, region: region, name: name}
	b.settings = []setting{b.publicAccess(), b.ownership(), b.tlsOnly(), b.lifecycle(), b.tags()}
	return b
}

// ID implements engine.Resource.
func (b *Bucket) ID() string { return "bucket/" + b.name }

// Needs implements engine.Resource.
func (b *Bucket) Needs() []engine.Resource { return b.needs }

// Name is the bucket's name.
func (b *Bucket) Name() string { return b.name }

// Exists tells whether the bucket is there and can be used.
func (b *Bucket) Exists() bool { return b.exists }

// ARN is the bucket's ARN.
func (b *Bucket) ARN() string { return "arn:" + cloud.Partition(b.region) + ":s3:::" + b.name }

// keep says why teardown leaves the bucket alone.
func (b *Bucket) keep() string {
	switch {
	case b.foreign != "":
		return b.foreign
	case !b.DeleteModels:
		return "holds model weights; remove with --delete-models"
	}
	return ""
}

// Observe implements engine.Resource.
func (b *Bucket) Observe(ctx context.Context) (engine.Observation, error) {
	if err := b.find(ctx); err != nil {
		return engine.Observation{}, err
	}
	if !b.exists {
		return engine.Observation{Changes: []engine.Change{{Field: "bucket", Wanted: b.name, Policy: engine.PolicyCreate}}}, nil
	}
	o := engine.Observation{Exists: true, Detail: "s3://" + b.name, Keep: b.keep()}
	if b.foreign != "" {
		o.Notes = []string{"the bucket " + b.foreign + ": it is used as it is"}
		return o, nil
	}
	for _, s := range b.settings {
		changes, err := s.compare(ctx)
		if err != nil {
			return engine.Observation{}, cloud.Wrap(b.ID(), "reading its "+s.name, err)
		}
		for _, c := range changes {
			if c.Field == "" {
				c.Field, c.Policy = s.name, engine.PolicyInPlace
			}
			o.Changes = append(o.Changes, c)
		}
	}
	return o, nil
}

// find looks for the bucket and whose it is.
func (b *Bucket) find(ctx context.Context) error {
	b.exists, b.foreign = false, ""
	_, err := b.api.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String(b.name)})
	switch httpStatus(err) {
	case http.StatusNotFound:
		return nil
	case http.StatusMovedPermanently, http.StatusBadRequest:
		return cloud.Fail(b.ID(), "looking for the bucket", "a bucket of that name is in another region than "+b.region,
			"bucket names are unique in all of AWS: choose another name under models.bucket")
	case http.StatusForbidden:
		return b.notOurs()
	}
	if err != nil {
		return cloud.Wrap(b.ID(), "looking for the bucket", err)
	}
	b.exists = true
	return b.findOwner(ctx)
}

func (b *Bucket) notOurs() error {
	return cloud.Fail(b.ID(), "looking for the bucket", "the name belongs to a bucket of another AWS account, or these credentials may not read it",
		"bucket names are unique in all of AWS: choose another name under models.bucket, such as one with your account's id in it")
}

// findOwner decides by tag whether the bucket is this cluster's.
func (b *Bucket) findOwner(ctx context.Context) error {
	tags, err := b.liveTags(ctx)
	if err != nil {
		return cloud.Wrap(b.ID(), "reading its tags", err)
	}
	switch owner := tags[cloud.TagCluster]; owner {
	case b.owner.Cluster:
	case "":
		out, err := b.api.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(b.name), MaxKeys: aws.Int32(1)})
		if err != nil {
			return cloud.Wrap(b.ID(), "looking whether it is empty", err)
		}
		if len(out.Contents) > 0 {
			b.foreign = "was there before the cluster"
		}
	default:
		b.foreign = "belongs to cluster " + owner
	}
	return nil
}

// liveTags are the bucket's tags; S3 answers with an error when there are none.
func (b *Bucket) liveTags(ctx context.Context) (map[string]string, error) {
	return bucketTags(ctx, b.api, b.name)
}

func bucketTags(ctx context.Context, api API, name string) (map[string]string, error) {
	out, err := api.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: aws.String(name)})
	if cloud.IsNotFound(err) || isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, t := range out.TagSet {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags, nil
}

// Apply implements engine.Resource.
func (b *Bucket) Apply(ctx context.Context, p engine.Progress) error {
	if err := b.find(ctx); err != nil {
		return err
	}
	if !b.exists {
		p("creating")
		if err := b.create(ctx); err != nil {
			return err
		}
		b.exists = true
	}
	if b.foreign != "" {
		return nil
	}
	for _, s := range b.settings {
		changes, err := s.compare(ctx)
		if err != nil {
			return cloud.Wrap(b.ID(), "reading its "+s.name, err)
		}
		if len(changes) == 0 {
			continue
		}
		p("setting %s", s.name)
		if err := s.set(ctx); err != nil {
			return cloud.Wrap(b.ID(), "setting its "+s.name, err)
		}
	}
	return nil
}

// conflictLimit is how long S3 may hold on to the name of a bucket that was
// just deleted.
const conflictLimit = 2 * time.Minute

// create makes the bucket, tags included. Outside us-east-1 the region must be
// named; there it must not be (S3 API, CreateBucket, LocationConstraint). Asking
// twice is harmless: the bucket is ours then already.
func (b *Bucket) create(ctx context.Context) error {
	conf := &types.CreateBucketConfiguration{Tags: s3Tags(b.owner.Tags(""))}
	if b.region != "us-east-1" {
		conf.LocationConstraint = types.BucketLocationConstraint(b.region)
	}
	in := &s3.CreateBucketInput{Bucket: aws.String(b.name), CreateBucketConfiguration: conf, ObjectOwnership: types.ObjectOwnershipBucketOwnerEnforced}
	busy := func(err error) bool { return cloud.Code(err) == "OperationAborted" }
	err := cloud.RetryWhile(ctx, conflictLimit, busy, func(ctx context.Context) error {
		_, err := b.api.CreateBucket(ctx, in)
		return err
	})
	switch {
	case cloud.IsExists(err): // BucketAlreadyOwnedByYou
		return nil
	case cloud.Code(err) == "BucketAlreadyExists":
		return b.notOurs()
	}
	return cloud.Wrap(b.ID(), "creating the bucket", err)
}

// Delete implements engine.Resource. It is called only when DeleteModels is set.
func (b *Bucket) Delete(ctx context.Context, p engine.Progress) error {
	if err := b.find(ctx); err != nil || !b.exists {
		return err
	}
	if why := b.keep(); why != "" {
		return cloud.Fail(b.ID(), "deleting the bucket", "it is kept: it "+why, "")
	}
	if err := deleteObjects(ctx, b.api, b.name, "", p); err != nil {
		return cloud.Wrap(b.ID(), "emptying the bucket", err)
	}
	if err := abortUploads(ctx, b.api, b.name); err != nil {
		return cloud.Wrap(b.ID(), "giving up unfinished uploads", err)
	}
	_, err := b.api.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String(b.name)})
	if cloud.IsNotFound(err) || isMissing(err) {
		err = nil
	}
	if err != nil {
		return cloud.Wrap(b.ID(), "deleting the bucket", err)
	}
	b.exists = false
	return nil
}

// Owned finds the buckets that are tagged as a cluster's, for a teardown without
// its blueprint.
func Owned(ctx context.Context, api API, owner cloud.Owner, region string) ([]string, error) {
	var names []string
	pages := s3.NewListBucketsPaginator(api, &s3.ListBucketsInput{BucketRegion: aws.String(region)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, cloud.Wrap("bucket", "listing the buckets", err)
		}
		for _, found := range page.Buckets {
			tags, err := bucketTags(ctx, api, aws.ToString(found.Name))
			if err != nil {
				continue // a bucket whose tags we may not read is not ours
			}
			if tags[cloud.TagCluster] == owner.Cluster {
				names = append(names, aws.ToString(found.Name))
			}
		}
	}
	return names, nil
}
