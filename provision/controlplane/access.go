package controlplane

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// adminPolicy is EKS's access policy that equals Kubernetes' cluster-admin
// (EKS user guide, "Review access policy permissions").
const adminPolicy = "AmazonEKSClusterAdminPolicy"

// AccessEntry makes an IAM principal cluster-admin. It lives in the cluster and
// goes with it.
type AccessEntry struct {
	cluster   *Cluster
	principal string
	unwanted  bool

	exists bool
	tags   map[string]string
	admin  bool // the admin policy is associated
}

// NewAccessEntry makes principal, the ARN of a role or user, cluster-admin.
func NewAccessEntry(cluster *Cluster, principal string) *AccessEntry {
	return &AccessEntry{cluster: cluster, principal: principal}
}

// NewRemovedAccessEntry is the entry of a principal that the blueprint does not
// name any more; see [DiscoverAdmins].
func NewRemovedAccessEntry(cluster *Cluster, principal string) *AccessEntry {
	return &AccessEntry{cluster: cluster, principal: principal, unwanted: true}
}

// DiscoverAdmins lists the principals whose access entries carry the cluster's
// ownership tag. It returns none when the cluster does not exist.
func DiscoverAdmins(ctx context.Context, api API, cluster string) ([]string, error) {
	var owned []string
	pages := eks.NewListAccessEntriesPaginator(api, &eks.ListAccessEntriesInput{ClusterName: &cluster})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if cloud.IsAbsent(err) {
			return nil, nil
		}
		if err != nil {
			return nil, cloud.Wrap("cluster/"+cluster, "listing access entries", err)
		}
		for _, principal := range page.AccessEntries {
			out, err := api.DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{ClusterName: &cluster, PrincipalArn: &principal})
			if cloud.IsNotFound(err) {
				continue
			}
			if err != nil {
				return nil, cloud.Wrap("cluster/"+cluster, "reading the access entry of "+principal, err)
			}
			if out.AccessEntry.Tags[cloud.TagCluster] == cluster {
				owned = append(owned, principal)
			}
		}
	}
	return owned, nil
}

// ID implements [engine.Resource].
func (a *AccessEntry) ID() string { return "access-entry/" + shortARN(a.principal) }

// shortARN is the part of an ARN that people know a principal by: "role/admin".
func shortARN(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	return parts[len(parts)-1]
}

// Needs implements [engine.Resource].
func (a *AccessEntry) Needs() []engine.Resource { return []engine.Resource{a.cluster} }

// Container implements [engine.Inner].
func (a *AccessEntry) Container() engine.Resource { return a.cluster }

// Unwanted implements [engine.Unwanted].
func (a *AccessEntry) Unwanted() bool { return a.unwanted }

// Observe implements [engine.Resource].
func (a *AccessEntry) Observe(ctx context.Context) (engine.Observation, error) {
	a.exists, a.admin, a.tags = false, false, nil
	if !a.cluster.Ready() {
		return engine.Observation{}, nil
	}
	out, err := a.cluster.api.DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{ClusterName: aws.String(a.cluster.Name()), PrincipalArn: &a.principal})
	if cloud.IsAbsent(err) {
		return engine.Observation{}, nil
	}
	if err != nil {
		return engine.Observation{}, cloud.Wrap(a.ID(), "reading the access entry", err)
	}
	a.exists, a.tags = true, out.AccessEntry.Tags
	if a.admin, err = a.readPolicy(ctx); err != nil {
		return engine.Observation{}, cloud.Wrap(a.ID(), "reading its access policies", err)
	}
	obs := engine.Observation{Exists: true, Detail: a.principal}
	if !a.admin {
		obs.Changes = []engine.Change{{Field: "cluster.admins", Wanted: a.principal, Policy: engine.PolicyInPlace}}
	}
	return obs, nil
}

func (a *AccessEntry) readPolicy(ctx context.Context) (bool, error) {
	pages := eks.NewListAssociatedAccessPoliciesPaginator(a.cluster.api, &eks.ListAssociatedAccessPoliciesInput{
		ClusterName: aws.String(a.cluster.Name()), PrincipalArn: &a.principal,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return false, err
		}
		for _, p := range page.AssociatedAccessPolicies {
			if strings.HasSuffix(aws.ToString(p.PolicyArn), "/"+adminPolicy) && p.AccessScope != nil && p.AccessScope.Type == types.AccessScopeTypeCluster {
				return true, nil
			}
		}
	}
	return false, nil
}

// policyARN is the admin policy's ARN in the cluster's partition.
func (a *AccessEntry) policyARN() string {
	partition := "aws"
	if parts := strings.Split(a.cluster.ARN(), ":"); len(parts) > 1 {
		partition = parts[1]
	}
	return "arn:" + partition + ":eks::aws:cluster-access-policy/" + adminPolicy
}

// Apply implements [engine.Resource]. A principal may be newer than EKS's view
// of IAM, which is waited for.
func (a *AccessEntry) Apply(ctx context.Context, _ engine.Progress) error {
	if !a.exists {
		token := cloud.NewToken()
		err := cloud.RetryWhile(ctx, propagationLimit, cloud.IsPropagation, func(ctx context.Context) error {
			_, err := a.cluster.api.CreateAccessEntry(ctx, &eks.CreateAccessEntryInput{
				ClusterName: aws.String(a.cluster.Name()), PrincipalArn: &a.principal,
				Tags: a.cluster.owner.Tags(""), ClientRequestToken: &token,
			})
			return err
		})
		if err != nil && !cloud.IsExists(err) {
			return cloud.Wrap(a.ID(), "creating the access entry", err)
		}
		a.exists = true
	}
	if a.admin {
		return nil
	}
	err := cloud.RetryWhile(ctx, propagationLimit, settling, func(ctx context.Context) error {
		_, err := a.cluster.api.AssociateAccessPolicy(ctx, &eks.AssociateAccessPolicyInput{
			ClusterName: aws.String(a.cluster.Name()), PrincipalArn: &a.principal,
			PolicyArn: aws.String(a.policyARN()), AccessScope: &types.AccessScope{Type: types.AccessScopeTypeCluster},
		})
		return err
	})
	if err != nil {
		return cloud.Wrap(a.ID(), "associating "+adminPolicy, err)
	}
	a.admin = true
	return nil
}

// settling tells that EKS does not know an access entry yet that was just made.
func settling(err error) bool { return cloud.IsNotFound(err) || cloud.IsBusy(err) }

// Delete implements [engine.Resource].
func (a *AccessEntry) Delete(ctx context.Context, _ engine.Progress) error {
	_, err := a.cluster.api.DeleteAccessEntry(ctx, &eks.DeleteAccessEntryInput{ClusterName: aws.String(a.cluster.Name()), PrincipalArn: &a.principal})
	if err != nil && !cloud.IsNotFound(err) {
		return cloud.Wrap(a.ID(), "deleting the access entry", err)
	}
	a.exists, a.admin = false, false
	return nil
}
