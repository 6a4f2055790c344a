package ec2

import (
	"context"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// route leads a destination to exactly one target.
type route struct {
	destination                 string // IPv4 block
	gateway, nat, eni, instance string
}

func (x route) output(r *region, vpc string) types.Route {
	out := types.Route{DestinationCidrBlock: aws.String(x.destination), Origin: types.RouteOriginCreateRoute, State: types.RouteStateBlackhole}
	active := false
	switch {
	case x.gateway != "":
		out.GatewayId = aws.String(x.gateway)
		g, ok := r.gateways.get(x.gateway)
		active = ok && g.vpc == vpc
	case x.nat != "":
		out.NatGatewayId = aws.String(x.nat)
		n, ok := r.nats.get(x.nat)
		active = ok && n.state == types.NatGatewayStateAvailable
	case x.eni != "":
		out.NetworkInterfaceId = aws.String(x.eni)
		e, ok := r.interfaces.get(x.eni)
		active = ok && e.attachment != nil
	}
	if x.instance != "" {
		out.InstanceId, out.InstanceOwnerId = aws.String(x.instance), aws.String(account)
	}
	if active {
		out.State = types.RouteStateActive
	}
	return out
}

// target resolves the one target of a route.
func (r *region) target(t *routeTable, gateway, natID, eniID, instanceID *string) (route, error) {
	given := 0
	for _, p := range []*string{gateway, natID, eniID, instanceID} {
		if p != nil {
			given++
		}
	}
	if given == 0 {
		return route{}, fail("MissingParameter", "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId, vpcPeeringConnectionId, egressOnlyInternetGatewayId, transitGatewayId, localGatewayId, carrierGatewayId, coreNetworkArn, vpcEndpointId or instanceId")
	}
	if given > 1 {
		return route{}, fail("InvalidParameterCombination", "The parameters for two route targets cannot be used together.")
	}
	switch {
	case gateway != nil:
		g, err := lookup(r.gateways, kindGateway, gateway)
		if err != nil {
			return route{}, fail("InvalidGatewayID.NotFound", "The gateway ID '%s' does not exist", *gateway)
		}
		if g.vpc != t.vpc {
			return route{}, invalidValue("route table %s and network gateway %s belong to different networks", t.id, g.id)
		}
		return route{gateway: g.id}, nil
	case natID != nil:
		// A gateway that is not yet there cannot be routed to (boto3#779).
		n, ok := r.nats.get(*natID)
		if !ok || n.state != types.NatGatewayStateAvailable {
			return route{}, fail("InvalidNatGatewayID.NotFound", "The natGateway ID '%s' does not exist", *natID)
		}
		if n.vpc != t.vpc {
			return route{}, invalidValue("route table %s and NAT gateway %s belong to different networks", t.id, n.id)
		}
		return route{nat: n.id}, nil
	case eniID != nil:
		e, err := lookup(r.interfaces, kindInterface, eniID)
		if err != nil {
			return route{}, err
		}
		return route{eni: e.id}, nil
	default:
		i, err := lookup(r.instances, kindInstance, instanceID)
		if err != nil {
			return route{}, err
		}
		if len(i.enis) != 1 {
			return route{}, fail("InvalidInstanceID", "There are multiple interfaces attached to instance '%s'. Please specify an interface ID for the operation instead.", i.id)
		}
		return route{instance: i.id, eni: i.enis[0]}, nil
	}
}

// routed checks a route's destination against the VPC's own blocks.
func (r *region) destination(t *routeTable, cidr *string) (netip.Prefix, error) {
	p, err := parseCIDR(cidr, "destinationCidrBlock")
	if err != nil {
		return p, err
	}
	v, _ := r.vpcs.get(t.vpc)
	for _, c := range v.cidrs {
		if c.prefix == p {
			return p, fail("RouteAlreadyExists", "The route identified by %s already exists.", p)
		}
		if c.prefix.Overlaps(p) && p.Bits() > c.prefix.Bits() {
			return p, invalidValue("The destination CIDR block %s is equal to or more specific than one of this VPC's CIDR blocks. This route can target only an interface or an instance.", p)
		}
	}
	return p, nil
}

func (t *routeTable) index(destination string) int {
	return slices.IndexFunc(t.routes, func(x route) bool { return x.destination == destination })
}

// CreateRoute adds a route for a new destination.
func (a api) CreateRoute(ctx context.Context, in *ec2.CreateRouteInput) (*ec2.CreateRouteOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	t, err := lookup(r.routeTables, kindTable, in.RouteTableId)
	if err != nil {
		return nil, err
	}
	if in.DestinationCidrBlock == nil {
		return nil, fail("MissingParameter", "The request must contain the parameter destinationCidrBlock or destinationIpv6CidrBlock or destinationPrefixListId")
	}
	p, err := r.destination(t, in.DestinationCidrBlock)
	if err != nil {
		return nil, err
	}
	x, err := r.target(t, in.GatewayId, in.NatGatewayId, in.NetworkInterfaceId, in.InstanceId)
	if err != nil {
		return nil, err
	}
	x.destination = p.String()
	if t.index(x.destination) >= 0 {
		return nil, fail("RouteAlreadyExists", "The route identified by %s already exists.", x.destination)
	}
	if r.reached(quotaRoutes, len(t.routes)) {
		return nil, fail("RouteLimitExceeded", "The maximum number of routes has been reached.")
	}
	t.routes = append(t.routes, x)
	return &ec2.CreateRouteOutput{Return: aws.Bool(true)}, nil
}

// ReplaceRoute gives an existing destination another target.
func (a api) ReplaceRoute(ctx context.Context, in *ec2.ReplaceRouteInput) (*ec2.ReplaceRouteOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	t, err := lookup(r.routeTables, kindTable, in.RouteTableId)
	if err != nil {
		return nil, err
	}
	p, err := parseCIDR(in.DestinationCidrBlock, "destinationCidrBlock")
	if err != nil {
		return nil, err
	}
	i := t.index(p.String())
	if i < 0 {
		return nil, invalidValue("There is no route defined for '%s' in the route table. Use CreateRoute instead.", p)
	}
	x, err := r.target(t, in.GatewayId, in.NatGatewayId, in.NetworkInterfaceId, in.InstanceId)
	if err != nil {
		return nil, err
	}
	x.destination = p.String()
	t.routes[i] = x
	return &ec2.ReplaceRouteOutput{}, nil
}

// DeleteRoute removes the route of a destination; local routes stay.
func (a api) DeleteRoute(ctx context.Context, in *ec2.DeleteRouteInput) (*ec2.DeleteRouteOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	t, err := lookup(r.routeTables, kindTable, in.RouteTableId)
	if err != nil {
		return nil, err
	}
	if in.DestinationPrefixListId != nil {
		return nil, invalidValue("cannot remove VPC endpoint route %s in route table %s", *in.DestinationPrefixListId, t.id)
	}
	p, err := parseCIDR(in.DestinationCidrBlock, "destinationCidrBlock")
	if err != nil {
		return nil, err
	}
	if v, _ := r.vpcs.get(t.vpc); slices.ContainsFunc(v.cidrs, func(c cidrBlock) bool { return c.prefix == p }) {
		return nil, invalidValue("cannot remove local route %s in route table %s", p, t.id)
	}
	i := t.index(p.String())
	if i < 0 {
		return nil, fail("InvalidRoute.NotFound", "no route with destination-cidr-block %s in route table %s", p, t.id)
	}
	t.routes = slices.Delete(t.routes, i, i+1)
	return &ec2.DeleteRouteOutput{}, nil
}
