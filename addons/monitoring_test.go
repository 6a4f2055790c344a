package addons

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"aicluster/blueprints"
)

func watchedBlueprint() *blueprints.Blueprint {
	b := testBlueprint()
	b.Addons.KubePrometheusStack = &blueprints.Release{Values: map[string]any{"prometheus": map[string]any{"prometheusSpec": map[string]any{"retention": "30d"}}}}
	b.Addons.ContainerLogs = &blueprints.ContainerLogs{RetentionDays: 14}
	return b
}

func TestPrometheusStackFitsEKS(t *testing.T) {
	spec := KubePrometheusStack(watchedBlueprint())
	for path, want := range map[string]any{
		"kubeEtcd/enabled": false, "kubeScheduler/enabled": false, "kubeControllerManager/enabled": false, "kubeProxy/enabled": false,
		"prometheus/prometheusSpec/serviceMonitorSelectorNilUsesHelmValues":                         false,
		"prometheus/prometheusSpec/podMonitorSelectorNilUsesHelmValues":                             false,
		"prometheus/prometheusSpec/ruleSelectorNilUsesHelmValues":                                   false,
		"prometheus/prometheusSpec/retention":                                                       "30d", // the user's
		"prometheus/prometheusSpec/retentionSize":                                                   "45GB",
		"prometheus/prometheusSpec/persistentVolumeClaimRetentionPolicy/whenDeleted":                "Delete",
		"prometheus/prometheusSpec/storageSpec/volumeClaimTemplate/spec/resources/requests/storage": "50Gi",
		"prometheus/prometheusSpec/storageSpec/volumeClaimTemplate/spec/storageClassName":           nil, // the default class
		"prometheus/prometheusSpec/tolerations":                                                     nil, "grafana/tolerations": nil, "prometheusOperator/tolerations": nil,
	} {
		if got := at(spec.Values, path); got != want {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
	if got := fmt.Sprint(at(spec.Values, "prometheus-node-exporter/tolerations")); got != "[map[operator:Exists]]" {
		t.Errorf("the node exporter tolerates %s", got)
	}
	if text, _ := json.Marshal(spec.Values); strings.Contains(strings.ToLower(string(text)), "password") {
		t.Error("a password is in the values")
	}
	if len(spec.CRDs) != 10 || len(spec.Notes) > 0 {
		t.Errorf("%d resource definitions, notes %v", len(spec.CRDs), spec.Notes)
	}
	off := false
	b := watchedBlueprint()
	b.Addons.EBSCSIDriver = &blueprints.EKSAddon{Enabled: &off}
	if spec := KubePrometheusStack(b); at(spec.Values, "prometheus/prometheusSpec/storageSpec") != nil || len(spec.Notes) == 0 {
		t.Error("without the EBS driver there is a volume that nobody makes, or nothing says that there is none")
	}
}

// TestDashboardsAndAlerts: they parse, ask for nothing but what DCGM's exporter and
// vLLM have, and survive the chart's template.
func TestDashboardsAndAlerts(t *testing.T) {
	metric := regexp.MustCompile(`DCGM_FI_\w+|vllm:\w+`)
	known := map[string]bool{
		// dcgm-exporter, etc/dcp-metrics-included.csv
		"DCGM_FI_DEV_GPU_UTIL": true, "DCGM_FI_DEV_FB_USED": true, "DCGM_FI_DEV_FB_FREE": true, "DCGM_FI_DEV_GPU_TEMP": true,
		"DCGM_FI_DEV_POWER_USAGE": true, "DCGM_FI_DEV_XID_ERRORS": true,
		// docs.vllm.ai, "Production Metrics"
		"vllm:num_requests_running": true, "vllm:num_requests_waiting": true, "vllm:kv_cache_usage_perc": true, "vllm:generation_tokens_total": true,
		"vllm:prompt_tokens_total": true, "vllm:time_to_first_token_seconds_bucket": true, "vllm:e2e_request_latency_seconds_bucket": true,
	}
	data := dashboardConfigMap(testBlueprint())["data"].(map[string]any)
	if len(data) != 2 {
		t.Fatalf("%d dashboards", len(data))
	}
	asked := ""
	for name, text := range data {
		var board struct {
			UID    string
			Panels []struct {
				ID      int
				Targets []struct{ Expr string }
			}
		}
		if err := json.Unmarshal([]byte(text.(string)), &board); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(text.(string), "{{") {
			t.Errorf("%s: Helm would take {{ for its own", name)
		}
		ids := map[int]bool{}
		for _, p := range board.Panels {
			if ids[p.ID] || len(p.Targets) == 0 {
				t.Errorf("%s: panel %d is there twice or shows nothing", name, p.ID)
			}
			ids[p.ID] = true
			for _, target := range p.Targets {
				asked += target.Expr + "\n"
			}
		}
	}
	alerts, _ := json.Marshal(alertGroups())
	for _, name := range metric.FindAllString(asked+string(alerts), -1) {
		if !known[name] {
			t.Errorf("nobody measures %s", name)
		}
	}
	for _, wanted := range []string{"GPUNodeIdle", "GPUXIDError", "VLLMRequestsWait"} {
		if !strings.Contains(string(alerts), wanted) {
			t.Errorf("no alert %s", wanted)
		}
	}
}

func TestGPUMetricsNeedTheStack(t *testing.T) {
	if spec := GPUOperator(watchedBlueprint()); at(spec.Values, "dcgmExporter/serviceMonitor/enabled") != true || at(spec.Values, "dcgmExporter/serviceMonitor/honorLabels") != true ||
		spec.CRDsFirst == nil || spec.CRDsFirst.Chart != "kube-prometheus-stack" {
		t.Errorf("with the stack: %v, first %v", spec.Values["dcgmExporter"], spec.CRDsFirst)
	}
	if spec := GPUOperator(testBlueprint()); at(spec.Values, "dcgmExporter") != nil || spec.CRDsFirst != nil {
		t.Errorf("without the stack: %v, first %v", spec.Values["dcgmExporter"], spec.CRDsFirst)
	}
}

func TestAdapterServesRequestsOnly(t *testing.T) {
	spec := PrometheusAdapter()
	if at(spec.Values, "rules/default") != false || at(spec.Values, "prometheus/url") != "http://kube-prometheus-stack-prometheus.monitoring.svc" {
		t.Errorf("values %v", spec.Values)
	}
	rules, _ := json.Marshal(at(spec.Values, "rules/custom"))
	for _, wanted := range []string{RequestsMetric, "running|waiting", "LabelMatchers"} {
		if !strings.Contains(string(rules), wanted) {
			t.Errorf("the rule has no %s: %s", wanted, rules)
		}
	}
}

func TestFluentBitReadsEveryNode(t *testing.T) {
	spec := ContainerLogs(watchedBlueprint())
	for path, want := range map[string]any{
		"cloudWatchLogs/logGroupName": "/aws/containerinsights/demo/application", "cloudWatchLogs/region": "ap-northeast-2",
		"cloudWatchLogs/autoCreateGroup": false, "serviceAccount/name": LogsServiceAccount,
	} {
		if got := at(spec.Values, path); got != want {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
	if got := fmt.Sprint(spec.Values["tolerations"]); got != "[map[operator:Exists]]" {
		t.Errorf("tolerates %s", got)
	}
}

// TestDefaultStorageClass: EKS has none; a blueprint may do without.
func TestDefaultStorageClass(t *testing.T) {
	for _, tc := range []struct {
		configuration map[string]any
		want          any
	}{
		{nil, true},
		{map[string]any{"controller": map[string]any{"replicaCount": 1}}, true},
		{map[string]any{"defaultStorageClass": map[string]any{"enabled": false}}, false},
	} {
		b := testBlueprint()
		b.Addons.EBSCSIDriver = &blueprints.EKSAddon{Configuration: tc.configuration}
		for _, a := range EKSAddons(b, nil) {
			if a.Name == EBSCSIDriver && at(a.Configuration, "defaultStorageClass/enabled") != tc.want {
				t.Errorf("with %v: %v", tc.configuration, a.Configuration)
			}
		}
	}
}
