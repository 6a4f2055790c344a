package network

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

// Traces finds the VPC of somebody else's in which a cluster stood that is gone,
// by what its controllers left there: security groups, interfaces, load balancers.
// VPCID is empty when nothing was left.
func Traces(ctx context.Context, api API, elb LoadBalancerAPI, cluster string) (blueprints.Network, error) {
	var n blueprints.Network
	for _, find := range []func(context.Context, API, LoadBalancerAPI, string) (string, error){groupTrace, interfaceTrace, balancerTrace} {
		vpcID, err := find(ctx, api, elb, cluster)
		if err != nil {
			return n, cloud.Wrap("network", "looking for what a cluster left", err)
		}
		if vpcID != "" {
			n.VPCID = vpcID
			break
		}
	}
	if n.VPCID == "" {
		return n, nil
	}
	vpcs, err := api.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{n.VPCID}})
	if err != nil {
		return n, cloud.Wrap("network", "looking for what a cluster left", err)
	}
	for _, v := range vpcs.Vpcs {
		if cloud.FromEC2(v.Tags)[cloud.TagCluster] == cluster {
			return blueprints.Network{}, nil // its own, which goes as a whole
		}
	}
	subnets, err := describeSubnets(ctx, api, &ec2.DescribeSubnetsInput{Filters: []types.Filter{cloud.Filter("vpc-id", n.VPCID)}})
	for _, s := range subnets {
		n.SubnetIDs = append(n.SubnetIDs, aws.ToString(s.SubnetId))
	}
	return n, cloud.Wrap("vpc/"+n.VPCID, "reading its subnets", err)
}

func groupTrace(ctx context.Context, api API, _ LoadBalancerAPI, cluster string) (string, error) {
	for _, tag := range [][2]string{{"kubernetes.io/cluster/" + cluster, "owned"}, {eksCluster, cluster}, {lbcCluster, cluster}} {
		pages := ec2.NewDescribeSecurityGroupsPaginator(api, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{cloud.Filter("tag:"+tag[0], tag[1])}})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return "", err
			}
			for _, g := range page.SecurityGroups {
				return aws.ToString(g.VpcId), nil
			}
		}
	}
	return "", nil
}

func interfaceTrace(ctx context.Context, api API, _ LoadBalancerAPI, cluster string) (string, error) {
	pages := ec2.NewDescribeNetworkInterfacesPaginator(api, &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{cloud.Filter("tag:"+cniCluster, cluster)}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		for _, i := range page.NetworkInterfaces {
			return aws.ToString(i.VpcId), nil
		}
	}
	return "", nil
}

func balancerTrace(ctx context.Context, _ API, elb LoadBalancerAPI, cluster string) (string, error) {
	balancers, err := elb.balancers(ctx)
	if err != nil {
		return "", err
	}
	tags, err := elb.tags(ctx, balancers, nil)
	if err != nil {
		return "", err
	}
	for _, b := range balancers {
		if madeFor(cluster, tags[b.key()]) {
			return b.vpcID, nil
		}
	}
	return "", nil
}
