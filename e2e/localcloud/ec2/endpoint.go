package ec2

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/wire"
)

// endpoint is a VPC endpoint, of a gateway (routes) or of interfaces.
type endpoint struct {
	id, vpc, service string
	kind             types.VpcEndpointType
	state            types.State
	policy           string
	tables           []string
	subnets, groups  []string
	enis             []string
	privateDNS       bool
	created          time.Time
}

func registerEndpoints(w *wire.Server, a api) {
	handle(w, a.CreateVpcEndpoint)
	handle(w, a.DescribeVpcEndpoints)
	handle(w, a.ModifyVpcEndpoint)
	handle(w, a.DeleteVpcEndpoints)
	handle(w, a.DescribeVpcEndpointServices)
	handle(w, a.DescribePrefixLists)
}

// endpointServices are the services with endpoints, without "com.amazonaws.REGION.".
func endpointServices() (gateway, interfaces []string) {
	return []string{"dynamodb", "s3"}, strings.Fields("autoscaling ec2 ec2messages ecr.api ecr.dkr eks eks-auth elasticfilesystem elasticloadbalancing kms logs monitoring s3 secretsmanager ssm ssmmessages sts xray")
}

// prefixList is the id of the prefix list with the addresses of S3 or DynamoDB
// in a region; those of the most used regions are AWS's.
func prefixList(region, service string) string {
	known := map[string]string{
		"us-east-1/s3": "pl-63a5400a", "us-east-2/s3": "pl-7ba54012", "us-west-2/s3": "pl-68a54001", "eu-west-1/s3": "pl-6da54004",
		"eu-central-1/s3": "pl-6ea54007", "ap-northeast-1/s3": "pl-61a54008", "ap-northeast-2/s3": "pl-78a54011",
	}
	key := region + "/" + service[strings.LastIndexByte(service, '.')+1:]
	return cmp.Or(known[key], "pl-"+fixedHex("pl/"+key, 8))
}

const openPolicy = `{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`

func (e *endpoint) output(r *region) types.VpcEndpoint {
	out := types.VpcEndpoint{
		VpcEndpointId: aws.String(e.id), VpcId: aws.String(e.vpc), ServiceName: aws.String(e.service), VpcEndpointType: e.kind, State: e.state,
		PolicyDocument: aws.String(e.policy), RouteTableIds: slices.Clone(e.tables), SubnetIds: slices.Clone(e.subnets),
		NetworkInterfaceIds: slices.Clone(e.enis), PrivateDnsEnabled: aws.Bool(e.privateDNS), RequesterManaged: aws.Bool(false),
		OwnerId: aws.String(account), CreationTimestamp: aws.Time(e.created), DnsEntries: []types.DnsEntry{}, IpAddressType: types.IpAddressTypeIpv4,
		Groups: []types.SecurityGroupIdentifier{}, Tags: r.sdkTags(e.id), ServiceRegion: aws.String(r.name),
	}
	for _, g := range r.groupIdentifiers(e.groups) {
		out.Groups = append(out.Groups, types.SecurityGroupIdentifier{GroupId: g.GroupId, GroupName: g.GroupName})
	}
	if e.kind == types.VpcEndpointTypeInterface {
		name := e.service[strings.LastIndexByte(e.service, '.')+1:]
		out.DnsEntries = append(out.DnsEntries, types.DnsEntry{DnsName: aws.String(fmt.Sprintf("%s-%s.%s.%s.vpce.amazonaws.com", e.id, fixedHex(e.id, 8), name, r.name))})
	}
	return out
}

