// Package tunnel reaches the replicas of a service through the cluster's API
// server, as kubectl port-forward does: no way in from outside is needed, and the
// name of the service need not exist.
package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// Endpoint is a replica of a service that is ready.
type Endpoint struct {
	Pod  string
	Port int32
}

// Endpoints lists the ready replicas behind a port of a Service, sorted by name.
func Endpoints(ctx context.Context, client kubernetes.Interface, namespace, service, port string) ([]Endpoint, error) {
	selector := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service}).String()
	found, err := client.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("endpoints of %s: %w", service, err)
	}
	var out []Endpoint
	for _, slice := range found.Items {
		for _, p := range slice.Ports {
			if p.Port == nil || p.Name == nil || *p.Name != port {
				continue
			}
			for _, e := range slice.Endpoints {
				if e.TargetRef != nil && e.TargetRef.Kind == "Pod" && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
					out = append(out, Endpoint{e.TargetRef.Name, *p.Port})
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b Endpoint) int { return strings.Compare(a.Pod, b.Pod) })
	return slices.Compact(out), nil
}

// Tunnel forwards a port of this machine to one of a pod.
type Tunnel struct {
	// Port is the local one, on 127.0.0.1.
	Port uint16

	stop chan struct{}
	done chan struct{}
	err  error
}

// Open forwards a port of 127.0.0.1 to an endpoint; zero takes a free one. Close ends
// it. Problems of single connections are written to complaints.
func Open(config *rest.Config, client kubernetes.Interface, namespace string, to Endpoint, local uint16, complaints io.Writer) (*Tunnel, error) {
	dialer, err := dialer(config, client, namespace, to.Pod)
	if err != nil {
		return nil, err
	}
	t := &Tunnel{stop: make(chan struct{}), done: make(chan struct{})}
	ready := make(chan struct{})
	f, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("%d:%d", local, to.Port)}, t.stop, ready, io.Discard, complaints)
	if err != nil {
		return nil, err
	}
	go func() {
		t.err = f.ForwardPorts()
		close(t.done)
	}()
	select {
	case <-ready:
	case <-t.done:
		return nil, fmt.Errorf("port-forward to pod %s: %w", to.Pod, t.err)
	}
	ports, err := f.GetPorts()
	if err != nil || len(ports) != 1 {
		return nil, errors.Join(err, t.Close())
	}
	t.Port = ports[0].Local
	return t, nil
}

// dialer asks for a WebSocket first and for SPDY, which it replaces, where the API
// server or something before it knows that only.
func dialer(config *rest.Config, client kubernetes.Interface, namespace, pod string) (httpstream.Dialer, error) {
	config = rest.CopyConfig(config)
	config.Timeout = 0 // a tunnel has none
	url := client.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	older := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	newer, err := portforward.NewSPDYOverWebsocketDialer(url, config)
	if err != nil {
		return nil, err
	}
	return portforward.NewFallbackDialer(newer, older, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}

// Done is closed when the connection to the API server has ended.
func (t *Tunnel) Done() <-chan struct{} { return t.done }

// Close ends the tunnel. It may be called twice, but not by two at once.
func (t *Tunnel) Close() error {
	select {
	case <-t.stop:
	default:
		close(t.stop)
	}
	<-t.done
	return t.err
}

// WaitGone returns when a pod does not serve any more: it is being deleted, or not
// ready. An error means that it cannot be known.
func WaitGone(ctx context.Context, client kubernetes.Interface, namespace, pod string) error {
	w, err := client.CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, pod).String()})
	if err != nil {
		return err
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e, ok := <-w.ResultChan():
			if !ok {
				return errors.New("the watch has ended")
			}
			if p, ok := e.Object.(*corev1.Pod); e.Type == watch.Deleted || ok && !serves(p) {
				return nil
			}
		}
	}
}

// Serves tells whether a pod takes requests now. Endpoints are behind by a moment.
func Serves(ctx context.Context, client kubernetes.Interface, namespace, pod string) (bool, error) {
	p, err := client.CoreV1().Pods(namespace).Get(ctx, pod, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil && serves(p), err
}

func serves(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
