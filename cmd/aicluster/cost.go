package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"

	"aicluster/blueprints/instancetypes"
	"aicluster/provision/cloud"
	"aicluster/provision/controlplane"
)

// List prices in US dollars an hour, us-east-1: EKS control plane in standard
// and in extended support (aws.amazon.com/eks/pricing) and a NAT gateway without
// its traffic (aws.amazon.com/vpc/pricing).
const (
	controlPlanePrice         = 0.10
	controlPlaneExtendedPrice = 0.60
	natGatewayPrice           = 0.045
)

// costs is what runs now, at list prices.
type costs struct {
	controlPlane, natGateways, instances float64
	unpriced                             []string // instance types that the table lacks
	err                                  error    // why it is not known
}

// Total is in US dollars an hour, to a millionth: no price is finer.
func (c costs) Total() float64 {
	return math.Round((c.controlPlane+c.natGateways+c.instances)*1e6) / 1e6
}

// Source says where the prices come from and what they leave out.
func (c costs) Source() string {
	if c.err != nil {
		return "not known: " + c.err.Error()
	}
	s := "list prices of us-east-1, " + instancetypes.PriceDate + "; spot counted as on-demand; without load balancers, disks and traffic"
	if len(c.unpriced) > 0 {
		s += fmt.Sprintf("; without %v, whose price is not known", c.unpriced)
	}
	return s
}

// costTimeout bounds the look at what is running when the run was interrupted.
const costTimeout = 10 * time.Second

// costNow adds up the instances and gateways that bear the cluster's tag. It
// asks EC2 itself, so that the sum holds when Kubernetes or a pool is broken,
// and outlives an interruption, since that is when people want to know.
func (s *session) costNow(ctx context.Context) costs {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), costTimeout)
	defer cancel()
	var c costs
	if c.err = c.addControlPlane(ctx, s.clients.EKS, s.stack.cluster); c.err != nil {
		return c
	}
	owner := cloud.Owner{Cluster: s.blueprint.Metadata.Name}
	if c.err = c.addInstances(ctx, s.clients.EC2, owner); c.err == nil {
		c.err = c.addGateways(ctx, s.clients.EC2, owner)
	}
	return c
}

// costPermissions is what costNow needs of the caller's IAM policy.
func costPermissions(s cloud.Site) []cloud.Permission {
	return append(controlplane.VersionPermissions(s), cloud.Find("ec2:DescribeInstances", "ec2:DescribeNatGateways"))
}

// addControlPlane asks EKS whether the cluster's version is in extended support.
func (c *costs) addControlPlane(ctx context.Context, api eks.DescribeClusterVersionsAPIClient, cluster *controlplane.Cluster) error {
	if !cluster.Exists() {
		return nil
	}
	c.controlPlane = controlPlanePrice
	versions, err := controlplane.Versions(ctx, api)
	if err != nil && !cloud.IsUnsupported(err) {
		return err
	}
	if slices.ContainsFunc(versions, func(v controlplane.Version) bool { return v.Name == cluster.Version() && v.Extended }) {
		c.controlPlane = controlPlaneExtendedPrice
	}
	return nil
}

func (c *costs) addInstances(ctx context.Context, api ec2.DescribeInstancesAPIClient, owner cloud.Owner) error {
	pages := ec2.NewDescribeInstancesPaginator(api, &ec2.DescribeInstancesInput{
		Filters: append(owner.OwnedFilters(""), cloud.Filter("instance-state-name", "pending", "running", "shutting-down", "stopping")),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				c.addInstance(string(i.InstanceType))
			}
		}
	}
	return nil
}

func (c *costs) addInstance(name string) {
	t, ok := instancetypes.Lookup(name)
	if !ok || t.OnDemandUSD == 0 {
		c.unpriced = append(c.unpriced, name)
		return
	}
	c.instances += t.OnDemandUSD
}

func (c *costs) addGateways(ctx context.Context, api ec2.DescribeNatGatewaysAPIClient, owner cloud.Owner) error {
	pages := ec2.NewDescribeNatGatewaysPaginator(api, &ec2.DescribeNatGatewaysInput{
		Filter: append(owner.OwnedFilters(""), cloud.Filter("state", string(ec2types.NatGatewayStatePending), string(ec2types.NatGatewayStateAvailable))),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		c.natGateways += natGatewayPrice * float64(len(page.NatGateways))
	}
	return nil
}
