package ec2

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/wire"
)

// eni is a network interface.
type eni struct {
	id, subnet, vpc string
	zone            zone
	ip              netip.Addr
	mac             string
	description     string
	kind            types.NetworkInterfaceType
	groups          []string
	sourceDest      bool
	managed         bool // a service's own
	requester       string
	attachment      *attachment
	public          *mapping
}

type attachment struct {
	id                  string
	instance            string // empty for services
	owner               string
	device, card        int32
	deleteOnTermination bool
	at                  time.Time
}

// mapping is a public address on an interface: an Elastic IP address with an
// allocation, or one that belongs to EC2 or to the service.
type mapping struct{ ip, allocation, association, owner string }

func registerInterfaces(w *wire.Server, a api) {
	handle(w, a.CreateNetworkInterface)
	handle(w, a.DescribeNetworkInterfaces)
	handle(w, a.DetachNetworkInterface)
	handle(w, a.DeleteNetworkInterface)
	handle(w, a.ModifyNetworkInterfaceAttribute)
}

// addInterface makes an interface with the subnet's next address, as the
// account's own and attached to nothing.
func (r *region) addInterface(s *subnet, groups []string) (*eni, error) {
	e := &eni{
		id: newID("eni"), subnet: s.id, vpc: s.vpc, zone: s.zone, mac: newMAC(), kind: types.NetworkInterfaceTypeInterface,
		groups: slices.Clone(groups), sourceDest: true,
	}
	ip, err := s.take(e.id)
	if err != nil {
		return nil, err
	}
	e.ip = ip
	r.interfaces.add(e.id, e)
	return e, nil
}

func newMAC() string {
	b := make([]byte, 5)
	rand.Read(b)
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4])
}

func (e *eni) attach(to *attachment) {
	to.at = now()
	e.attachment = to
}

func (e *eni) status() types.NetworkInterfaceStatus {
	if e.attachment != nil {
		return types.NetworkInterfaceStatusInUse
	}
	return types.NetworkInterfaceStatusAvailable
}

func (r *region) removeInterface(e *eni) {
	r.unmap(e)
	if s, ok := r.subnets.get(e.subnet); ok {
		delete(s.used, e.ip)
	}
	r.interfaces.remove(e.id)
	r.forget(e.id)
}

// privateName is an address's DNS name in the VPC.
func privateName(region string, ip netip.Addr) string {
	name := "ip-" + strings.ReplaceAll(ip.String(), ".", "-")
	if region == "us-east-1" {
		return name + ".ec2.internal"
	}
	return name + "." + region + ".compute.internal"
}

func (r *region) groupIdentifiers(ids []string) []types.GroupIdentifier {
	list := []types.GroupIdentifier{}
	for _, id := range ids {
		if g, ok := r.groups.get(id); ok {
			list = append(list, types.GroupIdentifier{GroupId: aws.String(g.id), GroupName: aws.String(g.name)})
		}
	}
	return list
}

