package controllers

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/kube"
)

// PodStarts is AWS as a pod meets it when it starts.
type PodStarts interface {
	// Mount mounts a volume of a CSI driver for a pod. The error has the driver's words.
	Mount(ctx context.Context, pod *corev1.Pod, node *corev1.Node, volume *corev1.PersistentVolume) error
	// Read reads all that is at an address in S3, as the pod: how many bytes, and a text
	// that is another when they are others. The error has the reader's words.
	Read(ctx context.Context, pod *corev1.Pod, url string) (bytes int64, content string, err error)
	// Write keeps a folder in a volume of a CSI driver.
	Write(volume *corev1.PersistentVolume, folder, content string, bytes int64)
}

const (
	// copyRate is what the AWS CLI copies from S3 to a disk, in bytes a second
	// (an estimate for a large instance).
	copyRate = 1 << 30
	// lookTime is how long it takes to find that all is there.
	lookTime = 2 * time.Second
	// mountRetry is how soon the kubelet mounts a volume again; it waits longer and
	// longer, up to two minutes (pkg/volume/util/nestedpendingoperations).
	mountRetry = 2 * time.Second
	// restartDelay and restartMax are the kubelet's back-off for containers that end
	// (kubernetes.io/docs, "Pod Lifecycle", Container restart policy).
	restartDelay = 10 * time.Second
	restartMax   = 5 * time.Minute
)

// podStarts plays the kubelet for the pods that [kube.Judged] names: it mounts their
// claims and runs the containers that read from S3. When a pod has what it needs, it
// is left to KWOK like any other.
type podStarts struct {
	client kubernetes.Interface
	clock  *clock.Clock
	aws    PodStarts
	worker *worker
	events record.EventRecorder
	sink   record.EventBroadcaster

	pods    cache.Indexer
	nodes   corelisters.NodeLister
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister

	// All below is the worker's.
	running map[types.UID]*run    // the container of each pod that is at work
	onNode  map[string]string     // by node and folder: what was copied there
	retries map[types.UID]int     // of mounts
	resting map[types.UID]resting // containers that have failed
}

// run is a container at work.
type run struct {
	container string
	ends      time.Time
	done      func()
}

// resting is a container that failed, until it is started again.
type resting struct {
	container string
	times     int
	until     time.Time
}

func newPodStarts(o Options, client kubernetes.Interface, factory informers.SharedInformerFactory) (*podStarts, error) {
	core := factory.Core().V1()
	sink := record.NewBroadcaster()
	s := &podStarts{
		client: client, clock: o.Clock, aws: o.PodStarts, sink: sink,
		events: sink.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet"}),
		pods:   core.Pods().Informer().GetIndexer(), nodes: core.Nodes().Lister(), claims: core.PersistentVolumeClaims().Lister(), volumes: core.PersistentVolumes().Lister(),
		running: map[types.UID]*run{}, onNode: map[string]string{}, retries: map[types.UID]int{}, resting: map[types.UID]resting{},
	}
	s.worker = newWorker("pod starts", s.sync)
	return s, on(core.Pods().Informer(), func(p *corev1.Pod) {
		if p.Spec.NodeName != "" && kube.Judged(p) {
			s.worker.queue.Add(p.Namespace + "/" + p.Name)
		}
	})
}

func (s *podStarts) run(ctx context.Context) {
	s.sink.StartRecordingToSink(&typedcore.EventSinkImpl{Interface: s.client.CoreV1().Events("")})
	defer s.sink.Shutdown()
	s.worker.run(ctx)
}

// sync brings one pod a step further and says when to look again.
func (s *podStarts) sync(ctx context.Context, key string) (time.Duration, error) {
	obj, ok, err := s.pods.GetByKey(key)
	if err != nil || !ok {
		return 0, err
	}
	pod := obj.(*corev1.Pod)
	if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		delete(s.running, pod.UID)
		delete(s.resting, pod.UID)
		return 0, nil
	}
	switch {
	case !conditionIs(pod, corev1.PodReadyToStartContainers, corev1.ConditionTrue):
		return s.mountAll(ctx, pod)
	case conditionIs(pod, corev1.PodInitialized, corev1.ConditionFalse):
		return s.initialize(ctx, pod)
	case s.running[pod.UID] != nil:
		return s.main(ctx, pod)
	}
	return 0, nil
}

