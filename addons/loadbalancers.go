package addons

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// loadBalancerLimit is how long AWS may take to remove load balancers; eksctl
// waits as long.
const loadBalancerLimit = 10 * time.Minute

// releaseAnnotation is what Helm puts on every object of a release.
const releaseAnnotation = "meta.helm.sh/release-name"

// serviceSelector picks services; empty fields pick all.
type serviceSelector struct{ namespace, release, label string }

func (s serviceSelector) picks(svc *corev1.Service) bool {
	_, labelled := svc.Labels[s.label]
	return svc.Spec.Type == corev1.ServiceTypeLoadBalancer && (s.release == "" || svc.Annotations[releaseAnnotation] == s.release) && (s.label == "" || labelled)
}

// deleteLoadBalancers deletes services of type LoadBalancer and waits until
// they are gone: a finalizer holds each until its load balancer is. One that
// stays would hold the subnets when the network is to be deleted.
func deleteLoadBalancers(ctx context.Context, client kubernetes.Interface, which serviceSelector, p engine.Progress) error {
	start := time.Now()
	asked := map[string]bool{} // one that is made anew is another
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		list, err := client.CoreV1().Services(which.namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return true, err
		}
		var left []string
		for i := range list.Items {
			svc := &list.Items[i]
			if !which.picks(svc) {
				continue
			}
			name := svc.Namespace + "/" + svc.Name
			left = append(left, name)
			if asked[name+string(svc.UID)] {
				continue
			}
			if err := client.CoreV1().Services(svc.Namespace).Delete(ctx, svc.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				return true, fmt.Errorf("deleting service %s: %w", name, err)
			}
			asked[name+string(svc.UID)] = true
		}
		if len(left) == 0 {
			return true, nil
		}
		if time.Since(start) > loadBalancerLimit {
			return true, fmt.Errorf("the load balancer of service %s is not removed after %s", left[0], loadBalancerLimit)
		}
		p("waiting for %s to go: %s", plural(len(left), "load balancer"), left[0])
		return false, nil
	})
}
