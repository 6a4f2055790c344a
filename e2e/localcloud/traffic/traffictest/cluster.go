// Package traffictest has a cluster's network on objects without a cluster.
package traffictest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"aicluster/e2e/localcloud/traffic"
)

// Web is an image whose pods answer at port 8080 with what its handler says.
type Web func(pod string) http.Handler

// Servers are those of containers of the image "web".
func (w Web) Servers(pod *corev1.Pod, c *corev1.Container) map[int32]traffic.Server {
	if c.Image != "web" {
		return nil
	}
	return map[int32]traffic.Server{8080: {Handler: w(pod.Name)}}
}

// Names answers with the name of the pod.
func Names(pod string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, pod) })
}

// Start watches objects that are all there is, until the test ends.
func Start(t *testing.T, n *traffic.Network, objects ...runtime.Object) *fake.Clientset {
	t.Helper()
	client := fake.NewClientset(objects...)
	factory := informers.NewSharedInformerFactory(client, 0)
	if err := n.Watch(client, factory); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	go func() { defer close(done); n.Run(ctx) }() //nolint:errcheck // it ends with ctx
	t.Cleanup(func() { cancel(); <-done; factory.Shutdown() })
	for {
		if _, err := n.Dial(ctx, "tcp", "192.0.2.1:1"); !errors.Is(err, traffic.ErrDown) {
			return client
		}
		time.Sleep(time.Millisecond)
	}
}

// Pod is one that runs and is ready, with one container.
func Pod(namespace, name, node, ip, image string, args ...string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + "/" + name), Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "main", Image: image, Args: args}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
			Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "main", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}}},
		},
	}
}

// Node is one with an address.
func Node(name, ip string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: ip}}}}
}

// Service is one with the port 80, named http, and its EndpointSlice with some pods
// at 8080.
func Service(namespace, name, ip string, pods ...*corev1.Pod) (*corev1.Service, *discoveryv1.EndpointSlice) {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.ServiceSpec{ClusterIPs: []string{ip}, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		Ports:      []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080))}},
	}
	for _, p := range pods {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{p.Status.PodIP}, NodeName: &p.Spec.NodeName, TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: p.Namespace, Name: p.Name},
		})
	}
	return service, slice
}

// Client speaks HTTP over connections that dial makes.
func Client(dial func(context.Context) (net.Conn, error)) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Ask sends a request for a host, with a body of that many bytes, over a connection
// that dial makes. It returns the answer's status, where it leads to, and its text.
func Ask(t *testing.T, dial func(context.Context) (net.Conn, error), host, path string, body int) (status int, location, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://proxy"+path, strings.NewReader(strings.Repeat("x", body)))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	response, err := Client(dial).Do(request)
	if err != nil {
		t.Errorf("%s%s: %v", host, path, err)
		return 0, "", ""
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Errorf("%s%s: %v", host, path, err)
	}
	return response.StatusCode, response.Header.Get("Location"), string(content)
}
