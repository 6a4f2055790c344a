package s3

import (
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
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets net/http flush through.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

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
