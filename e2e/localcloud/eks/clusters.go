package eks

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	corelisters "k8s.io/client-go/listers/core/v1"

	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/kube"
	"aicluster/e2e/localcloud/traffic"
	"aicluster/e2e/localcloud/wire"
)

// maxClusters is the default quota "Clusters" (L-1194D53C).
const maxClusters = 100

// Codes of the quotas of EKS (Service Quotas console).
const (
	quotaClusters   = "L-1194D53C"
	quotaNodegroups = "L-6D54EA21" // managed node groups per cluster
)

// quota is what the account has of a quota.
func (s *Service) quota(region, code string, standard int) int {
	if n, ok := s.opts.Faults.Quota(region, code); ok {
		return n
	}
	return standard
}

// cluster is one EKS cluster; its fields are guarded by [Service].mu.
type cluster struct {
	key     clusterKey
	data    types.Cluster // as DescribeCluster shows it
	creator string        // ARN of the principal that made it
	request request       // that made it
	selfCNI bool          // bootstrapSelfManagedAddons

	plane      *kube.ControlPlane     // nil until started
	kubeNodes  corelisters.NodeLister // of the plane; nil until started
	network    *traffic.Network
	group      string   // the cluster security group
	interfaces []string // of the control plane

	updates      []*update
	nodegroups   map[string]*nodegroup
	addons       map[string]*addon
	fargate      map[string]*types.FargateProfile
	fargateToken map[string]string // by profile: the request token that made it
	entries      map[string]*entry
	associations map[string]*types.PodIdentityAssociation
	asked        map[string]request // that made the associations
	nodes        map[string]string  // node name by instance id
	guests       map[string]string  // role name by instance id, of nodes of no node group

	ctx  context.Context // ends when the cluster is deleted or the service closes
	stop context.CancelFunc
	work sync.WaitGroup // everything that runs for this cluster
}

// cluster finds a cluster; s.mu is held.
func (s *Service) cluster(region string, name *string) (*cluster, error) {
	if c, ok := s.clusters[clusterKey{region, deref(name)}]; ok {
		return c, nil
	}
	return nil, noCluster(deref(name))
}

// active finds a cluster whose control plane can be worked with; s.mu is held.
func (s *Service) active(region string, name *string) (*cluster, error) {
	c, err := s.cluster(region, name)
	if err != nil {
		return nil, err
	}
	if c.data.Status != types.ClusterStatusActive && c.data.Status != types.ClusterStatusUpdating {
		return nil, invalidRequest(c.key.name, "", "Cluster '%s' is not in ACTIVE status", c.key.name)
	}
	return c, nil
}

// output is a copy to answer with.
func (c *cluster) output() *types.Cluster {
	out := c.data
	out.Tags = maps.Clone(c.data.Tags)
	return &out
}

// CreateCluster makes a cluster: CREATING until its control plane runs.
func (s *Service) CreateCluster(ctx context.Context, in *eks.CreateClusterInput) (*eks.CreateClusterOutput, error) {
	region, name := wire.Region(ctx), *in.Name
	if out, err := s.existing(region, in); out != nil || err != nil {
		return out, err
	}
	c, subnets, err := s.newCluster(region, wire.CallerOf(ctx).ARN, in)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clusters[c.key] != nil {
		return nil, inUse(name, "", "Cluster already exists with name: %s", name)
	}
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	c.ctx, c.stop = context.WithCancel(s.ctx)
	s.clusters[c.key] = c
	s.work.Go(func() { s.create(c, subnets) })
	return &eks.CreateClusterOutput{Cluster: c.output()}, nil
}

// existing answers a request for a cluster that there is already: the same
// answer for the same client token, a refusal otherwise.
func (s *Service) existing(region string, in *eks.CreateClusterInput) (*eks.CreateClusterOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.clusters[clusterKey{region, *in.Name}]; old != nil {
		if again, err := old.request.again(requestOf(in.ClientRequestToken, in), *in.Name, ""); again || err != nil {
			return &eks.CreateClusterOutput{Cluster: old.output()}, err
		}
		return nil, inUse(*in.Name, "", "Cluster already exists with name: %s", *in.Name)
	}
	if s.countIn(region) >= s.quota(region, quotaClusters, maxClusters) { // words not found
		return nil, limitExceeded("Maximum cluster limit reached for account")
	}
	return nil, nil
}

// countIn counts a region's clusters; s.mu is held.
func (s *Service) countIn(region string) (n int) {
	for key := range s.clusters {
		if key.region == region {
			n++
		}
	}
	return n
}

