package eks

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	ktypes "k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/e2e/localcloud/ec2"
)

// drainTimeout is how long EKS tries to evict the pods of a node
// (https://docs.aws.amazon.com/eks/latest/userguide/managed-node-update-behavior.html).
const drainTimeout = 15 * time.Minute

// nodeOf finds the cluster, node group and node of an instance; s.mu is held.
func (s *Service) nodeOf(region, instanceID string) (*cluster, *nodegroup, string) {
	for key, c := range s.clusters {
		if name, ok := c.nodes[instanceID]; ok && key.region == region {
			for _, n := range c.nodegroups {
				if n.joined[instanceID] {
					return c, n, name
				}
			}
			return c, nil, name
		}
	}
	return nil, nil, ""
}

// drainInstance is EKS's hook on the termination of an instance: cordon, evict
// with respect for disruption budgets, and give up in the end.
func (s *Service) drainInstance(ctx context.Context, region, _, instanceID string) {
	s.mu.Lock()
	c, n, name := s.nodeOf(region, instanceID)
	if c == nil || n == nil || c.plane == nil { // a node of no node group is not EKS's to drain
		s.mu.Unlock()
		return
	}
	client, until := c.plane.Client(), c.ctx
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, s.patience(drainTimeout))
	defer cancel()
	defer context.AfterFunc(until, cancel)()
	cordon := []byte(`{"spec":{"unschedulable":true}}`)
	if _, err := client.CoreV1().Nodes().Patch(ctx, name, ktypes.StrategicMergePatchType, cordon, metav1.PatchOptions{}); err != nil {
		return // no such node: nothing to drain
	}
	for ctx.Err() == nil {
		if left, err := evict(ctx, client, name); err == nil && left == 0 {
			return
		}
		if !s.pause(ctx, 5*time.Second) {
			return
		}
	}
}

// evict asks for the eviction of all pods but those of DaemonSets and static
// ones, and counts those that are there still.
func evict(ctx context.Context, client kubernetes.Interface, node string) (int, error) {
	pods, err := client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String(),
	})
	if err != nil {
		return 0, err
	}
	left := 0
	for _, p := range pods.Items {
		owner := metav1.GetControllerOf(&p)
		_, static := p.Annotations[corev1.MirrorPodAnnotationKey]
		if static || owner != nil && owner.Kind == "DaemonSet" || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		left++
		if p.DeletionTimestamp == nil {
			// A refusal (429) is a disruption budget: asked again in the next round.
			_ = client.PolicyV1().Evictions(p.Namespace).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace}})
		}
	}
	return left, nil
}

// instanceTerminated removes the node of an instance that is gone. When its
// node group is being deleted, no CNI is left to clean up the interface that it
// had for pods: it stays behind, "available", as the VPC CNI's issue tracker
// knows it (amazon-vpc-cni-k8s#608, #1223).
func (s *Service) instanceTerminated(region, instanceID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, n, name := s.nodeOf(region, instanceID)
	if c == nil {
		return
	}
	delete(c.nodes, instanceID)
	plane, group, clusterName := c.plane, c.group, c.key.name
	leaves := n != nil && n.data.Status == types.NodegroupStatusDeleting
	if plane == nil || c.ctx.Err() != nil {
		return
	}
	c.work.Go(func() {
		if in, ok := s.opts.EC2.Instance(region, instanceID); ok && leaves && s.hasCNI(c.ctx, plane.Client()) {
			// No address left in the subnet is no reason to keep the node.
			_, _ = s.opts.EC2.CreateInterface(region, ec2.InterfaceSpec{
				SubnetID: in.SubnetID, Groups: []string{group}, Description: "aws-K8S-" + instanceID, Unmanaged: true,
				Tags: map[string]string{
					"cluster.k8s.amazonaws.com/name": clusterName, "node.k8s.amazonaws.com/instance_id": instanceID,
					"eks:eni:owner": "amazon-vpc-cni", "node.k8s.amazonaws.com/createdAt": now().Format(time.RFC3339),
				},
			})
		}
		for c.ctx.Err() == nil {
			if err := plane.RemoveNode(c.ctx, name); err == nil || !s.pause(c.ctx, 5*time.Second) {
				return
			}
		}
	})
}

func (s *Service) hasCNI(ctx context.Context, client kubernetes.Interface) bool {
	_, err := client.AppsV1().DaemonSets("kube-system").Get(ctx, "aws-node", metav1.GetOptions{})
	return err == nil
}
