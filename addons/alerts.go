package addons

// alertGroups are alert rules for what a GPU cluster costs and answers, in the
// form of a PrometheusRule
// (https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/).
// The metrics are those of NVIDIA's DCGM exporter and of vLLM's /metrics.
func alertGroups() []any {
	return []any{
		map[string]any{"name": "aicluster-gpu", "rules": []any{
			alert{
				name: "GPUNodeIdle", expr: `max by (Hostname) (DCGM_FI_DEV_GPU_UTIL) == 0`, lasting: "1h", severity: "warning",
				summary: "No GPU of node {{ $labels.Hostname }} has worked for an hour; the node is paid for all the same.",
				action:  "Scale the service or the pool down, or find out why the autoscaler keeps the node.",
			}.rule(),
			alert{
				name: "GPUHeldIdle", expr: `max by (namespace, pod) (DCGM_FI_DEV_GPU_UTIL{pod!=""}) == 0`, lasting: "1h", severity: "warning",
				summary: "Pod {{ $labels.namespace }}/{{ $labels.pod }} has held GPUs for an hour without using them.",
				action:  "Lower the replicas of its service, or delete the pod: its node cannot go while it runs.",
			}.rule(),
			alert{
				name: "GPUXIDError", expr: `max by (Hostname, gpu) (DCGM_FI_DEV_XID_ERRORS) > 0`, lasting: "1m", severity: "critical",
				summary: "GPU {{ $labels.gpu }} of node {{ $labels.Hostname }} reports XID error {{ $value }}.",
				action:  "Look the number up in NVIDIA's XID catalogue; 48, 63, 64, 74, 79, 94 and 95 are hardware: replace the node.",
			}.rule(),
		}},
		map[string]any{"name": "aicluster-vllm", "rules": []any{
			alert{
				name: "VLLMRequestsWait", expr: `min_over_time((sum by (namespace, ` + vllmService + `) (vllm:num_requests_waiting))[10m:1m]) > 0`, lasting: "1m", severity: "warning",
				summary: "Requests to service {{ $labels." + vllmService + " }} have waited in its queue for ten minutes on end.",
				action:  "Give it more replicas, or a higher autoscaling.max.",
			}.rule(),
		}},
	}
}

// alert is one alert rule.
type alert struct{ name, expr, lasting, severity, summary, action string }

func (a alert) rule() map[string]any {
	return map[string]any{
		"alert": a.name, "expr": a.expr, "for": a.lasting,
		"labels":      map[string]any{"severity": a.severity},
		"annotations": map[string]any{"summary": a.summary, "description": a.action},
	}
}
