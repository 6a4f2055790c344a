package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/agext/levenshtein"
	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/labels"

	"aicluster/addons"
	"aicluster/addons/podlogs"
	"aicluster/addons/serving"
	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

// defaultTail is how many lines of each replica are shown unless others are asked
// for: a server writes one for each request.
const defaultTail = 200

func (a *app) logsCommand() *cli.Command {
	return &cli.Command{
		Name:      "logs",
		Usage:     "what the replicas of a service write, side by side",
		ArgsUsage: "SERVICE FILE",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on as lines come, also of new replicas, until Ctrl-C"},
			&cli.Int64Flag{Name: "tail", Value: defaultTail, Usage: "the last `N` lines of each replica; -1: all. With --since all, unless N is given"},
			&cli.DurationFlag{Name: "since", Usage: "only lines of the last `TIME`, such as 10m or 1h"},
			&cli.BoolFlag{Name: "previous", Aliases: []string{"p"}, Usage: "of the container's previous life: why it crashed"},
			&cli.StringFlag{Name: "container", Aliases: []string{"c"}, Value: serving.ContainerName, Usage: "of container `NAME`, such as model-loader"},
		},
		Action: func(ctx *cli.Context) error {
			if ctx.NArg() != 2 {
				return commandLine("logs needs a service and a blueprint file: aicluster logs SERVICE FILE")
			}
			name, file := ctx.Args().Get(0), ctx.Args().Get(1)
			o, err := logOptions(ctx)
			if err != nil {
				return err
			}
			b, err := a.load(file)
			if err != nil {
				return err
			}
			svc, err := serviceNamed(b, name)
			if err != nil {
				return err
			}
			s, err := a.open(ctx.Context, file, stackOptions{})
			if err != nil {
				return err
			}
			o.Namespace, o.Selector = serving.Namespace, labels.SelectorFromSet(serving.Selector(svc)).String()
			return s.logs(ctx.Context, svc, o)
		},
	}
}

// logOptions are what the flags say.
func logOptions(ctx *cli.Context) (podlogs.Options, error) {
	o := podlogs.Options{Container: ctx.String("container"), Follow: ctx.Bool("follow"), Previous: ctx.Bool("previous"), Tail: ctx.Int64("tail"), Since: ctx.Duration("since")}
	switch {
	case o.Since < 0:
		return o, commandLine("--since is a time such as 10m, not %s", o.Since)
	case o.Since > 0 && o.Since < time.Second:
		return o, commandLine("--since counts whole seconds, not %s", o.Since)
	case o.Follow && o.Previous:
		return o, commandLine("--previous is of a container that has ended: there is nothing to follow")
	case o.Since > 0 && !ctx.IsSet("tail"):
		o.Tail = -1
	}
	return o, nil
}

// serviceNamed is a service of the blueprint. For one that is not there the nearest
// name is suggested.
func serviceNamed(b *blueprints.Blueprint, name string) (blueprints.Service, error) {
	var names []string
	for _, svc := range b.Serving {
		if svc.Name == name {
			return svc, nil
		}
		names = append(names, svc.Name)
	}
	if len(names) == 0 {
		return blueprints.Service{}, mistake("the blueprint has no services")
	}
	near := slices.MinFunc(names, func(x, y string) int {
		return levenshtein.Distance(name, x, nil) - levenshtein.Distance(name, y, nil)
	})
	slices.Sort(names)
	const slips = 2
	if levenshtein.Distance(name, near, nil) <= slips || strings.HasPrefix(near, name) {
		return blueprints.Service{}, mistake("the blueprint has no service %q; did you mean %q?", name, near)
	}
	return blueprints.Service{}, mistake("the blueprint has no service %q; it has %s", name, strings.Join(names, ", "))
}

// logs prints what the replicas of a service write.
func (s *session) logs(ctx context.Context, svc blueprints.Service, o podlogs.Options) error {
	if err := s.readCluster(ctx); err != nil {
		return err
	}
	client, err := kubernetesClient(s.stack.cluster)
	if err != nil {
		return err
	}
	id := "service/" + svc.Name
	err = podlogs.Read(ctx, client, o, podlogs.Sink{Line: s.printLine(), Note: func(text string) { s.console.Say("%s", text) }})
	switch {
	case ctx.Err() != nil:
		return shown{context.Cause(ctx)} // Ctrl-C is how following ends
	case errors.Is(err, podlogs.ErrNothing):
		return cloud.Fail(id, "reading its logs", "no pod of it has any", fmt.Sprintf("aicluster doctor %s says what is wrong with it", s.file))
	case err != nil:
		return addons.Unreachable(id, "reading its logs", err)
	}
	return nil
}

// printLine prints lines with the pod that they are of, each in a colour of its own
// on a terminal.
func (s *session) printLine() func(podlogs.Line) {
	c := s.console.Plain()
	colours := []func(string) string{c.Blue, c.Green, c.Yellow, c.Bold, c.Dim}
	of := map[string]func(string) string{}
	return func(l podlogs.Line) {
		if c.JSON {
			_ = c.Line(l)
			return
		}
		if of[l.Pod] == nil {
			of[l.Pod] = colours[len(of)%len(colours)]
		}
		c.Data("%s %s", of[l.Pod]("["+l.Pod+"]"), l.Text)
	}
}