func (e *eni) output(r *region) types.NetworkInterface {
	out := types.NetworkInterface{
		NetworkInterfaceId: aws.String(e.id), SubnetId: aws.String(e.subnet), VpcId: aws.String(e.vpc), OwnerId: aws.String(account),
		AvailabilityZone: aws.String(e.zone.name), AvailabilityZoneId: aws.String(e.zone.id), Description: aws.String(e.description),
		InterfaceType: e.kind, MacAddress: aws.String(e.mac), PrivateIpAddress: aws.String(e.ip.String()),
		PrivateDnsName: aws.String(privateName(r.name, e.ip)), RequesterManaged: aws.Bool(e.managed), SourceDestCheck: aws.Bool(e.sourceDest),
		Status: e.status(), Groups: r.groupIdentifiers(e.groups), TagSet: r.sdkTags(e.id), Ipv6Addresses: []types.NetworkInterfaceIpv6Address{},
	}
	if e.requester != "" {
		out.RequesterId = aws.String(e.requester)
	}
	if p := e.public; p != nil {
		out.Association = &types.NetworkInterfaceAssociation{IpOwnerId: aws.String(p.owner), PublicIp: aws.String(p.ip), PublicDnsName: aws.String(publicName(r.name, p.ip))}
		if p.allocation != "" {
			out.Association.AllocationId, out.Association.AssociationId = aws.String(p.allocation), aws.String(p.association)
		}
	}
	out.PrivateIpAddresses = []types.NetworkInterfacePrivateIpAddress{{
		Primary: aws.Bool(true), PrivateIpAddress: out.PrivateIpAddress, PrivateDnsName: out.PrivateDnsName, Association: out.Association,
	}}
	if t := e.attachment; t != nil {
		out.Attachment = &types.NetworkInterfaceAttachment{
			AttachmentId: aws.String(t.id), AttachTime: aws.Time(t.at), DeleteOnTermination: aws.Bool(t.deleteOnTermination),
			DeviceIndex: aws.Int32(t.device), NetworkCardIndex: aws.Int32(t.card), InstanceOwnerId: aws.String(t.owner), Status: types.AttachmentStatusAttached,
		}
		if t.instance != "" {
			out.Attachment.InstanceId = aws.String(t.instance)
		}
	}
	return out
}

func publicName(region, ip string) string {
	name := "ec2-" + strings.ReplaceAll(ip, ".", "-")
	if region == "us-east-1" {
		return name + ".compute-1.amazonaws.com"
	}
	return name + "." + region + ".compute.amazonaws.com"
}

// checkGroups makes sure that the groups exist in the VPC, and takes its default
// group if there are none.
func (r *region) checkGroups(vpcID string, ids []string) ([]string, error) {
	if len(ids) == 0 {
		v, _ := r.vpcs.get(vpcID)
		return []string{v.defaultGroup}, nil
	}
	if float64(len(ids)) > r.quota(quotaInterfaces) {
		return nil, fail("SecurityGroupsPerInterfaceLimitExceeded", "The maximum number of security groups per interface has been reached.")
	}
	for _, id := range ids {
		g, err := lookup(r.groups, kindGroup, &id)
		if err != nil {
			return nil, err
		}
		if g.vpc != vpcID {
			return nil, fail("InvalidParameter", "Security group %s and subnet belong to different networks.", id)
		}
	}
	return ids, nil
}

