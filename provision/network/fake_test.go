package network

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"aicluster/provision/cloud"
)

// fakeEC2 is a region's network. A call that it does not know panics: the
// embedded interface is nil.
type fakeEC2 struct {
	API

	mu        sync.Mutex
	next      int
	calls     []string          // mutating ones, in order
	lose      map[string]int    // operation -> how many replies get lost after it took effect
	fail      map[string]error  // operation -> error
	offered   map[string]string // instance type -> zone letters
	zones     string            // zone letters
	zoneIDs   map[rune]string   // by letter, where it matters
	natTime   time.Duration
	natFails  bool
	vpcs      map[string]*types.Vpc
	dns       map[string]bool // vpc id + attribute
	gateways  map[string]*types.InternetGateway
	subnets   map[string]*types.Subnet
	addresses map[string]*types.Address
	nats      map[string]*types.NatGateway
	tables    map[string]*types.RouteTable
	endpoints map[string]*types.VpcEndpoint
	enis      map[string]*types.NetworkInterface
	groups    map[string]*types.SecurityGroup
	tokens    map[string]string // token -> id

	lag  time.Duration // how long what was made is not seen
	made map[string]time.Time
	kill map[string]func() // operation -> ends the run once it took effect
}

const region = "ap-northeast-2"

func newFake() *fakeEC2 {
	return &fakeEC2{
		lose: map[string]int{}, fail: map[string]error{}, zones: "abcd", natTime: 2 * time.Minute,
		offered: map[string]string{"c6i.xlarge": "abcd", "p4d.24xlarge": "bd", "p4de.24xlarge": "d"},
		vpcs:    map[string]*types.Vpc{}, dns: map[string]bool{}, gateways: map[string]*types.InternetGateway{}, subnets: map[string]*types.Subnet{},
		addresses: map[string]*types.Address{}, nats: map[string]*types.NatGateway{}, tables: map[string]*types.RouteTable{},
		endpoints: map[string]*types.VpcEndpoint{}, enis: map[string]*types.NetworkInterface{}, groups: map[string]*types.SecurityGroup{},
		tokens: map[string]string{}, made: map[string]time.Time{}, kill: map[string]func(){}, zoneIDs: map[rune]string{},
	}
}

func apiError(code, message string) error {
	return &smithy.GenericAPIError{Code: code, Message: message}
}

var errLost = apiError("RequestTimeout", "the reply was lost")

// change notes a mutating call. The returned function tells whether its reply
// is lost.
func (f *fakeEC2) change(op string, optFns ...func(*ec2.Options)) (lost func() error, err error) {
	f.mu.Lock()
	f.calls = append(f.calls, op)
	o := ec2.Options{}
	for _, fn := range optFns {
		fn(&o)
	}
	if err := f.fail[op]; err != nil {
		return nil, err
	}
	return func() error {
		if end := f.kill[op]; end != nil {
			delete(f.kill, op)
			end()
			return context.Canceled
		}
		if f.lose[op] > 0 {
			f.lose[op]--
			if o.RetryMaxAttempts != 1 {
				return fmt.Errorf("%s lost its reply and would be repeated blindly by the SDK", op)
			}
			return errLost
		}
		return nil
	}, nil
}

func (f *fakeEC2) id(prefix string) string {
	f.next++
	id := fmt.Sprintf("%s-%04d", prefix, f.next)
	f.made[id] = time.Now()
	return id
}

func (f *fakeEC2) seen(id string) bool { return time.Since(f.made[id]) >= f.lag }

// unseen is EC2's error if one of the ids was made a moment ago.
func (f *fakeEC2) unseen(ids ...string) error {
	for _, id := range ids {
		if !f.seen(id) {
			return apiError("InvalidID.NotFound", "The ID '"+id+"' does not exist")
		}
	}
	return nil
}

func specTags(specs []types.TagSpecification) []types.Tag {
	var tags []types.Tag
	for _, s := range specs {
		tags = append(tags, s.Tags...)
	}
	return tags
}

