package nodepools

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// Discover lists the pools that exist of a cluster, by their node groups and
// launch templates that carry its ownership tag, sorted. A pool whose node group
// is gone but whose launch template is not is among them.
func Discover(ctx context.Context, eksAPI EKSAPI, ec2API EC2API, cluster Cluster) ([]string, error) {
	pools := map[string]bool{}
	if cluster.Exists() {
		if err := ownGroups(ctx, eksAPI, cluster.Name(), pools); err != nil {
			return nil, err
		}
	}
	templates, err := findTemplates(ctx, ec2API, cloud.Filter("tag:"+cloud.TagCluster, cluster.Name()))
	if err != nil {
		return nil, cloud.Wrap(cluster.ID(), "listing launch templates", err)
	}
	for _, t := range templates {
		if pool, ok := strings.CutPrefix(aws.ToString(t.LaunchTemplateName), TemplateName(cluster.Name(), "")); ok {
			pools[pool] = true
		}
	}
	return slices.Sorted(maps.Keys(pools)), nil
}

// ownGroups adds the names of the node groups that carry the ownership tag.
func ownGroups(ctx context.Context, api EKSAPI, cluster string, pools map[string]bool) error {
	pages := eks.NewListNodegroupsPaginator(api, &eks.ListNodegroupsInput{ClusterName: &cluster})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if cloud.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return cloud.Wrap("cluster/"+cluster, "listing node groups", err)
		}
		for _, name := range page.Nodegroups {
			ng, err := describe(ctx, api, cluster, name)
			if err != nil {
				return cloud.Wrap("nodepool/"+name, "reading the node group", err)
			}
			if ng != nil && ng.Tags[cloud.TagCluster] == cluster {
				pools[name] = true
			}
		}
	}
	return nil
}

// Removed is a pool that exists and is in no blueprint: its node group and
// launch template.
type Removed struct {
	eks     EKSAPI
	ec2     EC2API
	scaling AutoScalingAPI
	cluster Cluster
	pool    string
	needs   []engine.Resource

	live       *ekstypes.Nodegroup
	asg        *scalingGroup
	templateID string
}

// NewRemoved is the pool of that name, to be deleted; see [Discover]. It needs
// cluster besides needs.
func NewRemoved(pool string, eksAPI EKSAPI, ec2API EC2API, scaling AutoScalingAPI, cluster Cluster, needs ...engine.Resource) *Removed {
	return &Removed{pool: pool, eks: eksAPI, ec2: ec2API, scaling: scaling, cluster: cluster, needs: append([]engine.Resource{cluster}, needs...)}
}

// ID implements [engine.Resource].
func (r *Removed) ID() string { return "nodepool/" + r.pool }

// Needs implements [engine.Resource].
func (r *Removed) Needs() []engine.Resource { return r.needs }

// Need adds to what the pool needs, before a graph is made of it.
func (r *Removed) Need(more ...engine.Resource) { r.needs = append(r.needs, more...) }

// Unwanted implements [engine.Unwanted].
func (r *Removed) Unwanted() bool { return true }

// Live tells what runs of the pool.
func (r *Removed) Live() Live {
	return (&NodeGroup{live: r.live, asg: r.asg}).Live()
}

// Observe implements [engine.Resource].
func (r *Removed) Observe(ctx context.Context) (engine.Observation, error) {
	if err := r.read(ctx); err != nil {
		return engine.Observation{}, cloud.Wrap(r.ID(), "reading the node group", err)
	}
	switch {
	case r.live != nil:
		g := &NodeGroup{live: r.live, asg: r.asg}
		return engine.Observation{Exists: true, Detail: g.describe()}, nil
	case r.templateID != "":
		return engine.Observation{Exists: true, Detail: "launch template " + TemplateName(r.cluster.Name(), r.pool)}, nil
	}
	return engine.Observation{}, nil
}

func (r *Removed) read(ctx context.Context) error {
	r.live, r.asg, r.templateID = nil, nil, ""
	name := r.cluster.Name()
	if r.cluster.Ready() {
		live, err := describe(ctx, r.eks, name, r.pool)
		if err != nil {
			return err
		}
		if live != nil && live.Tags[cloud.TagCluster] == name {
			r.live = live
			if r.asg, err = readScalingGroup(ctx, r.scaling, live); err != nil {
				return err
			}
		}
	}
	found, err := findTemplates(ctx, r.ec2, ownTemplate(name, r.pool)...)
	if err == nil && len(found) > 0 {
		r.templateID = aws.ToString(found[0].LaunchTemplateId)
	}
	return err
}

// ownTemplate selects the pool's launch template if the cluster owns it.
func ownTemplate(cluster, pool string) []types.Filter {
	return []types.Filter{cloud.Filter("launch-template-name", TemplateName(cluster, pool)), cloud.Filter("tag:"+cloud.TagCluster, cluster)}
}

// Apply implements [engine.Resource]; what is unwanted is never applied.
func (r *Removed) Apply(context.Context, engine.Progress) error { return nil }

// Delete implements [engine.Resource].
func (r *Removed) Delete(ctx context.Context, p engine.Progress) error {
	if r.live != nil {
		if err := deleteGroup(ctx, r.eks, r.scaling, r.ID(), r.cluster.Name(), r.pool, p); err != nil {
			return err
		}
	}
	if err := deleteTemplate(ctx, r.ec2, r.templateID); err != nil {
		return cloud.Wrap(r.ID(), "deleting the launch template", err)
	}
	r.live, r.asg, r.templateID = nil, nil, ""
	return nil
}
