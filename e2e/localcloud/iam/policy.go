package iam

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"aicluster/e2e/localcloud/wire"
)

// policy is a customer managed policy, with its one version v1.
type policy struct {
	name, path, id, description string
	document                    string
	created                     time.Time
	tags                        map[string]string
}

func (p *policy) arn() string { return "arn:aws:iam::" + account + ":policy" + p.path + p.name }

func registerPolicies(w *wire.Server, a api) {
	handle(w, a.AttachRolePolicy)
	handle(w, a.DetachRolePolicy)
	handle(w, a.ListAttachedRolePolicies)
	handle(w, a.PutRolePolicy)
	handle(w, a.GetRolePolicy)
	handle(w, a.DeleteRolePolicy)
	handle(w, a.ListRolePolicies)
	handle(w, a.CreatePolicy)
	handle(w, a.GetPolicy)
	handle(w, a.GetPolicyVersion)
	handle(w, a.DeletePolicy)
	handle(w, a.ListPolicies)
}

func (s *Service) policyExists(arn string) bool {
	return s.policies[arn] != nil || slices.Contains(managedPolicies(), arn)
}

// AttachRolePolicy attaches an AWS or customer managed policy; attaching it
// twice is no error.
func (a api) AttachRolePolicy(_ context.Context, in *iam.AttachRolePolicyInput) (*iam.AttachRolePolicyOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.writable(in.RoleName)
	if err != nil {
		return nil, err
	}
	arn := *in.PolicyArn
	if !strings.HasPrefix(arn, "arn:aws:iam::") {
		return nil, invalidInput("ARN %s is not valid.", arn)
	}
	if !a.policyExists(arn) || strings.Contains(arn, ":policy/aws-service-role/") {
		return nil, noSuchEntity("Policy %s does not exist or is not attachable.", arn)
	}
	if r.managed[arn] {
		return &iam.AttachRolePolicyOutput{}, nil
	}
	if len(r.managed) >= policiesPerRole {
		return nil, overQuota("PoliciesPerRole", policiesPerRole)
	}
	r.managed[arn], r.changed = true, time.Now()
	return &iam.AttachRolePolicyOutput{}, nil
}

// DetachRolePolicy detaches a managed policy.
func (a api) DetachRolePolicy(_ context.Context, in *iam.DetachRolePolicyInput) (*iam.DetachRolePolicyOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.writable(in.RoleName)
	if err != nil {
		return nil, err
	}
	if !r.managed[*in.PolicyArn] {
		return nil, noSuchEntity("Policy %s was not found.", *in.PolicyArn)
	}
	delete(r.managed, *in.PolicyArn)
	r.changed = time.Now()
	return &iam.DetachRolePolicyOutput{}, nil
}

// ListAttachedRolePolicies lists a role's managed policies.
func (a api) ListAttachedRolePolicies(_ context.Context, in *iam.ListAttachedRolePoliciesInput) (*iam.ListAttachedRolePoliciesOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	out := &iam.ListAttachedRolePoliciesOutput{AttachedPolicies: []types.AttachedPolicy{}}
	for _, arn := range sortedKeys(r.managed) {
		if _, rest, _ := strings.Cut(arn, ":policy"); strings.HasPrefix(rest, pathOf(in.PathPrefix)) {
			name := arn[strings.LastIndexByte(arn, '/')+1:]
			out.AttachedPolicies = append(out.AttachedPolicies, types.AttachedPolicy{PolicyArn: aws.String(arn), PolicyName: aws.String(name)})
		}
	}
	return out, nil
}

// PutRolePolicy adds or replaces an inline policy.
func (a api) PutRolePolicy(_ context.Context, in *iam.PutRolePolicyInput) (*iam.PutRolePolicyOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.writable(in.RoleName)
	if err != nil {
		return nil, err
	}
	if err := checkPermissions(*in.PolicyDocument); err != nil {
		return nil, err
	}
	size := compactLen(*in.PolicyDocument)
	for name, d := range r.inline {
		if name != *in.PolicyName {
			size += compactLen(d)
		}
	}
	if size > inlineChars {
		return nil, limitExceeded("Maximum policy size of %d bytes exceeded for role %s", inlineChars, r.name)
	}
	r.inline[*in.PolicyName], r.changed = *in.PolicyDocument, time.Now()
	return &iam.PutRolePolicyOutput{}, nil
}

func compactLen(document string) int { return len(strings.Join(strings.Fields(document), "")) }

// GetRolePolicy returns an inline policy, URL-encoded.
func (a api) GetRolePolicy(_ context.Context, in *iam.GetRolePolicyInput) (*iam.GetRolePolicyOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	d, ok := r.inline[*in.PolicyName]
	if !ok {
		return nil, noSuchEntity("The role policy with name %s cannot be found.", *in.PolicyName)
	}
	return &iam.GetRolePolicyOutput{RoleName: in.RoleName, PolicyName: in.PolicyName, PolicyDocument: encode(d)}, nil
}

// DeleteRolePolicy deletes an inline policy.
func (a api) DeleteRolePolicy(_ context.Context, in *iam.DeleteRolePolicyInput) (*iam.DeleteRolePolicyOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.writable(in.RoleName)
	if err != nil {
		return nil, err
	}
	if _, ok := r.inline[*in.PolicyName]; !ok {
		return nil, noSuchEntity("The role policy with name %s cannot be found.", *in.PolicyName)
	}
	delete(r.inline, *in.PolicyName)
	r.changed = time.Now()
	return &iam.DeleteRolePolicyOutput{}, nil
}

