package addons

import (
	"embed"
	"strings"

	"aicluster/blueprints"
)

// Where the monitoring stack lives.
const (
	MonitoringNamespace      = "monitoring"
	prometheusStackName      = "kube-prometheus-stack"
	prometheusStackVersion   = "88.5.3"
	prometheusAdapterName    = "prometheus-adapter"
	prometheusAdapterVersion = "5.3.0"
)

// How long Prometheus keeps what it measured: until it is old or fills the volume.
const (
	metricsRetention = "15d"
	metricsVolume    = "50Gi"
	metricsSize      = "45GB" // in Prometheus' words; the rest is for its write-ahead log
)

// RequestsMetric is the name under which the adapter serves how many requests a
// vLLM pod works on or has in its queue.
const RequestsMetric = "vllm_requests"

// KubePrometheusStack is Prometheus with its operator, Alertmanager, Grafana and
// the exporters of nodes and of Kubernetes' objects, on the system nodes: only the
// node exporter tolerates taints.
//
// EKS shows nothing of its etcd, scheduler and controller manager, and binds
// kube-proxy's metrics to the node's loopback: targets for them would only be
// alerts. Monitors and rules count whatever release they are of; the chart's
// default takes its own only. Grafana's password is made by its chart, in a Secret.
func KubePrometheusStack(b *blueprints.Blueprint) ReleaseSpec {
	off := map[string]any{"enabled": false}
	all := map[string]any{}
	for _, kind := range []string{"serviceMonitor", "podMonitor", "rule", "probe", "scrapeConfig"} {
		all[kind+"SelectorNilUsesHelmValues"] = false
	}
	spec := overlay(all, map[string]any{
		"retention": metricsRetention, "retentionSize": metricsSize,
		"resources": requests("200m", "1Gi"),
		// A volume of a Prometheus that is gone would only cost.
		"persistentVolumeClaimRetentionPolicy": map[string]any{"whenDeleted": "Delete", "whenScaled": "Retain"},
	})
	var notes []string
	if Enabled(b.Addons.EBSCSIDriver) { // which makes the default storage class
		spec["storageSpec"] = map[string]any{"volumeClaimTemplate": map[string]any{"spec": map[string]any{
			"accessModes": []any{"ReadWriteOnce"},
			"resources":   map[string]any{"requests": map[string]any{"storage": metricsVolume}},
		}}}
	} else {
		notes = []string{"without ebsCSIDriver Prometheus has no volume: its metrics end with its pod"}
	}
	ours := map[string]any{
		"kubeEtcd": off, "kubeScheduler": off, "kubeControllerManager": off, "kubeProxy": off,
		"prometheus": map[string]any{
			"prometheusSpec":        spec,
			"additionalPodMonitors": []any{vllmMonitor()},
		},
		"prometheusOperator":           map[string]any{"resources": requests("50m", "64Mi")},
		"grafana":                      map[string]any{"resources": requests("50m", "192Mi")},
		"alertmanager":                 map[string]any{"alertmanagerSpec": map[string]any{"resources": requests("10m", "64Mi")}},
		"kube-state-metrics":           map[string]any{"resources": requests("10m", "64Mi")},
		"prometheus-node-exporter":     map[string]any{"resources": requests("10m", "32Mi"), "tolerations": []any{map[string]any{"operator": "Exists"}}},
		"additionalPrometheusRulesMap": map[string]any{"aicluster": map[string]any{"groups": alertGroups()}},
		"extraManifests":               []any{dashboardConfigMap(b)},
	}
	user := b.Addons.KubePrometheusStack
	return ReleaseSpec{
		Name: prometheusStackName, Namespace: MonitoringNamespace,
		Repo: "https://prometheus-community.github.io/helm-charts", Chart: "kube-prometheus-stack",
		Version: version(user, prometheusStackVersion),
		Values:  overlay(ours, values(user)),
		// The node exporter uses the node's network, processes and paths.
		NamespaceLabels: map[string]string{"pod-security.kubernetes.io/enforce": "privileged"},
		CRDs:            prometheusCRDs(),
		Notes:           notes,
	}
}

