package network

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// natGateway is the way out for the private subnets of one zone or of all, with
// the Elastic IP that it shows to the world. The two are one resource because a
// gateway that is not wanted any more has to go before its address does.
type natGateway struct {
	part
	subnet   *subnet
	unwanted bool

	address     string // allocation id
	addressTags map[string]string
	uses        string // allocation id of the gateway's address
	state       types.NatGatewayState
	attempts    int // gateways of this name that EC2 remembers
}

// natName is the Name tag of a zone's NAT gateway and address.
func natName(cluster, zone string) string { return cluster + "-nat-" + zone }

// newNATGateway is the gateway of a zone in its public subnet s.
func newNATGateway(api API, owner cloud.Owner, zone string, s *subnet, needs []engine.Resource, unwanted bool) *natGateway {
	return &natGateway{
		part: part{
			api: api, owner: owner, kind: "nat-gateway", short: zone, name: natName(owner.Cluster, zone),
			needs: append([]engine.Resource{s}, needs...),
		},
		subnet: s, unwanted: unwanted,
	}
}

// Unwanted implements [engine.Unwanted].
func (n *natGateway) Unwanted() bool { return n.unwanted }

func (n *natGateway) read(ctx context.Context) error {
	n.forget()
	n.address, n.addressTags, n.state, n.attempts, n.uses = "", nil, "", 0, ""
	gateways, err := describeNATs(ctx, n.api, n.filters())
	if err != nil {
		return err
	}
	n.attempts = len(gateways)
	for _, g := range gateways {
		if natGone(g) {
			continue
		}
		n.found(aws.ToString(g.NatGatewayId), g.Tags)
		n.state = g.State
		for _, a := range g.NatGatewayAddresses {
			n.uses = aws.ToString(a.AllocationId)
		}
	}
	_, err = n.findAddress(ctx)
	return err
}

// findAddress looks for the Elastic IP by its tags and tells whether EC2 lists it.
func (n *natGateway) findAddress(ctx context.Context) (bool, error) {
	out, err := n.api.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: n.filters()})
	if err != nil {
		return false, err
	}
	found := map[string]types.Address{}
	var ids []string
	for _, a := range out.Addresses {
		ids = append(ids, aws.ToString(a.AllocationId))
		found[aws.ToString(a.AllocationId)] = a
	}
	if n.address != "" && !slices.Contains(ids, n.address) {
		return false, nil
	}
	var id string
	id, n.more = choose(ids, n.address, func(id string) bool { return id == n.uses || found[id].AssociationId != nil })
	if id != "" {
		n.address, n.addressTags = id, cloud.FromEC2(found[id].Tags)
	}
	return id != "", nil
}

// Observe implements [engine.Resource].
func (n *natGateway) Observe(ctx context.Context) (engine.Observation, error) {
	if err := n.read(ctx); err != nil {
		return engine.Observation{}, n.wrap("reading the NAT gateway", err)
	}
	switch {
	case n.id == "" && n.address == "":
		return engine.Observation{}, nil
	case n.id == "":
		return engine.Observation{Exists: true, Detail: n.address, Changes: []engine.Change{{
			Field: "state", Live: "an address without a gateway", Wanted: types.NatGatewayStateAvailable, Policy: engine.PolicyInPlace,
		}}}, nil
	}
	obs := engine.Observation{Exists: true, Detail: n.id + ", " + n.address, Changes: append(n.doubles(), n.tagChanges()...)}
	if n.state != types.NatGatewayStateAvailable {
		obs.Changes = append(obs.Changes, engine.Change{Field: "state", Live: n.state, Wanted: types.NatGatewayStateAvailable, Policy: engine.PolicyInPlace})
	}
	return obs, nil
}

// Apply implements [engine.Resource].
func (n *natGateway) Apply(ctx context.Context, p engine.Progress) error {
	if n.state == types.NatGatewayStateDeleting {
		if err := n.waitGone(ctx, p); err != nil {
			return err
		}
	}
	if n.address == "" {
		if err := n.allocate(ctx, p); err != nil {
			return n.wrap("allocating its Elastic IP", err)
		}
	}
	if err := n.releaseMore(ctx); err != nil {
		return err
	}
	if n.id == "" {
		if err := n.create(ctx); err != nil {
			return n.wrap("creating the NAT gateway", err)
		}
	}
	if err := n.waitAvailable(ctx, p); err != nil {
		return err
	}
	if set := cloud.TagChanges(n.addressTags, n.tags()); len(set) > 0 {
		if err := n.tag(ctx, n.address, set); err != nil {
			return n.wrap("tagging its Elastic IP", err)
		}
	}
	return n.fixTags(ctx)
}

func (n *natGateway) allocate(ctx context.Context, p engine.Progress) error {
	find := func(ctx context.Context) (string, bool, error) {
		out, err := n.api.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: n.filters()})
		if err != nil || len(out.Addresses) == 0 {
			return "", false, err
		}
		return aws.ToString(out.Addresses[0].AllocationId), true, nil
	}
	id, err := cloud.CreateOnce(ctx, find, func(ctx context.Context) (string, error) {
		out, err := n.api.AllocateAddress(ctx, &ec2.AllocateAddressInput{
			Domain: types.DomainTypeVpc, TagSpecifications: n.spec(types.ResourceTypeElasticIp),
		}, once)
		if err != nil {
			return "", err
		}
		return aws.ToString(out.AllocationId), nil
	})
	if err != nil {
		return err
	}
	n.address, n.addressTags = id, n.tags()
	p(listing, id)
	return cloud.WaitListed(ctx, n.findAddress)
}