// CreateVpcEndpoint makes a gateway endpoint, which is there at once and adds a
// route to each of its tables, or an interface endpoint.
func (a api) CreateVpcEndpoint(ctx context.Context, in *ec2.CreateVpcEndpointInput) (*ec2.CreateVpcEndpointOutput, error) {
	tags, err := tagsFor(types.ResourceTypeVpcEndpoint, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	r := a.lock(ctx)
	defer a.mu.Unlock()
	id, remember, err := r.repeated("CreateVpcEndpoint", in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	e, ok, err := again(r.endpoints, id)
	if err != nil {
		return nil, err
	}
	if !ok {
		if e, err = r.newEndpoint(in); err != nil {
			return nil, err
		}
		if e.kind == types.VpcEndpointTypeGateway {
			err = r.routeEndpoint(e, in.RouteTableIds)
		} else {
			err = a.placeEndpoint(r, e, in)
		}
		if err != nil {
			return nil, err
		}
		r.endpoints.add(e.id, e)
		r.tags[e.id] = tags
		remember(e.id)
	}
	out := e.output(r)
	return &ec2.CreateVpcEndpointOutput{VpcEndpoint: &out, ClientToken: in.ClientToken}, nil
}

func (r *region) newEndpoint(in *ec2.CreateVpcEndpointInput) (*endpoint, error) {
	v, err := lookup(r.vpcs, kindVPC, in.VpcId)
	if err != nil {
		return nil, err
	}
	e := &endpoint{id: newID("vpce"), vpc: v.id, service: aws.ToString(in.ServiceName), kind: in.VpcEndpointType, created: now(), policy: openPolicy}
	e.kind = cmp.Or(e.kind, types.VpcEndpointTypeGateway)
	gateway, interfaces := endpointServices()
	short, ok := strings.CutPrefix(e.service, "com.amazonaws."+r.name+".")
	if !ok || !slices.Contains(append(gateway, interfaces...), short) {
		return nil, fail("InvalidServiceName", "The Vpc Endpoint Service '%s' does not exist", e.service)
	}
	if e.kind == types.VpcEndpointTypeGateway && !slices.Contains(gateway, short) || e.kind == types.VpcEndpointTypeInterface && !slices.Contains(interfaces, short) {
		available := types.VpcEndpointTypeInterface
		if e.kind == available {
			available = types.VpcEndpointTypeGateway
		}
		return nil, fail("InvalidParameter", "Endpoint type (%s) does not match available service types ([%s]).", e.kind, available)
	}
	if in.PolicyDocument != nil {
		if err := validJSON(*in.PolicyDocument); err != nil {
			return nil, err
		}
		e.policy = *in.PolicyDocument
	}
	return e, r.roomForEndpoint(e)
}

// roomForEndpoint checks the quotas: of gateway endpoints per region and of
// interface endpoints per VPC (VPC User Guide, "Amazon VPC quotas").
func (r *region) roomForEndpoint(e *endpoint) error {
	count, quota := 0, quotaGatewayEndpoints
	for _, have := range r.endpoints.all() {
		if have.kind == e.kind && (have.vpc == e.vpc || e.kind == types.VpcEndpointTypeGateway) {
			count++
		}
	}
	if e.kind == types.VpcEndpointTypeInterface {
		quota = quotaInterfaceEndpoints
	}
	if r.reached(quota, count) {
		return fail("VpcEndpointLimitExceeded", "The maximum number of VPC endpoints has been reached.")
	}
	return nil
}

// routeEndpoint adds the endpoint's route to tables, to all of them or none.
func (r *region) routeEndpoint(e *endpoint, tables []string) error {
	list := prefixList(r.name, e.service)
	for _, id := range tables {
		t, err := lookup(r.routeTables, kindTable, &id)
		if err != nil {
			return err
		}
		if t.vpc != e.vpc {
			return fail("InvalidParameter", "Route table %s does not belong to VPC %s", id, e.vpc)
		}
		for _, have := range t.endpoints {
			if other, ok := r.endpoints.get(have); ok && other.service == e.service {
				return fail("RouteAlreadyExists", "route table %s already has a route with destination-prefix-list-id %s", id, list)
			}
		}
	}
	for _, id := range tables {
		t, _ := r.routeTables.get(id)
		t.endpoints = append(slices.Clone(t.endpoints), e.id)
	}
	e.tables = append(slices.Clone(e.tables), tables...)
	e.state = types.StateAvailable
	return nil
}

// placeEndpoint gives an interface endpoint its interfaces, one per zone.
func (a api) placeEndpoint(r *region, e *endpoint, in *ec2.CreateVpcEndpointInput) error {
	v, _ := r.vpcs.get(e.vpc)
	if private := in.PrivateDnsEnabled == nil || *in.PrivateDnsEnabled; private && (!v.dnsSupport || !v.dnsNames) {
		return fail("InvalidParameter", "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for %s", e.vpc)
	}
	groups, err := r.checkGroups(e.vpc, in.SecurityGroupIds)
	if err != nil {
		return err
	}
	zones := map[string]bool{}
	for _, id := range in.SubnetIds {
		s, err := lookup(r.subnets, kindSubnet, &id)
		if err != nil {
			return err
		}
		if zones[s.zone.name] {
			return fail("DuplicateSubnetsInSameZone", "Found another VPC endpoint subnet in the availability zone of %s. VPC endpoint subnets should be in different availability zones supported by the VPC endpoint service.", id)
		}
		zones[s.zone.name] = true
	}
	for _, id := range in.SubnetIds {
		s, _ := r.subnets.get(id)
		x, err := r.addInterface(s, groups)
		if err != nil {
			return err
		}
		x.kind, x.description, x.managed, x.requester = types.NetworkInterfaceTypeVpcEndpoint, "VPC Endpoint Interface "+e.id, true, "727180483921"
		x.attach(&attachment{id: newID("ela-attach"), owner: "amazon-aws", device: 1})
		e.enis = append(e.enis, x.id)
	}
	e.groups, e.subnets, e.state = groups, slices.Clone(in.SubnetIds), types.StatePending
	e.privateDNS = in.PrivateDnsEnabled == nil || *in.PrivateDnsEnabled
	a.step(clock.EndpointCreate, func() {
		if e.state == types.StatePending {
			e.state = types.StateAvailable
		}
	})
	return nil
}

// DescribeVpcEndpoints lists endpoints.
func (a api) DescribeVpcEndpoints(ctx context.Context, in *ec2.DescribeVpcEndpointsInput) (*ec2.DescribeVpcEndpointsOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if err := checkIDs(r.endpoints, kindEndpoint, in.VpcEndpointIds); err != nil {
		return nil, err
	}
	var all []types.VpcEndpoint
	for _, e := range r.endpoints.shown() {
		all = append(all, e.output(r))
	}
	kept, err := describe(all, in.VpcEndpointIds, func(e types.VpcEndpoint) *string { return e.VpcEndpointId }, in.Filters, filters[types.VpcEndpoint]{
		"ip-address-type":    func(e types.VpcEndpoint) []string { return []string{string(e.IpAddressType)} },
		"service-name":       func(e types.VpcEndpoint) []string { return one(e.ServiceName) },
		"service-region":     func(e types.VpcEndpoint) []string { return one(e.ServiceRegion) },
		"vpc-endpoint-id":    func(e types.VpcEndpoint) []string { return one(e.VpcEndpointId) },
		"vpc-endpoint-state": func(e types.VpcEndpoint) []string { return []string{string(e.State)} },
		"vpc-endpoint-type":  func(e types.VpcEndpoint) []string { return []string{string(e.VpcEndpointType)} },
		"vpc-id":             func(e types.VpcEndpoint) []string { return one(e.VpcId) },
	}, func(e types.VpcEndpoint) []types.Tag { return e.Tags })
	return &ec2.DescribeVpcEndpointsOutput{VpcEndpoints: kept}, err
}

// ModifyVpcEndpoint changes the route tables and the policy of a gateway endpoint.
func (a api) ModifyVpcEndpoint(ctx context.Context, in *ec2.ModifyVpcEndpointInput) (*ec2.ModifyVpcEndpointOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	e, err := lookup(r.endpoints, kindEndpoint, in.VpcEndpointId)
	if err != nil {
		return nil, err
	}
	if len(in.AddSubnetIds)+len(in.RemoveSubnetIds)+len(in.AddSecurityGroupIds)+len(in.RemoveSecurityGroupIds) > 0 {
		return nil, fail("InvalidParameter", "The subnets and security groups of endpoint %s cannot be modified", e.id)
	}
	if len(in.AddRouteTableIds) > 0 {
		if err := r.routeEndpoint(e, in.AddRouteTableIds); err != nil {
			return nil, err
		}
	}
	for _, id := range in.RemoveRouteTableIds {
		e.tables = without(e.tables, id)
		if t, ok := r.routeTables.get(id); ok {
			t.endpoints = without(t.endpoints, e.id)
		}
	}
	if in.PolicyDocument != nil {
		if err := validJSON(*in.PolicyDocument); err != nil {
			return nil, err
		}
		e.policy = *in.PolicyDocument
	}
	if aws.ToBool(in.ResetPolicy) {
		e.policy = openPolicy
	}
	return &ec2.ModifyVpcEndpointOutput{Return: aws.Bool(true)}, nil
}

func without(list []string, v string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(have string) bool { return have == v })
}

// DeleteVpcEndpoints deletes endpoints; those that it cannot it reports as
// unsuccessful, and the call succeeds.
func (a api) DeleteVpcEndpoints(ctx context.Context, in *ec2.DeleteVpcEndpointsInput) (*ec2.DeleteVpcEndpointsOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	out := &ec2.DeleteVpcEndpointsOutput{Unsuccessful: []types.UnsuccessfulItem{}}
	for _, id := range in.VpcEndpointIds {
		e, err := lookup(r.endpoints, kindEndpoint, &id)
		if err != nil {
			failure := err.(*wire.Error)
			out.Unsuccessful = append(out.Unsuccessful, types.UnsuccessfulItem{
				ResourceId: aws.String(id), Error: &types.UnsuccessfulItemError{Code: aws.String(failure.Code), Message: aws.String(failure.Message)},
			})
			continue
		}
		if e.kind == types.VpcEndpointTypeGateway {
			r.removeEndpoint(e)
			continue
		}
		e.state = types.StateDeleting
		a.step(clock.EndpointCreate, func() { r.removeEndpoint(e) })
	}
	return out, nil
}

func (r *region) removeEndpoint(e *endpoint) {
	for _, id := range e.tables {
		if t, ok := r.routeTables.get(id); ok {
			t.endpoints = without(t.endpoints, e.id)
		}
	}
	for _, id := range e.enis {
		if x, ok := r.interfaces.get(id); ok {
			r.removeInterface(x)
		}
	}
	r.endpoints.remove(e.id)
	r.forget(e.id)
}

// DescribeVpcEndpointServices lists the services that endpoints can be made for.
func (a api) DescribeVpcEndpointServices(ctx context.Context, in *ec2.DescribeVpcEndpointServicesInput) (*ec2.DescribeVpcEndpointServicesOutput, error) {
	name := wire.Region(ctx)
	var zones []string
	for _, z := range zonesOf(name) {
		zones = append(zones, z.name)
	}
	gateway, interfaces := endpointServices()
	var all []types.ServiceDetail
	add := func(services []string, kind types.ServiceType) {
		for _, s := range services {
			all = append(all, types.ServiceDetail{
				ServiceName: aws.String("com.amazonaws." + name + "." + s), ServiceId: aws.String("vpce-svc-0" + fixedHex(name+s+string(kind), 16)),
				ServiceType: []types.ServiceTypeDetail{{ServiceType: kind}}, AvailabilityZones: zones, Owner: aws.String("amazon"),
				AcceptanceRequired: aws.Bool(false), VpcEndpointPolicySupported: aws.Bool(true), ServiceRegion: aws.String(name), Tags: []types.Tag{},
			})
		}
	}
	add(gateway, types.ServiceTypeGateway)
	add(interfaces, types.ServiceTypeInterface)
	for _, wanted := range in.ServiceNames {
		if !slices.ContainsFunc(all, func(d types.ServiceDetail) bool { return *d.ServiceName == wanted }) {
			return nil, fail("InvalidServiceName", "The Vpc Endpoint Service '%s' does not exist", wanted)
		}
	}
	kept, err := describe(all, in.ServiceNames, func(d types.ServiceDetail) *string { return d.ServiceName }, in.Filters, filters[types.ServiceDetail]{
		"owner":          func(d types.ServiceDetail) []string { return one(d.Owner) },
		"service-name":   func(d types.ServiceDetail) []string { return one(d.ServiceName) },
		"service-region": func(d types.ServiceDetail) []string { return one(d.ServiceRegion) },
		"service-type": func(d types.ServiceDetail) []string {
			return each(d.ServiceType, func(t types.ServiceTypeDetail) *string { return aws.String(string(t.ServiceType)) })
		},
	}, func(d types.ServiceDetail) []types.Tag { return d.Tags })
	names := []string{}
	for _, d := range kept {
		names = append(names, *d.ServiceName)
	}
	slices.Sort(names)
	return &ec2.DescribeVpcEndpointServicesOutput{ServiceDetails: kept, ServiceNames: slices.Compact(names)}, err
}

// DescribePrefixLists lists the prefix lists of the gateway services.
func (a api) DescribePrefixLists(ctx context.Context, in *ec2.DescribePrefixListsInput) (*ec2.DescribePrefixListsOutput, error) {
	name := wire.Region(ctx)
	var all []types.PrefixList
	gateway, _ := endpointServices()
	for _, s := range gateway {
		all = append(all, types.PrefixList{
			PrefixListId: aws.String(prefixList(name, s)), PrefixListName: aws.String("com.amazonaws." + name + "." + s), Cidrs: []string{"52.219.0.0/16"},
		})
	}
	kept, err := describe(all, in.PrefixListIds, func(p types.PrefixList) *string { return p.PrefixListId }, in.Filters, filters[types.PrefixList]{
		"prefix-list-id":   func(p types.PrefixList) []string { return one(p.PrefixListId) },
		"prefix-list-name": func(p types.PrefixList) []string { return one(p.PrefixListName) },
	}, nil)
	return &ec2.DescribePrefixListsOutput{PrefixLists: kept}, err
}