// newCluster checks a request and makes the cluster of it.
func (s *Service) newCluster(region, caller string, in *eks.CreateClusterInput) (*cluster, []ec2.Subnet, error) {
	name, vpc := *in.Name, in.ResourcesVpcConfig
	if err := checkNewTags(name, "", in.Tags); err != nil {
		return nil, nil, err
	}
	if err := checkAccess(name, in.AccessConfig); err != nil {
		return nil, nil, err
	}
	v, support, err := checkVersion(in)
	if err != nil {
		return nil, nil, err
	}
	if err := s.checkClusterRole(name, *in.RoleArn); err != nil {
		return nil, nil, err
	}
	subnets, err := s.checkSubnets(region, name, vpc.SubnetIds)
	if err != nil {
		return nil, nil, err
	}
	if err := s.checkSecurityGroups(region, name, vpc.SecurityGroupIds); err != nil {
		return nil, nil, err
	}
	if err := checkEndpoints(name, vpc); err != nil {
		return nil, nil, err
	}
	serviceCIDR, err := serviceRange(name, in.KubernetesNetworkConfig, s.rangesOf(region, subnets[0].VPC))
	if err != nil {
		return nil, nil, err
	}
	issuer := fmt.Sprintf("https://oidc.eks.%s.amazonaws.com/id/%s", region, strings.ToUpper(short(32)))
	return &cluster{
		key: clusterKey{region, name}, creator: principal(caller), selfCNI: orBool(in.BootstrapSelfManagedAddons, true), request: requestOf(in.ClientRequestToken, in),
		network: s.newNetwork(), nodegroups: map[string]*nodegroup{}, addons: map[string]*addon{}, entries: map[string]*entry{}, fargate: map[string]*types.FargateProfile{}, fargateToken: map[string]string{},
		associations: map[string]*types.PodIdentityAssociation{}, asked: map[string]request{}, nodes: map[string]string{}, guests: map[string]string{},
		data: types.Cluster{
			Name: in.Name, Arn: aws.String(arn(region, "cluster/"+name)), CreatedAt: now(),
			ClientRequestToken: in.ClientRequestToken, RoleArn: in.RoleArn, Tags: maps.Clone(in.Tags),
			Version: aws.String(v.minor), PlatformVersion: aws.String(v.platform), Status: types.ClusterStatusCreating,
			CertificateAuthority: &types.Certificate{}, DeletionProtection: aws.Bool(deref(in.DeletionProtection)),
			EncryptionConfig: in.EncryptionConfig, Health: &types.ClusterHealth{Issues: []types.ClusterIssue{}},
			Identity: &types.Identity{Oidc: &types.OIDC{Issuer: aws.String(issuer)}}, Logging: logging(nil, in.Logging),
			KubernetesNetworkConfig: &types.KubernetesNetworkConfigResponse{
				IpFamily: types.IpFamilyIpv4, ServiceIpv4Cidr: &serviceCIDR, ElasticLoadBalancing: &types.ElasticLoadBalancing{Enabled: aws.Bool(false)},
			},
			ResourcesVpcConfig: &types.VpcConfigResponse{
				EndpointPrivateAccess: deref(vpc.EndpointPrivateAccess), EndpointPublicAccess: orBool(vpc.EndpointPublicAccess, true),
				PublicAccessCidrs: cidrs(vpc), SecurityGroupIds: vpc.SecurityGroupIds, SubnetIds: vpc.SubnetIds, VpcId: aws.String(subnets[0].VPC),
			},
			UpgradePolicy: &types.UpgradePolicyResponse{SupportType: support}, AccessConfig: accessConfig(in.AccessConfig),
		},
	}, subnets, nil
}

// checkVersion finds the version that a request means, and refuses one that its
// support type does not cover.
func checkVersion(in *eks.CreateClusterInput) (version, types.SupportType, error) {
	minor, support := or(in.Version, defaultVersion), types.SupportTypeExtended
	if p := in.UpgradePolicy; p != nil && p.SupportType != "" {
		support = p.SupportType
	}
	v, ok := findVersion(minor)
	status := types.VersionStatusUnsupported
	if ok {
		status = v.status(time.Now())
	}
	if status == types.VersionStatusUnsupported {
		return v, support, invalidParameter(*in.Name, "", "unsupported Kubernetes version %s", minor)
	}
	if status == types.VersionStatusExtendedSupport && support == types.SupportTypeStandard {
		return v, support, invalidParameter(*in.Name, "", "unsupported Kubernetes version %s for support type STANDARD", minor)
	}
	return v, support, nil
}