func requests(cpu, memory string) map[string]any {
	return map[string]any{"requests": map[string]any{"cpu": cpu, "memory": memory}}
}

func prometheusCRDs() []string {
	var names []string
	for _, kind := range []string{"alertmanagerconfigs", "alertmanagers", "podmonitors", "probes", "prometheusagents",
		"prometheuses", "prometheusrules", "scrapeconfigs", "servicemonitors", "thanosrulers"} {
		names = append(names, kind+".monitoring.coreos.com")
	}
	return names
}

// vllmService is the label by which Prometheus knows the service that a vLLM pod
// is a replica of: the pod's label app.kubernetes.io/instance.
const vllmService = "app_kubernetes_io_instance"

// vllmMonitor scrapes every replica of every service, also while it is not ready.
func vllmMonitor() map[string]any {
	return map[string]any{
		"name":                "vllm",
		"namespaceSelector":   map[string]any{"any": true},
		"selector":            map[string]any{"matchLabels": map[string]any{"app.kubernetes.io/name": "vllm"}},
		"podTargetLabels":     []any{"app.kubernetes.io/instance"},
		"podMetricsEndpoints": []any{map[string]any{"port": "http", "path": "/metrics", "interval": "15s"}},
	}
}

// dcgmMonitor makes Prometheus read the GPU operator's DCGM exporter. Pod and
// namespace are those that have the GPU, not the exporter's own.
func dcgmMonitor() map[string]any {
	return map[string]any{"serviceMonitor": map[string]any{"enabled": true, "honorLabels": true, "interval": "15s"}}
}

//go:embed dashboards
var dashboards embed.FS

// dashboardConfigMap has Grafana's sidecar load our dashboards. The chart takes
// extra manifests for templates: the dashboards must hold no "{{".
func dashboardConfigMap(b *blueprints.Blueprint) map[string]any {
	data := map[string]any{}
	for _, name := range []string{"gpu", "vllm"} {
		text, err := dashboards.ReadFile("dashboards/" + name + ".json")
		if err != nil {
			panic("embedded dashboard: " + err.Error())
		}
		data["aicluster-"+name+".json"] = strings.TrimSpace(string(text))
	}
	labels := map[string]any{"grafana_dashboard": "1"}
	for k, v := range OwnerLabels(b.Metadata.Name) {
		labels[k] = v
	}
	return map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "aicluster-dashboards", "namespace": MonitoringNamespace, "labels": labels},
		"data":     data,
	}
}

// PrometheusAdapter serves the number of requests of each vLLM pod to
// autoscalers, as the custom metric [RequestsMetric]. The adapter's own rules,
// which would serve every series of every pod, are off.
func PrometheusAdapter() ReleaseSpec {
	running := "vllm:num_requests_running"
	return ReleaseSpec{
		Name: prometheusAdapterName, Namespace: MonitoringNamespace,
		Repo: "https://prometheus-community.github.io/helm-charts", Chart: "prometheus-adapter",
		Version: prometheusAdapterVersion,
		Values: map[string]any{
			"prometheus":            map[string]any{"url": "http://" + prometheusStackName + "-prometheus." + MonitoringNamespace + ".svc", "port": 9090},
			"metricsRelistInterval": "30s",
			"resources":             requests("20m", "64Mi"),
			"rules": map[string]any{"default": false, "custom": []any{map[string]any{
				"seriesQuery": running + `{namespace!="",pod!=""}`,
				"resources": map[string]any{"overrides": map[string]any{
					"namespace": map[string]any{"resource": "namespace"}, "pod": map[string]any{"resource": "pod"},
				}},
				"name":         map[string]any{"matches": "^" + running + "$", "as": RequestsMetric},
				"metricsQuery": `sum({__name__=~"vllm:num_requests_(running|waiting)",<<.LabelMatchers>>}) by (<<.GroupBy>>)`,
			}}},
		},
	}
}