// matches applies the tag filters.
func matches(tags []types.Tag, filters []types.Filter) bool {
	have := cloud.FromEC2(tags)
	for _, flt := range filters {
		if key, ok := strings.CutPrefix(*flt.Name, "tag:"); ok && !slices.Contains(flt.Values, have[key]) {
			return false
		}
	}
	return true
}

func wanted(ids []string, id string) bool { return len(ids) == 0 || slices.Contains(ids, id) }

// list returns copies of what keep wants, in the order of their ids.
func list[T any](f *fakeEC2, all map[string]*T, keep func(id string, v *T) bool) []T {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []T
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if f.seen(id) && keep(id, all[id]) {
			out = append(out, *all[id])
		}
	}
	return out
}

func (f *fakeEC2) DescribeAvailabilityZones(context.Context, *ec2.DescribeAvailabilityZonesInput, ...func(*ec2.Options)) (*ec2.DescribeAvailabilityZonesOutput, error) {
	out := &ec2.DescribeAvailabilityZonesOutput{}
	for i, letter := range f.zones {
		id := cmp.Or(f.zoneIDs[letter], fmt.Sprintf("apne2-az%d", i+1))
		out.AvailabilityZones = append(out.AvailabilityZones, types.AvailabilityZone{
			ZoneName: aws.String(region + string(letter)), ZoneId: &id,
		})
	}
	return out, nil
}

func (f *fakeEC2) DescribeInstanceTypeOfferings(_ context.Context, in *ec2.DescribeInstanceTypeOfferingsInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstanceTypeOfferingsOutput, error) {
	out := &ec2.DescribeInstanceTypeOfferingsOutput{}
	for _, kind := range in.Filters[0].Values {
		for _, letter := range f.offered[kind] {
			out.InstanceTypeOfferings = append(out.InstanceTypeOfferings, types.InstanceTypeOffering{
				InstanceType: types.InstanceType(kind), Location: aws.String(region + string(letter)),
			})
		}
	}
	return out, nil
}

func (f *fakeEC2) CreateTags(_ context.Context, in *ec2.CreateTagsInput, _ ...func(*ec2.Options)) (*ec2.CreateTagsOutput, error) {
	_, err := f.change("CreateTags")
	defer f.mu.Unlock()
	if err := f.unseen(in.Resources...); err != nil {
		return nil, err
	}
	for _, id := range in.Resources {
		if s := f.subnets[id]; s != nil {
			s.Tags = append(s.Tags, in.Tags...)
		}
		if v := f.vpcs[id]; v != nil {
			v.Tags = append(v.Tags, in.Tags...)
		}
	}
	return &ec2.CreateTagsOutput{}, err
}

func (f *fakeEC2) DescribeVpcs(_ context.Context, in *ec2.DescribeVpcsInput, _ ...func(*ec2.Options)) (*ec2.DescribeVpcsOutput, error) {
	return &ec2.DescribeVpcsOutput{Vpcs: list(f, f.vpcs, func(id string, v *types.Vpc) bool {
		return wanted(in.VpcIds, id) && matches(v.Tags, in.Filters)
	})}, nil
}

func (f *fakeEC2) CreateVpc(_ context.Context, in *ec2.CreateVpcInput, o ...func(*ec2.Options)) (*ec2.CreateVpcOutput, error) {
	lost, err := f.change("CreateVpc", o...)
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	v := &types.Vpc{VpcId: aws.String(f.id("vpc")), CidrBlock: in.CidrBlock, State: types.VpcStateAvailable, Tags: specTags(in.TagSpecifications)}
	f.vpcs[*v.VpcId] = v
	f.dns[*v.VpcId+"support"] = true
	f.groups["sg-default-"+*v.VpcId] = &types.SecurityGroup{GroupId: aws.String("sg-default-" + *v.VpcId), GroupName: aws.String("default"), VpcId: v.VpcId}
	return &ec2.CreateVpcOutput{Vpc: v}, lost()
}

