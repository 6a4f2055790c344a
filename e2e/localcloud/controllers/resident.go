package controllers

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	appslisters "k8s.io/client-go/listers/apps/v1"
	"k8s.io/client-go/tools/cache"
)

// resident is software that runs in a Deployment of the cluster and is played here.
// It has kinds of its own, which surely exist only while it runs, so that they are
// watched only then.
type resident struct {
	dyn         dynamic.Interface
	deployments appslisters.DeploymentLister
	is          func(*appsv1.Deployment) bool // tells its Deployment
	kinds       []schema.GroupVersionResource
	changed     func() // is called when one of the kinds' objects has changed

	session *session // nil while no pod of it is available; of the worker's goroutine
}

// session is what lives as long as a resident is available.
type session struct {
	deployment *appsv1.Deployment
	namespace  string // the Deployment's
	stores     map[schema.GroupVersionResource]cache.SharedIndexInformer
	stop       func()
}

// attend begins a session when a pod of the Deployment has become available, ends it
// when none is any more, and tells whether there is one.
func (r *resident) attend(ctx context.Context) (bool, error) {
	d, err := available(r.deployments, r.is)
	if err != nil {
		return false, err
	}
	if r.session != nil && (d == nil || r.session.namespace != d.Namespace) {
		r.end()
	}
	if d == nil {
		return false, nil
	}
	if r.session == nil {
		if err := r.begin(ctx, d.Namespace); err != nil {
			r.end()
			return false, err
		}
	}
	r.session.deployment = d
	return true, nil
}

func (r *resident) begin(ctx context.Context, namespace string) error {
	ctx, cancel := context.WithCancel(ctx)
	factory := dynamicinformer.NewDynamicSharedInformerFactory(r.dyn, 0)
	r.session = &session{namespace: namespace, stores: map[schema.GroupVersionResource]cache.SharedIndexInformer{},
		stop: func() { cancel(); factory.Shutdown() }}
	for _, kind := range r.kinds {
		informer := factory.ForResource(kind).Informer()
		r.session.stores[kind] = informer
		if err := on(informer, func(*unstructured.Unstructured) { r.changed() }); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	for _, informer := range r.session.stores {
		if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			return ctx.Err()
		}
	}
	return nil
}

func (r *resident) end() {
	if r.session != nil {
		r.session.stop()
		r.session = nil
	}
}

// living lists copies of the objects of a kind that are not being deleted.
func (s *session) living(kind schema.GroupVersionResource) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, obj := range s.stores[kind].GetStore().List() {
		if u := obj.(*unstructured.Unstructured); u.GetDeletionTimestamp() == nil {
			out = append(out, u.DeepCopy())
		}
	}
	return out
}

// available is the Deployment that is picks, if one of its pods is available; else nil.
func available(deployments appslisters.DeploymentLister, is func(*appsv1.Deployment) bool) (*appsv1.Deployment, error) {
	all, err := deployments.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if is(d) && d.Status.AvailableReplicas > 0 && d.DeletionTimestamp == nil {
			return d, nil
		}
	}
	return nil, nil
}
