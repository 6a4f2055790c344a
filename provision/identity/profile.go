package identity

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// ProfileAPI is what [InstanceProfile] uses of IAM.
type ProfileAPI interface {
	GetInstanceProfile(context.Context, *iam.GetInstanceProfileInput, ...func(*iam.Options)) (*iam.GetInstanceProfileOutput, error)
	CreateInstanceProfile(context.Context, *iam.CreateInstanceProfileInput, ...func(*iam.Options)) (*iam.CreateInstanceProfileOutput, error)
	TagInstanceProfile(context.Context, *iam.TagInstanceProfileInput, ...func(*iam.Options)) (*iam.TagInstanceProfileOutput, error)
	AddRoleToInstanceProfile(context.Context, *iam.AddRoleToInstanceProfileInput, ...func(*iam.Options)) (*iam.AddRoleToInstanceProfileOutput, error)
	RemoveRoleFromInstanceProfile(context.Context, *iam.RemoveRoleFromInstanceProfileInput, ...func(*iam.Options)) (*iam.RemoveRoleFromInstanceProfileOutput, error)
	DeleteInstanceProfile(context.Context, *iam.DeleteInstanceProfileInput, ...func(*iam.Options)) (*iam.DeleteInstanceProfileOutput, error)
}

// InstanceProfile hands the role of nodes to instances that no node group of EKS
// starts. Karpenter could make one itself for each kind of node; that it need not
// saves it the right to change instance profiles, and a teardown the search for
// those that it left.
type InstanceProfile struct {
	api      ProfileAPI
	owner    cloud.Owner
	role     *Role
	unwanted bool
	needs    []engine.Resource

	live *types.InstanceProfile // nil while it does not exist
}

// NewInstanceProfile makes the resource "instance-profile/nodes", named like the
// role that it holds.
func NewInstanceProfile(api ProfileAPI, owner cloud.Owner, role *Role) *InstanceProfile {
	return &InstanceProfile{api: api, owner: owner, role: role, needs: []engine.Resource{role}}
}

// NewRemovedInstanceProfile is the profile when nothing needs it any more.
func NewRemovedInstanceProfile(api ProfileAPI, owner cloud.Owner, role *Role) *InstanceProfile {
	p := NewInstanceProfile(api, owner, role)
	p.unwanted = true
	return p
}

// InstanceProfileName is the name of a cluster's profile.
func InstanceProfileName(b *blueprints.Blueprint) string { return NodeRole(b).Name }

// ID implements [engine.Resource].
func (p *InstanceProfile) ID() string { return "instance-profile/nodes" }

// Needs implements [engine.Resource].
func (p *InstanceProfile) Needs() []engine.Resource { return p.needs }

// Need adds to what the profile needs, before a graph is made of it.
func (p *InstanceProfile) Need(more ...engine.Resource) { p.needs = append(p.needs, more...) }

// Unwanted implements [engine.Unwanted].
func (p *InstanceProfile) Unwanted() bool { return p.unwanted }

// Name is the profile's name in IAM.
func (p *InstanceProfile) Name() string { return p.role.Name() }

// Observe implements [engine.Resource].
func (p *InstanceProfile) Observe(ctx context.Context) (engine.Observation, error) {
	if err := p.read(ctx); err != nil {
		return engine.Observation{}, cloud.Wrap(p.ID(), "reading the instance profile", err)
	}
	if p.live == nil {
		return engine.Observation{}, nil
	}
	obs := engine.Observation{Exists: true, Detail: p.Name()}
	tags := p.tags()
	if owner := tags[cloud.TagCluster]; owner != p.owner.Cluster {
		obs.Keep = "it does not carry the tag " + cloud.TagCluster + "=" + p.owner.Cluster
		obs.Changes = []engine.Change{{
			Field: "tags." + cloud.TagCluster, Live: owner, Wanted: p.owner.Cluster, Policy: engine.PolicyRefused,
			Hint: "an instance profile named " + p.Name() + " exists that this cluster did not make: delete it, or name the cluster differently",
		}}
		return obs, nil
	}
	if held := p.held(); held != p.Name() {
		obs.Changes = append(obs.Changes, engine.Change{Field: "role", Live: held, Wanted: p.Name(), Policy: engine.PolicyInPlace})
	}
	obs.Changes = append(obs.Changes, engine.TagChanges(tags, p.owner.Tags(""))...)
	return obs, nil
}

func (p *InstanceProfile) read(ctx context.Context) error {
	p.live = nil
	out, err := p.api.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: aws.String(p.Name())})
	if cloud.IsNotFound(err) {
		return nil
	}
	if err == nil {
		p.live = out.InstanceProfile
	}
	return err
}

func (p *InstanceProfile) tags() map[string]string {
	tags := map[string]string{}
	for _, t := range p.live.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags
}

// held is the name of the role in the profile; empty if there is none.
func (p *InstanceProfile) held() string {
	for _, r := range p.live.Roles { // IAM allows one
		return aws.ToString(r.RoleName)
	}
	return ""
}

// Apply implements [engine.Resource].
func (p *InstanceProfile) Apply(ctx context.Context, _ engine.Progress) error {
	name := aws.String(p.Name())
	if p.live == nil {
		_, err := p.api.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: name, Tags: cloud.IAMTags(p.owner.Tags(""))})
		if err != nil && !cloud.IsExists(err) {
			return cloud.Wrap(p.ID(), "creating the instance profile", err)
		}
		if err := p.read(ctx); err != nil || p.live == nil {
			return cloud.Wrap(p.ID(), "reading the instance profile", err)
		}
	}
	if set := cloud.TagChanges(p.tags(), p.owner.Tags("")); len(set) > 0 {
		if _, err := p.api.TagInstanceProfile(ctx, &iam.TagInstanceProfileInput{InstanceProfileName: name, Tags: cloud.IAMTags(set)}); err != nil {
			return cloud.Wrap(p.ID(), "tagging the instance profile", err)
		}
	}
	if p.held() == p.Name() {
		return nil
	}
	if err := p.empty(ctx); err != nil {
		return cloud.Wrap(p.ID(), "taking another role out", err)
	}
	_, err := p.api.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: name, RoleName: name})
	return cloud.Wrap(p.ID(), "putting the role of nodes in", err)
}

// empty takes out the role that the profile holds.
func (p *InstanceProfile) empty(ctx context.Context) error {
	held := p.held()
	if held == "" {
		return nil
	}
	_, err := p.api.RemoveRoleFromInstanceProfile(ctx, &iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: aws.String(p.Name()), RoleName: &held})
	if cloud.IsNotFound(err) {
		return nil
	}
	return err
}

// Delete implements [engine.Resource]. IAM deletes only a profile that holds no
// role (DeleteInstanceProfile, DeleteConflict).
func (p *InstanceProfile) Delete(ctx context.Context, _ engine.Progress) error {
	if p.live == nil {
		return nil
	}
	if err := p.empty(ctx); err != nil {
		return cloud.Wrap(p.ID(), "taking the role out", err)
	}
	_, err := p.api.DeleteInstanceProfile(ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: aws.String(p.Name())})
	if err != nil && !cloud.IsNotFound(err) {
		return cloud.Wrap(p.ID(), "deleting the instance profile", err)
	}
	p.live = nil
	return nil
}