func (f *fakeEC2) DescribeVpcAttribute(_ context.Context, in *ec2.DescribeVpcAttributeInput, _ ...func(*ec2.Options)) (*ec2.DescribeVpcAttributeOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if in.Attribute == types.VpcAttributeNameEnableDnsSupport {
		return &ec2.DescribeVpcAttributeOutput{EnableDnsSupport: &types.AttributeBooleanValue{Value: aws.Bool(f.dns[*in.VpcId+"support"])}}, nil
	}
	return &ec2.DescribeVpcAttributeOutput{EnableDnsHostnames: &types.AttributeBooleanValue{Value: aws.Bool(f.dns[*in.VpcId+"names"])}}, nil
}

func (f *fakeEC2) ModifyVpcAttribute(_ context.Context, in *ec2.ModifyVpcAttributeInput, _ ...func(*ec2.Options)) (*ec2.ModifyVpcAttributeOutput, error) {
	_, err := f.change("ModifyVpcAttribute")
	defer f.mu.Unlock()
	if err := f.unseen(*in.VpcId); err != nil {
		return nil, err
	}
	if in.EnableDnsSupport != nil && in.EnableDnsHostnames != nil {
		return nil, apiError("InvalidParameterCombination", "one attribute at a time")
	}
	if in.EnableDnsHostnames != nil {
		f.dns[*in.VpcId+"names"] = true
	}
	return &ec2.ModifyVpcAttributeOutput{}, err
}

func (f *fakeEC2) DeleteVpc(_ context.Context, in *ec2.DeleteVpcInput, _ ...func(*ec2.Options)) (*ec2.DeleteVpcOutput, error) {
	_, err := f.change("DeleteVpc")
	defer f.mu.Unlock()
	if err := f.unseen(*in.VpcId); err != nil {
		return nil, err
	}
	for _, g := range f.groups {
		if *g.VpcId == *in.VpcId && *g.GroupName != "default" {
			return nil, apiError("DependencyViolation", "The vpc '"+*in.VpcId+"' has dependencies and cannot be deleted.")
		}
	}
	if f.holds(*in.VpcId) {
		return nil, apiError("DependencyViolation", "The vpc has dependencies and cannot be deleted.")
	}
	delete(f.vpcs, *in.VpcId)
	delete(f.groups, "sg-default-"+*in.VpcId)
	return &ec2.DeleteVpcOutput{}, err
}

// holds tells whether there is anything in a VPC.
func (f *fakeEC2) holds(vpc string) bool {
	in := false
	for _, s := range f.subnets {
		in = in || *s.VpcId == vpc
	}
	for _, g := range f.gateways {
		in = in || len(g.Attachments) > 0 && *g.Attachments[0].VpcId == vpc
	}
	for _, t := range f.tables {
		in = in || *t.VpcId == vpc
	}
	for _, e := range f.endpoints {
		in = in || *e.VpcId == vpc
	}
	return in
}

func (f *fakeEC2) DescribeSubnets(_ context.Context, in *ec2.DescribeSubnetsInput, _ ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error) {
	return &ec2.DescribeSubnetsOutput{Subnets: list(f, f.subnets, func(id string, s *types.Subnet) bool {
		if len(in.Filters) == 1 && *in.Filters[0].Name == "vpc-id" {
			return slices.Contains(in.Filters[0].Values, *s.VpcId)
		}
		return wanted(in.SubnetIds, id) && matches(s.Tags, in.Filters)
	})}, nil
}

