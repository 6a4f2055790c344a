package blueprints

import (
	"fmt"
	"slices"
	"strings"

	"aicluster/blueprints/instancetypes"
)

func validatePools(d *document, b *Blueprint) {
	first := map[string]int{}
	for i := range b.NodePools {
		pool, at := &b.NodePools[i], item("nodePools", i)
		if other, twice := first[pool.Name]; twice && d.given(at+".name") {
			d.errorf(at+".name", "give each pool its own name", "pool %q exists already, on line %d", pool.Name, d.at(item("nodePools", other)+".name").Line)
		} else {
			first[pool.Name] = i
		}
		validatePool(d, b, pool, at)
	}
	validateSystemPods(d, b)
}

func validatePool(d *document, b *Blueprint, pool *NodePool, at string) {
	validateInstanceTypes(d, pool, at)
	validateSize(d, b, pool, at)
	validateStorage(d, pool, at)
	validateLabels(d, pool, at+".labels")
	validateTaints(d, pool.Taints, at+".taints")
	validateZones(d, at+".zones", pool.Zones, b.Metadata.Region)
	for i, zone := range pool.Zones {
		if zones := b.Network.Zones; len(zones) > 0 && !slices.Contains(zones, zone) {
			d.errorf(item(at+".zones", i), "the network's zones are "+strings.Join(zones, ", "), "zone %s is none of the network's", zone)
		}
	}
	if release, version := pool.AMIRelease, b.Cluster.Version; d.given(at+".amiRelease") && !d.bad["cluster.version"] && !strings.HasPrefix(release, version+".") {
		d.errorf(at+".amiRelease", "name a release of "+version+", or leave it out to take the newest", "AMI release %s is not for the cluster's Kubernetes %s", release, version)
	}
	if pool.GPUs() == 0 {
		return
	}
	if b.Addons.GPUOperator == nil && d.values["addons.gpuOperator"] == nil {
		d.errorf(at+".instanceTypes", "add 'gpuOperator: {}' under addons", "the pool has GPUs, but nothing makes them known to Kubernetes: addons has no gpuOperator")
	}
	if len(pool.Taints) == 0 && d.values[at+".taints"] == nil {
		d.warnf(at+".instanceTypes", "add 'taints: [{key: nvidia.com/gpu, value: present, effect: NoSchedule}]'",
			"the GPU pool has no taint, so that any pod may take up its nodes")
	}
}

func validateInstanceTypes(d *document, pool *NodePool, at string) {
	var known []instancetypes.Info
	for i, name := range pool.InstanceTypes {
		at := item(at+".instanceTypes", i)
		if !d.given(at) {
			continue
		}
		switch why := instancetypes.Unusable(name); {
		case !instancetypes.Known(name):
			hint := "the types of a region: aws ec2 describe-instance-type-offerings"
			if meant := instancetypes.Suggest(name); meant != "" {
				hint = "did you mean " + meant + "?"
			}
			d.errorf(at, hint, "EC2 has no instance type %q", name)
			continue
		case why != "":
			d.errorf(at, "choose an x86_64 type, with NVIDIA GPUs if the pool is to have GPUs", "%s %s", name, why)
			continue
		}
		if info, ok := instancetypes.Lookup(name); ok {
			known = append(known, info)
			validateAlike(d, at, known[0], info)
		}
	}
}

// validateAlike checks a type against the first of its pool. The autoscaler
// takes a node of the first type for every node of the pool.
func validateAlike(d *document, at string, first, t instancetypes.Info) {
	const hint = "put them into pools of their own"
	switch {
	case t.GPUs == first.GPUs && t.GPUName == first.GPUName:
	case t.GPUs == 0, first.GPUs == 0:
		d.errorf(at, hint, "the pool mixes types with and without GPUs: %s has %s, %s has %s", first.Name, gpus(first), t.Name, gpus(t))
	case t.GPUs != first.GPUs:
		d.errorf(at, hint, "the types of a pool must have equally many GPUs: %s has %s, %s has %s", first.Name, gpus(first), t.Name, gpus(t))
	default:
		d.warnf(at, hint, "the pool mixes GPUs, and pods cannot tell which they get: %s has %s, %s has %s", first.Name, gpus(first), t.Name, gpus(t))
	}
}