// ListRolePolicies lists the names of a role's inline policies.
func (a api) ListRolePolicies(_ context.Context, in *iam.ListRolePoliciesInput) (*iam.ListRolePoliciesOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, err := a.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	return &iam.ListRolePoliciesOutput{PolicyNames: sortedKeys(r.inline)}, nil
}

// CreatePolicy makes a customer managed policy.
func (a api) CreatePolicy(_ context.Context, in *iam.CreatePolicyInput) (*iam.CreatePolicyOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := &policy{
		name: *in.PolicyName, path: pathOf(in.Path), id: uniqueID("ANPA"), description: aws.ToString(in.Description),
		document: *in.PolicyDocument, created: now(), tags: tagMap(in.Tags),
	}
	for _, have := range a.policies {
		if strings.EqualFold(have.name, p.name) {
			return nil, alreadyExists("A policy called %s already exists. Duplicate names are not allowed.", p.name)
		}
	}
	if err := checkPermissions(p.document); err != nil {
		return nil, err
	}
	if compactLen(p.document) > policyChars {
		return nil, overQuota("PolicySize", policyChars)
	}
	if err := checkTags(in.Tags, nil); err != nil {
		return nil, err
	}
	if len(a.policies) >= policiesPerAccount {
		return nil, overQuota("PoliciesPerAccount", policiesPerAccount)
	}
	a.policies[p.arn()] = p
	return &iam.CreatePolicyOutput{Policy: a.policyOutput(p.arn())}, nil
}

// policyOutput describes the managed policy of this ARN, AWS's or the
// customer's; nil if there is none.
func (s *Service) policyOutput(arn string) *types.Policy {
	if !s.policyExists(arn) {
		return nil
	}
	attached := int32(0)
	for _, r := range s.roles {
		if r.managed[arn] {
			attached++
		}
	}
	_, rest, _ := strings.Cut(arn, ":policy")
	i := strings.LastIndexByte(rest, '/')
	out := &types.Policy{
		Arn: aws.String(arn), PolicyName: aws.String(rest[i+1:]), Path: aws.String(rest[:i+1]), DefaultVersionId: aws.String("v1"),
		AttachmentCount: aws.Int32(attached), PermissionsBoundaryUsageCount: aws.Int32(0), IsAttachable: true,
	}
	if p := s.policies[arn]; p != nil {
		out.PolicyId, out.CreateDate, out.UpdateDate = aws.String(p.id), aws.Time(p.created), aws.Time(p.created)
		if p.description != "" {
			out.Description = aws.String(p.description)
		}
		out.Tags = tagList(p.tags)
	}
	return out
}

// GetPolicy describes a managed policy.
func (a api) GetPolicy(_ context.Context, in *iam.GetPolicyInput) (*iam.GetPolicyOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.policyOutput(*in.PolicyArn)
	if p == nil {
		return nil, noSuchEntity("Policy %s was not found.", *in.PolicyArn)
	}
	return &iam.GetPolicyOutput{Policy: p}, nil
}

// GetPolicyVersion returns the document of a managed policy.
func (a api) GetPolicyVersion(_ context.Context, in *iam.GetPolicyVersionInput) (*iam.GetPolicyVersionOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.policies[*in.PolicyArn]
	if !a.policyExists(*in.PolicyArn) {
		return nil, noSuchEntity("Policy %s was not found.", *in.PolicyArn)
	}
	if *in.VersionId != "v1" {
		return nil, noSuchEntity("Policy %s version %s does not exist or is not attachable.", *in.PolicyArn, *in.VersionId)
	}
	version := &types.PolicyVersion{VersionId: in.VersionId, IsDefaultVersion: true}
	if p != nil {
		version.Document, version.CreateDate = encode(p.document), aws.Time(p.created)
	} else {
		version.Document = encode(managedDocument(*in.PolicyArn))
	}
	return &iam.GetPolicyVersionOutput{PolicyVersion: version}, nil
}

// DeletePolicy deletes a customer managed policy that is attached to nothing.
func (a api) DeletePolicy(_ context.Context, in *iam.DeletePolicyInput) (*iam.DeletePolicyOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.policies[*in.PolicyArn] == nil {
		return nil, noSuchEntity("Policy %s was not found.", *in.PolicyArn)
	}
	for _, r := range a.roles {
		if r.managed[*in.PolicyArn] {
			return nil, deleteConflict("Cannot delete a policy attached to entities.")
		}
	}
	delete(a.policies, *in.PolicyArn)
	return &iam.DeletePolicyOutput{}, nil
}

// ListPolicies lists managed policies, the customer's, AWS's or both.
func (a api) ListPolicies(_ context.Context, in *iam.ListPoliciesInput) (*iam.ListPoliciesOutput, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var arns []string
	if in.Scope != types.PolicyScopeTypeLocal {
		arns = append(arns, managedPolicies()...)
	}
	if in.Scope != types.PolicyScopeTypeAws {
		arns = append(arns, sortedKeys(a.policies)...)
	}
	out := &iam.ListPoliciesOutput{Policies: []types.Policy{}}
	for _, arn := range arns {
		p := a.policyOutput(arn)
		if in.OnlyAttached && *p.AttachmentCount == 0 || !strings.HasPrefix(*p.Path, pathOf(in.PathPrefix)) {
			continue
		}
		p.Tags = nil // as the API reference of ListPolicies says
		out.Policies = append(out.Policies, *p)
	}
	return out, nil
}
