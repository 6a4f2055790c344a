package main

import (
	"context"
	"slices"

	"aicluster/addons"
	"aicluster/addons/karpenter"
	"aicluster/blueprints"
	"aicluster/nodepools"
	"aicluster/provision/engine"
	"aicluster/provision/identity"
	"aicluster/provision/interruption"
)

// addKarpenter: its role, the queue with warnings, its chart, and what it may
// start for each pool beyond the pool's node group. All of it stands on the role:
// as long as that is there, something else may be.
func (s *builder) addKarpenter(ctx context.Context) error {
	b := s.blueprint
	if b.Addons.Karpenter == nil {
		return s.addRemovedKarpenter(ctx)
	}
	role := identity.NewRole(s.clients.IAM, s.owner, identity.KarpenterRole(b, interruption.Name(s.owner.Cluster)))
	pod := addons.NewPodIdentity(s.clients.EKS, s.owner, s.cluster, addons.KarpenterNamespace, addons.KarpenterServiceAccount, role, s.cluster, role)
	queue := interruption.NewQueue(s.clients.SQS, s.owner)
	queue.Need(role)
	rule := interruption.NewRule(s.clients.Events, s.owner, queue)
	profile := identity.NewInstanceProfile(s.clients.IAM, s.owner, s.nodes)
	profile.Need(role)
	s.add(role, pod, queue, rule, profile)
	needs := []engine.Resource{pod, queue, rule}
	if s.podID != nil {
		needs = append(needs, s.podID)
	}
	if s.dns != nil {
		needs = append(needs, s.dns)
	}
	if s.options.teardown { // what it left goes once it is gone
		machines := karpenter.NewMachines(s.clients.EC2, s.owner.Cluster, slices.Concat([]engine.Resource{s.cluster, profile}, s.forNode, s.network.NodeNeeds())...)
		s.add(machines)
		needs = append(needs, machines)
	}
	release := s.addRelease(addons.Karpenter(b, queue.Name()), needs...)
	s.karpenter = release
	for _, pool := range b.NodePools {
		if beyond := b.BeyondMin(&pool); beyond > 0 {
			s.addKarpenterPool(pool, beyond, profile, release)
		}
	}
	return s.addRemovedKarpenterPools(ctx, release)
}

func (s *builder) addKarpenterPool(pool blueprints.NodePool, beyond int, profile *identity.InstanceProfile, release *addons.Release) {
	if types := s.layout.PoolTypes[pool.Name]; len(types) > 0 {
		pool.InstanceTypes = types
	}
	needs := slices.Concat([]engine.Resource{release, profile}, s.forNode, s.network.NodeNeeds(s.layout.PoolZones[pool.Name]...), s.system)
	p := karpenter.NewPool(s.cluster, s.network, s.owner, pool, beyond, nodepools.Labels(pool), profile.Name(), needs...)
	p.Release = s.imageRelease
	s.add(p)
	s.beyond = append(s.beyond, p)
	if group := s.removedGroups[pool.Name]; group != nil && !s.options.teardown {
		group.Need(p) // its pods find nodes of Karpenter's
	}
}

// imageRelease is the release of EKS's image on the nodes of the system's groups.
func (s *builder) imageRelease() string {
	for _, group := range s.pools {
		if len(group.Pool().Taints) == 0 && group.Live().Release != "" {
			return group.Live().Release
		}
	}
	return ""
}

// addRemovedKarpenterPools: NodePools that are not wanted any more; for a teardown
// also those that aicluster did not make.
func (s *builder) addRemovedKarpenterPools(ctx context.Context, needs ...engine.Resource) error {
	live, err := s.discovery.karpenterPools(ctx, s.cluster, s.options.teardown || s.blueprint.Addons.Karpenter == nil)
	if err != nil {
		if s.options.teardown && ctx.Err() == nil {
			return nil // the API server does not say: machines are found in EC2
		}
		return err
	}
	for _, name := range live {
		if slices.ContainsFunc(s.beyond, func(p *karpenter.Pool) bool { return p.Pool().Name == name }) {
			continue
		}
		p := karpenter.NewRemoved(s.cluster, name, needs...)
		for _, group := range s.pools { // its pods find nodes of the group's
			if !s.options.teardown && group.Pool().Name == name {
				p.Need(group)
			}
		}
		s.add(p)
		s.beyond = append(s.beyond, p)
	}
	return nil
}

// addRemovedKarpenter: all that Karpenter had, when it is not in the blueprint any
// more.
func (s *builder) addRemovedKarpenter(ctx context.Context) error {
	spec := identity.KarpenterRole(s.blueprint, interruption.Name(s.owner.Cluster))
	there, err := s.discovery.karpenter(ctx, spec, s.owner)
	if err != nil || !there {
		return err
	}
	role := identity.NewRemovedRole(s.clients.IAM, s.owner, spec)
	pod := addons.NewRemovedPodIdentity(s.clients.EKS, s.owner, s.cluster, addons.KarpenterNamespace, addons.KarpenterServiceAccount)
	queue := interruption.NewRemovedQueue(s.clients.SQS, s.owner)
	rule := interruption.NewRule(s.clients.Events, s.owner, queue)
	profile := identity.NewRemovedInstanceProfile(s.clients.IAM, s.owner, s.nodes)
	machines := karpenter.NewMachines(s.clients.EC2, s.owner.Cluster, slices.Concat([]engine.Resource{s.cluster}, s.network.NodeNeeds())...)
	s.goBefore(pod, role)
	s.goBefore(queue, role)
	s.goBefore(profile, role)
	s.goBefore(machines, profile)
	s.add(role, pod, queue, rule, profile, machines)
	s.removedKarpenter = &removedKarpenter{pod, machines}
	return s.addRemovedKarpenterPools(ctx)
}

// removedKarpenter is what goes after Karpenter's release.
type removedKarpenter struct {
	pod      *addons.PodIdentity
	machines *karpenter.Machines
}

// orderRemovedKarpenter puts a release of Karpenter that is to go between its
// pools and what it leaves.
func (s *builder) orderRemovedKarpenter(release *addons.Release) {
	for _, pool := range s.beyond {
		s.goBefore(pool, release)
	}
	s.goBefore(release, s.removedKarpenter.pod)
	s.goBefore(release, s.removedKarpenter.machines)
}

// makers are what makes the nodes of a pool: its node group, Karpenter, or both.
func (s *stack) makers(pool string) []engine.Resource {
	var list []engine.Resource
	for _, group := range s.pools {
		if group.Pool().Name == pool {
			list = append(list, group)
		}
	}
	for _, p := range s.beyond {
		if p.Pool().Name == pool && !p.Unwanted() {
			list = append(list, p)
		}
	}
	return list
}
