package main

import (
	"context"
	"maps"
	"slices"

	"aicluster/addons"
	"aicluster/blueprints"
	"aicluster/nodepools"
	"aicluster/provision/engine"
	"aicluster/provision/identity"
	"aicluster/provision/modelstore"
)

// The functions in this file add what exists of a cluster and is in no
// blueprint: what was taken out of it, and everything when the file is lost.

// addLiveVolumes: the EBS volumes of claims, of which a teardown says what becomes.
func (s *builder) addLiveVolumes(ctx context.Context) error {
	if !s.options.teardown {
		return nil
	}
	ids, err := s.discovery.volumes(ctx, s.owner.Cluster)
	if err != nil {
		return err
	}
	for _, id := range ids {
		v := addons.NewVolume(s.clients.EC2, id)
		s.volumes = append(s.volumes, v)
		s.add(v)
	}
	return nil
}

// addRemovedPools: pools that exist and are not in the blueprint any more, or whose
// nodes are all Karpenter's now.
func (s *builder) addRemovedPools(ctx context.Context) error {
	live, err := s.discovery.pools(ctx, s.cluster)
	if err != nil {
		return err
	}
	for _, name := range live {
		if !slices.ContainsFunc(s.pools, func(g *nodepools.NodeGroup) bool { return g.Pool().Name == name }) {
			group := nodepools.NewRemoved(name, s.clients.EKS, s.clients.EC2, s.clients.AutoScaling, s.cluster,
				slices.Concat(s.forNode, s.network.NodeNeeds())...)
			s.add(group)
			s.groups = append(s.groups, group)
			s.removedGroups[name] = group
			if s.options.teardown { // charts may run on it, and go first
				s.system = append(s.system, group)
			}
		}
	}
	return nil
}

// addRemovedAddons: add-ons of EKS that the blueprint does not name any more, and
// the roles of those.
func (s *builder) addRemovedAddons(ctx context.Context) error {
	var known []string
	for _, choice := range addons.EKSAddons(s.blueprint, nil) {
		known = append(known, choice.Name)
	}
	live, err := s.discovery.addons(ctx, s.cluster, known...)
	if err != nil {
		return err
	}
	roles := map[string]*identity.Role{}
	specs := addonRoles(s.blueprint)
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		if !slices.Contains(known, name) {
			roles[name] = identity.NewRemovedRole(s.clients.IAM, s.owner, specs[name])
			s.add(roles[name])
		}
	}
	for _, name := range live {
		a := addons.NewRemovedEKSAddon(s.clients.EKS, s.owner, s.cluster, name)
		if role := roles[name]; role != nil {
			s.goBefore(a, role)
		}
		s.add(a)
		if a.NeedsNodes() {
			s.workloads = append(s.workloads, a)
		} else {
			s.daemons = append(s.daemons, a)
		}
	}
	return nil
}

// addRemovedReleases: Helm releases of ours that the blueprint does not name any
// more, and the role of the cluster autoscaler when it is not named.
func (s *builder) addRemovedReleases(ctx context.Context) error {
	live, err := s.discovery.releases(ctx, s.cluster)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil { // commands that need no plan go on, and so does teardown
		s.add(addons.NewUnknownReleases(s.cluster, err))
		for _, a := range s.addons {
			a.OutOfReach = true
		}
	} else if err := addons.ReadPolicies(ctx, s.cluster, s.volumes); err != nil {
		return err
	}
	wanted := slices.Clone(s.releases)
	var autoscaler *addons.PodIdentity
	if s.blueprint.Addons.ClusterAutoscaler == nil {
		autoscaler = addons.NewRemovedPodIdentity(s.clients.EKS, s.owner, s.cluster, addons.AutoscalerNamespace, addons.AutoscalerServiceAccount)
		role := identity.NewRemovedRole(s.clients.IAM, s.owner, identity.AutoscalerRole(s.blueprint))
		s.goBefore(autoscaler, role)
		s.add(autoscaler, role)
	}
	logs := s.removedContainerLogs()
	for _, name := range live {
		if slices.ContainsFunc(wanted, func(r *addons.Release) bool { return r.Name() == name }) {
			continue
		}
		id := "addon/" + name.Name
		if slices.ContainsFunc(s.all, func(r engine.Resource) bool { return r.ID() == id }) {
			id = "addon/" + name.Namespace + "/" + name.Name
		}
		r := addons.NewRemovedRelease(s.cluster, id, name)
		if autoscaler != nil && name.Namespace == addons.AutoscalerNamespace && name.Name == addons.AutoscalerServiceAccount {
			s.goBefore(r, autoscaler)
		}
		if logs != nil && name.Namespace == addons.LogsNamespace && name.Name == addons.LogsServiceAccount {
			s.goBefore(r, logs)
		}
		if s.removedKarpenter != nil && name.Namespace == addons.KarpenterNamespace && name.Name == addons.KarpenterServiceAccount {
			s.orderRemovedKarpenter(r)
		}
		for _, w := range wanted { // the same release, in another namespace now
			if w.Name().Name == name.Name && !s.options.teardown {
				w.Need(r)
			}
		}
		s.add(r)
		s.workloads = append(s.workloads, r)
		s.addRemovedIngress(r)
	}
	return nil
}

// goBefore orders two resources that are to go. Up takes away in the order of
// needs, teardown against it.
func (s *builder) goBefore(first, second interface {
	engine.Resource
	Need(...engine.Resource)
}) {
	if s.options.teardown {
		first.Need(second)
		return
	}
	second.Need(first)
}

// addFoundBuckets: buckets of the cluster that the blueprint does not name, because
// it did so once, or is lost.
func (s *builder) addFoundBuckets(ctx context.Context) error {
	names, err := s.discovery.buckets(ctx, s.owner, s.blueprint.Metadata.Region)
	if err != nil {
		return err
	}
	for _, name := range names {
		if s.blueprint.Models != nil && s.blueprint.Models.Bucket == name {
			continue
		}
		b := modelstore.NewNamedBucket(s.clients.S3, s.owner, s.blueprint.Metadata.Region, name)
		b.DeleteModels = s.options.deleteModels
		s.add(b)
	}
	return nil
}

// lostBlueprint stands in for a file that is lost: it names everything that
// aicluster may have made, and teardown deletes what it finds of that.
func lostBlueprint(name, region string) *blueprints.Blueprint {
	b := &blueprints.Blueprint{
		APIVersion: blueprints.APIVersion, Kind: blueprints.Kind,
		Metadata: blueprints.Metadata{Name: name, Region: region},
		Addons: blueprints.Addons{
			GPUOperator: &blueprints.Release{}, IngressNginx: &blueprints.Release{}, ClusterAutoscaler: &blueprints.Release{},
			KubePrometheusStack: &blueprints.Release{}, ContainerLogs: &blueprints.ContainerLogs{},
		},
	}
	b.Defaults()
	return b
}
