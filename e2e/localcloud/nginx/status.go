package nginx

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
)

// retry is how long after a failure the status is tried again.
const retry = time.Second

// watchStatus has the status looked at when something changed that it depends on.
func (i *Image) watchStatus(all ...cache.SharedIndexInformer) error {
	see := func(obj any) {
		switch o := obj.(type) {
		case *corev1.Pod:
			if controllerOf(o) == nil {
				return
			}
		case *corev1.Service:
			if o.Spec.Type != corev1.ServiceTypeLoadBalancer {
				return
			}
		}
		select {
		case i.changed <- struct{}{}:
		default: // it will be looked at
		}
	}
	for _, informer := range all {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: see, UpdateFunc: func(_, obj any) { see(obj) }}); err != nil {
			return err
		}
	}
	return nil
}

func controllerOf(pod *corev1.Pod) *corev1.Container {
	for n := range pod.Spec.Containers {
		if is(&pod.Spec.Containers[n]) {
			return &pod.Spec.Containers[n]
		}
	}
	return nil
}

// keepStatus writes the address of the published Service into each Ingress of the
// controller, as the leader of its pods does, until ctx ends.
func (i *Image) keepStatus(ctx context.Context) error {
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-i.changed:
		case <-again:
		}
		again = nil
		if err := i.writeStatus(ctx); err != nil {
			again = time.After(retry)
		}
	}
}

func (i *Image) writeStatus(ctx context.Context) error {
	pods, err := i.pods.List(labels.Everything())
	if err != nil {
		return err
	}
	var errs []error
	done := map[flags]bool{} // replicas have the same
	for _, pod := range pods {
		container := controllerOf(pod)
		if container == nil || !ready(pod) {
			continue
		}
		c := &controller{Image: i, flags: parse(pod, container)}
		if !done[c.flags] {
			done[c.flags] = true
			errs = append(errs, c.publish(ctx))
		}
	}
	return errors.Join(errs...)
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}

// publish writes the status of all the controller's Ingresses.
func (c *controller) publish(ctx context.Context) error {
	namespace, name, ok := strings.Cut(c.flags.publishService, "/")
	if !ok {
		return nil
	}
	service, err := c.services.Services(namespace).Get(name)
	if err != nil {
		return nil //nolint:nilerr // it is seen when it comes
	}
	var want []networkingv1.IngressLoadBalancerIngress
	for _, at := range service.Status.LoadBalancer.Ingress {
		want = append(want, networkingv1.IngressLoadBalancerIngress{Hostname: at.Hostname, IP: at.IP})
	}
	var errs []error
	for _, i := range c.all() {
		if reflect.DeepEqual(i.Status.LoadBalancer.Ingress, want) {
			continue
		}
		next := i.DeepCopy()
		next.Status.LoadBalancer.Ingress = want
		if _, err := c.client.NetworkingV1().Ingresses(i.Namespace).UpdateStatus(ctx, next, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
