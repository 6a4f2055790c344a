package eks

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/kube"
	"aicluster/e2e/localcloud/wire"
)

// maxClusters is the default quota "Clusters" (L-1194D53C).
const maxClusters = 100

// cluster is one EKS cluster; its fields are guarded by [Service].mu.
type cluster struct {
	key     clusterKey
	data    types.Cluster // as DescribeCluster shows it
	creator string        // ARN of the principal that made it
	selfCNI bool          // bootstrapSelfManagedAddons

	plane      *kube.ControlPlane // nil until started
	group      string             // the cluster security group
	interfaces []string           // of the control plane

	updates      []*update
	nodegroups   map[string]*nodegroup
	addons       map[string]*addon
	entries      map[string]*entry
	associations map[string]*types.PodIdentityAssociation
	nodes        map[string]string // node name by instance id

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
	old := s.clusters[clusterKey{region, *in.Name}]
	switch {
	case old != nil && deref(in.ClientRequestToken) != "" && deref(old.data.ClientRequestToken) == *in.ClientRequestToken:
		return &eks.CreateClusterOutput{Cluster: old.output()}, nil
	case old != nil:
		return nil, inUse(*in.Name, "", "Cluster already exists with name: %s", *in.Name)
	case s.countIn(region) >= maxClusters:
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
	name, minor := *in.Name, or(in.Version, defaultVersion)
	v, ok := findVersion(minor)
	if !ok || v.status(time.Now()) == types.VersionStatusUnsupported {
		return nil, nil, invalidParameter(name, "", "unsupported Kubernetes version %s", minor)
	}
	if err := s.checkClusterRole(name, *in.RoleArn); err != nil {
		return nil, nil, err
	}
	vpc := in.ResourcesVpcConfig
	subnets, err := s.checkSubnets(region, name, vpc.SubnetIds)
	if err != nil {
		return nil, nil, err
	}
	if len(vpc.SecurityGroupIds) > 4 {
		return nil, nil, invalidParameter(name, "", "The number of security groups must be at most 4")
	}
	if err := s.checkSecurityGroups(region, name, vpc.SecurityGroupIds); err != nil {
		return nil, nil, err
	}
	if err := checkEndpoints(name, vpc); err != nil {
		return nil, nil, err
	}
	serviceCIDR, err := serviceRange(name, in.KubernetesNetworkConfig, subnets)
	if err != nil {
		return nil, nil, err
	}
	id := strings.ToUpper(short(32))
	c := &cluster{
		key: clusterKey{region, name}, creator: principal(caller), selfCNI: orBool(in.BootstrapSelfManagedAddons, true),
		nodegroups: map[string]*nodegroup{}, addons: map[string]*addon{}, entries: map[string]*entry{},
		associations: map[string]*types.PodIdentityAssociation{}, nodes: map[string]string{},
		data: types.Cluster{
			Name: in.Name, Arn: aws.String(arn(region, "cluster/"+name)), CreatedAt: now(),
			ClientRequestToken: in.ClientRequestToken, RoleArn: in.RoleArn, Tags: maps.Clone(in.Tags),
			Version: &minor, PlatformVersion: aws.String(v.platform), Status: types.ClusterStatusCreating,
			CertificateAuthority: &types.Certificate{}, DeletionProtection: aws.Bool(deref(in.DeletionProtection)),
			EncryptionConfig: in.EncryptionConfig, Health: &types.ClusterHealth{Issues: []types.ClusterIssue{}},
			Identity: &types.Identity{Oidc: &types.OIDC{Issuer: aws.String(fmt.Sprintf("https://oidc.eks.%s.amazonaws.com/id/%s", region, id))}},
			KubernetesNetworkConfig: &types.KubernetesNetworkConfigResponse{
				IpFamily: types.IpFamilyIpv4, ServiceIpv4Cidr: &serviceCIDR, ElasticLoadBalancing: &types.ElasticLoadBalancing{Enabled: aws.Bool(false)},
			},
			Logging: logging(nil, in.Logging),
			ResourcesVpcConfig: &types.VpcConfigResponse{
				EndpointPrivateAccess: deref(vpc.EndpointPrivateAccess), EndpointPublicAccess: orBool(vpc.EndpointPublicAccess, true),
				PublicAccessCidrs: cidrs(vpc), SecurityGroupIds: vpc.SecurityGroupIds, SubnetIds: vpc.SubnetIds, VpcId: aws.String(subnets[0].VPC),
			},
			UpgradePolicy: &types.UpgradePolicyResponse{SupportType: types.SupportTypeExtended},
			AccessConfig: &types.AccessConfigResponse{
				AuthenticationMode: types.AuthenticationModeConfigMap, BootstrapClusterCreatorAdminPermissions: aws.Bool(true),
			},
		},
	}
	if p := in.UpgradePolicy; p != nil && p.SupportType != "" {
		c.data.UpgradePolicy.SupportType = p.SupportType
	}
	if v.status(time.Now()) == types.VersionStatusExtendedSupport && c.data.UpgradePolicy.SupportType == types.SupportTypeStandard {
		return nil, nil, invalidParameter(name, "", "unsupported Kubernetes version %s for support type STANDARD", minor)
	}
	if a := in.AccessConfig; a != nil {
		if a.AuthenticationMode != "" {
			c.data.AccessConfig.AuthenticationMode = a.AuthenticationMode
		}
		c.data.AccessConfig.BootstrapClusterCreatorAdminPermissions = aws.Bool(orBool(a.BootstrapClusterCreatorAdminPermissions, true))
	}
	return c, subnets, nil
}

// checkClusterRole refuses a role that EKS could not work with, in the words
// that the Terraform AWS provider waits on while IAM propagates.
func (s *Service) checkClusterRole(cluster, roleARN string) error {
	role, ok := s.opts.IAM.Role(roleARN)
	// Created is in whole seconds.
	fresh := ok && time.Since(role.Created) < s.clock.Duration(clock.IAMPropagation)+time.Second
	switch {
	case !ok || fresh && !s.opts.IAM.Propagated(roleARN):
		return invalidParameter(cluster, "", "Role with arn: %s, could not be assumed because it does not exist or the trusted entity is not correct", roleARN)
	case !role.Trusts("eks.amazonaws.com"):
		return invalidParameter(cluster, "", "Role could not be assumed because the trusted entity is not correct")
	case !role.HasPolicy("AmazonEKSClusterPolicy") || !s.opts.IAM.Propagated(roleARN):
		return invalidParameter(cluster, "", "The provided role doesn't have the Amazon EKS Managed Policies associated with it. Please ensure the following policies [arn:aws:iam::aws:policy/AmazonEKSClusterPolicy] are attached ")
	}
	return nil
}

// barredZones have no EKS control plane
// (https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html).
func barredZones() []string { return []string{"use1-az3", "usw1-az2", "cac1-az3"} }

// checkSubnets returns the subnets of a control plane.
func (s *Service) checkSubnets(region, cluster string, ids []string) ([]ec2.Subnet, error) {
	if len(ids) == 0 {
		return nil, invalidParameter(cluster, "", "Subnets specified must be in at least two different AZs")
	}
	subnets, err := s.opts.EC2.Subnets(region, ids)
	if err != nil {
		return nil, invalidParameter(cluster, "", "The subnet ID '%s' does not exist (Service: Ec2, Status Code: 400)", strings.Join(missingIn(err, ids), ","))
	}
	zones := map[string]bool{}
	for _, sn := range subnets {
		if sn.VPC != subnets[0].VPC {
			return nil, invalidParameter(cluster, "", "Subnets provided must belong to the same VPC")
		}
		if slices.Contains(barredZones(), sn.ZoneID) {
			valid := s.validZones(region)
			return nil, &types.UnsupportedAvailabilityZoneException{
				ClusterName: &cluster, ValidZones: valid,
				Message: aws.String(fmt.Sprintf("Cannot create cluster '%s' because %s, the targeted Availability Zone, does not currently have sufficient capacity to support the cluster. Retry and choose from these Availability Zones: %s",
					cluster, sn.Zone, strings.Join(valid, ", "))),
			}
		}
		zones[sn.Zone] = true
	}
	if len(zones) < 2 {
		return nil, invalidParameter(cluster, "", "Subnets specified must be in at least two different AZs")
	}
	for _, sn := range subnets {
		if sn.Available < 6 { // network-reqs: "at least six IP addresses for use by Amazon EKS"
			return nil, invalidParameter(cluster, "", "Subnet %s does not have enough free IP addresses. At least 6 are needed", sn.ID)
		}
	}
	return subnets, nil
}

// missingIn picks the ids that the error names.
func missingIn(err error, ids []string) []string {
	var missing []string
	for _, id := range ids {
		if strings.Contains(err.Error(), id) {
			missing = append(missing, id)
		}
	}
	return missing
}

func checkEndpoints(cluster string, vpc *types.VpcConfigRequest) error {
	if !orBool(vpc.EndpointPublicAccess, true) {
		if !deref(vpc.EndpointPrivateAccess) {
			return invalidParameter(cluster, "", "Private and public endpoint access cannot be false")
		}
		if len(vpc.PublicAccessCidrs) > 0 {
			return invalidParameter(cluster, "", "Public endpoint restrictions cannot be set when public endpoint access is disabled")
		}
	}
	if len(vpc.PublicAccessCidrs) > 40 {
		return invalidParameter(cluster, "", "The number of public access CIDRs must be at most 40")
	}
	for _, cidr := range vpc.PublicAccessCidrs {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			return invalidParameter(cluster, "", "%s is not a valid CIDR", cidr)
		}
	}
	return nil
}

