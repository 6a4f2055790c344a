package cloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// iamCalls is what is called of IAM; see [op].
type iamCalls struct {
	addRoleToInstanceProfile      op[iam.AddRoleToInstanceProfileInput, iam.AddRoleToInstanceProfileOutput, iam.Options]
	attachRolePolicy              op[iam.AttachRolePolicyInput, iam.AttachRolePolicyOutput, iam.Options]
	createInstanceProfile         op[iam.CreateInstanceProfileInput, iam.CreateInstanceProfileOutput, iam.Options]
	createRole                    op[iam.CreateRoleInput, iam.CreateRoleOutput, iam.Options]
	createServiceLinkedRole       op[iam.CreateServiceLinkedRoleInput, iam.CreateServiceLinkedRoleOutput, iam.Options]
	deleteInstanceProfile         op[iam.DeleteInstanceProfileInput, iam.DeleteInstanceProfileOutput, iam.Options]
	deleteRole                    op[iam.DeleteRoleInput, iam.DeleteRoleOutput, iam.Options]
	deleteRolePolicy              op[iam.DeleteRolePolicyInput, iam.DeleteRolePolicyOutput, iam.Options]
	detachRolePolicy              op[iam.DetachRolePolicyInput, iam.DetachRolePolicyOutput, iam.Options]
	getInstanceProfile            op[iam.GetInstanceProfileInput, iam.GetInstanceProfileOutput, iam.Options]
	getRole                       op[iam.GetRoleInput, iam.GetRoleOutput, iam.Options]
	getRolePolicy                 op[iam.GetRolePolicyInput, iam.GetRolePolicyOutput, iam.Options]
	listAttachedRolePolicies      op[iam.ListAttachedRolePoliciesInput, iam.ListAttachedRolePoliciesOutput, iam.Options]
	listInstanceProfiles          op[iam.ListInstanceProfilesInput, iam.ListInstanceProfilesOutput, iam.Options]
	listInstanceProfilesForRole   op[iam.ListInstanceProfilesForRoleInput, iam.ListInstanceProfilesForRoleOutput, iam.Options]
	listRolePolicies              op[iam.ListRolePoliciesInput, iam.ListRolePoliciesOutput, iam.Options]
	listRoles                     op[iam.ListRolesInput, iam.ListRolesOutput, iam.Options]
	putRolePolicy                 op[iam.PutRolePolicyInput, iam.PutRolePolicyOutput, iam.Options]
	removeRoleFromInstanceProfile op[iam.RemoveRoleFromInstanceProfileInput, iam.RemoveRoleFromInstanceProfileOutput, iam.Options]
	tagInstanceProfile            op[iam.TagInstanceProfileInput, iam.TagInstanceProfileOutput, iam.Options]
	tagRole                       op[iam.TagRoleInput, iam.TagRoleOutput, iam.Options]
	updateAssumeRolePolicy        op[iam.UpdateAssumeRolePolicyInput, iam.UpdateAssumeRolePolicyOutput, iam.Options]
}

func newIAMCalls(c *iam.Client) *iamCalls {
	return &iamCalls{
		addRoleToInstanceProfile:      c.AddRoleToInstanceProfile,
		attachRolePolicy:              c.AttachRolePolicy,
		createInstanceProfile:         c.CreateInstanceProfile,
		createRole:                    c.CreateRole,
		createServiceLinkedRole:       c.CreateServiceLinkedRole,
		deleteInstanceProfile:         c.DeleteInstanceProfile,
		deleteRole:                    c.DeleteRole,
		deleteRolePolicy:              c.DeleteRolePolicy,
		detachRolePolicy:              c.DetachRolePolicy,
		getInstanceProfile:            c.GetInstanceProfile,
		getRole:                       c.GetRole,
		getRolePolicy:                 c.GetRolePolicy,
		listAttachedRolePolicies:      c.ListAttachedRolePolicies,
		listInstanceProfiles:          c.ListInstanceProfiles,
		listInstanceProfilesForRole:   c.ListInstanceProfilesForRole,
		listRolePolicies:              c.ListRolePolicies,
		listRoles:                     c.ListRoles,
		putRolePolicy:                 c.PutRolePolicy,
		removeRoleFromInstanceProfile: c.RemoveRoleFromInstanceProfile,
		tagInstanceProfile:            c.TagInstanceProfile,
		tagRole:                       c.TagRole,
		updateAssumeRolePolicy:        c.UpdateAssumeRolePolicy,
	}
}

func (c *iamCalls) AttachRolePolicy(ctx context.Context, in *iam.AttachRolePolicyInput, o ...func(*iam.Options)) (*iam.AttachRolePolicyOutput, error) {
	return c.attachRolePolicy(ctx, in, o...)
}

func (c *iamCalls) CreateRole(ctx context.Context, in *iam.CreateRoleInput, o ...func(*iam.Options)) (*iam.CreateRoleOutput, error) {
	return c.createRole(ctx, in, o...)
}

func (c *iamCalls) CreateServiceLinkedRole(ctx context.Context, in *iam.CreateServiceLinkedRoleInput, o ...func(*iam.Options)) (*iam.CreateServiceLinkedRoleOutput, error) {
	return c.createServiceLinkedRole(ctx, in, o...)
}

