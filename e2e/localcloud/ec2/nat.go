package ec2

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/wire"
)

type nat struct {
	id, subnet, vpc      string
	zone                 zone
	kind                 types.ConnectivityType
	state                types.NatGatewayState
	failureCode, failure string
	eni, privateIP       string
	address, ip          string // kept after the end, for Describe
	association          string
	created, deleted     time.Time
}

func registerNATs(w *wire.Server, a api) {
	handle(w, a.CreateNatGateway)
	handle(w, a.DescribeNatGateways)
	handle(w, a.DeleteNatGateway)
}

func (n *nat) output(r *region) types.NatGateway {
	out := types.NatGateway{
		NatGatewayId: aws.String(n.id), SubnetId: aws.String(n.subnet), VpcId: aws.String(n.vpc), State: n.state, ConnectivityType: n.kind,
		CreateTime: aws.Time(n.created), AvailabilityMode: types.AvailabilityModeZonal, Tags: r.sdkTags(n.id),
	}
	if n.failureCode != "" {
		out.FailureCode, out.FailureMessage = aws.String(n.failureCode), aws.String(n.failure)
	}
	if !n.deleted.IsZero() {
		out.DeleteTime = aws.Time(n.deleted)
	}
	x := types.NatGatewayAddress{IsPrimary: aws.Bool(true)}
	if n.address != "" {
		x.AllocationId = aws.String(n.address)
	}
	switch n.state {
	case types.NatGatewayStatePending:
		x.Status = types.NatGatewayAddressStatusAssociating
	case types.NatGatewayStateFailed:
		x.Status = types.NatGatewayAddressStatusFailed
	default:
		x.Status = types.NatGatewayAddressStatusSucceeded
	}
	if n.eni != "" {
		x.NetworkInterfaceId, x.PrivateIp = aws.String(n.eni), aws.String(n.privateIP)
		if n.ip != "" {
			x.PublicIp, x.AssociationId = aws.String(n.ip), aws.String(n.association)
		}
	}
	out.NatGatewayAddresses = []types.NatGatewayAddress{x}
	return out
}

