package s3

import (
	"bytes"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// emptyEncoding is in the backend's lists whatever was asked for. S3 leaves the
// element out when no encoding was.
var emptyEncoding = []byte("<EncodingType></EncodingType>")

// encoded are the elements of lists that encoding-type=url is about
// (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html,
// "EncodingType").
var encoded = regexp.MustCompile(`<(Delimiter|Key|Prefix|StartAfter|Marker|NextMarker|KeyMarker|NextKeyMarker)>([^<]*)</`)

// encodeList does to the backend's lists what the backend does not: it encodes
// the keys if that was asked for. Objects pass as they are.
func encodeList(r *http.Response) error {
	q := parseRequest(r.Request)
	if !isList(q.operation) || r.StatusCode != http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if err := r.Body.Close(); err != nil {
		return err
	}
	body = bytes.Replace(body, emptyEncoding, nil, 1)
	if r.Request.URL.Query().Get("encoding-type") == "url" {
		body = encoded.ReplaceAllFunc(body, func(element []byte) []byte {
			m := encoded.FindSubmatch(element)
			return []byte("<" + string(m[1]) + ">" + escapeKey(html.UnescapeString(string(m[2]))) + "</")
		})
		at := bytes.LastIndex(body, []byte("</"))
		body = append(body[:at:at], append([]byte("<EncodingType>url</EncodingType>"), body[at:]...)...)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

// escapeKey encodes a key as S3 does, which leaves slashes alone.
func escapeKey(key string) string { return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/") }

func isList(operation string) bool {
	switch operation {
	case "ListObjects", "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads":
		return true
	}
	return false
}
