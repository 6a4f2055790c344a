package eks

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/google/uuid"

	"aicluster/e2e/localcloud/wire"
)

// entry is an access entry with its policies.
type entry struct {
	types.AccessEntry
	request  request // that made it
	policies []types.AssociatedAccessPolicy
}

const policyPrefix = "arn:aws:eks::aws:cluster-access-policy/"

// accessPolicies are the policies of EKS that users may be given, and the
// Kubernetes ClusterRole with about the same rights; "" is the cluster
// administrator, whom EKS authorizes by itself
// (https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html).
func accessPolicies() map[string]string {
	return map[string]string{
		"AmazonEKSClusterAdminPolicy": "",
		"AmazonEKSAdminPolicy":        "admin",
		"AmazonEKSAdminViewPolicy":    "eks:admin-view",
		"AmazonEKSEditPolicy":         "edit",
		"AmazonEKSViewPolicy":         "view",
	}
}

// principal turns the ARN of a session into that of its role.
func principal(arn string) string {
	rest, ok := strings.CutPrefix(arn, "arn:aws:sts::")
	if !ok {
		return arn
	}
	account, path, _ := strings.Cut(rest, ":")
	parts := strings.Split(path, "/")
	if parts[0] != "assumed-role" || len(parts) < 3 {
		return arn
	}
	return fmt.Sprintf("arn:aws:iam::%s:role/%s", account, parts[1])
}

// newEntry makes an entry; s.mu is held.
func (c *cluster) newEntry(arnOfPrincipal, kind, username string, groups []string) *entry {
	name := arnOfPrincipal[strings.LastIndexByte(arnOfPrincipal, '/')+1:]
	sort := "user"
	if strings.Contains(arnOfPrincipal, ":role/") {
		sort = "role"
	}
	if username == "" {
		username = arnOfPrincipal
		switch {
		case strings.HasPrefix(kind, "EC2"):
			username = "system:node:{{EC2PrivateDNSName}}"
		case sort == "role":
			username = fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/{{SessionName}}", wire.AccountID, name)
		}
	}
	if kind == "EC2_LINUX" {
		groups = []string{"system:nodes"}
	}
	e := &entry{AccessEntry: types.AccessEntry{
		AccessEntryArn: aws.String(arn(c.key.region, fmt.Sprintf("access-entry/%s/%s/%s/%s/%s", c.key.name, sort, wire.AccountID, name, uuid.NewString()))),
		ClusterName:    aws.String(c.key.name), PrincipalArn: aws.String(arnOfPrincipal), Type: aws.String(kind),
		Username: aws.String(username), KubernetesGroups: slices.Clone(groups), CreatedAt: now(), ModifiedAt: now(), Tags: map[string]string{},
	}}
	c.entries[arnOfPrincipal] = e
	return e
}

// bootstrapAccess gives the creator the cluster when that was asked for. EKS
// makes an access entry where its API is on; with CONFIG_MAP alone the creator
// is an administrator without one, which [Service.identify] knows.
func (s *Service) bootstrapAccess(c *cluster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := c.data.AccessConfig
	if a.AuthenticationMode == types.AuthenticationModeConfigMap || !*a.BootstrapClusterCreatorAdminPermissions {
		return
	}
	e := c.newEntry(c.creator, "STANDARD", "", nil)
	// It has been there since long before the cluster is ACTIVE.
	e.CreatedAt, e.ModifiedAt = c.data.CreatedAt, c.data.CreatedAt
	e.policies = []types.AssociatedAccessPolicy{{
		PolicyArn: aws.String(policyPrefix + "AmazonEKSClusterAdminPolicy"), AccessScope: &types.AccessScope{Type: types.AccessScopeTypeCluster},
		AssociatedAt: c.data.CreatedAt, ModifiedAt: c.data.CreatedAt,
	}}
}

// withEntries finds a cluster whose access entries may be worked with; s.mu is held.
func (s *Service) withEntries(ctx context.Context, name *string) (*cluster, error) {
	c, err := s.cluster(wire.Region(ctx), name)
	if err != nil {
		return nil, err
	}
	if c.data.AccessConfig.AuthenticationMode == types.AuthenticationModeConfigMap {
		return nil, invalidRequest(c.key.name, "", "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.")
	}
	return c, nil
}

func (s *Service) entry(ctx context.Context, cluster, principalARN *string) (*cluster, *entry, error) {
	c, err := s.withEntries(ctx, cluster)
	if err != nil {
		return nil, nil, err
	}
	e := c.entries[deref(principalARN)]
	if e == nil {
		return nil, nil, notFound("The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.")
	}
	return c, e, nil
}

func (e *entry) output() *types.AccessEntry { out := e.AccessEntry; return &out }

