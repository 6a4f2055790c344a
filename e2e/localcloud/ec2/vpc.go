package ec2

import (
	"context"
	"net/netip"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/wire"
)

type vpc struct {
	id                      string
	cidrs                   []cidrBlock // the primary one first
	tenancy                 types.Tenancy
	dnsSupport, dnsNames    bool
	addressUsage            bool   // NetworkAddressUsageMetrics
	acl                     string // the default network ACL
	mainTable, defaultGroup string
}

type cidrBlock struct {
	association string
	prefix      netip.Prefix
}

func registerVPCs(w *wire.Server, a api) {
	handle(w, a.CreateVpc)
	handle(w, a.DescribeVpcs)
	handle(w, a.DescribeVpcAttribute)
	handle(w, a.ModifyVpcAttribute)
	handle(w, a.DeleteVpc)
	handle(w, a.AssociateVpcCidrBlock)
	handle(w, a.DescribeNetworkAcls)
	handle(w, a.DescribeDhcpOptions)
}

// parseCIDR reads an IPv4 block and, as EC2 does, brings it to its canonical form.
func parseCIDR(text *string, parameter string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(aws.ToString(text))
	if err != nil || !p.Addr().Is4() {
		return netip.Prefix{}, invalidValue("Value (%s) for parameter %s is invalid. This is not a valid CIDR block.", aws.ToString(text), parameter)
	}
	return p.Masked(), nil
}

func (v *vpc) output(r *region) types.Vpc {
	out := types.Vpc{
		VpcId: aws.String(v.id), CidrBlock: aws.String(v.cidrs[0].prefix.String()), State: types.VpcStateAvailable,
		DhcpOptionsId: aws.String(dhcpOptions(r.name)), InstanceTenancy: v.tenancy, IsDefault: aws.Bool(false), OwnerId: aws.String(account),
		BlockPublicAccessStates: &types.BlockPublicAccessStates{InternetGatewayBlockMode: types.BlockPublicAccessModeOff},
		Tags:                    r.sdkTags(v.id),
	}
	for _, c := range v.cidrs {
		out.CidrBlockAssociationSet = append(out.CidrBlockAssociationSet, types.VpcCidrBlockAssociation{
			AssociationId: aws.String(c.association), CidrBlock: aws.String(c.prefix.String()),
			CidrBlockState: &types.VpcCidrBlockState{State: types.VpcCidrBlockStateCodeAssociated},
		})
	}
	return out
}

// dhcpOptions is the id of the region's default DHCP options.
func dhcpOptions(region string) string { return "dopt-" + fixedHex("dopt/"+region, 17) }

