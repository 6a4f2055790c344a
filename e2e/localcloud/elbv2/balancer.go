package elbv2

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/wire"
)

// balancer is a load balancer.
type balancer struct {
	arn, region, name, hash string
	kind                    types.LoadBalancerTypeEnum
	scheme                  types.LoadBalancerSchemeEnum
	vpc                     string
	subnets                 []ec2.Subnet
	securityGroups          []string
	interfaces              []string
	state                   types.LoadBalancerStateEnum
	created                 time.Time
	attributes              map[string]string
}

func registerBalancers(w *wire.Server, s *Service) {
	handle(w, s.createLoadBalancer)
	handle(w, s.describeLoadBalancers)
	handle(w, s.deleteLoadBalancer)
	handle(w, s.setSecurityGroups)
}

// hostname is NAME-HASH.elb.REGION.amazonaws.com for a network load balancer and
// NAME-NUMBER.REGION.elb.amazonaws.com for others; internal ones begin with "internal-".
func (b *balancer) hostname() string {
	if b.kind == types.LoadBalancerTypeEnumNetwork {
		return fmt.Sprintf("%s-%s.elb.%s.amazonaws.com", b.name, b.hash, b.region)
	}
	prefix := ""
	if b.scheme == types.LoadBalancerSchemeEnumInternal {
		prefix = "internal-"
	}
	return fmt.Sprintf("%s%s-%d.%s.elb.amazonaws.com", prefix, b.name, 1_000_000_000+int(b.hash[0])*7_654_321, b.region)
}

func (b *balancer) output() types.LoadBalancer {
	out := types.LoadBalancer{
		LoadBalancerArn: aws.String(b.arn), LoadBalancerName: aws.String(b.name), DNSName: aws.String(b.hostname()), Type: b.kind, Scheme: b.scheme,
		VpcId: aws.String(b.vpc), State: &types.LoadBalancerState{Code: b.state}, CreatedTime: aws.Time(b.created), IpAddressType: types.IpAddressTypeIpv4,
		CanonicalHostedZoneId: aws.String("ZIBE1TIR4HY56"), SecurityGroups: slices.Clone(b.securityGroups),
	}
	for _, sn := range b.subnets {
		out.AvailabilityZones = append(out.AvailabilityZones, types.AvailabilityZone{SubnetId: aws.String(sn.ID), ZoneName: aws.String(sn.Zone), LoadBalancerAddresses: []types.LoadBalancerAddress{}})
	}
	return out
}

