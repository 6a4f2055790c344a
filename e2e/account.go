package e2e

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdAccount lists what is in the account, by the SDK: "account FILE REGION". The
// roles of AWS's services are left out: they stay.
func cmdAccount(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: account FILE REGION")
	}
	c := &cloud{env: map[string]string{}}
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		c.env[name] = ts.Getenv(name)
	}
	cfg, ctx := c.config(args[1]), context.Background()
	var lines []string
	for _, list := range []func(context.Context, aws.Config) ([]string, error){listNetwork, listGateways, listRoles, listStores, listClusters} {
		more, err := list(ctx, cfg)
		ts.Check(err)
		lines = append(lines, more...)
	}
	slices.Sort(lines)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(lines, "\n")+"\n"), 0o644))
}

// names makes a line of each thing.
func names[T any](kind string, things []T, name func(T) *string) []string {
	var lines []string
	for _, t := range things {
		lines = append(lines, kind+" "+aws.ToString(name(t)))
	}
	return lines
}

func listNetwork(ctx context.Context, cfg aws.Config) ([]string, error) {
	api := ec2.NewFromConfig(cfg)
	vpcs, err1 := api.DescribeVpcs(ctx, nil)
	subnets, err2 := api.DescribeSubnets(ctx, nil)
	groups, err3 := api.DescribeSecurityGroups(ctx, nil)
	tables, err4 := api.DescribeRouteTables(ctx, nil)
	templates, err5 := api.DescribeLaunchTemplates(ctx, nil)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	return slices.Concat(
		names("vpc", vpcs.Vpcs, func(v ec2types.Vpc) *string { return v.VpcId }),
		names("subnet", subnets.Subnets, func(v ec2types.Subnet) *string { return v.SubnetId }),
		names("security-group", groups.SecurityGroups, func(v ec2types.SecurityGroup) *string { return v.GroupId }),
		names("route-table", tables.RouteTables, func(v ec2types.RouteTable) *string { return v.RouteTableId }),
		names("launch-template", templates.LaunchTemplates, func(v ec2types.LaunchTemplate) *string { return v.LaunchTemplateName }),
	), nil
}

func listGateways(ctx context.Context, cfg aws.Config) ([]string, error) {
	api := ec2.NewFromConfig(cfg)
	internet, err1 := api.DescribeInternetGateways(ctx, nil)
	nat, err2 := api.DescribeNatGateways(ctx, nil)
	addresses, err3 := api.DescribeAddresses(ctx, nil)
	endpoints, err4 := api.DescribeVpcEndpoints(ctx, nil)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	live := slices.DeleteFunc(nat.NatGateways, func(n ec2types.NatGateway) bool { return n.State == ec2types.NatGatewayStateDeleted })
	standing := slices.DeleteFunc(endpoints.VpcEndpoints, func(e ec2types.VpcEndpoint) bool { return strings.EqualFold(string(e.State), "deleted") })
	return slices.Concat(
		names("internet-gateway", internet.InternetGateways, func(v ec2types.InternetGateway) *string { return v.InternetGatewayId }),
		names("nat-gateway", live, func(v ec2types.NatGateway) *string { return v.NatGatewayId }),
		names("address", addresses.Addresses, func(v ec2types.Address) *string { return v.AllocationId }),
		names("endpoint", standing, func(v ec2types.VpcEndpoint) *string { return v.VpcEndpointId }),
	), nil
}

func listRoles(ctx context.Context, cfg aws.Config) ([]string, error) {
	var lines []string
	pages := iam.NewListRolesPaginator(iam.NewFromConfig(cfg), &iam.ListRolesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Roles {
			if !strings.HasPrefix(aws.ToString(r.Path), "/aws-service-role/") {
				lines = append(lines, "role "+*r.RoleName)
			}
		}
	}
	return lines, nil
}

func listStores(ctx context.Context, cfg aws.Config) ([]string, error) {
	buckets, err1 := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }).ListBuckets(ctx, nil)
	groups, err2 := cloudwatchlogs.NewFromConfig(cfg).DescribeLogGroups(ctx, nil)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	var lines []string
	for _, b := range buckets.Buckets {
		lines = append(lines, "bucket "+*b.Name)
	}
	for _, g := range groups.LogGroups {
		lines = append(lines, "log-group "+*g.LogGroupName)
	}
	return lines, nil
}

// listClusters lists clusters; a server without EKS has none.
func listClusters(ctx context.Context, cfg aws.Config) ([]string, error) {
	out, err := eks.NewFromConfig(cfg).ListClusters(ctx, nil)
	if err != nil {
		return nil, nil
	}
	var lines []string
	for _, name := range out.Clusters {
		lines = append(lines, "cluster "+name)
	}
	return lines, nil
}
