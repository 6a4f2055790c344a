package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"aicluster/blueprints"
)

// The commands in this file need neither AWS nor a network: init, validate and schema.

func (a *app) initCommand() *cli.Command {
	return &cli.Command{
		Name:      "init",
		Usage:     "write a commented blueprint to start from",
		ArgsUsage: "[FILE]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "example", Value: "quickstart", Usage: "`NAME` of the example: " + strings.Join(blueprints.Examples(), " or ")},
			&cli.BoolFlag{Name: "force", Usage: "overwrite FILE"},
		},
		Action: func(ctx *cli.Context) error {
			if ctx.NArg() > 1 {
				return commandLine("init takes at most one file name")
			}
			data, err := blueprints.Example(ctx.String("example"))
			if err != nil {
				return commandLine("%w", err)
			}
			file := ctx.Args().First()
			if file == "-" {
				_, err := a.cli.Writer.Write(data)
				return err
			}
			if file == "" {
				file = "blueprint.yaml"
			}
			return a.writeNew(file, data, ctx.Bool("force"))
		},
	}
}

// writeNew writes data to a file that must not exist yet, unless force is set.
func (a *app) writeNew(file string, data []byte, force bool) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(file, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return mistake("%s exists already; --force overwrites it", file)
	}
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	if a.console.JSON {
		return a.console.Document(map[string]string{"file": file})
	}
	a.console.Say("wrote %s", file)
	a.console.Hint("edit it, then: aicluster validate %s", file)
	return nil
}

func (a *app) validateCommand() *cli.Command {
	return &cli.Command{
		Name:      "validate",
		Usage:     "check a blueprint offline, all errors at once",
		ArgsUsage: "FILE",
		Action: func(ctx *cli.Context) error {
			file, err := fileArg(ctx)
			if err != nil {
				return err
			}
			b, err := a.load(file)
			if a.console.JSON {
				return a.validateJSON(b, err)
			}
			if err != nil {
				return err
			}
			for _, w := range b.Warnings() {
				a.console.Say("%s %s", a.console.Yellow("warning:"), w)
			}
			a.console.Say("%s is valid: cluster %s in %s, %d node pools", file, b.Metadata.Name, b.Metadata.Region, len(b.NodePools))
			return nil
		},
	}
}

// validateJSON prints the one document of validate.
func (a *app) validateJSON(b *blueprints.Blueprint, err error) error {
	problems, warnings := blueprints.Problems{}, blueprints.Problems{}
	if err != nil && !errors.As(err, &problems) {
		return err
	}
	if err == nil {
		warnings = append(warnings, b.Warnings()...)
	}
	if e := a.console.Document(map[string]any{"valid": err == nil, "problems": problems, "warnings": warnings}); e != nil {
		return e
	}
	if err != nil {
		return shown{err}
	}
	return nil
}

// load reads a blueprint. A file that cannot be read is a mistake on the command line.
func (a *app) load(file string) (*blueprints.Blueprint, error) {
	b, err := blueprints.Load(file)
	var path *fs.PathError
	if errors.As(err, &path) {
		return nil, mistake("%s: %w", path.Path, path.Err)
	}
	return b, err
}

func (a *app) schemaCommand() *cli.Command {
	return &cli.Command{
		Name:  "schema",
		Usage: "print the blueprint's JSON Schema, for editors",
		Action: func(*cli.Context) error {
			data, err := blueprints.Schema()
			if err != nil {
				return err
			}
			_, err = a.cli.Writer.Write(data)
			return err
		},
	}
}