// accessConfig fills in what a request leaves out.
func accessConfig(in *types.CreateAccessConfigRequest) *types.AccessConfigResponse {
	out := &types.AccessConfigResponse{AuthenticationMode: types.AuthenticationModeConfigMap, BootstrapClusterCreatorAdminPermissions: aws.Bool(true)}
	if in == nil {
		return out
	}
	if in.AuthenticationMode != "" {
		out.AuthenticationMode = in.AuthenticationMode
	}
	out.BootstrapClusterCreatorAdminPermissions = aws.Bool(orBool(in.BootstrapClusterCreatorAdminPermissions, true))
	return out
}

// logging merges a request into what is enabled: the answer always names all
// five types.
func logging(have, in *types.Logging) *types.Logging {
	on := map[types.LogType]bool{}
	for _, l := range []*types.Logging{have, in} {
		if l == nil {
			continue
		}
		for _, setup := range l.ClusterLogging {
			for _, t := range setup.Types {
				on[t] = deref(setup.Enabled)
			}
		}
	}
	var enabled, disabled []types.LogType
	for _, t := range types.LogType("").Values() {
		if on[t] {
			enabled = append(enabled, t)
		} else {
			disabled = append(disabled, t)
		}
	}
	out := &types.Logging{}
	if len(enabled) > 0 {
		out.ClusterLogging = append(out.ClusterLogging, types.LogSetup{Enabled: aws.Bool(true), Types: enabled})
	}
	if len(disabled) > 0 {
		out.ClusterLogging = append(out.ClusterLogging, types.LogSetup{Enabled: aws.Bool(false), Types: disabled})
	}
	return out
}

// logs says whether any control plane log is on.
func logs(l *types.Logging) bool {
	return slices.ContainsFunc(l.ClusterLogging, func(s types.LogSetup) bool { return deref(s.Enabled) })
}

// DescribeCluster shows one cluster.
func (s *Service) DescribeCluster(ctx context.Context, in *eks.DescribeClusterInput) (*eks.DescribeClusterOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.cluster(wire.Region(ctx), in.Name)
	if err != nil {
		return nil, err
	}
	return &eks.DescribeClusterOutput{Cluster: c.output()}, nil
}

// ListClusters lists the names of the region's clusters.
func (s *Service) ListClusters(ctx context.Context, _ *eks.ListClustersInput) (*eks.ListClustersOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &eks.ListClustersOutput{}
	for key := range s.clusters {
		if key.region == wire.Region(ctx) {
			out.Clusters = append(out.Clusters, key.name)
		}
	}
	slices.Sort(out.Clusters)
	return out, nil
}

// DeleteCluster takes a cluster without node groups away.
func (s *Service) DeleteCluster(ctx context.Context, in *eks.DeleteClusterInput) (*eks.DeleteClusterOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.cluster(wire.Region(ctx), in.Name)
	if err != nil {
		return nil, err
	}
	if names := sortedKeys(c.nodegroups); len(names) > 0 {
		return nil, inUse(c.key.name, names[0], "Cluster has nodegroups attached")
	}
	if len(c.fargate) > 0 { // kubernetes-sigs/cluster-api-provider-aws#4728
		return nil, inUse(c.key.name, "", "Cluster has Fargate Profiles in ACTIVE/CREATING state")
	}
	switch {
	case c.data.Status == types.ClusterStatusDeleting:
		return &eks.DeleteClusterOutput{Cluster: c.output()}, nil
	case c.data.Status == types.ClusterStatusCreating:
		return nil, inUse(c.key.name, "", "Cannot delete because cluster currently has an update in progress")
	// The user guide (clusters/deletion-protection) has code and states; words not found.
	case deref(c.data.DeletionProtection) && c.data.Status == types.ClusterStatusActive:
		return nil, invalidRequest(c.key.name, "", "Cannot delete cluster '%s' because deletion protection is enabled. Disable deletion protection before you delete the cluster", c.key.name)
	case c.data.Status == types.ClusterStatusUpdating:
		return nil, inUse(c.key.name, "", "Cannot delete because cluster currently has an update in progress")
	}
	c.data.Status = types.ClusterStatusDeleting
	if s.ctx.Err() == nil {
		s.work.Go(func() { s.delete(c) })
	}
	return &eks.DeleteClusterOutput{Cluster: c.output()}, nil
}
