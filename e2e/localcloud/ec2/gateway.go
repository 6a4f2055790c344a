package ec2

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/wire"
)

// gateway is an internet gateway.
type gateway struct{ id, vpc string }

func registerGateways(w *wire.Server, a api) {
	handle(w, a.CreateInternetGateway)
	handle(w, a.DescribeInternetGateways)
	handle(w, a.AttachInternetGateway)
	handle(w, a.DetachInternetGateway)
	handle(w, a.DeleteInternetGateway)
}

func (g *gateway) output(r *region) types.InternetGateway {
	out := types.InternetGateway{
		InternetGatewayId: aws.String(g.id), OwnerId: aws.String(account), Attachments: []types.InternetGatewayAttachment{}, Tags: r.sdkTags(g.id),
	}
	if g.vpc != "" { // "available" is no value of the SDK's enum, but it is what EC2 says
		out.Attachments = append(out.Attachments, types.InternetGatewayAttachment{State: "available", VpcId: aws.String(g.vpc)})
	}
	return out
}

// gatewayOf returns the internet gateway of a VPC, nil if it has none.
func (r *region) gatewayOf(vpc string) *gateway {
	for _, g := range r.gateways.all() {
		if g.vpc == vpc {
			return g
		}
	}
	return nil
}

// CreateInternetGateway makes a gateway that is attached to nothing.
func (a api) CreateInternetGateway(ctx context.Context, in *ec2.CreateInternetGatewayInput) (*ec2.CreateInternetGatewayOutput, error) {
	tags, err := tagsFor(types.ResourceTypeInternetGateway, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if r.reached(quotaGateways, len(r.gateways.order)) {
		return nil, fail("InternetGatewayLimitExceeded", "The maximum number of internet gateways has been reached.")
	}
	g := &gateway{id: newID("igw")}
	r.gateways.add(g.id, g)
	r.tags[g.id] = tags
	out := g.output(r)
	return &ec2.CreateInternetGatewayOutput{InternetGateway: &out}, nil
}

// DescribeInternetGateways lists gateways.
func (a api) DescribeInternetGateways(ctx context.Context, in *ec2.DescribeInternetGatewaysInput) (*ec2.DescribeInternetGatewaysOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	if err := checkIDs(r.gateways, kindGateway, in.InternetGatewayIds); err != nil {
		return nil, err
	}
	var all []types.InternetGateway
	for _, g := range r.gateways.shown() {
		all = append(all, g.output(r))
	}
	kept, err := describe(all, in.InternetGatewayIds, func(g types.InternetGateway) *string { return g.InternetGatewayId }, in.Filters, filters[types.InternetGateway]{
		"attachment.state": func(g types.InternetGateway) []string {
			return each(g.Attachments, func(t types.InternetGatewayAttachment) *string { return aws.String(string(t.State)) })
		},
		"attachment.vpc-id": func(g types.InternetGateway) []string {
			return each(g.Attachments, func(t types.InternetGatewayAttachment) *string { return t.VpcId })
		},
		"internet-gateway-id": func(g types.InternetGateway) []string { return one(g.InternetGatewayId) },
		"owner-id":            func(g types.InternetGateway) []string { return one(g.OwnerId) },
	}, func(g types.InternetGateway) []types.Tag { return g.Tags })
	return &ec2.DescribeInternetGatewaysOutput{InternetGateways: kept}, err
}

// AttachInternetGateway attaches a free gateway to a VPC that has none.
func (a api) AttachInternetGateway(ctx context.Context, in *ec2.AttachInternetGatewayInput) (*ec2.AttachInternetGatewayOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	g, err := lookup(r.gateways, kindGateway, in.InternetGatewayId)
	if err != nil {
		return nil, err
	}
	v, err := lookup(r.vpcs, kindVPC, in.VpcId)
	if err != nil {
		return nil, err
	}
	if g.vpc != "" {
		return nil, fail("Resource.AlreadyAssociated", "resource %s is already attached to network %s", g.id, g.vpc)
	}
	if r.gatewayOf(v.id) != nil {
		return nil, invalidValue("Network %s already has an internet gateway attached", v.id)
	}
	g.vpc = v.id
	return &ec2.AttachInternetGatewayOutput{}, nil
}

// DetachInternetGateway detaches a gateway, unless public addresses in the VPC
// still map through it.
func (a api) DetachInternetGateway(ctx context.Context, in *ec2.DetachInternetGatewayInput) (*ec2.DetachInternetGatewayOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	g, err := lookup(r.gateways, kindGateway, in.InternetGatewayId)
	if err != nil {
		return nil, err
	}
	v, err := lookup(r.vpcs, kindVPC, in.VpcId)
	if err != nil {
		return nil, err
	}
	if g.vpc != v.id {
		return nil, fail("Gateway.NotAttached", "resource %s is not attached to network %s", g.id, v.id)
	}
	for _, e := range r.interfaces.all() {
		if e.vpc == v.id && e.public != nil {
			return nil, dependency("Network %s has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.", v.id)
		}
	}
	g.vpc = ""
	return &ec2.DetachInternetGatewayOutput{}, nil
}

// DeleteInternetGateway deletes a detached gateway.
func (a api) DeleteInternetGateway(ctx context.Context, in *ec2.DeleteInternetGatewayInput) (*ec2.DeleteInternetGatewayOutput, error) {
	r := a.lock(ctx)
	defer a.mu.Unlock()
	g, err := lookup(r.gateways, kindGateway, in.InternetGatewayId)
	if err != nil {
		return nil, err
	}
	if g.vpc != "" {
		return nil, dependency("The internetGateway '%s' has dependencies and cannot be deleted.", g.id)
	}
	r.gateways.remove(g.id)
	r.forget(g.id)
	return &ec2.DeleteInternetGatewayOutput{}, nil
}
