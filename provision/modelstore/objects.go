package modelstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// object is one object as a listing shows it.
type object struct {
	size     int64 // bytes
	modified time.Time
	tag      string // ETag: another one when the content is
}

// list reads all objects under a prefix, by their key without it.
func list(ctx context.Context, api API, bucket, prefix string) (map[string]object, error) {
	found := map[string]object{}
	pages := s3.NewListObjectsV2Paginator(api, &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: aws.String(prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			key := strings.TrimPrefix(aws.ToString(o.Key), prefix)
			if key == "" || strings.HasSuffix(key, "/") {
				continue // a folder's placeholder, which consoles make
			}
			found[key] = object{size: aws.ToInt64(o.Size), modified: aws.ToTime(o.LastModified), tag: aws.ToString(o.ETag)}
		}
	}
	return found, nil
}

// deleteObjects deletes every version of every object under a prefix, and the
// delete markers, a thousand in a call.
func deleteObjects(ctx context.Context, api API, bucket, prefix string, p engine.Progress) error {
	gone := 0
	pages := s3.NewListObjectVersionsPaginator(api, &s3.ListObjectVersionsInput{Bucket: aws.String(bucket), Prefix: aws.String(prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		var ids []types.ObjectIdentifier
		for _, v := range page.Versions {
			ids = append(ids, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		for _, m := range page.DeleteMarkers {
			ids = append(ids, types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
		}
		for chunk := range slices.Chunk(ids, 1000) {
			out, err := api.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{Objects: chunk, Quiet: aws.Bool(true)}})
			if err != nil {
				return err
			}
			if len(out.Errors) > 0 {
				e := out.Errors[0]
				return fmt.Errorf("%s: %s: %s (and %d more)", aws.ToString(e.Key), aws.ToString(e.Code), aws.ToString(e.Message), len(out.Errors)-1)
			}
			gone += len(chunk)
			p("%d objects deleted", gone)
		}
	}
	return nil
}

// abortUploads gives up every upload that was never finished: its parts are
// paid for, and no listing of objects shows them.
func abortUploads(ctx context.Context, api API, bucket string) error {
	pages := s3.NewListMultipartUploadsPaginator(api, &s3.ListMultipartUploadsInput{Bucket: aws.String(bucket)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, u := range page.Uploads {
			_, err := api.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: u.Key, UploadId: u.UploadId})
			if err != nil && !isMissing(err) { // NoSuchUpload: it was finished or given up in between
				return err
			}
		}
	}
	return nil
}

// Stored is one model in a bucket.
type Stored struct {
	Name     string    `json:"name"`
	Files    int       `json:"files"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified"` // of the newest file
}

// List says which models are in a bucket, by name. A model is what lies under
// one of the known names, or else under one top folder.
func List(ctx context.Context, api API, bucket string, known ...string) ([]Stored, error) {
	objects, err := list(ctx, api, bucket, "")
	if err != nil {
		if absent(err) {
			return nil, cloud.Fail("bucket/"+bucket, "listing the models", "the bucket does not exist", "make it with 'aicluster up'")
		}
		return nil, cloud.Wrap("bucket/"+bucket, "listing the models", err)
	}
	byName := map[string]*Stored{}
	for key, o := range objects {
		name := modelOf(key, known)
		if name == "" {
			continue
		}
		s := byName[name]
		if s == nil {
			s = &Stored{Name: name}
			byName[name] = s
		}
		s.Files++
		s.Bytes += o.size
		if o.modified.After(s.Modified) {
			s.Modified = o.modified
		}
	}
	out := make([]Stored, 0, len(byName))
	for _, s := range byName {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Stored) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func modelOf(key string, known []string) string {
	for _, name := range known {
		if strings.HasPrefix(key, name+"/") {
			return name
		}
	}
	top, _, ok := strings.Cut(key, "/")
	if !ok {
		return ""
	}
	return top
}
