package controllers

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// autoscalerFlags are the program's flags that the stand-in follows, with the
// defaults of cluster-autoscaler 1.36 (cluster-autoscaler --help).
type autoscalerFlags struct {
	discovery []string // tag keys that a group must have
	expanders []string
	balance   bool
	ignored   []string // labels that similar groups may differ in

	scanInterval, podDelay      time.Duration
	backoff, maxBackoff         time.Duration
	provision                   time.Duration
	priorityCutoff              int
	down                        bool
	unneeded, unready           time.Duration
	afterAdd, afterDelete       time.Duration
	afterFailure                time.Duration
	afterAddLocal               bool
	threshold, gpuThreshold     float64
	ignoreDaemons               bool
	keepSystem, keepLocal       bool
	keepCustom                  bool
	parallel, parallelDrains    int
	eviction, termination, rest time.Duration
}

// readAutoscalerFlags reads a command as the chart writes it: --name=value, or
// --name alone. Flags that the stand-in does not follow are passed over.
func readAutoscalerFlags(command []string) (autoscalerFlags, error) {
	var f autoscalerFlags
	var seconds int
	var expander string
	set := flag.NewFlagSet("cluster-autoscaler", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Func("node-group-auto-discovery", "", func(v string) error {
		tags, ok := strings.CutPrefix(v, "asg:tag=")
		if !ok || tags == "" {
			return errors.New("a discovery of Auto Scaling groups is asg:tag=KEY,KEY")
		}
		f.discovery = append(f.discovery, strings.Split(tags, ",")...)
		return nil
	})
	set.StringVar(&expander, "expander", "least-waste", "")
	set.BoolVar(&f.balance, "balance-similar-node-groups", false, "")
	set.Func("balancing-ignore-label", "", func(v string) error { f.ignored = append(f.ignored, v); return nil })
	set.DurationVar(&f.scanInterval, "scan-interval", 10*time.Second, "")
	set.DurationVar(&f.podDelay, "new-pod-scale-up-delay", 0, "")
	set.DurationVar(&f.backoff, "initial-node-group-backoff-duration", 5*time.Minute, "")
	set.DurationVar(&f.maxBackoff, "max-node-group-backoff-duration", 30*time.Minute, "")
	set.DurationVar(&f.provision, "max-node-provision-time", 15*time.Minute, "")
	set.IntVar(&f.priorityCutoff, "expendable-pods-priority-cutoff", -10, "")
	set.BoolVar(&f.down, "scale-down-enabled", true, "")
	set.DurationVar(&f.unneeded, "scale-down-unneeded-time", 10*time.Minute, "")
	set.DurationVar(&f.unready, "scale-down-unready-time", 20*time.Minute, "")
	set.DurationVar(&f.afterAdd, "scale-down-delay-after-add", 10*time.Minute, "")
	set.DurationVar(&f.afterDelete, "scale-down-delay-after-delete", 0, "")
	set.DurationVar(&f.afterFailure, "scale-down-delay-after-failure", 3*time.Minute, "")
	set.BoolVar(&f.afterAddLocal, "scale-down-delay-type-local", false, "")
	set.Float64Var(&f.threshold, "scale-down-utilization-threshold", 0.5, "")
	set.Float64Var(&f.gpuThreshold, "scale-down-gpu-utilization-threshold", 0.5, "")
	set.BoolVar(&f.ignoreDaemons, "ignore-daemonsets-utilization", false, "")
	set.BoolVar(&f.keepSystem, "skip-nodes-with-system-pods", true, "")
	set.BoolVar(&f.keepLocal, "skip-nodes-with-local-storage", true, "")
	set.BoolVar(&f.keepCustom, "skip-nodes-with-custom-controller-pods", true, "")
	set.IntVar(&f.parallel, "max-scale-down-parallelism", 10, "")
	set.IntVar(&f.parallelDrains, "max-drain-parallelism", 1, "")
	set.DurationVar(&f.eviction, "max-pod-eviction-time", 2*time.Minute, "")
	set.IntVar(&seconds, "max-graceful-termination-sec", 600, "")
	set.DurationVar(&f.rest, "node-delete-delay-after-taint", 5*time.Second, "")
	for _, arg := range command {
		name, value, given := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !strings.HasPrefix(arg, "-") || set.Lookup(name) == nil {
			continue
		}
		if !given {
			value = "true"
		}
		if err := set.Set(name, value); err != nil {
			return f, fmt.Errorf("invalid argument %q for --%s: %w", value, name, err)
		}
	}
	f.termination, f.expanders = time.Duration(seconds)*time.Second, strings.Split(expander, ",")
	if len(f.discovery) == 0 {
		return f, errors.New("no --node-group-auto-discovery")
	}
	for _, e := range f.expanders {
		if !slices.Contains([]string{"least-waste", "random"}, e) {
			return f, fmt.Errorf("the stand-in does not know the expander %s", e)
		}
	}
	return f, nil
}
