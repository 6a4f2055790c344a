package ec2

import (
	"context"
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/wire"
)

type subnet struct {
	id, vpc   string
	prefix    netip.Prefix
	zone      zone
	mapPublic bool
	hostname  types.HostnameType
	aRecord   bool
	used      map[netip.Addr]string // interface by address
}

func registerSubnets(w *wire.Server, a api) {
	handle(w, a.CreateSubnet)
	handle(w, a.DescribeSubnets)
	handle(w, a.ModifySubnetAttribute)
	handle(w, a.DeleteSubnet)
}

// free counts the addresses that are left; AWS keeps the first four and the
// last of every subnet (VPC User Guide, "Subnet sizing for IPv4").
func (s *subnet) free() int { return 1<<(32-s.prefix.Bits()) - 5 - len(s.used) }

// take gives an interface the lowest free address.
func (s *subnet) take(eni string) (netip.Addr, error) {
	first := binary.BigEndian.Uint32(s.prefix.Addr().AsSlice())
	size := uint32(1) << (32 - s.prefix.Bits())
	for i := uint32(4); i < size-1; i++ {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], first+i)
		if a := netip.AddrFrom4(b); s.used[a] == "" {
			s.used[a] = eni
			return a, nil
		}
	}
	return netip.Addr{}, fail("InsufficientFreeAddressesInSubnet", "The specified subnet does not have enough free addresses to satisfy the request.")
}

func (s *subnet) output(r *region) types.Subnet {
	return types.Subnet{
		SubnetId: aws.String(s.id), VpcId: aws.String(s.vpc), CidrBlock: aws.String(s.prefix.String()), State: types.SubnetStateAvailable,
		AvailabilityZone: aws.String(s.zone.name), AvailabilityZoneId: aws.String(s.zone.id), AvailableIpAddressCount: aws.Int32(int32(s.free())),
		MapPublicIpOnLaunch: aws.Bool(s.mapPublic), AssignIpv6AddressOnCreation: aws.Bool(false), DefaultForAz: aws.Bool(false),
		EnableDns64: aws.Bool(false), Ipv6Native: aws.Bool(false), MapCustomerOwnedIpOnLaunch: aws.Bool(false), OwnerId: aws.String(account),
		SubnetArn: aws.String("arn:aws:ec2:" + r.name + ":" + account + ":subnet/" + s.id), Tags: r.sdkTags(s.id),
		PrivateDnsNameOptionsOnLaunch: &types.PrivateDnsNameOptionsOnLaunch{
			HostnameType: s.hostname, EnableResourceNameDnsARecord: aws.Bool(s.aRecord), EnableResourceNameDnsAAAARecord: aws.Bool(false),
		},
	}
}

// CreateSubnet makes a subnet inside a block of its VPC, apart from all others.
func (a api) CreateSubnet(ctx context.Context, in *ec2.CreateSubnetInput) (*ec2.CreateSubnetOutput, error) {
	tags, err := tagsFor(types.ResourceTypeSubnet, in.TagSpecifications)
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
	r := a.lock(ctx)
	defer a.mu.Unlock()
	v, err := lookup(r.vpcs, kindVPC, in.VpcId)
	if err != nil {
		return nil, err
	}
	z, err := r.zoneForSubnet(in.AvailabilityZone, in.AvailabilityZoneId)
	if err != nil {
		return nil, err
	}
	if err := r.fits(v, prefix, *in.CidrBlock); err != nil {
		return nil, err
	}
	s := &subnet{id: newID("subnet"), vpc: v.id, prefix: prefix, zone: z, hostname: types.HostnameTypeIpName, used: map[netip.Addr]string{}}
	r.subnets.add(s.id, s)
	r.tags[s.id] = tags
	out := s.output(r)
	out.State = types.SubnetStatePending
	return &ec2.CreateSubnetOutput{Subnet: &out}, nil
}

func (r *region) zoneForSubnet(name, id *string) (zone, error) {
	wanted, parameter := aws.ToString(name), "availabilityZone"
	if id != nil {
		if name != nil {
			return zone{}, fail("InvalidParameterCombination", "You cannot specify both the parameter availabilityZone and the parameter availabilityZoneId. Use one or the other.")
		}
		wanted, parameter = *id, "availabilityZoneId"
	}
	if wanted == "" {
		return zonesOf(r.name)[0], nil
	}
	z, ok := findZone(r.name, wanted)
	if ok && (parameter == "availabilityZoneId") == (wanted == z.id) {
		return z, nil
	}
	var valid []string
	for _, z := range zonesOf(r.name) {
		if parameter == "availabilityZoneId" {
			valid = append(valid, z.id)
		} else {
			valid = append(valid, z.name)
		}
	}
	return zone{}, invalidValue("Value (%s) for parameter %s is invalid. Subnets can currently only be created in the following availability zones: %s.",
		wanted, parameter, strings.Join(valid, ", "))
}

// fits checks a new subnet's block: from /16 to /28, inside the VPC, no overlap.
func (r *region) fits(v *vpc, prefix netip.Prefix, given string) error {
	inside := false
	for _, c := range v.cidrs {
		inside = inside || c.prefix.Bits() <= prefix.Bits() && c.prefix.Contains(prefix.Addr())
	}
	if !inside || prefix.Bits() < 16 || prefix.Bits() > 28 {
		return fail("InvalidSubnet.Range", "The CIDR '%s' is invalid.", given)
	}
	count := 0
	for _, s := range r.subnets.all() {
		if s.vpc != v.id {
			continue
		}
		count++
		if s.prefix.Overlaps(prefix) {
			return fail("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", given)
		}
	}
	if r.reached(quotaSubnets, count) {
		return fail("SubnetLimitExceeded", "The maximum number of subnets has been reached.")
	}
	return nil
}

