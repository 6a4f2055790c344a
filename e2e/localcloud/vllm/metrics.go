package vllm

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are those of vLLM that tell its load, under its names
// (https://docs.vllm.ai/en/latest/usage/metrics.html).
type metrics struct {
	registry         *prometheus.Registry
	running, waiting prometheus.Gauge
	firstToken       prometheus.Histogram
	prompt, answers  prometheus.Counter
	ended            *prometheus.CounterVec
}

func newMetrics(model string) *metrics {
	labels := prometheus.Labels{"engine": "0", "model_name": model}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels})
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		running:  gauge("vllm:num_requests_running", "Number of requests in model execution batches."),
		waiting:  gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed."),
		prompt:   counter("vllm:prompt_tokens_total", "Number of prefill tokens processed."),
		answers:  counter("vllm:generation_tokens_total", "Number of generation tokens processed."),
		firstToken: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "vllm:time_to_first_token_seconds", Help: "Histogram of time to first token in seconds.", ConstLabels: labels,
			Buckets: []float64{0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560},
		}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "vllm:request_success_total", Help: "Count of successfully processed requests.", ConstLabels: labels,
		}, []string{"finished_reason"}),
	}
	m.registry.MustRegister(m.running, m.waiting, m.prompt, m.answers, m.firstToken, m.ended)
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// end counts a request that has ended.
func (m *metrics) end(reason string, prompt, answer int) {
	m.prompt.Add(float64(prompt))
	m.answers.Add(float64(answer))
	m.ended.WithLabelValues(reason).Inc()
}
