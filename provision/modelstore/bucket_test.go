package modelstore

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"aicluster/provision/cloud"
)

const bucketName = "demo-models"

func TestBucketIsMadePrivateAndOurs(t *testing.T) {
	api := newFakeS3()
	b := NewNamedBucket(api, testOwner, "ap-northeast-2", bucketName)
	if o := observe(t, b); o.Exists || len(api.writes) > 0 {
		t.Fatalf("observed %+v, wrote %v", o, api.writes)
	}
	if err := b.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if got := string(api.created.CreateBucketConfiguration.LocationConstraint); got != "ap-northeast-2" {
		t.Errorf("location %q", got)
	}
	if got := len(api.created.CreateBucketConfiguration.Tags); got != 2 {
		t.Errorf("%d tags in the create call", got)
	}
	live := api.buckets[bucketName]
	if !maps.Equal(live.tags, testOwner.Tags("")) || live.ownership != types.ObjectOwnershipBucketOwnerEnforced || len(live.lifecycle) != 1 {
		t.Errorf("bucket %+v", live)
	}
	var policy struct{ Statement []map[string]any }
	if err := json.Unmarshal([]byte(live.policy), &policy); err != nil {
		t.Fatal(err)
	}
	if s := policy.Statement[0]; s["Effect"] != "Deny" || !reflect.DeepEqual(s["Resource"], []any{"arn:aws:s3:::demo-models", "arn:aws:s3:::demo-models/*"}) {
		t.Errorf("policy %s", live.policy)
	}
	o := settled(t, b)
	if o.Keep == "" || !strings.Contains(o.Keep, "--delete-models") {
		t.Errorf("keep %q", o.Keep)
	}
	writes := len(api.writes)
	if err := b.Apply(t.Context(), quiet); err != nil || len(api.writes) != writes {
		t.Errorf("a second Apply: %v, wrote %v", err, api.writes[writes:])
	}
}

func TestBucketInUSEast1NamesNoLocation(t *testing.T) {
	api := newFakeS3()
	if err := NewNamedBucket(api, testOwner, "us-east-1", bucketName).Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if got := api.created.CreateBucketConfiguration.LocationConstraint; got != "" {
		t.Errorf("location %q", got)
	}
}

func TestBucketSettingsAreRepairedAndOthersKept(t *testing.T) {
	api := newFakeS3()
	b := NewNamedBucket(api, testOwner, "eu-west-1", bucketName)
	if err := b.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	live := api.buckets[bucketName]
	live.public, live.ownership = nil, ""
	live.policy = `{"Version":"2012-10-17","Statement":{"Sid":"Theirs","Effect":"Allow","Principal":{"AWS":"arn:x"},"Action":"s3:GetObject","Resource":"*"}}`
	live.lifecycle = []types.LifecycleRule{{ID: aws.String("theirs"), Status: types.ExpirationStatusEnabled}}
	live.tags = map[string]string{"aicluster/cluster": "demo", "theirs": "x"}
	o := observe(t, b)
	if got := fields(o); got != "public access block, object ownership, TLS-only policy, lifecycle, metadata.tags.team" {
		t.Fatalf("changes %s", got)
	}
	if err := b.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	settled(t, b)
	if !strings.Contains(live.policy, "Theirs") || len(live.lifecycle) != 2 || live.tags["theirs"] != "x" || live.tags["team"] != "ml" {
		t.Errorf("policy %s\nlifecycle %v\ntags %v", live.policy, live.lifecycle, live.tags)
	}
}

func TestBucketOfSomeoneElse(t *testing.T) {
	for status, want := range map[int]string{
		http.StatusForbidden:        "belongs to a bucket of another AWS account",
		http.StatusMovedPermanently: "is in another region than eu-west-1",
	} {
		api := newFakeS3()
		api.taken[bucketName] = status
		_, err := NewNamedBucket(api, testOwner, "eu-west-1", bucketName).Observe(t.Context())
		var e *cloud.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, want) || !strings.Contains(e.Hint, "choose another name") {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestBucketThatWasThereBefore(t *testing.T) {
	tests := map[string]struct {
		tags    map[string]string
		object  bool
		foreign string
	}{
		"ours":              {tags: map[string]string{"aicluster/cluster": "demo"}, object: true},
		"empty, taken over": {},
		"with data":         {object: true, foreign: "was there before the cluster"},
		"another cluster's": {tags: map[string]string{"aicluster/cluster": "prod"}, foreign: "belongs to cluster prod"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			api := newFakeS3()
			api.buckets[bucketName] = &fakeBucket{tags: tt.tags, objects: map[string]fakeObject{}}
			if tt.object {
				api.buckets[bucketName].objects["x"] = fakeObject{data: []byte("x"), modified: time.Now()}
			}
			b := NewNamedBucket(api, testOwner, "eu-west-1", bucketName)
			b.DeleteModels = true
			o := observe(t, b)
			if o.Keep != tt.foreign || !o.Exists {
				t.Fatalf("keep %q, exists %v", o.Keep, o.Exists)
			}
			if err := b.Apply(t.Context(), quiet); err != nil {
				t.Fatal(err)
			}
			settled(t, b)
			if tt.foreign == "" {
				return
			}
			if len(api.writes) > 0 {
				t.Errorf("a foreign bucket was changed: %v", api.writes)
			}
			if err := b.Delete(t.Context(), quiet); err == nil {
				t.Error("a foreign bucket was deleted")
			}
		})
	}
}

func TestBucketDeleteEmptiesItFirst(t *testing.T) {
	api := newFakeS3()
	b := NewNamedBucket(api, testOwner, "eu-west-1", bucketName)
	if err := b.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	api.buckets[bucketName].objects["m/a"] = fakeObject{}
	api.uploads["upload-1"] = map[int32][]byte{1: []byte("part")}
	if err := b.Delete(t.Context(), quiet); err == nil {
		t.Fatal("deleted without being asked for")
	}
	b.DeleteModels = true
	if err := b.Delete(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if b.Exists() || len(api.buckets) > 0 {
		t.Error("still there")
	}
	if len(api.uploads) > 0 {
		t.Error("unfinished uploads are still there")
	}
	if err := b.Delete(t.Context(), quiet); err != nil {
		t.Errorf("deleting what is gone: %v", err)
	}
}

func TestOwnedFindsBucketsByTag(t *testing.T) {
	api := newFakeS3()
	api.buckets["a"] = &fakeBucket{tags: map[string]string{"aicluster/cluster": "demo"}}
	api.buckets["b"] = &fakeBucket{tags: map[string]string{"aicluster/cluster": "other"}}
	api.buckets["c"] = &fakeBucket{}
	got, err := Owned(t.Context(), api, testOwner, "eu-west-1")
	if err != nil || len(got) != 1 || got[0] != "a" {
		t.Errorf("%v %v", got, err)
	}
}