// CreateAccessEntry lets a principal into a cluster.
func (s *Service) CreateAccessEntry(ctx context.Context, in *eks.CreateAccessEntryInput) (*eks.CreateAccessEntryOutput, error) {
	kind := or(in.Type, "STANDARD")
	p := *in.PrincipalArn
	if strings.HasPrefix(p, "arn:aws:iam::") && strings.Contains(p, ":role/") {
		if _, ok := s.opts.IAM.Role(p); !ok {
			return nil, invalidParameter(*in.ClusterName, "", "The specified principalArn is invalid: invalid principal.")
		}
	} else if !strings.HasPrefix(p, "arn:aws:iam::"+wire.AccountID+":") {
		return nil, invalidParameter(*in.ClusterName, "", "The specified principalArn is invalid: invalid principal.")
	}
	if !slices.Contains([]string{"STANDARD", "EC2_LINUX", "EC2_WINDOWS", "EC2", "FARGATE_LINUX", "HYBRID_LINUX", "HYPERPOD_LINUX"}, kind) {
		return nil, invalidParameter(*in.ClusterName, "", "The specified type is invalid: %s", kind)
	}
	if kind != "STANDARD" && (len(in.KubernetesGroups) > 0 || in.Username != nil) {
		return nil, invalidParameter(*in.ClusterName, "", "The specified access entry type %s does not support kubernetesGroups or username.", kind)
	}
	// "For nodes … the only valid ARN is IAM roles" (reference of CreateAccessEntry).
	if kind != "STANDARD" && !strings.Contains(p, ":role/") {
		return nil, invalidParameter(*in.ClusterName, "", "The specified principalArn is invalid: invalid principal.")
	}
	if err := checkNames(*in.ClusterName, in.KubernetesGroups, in.Username); err != nil {
		return nil, err
	}
	if err := checkNewTags(*in.ClusterName, "", in.Tags); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.withEntries(ctx, in.ClusterName)
	if err != nil {
		return nil, err
	}
	if old := c.entries[p]; old != nil {
		if again, err := old.request.again(requestOf(in.ClientRequestToken, in), c.key.name, ""); again || err != nil {
			return &eks.CreateAccessEntryOutput{AccessEntry: old.output()}, err
		}
		return nil, inUse(c.key.name, "", "The specified access entry resource is already in use on this cluster.")
	}
	e := c.newEntry(p, kind, deref(in.Username), in.KubernetesGroups)
	e.request = requestOf(in.ClientRequestToken, in)
	for k, v := range in.Tags {
		e.Tags[k] = v
	}
	return &eks.CreateAccessEntryOutput{AccessEntry: e.output()}, nil
}

// checkNames refuses the groups and the user name that are the cluster's own
// (user guide, "Create access entries"; the words for the user name follow those
// for groups).
func checkNames(cluster string, groups []string, user *string) error {
	for _, reserved := range []string{"system:", "eks:", "aws:", "amazon:", "iam:"} {
		for _, g := range groups {
			if strings.HasPrefix(g, reserved) {
				return invalidParameter(cluster, "", "The kubernetes group name %s is invalid, it cannot start with %s", g, reserved)
			}
		}
		if strings.HasPrefix(deref(user), reserved) {
			return invalidParameter(cluster, "", "The username %s is invalid, it cannot start with %s", *user, reserved)
		}
	}
	return nil
}

// DescribeAccessEntry shows one entry.
func (s *Service) DescribeAccessEntry(ctx context.Context, in *eks.DescribeAccessEntryInput) (*eks.DescribeAccessEntryOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, e, err := s.entry(ctx, in.ClusterName, in.PrincipalArn)
	if err != nil {
		return nil, err
	}
	return &eks.DescribeAccessEntryOutput{AccessEntry: e.output()}, nil
}

// ListAccessEntries lists principals, all or those with a policy.
func (s *Service) ListAccessEntries(ctx context.Context, in *eks.ListAccessEntriesInput) (*eks.ListAccessEntriesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.withEntries(ctx, in.ClusterName)
	if err != nil {
		return nil, err
	}
	out := &eks.ListAccessEntriesOutput{}
	for _, p := range sortedKeys(c.entries) {
		if in.AssociatedPolicyArn == nil || c.entries[p].policy(*in.AssociatedPolicyArn) >= 0 {
			out.AccessEntries = append(out.AccessEntries, p)
		}
	}
	return out, nil
}

// policy is the index of a policy of the entry, or -1.
func (e *entry) policy(arn string) int {
	return slices.IndexFunc(e.policies, func(p types.AssociatedAccessPolicy) bool { return *p.PolicyArn == arn })
}

