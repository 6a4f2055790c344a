package main

import (
	"context"

	"aicluster/addons"
	"aicluster/provision/engine"
)

// addIngress: the ways in, each behind a load balancer of its own, and what issues
// their certificates. Both may run side by side while services move from one to the
// other.
func (s *builder) addIngress(context.Context) error {
	b := s.blueprint
	network := s.network.NodeNeeds(s.layout.ZoneNames()...) // load balancers stand in it
	var doors []engine.Resource
	if b.Addons.IngressNginx != nil {
		nginx := s.addRelease(addons.IngressNginx(b), network...)
		s.add(addons.NewNginxBalancer(s.clients.ELB, s.cluster, nginx))
		doors = append(doors, nginx)
	}
	if b.Addons.EnvoyGateway != nil {
		envoy := s.addRelease(addons.EnvoyGateway(b), network...)
		gateway := addons.NewGateway(s.cluster, b, envoy)
		s.add(gateway, addons.NewGatewayBalancer(s.clients.ELB, s.cluster, gateway))
		doors = append(doors, envoy) // cert-manager looks for the kinds of the Gateway API when it starts
	}
	if b.Addons.CertManager == nil {
		return nil
	}
	manager := s.addRelease(addons.CertManager(b), doors...)
	if b.Addons.CertManager.Email == "" {
		issuer := addons.NewRemovedIssuer(s.cluster)
		issuer.Need(manager)
		s.add(issuer)
		return nil
	}
	s.add(addons.NewIssuer(s.cluster, b, manager))
	return nil
}

// needer is a resource to which needs can be added.
type needer interface {
	engine.Resource
	Need(...engine.Resource)
}

// addRemovedIngress: what goes before the release of a way in that is not in the
// blueprint any more, and what waits for the services to have moved.
func (s *builder) addRemovedIngress(r *addons.Release) {
	switch r.Name() {
	case addons.ReleaseName{Namespace: addons.IngressNginxName, Name: addons.IngressNginxName}:
		s.leaving = append(s.leaving, r)
	case addons.ReleaseName{Namespace: addons.EnvoyGatewayNamespace, Name: addons.EnvoyGatewayName}:
		gateway := addons.NewRemovedGateway(s.cluster)
		s.goBefore(gateway, r)
		s.add(gateway)
		s.leaving = append(s.leaving, gateway)
	case addons.ReleaseName{Namespace: addons.CertManagerName, Name: addons.CertManagerName}:
		issuer := addons.NewRemovedIssuer(s.cluster)
		s.goBefore(issuer, r)
		s.add(issuer)
	}
}

// awaitMoved lets a way in go only when all services have the other one.
func (s *builder) awaitMoved(context.Context) error {
	if s.options.teardown {
		return nil
	}
	for _, way := range s.leaving {
		for _, service := range s.services {
			way.Need(service)
		}
	}
	return nil
}
