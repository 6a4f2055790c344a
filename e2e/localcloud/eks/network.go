package eks

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"aicluster/e2e/localcloud/ec2"
)

// This file is where EKS uses EC2 for a cluster's network and node templates.

// createClusterGroup makes the cluster security group, in which everything may
// talk to everything.
func (s *Service) createClusterGroup(c *cluster) (string, error) {
	name := c.key.name
	g, err := s.opts.EC2.CreateSecurityGroup(c.key.region, ec2.GroupSpec{
		VPC: *c.data.ResourcesVpcConfig.VpcId, Name: fmt.Sprintf("eks-cluster-sg-%s-%s", name, short(10)),
		Description: "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, as well as any managed workloads.",
		Tags: map[string]string{
			"Name": "eks-cluster-sg-" + name, "kubernetes.io/cluster/" + name: "owned", "aws:eks:cluster-name": name,
		},
	})
	if err != nil {
		return "", err
	}
	return g.ID, s.opts.EC2.AuthorizeSelf(c.key.region, g.ID)
}

func (s *Service) deleteClusterGroup(region, id string) error {
	if id == "" {
		return nil
	}
	return s.opts.EC2.DeleteSecurityGroup(region, id)
}

// createInterface makes one of the control plane's interfaces.
func (s *Service) createInterface(c *cluster, sn ec2.Subnet, group string) (string, error) {
	i, err := s.opts.EC2.CreateInterface(c.key.region, ec2.InterfaceSpec{
		SubnetID: sn.ID, Groups: append([]string{group}, c.data.ResourcesVpcConfig.SecurityGroupIds...),
		Description: "Amazon EKS " + c.key.name, Owner: "amazon-eks", InUse: true,
		Tags: map[string]string{"cluster.k8s.amazonaws.com/name": c.key.name},
	})
	return i.ID, err
}

// checkSecurityGroups refuses groups that do not exist, and more than four.
func (s *Service) checkSecurityGroups(region, cluster string, ids []string) error {
	if len(ids) > 4 {
		return invalidParameter(cluster, "", "The number of security groups must be at most 4")
	}
	for _, id := range ids {
		if _, err := s.opts.EC2.SecurityGroups(region, []string{id}); err != nil {
			return invalidParameter(cluster, "", "The security group '%s' does not exist (Service: Ec2, Status Code: 400)", id)
		}
	}
	return nil
}

// validZones are the region's zones that take a control plane.
func (s *Service) validZones(region string) []string {
	var names []string
	zones := s.opts.EC2.Zones(region)
	for _, name := range sortedKeys(zones) {
		if !slices.Contains(barredZones(), zones[name]) {
			names = append(names, name)
		}
	}
	return names
}

func join(ids []string) string { return strings.Join(ids, ",") }

func roleName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

func account(arn string) string { return strings.Split(arn, ":")[4] }

// rootGiB is the size of an instance's root volume by its launch template,
// which EKS's copy always names.
func (s *Service) rootGiB(region string, in ec2.Instance) int {
	t, err := s.opts.EC2.LaunchTemplate(region, in.Template, strconv.FormatInt(in.TemplateVersion, 10))
	if err == nil {
		for _, m := range t.Data.BlockDeviceMappings {
			if deref(m.DeviceName) == "/dev/xvda" && m.Ebs != nil && m.Ebs.VolumeSize != nil {
				return int(*m.Ebs.VolumeSize)
			}
		}
	}
	return defaultDiskGiB
}