// UpdateAccessEntry changes groups and user name.
func (s *Service) UpdateAccessEntry(ctx context.Context, in *eks.UpdateAccessEntryInput) (*eks.UpdateAccessEntryOutput, error) {
	if err := checkNames(*in.ClusterName, in.KubernetesGroups, in.Username); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, e, err := s.entry(ctx, in.ClusterName, in.PrincipalArn)
	if err != nil {
		return nil, err
	}
	if *e.Type != "STANDARD" {
		return nil, invalidParameter(*in.ClusterName, "", "The specified access entry type %s does not support kubernetesGroups or username.", *e.Type)
	}
	_ = in.ClientRequestToken // the same request again changes nothing
	if in.KubernetesGroups != nil {
		e.KubernetesGroups = in.KubernetesGroups
	}
	if in.Username != nil {
		e.Username = in.Username
	}
	e.ModifiedAt = now()
	return &eks.UpdateAccessEntryOutput{AccessEntry: e.output()}, nil
}

// DeleteAccessEntry shuts a principal out.
func (s *Service) DeleteAccessEntry(ctx context.Context, in *eks.DeleteAccessEntryInput) (*eks.DeleteAccessEntryOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, _, err := s.entry(ctx, in.ClusterName, in.PrincipalArn)
	if err != nil {
		return nil, err
	}
	delete(c.entries, *in.PrincipalArn)
	return &eks.DeleteAccessEntryOutput{}, nil
}

// ListAccessPolicies lists the policies that EKS has.
func (s *Service) ListAccessPolicies(context.Context, *eks.ListAccessPoliciesInput) (*eks.ListAccessPoliciesOutput, error) {
	out := &eks.ListAccessPoliciesOutput{}
	for _, name := range sortedKeys(accessPolicies()) {
		out.AccessPolicies = append(out.AccessPolicies, types.AccessPolicy{Name: aws.String(name), Arn: aws.String(policyPrefix + name)})
	}
	return out, nil
}

// AssociateAccessPolicy gives an entry a policy, or changes its scope.
func (s *Service) AssociateAccessPolicy(ctx context.Context, in *eks.AssociateAccessPolicyInput) (*eks.AssociateAccessPolicyOutput, error) {
	name, ok := strings.CutPrefix(*in.PolicyArn, policyPrefix)
	if _, known := accessPolicies()[name]; !ok || !known {
		return nil, invalidParameter(*in.ClusterName, "", "The policyArn parameter format is not valid")
	}
	if scope := in.AccessScope; (scope.Type == types.AccessScopeTypeNamespace) != (len(scope.Namespaces) > 0) {
		return nil, invalidParameter(*in.ClusterName, "", "The access scope type and namespaces do not fit each other")
	}
	s.mu.Lock()
	c, e, err := s.entry(ctx, in.ClusterName, in.PrincipalArn)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	if *e.Type != "STANDARD" {
		s.mu.Unlock()
		return nil, invalidParameter(*in.ClusterName, "", "The specified access entry type %s does not support access policies.", *e.Type)
	}
	associated := types.AssociatedAccessPolicy{PolicyArn: in.PolicyArn, AccessScope: in.AccessScope, AssociatedAt: now(), ModifiedAt: now()}
	if i := e.policy(*in.PolicyArn); i >= 0 {
		associated.AssociatedAt = e.policies[i].AssociatedAt
		e.policies[i] = associated
	} else {
		e.policies = append(e.policies, associated)
	}
	s.mu.Unlock()
	if err := s.bindPolicy(ctx, c, accessPolicies()[name], in.AccessScope); err != nil {
		return nil, &types.ServerException{Message: aws.String(err.Error())}
	}
	return &eks.AssociateAccessPolicyOutput{AssociatedAccessPolicy: &associated, ClusterName: in.ClusterName, PrincipalArn: in.PrincipalArn}, nil
}

// DisassociateAccessPolicy takes a policy from an entry.
func (s *Service) DisassociateAccessPolicy(ctx context.Context, in *eks.DisassociateAccessPolicyInput) (*eks.DisassociateAccessPolicyOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, e, err := s.entry(ctx, in.ClusterName, in.PrincipalArn)
	if err != nil {
		return nil, err
	}
	i := e.policy(*in.PolicyArn)
	if i < 0 {
		return nil, notFound("The specified policyArn is not associated with the access entry.")
	}
	e.policies = slices.Delete(e.policies, i, i+1)
	return &eks.DisassociateAccessPolicyOutput{}, nil
}

// ListAssociatedAccessPolicies lists the policies of an entry.
func (s *Service) ListAssociatedAccessPolicies(ctx context.Context, in *eks.ListAssociatedAccessPoliciesInput) (*eks.ListAssociatedAccessPoliciesOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, e, err := s.entry(ctx, in.ClusterName, in.PrincipalArn)
	if err != nil {
		return nil, err
	}
	return &eks.ListAssociatedAccessPoliciesOutput{
		AssociatedAccessPolicies: slices.Clone(e.policies), ClusterName: in.ClusterName, PrincipalArn: in.PrincipalArn,
	}, nil
}

// effective says whether a change made at t has reached the cluster.
func effective(t *time.Time, delay time.Duration) bool { return time.Since(*t) >= delay }