func (f *fakeEC2) CreateSubnet(_ context.Context, in *ec2.CreateSubnetInput, o ...func(*ec2.Options)) (*ec2.CreateSubnetOutput, error) {
	lost, err := f.change("CreateSubnet", o...)
	defer f.mu.Unlock()
	if err := f.unseen(*in.VpcId); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	for _, s := range f.subnets {
		if *s.CidrBlock == *in.CidrBlock && *s.VpcId == *in.VpcId {
			return nil, apiError("InvalidSubnet.Conflict", "The CIDR '"+*in.CidrBlock+"' conflicts with another subnet")
		}
	}
	s := &types.Subnet{
		SubnetId: aws.String(f.id("subnet")), VpcId: in.VpcId, CidrBlock: in.CidrBlock, AvailabilityZone: in.AvailabilityZone,
		State: types.SubnetStateAvailable, Tags: specTags(in.TagSpecifications), MapPublicIpOnLaunch: aws.Bool(false),
	}
	f.subnets[*s.SubnetId] = s
	return &ec2.CreateSubnetOutput{Subnet: s}, lost()
}

func (f *fakeEC2) ModifySubnetAttribute(_ context.Context, in *ec2.ModifySubnetAttributeInput, _ ...func(*ec2.Options)) (*ec2.ModifySubnetAttributeOutput, error) {
	_, err := f.change("ModifySubnetAttribute")
	defer f.mu.Unlock()
	if err := f.unseen(*in.SubnetId); err != nil {
		return nil, err
	}
	f.subnets[*in.SubnetId].MapPublicIpOnLaunch = in.MapPublicIpOnLaunch.Value
	return &ec2.ModifySubnetAttributeOutput{}, err
}

func (f *fakeEC2) DeleteSubnet(_ context.Context, in *ec2.DeleteSubnetInput, _ ...func(*ec2.Options)) (*ec2.DeleteSubnetOutput, error) {
	_, err := f.change("DeleteSubnet")
	defer f.mu.Unlock()
	if err := f.unseen(*in.SubnetId); err != nil {
		return nil, err
	}
	for _, i := range f.enis {
		if *i.SubnetId == *in.SubnetId {
			return nil, apiError("DependencyViolation", "The subnet '"+*in.SubnetId+"' has dependencies and cannot be deleted.")
		}
	}
	delete(f.subnets, *in.SubnetId)
	return &ec2.DeleteSubnetOutput{}, err
}

func (f *fakeEC2) DescribeInternetGateways(_ context.Context, in *ec2.DescribeInternetGatewaysInput, _ ...func(*ec2.Options)) (*ec2.DescribeInternetGatewaysOutput, error) {
	return &ec2.DescribeInternetGatewaysOutput{InternetGateways: list(f, f.gateways, func(_ string, g *types.InternetGateway) bool { return matches(g.Tags, in.Filters) })}, nil
}

func (f *fakeEC2) CreateInternetGateway(_ context.Context, in *ec2.CreateInternetGatewayInput, o ...func(*ec2.Options)) (*ec2.CreateInternetGatewayOutput, error) {
	lost, err := f.change("CreateInternetGateway", o...)
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	g := &types.InternetGateway{InternetGatewayId: aws.String(f.id("igw")), Tags: specTags(in.TagSpecifications)}
	f.gateways[*g.InternetGatewayId] = g
	return &ec2.CreateInternetGatewayOutput{InternetGateway: g}, lost()
}

func (f *fakeEC2) AttachInternetGateway(_ context.Context, in *ec2.AttachInternetGatewayInput, _ ...func(*ec2.Options)) (*ec2.AttachInternetGatewayOutput, error) {
	lost, err := f.change("AttachInternetGateway", once)
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := f.unseen(*in.InternetGatewayId, *in.VpcId); err != nil {
		return nil, err
	}
	f.gateways[*in.InternetGatewayId].Attachments = []types.InternetGatewayAttachment{{VpcId: in.VpcId}}
	return &ec2.AttachInternetGatewayOutput{}, lost()
}

func (f *fakeEC2) DetachInternetGateway(_ context.Context, in *ec2.DetachInternetGatewayInput, _ ...func(*ec2.Options)) (*ec2.DetachInternetGatewayOutput, error) {
	_, err := f.change("DetachInternetGateway")
	defer f.mu.Unlock()
	for _, n := range f.nats {
		if !natGone(*n) {
			return nil, apiError("DependencyViolation", "Network has some mapped public address(es).")
		}
	}
	f.gateways[*in.InternetGatewayId].Attachments = nil
	return &ec2.DetachInternetGatewayOutput{}, err
}

