package addons

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// controllerLimit is how long a gateway's controller may take to see that it is gone.
const controllerLimit = time.Minute

// gateways lists the Gateways of all namespaces; none where Kubernetes does not
// know the kind.
func gateways(ctx context.Context, dyn dynamic.Interface) ([]unstructured.Unstructured, error) {
	list, err := dyn.Resource(GatewayResource).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// deleteGateways deletes every Gateway and waits for what its controller made of
// it. A load balancer's service that is deleted before its Gateway is made anew.
func deleteGateways(ctx context.Context, client kubernetes.Interface, dyn dynamic.Interface, p engine.Progress) error {
	start := time.Now()
	found, err := gateways(ctx, dyn)
	if err != nil || len(found) == 0 {
		return err
	}
	for _, g := range found {
		if err := dyn.Resource(GatewayResource).Namespace(g.GetNamespace()).Delete(ctx, g.GetName(), metav1.DeleteOptions{}); ignoreNotFound(err) != nil {
			return fmt.Errorf("gateway %s/%s: %w", g.GetNamespace(), g.GetName(), err)
		}
	}
	err = cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		left, err := gateways(ctx, dyn)
		if err != nil || len(left) == 0 {
			return true, err
		}
		if time.Since(start) > loadBalancerLimit {
			return true, fmt.Errorf("gateway %s/%s is not gone after %s: its controller does not remove its finalizers", left[0].GetNamespace(), left[0].GetName(), loadBalancerLimit)
		}
		p("waiting for gateway %s/%s to go", left[0].GetNamespace(), left[0].GetName())
		return false, nil
	})
	if err != nil {
		return err
	}
	return waitServicesGone(ctx, client, p)
}

// waitGatewayServicesGone is [waitServicesGone] for [Objects].
func waitGatewayServicesGone(ctx context.Context, config *rest.Config, p engine.Progress) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	return waitServicesGone(ctx, client, p)
}

// waitServicesGone waits until Envoy Gateway has taken away the services of its
// Gateways, and with them the load balancers. Where no node can run it, or it does
// not in a while, they are deleted in its place.
func waitServicesGone(ctx context.Context, client kubernetes.Interface, p engine.Progress) error {
	start := time.Now()
	err := cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		left, err := client.CoreV1().Services("").List(ctx, metav1.ListOptions{LabelSelector: owningGatewayName})
		if err != nil || len(left.Items) == 0 {
			return true, err
		}
		if left.Items[0].DeletionTimestamp != nil || time.Since(start) > controllerLimit {
			return true, nil // the rest is the cloud controller's
		}
		runs, err := hasSchedulableNode(ctx, client)
		p("waiting for service %s/%s to go", left.Items[0].Namespace, left.Items[0].Name)
		return !runs, err
	})
	if err != nil {
		return err
	}
	return deleteLoadBalancers(ctx, client, serviceSelector{label: owningGatewayName}, p)
}
