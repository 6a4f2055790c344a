package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Signature is what a request says about who signed it and for what, by AWS
// Signature Version 4
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html).
type Signature struct {
	AccessKeyID   string
	Date          time.Time
	Region        string
	Service       string // the signing name: ec2, elasticloadbalancing …
	SignedHeaders []string
	Presigned     bool
	Expires       time.Duration // presigned only

	scope, signature, token string
}

// ParseSignature reads the Authorization header or the X-Amz-* query
// parameters. It verifies nothing; ok is false when there is no such thing.
func ParseSignature(r *http.Request) (sig Signature, ok bool) {
	if auth, found := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 "); found {
		return parseHeader(r, auth)
	}
	q := r.URL.Query()
	if q.Get("X-Amz-Algorithm") != "AWS4-HMAC-SHA256" {
		return Signature{}, false
	}
	sig = Signature{
		Presigned:     true,
		SignedHeaders: strings.Split(q.Get("X-Amz-SignedHeaders"), ";"),
		signature:     q.Get("X-Amz-Signature"),
		token:         q.Get("X-Amz-Security-Token"),
	}
	sig.Expires = stsExpiry
	if q.Has("X-Amz-Expires") {
		seconds, err := strconv.Atoi(q.Get("X-Amz-Expires"))
		if err != nil {
			return Signature{}, false
		}
		sig.Expires = time.Duration(seconds) * time.Second
	}
	ok = sig.setScope(q.Get("X-Amz-Credential"), q.Get("X-Amz-Date"))
	if sig.Service == "sts" {
		sig.Expires = stsExpiry
	}
	return sig, ok
}

// stsExpiry is how long STS takes a presigned request, whatever its
// X-Amz-Expires says: kubectl's tokens say 60 seconds and are good for 15
// minutes (aws-iam-authenticator, pkg/token/token.go, "presigned STS urls are
// valid for 15 minutes").
const stsExpiry = 15 * time.Minute

func parseHeader(r *http.Request, auth string) (Signature, bool) {
	sig := Signature{token: r.Header.Get("X-Amz-Security-Token")}
	var credential string
	for _, part := range strings.Split(auth, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			credential = value
		case "SignedHeaders":
			sig.SignedHeaders = strings.Split(value, ";")
		case "Signature":
			sig.signature = value
		}
	}
	return sig, sig.setScope(credential, r.Header.Get("X-Amz-Date"))
}

const signatureTime = "20060102T150405Z"

// setScope reads KEY/20261124/ap-northeast-2/ec2/aws4_request.
func (s *Signature) setScope(credential, date string) bool {
	parts := strings.Split(credential, "/")
	if len(parts) < 5 || parts[len(parts)-1] != "aws4_request" {
		return false
	}
	n := len(parts)
	s.AccessKeyID = strings.Join(parts[:n-4], "/")
	s.scope = strings.Join(parts[n-4:], "/")
	s.Region, s.Service = parts[n-3], parts[n-2]
	var err error
	s.Date, err = time.Parse(signatureTime, date)
	return err == nil && strings.HasPrefix(date, parts[n-4])
}

// The reasons why a request is not authentic; each service words them in its
// own way. A signature of another time than now is one more.
var (
	ErrNoSignature  = errors.New("request is missing authentication token")
	ErrUnknownKey   = errors.New("security token included in the request is invalid")
	ErrBadSignature = errors.New("signature does not match")
)

// errSkewed is a signature of another time than now.
type errSkewed struct{ message string }

func (e errSkewed) Error() string { return e.message }

// clockSkew is how far a request's date may be off.
const clockSkew = 5 * time.Minute

// Authenticate verifies a request's signature with the keys handed out. Body
// is the request's whole body.
func (s *Server) Authenticate(r *http.Request, body []byte) (Signature, Caller, error) {
	sig, ok := ParseSignature(r)
	if !ok {
		return sig, Caller{}, ErrNoSignature
	}
	key, ok := s.key(sig.AccessKeyID)
	if !ok || key.SessionToken != sig.token {
		return sig, Caller{}, ErrUnknownKey
	}
	want, err := sig.compute(r, key.Secret, body)
	if err != nil {
		return sig, Caller{}, err
	}
	if subtle.ConstantTimeCompare([]byte(want), []byte(sig.signature)) != 1 {
		return sig, Caller{}, ErrBadSignature
	}
	return sig, key.Caller, sig.checkTime(s.opts.Now())
}

