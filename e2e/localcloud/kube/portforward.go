package kube

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

// portForward connects the streams of a client with ports of a pod.
func (k *kubeletAPI) portForward(w http.ResponseWriter, r *http.Request) {
	namespace, name := r.PathValue("namespace"), r.PathValue("pod")
	obj, ok, err := k.pods.GetByKey(namespace + "/" + name)
	if err != nil || !ok {
		http.Error(w, fmt.Sprintf("pod %q not found in namespace %q", name, namespace), http.StatusNotFound)
		return
	}
	pod := obj.(*corev1.Pod)
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, forwarder{k, pod}, name, string(pod.UID), options, execIdle, execStreams, portforward.SupportedProtocols)
}

// forwarder opens connections to one pod's ports.
type forwarder struct {
	api *kubeletAPI
	pod *corev1.Pod
}

// PortForward copies between a client's stream and a new connection to the port.
// Its error reaches the client's terminal, in containerd's words.
func (f forwarder) PortForward(ctx context.Context, _, uid string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	conn, err := f.api.network(ctx, "tcp", net.JoinHostPort(f.pod.Status.PodIP, strconv.Itoa(int(port))))
	if err != nil {
		return fmt.Errorf("failed to execute portforward in network namespace for sandbox %q: failed to connect to localhost:%d inside namespace %q, IPv4: %w", uid, port, uid, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(stream, conn) //nolint:errcheck // any end is the end
		stream.Close()
	}()
	io.Copy(conn, stream) //nolint:errcheck // any end is the end
	conn.Close()
	<-done
	return nil
}
