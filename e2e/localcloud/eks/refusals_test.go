package eks_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	ekssdk "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/eks"
)

// refusal is one thing that EKS refuses: status, code and words.
type refusal struct {
	name   string
	err    error
	status int
	code   string
	words  string
}

const (
	badParameter = "InvalidParameterException"
	badRequest   = "InvalidRequestException"
	inUse        = "ResourceInUseException"
	noSuch       = "ResourceNotFoundException"
	overLimit    = "ResourceLimitExceededException"
)

func checkRefusals(t *testing.T, list []refusal) {
	t.Helper()
	seen := map[string]bool{}
	for _, r := range list {
		if seen[r.name] {
			t.Errorf("two rows are called %q", r.name)
		}
		seen[r.name] = true
		t.Run(r.name, func(t *testing.T) { awstest.Fails(t, r.err, r.status, r.code, r.words) })
	}
}

// settledAccount is an account whose roles IAM has spread.
func settledAccount(t *testing.T) *account {
	a := newAccount(t)
	a.role("pod", "pods.eks.amazonaws.com")
	a.role("fargate", "eks-fargate-pods.amazonaws.com")
	time.Sleep(clock.New(600).Duration(clock.IAMPropagation) + 1100*time.Millisecond)
	return a
}

// put makes a cluster stand in the account's VPC.
func (a *account) put(name string, change func(*eks.Standing)) {
	a.t.Helper()
	subnets := must(a.compute.Subnets(region, a.subnets))(a.t)
	s := eks.Standing{Cluster: types.Cluster{Name: &name, ResourcesVpcConfig: &types.VpcConfigResponse{
		VpcId: &subnets[0].VPC, SubnetIds: a.subnets, EndpointPublicAccess: true, PublicAccessCidrs: []string{"0.0.0.0/0"},
	}}}
	if change != nil {
		change(&s)
	}
	a.service.Put(region, s)
}

// otherSubnets makes a VPC in another place of the network, in two zones of a region.
func (a *account) otherSubnets(client *ec2sdk.Client, cidr string, zones ...string) []string {
	ctx := a.t.Context()
	vpc := must(client.CreateVpc(ctx, &ec2sdk.CreateVpcInput{CidrBlock: aws.String(cidr + ".0.0/16")}))(a.t).Vpc.VpcId
	var ids []string
	for i, z := range zones {
		sn := must(client.CreateSubnet(ctx, &ec2sdk.CreateSubnetInput{VpcId: vpc, AvailabilityZone: aws.String(z), CidrBlock: aws.String(fmt.Sprintf("%s.%d.0/28", cidr, i))}))(a.t)
		ids = append(ids, *sn.Subnet.SubnetId)
	}
	return ids
}

