package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/tools/cache"

	"aicluster/e2e/localcloud/vllm"
)

// followInterval is how often a followed log looks whether its container has ended.
const followInterval = 200 * time.Millisecond

// kubeletAPI is the part of a kubelet that the API server calls: containerLogs,
// exec and portForward. One server stands for the kubelets of all nodes.
type kubeletAPI struct {
	listener net.Listener
	tls      *tls.Config
	pods     cache.Store
	nodes    cache.Store
	load     time.Duration // how long vLLM takes to load a model
	network  utilnet.DialFunc
}

// newKubeletAPI listens on a free loopback port. It reads the current folder's
// certificates.
func newKubeletAPI(pods, nodes cache.Store, network utilnet.DialFunc) (*kubeletAPI, error) {
	pair, err := tls.LoadX509KeyPair(fileServing+".crt", fileServing+".key")
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(fileCA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &kubeletAPI{
		listener: listener,
		tls: &tls.Config{
			Certificates: []tls.Certificate{pair},
			ClientCAs:    pool,
			ClientAuth:   tls.RequireAndVerifyClientCert,
			MinVersion:   tls.VersionTLS12,
		},
		pods:    pods,
		nodes:   nodes,
		network: network,
	}, nil
}

func (k *kubeletAPI) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp4", k.listener.Addr().String())
}

// serve answers the API server until ctx ends.
func (k *kubeletAPI) serve(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.logs)
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", k.exec)
	mux.HandleFunc("/exec/{namespace}/{pod}/{uid}/{container}", k.exec)
	mux.HandleFunc("/portForward/{namespace}/{pod}", k.portForward)
	mux.HandleFunc("/portForward/{namespace}/{pod}/{uid}", k.portForward)
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	return server.Serve(tls.NewListener(k.listener, k.tls))
}

// container is one that a request names, and what its node is.
type container struct {
	pod    *corev1.Pod
	spec   corev1.Container
	status *corev1.ContainerStatus
	node   *corev1.Node // nil when it is gone
}

func (k *kubeletAPI) find(r *http.Request) (container, error) {
	namespace, name, cname := r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container")
	obj, ok, err := k.pods.GetByKey(namespace + "/" + name)
	if err != nil || !ok {
		return container{}, fmt.Errorf("pod %q not found in namespace %q", name, namespace)
	}
	c := container{pod: obj.(*corev1.Pod)}
	if obj, ok, err := k.nodes.GetByKey(c.pod.Spec.NodeName); err == nil && ok {
		c.node = obj.(*corev1.Node)
	}
	specs := append(append([]corev1.Container{}, c.pod.Spec.InitContainers...), c.pod.Spec.Containers...)
	statuses := append(append([]corev1.ContainerStatus{}, c.pod.Status.InitContainerStatuses...), c.pod.Status.ContainerStatuses...)
	for i := range statuses {
		if statuses[i].Name == cname {
			c.status = &statuses[i]
		}
	}
	for _, spec := range specs {
		if spec.Name == cname {
			c.spec = spec
			return c, nil
		}
	}
	return c, fmt.Errorf("container %q not found in pod %q", cname, name)
}

// logs writes a container's output: what it wrote when it started (see
// [container.run]); a followed log stays open while the container runs.
func (k *kubeletAPI) logs(w http.ResponseWriter, r *http.Request) {
	c, err := k.find(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	q := r.URL.Query()
	previous, _ := strconv.ParseBool(q.Get("previous"))
	if c.status != nil && c.status.LastTerminationState.Terminated != nil && (previous || c.status.State.Waiting != nil) {
		k.lastLog(w, c, q)
		return
	}
	if c.status == nil || c.status.State.Waiting != nil {
		reason := "ContainerCreating"
		if c.status != nil {
			reason = c.status.State.Waiting.Reason
		}
		http.Error(w, fmt.Sprintf("container %q in pod %q is waiting to start: %s", c.spec.Name, c.pod.Name, reason), http.StatusBadRequest)
		return
	}
	if previous {
		http.Error(w, fmt.Sprintf("previous terminated container %q in pod %q not found", c.spec.Name, c.pod.Name), http.StatusBadRequest)
		return
	}
	options, err := parseLogOptions(q)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	started := c.started()
	output, later := "", []vllm.Line{}
	if vllm.Is(&c.spec) {
		output, later = vllmLog(vllm.Log(&c.spec, started, k.load), options.since)
	} else if !started.Before(options.since) {
		output, _ = c.run(c.command(), started)
	}
	io.WriteString(w, options.apply(output, started)) //nolint:errcheck // the client is gone
	if options.follow {
		http.NewResponseController(w).Flush() //nolint:errcheck // the client is gone
		k.waitEnd(r, w, later)
	}
}

// vllmLog is what has been written by now, and what will be.
func vllmLog(lines []vllm.Line, since time.Time) (written string, later []vllm.Line) {
	now := time.Now()
	for _, l := range lines {
		switch {
		case l.At.After(now):
			later = append(later, l)
		case !l.At.Before(since):
			written += l.Text + "\n"
		}
	}
	return written, later
}

// lastLog writes what a container wrote in its previous life: what it writes when it
// starts, then the lines of the trouble in which it ended.
func (k *kubeletAPI) lastLog(w http.ResponseWriter, c container, q url.Values) {
	options, err := parseLogOptions(q)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	ended := c.status.LastTerminationState.Terminated.FinishedAt.Time
	if ended.Before(options.since) {
		return
	}
	output, _ := c.run(c.command(), ended)
	if t, ok := troubleOf(c.pod); ok && t.Container == c.spec.Name && t.Message != "" {
		output += strings.TrimSuffix(t.Message, "\n") + "\n"
	}
	io.WriteString(w, options.apply(output, ended)) //nolint:errcheck // the client is gone
}

// waitEnd returns when the container has ended or the client is gone. It writes the
// later lines in their time.
func (k *kubeletAPI) waitEnd(r *http.Request, w http.ResponseWriter, later []vllm.Line) {
	tick := time.NewTicker(followInterval)
	defer tick.Stop()
	for {
		if c, err := k.find(r); err != nil || c.status == nil || c.status.State.Running == nil {
			return
		}
		for ; len(later) > 0 && !later[0].At.After(time.Now()); later = later[1:] {
			io.WriteString(w, later[0].Text+"\n") //nolint:errcheck // the client is gone
			http.NewResponseController(w).Flush() //nolint:errcheck // as before
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// started is when the container's process began.
func (c container) started() time.Time {
	switch s := c.status.State; {
	case s.Running != nil:
		return s.Running.StartedAt.Time
	case s.Terminated != nil:
		return s.Terminated.StartedAt.Time
	}
	return time.Time{}
}

// command is the container's command line, as far as its spec gives it.
func (c container) command() []string {
	return append(append([]string{}, c.spec.Command...), c.spec.Args...)
}
