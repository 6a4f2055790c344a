package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/urfave/cli/v2"

	"aicluster/addons/gpu"
	"aicluster/addons/serving/probe"
	"aicluster/cmd/aicluster/ui"
)

func (a *app) verifyCommand() *cli.Command {
	return a.onCluster(&cli.Command{
		Name:  "verify",
		Usage: "prove the GPUs: expected and actual nvidia.com/gpu per node, and a pod that gets one; or, with --serving, the services",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "serving", Usage: "ask each service for its models and for one token, as its users would"},
			&cli.DurationFlag{Name: "timeout", Value: probe.DefaultPatience, Usage: "with --serving: how long to ask again while a load balancer is being made; at most `TIME`"},
		},
	}, func(ctx *cli.Context, s *session) error {
		if ctx.Duration("timeout") < 0 || ctx.IsSet("timeout") && !ctx.Bool("serving") {
			return commandLine("--timeout is a time such as 30s, for --serving")
		}
		if err := s.readCluster(ctx.Context); err != nil {
			return err
		}
		if ctx.Bool("serving") {
			return s.verifyServing(ctx.Context, ctx.Duration("timeout"))
		}
		return s.verify(ctx.Context)
	})
}

// verifyDocument is the JSON of verify.
type verifyDocument struct {
	Cluster   string       `json:"cluster"`
	Verified  bool         `json:"verified"`
	NodePools []gpu.Report `json:"nodePools"`
	// Serving has an entry for each service; without --serving none is asked.
	Serving []probe.Result `json:"serving,omitempty"`
	Errors  []ui.Failure   `json:"errors"`
}

// verify runs the checks of all pools with GPUs side by side.
func (s *session) verify(ctx context.Context) error {
	d := verifyDocument{Cluster: s.blueprint.Metadata.Name, Verified: true, NodePools: make([]gpu.Report, len(s.stack.checks)), Errors: []ui.Failure{}}
	errs := make([]error, len(s.stack.checks))
	var wg sync.WaitGroup
	for i, c := range s.stack.checks {
		wg.Go(func() {
			d.NodePools[i], errs[i] = c.Verify(ctx, func(format string, args ...any) {
				s.say("  %s: %s", c.ID(), fmt.Sprintf(format, args...))
			})
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for i, r := range d.NodePools {
		d.Verified = d.Verified && errs[i] == nil && r.OK()
		d.Errors = append(d.Errors, ui.Failures(errs[i])...)
	}
	if s.console.JSON {
		if err := s.console.Document(d); err != nil {
			return err
		}
	} else {
		s.showVerify(d)
	}
	if !d.Verified {
		return shown{errNotVerified}
	}
	return nil
}

func (s *session) showVerify(d verifyDocument) {
	c := s.console
	var rows [][]string
	for _, r := range d.NodePools {
		for _, n := range r.Nodes {
			rows = append(rows, []string{r.Pool, n.Name, n.InstanceType, fmt.Sprint(n.Expected), fmt.Sprint(n.Capacity), fmt.Sprint(n.Allocatable)})
		}
	}
	if len(rows) > 0 {
		c.Table([]string{"NODE POOL", "NODE", "TYPE", "EXPECTED", "CAPACITY", "ALLOCATABLE"}, rows)
	}
	for _, r := range d.NodePools {
		switch {
		case r.AtZero():
			c.Data("%s: no nodes now, and none needed; nothing to prove", r.Pool)
		case r.Smoke != nil:
			c.Data("%s: %s", r.Pool, r.Smoke)
		}
		for _, p := range r.Problems() {
			c.Say("%s %s", c.Red("!"), p)
		}
	}
	for _, f := range d.Errors {
		c.Say("%s %s", c.Red("!"), f.Message)
		if f.Hint != "" {
			c.Hint("%s", f.Hint)
		}
	}
	switch {
	case len(d.NodePools) == 0:
		c.Say("the blueprint has no pool with GPUs")
	case d.Verified:
		c.Say("verified: every node offers all its GPUs")
	default:
		c.Say("not verified")
	}
}
