package vllm

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"aicluster/e2e/localcloud/clock"
)

// request is what the server reads of both kinds of requests.
type request struct {
	Model               string          `json:"model"`
	Prompt              json.RawMessage `json:"prompt"`
	Messages            []message       `json:"messages"`
	MaxTokens           *int            `json:"max_tokens"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
	Stream              bool            `json:"stream"`
	StreamOptions       struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	IgnoreEOS bool `json:"ignore_eos"`
}

type message struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

// dialect is the form in which an endpoint answers.
type dialect struct {
	id, object, chunk string
	whole             func(text, finish string) map[string]any
	part              func(text string, first bool, finish *string) map[string]any
}

// Lengths of answers, in tokens: that of a completion that says nothing of it, and
// the one after which the played model has said all.
const (
	completionTokens = 16
	naturalTokens    = 48
)

func (s *server) complete(w http.ResponseWriter, r *http.Request) {
	in, ok := s.read(w, r)
	if !ok {
		return
	}
	if len(in.Prompt) == 0 {
		refuse(w, badRequest("Either prompt or prompt_embeds must be provided and non-empty."))
		return
	}
	limit := completionTokens
	if in.MaxTokens != nil {
		limit = *in.MaxTokens
	}
	s.answer(w, r, in, tokens(string(in.Prompt)), &limit, dialect{
		id: "cmpl-", object: "text_completion", chunk: "text_completion",
		whole: func(text, finish string) map[string]any {
			return map[string]any{"index": 0, "text": text, "logprobs": nil, "finish_reason": finish, "stop_reason": nil}
		},
		part: func(text string, _ bool, finish *string) map[string]any {
			return map[string]any{"index": 0, "text": text, "logprobs": nil, "finish_reason": finish, "stop_reason": nil}
		},
	})
}

func (s *server) chat(w http.ResponseWriter, r *http.Request) {
	in, ok := s.read(w, r)
	if !ok {
		return
	}
	if len(in.Messages) == 0 {
		refuse(w, badRequest("[{'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required'}]"))
		return
	}
	prompt := 0
	for _, m := range in.Messages {
		const template = 4 // tokens around each message
		prompt += tokens(string(m.Content)) + template
	}
	limit := in.MaxCompletionTokens
	if limit == nil {
		limit = in.MaxTokens
	}
	s.answer(w, r, in, prompt, limit, dialect{
		id: "chatcmpl-", object: "chat.completion", chunk: "chat.completion.chunk",
		whole: func(text, finish string) map[string]any {
			return map[string]any{"index": 0, "message": map[string]any{"role": "assistant", "content": text}, "logprobs": nil, "finish_reason": finish, "stop_reason": nil}
		},
		part: func(text string, first bool, finish *string) map[string]any {
			delta := map[string]any{"content": text}
			if first {
				delta["role"] = "assistant"
			}
			return map[string]any{"index": 0, "delta": delta, "logprobs": nil, "finish_reason": finish}
		},
	})
}

func (s *server) read(w http.ResponseWriter, r *http.Request) (in request, ok bool) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return in, false // the client is gone
	}
	if err := json.Unmarshal(body, &in); err != nil {
		refuse(w, badRequest("[{'type': 'json_invalid', 'loc': ('body', 0), 'msg': 'JSON decode error', 'ctx': {'error': '%s'}}]", err))
		return in, false
	}
	return in, true
}

// tokens estimates how many tokens a text has.
func tokens(text string) int { return len(text)/4 + 1 }

// answer generates as many tokens as limit says, or as the model has to say.
func (s *server) answer(w http.ResponseWriter, r *http.Request, in request, prompt int, limit *int, d dialect) {
	if e, ok := s.check(in.Model, prompt, limit); !ok {
		refuse(w, e)
		return
	}
	n, finish := naturalTokens, "stop"
	if in.IgnoreEOS {
		n, finish = s.length-prompt, "length"
	}
	if limit != nil && (*limit < n || in.IgnoreEOS) {
		n, finish = *limit, "length"
	}
	began := time.Now()
	leave, err := s.enter(r.Context())
	if err != nil {
		return
	}
	defer leave()
	out := writer{w: w, d: d, in: in, id: d.id + strings.ReplaceAll(uuid.NewString(), "-", ""), model: s.served[0], created: time.Now().Unix()}
	for i := range n {
		if err := s.pause(r.Context(), i == 0); err != nil {
			s.metrics.end("abort", prompt, i)
			return
		}
		if i == 0 {
			s.metrics.firstToken.Observe(time.Since(began).Seconds())
		}
		out.token(word(i), i == 0, i == n-1, finish)
	}
	s.metrics.end(finish, prompt, n)
	out.end(finish, prompt, n)
}

// enter waits for a place among the requests that run.
func (s *server) enter(ctx context.Context) (leave func(), err error) {
	s.metrics.waiting.Inc()
	defer s.metrics.waiting.Dec()
	select {
	case s.places <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.metrics.running.Inc()
	return func() { s.metrics.running.Dec(); <-s.places }, nil
}

// pause takes the time of a token.
func (s *server) pause(ctx context.Context, first bool) error {
	if first {
		return s.clock.Wait(ctx, clock.FirstToken)
	}
	return s.clock.Wait(ctx, clock.NextToken)
}

// word is what the played model says as its i-th token.
func word(i int) string {
	words := [...]string{"This", " answer", " comes", " from", " the", " local", " cloud", ".", " "}
	return words[i%len(words)]
}

// writer sends an answer, whole or as server-sent events.
type writer struct {
	w         http.ResponseWriter
	d         dialect
	in        request
	id, model string
	created   int64
	text      strings.Builder
}

func (o *writer) token(text string, first, last bool, finish string) {
	if !o.in.Stream {
		o.text.WriteString(text)
		return
	}
	if first {
		o.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	}
	var end *string
	if last {
		end = &finish
	}
	o.event(o.document(o.d.chunk, o.d.part(text, first, end)))
}

func (o *writer) document(object string, choices ...map[string]any) map[string]any {
	return map[string]any{"id": o.id, "object": object, "created": o.created, "model": o.model, "choices": append([]map[string]any{}, choices...)}
}

func (o *writer) event(v any) {
	body, err := json.Marshal(v)
	if err != nil {
		return // never: it is made of strings and numbers
	}
	fmt.Fprintf(o.w, "data: %s\n\n", body)
	http.NewResponseController(o.w).Flush() //nolint:errcheck // the client is gone
}

func (o *writer) end(finish string, prompt, answer int) {
	usage := map[string]any{"prompt_tokens": prompt, "total_tokens": prompt + answer, "completion_tokens": answer}
	if o.in.Stream {
		if o.in.StreamOptions.IncludeUsage {
			last := o.document(o.d.chunk)
			last["usage"] = usage
			o.event(last)
		}
		io.WriteString(o.w, "data: [DONE]\n\n") //nolint:errcheck // the client is gone
		return
	}
	all := o.document(o.d.object, o.d.whole(o.text.String(), finish))
	all["usage"] = usage
	reply(o.w, http.StatusOK, all)
}
