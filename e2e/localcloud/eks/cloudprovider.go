package eks

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	ec2sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	cloudprovider "k8s.io/cloud-provider"
	provider "k8s.io/cloud-provider-aws/pkg/providers/v1"
	"k8s.io/cloud-provider-aws/pkg/providers/v1/config"
	"k8s.io/cloud-provider-aws/pkg/providers/v1/iface"
)

// newCloudProvider makes the AWS cloud provider of a cluster: the one that EKS
// runs in its cloud controller manager, from k8s.io/cloud-provider-aws. It calls
// EC2 and Elastic Load Balancing with cfg. A VPC, a subnet and the cluster's name
// in its configuration say that it does not run on an instance of the account, as
// on EKS, so that it asks no instance metadata.
func newCloudProvider(cfg aws.Config, cluster, vpc, subnet string) (cloudprovider.Interface, error) {
	var c config.CloudConfig
	c.Global.Region, c.Global.VPC, c.Global.SubnetID, c.Global.KubernetesClusterID = cfg.Region, vpc, subnet, cluster
	return provider.NewAWSCloud(c, awsServices{cfg})
}

// awsServices are the provider's clients. Its own ones cannot be had: they take
// credentials from the environment of the process alone, which is all clusters'.
type awsServices struct{ cfg aws.Config }

func (s awsServices) Compute(context.Context, string, *stscreds.AssumeRoleProvider) (iface.EC2, error) {
	return ec2Client{ec2sdk.NewFromConfig(s.cfg)}, nil
}

func (s awsServices) LoadBalancing(context.Context, string, *stscreds.AssumeRoleProvider) (provider.ELB, error) {
	return elasticloadbalancing.NewFromConfig(s.cfg), nil
}

func (s awsServices) LoadBalancingV2(context.Context, string, *stscreds.AssumeRoleProvider) (provider.ELBV2, error) {
	return elasticloadbalancingv2.NewFromConfig(s.cfg), nil
}

// KeyManagement and Metadata have nothing: with this configuration the provider
// asks neither.
func (awsServices) KeyManagement(context.Context, string, *stscreds.AssumeRoleProvider) (provider.KMS, error) {
	return nil, nil
}

func (awsServices) Metadata(context.Context) (config.EC2Metadata, error) { return nil, nil }

// ec2Client is the SDK's client as the provider wants it: where it describes, with
// all pages in one list. The provider's own adapter is not exported.
type ec2Client struct{ *ec2sdk.Client }

// pages collects what a paginator has.
func pages[T, O, F any](ctx context.Context, p interface {
	HasMorePages() bool
	NextPage(context.Context, ...F) (O, error)
}, items func(O) []T) ([]T, error) {
	list := []T{}
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		list = append(list, items(page)...)
	}
	return list, nil
}

func (c ec2Client) DescribeInstances(ctx context.Context, in *ec2sdk.DescribeInstancesInput, _ ...func(*ec2sdk.Options)) ([]ec2types.Instance, error) {
	return pages(ctx, ec2sdk.NewDescribeInstancesPaginator(c.Client, in), func(out *ec2sdk.DescribeInstancesOutput) []ec2types.Instance {
		var list []ec2types.Instance
		for _, r := range out.Reservations {
			list = append(list, r.Instances...)
		}
		return list
	})
}

func (c ec2Client) DescribeInstanceTopology(ctx context.Context, in *ec2sdk.DescribeInstanceTopologyInput, _ ...func(*ec2sdk.Options)) ([]ec2types.InstanceTopology, error) {
	return pages(ctx, ec2sdk.NewDescribeInstanceTopologyPaginator(c.Client, in), func(out *ec2sdk.DescribeInstanceTopologyOutput) []ec2types.InstanceTopology { return out.Instances })
}

func (c ec2Client) DescribeSecurityGroups(ctx context.Context, in *ec2sdk.DescribeSecurityGroupsInput, _ ...func(*ec2sdk.Options)) ([]ec2types.SecurityGroup, error) {
	return pages(ctx, ec2sdk.NewDescribeSecurityGroupsPaginator(c.Client, in), func(out *ec2sdk.DescribeSecurityGroupsOutput) []ec2types.SecurityGroup { return out.SecurityGroups })
}

func (c ec2Client) DescribeSubnets(ctx context.Context, in *ec2sdk.DescribeSubnetsInput, _ ...func(*ec2sdk.Options)) ([]ec2types.Subnet, error) {
	return pages(ctx, ec2sdk.NewDescribeSubnetsPaginator(c.Client, in), func(out *ec2sdk.DescribeSubnetsOutput) []ec2types.Subnet { return out.Subnets })
}

func (c ec2Client) DescribeRouteTables(ctx context.Context, in *ec2sdk.DescribeRouteTablesInput, _ ...func(*ec2sdk.Options)) ([]ec2types.RouteTable, error) {
	return pages(ctx, ec2sdk.NewDescribeRouteTablesPaginator(c.Client, in), func(out *ec2sdk.DescribeRouteTablesOutput) []ec2types.RouteTable { return out.RouteTables })
}

func (c ec2Client) DescribeAvailabilityZones(ctx context.Context, in *ec2sdk.DescribeAvailabilityZonesInput, _ ...func(*ec2sdk.Options)) ([]ec2types.AvailabilityZone, error) {
	out, err := c.Client.DescribeAvailabilityZones(ctx, in)
	if err != nil {
		return nil, err
	}
	return out.AvailabilityZones, nil
}