// DescribeSubnets lists subnets.
func (a api) DescribeSubnets(ctx context.Context, in *ec2.DescribeSubnetsInput) (*ec2.DescribeSubnetsOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if err := checkIDs(r.subnets, kindSubnet, in.SubnetIds); err != nil {
		return nil, err
	}
	var all []types.Subnet
	for _, s := range r.subnets.shown() {
		all = append(all, s.output(r))
	}
	kept, err := describe(all, in.SubnetIds, func(s types.Subnet) *string { return s.SubnetId }, in.Filters, filters[types.Subnet]{
		"availability-zone":          func(s types.Subnet) []string { return one(s.AvailabilityZone) },
		"availabilityZone":           func(s types.Subnet) []string { return one(s.AvailabilityZone) },
		"availability-zone-id":       func(s types.Subnet) []string { return one(s.AvailabilityZoneId) },
		"availabilityZoneId":         func(s types.Subnet) []string { return one(s.AvailabilityZoneId) },
		"available-ip-address-count": func(s types.Subnet) []string { return number(*s.AvailableIpAddressCount) },
		"cidr":                       func(s types.Subnet) []string { return one(s.CidrBlock) },
		"cidr-block":                 func(s types.Subnet) []string { return one(s.CidrBlock) },
		"cidrBlock":                  func(s types.Subnet) []string { return one(s.CidrBlock) },
		"default-for-az":             func(s types.Subnet) []string { return yes(s.DefaultForAz) },
		"map-public-ip-on-launch":    func(s types.Subnet) []string { return yes(s.MapPublicIpOnLaunch) },
		"owner-id":                   func(s types.Subnet) []string { return one(s.OwnerId) },
		"state":                      func(s types.Subnet) []string { return []string{string(s.State)} },
		"subnet-arn":                 func(s types.Subnet) []string { return one(s.SubnetArn) },
		"subnet-id":                  func(s types.Subnet) []string { return one(s.SubnetId) },
		"vpc-id":                     func(s types.Subnet) []string { return one(s.VpcId) },
	}, func(s types.Subnet) []types.Tag { return s.Tags })
	return &ec2.DescribeSubnetsOutput{Subnets: kept}, err
}

// ModifySubnetAttribute changes one attribute of a subnet.
func (a api) ModifySubnetAttribute(ctx context.Context, in *ec2.ModifySubnetAttributeInput) (*ec2.ModifySubnetAttributeOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	s, err := lookup(r.subnets, kindSubnet, in.SubnetId)
	if err != nil {
		return nil, err
	}
	given := 0
	for _, v := range []*types.AttributeBooleanValue{in.MapPublicIpOnLaunch, in.EnableResourceNameDnsARecordOnLaunch, in.AssignIpv6AddressOnCreation, in.EnableDns64} {
		if v != nil {
			given++
		}
	}
	if in.PrivateDnsHostnameTypeOnLaunch != "" {
		given++
	}
	if given != 1 {
		// API reference: one attribute at a time; words not found.
		return nil, fail("InvalidParameterCombination", "Exactly one attribute of the subnet can be modified at a time.")
	}
	switch {
	case in.MapPublicIpOnLaunch != nil:
		s.mapPublic = aws.ToBool(in.MapPublicIpOnLaunch.Value)
	case in.EnableResourceNameDnsARecordOnLaunch != nil:
		s.aRecord = aws.ToBool(in.EnableResourceNameDnsARecordOnLaunch.Value)
	case in.PrivateDnsHostnameTypeOnLaunch != "":
		s.hostname = in.PrivateDnsHostnameTypeOnLaunch
	default:
		return nil, invalidValue("The subnet '%s' has no IPv6 CIDR block", s.id)
	}
	return &ec2.ModifySubnetAttributeOutput{}, nil
}

// DeleteSubnet deletes a subnet without interfaces; its association with a
// route table goes with it.
func (a api) DeleteSubnet(ctx context.Context, in *ec2.DeleteSubnetInput) (*ec2.DeleteSubnetOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	s, err := lookup(r.subnets, kindSubnet, in.SubnetId)
	if err != nil {
		return nil, err
	}
	for _, e := range r.interfaces.all() {
		if e.subnet == s.id {
			return nil, dependency("The subnet '%s' has dependencies and cannot be deleted.", s.id)
		}
	}
	for _, t := range r.routeTables.all() {
		delete(t.subnets, s.id)
	}
	r.subnets.remove(s.id)
	r.forget(s.id)
	return &ec2.DeleteSubnetOutput{}, nil
}

// Subnets returns the subnets with these ids that a caller names, in their order.
// The error is EC2's InvalidSubnetID.NotFound when one does not exist.
func (s *Service) Subnets(region string, ids []string) ([]Subnet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.seenRegion(region)
	list := make([]Subnet, 0, len(ids))
	for _, id := range ids {
		sn, err := lookup(r.subnets, kindSubnet, &id)
		if err != nil {
			return nil, err
		}
		list = append(list, r.snapshot(sn))
	}
	return list, nil
}

// SubnetsOf returns all subnets of a VPC.
func (s *Service) SubnetsOf(region, vpc string) []Subnet {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.region(region)
	var list []Subnet
	for _, sn := range r.subnets.all() {
		if sn.vpc == vpc {
			list = append(list, r.snapshot(sn))
		}
	}
	return list
}

func (r *region) snapshot(s *subnet) Subnet {
	return Subnet{
		ID: s.id, VPC: s.vpc, CIDR: s.prefix.String(), Zone: s.zone.name, ZoneID: s.zone.id, Available: s.free(),
		Public: r.public(s), Tags: r.tagsOf(s.id),
	}
}
