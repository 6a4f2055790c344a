package eks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	ktypes "k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"aicluster/e2e/localcloud/controllers"
)

// fieldManager owns the fields of what EKS applies; the self-managed add-ons of
// a new cluster are applied by another manager, so that they conflict as in EKS.
const (
	fieldManager     = "eks"
	bootstrapManager = "eks-bootstrap"
)

// applier applies and deletes objects of any kind in one cluster.
type applier struct {
	client dynamic.Interface
	mapper meta.RESTMapper
}

func newApplier(config *rest.Config) (applier, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return applier{}, err
	}
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return applier{}, err
	}
	return applier{client, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco))}, nil
}

// resource is the client for the object's kind and namespace.
func (a applier) resource(obj runtime.Object) (dynamic.ResourceInterface, *unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	raw, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, nil, err
	}
	u.Object = raw
	if u.GetKind() == "" {
		kinds, _, err := scheme.Scheme.ObjectKinds(obj)
		if err != nil {
			return nil, nil, err
		}
		u.SetGroupVersionKind(kinds[0])
	}
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	kind := u.GroupVersionKind()
	mapping, err := a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return a.client.Resource(mapping.Resource).Namespace(u.GetNamespace()), u, nil
	}
	return a.client.Resource(mapping.Resource), u, nil
}

func (a applier) apply(ctx context.Context, obj runtime.Object, manager string, force bool) error {
	res, u, err := a.resource(obj)
	if err != nil {
		return err
	}
	body, err := json.Marshal(u)
	if err != nil {
		return err
	}
	_, err = res.Patch(ctx, u.GetName(), ktypes.ApplyPatchType, body, metav1.PatchOptions{FieldManager: manager, Force: &force})
	if err != nil {
		return fmt.Errorf("%s %s: %w", u.GetKind(), u.GetName(), err)
	}
	return nil
}

func (a applier) delete(ctx context.Context, obj runtime.Object) error {
	res, u, err := a.resource(obj)
	if err != nil {
		return err
	}
	background := metav1.DeletePropagationBackground
	err = res.Delete(ctx, u.GetName(), metav1.DeleteOptions{PropagationPolicy: &background})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("%s %s: %w", u.GetKind(), u.GetName(), err)
	}
	return nil
}

// objects are the add-on's Kubernetes objects and the means to apply them.
func (s *Service) objects(c *cluster, a types.Addon) ([]runtime.Object, applier, error) {
	s.mu.Lock()
	plane := c.plane
	s.mu.Unlock()
	if plane == nil {
		return nil, applier{}, errors.New("the cluster's control plane is gone")
	}
	objects, err := controllers.Addon(*a.AddonName, *a.AddonVersion, deref(a.ConfigurationValues))
	if err != nil {
		return nil, applier{}, err
	}
	apply, err := newApplier(plane.Admin())
	return objects, apply, err
}

// applyAddon makes the add-on's objects what they shall be. When strict, fields
// that somebody else set are a conflict.
func (s *Service) applyAddon(ctx context.Context, c *cluster, a types.Addon, strict bool) error {
	objects, apply, err := s.objects(c, a)
	if err != nil {
		return err
	}
	for _, obj := range objects {
		if err := apply.apply(ctx, obj, fieldManager, !strict); err != nil {
			if apierrors.IsConflict(err) {
				return fmt.Errorf("Conflicts found when trying to apply. Will not continue due to resolve conflicts mode. Conflicts: %w", err) //nolint:staticcheck // EKS's words
			}
			return err
		}
	}
	return nil
}

func (s *Service) removeAddon(ctx context.Context, c *cluster, a types.Addon) error {
	objects, apply, err := s.objects(c, a)
	if err != nil {
		return err
	}
	var errs []error
	for _, obj := range objects {
		errs = append(errs, apply.delete(ctx, obj))
	}
	return errors.Join(errs...)
}

// installSelfManaged installs what EKS puts into a cluster that was made with
// bootstrapSelfManagedAddons; it is no add-on as far as the API knows.
func (s *Service) installSelfManaged(ctx context.Context, c *cluster) error {
	for _, name := range []string{"vpc-cni", "kube-proxy", "coredns"} {
		offered := controllers.AddonVersions(name, *c.data.Version)
		if len(offered) == 0 {
			return fmt.Errorf("no version of %s for Kubernetes %s", name, *c.data.Version)
		}
		objects, apply, err := s.objects(c, types.Addon{AddonName: aws.String(name), AddonVersion: aws.String(offered[len(offered)-1])})
		if err != nil {
			return err
		}
		for _, obj := range objects {
			if err := apply.apply(ctx, obj, bootstrapManager, true); err != nil {
				return err
			}
		}
	}
	return nil
}
