package kube

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"aicluster/e2e/localcloud/clock"
)

// TestMain makes the test binary stand for the localcloud executable.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		if err := RunChild(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if dir := os.Getenv(parentDir); dir != "" {
		os.Exit(beParent(dir))
	}
	os.Exit(m.Run())
}

// parentDir is set for a process that starts a control plane and waits to be killed.
const parentDir = "KUBE_TEST_PARENT_DIR"

func beParent(dir string) int {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := Start(ctx, Options{Dir: dir, Cluster: "orphan", Version: "1.35"})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(c.child.cmd.Process.Pid)
	<-ctx.Done()
	return 1
}

// patience is far above what any step takes.
const patience = 60 * time.Second

// start starts a control plane that ends with the test.
func start(t *testing.T, o Options) *ControlPlane {
	t.Helper()
	o.Dir = filepath.Join(t.TempDir(), "controlplane")
	if o.Clock == nil {
		o.Clock = clock.New(50)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	c, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s %s ready after %v", o.Cluster, o.Version, time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of the log:\n%s", c.child.lastWords())
		}
		if err := c.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return c
}

// eventually waits until check returns nil.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestTwoAtOnce(t *testing.T) {
	var both [2]*ControlPlane
	for i, version := range []string{"1.31", "1.37"} {
		both[i] = start(t, Options{Cluster: "twin", Version: version})
	}
	a, b := both[0], both[1]
	if a.Endpoint() == b.Endpoint() || string(a.CA()) == string(b.CA()) {
		t.Error("they share an endpoint or an authority")
	}
	if err := a.AddNode(t.Context(), p4d()); err != nil {
		t.Fatal(err)
	}
	nodes, err := b.Client().CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) != 0 {
		t.Errorf("the other one sees %d nodes, %v", len(nodes.Items), err)
	}
	for c, minor := range map[*ControlPlane]string{a: "31", b: "37"} {
		if v, err := c.Client().Discovery().ServerVersion(); err != nil || v.Minor != minor {
			t.Errorf("got version %+v, %v, want 1.%s", v, err, minor)
		}
	}
}

func TestStop(t *testing.T) {
	c := start(t, Options{Cluster: "gone", Version: "1.35"})
	pid := c.child.cmd.Process.Pid
	for range 2 {
		if err := c.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d: %v", pid, err)
	}
	if _, err := os.Stat(c.opts.Dir); !os.IsNotExist(err) {
		t.Errorf("folder: %v", err)
	}
}

// TestParentDies: even a parent that is killed leaves no control plane behind.
func TestParentDies(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentDir+"="+filepath.Join(t.TempDir(), "controlplane"))
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	parent.Process.Kill()
	parent.Wait() //nolint:errcheck // it was killed
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("parent: %q", line)
	}
	eventually(t, "end of the control plane", func() error {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return nil // gone, or waiting for whoever reaps orphans here
		}
		return fmt.Errorf("process %d still runs", pid)
	})
}

func TestStartFails(t *testing.T) {
	tests := map[string]struct {
		options Options
		want    string
	}{
		"version": {Options{Version: "1.12"}, "unsupported Kubernetes version 1.12"},
		"webhook": {Options{Version: "1.35", AuthURL: "ftp://127.0.0.1"}, "want http or https"},
		"service": {Options{Version: "1.35", ServiceCIDR: "10.0.0.0"}, "ParsePrefix"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.options.Dir = filepath.Join(t.TempDir(), "cp")
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := Start(ctx, tt.options)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if _, err := os.Stat(tt.options.Dir); !os.IsNotExist(err) {
				t.Errorf("folder: %v", err)
			}
		})
	}
}
