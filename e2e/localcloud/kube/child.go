package kube

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// stopGrace is how long a child may take to end before it is killed.
const stopGrace = 5 * time.Second

// report is the one line that the child writes to its standard output.
type report struct {
	Port  int    `json:"port,omitempty"`
	Error string `json:"error,omitempty"`
}

// child is the process of a control plane.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer   // its end tells the child that the parent is gone
	lines chan string // the report, or what there was instead
	log   string
	done  chan struct{}
}

// startChild starts the child and waits until it says that it is ready.
func startChild(ctx context.Context, o Options) (*child, *rest.Config, error) {
	ch, err := spawn(o)
	if err != nil {
		return nil, nil, err
	}
	config, err := func() (*rest.Config, error) {
		r, err := ch.report(ctx)
		if err != nil {
			return nil, err
		}
		if o.Kubeconfig != "" {
			return readKubeconfig(o.Kubeconfig)
		}
		return adminConfig(o.Dir, r.Port)
	}()
	if err != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
		defer cancel()
		return nil, nil, errors.Join(err, ch.stop(stop))
	}
	return ch, config, nil
}

// spawn starts the child process and the goroutines that end with it.
func spawn(o Options) (*child, error) {
	ch := &child{
		lines: make(chan string, 1),
		log:   filepath.Join(o.Dir, "controlplane.log"),
		done:  make(chan struct{}),
	}
	logFile, err := os.OpenFile(ch.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	ch.cmd = exec.Command(o.Executable, Command,
		"--dir="+o.Dir,
		"--name="+o.Cluster,
		"--version="+o.Version,
		"--auth-url="+o.AuthURL,
		"--network-url="+o.NetworkURL,
		"--kubeconfig="+o.Kubeconfig,
		"--issuer="+o.Issuer,
		"--service-cidr="+o.ServiceCIDR,
		"--speed="+strconv.FormatFloat(o.Clock.Speed(), 'g', -1, 64))
	ch.cmd.Stderr = logFile
	ch.cmd.SysProcAttr = dieWithParent()
	if ch.stdin, err = ch.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	// Not StdoutPipe: Wait closes that one while the report is being read.
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	ch.cmd.Stdout = w

	started := make(chan error)
	go func() {
		// The kernel sends the parent-death signal when the starting thread
		// ends, so this thread stays until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := ch.cmd.Start()
		w.Close()
		started <- err
		if err == nil {
			ch.cmd.Wait() //nolint:errcheck // the log tells why it ended
		}
		close(ch.done)
	}()
	if err := <-started; err != nil {
		r.Close()
		return nil, err
	}
	go ch.read(r)
	return ch, nil
}

// read passes the report on and keeps the pipe empty until the child has ended.
func (ch *child) read(r io.ReadCloser) {
	defer r.Close()
	buffered := bufio.NewReader(r)
	line, _ := buffered.ReadString('\n')
	ch.lines <- line
	io.Copy(io.Discard, buffered) //nolint:errcheck // any end is the end
}

// report waits for the child's line.
func (ch *child) report(ctx context.Context) (report, error) {
	select {
	case <-ctx.Done():
		return report{}, fmt.Errorf("not ready: %w", ctx.Err())
	case line := <-ch.lines:
		var r report
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return r, fmt.Errorf("ended before it was ready: %s", ch.lastWords())
		}
		if r.Error != "" {
			return r, errors.New(r.Error)
		}
		return r, nil
	}
}

// lastWords is the end of the child's log.
func (ch *child) lastWords() string {
	data, err := os.ReadFile(ch.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// stop asks the child to end, and kills it when ctx ends or it takes too long.
func (ch *child) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	ch.stdin.Close()
	select {
	case <-ch.done:
		return nil
	case <-ctx.Done():
	}
	if err := ch.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-ch.done
	return nil
}
