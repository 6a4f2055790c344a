package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"aicluster/cmd/aicluster/ui"
	"aicluster/provision/engine"
)

func (a *app) upCommand() *cli.Command {
	return a.onCluster(&cli.Command{
		Name:  "up",
		Usage: "make the cluster what the blueprint says, from whatever is there now",
		Flags: []cli.Flag{yesFlag()},
	}, func(ctx *cli.Context, s *session) error {
		return s.up(ctx.Context, ctx.Bool("yes"))
	})
}

func yesFlag() cli.Flag {
	return &cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"}
}

func (s *session) up(ctx context.Context, yes bool) error {
	plan, err := s.plan(ctx)
	if err != nil {
		return err
	}
	if len(plan.Changes()) > 0 {
		if err := s.agree(ctx, plan, yes); err != nil {
			return err
		}
	} else {
		s.say("nothing to change: %s is what the blueprint says", s.target())
	}
	progress := s.console.Progress()
	result := s.stack.graph.Up(ctx, plan, engine.Options{Events: progress.Event})
	progress.Close()
	s.finishUp(ctx, result)
	return ended(ctx, result)
}

// agree shows the plan and asks whether to go on.
func (s *session) agree(ctx context.Context, plan *engine.Plan, yes bool) error {
	if !s.console.JSON {
		s.console.Plan(plan)
		s.say("%s: %s", s.target(), tally(plan))
	}
	if refused := plan.Refused(); len(refused) > 0 {
		var errs []error
		for _, c := range refused {
			errs = append(errs, &engine.RefusedError{Change: c})
		}
		return errors.Join(errs...)
	}
	if yes {
		return nil
	}
	return s.console.Confirm(ctx, "Make these changes? Type yes:", "yes")
}

// summaryLine is the last JSON line of a command that acts.
type summaryLine struct {
	Type                string       `json:"type"` // "summary"
	Command             string       `json:"command"`
	Cluster             string       `json:"cluster"`
	Result              string       `json:"result"`  // succeeded, failed or interrupted
	Changed             int64        `json:"changed"` // mutating calls
	Read                int64        `json:"read"`    // reading calls
	ElapsedSeconds      float64      `json:"elapsedSeconds"`
	CriticalPathSeconds float64      `json:"criticalPathSeconds"`
	CostPerHour         float64      `json:"costPerHour"` // US dollars, of what is running now
	Errors              []ui.Failure `json:"errors"`
}

func (s *session) summaryLine(command string, r engine.Result, cost float64) summaryLine {
	return summaryLine{
		Type: "summary", Command: command, Cluster: s.blueprint.Metadata.Name, Result: outcome(r),
		Changed: s.clients.Calls().Writes(), Read: s.clients.Calls().Reads(),
		ElapsedSeconds: time.Since(s.start).Seconds(), CriticalPathSeconds: r.CriticalPath.Seconds(),
		CostPerHour: cost, Errors: ui.Failures(r.Err()),
	}
}

// The results in a summary.
const (
	resultSucceeded   = "succeeded"
	resultFailed      = "failed"
	resultInterrupted = "interrupted"
)

func outcome(r engine.Result) string {
	switch {
	case r.Err() != nil:
		return resultFailed
	case r.Interrupted:
		return resultInterrupted
	}
	return resultSucceeded
}

// finishUp says how up ended: what there is now, what it costs and what to run next.
func (s *session) finishUp(ctx context.Context, r engine.Result) {
	cost := s.costNow(ctx)
	if s.console.JSON {
		_ = s.console.Summary(s.summaryLine("up", r, cost.Total()))
		return
	}
	if err := r.Err(); err != nil {
		s.console.ShowError(err)
	}
	elapsed := ui.Duration(time.Since(s.start))
	switch outcome(r) {
	case resultFailed:
		s.say("failed after %s; what works was kept, and costs %s now", elapsed, ui.Dollars(cost.Total()))
		s.console.Hint("go on: aicluster up %s; remove it: aicluster teardown %s", s.file, s.file)
	case resultInterrupted:
		s.say("interrupted after %s; nothing is lost, and what is running costs %s", elapsed, ui.Dollars(cost.Total()))
		s.console.Hint("go on: aicluster up %s; remove it: aicluster teardown %s", s.file, s.file)
	default:
		s.showUp(ctx, elapsed, cost)
	}
}

// showUp is the summary of a cluster that is up.
func (s *session) showUp(ctx context.Context, elapsed string, cost costs) {
	row := func(name, format string, args ...any) {
		s.console.Data("%-10s %s", name, fmt.Sprintf(format, args...))
	}
	row("cluster", "%s (Kubernetes %s), %s", s.stack.cluster.Name(), s.stack.cluster.Version(), s.stack.cluster.Endpoint())
	l, err := s.readLive(ctx)
	if err != nil {
		s.console.ShowError(err)
	}
	for _, p := range s.poolStatuses(l.nodes) {
		row("pool", "%s", poolText(p))
	}
	if s.stack.bucket != nil {
		row("models", "s3://%s", s.blueprint.Models.Bucket)
	}
	for _, v := range s.servingStatuses(l) {
		row("service", "%s: %d of %d ready, %s", v.Name, v.Ready, v.Wanted, v.Address)
	}
	for _, address := range l.addresses() {
		row("ingress", "%s", address)
	}
	row("cost", "%s now (%s)", ui.Dollars(cost.Total()), cost.Source())
	row("time", "%s, %d calls that changed something, %d that read", elapsed, s.clients.Calls().Writes(), s.clients.Calls().Reads())
	s.console.Hint("aicluster kubeconfig %s && kubectl get nodes; aicluster status %s", s.file, s.file)
}

// poolText is a pool on one line: "gpu-a100: 1 node, 8 of 8 GPUs (onDemand p4d.24xlarge, 1-4)".
func poolText(p poolStatus) string {
	text := fmt.Sprintf("%s: %d nodes", p.Name, len(p.Nodes))
	if len(p.Nodes) == 1 {
		text = p.Name + ": 1 node"
	}
	if p.GPUs.Expected > 0 {
		text += fmt.Sprintf(", %s GPUs", gpuText(p.GPUs))
	}
	return text + fmt.Sprintf(" (%s %s, %d-%d)", p.Capacity, strings.Join(p.InstanceTypes, " or "), p.Min, p.Max)
}
