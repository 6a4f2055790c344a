package doctor

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// recently is how long a pod that works again is reminded of its last death.
const recently = time.Hour

// slow explains a pod that is on a node and not ready, or was not a moment ago.
func (e *Evidence) slow(f *Finding, pod *corev1.Pod) bool {
	switch {
	case pod.DeletionTimestamp != nil:
		return e.terminating(f, pod)
	case ready(pod):
		return e.diedLately(f, pod)
	case e.onBrokenNode(f, pod):
		return true
	}
	for _, c := range statuses(pod) {
		if end, _ := lastFailure(c); end != nil { // between a crash and its back-off
			f.Message = fmt.Sprintf("%s: container %s ended %d times, last with exit code %d", orElse(end.Reason, "Error"), c.Name, c.RestartCount+1, end.ExitCode)
			e.crashed(f, pod, c, end)
			return true
		}
		switch s := c.State; {
		case s.Waiting != nil && s.Waiting.Reason != "PodInitializing":
			return e.creating(f, pod)
		case s.Running != nil && isInit(pod, c.Name) && !sidecar(pod, c.Name):
			return e.loading(f, pod, c)
		}
	}
	if len(statuses(pod)) == 0 {
		return e.creating(f, pod)
	}
	return e.unready(f, pod)
}

// creating: the node has the pod, and its containers are not started.
func (e *Evidence) creating(f *Finding, pod *corev1.Pod) bool {
	f.Reason, f.What, f.Message = "ContainersNotCreated", "the kubelet has not started the containers", "ContainerCreating"
	f.Next = "large images take minutes: kubectl -n " + pod.Namespace + " describe pod " + pod.Name
	f.Severity = Warning
	v := e.event("Pod", pod.Namespace, pod.Name, "FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox", "NetworkNotReady")
	if v == nil {
		return true
	}
	f.Severity, f.Message = Error, v.Reason+": "+v.Message
	switch v.Reason {
	case "FailedCreatePodSandBox", "NetworkNotReady":
		f.Reason, f.What = "NoPodNetwork", "the pod gets no network"
		f.Next = "look at the pods of aws-node on " + pod.Spec.NodeName
		if says(v.Message, "failed to assign an IP address", "InsufficientFreeAddressesInSubnet") {
			f.What = "the node has no address left for the pod"
			f.Next = "the subnets are out of addresses, or the node has as many pods as it can: a larger network.cidr or instance type, or vpc-cni's prefix delegation"
		}
	default:
		f.Reason, f.What = "VolumeNotMounted", "a volume of the pod cannot be mounted"
		f.Next = e.mountNext(pod, v.Message)
	}
	return true
}

func (e *Evidence) mountNext(pod *corev1.Pod, words string) string {
	switch {
	case says(words, "secret \"", "configmap \""):
		return "make the Secret or ConfigMap in namespace " + pod.Namespace
	case says(words, "AccessDenied", "access denied", "Forbidden"):
		return "the driver's role lacks a right: 'aicluster up FILE' puts the roles of its drivers right"
	case says(words, "driver name", "not found in the list of registered CSI drivers"):
		return "the driver does not run on " + orElse(pod.Spec.NodeName, "the node") + ": see its add-on in 'aicluster status FILE', and whether its DaemonSet tolerates the node's taints"
	case says(words, "Multi-Attach"):
		return "an EBS volume is on one node at a time: wait until the old pod is gone, or use EFS for what several nodes read"
	case says(words, "mount.nfs", "timed out", "DeadlineExceeded"):
		return "for EFS: a mount target in each zone of the pool, whose security group takes TCP 2049 from the nodes"
	}
	return "read the driver's words; the claim: kubectl -n " + pod.Namespace + " describe pvc"
}

// loading: an init container works, such as one that copies a model. That is as
// it should be; only said when it takes much longer than weights do.
func (e *Evidence) loading(f *Finding, pod *corev1.Pod, c corev1.ContainerStatus) bool {
	const long = 30 * time.Minute
	since := c.State.Running.StartedAt.Time
	if e.Now.Sub(since) < long {
		return false
	}
	f.Reason, f.What, f.Severity = "SlowInit", fmt.Sprintf("init container %s has run for %s", c.Name, e.Now.Sub(since).Round(time.Minute)), Warning
	f.Message = fmt.Sprintf("Init: container %s runs since %s", c.Name, since.UTC().Format(time.RFC3339))
	f.Next = fmt.Sprintf("see how far it is: kubectl -n %s logs %s -c %s", pod.Namespace, pod.Name, c.Name)
	return true
}

