package iam

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/wire"
)

// role is one role as it is kept.
type role struct {
	name, path, id string
	description    string
	trust          string
	boundary       string
	maxSession     int32
	created        time.Time
	changed        time.Time         // of what other services must learn: existence, trust, policies
	managed        map[string]bool   // ARNs of attached policies
	inline         map[string]string // documents by policy name
	tags           map[string]string
	linked         string // the service of a service-linked role
	unasked        bool   // made by the service itself, not by the account
}

func (r *role) arn() string { return "arn:aws:iam::" + account + ":role" + r.path + r.name }

// Role is a snapshot of one role, for other services.
type Role struct {
	Name, ID, ARN, Path string
	TrustPolicy         string            // JSON
	Managed             []string          // ARNs of the attached managed policies, sorted
	Inline              map[string]string // inline policy documents by name
	Tags                map[string]string
	Created             time.Time
	MaxSession          time.Duration
	Service             string // of a service-linked role, such as eks.amazonaws.com
}

// Trusts tells whether the trust policy lets the service principal (such as
// "eks.amazonaws.com") assume the role.
func (r Role) Trusts(principal string) bool { return trustsAny(r.TrustPolicy, "Service", principal) }

// TrustsPrincipal tells whether the trust policy lets an IAM user or role, by its
// ARN, assume the role: named itself, through its account, or as anybody.
func (r Role) TrustsPrincipal(arn string) bool {
	return trustsAny(r.TrustPolicy, "AWS", arn, account, "arn:aws:iam::"+account+":root", "*")
}

// HasPolicy tells whether AWS's managed policy of this name is attached.
func (r Role) HasPolicy(name string) bool {
	for _, arn := range r.Managed {
		if arn[strings.LastIndexByte(arn, '/')+1:] == name {
			return true
		}
	}
	return false
}

// Role returns the role of this ARN or name.
func (s *Service) Role(arnOrName string) (Role, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(arnOrName)
	if r == nil {
		return Role{}, false
	}
	return Role{
		Name: r.name, ID: r.id, ARN: r.arn(), Path: r.path, TrustPolicy: r.trust, Managed: sortedKeys(r.managed),
		Inline: copyMap(r.inline), Tags: copyMap(r.tags), Created: r.created, Service: r.linked,
		MaxSession: time.Duration(r.maxSession) * time.Second,
	}, true
}

// Propagated tells whether other services see the role as it is now. IAM is
// eventually consistent: after a role, its trust policy or its policies change,
// they go on with what was before for a while
// (IAM User Guide, "Changes that I make are not always immediately visible").
func (s *Service) Propagated(arnOrName string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(arnOrName)
	return r != nil && time.Since(r.changed) >= time.Duration(s.late*float64(s.clock.Duration(clock.IAMPropagation)))
}

// Delay makes propagation take that many times longer than the clock says.
func (s *Service) Delay(times float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = times
}

func (s *Service) find(arnOrName string) *role {
	if !strings.HasPrefix(arnOrName, "arn:") {
		return s.roles[arnOrName]
	}
	r := s.roles[arnOrName[strings.LastIndexByte(arnOrName, '/')+1:]]
	if r == nil || r.arn() != arnOrName {
		return nil
	}
	return r
}

func (s *Service) role(name *string) (*role, error) {
	r := s.roles[aws.ToString(name)]
	if r == nil {
		return nil, noSuchEntity("The role with name %s cannot be found.", aws.ToString(name))
	}
	return r, nil
}

// writable is role for operations that AWS refuses on service-linked roles.
func (s *Service) writable(name *string) (*role, error) {
	r, err := s.role(name)
	if err == nil && r.linked != "" {
		return nil, protected(r.name)
	}
	return r, err
}

func (r *role) output(withTags bool) types.Role {
	out := types.Role{
		RoleName: aws.String(r.name), RoleId: aws.String(r.id), Arn: aws.String(r.arn()), Path: aws.String(r.path),
		CreateDate: aws.Time(r.created), AssumeRolePolicyDocument: encode(r.trust),
		MaxSessionDuration: aws.Int32(r.maxSession),
	}
	if r.description != "" {
		out.Description = aws.String(r.description)
	}
	// ListRoles leaves out tags, boundary and last use (API reference of ListRoles).
	if withTags {
		out.RoleLastUsed = &types.RoleLastUsed{}
		if len(r.tags) > 0 {
			out.Tags = tagList(r.tags)
		}
		if r.boundary != "" {
			out.PermissionsBoundary = &types.AttachedPermissionsBoundary{
				PermissionsBoundaryArn:  aws.String(r.boundary),
				PermissionsBoundaryType: types.PermissionsBoundaryAttachmentTypePolicy,
			}
		}
	}
	return out
}