var balancerName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$`)

func checkName(name string) error {
	switch {
	case len(name) > 32:
		return validation("The load balancer name '%s' cannot be longer than '32' characters", name)
	case !balancerName.MatchString(name):
		return validation("The load balancer name '%s' can only contain characters that are alphanumeric characters and hyphens(-) and cannot begin or end with a hyphen", name)
	case strings.HasPrefix(name, "internal-"):
		return validation("The load balancer name '%s' cannot begin with 'internal-'", name)
	}
	return nil
}

// createLoadBalancer makes a load balancer. The same request again gives the
// same load balancer (API reference: "this operation is idempotent").
func (s *Service) createLoadBalancer(ctx context.Context, in *elbv2.CreateLoadBalancerInput) (*elbv2.CreateLoadBalancerOutput, error) {
	if err := checkName(*in.Name); err != nil {
		return nil, err
	}
	tags, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	s.iam.EnsureServiceLinkedRole("elasticloadbalancing.amazonaws.com")
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &balancer{
		region: wire.Region(ctx), name: *in.Name, kind: cmp.Or(in.Type, types.LoadBalancerTypeEnumApplication), scheme: cmp.Or(in.Scheme, types.LoadBalancerSchemeEnumInternetFacing),
		hash: newHex(), state: types.LoadBalancerStateEnumProvisioning, created: time.Now().UTC().Truncate(time.Millisecond), securityGroups: slices.Clone(in.SecurityGroups),
	}
	ids := slices.Clone(in.Subnets)
	for _, m := range in.SubnetMappings {
		ids = append(ids, aws.ToString(m.SubnetId))
	}
	if err := s.place(b, ids); err != nil {
		return nil, err
	}
	for _, have := range s.balancers {
		if have.region != b.region || have.name != b.name {
			continue
		}
		if have.kind != b.kind || have.scheme != b.scheme || !sameSubnets(have, b) || !maps.Equal(s.tags[have.arn], tags) {
			return nil, &types.DuplicateLoadBalancerNameException{Message: aws.String(fmt.Sprintf("A load balancer with the same name '%s' exists, but with different settings", b.name))}
		}
		return &elbv2.CreateLoadBalancerOutput{LoadBalancers: []types.LoadBalancer{have.output()}}, nil
	}
	short := map[types.LoadBalancerTypeEnum]string{types.LoadBalancerTypeEnumNetwork: "net", types.LoadBalancerTypeEnumApplication: "app", types.LoadBalancerTypeEnumGateway: "gwy"}[b.kind]
	path := fmt.Sprintf("%s/%s/%s", short, b.name, b.hash)
	b.arn = arnOf(b.region, "loadbalancer/"+path)
	b.attributes = balancerDefaults(b.kind)
	if err := s.plug(b, path); err != nil {
		return nil, err
	}
	s.balancers[b.arn], s.tags[b.arn] = b, tags
	s.later.After(s.clock.Duration(clock.LoadBalancerCreate), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		b.state = types.LoadBalancerStateEnumActive
	})
	return &elbv2.CreateLoadBalancerOutput{LoadBalancers: []types.LoadBalancer{b.output()}}, nil
}

func sameSubnets(a, b *balancer) bool {
	ids := func(x *balancer) []string {
		var list []string
		for _, sn := range x.subnets {
			list = append(list, sn.ID)
		}
		slices.Sort(list)
		return list
	}
	return slices.Equal(ids(a), ids(b))
}

// place checks the subnets: one per zone, all of one VPC, with an internet
// gateway for what faces the internet, two zones for an application load balancer.
func (s *Service) place(b *balancer, ids []string) error {
	if len(ids) == 0 {
		return validation("At least one subnet must be specified")
	}
	subnets, err := s.ec2.Subnets(b.region, ids)
	if err != nil {
		return &types.SubnetNotFoundException{Message: aws.String(fmt.Sprintf("The subnet ID '%s' does not exist", s.firstMissing(b.region, ids)))}
	}
	zones := map[string]bool{}
	for _, sn := range subnets {
		if zones[sn.Zone] {
			return &types.InvalidConfigurationRequestException{Message: aws.String("A load balancer cannot be attached to multiple subnets in the same Availability Zone")}
		}
		if sn.VPC != subnets[0].VPC {
			return &types.InvalidConfigurationRequestException{Message: aws.String("All subnets must belong to the same VPC")}
		}
		zones[sn.Zone] = true
	}
	b.subnets, b.vpc = subnets, subnets[0].VPC
	if b.kind == types.LoadBalancerTypeEnumApplication && len(subnets) < 2 {
		return validation("At least two subnets in two different Availability Zones must be specified")
	}
	if b.scheme == types.LoadBalancerSchemeEnumInternetFacing && !s.ec2.HasInternetGateway(b.region, b.vpc) {
		return &types.InvalidSubnetException{Message: aws.String(fmt.Sprintf("VPC %s has no internet gateway", b.vpc))}
	}
	return s.checkGroups(b, b.securityGroups)
}

func (s *Service) checkGroups(b *balancer, ids []string) error {
	found, err := s.ec2.SecurityGroups(b.region, ids)
	if err != nil || slices.ContainsFunc(found, func(g ec2.Group) bool { return g.VPC != b.vpc }) {
		return &types.InvalidSecurityGroupException{Message: aws.String("One or more security groups are invalid")}
	}
	return nil
}

func (s *Service) firstMissing(region string, ids []string) string {
	for _, id := range ids {
		if _, err := s.ec2.Subnets(region, []string{id}); err != nil {
			return id
		}
	}
	return ""
}

// plug puts an interface into each subnet; those that face the internet have a
// public address that belongs to Elastic Load Balancing.
func (s *Service) plug(b *balancer, path string) error {
	spec := ec2.InterfaceSpec{Description: "ELB " + path, Owner: "amazon-elb", Groups: b.securityGroups, PublicIP: b.scheme == types.LoadBalancerSchemeEnumInternetFacing}
	if b.kind == types.LoadBalancerTypeEnumNetwork {
		spec.Type = ec2types.NetworkInterfaceTypeNetworkLoadBalancer
	}
	for _, sn := range b.subnets {
		spec.SubnetID = sn.ID
		x, err := s.ec2.CreateInterface(b.region, spec)
		if err != nil {
			for _, id := range b.interfaces {
				s.ec2.DeleteInterface(b.region, id)
			}
			return &types.InvalidSubnetException{Message: aws.String("Not enough IP space available in " + sn.ID + ". ELB requires at least 8 free IP addresses in each subnet.")}
		}
		b.interfaces = append(b.interfaces, x.ID)
	}
	return nil
}

func (s *Service) describeLoadBalancers(ctx context.Context, in *elbv2.DescribeLoadBalancersInput) (*elbv2.DescribeLoadBalancersOutput, error) {
	if len(in.LoadBalancerArns) > 0 && len(in.Names) > 0 {
		return nil, validation("Load balancer names and load balancer ARNs cannot be specified at the same time")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	region := wire.Region(ctx)
	out := &elbv2.DescribeLoadBalancersOutput{LoadBalancers: []types.LoadBalancer{}}
	names := map[string]bool{}
	for _, arn := range sorted(s.balancers) {
		b := s.balancers[arn]
		if b.region != region || len(in.LoadBalancerArns) > 0 && !slices.Contains(in.LoadBalancerArns, arn) || len(in.Names) > 0 && !slices.Contains(in.Names, b.name) {
			continue
		}
		names[b.name], names[arn] = true, true
		out.LoadBalancers = append(out.LoadBalancers, b.output())
	}
	for _, wanted := range in.LoadBalancerArns {
		if !names[wanted] {
			return nil, missing(wanted)
		}
	}
	for _, wanted := range in.Names {
		if !names[wanted] {
			return nil, &types.LoadBalancerNotFoundException{Message: aws.String(fmt.Sprintf("Load balancers '[%s]' not found", wanted))}
		}
	}
	return out, nil
}

// deleteLoadBalancer deletes a load balancer with its listeners; one that is not
// there is no error. Its interfaces stay for a while longer and hold their
// subnets and the internet gateway.
func (s *Service) deleteLoadBalancer(_ context.Context, in *elbv2.DeleteLoadBalancerInput) (*elbv2.DeleteLoadBalancerOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.balancers[*in.LoadBalancerArn]
	if b == nil {
		return &elbv2.DeleteLoadBalancerOutput{}, nil
	}
	if b.attributes["deletion_protection.enabled"] == "true" {
		return nil, &types.OperationNotPermittedException{Message: aws.String(fmt.Sprintf("Load balancer '%s' cannot be deleted because deletion protection is enabled", b.arn))}
	}
	for arn, l := range s.listeners {
		if l.balancer == b.arn {
			delete(s.listeners, arn)
			delete(s.tags, arn)
		}
	}
	delete(s.balancers, b.arn)
	delete(s.tags, b.arn)
	s.later.After(s.clock.Duration(clock.LoadBalancerDelete), func() {
		for _, id := range b.interfaces {
			s.ec2.DeleteInterface(b.region, id)
		}
	})
	return &elbv2.DeleteLoadBalancerOutput{}, nil
}

// setSecurityGroups puts other groups in the place of those there are.
func (s *Service) setSecurityGroups(_ context.Context, in *elbv2.SetSecurityGroupsInput) (*elbv2.SetSecurityGroupsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.balancers[*in.LoadBalancerArn]
	if b == nil {
		return nil, missing(*in.LoadBalancerArn)
	}
	if b.kind == types.LoadBalancerTypeEnumNetwork && len(b.securityGroups) == 0 {
		// "You can't associate a security group with a Network Load Balancer after you create it without one" (User Guide, "Update the security groups")
		return nil, &types.InvalidConfigurationRequestException{Message: aws.String("You can't add security groups to a Network Load Balancer that was created without a security group")}
	}
	if err := s.checkGroups(b, in.SecurityGroups); err != nil {
		return nil, err
	}
	b.securityGroups = slices.Clone(in.SecurityGroups)
	for _, id := range b.interfaces {
		s.ec2.SetInterfaceGroups(b.region, id, b.securityGroups)
	}
	return &elbv2.SetSecurityGroupsOutput{SecurityGroupIds: slices.Clone(b.securityGroups)}, nil
}
