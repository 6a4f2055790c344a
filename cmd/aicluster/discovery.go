package main

import (
	"context"
	"slices"

	"aicluster/addons"
	"aicluster/addons/karpenter"
	"aicluster/addons/serving"
	"aicluster/blueprints"
	"aicluster/nodepools"
	"aicluster/provision/cloud"
	"aicluster/provision/controlplane"
	"aicluster/provision/identity"
	"aicluster/provision/modelstore"
	"aicluster/provision/network"
	"aicluster/provision/orphans"
)

// discovery says what a cluster's graph depends on beside its blueprint: where
// it stands, and what exists of it that the blueprint does not name.
type discovery interface {
	// layout is where the network stands; for a teardown, where it stands already.
	layout(ctx context.Context, b *blueprints.Blueprint, teardown bool) (network.Layout, error)
	// network is where a living cluster stands, or one stood that left something.
	network(ctx context.Context, cluster string) (blueprints.Network, error)
	// admins looks at the cluster, too, and comes before what follows: what lives in
	// a cluster need not be looked for without one.
	admins(ctx context.Context, cluster *controlplane.Cluster) ([]string, error)
	pools(ctx context.Context, cluster *controlplane.Cluster) ([]string, error)
	// addons lists EKS's add-ons besides the known ones.
	addons(ctx context.Context, cluster *controlplane.Cluster, known ...string) ([]string, error)
	releases(ctx context.Context, cluster *controlplane.Cluster) ([]addons.ReleaseName, error)
	// services lists the services that the cluster has, or has a role for.
	services(ctx context.Context, cluster *controlplane.Cluster) ([]string, error)
	// servingRoles lists, by the last parts of their names, the roles of services
	// that b has not.
	servingRoles(ctx context.Context, b *blueprints.Blueprint) ([]string, error)
	// karpenter tells whether the role of Karpenter exists, and with it perhaps more.
	karpenter(ctx context.Context, role identity.RoleSpec, owner cloud.Owner) (bool, error)
	// karpenterPools lists Karpenter's NodePools: ours, or all.
	karpenterPools(ctx context.Context, cluster *controlplane.Cluster, all bool) ([]string, error)
	// volumes lists the EBS volumes that were made for claims.
	volumes(ctx context.Context, cluster string) ([]string, error)
	buckets(ctx context.Context, owner cloud.Owner, region string) ([]string, error)
}

// awsDiscovery asks AWS and Kubernetes.
type awsDiscovery struct{ clients *cloud.Clients }

// discoveryPermissions is what all of it needs, and the search for orphans,
// beside what the resources do.
func discoveryPermissions(s cloud.Site) []cloud.Permission {
	var all []cloud.Permission
	for _, of := range []func(cloud.Site) []cloud.Permission{
		network.ZonePermissions, controlplane.AdminPermissions, nodepools.DiscoverPermissions, addons.DiscoverPermissions, addons.VolumePermissions, modelstore.OwnedPermissions, orphans.Permissions,
	} {
		all = append(all, of(s)...)
	}
	return all
}

func (d awsDiscovery) layout(ctx context.Context, b *blueprints.Blueprint, teardown bool) (network.Layout, error) {
	if teardown {
		return network.LiveZones(ctx, d.clients.EC2, b)
	}
	return network.ChooseZones(ctx, d.clients.EC2, b)
}

func (d awsDiscovery) network(ctx context.Context, cluster string) (blueprints.Network, error) {
	live, err := controlplane.LiveNetwork(ctx, d.clients.EKS, cluster)
	if err != nil || live.VPCID != "" {
		return live, err
	}
	return network.Traces(ctx, d.clients.EC2, balancerAPI(d.clients), cluster)
}

func (d awsDiscovery) admins(ctx context.Context, cluster *controlplane.Cluster) ([]string, error) {
	if _, err := cluster.Observe(ctx); err != nil || !cluster.Exists() {
		return nil, err
	}
	return controlplane.DiscoverAdmins(ctx, d.clients.EKS, cluster.Name())
}

func (d awsDiscovery) pools(ctx context.Context, cluster *controlplane.Cluster) ([]string, error) {
	return nodepools.Discover(ctx, d.clients.EKS, d.clients.EC2, cluster)
}

