package eks

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/faults"
	"aicluster/e2e/localcloud/kube"
)

// A guest is an instance that no node group of EKS started and that joins a cluster
// as a node all the same, such as one of Karpenter's: its user data tells nodeadm
// which cluster it belongs to.

// welcomeGuests turns such instances into nodes, as long as the cluster is there.
func (s *Service) welcomeGuests(c *cluster) {
	s.mu.Lock()
	vpc := *c.data.ResourcesVpcConfig.VpcId
	s.mu.Unlock()
	looked := map[string]bool{} // instances that joined or never will
	for s.pause(c.ctx, keepInterval) {
		for _, in := range s.opts.EC2.Instances(c.key.region, func(i ec2.Instance) bool {
			return i.State == "running" && i.VPC == vpc && i.Tags["eks:nodegroup-name"] == ""
		}) {
			if !looked[in.ID] {
				looked[in.ID] = s.welcome(c.ctx, c, in)
			}
		}
		s.sweepGuests(c)
	}
}

// welcome makes a node of an instance. It tells whether there is nothing more to
// wait for.
func (s *Service) welcome(ctx context.Context, c *cluster, in ec2.Instance) bool {
	boot, err := parseUserData(in.UserData, true)
	if err != nil || boot.name != c.key.name {
		return true
	}
	s.mu.Lock()
	role, ok := s.opts.IAM.InstanceProfile(in.InstanceProfile)
	plane := c.plane
	ok = ok && plane != nil && s.mayJoin(c, in, boot, role)
	s.mu.Unlock()
	if !ok || s.opts.Faults.NeverJoins(c.key.name, in.Tags["karpenter.sh/nodepool"], in.ID) {
		return false // what it lacks may still come
	}
	node, ok := s.guest(c, in, boot)
	if !ok {
		return true
	}
	if err := plane.AddNode(ctx, node); err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.nodes[in.ID] = node.Name
	c.guests[in.ID] = role
	return true
}

// mayJoin tells whether the instance's kubelet reaches the API server and is let in:
// it knows the endpoint and whom to trust, stands in the cluster's security group,
// which alone lets the two talk, and its role has an access entry of nodes and the
// policies that a node cannot do without
// (https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html,
// https://docs.aws.amazon.com/eks/latest/userguide/create-node-role.html). s.mu is held.
func (s *Service) mayJoin(c *cluster, in ec2.Instance, boot bootConfig, roleName string) bool {
	role, ok := s.opts.IAM.Role(roleName)
	endpoint, authority := deref(c.data.Endpoint), ""
	if c.data.CertificateAuthority != nil {
		authority = deref(c.data.CertificateAuthority.Data)
	}
	return ok && boot.cluster && boot.endpoint == endpoint && boot.authority == authority && slices.Contains(in.Groups, c.group) &&
		c.admits(role.ARN) && s.cniMayWork(c, role.ARN) && role.HasPolicy("AmazonEKSWorkerNodePolicy") && s.mayPull(role.HasPolicy)
}

// guest is what the instance's kubelet registers: labels and taints are those of the
// user data alone.
func (s *Service) guest(c *cluster, in ec2.Instance, boot bootConfig) (kube.Node, bool) {
	info, ok := s.opts.EC2.InstanceType(in.Type)
	if !ok {
		return kube.Node{}, false
	}
	capacity, allocatable := resources(info, boot, s.rootGiB(c.key.region, in))
	labels := map[string]string{"topology.k8s.aws/zone-id": in.ZoneID}
	maps.Copy(labels, boot.labels)
	ami, release := s.imageOf(c.key.region, in.ImageID)
	node := kube.Node{
		Name: in.PrivateDNSName, ProviderID: fmt.Sprintf("aws:///%s/%s", in.Zone, in.ID), InstanceType: in.Type,
		Zone: in.Zone, Region: c.key.region, Arch: map[bool]string{true: "arm64", false: "amd64"}[info.Architecture == "arm64"],
		Labels: labels, Taints: boot.taints, Capacity: capacity, Allocatable: allocatable,
		NeverReady: s.opts.Faults.BadAMI(ami, release, in.ID) == faults.Kubelet,
		InternalIP: in.PrivateIP, PCIVendors: []string{"1d0f"},
	}
	if info.GPU.Manufacturer == "NVIDIA" {
		node.PCIVendors = append(node.PCIVendors, "10de")
	}
	return node, true
}

var eksImage = regexp.MustCompile(`^amazon-eks-node-al2023-(x86_64|arm64)-(standard|nvidia|neuron)-([0-9.]+)-v([0-9]{8})$`)

// imageOf is EKS's AMI type and the release of an image; both are empty for other
// images than EKS's of Amazon Linux 2023.
func (s *Service) imageOf(region, image string) (amiType, release string) {
	m := eksImage.FindStringSubmatch(s.opts.EC2.ImageName(region, image))
	if m == nil {
		return "", ""
	}
	arch := map[string]string{"x86_64": "x86_64", "arm64": "ARM_64"}[m[1]]
	return "AL2023_" + arch + "_" + strings.ToUpper(m[2]), m[3] + "-" + m[4]
}

// sweepGuests removes the nodes of guests that ended while they were joining, and
// forgets them.
func (s *Service) sweepGuests(c *cluster) {
	s.mu.Lock()
	ids := slices.Collect(maps.Keys(c.guests))
	s.mu.Unlock()
	for _, id := range ids {
		if in, ok := s.opts.EC2.Instance(c.key.region, id); ok && in.State != "terminated" {
			continue
		}
		s.instanceTerminated(c.key.region, id)
		s.mu.Lock()
		delete(c.guests, id)
		s.mu.Unlock()
	}
}
