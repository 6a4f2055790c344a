package network

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// s3Endpoint lets nodes reach S3 without the NAT gateways, which take money for
// each gigabyte of a model.
type s3Endpoint struct {
	part
	region string
	vpc    *vpc
	tables []*routeTable

	routed []string // route tables' ids
}

func newS3Endpoint(api API, owner cloud.Owner, region string, v *vpc, tables []*routeTable) *s3Endpoint {
	e := &s3Endpoint{
		part:   part{api: api, owner: owner, kind: "vpc-endpoint", short: "s3", name: owner.Cluster + "-s3", needs: []engine.Resource{v}},
		region: region, vpc: v, tables: tables,
	}
	for _, t := range tables {
		e.needs = append(e.needs, t)
	}
	return e
}

func (e *s3Endpoint) read(ctx context.Context) error {
	e.forget()
	e.routed = nil
	pages := ec2.NewDescribeVpcEndpointsPaginator(e.api, &ec2.DescribeVpcEndpointsInput{Filters: e.filters()})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, found := range page.VpcEndpoints {
			if s := strings.ToLower(string(found.State)); s == "deleted" || s == "failed" || s == "rejected" || s == "expired" {
				continue // EC2 writes the states in both cases
			}
			e.found(aws.ToString(found.VpcEndpointId), found.Tags)
			e.routed = found.RouteTableIds
		}
	}
	return nil
}

// missing lists the tables that have no route to S3 yet.
func (e *s3Endpoint) missing() []string {
	var ids []string
	for _, t := range e.tables {
		if !slices.Contains(e.routed, t.id) {
			ids = append(ids, t.id)
		}
	}
	return ids
}

// Observe implements [engine.Resource].
func (e *s3Endpoint) Observe(ctx context.Context) (engine.Observation, error) {
	if e.vpc.id == "" {
		e.forget()
		return engine.Observation{}, nil
	}
	if err := e.read(ctx); err != nil {
		return engine.Observation{}, e.wrap("reading the endpoint", err)
	}
	if e.id == "" {
		return engine.Observation{}, nil
	}
	obs := engine.Observation{Exists: true, Detail: e.id, Changes: e.tagChanges()}
	if len(e.missing()) > 0 {
		obs.Changes = append(obs.Changes, engine.Change{Field: "routeTables", Live: len(e.routed), Wanted: len(e.tables), Policy: engine.PolicyInPlace})
	}
	return obs, nil
}

// Apply implements [engine.Resource].
func (e *s3Endpoint) Apply(ctx context.Context, p engine.Progress) error {
	if e.id == "" {
		p("creating the endpoint for S3")
		return e.wrap("creating the endpoint", e.create(ctx))
	}
	if missing := e.missing(); len(missing) > 0 {
		err := cloud.Settled(ctx, func(ctx context.Context) error {
			_, err := e.api.ModifyVpcEndpoint(ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: &e.id, AddRouteTableIds: missing})
			return err
		})
		if err != nil {
			return e.wrap("adding route tables to the endpoint", err)
		}
		e.routed = append(e.routed, missing...)
	}
	return e.fixTags(ctx)
}

func (e *s3Endpoint) create(ctx context.Context) error {
	missing := e.missing()
	return cloud.WithToken(ctx, cloud.TokenOf(e.vpc.id, e.name), func(ctx context.Context, token string) error {
		return cloud.Settled(ctx, func(ctx context.Context) error {
			out, err := e.api.CreateVpcEndpoint(ctx, &ec2.CreateVpcEndpointInput{
				VpcId: &e.vpc.id, VpcEndpointType: types.VpcEndpointTypeGateway, ServiceName: aws.String("com.amazonaws." + e.region + ".s3"),
				RouteTableIds: missing, ClientToken: &token, TagSpecifications: e.spec(types.ResourceTypeVpcEndpoint),
			})
			if err == nil {
				e.made(aws.ToString(out.VpcEndpoint.VpcEndpointId))
				e.routed = missing
			}
			return err
		})
	})
}

// Delete implements [engine.Resource].
func (e *s3Endpoint) Delete(ctx context.Context, _ engine.Progress) error {
	out, err := e.api.DeleteVpcEndpoints(ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{e.id}})
	if err == nil {
		err = unsuccessful(out)
	}
	if err != nil && !cloud.IsNotFound(err) {
		return e.wrap("deleting the endpoint", err)
	}
	err = cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		err := e.read(ctx)
		return e.id == "", err
	})
	return e.wrap("waiting for the endpoint to go", err)
}

// unsuccessful is the error that DeleteVpcEndpoints hides in its answer.
func unsuccessful(out *ec2.DeleteVpcEndpointsOutput) error {
	for _, u := range out.Unsuccessful {
		if u.Error != nil {
			return &smithy.GenericAPIError{Code: aws.ToString(u.Error.Code), Message: aws.ToString(u.Error.Message)}
		}
	}
	return nil
}
