// Command localcloud is a stand-in for AWS on this machine: it speaks the real
// protocols of the services that aicluster uses, and behind every EKS cluster
// runs a real Kubernetes control plane.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"k8s.io/klog/v2"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/faults"
	"aicluster/e2e/localcloud/kube"
	"aicluster/e2e/localcloud/s3"
	"aicluster/e2e/localcloud/server"
)

const usage = `localcloud stands in for AWS on this machine.

Usage:
  localcloud serve --dir DIR [--speed N] [--profile FILE] [--addr HOST:PORT] [--faults FILE] [--record FILE]
                   [--kubernetes KUBECONFIG] [--without cluster-autoscaler]
        runs until it is signalled; when ready it has written DIR/env
  localcloud run [--dir DIR] [--speed N] [--profile FILE] [--faults FILE] [--record FILE] -- COMMAND [ARGUMENT...]
        runs a command with a local cloud around it and exits with its code

A speed of N divides AWS's typical durations by N; a profile has those that are to
be others. The faults' file says what goes wrong from the start; see
docs/local-cloud.md. A record has one JSON document a line for every call: what was
asked, and the status and error code of the answer. With --kubernetes that
Kubernetes stands behind the one cluster, such as a kind cluster. The part that is
named by --without is not played, so that the real program can act in its place.
`

func main() {
	os.Exit(run(context.Background(), os.Args[1:]))
}

// exitUsage is for a command line that cannot be understood.
const exitUsage = 2

func run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return exitUsage
	}
	command, args := args[0], args[1:]
	switch command {
	case "serve":
		return report(serve(ctx, args))
	case "run":
		return report(runAround(ctx, args))
	case kube.Command:
		return report(0, kube.RunChild(ctx, args))
	case s3.Command:
		return report(0, s3.RunChild(ctx, args))
	case "help", "-h", "--help":
		fmt.Print(usage)
		return 0
	}
	fmt.Fprintf(os.Stderr, "localcloud: no command %q\n\n%s", command, usage)
	return exitUsage
}

// report prints an error and makes the exit code of both.
func report(code int, err error) int {
	switch {
	case err == nil:
		return code
	case errors.Is(err, flag.ErrHelp):
		return 0
	}
	fmt.Fprintln(os.Stderr, "localcloud:", err)
	if code == 0 {
		return 1
	}
	return code
}

// newLog writes to the standard error, which is for talk.
func newLog(least slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: least}))
}

func newFlags(name string, o *server.Options) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	// What Kubernetes' libraries have to say is of interest only when something
	// is wrong. The children decide for themselves.
	klog.SetSlogLogger(newLog(slog.LevelWarn))
	flags.StringVar(&o.Dir, "dir", "", "folder of all data")
	flags.Float64Var(&o.Speed, "speed", 1, "divisor of AWS's typical durations")
	flags.Func("profile", "file with durations", func(file string) (err error) {
		o.Durations, err = clock.Read(file)
		return err
	})
	flags.StringVar(&o.Addr, "addr", "", "where to listen")
	flags.StringVar(&o.Kubeconfig, "kubernetes", "", "kubeconfig of a Kubernetes to use")
	flags.StringVar(&o.Record, "record", "", "file that every call is added to")
	flags.Func("without", "part that is not played", func(part string) error {
		if part != "cluster-autoscaler" {
			return errors.New("what can be left out is cluster-autoscaler")
		}
		o.WithoutAutoscaler = true
		return nil
	})
	return flags
}

// parse reads the command line and the file of faults that it names.
func parse(flags *flag.FlagSet, args []string, o *server.Options) error {
	file := flags.String("faults", "", "file with what goes wrong")
	if err := flags.Parse(args); err != nil || *file == "" {
		return err
	}
	data, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	if o.Faults, err = faults.ReadFile(*file, data); err != nil {
		return fmt.Errorf("the file of faults is broken\n%w", err)
	}
	return nil
}

func serve(ctx context.Context, args []string) (int, error) {
	o := server.Options{Log: newLog(slog.LevelInfo)}
	flags := newFlags("serve", &o)
	if err := parse(flags, args, &o); err != nil {
		return exitUsage, err
	}
	if o.Dir == "" || flags.NArg() > 0 {
		return exitUsage, errors.New("serve takes --dir DIR and no arguments")
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	cloud, err := server.Start(ctx, o)
	if err != nil {
		return 1, err
	}
	err = cloud.Wait(ctx)
	return 0, errors.Join(err, cloud.Stop(context.WithoutCancel(ctx)))
}

// runAround runs a command with the local cloud in its environment.
func runAround(ctx context.Context, args []string) (int, error) {
	o := server.Options{Log: newLog(slog.LevelWarn)}
	flags := newFlags("run", &o)
	if err := parse(flags, args, &o); err != nil {
		return exitUsage, err
	}
	if flags.NArg() == 0 {
		return exitUsage, errors.New("run takes -- COMMAND")
	}
	if o.Dir == "" {
		dir, err := os.MkdirTemp("", "localcloud-")
		if err != nil {
			return 1, err
		}
		defer os.RemoveAll(dir)
		o.Dir = dir
	}
	// An interrupt from the terminal reaches the command as well: it ends in
	// its own way, and the cloud stays until then.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	cloud, err := server.Start(ctx, o)
	if err != nil {
		return 1, err
	}
	code, err := runCommand(flags.Args(), cloud.Environ(os.Environ()), signals)
	return code, errors.Join(err, cloud.Stop(ctx))
}

// runCommand runs a command and returns its exit code, which is 128 and the
// signal's number when one ended it, as a shell says.
func runCommand(args, env []string, signals <-chan os.Signal) (int, error) {
	select {
	case s := <-signals:
		return 128 + int(s.(syscall.Signal)), nil // the command has not seen it
	default:
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = env
	cmd.SysProcAttr = endWithParent()
	if err := cmd.Start(); err != nil {
		return 127, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGTERM {
				cmd.Process.Signal(s) //nolint:errcheck // it has just ended
			}
		case err := <-done:
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
					return 128 + int(status.Signal()), nil
				}
				return exit.ExitCode(), nil
			}
			return 0, err
		}
	}
}
