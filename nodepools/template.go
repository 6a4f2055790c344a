// Package nodepools turns the pools of a blueprint into launch templates and
// managed node groups, and says early and in AWS's words why a pool gets no nodes.
package nodepools

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// EC2API is what this package uses of EC2.
type EC2API interface {
	ec2.DescribeLaunchTemplatesAPIClient
	ec2.DescribeLaunchTemplateVersionsAPIClient
	CreateLaunchTemplate(context.Context, *ec2.CreateLaunchTemplateInput, ...func(*ec2.Options)) (*ec2.CreateLaunchTemplateOutput, error)
	CreateLaunchTemplateVersion(context.Context, *ec2.CreateLaunchTemplateVersionInput, ...func(*ec2.Options)) (*ec2.CreateLaunchTemplateVersionOutput, error)
	ModifyLaunchTemplate(context.Context, *ec2.ModifyLaunchTemplateInput, ...func(*ec2.Options)) (*ec2.ModifyLaunchTemplateOutput, error)
	DeleteLaunchTemplate(context.Context, *ec2.DeleteLaunchTemplateInput, ...func(*ec2.Options)) (*ec2.DeleteLaunchTemplateOutput, error)
	CreateTags(context.Context, *ec2.CreateTagsInput, ...func(*ec2.Options)) (*ec2.CreateTagsOutput, error)
}

// LaunchTemplate says how the instances of a pool start: disk, metadata
// service, tags and node configuration. What EKS wants to decide itself (image,
// instance type, subnets, security groups) is not in it: with an image of its
// own EKS would not merge its bootstrap data, with security groups of its own it
// would not add the cluster's (EKS user guide, "Customize managed nodes with
// launch templates").
type LaunchTemplate struct {
	api   EC2API
	owner cloud.Owner
	pool  blueprints.NodePool
	needs []engine.Resource

	id       string
	tags     map[string]string
	current  int64 // the default version; 0 while the template does not exist
	versions map[int64]content
}

// NewLaunchTemplate is the launch template of a pool.
func NewLaunchTemplate(api EC2API, owner cloud.Owner, pool blueprints.NodePool, needs ...engine.Resource) *LaunchTemplate {
	return &LaunchTemplate{api: api, owner: owner, pool: pool, needs: needs}
}

// TemplateName is the name of a pool's launch template.
func TemplateName(cluster, pool string) string { return cluster + "-" + pool }

func (l *LaunchTemplate) name() string { return TemplateName(l.owner.Cluster, l.pool.Name) }

// ID implements [engine.Resource].
func (l *LaunchTemplate) ID() string { return "launch-template/" + l.pool.Name }

// Needs implements [engine.Resource].
func (l *LaunchTemplate) Needs() []engine.Resource { return l.needs }

// TemplateID is EC2's id; empty while the template does not exist.
func (l *LaunchTemplate) TemplateID() string { return l.id }

// Version is the default version, which node groups are to use.
func (l *LaunchTemplate) Version() string { return strconv.FormatInt(l.current, 10) }

// Serves tells whether a version of the template starts nodes as the blueprint
// wants them. A version that differs only in tags does: nodes are not replaced
// for a tag.
func (l *LaunchTemplate) Serves(version string) bool {
	n, err := strconv.ParseInt(version, 10, 64)
	if err != nil {
		return false
	}
	live, ok := l.versions[n]
	return ok && live.node == l.wanted().node
}

// Observe implements [engine.Resource].
func (l *LaunchTemplate) Observe(ctx context.Context) (engine.Observation, error) {
	if err := l.read(ctx); err != nil {
		return engine.Observation{}, cloud.Wrap(l.ID(), "reading the launch template", err)
	}
	if l.id == "" {
		return engine.Observation{Changes: l.wanted().creation()}, nil
	}
	obs := engine.Observation{Exists: true, Detail: fmt.Sprintf("%s, version %d", l.name(), l.current)}
	if owner := l.tags[cloud.TagCluster]; owner != l.owner.Cluster {
		obs.Keep = "it does not carry the tag " + cloud.TagCluster + "=" + l.owner.Cluster
		obs.Changes = []engine.Change{{
			Field: "tags." + cloud.TagCluster, Live: owner, Wanted: l.owner.Cluster, Policy: engine.PolicyRefused,
			Hint: "a launch template named " + l.name() + " exists that this cluster did not make: delete it, or name the pool differently",
		}}
		return obs, nil
	}
	obs.Changes = l.versions[l.current].changes(l.wanted())
	if len(obs.Changes) == 0 {
		obs.Changes = engine.TagChanges(l.tags, l.ownTags())
	}
	return obs, nil
}

