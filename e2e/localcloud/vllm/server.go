package vllm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"aicluster/e2e/localcloud/clock"
)

// server is one vLLM process.
type server struct {
	arguments
	clock   *clock.Clock
	started int64 // when it began, in seconds of Unix time
	places  chan struct{}
	metrics *metrics
	mux     *http.ServeMux
}

func newServer(a arguments, c *clock.Clock) *server {
	s := &server{arguments: a, clock: c, started: time.Now().Unix(), places: make(chan struct{}, a.seqs), metrics: newMetrics(a.served[0]), mux: http.NewServeMux()}
	ok := func(http.ResponseWriter, *http.Request) {}
	s.mux.HandleFunc("GET /health", ok)
	s.mux.HandleFunc("GET /ping", ok)
	s.mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]string{"version": "0.31.0"})
	})
	s.mux.Handle("GET /metrics", s.metrics.handler())
	s.mux.HandleFunc("GET /v1/models", s.models)
	s.mux.HandleFunc("POST /v1/completions", s.complete)
	s.mux.HandleFunc("POST /v1/chat/completions", s.chat)
	return s
}

// ServeHTTP answers with FastAPI's words where there is no such path or method.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "uvicorn")
	if strings.HasPrefix(r.URL.Path, "/v1") && len(s.keys) > 0 && !slices.ContainsFunc(s.keys, func(k string) bool { return r.Header.Get("Authorization") == "Bearer "+k }) {
		reply(w, http.StatusUnauthorized, map[string]string{"error": "Unauthorized"})
		return
	}
	if _, pattern := s.mux.Handler(r); pattern != "" {
		s.mux.ServeHTTP(w, r)
		return
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := s.mux.Handler(other); pattern != "" {
			w.Header().Set("Allow", method)
			reply(w, http.StatusMethodNotAllowed, map[string]string{"detail": "Method Not Allowed"})
			return
		}
	}
	reply(w, http.StatusNotFound, map[string]string{"detail": "Not Found"})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the client is gone
}

type modelCard struct {
	ID          string  `json:"id"`
	Object      string  `json:"object"`
	Created     int64   `json:"created"`
	OwnedBy     string  `json:"owned_by"`
	Root        string  `json:"root"`
	Parent      *string `json:"parent"`
	MaxModelLen int     `json:"max_model_len"`
}

func (s *server) models(w http.ResponseWriter, _ *http.Request) {
	list := []modelCard{}
	for _, name := range s.served {
		list = append(list, modelCard{ID: name, Object: "model", Created: s.started, OwnedBy: "vllm", Root: s.model, MaxModelLen: s.length})
	}
	reply(w, http.StatusOK, map[string]any{"object": "list", "data": list})
}

// apiError is vLLM's answer to a request that it does not carry out.
type apiError struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    int     `json:"code"`
}

func refuse(w http.ResponseWriter, e apiError) {
	reply(w, e.Code, map[string]apiError{"error": e})
}

func badRequest(format string, args ...any) apiError {
	return apiError{Message: fmt.Sprintf(format, args...), Type: "BadRequestError", Code: http.StatusBadRequest}
}

// check refuses a request for a model that is not served, or for more than fits.
func (s *server) check(model string, prompt int, answer *int) (apiError, bool) {
	if model != "" && !slices.Contains(s.served, model) {
		param := "model"
		return apiError{Message: fmt.Sprintf("The model `%s` does not exist.", model), Type: "NotFoundError", Param: &param, Code: http.StatusNotFound}, false
	}
	if prompt >= s.length {
		return badRequest("This model's maximum context length is %d tokens. However, your request has %d input tokens. Please reduce the length of the input messages.", s.length, prompt), false
	}
	if answer != nil && *answer < 1 {
		return badRequest("max_tokens must be at least 1, got %d.", *answer), false
	}
	if answer != nil && prompt+*answer > s.length {
		return badRequest("'max_tokens' or 'max_completion_tokens' is too large: %d. This model's maximum context length is %d tokens and your request has %d input tokens (%d > %d - %d).",
			*answer, s.length, prompt, *answer, s.length, prompt), false
	}
	return apiError{}, true
}
