package blueprints

import (
	"fmt"
	"slices"
	"strings"
)

// retentions are the days for which CloudWatch Logs keeps lines
// (API reference of PutRetentionPolicy, retentionInDays).
func retentions() []int {
	return []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
}

// validateMonitoring checks metrics, logs, and what scales by metrics.
func validateMonitoring(d *document, b *Blueprint) {
	a := b.Addons
	if logs := a.ContainerLogs; logs != nil && d.given("addons.containerLogs.retentionDays") && !slices.Contains(retentions(), logs.RetentionDays) {
		d.errorf("addons.containerLogs.retentionDays", fmt.Sprintf("write %d", nextRetention(logs.RetentionDays)),
			"CloudWatch keeps logs for %s days, not for %d", daysList(), logs.RetentionDays)
	}
	for i, s := range b.Serving {
		if s.Autoscaling != nil && a.KubePrometheusStack == nil {
			d.errorf(item("serving", i)+".autoscaling", "write 'kubePrometheusStack: {}' under addons, or a fixed number of replicas",
				"autoscaling goes by what Prometheus counts, and addons has no kubePrometheusStack")
		}
	}
}

// nextRetention is the shortest retention that is no shorter than days, or the longest.
func nextRetention(days int) int {
	for _, r := range retentions() {
		if r >= days {
			return r
		}
	}
	return slices.Max(retentions())
}

func daysList() string {
	var words []string
	for _, r := range retentions() {
		words = append(words, fmt.Sprint(r))
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
