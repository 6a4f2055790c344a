package controllers

import (
	"context"
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"aicluster/e2e/localcloud/clock"
)

// gpuNodes plays, node by node, what the pods of NFD and of the GPU operands do
// there: labels, devices, and the ways in which they wait for each other or fail.
// It needs no operator to be running: once started, those pods do their own work.
type gpuNodes struct {
	client kubernetes.Interface
	clock  *clock.Clock
	facts  func(node string) (Facts, bool)
	worker *worker

	nodes       corelisters.NodeLister
	pods        cache.Indexer
	daemonSets  appslisters.DaemonSetLister
	deployments appslisters.DeploymentLister

	// readySince is when an operand's pod was first seen ready; of the worker's goroutine.
	readySince map[types.UID]time.Time
}

// How often the health of GPUs is looked at, at speed 1.
const healthInterval = 5 * time.Second

func newGPUNodes(o Options, client kubernetes.Interface, factory informers.SharedInformerFactory) (*gpuNodes, error) {
	pods := factory.Core().V1().Pods().Informer()
	if err := indexByNode(pods); err != nil {
		return nil, err
	}
	g := &gpuNodes{
		client: client, clock: o.Clock, facts: o.NodeFacts,
		nodes:       factory.Core().V1().Nodes().Lister(),
		pods:        pods.GetIndexer(),
		daemonSets:  factory.Apps().V1().DaemonSets().Lister(),
		deployments: factory.Apps().V1().Deployments().Lister(),
		readySince:  map[types.UID]time.Time{},
	}
	g.worker = newWorker("gpu-nodes", g.sync)
	if err := on(factory.Core().V1().Nodes().Informer(), func(n *corev1.Node) { g.worker.queue.Add(n.Name) }); err != nil {
		return nil, err
	}
	if err := on(pods, func(p *corev1.Pod) {
		if p.Spec.NodeName != "" {
			g.worker.queue.Add(p.Spec.NodeName)
		}
	}); err != nil {
		return nil, err
	}
	// Whether NFD's DaemonSet and master are there concerns all nodes, whether an
	// operand's is, the nodes with its pods.
	if err := on(factory.Apps().V1().Deployments().Informer(), func(d *appsv1.Deployment) {
		if isNFD(d.Labels, "master") {
			g.enqueueAll()
		}
	}); err != nil {
		return nil, err
	}
	return g, on(factory.Apps().V1().DaemonSets().Informer(), func(ds *appsv1.DaemonSet) {
		if isNFD(ds.Labels, "worker") || metav1.GetControllerOf(ds) != nil {
			g.enqueueAll()
		}
	})
}

func (g *gpuNodes) run(ctx context.Context) { g.worker.run(ctx) }

func (g *gpuNodes) enqueueAll() {
	nodes, _ := g.nodes.List(labels.Everything()) // a lister over a cache does not fail
	for _, node := range nodes {
		g.worker.queue.Add(node.Name)
	}
}

func (g *gpuNodes) sync(ctx context.Context, name string) (time.Duration, error) {
	node, err := g.nodes.Get(name)
	if err != nil {
		return 0, ignoreNotFound(err)
	}
	pods, err := g.podsOn(name)
	if err != nil {
		return 0, err
	}
	facts, known := g.facts(name)
	g.forget(pods)

	look := &nodeLook{gpuNodes: g, node: node, facts: facts, pods: pods}
	if err := look.operands(); err != nil {
		return 0, err
	}
	want := maps.Clone(node.Labels)
	if want == nil {
		want = map[string]string{}
	}
	look.nfd(want)
	if facts.GPUs == 0 {
		var again time.Duration
		if !known { // its instance may only be about to be known
			again = g.clock.Scale(healthInterval)
		}
		return again, patchLabels(ctx, g.client, node, want)
	}

	devices := look.devices()
	if err := look.advertise(ctx, devices); err != nil {
		return 0, err
	}
	look.gfd(want)
	if err := patchLabels(ctx, g.client, node, want); err != nil {
		return 0, err
	}
	if err := look.showPods(ctx, devices); err != nil {
		return 0, err
	}
	return look.next(), nil
}

