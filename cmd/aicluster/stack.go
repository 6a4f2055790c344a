package main

import (
	"context"
	"errors"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"aicluster/addons"
	"aicluster/addons/gpu"
	"aicluster/addons/karpenter"
	"aicluster/addons/serving"
	"aicluster/blueprints"
	"aicluster/nodepools"
	"aicluster/provision/cloud"
	"aicluster/provision/controlplane"
	"aicluster/provision/engine"
	"aicluster/provision/filesystem"
	"aicluster/provision/identity"
	"aicluster/provision/modelstore"
	"aicluster/provision/network"
)

// stack is what a cluster is made of. newStack is the table of contents: it
// says which resources there are and what each needs.
type stack struct {
	graph    *engine.Graph
	cluster  *controlplane.Cluster
	pools    []*nodepools.NodeGroup
	beyond   []*karpenter.Pool // what Karpenter starts for pools
	addons   []*addons.EKSAddon
	releases []*addons.Release
	checks   []*gpu.Check
	bucket   *modelstore.Bucket
	models   []*modelstore.Model
	services []*serving.Service // also those to be removed
}

// stackOptions are what the command line adds to a blueprint.
type stackOptions struct {
	teardown     bool   // stand on what exists; ask nothing about what could be made
	lost         bool   // the blueprint is made up, see lostBlueprint
	deleteModels bool   // the models bucket goes, too
	chartMirror  string // stands in for all chart repositories
}

// builder collects resources while newStack goes through the blueprint.
type builder struct {
	stack
	options   stackOptions
	blueprint *blueprints.Blueprint
	clients   *cloud.Clients
	discovery discovery
	owner     cloud.Owner

	all     []engine.Resource
	network *network.Network
	layout  network.Layout
	nodes   *identity.Role    // the role of all nodes
	forNode []engine.Resource // what every node group needs, beside its network
	groups  []engine.Resource // all node groups, also those to be removed
	system  []engine.Resource // the node groups on which pods without tolerations run

	removedGroups    map[string]*nodepools.Removed // of pools, by name
	removedKarpenter *removedKarpenter             // nil when it is there, or never was
	karpenter        *addons.Release               // nil when it is not wanted

	leaving   []needer          // ways in that are to go
	volumes   []*addons.Volume  // of claims, for a teardown
	daemons   []engine.Resource // add-ons that nodes need to become ready
	workloads []engine.Resource // what runs on the system nodes
	podID     *addons.EKSAddon  // gives pods their roles; nil when switched off
	dns       *addons.EKSAddon  // nil when switched off
	files     *filesystem.FileSystem
}

// newStack turns a blueprint into the graph of its cluster. It reads, from AWS,
// the zones to stand in and what exists that the blueprint does not name.
func newStack(ctx context.Context, clients *cloud.Clients, b *blueprints.Blueprint, o stackOptions) (*stack, error) {
	return newBuilder(clients, b, o).build(ctx)
}

// build makes the graph, step by step.
func (s *builder) build(ctx context.Context) (*stack, error) {
	for _, step := range []func(context.Context) error{
		s.addNetwork,
		s.addLiveVolumes,
		s.addControlPlane,
		s.addNodePools,
		s.addRemovedPools,
		s.addEKSAddons,
		s.addFileSystem,
		s.addReleases,
		s.addMonitoring,
		s.addKarpenter,
		s.addIngress,
		s.addRemovedAddons,
		s.addRemovedReleases,
		s.addChecks,
		s.addWorkloads,
		s.addModels,
		s.addServing,
		s.awaitMoved,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	var err error
	if s.graph, err = engine.NewGraph(s.all...); err != nil {
		return nil, err
	}
	return &s.stack, s.await()
}

// newModelStack is the part of a cluster that needs no cluster: the models.
func newModelStack(ctx context.Context, clients *cloud.Clients, b *blueprints.Blueprint) (*stack, error) {
	s := newBuilder(clients, b, stackOptions{})
	if err := s.addModels(ctx); err != nil {
		return nil, err
	}
	var err error
	s.graph, err = engine.NewGraph(s.all...)
	return &s.stack, err
}

func newBuilder(clients *cloud.Clients, b *blueprints.Blueprint, o stackOptions) *builder {
	return &builder{options: o, blueprint: b, clients: clients, discovery: awsDiscovery{clients}, owner: cloud.Owner{Cluster: b.Metadata.Name, Extra: b.Metadata.Tags},
		removedGroups: map[string]*nodepools.Removed{}}
}

func (s *builder) add(resources ...engine.Resource) { s.all = append(s.all, resources...) }

// addNetwork: the VPC, its subnets and gateways, and the way to S3.
func (s *builder) addNetwork(ctx context.Context) error {
	var err error
	if s.layout, err = s.discovery.layout(ctx, s.blueprint, s.options.teardown); err != nil {
		return err
	}
	if s.options.lost && len(s.layout.Zones) == 0 { // it may stand in somebody's VPC
		live, err := s.discovery.network(ctx, s.owner.Cluster)
		if err != nil {
			return err
		}
		if live.VPCID != "" {
			s.blueprint.Network = live
		}
	}
	s.network = network.New(s.clients.EC2, balancerAPI(s.clients), s.owner, s.blueprint, s.layout)
	s.add(s.network.Resources()...)
	return nil
}

// balancerAPI is Elastic Load Balancing of both generations.
func balancerAPI(c *cloud.Clients) network.LoadBalancerAPI {
	return network.LoadBalancerAPI{V2: c.ELB, Classic: c.ClassicELB}
}

// addControlPlane: its role, its log group, the cluster, and who may use it.
func (s *builder) addControlPlane(ctx context.Context) error {
	role := identity.NewRole(s.clients.IAM, s.owner, identity.ClusterRole(s.blueprint))
	linked := identity.NewServiceLinkedRole(s.clients.IAM, "eks.amazonaws.com")
	logs := controlplane.NewLogGroup(s.clients.Logs, s.clients.EKS, s.owner, s.blueprint)
	needs := append([]engine.Resource{role, linked, logs}, s.network.ClusterNeeds()...)
	for _, v := range s.volumes { // they go once no node holds them
		needs = append(needs, v)
	}
	s.cluster = controlplane.New(s.clients.EKS, s.owner, s.blueprint, role, s.network, s.clients.TokenTransport, needs...)
	s.add(role, linked, logs, s.cluster)

	for _, admin := range s.blueprint.Cluster.Admins {
		s.add(controlplane.NewAccessEntry(s.cluster, admin))
	}
	live, err := s.discovery.admins(ctx, s.cluster)
	if err != nil {
		return err
	}
	for _, admin := range live {
		if !slices.Contains(s.blueprint.Cluster.Admins, admin) {
			s.add(controlplane.NewRemovedAccessEntry(s.cluster, admin))
		}
	}
	return nil
}

// addNodePools: for each pool a launch template and a node group. Of a pool that
// Karpenter serves only the fewest nodes are the group's.
func (s *builder) addNodePools(context.Context) error {
	s.nodes = identity.NewRole(s.clients.IAM, s.owner, identity.NodeRole(s.blueprint))
	s.forNode = []engine.Resource{s.nodes}
	for _, service := range s.nodeServices() {
		s.forNode = append(s.forNode, identity.NewServiceLinkedRole(s.clients.IAM, service))
	}
	s.add(s.forNode...)
	for _, pool := range s.blueprint.NodePools {
		if s.blueprint.BeyondMin(&pool) > 0 { // the rest is Karpenter's
			if pool.Nodes.Min == 0 {
				continue
			}
			pool.Nodes.Max = pool.Nodes.Min
		}
		zones := s.layout.PoolZones[pool.Name]
		var leftOut []string
		if types := s.layout.PoolTypes[pool.Name]; len(types) > 0 {
			leftOut = slices.DeleteFunc(slices.Clone(pool.InstanceTypes), func(t string) bool { return slices.Contains(types, t) })
			pool.InstanceTypes = types
		}
		template := nodepools.NewLaunchTemplate(s.clients.EC2, s.owner, pool)
		group := nodepools.NewNodeGroup(s.clients.EKS, s.clients.AutoScaling, s.owner, pool, s.cluster, template, s.nodes, s.network, zones,
			slices.Concat(s.forNode, s.network.NodeNeeds(zones...))...)
		group.LeftOut, group.ReadyNodes = leftOut, s.readyNodes
		s.add(template, group)
		s.pools = append(s.pools, group)
		s.groups = append(s.groups, group)
		if len(pool.Taints) == 0 {
			s.system = append(s.system, group)
		}
	}
	return nil
}

// readyNodes counts a pool's nodes that Kubernetes calls ready.
func (s *builder) readyNodes(ctx context.Context, pool string) (int, error) {
	nodes, err := listNodes(ctx, s.cluster)
	return len(slices.DeleteFunc(nodes, func(n corev1.Node) bool { return !ready(n) || blueprints.PoolOf(n.Labels) != pool })), err
}

// nodeServices are the AWS services that act for node groups by a role of their own.
func (s *builder) nodeServices() []string {
	services := []string{"eks-nodegroup.amazonaws.com", "autoscaling.amazonaws.com"}
	spot := slices.ContainsFunc(s.blueprint.NodePools, func(p blueprints.NodePool) bool { return p.Capacity == blueprints.Spot })
	if spot || s.options.teardown { // a spot pool may have been taken out since; the receipt tells what stays of it
		services = append(services, "spot.amazonaws.com")
	}
	return services
}

// addChecks: the proof, for each pool with GPUs, that Kubernetes can use them.
func (s *builder) addChecks(context.Context) error {
	for _, pool := range s.blueprint.NodePools {
		if pool.GPUs() == 0 {
			continue
		}
		needs := s.makers(pool.Name)
		for _, r := range s.releases {
			if r.ID() == "addon/gpu-operator" {
				needs = append(needs, r)
			}
		}
		c := gpu.NewCheck(s.cluster, s.blueprint, pool, needs...)
		s.add(c)
		s.checks = append(s.checks, c)
	}
	return nil
}

// addWorkloads: what users put on the cluster and what would outlive it. It goes
// first, while everything that it takes to remove it still runs.
func (s *builder) addWorkloads(context.Context) error {
	needs := slices.Concat(s.daemons, s.workloads, s.groups)
	for _, pool := range s.beyond {
		needs = append(needs, pool)
	}
	s.add(addons.NewWorkloads(s.cluster, needs...))
	return nil
}

// addModels: the bucket and the weights in it. They need no cluster.
func (s *builder) addModels(ctx context.Context) error {
	if s.options.teardown {
		if err := s.addFoundBuckets(ctx); err != nil {
			return err
		}
	}
	if s.blueprint.Models == nil {
		return nil
	}
	s.bucket = modelstore.NewBucket(s.clients.S3, s.owner, s.blueprint)
	s.bucket.DeleteModels = s.options.deleteModels
	s.add(s.bucket)
	for _, seed := range s.blueprint.Models.Seed {
		m := modelstore.NewModel(s.bucket, seed, s.blueprint.Dir)
		s.add(m)
		s.models = append(s.models, m)
	}
	return nil
}

// await says what comes up side by side although one cannot finish without the
// other: nodes become ready only with the network add-ons, and the pods of
// add-ons and charts run only once there are nodes for them. Teardown goes by
// the same order: charts before nodes, nodes before the network add-ons.
func (s *builder) await() error {
	var errs []error
	for _, r := range s.daemons {
		for _, group := range s.groups {
			errs = append(errs, s.graph.Await(group, r))
		}
	}
	for _, r := range s.workloads {
		errs = append(errs, s.graph.Await(r, s.system...))
	}
	errs = append(errs, s.awaitScalers())
	return errors.Join(errs...)
}
