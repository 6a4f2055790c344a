// Package identity makes the IAM roles that a cluster, its nodes and its
// add-ons act as, with no more rights than each needs.
package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// API is what this package uses of IAM.
type API interface {
	iam.ListRolesAPIClient
	iam.ListAttachedRolePoliciesAPIClient
	iam.ListRolePoliciesAPIClient
	iam.ListInstanceProfilesForRoleAPIClient
	GetRole(context.Context, *iam.GetRoleInput, ...func(*iam.Options)) (*iam.GetRoleOutput, error)
	GetRolePolicy(context.Context, *iam.GetRolePolicyInput, ...func(*iam.Options)) (*iam.GetRolePolicyOutput, error)
	CreateRole(context.Context, *iam.CreateRoleInput, ...func(*iam.Options)) (*iam.CreateRoleOutput, error)
	UpdateAssumeRolePolicy(context.Context, *iam.UpdateAssumeRolePolicyInput, ...func(*iam.Options)) (*iam.UpdateAssumeRolePolicyOutput, error)
	TagRole(context.Context, *iam.TagRoleInput, ...func(*iam.Options)) (*iam.TagRoleOutput, error)
	AttachRolePolicy(context.Context, *iam.AttachRolePolicyInput, ...func(*iam.Options)) (*iam.AttachRolePolicyOutput, error)
	DetachRolePolicy(context.Context, *iam.DetachRolePolicyInput, ...func(*iam.Options)) (*iam.DetachRolePolicyOutput, error)
	PutRolePolicy(context.Context, *iam.PutRolePolicyInput, ...func(*iam.Options)) (*iam.PutRolePolicyOutput, error)
	DeleteRolePolicy(context.Context, *iam.DeleteRolePolicyInput, ...func(*iam.Options)) (*iam.DeleteRolePolicyOutput, error)
	RemoveRoleFromInstanceProfile(context.Context, *iam.RemoveRoleFromInstanceProfileInput, ...func(*iam.Options)) (*iam.RemoveRoleFromInstanceProfileOutput, error)
	DeleteRole(context.Context, *iam.DeleteRoleInput, ...func(*iam.Options)) (*iam.DeleteRoleOutput, error)
	CreateServiceLinkedRole(context.Context, *iam.CreateServiceLinkedRoleInput, ...func(*iam.Options)) (*iam.CreateServiceLinkedRoleOutput, error)
}

// RoleSpec is a role as it should be.
type RoleSpec struct {
	ID              string              // the engine's: "role/nodes"
	Name            string              // at most 64 characters
	Region          string              // tells the partition of the managed policies' ARNs; empty is AWS's commercial one
	Trust           Document            // who may assume it
	PassedTo        []string            // the AWS services that it is handed to in calls
	ManagedPolicies []string            // AWS's, by name: "AmazonEKSClusterPolicy", "service-role/…"
	Inline          map[string]Document // by name
}

// maxRoleName is IAM's limit (CreateRole, RoleName), in characters.
const maxRoleName = 64

// roleName is <cluster>-<region>-<suffix>; IAM is global, so the region has to
// be in it. A name that is too long keeps its head and gets a hash.
func roleName(b *blueprints.Blueprint, suffix string) string {
	name := b.Metadata.Name + "-" + b.Metadata.Region + "-" + suffix
	if len(name) <= maxRoleName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	tail := "-" + hex.EncodeToString(sum[:4]) + "-" + suffix
	return name[:maxRoleName-len(tail)] + tail
}

// Role is an IAM role with its policies.
type Role struct {
	api   API
	owner cloud.Owner
	spec  RoleSpec
	needs []engine.Resource

	unwanted bool

	arn  string
	live liveRole
}

// liveRole is what IAM says of a role.
type liveRole struct {
	exists   bool
	trust    string
	tags     map[string]string
	attached []string          // managed policies' ARNs, sorted
	inline   map[string]string // name -> JSON
}

// NewRole is a role of owner's as spec says.
func NewRole(api API, owner cloud.Owner, spec RoleSpec, needs ...engine.Resource) *Role {
	return &Role{api: api, owner: owner, spec: spec, needs: needs}
}

// NewRemovedRole is a role that nothing in the blueprint needs any more, found by
// spec's name. One that does not carry owner's tag is somebody else's.
func NewRemovedRole(api API, owner cloud.Owner, spec RoleSpec, needs ...engine.Resource) *Role {
	r := NewRole(api, owner, spec, needs...)
	r.unwanted = true
	return r
}

// ID implements [engine.Resource].
func (r *Role) ID() string { return r.spec.ID }

// Needs implements [engine.Resource].
func (r *Role) Needs() []engine.Resource { return r.needs }

// Need adds to what the role needs, before a graph is made of it.
func (r *Role) Need(more ...engine.Resource) { r.needs = append(r.needs, more...) }

// Unwanted implements [engine.Unwanted].
func (r *Role) Unwanted() bool { return r.unwanted }

