package controllers

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	policylisters "k8s.io/client-go/listers/policy/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"

	"aicluster/e2e/localcloud/clock"
)

// AutoscalerOptions are what the cluster autoscaler's stand-in needs besides a cluster.
type AutoscalerOptions struct {
	// AWS is how the pods of a service account on a node may call AWS now.
	AWS func(namespace, account, node string) (aws.Config, error)
	Log *slog.Logger
}

const (
	// autoscalerImage is the end of the repository whose image the program is in.
	autoscalerImage = "/cluster-autoscaler"
	// autoscalerLook is how often it is looked whether a pod of it runs.
	autoscalerLook = 500 * time.Millisecond
	// autoscalerRest keeps a fast clock from making it spin.
	autoscalerRest = 150 * time.Millisecond
)

// autoscaler is a stand-in for the cluster autoscaler (kubernetes/autoscaler), which
// is not to be had as a Go module: the real program is run by make e2e-autoscaler, on
// the same scripts.
//
// It acts while a pod with the program's image is Ready, by that pod's flags, calls
// AWS as the role that the pod has, and changes Kubernetes with the rights of its
// service account. It follows the program in these: which groups count, what a node
// of an empty group is expected to be, which pods ask for nodes, least-waste and
// balancing, what keeps a node, draining, and pauses after what failed. Whether a pod
// fits a node say the scheduler's own filters for taints, affinity to nodes, ports
// and resources. It knows nothing of affinity between pods, of spreading and of
// volumes.
type autoscaler struct {
	opts   AutoscalerOptions
	clock  *clock.Clock
	config *rest.Config

	pods    corelisters.PodLister
	nodes   corelisters.NodeLister
	daemons appslisters.DaemonSetLister
	budgets policylisters.PodDisruptionBudgetLister

	// Of the loop's goroutine.
	now     *scaler   // of the pod that acts, nil if none does
	refused types.UID // a pod whose flags were refused
}

// scaler is the state of one run of the program; a new pod begins anew.
type scaler struct {
	*autoscaler
	pod    *corev1.Pod
	flags  autoscalerFlags
	client kubernetes.Interface // with the pod's rights
	events record.EventRecorder
	sink   record.EventBroadcaster
	cloud  scalingCloud
	work   sync.WaitGroup // deletions under way

	said map[string]time.Time // what was told of pods, and when
	last string               // the trouble that was logged last

	// mu guards the rest against the deletions, which run beside the loop.
	mu       sync.Mutex
	groups   map[string]*scalingGroup
	read     time.Time            // when groups were read
	unneeded map[string]time.Time // nodes, and since when
	deleting map[string]bool      // nodes, and whether they have to be drained
	lacking  map[string]time.Time // instances without a node, and since when
	failed   time.Time            // the last deletion that failed
	deleted  time.Time            // the last one
}

func newAutoscaler(o Options, factory informers.SharedInformerFactory) *autoscaler {
	core := factory.Core().V1()
	return &autoscaler{
		opts: *o.Autoscaler, clock: o.Clock, config: o.Config,
		pods: core.Pods().Lister(), nodes: core.Nodes().Lister(), daemons: factory.Apps().V1().DaemonSets().Lister(),
		budgets: factory.Policy().V1().PodDisruptionBudgets().Lister(),
	}
}

