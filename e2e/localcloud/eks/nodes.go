package eks

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"aicluster/e2e/localcloud/controllers"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/faults"
	"aicluster/e2e/localcloud/kube"
)

// Labels that EKS puts on the nodes of a managed node group.
const (
	labelNodegroup = "eks.amazonaws.com/nodegroup"
	labelImage     = "eks.amazonaws.com/nodegroup-image"
	labelCapacity  = "eks.amazonaws.com/capacityType"
	labelSourceLT  = "eks.amazonaws.com/sourceLaunchTemplateId"
	labelSourceLTV = "eks.amazonaws.com/sourceLaunchTemplateVersion"
)

// join makes a node of an instance that runs, once.
func (s *Service) join(ctx context.Context, c *cluster, n *nodegroup, instanceID string) {
	s.mu.Lock()
	_, seen := n.joined[instanceID]
	plane, admitted := c.plane, c.admits(*n.data.NodeRole) && s.cniMayWork(c, *n.data.NodeRole)
	s.mu.Unlock()
	if seen || plane == nil || !admitted {
		return
	}
	in, ok := s.opts.EC2.Instance(c.key.region, instanceID)
	if !ok || s.opts.Faults.NeverJoins(c.key.name, *n.data.NodegroupName, instanceID) {
		return
	}
	if subnets, err := s.opts.EC2.Subnets(c.key.region, []string{in.SubnetID}); err == nil && subnets[0].Public && in.PublicIP == "" {
		s.createFailed(n, publicSubnetError{in.SubnetID, *n.data.NodegroupName})
	}
	node, ok := s.node(c, n, in)
	if ok {
		if err := plane.AddNode(ctx, node); err != nil {
			return // again in the next round
		}
	}
	s.mu.Lock()
	n.joined[instanceID] = ok
	if ok {
		c.nodes[instanceID] = node.Name
	}
	s.mu.Unlock()
}

// admits says whether nodes with this role may register: where access entries
// count, theirs must be there. s.mu is held.
func (c *cluster) admits(roleARN string) bool {
	e := c.entries[roleARN]
	return c.data.AccessConfig.AuthenticationMode != types.AuthenticationModeApi || e != nil && *e.Type == "EC2_LINUX"
}

// cniMayWork says whether the VPC CNI may call EC2: by the node's role, or by
// one of its own. Without it a node never becomes Ready. s.mu is held.
func (s *Service) cniMayWork(c *cluster, roleARN string) bool {
	if a := c.addons["vpc-cni"]; a != nil && a.data.ServiceAccountRoleArn != nil {
		return true
	}
	for _, a := range c.associations {
		if *a.Namespace == "kube-system" && *a.ServiceAccount == "aws-node" {
			return true
		}
	}
	role, ok := s.opts.IAM.Role(roleARN)
	return ok && role.HasPolicy("AmazonEKS_CNI_Policy")
}

// node is what the instance's kubelet registers; false if it never does: its
// user data is malformed, an own image was not told which cluster it belongs
// to, or the role lacks a policy that a node cannot do without
// (https://docs.aws.amazon.com/eks/latest/userguide/create-node-role.html).
func (s *Service) node(c *cluster, n *nodegroup, in ec2.Instance) (kube.Node, bool) {
	boot, err := parseUserData(in.UserData, n.ownImage != "")
	if err != nil || !boot.cluster {
		return kube.Node{}, false
	}
	role, ok := s.opts.IAM.Role(*n.data.NodeRole)
	if !ok || !role.HasPolicy("AmazonEKSWorkerNodePolicy") || !s.mayPull(role.HasPolicy) {
		return kube.Node{}, false
	}
	info, ok := s.opts.EC2.InstanceType(in.Type)
	if !ok {
		return kube.Node{}, false
	}
	capacity, allocatable := resources(info, boot, s.rootGiB(c.key.region, in))
	s.mu.Lock()
	defer s.mu.Unlock()
	labels := map[string]string{
		labelNodegroup: *n.data.NodegroupName, labelImage: in.ImageID, labelCapacity: string(n.data.CapacityType),
		"topology.k8s.aws/zone-id": in.ZoneID,
	}
	if n.launch != nil {
		labels[labelSourceLT], labels[labelSourceLTV] = n.launch.ID, strconv.FormatInt(n.launch.Version, 10)
	}
	maps.Copy(labels, boot.labels)
	maps.Copy(labels, n.data.Labels)
	node := kube.Node{
		Name: in.PrivateDNSName, ProviderID: fmt.Sprintf("aws:///%s/%s", in.Zone, in.ID), InstanceType: in.Type,
		Zone: in.Zone, Region: c.key.region, Arch: map[bool]string{true: "arm64", false: "amd64"}[info.Architecture == "arm64"],
		Labels: labels, Taints: kubeTaints(n.data.Taints), Capacity: capacity, Allocatable: allocatable,
		NeverReady: s.opts.Faults.BadAMI(string(n.amiType), deref(n.data.ReleaseVersion), in.ID) == faults.Kubelet,
		InternalIP: in.PrivateIP, PCIVendors: []string{"1d0f"}, // Amazon: ENA, NVMe
	}
	if info.GPU.Manufacturer == "NVIDIA" {
		node.PCIVendors = append(node.PCIVendors, "10de")
	}
	return node, true
}

// mayPull says whether the role can pull EKS's own images.
func (s *Service) mayPull(has func(string) bool) bool {
	for _, p := range []string{"AmazonEC2ContainerRegistryPullOnly", "AmazonEC2ContainerRegistryReadOnly", "AmazonEC2ContainerRegistryPowerUser", "AmazonEC2ContainerRegistryFullAccess"} {
		if has(p) {
			return true
		}
	}
	return false
}

