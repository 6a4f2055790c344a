package doctor

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// workloads are controllers whose pods the API server refuses: by a quota, by the
// pod security of a namespace, by a webhook.
func (e *Evidence) workloads() []Finding {
	var out []Finding
	seen := map[string]bool{}
	for i := range e.ReplicaSets {
		rs := &e.ReplicaSets[i]
		for _, c := range rs.Status.Conditions {
			if c.Type != appsv1.ReplicaSetReplicaFailure || c.Status != corev1.ConditionTrue || !e.late(c.LastTransitionTime.Time) {
				continue
			}
			seen[resource("ReplicaSet", rs.Namespace, rs.Name)] = true
			f := refusal(rs.Namespace, c.Message)
			f.Resource = resource("replicaset", rs.Namespace, rs.Name)
			if owner := metav1.GetControllerOf(rs); owner != nil {
				f.Resource = resource(strings.ToLower(owner.Kind), rs.Namespace, owner.Name)
			}
			f.Message = c.Reason + ": " + c.Message
			out = append(out, f)
		}
	}
	for i := range e.Events {
		v := &e.Events[i]
		o := v.InvolvedObject
		key := resource(o.Kind, o.Namespace, o.Name)
		// The other controllers say it in events only. One that was not repeated lately is over.
		if v.Reason != "FailedCreate" || seen[key] || o.Kind == "ReplicaSet" || e.Now.Sub(eventTime(v)) > recently {
			continue
		}
		seen[key] = true
		f := refusal(o.Namespace, v.Message)
		f.Resource, f.Message = resource(strings.ToLower(o.Kind), o.Namespace, o.Name), v.Reason+": "+v.Message
		out = append(out, f)
	}
	return out
}

// refusal is why a pod may not be made.
func refusal(namespace, words string) Finding {
	f := Finding{Severity: Error, Reason: "PodRefused", What: "the API server refuses its pods", Next: "mend what the message names"}
	switch {
	case says(words, "exceeded quota", "must specify limits", "must specify requests"):
		f.Reason, f.What = "QuotaExceeded", "the namespace's ResourceQuota does not allow its pods"
		f.Next = "raise the quota, or lower requests or replicas: kubectl -n " + namespace + " describe resourcequota"
	case says(words, "violates PodSecurity"):
		f.Reason, f.What = "PodSecurity", "the namespace's pod security standard does not allow its pods"
		f.Next = "set what the message names in the pod's securityContext, or the namespace's label pod-security.kubernetes.io/enforce to a standard that allows it"
	case says(words, "maximum cpu usage", "maximum memory usage", "minimum cpu usage", "minimum memory usage"):
		f.Reason, f.What = "LimitRange", "the namespace's LimitRange does not allow its pods"
		f.Next = "change requests and limits, or the range: kubectl -n " + namespace + " describe limitrange"
	case says(words, "serviceaccount", "service account"):
		f.Reason, f.What, f.Next = "ServiceAccountMissing", "the pods' service account does not exist", "make it in namespace "+namespace
	case says(words, "failed calling webhook", "admission webhook"):
		f.Reason, f.What = "WebhookRefuses", "an admission webhook refuses its pods, or does not answer"
		f.Next = "see the webhook's own pods; kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations"
	}
	return f
}

// claimWaits explains a pod that waits for a volume claim.
func (e *Evidence) claimWaits(f *Finding, pod *corev1.Pod) bool {
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim == nil {
			continue
		}
		name := v.PersistentVolumeClaim.ClaimName
		at := slices.IndexFunc(e.Claims, func(c corev1.PersistentVolumeClaim) bool { return c.Namespace == pod.Namespace && c.Name == name })
		if at < 0 && says(f.Message, "persistentvolumeclaim", "not found") {
			f.Reason, f.What = "ClaimMissing", "the volume claim "+name+" does not exist"
			f.Next = "make it in namespace " + pod.Namespace + ", or correct the claim's name in " + workload(pod)
			return true
		}
		if at >= 0 && e.Claims[at].Status.Phase == corev1.ClaimPending && !e.waitsForPod(&e.Claims[at]) {
			f.Reason, f.What = "ClaimPending", "its volume claim "+name+" has no volume yet"
			f.Next = "see the finding about pvc " + name
			return true
		}
	}
	return false
}

// waitsForPod tells that a claim is bound once a node is chosen for its pod.
func (e *Evidence) waitsForPod(c *corev1.PersistentVolumeClaim) bool {
	v := e.event("PersistentVolumeClaim", c.Namespace, c.Name, "WaitForFirstConsumer", "WaitForPodScheduled", "ProvisioningFailed", "FailedBinding")
	return v != nil && (v.Reason == "WaitForFirstConsumer" || v.Reason == "WaitForPodScheduled")
}