func (c *iamCalls) DeleteRole(ctx context.Context, in *iam.DeleteRoleInput, o ...func(*iam.Options)) (*iam.DeleteRoleOutput, error) {
	return c.deleteRole(ctx, in, o...)
}

func (c *iamCalls) DeleteRolePolicy(ctx context.Context, in *iam.DeleteRolePolicyInput, o ...func(*iam.Options)) (*iam.DeleteRolePolicyOutput, error) {
	return c.deleteRolePolicy(ctx, in, o...)
}

func (c *iamCalls) DetachRolePolicy(ctx context.Context, in *iam.DetachRolePolicyInput, o ...func(*iam.Options)) (*iam.DetachRolePolicyOutput, error) {
	return c.detachRolePolicy(ctx, in, o...)
}

func (c *iamCalls) GetRole(ctx context.Context, in *iam.GetRoleInput, o ...func(*iam.Options)) (*iam.GetRoleOutput, error) {
	return c.getRole(ctx, in, o...)
}

func (c *iamCalls) GetRolePolicy(ctx context.Context, in *iam.GetRolePolicyInput, o ...func(*iam.Options)) (*iam.GetRolePolicyOutput, error) {
	return c.getRolePolicy(ctx, in, o...)
}

func (c *iamCalls) ListAttachedRolePolicies(ctx context.Context, in *iam.ListAttachedRolePoliciesInput, o ...func(*iam.Options)) (*iam.ListAttachedRolePoliciesOutput, error) {
	return c.listAttachedRolePolicies(ctx, in, o...)
}

func (c *iamCalls) ListInstanceProfiles(ctx context.Context, in *iam.ListInstanceProfilesInput, o ...func(*iam.Options)) (*iam.ListInstanceProfilesOutput, error) {
	return c.listInstanceProfiles(ctx, in, o...)
}

func (c *iamCalls) ListInstanceProfilesForRole(ctx context.Context, in *iam.ListInstanceProfilesForRoleInput, o ...func(*iam.Options)) (*iam.ListInstanceProfilesForRoleOutput, error) {
	return c.listInstanceProfilesForRole(ctx, in, o...)
}

func (c *iamCalls) ListRolePolicies(ctx context.Context, in *iam.ListRolePoliciesInput, o ...func(*iam.Options)) (*iam.ListRolePoliciesOutput, error) {
	return c.listRolePolicies(ctx, in, o...)
}

func (c *iamCalls) ListRoles(ctx context.Context, in *iam.ListRolesInput, o ...func(*iam.Options)) (*iam.ListRolesOutput, error) {
	return c.listRoles(ctx, in, o...)
}

func (c *iamCalls) PutRolePolicy(ctx context.Context, in *iam.PutRolePolicyInput, o ...func(*iam.Options)) (*iam.PutRolePolicyOutput, error) {
	return c.putRolePolicy(ctx, in, o...)
}

func (c *iamCalls) RemoveRoleFromInstanceProfile(ctx context.Context, in *iam.RemoveRoleFromInstanceProfileInput, o ...func(*iam.Options)) (*iam.RemoveRoleFromInstanceProfileOutput, error) {
	return c.removeRoleFromInstanceProfile(ctx, in, o...)
}

func (c *iamCalls) TagRole(ctx context.Context, in *iam.TagRoleInput, o ...func(*iam.Options)) (*iam.TagRoleOutput, error) {
	return c.tagRole(ctx, in, o...)
}

func (c *iamCalls) UpdateAssumeRolePolicy(ctx context.Context, in *iam.UpdateAssumeRolePolicyInput, o ...func(*iam.Options)) (*iam.UpdateAssumeRolePolicyOutput, error) {
	return c.updateAssumeRolePolicy(ctx, in, o...)
}

func (c *iamCalls) AddRoleToInstanceProfile(ctx context.Context, in *iam.AddRoleToInstanceProfileInput, o ...func(*iam.Options)) (*iam.AddRoleToInstanceProfileOutput, error) {
	return c.addRoleToInstanceProfile(ctx, in, o...)
}

func (c *iamCalls) CreateInstanceProfile(ctx context.Context, in *iam.CreateInstanceProfileInput, o ...func(*iam.Options)) (*iam.CreateInstanceProfileOutput, error) {
	return c.createInstanceProfile(ctx, in, o...)
}

func (c *iamCalls) DeleteInstanceProfile(ctx context.Context, in *iam.DeleteInstanceProfileInput, o ...func(*iam.Options)) (*iam.DeleteInstanceProfileOutput, error) {
	return c.deleteInstanceProfile(ctx, in, o...)
}

func (c *iamCalls) GetInstanceProfile(ctx context.Context, in *iam.GetInstanceProfileInput, o ...func(*iam.Options)) (*iam.GetInstanceProfileOutput, error) {
	return c.getInstanceProfile(ctx, in, o...)
}

func (c *iamCalls) TagInstanceProfile(ctx context.Context, in *iam.TagInstanceProfileInput, o ...func(*iam.Options)) (*iam.TagInstanceProfileOutput, error) {
	return c.tagInstanceProfile(ctx, in, o...)
}
