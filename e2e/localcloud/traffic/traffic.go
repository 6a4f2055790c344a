// Package traffic is the network inside one cluster, as far as requests go: what
// the CNI plugin, the kube-proxies and the processes in containers would do.
// [Network.Dial] connects to an address as it would be done there: a pod's, a
// Service's, a port of a node. At the other end a [Server] answers that an
// [Image] has for the container, or that [Network.Handle] was given for a Service.
//
// Nothing listens on this machine: connections are pipes in memory. Nothing runs
// until somebody connects.
//
// Files: traffic (this one) is what others use, route finds the pod behind an
// address, process is what answers there, tunnel lets other processes in.
package traffic

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

// Server is what listens on one port of a container.
type Server struct {
	Handler http.Handler
	TLS     *tls.Config   // nil: plain HTTP
	After   time.Duration // from the start of its container until it listens
}

// Image plays what the process of a container image does.
type Image interface {
	// Servers are what listens in a container, by port; nil for a container of
	// another image. It is asked when somebody connects first.
	Servers(pod *corev1.Pod, container *corev1.Container) map[int32]Server
}

// Watcher is an Image that needs more than its pod: objects of the cluster, or to
// work on its own.
type Watcher interface {
	Image
	// Watch takes its listers and event handlers from the factory before that starts.
	Watch(client kubernetes.Interface, factory informers.SharedInformerFactory) error
	// Run works until ctx ends.
	Run(ctx context.Context) error
}

// Network is the network of one cluster.
type Network struct {
	images []Image

	// mu guards all below.
	mu        sync.Mutex
	handlers  map[types.NamespacedName]http.Handler
	processes map[processKey]*process
	listers   *listers // nil until the cluster is watched
}

// listers are what the network knows of the cluster.
type listers struct {
	pods     cache.Indexer
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
	nodes    corelisters.NodeLister
	synced   []cache.InformerSynced
}

// New returns the network of a cluster that is not there yet.
func New() *Network {
	return &Network{handlers: map[types.NamespacedName]http.Handler{}, processes: map[processKey]*process{}}
}

// Install adds images to those that the cluster's nodes can run. It is for the time
// before [Network.Watch].
func (n *Network) Install(images ...Image) { n.images = append(n.images, images...) }

// Handle has h answer at a Service, in the place of what its pods would run: on
// each of its ports, by HTTP or HTTPS as the client begins. The Service and a pod
// that is ready must be there. It may be called at any time.
func (n *Network) Handle(namespace, service string, h http.Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handlers[types.NamespacedName{Namespace: namespace, Name: service}] = h
}

// byAddress indexes pods by their addresses.
const byAddress = "traffic/address"

// Watch takes what the network has to know from the factory, before that starts.
func (n *Network) Watch(client kubernetes.Interface, factory informers.SharedInformerFactory) error {
	core := factory.Core().V1()
	pods, slices := core.Pods().Informer(), factory.Discovery().V1().EndpointSlices()
	err := pods.AddIndexers(cache.Indexers{byAddress: func(obj any) ([]string, error) {
		var list []string
		if pod, ok := obj.(*corev1.Pod); ok {
			for _, ip := range pod.Status.PodIPs {
				list = append(list, ip.IP)
			}
		}
		return list, nil
	}})
	if err != nil {
		return err
	}
	seen, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { n.see(obj.(*corev1.Pod)) },
		UpdateFunc: func(_, obj any) {
			n.reap(obj.(*corev1.Pod))
			n.see(obj.(*corev1.Pod))
		},
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			if pod, ok := obj.(*corev1.Pod); ok {
				n.bury(pod)
			}
		},
	})
	if err != nil {
		return err
	}
	l := &listers{
		pods: pods.GetIndexer(), services: core.Services().Lister(), slices: slices.Lister(), nodes: core.Nodes().Lister(),
		synced: []cache.InformerSynced{seen.HasSynced, core.Services().Informer().HasSynced, slices.Informer().HasSynced, core.Nodes().Informer().HasSynced},
	}
	for _, image := range n.images {
		if w, ok := image.(Watcher); ok {
			if err := w.Watch(client, factory); err != nil {
				return err
			}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listers = l
	return nil
}

// Run lets requests through until ctx ends; then every connection is cut. It is
// called once the factory of [Network.Watch] has started.
func (n *Network) Run(ctx context.Context) error {
	var group sync.WaitGroup
	errs := make(chan error, len(n.images))
	for _, image := range n.images {
		if w, ok := image.(Watcher); ok {
			group.Go(func() { errs <- w.Run(ctx) })
		}
	}
	<-ctx.Done()
	group.Wait()
	close(errs)
	n.mu.Lock()
	n.listers = nil
	n.mu.Unlock()
	n.stopAll()
	var all []error
	for err := range errs {
		if ctx.Err() == nil {
			all = append(all, err)
		}
	}
	return errors.Join(append(all, ctx.Err())...)
}

// Dial connects to an address inside the cluster: of a pod, of a Service, of a
// node, or NAME.NAMESPACE.svc as the cluster's DNS has it. It fails as a connection
// would there, but at once: what would end in a timeout does not take the time.
func (n *Network) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := n.dial(ctx, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: named(address), Err: err}
	}
	return conn, nil
}

// DialNode connects to a port of a node, by which Services can be reached from
// outside of the cluster.
func (n *Network) DialNode(ctx context.Context, node string, port int32) (net.Conn, error) {
	l, err := n.watched()
	if err == nil {
		var conn net.Conn
		if conn, err = n.dialNodePort(ctx, l, node, port); err == nil {
			return conn, nil
		}
	}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: named(fmt.Sprintf("%s:%d", node, port)), Err: err}
}

// DialPod connects to a port of a pod.
func (n *Network) DialPod(ctx context.Context, namespace, pod string, port int32) (net.Conn, error) {
	l, err := n.watched()
	if err != nil {
		return nil, err
	}
	return n.dialPod(ctx, l, namespace, pod, port)
}

// ErrDown is what everybody gets before the network knows the cluster.
var ErrDown = errors.New("the cluster's network is not up yet")

// watched returns what is known of the cluster, once everything is.
func (n *Network) watched() (*listers, error) {
	n.mu.Lock()
	l := n.listers
	n.mu.Unlock()
	if l == nil {
		return nil, ErrDown
	}
	for _, synced := range l.synced {
		if !synced() {
			return nil, ErrDown
		}
	}
	return l, nil
}

// named is an address as it was given.
type named string

func (named) Network() string  { return "tcp" }
func (a named) String() string { return string(a) }
