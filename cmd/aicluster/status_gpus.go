package main

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"aicluster/addons/doctor"
	"aicluster/blueprints/instancetypes"
	"aicluster/cmd/aicluster/ui"
)

// gpuUser is a pod that has GPUs of a node.
type gpuUser struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	GPUs      int    `json:"gpus"`
}

// idleGPUs are those that Kubernetes can hand out and no pod has.
type idleGPUs struct {
	GPUs int `json:"gpus"`
	// CostPerHour is the idle GPUs' share of their instances' list price.
	CostPerHour float64 `json:"costPerHour"`
}

// addGPUUse adds to the nodes of pools who has their GPUs, and says what is idle.
func addGPUUse(pools []poolStatus, pods []corev1.Pod) idleGPUs {
	var idle idleGPUs
	for i := range pools {
		p := &pools[i]
		p.GPUs = gpuCount{}
		for j := range p.Nodes {
			n := &p.Nodes[j]
			n.Pods, n.GPUs.InUse = gpuUsers(pods, n.Name)
			p.GPUs.add(n.GPUs)
			idle.add(*n)
		}
	}
	return idle
}

// gpuUsers are the pods that have GPUs of a node, those with most first.
func gpuUsers(pods []corev1.Pod, node string) (users []gpuUser, total int) {
	users = []gpuUser{}
	for _, p := range doctor.On(pods, node) {
		if n := doctor.GPUs(p); n > 0 {
			users, total = append(users, gpuUser{p.Namespace, p.Name, n}), total+n
		}
	}
	slices.SortStableFunc(users, func(a, b gpuUser) int { return b.GPUs - a.GPUs })
	return users, total
}

func (i *idleGPUs) add(n nodeStatus) {
	unused := max(n.GPUs.Allocatable-n.GPUs.InUse, 0)
	i.GPUs += unused
	if info, ok := instancetypes.Lookup(n.InstanceType); ok && info.GPUs > 0 {
		i.CostPerHour = costs{instances: i.CostPerHour + info.OnDemandUSD*float64(unused)/float64(info.GPUs)}.Total()
	}
}

// showGPUs prints who has the GPUs, node by node.
func (s *session) showGPUs(d statusDocument) {
	var rows [][]string
	all := 0
	for _, p := range d.NodePools {
		for _, n := range p.Nodes {
			if n.GPUs.Expected == 0 && n.GPUs.Allocatable == 0 {
				continue
			}
			all += n.GPUs.Allocatable
			var users []string
			for _, u := range n.Pods {
				users = append(users, fmt.Sprintf("%s/%s: %d", u.Namespace, u.Name, u.GPUs))
			}
			rows = append(rows, []string{n.Name, n.InstanceType, fmt.Sprint(n.GPUs.InUse), fmt.Sprint(n.GPUs.Allocatable), fmt.Sprint(n.GPUs.Expected), orNone(strings.Join(users, ", "))})
		}
	}
	if len(rows) == 0 {
		return
	}
	s.console.Data("")
	s.console.Table([]string{"GPU NODE", "TYPE", "IN USE", "ALLOCATABLE", "EXPECTED", "PODS"}, rows)
	if d.IdleGPUs.GPUs > 0 {
		s.console.Data("idle: %d of %d GPUs, %s", d.IdleGPUs.GPUs, all, ui.Dollars(d.IdleGPUs.CostPerHour))
	}
}
