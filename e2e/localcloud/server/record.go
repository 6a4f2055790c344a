package server

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"aicluster/e2e/localcloud/wire"
)

// record is one line of a recording: a call as its service understood it.
type record struct {
	Service   string         `json:"service"`
	Operation string         `json:"operation"`
	Region    string         `json:"region"`
	Caller    string         `json:"caller"`
	Own       bool           `json:"own,omitempty"`    // made by the local cloud itself, as EKS does
	Params    map[string]any `json:"params,omitempty"` // as the API names them; of S3 the request's parts
	Status    int            `json:"status"`
	Code      string         `json:"code,omitempty"` // of an error
}

// recorder writes every call to a file, one JSON document a line, so that it can
// be judged by somebody else. A nil recorder writes nothing.
type recorder struct {
	mu     sync.Mutex
	file   *os.File
	failed error
}

// newRecorder adds to the file at path, or makes it; an empty path is none.
func newRecorder(path string) (*recorder, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	return &recorder{file: f}, nil
}

func (r *recorder) add(c wire.Call, own bool) {
	if r == nil {
		return
	}
	line, err := json.Marshal(record{c.Service, c.Operation, c.Region, c.Caller.ARN, own, c.Params, c.Status, c.Code})
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && r.failed == nil {
		_, err = r.file.Write(append(line, '\n'))
	}
	if r.failed == nil {
		r.failed = err
	}
}

// close ends the recording and tells whether it is whole.
func (r *recorder) close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.file.Close(); r.failed == nil {
		r.failed = err
	}
	if r.failed != nil {
		return fmt.Errorf("recording: %w", r.failed)
	}
	return nil
}