func (f *fakeEC2) DeleteInternetGateway(_ context.Context, in *ec2.DeleteInternetGatewayInput, _ ...func(*ec2.Options)) (*ec2.DeleteInternetGatewayOutput, error) {
	_, err := f.change("DeleteInternetGateway")
	defer f.mu.Unlock()
	if err := f.unseen(*in.InternetGatewayId); err != nil {
		return nil, err
	}
	delete(f.gateways, *in.InternetGatewayId)
	return &ec2.DeleteInternetGatewayOutput{}, err
}

func (f *fakeEC2) DescribeAddresses(_ context.Context, in *ec2.DescribeAddressesInput, _ ...func(*ec2.Options)) (*ec2.DescribeAddressesOutput, error) {
	return &ec2.DescribeAddressesOutput{Addresses: list(f, f.addresses, func(_ string, a *types.Address) bool { return matches(a.Tags, in.Filters) })}, nil
}

func (f *fakeEC2) AllocateAddress(_ context.Context, in *ec2.AllocateAddressInput, o ...func(*ec2.Options)) (*ec2.AllocateAddressOutput, error) {
	lost, err := f.change("AllocateAddress", o...)
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	a := &types.Address{AllocationId: aws.String(f.id("eipalloc")), Tags: specTags(in.TagSpecifications)}
	f.addresses[*a.AllocationId] = a
	return &ec2.AllocateAddressOutput{AllocationId: a.AllocationId}, lost()
}

func (f *fakeEC2) ReleaseAddress(_ context.Context, in *ec2.ReleaseAddressInput, _ ...func(*ec2.Options)) (*ec2.ReleaseAddressOutput, error) {
	_, err := f.change("ReleaseAddress")
	defer f.mu.Unlock()
	if err := f.unseen(*in.AllocationId); err != nil {
		return nil, err
	}
	for _, n := range f.nats {
		if *n.NatGatewayAddresses[0].AllocationId == *in.AllocationId && !natGone(*n) {
			return nil, apiError("InvalidIPAddress.InUse", "in use")
		}
	}
	delete(f.addresses, *in.AllocationId)
	return &ec2.ReleaseAddressOutput{}, err
}

func (f *fakeEC2) DescribeNatGateways(_ context.Context, in *ec2.DescribeNatGatewaysInput, _ ...func(*ec2.Options)) (*ec2.DescribeNatGatewaysOutput, error) {
	f.mu.Lock()
	for _, n := range f.nats {
		since := time.Since(*n.CreateTime)
		switch {
		case n.State == types.NatGatewayStatePending && f.natFails:
			n.State, n.FailureCode, n.FailureMessage = types.NatGatewayStateFailed, aws.String("InsufficientFreeAddressesInSubnet"), aws.String("The subnet is full")
		case n.State == types.NatGatewayStatePending && since >= f.natTime:
			n.State = types.NatGatewayStateAvailable
		case n.State == types.NatGatewayStateDeleting && time.Since(*n.DeleteTime) >= f.natTime:
			n.State = types.NatGatewayStateDeleted
		}
	}
	f.mu.Unlock()
	return &ec2.DescribeNatGatewaysOutput{NatGateways: list(f, f.nats, func(id string, n *types.NatGateway) bool {
		return wanted(in.NatGatewayIds, id) && matches(n.Tags, in.Filter)
	})}, nil
}

