package ec2

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/wire"
)

type routeTable struct {
	id, vpc   string
	main      string            // id of the association as main table, if it is
	subnets   map[string]string // association by subnet
	routes    []route           // without the local ones
	endpoints []string          // gateway endpoints
}

func registerRouteTables(w *wire.Server, a api) {
	handle(w, a.CreateRouteTable)
	handle(w, a.DescribeRouteTables)
	handle(w, a.DeleteRouteTable)
	handle(w, a.AssociateRouteTable)
	handle(w, a.DisassociateRouteTable)
	handle(w, a.ReplaceRouteTableAssociation)
	handle(w, a.CreateRoute)
	handle(w, a.ReplaceRoute)
	handle(w, a.DeleteRoute)
}

func (r *region) addRouteTable(vpc string, main bool) *routeTable {
	t := &routeTable{id: newID("rtb"), vpc: vpc, subnets: map[string]string{}}
	if main {
		t.main = newID("rtbassoc")
	}
	r.routeTables.add(t.id, t)
	return t
}

// tableOf returns the table that a subnet uses: its own, or the VPC's main one.
func (r *region) tableOf(s *subnet) *routeTable {
	var main *routeTable
	for _, t := range r.routeTables.all() {
		if t.subnets[s.id] != "" {
			return t
		}
		if t.vpc == s.vpc && t.main != "" {
			main = t
		}
	}
	return main
}

// public tells whether a subnet's default route leads to an internet gateway.
func (r *region) public(s *subnet) bool {
	t := r.tableOf(s)
	return t != nil && slices.ContainsFunc(t.routes, func(x route) bool { return x.destination == "0.0.0.0/0" && x.gateway != "" })
}

func (t *routeTable) output(r *region) types.RouteTable {
	out := types.RouteTable{
		RouteTableId: aws.String(t.id), VpcId: aws.String(t.vpc), OwnerId: aws.String(account), PropagatingVgws: []types.PropagatingVgw{},
		Associations: []types.RouteTableAssociation{}, Tags: r.sdkTags(t.id),
	}
	state := &types.RouteTableAssociationState{State: types.RouteTableAssociationStateCodeAssociated}
	if t.main != "" {
		out.Associations = append(out.Associations, types.RouteTableAssociation{
			Main: aws.Bool(true), RouteTableAssociationId: aws.String(t.main), RouteTableId: aws.String(t.id), AssociationState: state,
		})
	}
	for _, s := range slices.Sorted(maps.Keys(t.subnets)) {
		out.Associations = append(out.Associations, types.RouteTableAssociation{
			Main: aws.Bool(false), RouteTableAssociationId: aws.String(t.subnets[s]), RouteTableId: aws.String(t.id), SubnetId: aws.String(s), AssociationState: state,
		})
	}
	if v, ok := r.vpcs.get(t.vpc); ok {
		for _, c := range v.cidrs {
			out.Routes = append(out.Routes, types.Route{
				DestinationCidrBlock: aws.String(c.prefix.String()), GatewayId: aws.String("local"), Origin: types.RouteOriginCreateRouteTable, State: types.RouteStateActive,
			})
		}
	}
	for _, x := range t.routes {
		out.Routes = append(out.Routes, x.output(r, t.vpc))
	}
	for _, id := range t.endpoints {
		if e, ok := r.endpoints.get(id); ok {
			out.Routes = append(out.Routes, types.Route{
				DestinationPrefixListId: aws.String(prefixList(r.name, e.service)), GatewayId: aws.String(id), Origin: types.RouteOriginCreateRoute, State: types.RouteStateActive,
			})
		}
	}
	return out
}

