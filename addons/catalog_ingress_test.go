package addons

import (
	"reflect"
	"strings"
	"testing"

	"aicluster/blueprints"
)

// TestIngressNginxValues: keys and units are those of chart 4.15.1 and of the
// controller's ConfigMap (docs/user-guide/nginx-configuration/configmap.md).
func TestIngressNginxValues(t *testing.T) {
	spec := IngressNginx(testBlueprint())
	for path, want := range map[string]any{
		"controller/service/externalTrafficPolicy":     "Local",
		"controller/config/proxy-read-timeout":         "3600", // seconds, without a unit
		"controller/config/proxy-send-timeout":         "3600",
		"controller/config/proxy-buffering":            "off",
		"controller/config/proxy-request-buffering":    "off",
		"controller/config/proxy-body-size":            "64m",
		"controller/config/load-balance":               "ewma", // round_robin or ewma
		"controller/config/upstream-keepalive-timeout": "4",    // seconds, without a unit
		"controller/config/worker-shutdown-timeout":    "3600s",
		"controller/terminationGracePeriodSeconds":     900.0,
		"controller/extraArgs/shutdown-grace-period":   "60",
	} {
		if got := at(spec.Values, path); got != want {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
	annotations := at(spec.Values, "controller/service/annotations")
	if want := map[string]any{
		"service.beta.kubernetes.io/aws-load-balancer-type":                              "nlb",
		"service.beta.kubernetes.io/aws-load-balancer-cross-zone-load-balancing-enabled": "true",
		"service.beta.kubernetes.io/aws-load-balancer-additional-resource-tags":          "aicluster/cluster=demo,team=ml",
	}; !reflect.DeepEqual(annotations, want) {
		t.Errorf("annotations %v", annotations)
	}
	if len(spec.Notes) != 1 || !strings.Contains(spec.Notes[0], "ingress: gateway") {
		t.Errorf("the note that the project is retired names no way out: %q", spec.Notes)
	}
}

// TestProxiesFollowTheSystemNodes: nodes with taints, such as those with GPUs, do not count.
func TestProxiesFollowTheSystemNodes(t *testing.T) {
	tests := map[string]struct {
		system   []int // min of the pools without taints
		replicas float64
		apart    string // what the constraint on nodes says
	}{
		"one node":                {[]int{1}, 2, "ScheduleAnyway"},
		"none at first":           {[]int{0}, 2, "ScheduleAnyway"},
		"two nodes":               {[]int{2}, 2, "DoNotSchedule"},
		"two pools of one":        {[]int{1, 1}, 2, "DoNotSchedule"},
		"a node in each zone":     {[]int{3}, 3, "DoNotSchedule"},
		"many nodes, three zones": {[]int{20}, 3, "DoNotSchedule"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := testBlueprint()
			for _, n := range test.system {
				b.NodePools = append(b.NodePools, blueprints.NodePool{Name: "s", InstanceTypes: []string{"c6i.xlarge"}, Nodes: blueprints.Nodes{Min: n, Max: 30}})
			}
			values := IngressNginx(b).Values
			if at(values, "controller/replicaCount") != test.replicas || at(values, "controller/minAvailable") != test.replicas-1 {
				t.Errorf("replicas %v, of which %v stay", at(values, "controller/replicaCount"), at(values, "controller/minAvailable"))
			}
			constraints := at(values, "controller/topologySpreadConstraints").([]any)
			node, zone := constraints[0].(map[string]any), constraints[1].(map[string]any)
			if node["topologyKey"] != "kubernetes.io/hostname" || node["whenUnsatisfiable"] != test.apart || node["nodeTaintsPolicy"] != "Honor" {
				t.Errorf("on nodes: %v", node)
			}
			if test.apart == "DoNotSchedule" && node["minDomains"] != test.replicas {
				t.Errorf("minDomains %v: pods would share the first node that is up", node["minDomains"])
			}
			if zone["topologyKey"] != "topology.kubernetes.io/zone" || zone["whenUnsatisfiable"] != "ScheduleAnyway" {
				t.Errorf("on zones: %v", zone)
			}
		})
	}
}