func (f *fakeEC2) CreateNatGateway(_ context.Context, in *ec2.CreateNatGatewayInput, _ ...func(*ec2.Options)) (*ec2.CreateNatGatewayOutput, error) {
	lost, err := f.change("CreateNatGateway", once)
	defer f.mu.Unlock()
	if err := f.unseen(*in.SubnetId, *in.AllocationId); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	if id := f.tokens[*in.ClientToken]; id != "" {
		return &ec2.CreateNatGatewayOutput{NatGateway: f.nats[id]}, nil
	}
	n := &types.NatGateway{
		NatGatewayId: aws.String(f.id("nat")), SubnetId: in.SubnetId, State: types.NatGatewayStatePending, CreateTime: aws.Time(time.Now()),
		NatGatewayAddresses: []types.NatGatewayAddress{{AllocationId: in.AllocationId}}, Tags: specTags(in.TagSpecifications),
	}
	f.nats[*n.NatGatewayId], f.tokens[*in.ClientToken] = n, *n.NatGatewayId
	return &ec2.CreateNatGatewayOutput{NatGateway: n}, lost()
}

func (f *fakeEC2) DeleteNatGateway(_ context.Context, in *ec2.DeleteNatGatewayInput, _ ...func(*ec2.Options)) (*ec2.DeleteNatGatewayOutput, error) {
	_, err := f.change("DeleteNatGateway")
	defer f.mu.Unlock()
	n := f.nats[*in.NatGatewayId]
	n.State, n.DeleteTime = types.NatGatewayStateDeleting, aws.Time(time.Now())
	return &ec2.DeleteNatGatewayOutput{}, err
}

func (f *fakeEC2) DescribeRouteTables(_ context.Context, in *ec2.DescribeRouteTablesInput, _ ...func(*ec2.Options)) (*ec2.DescribeRouteTablesOutput, error) {
	return &ec2.DescribeRouteTablesOutput{RouteTables: list(f, f.tables, func(_ string, t *types.RouteTable) bool { return matches(t.Tags, in.Filters) })}, nil
}

func (f *fakeEC2) CreateRouteTable(_ context.Context, in *ec2.CreateRouteTableInput, _ ...func(*ec2.Options)) (*ec2.CreateRouteTableOutput, error) {
	lost, err := f.change("CreateRouteTable", once)
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := f.unseen(*in.VpcId); err != nil {
		return nil, err
	}
	if t := f.tables[f.tokens[*in.ClientToken]]; t != nil {
		return &ec2.CreateRouteTableOutput{RouteTable: t}, nil
	}
	t := &types.RouteTable{RouteTableId: aws.String(f.id("rtb")), VpcId: in.VpcId, Tags: specTags(in.TagSpecifications)}
	f.tables[*t.RouteTableId], f.tokens[*in.ClientToken] = t, *t.RouteTableId
	return &ec2.CreateRouteTableOutput{RouteTable: t}, lost()
}

func (f *fakeEC2) AssociateRouteTable(_ context.Context, in *ec2.AssociateRouteTableInput, _ ...func(*ec2.Options)) (*ec2.AssociateRouteTableOutput, error) {
	lost, err := f.change("AssociateRouteTable", once)
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := f.unseen(*in.RouteTableId, *in.SubnetId); err != nil {
		return nil, err
	}
	id := f.id("rtbassoc")
	t := f.tables[*in.RouteTableId]
	t.Associations = append(t.Associations, types.RouteTableAssociation{SubnetId: in.SubnetId, RouteTableAssociationId: &id})
	return &ec2.AssociateRouteTableOutput{AssociationId: &id}, lost()
}

func (f *fakeEC2) DisassociateRouteTable(_ context.Context, in *ec2.DisassociateRouteTableInput, _ ...func(*ec2.Options)) (*ec2.DisassociateRouteTableOutput, error) {
	_, err := f.change("DisassociateRouteTable")
	defer f.mu.Unlock()
	for _, t := range f.tables {
		t.Associations = slices.DeleteFunc(t.Associations, func(a types.RouteTableAssociation) bool { return *a.RouteTableAssociationId == *in.AssociationId })
	}
	return &ec2.DisassociateRouteTableOutput{}, err
}

