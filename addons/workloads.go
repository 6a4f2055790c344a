package addons

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// volumeLimit bounds the wait for volumes to be detached and deleted.
const volumeLimit = 10 * time.Minute

// Workloads is what users put on a cluster and what would outlive it in AWS:
// services of type LoadBalancer, whose network interfaces hold the subnets, the
// Gateways for which a controller makes such services, and volume claims, whose EBS volumes would be nobody's. Disruption budgets are
// among them, since they keep nodes from being drained (eksctl #4416). Up leaves
// them alone; teardown deletes them while nodes, the EBS driver and the API server
// still work. Volumes whose reclaim policy is Retain stay.
type Workloads struct {
	cluster Cluster
	needs   []engine.Resource
	found   workloads
}

// workloads names what was found, as namespace/name.
type workloads struct{ gateways, loadBalancers, claims, budgets []string }

func (w workloads) none() bool {
	return len(w.gateways)+len(w.loadBalancers)+len(w.claims)+len(w.budgets) == 0
}

func (w workloads) String() string {
	var parts []string
	if len(w.gateways) > 0 {
		parts = append(parts, "gateways "+strings.Join(w.gateways, ", "))
	}
	if len(w.loadBalancers) > 0 {
		parts = append(parts, "load balancers of "+strings.Join(w.loadBalancers, ", "))
	}
	if len(w.claims) > 0 {
		parts = append(parts, "volumes of "+strings.Join(w.claims, ", "))
	}
	if len(w.budgets) > 0 {
		parts = append(parts, "disruption budgets "+strings.Join(w.budgets, ", "))
	}
	return strings.Join(parts, "; ")
}

// NewWorkloads makes the resource "workloads/<cluster>". It needs the cluster
// and, in needs, what must still run when the workloads go.
func NewWorkloads(cluster Cluster, needs ...engine.Resource) *Workloads {
	return &Workloads{cluster: cluster, needs: append([]engine.Resource{cluster}, needs...)}
}

// ID implements engine.Resource.
func (w *Workloads) ID() string { return "workloads/" + w.cluster.Name() }

// Needs implements engine.Resource.
func (w *Workloads) Needs() []engine.Resource { return w.needs }

// Container implements engine.Inner.
func (w *Workloads) Container() engine.Resource { return w.cluster }

// Unwanted implements engine.Unwanted: when there are none, none are to be made;
// those that exist stay until teardown.
func (w *Workloads) Unwanted() bool { return w.found.none() }

// Observe implements engine.Resource.
func (w *Workloads) Observe(ctx context.Context) (engine.Observation, error) {
	w.found = workloads{}
	if !w.cluster.Ready() {
		return engine.Observation{}, nil
	}
	client, dyn, err := w.clients()
	if err != nil {
		return engine.Observation{}, err
	}
	if w.found, err = findWorkloads(ctx, client, dyn, w.ID()); err != nil {
		return engine.Observation{}, err
	}
	return engine.Observation{Exists: !w.found.none(), Detail: w.found.String()}, nil
}

// Apply implements engine.Resource; there is nothing to make.
func (w *Workloads) Apply(context.Context, engine.Progress) error { return nil }

// Delete implements engine.Resource.
func (w *Workloads) Delete(ctx context.Context, p engine.Progress) error {
	client, dyn, err := w.clients()
	if err != nil {
		return err
	}
	return removeWorkloads(ctx, client, dyn, w.ID(), p)
}

func (w *Workloads) clients() (kubernetes.Interface, dynamic.Interface, error) {
	config, err := w.cluster.RESTConfig()
	if err != nil {
		return nil, nil, cloud.Wrap(w.ID(), "connecting to the cluster", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, nil, cloud.Wrap(w.ID(), "connecting to the cluster", err)
	}
	dyn, err := dynamic.NewForConfig(config)
	return client, dyn, cloud.Wrap(w.ID(), "connecting to the cluster", err)
}

func findWorkloads(ctx context.Context, client kubernetes.Interface, dyn dynamic.Interface, id string) (found workloads, err error) {
	doors, err := gateways(ctx, dyn)
	if err != nil {
		return found, unreachable(id, "listing the gateways", err)
	}
	for _, g := range doors {
		found.gateways = append(found.gateways, g.GetNamespace()+"/"+g.GetName())
	}
	services, err := client.CoreV1().Services("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return found, unreachable(id, "listing the services", err)
	}
	for i := range services.Items {
		if svc := &services.Items[i]; (serviceSelector{}).picks(svc) {
			found.loadBalancers = append(found.loadBalancers, svc.Namespace+"/"+svc.Name)
		}
	}
	claims, err := client.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return found, unreachable(id, "listing the volume claims", err)
	}
	for _, c := range claims.Items {
		if ours(&c) {
			continue
		}
		found.claims = append(found.claims, c.Namespace+"/"+c.Name)
	}
	budgets, err := usersBudgets(ctx, client)
	if err != nil {
		return found, unreachable(id, "listing the disruption budgets", err)
	}
	for _, b := range budgets {
		found.budgets = append(found.budgets, b.Namespace+"/"+b.Name)
	}
	return found, nil
}