// What EKS refuses of CreateCluster.
func TestRefusedClusters(t *testing.T) {
	a := newAccount(t)
	ctx := t.Context()
	create := func(change func(*ekssdk.CreateClusterInput)) error {
		in := a.clusterInput("c")
		change(in)
		_, err := a.eks.CreateCluster(ctx, in)
		return err
	}
	fresh := create(func(*ekssdk.CreateClusterInput) {})
	time.Sleep(clock.New(600).Duration(clock.IAMPropagation) + 1100*time.Millisecond)
	network := func(change func(*types.VpcConfigRequest)) error {
		return create(func(in *ekssdk.CreateClusterInput) { change(in.ResourcesVpcConfig) })
	}
	services := func(cidr string) error {
		return create(func(in *ekssdk.CreateClusterInput) {
			in.KubernetesNetworkConfig = &types.KubernetesNetworkConfigRequest{ServiceIpv4Cidr: &cidr}
		})
	}
	elsewhere := a.otherSubnets(a.ec2, "10.43", region+"a", region+"b")
	a.put("there", nil)
	a.role("bare", "eks.amazonaws.com")
	time.Sleep(1200 * time.Millisecond) // IAM's dates are in whole seconds
	virginia := func(in *ekssdk.Options) { in.Region = "us-east-1" }
	barred := func() error {
		ids := a.otherSubnets(ec2sdk.New(a.ec2.Options(), func(o *ec2sdk.Options) { o.Region = "us-east-1" }), "10.44", "us-east-1a", "us-east-1e")
		in := a.clusterInput("c")
		in.ResourcesVpcConfig.SubnetIds = ids
		_, err := a.eks.CreateCluster(ctx, in, virginia)
		return err
	}
	checkRefusals(t, []refusal{
		{"role that IAM has not spread", fresh, 400, badParameter, "does not exist"},
		{"role that is not there", create(func(in *ekssdk.CreateClusterInput) { in.RoleArn = aws.String("arn:aws:iam::111122223333:role/none") }), 400, badParameter, "does not exist"},
		{"role for others", create(func(in *ekssdk.CreateClusterInput) { in.RoleArn = aws.String(a.roles["stranger"]) }), 400, badParameter, "Role could not be assumed because the trusted entity is not correct"},
		{"role without the policy", create(func(in *ekssdk.CreateClusterInput) { in.RoleArn = aws.String(a.roles["bare"]) }), 400, badParameter, "The provided role doesn't have the Amazon EKS Managed Policies associated with it."},
		{"name", create(func(in *ekssdk.CreateClusterInput) { in.Name = aws.String("-c") }), 400, badParameter, "failed to satisfy constraint: Member must satisfy regular expression pattern"},
		{"name too long", create(func(in *ekssdk.CreateClusterInput) { in.Name = aws.String(strings.Repeat("c", 101)) }), 400, badParameter, "Member must have length less than or equal to 100"},
		{"name in use", create(func(in *ekssdk.CreateClusterInput) { in.Name = aws.String("there") }), 409, inUse, "Cluster already exists with name: there"},
		{"version", create(func(in *ekssdk.CreateClusterInput) { in.Version = aws.String("1.29") }), 400, badParameter, "unsupported Kubernetes version 1.29"},
		{"version past standard support", create(func(in *ekssdk.CreateClusterInput) {
			in.Version, in.UpgradePolicy = aws.String("1.32"), &types.UpgradePolicyRequest{SupportType: types.SupportTypeStandard}
		}), 400, badParameter, "unsupported Kubernetes version 1.32 for support type STANDARD"},
		{"one zone", network(func(v *types.VpcConfigRequest) { v.SubnetIds = a.subnets[:1] }), 400, badParameter, "Subnets specified must be in at least two different AZs"},
		{"no subnets", network(func(v *types.VpcConfigRequest) { v.SubnetIds = nil }), 400, badParameter, "Subnets specified must be in at least two different AZs"},
		{"subnet that is not there", network(func(v *types.VpcConfigRequest) { v.SubnetIds = []string{a.subnets[0], "subnet-0123456789abcdef0"} }), 400, badParameter, "The subnet ID 'subnet-0123456789abcdef0' does not exist"},
		{"two VPCs", network(func(v *types.VpcConfigRequest) { v.SubnetIds = []string{a.subnets[0], elsewhere[1]} }), 400, badParameter, "Subnets provided must belong to the same VPC"},
		{"security group that is not there", network(func(v *types.VpcConfigRequest) { v.SecurityGroupIds = []string{"sg-0123456789abcdef0"} }), 400, badParameter, "The security group 'sg-0123456789abcdef0' does not exist"},
		{"five security groups", network(func(v *types.VpcConfigRequest) { v.SecurityGroupIds = []string{"1", "2", "3", "4", "5"} }), 400, badParameter, "at most 4"},
		{"no endpoint", network(func(v *types.VpcConfigRequest) { v.EndpointPublicAccess = aws.Bool(false) }), 400, badParameter, "Private and public endpoint access cannot be false"},
		{"ranges of an endpoint that is off", network(func(v *types.VpcConfigRequest) {
			v.EndpointPublicAccess, v.EndpointPrivateAccess, v.PublicAccessCidrs = aws.Bool(false), aws.Bool(true), []string{"1.2.3.4/32"}
		}), 400, badParameter, "Public endpoint restrictions cannot be set when public endpoint access is disabled"},
		{"41 ranges", network(func(v *types.VpcConfigRequest) {
			for i := range 41 {
				v.PublicAccessCidrs = append(v.PublicAccessCidrs, fmt.Sprintf("1.2.3.%d/32", i))
			}
		}), 400, badParameter, "at most 40"},
		{"range that is none", network(func(v *types.VpcConfigRequest) { v.PublicAccessCidrs = []string{"1.2.3.4/33"} }), 400, badParameter, "The following CIDRs are invalid in publicAccessCidrs: [1.2.3.4/33]"},
		{"private range", network(func(v *types.VpcConfigRequest) { v.PublicAccessCidrs = []string{"1.2.3.4/32", "10.1.0.128/27"} }), 400, badParameter, "The following CIDRs are not allowed in publicAccessCidrs: [10.1.0.128/27]"},
		{"services in the VPC", services("10.42.128.0/20"), 400, badParameter, "overlaps with the VPC's CIDR"},
		{"services in public", services("8.8.8.0/24"), 400, badParameter, "is not valid"},
		{"few services", services("192.168.0.0/25"), 400, badParameter, "is not valid"},
		{"many services", services("10.0.0.0/11"), 400, badParameter, "is not valid"},
		{"creator shut out", create(func(in *ekssdk.CreateClusterInput) {
			in.AccessConfig = &types.CreateAccessConfigRequest{AuthenticationMode: types.AuthenticationModeConfigMap, BootstrapClusterCreatorAdminPermissions: aws.Bool(false)}
		}), 400, badParameter, "bootstrapClusterCreatorAdminPermissions must be true if cluster authentication mode is set to CONFIG_MAP"},
		{"tag of AWS", create(func(in *ekssdk.CreateClusterInput) { in.Tags = map[string]string{"AWS:x": "y"} }), 400, badParameter, "reserved for internal use"},
		{"log type", create(func(in *ekssdk.CreateClusterInput) {
			in.Logging = &types.Logging{ClusterLogging: []types.LogSetup{{Types: []types.LogType{"kubelet"}}}}
		}), 400, badParameter, "Member must satisfy enum value set"},
		{"zone without control planes", barred(), 400, "UnsupportedAvailabilityZoneException", "Cannot create cluster 'c' because us-east-1e, the targeted Availability Zone, does not currently have sufficient capacity to support the cluster."},
	})

	for i := range eks.MaxClusters {
		a.put(fmt.Sprint("full-", i), nil)
	}
	awstest.Fails(t, create(func(*ekssdk.CreateClusterInput) {}), 400, overLimit, "limit")
	a.service.Vanish()

	t.Run("few addresses", func(t *testing.T) {
		for range 8 { // a /28 has 11
			must(a.ec2.CreateNetworkInterface(ctx, &ec2sdk.CreateNetworkInterfaceInput{SubnetId: &elsewhere[0]}))(t)
		}
		awstest.Fails(t, network(func(v *types.VpcConfigRequest) { v.SubnetIds = elsewhere }), 400, badParameter, "does not have enough free IP addresses")
	})
}

