package orphans

import (
	"context"
	"errors"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"aicluster/provision/cloud"
)

// BucketAPI is what the search uses of S3.
type BucketAPI interface {
	ListBuckets(context.Context, *s3.ListBucketsInput, ...func(*s3.Options)) (*s3.ListBucketsOutput, error)
	GetBucketTagging(context.Context, *s3.GetBucketTaggingInput, ...func(*s3.Options)) (*s3.GetBucketTaggingOutput, error)
}

// tagReaders is how many buckets are asked for their tags at once.
const tagReaders = 8

// buckets finds the region's buckets whose tags name the cluster. A bucket whose
// tags these credentials may not read is not the cluster's.
func (s *Search) buckets(ctx context.Context) ([]Thing, error) {
	var names []string
	pages := s3.NewListBucketsPaginator(s.S3, &s3.ListBucketsInput{BucketRegion: aws.String(s.Region)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range page.Buckets {
			names = append(names, aws.ToString(b.Name))
		}
	}
	var mu sync.Mutex
	var found []Thing
	var errs []error
	var wg sync.WaitGroup
	places := make(chan struct{}, tagReaders)
	for _, name := range names {
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			why, err := s.bucketReason(ctx, name)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
			if why != "" {
				found = append(found, Thing{Kind: "bucket", ID: name, Detail: "s3://" + name, Why: why, Data: true, Remove: s.command("s3 rb --force s3://%s", name)})
			}
		})
	}
	wg.Wait()
	return found, errors.Join(errs...)
}

func (s *Search) bucketReason(ctx context.Context, name string) (string, error) {
	out, err := s.S3.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: &name})
	switch {
	case cloud.IsTransient(err):
		return "", err
	case err != nil:
		return "", nil //nolint:nilerr // no tags, no bucket any more, or not ours to read
	}
	tags := map[string]string{}
	for _, t := range out.TagSet {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return s.reason(tags), nil
}
