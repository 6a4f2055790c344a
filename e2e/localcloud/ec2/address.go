package ec2

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/wire"
)

// address is an Elastic IP address.
type address struct {
	id, ip      string
	association string // set while it is mapped to an interface
	eni         string
}

func registerAddresses(w *wire.Server, a api) {
	handle(w, a.AllocateAddress)
	handle(w, a.DescribeAddresses)
	handle(w, a.ReleaseAddress)
	handle(w, a.AssociateAddress)
	handle(w, a.DisassociateAddress)
}

// publicIP makes a public address of an id.
func publicIP(id string) string {
	h := fnv.New32a()
	h.Write([]byte(id))
	n := h.Sum32()
	return fmt.Sprintf("%d.%d.%d.%d", []int{3, 13, 15, 43, 52, 54}[n>>24%6], n>>16&0xff, n>>8&0xff, n&0xfe|1)
}

func (x *address) output(r *region) types.Address {
	out := types.Address{
		AllocationId: aws.String(x.id), PublicIp: aws.String(x.ip), Domain: types.DomainTypeVpc, PublicIpv4Pool: aws.String("amazon"),
		NetworkBorderGroup: aws.String(r.name), Tags: r.sdkTags(x.id),
	}
	if e, ok := r.interfaces.get(x.eni); ok {
		out.AssociationId, out.NetworkInterfaceId = aws.String(x.association), aws.String(e.id)
		out.NetworkInterfaceOwnerId, out.PrivateIpAddress = aws.String(account), aws.String(e.ip.String())
		if e.attachment != nil && e.attachment.instance != "" {
			out.InstanceId = aws.String(e.attachment.instance)
		}
	}
	return out
}