func kubeTaints(taints []types.Taint) []corev1.Taint {
	effects := map[types.TaintEffect]corev1.TaintEffect{
		types.TaintEffectNoSchedule: corev1.TaintEffectNoSchedule, types.TaintEffectNoExecute: corev1.TaintEffectNoExecute,
		types.TaintEffectPreferNoSchedule: corev1.TaintEffectPreferNoSchedule,
	}
	var out []corev1.Taint
	for _, t := range taints {
		out = append(out, corev1.Taint{Key: deref(t.Key), Value: deref(t.Value), Effect: effects[t.Effect]})
	}
	return out
}

// resources are a node's capacity and allocatable by the rules of EKS's AMI
// (https://awslabs.github.io/amazon-eks-ami/nodeadm/): pods by interfaces and
// addresses, at most 110, or 250 from 30 vCPUs on; memory less the 7.5 % that
// the hypervisor and the kernel take.
func resources(info ec2.TypeInfo, boot bootConfig, rootGiB int) (capacity, allocatable corev1.ResourceList) {
	enis := info.CardENIs
	if enis == 0 {
		enis = info.ENIs
	}
	pods := enis*(info.IPsPerENI-1) + 2
	ceiling := 110
	if info.VCPUs >= 30 {
		ceiling = 250
	}
	reservedFor := min(pods, ceiling)
	if boot.maxPods > 0 {
		reservedFor = boot.maxPods
	}
	storage := int64(rootGiB) << 30
	if boot.raid0 && info.NVMeGB > 0 {
		storage = int64(info.NVMeGB) * 1e9
	}
	memory := int64(info.MemoryMiB) * 925 / 1000
	list := func(cpu, mem, disk int64) corev1.ResourceList {
		return corev1.ResourceList{
			corev1.ResourceCPU:              *resource.NewMilliQuantity(cpu, resource.DecimalSI),
			corev1.ResourceMemory:           *resource.NewQuantity(mem<<20, resource.BinarySI),
			corev1.ResourcePods:             *resource.NewQuantity(int64(reservedFor), resource.DecimalSI),
			corev1.ResourceEphemeralStorage: *resource.NewQuantity(disk, resource.BinarySI),
			"hugepages-1Gi":                 resource.MustParse("0"),
			"hugepages-2Mi":                 resource.MustParse("0"),
		}
	}
	cpu := int64(info.VCPUs) * 1000
	return list(cpu, memory, storage),
		list(cpu-reservedCPU(info.VCPUs), memory-int64(11*reservedFor+255+100), storage*9/10-1<<30)
}

// reservedCPU is kubeReserved in milli-cores: 6 % of the first core, 1 % of the
// second, 0.5 % of the next two, 0.25 % of the rest.
func reservedCPU(vcpus int) int64 {
	hundredths := 0
	for i := range vcpus { // in hundredths of a milli-core to stay whole
		switch {
		case i == 0:
			hundredths += 6000
		case i == 1:
			hundredths += 1000
		case i < 4:
			hundredths += 500
		default:
			hundredths += 250
		}
	}
	return int64(hundredths / 100)
}

// nodeFacts tells the played GPU Operator about the hardware behind a node.
func (s *Service) nodeFacts(c *cluster, name string) (controllers.Facts, bool) {
	s.mu.Lock()
	var id string
	for instance, node := range c.nodes {
		if node == name {
			id = instance
		}
	}
	var ami types.AMITypes
	var release string
	for _, n := range c.nodegroups {
		if n.joined[id] {
			ami, release = n.amiType, deref(n.data.ReleaseVersion)
		}
	}
	s.mu.Unlock()
	in, ok := s.opts.EC2.Instance(c.key.region, id)
	if !ok {
		return controllers.Facts{}, false
	}
	if ami == "" { // of no node group
		var own string
		own, release = s.imageOf(c.key.region, in.ImageID)
		ami = types.AMITypes(own)
	}
	info, ok := s.opts.EC2.InstanceType(in.Type)
	if !ok {
		return controllers.Facts{}, false
	}
	if info.GPU.Manufacturer != "NVIDIA" {
		return controllers.Facts{}, true
	}
	f := controllers.Facts{
		GPUProduct: product(info.GPU), GPUs: info.GPU.Count, GPUMemoryMiB: info.GPU.MemoryMiB, Healthy: info.GPU.Count,
		Driver:       strings.Contains(string(ami), "NVIDIA") || ami == types.AMITypesAl2X8664Gpu,
		DevicePlugin: strings.HasPrefix(string(ami), "BOTTLEROCKET") && strings.Contains(string(ami), "NVIDIA"),
	}
	f.Healthy = s.opts.Faults.HealthyGPUs(c.key.region, id, f.GPUs)
	f.PluginFails = s.opts.Faults.BadAMI(string(ami), release, id) == faults.DevicePlugin
	return f, true
}

// product is the name by which NVIDIA's driver knows a GPU, as in the label
// nvidia.com/gpu.product.
func product(g ec2.GPU) string {
	switch {
	case g.Name == "A100" && g.MemoryMiB > 41000:
		return "NVIDIA-A100-SXM4-80GB"
	case g.Name == "A100":
		return "NVIDIA-A100-SXM4-40GB"
	case g.Name == "H100":
		return "NVIDIA-H100-80GB-HBM3"
	case g.Name == "V100":
		return "Tesla-V100-SXM2-16GB"
	case g.Name == "T4":
		return "Tesla-T4"
	}
	return "NVIDIA-" + g.Name
}