func cidrs(vpc *types.VpcConfigRequest) []string {
	switch {
	case !orBool(vpc.EndpointPublicAccess, true):
		return []string{}
	case len(vpc.PublicAccessCidrs) == 0:
		return []string{"0.0.0.0/0"}
	}
	return slices.Clone(vpc.PublicAccessCidrs)
}

// serviceRange is the range of service addresses: one that was asked for, or
// 172.20.0.0/16 when the VPC lies in 10.0.0.0/8 and 10.100.0.0/16 otherwise.
func serviceRange(cluster string, config *types.KubernetesNetworkConfigRequest, subnets []ec2.Subnet) (string, error) {
	inTen := false
	var nets []netip.Prefix
	for _, sn := range subnets {
		if p, err := netip.ParsePrefix(sn.CIDR); err == nil {
			nets = append(nets, p)
			inTen = inTen || netip.MustParsePrefix("10.0.0.0/8").Contains(p.Addr())
		}
	}
	if config == nil || config.ServiceIpv4Cidr == nil {
		if inTen {
			return "172.20.0.0/16", nil
		}
		return "10.100.0.0/16", nil
	}
	cidr := *config.ServiceIpv4Cidr
	p, err := netip.ParsePrefix(cidr)
	private := false
	for _, r := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} {
		private = private || err == nil && netip.MustParsePrefix(r).Contains(p.Addr())
	}
	if !private || p.Bits() < 12 || p.Bits() > 24 {
		return "", invalidParameter(cluster, "", "The service CIDR %s is not valid: it must be between /24 and /12 within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16", cidr)
	}
	for _, n := range nets {
		if n.Overlaps(p) {
			return "", invalidParameter(cluster, "", "The service CIDR %s overlaps with the VPC's CIDR", cidr)
		}
	}
	return p.Masked().String(), nil
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
	switch {
	case c.data.Status == types.ClusterStatusDeleting:
		return &eks.DeleteClusterOutput{Cluster: c.output()}, nil
	case c.data.Status == types.ClusterStatusCreating:
		return nil, inUse(c.key.name, "", "Cannot delete because cluster currently has an update in progress")
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
