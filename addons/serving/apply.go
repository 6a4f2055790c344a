package serving

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"aicluster/addons"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// Apply implements engine.Resource.
func (s *Service) Apply(ctx context.Context, p engine.Progress) error {
	c, err := s.connect()
	if err != nil {
		return cloud.Wrap(s.ID(), "connecting to the cluster", err)
	}
	// An autoscaler that is to go would still set the number of replicas.
	if err := s.prune(ctx, c, func(k kind) bool { return k.Group == "autoscaling" }); err != nil {
		return addons.Unreachable(s.ID(), "removing what is not wanted any more", err)
	}
	for _, o := range Render(s.blueprint, s.svc, s.facts()) {
		k, u, err := sendable(o)
		if err != nil {
			return cloud.Wrap(s.ID(), "making its objects", err)
		}
		p("applying %s %s", k.Kind, o.GetName())
		if k.Kind == "Deployment" && s.svc.Autoscaling != nil {
			if err := handOver(ctx, c, k, o.GetName()); err != nil {
				return addons.Unreachable(s.ID(), "handing its replicas to the autoscaler", err)
			}
		}
		if _, err := c.apply(ctx, k, u, FieldManager, false); err != nil {
			return s.refusedByServer(k, o.GetName(), err)
		}
	}
	if err := s.wait(ctx, c, p); err != nil {
		return err
	}
	err = s.prune(ctx, c, func(kind) bool { return true })
	return addons.Unreachable(s.ID(), "removing what is not wanted any more", err)
}

// refusedByServer is an object that the API server does not take.
func (s *Service) refusedByServer(k kind, name string, err error) error {
	return addons.Unreachable(s.ID(), fmt.Sprintf("applying %s %s", k.Kind, name), err)
}

// handOver makes the number of replicas somebody else's before we cease to say it:
// a field that its only owner drops would fall back to its default, one replica
// (kubernetes.io/docs, "Server-Side Apply", Transferring ownership).
func handOver(ctx context.Context, c connection, k kind, name string) error {
	live, err := c.get(ctx, k, name)
	if err != nil || live == nil {
		return err
	}
	replicas, ok, err := unstructured.NestedInt64(live.Object, "spec", "replicas")
	if err != nil || !ok || !owns(live, FieldManager, "f:replicas") {
		return err
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": k.GroupVersion().String(), "kind": k.Kind,
		"metadata": map[string]any{"name": name, "namespace": Namespace},
		"spec":     map[string]any{"replicas": replicas},
	}}
	_, err = c.apply(ctx, k, u, FieldManager+"-handover", false)
	return err
}

// owns tells whether a manager has applied a field of the spec.
func owns(u *unstructured.Unstructured, manager, field string) bool {
	return slices.ContainsFunc(u.GetManagedFields(), func(m metav1.ManagedFieldsEntry) bool {
		if m.Manager != manager || m.Operation != metav1.ManagedFieldsOperationApply || m.FieldsV1 == nil {
			return false
		}
		var fields struct {
			Spec map[string]any `json:"f:spec"`
		}
		_ = json.Unmarshal(m.FieldsV1.GetRawBytes(), &fields) // what cannot be read owns nothing
		_, ok := fields.Spec[field]
		return ok
	})
}

// prune deletes what is not wanted any more, of some kinds.
func (s *Service) prune(ctx context.Context, c connection, of func(kind) bool) error {
	extra, err := s.extra(ctx, c)
	if err != nil {
		return err
	}
	for _, e := range extra {
		if of(e.kind) {
			if err := c.delete(ctx, e.kind, e.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// goneLimit bounds the wait for objects without pods to go.
const goneLimit = 3 * time.Minute

// Delete implements engine.Resource. Requests cease to come before the replicas go,
// and what the replicas hold goes after them.
func (s *Service) Delete(ctx context.Context, p engine.Progress) error {
	if !s.cluster.Ready() {
		return nil
	}
	c, err := s.connect()
	if err != nil {
		return cloud.Wrap(s.ID(), "connecting to the cluster", err)
	}
	for _, k := range slices.Backward(kinds()) {
		p("removing its %s", k.plural)
		if err := s.deleteKind(ctx, c, k); err != nil {
			return addons.Unreachable(s.ID(), "removing its "+k.plural, err)
		}
		if k.Kind != "Deployment" {
			continue
		}
		if err := s.waitPodsGone(ctx, c.client, p); err != nil {
			return addons.Unreachable(s.ID(), "waiting for its pods to go", err)
		}
	}
	s.live = nil
	return nil
}

// deleteKind deletes all objects of a kind and waits until they are gone.
func (s *Service) deleteKind(ctx context.Context, c connection, k kind) error {
	start := time.Now()
	asked := map[string]bool{}
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		found, err := c.list(ctx, k, s.owned())
		if err != nil || len(found) == 0 {
			return true, err
		}
		for _, u := range found {
			if asked[u.GetName()] {
				continue
			}
			asked[u.GetName()] = true
			if err := c.delete(ctx, k, u.GetName()); err != nil {
				return true, err
			}
		}
		if time.Since(start) > goneLimit {
			return true, fmt.Errorf("%s %s does not go away (finalizers: %v)", k.Kind, found[0].GetName(), found[0].GetFinalizers())
		}
		return false, nil
	})
}

// waitPodsGone waits for the replicas to end. Those on a node that does not answer
// are struck off after their time.
func (s *Service) waitPodsGone(ctx context.Context, client kubernetes.Interface, p engine.Progress) error {
	start := time.Now()
	pods := client.CoreV1().Pods(Namespace)
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: s.owned().String()})
		if err != nil || len(list.Items) == 0 {
			return true, err
		}
		p("waiting for %s to end", countReplicas(len(list.Items)))
		if time.Since(start) < gracePeriod+time.Minute {
			return false, nil
		}
		for _, pod := range list.Items {
			if err := pods.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}); ignoreNotFound(err) != nil {
				return true, fmt.Errorf("pod %s: %w", pod.Name, err)
			}
		}
		return false, nil
	})
}

func countReplicas(n int) string {
	if n == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", n)
}
