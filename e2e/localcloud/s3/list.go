package s3

import (
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"aicluster/e2e/localcloud/wire"
)

// maxBuckets is the largest page of buckets (the model's range of MaxBuckets).
const maxBuckets = 10_000

// listBuckets answers with the buckets of all regions
// (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html).
func (s *Server) listBuckets(w http.ResponseWriter, r *http.Request) {
	if _, err := s.authenticated(r); err != nil {
		err.write(w, r, "")
		return
	}
	type entry struct {
		Name, CreationDate, BucketRegion string
	}
	var result struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
		Owner   struct{ ID string }
		Buckets struct {
			Bucket []entry
		}
		ContinuationToken string `xml:",omitempty"`
		Prefix            string `xml:",omitempty"`
	}
	query := r.URL.Query()
	result.Owner.ID = wire.AccountID
	result.Prefix = query.Get("prefix")
	after, region := query.Get("continuation-token"), query.Get("bucket-region")
	limit := maxBuckets
	if query.Has("max-buckets") {
		n, err := strconv.Atoi(query.Get("max-buckets"))
		if err != nil || n < 1 || n > maxBuckets {
			errMaxBuckets.write(w, r, "")
			return
		}
		limit = n
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.buckets)) {
		b := s.buckets[name]
		if name <= after || !strings.HasPrefix(name, result.Prefix) || (region != "" && region != b.region) {
			continue
		}
		if len(result.Buckets.Bucket) == limit {
			result.ContinuationToken = result.Buckets.Bucket[limit-1].Name
			break
		}
		result.Buckets.Bucket = append(result.Buckets.Bucket, entry{name, b.created.Format(time.RFC3339), b.region})
	}
	setIDs(w)
	w.Header().Set("Content-Type", "application/xml")
	writeXML(w, result)
}
