package doctor

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"aicluster/blueprints"
	"aicluster/blueprints/instancetypes"
)

// nodes are those that are not as they should be: not Ready, under pressure, or
// with fewer GPUs than their instance type has.
func (e *Evidence) nodes() []Finding {
	var out []Finding
	for i := range e.Nodes {
		n := &e.Nodes[i]
		f := Finding{Resource: "node/" + n.Name, Severity: Error}
		switch ok, words := nodeReady(n); {
		case !e.late(notReadySince(n)):
			continue
		case !ok:
			f.Reason, f.What, f.Message = "NodeNotReady", "the node is not Ready", words
			f.Next = notReadyNext(words, n)
		case e.lacksGPUs(&f, n), e.pressed(&f, n):
		default:
			continue
		}
		if pool := blueprints.PoolOf(n.Labels); pool != "" {
			f.What += " (pool " + pool + ")"
		}
		out = append(out, f)
	}
	return out
}

func notReadyNext(words string, n *corev1.Node) string {
	replace := "if it stays so, replace it: aws ec2 terminate-instances --instance-ids " + instanceID(n) + " (its node group makes another)"
	switch {
	case says(words, "cni plugin not initialized", "NetworkPluginNotReady"):
		return "the VPC CNI does not run there: see the pod aws-node of the node and the add-on vpc-cni; " + replace
	case says(words, "Kubelet stopped posting node status"):
		return "the instance is gone, out of memory or cut off: see it in EC2; " + replace
	}
	return replace
}

// instanceID is what EC2 calls the node: the end of aws:///ZONE/i-….
func instanceID(n *corev1.Node) string {
	return orElse(n.Spec.ProviderID[strings.LastIndexByte(n.Spec.ProviderID, '/')+1:], n.Name)
}

func (e *Evidence) lacksGPUs(f *Finding, n *corev1.Node) bool {
	info, ok := instancetypes.Lookup(n.Labels[corev1.LabelInstanceTypeStable])
	have := n.Status.Allocatable[GPU]
	if !ok || int64(info.GPUs) <= have.Value() {
		return false
	}
	f.Reason, f.What = "GPUsNotOffered", fmt.Sprintf("Kubernetes can hand out %d of the node's %s", have.Value(), count(int64(info.GPUs), "GPU"))
	f.Message = orElse(e.GPUs[n.Name], "the device plugin has not reported them")
	f.Next = "mend what it names; 'aicluster verify FILE' proves the GPUs again"
	if have.Value() > 0 {
		f.Next = "replace the node: aws ec2 terminate-instances --instance-ids " + instanceID(n) + " (its node group makes another)"
	}
	return true
}

// pressed: the kubelet evicts pods, or will.
func (e *Evidence) pressed(f *Finding, n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Status != corev1.ConditionTrue || !strings.HasSuffix(string(c.Type), "Pressure") {
			continue
		}
		f.Reason, f.What, f.Severity = string(c.Type), "the node is short of something and evicts pods", Warning
		f.Message = c.Reason + ": " + c.Message
		f.Next = "give pods requests as large as their use, or the pool a larger type or disk"
		return true
	}
	return false
}

// nodeReady tells whether a node is Ready, and if not the kubelet's words.
func nodeReady(n *corev1.Node) (bool, string) {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue, strings.TrimSuffix(c.Reason+": "+c.Message, ": ")
		}
	}
	return false, "the kubelet has not reported yet"
}

func notReadySince(n *corev1.Node) time.Time {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady && !c.LastTransitionTime.IsZero() {
			return c.LastTransitionTime.Time
		}
	}
	return n.CreationTimestamp.Time
}

// pools are those of which AWS says that something is wrong.
func (e *Evidence) pools() []Finding {
	var out []Finding
	for _, p := range e.Pools {
		f := Finding{Resource: "nodepool/" + p.Name, Severity: Error}
		switch {
		case p.Failure != nil:
			f.Reason, f.What = "NodesDoNotStart", "the pool does not get the nodes that it is to have"
			f.Message, f.Next = awsWords(p.Failure), orElse(awsHint(p.Failure), "mend what AWS names")
		case len(p.Issues) > 0:
			f.Reason, f.What = "PoolUnhealthy", "EKS reports the node group as "+orElse(p.Status, "unhealthy")
			f.Message, f.Next = strings.Join(p.Issues, "; "), "mend what EKS names, then run 'aicluster up FILE'"
		default:
			continue
		}
		out = append(out, f)
	}
	return out
}
