package network

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// internetGateway is the VPC's way to and from the internet.
type internetGateway struct {
	part
	vpc      *vpc
	attached string // the VPC that it is attached to
}

func newInternetGateway(api API, owner cloud.Owner, v *vpc) *internetGateway {
	return &internetGateway{
		part: part{api: api, owner: owner, kind: "internet-gateway", short: owner.Cluster, name: owner.Cluster, needs: []engine.Resource{v}},
		vpc:  v,
	}
}

func (g *internetGateway) read(ctx context.Context) error {
	g.forget()
	g.attached = ""
	_, err := g.find(ctx)
	return err
}

// find looks for the gateway by its tags and tells whether EC2 lists it.
func (g *internetGateway) find(ctx context.Context) (bool, error) {
	found, attached := map[string]types.InternetGateway{}, map[string]string{}
	var ids []string
	pages := ec2.NewDescribeInternetGatewaysPaginator(g.api, &ec2.DescribeInternetGatewaysInput{Filters: g.filters()})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return false, err
		}
		for _, x := range page.InternetGateways {
			id := aws.ToString(x.InternetGatewayId)
			ids = append(ids, id)
			found[id] = x
			for _, a := range x.Attachments {
				attached[id] = aws.ToString(a.VpcId)
			}
		}
	}
	if g.id != "" && !slices.Contains(ids, g.id) {
		return false, nil
	}
	var id string
	if id, g.more = choose(ids, g.id, func(id string) bool { return attached[id] != "" }); id != "" {
		g.found(id, found[id].Tags)
		g.attached = attached[id]
	}
	return id != "", nil
}

// Observe implements [engine.Resource]. It looks even when there is no VPC: a
// gateway that was never attached survives it.
func (g *internetGateway) Observe(ctx context.Context) (engine.Observation, error) {
	if err := g.read(ctx); err != nil {
		return engine.Observation{}, g.wrap("reading the internet gateway", err)
	}
	if g.id == "" {
		return engine.Observation{}, nil
	}
	obs := engine.Observation{Exists: true, Detail: g.id, Changes: append(g.doubles(), g.tagChanges()...)}
	if g.attached == "" || g.attached != g.vpc.id {
		obs.Changes = append(obs.Changes, engine.Change{Field: "attachedTo", Live: g.attached, Wanted: "vpc/" + g.vpc.short, Policy: engine.PolicyInPlace})
	}
	return obs, nil
}

// Apply implements [engine.Resource].
func (g *internetGateway) Apply(ctx context.Context, p engine.Progress) error {
	if g.id == "" {
		p("creating the internet gateway")
		id, err := cloud.CreateOnce(ctx, g.lookup, g.create)
		if err != nil {
			return g.wrap("creating the internet gateway", err)
		}
		g.made(id)
		p(listing, id)
		if err := cloud.WaitListed(ctx, g.find); err != nil {
			return g.wrap("waiting for the internet gateway", err)
		}
	}
	if g.attached != g.vpc.id {
		err := cloud.Settled(ctx, func(ctx context.Context) error {
			_, err := g.api.AttachInternetGateway(ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: &g.id, VpcId: &g.vpc.id})
			return err
		})
		if err != nil && !cloud.IsExists(err) {
			return g.wrap("attaching the internet gateway", err)
		}
		g.attached = g.vpc.id
	}
	if err := g.removeDoubles(ctx); err != nil {
		return err
	}
	return g.fixTags(ctx)
}

// removeDoubles deletes gateways of the same name, which are attached to nothing.
func (g *internetGateway) removeDoubles(ctx context.Context) error {
	for _, id := range g.more {
		_, err := g.api.DeleteInternetGateway(ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: &id})
		if err != nil && !cloud.IsNotFound(err) {
			return g.wrap("deleting "+id+", a second internet gateway without use", err)
		}
	}
	g.more = nil
	return nil
}

func (g *internetGateway) lookup(ctx context.Context) (string, bool, error) {
	err := g.read(ctx)
	return g.id, g.id != "", err
}

func (g *internetGateway) create(ctx context.Context) (string, error) {
	out, err := g.api.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{TagSpecifications: g.spec(types.ResourceTypeInternetGateway)}, once)
	if err != nil {
		return "", err
	}
	return aws.ToString(out.InternetGateway.InternetGatewayId), nil
}

// gatewayDeleteLimit bounds how long public addresses may still be mapped in the
// VPC, which keeps the gateway from being detached.
const gatewayDeleteLimit = 5 * time.Minute

// Delete implements [engine.Resource].
func (g *internetGateway) Delete(ctx context.Context, p engine.Progress) error {
	if err := g.removeDoubles(ctx); err != nil {
		return err
	}
	l := leftovers{api: g.api, elb: g.vpc.elb, cluster: g.owner.Cluster, vpcID: g.attached, mapped: true, all: true}
	err := l.clear(ctx, gatewayDeleteLimit, p, func(ctx context.Context) error {
		if g.attached != "" {
			_, err := g.api.DetachInternetGateway(ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: &g.id, VpcId: &g.attached})
			if err != nil && !cloud.IsNotFound(err) {
				return err
			}
			g.attached = ""
		}
		_, err := g.api.DeleteInternetGateway(ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: &g.id})
		return err
	})
	if err != nil && !cloud.IsNotFound(err) {
		return l.explain(ctx, g.ID(), "deleting the internet gateway", err)
	}
	g.forget()
	return nil
}