func (g *gpuNodes) podsOn(node string) ([]*corev1.Pod, error) {
	objects, err := g.pods.ByIndex(byNode, node)
	if err != nil {
		return nil, err
	}
	var pods []*corev1.Pod
	for _, obj := range objects {
		if pod := obj.(*corev1.Pod); pod.DeletionTimestamp == nil {
			pods = append(pods, pod)
		}
	}
	return pods, nil
}

// forget drops the ready times of pods that are not ready any more. Those of pods
// that are gone are dropped when the map has grown.
func (g *gpuNodes) forget(pods []*corev1.Pod) {
	for _, pod := range pods {
		if !podReady(pod) {
			delete(g.readySince, pod.UID)
		}
	}
	if len(g.readySince) > 1000 {
		alive := map[types.UID]bool{}
		for _, obj := range g.pods.List() {
			alive[obj.(*corev1.Pod).UID] = true
		}
		maps.DeleteFunc(g.readySince, func(uid types.UID, _ time.Time) bool { return !alive[uid] })
	}
}

// nodeLook is one look at one node.
type nodeLook struct {
	*gpuNodes
	node  *corev1.Node
	facts Facts
	pods  []*corev1.Pod

	driverWanted, toolkitWanted bool // the operator keeps these operands
	wait                        time.Duration
}

// operands finds out which of the operands that others wait for there are.
func (l *nodeLook) operands() error {
	all, err := l.daemonSets.List(labels.SelectorFromSet(labels.Set{"app.kubernetes.io/part-of": "gpu-operator"}))
	for _, ds := range all {
		l.driverWanted = l.driverWanted || ds.Name == driverDaemonSet
		l.toolkitWanted = l.toolkitWanted || ds.Name == toolkitDaemonSet
	}
	return err
}

// driver reports whether the node has a working driver, and whether a driver pod fails.
func (l *nodeLook) driver() (works, fails bool) {
	switch {
	case l.facts.Driver && l.driverWanted: // a second driver cannot be loaded over the AMI's
		return false, true
	case l.facts.Driver:
		return true, false
	case l.driverWanted && isAmazonLinux(l.node): // there is no driver container for it
		return false, true
	}
	return l.driverWanted && podReady(l.pod(driverDaemonSet)), false
}

// toolkit reports the same of the container toolkit.
func (l *nodeLook) toolkit() (works, fails bool) {
	switch {
	case l.facts.Driver && l.toolkitWanted: // containerd's configuration there is nodeadm's
		return false, true
	case l.facts.Driver:
		return true, false
	}
	return l.toolkitWanted && podReady(l.pod(toolkitDaemonSet)), false
}

// pod returns the node's pod of an operand, or nil.
func (l *nodeLook) pod(app string) *corev1.Pod {
	for _, pod := range l.pods {
		if pod.Labels["app"] == app {
			return pod
		}
	}
	return nil
}

// nfd sets the labels that NFD keeps. A worker finds them and the master writes
// them; once written they stay until the worker's DaemonSet is gone, which owns
// the NodeFeature objects behind them.
func (l *nodeLook) nfd(want map[string]string) {
	workers, _ := l.daemonSets.List(nfdSelector("worker"))
	if len(workers) == 0 {
		maps.DeleteFunc(want, func(key, _ string) bool { return strings.HasPrefix(key, nfdPrefix) })
		return
	}
	masters, _ := l.deployments.List(nfdSelector("master"))
	serving := false
	for _, master := range masters {
		serving = serving || master.Status.AvailableReplicas > 0
	}
	for _, pod := range l.pods {
		if serving && isNFD(pod.Labels, "worker") && podReady(pod) {
			maps.Copy(want, nfdLabels(l.node, l.facts))
			return
		}
	}
}

func nfdSelector(role string) labels.Selector {
	return labels.SelectorFromSet(labels.Set{"app.kubernetes.io/name": "node-feature-discovery", "role": role})
}

