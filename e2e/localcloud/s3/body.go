package s3

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"aicluster/e2e/localcloud/wire"
)

// responseWriter notes the status and writes the names of user metadata in
// lower case, as S3 does; net/http would capitalise them.
type responseWriter struct {
	http.ResponseWriter
	status int
	ready  func(status int) // if set, called before anything is sent
	sent   bool             // ready was called
}

func (w *responseWriter) WriteHeader(status int) {
	h := w.Header()
	for name, values := range h {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			delete(h, name)
			h[strings.ToLower(name)] = values
		}
	}
	if status >= http.StatusOK {
		w.status = status
		if w.ready != nil && !w.sent {
			w.sent = true
			w.ready(status)
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(b []byte) (int, error) {
	if w.ready != nil && !w.sent {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets net/http flush through.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// keptReply is a reply that is sent later.
type keptReply struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *keptReply) Header() http.Header         { return k.header }
func (k *keptReply) Write(b []byte) (int, error) { return k.body.Write(b) }

func (k *keptReply) WriteHeader(status int) {
	if k.status == 0 && status >= http.StatusOK {
		k.status = status
	}
}

// send sends it to w, whose header it has been filling.
func (k *keptReply) send(w http.ResponseWriter) {
	w.WriteHeader(cmp.Or(k.status, http.StatusOK))
	w.Write(k.body.Bytes()) //nolint:errcheck // the client is gone
}

// bufferBody takes in a body of unknown length: handed on as it comes it would
// desynchronise the backend's connection.
func bufferBody(r *http.Request) error {
	f, err := os.CreateTemp("", "localcloud-s3-")
	if err != nil {
		return err
	}
	if err := os.Remove(f.Name()); err != nil { // lives on as long as it is open
		return errors.Join(err, f.Close())
	}
	n, err := io.Copy(f, r.Body)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("reading the body: %w", err), f.Close())
	}
	r.Body, r.ContentLength = f, n
	r.TransferEncoding = nil
	return nil
}

func asAPIError(err error) *apiError {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		if e.Status == 0 {
			return &apiError{http.StatusBadRequest, e.Code, e.Message}
		}
		return &apiError{e.Status, e.Code, e.Message}
	}
	return &apiError{http.StatusInternalServerError, "InternalError", err.Error()}
}
