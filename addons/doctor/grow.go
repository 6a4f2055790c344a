package doctor

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"aicluster/provision/cloud"
)

// Words of the two autoscalers for pods that wait: the reasons of the Cluster
// Autoscaler's events (kubernetes/autoscaler, processors/status/eventing_scale_up_processor.go)
// and of Karpenter's (kubernetes-sigs/karpenter, pkg/controllers/provisioning/scheduling/events.go).
const (
	reasonTriggered    = "TriggeredScaleUp"
	reasonNotTriggered = "NotTriggerScaleUp"
	reasonFailedGrow   = "FailedScaleUp"
	reasonNominated    = "Nominated"
)

// grow says whether a pod that waits for room will get it, and what to do if not.
func (s *search) grow() {
	var pools []*Pool
	for i := range s.e.Pools {
		p := &s.e.Pools[i]
		at := template(p)
		if selects(s.pod, at.node) && repelling(at.node, s.pod) == nil && len(at.tooSmall(s.asks)) == 0 {
			pools = append(pools, p)
		}
	}
	free := "free what others use"
	switch {
	case len(pools) == 0:
		s.f.Next = free + ": no pool of the blueprint makes nodes that the pod could use"
	case s.failing(pools):
	case s.e.Autoscaler == "":
		s.f.Next = fmt.Sprintf("nothing scales the pools: raise nodes.min of pool %s (it has %s) and run 'aicluster up', or switch on addons.clusterAutoscaler; or %s", names(pools), count(int64(pools[0].Desired), "node"), free)
	case s.scaling():
	case s.allFull(pools):
		s.f.Message += fmt.Sprintf("; pool %s is at its maximum of %s", names(pools), count(int64(pools[0].Nodes.Max), "node"))
		s.f.Next = fmt.Sprintf("raise nodes.max of pool %s and run 'aicluster up', or %s", names(pools), free)
	case s.refused():
	case s.autoscalerSick():
	default:
		s.f.Next = fmt.Sprintf("pool %s may grow, and the autoscaler has not said anything of the pod: wait a minute, then read 'kubectl -n kube-system logs deploy/%s'", names(pools), deployment(s.e.Autoscaler))
	}
}

// failing: AWS starts no instances for a pool that would do.
func (s *search) failing(pools []*Pool) bool {
	for _, p := range pools {
		if p.Failure == nil {
			continue
		}
		s.f.Message += "; pool " + p.Name + ": " + awsWords(p.Failure)
		s.f.Next = orElse(awsHint(p.Failure), "mend what AWS names")
		switch {
		case cloud.IsCapacity(p.Failure):
			s.f.Reason, s.f.What = "NoCapacity", s.f.What+", and AWS has no instances for pool "+p.Name
		case cloud.IsQuota(p.Failure):
			s.f.Reason, s.f.What = "QuotaReached", s.f.What+", and the account's quota lets pool "+p.Name+" not grow"
		default:
			s.f.Reason, s.f.What = "NodesDoNotStart", s.f.What+", and pool "+p.Name+" gets no new nodes"
		}
		return true
	}
	return false
}

// scaling: an autoscaler makes a node for the pod.
func (s *search) scaling() bool {
	v := s.e.event("Pod", s.pod.Namespace, s.pod.Name, reasonTriggered, reasonNotTriggered, reasonNominated, reasonFailedGrow)
	if v == nil || v.Reason == reasonNotTriggered || v.Reason == reasonFailedGrow {
		return false
	}
	s.f.Message += "; " + v.Reason + ": " + v.Message
	s.f.Severity = Warning
	s.f.Next = "wait: a node is being made for it; a GPU node takes about five minutes until its GPUs are offered"
	return true
}

// refused: the Cluster Autoscaler says why it makes none.
func (s *search) refused() bool {
	v := s.e.event("Pod", s.pod.Namespace, s.pod.Name, reasonNotTriggered, reasonFailedGrow)
	if v == nil {
		return false
	}
	s.f.Message += "; " + v.Reason + ": " + v.Message
	s.f.Next = "the autoscaler makes no node for it: read its words"
	switch {
	case says(v.Message, "in backoff after failed scale-up"):
		s.f.Next = "the last try to start a node failed, and it tries again in some minutes; why: 'aicluster status FILE' shows AWS's words for the pool"
	case says(v.Message, "max node group size reached", "max limit reached"):
		s.f.Next = "raise nodes.max of the pool and run 'aicluster up', or free what others use"
	case says(v.Message, "Insufficient", "untolerated taint", "didn't match"):
		s.f.Next = "the autoscaler believes that a new node would not do either: EKS's tags on the Auto Scaling group (labels, taints, GPUs) may lack something; 'aicluster diff FILE' compares them"
	}
	return true
}

func (s *search) allFull(pools []*Pool) bool {
	return !slices.ContainsFunc(pools, func(p *Pool) bool { return p.Desired < p.Nodes.Max })
}

// autoscalerSick: its own pod does not run.
func (s *search) autoscalerSick() bool {
	found := false
	for i := range s.e.Pods {
		p := &s.e.Pods[i]
		if !strings.Contains(p.Name, deployment(s.e.Autoscaler)) || p.Status.Phase == corev1.PodSucceeded {
			continue
		}
		if found = true; ready(p) {
			return false
		}
	}
	if len(s.e.Pods) == 0 {
		return false
	}
	s.f.Message += "; the autoscaler does not run"
	s.f.Next = "no pod of the autoscaler is ready: see the finding about it"
	if !found {
		s.f.Next = "there is no pod of the autoscaler: 'aicluster up FILE' installs it"
	}
	return true
}

// deployment is what an autoscaler's pods begin with.
func deployment(autoscaler string) string {
	if autoscaler == "karpenter" {
		return "karpenter"
	}
	return "cluster-autoscaler"
}

func names(pools []*Pool) string {
	var out []string
	for _, p := range pools {
		out = append(out, p.Name)
	}
	return strings.Join(out, " or ")
}

// awsWords are AWS's code and words in an error.
func awsWords(err error) string {
	var e *cloud.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	if e.Code == "" {
		return e.Message
	}
	return e.Code + ": " + e.Message
}

func awsHint(err error) string {
	var e *cloud.Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}
