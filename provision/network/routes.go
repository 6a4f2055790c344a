package network

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// anywhere is where a default route leads.
const anywhere = "0.0.0.0/0"

// privateTable is what the name of a zone's private route table begins with.
const privateTable = "private-"

// routeTable is a route table with its associations. Its default route is a
// resource of its own, because a NAT gateway takes minutes.
type routeTable struct {
	part
	vpc     *vpc
	subnets []*subnet

	associated map[string]string // subnet id -> association id
	target     string            // where the default route leads, an id; empty without one
}

func newRouteTable(api API, owner cloud.Owner, short string, v *vpc, subnets ...*subnet) *routeTable {
	t := &routeTable{
		part: part{api: api, owner: owner, kind: "route-table", short: short, name: owner.Cluster + "-" + short, needs: []engine.Resource{v}},
		vpc:  v, subnets: subnets,
	}
	for _, s := range subnets {
		t.needs = append(t.needs, s)
	}
	return t
}

func (t *routeTable) read(ctx context.Context) error {
	t.forget()
	t.associated, t.target = map[string]string{}, ""
	pages := ec2.NewDescribeRouteTablesPaginator(t.api, &ec2.DescribeRouteTablesInput{Filters: t.filters()})
	for pages.HasMorePages() && t.id == "" {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, found := range page.RouteTables {
			t.keep(found)
		}
	}
	return nil
}

func (t *routeTable) keep(found types.RouteTable) {
	t.found(aws.ToString(found.RouteTableId), found.Tags)
	for _, a := range found.Associations {
		if a.SubnetId != nil {
			t.associated[*a.SubnetId] = aws.ToString(a.RouteTableAssociationId)
		}
	}
	for _, r := range found.Routes {
		if aws.ToString(r.DestinationCidrBlock) != anywhere {
			continue
		}
		t.target = aws.ToString(r.GatewayId)
		if r.NatGatewayId != nil {
			t.target = *r.NatGatewayId
		}
	}
}

// Observe implements [engine.Resource].
func (t *routeTable) Observe(ctx context.Context) (engine.Observation, error) {
	if t.vpc.id == "" {
		t.forget()
		t.target = ""
		return engine.Observation{}, nil
	}
	if err := t.read(ctx); err != nil {
		return engine.Observation{}, t.wrap("reading the route table", err)
	}
	if t.id == "" {
		return engine.Observation{}, nil
	}
	obs := engine.Observation{Exists: true, Detail: t.id, Changes: t.tagChanges()}
	for _, s := range t.subnets {
		if _, ok := t.associated[s.id]; !ok || s.id == "" {
			obs.Changes = append(obs.Changes, engine.Change{Field: "subnets", Wanted: s.short, Policy: engine.PolicyInPlace})
		}
	}
	return obs, nil
}

// Apply implements [engine.Resource].
func (t *routeTable) Apply(ctx context.Context, p engine.Progress) error {
	if t.id == "" {
		p("creating the route table")
		if err := t.create(ctx); err != nil {
			return t.wrap("creating the route table", err)
		}
	}
	for _, s := range t.subnets {
		if _, ok := t.associated[s.id]; ok {
			continue
		}
		if err := t.associate(ctx, s.id); err != nil {
			return t.wrap("associating it with "+s.ID(), err)
		}
	}
	return t.fixTags(ctx)
}

// create uses a token that stays the same after a crash: the table of a run that
// died a moment ago is not listed yet.
func (t *routeTable) create(ctx context.Context) error {
	return cloud.WithToken(ctx, cloud.TokenOf(t.vpc.id, t.name), func(ctx context.Context, token string) error {
		return cloud.Settled(ctx, func(ctx context.Context) error {
			out, err := t.api.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{
				VpcId: &t.vpc.id, ClientToken: &token, TagSpecifications: t.spec(types.ResourceTypeRouteTable),
			})
			if err == nil {
				t.associated, t.target = map[string]string{}, ""
				t.keep(*out.RouteTable)
			}
			return err
		})
	})
}

// associate is safe to repeat: a second association of the same subnet is refused.
func (t *routeTable) associate(ctx context.Context, subnetID string) error {
	err := cloud.Settled(ctx, func(ctx context.Context) error {
		out, err := t.api.AssociateRouteTable(ctx, &ec2.AssociateRouteTableInput{RouteTableId: &t.id, SubnetId: &subnetID})
		if err == nil {
			t.associated[subnetID] = aws.ToString(out.AssociationId)
		}
		return err
	})
	if !cloud.IsExists(err) {
		return err
	}
	if readErr := t.read(ctx); readErr != nil {
		return readErr
	}
	if _, ok := t.associated[subnetID]; ok {
		return nil
	}
	return err
}