// CreateRouteTable makes a table with the local route only.
func (a api) CreateRouteTable(ctx context.Context, in *ec2.CreateRouteTableInput) (*ec2.CreateRouteTableOutput, error) {
	tags, err := tagsFor(types.ResourceTypeRouteTable, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	r := a.lock(ctx)
	defer a.mu.Unlock()
	id, remember, err := r.repeated("CreateRouteTable", in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	t, ok, err := again(r.routeTables, id)
	if err != nil {
		return nil, err
	}
	if !ok {
		v, err := lookup(r.vpcs, kindVPC, in.VpcId)
		if err != nil {
			return nil, err
		}
		t = r.addRouteTable(v.id, false)
		r.tags[t.id] = tags
		remember(t.id)
	}
	out := t.output(r)
	return &ec2.CreateRouteTableOutput{RouteTable: &out, ClientToken: in.ClientToken}, nil
}

// DescribeRouteTables lists tables.
func (a api) DescribeRouteTables(ctx context.Context, in *ec2.DescribeRouteTablesInput) (*ec2.DescribeRouteTablesOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if err := checkIDs(r.routeTables, kindTable, in.RouteTableIds); err != nil {
		return nil, err
	}
	var all []types.RouteTable
	for _, t := range r.routeTables.shown() {
		all = append(all, t.output(r))
	}
	association := func(f func(types.RouteTableAssociation) *string) func(types.RouteTable) []string {
		return func(t types.RouteTable) []string { return each(t.Associations, f) }
	}
	routes := func(f func(types.Route) *string) func(types.RouteTable) []string {
		return func(t types.RouteTable) []string { return each(t.Routes, f) }
	}
	kept, err := describe(all, in.RouteTableIds, func(t types.RouteTable) *string { return t.RouteTableId }, in.Filters, filters[types.RouteTable]{
		"association.main": association(func(x types.RouteTableAssociation) *string {
			return aws.String(map[bool]string{true: "true", false: "false"}[*x.Main])
		}),
		"association.route-table-association-id": association(func(x types.RouteTableAssociation) *string { return x.RouteTableAssociationId }),
		"association.route-table-id":             association(func(x types.RouteTableAssociation) *string { return x.RouteTableId }),
		"association.subnet-id":                  association(func(x types.RouteTableAssociation) *string { return x.SubnetId }),
		"association.gateway-id":                 association(func(x types.RouteTableAssociation) *string { return x.GatewayId }),
		"owner-id":                               func(t types.RouteTable) []string { return one(t.OwnerId) },
		"route-table-id":                         func(t types.RouteTable) []string { return one(t.RouteTableId) },
		"vpc-id":                                 func(t types.RouteTable) []string { return one(t.VpcId) },
		"route.destination-cidr-block":           routes(func(x types.Route) *string { return x.DestinationCidrBlock }),
		"route.destination-prefix-list-id":       routes(func(x types.Route) *string { return x.DestinationPrefixListId }),
		"route.gateway-id":                       routes(func(x types.Route) *string { return x.GatewayId }),
		"route.nat-gateway-id":                   routes(func(x types.Route) *string { return x.NatGatewayId }),
		"route.instance-id":                      routes(func(x types.Route) *string { return x.InstanceId }),
		"route.origin":                           routes(func(x types.Route) *string { return aws.String(string(x.Origin)) }),
		"route.state":                            routes(func(x types.Route) *string { return aws.String(string(x.State)) }),
		"route.transit-gateway-id":               routes(func(x types.Route) *string { return x.TransitGatewayId }),
		"route.vpc-peering-connection-id":        routes(func(x types.Route) *string { return x.VpcPeeringConnectionId }),
	}, func(t types.RouteTable) []types.Tag { return t.Tags })
	return &ec2.DescribeRouteTablesOutput{RouteTables: kept}, err
}

// DeleteRouteTable deletes a table that no subnet uses and that is not the main one.
func (a api) DeleteRouteTable(ctx context.Context, in *ec2.DeleteRouteTableInput) (*ec2.DeleteRouteTableOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	t, err := lookup(r.routeTables, kindTable, in.RouteTableId)
	if err != nil {
		return nil, err
	}
	if t.main != "" || len(t.subnets) > 0 {
		return nil, dependency("The routeTable '%s' has dependencies and cannot be deleted.", t.id)
	}
	for _, e := range r.endpoints.all() {
		e.tables = slices.DeleteFunc(slices.Clone(e.tables), func(id string) bool { return id == t.id })
	}
	r.routeTables.remove(t.id)
	r.forget(t.id)
	return &ec2.DeleteRouteTableOutput{}, nil
}

// AssociateRouteTable gives a subnet a table; a subnet has one at most.
func (a api) AssociateRouteTable(ctx context.Context, in *ec2.AssociateRouteTableInput) (*ec2.AssociateRouteTableOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	t, err := lookup(r.routeTables, kindTable, in.RouteTableId)
	if err != nil {
		return nil, err
	}
	s, err := lookup(r.subnets, kindSubnet, in.SubnetId)
	if err != nil {
		return nil, err
	}
	if s.vpc != t.vpc {
		return nil, invalidValue("Route table %s and subnet %s belong to different networks", t.id, s.id)
	}
	for _, other := range r.routeTables.all() {
		if other != t && other.subnets[s.id] != "" {
			return nil, fail("Resource.AlreadyAssociated", "the specified association for route table %s conflicts with an existing association", t.id)
		}
	}
	t.subnets[s.id] = cmp.Or(t.subnets[s.id], newID("rtbassoc"))
	return &ec2.AssociateRouteTableOutput{
		AssociationId:    aws.String(t.subnets[s.id]),
		AssociationState: &types.RouteTableAssociationState{State: types.RouteTableAssociationStateCodeAssociated},
	}, nil
}

// association finds a subnet's association with a table.
func (r *region) association(id *string) (t *routeTable, subnet string, err error) {
	for _, t := range r.routeTables.all() {
		if t.main == aws.ToString(id) {
			return t, "", nil
		}
		for s, have := range t.subnets {
			if have == aws.ToString(id) {
				return t, s, nil
			}
		}
	}
	return nil, "", fail("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", aws.ToString(id))
}

// DisassociateRouteTable lets a subnet use the main table again.
func (a api) DisassociateRouteTable(ctx context.Context, in *ec2.DisassociateRouteTableInput) (*ec2.DisassociateRouteTableOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	t, s, err := r.association(in.AssociationId)
	if err != nil {
		return nil, err
	}
	if s == "" {
		return nil, invalidValue("cannot disassociate the main route table association %s", *in.AssociationId)
	}
	delete(t.subnets, s)
	return &ec2.DisassociateRouteTableOutput{}, nil
}

// ReplaceRouteTableAssociation gives a subnet another table, or a VPC another main table.
func (a api) ReplaceRouteTableAssociation(ctx context.Context, in *ec2.ReplaceRouteTableAssociationInput) (*ec2.ReplaceRouteTableAssociationOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	old, s, err := r.association(in.AssociationId)
	if err != nil {
		return nil, err
	}
	t, err := lookup(r.routeTables, kindTable, in.RouteTableId)
	if err != nil {
		return nil, err
	}
	if t.vpc != old.vpc {
		return nil, invalidValue("Route table %s and association %s belong to different networks", t.id, *in.AssociationId)
	}
	id := newID("rtbassoc")
	if s == "" {
		old.main, t.main = "", id
		if v, ok := r.vpcs.get(t.vpc); ok {
			v.mainTable = t.id
		}
	} else {
		delete(old.subnets, s)
		t.subnets[s] = id
	}
	return &ec2.ReplaceRouteTableAssociationOutput{
		NewAssociationId: aws.String(id), AssociationState: &types.RouteTableAssociationState{State: types.RouteTableAssociationStateCodeAssociated},
	}, nil
}
