package probe

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"aicluster/blueprints"
)

// answerError is an HTTP answer that is none of a service that works.
type answerError struct {
	path   string
	status int
	server bool   // it is the engine's, not that of something before it
	text   string // of the error
}

func (e *answerError) Error() string {
	text := fmt.Sprintf("%s: %d %s", e.path, e.status, http.StatusText(e.status))
	if e.text != "" {
		text += ": " + e.text
	}
	return text
}

// contentError is an answer with a status of success that does not say what it should.
type contentError struct{ path, what string }

func (e *contentError) Error() string { return e.path + ": " + e.what }

// ask asks for the models and for one token.
func (w way) ask(ctx context.Context, svc blueprints.Service, r *Result) error {
	if err := w.models(ctx, svc.Model, r); err != nil {
		return err
	}
	return w.token(ctx, svc.Model, r)
}

// maxBody bounds what is read of an answer, in bytes.
const maxBody = 1 << 20

func (w way) models(ctx context.Context, model string, r *Result) error {
	const path = "/v1/models"
	response, err := w.send(ctx, http.MethodGet, path, nil, r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxBody)).Decode(&list); err != nil {
		return &contentError{path, "the answer is no list of models: " + err.Error()}
	}
	var names []string
	for _, m := range list.Data {
		names = append(names, m.ID)
	}
	if !slices.Contains(names, model) {
		return &contentError{path, fmt.Sprintf("it serves %s, not %s", strings.Join(names, ", "), model)}
	}
	return nil
}

// token asks for one token, in a stream, so that the time to the first is known.
func (w way) token(ctx context.Context, model string, r *Result) error {
	const path = "/v1/completions"
	body, err := json.Marshal(map[string]any{"model": model, "prompt": "Hello", "max_tokens": 1, "stream": true})
	if err != nil {
		return err
	}
	start := time.Now()
	response, err := w.send(ctx, http.MethodPost, path, body, r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(io.LimitReader(response.Body, maxBody))
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var event struct {
			Choices []json.RawMessage `json:"choices"`
			Error   *struct {
				Message string `json:"message"`
			} `json:"error"`
		}
		switch err := json.Unmarshal([]byte(data), &event); {
		case err == nil && event.Error != nil:
			return &contentError{path, event.Error.Message}
		case err == nil && len(event.Choices) > 0:
			r.FirstTokenMs = float64(time.Since(start).Microseconds()) / 1000
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return &contentError{path, "the answer has no token"}
}

// send makes a request; an answer without success is an error.
func (w way) send(ctx context.Context, method, path string, body []byte, r *Result) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		content = bytes.NewReader(body)
	}
	request, err := w.request(ctx, method, path, content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := w.client.Do(request)
	if err != nil {
		r.Status = 0
		return nil, err
	}
	r.Status = response.StatusCode
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<12))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	e := &answerError{path: path, status: response.StatusCode}
	e.server, e.text = words(text)
	if to := response.Header.Get("Location"); e.text == "" && to != "" {
		e.text = "it sends to " + to
	}
	return nil, e
}

// words takes the message out of an error, and tells whether it is vLLM's or FastAPI's.
func words(body []byte) (engine bool, text string) {
	var e struct {
		Error  json.RawMessage `json:"error"`
		Detail json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(body, &e) != nil {
		if first, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n"); !strings.HasPrefix(first, "<") {
			return false, first
		}
		return false, "" // a page for people
	}
	var nested struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(e.Error, &nested) == nil && nested.Message != "" {
		return true, nested.Message
	}
	var plain string
	if json.Unmarshal(e.Error, &plain) == nil || json.Unmarshal(e.Detail, &plain) == nil {
		return true, plain
	}
	return false, ""
}

// apiKey is what the engine's arguments make it ask for.
func apiKey(args []string) string {
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--api-key="); ok {
			return value
		}
		if arg == "--api-key" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}