// CreateVpc makes a VPC with its main route table, default group and default
// network ACL. The block is from /16 to /28 (VPC User Guide, "VPC CIDR blocks").
func (a api) CreateVpc(ctx context.Context, in *ec2.CreateVpcInput) (*ec2.CreateVpcOutput, error) {
	tags, err := tagsFor(types.ResourceTypeVpc, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	if in.CidrBlock == nil {
		return nil, fail("MissingParameter", "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.")
	}
	prefix, err := parseCIDR(in.CidrBlock, "cidrBlock")
	if err != nil {
		return nil, err
	}
	if prefix.Bits() < 16 || prefix.Bits() > 28 {
		return nil, fail("InvalidVpc.Range", "The CIDR '%s' is invalid.", *in.CidrBlock)
	}
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if r.reached(quotaVPCs, len(r.vpcs.order)) {
		return nil, fail("VpcLimitExceeded", "The maximum number of VPCs has been reached.")
	}
	v := &vpc{
		id: newID("vpc"), tenancy: types.TenancyDefault, dnsSupport: true, acl: newID("acl"),
		cidrs: []cidrBlock{{newID("vpc-cidr-assoc"), prefix}},
	}
	if in.InstanceTenancy != "" {
		v.tenancy = in.InstanceTenancy
	}
	r.vpcs.add(v.id, v)
	r.tags[v.id] = tags
	v.mainTable = r.addRouteTable(v.id, true).id
	g := r.addGroup(v.id, "default", "default VPC security group")
	v.defaultGroup = g.id
	g.rules = append(g.rules, rule{id: newID("sgr"), protocol: "-1", from: -1, to: -1, peer: g.id})
	out := v.output(r)
	out.State = types.VpcStatePending
	return &ec2.CreateVpcOutput{Vpc: &out}, nil
}

// DescribeVpcs lists VPCs.
func (a api) DescribeVpcs(ctx context.Context, in *ec2.DescribeVpcsInput) (*ec2.DescribeVpcsOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if err := checkIDs(r.vpcs, kindVPC, in.VpcIds); err != nil {
		return nil, err
	}
	var all []types.Vpc
	for _, v := range r.vpcs.shown() {
		all = append(all, v.output(r))
	}
	kept, err := describe(all, in.VpcIds, func(v types.Vpc) *string { return v.VpcId }, in.Filters, filters[types.Vpc]{
		"cidr":       func(v types.Vpc) []string { return one(v.CidrBlock) },
		"cidr-block": func(v types.Vpc) []string { return one(v.CidrBlock) },
		"cidr-block-association.cidr-block": func(v types.Vpc) []string {
			return each(v.CidrBlockAssociationSet, func(c types.VpcCidrBlockAssociation) *string { return c.CidrBlock })
		},
		"cidr-block-association.association-id": func(v types.Vpc) []string {
			return each(v.CidrBlockAssociationSet, func(c types.VpcCidrBlockAssociation) *string { return c.AssociationId })
		},
		"cidr-block-association.state": func(types.Vpc) []string { return []string{"associated"} },
		"dhcp-options-id":              func(v types.Vpc) []string { return one(v.DhcpOptionsId) },
		"is-default":                   func(v types.Vpc) []string { return yes(v.IsDefault) },
		"isDefault":                    func(v types.Vpc) []string { return yes(v.IsDefault) },
		"owner-id":                     func(v types.Vpc) []string { return one(v.OwnerId) },
		"state":                        func(v types.Vpc) []string { return []string{string(v.State)} },
		"vpc-id":                       func(v types.Vpc) []string { return one(v.VpcId) },
	}, func(v types.Vpc) []types.Tag { return v.Tags })
	return &ec2.DescribeVpcsOutput{Vpcs: kept}, err
}

// DescribeVpcAttribute tells one attribute of a VPC.
func (a api) DescribeVpcAttribute(ctx context.Context, in *ec2.DescribeVpcAttributeInput) (*ec2.DescribeVpcAttributeOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	v, err := lookup(r.vpcs, kindVPC, in.VpcId)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeVpcAttributeOutput{VpcId: in.VpcId}
	value := func(b bool) *types.AttributeBooleanValue { return &types.AttributeBooleanValue{Value: aws.Bool(b)} }
	switch in.Attribute {
	case types.VpcAttributeNameEnableDnsSupport:
		out.EnableDnsSupport = value(v.dnsSupport)
	case types.VpcAttributeNameEnableDnsHostnames:
		out.EnableDnsHostnames = value(v.dnsNames)
	case types.VpcAttributeNameEnableNetworkAddressUsageMetrics:
		out.EnableNetworkAddressUsageMetrics = value(v.addressUsage)
	}
	return out, nil
}

// ModifyVpcAttribute changes one attribute; a call with two is refused
// (API reference: "you can only modify one attribute at a time").
func (a api) ModifyVpcAttribute(ctx context.Context, in *ec2.ModifyVpcAttributeInput) (*ec2.ModifyVpcAttributeOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	v, err := lookup(r.vpcs, kindVPC, in.VpcId)
	if err != nil {
		return nil, err
	}
	given := 0
	set := func(value *types.AttributeBooleanValue, field *bool) {
		if value != nil {
			given++
			if given == 1 {
				*field = aws.ToBool(value.Value)
			}
		}
	}
	before := *v
	set(in.EnableDnsSupport, &v.dnsSupport)
	set(in.EnableDnsHostnames, &v.dnsNames)
	set(in.EnableNetworkAddressUsageMetrics, &v.addressUsage)
	if given != 1 {
		*v = before
		if given == 0 {
			return nil, fail("MissingParameter", "The request must contain the parameter enableDnsSupport or enableDnsHostnames")
		}
		return nil, fail("InvalidParameterCombination", "Fields for multiple attribute types specified: enableDnsHostnames, enableDnsSupport")
	}
	if v.dnsNames && !v.dnsSupport {
		*v = before
		return nil, fail("InvalidParameterCombination", "DNS hostnames can be enabled only when DNS support is enabled for the VPC.")
	}
	return &ec2.ModifyVpcAttributeOutput{}, nil
}

// DeleteVpc deletes a VPC in which nothing is left but what AWS made with it.
func (a api) DeleteVpc(ctx context.Context, in *ec2.DeleteVpcInput) (*ec2.DeleteVpcOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	v, err := lookup(r.vpcs, kindVPC, in.VpcId)
	if err != nil {
		return nil, err
	}
	if r.vpcInUse(v) {
		return nil, dependency("The vpc '%s' has dependencies and cannot be deleted.", v.id)
	}
	r.routeTables.remove(v.mainTable)
	r.groups.remove(v.defaultGroup)
	r.vpcs.remove(v.id)
	for _, id := range []string{v.mainTable, v.defaultGroup, v.acl, v.id} {
		r.forget(id)
	}
	return &ec2.DeleteVpcOutput{}, nil
}

func (r *region) vpcInUse(v *vpc) bool {
	for _, s := range r.subnets.all() {
		if s.vpc == v.id {
			return true
		}
	}
	for _, g := range r.gateways.all() {
		if g.vpc == v.id {
			return true
		}
	}
	for _, g := range r.groups.all() {
		if g.vpc == v.id && g.id != v.defaultGroup {
			return true
		}
	}
	for _, t := range r.routeTables.all() {
		if t.vpc == v.id && t.id != v.mainTable {
			return true
		}
	}
	for _, e := range r.endpoints.all() {
		if e.vpc == v.id {
			return true
		}
	}
	return false
}

// AssociateVpcCidrBlock gives a VPC a secondary IPv4 block.
func (a api) AssociateVpcCidrBlock(ctx context.Context, in *ec2.AssociateVpcCidrBlockInput) (*ec2.AssociateVpcCidrBlockOutput, error) {
	prefix, err := parseCIDR(in.CidrBlock, "cidrBlock")
	if err != nil {
		return nil, err
	}
	r := a.lock(ctx)
	defer a.mu.Unlock()
	v, err := lookup(r.vpcs, kindVPC, in.VpcId)
	if err != nil {
		return nil, err
	}
	if prefix.Bits() < 16 || prefix.Bits() > 28 {
		return nil, fail("InvalidVpc.Range", "The CIDR '%s' is invalid.", *in.CidrBlock)
	}
	for _, c := range v.cidrs {
		if c.prefix.Overlaps(prefix) {
			return nil, fail("InvalidVpc.Conflict", "The CIDR '%s' conflicts with another CIDR of the VPC", *in.CidrBlock)
		}
	}
	if len(v.cidrs) >= 5 {
		return nil, fail("CidrLimitExceeded", "This network %s has met its maximum number of allowed CIDRs: %d", v.id, 5)
	}
	c := cidrBlock{newID("vpc-cidr-assoc"), prefix}
	v.cidrs = append(v.cidrs, c)
	return &ec2.AssociateVpcCidrBlockOutput{VpcId: in.VpcId, CidrBlockAssociation: &types.VpcCidrBlockAssociation{
		AssociationId: aws.String(c.association), CidrBlock: aws.String(prefix.String()),
		CidrBlockState: &types.VpcCidrBlockState{State: types.VpcCidrBlockStateCodeAssociating},
	}}, nil
}

// DescribeNetworkAcls lists the default network ACLs; there are no others.
func (a api) DescribeNetworkAcls(ctx context.Context, in *ec2.DescribeNetworkAclsInput) (*ec2.DescribeNetworkAclsOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	var all []types.NetworkAcl
	for _, v := range r.vpcs.shown() {
		out := types.NetworkAcl{
			NetworkAclId: aws.String(v.acl), VpcId: aws.String(v.id), IsDefault: aws.Bool(true), OwnerId: aws.String(account),
			Associations: []types.NetworkAclAssociation{}, Tags: r.sdkTags(v.acl),
		}
		for _, s := range r.subnets.all() {
			if s.vpc == v.id {
				out.Associations = append(out.Associations, types.NetworkAclAssociation{
					NetworkAclAssociationId: aws.String("aclassoc-" + strings.TrimPrefix(s.id, "subnet-")),
					NetworkAclId:            aws.String(v.acl), SubnetId: aws.String(s.id),
				})
			}
		}
		for _, egress := range []bool{true, false} {
			out.Entries = append(out.Entries, aclEntry(egress, 100, types.RuleActionAllow), aclEntry(egress, 32767, types.RuleActionDeny))
		}
		all = append(all, out)
	}
	kept, err := describe(all, in.NetworkAclIds, func(n types.NetworkAcl) *string { return n.NetworkAclId }, in.Filters, filters[types.NetworkAcl]{
		"default":        func(n types.NetworkAcl) []string { return yes(n.IsDefault) },
		"network-acl-id": func(n types.NetworkAcl) []string { return one(n.NetworkAclId) },
		"owner-id":       func(n types.NetworkAcl) []string { return one(n.OwnerId) },
		"vpc-id":         func(n types.NetworkAcl) []string { return one(n.VpcId) },
		"association.subnet-id": func(n types.NetworkAcl) []string {
			return each(n.Associations, func(x types.NetworkAclAssociation) *string { return x.SubnetId })
		},
	}, func(n types.NetworkAcl) []types.Tag { return n.Tags })
	return &ec2.DescribeNetworkAclsOutput{NetworkAcls: kept}, err
}

func aclEntry(egress bool, number int32, action types.RuleAction) types.NetworkAclEntry {
	return types.NetworkAclEntry{
		CidrBlock: aws.String("0.0.0.0/0"), Egress: aws.Bool(egress), Protocol: aws.String("-1"), RuleAction: action, RuleNumber: aws.Int32(number),
	}
}

// DescribeDhcpOptions lists the region's default DHCP options.
func (a api) DescribeDhcpOptions(ctx context.Context, in *ec2.DescribeDhcpOptionsInput) (*ec2.DescribeDhcpOptionsOutput, error) {
	name := wire.Region(ctx)
	domain := name + ".compute.internal"
	if name == "us-east-1" {
		domain = "ec2.internal"
	}
	value := func(s string) []types.AttributeValue { return []types.AttributeValue{{Value: aws.String(s)}} }
	all := []types.DhcpOptions{{
		DhcpOptionsId: aws.String(dhcpOptions(name)), OwnerId: aws.String(account), Tags: []types.Tag{},
		DhcpConfigurations: []types.DhcpConfiguration{
			{Key: aws.String("domain-name"), Values: value(domain)},
			{Key: aws.String("domain-name-servers"), Values: value("AmazonProvidedDNS")},
		},
	}}
	kept, err := describe(all, in.DhcpOptionsIds, func(d types.DhcpOptions) *string { return d.DhcpOptionsId }, in.Filters, filters[types.DhcpOptions]{
		"dhcp-options-id": func(d types.DhcpOptions) []string { return one(d.DhcpOptionsId) },
		"owner-id":        func(d types.DhcpOptions) []string { return one(d.OwnerId) },
	}, func(d types.DhcpOptions) []types.Tag { return d.Tags })
	return &ec2.DescribeDhcpOptionsOutput{DhcpOptions: kept}, err
}

// VPC returns a snapshot of a VPC.
func (s *Service) VPC(region, id string) (VPC, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.region(region)
	v, ok := r.vpcs.get(id)
	if !ok {
		return VPC{}, false
	}
	out := VPC{ID: id, CIDR: v.cidrs[0].prefix.String(), Tags: r.tagsOf(id)}
	for _, c := range v.cidrs {
		out.CIDRs = append(out.CIDRs, c.prefix.String())
	}
	return out, true
}

// HasInternetGateway tells whether an internet gateway is attached to a VPC.
func (s *Service) HasInternetGateway(region, vpc string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.region(region).gatewayOf(vpc) != nil
}
