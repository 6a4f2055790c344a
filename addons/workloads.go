package addons

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// volumeLimit bounds the wait for volumes to be detached and deleted.
const volumeLimit = 10 * time.Minute

// Removed is what [RemoveWorkloads] took away.
type Removed struct {
	LoadBalancers []string `json:"loadBalancers"` // namespace/service
	Volumes       []string `json:"volumes"`       // namespace/claim
}

// RemoveWorkloads deletes what users put on a cluster and what would outlive it
// in AWS: services of type LoadBalancer (whose network interfaces hold the
// subnets) and volume claims (whose EBS volumes would be nobody's). It is for
// the beginning of a teardown, while nodes, the EBS driver and the API server
// work. Volumes whose reclaim policy is Retain stay.
func RemoveWorkloads(ctx context.Context, cluster Cluster, p engine.Progress) (Removed, error) {
	var removed Removed
	if !cluster.Ready() {
		return removed, nil
	}
	id := cluster.ID()
	config, err := cluster.RESTConfig()
	if err != nil {
		return removed, cloud.Wrap(id, "connecting to the cluster", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return removed, cloud.Wrap(id, "connecting to the cluster", err)
	}
	return removeWorkloads(ctx, client, id, p)
}

func removeWorkloads(ctx context.Context, client kubernetes.Interface, id string, p engine.Progress) (removed Removed, err error) {
	services, err := client.CoreV1().Services("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return removed, unreachable(id, "listing the services", err)
	}
	for i := range services.Items {
		if svc := &services.Items[i]; (serviceSelector{}).picks(svc) {
			removed.LoadBalancers = append(removed.LoadBalancers, svc.Namespace+"/"+svc.Name)
		}
	}
	claims, err := client.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return removed, unreachable(id, "listing the volume claims", err)
	}
	for _, c := range claims.Items {
		removed.Volumes = append(removed.Volumes, c.Namespace+"/"+c.Name)
	}
	if err := deleteClaims(ctx, client); err != nil {
		return removed, cloud.Wrap(id, "deleting the volume claims", err)
	}
	if err := deleteLoadBalancers(ctx, client, serviceSelector{}, p); err != nil {
		return removed, cloud.Wrap(id, "removing the load balancers", err)
	}
	return removed, cloud.Wrap(id, "removing the volumes", waitVolumesGone(ctx, client, p))
}

// deleteClaims deletes every volume claim and the pods that hold one; a pod that
// its controller makes anew is not scheduled on a claim that is going. Sets that
// would make the claims anew go first.
func deleteClaims(ctx context.Context, client kubernetes.Interface) error {
	sets, err := client.AppsV1().StatefulSets("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, s := range sets.Items {
		if !makesClaims(&s) {
			continue
		}
		if err := client.AppsV1().StatefulSets(s.Namespace).Delete(ctx, s.Name, metav1.DeleteOptions{}); ignoreNotFound(err) != nil {
			return fmt.Errorf("stateful set %s/%s: %w", s.Namespace, s.Name, err)
		}
	}
	claims, err := client.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, c := range claims.Items {
		if err := client.CoreV1().PersistentVolumeClaims(c.Namespace).Delete(ctx, c.Name, metav1.DeleteOptions{}); ignoreNotFound(err) != nil {
			return fmt.Errorf("volume claim %s/%s: %w", c.Namespace, c.Name, err)
		}
	}
	if len(claims.Items) == 0 {
		return nil
	}
	pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, pod := range pods.Items {
		if !mountsClaim(&pod) {
			continue
		}
		if err := client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{}); ignoreNotFound(err) != nil {
			return fmt.Errorf("pod %s/%s: %w", pod.Namespace, pod.Name, err)
		}
	}
	return nil
}

func makesClaims(s *appsv1.StatefulSet) bool { return len(s.Spec.VolumeClaimTemplates) > 0 }

func mountsClaim(pod *corev1.Pod) bool {
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim != nil || v.Ephemeral != nil {
			return true
		}
	}
	return false
}

// waitVolumesGone waits until no volume is left that is deleted with its claim.
func waitVolumesGone(ctx context.Context, client kubernetes.Interface, p engine.Progress) error {
	start := time.Now()
	return cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		volumes, err := client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return true, err
		}
		var left []string
		for _, v := range volumes.Items {
			if v.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
				left = append(left, v.Name)
			}
		}
		if len(left) == 0 {
			return true, nil
		}
		if time.Since(start) > volumeLimit {
			return true, fmt.Errorf("volume %s is not deleted after %s", left[0], volumeLimit)
		}
		p("waiting for %d volume(s) to go: %s", len(left), left[0])
		return false, nil
	})
}