func (d awsDiscovery) addons(ctx context.Context, cluster *controlplane.Cluster, known ...string) ([]string, error) {
	if !cluster.Exists() {
		return nil, nil
	}
	return addons.DiscoverAddons(ctx, d.clients.EKS, cluster.Name(), known...)
}

func (d awsDiscovery) releases(ctx context.Context, cluster *controlplane.Cluster) ([]addons.ReleaseName, error) {
	return addons.DiscoverReleases(ctx, cluster)
}

// services are found in Kubernetes and by their pod identities, which EKS knows also
// while Kubernetes does not answer.
func (d awsDiscovery) services(ctx context.Context, cluster *controlplane.Cluster) ([]string, error) {
	if !cluster.Exists() {
		return nil, nil
	}
	names, err := addons.DiscoverPodIdentities(ctx, d.clients.EKS, cluster.Name(), serving.Namespace)
	if err != nil {
		return nil, err
	}
	running, err := serving.Discover(ctx, cluster)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err == nil { // else the plan says that the cluster does not answer; see releases
		names = append(names, running...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (d awsDiscovery) servingRoles(ctx context.Context, b *blueprints.Blueprint) ([]string, error) {
	return identity.DiscoverServing(ctx, d.clients.IAM, b)
}

func (d awsDiscovery) karpenter(ctx context.Context, role identity.RoleSpec, owner cloud.Owner) (bool, error) {
	o, err := identity.NewRemovedRole(d.clients.IAM, owner, role).Observe(ctx)
	if cloud.IsDenied(err) { // the blueprint's policy does not name it
		return false, nil
	}
	return o.Exists, err
}

func (d awsDiscovery) karpenterPools(ctx context.Context, cluster *controlplane.Cluster, all bool) ([]string, error) {
	return karpenter.Discover(ctx, cluster, all)
}

func (d awsDiscovery) volumes(ctx context.Context, cluster string) ([]string, error) {
	return addons.DiscoverVolumes(ctx, d.clients.EC2, cluster)
}

func (d awsDiscovery) buckets(ctx context.Context, owner cloud.Owner, region string) ([]string, error) {
	return modelstore.Owned(ctx, d.clients.S3, owner, region)
}

// imagination asks nobody. It imagines one of each kind that a blueprint may have
// had once, so that the graph has everything that a command may have to remove.
type imagination struct{ site cloud.Site }

func (i imagination) layout(_ context.Context, b *blueprints.Blueprint, _ bool) (network.Layout, error) {
	return network.AnyZones(b), nil
}

func (i imagination) network(context.Context, string) (blueprints.Network, error) {
	return blueprints.Network{}, nil
}

func (i imagination) admins(context.Context, *controlplane.Cluster) ([]string, error) {
	return []string{i.site.IAM("role/removed")}, nil
}

func (i imagination) pools(context.Context, *controlplane.Cluster) ([]string, error) {
	return []string{"removed"}, nil
}

func (i imagination) addons(context.Context, *controlplane.Cluster, ...string) ([]string, error) {
	return []string{"removed"}, nil
}

func (i imagination) releases(context.Context, *controlplane.Cluster) ([]addons.ReleaseName, error) {
	return nil, nil // Kubernetes' affair
}

func (i imagination) services(context.Context, *controlplane.Cluster) ([]string, error) {
	return []string{"removed"}, nil
}

func (i imagination) servingRoles(context.Context, *blueprints.Blueprint) ([]string, error) {
	return []string{"serving-removed"}, nil
}

func (i imagination) karpenter(context.Context, identity.RoleSpec, cloud.Owner) (bool, error) {
	return false, nil // who goes from Karpenter to another keeps the policy until it is gone
}

func (i imagination) karpenterPools(context.Context, *controlplane.Cluster, bool) ([]string, error) {
	return nil, nil // Kubernetes' affair
}

func (i imagination) volumes(context.Context, string) ([]string, error) {
	return []string{"removed"}, nil
}

func (i imagination) buckets(context.Context, cloud.Owner, string) ([]string, error) {
	return nil, nil // the blueprint names the one there is
}
