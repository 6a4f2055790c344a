package controllers

import (
	"context"
	"time"

	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
)

// worker reconciles keys one at a time, so that a reconciler needs no locks.
type worker struct {
	name  string
	queue workqueue.TypedRateLimitingInterface[string]
	// sync makes one key right and says when to look again (zero: when something changes).
	sync func(ctx context.Context, key string) (again time.Duration, err error)
}

func newWorker(name string, sync func(context.Context, string) (time.Duration, error)) *worker {
	// Quick retries: what fails here are mostly conflicting updates.
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[string](5*time.Millisecond, 2*time.Second)
	return &worker{name: name, queue: workqueue.NewTypedRateLimitingQueue(limiter), sync: sync}
}

// run works until ctx ends.
func (w *worker) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, w.queue.ShutDown)
	defer stop()
	for {
		key, shutdown := w.queue.Get()
		if shutdown {
			return
		}
		again, err := w.sync(ctx, key)
		switch {
		case err != nil && ctx.Err() == nil:
			klog.FromContext(ctx).V(1).Info("will retry", "controller", w.name, "key", key, "err", err)
			w.queue.AddRateLimited(key)
		case again > 0:
			w.queue.Forget(key)
			w.queue.AddAfter(key, again)
		default:
			w.queue.Forget(key)
		}
		w.queue.Done(key)
	}
}

// on calls f with every object of the informer that was added, changed or deleted.
func on[T any](informer cache.SharedIndexInformer, f func(T)) error {
	see := func(obj any) {
		if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = gone.Obj
		}
		if typed, ok := obj.(T); ok {
			f(typed)
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    see,
		UpdateFunc: func(_, obj any) { see(obj) },
		DeleteFunc: see,
	})
	return err
}