// What EKS refuses of a cluster that is there.
func TestRefusedClusterChanges(t *testing.T) {
	a := settledAccount(t)
	ctx := t.Context()
	status := func(s types.ClusterStatus) func(*eks.Standing) { return func(c *eks.Standing) { c.Status = s } }
	a.put("idle", nil)
	a.put("new", status(types.ClusterStatusCreating))
	a.put("busy", status(types.ClusterStatusUpdating))
	a.put("shielded", func(c *eks.Standing) { c.DeletionProtection = aws.Bool(true) })
	a.put("staffed", func(c *eks.Standing) {
		c.Nodegroups = []types.Nodegroup{{NodegroupName: aws.String("workers"), Version: aws.String("1.34")}}
	})
	a.put("fargate", func(c *eks.Standing) { c.Fargate = []string{"p"} })
	a.put("old", func(c *eks.Standing) { c.Version = aws.String("1.32") })
	elsewhere := a.otherSubnets(a.ec2, "10.43", region+"a", region+"b")
	config := func(name string, in ekssdk.UpdateClusterConfigInput) error {
		in.Name = &name
		_, err := a.eks.UpdateClusterConfig(ctx, &in)
		return err
	}
	upgrade := func(name, version string) error {
		_, err := a.eks.UpdateClusterVersion(ctx, &ekssdk.UpdateClusterVersionInput{Name: &name, Version: &version})
		return err
	}
	remove := func(name string) error {
		_, err := a.eks.DeleteCluster(ctx, &ekssdk.DeleteClusterInput{Name: &name})
		return err
	}
	describe := func(name string) error {
		_, err := a.eks.DescribeCluster(ctx, &ekssdk.DescribeClusterInput{Name: &name})
		return err
	}
	update := func(id string) error {
		_, err := a.eks.DescribeUpdate(ctx, &ekssdk.DescribeUpdateInput{Name: aws.String("idle"), UpdateId: &id})
		return err
	}
	protection := ekssdk.UpdateClusterConfigInput{DeletionProtection: aws.Bool(true)}
	vpc := func(v types.VpcConfigRequest) ekssdk.UpdateClusterConfigInput {
		return ekssdk.UpdateClusterConfigInput{ResourcesVpcConfig: &v}
	}
	token := aws.String("one")
	must(a.eks.UpdateClusterConfig(ctx, &ekssdk.UpdateClusterConfigInput{Name: aws.String("old"), DeletionProtection: aws.Bool(true), ClientRequestToken: token}))(t)
	must(a.eks.UpdateClusterConfig(ctx, &ekssdk.UpdateClusterConfigInput{Name: aws.String("old"), DeletionProtection: aws.Bool(true), ClientRequestToken: token}))(t)
	checkRefusals(t, []refusal{
		{"describe nothing", describe("none"), 404, noSuch, "No cluster found for name: none."},
		{"update that is not there", update("1"), 404, noSuch, "No update found for ID: 1"},
		{"config of nothing", config("none", protection), 404, noSuch, "No cluster found for name: none."},
		{"config while creating", config("new", protection), 400, badRequest, "Cluster 'new' is not in ACTIVE status"},
		{"config while updating", config("busy", protection), 409, inUse, "because cluster currently has an update in progress"},
		{"two kinds at once", config("idle", ekssdk.UpdateClusterConfigInput{DeletionProtection: aws.Bool(true), UpgradePolicy: &types.UpgradePolicyRequest{SupportType: types.SupportTypeExtended}}), 400, badParameter, "Only one type of update can be allowed."},
		{"no kind", config("idle", ekssdk.UpdateClusterConfigInput{}), 400, badParameter, "No changes needed"},
		{"same logging", config("idle", ekssdk.UpdateClusterConfigInput{Logging: &types.Logging{ClusterLogging: []types.LogSetup{{Enabled: aws.Bool(false), Types: []types.LogType{types.LogTypeApi}}}}}), 400, badParameter, "No changes needed for the logging config provided"},
		{"same endpoint", config("idle", vpc(types.VpcConfigRequest{EndpointPublicAccess: aws.Bool(true)})), 400, badParameter, "Cluster is already at the desired configuration with endpointPrivateAccess: false , endpointPublicAccess: true, and Public Endpoint Restrictions: [0.0.0.0/0]"},
		{"no endpoint left", config("idle", vpc(types.VpcConfigRequest{EndpointPublicAccess: aws.Bool(false)})), 400, badParameter, "Private and public endpoint access cannot be false"},
		{"another VPC", config("idle", vpc(types.VpcConfigRequest{SubnetIds: elsewhere})), 400, badParameter, "Subnets provided must belong to the same VPC"},
		{"authentication back", config("idle", ekssdk.UpdateClusterConfigInput{AccessConfig: &types.UpdateAccessConfigRequest{AuthenticationMode: types.AuthenticationModeConfigMap}}), 400, badParameter, "Unsupported authentication mode update from API to CONFIG_MAP"},
		{"extended support off", config("old", ekssdk.UpdateClusterConfigInput{UpgradePolicy: &types.UpgradePolicyRequest{SupportType: types.SupportTypeStandard}}), 400, badParameter, "Extended support cannot be disabled"},
		{"same token, other parameters", config("old", ekssdk.UpdateClusterConfigInput{DeletionProtection: aws.Bool(false), ClientRequestToken: token}), 400, badParameter, "was used before with different parameters"},
		{"two minors", upgrade("old", "1.34"), 400, badParameter, "Unsupported Kubernetes minor version update from 1.32 to 1.34"},
		{"downgrade", upgrade("idle", "1.34"), 400, badParameter, "Unsupported Kubernetes minor version update from 1.35 to 1.34"},
		{"unknown version", upgrade("idle", "1.99"), 400, badParameter, "unsupported Kubernetes version 1.99"},
		{"upgrade while updating", upgrade("busy", "1.36"), 409, inUse, "Cannot VersionUpdate because cluster currently has an update in progress"},
		{"upgrade while creating", upgrade("new", "1.36"), 400, badRequest, "Cluster 'new' is not in ACTIVE status"},
		{"nodes left behind", upgrade("staffed", "1.36"), 400, badRequest, "must be updated to match cluster version 1.35 before updating cluster version"},
		{"delete nothing", remove("none"), 404, noSuch, "No cluster found for name: none."},
		{"delete with node groups", remove("staffed"), 409, inUse, "Cluster has nodegroups attached"},
		{"delete with Fargate profiles", remove("fargate"), 409, inUse, "Cluster has Fargate Profiles in ACTIVE/CREATING state"},
		{"delete while creating", remove("new"), 409, inUse, "Cannot delete because cluster currently has an update in progress"},
		{"delete while updating", remove("busy"), 409, inUse, "Cannot delete because cluster currently has an update in progress"},
		{"delete what is protected", remove("shielded"), 400, badRequest, "deletion protection is enabled"},
	})
}

