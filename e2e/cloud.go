package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// cloud is a running local cloud.
type cloud struct {
	dir   string
	env   map[string]string // what D/env exports
	cmd   *exec.Cmd
	log   *os.File
	crowd *crowd // of clients of a service; nil for none
}

// startTimeout bounds the local cloud's start.
const startTimeout = 30 * time.Second

// recordVariable names the file to which the local clouds of all scripts add every
// call, for the referees; see e2e/referees.
const recordVariable = "AICLUSTER_E2E_RECORD"

// start runs "localcloud serve" and returns when it is ready.
func (c *cloud) start(program, dir, speed string, flags ...string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	c.dir, c.log = dir, log
	c.cmd = exec.Command(program, append([]string{"serve", "--dir", dir, "--speed", speed}, flags...)...)
	if file := os.Getenv(recordVariable); file != "" {
		c.cmd.Args = append(c.cmd.Args, "--record", file)
	}
	c.cmd.Stdout, c.cmd.Stderr = log, log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := c.cmd.Start(); err != nil {
		return err
	}
	deadline := time.Now().Add(startTimeout)
	for time.Now().Before(deadline) {
		if c.env, err = readEnv(filepath.Join(dir, "env")); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	text, _ := os.ReadFile(log.Name())
	return fmt.Errorf("the local cloud was not ready after %s:\n%s", startTimeout, text)
}

// stop ends the local cloud and waits for it.
func (c *cloud) stop() error {
	if c.cmd == nil {
		return nil
	}
	defer c.log.Close()
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- c.cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		_ = c.cmd.Process.Kill()
		return fmt.Errorf("the local cloud did not stop: %w", <-done)
	}
}

// readEnv parses the export lines of D/env.
func readEnv(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	env := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "=")
		if ok {
			env[name] = strings.Trim(value, `'"`)
		}
	}
	if env["AWS_ENDPOINT_URL"] == "" {
		return nil, fmt.Errorf("%s has no AWS_ENDPOINT_URL", path)
	}
	return env, lines.Err()
}

// get reads an admin endpoint of the local cloud into v.
func (c *cloud) get(path string, v any) error { return c.do(http.MethodGet, path, v) }

// post sends in to an admin endpoint as JSON.
func (c *cloud) post(path string, in any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return c.send(http.MethodPost, path, bytes.NewReader(body), nil)
}

func (c *cloud) do(method, path string, v any) error { return c.send(method, path, nil, v) }

func (c *cloud) send(method, path string, in io.Reader, v any) error {
	req, err := http.NewRequest(method, c.env["AWS_ENDPOINT_URL"]+"/_localcloud/"+path, in)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, body)
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(body, v)
}
