package s3

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"aicluster/e2e/localcloud/wire"
)

// What S3 refuses and the backend does not.

var (
	errName         = &apiError{400, "InvalidBucketName", "The specified bucket is not valid."}
	errNameTaken    = &apiError{409, "BucketAlreadyExists", "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."}
	errSystemTag    = &apiError{400, "InvalidTag", "System tags cannot be added/updated by requester"}
	errPartOrder    = &apiError{400, "InvalidPartOrder", "The list of parts was not in ascending order. The parts list must be specified in order by part number."}
	errNotPolicy    = malformedPolicy("Policies must be valid JSON and the first byte must be '{'")
	errNoPrincipal  = malformedPolicy("Missing required field Principal")
	errPolicyAbout  = malformedPolicy("Policy has invalid resource")
	errPolicyAction = malformedPolicy("Policy has invalid action")
)

func malformedPolicy(message string) *apiError { return &apiError{400, "MalformedPolicy", message} }

// othersBuckets are names that other accounts have, so that somebody meets the
// one name space of S3: they can neither be made nor looked into.
var othersBuckets = []string{"my-bucket", "mybucket", "test-bucket"}

// nameForm has the letters and the length of a bucket's name. The rest of the rules
// is in [checkName]
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html).
var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func checkName(name string) *apiError {
	_, addressErr := netip.ParseAddr(name)
	bad := !nameForm.MatchString(name) || strings.Contains(name, "..") || addressErr == nil
	for _, prefix := range []string{"xn--", "sthree-", "amzn-s3-demo-"} {
		bad = bad || strings.HasPrefix(name, prefix)
	}
	for _, suffix := range []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"} {
		bad = bad || strings.HasSuffix(name, suffix)
	}
	switch {
	case bad:
		return errName
	case slices.Contains(othersBuckets, name):
		return errNameTaken
	}
	return nil
}

// maxChecked is more than any document of [Server.refuse] has.
const maxChecked = 8 << 20

// refuse looks into the document of a request before the backend gets it.
func (s *Server) refuse(r *http.Request, q request, call wire.Call, b *bucket) *apiError {
	check := map[string]func([]byte) *apiError{
		"PutBucketPolicy":         func(body []byte) *apiError { return s.checkPolicy(body, q.bucket, call, b) },
		"PutBucketTagging":        checkTagging,
		"DeleteObjects":           checkDeletion,
		"CompleteMultipartUpload": checkParts,
	}[q.operation]
	if check == nil || b == nil || strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxChecked))
	if err != nil {
		return &apiError{400, "RequestTimeout", err.Error()}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	refused := check(body)
	if refused == nil {
		return nil
	}
	if _, failed := s.authenticated(r); failed != nil {
		return failed
	}
	return refused
}

func checkTagging(body []byte) *apiError {
	var v struct {
		Tags []struct{ Key string } `xml:"TagSet>Tag"`
	}
	if xml.Unmarshal(body, &v) != nil {
		return errMalformedXML
	}
	for _, t := range v.Tags {
		if strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return errSystemTag
		}
	}
	return nil
}

// checkDeletion holds DeleteObjects to its 1,000 keys (API reference).
func checkDeletion(body []byte) *apiError {
	var v struct{ Object []struct{ Key string } }
	if xml.Unmarshal(body, &v) != nil || len(v.Object) > 1000 {
		return errMalformedXML
	}
	return nil
}

func checkParts(body []byte) *apiError {
	var v struct{ Part []struct{ PartNumber int } }
	if xml.Unmarshal(body, &v) != nil {
		return errMalformedXML
	}
	for i := 1; i < len(v.Part); i++ {
		if v.Part[i].PartNumber <= v.Part[i-1].PartNumber {
			return errPartOrder
		}
	}
	return nil
}

// statement is what matters here of a bucket policy's.
type statement struct {
	Effect    string
	Principal json.RawMessage
	Resource  texts
	Action    texts
	Condition map[string]map[string]json.RawMessage

	NotPrincipal, NotAction, NotResource json.RawMessage
}

// texts are one text or several.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// checkPolicy refuses a policy that is not about its bucket, and one that makes
// the bucket public while that is blocked
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html).
func (s *Server) checkPolicy(body []byte, name string, call wire.Call, b *bucket) *apiError {
	var v struct{ Statement json.RawMessage }
	var statements []statement
	if len(body) == 0 || body[0] != '{' || json.Unmarshal(body, &v) != nil {
		return errNotPolicy
	}
	if len(v.Statement) > 0 && v.Statement[0] == '{' {
		v.Statement = append(append(json.RawMessage{'['}, v.Statement...), ']')
	}
	if json.Unmarshal(v.Statement, &statements) != nil {
		return errNotPolicy
	}
	public := false
	for _, st := range statements {
		if failed := st.check(name); failed != nil {
			return failed
		}
		public = public || st.public()
	}
	if public && s.blocksPublicPolicy(b) {
		return &apiError{403, "AccessDenied", fmt.Sprintf("User: %s is not authorized to perform: s3:PutBucketPolicy on resource: %q because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.",
			call.Caller.ARN, "arn:aws:s3:::"+name)}
	}
	return nil
}

func (st statement) check(bucket string) *apiError {
	switch {
	case st.Effect != "Allow" && st.Effect != "Deny":
		return malformedPolicy("Invalid effect: " + st.Effect)
	case st.Principal == nil && st.NotPrincipal == nil:
		return errNoPrincipal
	}
	for _, a := range st.Action {
		if a != "*" && !strings.HasPrefix(strings.ToLower(a), "s3:") {
			return errPolicyAction
		}
	}
	for _, r := range st.Resource {
		if arn := "arn:aws:s3:::" + bucket; r != arn && !strings.HasPrefix(r, arn+"/") {
			return errPolicyAbout
		}
	}
	return nil
}

// public tells a statement that lets everybody in, whom no fixed address, network
// or account restricts.
func (st statement) public() bool {
	var p struct{ AWS texts }
	everybody := string(st.Principal) == `"*"` || json.Unmarshal(st.Principal, &p) == nil && slices.Contains(p.AWS, "*")
	if st.Effect != "Allow" || !everybody {
		return false
	}
	for _, keys := range st.Condition {
		for key := range keys {
			if slices.Contains([]string{"aws:sourceip", "aws:sourcevpc", "aws:sourcevpce", "aws:sourcearn", "aws:sourceaccount", "aws:principalorgid", "aws:principalarn", "s3:dataaccesspointaccount"}, strings.ToLower(key)) {
				return false
			}
		}
	}
	return true
}

func (s *Server) blocksPublicPolicy(b *bucket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var v struct{ BlockPublicPolicy bool }
	return xml.Unmarshal([]byte(b.documents["publicAccessBlock"]), &v) == nil && v.BlockPublicPolicy
}