func (f *fakeEC2) DeleteRouteTable(_ context.Context, in *ec2.DeleteRouteTableInput, _ ...func(*ec2.Options)) (*ec2.DeleteRouteTableOutput, error) {
	_, err := f.change("DeleteRouteTable")
	defer f.mu.Unlock()
	if len(f.tables[*in.RouteTableId].Associations) > 0 {
		return nil, apiError("DependencyViolation", "The routeTable has dependencies and cannot be deleted.")
	}
	delete(f.tables, *in.RouteTableId)
	return &ec2.DeleteRouteTableOutput{}, err
}

func (f *fakeEC2) CreateRoute(_ context.Context, in *ec2.CreateRouteInput, _ ...func(*ec2.Options)) (*ec2.CreateRouteOutput, error) {
	lost, err := f.change("CreateRoute", once)
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := f.unseen(*in.RouteTableId); err != nil {
		return nil, err
	}
	t := f.tables[*in.RouteTableId]
	t.Routes = append(t.Routes, types.Route{DestinationCidrBlock: in.DestinationCidrBlock, GatewayId: in.GatewayId, NatGatewayId: in.NatGatewayId})
	return &ec2.CreateRouteOutput{}, lost()
}

func (f *fakeEC2) ReplaceRoute(_ context.Context, in *ec2.ReplaceRouteInput, _ ...func(*ec2.Options)) (*ec2.ReplaceRouteOutput, error) {
	_, err := f.change("ReplaceRoute")
	defer f.mu.Unlock()
	f.tables[*in.RouteTableId].Routes = []types.Route{{DestinationCidrBlock: in.DestinationCidrBlock, GatewayId: in.GatewayId, NatGatewayId: in.NatGatewayId}}
	return &ec2.ReplaceRouteOutput{}, err
}

func (f *fakeEC2) DeleteRoute(_ context.Context, in *ec2.DeleteRouteInput, _ ...func(*ec2.Options)) (*ec2.DeleteRouteOutput, error) {
	_, err := f.change("DeleteRoute")
	defer f.mu.Unlock()
	f.tables[*in.RouteTableId].Routes = nil
	return &ec2.DeleteRouteOutput{}, err
}

func (f *fakeEC2) DescribeVpcEndpoints(_ context.Context, in *ec2.DescribeVpcEndpointsInput, _ ...func(*ec2.Options)) (*ec2.DescribeVpcEndpointsOutput, error) {
	return &ec2.DescribeVpcEndpointsOutput{VpcEndpoints: list(f, f.endpoints, func(_ string, e *types.VpcEndpoint) bool { return matches(e.Tags, in.Filters) })}, nil
}

func (f *fakeEC2) CreateVpcEndpoint(_ context.Context, in *ec2.CreateVpcEndpointInput, _ ...func(*ec2.Options)) (*ec2.CreateVpcEndpointOutput, error) {
	lost, err := f.change("CreateVpcEndpoint", once)
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := f.unseen(append(slices.Clone(in.RouteTableIds), *in.VpcId)...); err != nil {
		return nil, err
	}
	if e := f.endpoints[f.tokens[*in.ClientToken]]; e != nil {
		return &ec2.CreateVpcEndpointOutput{VpcEndpoint: e}, nil
	}
	e := &types.VpcEndpoint{VpcEndpointId: aws.String(f.id("vpce")), VpcId: in.VpcId, RouteTableIds: in.RouteTableIds, Tags: specTags(in.TagSpecifications), State: "available"}
	f.endpoints[*e.VpcEndpointId], f.tokens[*in.ClientToken] = e, *e.VpcEndpointId
	return &ec2.CreateVpcEndpointOutput{VpcEndpoint: e}, lost()
}

func (f *fakeEC2) DeleteVpcEndpoints(_ context.Context, in *ec2.DeleteVpcEndpointsInput, _ ...func(*ec2.Options)) (*ec2.DeleteVpcEndpointsOutput, error) {
	_, err := f.change("DeleteVpcEndpoints")
	defer f.mu.Unlock()
	id := in.VpcEndpointIds[0]
	if f.endpoints[id] == nil { // told in the answer, not as an error
		return &ec2.DeleteVpcEndpointsOutput{Unsuccessful: []types.UnsuccessfulItem{{ResourceId: &id, Error: &types.UnsuccessfulItemError{
			Code: aws.String("InvalidVpcEndpointId.NotFound"), Message: aws.String("The Vpc Endpoint Id '" + id + "' does not exist"),
		}}}}, err
	}
	delete(f.endpoints, id)
	return &ec2.DeleteVpcEndpointsOutput{}, err
}

