// Package s3 is Amazon S3 in the local cloud: the versitygw S3 server in child
// processes, one per region, and in front of them a handler that answers what
// it does not know.
//
// The handler knows which buckets there are, so that names are one for all
// regions and a bucket is reached only in its own. It answers the
// configurations that the backend refuses (documents.go), asks the guard before
// each call, and hands everything else through; the backend verifies the
// signatures of that.
package s3

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"aicluster/e2e/localcloud/wire"
)

// Key is an access key of the account. Temporary ones have a token.
type Key struct{ ID, Secret, Token string }

// Options configures a [Server].
type Options struct {
	// Dir is the folder of all data. Start makes it, Stop removes it.
	Dir string
	// Executable is called with [Command]; empty means this process's own.
	Executable string
	// Keys may sign requests; there is at least one.
	Keys []Key
	// Wire verifies the signatures of what the handler answers itself, with
	// the same keys.
	Wire *wire.Server
	// Guard, when set, sees each call first; an error that it returns is
	// answered in its place. Call.Input is a [Target].
	Guard func(context.Context, wire.Call) error
	// Answer, when set, says of each call that succeeded whether it is answered;
	// the connection is cut if not. It may hold the answer back, until the
	// context ends: then the client has gone.
	Answer func(context.Context, wire.Call) bool
	// Observe, when set, is told of each call once it was carried out.
	Observe func(wire.Call)
	// Details lets Observe see the parts of each request, as [wire.Call].Params.
	Details bool
	// Log is told of operations that S3 has and this one has not; nil is for nobody.
	Log *slog.Logger
}

// Target is what a call is about, for [Options].Guard. That is asked once more
// about calls that take a further permission, under an operation that takes that
// one: see [Server.further].
type Target struct {
	Bucket, Key string
	Prefix      string // of a list
}

// Server is S3; it is an [http.Handler].
type Server struct {
	opts Options

	mu       sync.Mutex
	keys     []Key
	buckets  map[string]*bucket
	starting map[string]*sync.Mutex // by region: one start at a time
	backends map[string]*backend    // by region
	stopped  bool
}

type bucket struct {
	region    string
	created   time.Time
	documents map[string]string // XML by subresource
}

// New returns a server without buckets. Children start when a region is first used.
func New(o Options) (*Server, error) {
	if len(o.Keys) == 0 {
		return nil, errors.New("s3: no keys")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Executable == "" {
		exe, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("s3: %w", err)
		}
		o.Executable = exe
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	o.Dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	return &Server{opts: o, keys: slices.Clone(o.Keys), buckets: map[string]*bucket{}, starting: map[string]*sync.Mutex{}, backends: map[string]*backend{}}, nil
}

// Stop ends the children and removes the data.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	backends := s.backends
	s.backends = map[string]*backend{}
	s.mu.Unlock()
	var wait sync.WaitGroup
	for _, b := range backends {
		wait.Go(func() { b.stop(ctx) })
	}
	wait.Wait()
	return os.RemoveAll(s.opts.Dir)
}

// AddKey lets requests be signed with k from now on.
func (s *Server) AddKey(k Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, k)
	var errs []error
	for _, b := range s.backends {
		errs = append(errs, b.addKey(k))
	}
	return errors.Join(errs...)
}

// backend returns the region's child, starting it if need be.
func (s *Server) backend(ctx context.Context, region string) (*backend, error) {
	s.mu.Lock()
	b := s.backends[region]
	start := s.starting[region]
	if start == nil {
		start = new(sync.Mutex)
		s.starting[region] = start
	}
	s.mu.Unlock()
	if b != nil {
		return b, nil
	}
	start.Lock()
	defer start.Unlock()
	s.mu.Lock()
	b = s.backends[region]
	keys := slices.Clone(s.keys)
	s.mu.Unlock()
	if b != nil {
		return b, nil
	}
	b, err := startBackend(ctx, s.opts.Executable, filepath.Join(s.opts.Dir, region), region, keys)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	stopped := s.stopped
	if !stopped {
		s.backends[region] = b
		for _, k := range s.keys[len(keys):] { // those that came while it started
			err = errors.Join(err, b.addKey(k))
		}
	}
	s.mu.Unlock()
	if stopped {
		b.stop(ctx)
		return nil, errors.New("s3 is shutting down")
	}
	return b, err
}

// Inventory lists buckets and objects, one line each, sorted. The objects'
// older versions are not in it.
func (s *Server) Inventory() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for name, b := range s.buckets {
		list = append(list, b.region+"/bucket/"+name)
		child := s.backends[b.region]
		if child == nil {
			continue
		}
		root := filepath.Join(child.objects, name)
		filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error { //nolint:errcheck // gone while listing
			if err != nil || strings.HasPrefix(d.Name(), ".sgwtmp") {
				return fs.SkipDir
			}
			if key, err := filepath.Rel(root, path); err == nil && d.Type().IsRegular() {
				list = append(list, b.region+"/object/"+name+"/"+key)
			}
			return nil
		})
	}
	slices.Sort(list)
	return list
}