// unready: the containers run, and the pod does not get ready.
func (e *Evidence) unready(f *Finding, pod *corev1.Pod) bool {
	f.Reason, f.What, f.Message = "NotReady", "the containers run, but are not ready", "ContainersNotReady"
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Message != "" {
			f.Message = orElse(c.Reason, "ContainersNotReady") + ": " + c.Message
		}
	}
	f.Next = "read the log: kubectl -n " + pod.Namespace + " logs " + pod.Name
	if name := service(pod.Labels); name != "" {
		f.Next = "read the log: aicluster logs " + name + " FILE"
	}
	v := e.event("Pod", pod.Namespace, pod.Name, "Unhealthy")
	if v == nil {
		return true
	}
	f.Message = v.Reason + ": " + v.Message
	switch {
	case strings.HasPrefix(v.Message, "Startup probe"):
		f.Reason, f.What, f.Severity = "Starting", "the start-up probe does not succeed yet", Warning
		f.Next = "vLLM takes minutes to load large weights; " + f.Next
	default:
		f.Reason, f.What = "ProbeFails", "the readiness probe fails"
		f.Next = "check the probe's path and port against what the container listens on; " + f.Next
	}
	return true
}

// killedByProbe: the kubelet ended a container whose start-up or liveness probe
// failed too often.
func (e *Evidence) killedByProbe(f *Finding, pod *corev1.Pod, container string) bool {
	v := e.event("Pod", pod.Namespace, pod.Name, "Killing")
	if v == nil || !strings.Contains(v.Message, "ontainer "+container+" failed ") {
		return false
	}
	c := spec(pod, container)
	probe, kind := c.LivenessProbe, "liveness"
	if strings.Contains(v.Message, "startup probe") {
		probe, kind = c.StartupProbe, "start-up"
	}
	f.Message += "; Killing: " + v.Message
	if why := e.event("Pod", pod.Namespace, pod.Name, "Unhealthy"); why != nil {
		f.Message += "; Unhealthy: " + why.Message
	}
	if kind == "start-up" {
		f.Reason, f.What = "StartupTooShort", "container "+container+" takes longer to start than its start-up probe lets it"
	} else {
		f.Reason, f.What = "LivenessFails", "the liveness probe of container "+container+" fails, and the kubelet starts it anew"
	}
	f.Next = "read what it did until then (logs --previous): still loading, or in trouble?"
	if probe != nil {
		f.Next += fmt.Sprintf(" If it was loading, %s", mend(pod,
			fmt.Sprintf("load faster (load: copy on NVMe) or give it more than the %s", budget(probe)), fmt.Sprintf("raise failureThreshold × periodSeconds of the %s probe (now %s)", kind, budget(probe))))
	}
	return true
}

// budget is how long a probe may fail before its container is killed.
func budget(p *corev1.Probe) time.Duration {
	period, failures := p.PeriodSeconds, p.FailureThreshold
	if period == 0 {
		period = 10 // Kubernetes' defaults
	}
	if failures == 0 {
		failures = 3
	}
	return time.Duration(p.InitialDelaySeconds+period*failures) * time.Second
}

// diedLately: it works again, but for want of memory it will die again.
func (e *Evidence) diedLately(f *Finding, pod *corev1.Pod) bool {
	for _, c := range statuses(pod) {
		end := c.LastTerminationState.Terminated
		if end == nil || end.Reason != "OOMKilled" || e.Now.Sub(end.FinishedAt.Time) > recently {
			continue
		}
		f.Message = fmt.Sprintf("OOMKilled: container %s ended %d times, last at %s", c.Name, c.RestartCount, end.FinishedAt.UTC().Format(time.RFC3339))
		crash{pod: pod, container: spec(pod, c.Name), end: end}.outOfMemory(f)
		f.Severity = Warning
		return true
	}
	return false
}

// onBrokenNode: a pod cannot be better than its node.
func (e *Evidence) onBrokenNode(f *Finding, pod *corev1.Pod) bool {
	for i := range e.Nodes {
		n := &e.Nodes[i]
		if n.Name != pod.Spec.NodeName {
			continue
		}
		ok, words := nodeReady(n)
		if ok {
			return false
		}
		f.Reason, f.What, f.Message = "NodeNotReady", "its node is not Ready", n.Name+": "+words
		f.Next = "see the finding about node " + n.Name + "; Kubernetes moves the pod after five minutes"
		return true
	}
	return false
}

// terminating: a pod that was deleted and does not go.
func (e *Evidence) terminating(f *Finding, pod *corev1.Pod) bool {
	if !e.late(pod.DeletionTimestamp.Time) { // it is the end of the grace period
		return false
	}
	f.Reason, f.What = "NotDeleted", "the pod was deleted and does not go"
	f.Message = "Terminating since " + pod.DeletionTimestamp.UTC().Format(time.RFC3339)
	f.Next = "if its node is gone for good: kubectl -n " + pod.Namespace + " delete pod " + pod.Name + " --force --grace-period=0"
	if len(pod.Finalizers) > 0 {
		f.Message += ", held by finalizers " + strings.Join(pod.Finalizers, ", ")
		f.Next = "look at the controller that set the finalizer"
	}
	f.Severity = Warning
	return true
}

func isInit(pod *corev1.Pod, name string) bool {
	for _, c := range pod.Spec.InitContainers {
		if c.Name == name {
			return true
		}
	}
	return false
}

// sidecar tells an init container that runs as long as the pod does.
func sidecar(pod *corev1.Pod, name string) bool {
	policy := spec(pod, name).RestartPolicy
	return policy != nil && *policy == corev1.ContainerRestartPolicyAlways
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
