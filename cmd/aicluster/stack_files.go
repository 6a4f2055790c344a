package main

import (
	"context"
	"slices"

	"aicluster/addons"
	"aicluster/addons/serving"
	"aicluster/blueprints"
	"aicluster/provision/engine"
	"aicluster/provision/filesystem"
	"aicluster/provision/identity"
)

// addFileSystem: the EFS file system from which services load their models. One
// that no service uses any more goes.
func (s *builder) addFileSystem(context.Context) error {
	c := s.clients
	// EFS makes its role when it is first used, if the caller may (EFS User Guide,
	// "Using service-linked roles for Amazon EFS").
	linked := identity.NewServiceLinkedRole(c.IAM, "elasticfilesystem.amazonaws.com")
	if !slices.ContainsFunc(s.blueprint.Serving, func(svc blueprints.Service) bool { return svc.Load == blueprints.LoadEFS }) {
		s.files = filesystem.NewRemoved(c.EFS, c.EC2, s.owner, s.cluster, s.network, s.network.NodeNeeds()...)
		s.add(s.files)
		if s.options.teardown { // there may have been one; the receipt tells what stays of it
			s.add(linked)
		}
		return nil
	}
	s.files = filesystem.New(c.EFS, c.EC2, s.owner, s.cluster, s.network, s.layout.ZoneNames(), append(s.network.NodeNeeds(), linked)...)
	s.add(linked, s.files)
	return nil
}

// addFill: what copies models to the file system, before the services that load them
// from there. It goes before the file system does.
func (s *builder) addFill(home *serving.Home, pods map[string]*addons.PodIdentity) *serving.Fill {
	var weights []serving.Weights
	needs := []engine.Resource{home}
	for _, svc := range s.blueprint.Serving {
		if svc.Load != blueprints.LoadEFS {
			continue
		}
		needs = append(needs, pods[svc.Name])
		for _, m := range s.models {
			if m.Name() == svc.Model && !slices.ContainsFunc(weights, func(w serving.Weights) bool { return w.Name() == svc.Model }) {
				weights, needs = append(weights, m), append(needs, m)
			}
		}
	}
	fill := serving.NewFill(s.cluster, s.blueprint, s.files.FileSystemID, weights, needs...)
	if fill.Unwanted() {
		s.goBefore(fill, s.files)
		if s.options.teardown {
			fill.Need(s.groups...)
		}
	} else {
		fill.Need(s.files)
		for _, a := range s.addons {
			if a.ID() == "addon/"+addons.EFSCSIDriver || a == s.podID {
				fill.Need(a)
			}
		}
	}
	s.add(fill)
	s.workloads = append(s.workloads, fill)
	return fill
}
