package s3

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// request is what an S3 request is about: a bucket and an object by its path
// (path style, which the SDK takes for an endpoint that is an IP address).
type request struct {
	bucket, key string
	operation   string // as the SDK calls it
	sub         string // the subresource named in the query, such as "policy"
}

// subresources are the query parameters that select an operation, and what the
// operation's name says for it on a bucket.
var subresources = []struct{ query, noun string }{
	{"publicAccessBlock", "PublicAccessBlock"}, {"encryption", "BucketEncryption"}, {"lifecycle", "BucketLifecycleConfiguration"},
	{"location", "BucketLocation"}, {"logging", "BucketLogging"}, {"notification", "BucketNotificationConfiguration"},
	{"policyStatus", "BucketPolicyStatus"}, {"policy", "BucketPolicy"}, {"versioning", "BucketVersioning"}, {"tagging", "BucketTagging"},
	{"acl", "BucketAcl"}, {"cors", "BucketCors"}, {"ownershipControls", "BucketOwnershipControls"}, {"object-lock", "ObjectLockConfiguration"},
	{"replication", "BucketReplication"}, {"website", "BucketWebsite"}, {"accelerate", "BucketAccelerateConfiguration"},
	{"requestPayment", "BucketRequestPayment"},
}

func parseRequest(r *http.Request) request {
	var q request
	q.bucket, q.key, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	query := r.URL.Query()
	switch {
	case q.bucket == "":
		q.operation = "ListBuckets"
	case q.key == "":
		q.sub, q.operation = bucketOperation(r.Method, query)
	default:
		q.operation = objectOperation(r, query)
	}
	return q
}

// unserved are the subresources that S3 has and this one has not. Without the list
// a request about one would pass for one about the bucket or its objects.
var unserved = []string{
	"abac", "analytics", "inventory", "intelligent-tiering", "metrics", "metadataConfiguration", "metadataTable", "metadataInventoryTable", "metadataJournalTable",
	"restore", "select", "session", "torrent", "renameObject", "append",
}

// isServed tells whether a request names none of them.
func isServed(query url.Values) bool {
	return !slices.ContainsFunc(unserved, query.Has)
}

func bucketOperation(method string, query url.Values) (sub, operation string) {
	for _, s := range subresources {
		if query.Has(s.query) {
			noun := s.noun
			if method == http.MethodDelete {
				noun = strings.TrimSuffix(noun, "Configuration") // DeleteBucketLifecycle
			}
			return s.query, verb(method) + noun
		}
	}
	switch method {
	case http.MethodPut:
		return "", "CreateBucket"
	case http.MethodDelete:
		return "", "DeleteBucket"
	case http.MethodHead:
		return "", "HeadBucket"
	case http.MethodPost:
		return "", "DeleteObjects"
	}
	switch {
	case query.Has("uploads"):
		return "", "ListMultipartUploads"
	case query.Has("versions"):
		return "", "ListObjectVersions"
	case query.Get("list-type") == "2":
		return "", "ListObjectsV2"
	}
	return "", "ListObjects"
}

func objectOperation(r *http.Request, query url.Values) string {
	for name, noun := range map[string]string{
		"tagging": "ObjectTagging", "acl": "ObjectAcl", "attributes": "ObjectAttributes",
		"retention": "ObjectRetention", "legal-hold": "ObjectLegalHold",
	} {
		if query.Has(name) {
			return verb(r.Method) + noun
		}
	}
	upload, copied := query.Has("uploadId"), r.Header.Get("X-Amz-Copy-Source") != ""
	switch r.Method {
	case http.MethodPut:
		switch {
		case upload && copied:
			return "UploadPartCopy"
		case upload:
			return "UploadPart"
		case copied:
			return "CopyObject"
		}
		return "PutObject"
	case http.MethodPost:
		if upload {
			return "CompleteMultipartUpload"
		}
		if query.Has("uploads") {
			return "CreateMultipartUpload"
		}
		return "PostObject"
	case http.MethodDelete:
		if upload {
			return "AbortMultipartUpload"
		}
		return "DeleteObject"
	case http.MethodHead:
		return "HeadObject"
	}
	if upload {
		return "ListParts"
	}
	return "GetObject"
}

func verb(method string) string {
	switch method {
	case http.MethodPut:
		return "Put"
	case http.MethodDelete:
		return "Delete"
	}
	return "Get"
}