// What EKS refuses of add-ons, access entries, pod identities, Fargate profiles and tags.
func TestRefusedParts(t *testing.T) {
	a := settledAccount(t)
	ctx, home := t.Context(), aws.String("home")
	a.put("home", func(c *eks.Standing) {
		c.Addons = []types.Addon{{AddonName: aws.String("coredns"), Status: types.AddonStatusActive}, {AddonName: aws.String("vpc-cni"), Status: types.AddonStatusUpdating}}
		c.Fargate = []string{"p"}
	})
	a.put("new", func(c *eks.Standing) { c.Status = types.ClusterStatusCreating })
	a.put("closed", func(c *eks.Standing) {
		c.AccessConfig = &types.AccessConfigResponse{AuthenticationMode: types.AuthenticationModeConfigMap}
	})
	a.put("fargate", func(c *eks.Standing) {
		for i := range eks.MaxFargateProfiles {
			c.Fargate = append(c.Fargate, fmt.Sprint("p", i))
		}
	})
	pod, stranger, user := aws.String(a.roles["pod"]), aws.String(a.roles["stranger"]), aws.String("arn:aws:iam::111122223333:user/tester")
	addon := func(name string, change func(*ekssdk.CreateAddonInput)) error {
		in := &ekssdk.CreateAddonInput{ClusterName: home, AddonName: &name}
		change(in)
		_, err := a.eks.CreateAddon(ctx, in)
		return err
	}
	plain := func(*ekssdk.CreateAddonInput) {}
	updateAddon := func(name string, change func(*ekssdk.UpdateAddonInput)) error {
		in := &ekssdk.UpdateAddonInput{ClusterName: home, AddonName: &name}
		change(in)
		_, err := a.eks.UpdateAddon(ctx, in)
		return err
	}
	entry := func(change func(*ekssdk.CreateAccessEntryInput)) error {
		in := &ekssdk.CreateAccessEntryInput{ClusterName: home, PrincipalArn: stranger}
		change(in)
		_, err := a.eks.CreateAccessEntry(ctx, in)
		return err
	}
	policy := func(principal *string, name string, scope types.AccessScope) error {
		_, err := a.eks.AssociateAccessPolicy(ctx, &ekssdk.AssociateAccessPolicyInput{
			ClusterName: home, PrincipalArn: principal, PolicyArn: aws.String("arn:aws:eks::aws:cluster-access-policy/" + name), AccessScope: &scope,
		})
		return err
	}
	identity := func(change func(*ekssdk.CreatePodIdentityAssociationInput)) error {
		in := &ekssdk.CreatePodIdentityAssociationInput{ClusterName: home, Namespace: aws.String("n"), ServiceAccount: aws.String("s"), RoleArn: pod}
		change(in)
		_, err := a.eks.CreatePodIdentityAssociation(ctx, in)
		return err
	}
	profile := func(cluster, name string, change func(*ekssdk.CreateFargateProfileInput)) error {
		in := &ekssdk.CreateFargateProfileInput{
			ClusterName: &cluster, FargateProfileName: &name, PodExecutionRoleArn: aws.String(a.roles["fargate"]),
			Selectors: []types.FargateProfileSelector{{Namespace: aws.String("n")}},
		}
		change(in)
		_, err := a.eks.CreateFargateProfile(ctx, in)
		return err
	}
	noProfile := func(*ekssdk.CreateFargateProfileInput) {}
	tag := func(arn string, tags map[string]string) error {
		_, err := a.eks.TagResource(ctx, &ekssdk.TagResourceInput{ResourceArn: &arn, Tags: tags})
		return err
	}
	errOf := func(_ any, err error) error { return err }
	const noEntry = "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'."
	none := aws.String("none")
	whole := types.AccessScope{Type: types.AccessScopeTypeCluster}
	token := aws.String("one")

	must(a.eks.CreateAccessEntry(ctx, &ekssdk.CreateAccessEntryInput{ClusterName: home, PrincipalArn: pod, Type: aws.String("EC2_LINUX"), ClientRequestToken: token}))(t)
	must(a.eks.CreateAccessEntry(ctx, &ekssdk.CreateAccessEntryInput{ClusterName: home, PrincipalArn: pod, Type: aws.String("EC2_LINUX"), ClientRequestToken: token}))(t)
	have := &ekssdk.CreatePodIdentityAssociationInput{ClusterName: home, Namespace: aws.String("have"), ServiceAccount: aws.String("s"), RoleArn: pod, ClientRequestToken: token}
	first := must(a.eks.CreatePodIdentityAssociation(ctx, have))(t).Association
	if again := must(a.eks.CreatePodIdentityAssociation(ctx, have))(t).Association; *again.AssociationId != *first.AssociationId {
		t.Errorf("the same token made %s and %s", *first.AssociationId, *again.AssociationId)
	}

	checkRefusals(t, []refusal{
		{"add-on while creating", addon("coredns", func(in *ekssdk.CreateAddonInput) { in.ClusterName = aws.String("new") }), 400, badRequest, "Cluster 'new' is not in ACTIVE status"},
		{"add-on again", addon("coredns", plain), 409, inUse, "Addon already exists."},
		{"unknown add-on", addon("cordns", plain), 400, badParameter, "Addon cordns specified is not supported in 1.35 Kubernetes version"},
		{"add-on version", addon("kube-proxy", func(in *ekssdk.CreateAddonInput) { in.AddonVersion = aws.String("v1.0.0-eksbuild.1") }), 400, badParameter, "Addon version specified is not supported"},
		{"add-on configuration", addon("kube-proxy", func(in *ekssdk.CreateAddonInput) { in.ConfigurationValues = aws.String(`{"replicas":2}`) }), 400, badParameter, "ConfigurationValue provided in request is not supported: Json schema validation failed"},
		{"configuration that is no JSON", addon("kube-proxy", func(in *ekssdk.CreateAddonInput) { in.ConfigurationValues = aws.String(`{`) }), 400, badParameter, "ConfigurationValue provided in request is not supported"},
		{"both kinds of role", addon("aws-ebs-csi-driver", func(in *ekssdk.CreateAddonInput) {
			in.ServiceAccountRoleArn = pod
			in.PodIdentityAssociations = []types.AddonPodIdentityAssociations{{RoleArn: pod, ServiceAccount: aws.String("ebs-csi-controller-sa")}}
		}), 400, badParameter, "cannot be specified at the same time"},
		{"role for no such account", addon("coredns", func(in *ekssdk.CreateAddonInput) {
			in.PodIdentityAssociations = []types.AddonPodIdentityAssociations{{RoleArn: pod, ServiceAccount: aws.String("coredns")}}
		}), 400, badParameter, "does not support a pod identity association"},
		{"add-on's role for others", addon("aws-ebs-csi-driver", func(in *ekssdk.CreateAddonInput) {
			in.PodIdentityAssociations = []types.AddonPodIdentityAssociations{{RoleArn: stranger, ServiceAccount: aws.String("ebs-csi-controller-sa")}}
		}), 400, badParameter, "must allow pods.eks.amazonaws.com"},
		{"add-on with a tag of AWS", addon("kube-proxy", func(in *ekssdk.CreateAddonInput) { in.Tags = map[string]string{"aws:x": "y"} }), 400, badParameter, "reserved for internal use"},
		{"update no add-on", updateAddon("kube-proxy", func(*ekssdk.UpdateAddonInput) {}), 404, noSuch, "No addon: kube-proxy found in cluster: home"},
		{"update while updating", updateAddon("vpc-cni", func(*ekssdk.UpdateAddonInput) {}), 409, inUse, "UPDATING"},
		{"update with both kinds of role", updateAddon("coredns", func(in *ekssdk.UpdateAddonInput) {
			in.ServiceAccountRoleArn, in.PodIdentityAssociations = pod, []types.AddonPodIdentityAssociations{{RoleArn: pod, ServiceAccount: aws.String("s")}}
		}), 400, badParameter, "cannot be specified at the same time"},
		{"delete no add-on", errOf(a.eks.DeleteAddon(ctx, &ekssdk.DeleteAddonInput{ClusterName: home, AddonName: aws.String("kube-proxy")})), 404, noSuch, "No addon: kube-proxy found in cluster: home"},

		{"entry of a cluster without entries", entry(func(in *ekssdk.CreateAccessEntryInput) { in.ClusterName = aws.String("closed") }), 400, badRequest, "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation."},
		{"entry again", entry(func(in *ekssdk.CreateAccessEntryInput) { in.PrincipalArn, in.Type = pod, aws.String("EC2_LINUX") }), 409, inUse, "The specified access entry resource is already in use on this cluster."},
		{"entry's token with other parameters", entry(func(in *ekssdk.CreateAccessEntryInput) { in.PrincipalArn, in.ClientRequestToken = pod, token }), 400, badParameter, "was used before with different parameters"},
		{"entry of a session", entry(func(in *ekssdk.CreateAccessEntryInput) {
			in.PrincipalArn = aws.String("arn:aws:sts::111122223333:assumed-role/x/y")
		}), 400, badParameter, "The specified principalArn is invalid: invalid principal."},
		{"entry of no role", entry(func(in *ekssdk.CreateAccessEntryInput) {
			in.PrincipalArn = aws.String("arn:aws:iam::111122223333:role/none")
		}), 400, badParameter, "The specified principalArn is invalid: invalid principal."},
		{"entry of unknown type", entry(func(in *ekssdk.CreateAccessEntryInput) { in.Type = aws.String("EC3") }), 400, badParameter, "EC3"},
		{"nodes that are a user", entry(func(in *ekssdk.CreateAccessEntryInput) { in.PrincipalArn, in.Type = user, aws.String("EC2_LINUX") }), 400, badParameter, "The specified principalArn is invalid: invalid principal."},
		{"nodes with groups", entry(func(in *ekssdk.CreateAccessEntryInput) {
			in.Type, in.KubernetesGroups = aws.String("EC2_LINUX"), []string{"g"}
		}), 400, badParameter, "does not support kubernetesGroups or username"},
		{"group of Kubernetes", entry(func(in *ekssdk.CreateAccessEntryInput) { in.KubernetesGroups = []string{"system:masters"} }), 400, badParameter, "The kubernetes group name system:masters is invalid, it cannot start with system:"},
		{"user of Kubernetes", entry(func(in *ekssdk.CreateAccessEntryInput) { in.Username = aws.String("eks:x") }), 400, badParameter, "cannot start with eks:"},
		{"no entry", policy(stranger, "AmazonEKSViewPolicy", whole), 404, noSuch, "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'."},
		{"unknown policy", policy(pod, "AmazonEKSGodPolicy", whole), 400, badParameter, "The policyArn parameter format is not valid"},
		{"scope without namespaces", policy(pod, "AmazonEKSViewPolicy", types.AccessScope{Type: types.AccessScopeTypeNamespace}), 400, badParameter, "namespaces"},
		{"policy for nodes", policy(pod, "AmazonEKSViewPolicy", whole), 400, badParameter, "does not support access policies"},

		{"identity with a role for others", identity(func(in *ekssdk.CreatePodIdentityAssociationInput) { in.RoleArn = stranger }), 400, badParameter, "must allow pods.eks.amazonaws.com"},
		{"identity with no role", identity(func(in *ekssdk.CreatePodIdentityAssociationInput) {
			in.RoleArn = aws.String("arn:aws:iam::111122223333:role/none")
		}), 400, badParameter, "Role provided in the request does not exist."},
		{"identity again", identity(func(in *ekssdk.CreatePodIdentityAssociationInput) { in.Namespace = aws.String("have") }), 409, inUse, "Association already exists: " + *first.AssociationId},
		{"identity's token with other parameters", identity(func(in *ekssdk.CreatePodIdentityAssociationInput) { in.ClientRequestToken = token }), 400, badParameter, "was used before with different parameters"},
		{"identity's policy with session tags", identity(func(in *ekssdk.CreatePodIdentityAssociationInput) { in.Policy = aws.String("{}") }), 400, badParameter, "disableSessionTags"},
		{"no identity", errOf(a.eks.DescribePodIdentityAssociation(ctx, &ekssdk.DescribePodIdentityAssociationInput{ClusterName: home, AssociationId: aws.String("a-1")})), 404, noSuch, "a-1"},

		{"look at no entry", errOf(a.eks.DescribeAccessEntry(ctx, &ekssdk.DescribeAccessEntryInput{ClusterName: home, PrincipalArn: stranger})), 404, noSuch, noEntry},
		{"delete no entry", errOf(a.eks.DeleteAccessEntry(ctx, &ekssdk.DeleteAccessEntryInput{ClusterName: home, PrincipalArn: stranger})), 404, noSuch, noEntry},
		{"policies of no entry", errOf(a.eks.ListAssociatedAccessPolicies(ctx, &ekssdk.ListAssociatedAccessPoliciesInput{ClusterName: home, PrincipalArn: stranger})), 404, noSuch, noEntry},
		{"entries of a cluster without entries", errOf(a.eks.ListAccessEntries(ctx, &ekssdk.ListAccessEntriesInput{ClusterName: aws.String("closed")})), 400, badRequest, "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation."},
		{"entries of no cluster", errOf(a.eks.ListAccessEntries(ctx, &ekssdk.ListAccessEntriesInput{ClusterName: none})), 404, noSuch, "No cluster found for name: none."},
		{"look at no add-on", errOf(a.eks.DescribeAddon(ctx, &ekssdk.DescribeAddonInput{ClusterName: home, AddonName: aws.String("kube-proxy")})), 404, noSuch, "No addon: kube-proxy found in cluster: home"},
		{"add-ons of no cluster", errOf(a.eks.ListAddons(ctx, &ekssdk.ListAddonsInput{ClusterName: none})), 404, noSuch, "No cluster found for name: none."},
		{"101 add-on versions a page", errOf(a.eks.DescribeAddonVersions(ctx, &ekssdk.DescribeAddonVersionsInput{MaxResults: aws.Int32(101)})), 400, badParameter, "Member must have value less than or equal to 100"},
		{"made-up page of add-on versions", errOf(a.eks.DescribeAddonVersions(ctx, &ekssdk.DescribeAddonVersionsInput{NextToken: aws.String("x")})), 400, badParameter, "nextToken"},
		{"101 cluster versions a page", errOf(a.eks.DescribeClusterVersions(ctx, &ekssdk.DescribeClusterVersionsInput{MaxResults: aws.Int32(101)})), 400, badParameter, "Member must have value less than or equal to 100"},
		{"status of no cluster version", errOf(a.eks.DescribeClusterVersions(ctx, &ekssdk.DescribeClusterVersionsInput{VersionStatus: "NEW"})), 400, badParameter, "Member must satisfy enum value set"},
		{"look at no node group", errOf(a.eks.DescribeNodegroup(ctx, &ekssdk.DescribeNodegroupInput{ClusterName: home, NodegroupName: none})), 404, noSuch, "No node group found for name: none."},
		{"profiles of no cluster", errOf(a.eks.ListFargateProfiles(ctx, &ekssdk.ListFargateProfilesInput{ClusterName: none})), 404, noSuch, "No cluster found for name: none."},
		{"identities of no cluster", errOf(a.eks.ListPodIdentityAssociations(ctx, &ekssdk.ListPodIdentityAssociationsInput{ClusterName: none})), 404, noSuch, "No cluster found for name: none."},
		{"change no identity", errOf(a.eks.UpdatePodIdentityAssociation(ctx, &ekssdk.UpdatePodIdentityAssociationInput{ClusterName: home, AssociationId: aws.String("a-1"), RoleArn: pod})), 404, noSuch, "a-1"},
		{"change to a role for others", errOf(a.eks.UpdatePodIdentityAssociation(ctx, &ekssdk.UpdatePodIdentityAssociationInput{ClusterName: home, AssociationId: first.AssociationId, RoleArn: stranger})), 400, badParameter, "must allow pods.eks.amazonaws.com"},
		{"delete no identity", errOf(a.eks.DeletePodIdentityAssociation(ctx, &ekssdk.DeletePodIdentityAssociationInput{ClusterName: home, AssociationId: aws.String("a-1")})), 404, noSuch, "a-1"},

		{"profile without selectors", profile("home", "q", func(in *ekssdk.CreateFargateProfileInput) { in.Selectors = nil }), 400, badParameter, "Fargate Profile requires at least one selector."},
		{"profile without namespace", profile("home", "q", func(in *ekssdk.CreateFargateProfileInput) { in.Selectors[0].Namespace = nil }), 400, badParameter, "Fargate Profile must have at least one selector with at least one namespace value."},
		{"profile again", profile("home", "p", noProfile), 409, inUse, "A Fargate Profile already exists with this name in this cluster."},
		{"profile with a role for others", profile("home", "q", func(in *ekssdk.CreateFargateProfileInput) { in.PodExecutionRoleArn = stranger }), 400, badParameter, "Misconfigured PodExecutionRole Trust Policy"},
		{"eleventh profile", profile("fargate", "q", noProfile), 400, overLimit, "10"},
		{"no profile", errOf(a.eks.DeleteFargateProfile(ctx, &ekssdk.DeleteFargateProfileInput{ClusterName: home, FargateProfileName: aws.String("q")})), 404, noSuch, "No Fargate Profile found with name: q."},

		{"tag nothing", tag("arn:aws:eks:"+region+":111122223333:cluster/none", map[string]string{"a": "b"}), 404, "NotFoundException", "cluster/none"},
		{"tag as AWS", tag("arn:aws:eks:"+region+":111122223333:cluster/home", map[string]string{"aws:a": "b"}), 400, "BadRequestException", "aws:"},
	})
}

