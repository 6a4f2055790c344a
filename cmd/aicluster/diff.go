package main

import (
	"context"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"aicluster/cmd/aicluster/ui"
	"aicluster/provision/engine"
)

func (a *app) diffCommand() *cli.Command {
	return a.onCluster(&cli.Command{
		Name:  "diff",
		Usage: "show what up would change, from live state; exits 0 same, 1 differs, 2 or more failed",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "graph", Usage: "also write the plan as a Mermaid flowchart to `PATH`"},
		},
	}, func(ctx *cli.Context, s *session) error {
		return s.diff(ctx.Context, ctx.String("graph"))
	})
}

func (s *session) diff(ctx context.Context, drawTo string) error {
	plan, err := s.plan(ctx)
	if isInterrupted(err) {
		return err
	}
	if drawTo != "" {
		if err := os.WriteFile(drawTo, []byte(plan.Mermaid()), 0o644); err != nil {
			return err
		}
	}
	changes := plan.Changes()
	if s.console.JSON {
		if e := s.console.Document(s.diffDocument(plan, err)); e != nil {
			return e
		}
	} else {
		s.console.Plan(plan)
	}
	switch {
	case err != nil && s.console.JSON:
		return shown{err}
	case err != nil:
		return err
	case len(changes) > 0:
		s.say("%s", tally(plan))
		return errDiffers
	}
	s.say("nothing differs: %s is what the blueprint says", s.target())
	return nil
}

// say talks only where a person reads.
func (s *session) say(format string, args ...any) {
	if !s.console.JSON {
		s.console.Say(format, args...)
	}
}

// diffDocument is the JSON of diff.
type diffDocument struct {
	Cluster string          `json:"cluster"`
	Region  string          `json:"region"`
	Account string          `json:"account"`
	Changes []engine.Change `json:"changes"`
	Notes   []note          `json:"notes"`
	Errors  []ui.Failure    `json:"errors"`
}

type note struct {
	Resource string `json:"resource"`
	Message  string `json:"message"`
}

func (s *session) diffDocument(plan *engine.Plan, err error) diffDocument {
	d := diffDocument{Cluster: s.blueprint.Metadata.Name, Region: s.blueprint.Metadata.Region, Account: s.identity.Account,
		Changes: plan.Changes(), Notes: []note{}, Errors: ui.Failures(err)}
	if d.Changes == nil {
		d.Changes = []engine.Change{}
	}
	for _, st := range plan.Steps {
		for _, n := range st.Notes {
			d.Notes = append(d.Notes, note{st.Resource, n})
		}
	}
	return d
}

// tally counts a plan's steps in words.
func tally(p *engine.Plan) string {
	count := map[engine.Action]int{}
	for _, s := range p.Steps {
		count[s.Action]++
	}
	text := fmt.Sprintf("%d to create, %d to change, %d to delete, %d to verify",
		count[engine.ActionCreate], count[engine.ActionUpdate]+count[engine.ActionReplace], count[engine.ActionDelete], count[engine.ActionVerify])
	if n := len(p.Refused()); n > 0 {
		text += fmt.Sprintf("; %d refused", n)
	}
	return text
}
