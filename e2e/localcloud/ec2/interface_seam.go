package ec2

import (
	"cmp"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// CreateInterface makes an interface for another service: a load balancer, a
// control plane. While it exists, its subnet, its groups and, with a public
// address, the VPC's internet gateway are held.
func (s *Service) CreateInterface(region string, in InterfaceSpec) (Interface, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.region(region)
	sn, err := lookup(r.subnets, kindSubnet, &in.SubnetID)
	if err != nil {
		return Interface{}, err
	}
	groups, err := r.checkGroups(sn.vpc, in.Groups)
	if err != nil {
		return Interface{}, err
	}
	if len(in.Groups) == 0 && in.Type == types.NetworkInterfaceTypeNetworkLoadBalancer {
		groups = nil // a network load balancer may have none
	}
	e, err := r.addInterface(sn, groups)
	if err != nil {
		return Interface{}, err
	}
	e.description, e.requester, e.managed = in.Description, in.Owner, !in.Unmanaged
	e.kind = cmp.Or(in.Type, e.kind)
	if in.InUse || !in.Unmanaged {
		e.attach(&attachment{id: newID("ela-attach"), owner: in.Owner, device: 1})
	}
	if in.PublicIP {
		e.public = &mapping{ip: publicIP(e.id), owner: in.Owner}
	}
	r.tags[e.id] = maps.Clone(in.Tags)
	return r.interfaceSnapshot(e), nil
}

// DeleteInterface removes an interface whatever holds it; an unknown id is no error.
func (s *Service) DeleteInterface(region, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.region(region)
	if e, ok := r.interfaces.get(id); ok {
		r.removeInterface(e)
	}
}

// Interface returns one interface.
func (s *Service) Interface(region, id string) (Interface, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.region(region)
	e, ok := r.interfaces.get(id)
	if !ok {
		return Interface{}, false
	}
	return r.interfaceSnapshot(e), true
}

// Interfaces returns all interfaces for which keep is true.
func (s *Service) Interfaces(region string, keep func(Interface) bool) []Interface {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.region(region)
	var list []Interface
	for _, e := range r.interfaces.all() {
		if x := r.interfaceSnapshot(e); keep(x) {
			list = append(list, x)
		}
	}
	return list
}

func (r *region) interfaceSnapshot(e *eni) Interface {
	x := Interface{
		ID: e.id, SubnetID: e.subnet, VPC: e.vpc, Zone: e.zone.name, PrivateIP: e.ip.String(), MAC: e.mac, Description: e.description,
		Groups: slices.Clone(e.groups), Status: string(e.status()), Tags: r.tagsOf(e.id),
	}
	if e.public != nil {
		x.PublicIP = e.public.ip
	}
	if e.attachment != nil {
		x.InstanceID = e.attachment.instance
	}
	return x
}

// SetInterfaceGroups puts other security groups in the place of an interface's;
// an unknown id is no error.
func (s *Service) SetInterfaceGroups(region, id string, groups []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.region(region).interfaces.get(id); ok {
		e.groups = slices.Clone(groups)
	}
}