// Two Fargate profiles of a cluster are deleted one after the other.
func TestFargateProfiles(t *testing.T) {
	a := settledAccount(t)
	ctx, home := t.Context(), aws.String("home")
	a.put("home", nil)
	for _, name := range []string{"p", "q", "q"} { // the same token makes it once
		must(a.eks.CreateFargateProfile(ctx, &ekssdk.CreateFargateProfileInput{
			ClusterName: home, FargateProfileName: &name, PodExecutionRoleArn: aws.String(a.roles["fargate"]), Subnets: a.subnets,
			Selectors: []types.FargateProfileSelector{{Namespace: aws.String("n")}}, ClientRequestToken: aws.String("token of " + name),
		}))(t)
	}
	remove := func(name string) error {
		_, err := a.eks.DeleteFargateProfile(ctx, &ekssdk.DeleteFargateProfileInput{ClusterName: home, FargateProfileName: &name})
		return err
	}
	if err := remove("p"); err != nil {
		t.Fatal(err)
	}
	if err := remove("q"); err != nil { // unless p is gone by now
		awstest.Fails(t, err, 409, inUse, "Cannot Delete Fargate Profile q because cluster home currently has Fargate profile p in status DELETING")
	}
	eventually(t, 20*time.Second, "no profiles", func() (bool, string) {
		_ = remove("q")
		names := must(a.eks.ListFargateProfiles(ctx, &ekssdk.ListFargateProfilesInput{ClusterName: home}))(t).FargateProfileNames
		return len(names) == 0, fmt.Sprint(names)
	})
}

