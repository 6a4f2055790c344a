package vllm

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"aicluster/e2e/localcloud/clock"
)

func TestIs(t *testing.T) {
	for _, c := range []struct {
		image, command string
		is             bool
	}{
		{"vllm/vllm-openai:v0.31.0", "", true},
		{"registry.example.com:5000/vllm/vllm-openai", "", true},
		{"vllm/vllm-openai@sha256:0123", "", true},
		{"vllm/vllm-openai:v0.31.0", "sleep infinity", false},
		{"vllm/vllm-openai:v0.31.0", "python3 -m vllm.entrypoints.openai.api_server", true},
		{"example.com/ours:1", "vllm serve x", true},
		{"public.ecr.aws/aws-cli/aws-cli:2", "", false},
		{"example.com/not-vllm-openai:1", "", false},
	} {
		if got := Is(&corev1.Container{Image: c.image, Command: strings.Fields(c.command)}); got != c.is {
			t.Errorf("%s %s: %v, want %v", c.image, c.command, got, c.is)
		}
	}
}

func TestArguments(t *testing.T) {
	standard := func(change func(*arguments)) arguments {
		a := arguments{model: defaultModel, port: defaultPort, length: defaultLength, seqs: defaultSeqs}
		change(&a)
		if a.served == nil {
			a.served = []string{a.model}
		}
		return a
	}
	for name, c := range map[string]struct {
		command, args []string
		env           []corev1.EnvVar
		want          arguments
	}{
		"nothing":         {want: standard(func(*arguments) {})},
		"the seed's":      {args: strings.Fields("--model meta-llama/Llama-3.1-8B-Instruct --host 0.0.0.0 --port 8000 --max-model-len 4096"), want: standard(func(a *arguments) { a.model, a.length = "meta-llama/Llama-3.1-8B-Instruct", 4096 })},
		"joined":          {args: []string{"--model=m", "--port=9000", "--max_model_len=8K", "--max-num-seqs=2"}, want: standard(func(a *arguments) { a.model, a.port, a.length, a.seqs = "m", 9000, 8192, 2 })},
		"positional":      {args: []string{"m", "--max-model-len", "8k"}, want: standard(func(a *arguments) { a.model, a.length = "m", 8000 })},
		"served names":    {args: []string{"--served-model-name", "a", "b", "--model", "m"}, want: standard(func(a *arguments) { a.model, a.served = "m", []string{"a", "b"} })},
		"command":         {command: []string{"vllm", "serve", "m"}, args: []string{"--port", "1234"}, want: standard(func(a *arguments) { a.model, a.port = "m", 1234 })},
		"a shell":         {command: []string{"sh", "-c", "sleep 1 && exec vllm serve m --port 1234"}, want: standard(func(a *arguments) { a.model, a.port = "m", 1234 })},
		"variables, keys": {args: []string{"--model", "$(MODEL)"}, env: []corev1.EnvVar{{Name: "MODEL", Value: "m"}, {Name: "VLLM_API_KEY", Value: "k"}}, want: standard(func(a *arguments) { a.model, a.keys = "m", []string{"k"} })},
		"a flag alone":    {args: []string{"--enable-prefix-caching", "--model", "m"}, want: standard(func(a *arguments) { a.model = "m" })},
	} {
		if got := parse(&corev1.Container{Command: c.command, Args: c.args, Env: c.env}); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func serve(t *testing.T, speed float64, args ...string) string {
	server := httptest.NewServer(newServer(parse(&corev1.Container{Args: args}), clock.New(speed)))
	t.Cleanup(server.Close)
	return server.URL
}

func call(method, url, body string, header ...string) (status int, text string, err error) {
	request, err := http.NewRequest(method, url, strings.NewReader(body)) //nolint:noctx // a test's
	if err != nil {
		return 0, "", err
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	return response.StatusCode, string(all), err
}

// TestAnswers has vLLM's answers, right and wrong.
func TestAnswers(t *testing.T) {
	url := serve(t, 1000, "--model", "/models/Llama", "--served-model-name", "llama", "--max-model-len", "64")
	locked := serve(t, 1000, "--model", "m", "--api-key", "secret")
	for _, c := range []struct {
		url, method, path, body string
		header                  []string
		status                  int
		wanted                  []string
	}{
		{url, "GET", "/health", "", nil, 200, []string{""}},
		{url, "GET", "/v1/models", "", nil, 200, []string{`"object":"list"`, `"id":"llama"`, `"root":"/models/Llama"`, `"owned_by":"vllm"`, `"max_model_len":64`}},
		{url, "POST", "/v1/completions", `{"model": "llama", "prompt": "Hi", "max_tokens": 1}`, nil, 200,
			[]string{`"object":"text_completion"`, `"text":"This"`, `"finish_reason":"length"`, `"completion_tokens":1`, `"prompt_tokens":2`}},
		{url, "POST", "/v1/completions", `{"prompt": "Hi"}`, nil, 200, []string{`"completion_tokens":16`}},
		{url, "POST", "/v1/chat/completions", `{"model": "llama", "messages": [{"role": "user", "content": "Hi"}], "max_completion_tokens": 3}`, nil, 200,
			[]string{`"object":"chat.completion"`, `"content":"This answer comes"`, `"role":"assistant"`}},
		{url, "POST", "/v1/chat/completions", `{"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}`, nil, 200, []string{`"finish_reason":"stop"`}},
		{url, "POST", "/v1/completions", `{"model": "other", "prompt": "Hi"}`, nil, 404,
			[]string{`{"error":{"message":"The model ` + "`other`" + ` does not exist.","type":"NotFoundError","param":"model","code":404}}`}},
		{url, "POST", "/v1/completions", `{"model": "llama", "prompt": "Hi", "max_tokens": 100}`, nil, 400,
			[]string{"is too large: 100. This model's maximum context length is 64 tokens and your request has 2 input tokens (100 \\u003e 64 - 2)."}},
		{url, "POST", "/v1/completions", `{"model": "llama", "prompt": "` + strings.Repeat("long ", 100) + `"}`, nil, 400, []string{"maximum context length is 64 tokens. However"}},
		{url, "POST", "/v1/completions", `{"model"`, nil, 400, []string{`"type":"BadRequestError"`, "JSON decode error"}},
		{url, "POST", "/v1/chat/completions", `{}`, nil, 400, []string{"Field required"}},
		{url, "GET", "/v1/nothing", "", nil, 404, []string{`{"detail":"Not Found"}`}},
		{url, "GET", "/v1/completions", "", nil, 405, []string{`{"detail":"Method Not Allowed"}`}},
		{locked, "GET", "/v1/models", "", nil, 401, []string{`{"error":"Unauthorized"}`}},
		{locked, "GET", "/v1/models", "", []string{"Authorization", "Bearer secret"}, 200, []string{`"id":"m"`}},
		{locked, "GET", "/health", "", nil, 200, []string{""}},
	} {
		status, text, err := call(c.method, c.url+c.path, c.body, c.header...)
		if err != nil || status != c.status {
			t.Errorf("%s %s %s: %d %s, %v, want %d", c.method, c.path, c.body, status, text, err, c.status)
		}
		for _, w := range c.wanted {
			if !strings.Contains(text, w) {
				t.Errorf("%s %s %s: %s, want %s in it", c.method, c.path, c.body, text, w)
			}
		}
	}
}

// TestStream: tokens come one by one, as server-sent events, with the clock's time
// between them.
func TestStream(t *testing.T) {
	const speed = 4 // 50 ms to the first token, 5 ms from one to the next
	url := serve(t, speed, "--model", "m")
	began := time.Now()
	response, err := http.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(`{"messages": [{"role": "user", "content": "Hi"}], "stream": true, "stream_options": {"include_usage": true}}`)) //nolint:noctx // a test's
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream; charset=utf-8" {
		t.Errorf("content type %s", kind)
	}
	var events []string
	var first time.Duration
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if events = append(events, data); len(events) == 1 {
				first = time.Since(began)
			}
		}
	}
	whole := time.Since(began)
	if first < 50*time.Millisecond || whole < first+(naturalTokens-2)*5*time.Millisecond {
		t.Errorf("the first token came after %s, the last after %s", first, whole)
	}
	n := len(events)
	if n != naturalTokens+2 || events[n-1] != "[DONE]" || !strings.Contains(events[0], `"role":"assistant"`) || strings.Contains(events[1], `"role"`) ||
		!strings.Contains(events[n-3], `"finish_reason":"stop"`) || !strings.Contains(events[n-2], fmt.Sprintf(`"completion_tokens":%d`, naturalTokens)) {
		t.Errorf("%d events: %s", n, strings.Join(events, "\n"))
	}
}

