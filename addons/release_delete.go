package addons

import (
	"context"
	"fmt"
	"slices"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/release"
	"k8s.io/client-go/kubernetes"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// uninstallLimit bounds the removal of a release, hooks included. Load
// balancers have a limit of their own.
const uninstallLimit = 5 * time.Minute

// Delete implements engine.Resource. The release's load balancers go first,
// while nodes and the network still work for the controller that removes them.
func (r *Release) Delete(ctx context.Context, p engine.Progress) error {
	if !r.cluster.Ready() {
		return nil
	}
	s, err := r.connect(ctx, p)
	if err != nil {
		return cloud.Wrap(r.ID(), "connecting to the cluster", err)
	}
	services := serviceSelector{namespace: r.spec.Namespace, release: r.spec.Name}
	if err := deleteLoadBalancers(ctx, s.client, services, p); err != nil {
		return unreachable(r.ID(), "removing its load balancers", err)
	}
	if err := r.uninstall(ctx, s, p); err != nil {
		return unreachable(r.ID(), "uninstalling the release", err)
	}
	r.live = nil
	if err := deleteCRDs(ctx, s.dyn, r.spec.CRDs); err != nil {
		return unreachable(r.ID(), "removing its resource definitions", err)
	}
	return cloud.Wrap(r.ID(), "removing its namespace", r.deleteNamespace(ctx, s, p))
}

// uninstall removes the release and its record. Hooks run in pods: where no
// pod can be scheduled they are left out, as where their service account is gone
// already.
func (r *Release) uninstall(ctx context.Context, s *session, p engine.Progress) error {
	schedulable, err := hasSchedulableNode(ctx, s.client)
	if err != nil {
		return err
	}
	rel, err := last(s, r.spec.Name)
	if err != nil {
		return err
	}
	do := action.NewUninstall(s.helm)
	do.IgnoreNotFound, do.Wait, do.Timeout = true, true, uninstallLimit
	do.DeletionPropagation = "background"
	half := halfRemoved(rel)
	do.DisableHooks = !schedulable || half
	switch {
	case !schedulable:
		p("uninstalling without its hooks: no node can run them")
	case half:
		p("uninstalling without its hooks: an earlier run got beyond them")
	default:
		p("uninstalling")
	}
	if _, err = do.Run(r.spec.Name); err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	}
	return err
}

// halfRemoved tells that an earlier removal got beyond the hooks that come before
// it: some of the release's objects are gone, perhaps what its hooks run with.
func halfRemoved(rel *release.Release) bool {
	if rel == nil || rel.Info.Status != release.StatusUninstalling {
		return false
	}
	return !slices.ContainsFunc(rel.Hooks, func(h *release.Hook) bool {
		return slices.Contains(h.Events, release.HookPreDelete) && h.LastRun.Phase != release.HookPhaseSucceeded
	})
}

// hasSchedulableNode tells whether a pod without tolerations has a place.
func hasSchedulableNode(ctx context.Context, client kubernetes.Interface) (bool, error) {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, err
	}
	for _, n := range nodes.Items {
		if !n.Spec.Unschedulable && !repels(n.Spec.Taints) && nodeReady(&n) {
			return true, nil
		}
	}
	return false, nil
}

func repels(taints []corev1.Taint) bool {
	for _, t := range taints {
		if t.Effect != corev1.TaintEffectPreferNoSchedule {
			return true
		}
	}
	return false
}

func nodeReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
