package identity

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// fakeProfiles is an account with at most one instance profile.
type fakeProfiles struct {
	ProfileAPI
	live  *types.InstanceProfile
	calls []string
}

func (f *fakeProfiles) GetInstanceProfile(context.Context, *iam.GetInstanceProfileInput, ...func(*iam.Options)) (*iam.GetInstanceProfileOutput, error) {
	if f.live == nil {
		return nil, apiError("NoSuchEntity")
	}
	copied := *f.live
	return &iam.GetInstanceProfileOutput{InstanceProfile: &copied}, nil
}

func (f *fakeProfiles) CreateInstanceProfile(_ context.Context, in *iam.CreateInstanceProfileInput, _ ...func(*iam.Options)) (*iam.CreateInstanceProfileOutput, error) {
	f.calls = append(f.calls, "Create")
	f.live = &types.InstanceProfile{InstanceProfileName: in.InstanceProfileName, Tags: in.Tags}
	return &iam.CreateInstanceProfileOutput{}, nil
}

func (f *fakeProfiles) TagInstanceProfile(_ context.Context, in *iam.TagInstanceProfileInput, _ ...func(*iam.Options)) (*iam.TagInstanceProfileOutput, error) {
	f.calls = append(f.calls, "Tag")
	f.live.Tags = append(f.live.Tags, in.Tags...)
	return &iam.TagInstanceProfileOutput{}, nil
}

func (f *fakeProfiles) AddRoleToInstanceProfile(_ context.Context, in *iam.AddRoleToInstanceProfileInput, _ ...func(*iam.Options)) (*iam.AddRoleToInstanceProfileOutput, error) {
	f.calls = append(f.calls, "Add "+*in.RoleName)
	if len(f.live.Roles) > 0 {
		return nil, apiError("LimitExceeded")
	}
	f.live.Roles = []types.Role{{RoleName: in.RoleName}}
	return &iam.AddRoleToInstanceProfileOutput{}, nil
}

func (f *fakeProfiles) RemoveRoleFromInstanceProfile(_ context.Context, in *iam.RemoveRoleFromInstanceProfileInput, _ ...func(*iam.Options)) (*iam.RemoveRoleFromInstanceProfileOutput, error) {
	f.calls = append(f.calls, "Remove "+*in.RoleName)
	f.live.Roles = nil
	return &iam.RemoveRoleFromInstanceProfileOutput{}, nil
}

func (f *fakeProfiles) DeleteInstanceProfile(context.Context, *iam.DeleteInstanceProfileInput, ...func(*iam.Options)) (*iam.DeleteInstanceProfileOutput, error) {
	f.calls = append(f.calls, "Delete")
	if len(f.live.Roles) > 0 {
		return nil, apiError("DeleteConflict")
	}
	f.live = nil
	return &iam.DeleteInstanceProfileOutput{}, nil
}

func TestInstanceProfile(t *testing.T) {
	f := &fakeProfiles{}
	p := NewInstanceProfile(f, owner, NewRole(nil, owner, NodeRole(blueprint("demo"))))
	calls := func() string { defer func() { f.calls = nil }(); return strings.Join(f.calls, ", ") }
	converge(t, p)
	if got := calls(); got != "Create, Add demo-ap-northeast-2-nodes" {
		t.Errorf("calls %s", got)
	}
	f.live.Roles[0].RoleName = aws.String("another")
	f.live.Tags = f.live.Tags[:1] // sorted: ours
	converge(t, p)
	if got := calls(); got != "Tag, Remove another, Add demo-ap-northeast-2-nodes" {
		t.Errorf("calls %s", got)
	}
	for range 2 {
		if err := p.Delete(t.Context(), quiet); err != nil {
			t.Error(err)
		}
	}
	if got := calls(); got != "Remove demo-ap-northeast-2-nodes, Delete" {
		t.Errorf("calls %s", got)
	}
	f.live = &types.InstanceProfile{}
	if obs := observe(t, p); obs.Keep == "" || len(obs.Changes) != 1 {
		t.Errorf("somebody else's: %+v", obs)
	}
}

// What Karpenter may change bears the cluster's tags, or is told to bear them; it
// hands nodes no other role; and it may not touch instance profiles.
func TestKarpenterRoleIsBounded(t *testing.T) {
	document := KarpenterRole(blueprint("demo"), "demo-karpenter").Inline["karpenter"]
	if size := len(document.JSON()); size > 10240 {
		t.Errorf("%d characters, a role's inline policies may have 10240", size)
	}
	for _, s := range document.Statement {
		for _, action := range s.Action {
			_, name, _ := strings.Cut(action, ":")
			reads := slices.ContainsFunc([]string{"Describe", "Get", "List", "Receive"}, func(p string) bool { return strings.HasPrefix(name, p) })
			changesQueue := slices.Equal(s.Resource, []string{"arn:aws:sqs:ap-northeast-2:*:demo-karpenter"})
			uses := s.Sid == "LaunchFrom" // images, subnets, groups: it changes none of them
			if !reads && !changesQueue && !uses && len(s.Condition) == 0 {
				t.Errorf("%s: %s is allowed without a condition", s.Sid, action)
			}
			if strings.Contains(name, "InstanceProfile") && !reads {
				t.Errorf("%s allows %s", s.Sid, action)
			}
		}
	}
}