// tableDeleteLimit bounds how long something may still use a route table.
const tableDeleteLimit = 2 * time.Minute

// Delete implements [engine.Resource].
func (t *routeTable) Delete(ctx context.Context, _ engine.Progress) error {
	for subnetID, association := range t.associated {
		_, err := t.api.DisassociateRouteTable(ctx, &ec2.DisassociateRouteTableInput{AssociationId: &association})
		if err != nil && !cloud.IsNotFound(err) {
			return t.wrap("taking it off "+subnetID, err)
		}
	}
	err := cloud.RetryWhile(ctx, tableDeleteLimit, cloud.IsDependency, func(ctx context.Context) error {
		_, err := t.api.DeleteRouteTable(ctx, &ec2.DeleteRouteTableInput{RouteTableId: &t.id})
		return err
	})
	if err != nil && !cloud.IsNotFound(err) {
		return t.wrap("deleting the route table", err)
	}
	t.forget()
	t.associated, t.target = nil, ""
	return nil
}

// hop is what a default route can lead to.
type hop interface {
	engine.Resource
	hopID() string
}

func (g *internetGateway) hopID() string { return g.id }
func (n *natGateway) hopID() string      { return n.id }

// route is the default route of a table. It reads what the table has read.
type route struct {
	api   API
	table *routeTable
	hop   hop // nil if the table is to have no default route
}

func newRoute(api API, table *routeTable, to hop) *route {
	return &route{api: api, table: table, hop: to}
}

// newNoRoute is the default route that a table is not to have.
func newNoRoute(api API, table *routeTable) *route { return &route{api: api, table: table} }

// ID implements [engine.Resource].
func (r *route) ID() string { return "route/" + r.table.short }

// Needs implements [engine.Resource].
func (r *route) Needs() []engine.Resource {
	if r.hop == nil {
		return []engine.Resource{r.table}
	}
	return []engine.Resource{r.table, r.hop}
}

// Unwanted implements [engine.Unwanted].
func (r *route) Unwanted() bool { return r.hop == nil }

// Observe implements [engine.Resource].
func (r *route) Observe(context.Context) (engine.Observation, error) {
	if r.table.id == "" || r.table.target == "" {
		return engine.Observation{}, nil
	}
	obs := engine.Observation{Exists: true, Detail: anywhere + " by " + r.table.target}
	if r.hop != nil && r.table.target != r.hop.hopID() {
		obs.Changes = []engine.Change{{Field: "network.natGateways", Live: r.table.target, Wanted: r.hop.ID(), Policy: engine.PolicyInPlace}}
	}
	return obs, nil
}

// Apply implements [engine.Resource].
func (r *route) Apply(ctx context.Context, _ engine.Progress) error {
	target := r.hop.hopID()
	if r.table.target == target {
		return nil
	}
	gateway, nat := targets(target)
	err := cloud.Settled(ctx, func(ctx context.Context) error {
		if r.table.target != "" {
			_, err := r.api.ReplaceRoute(ctx, &ec2.ReplaceRouteInput{
				RouteTableId: &r.table.id, DestinationCidrBlock: aws.String(anywhere), GatewayId: gateway, NatGatewayId: nat,
			})
			return err
		}
		_, err := r.api.CreateRoute(ctx, &ec2.CreateRouteInput{
			RouteTableId: &r.table.id, DestinationCidrBlock: aws.String(anywhere), GatewayId: gateway, NatGatewayId: nat,
		})
		return err
	})
	// A reply that was lost leaves the same route; EC2 says so when it is asked again.
	if err != nil && (r.table.target != "" || !cloud.IsExists(err)) {
		return cloud.Wrap(r.ID(), "setting the default route", err)
	}
	r.table.target = target
	return nil
}

// targets sorts a target's id into the member that EC2 wants it in.
func targets(id string) (gateway, nat *string) {
	if strings.HasPrefix(id, "nat-") {
		return nil, &id
	}
	return &id, nil
}

// Delete implements [engine.Resource].
func (r *route) Delete(ctx context.Context, _ engine.Progress) error {
	_, err := r.api.DeleteRoute(ctx, &ec2.DeleteRouteInput{RouteTableId: &r.table.id, DestinationCidrBlock: aws.String(anywhere)})
	if err != nil && !cloud.IsNotFound(err) {
		return cloud.Wrap(r.ID(), "deleting the default route", err)
	}
	r.table.target = ""
	return nil
}
