package nodepools

import (
	"fmt"

	"aicluster/blueprints"
	"aicluster/blueprints/instancetypes"
)

// sizeTag begins the tags that tell the cluster autoscaler what a node of a pool that
// has none yet will have (its README for AWS, "Auto-Discovery Setup"; of a node group
// it reads them by eks:DescribeNodegroup).
const sizeTag = "k8s.io/cluster-autoscaler/node-template/resources/"

// sizeTags are what pods can use of a pool's node; of several types the least. Left
// to itself the autoscaler takes the instance for it, and no disk at all. A pod that
// needs more than is left by the kubelet would make it start a node, find that the pod
// does not fit, and do so again when that node is gone.
func sizeTags(pool blueprints.NodePool) map[string]string {
	disk := fmt.Sprintf("%dGi", usableDisk(int(rootGiB(pool))))
	var cpu, memory, nvme int
	for i, name := range pool.InstanceTypes {
		info, ok := instancetypes.Lookup(name)
		if !ok { // nothing is known of it: the autoscaler asks EC2
			return map[string]string{sizeTag + "ephemeral-storage": disk}
		}
		if i == 0 {
			cpu, memory, nvme = usableCPU(info.VCPUs), usableMemory(info), info.NVMeTotalGB()
			continue
		}
		cpu, memory, nvme = min(cpu, usableCPU(info.VCPUs)), min(memory, usableMemory(info)), min(nvme, info.NVMeTotalGB())
	}
	if pool.LocalStorage == "raid0" && nvme > 0 { // a type without local disks keeps to its root disk
		disk = fmt.Sprintf("%dG", usableDisk(nvme))
	}
	return map[string]string{
		sizeTag + "cpu": fmt.Sprintf("%dm", cpu), sizeTag + "memory": fmt.Sprintf("%dMi", memory), sizeTag + "ephemeral-storage": disk,
	}
}

// What EKS's image leaves for pods (amazon-eks-ami, nodeadm, internal/kubelet and
// its defaults for evictions), rounded down.

// usableCPU is in thousandths: the kubelet keeps 6 % of the first CPU, 1 % of the
// second, 0.5 % of the next two and 0.25 % of the others.
func usableCPU(vcpus int) int {
	kept := 0.0
	for i := range vcpus {
		switch {
		case i == 0:
			kept += 60
		case i == 1:
			kept += 10
		case i < 4:
			kept += 5
		default:
			kept += 2.5
		}
	}
	return int(float64(1000*vcpus) - kept)
}

// usableMemory is in MiB: the hypervisor and the kernel take up to 7.5 %, the kubelet
// 255 MiB and 11 for each pod that may run, and evicts below 100. A managed node runs
// 110 pods, or 250 from 30 CPUs on; the smallest types fewer.
func usableMemory(info instancetypes.Info) int {
	pods := 110
	if info.VCPUs >= 30 {
		pods = 250
	}
	return max(info.MemoryMiB*925/1000-11*pods-255-100, info.MemoryMiB/2)
}

// usableDisk is of a disk in the same unit, GB or GiB: the kubelet evicts when less
// than a tenth is free and keeps 1 GiB, and the file system takes a little.
func usableDisk(size int) int { return size*88/100 - 2 }
