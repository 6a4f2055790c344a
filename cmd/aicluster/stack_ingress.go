package main

import (
	"context"

	"aicluster/addons"
)

// addIngress: the ways in, each behind a load balancer of its own. Both may run
// side by side while services move from one to the other.
func (s *builder) addIngress(context.Context) error {
	b := s.blueprint
	network := s.network.NodeNeeds(s.layout.ZoneNames()...) // load balancers stand in it
	if b.Addons.IngressNginx != nil {
		nginx := s.addRelease(addons.IngressNginx(b), network...)
		s.add(addons.NewNginxBalancer(s.clients.ELB, s.cluster, nginx))
	}
	return nil
}
