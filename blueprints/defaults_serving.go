package blueprints

import (
	"maps"
	"math"
	"strconv"

	"aicluster/blueprints/instancetypes"
)

// What a replica asks for, for each of its GPUs, where the node has it.
const (
	memoryPerGPU = 24 // GiB
	cpusPerGPU   = 4
	// spare is the part of a node that is left to the kubelet and to the pods that
	// run on every node.
	spare = 0.2
)

// resources adds what is not given to what a replica on this pool asks for. A node
// that has less than usual for each of its GPUs is shared out among them.
func (p *NodePool) resources(gpus int, given *Resources) *Resources {
	if p.GPUs() == 0 || gpus == 0 {
		return given
	}
	cpus, memory := cpusPerGPU*gpus, memoryPerGPU*gpus
	for _, name := range p.InstanceTypes {
		info, ok := instancetypes.Lookup(name)
		if !ok || info.GPUs == 0 {
			continue
		}
		share := (1 - spare) * float64(gpus) / float64(info.GPUs)
		cpus = min(cpus, int(math.Max(1, share*float64(info.VCPUs))))
		memory = min(memory, int(math.Max(1, share*float64(info.MemoryMiB)/1024)))
	}
	out := &Resources{Requests: map[string]string{"cpu": strconv.Itoa(cpus), "memory": strconv.Itoa(memory) + "Gi"}}
	if given == nil {
		return out
	}
	for name := range given.Limits { // what is limited and not asked for, Kubernetes asks for as limited
		delete(out.Requests, name)
	}
	maps.Copy(out.Requests, given.Requests)
	out.Limits = given.Limits
	return out
}
