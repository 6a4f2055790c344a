package controllers

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// TestNetwork reaches what a controller plays behind a Service in the ways that
// the API server has: an aggregated API, the proxy subresources, port-forward.
func TestNetwork(t *testing.T) {
	c := startCluster(t)
	c.addon("vpc-cni")
	c.network.Handle("kube-system", "metrics-server", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/apis/metrics.k8s.io/v1beta1" {
			fmt.Fprint(w, `{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "metrics.k8s.io/v1beta1", "resources": []}`)
			return
		}
		fmt.Fprintf(w, `{"path": %q, "user": %q}`, r.URL.Path, r.Header.Get("X-Remote-User"))
	}))
	c.apply(manifests(t, "testdata/aggregated.yaml")...)
	rest := c.client.Discovery().RESTClient()
	get := func(path string) (string, error) {
		body, err := rest.Get().AbsPath(path).DoRaw(t.Context())
		return string(body), err
	}
	if body, err := get("/apis/metrics.k8s.io/v1beta1/nodes"); err == nil {
		t.Errorf("without a pod that is ready: %s", body)
	}
	c.addNode("system", Facts{})
	for _, way := range []struct{ path, wanted string }{
		{"/apis/metrics.k8s.io/v1beta1/nodes", `{"path": "/apis/metrics.k8s.io/v1beta1/nodes", "user": "localcloud:admin"}`},
		{"/api/v1/namespaces/kube-system/services/https:metrics-server:https/proxy/healthz", `{"path": "/healthz", "user": ""}`},
		{"/api/v1/namespaces/kube-system/services/metrics-server:443/proxy/readyz", `{"path": "/readyz", "user": ""}`},
	} {
		c.eventually(way.path, func() error {
			if body, err := get(way.path); err != nil || body != way.wanted {
				return fmt.Errorf("%s, %v, want %s", body, err, way.wanted)
			}
			return nil
		})
	}
	pods, err := c.client.CoreV1().Pods("kube-system").List(t.Context(), metav1.ListOptions{LabelSelector: "app=metrics-server"})
	if err != nil || len(pods.Items) != 1 {
		t.Fatal(pods.Items, err)
	}
	name := pods.Items[0].Name
	if body, err := get("/api/v1/namespaces/kube-system/pods/" + name + ":10250/proxy/pod"); err != nil || !strings.Contains(body, `"/pod"`) {
		t.Errorf("by the pod's proxy: %s, %v", body, err)
	}
	if body, err := get("/api/v1/namespaces/kube-system/pods/" + name + ":81/proxy/pod"); err == nil {
		t.Errorf("at a port on which nothing listens: %s", body)
	}

	forwarded := c.forward("kube-system", name, 10250)
	if body, err := fetch(forwarded + "/livez"); err != nil || body != `{"path": "/livez", "user": ""}` {
		t.Errorf("by port-forward: %s, %v", body, err)
	}
	if body, err := fetch(c.forward("kube-system", name, 81)); err == nil {
		t.Errorf("by port-forward to a port on which nothing listens: %s", body)
	}
}

// forward forwards a free port of this machine to a pod's until the test ends.
func (c *testCluster) forward(namespace, pod string, port int) (url string) {
	c.Helper()
	transport, upgrader, err := spdy.RoundTripperFor(c.plane.Admin())
	if err != nil {
		c.Fatal(err)
	}
	to := c.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	stop, ready := make(chan struct{}), make(chan struct{})
	f, err := portforward.New(spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, to), []string{fmt.Sprintf("0:%d", port)}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		c.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- f.ForwardPorts() }()
	c.Cleanup(func() { close(stop); <-ended })
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		c.Fatal(err)
	}
	ports, err := f.GetPorts()
	if err != nil {
		c.Fatal(err)
	}
	return fmt.Sprintf("http://127.0.0.1:%d", ports[0].Local)
}

func fetch(url string) (string, error) {
	response, err := http.Get(url) //nolint:noctx // a test's
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// TestVLLM: a vLLM pod is ready when its probes have found its server, which listens
// once the model is loaded; one that is not given the time is restarted.
func TestVLLM(t *testing.T) {
	c := startCluster(t)
	c.addon("vpc-cni")
	c.addNode("gpu", Facts{})
	c.apply(manifests(t, "testdata/vllm.yaml")...)
	pod := func(name string) corev1.Pod {
		p, err := c.client.CoreV1().Pods("default").Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return *p
	}
	for _, name := range []string{"llama", "copies"} {
		c.eventually("the container of "+name, func() error {
			if p := pod(name); len(p.Status.ContainerStatuses) == 0 || p.Status.ContainerStatuses[0].State.Running == nil {
				return fmt.Errorf("%+v", p.Status)
			}
			return nil
		})
		p := pod(name)
		if s := p.Status.ContainerStatuses[0]; s.Ready || *s.Started || podReady(&p) {
			t.Errorf("%s is ready before the model is loaded: %+v", name, p.Status)
		}
	}
	c.eventually("the model", func() error {
		if p := pod("llama"); !podReady(&p) || !*p.Status.ContainerStatuses[0].Started {
			return fmt.Errorf("%+v", p.Status)
		}
		return nil
	})
	c.eventually("the copied model", func() error {
		if p := pod("copies"); !podReady(&p) {
			return fmt.Errorf("%+v", p.Status)
		}
		return nil
	})
	c.eventually("/v1/models", func() error {
		body, err := c.client.Discovery().RESTClient().Get().AbsPath("/api/v1/namespaces/default/services/llama:80/proxy/v1/models").DoRaw(t.Context())
		if err != nil || !strings.Contains(string(body), `"id":"llama","object":"model"`) || !strings.Contains(string(body), `"max_model_len":4096`) {
			return fmt.Errorf("%s, %v", body, err)
		}
		return nil
	})
	c.eventually("restarts", func() error {
		p := pod("hasty")
		if s := p.Status.ContainerStatuses[0]; s.RestartCount < 2 || s.Ready || s.LastTerminationState.Terminated == nil {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	events, err := c.client.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=hasty"})
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, e := range events.Items {
		said[e.Reason] = e.Message
	}
	if !strings.Contains(said["Unhealthy"], "connect: connection refused") || said["Killing"] != "Container vllm failed liveness probe, will be restarted" {
		t.Errorf("events: %v", said)
	}
}
