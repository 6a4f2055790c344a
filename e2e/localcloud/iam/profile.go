package iam

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"aicluster/e2e/localcloud/wire"
)

// profile is an instance profile; it holds one role at most.
type profile struct {
	name, path, id string
	role           string
	created        time.Time
	tags           map[string]string
}

func (p *profile) arn() string {
	return "arn:aws:iam::" + account + ":instance-profile" + p.path + p.name
}

func registerProfiles(w *wire.Server, a api) {
	handle(w, a.CreateInstanceProfile)
	handle(w, a.GetInstanceProfile)
	handle(w, a.DeleteInstanceProfile)
	handle(w, a.AddRoleToInstanceProfile)
	handle(w, a.RemoveRoleFromInstanceProfile)
	handle(w, a.ListInstanceProfiles)
	handle(w, a.ListInstanceProfilesForRole)
	handle(w, a.TagInstanceProfile)
}

// InstanceProfile returns the name of the role in the instance profile of this
// ARN or name; false if there is no such profile.
func (s *Service) InstanceProfile(arnOrName string) (role string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.profiles[arnOrName[strings.LastIndexByte(arnOrName, '/')+1:]]
	if p == nil || strings.HasPrefix(arnOrName, "arn:") && p.arn() != arnOrName {
		return "", false
	}
	return p.role, true
}

// InstanceProfileARN is the ARN of the instance profile of this name, and of
// one without a path if there is none.
func (s *Service) InstanceProfileARN(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.profiles[name]; p != nil {
		return p.arn()
	}
	return (&profile{name: name, path: "/"}).arn()
}

// EnsureInstanceProfile makes an instance profile with this role in it, as EKS
// does for a node group (eks-<uuid>), and returns its ARN.
func (s *Service) EnsureInstanceProfile(name, roleName string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.profiles[name]
	if p == nil {
		p = &profile{name: name, path: "/", id: uniqueID("AIPA"), created: now(), tags: map[string]string{}}
		s.profiles[name] = p
	}
	p.role = roleName
	return p.arn()
}

// DeleteInstanceProfile removes an instance profile and its role from it, as
// EKS does with the one it made; without one it does nothing.
func (s *Service) DeleteInstanceProfile(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.profiles, name)
}

func (s *Service) profile(name *string) (*profile, error) {
	p := s.profiles[aws.ToString(name)]
	if p == nil {
		return nil, noSuchEntity("Instance Profile %s cannot be found.", aws.ToString(name))
	}
	return p, nil
}

func (s *Service) profileOutput(p *profile) types.InstanceProfile {
	out := types.InstanceProfile{
		Arn: aws.String(p.arn()), InstanceProfileName: aws.String(p.name), InstanceProfileId: aws.String(p.id),
		Path: aws.String(p.path), CreateDate: aws.Time(p.created), Roles: []types.Role{}, Tags: tagList(p.tags),
	}
	if r := s.roles[p.role]; r != nil {
		out.Roles = append(out.Roles, r.output(false))
	}
	return out
}

// CreateInstanceProfile makes an empty instance profile.
func (a api) CreateInstanceProfile(_ context.Context, in *iam.CreateInstanceProfileInput) (*iam.CreateInstanceProfileOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	name := *in.InstanceProfileName
	if a.profiles[name] != nil {
		return nil, alreadyExists("Instance Profile %s already exists.", name)
	}
	if err := checkTags(in.Tags, nil); err != nil {
		return nil, err
	}
	if len(a.profiles) >= profilesPerAccount {
		return nil, overQuota("InstanceProfilesPerAccount", profilesPerAccount)
	}
	p := &profile{name: name, path: pathOf(in.Path), id: uniqueID("AIPA"), created: now(), tags: tagMap(in.Tags)}
	a.profiles[name] = p
	out := a.profileOutput(p)
	return &iam.CreateInstanceProfileOutput{InstanceProfile: &out}, nil
}

// GetInstanceProfile describes an instance profile and its role.
func (a api) GetInstanceProfile(_ context.Context, in *iam.GetInstanceProfileInput) (*iam.GetInstanceProfileOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, err := a.profile(in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	out := a.profileOutput(p)
	return &iam.GetInstanceProfileOutput{InstanceProfile: &out}, nil
}

// TagInstanceProfile adds or replaces tags.
func (a api) TagInstanceProfile(_ context.Context, in *iam.TagInstanceProfileInput) (*iam.TagInstanceProfileOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, err := a.profile(in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags, p.tags); err != nil {
		return nil, err
	}
	for k, v := range tagMap(in.Tags) {
		p.tags[k] = v
	}
	return &iam.TagInstanceProfileOutput{}, nil
}

// DeleteInstanceProfile deletes an instance profile without a role.
func (a api) DeleteInstanceProfile(_ context.Context, in *iam.DeleteInstanceProfileInput) (*iam.DeleteInstanceProfileOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, err := a.profile(in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	if p.role != "" {
		return nil, deleteConflict("Cannot delete entity, must remove roles from instance profile first.")
	}
	delete(a.profiles, p.name)
	return &iam.DeleteInstanceProfileOutput{}, nil
}

// AddRoleToInstanceProfile puts a role into a profile that has none.
func (a api) AddRoleToInstanceProfile(_ context.Context, in *iam.AddRoleToInstanceProfileInput) (*iam.AddRoleToInstanceProfileOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, err := a.profile(in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	r, err := a.writable(in.RoleName)
	if err != nil {
		return nil, err
	}
	if p.role != "" {
		return nil, limitExceeded("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
	}
	p.role = r.name
	return &iam.AddRoleToInstanceProfileOutput{}, nil
}

// RemoveRoleFromInstanceProfile empties a profile.
func (a api) RemoveRoleFromInstanceProfile(_ context.Context, in *iam.RemoveRoleFromInstanceProfileInput) (*iam.RemoveRoleFromInstanceProfileOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, err := a.profile(in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	if p.role != *in.RoleName {
		return nil, noSuchEntity("The role with name %s cannot be found.", *in.RoleName)
	}
	p.role = ""
	return &iam.RemoveRoleFromInstanceProfileOutput{}, nil
}

// ListInstanceProfiles lists all profiles under a path prefix.
func (a api) ListInstanceProfiles(_ context.Context, in *iam.ListInstanceProfilesInput) (*iam.ListInstanceProfilesOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := &iam.ListInstanceProfilesOutput{InstanceProfiles: []types.InstanceProfile{}}
	for _, name := range sortedKeys(a.profiles) {
		if p := a.profiles[name]; strings.HasPrefix(p.path, pathOf(in.PathPrefix)) {
			out.InstanceProfiles = append(out.InstanceProfiles, a.profileOutput(p))
		}
	}
	return out, nil
}

// ListInstanceProfilesForRole lists the profiles that hold a role.
func (a api) ListInstanceProfilesForRole(_ context.Context, in *iam.ListInstanceProfilesForRoleInput) (*iam.ListInstanceProfilesForRoleOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	out := &iam.ListInstanceProfilesForRoleOutput{InstanceProfiles: []types.InstanceProfile{}}
	for _, name := range sortedKeys(a.profiles) {
		if p := a.profiles[name]; p.role == r.name {
			out.InstanceProfiles = append(out.InstanceProfiles, a.profileOutput(p))
		}
	}
	return out, nil
}
