package s3

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stopGrace is how long a child may take to end before it is killed.
const stopGrace = 2 * time.Second

// backend is a running child: the S3 server of one region.
type backend struct {
	objects string
	command *exec.Cmd
	stdin   io.WriteCloser
	exited  chan struct{} // closed when the child is gone
	added   chan struct{} // one for each key that the child has taken
	proxy   *httputil.ReverseProxy
}

// startBackend starts a child and returns once it serves.
func startBackend(ctx context.Context, executable, dir, region string, keys []Key) (*backend, error) {
	c := childConfig{
		Region: region, Socket: "@localcloud-s3-" + strings.ToLower(rand.Text()), Keys: keys,
		Objects: filepath.Join(dir, "objects"), Versions: filepath.Join(dir, "versions"), Sidecar: filepath.Join(dir, "attributes"),
	}
	for _, folder := range []string{c.Objects, c.Versions} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(executable, Command)
	cmd.SysProcAttr = dieWithParent()
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("s3 server: %w", err)
	}
	b := &backend{objects: c.Objects, command: cmd, stdin: stdin, exited: make(chan struct{}), added: make(chan struct{}, 1), proxy: newProxy(c.Socket)}
	serving := make(chan struct{})
	go func() {
		// The backend has a line or two to say of its own before.
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			switch lines.Text() {
			case ready:
				close(serving)
			case added:
				b.added <- struct{}{}
			}
		}
		cmd.Wait() //nolint:errcheck // it is signalled to end
		close(b.exited)
	}()
	if err := json.NewEncoder(stdin).Encode(c); err != nil {
		b.stop(ctx)
		return nil, fmt.Errorf("s3 server: %w", err)
	}
	select {
	case <-serving:
		return b, nil
	case <-b.exited:
		err = fmt.Errorf("s3 server of %s ended before it served", region)
	case <-ctx.Done():
		err = fmt.Errorf("s3 server of %s: %w", region, ctx.Err())
	}
	b.stop(ctx)
	return nil, err
}

// addKey lets the child accept one more key. One call at a time.
func (b *backend) addKey(k Key) error {
	if err := json.NewEncoder(b.stdin).Encode(k); err != nil {
		return fmt.Errorf("s3 server: %w", err)
	}
	select {
	case <-b.added:
		return nil
	case <-b.exited:
		return errors.New("s3 server has ended")
	}
}

// stop ends the child, by force when it does not go in time.
func (b *backend) stop(ctx context.Context) {
	b.stdin.Close()
	b.command.Process.Signal(syscall.SIGTERM) //nolint:errcheck // gone already
	t := time.NewTimer(stopGrace)
	defer t.Stop()
	select {
	case <-b.exited:
		return
	case <-t.C:
	case <-ctx.Done():
	}
	b.command.Process.Kill() //nolint:errcheck // gone already
	<-b.exited
}

// newProxy forwards to a child. It keeps the Host header, which is signed, and
// everything else as it is.
func newProxy(socket string) *httputil.ReverseProxy {
	var d net.Dialer
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "s3"})
			r.Out.Host = r.In.Host
		},
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return d.DialContext(ctx, "unix", socket)
			},
			DisableCompression:  true,
			MaxIdleConnsPerHost: 64,
			IdleConnTimeout:     time.Minute,
		},
		ModifyResponse: encodeList,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			(&apiError{http.StatusServiceUnavailable, "ServiceUnavailable", "Reduce your request rate. (" + err.Error() + ")"}).write(w, r, "")
		},
	}
}
