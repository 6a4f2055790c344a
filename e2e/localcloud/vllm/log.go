package vllm

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Line is a line of a log and when it was written.
type Line struct {
	At   time.Time
	Text string
}

// Log is what vLLM writes while it starts, from its command line; load is how long
// it takes until it listens (vllm/entrypoints/openai/api_server.py, and uvicorn).
func Log(c *corev1.Container, started time.Time, load time.Duration) []Line {
	a := parse(c)
	version := c.Image[strings.LastIndex(c.Image, ":")+1:]
	var out []Line
	add := func(part float64, source, format string, args ...any) {
		at := started.Add(time.Duration(part * float64(load)))
		text := fmt.Sprintf(format, args...)
		if source != "" {
			text = fmt.Sprintf("INFO %s [%s] %s", at.UTC().Format("01-02 15:04:05"), source, text)
		} else {
			text = "INFO:     " + text
		}
		out = append(out, Line{at, "(APIServer pid=1) " + text})
	}
	add(0, "api_server.py", "vLLM API server version %s", strings.TrimPrefix(version, "v"))
	add(0, "model.py", "Using max model len %d", a.length)
	add(0.1, "gpu_model_runner.py", "Starting to load model %s...", a.model)
	add(0.6, "default_loader.py", "Loading weights took %.2f seconds", 0.5*load.Seconds())
	add(1, "api_server.py", "Starting vLLM API server 0 on http://0.0.0.0:%d", a.port)
	add(1, "", "Started server process [1]")
	add(1, "", "Waiting for application startup.")
	add(1, "", "Application startup complete.")
	return out
}