func (f *fakeEC2) DescribeNetworkInterfaces(_ context.Context, in *ec2.DescribeNetworkInterfacesInput, _ ...func(*ec2.Options)) (*ec2.DescribeNetworkInterfacesOutput, error) {
	return &ec2.DescribeNetworkInterfacesOutput{NetworkInterfaces: list(f, f.enis, func(_ string, i *types.NetworkInterface) bool {
		return (*in.Filters[0].Name != "subnet-id" || slices.Contains(in.Filters[0].Values, *i.SubnetId)) && matches(i.TagSet, in.Filters)
	})}, nil
}

func (f *fakeEC2) DeleteNetworkInterface(_ context.Context, in *ec2.DeleteNetworkInterfaceInput, _ ...func(*ec2.Options)) (*ec2.DeleteNetworkInterfaceOutput, error) {
	_, err := f.change("DeleteNetworkInterface")
	defer f.mu.Unlock()
	delete(f.enis, *in.NetworkInterfaceId)
	return &ec2.DeleteNetworkInterfaceOutput{}, err
}

func (f *fakeEC2) DescribeSecurityGroups(_ context.Context, in *ec2.DescribeSecurityGroupsInput, _ ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupsOutput, error) {
	return &ec2.DescribeSecurityGroupsOutput{SecurityGroups: list(f, f.groups, func(_ string, g *types.SecurityGroup) bool {
		return (*in.Filters[0].Name != "vpc-id" || slices.Contains(in.Filters[0].Values, *g.VpcId)) && matches(g.Tags, in.Filters)
	})}, nil
}

// DeleteSecurityGroup refuses a group that an interface has or another's rule names.
func (f *fakeEC2) DeleteSecurityGroup(_ context.Context, in *ec2.DeleteSecurityGroupInput, _ ...func(*ec2.Options)) (*ec2.DeleteSecurityGroupOutput, error) {
	_, err := f.change("DeleteSecurityGroup")
	defer f.mu.Unlock()
	held := apiError("DependencyViolation", "resource "+*in.GroupId+" has a dependent object")
	for _, i := range f.enis {
		if slices.ContainsFunc(i.Groups, func(g types.GroupIdentifier) bool { return *g.GroupId == *in.GroupId }) {
			return nil, held
		}
	}
	for _, g := range f.groups {
		if *g.GroupId != *in.GroupId && len(rulesAbout(*in.GroupId, g.IpPermissions)) > 0 {
			return nil, held
		}
	}
	delete(f.groups, *in.GroupId)
	return &ec2.DeleteSecurityGroupOutput{}, err
}

// RevokeSecurityGroupIngress takes rules away that name groups.
func (f *fakeEC2) RevokeSecurityGroupIngress(_ context.Context, in *ec2.RevokeSecurityGroupIngressInput, _ ...func(*ec2.Options)) (*ec2.RevokeSecurityGroupIngressOutput, error) {
	_, err := f.change("RevokeSecurityGroupIngress")
	defer f.mu.Unlock()
	g := f.groups[*in.GroupId]
	for _, gone := range in.IpPermissions {
		for i, r := range g.IpPermissions {
			if *r.IpProtocol == *gone.IpProtocol {
				g.IpPermissions[i].UserIdGroupPairs = slices.DeleteFunc(slices.Clone(r.UserIdGroupPairs), func(p types.UserIdGroupPair) bool {
					return *p.GroupId == *gone.UserIdGroupPairs[0].GroupId
				})
			}
		}
	}
	return &ec2.RevokeSecurityGroupIngressOutput{}, err
}
