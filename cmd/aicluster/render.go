package main

import (
	"encoding/json"

	"github.com/urfave/cli/v2"

	"aicluster/addons/serving"
	"aicluster/blueprints"
)

func (a *app) renderCommand() *cli.Command {
	return &cli.Command{
		Name:  "render",
		Usage: "print what up would send to Kubernetes, for GitOps",
		Subcommands: []*cli.Command{{
			Name:      "serving",
			Usage:     "print the manifests of the blueprint's services",
			ArgsUsage: "FILE",
			Description: "Works offline, without credentials. With --output json it is one List. The roles of the service accounts and the\n" +
				"models in the bucket are AWS's: make those with up, or by hand.",
			Flags: []cli.Flag{&cli.StringFlag{Name: "service", Usage: "only that of the service `NAME`"}},
			Action: func(ctx *cli.Context) error {
				file, err := fileArg(ctx)
				if err != nil {
					return err
				}
				b, err := a.load(file)
				if err != nil {
					return err
				}
				return a.renderServing(b, ctx.String("service"))
			},
		}},
	}
}

// renderServing prints the namespace and the objects of all services, or of one.
func (a *app) renderServing(b *blueprints.Blueprint, only string) error {
	objects := []serving.Object{serving.NamespaceObject(b)}
	for _, svc := range b.Serving {
		if only == "" || svc.Name == only {
			objects = append(objects, serving.Render(b, svc, serving.Facts{ModelBytes: b.SizeOfModel(svc.Model).Files})...)
		}
	}
	if len(objects) == 1 {
		if only != "" {
			return mistake("the blueprint has no service %q", only)
		}
		return mistake("the blueprint has no services: add them under serving")
	}
	if a.console.JSON {
		list, err := serving.List(objects)
		if err != nil {
			return err
		}
		return a.console.Document(json.RawMessage(list))
	}
	text, err := serving.YAML(objects)
	if err != nil {
		return err
	}
	_, err = a.cli.Writer.Write(text)
	return err
}
