package addons

import (
	"maps"
	"slices"
	"strings"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

const ingressNginxVersion = "4.15.1" // the last one

// IngressNginxName is the controller's release and namespace.
const IngressNginxName = "ingress-nginx"

// What holds for every way in.
const (
	// AnswerSeconds is how long an answer of a model may take, and how long nothing
	// may come of it, in seconds.
	AnswerSeconds = "3600"
	// BodySize is the largest request; nginx takes 1 MiB otherwise. Prompts may hold pictures.
	BodySize = "64m"
	// drainSeconds is how long a proxy's pod may go on with its answers when it is
	// to stop. EKS gives a node's pods 15 minutes (user guide, "Update a managed
	// node group": "Pod eviction timeout").
	drainSeconds = 900
	// leaveSeconds is how long a proxy that is to stop still takes new
	// connections: the load balancer needs two failed health checks, 10 seconds
	// apart, to know (cloud-provider-aws, defaults of externalTrafficPolicy Local).
	leaveSeconds = "60"
	// UnusedSeconds is how long an unused connection to a model server is kept, in
	// seconds. vLLM closes one after 5 (VLLM_HTTP_TIMEOUT_KEEP_ALIVE); whoever
	// keeps it longer sends a request now and then into a connection that is being
	// closed, and the client gets a 502.
	UnusedSeconds = "4"
)

// IngressNginx is the ingress controller behind an NLB that the cluster's own
// cloud controller makes. Answers of a model come slowly and in a stream: long
// timeouts, no buffering, and workers of an old configuration go on with their
// streams after a reload. Answers differ much in length, so requests go to the
// replica with the lowest moving average of latency (ewma); the controller has no
// least-connections. Local keeps the client's address; then only nodes that run a
// controller pod pass the health check, hence [entrance.spread].
func IngressNginx(b *blueprints.Blueprint) ReleaseSpec {
	e := newEntrance(b)
	labels := map[string]any{"app.kubernetes.io/name": IngressNginxName, "app.kubernetes.io/instance": IngressNginxName, "app.kubernetes.io/component": "controller"}
	ours := map[string]any{"controller": map[string]any{
		"replicaCount":                  e.replicas,
		"minAvailable":                  e.replicas - 1,
		"terminationGracePeriodSeconds": drainSeconds,
		"extraArgs":                     map[string]any{"shutdown-grace-period": leaveSeconds},
		"service":                       map[string]any{"annotations": balancerAnnotations(b), "externalTrafficPolicy": "Local"},
		"config": map[string]any{
			"proxy-read-timeout": AnswerSeconds, "proxy-send-timeout": AnswerSeconds,
			"proxy-buffering": "off", "proxy-request-buffering": "off", "proxy-body-size": BodySize,
			"load-balance":               "ewma",
			"upstream-keepalive-timeout": UnusedSeconds,
			"worker-shutdown-timeout":    AnswerSeconds + "s",
		},
		"topologySpreadConstraints": e.spread(labels),
	}}
	return ReleaseSpec{
		Name: IngressNginxName, Namespace: IngressNginxName,
		Repo: "https://kubernetes.github.io/ingress-nginx", Chart: "ingress-nginx",
		Version: version(b.Addons.IngressNginx, ingressNginxVersion),
		Values:  overlay(ours, values(b.Addons.IngressNginx)),
		Notes:   []string{"ingress-nginx was retired in March 2026 and gets no fixes; 'addons.ingress: gateway' is the maintained way in, and both may run side by side while you move"},
	}
}

// entrance is how the pods of a way in are spread over the system nodes.
type entrance struct {
	replicas int
	apart    bool // there is a node for each of them
}

// newEntrance ties the number of proxies to the system nodes that there always
// are: at least 2, so that one node may go, and at most 3, one for each zone.
func newEntrance(b *blueprints.Blueprint) entrance {
	nodes := 0
	for _, pool := range b.NodePools {
		if len(pool.Taints) == 0 {
			nodes += pool.Nodes.Min
		}
	}
	replicas := min(max(nodes, 2), 3)
	return entrance{replicas: replicas, apart: nodes >= replicas}
}

// spread puts each of the pods on a node of its own, in different zones if it can
// be. They are scheduled while nodes still come up: without minDomains all would go to
// the first one. Nodes with taints, such as those with GPUs, do not count. Where there
// are fewer nodes than pods it is only a wish.
func (e entrance) spread(labels map[string]any) []any {
	constraint := func(key string, more map[string]any) map[string]any {
		c := map[string]any{
			"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "nodeTaintsPolicy": "Honor",
			"labelSelector": map[string]any{"matchLabels": labels}, "matchLabelKeys": []any{"pod-template-hash"},
		}
		maps.Copy(c, more)
		return c
	}
	node := map[string]any{}
	if e.apart {
		node = map[string]any{"whenUnsatisfiable": "DoNotSchedule", "minDomains": e.replicas}
	}
	return []any{constraint("kubernetes.io/hostname", node), constraint("topology.kubernetes.io/zone", nil)}
}

// balancerAnnotations ask the cloud controller that EKS runs for an NLB (package
// v1 of k8s.io/cloud-provider-aws). It has no annotation for the idle timeout of an
// NLB.
func balancerAnnotations(b *blueprints.Blueprint) map[string]any {
	return map[string]any{
		"service.beta.kubernetes.io/aws-load-balancer-type":                              "nlb",
		"service.beta.kubernetes.io/aws-load-balancer-cross-zone-load-balancing-enabled": "true",
		"service.beta.kubernetes.io/aws-load-balancer-additional-resource-tags":          tagList(b),
	}
}

// tagList is the owner's tags as the load balancer annotation takes them:
// "k=v,k=v". A tag that would break the list is left out.
func tagList(b *blueprints.Blueprint) string {
	tags := cloud.Owner{Cluster: b.Metadata.Name, Extra: b.Metadata.Tags}.Tags("")
	var list []string
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		if !strings.ContainsAny(k+tags[k], ",=") {
			list = append(list, k+"="+tags[k])
		}
	}
	return strings.Join(list, ",")
}
