package elb

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	"aicluster/e2e/localcloud/ec2"
)

// place checks where a load balancer is to stand.
func (s *Service) place(b *balancer, in *elasticloadbalancing.CreateLoadBalancerInput) error {
	switch {
	case len(in.Subnets) > 0 && len(in.AvailabilityZones) > 0:
		return validation("Only one of SubnetIds or AvailabilityZones may be specified")
	case len(in.AvailabilityZones) > 0: // means the default VPC, and there is none
		return configuration("Default VPC not found")
	case len(in.Subnets) == 0:
		return validation("Either AvailabilityZones or SubnetIds must be specified")
	}
	subnets, err := s.subnets(b, in.Subnets)
	if err != nil {
		return err
	}
	b.subnets, b.vpc = subnets, subnets[0].VPC
	if !b.internal && !s.ec2.HasInternetGateway(b.region, b.vpc) {
		return &types.InvalidSubnetException{Message: aws.String(fmt.Sprintf("VPC %s has no internet gateway", b.vpc))}
	}
	b.groups, err = s.groups(b, in.SecurityGroups)
	return err
}

// subnets checks subnets that b is to have besides its own: one in each zone, all
// of one VPC.
func (s *Service) subnets(b *balancer, ids []string) ([]ec2.Subnet, error) {
	all := slices.Clone(b.subnets)
	for _, id := range ids {
		found, err := s.ec2.Subnets(b.region, []string{id})
		if err != nil {
			return nil, &types.SubnetNotFoundException{Message: aws.String(fmt.Sprintf("The requested subnet '%s' does not exist", id))}
		}
		sn := found[0]
		if slices.ContainsFunc(all, func(x ec2.Subnet) bool { return x.ID == sn.ID }) {
			continue
		}
		for _, x := range all {
			if x.VPC != sn.VPC {
				return nil, configuration("All subnets must belong to the same VPC")
			}
			if x.Zone == sn.Zone { // hashicorp/terraform-aws-vault#65
				return nil, configuration("ELB cannot be attached to multiple subnets in the same AZ.")
			}
		}
		all = append(all, sn)
	}
	return all, nil
}

// groups checks security groups; without any it is the VPC's default group.
func (s *Service) groups(b *balancer, ids []string) ([]string, error) {
	if len(ids) == 0 {
		id, ok := s.ec2.DefaultGroup(b.region, b.vpc)
		if !ok {
			return nil, &types.InvalidSecurityGroupException{Message: aws.String("The VPC has no default security group")}
		}
		return []string{id}, nil
	}
	found, err := s.ec2.SecurityGroups(b.region, ids)
	if err != nil || slices.ContainsFunc(found, func(g ec2.Group) bool { return g.VPC != b.vpc }) {
		return nil, &types.InvalidSecurityGroupException{Message: aws.String("One or more of the specified security groups do not exist.")}
	}
	return slices.Clone(ids), nil
}

// plug puts an interface into each subnet; those of a load balancer that faces
// the internet have a public address that belongs to Elastic Load Balancing.
func (s *Service) plug(b *balancer, subnets []ec2.Subnet) error {
	made := []string{}
	for _, sn := range subnets {
		x, err := s.ec2.CreateInterface(b.region, ec2.InterfaceSpec{
			SubnetID: sn.ID, Description: "ELB " + b.name, Owner: "amazon-elb", Groups: b.groups, PublicIP: !b.internal,
		})
		if err != nil {
			for _, id := range made {
				s.ec2.DeleteInterface(b.region, id)
			}
			return &types.InvalidSubnetException{Message: aws.String("Not enough IP space available in " + sn.ID + ". ELB requires at least 8 free IP addresses in each subnet.")}
		}
		made = append(made, x.ID)
	}
	for i, sn := range subnets {
		b.interfaces[sn.ID] = made[i]
	}
	return nil
}

func (s *Service) attachSubnets(ctx context.Context, in *elasticloadbalancing.AttachLoadBalancerToSubnetsInput) (*elasticloadbalancing.AttachLoadBalancerToSubnetsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.find(ctx, in.LoadBalancerName)
	if err != nil {
		return nil, err
	}
	all, err := s.subnets(b, in.Subnets)
	if err != nil {
		return nil, err
	}
	if err := s.plug(b, all[len(b.subnets):]); err != nil {
		return nil, err
	}
	b.subnets = all
	return &elasticloadbalancing.AttachLoadBalancerToSubnetsOutput{Subnets: each(b.subnets, func(x ec2.Subnet) string { return x.ID })}, nil
}

func (s *Service) detachSubnets(ctx context.Context, in *elasticloadbalancing.DetachLoadBalancerFromSubnetsInput) (*elasticloadbalancing.DetachLoadBalancerFromSubnetsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.find(ctx, in.LoadBalancerName)
	if err != nil {
		return nil, err
	}
	left := slices.DeleteFunc(slices.Clone(b.subnets), func(x ec2.Subnet) bool { return slices.Contains(in.Subnets, x.ID) })
	if len(left) == 0 {
		return nil, configuration("A load balancer must be attached to at least one subnet")
	}
	var gone []string
	for _, id := range in.Subnets {
		if eni := b.interfaces[id]; eni != "" {
			gone = append(gone, eni)
			delete(b.interfaces, id)
		}
	}
	s.release(b.region, gone)
	b.subnets = left
	return &elasticloadbalancing.DetachLoadBalancerFromSubnetsOutput{Subnets: each(b.subnets, func(x ec2.Subnet) string { return x.ID })}, nil
}

// applySecurityGroups puts other groups in the place of those there are.
func (s *Service) applySecurityGroups(ctx context.Context, in *elasticloadbalancing.ApplySecurityGroupsToLoadBalancerInput) (*elasticloadbalancing.ApplySecurityGroupsToLoadBalancerOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.find(ctx, in.LoadBalancerName)
	if err != nil {
		return nil, err
	}
	groups, err := s.groups(b, in.SecurityGroups)
	if err != nil {
		return nil, err
	}
	b.groups = groups
	for _, id := range b.interfaces {
		s.ec2.SetInterfaceGroups(b.region, id, groups)
	}
	return &elasticloadbalancing.ApplySecurityGroupsToLoadBalancerOutput{SecurityGroups: slices.Clone(groups)}, nil
}
