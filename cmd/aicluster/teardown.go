package main

import (
	"context"

	"github.com/urfave/cli/v2"

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
	result, receipt := s.stack.graph.Teardown(ctx, plan, engine.Options{Events: progress.Event})
	if !result.Interrupted {
		s.judge(ctx, &receipt, progress)
	}
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
