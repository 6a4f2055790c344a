package s3

import (
	"io"
	"net/http"
	"strings"
)

// details are the parts of a request that say what is asked: the method, the
// path, the query, the headers, and the body where it is a document. The body can be
// read once more afterwards.
func details(r *http.Request) map[string]any {
	d := map[string]any{"method": r.Method, "path": r.URL.EscapedPath(), "query": r.URL.Query(), "headers": headers(r)}
	if !isDocument(r) {
		return d
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxDocument))
	if err == nil {
		d["body"] = string(body)
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(strings.NewReader(string(body)), r.Body), r.Body}
	return d
}

// isDocument tells a body in XML, or in JSON as a bucket policy is, from an object.
func isDocument(r *http.Request) bool {
	q := parseRequest(r)
	object := q.operation == "PutObject" || q.operation == "UploadPart"
	return r.ContentLength > 0 && r.ContentLength <= maxDocument && !object
}

// headers are those that belong to the request's meaning and not to its signature.
func headers(r *http.Request) map[string]string {
	out := map[string]string{}
	for name, values := range r.Header {
		switch name {
		case "Authorization", "X-Amz-Security-Token":
		default:
			out[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	return out
}