// AllocateAddress takes an address from Amazon's pool.
func (a api) AllocateAddress(ctx context.Context, in *ec2.AllocateAddressInput) (*ec2.AllocateAddressOutput, error) {
	tags, err := tagsFor(types.ResourceTypeElasticIp, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	if in.Domain != "" && in.Domain != types.DomainTypeVpc { // EC2-Classic is no more
		return nil, invalidValue("Value (%s) for parameter domain is invalid.", in.Domain)
	}
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if r.reached(quotaAddresses, len(r.addresses.order)) {
		return nil, fail("AddressLimitExceeded", "The maximum number of addresses has been reached.")
	}
	x := &address{id: newID("eipalloc")}
	x.ip = publicIP(x.id)
	r.addresses.add(x.id, x)
	r.tags[x.id] = tags
	return &ec2.AllocateAddressOutput{
		AllocationId: aws.String(x.id), PublicIp: aws.String(x.ip), Domain: types.DomainTypeVpc, PublicIpv4Pool: aws.String("amazon"),
		NetworkBorderGroup: aws.String(r.name),
	}, nil
}

// DescribeAddresses lists the account's addresses.
func (a api) DescribeAddresses(ctx context.Context, in *ec2.DescribeAddressesInput) (*ec2.DescribeAddressesOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if err := checkIDs(r.addresses, kindAddress, in.AllocationIds); err != nil {
		return nil, err
	}
	var all []types.Address
	byIP := map[string]bool{}
	for _, x := range r.addresses.shown() {
		all = append(all, x.output(r))
		byIP[x.ip] = true
	}
	for _, ip := range in.PublicIps {
		if !byIP[ip] {
			return nil, fail("InvalidAddress.NotFound", "Address '%s' not found.", ip)
		}
	}
	ids, idOf := in.AllocationIds, func(x types.Address) *string { return x.AllocationId }
	if len(in.PublicIps) > 0 {
		ids, idOf = in.PublicIps, func(x types.Address) *string { return x.PublicIp }
	}
	kept, err := describe(all, ids, idOf, in.Filters, filters[types.Address]{
		"allocation-id":              func(x types.Address) []string { return one(x.AllocationId) },
		"association-id":             func(x types.Address) []string { return one(x.AssociationId) },
		"domain":                     func(x types.Address) []string { return []string{string(x.Domain)} },
		"instance-id":                func(x types.Address) []string { return one(x.InstanceId) },
		"network-border-group":       func(x types.Address) []string { return one(x.NetworkBorderGroup) },
		"network-interface-id":       func(x types.Address) []string { return one(x.NetworkInterfaceId) },
		"network-interface-owner-id": func(x types.Address) []string { return one(x.NetworkInterfaceOwnerId) },
		"private-ip-address":         func(x types.Address) []string { return one(x.PrivateIpAddress) },
		"public-ip":                  func(x types.Address) []string { return one(x.PublicIp) },
	}, func(x types.Address) []types.Tag { return x.Tags })
	return &ec2.DescribeAddressesOutput{Addresses: kept}, err
}

// ReleaseAddress gives back an address that is mapped to nothing.
func (a api) ReleaseAddress(ctx context.Context, in *ec2.ReleaseAddressInput) (*ec2.ReleaseAddressOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	x, err := lookup(r.addresses, kindAddress, in.AllocationId)
	if err != nil {
		return nil, err
	}
	if x.association != "" {
		return nil, fail("InvalidIPAddress.InUse", "Address %s is in use.", x.ip)
	}
	r.addresses.remove(x.id)
	r.forget(x.id)
	return &ec2.ReleaseAddressOutput{}, nil
}

// associate maps an address to an interface.
func (r *region) associate(x *address, e *eni) {
	x.association, x.eni = newID("eipassoc"), e.id
	e.public = &mapping{ip: x.ip, allocation: x.id, association: x.association, owner: account}
}

// unmap ends the mapping of an interface's public address.
func (r *region) unmap(e *eni) {
	if e.public != nil {
		if x, ok := r.addresses.get(e.public.allocation); ok {
			x.association, x.eni = "", ""
		}
		e.public = nil
	}
}

// AssociateAddress maps an address to an instance or an interface.
func (a api) AssociateAddress(ctx context.Context, in *ec2.AssociateAddressInput) (*ec2.AssociateAddressOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	x, err := lookup(r.addresses, kindAddress, in.AllocationId)
	if err != nil {
		return nil, err
	}
	id := aws.ToString(in.NetworkInterfaceId)
	if in.InstanceId != nil {
		i, err := lookup(r.instances, kindInstance, in.InstanceId)
		if err != nil {
			return nil, err
		}
		if len(i.enis) == 0 {
			return nil, fail("InvalidInstanceID", "The pending instance '%s' is not in a valid state for this operation.", i.id)
		}
		id = i.enis[0]
	}
	e, err := lookup(r.interfaces, kindInterface, &id)
	if err != nil {
		return nil, err
	}
	if e.managed {
		return nil, fail("AuthFailure", "You do not have permission to access the specified resource.")
	}
	if r.gatewayOf(e.vpc) == nil {
		return nil, fail("Gateway.NotAttached", "Network %s is not attached to any internet gateway", e.vpc)
	}
	if x.association != "" && !aws.ToBool(in.AllowReassociation) {
		return nil, fail("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", x.id, x.association)
	}
	if old, ok := r.interfaces.get(x.eni); ok {
		r.unmap(old)
	}
	r.unmap(e)
	r.associate(x, e)
	return &ec2.AssociateAddressOutput{AssociationId: aws.String(x.association)}, nil
}

// DisassociateAddress ends a mapping; those of services are theirs.
func (a api) DisassociateAddress(ctx context.Context, in *ec2.DisassociateAddressInput) (*ec2.DisassociateAddressOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	for _, x := range r.addresses.all() {
		if x.association == "" || x.association != aws.ToString(in.AssociationId) && x.ip != aws.ToString(in.PublicIp) {
			continue
		}
		e, _ := r.interfaces.get(x.eni)
		if e.managed {
			return nil, fail("AuthFailure", "You do not have permission to access the specified resource.")
		}
		r.unmap(e)
		return &ec2.DisassociateAddressOutput{}, nil
	}
	id := aws.ToString(in.AssociationId)
	if !strings.HasPrefix(id, "eipassoc-") {
		return nil, fail("InvalidAssociationID.Malformed", "Invalid id: %q (expecting \"eipassoc-...\")", id)
	}
	return nil, fail("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", id)
}