// Name is the role's name in IAM.
func (r *Role) Name() string { return r.spec.Name }

// ARN is the role's ARN; empty while it does not exist.
func (r *Role) ARN() string { return r.arn }

// Observe implements [engine.Resource].
func (r *Role) Observe(ctx context.Context) (engine.Observation, error) {
	if err := r.read(ctx); err != nil {
		return engine.Observation{}, cloud.Wrap(r.ID(), "reading the role", err)
	}
	if !r.live.exists {
		return engine.Observation{}, nil
	}
	obs := engine.Observation{Exists: true, Detail: r.spec.Name}
	owner := r.live.tags[cloud.TagCluster]
	if r.unwanted {
		return engine.Observation{Exists: owner == r.owner.Cluster, Detail: r.spec.Name}, nil
	}
	if owner != r.owner.Cluster {
		obs.Keep = "it does not carry the tag " + cloud.TagCluster + "=" + r.owner.Cluster
		obs.Changes = []engine.Change{{
			Field: "tags." + cloud.TagCluster, Live: owner, Wanted: r.owner.Cluster, Policy: engine.PolicyRefused,
			Hint: "a role named " + r.spec.Name + " exists that this cluster did not make: delete or rename it, or name the cluster differently",
		}}
		return obs, nil
	}
	obs.Changes = r.changes()
	return obs, nil
}

// read fills r.live and r.arn.
func (r *Role) read(ctx context.Context) error {
	r.arn, r.live = "", liveRole{}
	out, err := r.api.GetRole(ctx, &iam.GetRoleInput{RoleName: &r.spec.Name})
	if cloud.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	r.arn = aws.ToString(out.Role.Arn)
	live := liveRole{exists: true, tags: map[string]string{}, inline: map[string]string{}}
	if live.trust, err = url.PathUnescape(aws.ToString(out.Role.AssumeRolePolicyDocument)); err != nil {
		return fmt.Errorf("the trust policy of %s is not URL-encoded: %w", r.spec.Name, err)
	}
	for _, t := range out.Role.Tags {
		live.tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	if live.attached, err = r.attached(ctx); err != nil {
		return err
	}
	names, err := r.inlineNames(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		out, err := r.api.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &r.spec.Name, PolicyName: &name})
		if err != nil {
			return err
		}
		if live.inline[name], err = url.PathUnescape(aws.ToString(out.PolicyDocument)); err != nil {
			return fmt.Errorf("policy %s of %s is not URL-encoded: %w", name, r.spec.Name, err)
		}
	}
	r.live = live
	return nil
}

// attached lists the ARNs of the attached managed policies, sorted.
func (r *Role) attached(ctx context.Context) ([]string, error) {
	var arns []string
	pages := iam.NewListAttachedRolePoliciesPaginator(r.api, &iam.ListAttachedRolePoliciesInput{RoleName: &r.spec.Name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range page.AttachedPolicies {
			arns = append(arns, aws.ToString(p.PolicyArn))
		}
	}
	slices.Sort(arns)
	return arns, nil
}

func (r *Role) inlineNames(ctx context.Context) ([]string, error) {
	var names []string
	pages := iam.NewListRolePoliciesPaginator(r.api, &iam.ListRolePoliciesInput{RoleName: &r.spec.Name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		names = append(names, page.PolicyNames...)
	}
	return names, nil
}

// wantedARNs are the ARNs of the spec's managed policies, sorted.
func (r *Role) wantedARNs() []string {
	arns := make([]string, len(r.spec.ManagedPolicies))
	for i, name := range r.spec.ManagedPolicies {
		arns[i] = "arn:" + cloud.Partition(r.spec.Region) + ":iam::aws:policy/" + name
	}
	slices.Sort(arns)
	return arns
}

// changes compares the live role with the wanted one. Policies that somebody
// attached besides are taken off again: they would be rights that nobody sees
// in the blueprint.
func (r *Role) changes() []engine.Change {
	var changes []engine.Change
	add := func(field string, live, wanted any) {
		changes = append(changes, engine.Change{Field: field, Live: live, Wanted: wanted, Policy: engine.PolicyInPlace})
	}
	if !sameDocument(r.live.trust, r.spec.Trust.JSON()) {
		add("trust", r.live.trust, r.spec.Trust.JSON())
	}
	if wanted := r.wantedARNs(); !slices.Equal(r.live.attached, wanted) {
		add("managedPolicies", r.live.attached, wanted)
	}
	for _, name := range slices.Sorted(maps.Keys(r.spec.Inline)) {
		wanted := r.spec.Inline[name].JSON()
		if live, ok := r.live.inline[name]; !ok {
			add("policies."+name, nil, wanted)
		} else if !sameDocument(live, wanted) {
			add("policies."+name, live, wanted)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.live.inline)) {
		if _, ok := r.spec.Inline[name]; !ok {
			add("policies."+name, r.live.inline[name], nil)
		}
	}
	return append(changes, engine.TagChanges(r.live.tags, r.owner.Tags(""))...)
}