// read finds the template by its name, which is unique in a region, and reads
// all its versions.
func (l *LaunchTemplate) read(ctx context.Context) error {
	l.id, l.tags, l.current, l.versions = "", nil, 0, nil
	found, err := findTemplates(ctx, l.api, cloud.Filter("launch-template-name", l.name()))
	if err != nil || len(found) == 0 {
		return err
	}
	t := found[0]
	versions := map[int64]content{}
	pages := ec2.NewDescribeLaunchTemplateVersionsPaginator(l.api, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: t.LaunchTemplateId})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if cloud.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, v := range page.LaunchTemplateVersions {
			versions[aws.ToInt64(v.VersionNumber)] = liveContent(v.LaunchTemplateData)
		}
	}
	l.id, l.tags = aws.ToString(t.LaunchTemplateId), cloud.FromEC2(t.Tags)
	l.current, l.versions = aws.ToInt64(t.DefaultVersionNumber), versions
	return nil
}

func findTemplates(ctx context.Context, api EC2API, filters ...types.Filter) ([]types.LaunchTemplate, error) {
	var found []types.LaunchTemplate
	pages := ec2.NewDescribeLaunchTemplatesPaginator(api, &ec2.DescribeLaunchTemplatesInput{Filters: filters})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		found = append(found, page.LaunchTemplates...)
	}
	return found, nil
}

// ownTags are the tags of the template itself.
func (l *LaunchTemplate) ownTags() map[string]string { return l.owner.Tags(l.name()) }

func (l *LaunchTemplate) wanted() content { return wantedContent(l.owner, l.pool) }

// Apply implements [engine.Resource].
func (l *LaunchTemplate) Apply(ctx context.Context, _ engine.Progress) error {
	if l.id == "" {
		if err := l.create(ctx); err != nil {
			return cloud.Wrap(l.ID(), "creating the launch template", err)
		}
	}
	if set := cloud.TagChanges(l.tags, l.ownTags()); len(set) > 0 {
		err := cloud.Settled(ctx, func(ctx context.Context) error {
			_, err := l.api.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{l.id}, Tags: cloud.EC2Tags(set)})
			return err
		})
		if err != nil {
			return cloud.Wrap(l.ID(), "tagging the launch template", err)
		}
		maps.Copy(l.tags, set)
	}
	if l.versions[l.current].equal(l.wanted()) {
		return nil
	}
	return cloud.Wrap(l.ID(), "making a new version of the launch template", l.newVersion(ctx))
}

// create makes the template, or takes over the one of a call whose reply was lost.
func (l *LaunchTemplate) create(ctx context.Context) error {
	wanted := l.wanted()
	_, err := l.api.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String(l.name()),
		LaunchTemplateData: wanted.request(),
		ClientToken:        aws.String(cloud.NewToken()),
		TagSpecifications:  cloud.EC2TagSpec(types.ResourceTypeLaunchTemplate, l.ownTags()),
		VersionDescription: aws.String("made by aicluster"),
	})
	if err != nil && !cloud.IsExists(err) {
		return err
	}
	return cloud.WaitListed(ctx, func(ctx context.Context) (bool, error) {
		err := l.read(ctx)
		return l.id != "", err
	})
}

// newVersion makes the wanted content the default version, with a version that
// has it already if a run died before it could do so.
func (l *LaunchTemplate) newVersion(ctx context.Context) error {
	wanted, number := l.wanted(), int64(0)
	for n, v := range l.versions {
		if v.equal(wanted) {
			number = max(number, n)
		}
	}
	if number == 0 {
		out, err := l.api.CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{
			LaunchTemplateId: &l.id, LaunchTemplateData: wanted.request(), ClientToken: aws.String(cloud.NewToken()),
			VersionDescription: aws.String("made by aicluster"),
		})
		if err != nil {
			return err
		}
		number = aws.ToInt64(out.LaunchTemplateVersion.VersionNumber)
	}
	_, err := l.api.ModifyLaunchTemplate(ctx, &ec2.ModifyLaunchTemplateInput{
		LaunchTemplateId: &l.id, DefaultVersion: aws.String(strconv.FormatInt(number, 10)),
	})
	if err != nil {
		return err
	}
	l.current, l.versions[number] = number, wanted
	return nil
}

// Delete implements [engine.Resource]. The copies that EKS makes of it go with
// the node group.
func (l *LaunchTemplate) Delete(ctx context.Context, _ engine.Progress) error {
	if err := deleteTemplate(ctx, l.api, l.id); err != nil {
		return cloud.Wrap(l.ID(), "deleting the launch template", err)
	}
	l.id, l.tags, l.current, l.versions = "", nil, 0, nil
	return nil
}

func deleteTemplate(ctx context.Context, api EC2API, id string) error {
	if id == "" {
		return nil
	}
	_, err := api.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: &id})
	if cloud.IsNotFound(err) {
		return nil
	}
	return err
}