// maxDocument is more than any configuration of a bucket takes.
const maxDocument = 1 << 20

// ServeHTTP answers one S3 request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := parseRequest(r)
	out, kept := &responseWriter{ResponseWriter: w, status: http.StatusOK}, &keptReply{header: w.Header()}
	sig, signed := wire.ParseSignature(r)
	call := wire.Call{
		Service: "s3", Operation: q.operation, Region: sig.Region, Input: Target{q.bucket, q.key, r.URL.Query().Get("prefix")},
		ReadOnly: r.Method == http.MethodGet || r.Method == http.MethodHead,
	}
	if signed && s.opts.Wire != nil {
		call.Caller, _ = s.opts.Wire.Caller(sig.AccessKeyID)
	}
	call.TakeBody = func() error {
		if r.ContentLength == 0 {
			return nil
		}
		return bufferBody(r)
	}
	if call.ReadOnly {
		out.ready = func(status int) { call.Status = status; s.answer(r.Context(), call) }
	} else {
		out.ResponseWriter = kept // what changed something is answered once all of that is done
	}
	defer func() { r.Body.Close() }()
	if s.opts.Details {
		call.Params = details(r)
	}
	s.serve(out, r, q, call)
	call.Status = out.status
	if s.opts.Observe != nil {
		s.opts.Observe(call)
	}
	if !call.ReadOnly {
		s.answer(r.Context(), call)
		kept.send(w)
	}
}

// answer cuts the connection of a call that is not to be answered.
func (s *Server) answer(ctx context.Context, call wire.Call) {
	if call.Status < http.StatusMultipleChoices && s.opts.Answer != nil && !s.opts.Answer(ctx, call) {
		panic(http.ErrAbortHandler) // net/http's way to cut a connection
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, q request, call wire.Call) {
	if call.Region == "" {
		errAccessDenied.write(w, r, q.bucket) // nobody is allowed anything
		return
	}
	if !isServed(r.URL.Query()) {
		s.opts.Log.Warn("unknown operation", "service", "s3", "method", r.Method, "path", r.URL.Path, "query", r.URL.RawQuery)
		errNotImplemented.write(w, r, q.bucket)
		return
	}
	if s.opts.Guard != nil {
		if err := s.opts.Guard(r.Context(), call); err != nil {
			asAPIError(err).write(w, r, q.bucket)
			return
		}
	}
	if r.ContentLength < 0 {
		if err := bufferBody(r); err != nil {
			(&apiError{500, "InternalError", err.Error()}).write(w, r, q.bucket)
			return
		}
	}
	switch q.operation {
	case "ListBuckets":
		s.listBuckets(w, r)
		return
	case "CreateBucket":
		s.createBucket(w, r, q, call)
		return
	case "DeleteObjects":
		if err := s.checkVersions(r, call); err != nil {
			err.write(w, r, q.bucket)
			return
		}
	}
	b, err := s.locate(q, call)
	if err != nil {
		if b != nil {
			w.Header().Set("X-Amz-Bucket-Region", b.region)
		}
		err.write(w, r, q.bucket)
		return
	}
	if _, own := documents[q.sub]; own || q.sub == "location" {
		s.configuration(w, r, q, b)
		return
	}
	if b != nil {
		w.Header().Set("X-Amz-Bucket-Region", b.region)
	}
	if refused := s.refuse(r, q, call, b); refused != nil {
		refused.write(w, r, q.bucket)
		return
	}
	s.forward(w, r, call.Region)
	if rw := w.(*responseWriter); q.operation == "DeleteBucket" && rw.status == http.StatusNoContent {
		s.mu.Lock()
		delete(s.buckets, q.bucket)
		s.mu.Unlock()
	}
}

// locate finds the bucket of a request and refuses one of another region.
func (s *Server) locate(q request, call wire.Call) (*bucket, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[q.bucket]
	if slices.Contains(othersBuckets, q.bucket) {
		return nil, errAccessDenied
	}
	if b == nil || q.sub == "location" || b.region == call.Region {
		return b, nil
	}
	return b, &apiError{301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint."}
}

func (s *Server) forward(w http.ResponseWriter, r *http.Request, region string) {
	b, err := s.backend(r.Context(), region)
	if err != nil {
		(&apiError{500, "InternalError", err.Error()}).write(w, r, "")
		return
	}
	b.proxy.ServeHTTP(w, r)
}

// configuration answers for a bucket's documents and location.
func (s *Server) configuration(w http.ResponseWriter, r *http.Request, q request, b *bucket) {
	body, err := s.authenticated(r)
	if err != nil {
		err.write(w, r, q.bucket)
		return
	}
	if b == nil {
		errNoBucket.write(w, r, q.bucket)
		return
	}
	w.Header().Set("X-Amz-Bucket-Region", b.region)
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.sub != "location" {
		b.serveDocument(w, r, q.bucket, q.sub, body)
		return
	}
	setIDs(w)
	w.Header().Set("Content-Type", "application/xml")
	region := b.region
	if region == "us-east-1" {
		region = "" // as it always was
	}
	writeXML(w, struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
		Region  string   `xml:",chardata"`
	}{Region: region})
}

// authenticated reads the body of a request that the handler answers itself
// and verifies its signature.
func (s *Server) authenticated(r *http.Request) ([]byte, *apiError) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxDocument))
	if err != nil {
		return nil, &apiError{400, "RequestTimeout", err.Error()}
	}
	if s.opts.Wire == nil {
		return body, nil
	}
	_, _, err = s.opts.Wire.Authenticate(r, body)
	switch {
	case err == nil:
		return body, nil
	case errors.Is(err, wire.ErrUnknownKey):
		return nil, errNoSuchKeyID
	case errors.Is(err, wire.ErrNoSignature):
		return nil, errAccessDenied
	}
	return nil, errSignature
}

