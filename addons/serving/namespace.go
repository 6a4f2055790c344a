package serving

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"

	"aicluster/addons"
	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// Home is the namespace of all services.
type Home struct {
	cluster   addons.Cluster
	blueprint *blueprints.Blueprint
	needs     []engine.Resource

	connect func() (connection, error)
}

// NewHome makes the resource "namespace/ai-serving". It is to go when the blueprint
// has no services, unless somebody else's work is in it.
func NewHome(cluster addons.Cluster, b *blueprints.Blueprint, needs ...engine.Resource) *Home {
	return &Home{cluster: cluster, blueprint: b, needs: append([]engine.Resource{cluster}, needs...),
		connect: func() (connection, error) { return connect(cluster) }}
}

// ID implements engine.Resource.
func (h *Home) ID() string { return "namespace/" + Namespace }

// Needs implements engine.Resource.
func (h *Home) Needs() []engine.Resource { return h.needs }

// Need adds to what the namespace needs, before a graph is made of it.
func (h *Home) Need(more ...engine.Resource) { h.needs = append(h.needs, more...) }

// Container implements engine.Inner.
func (h *Home) Container() engine.Resource { return h.cluster }

// Unwanted implements engine.Unwanted.
func (h *Home) Unwanted() bool { return len(h.blueprint.Serving) == 0 }

func namespaceKind() kind {
	return kind{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, plural: "namespaces", global: true}
}

// Observe implements engine.Resource.
func (h *Home) Observe(ctx context.Context) (engine.Observation, error) {
	if !h.cluster.Ready() {
		return engine.Observation{}, nil
	}
	c, err := h.connect()
	if err != nil {
		return engine.Observation{}, cloud.Wrap(h.ID(), "connecting to the cluster", err)
	}
	k := namespaceKind()
	live, err := c.get(ctx, k, Namespace)
	if err != nil || live == nil {
		return engine.Observation{}, addons.Unreachable(h.ID(), "looking at the namespace", err)
	}
	if h.Unwanted() {
		used, err := used(ctx, c)
		if err != nil {
			return engine.Observation{}, addons.Unreachable(h.ID(), "looking what is in it", err)
		}
		return engine.Observation{Exists: !used && live.GetDeletionTimestamp() == nil && live.GetLabels()[labelManagedBy] == FieldManager}, nil
	}
	if live.GetDeletionTimestamp() != nil {
		return engine.Observation{}, nil // Apply waits for its end
	}
	u, err := wire(NamespaceObject(h.blueprint))
	if err != nil {
		return engine.Observation{}, err
	}
	applied, err := c.apply(ctx, k, u, FieldManager, true)
	if err != nil {
		return engine.Observation{}, addons.Unreachable(h.ID(), "comparing the namespace", err)
	}
	return engine.Observation{Exists: true, Changes: changesOf(live, applied)}, nil
}

// Apply implements engine.Resource.
func (h *Home) Apply(ctx context.Context, p engine.Progress) error {
	c, err := h.connect()
	if err != nil {
		return cloud.Wrap(h.ID(), "connecting to the cluster", err)
	}
	if err := addons.WaitReachable(ctx, c.client); err != nil {
		return addons.Unreachable(h.ID(), "connecting to the cluster", err)
	}
	if err := h.waitOldGone(ctx, c, p); err != nil {
		return addons.Unreachable(h.ID(), "waiting for the old namespace to go", err)
	}
	u, err := wire(NamespaceObject(h.blueprint))
	if err != nil {
		return err
	}
	_, err = c.apply(ctx, namespaceKind(), u, FieldManager, false)
	return addons.Unreachable(h.ID(), "making the namespace", err)
}

func (h *Home) waitOldGone(ctx context.Context, c connection, p engine.Progress) error {
	start := time.Now()
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		live, err := c.get(ctx, namespaceKind(), Namespace)
		if err != nil || live == nil || live.GetDeletionTimestamp() == nil {
			return true, err
		}
		if time.Since(start) > goneLimit {
			return true, errors.New("it does not go away: see `kubectl get namespace " + Namespace + " -o yaml`")
		}
		p("waiting for the old namespace to go")
		return false, nil
	})
}

// Delete implements engine.Resource. Kubernetes goes on by itself; nothing waits
// for the end but a new start.
func (h *Home) Delete(ctx context.Context, p engine.Progress) error {
	if !h.cluster.Ready() {
		return nil
	}
	c, err := h.connect()
	if err != nil {
		return cloud.Wrap(h.ID(), "connecting to the cluster", err)
	}
	live, err := c.get(ctx, namespaceKind(), Namespace)
	if err != nil || live == nil || live.GetLabels()[labelManagedBy] != FieldManager {
		return addons.Unreachable(h.ID(), "looking at the namespace", err)
	}
	used, err := used(ctx, c)
	if err != nil || used {
		return addons.Unreachable(h.ID(), "looking what is in it", err)
	}
	return addons.Unreachable(h.ID(), "removing the namespace", c.delete(ctx, namespaceKind(), Namespace))
}

// used tells that somebody else's work or data is in the namespace. What has an
// owner goes with its owner.
func used(ctx context.Context, c connection) (bool, error) {
	for _, k := range []string{"deployments", "statefulsets", "daemonsets"} {
		list, err := c.dyn.Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: k}).Namespace(Namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, fmt.Errorf("listing %s: %w", k, err)
		}
		for _, u := range list.Items {
			if u.GetLabels()[labelManagedBy] != FieldManager {
				return true, nil
			}
		}
	}
	for _, k := range []string{"pods", "persistentvolumeclaims", "secrets"} {
		list, err := c.dyn.Resource(corev1.SchemeGroupVersion.WithResource(k)).Namespace(Namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, fmt.Errorf("listing %s: %w", k, err)
		}
		for _, u := range list.Items {
			if u.GetLabels()[labelManagedBy] != FieldManager && metav1.GetControllerOf(&u) == nil {
				return true, nil
			}
		}
	}
	return false, nil
}

// Discover lists the services on a cluster that we made, by their service accounts:
// those are the first to be made and the last to go. It returns none when the
// cluster is not ready.
func Discover(ctx context.Context, cluster addons.Cluster) ([]string, error) {
	config, err := addons.DiscoveryConfig(cluster)
	if config == nil || err != nil {
		return nil, err
	}
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, cloud.Wrap(cluster.ID(), "connecting to the cluster", err)
	}
	names, err := discover(ctx, client, cluster.Name())
	return names, addons.Unreachable(cluster.ID(), "looking for services", err)
}

func discover(ctx context.Context, client metadata.Interface, cluster string) ([]string, error) {
	selector := labels.Set{labelManagedBy: FieldManager}
	for k, v := range addons.OwnerLabels(cluster) {
		selector[k] = v
	}
	list, err := client.Resource(corev1.SchemeGroupVersion.WithResource("serviceaccounts")).Namespace(Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, account := range list.Items {
		names = append(names, account.Labels[labelInstance])
	}
	slices.Sort(names)
	return names, nil
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