// claims are volume claims that stay without a volume.
func (e *Evidence) claims() []Finding {
	var out []Finding
	for i := range e.Claims {
		c := &e.Claims[i]
		f := Finding{Resource: resource("pvc", c.Namespace, c.Name), Severity: Error}
		switch {
		case !e.late(c.CreationTimestamp.Time):
			continue
		case c.Status.Phase == corev1.ClaimLost:
			f.Reason, f.What = "ClaimLost", "the claim's volume is gone"
			f.Message, f.Next = "Lost: volume "+c.Spec.VolumeName+" does not exist any more", "delete the claim and make it again; what was in the volume is lost unless there is a snapshot"
		case c.Status.Phase == corev1.ClaimPending && !e.waitsForPod(c):
			e.unbound(&f, c)
		default:
			continue
		}
		out = append(out, f)
	}
	return out
}

func (e *Evidence) unbound(f *Finding, c *corev1.PersistentVolumeClaim) {
	f.Reason, f.What, f.Message = "ClaimPending", "the claim has no volume", "Pending"
	f.Next = "kubectl -n " + c.Namespace + " describe pvc " + c.Name
	v := e.event("PersistentVolumeClaim", c.Namespace, c.Name, "ProvisioningFailed", "FailedBinding", "ExternalProvisioning", "Provisioning")
	if v != nil {
		f.Message = v.Reason + ": " + v.Message
	}
	class := ""
	if c.Spec.StorageClassName != nil {
		class = *c.Spec.StorageClassName
	}
	var have []string
	known := false
	for _, s := range e.Classes {
		have = append(have, s.Name)
		known = known || s.Name == class
	}
	slices.Sort(have)
	switch {
	case class != "" && !known && len(e.Classes) > 0:
		f.Reason, f.What = "StorageClassMissing", "there is no storage class "+class
		f.Next = "name one that there is: " + listed(have)
	case c.Spec.StorageClassName == nil || class == "" && v != nil && v.Reason == "FailedBinding":
		f.Reason, f.What = "NoStorageClass", "the claim names no storage class, and there is no default one (EKS has none)"
		f.Next = "name one in spec.storageClassName" + suffix(have) + "; the add-on's configuration {defaultStorageClass: {enabled: true}} (addons.ebsCSIDriver) makes a default one"
	case v != nil && says(v.Message, "UnauthorizedOperation", "AccessDenied", "not authorized"):
		f.Next = "the driver's role lacks a right: 'aicluster up FILE' puts it right"
	case v != nil && v.Reason == "ExternalProvisioning":
		f.Next = "the driver has not answered: see its controller's pods in kube-system, and the add-on in 'aicluster status FILE'"
	}
}

func suffix(have []string) string {
	if len(have) == 0 {
		return ""
	}
	return " (" + listed(have) + ")"
}

// budgets are disruption budgets that allow no disruption although all pods are
// healthy: no drain ever ends, so that updates of nodes hang.
func (e *Evidence) budgets() []Finding {
	var out []Finding
	for i := range e.Budgets {
		b := &e.Budgets[i]
		s := b.Status
		if s.ExpectedPods == 0 || s.DisruptionsAllowed > 0 || s.CurrentHealthy < s.ExpectedPods || s.ObservedGeneration < b.Generation || !e.late(b.CreationTimestamp.Time) {
			continue
		}
		out = append(out, Finding{Resource: resource("pdb", b.Namespace, b.Name), Severity: Warning, Reason: "BlocksDrains",
			What:    "the disruption budget allows no pod to be evicted, so that no drain of their nodes ends",
			Message: fmt.Sprintf("disruptionsAllowed 0: %d of %d pods are healthy and %d must be", s.CurrentHealthy, s.ExpectedPods, s.DesiredHealthy),
			Next:    "one replica more, or maxUnavailable: 1; an update of nodes waits for it until EKS gives up (PodEvictionFailure)"})
	}
	return out
}

// scalers are autoscalers of pods that cannot work.
func (e *Evidence) scalers() []Finding {
	var out []Finding
	for i := range e.Scalers {
		h := &e.Scalers[i]
		for _, c := range h.Status.Conditions {
			if c.Status != corev1.ConditionFalse || c.Type == autoscalingv2.ScalingLimited || c.Reason == "ScalingDisabled" || !e.late(c.LastTransitionTime.Time) {
				continue
			}
			out = append(out, Finding{Resource: resource("hpa", h.Namespace, h.Name), Severity: Warning, Reason: "NotScaling",
				What: "the number of replicas does not follow the load", Message: c.Reason + ": " + c.Message,
				Next: "the metric is missing: see that its source runs (metrics-server, or Prometheus and its adapter: addons.kubePrometheusStack), and that a pod is ready that has it"})
			break
		}
	}
	return out
}