// usersBudgets lists the disruption budgets that nothing of ours takes away:
// those of charts, of EKS's add-ons and of services go with them.
func usersBudgets(ctx context.Context, client kubernetes.Interface) ([]policyv1.PodDisruptionBudget, error) {
	list, err := client.PolicyV1().PodDisruptionBudgets("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Items, func(b policyv1.PodDisruptionBudget) bool {
		return b.Namespace == metav1.NamespaceSystem || b.Annotations[releaseAnnotation] != "" || ours(&b)
	}), nil
}

// ours tells that an object is a service's of the blueprint, which goes with it.
func ours(o metav1.Object) bool {
	return o.GetLabels()["app.kubernetes.io/managed-by"] == "aicluster" && o.GetLabels()[cloud.TagCluster] != ""
}

func removeWorkloads(ctx context.Context, client kubernetes.Interface, dyn dynamic.Interface, id string, p engine.Progress) error {
	if err := deleteBudgets(ctx, client); err != nil {
		return cloud.Wrap(id, "deleting the disruption budgets", err)
	}
	if err := deleteClaims(ctx, client, dyn); err != nil {
		return cloud.Wrap(id, "deleting the volume claims", err)
	}
	if err := deleteGateways(ctx, client, dyn, p); err != nil {
		return cloud.Wrap(id, "removing the gateways", err)
	}
	if err := deleteLoadBalancers(ctx, client, serviceSelector{}, p); err != nil {
		return cloud.Wrap(id, "removing the load balancers", err)
	}
	return cloud.Wrap(id, "removing the volumes", waitVolumesGone(ctx, client, p))
}

func deleteBudgets(ctx context.Context, client kubernetes.Interface) error {
	budgets, err := usersBudgets(ctx, client)
	if err != nil {
		return err
	}
	for _, b := range budgets {
		if err := client.PolicyV1().PodDisruptionBudgets(b.Namespace).Delete(ctx, b.Name, metav1.DeleteOptions{}); ignoreNotFound(err) != nil {
			return fmt.Errorf("disruption budget %s/%s: %w", b.Namespace, b.Name, err)
		}
	}
	return nil
}

// deleteClaims deletes every volume claim but those of services, and the pods that
// hold one; a pod that its controller makes anew is not scheduled on a claim that is
// going. Sets that would make the claims anew go first.
func deleteClaims(ctx context.Context, client kubernetes.Interface, dyn dynamic.Interface) error {
	sets, err := client.AppsV1().StatefulSets("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, s := range sets.Items {
		if !makesClaims(&s) {
			continue
		}
		if err := deleteController(ctx, client.Discovery(), dyn, &s); err != nil {
			return fmt.Errorf("what keeps stateful set %s/%s: %w", s.Namespace, s.Name, err)
		}
		if err := client.AppsV1().StatefulSets(s.Namespace).Delete(ctx, s.Name, metav1.DeleteOptions{}); ignoreNotFound(err) != nil {
			return fmt.Errorf("stateful set %s/%s: %w", s.Namespace, s.Name, err)
		}
	}
	claims, err := client.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	theirs := slices.DeleteFunc(claims.Items, func(c corev1.PersistentVolumeClaim) bool { return ours(&c) })
	for _, c := range theirs {
		if err := client.CoreV1().PersistentVolumeClaims(c.Namespace).Delete(ctx, c.Name, metav1.DeleteOptions{}); ignoreNotFound(err) != nil {
			return fmt.Errorf("volume claim %s/%s: %w", c.Namespace, c.Name, err)
		}
	}
	if len(theirs) == 0 {
		return nil
	}
	pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, pod := range pods.Items {
		if !mountsClaim(&pod) || ours(&pod) {
			continue
		}
		if err := client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{}); ignoreNotFound(err) != nil {
			return fmt.Errorf("pod %s/%s: %w", pod.Namespace, pod.Name, err)
		}
	}
	return nil
}

// deleteController deletes the object that an operator keeps a set for, such as a
// Prometheus: the operator would make the set anew, and the set its claims.
func deleteController(ctx context.Context, kinds discovery.DiscoveryInterface, dyn dynamic.Interface, s *appsv1.StatefulSet) error {
	owner := metav1.GetControllerOf(s)
	if owner == nil {
		return nil
	}
	version, err := schema.ParseGroupVersion(owner.APIVersion)
	if err != nil {
		return err
	}
	known, err := kinds.ServerResourcesForGroupVersion(owner.APIVersion)
	if err != nil {
		return ignoreNotFound(err) // its kind is gone, and it with that
	}
	for _, r := range known.APIResources {
		if r.Kind == owner.Kind && !strings.Contains(r.Name, "/") {
			err := dyn.Resource(version.WithResource(r.Name)).Namespace(s.Namespace).Delete(ctx, owner.Name, metav1.DeleteOptions{})
			return ignoreNotFound(err)
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
// Where no node can run the driver that deletes them, that is left to [Volume].
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
		if runs, err := hasSchedulableNode(ctx, client); err != nil || !runs {
			p("%s left to be deleted after the nodes: no node can run the driver", plural(len(left), "volume"))
			return true, err
		}
		p("waiting for %s to go: %s", plural(len(left), "volume"), left[0])
		return false, nil
	})
}
