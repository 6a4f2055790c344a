package serving

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"aicluster/addons"
	"aicluster/addons/doctor"
	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// maxReadErrors is how many reads in a row may fail before a wait gives up.
const maxReadErrors = 10

// revision is set by the Deployment's controller on the Deployment and on the
// ReplicaSet of each of its states.
const revision = "deployment.kubernetes.io/revision"

// wait returns when all replicas are new and ready. It ends early on the first
// cause that waiting does not heal.
func (s *Service) wait(ctx context.Context, c connection, p engine.Progress) error {
	w := rollout{service: s, connection: c, start: time.Now(), limit: ReadyLimit(s.facts()), since: map[string]time.Time{}, restarts: map[string]int32{}, progress: p}
	return cloud.Poll(ctx, w.check)
}

// rollout follows a Deployment until it is what it should be.
type rollout struct {
	service *Service
	connection
	start    time.Time
	limit    time.Duration
	since    map[string]time.Time // when a cause was first seen, by pod and reason
	restarts map[string]int32     // of each pod, when it was first seen
	failures int
	progress engine.Progress
}

func (w *rollout) check(ctx context.Context) (bool, error) {
	s := w.service
	d, err := w.client.AppsV1().Deployments(Namespace).Get(ctx, s.svc.Name, metav1.GetOptions{})
	if err != nil {
		if w.failures++; w.failures < maxReadErrors {
			return false, nil
		}
		return true, addons.Unreachable(s.ID(), "waiting for its replicas", err)
	}
	s.live = d
	if done(d) {
		return true, nil
	}
	pods, err := w.newPods(ctx, d)
	if err != nil {
		if w.failures++; w.failures < maxReadErrors {
			return false, nil
		}
		return true, addons.Unreachable(s.ID(), "looking at its pods", err)
	}
	w.failures = 0
	t, err := w.worst(ctx, d, pods)
	if err != nil {
		return true, addons.Unreachable(s.ID(), "looking at its pool", err)
	}
	if t.hopeless || time.Since(w.start) > w.limit {
		return true, w.failure(ctx, d, t)
	}
	w.progress("%s%s", readiness(d), suffix(t.words))
	return false, nil
}

// done tells that a Deployment is what its spec says, as `kubectl rollout status` does.
func done(d *appsv1.Deployment) bool {
	wanted := wantedReplicas(d)
	return d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas >= wanted &&
		d.Status.Replicas <= d.Status.UpdatedReplicas && d.Status.AvailableReplicas >= wanted
}

func wantedReplicas(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

func readiness(d *appsv1.Deployment) string {
	return fmt.Sprintf("%d of %d replicas ready", min(d.Status.AvailableReplicas, d.Status.UpdatedReplicas), wantedReplicas(d))
}

func suffix(words string) string {
	if words == "" {
		return ""
	}
	return ": " + words
}

// newPods are the pods of the Deployment's newest state: those of an older one may
// be as broken as they like.
func (w *rollout) newPods(ctx context.Context, d *appsv1.Deployment) ([]corev1.Pod, error) {
	selector := labels.SelectorFromSet(d.Spec.Selector.MatchLabels).String()
	sets, err := w.client.AppsV1().ReplicaSets(Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(sets.Items, func(r appsv1.ReplicaSet) bool {
		return metav1.IsControlledBy(&r, d) && r.Annotations[revision] == d.Annotations[revision]
	})
	if i < 0 || d.Status.ObservedGeneration < d.Generation {
		return nil, nil
	}
	list, err := w.client.CoreV1().Pods(Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool { return !metav1.IsControlledBy(&pod, &sets.Items[i]) }), nil
}

// cause is what keeps replicas from getting ready, in Kubernetes' words.
type cause struct {
	words    string
	hopeless bool
	pod      *corev1.Pod // nil when it is none's
}

// How long a cause that seldom heals has to stand before it is believed. Images
// fail to be pulled for a while where a registry limits its callers; GPUs are
// held for a while by replicas that end their answers.
const (
	stuckPatience    = time.Minute
	schedulePatience = 90 * time.Second
	// crashes make a habit; with a large model each takes minutes.
	crashes = 2
)

// worst picks the cause to tell: a hopeless one if there is any.
func (w *rollout) worst(ctx context.Context, d *appsv1.Deployment, pods []corev1.Pod) (cause, error) {
	var first cause
	for i := range pods {
		c, err := w.causeOf(ctx, &pods[i])
		if err != nil || c.hopeless {
			return c, err
		}
		if first.words == "" {
			first = c
		}
	}
	if c := w.creation(d); c.hopeless || first.words == "" {
		return c, nil
	}
	return first, nil
}

// creation is why pods cannot be made at all: a quota, an admission webhook.
func (w *rollout) creation(d *appsv1.Deployment) cause {
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return cause{words: c.Reason + ": " + c.Message, hopeless: w.stands("deployment", stuckPatience)}
		}
	}
	return cause{}
}

