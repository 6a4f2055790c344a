package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	kwok "sigs.k8s.io/kwok/pkg/kwok/controllers"

	"aicluster/e2e/localcloud/clock"
)

// cniDaemonSet is EKS's vpc-cni add-on: without its pod a node has no pod network.
const cniDaemonSet = "aws-node"

// defaultPodCIDR gives pods addresses on nodes that were added without a PodCIDR.
const defaultPodCIDR = "100.64.0.1/16"

// nodeLease is the kubelet's nodeLeaseDurationSeconds.
const nodeLease = 40

// byNode indexes pods by the node they are bound to.
const byNode = "node"

// kubelets plays the kubelets of all nodes. KWOK renews leases, starts,
// completes and deletes pods (stages.yaml). What one object alone does not tell
// KWOK is done here: a node is NotReady until its CNI pod runs, and on such a
// node only pods of the host's network get a sandbox. HTTP requests that the API
// server has for a kubelet (logs, exec) go to [kubeletAPI].
type kubelets struct {
	client  kubernetes.Interface
	dynamic dynamic.Interface
	stages  stages

	informers informers.SharedInformerFactory
	pods      cache.SharedIndexInformer
	nodes     cache.SharedIndexInformer
	queue     workqueue.TypedRateLimitingInterface[string] // names of nodes

	api     *kubeletAPI // nil where the API server would not find it
	clock   *clock.Clock
	network utilnet.DialFunc // to pods; nil: nothing is probed

	mu       sync.Mutex
	probings map[string]*probing // by pod and container
}

func newKubelets(admin *rest.Config, s settings) (*kubelets, error) {
	config := rest.CopyConfig(admin)
	config.QPS, config.Burst = 1000, 2000 // each kubelet would have a limit of its own
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	st, err := loadStages(s.clock)
	if err != nil {
		return nil, err
	}
	k := &kubelets{
		client:    client,
		dynamic:   dyn,
		stages:    st,
		clock:     s.clock,
		probings:  map[string]*probing{},
		informers: informers.NewSharedInformerFactory(client, 0),
		queue:     workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]()),
	}
	if s.networkURL != "" {
		k.network = s.dialCluster
	}
	k.pods = k.informers.Core().V1().Pods().Informer()
	k.nodes = k.informers.Core().V1().Nodes().Informer()
	if err := k.pods.AddIndexers(cache.Indexers{byNode: podNode}); err != nil {
		return nil, err
	}
	return k, nil
}

func podNode(obj any) ([]string, error) {
	pod, ok := obj.(*corev1.Pod)
	if !ok || pod.Spec.NodeName == "" {
		return nil, nil
	}
	return []string{pod.Spec.NodeName}, nil
}

// dial connects the API server to a kubelet. All kubelets are one server; which
// node's it is asked for does not matter, as the path names the pod.
func (k *kubelets) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return k.api.dial(ctx)
}

// run plays the kubelets until ctx ends.
func (k *kubelets) run(ctx context.Context) error {
	if err := k.startKWOK(ctx); err != nil {
		return err
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    k.enqueue,
		UpdateFunc: func(_, obj any) { k.enqueue(obj) },
		DeleteFunc: k.forgetAll,
	}
	for _, informer := range []cache.SharedIndexInformer{k.pods, k.nodes} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}
	k.informers.Start(ctx.Done())
	defer k.informers.Shutdown()
	if !cache.WaitForCacheSync(ctx.Done(), k.pods.HasSynced, k.nodes.HasSynced) {
		return ctx.Err()
	}

	group, ctx := errgroup.WithContext(ctx)
	if k.api != nil {
		group.Go(func() error { return k.api.serve(ctx) })
	}
	group.Go(func() error { k.work(ctx); return nil })
	return group.Wait()
}

func (k *kubelets) startKWOK(ctx context.Context) error {
	id, err := kwok.Identity()
	if err != nil {
		return err
	}
	c, err := kwok.NewController(kwok.Config{
		DynamicClient:             k.dynamic,
		RESTClient:                k.client.Discovery().RESTClient(),
		TypedClient:               k.client,
		ManageAllNodes:            true,
		CIDR:                      defaultPodCIDR,
		LocalStages:               k.stages,
		PodPlayStageParallelism:   4,
		NodePlayStageParallelism:  2,
		NodeLeaseDurationSeconds:  nodeLease,
		NodeLeaseParallelism:      4,
		PodsOnNodeSyncParallelism: 2,
		ID:                        id,
	})
	if err != nil {
		return err
	}
	return c.Start(ctx)
}

// enqueue asks for a look at the object's node.
func (k *kubelets) enqueue(obj any) {
	switch o := obj.(type) {
	case *corev1.Node:
		k.queue.Add(o.Name)
	case *corev1.Pod:
		if o.Spec.NodeName != "" {
			k.queue.Add(o.Spec.NodeName)
		}
	}
}

