package addons

import (
	"context"
	"fmt"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// crdLimit bounds the wait for a resource definition to be served or to be gone.
const crdLimit = 3 * time.Minute

var crdResource = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// applyCRDs makes the resource definitions of a chart's crds folder as the
// chart has them, and waits until the API server serves them.
func applyCRDs(ctx context.Context, s *session, c *chart.Chart) error {
	crds := c.CRDObjects()
	for _, crd := range crds {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(crd.File.Data, &object.Object); err != nil {
			return fmt.Errorf("reading %s of the chart: %w", crd.Filename, err)
		}
		if object.GetName() == "" {
			continue // a file of comments
		}
		if err := applyCRD(ctx, s.dyn, object); err != nil {
			return fmt.Errorf("resource definition %s: %w", object.GetName(), err)
		}
	}
	if len(crds) > 0 {
		s.reset()
	}
	return nil
}

func applyCRD(ctx context.Context, dyn dynamic.Interface, wanted *unstructured.Unstructured) error {
	crds := dyn.Resource(crdResource)
	live, err := crds.Get(ctx, wanted.GetName(), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = crds.Create(ctx, wanted, metav1.CreateOptions{})
	case err == nil:
		wanted.SetResourceVersion(live.GetResourceVersion())
		_, err = crds.Update(ctx, wanted, metav1.UpdateOptions{})
	}
	if err != nil {
		return err
	}
	start := time.Now()
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		live, err := crds.Get(ctx, wanted.GetName(), metav1.GetOptions{})
		if err != nil || established(live) {
			return true, err
		}
		if time.Since(start) > crdLimit {
			return true, fmt.Errorf("it is not served after %s", crdLimit)
		}
		return false, nil
	})
}

func established(crd *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == "Established" && m["status"] == "True" {
			return true
		}
	}
	return false
}

// deleteCRDs removes resource definitions, and with them every object of those
// kinds. Kubernetes goes on by itself, at times for a minute; nothing waits for
// the end but a new installation.
func deleteCRDs(ctx context.Context, dyn dynamic.Interface, names []string) error {
	for _, name := range names {
		if err := dyn.Resource(crdResource).Delete(ctx, name, metav1.DeleteOptions{}); ignoreNotFound(err) != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// waitDyingCRDsGone waits for definitions that an earlier removal left to their
// end: Helm would take them for installed.
func waitDyingCRDsGone(ctx context.Context, dyn dynamic.Interface, names []string, p engine.Progress) error {
	start := time.Now()
	for _, name := range names {
		err := cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
			live, err := dyn.Resource(crdResource).Get(ctx, name, metav1.GetOptions{})
			if err != nil || live.GetDeletionTimestamp() == nil {
				return true, ignoreNotFound(err)
			}
			if time.Since(start) > crdLimit {
				return true, fmt.Errorf("resource definition %s does not go away: an object of that kind keeps its finalizers", name)
			}
			p("waiting for the old %s to go", name)
			return false, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
