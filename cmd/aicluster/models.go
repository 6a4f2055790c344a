package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"aicluster/blueprints"
	"aicluster/cmd/aicluster/ui"
	"aicluster/provision/engine"
	"aicluster/provision/modelstore"
)

func (a *app) modelsCommand() *cli.Command {
	return &cli.Command{
		Name:  "models",
		Usage: "seed and list model weights in S3",
		Action: func(ctx *cli.Context) error {
			if name := ctx.Args().First(); name != "" {
				return commandLine("models has no command %q", name)
			}
			return cli.ShowSubcommandHelp(ctx)
		},
		Subcommands: []*cli.Command{
			{
				Name:      "push",
				Usage:     "upload what models.seed names and the bucket lacks, without touching the cluster",
				ArgsUsage: "FILE",
				Action:    a.modelsPush,
			},
			{
				Name:      "list",
				Usage:     "list the models in the bucket",
				ArgsUsage: "FILE",
				Action:    a.modelsList,
			},
		},
	}
}

// openModels is a session that knows only the models, so that it needs no cluster.
func (a *app) openModels(ctx *cli.Context) (*session, error) {
	file, err := fileArg(ctx)
	if err != nil {
		return nil, err
	}
	b, err := a.load(file)
	if err != nil {
		return nil, err
	}
	if b.Models == nil {
		return nil, mistake("%s has no models", file)
	}
	start := time.Now()
	clients, id, err := a.clients(ctx.Context, b.Metadata.Region)
	if err != nil {
		return nil, err
	}
	st, err := newModelStack(ctx.Context, clients, b)
	if err != nil {
		return nil, err
	}
	return &session{console: a.console, start: start, file: file, blueprint: b, clients: clients, identity: id, stack: st}, nil
}

func (a *app) modelsPush(ctx *cli.Context) error {
	s, err := a.openModels(ctx)
	if err != nil {
		return err
	}
	plan, err := s.plan(ctx.Context)
	if err != nil {
		return err
	}
	progress := a.console.Progress()
	result := s.stack.graph.Up(ctx.Context, plan, engine.Options{Events: progress.Event})
	progress.Close()
	switch err := result.Err(); {
	case a.console.JSON:
		if e := a.console.Summary(s.summaryLine("models push", result, 0)); e != nil {
			return e
		}
	case err != nil:
		a.console.ShowError(err)
	case !result.Interrupted:
		a.console.Say("s3://%s has all models of the blueprint (%d) after %s", s.blueprint.Models.Bucket, len(s.stack.models), ui.Duration(time.Since(s.start)))
	}
	return ended(ctx.Context, result)
}

func (a *app) modelsList(ctx *cli.Context) error {
	s, err := a.openModels(ctx)
	if err != nil {
		return err
	}
	stored, err := modelstore.List(ctx.Context, s.clients.S3, s.blueprint.Models.Bucket, seedNames(s.blueprint)...)
	if err != nil {
		return err
	}
	if a.console.JSON {
		return a.console.Document(map[string]any{"bucket": s.blueprint.Models.Bucket, "models": stored})
	}
	rows := make([][]string, 0, len(stored))
	for _, m := range stored {
		rows = append(rows, []string{m.Name, fmt.Sprint(m.Files), bytesText(m.Bytes), m.Modified.UTC().Format(time.RFC3339)})
	}
	a.console.Table([]string{"MODEL", "FILES", "SIZE", "MODIFIED"}, rows)
	return nil
}

func seedNames(b *blueprints.Blueprint) []string {
	var names []string
	for _, s := range b.Models.Seed {
		names = append(names, s.Name)
	}
	return names
}

// bytesText formats a size for people, in binary units.
func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, units := float64(n)/unit, "KMGTP"
	for value >= unit && len(units) > 1 {
		value, units = value/unit, units[1:]
	}
	return fmt.Sprintf("%.1f %ciB", value, units[0])
}
