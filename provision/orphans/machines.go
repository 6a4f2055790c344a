package orphans

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/provision/cloud"
)

// listInstances leaves out those that are terminated: EC2 shows them for an hour.
func (s *Search) listInstances(ctx context.Context, by []types.Filter) ([]item, error) {
	var all []item
	pages := ec2.NewDescribeInstancesPaginator(s.EC2, &ec2.DescribeInstancesInput{Filters: by})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return all, err
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				if i.State == nil || i.State.Name != types.InstanceStateNameTerminated {
					all = append(all, s.instance(i, aws.ToString(r.OwnerId)))
				}
			}
		}
	}
	return all, nil
}

func (s *Search) instance(i types.Instance, account string) item {
	id, tags := aws.ToString(i.InstanceId), cloud.FromEC2(i.Tags)
	t := Thing{Kind: "instance", ID: id, Detail: string(i.InstanceType), CostPerHour: instancePrice(i.InstanceType),
		Remove: s.command("ec2 terminate-instances --instance-ids %s", id)}
	if name := tags[cloud.TagName]; name != "" {
		t.Detail += ", " + name
	}
	if i.State != nil {
		t.Detail += ", " + string(i.State.Name)
		t.going = i.State.Name == types.InstanceStateNameShuttingDown
		if i.State.Name == types.InstanceStateNameStopped {
			t.CostPerHour = 0
		}
	}
	t.Detail += ", of account " + account
	return item{Thing: t, tags: tags}
}

// listVolumes counts the disks of instances as part of them.
func (s *Search) listVolumes(ctx context.Context, by []types.Filter) ([]item, error) {
	var all []item
	pages := ec2.NewDescribeVolumesPaginator(s.EC2, &ec2.DescribeVolumesInput{Filters: by})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return all, err
		}
		for _, v := range page.Volumes {
			if v.State == types.VolumeStateDeleted {
				continue
			}
			id, tags := aws.ToString(v.VolumeId), cloud.FromEC2(v.Tags)
			t := Thing{Kind: "volume", ID: id, Detail: fmt.Sprintf("%d GiB, %s, %s", aws.ToInt32(v.Size), v.VolumeType, v.State), Data: true,
				CostPerHour: volumePrices[v.VolumeType] * float64(aws.ToInt32(v.Size)) / hoursOfMonth,
				Remove:      s.command("ec2 delete-volume --volume-id %s", id), going: v.State == types.VolumeStateDeleting, inUse: len(v.Attachments) > 0}
			if claim := claimOf(tags); claim != "" {
				t.Detail += ", of claim " + claim
			}
			disk := slices.ContainsFunc(v.Attachments, func(a types.VolumeAttachment) bool { return aws.ToBool(a.DeleteOnTermination) })
			all = append(all, item{Thing: t, tags: tags, derived: disk})
		}
	}
	return all, nil
}

// snapshots are known by their tags alone, which go with them. What a snapshot
// costs depends on how much of its volume was written, which EC2 does not tell.
func (s *Search) snapshots(ids []string) []Thing {
	var found []Thing
	for _, id := range ids {
		found = append(found, Thing{Kind: "snapshot", ID: id, Why: "its tags name the cluster", Data: true, Remove: s.command("ec2 delete-snapshot --snapshot-id %s", id)})
	}
	return found
}

// listTemplates asks by tag, since launch templates have no filter on ids: for
// ours, for the copies that EKS makes for node groups, and for Karpenter's.
func (s *Search) listTemplates(ctx context.Context, _ []types.Filter) ([]item, error) {
	var all []item
	for _, key := range []string{cloud.TagCluster, tagNodes, tagKarpenter} {
		pages := ec2.NewDescribeLaunchTemplatesPaginator(s.EC2, &ec2.DescribeLaunchTemplatesInput{Filters: []types.Filter{cloud.Filter("tag:"+key, s.Cluster)}})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return all, err
			}
			for _, t := range page.LaunchTemplates {
				name := aws.ToString(t.LaunchTemplateName) // unique in a region
				all = append(all, item{tags: cloud.FromEC2(t.Tags), Thing: Thing{Kind: "launch-template", ID: name, Detail: aws.ToString(t.LaunchTemplateId),
					Remove: s.command("ec2 delete-launch-template --launch-template-name %s", name)}})
			}
		}
	}
	return all, nil
}