// TestMetrics: requests that run and those that wait for a place among them.
func TestMetrics(t *testing.T) {
	url := serve(t, 1, "--model", "m", "--max-num-seqs", "2")
	var requests sync.WaitGroup
	for range 5 {
		requests.Go(func() {
			if status, text, err := call("POST", url+"/v1/completions", `{"prompt": "Hi", "max_tokens": 10}`); err != nil || status != 200 {
				t.Error(status, text, err)
			}
		})
	}
	metrics := func(wanted ...string) (missing string) {
		_, text, err := call("GET", url+"/metrics", "")
		if err != nil {
			return err.Error()
		}
		for _, w := range wanted {
			if !strings.Contains(text, w) {
				missing += w + " is not in " + text
			}
		}
		return missing
	}
	const labels = `{engine="0",model_name="m"}`
	deadline := time.Now().Add(10 * time.Second)
	for missing := "?"; missing != ""; {
		if missing = metrics("vllm:num_requests_running"+labels+" 2\n", "vllm:num_requests_waiting"+labels+" 3\n"); missing != "" && time.Now().After(deadline) {
			t.Fatal(missing)
		}
	}
	requests.Wait()
	if missing := metrics("vllm:num_requests_running"+labels+" 0\n", "vllm:num_requests_waiting"+labels+" 0\n", "vllm:time_to_first_token_seconds_count"+labels+" 5\n",
		"vllm:generation_tokens_total"+labels+" 50\n", `vllm:request_success_total{engine="0",finished_reason="length",model_name="m"} 5`+"\n"); missing != "" {
		t.Error(missing)
	}
}
