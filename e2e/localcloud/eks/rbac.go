package eks

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// policyGroups are the groups that a user gets for an access policy. One group
// stands for one ClusterRole in one scope; [Service.bindPolicy] binds it.
func policyGroups(role string, scope *types.AccessScope) []string {
	if scope.Type == types.AccessScopeTypeCluster {
		return []string{"eks:access-policy:" + role}
	}
	var groups []string
	for _, ns := range scope.Namespaces {
		groups = append(groups, fmt.Sprintf("eks:access-policy:%s:%s", role, ns))
	}
	return groups
}

// bindPolicy makes the bindings that give an access policy's groups their
// rights. A namespace that does not exist yet gets none, and access to it none.
func (s *Service) bindPolicy(ctx context.Context, c *cluster, role string, scope *types.AccessScope) error {
	s.mu.Lock()
	plane := c.plane
	s.mu.Unlock()
	if role == "" {
		role = "cluster-admin"
	}
	if plane == nil || role == "cluster-admin" && scope.Type == types.AccessScopeTypeCluster {
		return nil
	}
	api := plane.Client().RbacV1()
	if role == "eks:admin-view" {
		_, err := api.ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: role},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch"}}},
		}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}
	for i, group := range policyGroups(role, scope) {
		meta := metav1.ObjectMeta{Name: group}
		subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: group}}
		var err error
		if scope.Type == types.AccessScopeTypeCluster {
			_, err = api.ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}, metav1.CreateOptions{})
		} else {
			_, err = api.RoleBindings(scope.Namespaces[i]).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}, metav1.CreateOptions{})
		}
		if err != nil && !apierrors.IsAlreadyExists(err) && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}
