package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// Node is an instance that joins the cluster.
type Node struct {
	Name         string // the private DNS name: ip-10-0-1-23.ap-northeast-2.compute.internal
	ProviderID   string // aws:///ap-northeast-2a/i-0123456789abcdef0
	InstanceType string
	Zone, Region string
	Arch         string // amd64, the default, or arm64
	Labels       map[string]string
	Taints       []corev1.Taint
	Capacity     corev1.ResourceList
	Allocatable  corev1.ResourceList // nil: as Capacity
	PodCIDR      string              // addresses for pods; empty: from a range shared by all nodes
	InternalIP   string
	NeverReady   bool     // its kubelet finds no network, whatever runs
	PCIVendors   []string // vendor ids of its PCI devices, such as 10de, for node feature discovery
}

// AddNode registers a node as its kubelet would: NotReady until the CNI runs on
// it. It waits for nothing. A node of that name that exists already is an error.
func (c *ControlPlane) AddNode(ctx context.Context, n Node) error {
	r, err := release(c.opts.Version)
	if err != nil {
		return err
	}
	if _, err := c.client.CoreV1().Nodes().Create(ctx, n.object(r), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("add node %s: %w", n.Name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[n.Name] = n
	return nil
}

// Node returns what [ControlPlane.AddNode] was given for a node that has not been removed.
func (c *ControlPlane) Node(name string) (Node, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.nodes[name]
	return n, ok
}

// RemoveNode does what happens in EKS when an instance is gone: the cloud
// controller deletes the Node, and the pod garbage collector its pods. The latter
// takes up to a minute there and is immediate here. A node that does not exist is
// no error.
func (c *ControlPlane) RemoveNode(ctx context.Context, name string) error {
	err := c.client.CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("remove node %s: %w", name, err)
	}
	c.mu.Lock()
	delete(c.nodes, name)
	c.mu.Unlock()

	pods, err := c.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", name).String(),
	})
	if err != nil {
		return fmt.Errorf("pods of node %s: %w", name, err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range pods.Items {
		group.Go(func() error { return c.collectPod(ctx, &pods.Items[i]) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("pods of node %s: %w", name, err)
	}
	return nil
}

// collectPod ends a pod whose node is gone as the pod garbage collector does: it
// has failed, with the condition that lets a Job's policy tell this from a fault.
func (c *ControlPlane) collectPod(ctx context.Context, pod *corev1.Pod) error {
	api := c.client.CoreV1().Pods(pod.Namespace)
	var failed error
	if pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
		pod.Status.Phase = corev1.PodFailed
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "DeletionByPodGC",
			Message: "PodGC: node no longer exists", LastTransitionTime: metav1.Now(),
		})
		if _, err := api.UpdateStatus(ctx, pod, metav1.UpdateOptions{}); !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			failed = err
		}
	}
	err := api.Delete(ctx, pod.Name, *metav1.NewDeleteOptions(0))
	if apierrors.IsNotFound(err) {
		err = nil
	}
	return errors.Join(failed, err)
}

// neverReady marks a node whose kubelet never finds its network ready: the
// played kubelets, in a process of their own, know no more of it than its object.
const neverReady = "localcloud/never-ready"

// The AL2023 image of EKS as of mid 2026.
const (
	osImage          = "Amazon Linux 2023.11.20260817"
	containerRuntime = "containerd://2.2.3"
	kubeletPort      = 10250
)

// kernelOf is the kernel of EKS's AL2023 images for a Kubernetes version.
func kernelOf(minor string) string {
	switch minor {
	case "1.31", "1.32":
		return "6.1.182-224.314.amzn2023"
	case "1.33", "1.34", "1.35":
		return "6.12.94-123.180.amzn2023"
	default:
		return "6.18.41-58.127.amzn2023"
	}
}

// object is the Node as a kubelet registers it.
func (n Node) object(r Release) *corev1.Node {
	arch, machine := "amd64", "x86_64"
	if n.Arch == "arm64" {
		arch, machine = "arm64", "aarch64"
	}
	labels := map[string]string{
		corev1.LabelHostname:           n.Name,
		corev1.LabelOSStable:           "linux",
		corev1.LabelArchStable:         arch,
		"beta.kubernetes.io/os":        "linux",
		"beta.kubernetes.io/arch":      arch,
		corev1.LabelInstanceTypeStable: n.InstanceType,
		corev1.LabelInstanceType:       n.InstanceType,
		corev1.LabelTopologyZone:       n.Zone,
		corev1.LabelTopologyRegion:     n.Region,
		"k8s.io/cloud-provider-aws":    "b2b1a3bd3a1b0ad9d3ec9b4aa0aee6d9",
	}
	maps.Copy(labels, n.Labels)
	allocatable := n.Allocatable
	if allocatable == nil {
		allocatable = n.Capacity
	}
	node := &corev1.Node{
		// As kubelets do: the attach/detach controller leaves nodes without it alone.
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: labels, Annotations: map[string]string{"volumes.kubernetes.io/controller-managed-attach-detach": "true"}},
		Spec:       corev1.NodeSpec{ProviderID: n.ProviderID, Taints: n.Taints},
		Status: corev1.NodeStatus{
			Capacity:        n.Capacity.DeepCopy(),
			Allocatable:     allocatable.DeepCopy(),
			Conditions:      firstConditions(metav1.NewTime(time.Now())),
			Addresses:       n.addresses(),
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: kubeletPort}},
			NodeInfo: corev1.NodeSystemInfo{
				Architecture:            arch,
				OperatingSystem:         "linux",
				OSImage:                 osImage,
				KernelVersion:           kernelOf(r.Minor) + "." + machine,
				ContainerRuntimeVersion: containerRuntime,
				KubeletVersion:          r.GitVersion(),
				KubeProxyVersion:        "",
			},
		},
	}
	if n.NeverReady {
		node.Annotations = map[string]string{neverReady: "true"}
	}
	if n.PodCIDR != "" {
		node.Spec.PodCIDR, node.Spec.PodCIDRs = n.PodCIDR, []string{n.PodCIDR}
	}
	return node
}

func (n Node) addresses() []corev1.NodeAddress {
	out := []corev1.NodeAddress{
		{Type: corev1.NodeHostName, Address: n.Name},
		{Type: corev1.NodeInternalDNS, Address: n.Name},
	}
	if n.InternalIP != "" {
		out = append(out, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: n.InternalIP})
	}
	return out
}

// firstConditions are what a kubelet posts before any CNI plugin is there.
func firstConditions(now metav1.Time) []corev1.NodeCondition {
	out := []corev1.NodeCondition{
		{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientMemory", Message: "kubelet has sufficient memory available"},
		{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasNoDiskPressure", Message: "kubelet has no disk pressure"},
		{Type: corev1.NodePIDPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientPID", Message: "kubelet has sufficient PID available"},
		{Type: corev1.NodeReady, Status: corev1.ConditionFalse, Reason: "KubeletNotReady",
			Message: "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized"},
	}
	for i := range out {
		out[i].LastHeartbeatTime, out[i].LastTransitionTime = now, now
	}
	return out
}