// mountAll mounts a pod's claims, and gives it its sandbox then.
func (s *podStarts) mountAll(ctx context.Context, pod *corev1.Pod) (time.Duration, error) {
	node, err := s.nodes.Get(pod.Spec.NodeName)
	if apierrors.IsNotFound(err) || err == nil && !nodeReady(node) && !pod.Spec.HostNetwork {
		return s.soon(), nil
	}
	if err != nil {
		return 0, err
	}
	for name, volume := range s.volumesOf(pod) {
		err := s.mount(ctx, pod, node, volume)
		if err == nil {
			continue
		}
		s.events.Eventf(pod, corev1.EventTypeWarning, "FailedMount", "MountVolume.SetUp failed for volume %q : %v", name, err)
		s.retries[pod.UID]++
		again := max(s.clock.Scale(min(mountRetry<<min(s.retries[pod.UID], 6), 2*time.Minute)), volumeRest)
		if waitingFor(pod, "ContainerCreating") {
			return again, nil
		}
		return again, s.post(ctx, pod, map[string]any{"containerStatuses": waiting(pod.Spec.Containers, "ContainerCreating"), "conditions": []corev1.PodCondition{
			podCondition(corev1.PodReadyToStartContainers, false, ""), podCondition(corev1.PodInitialized, len(pod.Spec.InitContainers) == 0, notInitialized(pod)),
			podCondition(corev1.PodReady, false, "ContainersNotReady"), podCondition(corev1.ContainersReady, false, "ContainersNotReady")}})
	}
	delete(s.retries, pod.UID)
	reason := "ContainerCreating"
	if len(pod.Spec.InitContainers) > 0 {
		reason = initializing
	}
	// Also a pod without init containers is not let go before what its containers
	// read is known.
	return 0, s.post(ctx, pod, map[string]any{
		"initContainerStatuses": waiting(pod.Spec.InitContainers, initializing), "containerStatuses": waiting(pod.Spec.Containers, reason),
		"conditions": []corev1.PodCondition{
			podCondition(corev1.PodReadyToStartContainers, true, ""), podCondition(corev1.PodInitialized, false, notInitialized(pod)),
			podCondition(corev1.PodReady, false, "ContainersNotReady"), podCondition(corev1.ContainersReady, false, "ContainersNotReady")},
	})
}

func notInitialized(pod *corev1.Pod) string {
	if len(pod.Spec.InitContainers) == 0 {
		return ""
	}
	return "ContainersNotInitialized"
}

// volumesOf are the volumes of a pod's claims, by the pod's names for them. Claims
// are bound before a pod is scheduled.
func (s *podStarts) volumesOf(pod *corev1.Pod) map[string]*corev1.PersistentVolume {
	found := map[string]*corev1.PersistentVolume{}
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim == nil {
			continue
		}
		claim, err := s.claims.PersistentVolumeClaims(pod.Namespace).Get(v.PersistentVolumeClaim.ClaimName)
		if err != nil {
			continue
		}
		if volume, err := s.volumes.Get(claim.Spec.VolumeName); err == nil {
			found[volume.Name] = volume
		}
	}
	return found
}

// nodePods are the DaemonSets' labels app of the drivers that need nothing attached:
// without its pod on a node the kubelet there does not know the driver.
func nodePods() map[string]string {
	return map[string]string{"efs.csi.aws.com": "efs-csi-node", "s3.csi.aws.com": "s3-csi-node"}
}

func (s *podStarts) mount(ctx context.Context, pod *corev1.Pod, node *corev1.Node, volume *corev1.PersistentVolume) error {
	csi := volume.Spec.CSI
	if csi == nil || nodePods()[csi.Driver] == "" || s.aws == nil {
		return nil
	}
	registered := false
	on, err := s.pods.ByIndex(byNode, node.Name)
	if err != nil {
		return err
	}
	for _, obj := range on {
		p := obj.(*corev1.Pod)
		registered = registered || p.Labels["app"] == nodePods()[csi.Driver] && podReady(p)
	}
	if !registered {
		return fmt.Errorf("kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: driver name %s not found in the list of registered CSI drivers", csi.Driver)
	}
	return s.aws.Mount(ctx, pod, node, volume)
}

// soon is when to look again at what changes without a word.
func (s *podStarts) soon() time.Duration { return max(s.clock.Scale(time.Second), volumeRest) }

func conditionIs(pod *corev1.Pod, kind corev1.PodConditionType, status corev1.ConditionStatus) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == kind {
			return c.Status == status
		}
	}
	return false
}

func waiting(containers []corev1.Container, reason string) []corev1.ContainerStatus {
	var list []corev1.ContainerStatus
	for _, c := range containers {
		s := corev1.ContainerStatus{Name: c.Name, Image: c.Image, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}
		if kube.Proven(&c) {
			s.Started = new(false) // its kubelet probes it before it calls it ready
		}
		list = append(list, s)
	}
	return list
}

func waitingFor(pod *corev1.Pod, reason string) bool {
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Waiting != nil && c.State.Waiting.Reason == reason {
			return true
		}
	}
	return false
}

// folderOf is the last part of an address: the folder that is made of it.
func folderOf(url string) string {
	url = strings.TrimSuffix(url, "/")
	return url[strings.LastIndexByte(url, '/')+1:]
}