func gpus(t instancetypes.Info) string {
	if t.GPUs == 0 {
		return "no GPU"
	}
	return fmt.Sprintf("%d × %s", t.GPUs, t.GPUName)
}

func validateSize(d *document, b *Blueprint, pool *NodePool, at string) {
	low, high := at+".nodes.min", at+".nodes.max"
	if !d.given(low, high) {
		return
	}
	switch {
	case pool.Nodes.Min > pool.Nodes.Max:
		d.errorf(low, "min is the fewest nodes, max the most", "min (%d) is above max (%d)", pool.Nodes.Min, pool.Nodes.Max)
	case pool.Nodes.Min < pool.Nodes.Max && b.Addons.Autoscaler == "" && d.values["addons.autoscaler"] == nil && d.values["addons.clusterAutoscaler"] == nil:
		d.warnf(low, "add 'clusterAutoscaler: {}' under addons, or make min the number you want",
			"nothing scales the pool: without an autoscaler among the addons it stays at min (%d)", pool.Nodes.Min)
	}
}

func validateStorage(d *document, pool *NodePool, at string) {
	at += ".localStorage"
	if !d.given(at) || pool.LocalStorage == "none" {
		return
	}
	for _, name := range pool.InstanceTypes {
		if info, ok := instancetypes.Lookup(name); ok && len(info.NVMeGB) == 0 {
			d.errorf(at, "write none, or choose types with local disks", "localStorage is %s, but %s has no local NVMe disks", pool.LocalStorage, name)
			return
		}
	}
}

func validateTaints(d *document, taints []Taint, path string) {
	seen := map[[2]string]bool{}
	for i, t := range taints {
		at := item(path, i)
		if d.given(at+".key") && !isQualifiedName(t.Key) {
			d.errorf(at+".key", nameHint, "%q cannot be a taint's key", t.Key)
		}
		if d.given(at+".value") && !isLabelValue(t.Value) {
			d.errorf(at+".value", valueHint, "%q cannot be a taint's value", t.Value)
		}
		if id := [2]string{t.Key, t.Effect}; d.given(at+".key", at+".effect") {
			if seen[id] {
				d.errorf(at+".key", "a taint is known by its key and effect: keep one", "the taint %s with effect %s is given twice", t.Key, t.Effect)
			}
			seen[id] = true
		}
	}
}

// validateSystemPods checks that CoreDNS, the autoscaler and the operators have
// nodes from the start: the autoscaler cannot make the node that it runs on.
func validateSystemPods(d *document, b *Blueprint) {
	if len(b.NodePools) == 0 || d.bad["nodePools"] {
		return
	}
	empty := -1
	for i, pool := range b.NodePools {
		at := item("nodePools", i)
		if !d.clean(at+".taints") || !d.given(at+".nodes.min") {
			return // it has mistakes already; what is meant is not clear
		}
		repels := slices.ContainsFunc(pool.Taints, func(t Taint) bool { return t.Effect != "PreferNoSchedule" })
		switch {
		case !repels && pool.Nodes.Min > 0:
			return
		case !repels:
			empty = i
		}
	}
	if empty >= 0 {
		d.errorf(item("nodePools", empty)+".nodes.min", "write min: 1 or more",
			"pool %q is the only kind without taints, and it starts empty: CoreDNS and the autoscaler would have no node to run on", b.NodePools[empty].Name)
		return
	}
	d.errorf("nodePools", "add a pool without taints, such as {name: system, instanceTypes: [c6i.xlarge], nodes: {min: 2, max: 2}}",
		"all pools have taints, so that CoreDNS and other system pods have no node to run on")
}