// CreateNetworkInterface makes an interface of the account.
func (a api) CreateNetworkInterface(ctx context.Context, in *ec2.CreateNetworkInterfaceInput) (*ec2.CreateNetworkInterfaceOutput, error) {
	tags, err := tagsFor(types.ResourceTypeNetworkInterface, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	r := a.lock(ctx)
	defer a.mu.Unlock()
	id, remember, err := r.repeated("CreateNetworkInterface", in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	e, ok, err := again(r.interfaces, id)
	if err != nil {
		return nil, err
	}
	if !ok {
		s, err := lookup(r.subnets, kindSubnet, in.SubnetId)
		if err != nil {
			return nil, err
		}
		groups, err := r.checkGroups(s.vpc, in.Groups)
		if err != nil {
			return nil, err
		}
		if e, err = r.addInterface(s, groups); err != nil {
			return nil, err
		}
		e.description, e.requester = aws.ToString(in.Description), wire.CallerOf(ctx).UserID
		if in.InterfaceType == types.NetworkInterfaceCreationTypeEfa {
			e.kind = types.NetworkInterfaceTypeEfa
		}
		r.tags[e.id] = tags
		remember(e.id)
	}
	out := e.output(r)
	return &ec2.CreateNetworkInterfaceOutput{NetworkInterface: &out, ClientToken: in.ClientToken}, nil
}

// DescribeNetworkInterfaces lists interfaces.
func (a api) DescribeNetworkInterfaces(ctx context.Context, in *ec2.DescribeNetworkInterfacesInput) (*ec2.DescribeNetworkInterfacesOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if err := checkIDs(r.interfaces, kindInterface, in.NetworkInterfaceIds); err != nil {
		return nil, err
	}
	var all []types.NetworkInterface
	for _, e := range r.interfaces.shown() {
		all = append(all, e.output(r))
	}
	kept, err := describe(all, in.NetworkInterfaceIds, func(e types.NetworkInterface) *string { return e.NetworkInterfaceId }, in.Filters, interfaceFilters(),
		func(e types.NetworkInterface) []types.Tag { return e.TagSet })
	return &ec2.DescribeNetworkInterfacesOutput{NetworkInterfaces: kept}, err
}

func interfaceFilters() filters[types.NetworkInterface] {
	attached := func(f func(*types.NetworkInterfaceAttachment) *string) func(types.NetworkInterface) []string {
		return func(e types.NetworkInterface) []string {
			if e.Attachment == nil {
				return nil
			}
			return one(f(e.Attachment))
		}
	}
	mapped := func(f func(*types.NetworkInterfaceAssociation) *string) func(types.NetworkInterface) []string {
		return func(e types.NetworkInterface) []string {
			if e.Association == nil {
				return nil
			}
			return one(f(e.Association))
		}
	}
	return filters[types.NetworkInterface]{
		"association.allocation-id":    mapped(func(x *types.NetworkInterfaceAssociation) *string { return x.AllocationId }),
		"association.association-id":   mapped(func(x *types.NetworkInterfaceAssociation) *string { return x.AssociationId }),
		"association.ip-owner-id":      mapped(func(x *types.NetworkInterfaceAssociation) *string { return x.IpOwnerId }),
		"association.public-ip":        mapped(func(x *types.NetworkInterfaceAssociation) *string { return x.PublicIp }),
		"association.public-dns-name":  mapped(func(x *types.NetworkInterfaceAssociation) *string { return x.PublicDnsName }),
		"attachment.attachment-id":     attached(func(x *types.NetworkInterfaceAttachment) *string { return x.AttachmentId }),
		"attachment.instance-id":       attached(func(x *types.NetworkInterfaceAttachment) *string { return x.InstanceId }),
		"attachment.instance-owner-id": attached(func(x *types.NetworkInterfaceAttachment) *string { return x.InstanceOwnerId }),
		"attachment.status":            attached(func(x *types.NetworkInterfaceAttachment) *string { return aws.String(string(x.Status)) }),
		"attachment.device-index":      attached(func(x *types.NetworkInterfaceAttachment) *string { return aws.String(fmt.Sprint(*x.DeviceIndex)) }),
		"attachment.delete-on-termination": attached(func(x *types.NetworkInterfaceAttachment) *string {
			return aws.String(fmt.Sprint(*x.DeleteOnTermination))
		}),
		"addresses.private-ip-address": func(e types.NetworkInterface) []string { return one(e.PrivateIpAddress) },
		"availability-zone":            func(e types.NetworkInterface) []string { return one(e.AvailabilityZone) },
		"availability-zone-id":         func(e types.NetworkInterface) []string { return one(e.AvailabilityZoneId) },
		"description":                  func(e types.NetworkInterface) []string { return one(e.Description) },
		"group-id": func(e types.NetworkInterface) []string {
			return each(e.Groups, func(g types.GroupIdentifier) *string { return g.GroupId })
		},
		"group-name": func(e types.NetworkInterface) []string {
			return each(e.Groups, func(g types.GroupIdentifier) *string { return g.GroupName })
		},
		"interface-type":       func(e types.NetworkInterface) []string { return []string{string(e.InterfaceType)} },
		"mac-address":          func(e types.NetworkInterface) []string { return one(e.MacAddress) },
		"network-interface-id": func(e types.NetworkInterface) []string { return one(e.NetworkInterfaceId) },
		"owner-id":             func(e types.NetworkInterface) []string { return one(e.OwnerId) },
		"private-dns-name":     func(e types.NetworkInterface) []string { return one(e.PrivateDnsName) },
		"private-ip-address":   func(e types.NetworkInterface) []string { return one(e.PrivateIpAddress) },
		"requester-id":         func(e types.NetworkInterface) []string { return one(e.RequesterId) },
		"requester-managed":    func(e types.NetworkInterface) []string { return yes(e.RequesterManaged) },
		"source-dest-check":    func(e types.NetworkInterface) []string { return yes(e.SourceDestCheck) },
		"status":               func(e types.NetworkInterface) []string { return []string{string(e.Status)} },
		"subnet-id":            func(e types.NetworkInterface) []string { return one(e.SubnetId) },
		"vpc-id":               func(e types.NetworkInterface) []string { return one(e.VpcId) },
	}
}

// DetachNetworkInterface takes an interface from its instance; the first one,
// and those of services, stay.
func (a api) DetachNetworkInterface(ctx context.Context, in *ec2.DetachNetworkInterfaceInput) (*ec2.DetachNetworkInterfaceOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	for _, e := range r.interfaces.all() {
		t := e.attachment
		if t == nil || t.id != aws.ToString(in.AttachmentId) {
			continue
		}
		if e.managed {
			return nil, fail("OperationNotPermitted", "You are not allowed to manage 'ela-attach' attachments.")
		}
		if t.device == 0 {
			return nil, fail("OperationNotPermitted", "The network interface at device index 0 and networkCard index 0 cannot be detached.")
		}
		if i, ok := r.instances.get(t.instance); ok {
			i.enis = slices.DeleteFunc(slices.Clone(i.enis), func(id string) bool { return id == e.id })
		}
		e.attachment = nil
		return &ec2.DetachNetworkInterfaceOutput{}, nil
	}
	return nil, fail("InvalidAttachmentID.NotFound", "The networkInterface attachment ID '%s' does not exist", aws.ToString(in.AttachmentId))
}

// DeleteNetworkInterface deletes an interface that is attached to nothing.
func (a api) DeleteNetworkInterface(ctx context.Context, in *ec2.DeleteNetworkInterfaceInput) (*ec2.DeleteNetworkInterfaceOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	e, err := lookup(r.interfaces, kindInterface, in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	if e.attachment != nil {
		return nil, invalidValue("Network interface '%s' is currently in use.", e.id)
	}
	if e.managed {
		return nil, fail("OperationNotPermitted", "You do not have permission to access the specified resource.")
	}
	r.removeInterface(e)
	return &ec2.DeleteNetworkInterfaceOutput{}, nil
}

// ModifyNetworkInterfaceAttribute changes one attribute of an interface.
func (a api) ModifyNetworkInterfaceAttribute(ctx context.Context, in *ec2.ModifyNetworkInterfaceAttributeInput) (*ec2.ModifyNetworkInterfaceAttributeOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	e, err := lookup(r.interfaces, kindInterface, in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	if e.managed {
		return nil, fail("OperationNotPermitted", "You do not have permission to access the specified resource.")
	}
	switch {
	case len(in.Groups) > 0:
		groups, err := r.checkGroups(e.vpc, in.Groups)
		if err != nil {
			return nil, err
		}
		e.groups = slices.Clone(groups)
	case in.Description != nil:
		e.description = aws.ToString(in.Description.Value)
	case in.SourceDestCheck != nil:
		e.sourceDest = aws.ToBool(in.SourceDestCheck.Value)
	case in.Attachment != nil:
		if e.attachment == nil || e.attachment.id != aws.ToString(in.Attachment.AttachmentId) {
			return nil, fail("InvalidAttachmentID.NotFound", "The networkInterface attachment ID '%s' does not exist", aws.ToString(in.Attachment.AttachmentId))
		}
		e.attachment.deleteOnTermination = aws.ToBool(in.Attachment.DeleteOnTermination)
	}
	return &ec2.ModifyNetworkInterfaceAttributeOutput{}, nil
}