// CreateNatGateway makes a gateway that is pending at first. What EC2 finds out
// only later makes it "failed", not this call (VPC User Guide, "Troubleshoot NAT
// gateways", with the words of failureMessage).
func (a api) CreateNatGateway(ctx context.Context, in *ec2.CreateNatGatewayInput) (*ec2.CreateNatGatewayOutput, error) {
	tags, err := tagsFor(types.ResourceTypeNatgateway, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	r := a.lock(ctx)
	defer a.mu.Unlock()
	id, remember, err := r.repeated("CreateNatGateway", in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	n, ok, err := again(r.nats, id)
	if err != nil {
		return nil, err
	}
	if ok {
		out := n.output(r)
		return &ec2.CreateNatGatewayOutput{NatGateway: &out, ClientToken: in.ClientToken}, nil
	}
	n, x, err := r.newNAT(in)
	if err != nil {
		return nil, err
	}
	remember(n.id)
	r.nats.add(n.id, n)
	r.tags[n.id] = tags
	s, _ := r.subnets.get(n.subnet)
	if code, message := r.natFailure(n, s, x); code != "" {
		a.step(clock.NATGatewayCreate, func() {
			n.state, n.failureCode, n.failure = types.NatGatewayStateFailed, code, message
			a.expire(func() { r.nats.remove(n.id); r.forget(n.id) })
		})
	} else {
		a.startNAT(r, n, s, x)
	}
	out := n.output(r)
	return &ec2.CreateNatGatewayOutput{NatGateway: &out, ClientToken: in.ClientToken}, nil
}

func (r *region) newNAT(in *ec2.CreateNatGatewayInput) (*nat, *address, error) {
	s, err := lookup(r.subnets, kindSubnet, in.SubnetId)
	if err != nil {
		return nil, nil, err
	}
	kind := in.ConnectivityType
	if kind == "" {
		kind = types.ConnectivityTypePublic
	}
	var x *address
	if kind == types.ConnectivityTypePublic {
		if in.AllocationId == nil {
			return nil, nil, fail("MissingParameter", "The request must include the AllocationId parameter. Add the required parameter and retry the request.")
		}
		if x, err = lookup(r.addresses, kindAddress, in.AllocationId); err != nil {
			return nil, nil, err
		}
	} else if in.AllocationId != nil {
		return nil, nil, fail("InvalidParameterCombination", "The AllocationId parameter is not supported for private NAT gateways.")
	}
	count := 0
	for _, have := range r.nats.all() {
		if have.zone == s.zone && have.state != types.NatGatewayStateDeleted && have.state != types.NatGatewayStateFailed {
			count++
		}
	}
	if r.reached(quotaNATs, count) {
		return nil, nil, fail("NatGatewayLimitExceeded", "Performing this operation would exceed the limit of %d NAT gateways", int(r.quota(quotaNATs)))
	}
	n := &nat{id: newID("nat"), subnet: s.id, vpc: s.vpc, zone: s.zone, kind: kind, state: types.NatGatewayStatePending, created: now()}
	if x != nil {
		n.address = x.id
	}
	return n, x, nil
}

func (r *region) natFailure(n *nat, s *subnet, x *address) (code, message string) {
	switch {
	case s.free() <= 0:
		return "InsufficientFreeAddressesInSubnet", "Subnet has insufficient free addresses to create this NAT gateway"
	case x != nil && r.gatewayOf(n.vpc) == nil:
		return "Gateway.NotAttached", "Network " + n.vpc + " has no Internet gateway attached"
	case x != nil && x.association != "":
		return "Resource.AlreadyAssociated", "Elastic IP address [" + x.id + "] is already associated"
	}
	return "", ""
}

func (a api) startNAT(r *region, n *nat, s *subnet, x *address) {
	e, err := r.addInterface(s, nil)
	if err != nil {
		return // natFailure looked for free addresses
	}
	e.description, e.kind = "Interface for NAT Gateway "+n.id, types.NetworkInterfaceTypeNatGateway
	e.managed, e.requester, e.sourceDest = true, "amazon-aws", false
	e.attach(&attachment{id: newID("ela-attach"), owner: "amazon-aws", device: 1})
	n.eni, n.privateIP = e.id, e.ip.String()
	if x != nil {
		r.associate(x, e)
		n.ip, n.association = x.ip, x.association
	}
	a.step(clock.NATGatewayCreate, func() {
		if n.state == types.NatGatewayStatePending {
			n.state = types.NatGatewayStateAvailable
		}
	})
}

// DescribeNatGateways lists gateways, also those that are deleted for about an hour.
func (a api) DescribeNatGateways(ctx context.Context, in *ec2.DescribeNatGatewaysInput) (*ec2.DescribeNatGatewaysOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if err := checkIDs(r.nats, kindNAT, in.NatGatewayIds); err != nil {
		return nil, err
	}
	var all []types.NatGateway
	for _, n := range r.nats.shown() {
		all = append(all, n.output(r))
	}
	kept, err := describe(all, in.NatGatewayIds, func(n types.NatGateway) *string { return n.NatGatewayId }, in.Filter, filters[types.NatGateway]{
		"nat-gateway-id": func(n types.NatGateway) []string { return one(n.NatGatewayId) },
		"state":          func(n types.NatGateway) []string { return []string{string(n.State)} },
		"subnet-id":      func(n types.NatGateway) []string { return one(n.SubnetId) },
		"vpc-id":         func(n types.NatGateway) []string { return one(n.VpcId) },
	}, func(n types.NatGateway) []types.Tag { return n.Tags })
	return &ec2.DescribeNatGatewaysOutput{NatGateways: kept}, err
}

// DeleteNatGateway starts the end of a gateway. Its address is free again, but
// stays the account's; routes to it become blackholes.
func (a api) DeleteNatGateway(ctx context.Context, in *ec2.DeleteNatGatewayInput) (*ec2.DeleteNatGatewayOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	n, err := lookup(r.nats, kindNAT, in.NatGatewayId)
	if err != nil {
		return nil, err
	}
	out := &ec2.DeleteNatGatewayOutput{NatGatewayId: in.NatGatewayId}
	if n.state == types.NatGatewayStateDeleting || n.state == types.NatGatewayStateDeleted {
		return out, nil
	}
	n.state, n.deleted = types.NatGatewayStateDeleting, now()
	a.step(clock.NATGatewayDelete, func() {
		if e, ok := r.interfaces.get(n.eni); ok {
			r.removeInterface(e)
		}
		n.state = types.NatGatewayStateDeleted
		a.expire(func() { r.nats.remove(n.id); r.forget(n.id) })
	})
	return out, nil
}

// now is in whole seconds, as most of EC2's times are.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }
