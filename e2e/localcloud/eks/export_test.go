package eks

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
)

// Limits that tests fill up.
const (
	MaxClusters        = maxClusters
	MaxNodegroups      = maxNodegroups
	MaxFargateProfiles = maxFargateProfiles
)

// Standing puts a cluster into the account without a control plane, for tests of
// what is refused before one is asked. The parts hang on it as they are.
type Standing struct {
	types.Cluster
	Nodegroups []types.Nodegroup
	Addons     []types.Addon
	Fargate    []string
}

// Put makes the cluster stand in a region.
func (s *Service) Put(region string, in Standing) {
	name := *in.Name
	c := &cluster{
		key: clusterKey{region, name}, data: in.Cluster, nodegroups: map[string]*nodegroup{}, addons: map[string]*addon{},
		fargate: map[string]*types.FargateProfile{}, fargateToken: map[string]string{}, entries: map[string]*entry{},
		associations: map[string]*types.PodIdentityAssociation{}, asked: map[string]request{}, nodes: map[string]string{}, guests: map[string]string{},
	}
	c.ctx, c.stop = context.WithCancel(s.ctx)
	c.data.Arn = aws.String(arn(region, "cluster/"+name))
	c.data.Tags, c.data.Health = map[string]string{}, &types.ClusterHealth{}
	if c.data.Status == "" {
		c.data.Status = types.ClusterStatusActive
	}
	if c.data.Version == nil {
		c.data.Version = aws.String("1.35")
	}
	if c.data.AccessConfig == nil {
		c.data.AccessConfig = &types.AccessConfigResponse{AuthenticationMode: types.AuthenticationModeApi}
	}
	if c.data.Logging == nil {
		c.data.Logging = logging(nil, nil)
	}
	for _, n := range in.Nodegroups {
		n.NodegroupArn, n.Tags, n.Health = aws.String(arn(region, "nodegroup/"+name+"/"+*n.NodegroupName+"/1")), map[string]string{}, &types.NodegroupHealth{}
		n.ScalingConfig = scaling(n.ScalingConfig)
		if n.Version == nil {
			n.Version = c.data.Version
		}
		done := make(chan struct{})
		close(done)
		c.nodegroups[*n.NodegroupName] = &nodegroup{data: n, ctx: c.ctx, stop: func() {}, done: done, started: time.Now()}
	}
	for _, a := range in.Addons {
		a.AddonArn, a.Health = aws.String(arn(region, "addon/"+name+"/"+*a.AddonName+"/1")), &types.AddonHealth{}
		c.addons[*a.AddonName] = &addon{data: a, ctx: c.ctx, stop: func() {}}
	}
	for _, name := range in.Fargate {
		c.fargate[name] = &types.FargateProfile{FargateProfileName: aws.String(name), FargateProfileArn: aws.String(arn(region, "fargateprofile/"+name)), Status: types.FargateProfileStatusActive}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clusters[c.key] = c
}

// Vanish takes away all clusters but those named.
func (s *Service) Vanish(but ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.clusters, func(k clusterKey, _ *cluster) bool { return !slices.Contains(but, k.name) })
}
