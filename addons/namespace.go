package addons

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// namespaceLimit bounds the wait for a namespace to go.
const namespaceLimit = 3 * time.Minute

// ensureNamespace makes the release's namespace, marked as ours, or sets the
// labels that it needs on one that exists.
func (r *Release) ensureNamespace(ctx context.Context, s *session, p engine.Progress) error {
	namespaces := s.client.CoreV1().Namespaces()
	live, err := namespaces.Get(ctx, r.spec.Namespace, metav1.GetOptions{})
	if err == nil && live.DeletionTimestamp != nil {
		if err := r.waitNamespaceGone(ctx, s, p); err != nil {
			return cloud.Wrap(r.ID(), "waiting for the old namespace to go", err)
		}
		_, err = namespaces.Get(ctx, r.spec.Namespace, metav1.GetOptions{})
	}
	if apierrors.IsNotFound(err) {
		labels := r.ownerLabels()
		maps.Copy(labels, r.spec.NamespaceLabels)
		_, err = namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.spec.Namespace, Labels: labels}}, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			err = nil
		}
		return cloud.Wrap(r.ID(), "making namespace "+r.spec.Namespace, err)
	}
	if err != nil {
		return unreachable(r.ID(), "looking for its namespace", err)
	}
	if missing := cloud.TagChanges(live.Labels, r.spec.NamespaceLabels); len(missing) > 0 {
		labelled := live.DeepCopy()
		if labelled.Labels == nil {
			labelled.Labels = map[string]string{}
		}
		maps.Copy(labelled.Labels, missing)
		_, err = namespaces.Update(ctx, labelled, metav1.UpdateOptions{})
	}
	return cloud.Wrap(r.ID(), "labelling namespace "+r.spec.Namespace, err)
}

// deleteNamespace removes the namespace if we made it and nobody else uses it.
// Kubernetes goes on by itself; nothing waits for the end but a new installation.
func (r *Release) deleteNamespace(ctx context.Context, s *session, p engine.Progress) error {
	live, err := s.client.CoreV1().Namespaces().Get(ctx, r.spec.Namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if live.Labels[cloud.TagCluster] == "" {
		return nil
	}
	used, err := r.namespaceUsed(ctx, s)
	if err != nil || used {
		return err
	}
	p("removing namespace %s", r.spec.Namespace)
	return ignoreNotFound(s.client.CoreV1().Namespaces().Delete(ctx, r.spec.Namespace, metav1.DeleteOptions{}))
}

// namespaceUsed tells that someone else's work or data is in the namespace: a
// workload, a pod of its own, a volume claim, or another Helm release. What has
// an owner goes with its owner.
func (r *Release) namespaceUsed(ctx context.Context, s *session) (bool, error) {
	core, apps, all := s.client.CoreV1(), s.client.AppsV1(), metav1.ListOptions{}
	pods, err := core.Pods(r.spec.Namespace).List(ctx, all)
	if err != nil {
		return false, err
	}
	deployments, err := apps.Deployments(r.spec.Namespace).List(ctx, all)
	if err != nil {
		return false, err
	}
	sets, err := apps.StatefulSets(r.spec.Namespace).List(ctx, all)
	if err != nil {
		return false, err
	}
	claims, err := core.PersistentVolumeClaims(r.spec.Namespace).List(ctx, all)
	if err != nil {
		return false, err
	}
	releases, err := core.Secrets(r.spec.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "owner=helm"})
	if err != nil {
		return false, err
	}
	return count(pods.Items, unowned)+count(deployments.Items, unowned)+count(sets.Items, unowned)+count(claims.Items, unclaimed)+len(releases.Items) > 0, nil
}

// object is a pointer to a Kubernetes type.
type object[T any] interface {
	*T
	metav1.Object
}

func count[T any, P object[T]](items []T, is func(metav1.Object) bool) int {
	n := 0
	for i := range items {
		if is(P(&items[i])) {
			n++
		}
	}
	return n
}

func unowned(o metav1.Object) bool {
	return metav1.GetControllerOf(o) == nil && o.GetDeletionTimestamp() == nil
}

// unclaimed tells that a volume claim stays when its stateful set goes
// (persistentVolumeClaimRetentionPolicy of the set).
func unclaimed(o metav1.Object) bool { return len(o.GetOwnerReferences()) == 0 }

func (r *Release) waitNamespaceGone(ctx context.Context, s *session, p engine.Progress) error {
	start := time.Now()
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		live, err := s.client.CoreV1().Namespaces().Get(ctx, r.spec.Namespace, metav1.GetOptions{})
		if err != nil {
			return true, ignoreNotFound(err)
		}
		if time.Since(start) > namespaceLimit {
			return true, fmt.Errorf("namespace %s does not go away%s", live.Name, namespaceTrouble(live))
		}
		p("waiting for the old namespace %s to go", live.Name)
		return false, nil
	})
}

// namespaceTrouble says what keeps a namespace, in Kubernetes' words.
func namespaceTrouble(ns *corev1.Namespace) string {
	for _, c := range ns.Status.Conditions {
		if c.Status == corev1.ConditionTrue && c.Message != "" {
			return ": " + c.Message
		}
	}
	return ""
}