// work looks at the nodes that changed until ctx ends.
func (k *kubelets) work(ctx context.Context) {
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for {
				name, shutdown := k.queue.Get()
				if shutdown {
					return
				}
				if err := k.sync(ctx, name); err != nil && ctx.Err() == nil {
					klog.FromContext(ctx).Error(err, "kubelet", "node", name)
					k.queue.AddRateLimited(name)
				} else {
					k.queue.Forget(name)
				}
				k.queue.Done(name)
			}
		})
	}
	<-ctx.Done()
	k.queue.ShutDown()
	workers.Wait()
}

// sync does what a node's kubelet would do about the pods bound to it.
func (k *kubelets) sync(ctx context.Context, name string) error {
	obj, ok, err := k.nodes.GetStore().GetByKey(name)
	if !ok || err != nil {
		return err // the node is gone
	}
	node := obj.(*corev1.Node)
	ready, broken := nodeReady(node), node.Annotations[neverReady] != ""
	pods, err := k.pods.GetIndexer().ByIndex(byNode, name)
	if err != nil {
		return err
	}
	for _, obj := range pods {
		pod := obj.(*corev1.Pod)
		if !ready && !broken && isCNI(pod) && podReady(pod) {
			if err := k.markReady(ctx, name); err != nil {
				return err
			}
			ready = true
		}
	}
	for _, obj := range pods {
		pod := obj.(*corev1.Pod)
		if !ready && !pod.Spec.HostNetwork {
			continue
		}
		again, busy, err := k.meet(ctx, pod)
		if err != nil {
			return err
		}
		if again > 0 {
			k.queue.AddAfter(name, again)
		}
		if !busy && waitsForSandbox(pod) && !Judged(pod) {
			if err := k.admit(ctx, pod); err != nil {
				return err
			}
		}
		if busy {
			continue
		}
		if again, err = k.probe(ctx, pod); err != nil {
			return err
		}
		if again > 0 {
			k.queue.AddAfter(name, again)
		}
	}
	return nil
}

// markReady posts what a kubelet posts once the runtime's network is ready.
func (k *kubelets) markReady(ctx context.Context, node string) error {
	return k.patchStatus(ctx, k.client.CoreV1().RESTClient().Patch(types.StrategicMergePatchType).Resource("nodes").Name(node),
		"", map[string]any{"conditions": []corev1.NodeCondition{readyCondition(metav1.Now())}})
}

// admit posts what a kubelet posts when a pod's sandbox and its network are
// there and the images are being pulled. KWOK's pod-start stage goes on from here.
func (k *kubelets) admit(ctx context.Context, pod *corev1.Pod) error {
	now := metav1.Now()
	conditions := []corev1.PodCondition{
		{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue, LastTransitionTime: now},
		{Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "ContainersNotReady", LastTransitionTime: now},
		{Type: corev1.ContainersReady, Status: corev1.ConditionFalse, Reason: "ContainersNotReady", LastTransitionTime: now},
	}
	initialized := corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionTrue, LastTransitionTime: now}
	if Judged(pod) { // it was in trouble, and goes on where that kept it
		initialized.Status = corev1.ConditionFalse
	}
	conditions = append(conditions, initialized)
	var containers []corev1.ContainerStatus
	for _, c := range pod.Spec.Containers {
		s := corev1.ContainerStatus{
			Name:  c.Name,
			Image: c.Image,
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}},
		}
		if k.network != nil && Proven(&c) {
			s.Started = new(false) // tells pod-start that it is not ready yet
		}
		containers = append(containers, s)
	}
	return k.patchStatus(ctx, k.client.CoreV1().RESTClient().Patch(types.StrategicMergePatchType).
		Namespace(pod.Namespace).Resource("pods").Name(pod.Name),
		pod.ResourceVersion, map[string]any{"phase": corev1.PodPending, "startTime": now, "conditions": conditions, "containerStatuses": containers})
}

// patchStatus merges a status into an object, if it is still as it was at
// version; an empty version takes it as it is. An object that is gone is no
// error, nor one that has changed: its change brings it here again.
func (k *kubelets) patchStatus(ctx context.Context, r *rest.Request, version string, status map[string]any) error {
	patch := map[string]any{"status": status}
	if version != "" {
		patch["metadata"] = map[string]any{"resourceVersion": version}
	}
	body, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	err = r.SubResource("status").Body(body).Do(ctx).Error()
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("status of %s: %w", r.URL().Path, err)
	}
	return nil
}

// readyCondition is the Ready condition of a node whose network is ready.
func readyCondition(now metav1.Time) corev1.NodeCondition {
	return corev1.NodeCondition{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady",
		Message:           "kubelet is posting ready status",
		LastHeartbeatTime: now, LastTransitionTime: now,
	}
}

func nodeReady(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func podCondition(pod *corev1.Pod, kind corev1.PodConditionType) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == kind {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func podReady(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && podCondition(pod, corev1.PodReady)
}

func waitsForSandbox(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodPending &&
		!podCondition(pod, corev1.PodReadyToStartContainers)
}

func isCNI(pod *corev1.Pod) bool {
	owner := metav1.GetControllerOf(pod)
	return pod.Namespace == metav1.NamespaceSystem && owner != nil && owner.Kind == "DaemonSet" && owner.Name == cniDaemonSet
}
