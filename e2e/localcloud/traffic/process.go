package traffic

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// processKey is one run of one container.
type processKey struct {
	pod       types.UID
	container string
	restarts  int32
}

// process is a container's process, as far as it listens.
type process struct {
	since   time.Time
	asked   bool // for the servers
	servers map[int32]Server
	ports   map[int32]*port // those that somebody has connected to
}

// connect connects to a port of a pod whose containers run.
func (n *Network) connect(ctx context.Context, l *listers, pod *corev1.Pod, number int32) (net.Conn, error) {
	if pod.Status.Phase != corev1.PodRunning {
		return nil, errNoHost
	}
	if h := n.handlerOf(l, pod, number); h != nil {
		return serveOnce(h), nil
	}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		status := statusOf(pod, c.Name)
		if status == nil || status.State.Running == nil {
			continue
		}
		if p := n.listening(processKey{pod.UID, c.Name, status.RestartCount}, pod, c, number); p != nil {
			return p.dial(ctx)
		}
	}
	return nil, errRefused
}

// listening finds what listens on a port of a container and starts it, if it is
// not there yet. It returns nil for a port on which nothing listens.
func (n *Network) listening(key processKey, pod *corev1.Pod, c *corev1.Container, number int32) *port {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.processes[key]
	if p == nil {
		return nil // it is not seen yet
	}
	for i := 0; i < len(n.images) && !p.asked && p.servers == nil; i++ {
		p.servers = n.images[i].Servers(pod, c)
	}
	p.asked = true
	s, ok := p.servers[number]
	if !ok || time.Since(p.since) < s.After {
		return nil
	}
	if p.ports[number] == nil {
		p.ports[number] = open(s)
	}
	return p.ports[number]
}

// handlerOf is what [Network.Handle] was given for a Service that has the pod
// behind it, at this port of the pod.
func (n *Network) handlerOf(l *listers, pod *corev1.Pod, number int32) http.Handler {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, h := range n.handlers {
		if name.Namespace != pod.Namespace {
			continue
		}
		service, err := l.services.Services(name.Namespace).Get(name.Name)
		if err != nil || len(service.Spec.Selector) == 0 || !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(pod.Labels)) {
			continue
		}
		for _, p := range service.Spec.Ports {
			if targetPort(pod, p) == number {
				return h
			}
		}
	}
	return nil
}

// targetPort is the port of a pod to which a Service's port leads.
func targetPort(pod *corev1.Pod, p corev1.ServicePort) int32 {
	if p.TargetPort.StrVal == "" {
		if p.TargetPort.IntVal == 0 {
			return p.Port
		}
		return p.TargetPort.IntVal
	}
	for _, c := range pod.Spec.Containers {
		for _, cp := range c.Ports {
			if cp.Name == p.TargetPort.StrVal {
				return cp.ContainerPort
			}
		}
	}
	return 0
}

func statusOf(pod *corev1.Pod, container string) *corev1.ContainerStatus {
	for i := range pod.Status.ContainerStatuses {
		if pod.Status.ContainerStatuses[i].Name == container {
			return &pod.Status.ContainerStatuses[i]
		}
	}
	return nil
}

// see notes when a pod's containers have begun to run. Their status tells that in
// whole seconds only, which is long at a high speed.
func (n *Network) see(pod *corev1.Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range pod.Status.ContainerStatuses {
		key := processKey{pod.UID, s.Name, s.RestartCount}
		if s.State.Running == nil || n.processes[key] != nil {
			continue
		}
		since := time.Now()
		if latest := s.State.Running.StartedAt.Add(time.Second); latest.Before(since) {
			since = latest
		}
		n.processes[key] = &process{since: since, ports: map[int32]*port{}}
	}
}

// reap ends the processes of containers that do not run any more.
func (n *Network) reap(pod *corev1.Pod) {
	n.end(func(key processKey) bool {
		if key.pod != pod.UID {
			return false
		}
		status := statusOf(pod, key.container)
		return status == nil || status.State.Running == nil || status.RestartCount != key.restarts
	})
}

// bury ends the processes of a pod that is gone.
func (n *Network) bury(pod *corev1.Pod) {
	n.end(func(key processKey) bool { return key.pod == pod.UID })
}

func (n *Network) stopAll() { n.end(func(processKey) bool { return true }) }

func (n *Network) end(which func(processKey) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for key, p := range n.processes {
		if which(key) {
			for _, open := range p.ports {
				open.close()
			}
			delete(n.processes, key)
		}
	}
}

// port is a server with its listener in memory.
type port struct {
	server *http.Server
	conns  chan net.Conn
	done   chan struct{}
	once   sync.Once
}

func open(s Server) *port {
	p := &port{
		server: &http.Server{Handler: s.Handler, TLSConfig: s.TLS, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)},
		conns:  make(chan net.Conn), done: make(chan struct{}),
	}
	if s.TLS != nil {
		go p.server.ServeTLS(p, "", "") //nolint:errcheck // it ends with close
	} else {
		go p.server.Serve(p) //nolint:errcheck // it ends with close
	}
	return p
}

func (p *port) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.done:
		return nil, errRefused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// close cuts all connections: the process is gone.
func (p *port) close() {
	p.server.Close()
}

// Accept, Close and Addr make a port the listener of its own server.
func (p *port) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *port) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *port) Addr() net.Addr { return named("pod") }

// serveOnce is a connection at whose other end h answers, by HTTPS if the client
// begins so.
func serveOnce(h http.Handler) net.Conn {
	client, server := net.Pipe()
	go func() {
		first := bufio.NewReader(server)
		begin, err := first.Peek(1)
		if err != nil {
			server.Close()
			return
		}
		var conn net.Conn = readConn{server, first}
		if begin[0] == recordHandshake {
			conn = tls.Server(conn, selfSigned())
		}
		l := &single{conn: conn, gone: make(chan struct{})}
		s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0), ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed || state == http.StateHijacked {
				l.Close() //nolint:errcheck // never fails
			}
		}}
		s.Serve(l) //nolint:errcheck // it ends with its one connection
	}()
	return client
}

// recordHandshake is the first byte of a TLS connection.
const recordHandshake = 22

// readConn is a connection of which something was read ahead.
type readConn struct {
	net.Conn
	r io.Reader
}

func (c readConn) Read(b []byte) (int, error) { return c.r.Read(b) }

// single is a listener with one connection.
type single struct {
	mu   sync.Mutex
	conn net.Conn
	gone chan struct{}
}

func (l *single) Accept() (net.Conn, error) {
	l.mu.Lock()
	conn := l.conn
	l.conn = nil
	l.mu.Unlock()
	if conn != nil {
		return conn, nil
	}
	<-l.gone
	return nil, errors.New("no more connections")
}

func (l *single) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.gone:
	default:
		close(l.gone)
	}
	return nil
}

func (l *single) Addr() net.Addr { return named("service") }