// causeOf is what keeps one pod from getting ready.
func (w *rollout) causeOf(ctx context.Context, pod *corev1.Pod) (cause, error) {
	if pod.DeletionTimestamp != nil {
		return cause{words: "pod " + pod.Name + " is going"}, nil
	}
	c := cause{words: loading(pod), pod: pod}
	finding, sick := doctor.Explain(pod)
	if sick {
		c.words = finding.String()
	}
	switch {
	case failing(pod):
		c.hopeless = w.failsStill(pod)
	case sick && pod.Spec.NodeName == "":
		waits, err := w.mayGetPlace(ctx)
		if err != nil {
			return c, err
		}
		if waits {
			delete(w.since, pod.Name)
			return c, nil
		}
		c.hopeless = w.stands(pod.Name, schedulePatience)
	case sick && finding.Stuck:
		c.hopeless = w.stands(pod.Name, stuckPatience)
	default:
		delete(w.since, pod.Name)
	}
	return c, nil
}

// stands tells that a cause has been there for some time.
func (w *rollout) stands(of string, patience time.Duration) bool {
	since, known := w.since[of]
	if !known {
		w.since[of] = time.Now()
		return false
	}
	return time.Since(since) > patience
}

// failsStill tells that a failing pod has failed since the wait began. This run may
// have mended why an older pod fails, such as its role; the kubelet starts it again
// within five minutes.
func (w *rollout) failsStill(pod *corev1.Pod) bool {
	var restarts int32
	for _, s := range statuses(pod) {
		restarts += s.RestartCount
	}
	before, known := w.restarts[pod.Name]
	if !known {
		w.restarts[pod.Name], before = restarts, restarts
	}
	isOld := !pod.CreationTimestamp.IsZero() && pod.CreationTimestamp.Time.Before(w.start)
	return !isOld || restarts > before
}

// failing tells that a container of the pod ends again and again, or ran out of
// memory, as it would again.
func failing(pod *corev1.Pod) bool {
	return slices.ContainsFunc(statuses(pod), func(c corev1.ContainerStatus) bool {
		end := c.LastTerminationState.Terminated
		if c.State.Terminated != nil {
			end = c.State.Terminated
		}
		killed := end != nil && end.Reason == "OOMKilled"
		return killed || c.State.Waiting != nil && c.State.Waiting.Reason == "CrashLoopBackOff" && c.RestartCount >= crashes
	})
}

func statuses(pod *corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
}

// loading says how far a pod without trouble is.
func loading(pod *corev1.Pod) string {
	for _, c := range pod.Status.InitContainerStatuses {
		if c.State.Running != nil && c.Name == loaderName {
			return "pod " + pod.Name + " copies the weights"
		}
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Running != nil && !c.Ready {
			return "pod " + pod.Name + " loads the model"
		}
	}
	return ""
}

// mayGetPlace tells whether a pod without a place may still get one: an autoscaler
// may make nodes, and replicas that end may leave GPUs.
func (w *rollout) mayGetPlace(ctx context.Context) (bool, error) {
	b, pool := w.service.blueprint, w.service.blueprint.Pool(w.service.svc.Pool)
	if b.Addons.Autoscaler != "" {
		nodes, err := w.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil || countOf(nodes.Items, pool) < pool.Nodes.Max {
			return true, err
		}
	}
	pods, err := w.client.CoreV1().Pods(Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return true, err
	}
	return slices.ContainsFunc(pods.Items, func(pod corev1.Pod) bool { return pod.DeletionTimestamp != nil }), nil
}

// countOf is how many nodes a pool has.
func countOf(nodes []corev1.Node, pool *blueprints.NodePool) int {
	return len(slices.DeleteFunc(slices.Clone(nodes), func(n corev1.Node) bool { return blueprints.PoolOf(n.Labels) != pool.Name }))
}

// failure is the end of a wait without success. Now that it is worth it, all the
// evidence is gathered.
func (w *rollout) failure(ctx context.Context, d *appsv1.Deployment, c cause) error {
	message := readiness(d)
	if !c.hopeless {
		message += " after " + time.Since(w.start).Round(time.Second).String()
	}
	hint := fmt.Sprintf("see `kubectl get pods,events -n %s`; mend the cause and run up again: it goes on from here", Namespace)
	if c.pod != nil {
		evidence, err := doctor.Gather(ctx, w.client, w.dyn)
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w.service.addTo(evidence)
		if finding, sick := evidence.Pod(c.pod); sick {
			c.words, hint = finding.String(), finding.What+": "+finding.Next
		}
	}
	return cloud.Fail(w.service.ID(), "waiting for its replicas", message+suffix(c.words), hint)
}

// addTo adds to the evidence what the blueprint says.
func (s *Service) addTo(e *doctor.Evidence) {
	b := s.blueprint
	e.Autoscaler = b.Addons.Autoscaler
	if b.Models != nil {
		e.Bucket = b.Models.Bucket
	}
	for i := range b.NodePools {
		e.Pools = append(e.Pools, doctor.Pool{NodePool: b.NodePools[i], Desired: countOf(e.Nodes, &b.NodePools[i])})
	}
}