func (s *Signature) checkTime(now time.Time) error {
	now = now.UTC()
	until := s.Date.Add(clockSkew)
	if s.Presigned {
		until = s.Date.Add(s.Expires)
	}
	format := func(t time.Time) string { return t.Format(signatureTime) }
	switch {
	case now.After(until):
		return errSkewed{fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - 5 min.)",
			format(s.Date), format(now.Add(-clockSkew)), format(now))}
	case s.Date.After(now.Add(clockSkew)):
		return errSkewed{fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + 5 min.)",
			format(s.Date), format(now.Add(clockSkew)), format(now))}
	}
	return nil
}

// compute is the signature that the request should carry.
func (s *Signature) compute(r *http.Request, secret string, body []byte) (string, error) {
	headers, err := s.canonicalHeaders(r)
	if err != nil {
		return "", err
	}
	payload, err := s.payloadHash(r, body)
	if err != nil {
		return "", err
	}
	canonical := strings.Join([]string{
		r.Method, s.canonicalPath(r.URL), s.canonicalQuery(r.URL), headers, strings.Join(s.SignedHeaders, ";"), payload,
	}, "\n")
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", s.Date.Format(signatureTime), s.scope, hash([]byte(canonical))}, "\n")
	return hex.EncodeToString(mac(SigningKey(secret, s.Date.Format("20060102"), s.Region, s.Service), toSign)), nil
}

// SigningKey derives the key that signs for one day, region and service.
func SigningKey(secret, date, region, service string) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range []string{date, region, service, "aws4_request"} {
		key = mac(key, part)
	}
	return key
}

// payloadHash is the hash of the body as signed. Only S3 lets a body go
// unsigned.
func (s *Signature) payloadHash(r *http.Request, body []byte) (string, error) {
	claimed := r.Header.Get("X-Amz-Content-Sha256")
	if s.Service == "s3" {
		if s.Presigned && claimed == "" {
			return unsignedPayload, nil
		}
		if claimed == unsignedPayload || strings.HasPrefix(claimed, "STREAMING-") {
			return claimed, nil
		}
	}
	payload := hash(body)
	if claimed != "" && claimed != payload {
		return "", ErrBadSignature
	}
	return payload, nil
}

const unsignedPayload = "UNSIGNED-PAYLOAD"

// canonicalHeaders lists the signed headers. Host, and every x-amz-* header
// that the request has, must be among them.
func (s *Signature) canonicalHeaders(r *http.Request) (string, error) {
	if !slices.Contains(s.SignedHeaders, "host") {
		return "", ErrBadSignature
	}
	for name := range r.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") && !slices.Contains(s.SignedHeaders, name) {
			return "", ErrBadSignature
		}
	}
	var b strings.Builder
	for _, name := range s.SignedHeaders {
		values := r.Header.Values(name)
		switch {
		case name == "host":
			values = []string{r.Host}
		case name == "content-length" && len(values) == 0:
			values = []string{strconv.FormatInt(r.ContentLength, 10)}
		}
		trimmed := make([]string, len(values))
		for i, v := range values {
			trimmed[i] = strings.Join(strings.Fields(v), " ")
		}
		b.WriteString(name + ":" + strings.Join(trimmed, ",") + "\n")
	}
	return b.String(), nil
}

// canonicalPath is the path as sent, escaped once more by every service but S3.
func (s *Signature) canonicalPath(u *url.URL) string {
	path := u.EscapedPath()
	if s.Service == "s3" {
		path = u.Path
	}
	if path == "" {
		return "/"
	}
	return escape(path, true)
}

func (s *Signature) canonicalQuery(u *url.URL) string {
	query := u.Query()
	if s.Presigned {
		query.Del("X-Amz-Signature")
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := slices.Clone(query[name])
		slices.Sort(values)
		for _, v := range values {
			pairs = append(pairs, escape(name, false)+"="+escape(v, false))
		}
	}
	return strings.Join(pairs, "&")
}

// escape is RFC 3986's percent encoding; net/url's differs in the blank.
func escape(text string, keepSlash bool) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-_.~", c) >= 0, keepSlash && c == '/':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
