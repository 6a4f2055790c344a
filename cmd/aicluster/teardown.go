package main

import (
	"context"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"aicluster/cmd/aicluster/ui"
	"aicluster/provision/engine"
)

func (a *app) teardownCommand() *cli.Command {
	return &cli.Command{
		Name:      "teardown",
		Aliases:   []string{"down"},
		Usage:     "remove everything that up made, and hand over a receipt",
		ArgsUsage: "FILE (or --name NAME --region REGION)",
		Description: "Takes away what up made, and what Kubernetes and AWS made for the cluster, then searches the account for\n" +
			"anything left. Kept are the models bucket, volumes to be retained, service-linked roles and an existing VPC.\n" +
			"What is somebody else's is named and never deleted. Running it again goes on where it stopped.\n" +
			"Exits 2 if the cluster is protected against deletion, 3 if a step failed, 5 if something is left.",
		Flags: append(nameFlags(),
			yesFlag(),
			&cli.BoolFlag{Name: "delete-models", Usage: "also delete the models bucket and everything in it"},
		),
		Action: func(ctx *cli.Context) error {
			s, err := a.openForTeardown(ctx, stackOptions{deleteModels: ctx.Bool("delete-models"), teardown: true})
			if err != nil {
				return err
			}
			return s.teardown(ctx.Context, ctx.Bool("yes"))
		},
	}
}

// openForTeardown takes a blueprint file, or a name and a region when the file
// is lost.
func (a *app) openForTeardown(ctx *cli.Context, o stackOptions) (*session, error) {
	if ctx.NArg() > 0 && ctx.String("name") == "" && ctx.String("region") == "" {
		file, err := fileArg(ctx)
		if err != nil {
			return nil, err
		}
		return a.open(ctx.Context, file, o)
	}
	name, region, err := a.nameAndRegion(ctx)
	if err != nil {
		return nil, err
	}
	o.lost = true
	return a.openBlueprint(ctx.Context, lostBlueprint(name, region), o)
}

func (s *session) teardown(ctx context.Context, yes bool) error {
	plan, err := s.plan(ctx)
	if isInterrupted(err) {
		return err
	}
	if err != nil && !plan.Exists() {
		return err
	}
	if err := s.stack.cluster.Deletable(); err != nil {
		return &usageError{err: err}
	}
	if !yes {
		if err := s.agreeToDelete(ctx, plan); err != nil {
			return err
		}
	}
	progress := s.console.Progress()
	result, receipt := s.teardownRounds(ctx, plan, progress)
	progress.Close()
	s.finishTeardown(ctx, result, receipt)
	if err := ended(ctx, result); err != nil {
		return err
	}
	if len(receipt.Left) > 0 {
		return errLeft
	}
	return nil
}

// maxRounds bounds how often a teardown goes on from what its search found.
const maxRounds = 3

// teardownRounds deletes what was planned. A run that was killed a moment ago may have
// made what EC2 did not list then; once the search finds it, it goes as well.
func (s *session) teardownRounds(ctx context.Context, plan *engine.Plan, progress ui.Progress) (engine.Result, engine.Receipt) {
	var path time.Duration
	var deleted []engine.ReceiptLine
	for round := 1; ; round++ {
		result, receipt := s.stack.graph.Teardown(ctx, plan, engine.Options{Events: progress.Event})
		tried := receipt.Left
		receipt = andBefore(receipt, deleted)
		result.CriticalPath += path
		if result.Interrupted || !s.judge(ctx, &receipt, progress) || round == maxRounds {
			return result, receipt
		}
		next, err := s.planAgain(ctx)
		if err != nil || !hasNews(next, tried) { // the receipt says what is left
			return result, receipt
		}
		plan, path, deleted = next, result.CriticalPath, receipt.Deleted
	}
}

// hasNews tells that a plan would delete something else than what could not be deleted
// before.
func hasNews(plan *engine.Plan, tried []engine.ReceiptLine) bool {
	return slices.ContainsFunc(plan.Steps, func(st engine.Step) bool {
		return st.Exists && st.Keep == "" && !slices.ContainsFunc(tried, func(l engine.ReceiptLine) bool { return l.Resource == st.Resource })
	})
}

// agreeToDelete shows what will go and asks for the cluster's name.
func (s *session) agreeToDelete(ctx context.Context, plan *engine.Plan) error {
	if !plan.Exists() {
		return nil
	}
	if !s.console.JSON {
		for _, st := range plan.Steps {
			switch {
			case st.Exists && st.Keep != "":
				s.console.Data("  %s kept: %s", s.console.Name(st.Resource), st.Keep)
			case st.Exists:
				s.console.Data("- %s %s", s.console.Name(st.Resource), st.Detail)
			}
		}
	}
	return s.console.Confirm(ctx, "This deletes "+s.target()+". Type the cluster's name:", s.blueprint.Metadata.Name)
}