func isNFD(set map[string]string, role string) bool {
	return nfdSelector(role).Matches(labels.Set(set))
}

// devices reports whether a device plugin offers the node's GPUs to its kubelet.
func (l *nodeLook) devices() bool {
	if l.facts.PluginFails {
		return false
	}
	if l.facts.DevicePlugin && nodeReady(l.node) {
		return true
	}
	driver, _ := l.driver()
	toolkit, _ := l.toolkit()
	return driver && toolkit && l.started(l.pod(devicePluginDaemonSet), l.node.Status.Allocatable.Name(gpuResource, "").Value() > 0)
}

// started reports whether an operand's pod has been ready for its starting time.
// What it did before the local cloud's last start (done) shows that it has.
func (l *nodeLook) started(pod *corev1.Pod, done bool) bool {
	if !podReady(pod) {
		return false
	}
	since, seen := l.readySince[pod.UID]
	if !seen {
		since = time.Now()
		if done {
			since = since.Add(-l.clock.Duration(clock.GPUOperand))
		}
		l.readySince[pod.UID] = since
	}
	if left := time.Until(since.Add(l.clock.Duration(clock.GPUOperand))); left > 0 {
		l.again(left)
		return false
	}
	return true
}

// again asks for another look after d at the latest.
func (l *nodeLook) again(d time.Duration) {
	if l.wait == 0 || d < l.wait {
		l.wait = d
	}
}

func (l *nodeLook) next() time.Duration {
	l.again(l.clock.Scale(healthInterval)) // GPUs break without an event
	return max(l.wait, 10*time.Millisecond)
}

// advertise writes the node's GPUs as its kubelet would: capacity counts all of
// them, allocatable the healthy ones. A kubelet whose device plugin has gone
// leaves the resource there, at zero.
func (l *nodeLook) advertise(ctx context.Context, devices bool) error {
	capacity, allocatable := 0, 0
	if devices {
		capacity, allocatable = l.facts.GPUs, l.facts.Healthy
	}
	had, ok := l.node.Status.Capacity[gpuResource]
	free := l.node.Status.Allocatable[gpuResource]
	if int(had.Value()) == capacity && int(free.Value()) == allocatable || !ok && capacity == 0 {
		return nil
	}
	key := string(gpuResource)
	return patchNode(ctx, l.client, l.node.Name, "status", map[string]any{"status": map[string]any{
		"capacity":    map[string]any{key: strconv.Itoa(capacity)},
		"allocatable": map[string]any{key: strconv.Itoa(allocatable)},
	}})
}

// gfd sets the labels of GPU feature discovery, which go with its DaemonSet.
func (l *nodeLook) gfd(want map[string]string) {
	found := gfdLabels(l.node, l.facts)
	driver, _ := l.driver()
	toolkit, _ := l.toolkit()
	if driver && toolkit && l.started(l.pod(gfdDaemonSet), want[productLabel] != "") {
		maps.Copy(want, found)
		if want[gfdTimestamp] == "" {
			want[gfdTimestamp] = strconv.FormatInt(time.Now().Unix(), 10)
		}
		return
	}
	all, _ := l.daemonSets.List(labels.SelectorFromSet(labels.Set{"app": gfdDaemonSet}))
	if len(all) == 0 && want[gfdTimestamp] != "" {
		delete(want, gfdTimestamp)
		for key := range found {
			delete(want, key)
		}
	}
}

const gfdTimestamp = "nvidia.com/gfd.timestamp"

func nodeReady(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// patchNode merges content into a node or its subresource. A node that is gone is no error.
func patchNode(ctx context.Context, client kubernetes.Interface, name, subresource string, content any) error {
	body, err := json.Marshal(content)
	if err != nil {
		return err
	}
	var sub []string
	if subresource != "" {
		sub = []string{subresource}
	}
	_, err = client.CoreV1().Nodes().Patch(ctx, name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, sub...)
	return ignoreNotFound(err)
}