// further asks whether the caller of one operation may do another, too (S3 API
// Reference, "Permissions" of CreateBucket and DeleteObjects).
func (s *Server) further(ctx context.Context, call wire.Call, operation string) *apiError {
	if s.opts.Guard == nil {
		return nil
	}
	call.Operation = operation
	if err := s.opts.Guard(ctx, call); err != nil {
		return asAPIError(err)
	}
	return nil
}

// checkVersions asks for what the deletion of single versions takes besides.
func (s *Server) checkVersions(r *http.Request, call wire.Call) *apiError {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxDocument))
	if err != nil {
		return &apiError{400, "RequestTimeout", err.Error()}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if !bytes.Contains(body, []byte("<VersionId>")) {
		return nil
	}
	return s.further(r.Context(), call, "DeleteObjectVersion")
}

// createBucket lets the backend of the region make the bucket, after what S3
// says of names that exist and of locations.
func (s *Server) createBucket(w http.ResponseWriter, r *http.Request, q request, call wire.Call) {
	body, failed := s.authenticated(r)
	if failed == nil {
		failed = checkName(q.bucket)
	}
	if failed == nil {
		failed = checkLocation(body, call.Region)
	}
	if failed == nil && hasTags(body) {
		failed = s.further(r.Context(), call, "TagResource")
	}
	if failed == nil && r.Header.Get("X-Amz-Object-Ownership") != "" {
		failed = s.further(r.Context(), call, "PutBucketOwnershipControls")
	}
	s.mu.Lock()
	b := s.buckets[q.bucket]
	s.mu.Unlock()
	if failed == nil && b != nil {
		if b.region == "us-east-1" && call.Region == "us-east-1" {
			w.Header().Set("Location", "/"+q.bucket)
			setIDs(w)
			w.WriteHeader(http.StatusOK) // the old region's old way
			return
		}
		failed = errAlreadyOwned
	}
	if failed != nil {
		failed.write(w, r, q.bucket)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.forward(w, r, call.Region)
	if w.(*responseWriter).status != http.StatusOK {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[q.bucket] == nil {
		s.buckets[q.bucket] = &bucket{region: call.Region, created: time.Now().UTC(), documents: newDocuments()}
	}
}

// hasTags tells whether a new bucket is to have tags, which takes a permission
// more (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html).
func hasTags(body []byte) bool {
	var v struct {
		Tags struct {
			Tag []struct{ Key string }
		}
	}
	return xml.Unmarshal(body, &v) == nil && len(v.Tags.Tag) > 0
}

// checkLocation compares a location constraint with the region that was called
// (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html).
func checkLocation(body []byte, region string) *apiError {
	var v struct{ LocationConstraint string }
	if len(body) > 0 {
		if err := xml.Unmarshal(body, &v); err != nil {
			return errMalformedXML
		}
	}
	illegal := func(what string) *apiError {
		return &apiError{400, "IllegalLocationConstraintException", "The " + what + " location constraint is incompatible for the region specific endpoint this request was sent to."}
	}
	switch {
	case v.LocationConstraint == "us-east-1":
		return &apiError{400, "InvalidLocationConstraint", "The specified location-constraint is not valid"}
	case v.LocationConstraint == "" && region != "us-east-1":
		return illegal("unspecified")
	case v.LocationConstraint != "" && v.LocationConstraint != region:
		return illegal(v.LocationConstraint)
	}
	return nil
}