// releaseMore gives back the Elastic IPs of the same name that nothing uses.
func (n *natGateway) releaseMore(ctx context.Context) error {
	for _, id := range n.more {
		if err := n.release(ctx, id); err != nil {
			return err
		}
	}
	n.more = nil
	return nil
}

// release gives an Elastic IP back.
func (n *natGateway) release(ctx context.Context, id string) error {
	err := cloud.RetryWhile(ctx, addressLimit, stillMapped, func(ctx context.Context) error {
		_, err := n.api.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: &id})
		return err
	})
	if err != nil && !cloud.IsNotFound(err) {
		return n.wrap("releasing its Elastic IP "+id, err)
	}
	return nil
}

// create asks for the gateway with a token that stays the same after a crash and
// is new for each attempt.
func (n *natGateway) create(ctx context.Context) error {
	token := cloud.TokenOf(n.subnet.id, n.address, strconv.Itoa(n.attempts))
	return cloud.WithToken(ctx, token, func(ctx context.Context, token string) error {
		return cloud.Settled(ctx, func(ctx context.Context) error {
			out, err := n.api.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{
				SubnetId: &n.subnet.id, AllocationId: &n.address, ConnectivityType: types.ConnectivityTypePublic,
				ClientToken: &token, TagSpecifications: n.spec(types.ResourceTypeNatgateway),
			})
			if err == nil {
				n.made(aws.ToString(out.NatGateway.NatGatewayId))
			}
			return err
		})
	})
}

func (n *natGateway) describe(ctx context.Context) (*types.NatGateway, error) {
	out, err := n.api.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{n.id}})
	if err != nil || len(out.NatGateways) == 0 {
		return nil, err
	}
	return &out.NatGateways[0], nil
}

func (n *natGateway) waitAvailable(ctx context.Context, p engine.Progress) error {
	err := cloud.Settled(ctx, func(ctx context.Context) error {
		return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
			g, err := n.describe(ctx)
			if err != nil || g == nil {
				return err != nil, err
			}
			n.state = g.State
			switch g.State {
			case types.NatGatewayStateAvailable:
				return true, nil
			case types.NatGatewayStateFailed, types.NatGatewayStateDeleted, types.NatGatewayStateDeleting:
				return true, natFailure(n.ID(), g)
			}
			p("waiting for %s", n.id)
			return false, nil
		})
	})
	return n.wrap("waiting for the NAT gateway", err)
}

// natFailure is why EC2 could not make a gateway, in its words.
func natFailure(id string, g *types.NatGateway) error {
	return &cloud.Error{
		Resource: id, Doing: "waiting for the NAT gateway", Code: aws.ToString(g.FailureCode), Message: aws.ToString(g.FailureMessage),
		Hint: "'aicluster up' makes a new one once the cause is gone",
	}
}

func (n *natGateway) waitGone(ctx context.Context, p engine.Progress) error {
	err := cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		g, err := n.describe(ctx)
		if cloud.IsNotFound(err) || err == nil && (g == nil || natGone(*g)) {
			return true, nil
		}
		p("waiting for %s to go", n.id)
		return err != nil, err
	})
	if err != nil {
		return n.wrap("waiting for the NAT gateway to go", err)
	}
	n.id, n.live, n.state = "", nil, ""
	return nil
}

// addressLimit bounds how long an Elastic IP may still count as in use after its
// gateway is gone.
const addressLimit = 2 * time.Minute

// Delete implements [engine.Resource]. An address that is in use although its gateway
// is gone, or there was none, may have one that EC2 did not list before.
func (n *natGateway) Delete(ctx context.Context, p engine.Progress) error {
	if err := n.deleteGateway(ctx, p); err != nil {
		return err
	}
	if err := n.releaseMore(ctx); err != nil || n.address == "" {
		return err
	}
	address := n.address
	err := cloud.RetryWhile(ctx, addressLimit, stillMapped, func(ctx context.Context) error {
		_, err := n.api.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: &address})
		if !stillMapped(err) {
			return err
		}
		if readErr := n.read(ctx); readErr != nil {
			return readErr
		}
		if deleteErr := n.deleteGateway(ctx, p); deleteErr != nil {
			return deleteErr
		}
		return err
	})
	if err != nil && !cloud.IsNotFound(err) {
		return n.wrap("releasing its Elastic IP "+address, err)
	}
	n.address, n.addressTags = "", nil
	return nil
}

func (n *natGateway) deleteGateway(ctx context.Context, p engine.Progress) error {
	if n.id == "" {
		return nil
	}
	_, err := n.api.DeleteNatGateway(ctx, &ec2.DeleteNatGatewayInput{NatGatewayId: &n.id})
	if err != nil && !cloud.IsNotFound(err) {
		return n.wrap("deleting the NAT gateway", err)
	}
	return n.waitGone(ctx, p)
}

// stillMapped tells that an address is in use yet: EC2 says so in two ways, one
// of which it also uses for missing rights.
func stillMapped(err error) bool {
	return cloud.IsDependency(err) || cloud.Code(err) == "AuthFailure"
}
