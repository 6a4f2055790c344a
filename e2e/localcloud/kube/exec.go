package kube

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// How long an exec session may be idle, and how long its streams may take to
// come: the kubelet's own figures.
const (
	execIdle    = 4 * time.Hour
	execStreams = 30 * time.Second
)

// exec runs a command in a running container.
func (k *kubeletAPI) exec(w http.ResponseWriter, r *http.Request) {
	c, err := k.find(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	if c.status == nil || c.status.State.Running == nil {
		http.Error(w, fmt.Sprintf("container not found (%q)", c.spec.Name), http.StatusInternalServerError)
		return
	}
	streams, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(w, r, executor{c}, c.pod.Name, string(c.pod.UID), c.spec.Name,
		r.URL.Query()["command"], streams, execIdle, execStreams, remotecommand.SupportedStreamingProtocols)
}

// executor runs commands in one container for the streaming protocol.
type executor struct{ container }

// ExecInContainer writes what the command would. No process runs in a container
// here, so a command that [container.run] does not know is one that the image
// does not have.
func (e executor) ExecInContainer(_ context.Context, _, _, _ string, cmd []string, _ io.Reader, stdout, stderr io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	output, known := e.run(cmd, time.Now())
	if !known {
		name := strings.Join(cmd, " ")
		if len(cmd) > 0 {
			name = cmd[0]
		}
		message := fmt.Sprintf("OCI runtime exec failed: exec failed: unable to start container process: exec: %q: executable file not found in $PATH\n", name)
		if stderr != nil {
			io.WriteString(stderr, message) //nolint:errcheck // the client is gone
		}
		return utilexec.CodeExitError{Err: fmt.Errorf("exec: %q: executable file not found in $PATH", name), Code: 127}
	}
	if stdout == nil {
		return nil
	}
	_, err := io.WriteString(stdout, output)
	return err
}