// Lists come in pages, small ones unless asked otherwise, and a token of one
// list does not open another.
func TestPages(t *testing.T) {
	a := newAccount(t)
	ctx := t.Context()
	for i := range 12 {
		a.put(fmt.Sprintf("c%02d", i), nil)
	}
	var names []string
	pages := 0
	for p := ekssdk.NewListClustersPaginator(a.eks, &ekssdk.ListClustersInput{}); p.HasMorePages(); pages++ {
		names = append(names, must(p.NextPage(ctx))(t).Clusters...)
	}
	if len(names) != 12 || pages < 2 {
		t.Errorf("%d clusters in %d pages", len(names), pages)
	}
	token := must(a.eks.ListClusters(ctx, &ekssdk.ListClustersInput{}))(t).NextToken
	for name, err := range map[string]error{
		"foreign": second(a.eks.ListNodegroups(context.Background(), &ekssdk.ListNodegroupsInput{ClusterName: aws.String("c00"), NextToken: token})),
		"made up": second(a.eks.ListClusters(context.Background(), &ekssdk.ListClustersInput{NextToken: aws.String("x")})),
	} {
		t.Run(name, func(t *testing.T) { awstest.Fails(t, err, 400, badParameter, "nextToken") })
	}
	_, err := a.eks.ListClusters(ctx, &ekssdk.ListClustersInput{MaxResults: aws.Int32(101)})
	awstest.Fails(t, err, 400, badParameter, "Member must have value less than or equal to 100")
}

func second[T any](_ T, err error) error { return err }
