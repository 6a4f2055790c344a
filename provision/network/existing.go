package network

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// existingVPC is a VPC with subnets that the blueprint names. It is checked and
// never changed.
type existingVPC struct {
	api       API
	vpcID     string
	subnetIDs []string

	exists bool
	zones  map[string]string // subnet id -> zone name
}

// useExisting is a network that stands in a VPC that exists.
func useExisting(api API, elb LoadBalancerAPI, owner cloud.Owner, b *blueprints.Blueprint) *Network {
	v := &existingVPC{api: api, vpcID: b.Network.VPCID, subnetIDs: b.Network.SubnetIDs}
	rest := &remains{vpc: v, leftovers: leftovers{api: api, cluster: owner.Cluster, vpcID: v.vpcID, subnetIDs: v.subnetIDs}}
	balancers := newLoadBalancers(api, elb, owner.Cluster, v, rest) // their security groups go after them
	return &Network{VPC: v, existing: v, resources: []engine.Resource{v, rest, balancers}}
}

// ID implements [engine.Resource].
func (v *existingVPC) ID() string { return "vpc/" + v.vpcID }

// Needs implements [engine.Resource].
func (v *existingVPC) Needs() []engine.Resource { return nil }

func (v *existingVPC) liveID() string {
	if !v.exists {
		return ""
	}
	return v.vpcID
}

// Observe implements [engine.Resource]. Whether a cluster can stand there is
// [ChooseZones]'s to say: a teardown must not fail on it.
func (v *existingVPC) Observe(ctx context.Context) (engine.Observation, error) {
	v.exists, v.zones = false, map[string]string{}
	vpcs, err := v.api.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{v.vpcID}})
	if cloud.IsNotFound(err) || err == nil && len(vpcs.Vpcs) == 0 {
		return engine.Observation{}, nil
	}
	if err != nil {
		return engine.Observation{}, cloud.Wrap(v.ID(), "reading the VPC", err)
	}
	subnets, err := describeSubnets(ctx, v.api, &ec2.DescribeSubnetsInput{SubnetIds: v.subnetIDs})
	if err != nil && !cloud.IsNotFound(err) {
		return engine.Observation{}, cloud.Wrap(v.ID(), "reading its subnets", err)
	}
	for _, s := range subnets {
		v.zones[aws.ToString(s.SubnetId)] = aws.ToString(s.AvailabilityZone)
	}
	v.exists = true
	obs := engine.Observation{Exists: true, Keep: "it was there before the cluster: the blueprint names it in network.vpcID"}
	for _, found := range vpcs.Vpcs {
		obs.Detail = fmt.Sprintf("%s, subnets %s", aws.ToString(found.CidrBlock), strings.Join(v.subnetIDs, ", "))
	}
	return obs, nil
}

// checkExisting wants what EKS wants of the VPC that b names: subnets in it, in
// two zones.
func checkExisting(ctx context.Context, api API, b *blueprints.Blueprint) error {
	id := "vpc/" + b.Network.VPCID
	vpcs, err := api.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{b.Network.VPCID}})
	if cloud.IsNotFound(err) || err == nil && len(vpcs.Vpcs) == 0 {
		return cloud.Fail(id, "checking the VPC", "there is no such VPC in "+b.Metadata.Region, "correct network.vpcID or metadata.region")
	}
	if err != nil {
		return cloud.Wrap(id, "checking the VPC", err)
	}
	subnets, err := describeSubnets(ctx, api, &ec2.DescribeSubnetsInput{SubnetIds: b.Network.SubnetIDs})
	if err != nil {
		return cloud.Wrap(id, "checking its subnets", err)
	}
	var zones []string
	for _, s := range subnets {
		if in := aws.ToString(s.VpcId); in != b.Network.VPCID {
			return cloud.Fail(id, "checking its subnets", fmt.Sprintf("%s is in %s", aws.ToString(s.SubnetId), in),
				"name only subnets of "+b.Network.VPCID+" in network.subnetIDs")
		}
		zones = append(zones, aws.ToString(s.AvailabilityZone))
	}
	if zones = sortedUnion(zones, nil); len(zones) < minZones {
		return cloud.Fail(id, "checking its subnets", "all of network.subnetIDs are in "+strings.Join(zones, ", "),
			fmt.Sprintf("EKS needs subnets in at least %d availability zones", minZones))
	}
	return nil
}

// subnetsIn lists the subnets in some zones, or all, in the blueprint's order.
func (v *existingVPC) subnetsIn(zones []string) []string {
	return slices.DeleteFunc(slices.Clone(v.subnetIDs), func(id string) bool {
		return len(zones) > 0 && !slices.Contains(zones, v.zones[id])
	})
}

// Apply implements [engine.Resource]; there is never anything to change.
func (v *existingVPC) Apply(context.Context, engine.Progress) error { return nil }

// Delete implements [engine.Resource]; the VPC is not ours.
func (v *existingVPC) Delete(context.Context, engine.Progress) error { return nil }

// remains is what the cluster's controllers leave in a VPC that is not ours.
// There is nothing to be made of it: it exists, for teardown's sake, as long as
// the VPC holds anything of the cluster, be it only EKS's own security group.
type remains struct {
	leftovers
	vpc    *existingVPC
	exists bool
}

// ID implements [engine.Resource].
func (r *remains) ID() string { return "leftovers/" + r.cluster }

// Needs implements [engine.Resource].
func (r *remains) Needs() []engine.Resource { return []engine.Resource{r.vpc} }

// Unwanted implements [engine.Unwanted]: where there is nothing, nothing is made.
func (r *remains) Unwanted() bool { return !r.exists }

// Observe implements [engine.Resource].
func (r *remains) Observe(ctx context.Context) (engine.Observation, error) {
	groups, err := r.securityGroups(ctx)
	if err != nil {
		return engine.Observation{}, cloud.Wrap(r.ID(), "looking for security groups", err)
	}
	interfaces, err := r.interfaces(ctx)
	if err != nil {
		return engine.Observation{}, cloud.Wrap(r.ID(), "looking for interfaces", err)
	}
	r.exists = len(groups) > 0 || slices.ContainsFunc(interfaces, r.abandoned)
	return engine.Observation{Exists: r.exists, Detail: "interfaces and security groups that Kubernetes leaves in " + r.vpcID}, nil
}

// Apply implements [engine.Resource]; there is never anything to change.
func (r *remains) Apply(context.Context, engine.Progress) error { return nil }

// remainsLimit bounds how long load balancers' interfaces may hold their
// security groups.
const remainsLimit = 5 * time.Minute

// Delete implements [engine.Resource].
func (r *remains) Delete(ctx context.Context, p engine.Progress) error {
	err := cloud.RetryWhile(ctx, remainsLimit, cloud.IsDependency, func(ctx context.Context) error {
		found, err := r.interfaces(ctx)
		if err != nil {
			return err
		}
		if _, err := r.deleteAbandoned(ctx, found, p); err != nil {
			return err
		}
		return r.deleteSecurityGroups(ctx, p)
	})
	return cloud.Wrap(r.ID(), "deleting what Kubernetes left in the VPC", err)
}
