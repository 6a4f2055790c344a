package main

import (
	"context"

	"aicluster/addons"
	"aicluster/blueprints"
	"aicluster/provision/engine"
	"aicluster/provision/identity"
)

// addEKSAddons: what EKS itself installs.
func (s *builder) addEKSAddons(context.Context) error {
	roles, pods := map[string]*identity.Role{}, map[string]addons.Role{}
	for name, spec := range addonRoles(s.blueprint) {
		roles[name] = identity.NewRole(s.clients.IAM, s.owner, spec)
		pods[name] = roles[name]
	}
	for _, choice := range addons.EKSAddons(s.blueprint, pods) {
		needs := []engine.Resource{s.cluster}
		if choice.PodIdentity != nil {
			s.add(roles[choice.Name])
			needs = append(needs, roles[choice.Name])
			if s.podID != nil {
				needs = append(needs, s.podID)
			}
		}
		a := addons.NewEKSAddon(s.clients.EKS, s.owner, s.cluster, choice.Spec, needs...)
		s.add(a)
		s.addons = append(s.addons, a)
		if choice.NeedsNodes {
			s.workloads = append(s.workloads, a)
		} else {
			s.daemons = append(s.daemons, a)
		}
		switch choice.Name {
		case "eks-pod-identity-agent":
			s.podID = a
		case "coredns":
			s.dns = a
		}
	}
	return nil
}

// addonRoles are the roles of EKS's add-ons, by the add-on's name.
func addonRoles(b *blueprints.Blueprint) map[string]identity.RoleSpec {
	return map[string]identity.RoleSpec{
		addons.EBSCSIDriver: identity.EBSCSIRole(b),
		addons.EFSCSIDriver: identity.EFSCSIRole(b),
	}
}

// addReleases: Helm charts.
func (s *builder) addReleases(context.Context) error {
	b := s.blueprint
	if b.Addons.GPUOperator != nil {
		s.addRelease(addons.GPUOperator(b))
	}
	if b.Addons.ClusterAutoscaler != nil {
		role := identity.NewRole(s.clients.IAM, s.owner, identity.AutoscalerRole(b))
		pod := addons.NewPodIdentity(s.clients.EKS, s.owner, s.cluster, addons.AutoscalerNamespace, addons.AutoscalerServiceAccount, role, s.cluster, role)
		s.add(role, pod)
		needs := []engine.Resource{pod}
		if s.podID != nil {
			needs = append(needs, s.podID)
		}
		if s.dns != nil {
			needs = append(needs, s.dns)
		}
		s.addRelease(addons.ClusterAutoscaler(b), needs...)
	}
	for _, spec := range addons.Charts(b) {
		s.addRelease(spec)
	}
	return nil
}

func (s *builder) addRelease(spec addons.ReleaseSpec, needs ...engine.Resource) *addons.Release {
	r := addons.NewRelease(s.cluster, addons.ChartSource{Mirror: s.options.chartMirror}, spec, needs...)
	s.add(r)
	s.releases = append(s.releases, r)
	s.workloads = append(s.workloads, r)
	return r
}
