package addons

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/retry"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// crdLimit bounds the wait for a resource definition to be served or to be gone.
const crdLimit = 3 * time.Minute

var crdResource = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// applyCRDs makes the resource definitions of a chart's crds folder as the
// chart has them, and waits until the API server serves them.
func applyCRDs(ctx context.Context, s *session, c *chart.Chart) error {
	crds, err := chartCRDs(c)
	if err != nil {
		return err
	}
	for _, crd := range crds {
		if err := applyCRD(ctx, s.dyn, crd); err != nil {
			return fmt.Errorf("resource definition %s: %w", crd.GetName(), err)
		}
	}
	for _, crd := range crds {
		if err := waitKnown(ctx, s, crd); err != nil {
			return fmt.Errorf("resource definition %s: %w", crd.GetName(), err)
		}
	}
	return nil
}

// chartCRDs reads the resource definitions of a chart and of the charts in it. A
// file may have several.
func chartCRDs(c *chart.Chart) ([]*unstructured.Unstructured, error) {
	var crds []*unstructured.Unstructured
	for _, file := range c.CRDObjects() {
		decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(file.File.Data), 4096)
		for {
			crd := &unstructured.Unstructured{}
			err := decoder.Decode(&crd.Object)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("reading %s of the chart: %w", file.Filename, err)
			}
			if crd.GetName() != "" { // else comments
				crds = append(crds, crd)
			}
		}
	}
	return crds, nil
}

// waitKnown waits until the API server lists the kind among its own: it serves a
// definition a moment before that.
func waitKnown(ctx context.Context, s *session, crd *unstructured.Unstructured) error {
	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	start := time.Now()
	return cloud.Poll(ctx, func(context.Context) (bool, error) {
		known, err := s.knows(schema.GroupKind{Group: group, Kind: kind})
		if err == nil && !known && time.Since(start) > crdLimit {
			err = fmt.Errorf("the API server does not list its kind after %s", crdLimit)
		}
		return known || err != nil, err
	})
}

func applyCRD(ctx context.Context, dyn dynamic.Interface, wanted *unstructured.Unstructured) error {
	crds := dyn.Resource(crdResource)
	// Two releases may be at it at once, see ReleaseSpec.CRDsFirst.
	overtaken := func(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }
	err := retry.OnError(retry.DefaultBackoff, overtaken, func() error {
		live, err := crds.Get(ctx, wanted.GetName(), metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			wanted.SetResourceVersion("")
			_, err = crds.Create(ctx, wanted, metav1.CreateOptions{})
		case err == nil:
			wanted.SetResourceVersion(live.GetResourceVersion())
			_, err = crds.Update(ctx, wanted, metav1.UpdateOptions{})
		}
		return err
	})
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
	return condition(crd, "Established")["status"] == "True"
}

// whyItStays is what Kubernetes says of a definition that is going, or what is the
// cause as a rule.
func whyItStays(crd *unstructured.Unstructured) string {
	if message, _ := condition(crd, "Terminating")["message"].(string); message != "" {
		return message
	}
	return "an object of that kind keeps its finalizers"
}

func condition(crd *unstructured.Unstructured, kind string) map[string]any {
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == kind {
			return m
		}
	}
	return nil
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
	start, reminded := time.Now(), map[string]time.Time{}
	for _, name := range names {
		err := cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
			live, err := dyn.Resource(crdResource).Get(ctx, name, metav1.GetOptions{})
			if err != nil || live.GetDeletionTimestamp() == nil {
				return true, ignoreNotFound(err)
			}
			if time.Since(start) > crdLimit {
				return true, fmt.Errorf("resource definition %s does not go away: %s", name, whyItStays(live))
			}
			p("waiting for the old %s to go", name)
			if forgotten(live) && time.Since(reminded[name]) > reminder {
				reminded[name] = time.Now()
				return false, ignoreNotFound(remind(ctx, dyn, name))
			}
			return false, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// reminder is how often Kubernetes is asked to try again.
const reminder = 5 * time.Second

// forgotten tells that Kubernetes could not list a definition's objects, which are
// to go with it. Since its lists fail while a cache is new (KEP 4568) that is so at the
// first look as a rule. It tries again after milliseconds, and gives up, until its
// next resync, when it does not see its own note of the failure by then
// (apiextensions-apiserver, pkg/controller/finalizer/crd_finalizer.go: a conflict
// counts as done).
func forgotten(crd *unstructured.Unstructured) bool {
	return condition(crd, "Terminating")["reason"] == "InstanceDeletionFailed"
}

// remind changes the definition, which makes Kubernetes look at it anew.
func remind(ctx context.Context, dyn dynamic.Interface, name string) error {
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"aicluster/deletion-asked":%q}}}`, time.Now().UTC().Format(time.RFC3339))
	_, err := dyn.Resource(crdResource).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}
