package serving

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"aicluster/addons"
)

// requestLimit bounds one request to the API server.
const requestLimit = time.Minute

// connection is what this package talks to a cluster by.
type connection struct {
	client kubernetes.Interface
	dyn    dynamic.Interface
}

func connect(cluster addons.Cluster) (connection, error) {
	config, err := cluster.RESTConfig()
	if err != nil {
		return connection{}, err
	}
	config = rest.CopyConfig(config)
	config.Timeout, config.WarningHandler = requestLimit, rest.NoWarnings{}
	config.QPS, config.Burst = 50, 200 // an Observe looks at some twenty kinds
	var c connection
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		return c, err
	}
	c.dyn, err = dynamic.NewForConfig(config)
	return c, err
}

// get reads an object; nil when there is none, or no such kind.
func (c connection) get(ctx context.Context, k kind, name string) (*unstructured.Unstructured, error) {
	live, err := k.on(c.dyn).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return live, err
}

// apply sends an object by server-side apply. Fields that somebody else has set
// become ours; those that we do not send stay theirs. With dry, nothing changes,
// and the answer is what would be.
func (c connection) apply(ctx context.Context, k kind, u *unstructured.Unstructured, manager string, dry bool) (*unstructured.Unstructured, error) {
	body, err := json.Marshal(u.Object)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", k.Kind, u.GetName(), err)
	}
	o := metav1.PatchOptions{FieldManager: manager, Force: new(true)}
	if dry {
		o.DryRun = []string{metav1.DryRunAll}
	}
	return k.on(c.dyn).Patch(ctx, u.GetName(), types.ApplyPatchType, body, o)
}

// list finds the objects of a kind that bear labels; none when there is no such kind.
func (c connection) list(ctx context.Context, k kind, selector labels.Set) ([]unstructured.Unstructured, error) {
	found, err := k.on(c.dyn).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", k.plural, err)
	}
	return found.Items, nil
}

func (c connection) delete(ctx context.Context, k kind, name string) error {
	background := metav1.DeletePropagationBackground
	err := k.on(c.dyn).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &background})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", k.Kind, name, err)
	}
	return nil
}
