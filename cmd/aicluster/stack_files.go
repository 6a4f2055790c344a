package main

import (
	"context"
	"slices"

	"aicluster/blueprints"
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
