// Package karpenter puts the pools of a blueprint into the hands of Karpenter:
// for each a NodePool, which says what may be started for pods, and an
// EC2NodeClass, which says how ([Pool]). [Machines] is what Karpenter has started
// and may leave behind.
package karpenter

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"aicluster/addons"
	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

// Karpenter's kinds (its CRDs of 1.14: pkg/apis/crds).
var (
	nodePools   = schema.GroupVersionResource{Group: "karpenter.sh", Version: "v1", Resource: "nodepools"}
	nodeClaims  = schema.GroupVersionResource{Group: "karpenter.sh", Version: "v1", Resource: "nodeclaims"}
	nodeClasses = schema.GroupVersionResource{Group: "karpenter.k8s.aws", Version: "v1", Resource: "ec2nodeclasses"}
)

// idle is how long a node has to be without pods before it goes. A node of
// $22 an hour burns $1.80 in that time; one that has to be started again takes as
// long until it has its GPUs, and longer until a model is loaded.
const idle = "5m"

// hopLimit and rootDevice are as on nodes of node groups.
const (
	hopLimit   = 2
	rootDevice = "/dev/xvda"
)

// spec is what Karpenter is to know of a pool.
type spec struct {
	pool     blueprints.NodePool
	beyond   int // how many nodes Karpenter may have
	owner    cloud.Owner
	labels   map[string]string
	profile  string   // instance profile of the nodes
	subnets  []string // ids
	group    string   // id of the security group
	amiAlias string   // al2023@…
}

type object = map[string]any

// nodePool is the NodePool without its kind and name. Its nodes are replaced one by
// one when the template changes, and go otherwise only when they are empty, all at
// once: to move a model from one node to another costs minutes, and never pays in a
// pool of equal nodes. They do not expire, as Karpenter's would after 30 days.
func (s spec) nodePool() object {
	limits := object{"nodes": fmt.Sprint(s.beyond)}
	if gpus := s.pool.GPUs(); gpus > 0 {
		limits["nvidia.com/gpu"] = fmt.Sprint(gpus * s.beyond)
	}
	return object{
		"limits": limits,
		"disruption": object{
			"consolidationPolicy": "WhenEmpty",
			"consolidateAfter":    idle,
			"budgets": []any{
				object{"nodes": "100%", "reasons": []any{"Empty"}},
				object{"nodes": "1", "reasons": []any{"Drifted", "Underutilized"}},
			},
		},
		"template": object{
			"metadata": object{"labels": anyMap(s.labels)},
			"spec": object{
				"nodeClassRef": object{"group": nodeClasses.Group, "kind": "EC2NodeClass", "name": s.pool.Name},
				"requirements": s.requirements(),
				"taints":       s.taints(),
				"expireAfter":  "Never",
			},
		},
	}
}

// requirements say which instances may be started. Where, the subnets of the
// EC2NodeClass say.
func (s spec) requirements() []any {
	in := func(key string, values ...string) any {
		return object{"key": key, "operator": "In", "values": anyList(values)}
	}
	capacity := "on-demand"
	if s.pool.Capacity == blueprints.Spot {
		capacity = "spot"
	}
	return []any{
		in("node.kubernetes.io/instance-type", s.pool.InstanceTypes...),
		in("karpenter.sh/capacity-type", capacity),
		in("kubernetes.io/arch", "amd64"),
		in("kubernetes.io/os", "linux"),
	}
}

func (s spec) taints() []any {
	var list []any
	for _, t := range s.pool.Taints {
		list = append(list, object{"key": t.Key, "value": t.Value, "effect": t.Effect})
	}
	return list
}

// nodeClass is the EC2NodeClass without its kind and name. A member that is nil is
// to be absent.
func (s spec) nodeClass() object {
	root := s.pool.RootVolume.SizeGiB
	var policy, userData any
	switch s.pool.LocalStorage {
	case "raid0":
		policy = "RAID0"
	case "mount":
		userData = mountDisks
	}
	var subnets []any
	for _, id := range s.subnets {
		subnets = append(subnets, object{"id": id})
	}
	return object{
		"amiSelectorTerms":           []any{object{"alias": s.amiAlias}},
		"instanceProfile":            s.profile,
		"subnetSelectorTerms":        subnets,
		"securityGroupSelectorTerms": []any{object{"id": s.group}},
		"blockDeviceMappings": []any{object{
			"deviceName": rootDevice,
			"ebs":        object{"volumeSize": fmt.Sprintf("%dGi", root), "volumeType": "gp3", "encrypted": true, "deleteOnTermination": true},
		}},
		"instanceStorePolicy": policy,
		"userData":            userData,
		"metadataOptions": object{
			"httpEndpoint": "enabled", "httpProtocolIPv6": "disabled", "httpTokens": "required", "httpPutResponseHopLimit": int64(hopLimit),
		},
		"tags": anyMap(s.owner.Tags(s.owner.Cluster + "-" + s.pool.Name)),
	}
}

// mountDisks is the nodeadm configuration that mounts each local disk by itself;
// Karpenter has a policy of its own only for joining them.
const mountDisks = `apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  instance:
    localStorage:
      strategy: Mount
`

// Alias is Karpenter's name of the EKS image of a release such as
// 1.35.2-20260714, whatever Kubernetes version it is for; empty without a release.
func Alias(release string) string {
	_, date, ok := strings.Cut(release, "-")
	if !ok {
		return ""
	}
	return "al2023@v" + date
}

// newestAlias is whatever EKS recommends; nodes then differ from day to day.
const newestAlias = "al2023@latest"

// ownerLabels mark an object as ours.
func ownerLabels(cluster string) map[string]string {
	labels := addons.OwnerLabels(cluster)
	labels["app.kubernetes.io/managed-by"] = fieldManager
	return labels
}

func anyMap(m map[string]string) object {
	out := object{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out[k] = m[k]
	}
	return out
}

func anyList(list []string) []any {
	var out []any
	for _, v := range list {
		out = append(out, v)
	}
	return out
}
