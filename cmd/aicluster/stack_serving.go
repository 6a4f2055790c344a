package main

import (
	"context"
	"slices"

	"aicluster/addons"
	"aicluster/addons/serving"
	"aicluster/blueprints"
	"aicluster/provision/engine"
	"aicluster/provision/identity"
)

// addServing: the services, with a role for each that reads its model.
func (s *builder) addServing(ctx context.Context) error {
	home := serving.NewHome(s.cluster, s.blueprint)
	s.add(home)
	pods := map[string]*addons.PodIdentity{}
	for _, svc := range s.blueprint.Serving {
		pods[svc.Name] = s.addServiceRole(svc)
	}
	fill := s.addFill(home, pods)
	for _, svc := range s.blueprint.Serving {
		s.addService(svc, home, pods[svc.Name], fill)
	}
	if fill.Unwanted() && !s.options.teardown { // pods may still have its volumes
		for _, service := range s.services {
			fill.Need(service)
		}
	}
	return s.addRemovedServices(ctx, home)
}

// addServiceRole: what a service's pods act as.
func (s *builder) addServiceRole(svc blueprints.Service) *addons.PodIdentity {
	role := identity.NewRole(s.clients.IAM, s.owner, identity.ServingRole(s.blueprint, svc))
	pod := addons.NewPodIdentity(s.clients.EKS, s.owner, s.cluster, serving.Namespace, svc.Name, role, role)
	s.add(role, pod)
	return pod
}

func (s *builder) addService(svc blueprints.Service, home *serving.Home, pod *addons.PodIdentity, fill *serving.Fill) {
	needs := []engine.Resource{home, pod}
	if svc.Load == blueprints.LoadEFS {
		needs = append(needs, fill)
	}
	if s.podID != nil {
		needs = append(needs, s.podID)
	}
	var model serving.Model
	for _, m := range s.models {
		if m.Name() == svc.Model {
			model, needs = m, append(needs, m)
		}
	}
	for _, c := range s.checks { // a smoke pod needs a GPU before replicas have them all
		if c.Pool() == svc.Pool {
			needs = append(needs, c)
		}
	}
	service := serving.New(s.cluster, s.blueprint, svc, model, append(needs, s.around(svc)...)...)
	if svc.Load == blueprints.LoadEFS {
		service.FileSystem = s.files.FileSystemID
	}
	s.add(service)
	s.services = append(s.services, service)
}

// around is what has the kinds of object that a service is made of, and what lets
// its pods have their volumes.
func (s *builder) around(svc blueprints.Service) []engine.Resource {
	ids := []string{"addon/kube-prometheus-stack", "addon/prometheus-adapter"}
	if svc.Host != "" {
		ids = append(ids, "addon/ingress-nginx", "gateway/"+addons.GatewayName, "addon/cert-manager", "issuer/"+addons.IssuerName)
	}
	switch svc.Load {
	case blueprints.LoadMount:
		ids = append(ids, "addon/"+addons.MountpointDriver)
	case blueprints.LoadEFS:
		ids = append(ids, "addon/"+addons.EFSCSIDriver)
	}
	return slices.DeleteFunc(slices.Clone(s.all), func(r engine.Resource) bool {
		u, may := r.(engine.Unwanted)
		return !slices.Contains(ids, r.ID()) || may && u.Unwanted() // what is to go waits for the service to have left it
	})
}

// addRemovedServices: services that exist and are not in the blueprint any more,
// or what is left of them.
func (s *builder) addRemovedServices(ctx context.Context, home *serving.Home) error {
	names, err := s.discovery.services(ctx, s.cluster)
	if err != nil {
		return err
	}
	var pods []*addons.PodIdentity
	for _, name := range names {
		if slices.ContainsFunc(s.blueprint.Serving, func(svc blueprints.Service) bool { return svc.Name == name }) {
			continue
		}
		service := serving.NewRemoved(s.cluster, s.blueprint, name)
		pod := addons.NewRemovedPodIdentity(s.clients.EKS, s.owner, s.cluster, serving.Namespace, name)
		s.goBefore(service, pod)
		if home.Unwanted() {
			s.goBefore(service, home)
		}
		if s.options.teardown { // before the load balancer, the charts and the nodes
			service.Need(slices.Concat(s.workloads, s.groups)...)
		}
		s.add(service, pod)
		s.services = append(s.services, service)
		pods = append(pods, pod)
	}
	suffixes, err := s.discovery.servingRoles(ctx, s.blueprint)
	if err != nil {
		return err
	}
	for _, suffix := range suffixes {
		role := identity.NewRemovedRole(s.clients.IAM, s.owner, identity.RemovedServingRole(s.blueprint, suffix))
		for _, pod := range pods {
			s.goBefore(pod, role)
		}
		s.add(role)
	}
	return nil
}

// awaitScalers lets the services wait for nodes that an autoscaler makes, and keeps
// it until they are gone.
func (s *builder) awaitScalers() error {
	for _, r := range s.releases {
		if r.ID() != "addon/cluster-autoscaler" && r.ID() != "addon/karpenter" {
			continue
		}
		for _, service := range s.services {
			if err := s.graph.Await(service, r); err != nil {
				return err
			}
		}
	}
	return nil
}
