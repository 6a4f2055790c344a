package addons

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// FieldManager is whose fields server-side apply notes ours as.
const FieldManager = "aicluster"

// Bounds of waits for objects.
const (
	objectLimit  = 15 * time.Minute // until it is ready; a load balancer takes 2 to 5
	webhookLimit = 2 * time.Minute  // until a new chart's webhook answers
)

// Object is one of [Objects].
type Object struct {
	Resource schema.GroupVersionResource
	Body     map[string]any // as in a manifest
	// Ready is the condition that must become true; empty if it need only be there.
	Ready string
}

func (o Object) unstructured() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: o.Body}
}

// name is "Kind name", as in errors and plans.
func (o Object) name() string {
	u := o.unstructured()
	return u.GetKind() + " " + u.GetName()
}

// Objects are Kubernetes objects beside a chart, of kinds that the chart brings.
// They are applied by server-side apply, in their order, and removed against it.
type Objects struct {
	id      string
	cluster Cluster
	wanted  []Object
	needs   []engine.Resource
	// removed waits for what goes by itself once the objects are gone.
	removed  func(ctx context.Context, config *rest.Config, p engine.Progress) error
	unwanted bool // they are to go

	live []*unstructured.Unstructured // one for each wanted; nil where there is none
}

func newObjects(id string, cluster Cluster, wanted []Object, needs ...engine.Resource) *Objects {
	for _, o := range wanted {
		u := o.unstructured()
		labels := u.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		maps.Copy(labels, OwnerLabels(cluster.Name()))
		labels["app.kubernetes.io/managed-by"] = FieldManager
		u.SetLabels(labels)
	}
	return &Objects{id: id, cluster: cluster, wanted: wanted, needs: append([]engine.Resource{cluster}, needs...)}
}

// ID implements engine.Resource.
func (o *Objects) ID() string { return o.id }

// Needs implements engine.Resource.
func (o *Objects) Needs() []engine.Resource { return o.needs }

// Need adds to what they need, before a graph is made of them.
func (o *Objects) Need(more ...engine.Resource) { o.needs = append(o.needs, more...) }

// Container implements engine.Inner.
func (o *Objects) Container() engine.Resource { return o.cluster }

// Unwanted implements engine.Unwanted.
func (o *Objects) Unwanted() bool { return o.unwanted }

// Observe implements engine.Resource.
func (o *Objects) Observe(ctx context.Context) (engine.Observation, error) {
	o.live = make([]*unstructured.Unstructured, len(o.wanted))
	if !o.cluster.Ready() {
		return o.creation(), nil
	}
	dyn, err := o.dynamic()
	if err != nil {
		return engine.Observation{}, err
	}
	out := engine.Observation{}
	for i, w := range o.wanted {
		changes, err := o.observe(ctx, dyn, i)
		if err != nil {
			return engine.Observation{}, unreachable(o.ID(), "looking at "+w.name(), err)
		}
		out.Exists = out.Exists || o.live[i] != nil
		out.Changes = append(out.Changes, changes...)
	}
	if !out.Exists {
		return o.creation(), nil
	}
	if o.unwanted {
		out.Changes = nil
	}
	return out, nil
}

func (o *Objects) creation() engine.Observation {
	if o.unwanted {
		return engine.Observation{}
	}
	var names []string
	for _, w := range o.wanted {
		names = append(names, w.name())
	}
	return engine.Observation{Changes: []engine.Change{{Field: "objects", Wanted: strings.Join(names, ", "), Policy: engine.PolicyCreate}}}
}

// observe reads one object and asks the API server what applying it would change.
func (o *Objects) observe(ctx context.Context, dyn dynamic.Interface, i int) ([]engine.Change, error) {
	w := o.wanted[i]
	live, err := o.client(dyn, w).Get(ctx, w.unstructured().GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) || (err == nil && o.unwanted && live.GetLabels()[cloud.TagCluster] == "") {
		return []engine.Change{{Field: w.name(), Wanted: "present", Policy: engine.PolicyInPlace}}, nil
	}
	if err != nil {
		return nil, err
	}
	if o.live[i] = live; o.unwanted {
		return nil, nil
	}
	after, err := o.apply(ctx, dyn, w, metav1.DryRunAll)
	if err != nil {
		return nil, err
	}
	changes := valueChanges(w.name(), owned(live), owned(after))
	if len(changes) == 0 && w.Ready != "" {
		if ready, why := Condition(live, w.Ready); !ready {
			changes = append(changes, engine.Change{Field: w.name() + ": " + w.Ready, Live: why, Wanted: "True", Policy: engine.PolicyInPlace})
		}
	}
	return changes, nil
}

// owned is what a manifest can say of an object: no status, nothing of the API server's.
func owned(u *unstructured.Unstructured) map[string]any {
	out := map[string]any{}
	for key, value := range u.Object {
		if !slices.Contains([]string{"metadata", "status", "apiVersion", "kind"}, key) {
			out[key] = value
		}
	}
	for key, value := range map[string]map[string]string{"labels": u.GetLabels(), "annotations": u.GetAnnotations()} {
		if len(value) > 0 {
			out[key] = value
		}
	}
	c, err := canonical(out)
	if err != nil { // what came as JSON can be JSON
		return out
	}
	return c
}

