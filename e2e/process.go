package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdExits runs aicluster and wants one exit code: "exits CODE COMMAND ARGS…".
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS...")
	}
	err := ts.Exec("aicluster", args[1:]...)
	stdout, stderr := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	noSecrets(ts, "aicluster "+args[1], stdout+stderr)
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != number(ts, args[0]) {
		ts.Logf("[stdout]\n%s[stderr]\n%s", stdout, stderr)
		ts.Fatalf("aicluster %s: exit code %d, wanted %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// The files in which "signal" leaves what the command printed.
const (
	signalledStdout = "signalled.stdout"
	signalledStderr = "signalled.stderr"
)

// cmdSignal runs aicluster and sends it a signal at the first line of what it
// prints that matches:
//
//	signal KILL|INT REGEXP COMMAND ARGS…
//
// A step in JSON is matched as "RESOURCE ACTION STATE MESSAGE". Killed, the process
// must have died of that; interrupted, it must exit with 130. What it printed is
// in signalled.stdout and signalled.stderr.
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"KILL": syscall.SIGKILL, "INT": syscall.SIGINT}
	if neg || len(args) < 3 || signals[args[0]] == 0 {
		ts.Fatalf("usage: signal KILL|INT REGEXP COMMAND ARGS...")
	}
	at, err := regexp.Compile(args[1])
	ts.Check(err)
	cmd := exec.Command(mustLook(ts, "aicluster"), args[2:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), environment(ts)
	w := &watcher{at: at, hit: func() { _ = cmd.Process.Signal(signals[args[0]]) }}
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&stdout, w.stream()), io.MultiWriter(&stderr, w.stream())
	err = cmd.Run()
	keepSignalled(ts, args[2], stdout.String(), stderr.String())
	text := stdout.String() + stderr.String()
	if !w.sent.Load() {
		ts.Fatalf("no line matched %s:\n%s", args[1], text)
	}
	if how := ending(cmd, err); how != map[string]string{"KILL": "killed", "INT": "130"}[args[0]] {
		ts.Fatalf("aicluster ended with %s:\n%s", how, text)
	}
}

// keepSignalled puts aside what a command printed that a signal ended.
func keepSignalled(ts *testscript.TestScript, command, stdout, stderr string) {
	ts.Check(os.WriteFile(ts.MkAbs(signalledStdout), []byte(stdout), 0o644))
	ts.Check(os.WriteFile(ts.MkAbs(signalledStderr), []byte(stderr), 0o644))
	noSecrets(ts, "aicluster "+command, stdout+stderr)
}

// environment is what aicluster runs in when testscript does not start it:
// nothing of the developer's own settings.
func environment(ts *testscript.TestScript) []string {
	env := []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME"), "NO_COLOR=1"}
	for name, value := range of(ts).env {
		env = append(env, name+"="+value)
	}
	return env
}

// watcher calls hit once, at the first line of any of its streams that matches.
type watcher struct {
	at   *regexp.Regexp
	hit  func()
	sent atomic.Bool
}

// stream is a writer for one of the streams.
func (w *watcher) stream() io.Writer { return &watchedStream{watcher: w} }

type watchedStream struct {
	*watcher
	rest string // the line that has not ended
}

func (s *watchedStream) Write(p []byte) (int, error) {
	s.rest += string(p)
	for {
		line, rest, ok := strings.Cut(s.rest, "\n")
		if !ok {
			return len(p), nil
		}
		s.rest = rest
		if s.at.MatchString(readable(line)) && s.sent.CompareAndSwap(false, true) {
			s.hit()
		}
	}
}

// readable is a line as the script's pattern sees it.
func readable(line string) string {
	var step struct{ Type, Resource, Action, State, Message string }
	if json.Unmarshal([]byte(line), &step) != nil || step.Type != "step" {
		return line
	}
	return strings.Join([]string{step.Resource, step.Action, step.State, step.Message}, " ")
}

// ending is how a process ended: "killed", or its exit code.
func ending(cmd *exec.Cmd, err error) string {
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		return "killed"
	}
	if err != nil && cmd.ProcessState.ExitCode() < 0 {
		return err.Error()
	}
	return fmt.Sprint(cmd.ProcessState.ExitCode())
}
