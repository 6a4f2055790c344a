// Command aicluster makes GPU clusters on EKS from one blueprint file, proves
// them, and takes them away again.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
)

// gcPercent makes the collector run twice as often as by default: the live heap
// is small, and half of the peak was garbage. GOGC overrides it.
const gcPercent = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// run is the process: it parses args, runs the command and returns the exit code.
func run(args []string, stdin, stdout, stderr *os.File) int {
	ctx, stop := interruptible(context.Background())
	defer stop()
	app := newApp(stdin, stdout, stderr)
	err := app.cli.RunContext(ctx, interspersed(app.cli, args))
	return app.end(err)
}

// sameKey is how close signals come that are meant as one: a terminal that
// closes sends two, and so does timeout(1), to the process and to its group.
const sameKey = 500 * time.Millisecond

// interruptible returns a context that ends at the first interrupt, hang-up or
// termination signal, so that the run can end in good order. A second one ends
// the process at once, which is safe too: the next run goes on from there.
func interruptible(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		var first time.Time
		for {
			select {
			case <-signals:
				if !first.IsZero() && time.Since(first) > sameKey {
					os.Exit(exitInterrupted)
				}
				if first.IsZero() {
					first = time.Now()
				}
				cancel(errInterrupted)
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}