// Condition tells whether a condition is true of what the object says now, and
// otherwise its message.
func Condition(u *unstructured.Unstructured, kind string) (bool, string) {
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range conditions {
		m, ok := c.(map[string]any)
		if !ok || m["type"] != kind {
			continue
		}
		if seen, ok := m["observedGeneration"].(int64); ok && seen < u.GetGeneration() {
			break
		}
		message, _ := m["message"].(string)
		return m["status"] == "True", message
	}
	return false, "its controller has not looked at it yet"
}

// Apply implements engine.Resource.
func (o *Objects) Apply(ctx context.Context, p engine.Progress) error {
	dyn, err := o.dynamic()
	if err != nil {
		return err
	}
	for _, w := range o.wanted {
		p("applying %s", w.name())
		err := cloud.RetryWhile(ctx, webhookLimit, maySoonServe, func(ctx context.Context) error {
			_, err := o.apply(ctx, dyn, w)
			return err
		})
		if err != nil {
			return unreachable(o.ID(), "applying "+w.name(), err)
		}
	}
	for _, w := range o.wanted {
		if err := o.waitReady(ctx, dyn, w, p); err != nil {
			return err
		}
	}
	return nil
}

// maySoonServe tells that a kind or its webhook is too new to answer.
func maySoonServe(err error) bool {
	return apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsNotFound(err)
}

func (o *Objects) apply(ctx context.Context, dyn dynamic.Interface, w Object, dryRun ...string) (*unstructured.Unstructured, error) {
	u := w.unstructured()
	return o.client(dyn, w).Apply(ctx, u.GetName(), u.DeepCopy(), metav1.ApplyOptions{FieldManager: FieldManager, Force: true, DryRun: dryRun})
}

func (o *Objects) waitReady(ctx context.Context, dyn dynamic.Interface, w Object, p engine.Progress) error {
	if w.Ready == "" {
		return nil
	}
	start := time.Now()
	doing := "waiting for " + w.name()
	err := cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		live, err := o.client(dyn, w).Get(ctx, w.unstructured().GetName(), metav1.GetOptions{})
		if err != nil {
			return true, err
		}
		ready, why := Condition(live, w.Ready)
		if ready {
			return true, nil
		}
		if time.Since(start) > objectLimit {
			return true, cloud.Fail(o.ID(), doing, fmt.Sprintf("%s is not %s after %s: %s", w.name(), w.Ready, objectLimit, why),
				fmt.Sprintf("see `kubectl describe %s`; mend the cause and run up again", strings.ToLower(w.name())))
		}
		p("waiting for %s: %s", w.name(), why)
		return false, nil
	})
	return unreachable(o.ID(), doing, err)
}

// Delete implements engine.Resource.
func (o *Objects) Delete(ctx context.Context, p engine.Progress) error {
	if !o.cluster.Ready() {
		return nil
	}
	dyn, err := o.dynamic()
	if err != nil {
		return err
	}
	for _, w := range slices.Backward(o.wanted) {
		if err := o.deleteObject(ctx, dyn, w, p); err != nil {
			return unreachable(o.ID(), "deleting "+w.name(), err)
		}
	}
	if o.removed == nil {
		return nil
	}
	config, err := o.cluster.RESTConfig()
	if err != nil {
		return cloud.Wrap(o.ID(), "connecting to the cluster", err)
	}
	return unreachable(o.ID(), "waiting for what its objects made", o.removed(ctx, config, p))
}

func (o *Objects) deleteObject(ctx context.Context, dyn dynamic.Interface, w Object, p engine.Progress) error {
	name, start := w.unstructured().GetName(), time.Now()
	err := o.client(dyn, w).Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil {
		return ignoreNotFound(err)
	}
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		_, err := o.client(dyn, w).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return true, ignoreNotFound(err)
		}
		if time.Since(start) > crdLimit {
			return true, errors.New("it keeps its finalizers: does its controller run?")
		}
		p("waiting for %s to go", w.name())
		return false, nil
	})
}

func (o *Objects) client(dyn dynamic.Interface, w Object) dynamic.ResourceInterface {
	if ns := w.unstructured().GetNamespace(); ns != "" {
		return dyn.Resource(w.Resource).Namespace(ns)
	}
	return dyn.Resource(w.Resource)
}

func (o *Objects) dynamic() (dynamic.Interface, error) {
	config, err := o.cluster.RESTConfig()
	if err != nil {
		return nil, cloud.Wrap(o.ID(), "connecting to the cluster", err)
	}
	config = rest.CopyConfig(config)
	config.Timeout, config.WarningHandler = requestTimeout, rest.NoWarnings{}
	dyn, err := dynamic.NewForConfig(config)
	return dyn, cloud.Wrap(o.ID(), "connecting to the cluster", err)
}
