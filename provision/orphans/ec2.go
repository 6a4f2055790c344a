package orphans

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/provision/cloud"
)

// EC2API is what the search uses of EC2.
type EC2API interface {
	ec2.DescribeTagsAPIClient
	ec2.DescribeVpcsAPIClient
	ec2.DescribeSubnetsAPIClient
	ec2.DescribeInstancesAPIClient
	ec2.DescribeVolumesAPIClient
	ec2.DescribeNatGatewaysAPIClient
	ec2.DescribeNetworkInterfacesAPIClient
	ec2.DescribeSecurityGroupsAPIClient
	ec2.DescribeRouteTablesAPIClient
	ec2.DescribeInternetGatewaysAPIClient
	ec2.DescribeVpcEndpointsAPIClient
	ec2.DescribeLaunchTemplatesAPIClient
	DescribeAddresses(context.Context, *ec2.DescribeAddressesInput, ...func(*ec2.Options)) (*ec2.DescribeAddressesOutput, error)
}

// item is one thing as EC2 describes it.
type item struct {
	Thing
	tags     map[string]string
	derived  bool // it comes and goes with what it stands in or is plugged into
	groupIDs []string
}

// kind is how EC2 lists things of one type: those with given ids, and those in a
// VPC. EC2 forgets tags later than things, and shows some things for an hour after
// they are gone; what counts is that the thing itself is still described.
type kind struct {
	resource types.ResourceType // in DescribeTags
	byID     string             // the filter on ids, or on our tag
	byVPC    string             // the filter on VPCs; empty for what is in none
	list     func(*Search, context.Context, []types.Filter) ([]item, error)
}

var kinds = []kind{
	{types.ResourceTypeVpc, "vpc-id", "vpc-id", (*Search).listVPCs},
	{types.ResourceTypeSubnet, "subnet-id", "vpc-id", (*Search).listSubnets},
	{types.ResourceTypeInstance, "instance-id", "vpc-id", (*Search).listInstances},
	{types.ResourceTypeVolume, "volume-id", "", (*Search).listVolumes},
	{types.ResourceTypeNatgateway, "nat-gateway-id", "vpc-id", (*Search).listNATs},
	{types.ResourceTypeElasticIp, "allocation-id", "", (*Search).listAddresses},
	{types.ResourceTypeNetworkInterface, "network-interface-id", "vpc-id", (*Search).listInterfaces},
	{types.ResourceTypeSecurityGroup, "group-id", "vpc-id", (*Search).listGroups},
	{types.ResourceTypeRouteTable, "route-table-id", "vpc-id", (*Search).listTables},
	{types.ResourceTypeInternetGateway, "internet-gateway-id", "attachment.vpc-id", (*Search).listGateways},
	{types.ResourceTypeVpcEndpoint, tagFilter, "vpc-id", (*Search).listEndpoints},
	{types.ResourceTypeLaunchTemplate, "", "", (*Search).listTemplates},
}

// tagFilter selects by our tag, for what nobody else makes in a cluster's name.
const tagFilter = "tag:" + cloud.TagCluster

// filterValues is how many values a filter takes (EC2 API, "Filter").
const filterValues = 200

// inEC2 finds what EC2 knows of the cluster: by tag, and by VPC.
func (s *Search) inEC2(ctx context.Context) ([]Thing, error) {
	tagged, err := s.tagged(ctx)
	if err != nil {
		return nil, err
	}
	vpcs, err := s.ownVPCs(ctx)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	found := map[string]item{} // by id
	for _, k := range kinds {
		wg.Go(func() {
			items, err := s.listKind(ctx, k, tagged[k.resource], vpcs)
			mu.Lock()
			defer mu.Unlock()
			if !cloud.IsUnsupported(err) {
				errs = append(errs, err)
			}
			for _, i := range items {
				found[i.ID] = i
			}
		})
	}
	wg.Wait()
	return append(s.judge(found), s.snapshots(tagged[types.ResourceTypeSnapshot])...), errors.Join(errs...)
}

// tagged lists the ids, by type, whose tags name the cluster.
func (s *Search) tagged(ctx context.Context) (map[types.ResourceType][]string, error) {
	ids := map[types.ResourceType][]string{}
	pages := ec2.NewDescribeTagsPaginator(s.EC2, &ec2.DescribeTagsInput{Filters: []types.Filter{cloud.Filter("key", s.tagKeys()...)}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, t := range page.Tags {
			id := aws.ToString(t.ResourceId)
			if s.names(aws.ToString(t.Key), aws.ToString(t.Value)) && !slices.Contains(ids[t.ResourceType], id) {
				ids[t.ResourceType] = append(ids[t.ResourceType], id)
			}
		}
	}
	return ids, nil
}

// ownVPCs lists the VPCs that were made for the cluster.
func (s *Search) ownVPCs(ctx context.Context) ([]string, error) {
	found, err := s.listVPCs(ctx, []types.Filter{cloud.Filter("tag:"+cloud.TagCluster, s.Cluster)})
	var ids []string
	for _, v := range found {
		ids = append(ids, v.ID)
	}
	return ids, err
}

// listKind lists the things of one kind with these ids, and those in these VPCs.
func (s *Search) listKind(ctx context.Context, k kind, ids, vpcs []string) ([]item, error) {
	if k.byID == "" { // launch templates, which have no filter on ids
		return k.list(s, ctx, nil)
	}
	if k.byID == tagFilter && len(ids) > 0 {
		ids = []string{s.Cluster}
	}
	var all []item
	for chunk := range slices.Chunk(ids, filterValues) {
		items, err := k.list(s, ctx, []types.Filter{cloud.Filter(k.byID, chunk...)})
		if err != nil {
			return all, err
		}
		all = append(all, items...)
	}
	if k.byVPC == "" || len(vpcs) == 0 {
		return all, nil
	}
	items, err := k.list(s, ctx, []types.Filter{cloud.Filter(k.byVPC, vpcs...)})
	return append(all, items...), err
}

// judge makes things of what was found: why each is counted, and whose it is.
func (s *Search) judge(found map[string]item) []Thing {
	used := map[string]bool{} // security groups
	for _, i := range found {
		for _, id := range i.groupIDs {
			used[id] = true
		}
	}
	var things []Thing
	for _, id := range slices.Sorted(maps.Keys(found)) {
		i := found[id]
		if i.derived {
			continue
		}
		i.pool, i.object, i.Why = poolOf(i.tags), objectOf(i.tags), s.reason(i.tags)
		i.inUse = i.inUse || used[id]
		if i.Why == "" {
			i.disown(whyInVPC)
		}
		things = append(things, i.Thing)
	}
	return things
}