func copyMap(m map[string]string) map[string]string {
	c := make(map[string]string, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

func registerRoles(w *wire.Server, a api) {
	handle(w, a.CreateRole)
	handle(w, a.GetRole)
	handle(w, a.ListRoles)
	handle(w, a.UpdateRole)
	handle(w, a.UpdateAssumeRolePolicy)
	handle(w, a.DeleteRole)
	handle(w, a.TagRole)
	handle(w, a.UntagRole)
	handle(w, a.ListRoleTags)
}

// CreateRole makes a role. Names are unique in the account whatever their path and case.
func (a api) CreateRole(_ context.Context, in *iam.CreateRoleInput) (*iam.CreateRoleOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	name := *in.RoleName
	for have := range a.roles {
		if strings.EqualFold(have, name) {
			return nil, alreadyExists("Role with name %s already exists.", name)
		}
	}
	if err := checkTrust(*in.AssumeRolePolicyDocument); err != nil {
		return nil, err
	}
	if err := checkTrustSize(*in.AssumeRolePolicyDocument); err != nil {
		return nil, err
	}
	if err := a.checkBoundary(in.PermissionsBoundary); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags, nil); err != nil {
		return nil, err
	}
	if strings.HasPrefix(pathOf(in.Path), "/aws-service-role/") {
		return nil, invalidInput("Invalid path: %s. Path must not start with /aws-service-role/", pathOf(in.Path))
	}
	if a.ownRoles() >= rolesPerAccount {
		return nil, overQuota("RolesPerAccount", rolesPerAccount)
	}
	r := a.addRole(name, pathOf(in.Path), *in.AssumeRolePolicyDocument)
	r.description = aws.ToString(in.Description)
	r.boundary = aws.ToString(in.PermissionsBoundary)
	if in.MaxSessionDuration != nil {
		r.maxSession = *in.MaxSessionDuration
	}
	r.tags = tagMap(in.Tags)
	out := r.output(true)
	out.RoleLastUsed = nil
	out.MaxSessionDuration = nil
	return &iam.CreateRoleOutput{Role: &out}, nil
}

func (s *Service) addRole(name, path, trust string) *role {
	r := &role{
		name: name, path: path, id: uniqueID("AROA"), trust: trust, maxSession: 3600, created: now(), changed: time.Now(),
		managed: map[string]bool{}, inline: map[string]string{}, tags: map[string]string{},
	}
	s.roles[name] = r
	return r
}

// GetRole returns one role with its trust policy URL-encoded.
func (a api) GetRole(_ context.Context, in *iam.GetRoleInput) (*iam.GetRoleOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	out := r.output(true)
	return &iam.GetRoleOutput{Role: &out}, nil
}

// ListRoles lists roles by name, those under a path prefix only when one is given.
func (a api) ListRoles(_ context.Context, in *iam.ListRolesInput) (*iam.ListRolesOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := &iam.ListRolesOutput{Roles: []types.Role{}}
	for _, name := range sortedKeys(a.roles) {
		if r := a.roles[name]; strings.HasPrefix(r.path, pathOf(in.PathPrefix)) {
			out.Roles = append(out.Roles, r.output(false))
		}
	}
	return out, nil
}

// UpdateRole changes description and longest session.
func (a api) UpdateRole(_ context.Context, in *iam.UpdateRoleInput) (*iam.UpdateRoleOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.writable(in.RoleName)
	if err != nil {
		return nil, err
	}
	if in.Description != nil {
		r.description = *in.Description
	}
	if in.MaxSessionDuration != nil {
		r.maxSession = *in.MaxSessionDuration
	}
	return &iam.UpdateRoleOutput{}, nil
}

// UpdateAssumeRolePolicy replaces the trust policy.
func (a api) UpdateAssumeRolePolicy(_ context.Context, in *iam.UpdateAssumeRolePolicyInput) (*iam.UpdateAssumeRolePolicyOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.writable(in.RoleName)
	if err != nil {
		return nil, err
	}
	if err := checkTrust(*in.PolicyDocument); err != nil {
		return nil, err
	}
	if err := checkTrustSize(*in.PolicyDocument); err != nil {
		return nil, err
	}
	r.trust, r.changed = *in.PolicyDocument, time.Now()
	return &iam.UpdateAssumeRolePolicyOutput{}, nil
}

// DeleteRole deletes a role that nothing hangs on any more.
func (a api) DeleteRole(_ context.Context, in *iam.DeleteRoleInput) (*iam.DeleteRoleOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.writable(in.RoleName)
	if err != nil {
		return nil, err
	}
	for _, p := range a.profiles {
		if p.role == r.name {
			return nil, deleteConflict("Cannot delete entity, must remove roles from instance profile first.")
		}
	}
	if len(r.managed) > 0 {
		return nil, deleteConflict("Cannot delete entity, must detach all policies first.")
	}
	if len(r.inline) > 0 {
		return nil, deleteConflict("Cannot delete entity, must delete policies first.")
	}
	delete(a.roles, r.name)
	return &iam.DeleteRoleOutput{}, nil
}

// TagRole adds or replaces tags.
func (a api) TagRole(_ context.Context, in *iam.TagRoleInput) (*iam.TagRoleOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.writable(in.RoleName)
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags, r.tags); err != nil {
		return nil, err
	}
	for k, v := range tagMap(in.Tags) {
		r.tags[k] = v
	}
	return &iam.TagRoleOutput{}, nil
}

// UntagRole removes tags; those that are not there do not matter.
func (a api) UntagRole(_ context.Context, in *iam.UntagRoleInput) (*iam.UntagRoleOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.writable(in.RoleName)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(r.tags, k)
	}
	return &iam.UntagRoleOutput{}, nil
}

// ListRoleTags lists a role's tags by key.
func (a api) ListRoleTags(_ context.Context, in *iam.ListRoleTagsInput) (*iam.ListRoleTagsOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	return &iam.ListRoleTagsOutput{Tags: tagList(r.tags)}, nil
}
