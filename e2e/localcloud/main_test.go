package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is localcloud itself when the tests start it as that.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test.") {
		os.Exit(run(context.Background(), os.Args[1:]))
	}
	os.Exit(m.Run())
}

func localcloud(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir(), "AWS_PROFILE=real", "AWS_SESSION_TOKEN=real")
	cmd.Stderr = os.Stderr
	return cmd
}

// temp is the folder for temporary files that cmd was given.
func temp(cmd *exec.Cmd) (dir string) {
	for _, pair := range cmd.Env {
		if value, ok := strings.CutPrefix(pair, "TMPDIR="); ok {
			dir = value
		}
	}
	return dir
}

func exitCode(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

func TestRun(t *testing.T) {
	script := `env | grep -c -e '^AWS_ENDPOINT_URL=http://127.0.0.1:' -e '^AWS_REGION=ap-northeast-2$' -e '^AWS_ACCESS_KEY_ID=AKIA' -e '^AWS_PROFILE=' -e '^AWS_SESSION_TOKEN='
		test -f "$AICLUSTER_CHART_MIRROR/index.yaml" || exit 1
		exit 7`
	cmd := localcloud(t, "run", "--speed", "1000", "--", "sh", "-c", script)
	out, err := cmd.Output()
	if exitCode(err) != 7 || strings.TrimSpace(string(out)) != "3" {
		t.Errorf("%s, %v", out, err)
	}
	if left, _ := os.ReadDir(temp(cmd)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	tests := []struct {
		args []string
		want int
	}{
		{[]string{"run", "--", "true"}, 0},
		{[]string{"run", "--", "sh", "-c", "kill -9 $$"}, 137},
		{[]string{"run", "--", "/no/such/command"}, 127},
		{[]string{"run"}, exitUsage},
		{[]string{"serve"}, exitUsage},
		{[]string{"fly"}, exitUsage},
	}
	for _, test := range tests {
		cmd := localcloud(t, test.args...)
		cmd.Stderr = nil
		if got := exitCode(cmd.Run()); got != test.want {
			t.Errorf("localcloud %s: exit code %d, want %d", strings.Join(test.args, " "), got, test.want)
		}
	}
}

func TestServeEndsOnSignal(t *testing.T) {
	dir := t.TempDir()
	cmd := localcloud(t, "serve", "--dir", dir, "--speed", "1000")
	cmd.Stderr = nil
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	env := filepath.Join(dir, "env")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(env); err == nil {
			break
		}
		if time.Now().After(deadline) {
			cmd.Process.Kill()
			t.Fatal("no env file")
		}
	}
	start := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("took %v to end", d)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