// run acts until ctx ends, and returns when nothing is under way any more.
func (a *autoscaler) run(ctx context.Context) {
	defer a.retire()
	for {
		wait := autoscalerLook
		if a.follow() {
			a.now.loop(ctx)
			wait = a.scaled(a.now.flags.scanInterval)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// scaled is a duration by the clock.
func (a *autoscaler) scaled(d time.Duration) time.Duration {
	return max(a.clock.Scale(d), autoscalerRest)
}

// follow takes up the state of the pod that runs now, and tells whether one does.
func (a *autoscaler) follow() bool {
	pod := a.running()
	if a.now != nil && (pod == nil || pod.UID != a.now.pod.UID) {
		a.retire()
	}
	if pod != nil && a.now == nil && pod.UID != a.refused {
		var err error
		if a.now, err = a.begin(pod); err != nil {
			a.opts.Log.Error("the cluster autoscaler's stand-in does not act", "pod", pod.Name, "error", err)
			a.refused = pod.UID
		}
	}
	return a.now != nil
}

// running is the pod that acts: of several the first, as if it led.
func (a *autoscaler) running() *corev1.Pod {
	all, _ := a.pods.List(labels.Everything()) // a lister over a cache does not fail
	all = slices.DeleteFunc(all, func(p *corev1.Pod) bool {
		repository, _, _ := strings.Cut(p.Spec.Containers[0].Image, ":")
		return !strings.HasSuffix(repository, autoscalerImage) || !podReady(p)
	})
	if len(all) == 0 {
		return nil
	}
	return slices.MinFunc(all, func(x, y *corev1.Pod) int { return cmp.Compare(x.Name, y.Name) })
}

func (a *autoscaler) begin(pod *corev1.Pod) (*scaler, error) {
	flags, err := readAutoscalerFlags(slices.Concat(pod.Spec.Containers[0].Command, pod.Spec.Containers[0].Args))
	if err != nil {
		return nil, err
	}
	config := rest.CopyConfig(a.config)
	config.UserAgent = "cluster-autoscaler"
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + pod.Namespace + ":" + pod.Spec.ServiceAccountName,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + pod.Namespace, "system:authenticated"},
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	a.opts.Log.Info("the cluster autoscaler is played by a stand-in", "pod", pod.Namespace+"/"+pod.Name)
	sink := record.NewBroadcaster()
	sink.StartRecordingToSink(&typedcore.EventSinkImpl{Interface: client.CoreV1().Events("")})
	return &scaler{
		autoscaler: a, pod: pod, flags: flags, client: client, sink: sink,
		events: sink.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "cluster-autoscaler"}),
		cloud:  scalingCloud{clock: a.clock, config: a.opts.AWS, pod: pod, discover: flags.discovery, kinds: map[string]instanceKind{}, pools: map[string]poolFacts{}},
		said:   map[string]time.Time{}, groups: map[string]*scalingGroup{}, unneeded: map[string]time.Time{}, deleting: map[string]bool{}, lacking: map[string]time.Time{},
	}, nil
}

func (a *autoscaler) retire() {
	if a.now == nil {
		return
	}
	a.now.work.Wait()
	a.now.sink.Shutdown()
	a.now = nil
}

// refreshEvery is how long the program keeps what it read of Auto Scaling
// (cloudprovider/aws/aws_manager.go, refreshInterval).
const refreshEvery = time.Minute

// loop is one look at the cluster: nodes for pods that wait, or else fewer nodes.
func (s *scaler) loop(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.read) > s.clock.Scale(refreshEvery) {
		groups, err := s.cloud.read(ctx, s.groups)
		if s.trouble("reading the Auto Scaling groups", err) {
			return
		}
		s.groups, s.read = groups, time.Now()
		s.giveUp(ctx)
	}
	w, err := s.look(ctx)
	if s.trouble("working out what nodes will be like", err) {
		return
	}
	if s.trouble("removing instances that became no nodes", s.abandon(ctx, w)) {
		return
	}
	grown, err := s.scaleUp(ctx, w)
	if s.trouble("scaling up", err) || grown {
		return
	}
	s.scaleDown(ctx, w)
}

// trouble logs an error, once as long as it is the same.
func (s *scaler) trouble(doing string, err error) bool {
	text := ""
	if err != nil {
		text = doing + ": " + err.Error()
	}
	if text != "" && text != s.last {
		s.opts.Log.Warn("the cluster autoscaler's stand-in is in trouble", "while", doing, "error", err)
	}
	s.last = text
	return err != nil
}
