package traffic_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"aicluster/e2e/localcloud/traffic"
	"aicluster/e2e/localcloud/traffic/traffictest"
)

// TestDial reaches pods in all the ways that the cluster's network has.
func TestDial(t *testing.T) {
	a, b := traffictest.Pod("default", "a", "one", "10.0.1.1", "web"), traffictest.Pod("default", "b", "two", "10.0.1.2", "web")
	starting, other := traffictest.Pod("default", "starting", "one", "10.0.1.3", "web"), traffictest.Pod("default", "other", "one", "10.0.1.4", "unknown")
	starting.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}
	both, bothSlice := traffictest.Service("default", "both", "172.20.0.1", a, b)
	both.Spec.Ports[0].NodePort = 30080
	local, localSlice := traffictest.Service("default", "local", "172.20.0.2", b)
	local.Spec.Ports[0].NodePort, local.Spec.HealthCheckNodePort = 30081, 30082
	local.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	empty, emptySlice := traffictest.Service("default", "empty", "172.20.0.3")
	unready, unreadySlice := traffictest.Service("default", "unready", "172.20.0.4", a)
	unreadySlice.Endpoints[0].Conditions.Ready = new(false)

	n := traffic.New()
	n.Install(traffictest.Web(traffictest.Names))
	if _, err := n.Dial(t.Context(), "tcp", "10.0.1.1:8080"); err == nil {
		t.Error("a network that is not up yet takes connections")
	}
	traffictest.Start(t, n, a, b, starting, other, both, bothSlice, local, localSlice, empty, emptySlice, unready, unreadySlice,
		traffictest.Node("one", "10.0.0.1"), traffictest.Node("two", "10.0.0.2"))

	for _, c := range []struct {
		address, answer string // "" is any
		err             error
	}{
		{"10.0.1.1:8080", "a", nil},
		{"10.0.1.1:80", "", syscall.ECONNREFUSED},
		{"10.0.1.3:8080", "", syscall.ECONNREFUSED}, // not started
		{"10.0.1.4:8080", "", syscall.ECONNREFUSED}, // nobody plays that image
		{"10.0.1.9:8080", "", syscall.EHOSTUNREACH},
		{"172.20.0.1:80", "", nil},
		{"172.20.0.1:8080", "", syscall.ECONNREFUSED},
		{"172.20.0.2:80", "b", nil},
		{"172.20.0.3:80", "", syscall.ECONNREFUSED},
		{"172.20.0.4:80", "", syscall.ECONNREFUSED},
		{"local.default.svc:80", "b", nil},
		{"local.default.svc.cluster.local:80", "b", nil},
		{"10.0.0.1:30080", "", nil},
		{"10.0.0.2:30081", "b", nil},
		{"10.0.0.1:30081", "", syscall.EHOSTUNREACH}, // of the node's own pods none is asked
		{"10.0.0.1:30082", `{"localEndpoints": 0, "serviceProxyHealthy": true}` + "\n", nil},
		{"10.0.0.2:30082", `{"localEndpoints": 1, "serviceProxyHealthy": true}` + "\n", nil},
	} {
		got, err := get(t, func(ctx context.Context) (net.Conn, error) { return n.Dial(ctx, "tcp", c.address) })
		if !errors.Is(err, c.err) || c.answer != "" && got != c.answer {
			t.Errorf("%s: %q, %v, want %q, %v", c.address, got, err, c.answer, c.err)
		}
	}
	var unknown *net.DNSError
	if _, err := n.Dial(t.Context(), "tcp", "nobody.default.svc:80"); !errors.As(err, &unknown) || !unknown.IsNotFound {
		t.Errorf("a name of no Service: %v", err)
	}
	if _, err := n.DialNode(t.Context(), "one", 30081); !errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("a node without a pod of a Service whose policy is Local: %v", err)
	}
	if _, err := n.DialBackend(t.Context(), "default", "empty", "http", 0); !errors.Is(err, traffic.ErrNoEndpoints) {
		t.Errorf("a backend without endpoints: %v", err)
	}
}

func get(t *testing.T, dial func(context.Context) (net.Conn, error)) (string, error) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x/", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := traffictest.Client(dial).Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// TestEnd: connections end with their pod, also in the middle of an answer.
func TestEnd(t *testing.T) {
	pod := traffictest.Pod("default", "a", "one", "10.0.1.1", "web")
	asked := make(chan struct{})
	n := traffic.New()
	n.Install(traffictest.Web(func(string) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(asked)
			<-r.Context().Done()
		})
	}))
	client := traffictest.Start(t, n, pod)
	ended := make(chan error, 1)
	go func() {
		_, err := get(t, func(ctx context.Context) (net.Conn, error) { return n.Dial(ctx, "tcp", "10.0.1.1:8080") })
		ended <- err
	}()
	select {
	case <-asked:
	case err := <-ended:
		t.Fatal(err)
	}
	if err := client.CoreV1().Pods("default").Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the request succeeded")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the connection outlives its pod")
	}
	if _, err := n.Dial(t.Context(), "tcp", "10.0.1.1:8080"); !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("to a pod that is gone: %v", err)
	}
}
