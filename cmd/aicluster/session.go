package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"aicluster/blueprints"
	"aicluster/cmd/aicluster/ui"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// session is one command's work on one cluster: its blueprint, the AWS clients
// and what the cluster is made of.
type session struct {
	console   *ui.Console
	start     time.Time
	file      string // of the blueprint; empty when it is lost
	blueprint *blueprints.Blueprint
	clients   *cloud.Clients
	identity  cloud.Identity
	stack     *stack
	options   stackOptions

	deleteModels bool // the models bucket goes with the cluster
}

// onCluster makes a command that works on the cluster of one blueprint file: it
// opens a session for f.
func (a *app) onCluster(c *cli.Command, f func(*cli.Context, *session) error) *cli.Command {
	c.ArgsUsage = "FILE"
	c.Action = func(ctx *cli.Context) error {
		file, err := fileArg(ctx)
		if err != nil {
			return err
		}
		s, err := a.open(ctx.Context, file, stackOptions{})
		if err != nil {
			return err
		}
		return f(ctx, s)
	}
	return c
}

// open loads a blueprint and looks up, in AWS, what is needed to say which
// resources the cluster is made of. It changes nothing.
func (a *app) open(ctx context.Context, file string, o stackOptions) (*session, error) {
	b, err := a.load(file)
	if err != nil {
		return nil, err
	}
	s, err := a.openBlueprint(ctx, b, o)
	if err != nil {
		return nil, err
	}
	s.file = file
	return s, nil
}

func (a *app) openBlueprint(ctx context.Context, b *blueprints.Blueprint, o stackOptions) (*session, error) {
	start := time.Now()
	a.cluster = b.Metadata.Name
	clients, id, err := a.clients(ctx, b.Metadata.Region)
	if err != nil {
		return nil, err
	}
	o.chartMirror = os.Getenv("AICLUSTER_CHART_MIRROR")
	st, err := newStack(ctx, clients, b, o)
	if err != nil {
		return nil, err
	}
	return &session{console: a.console, start: start, blueprint: b, clients: clients, identity: id, stack: st, options: o, deleteModels: o.deleteModels}, nil
}

// plan compares everything. An interruption ends it with its own error.
func (s *session) plan(ctx context.Context) (*engine.Plan, error) {
	p, err := s.stack.graph.Plan(ctx, engine.Options{})
	if ctx.Err() != nil {
		return p, context.Cause(ctx)
	}
	return p, err
}

// planAgain looks anew which resources there are, and plans.
func (s *session) planAgain(ctx context.Context) (*engine.Plan, error) {
	st, err := newStack(ctx, s.clients, s.blueprint, s.options)
	if err != nil {
		return nil, err
	}
	s.stack = st
	return s.plan(ctx)
}

// readCluster reads the control plane and fails if there is none.
func (s *session) readCluster(ctx context.Context) error {
	if _, err := s.stack.cluster.Observe(ctx); err != nil {
		return err
	}
	if !s.stack.cluster.Exists() {
		return s.noCluster()
	}
	return nil
}

func (s *session) noCluster() error {
	m := s.blueprint.Metadata
	return cloud.Fail("cluster/"+m.Name, "looking for it", "there is no EKS cluster "+m.Name+" in "+m.Region+" (account "+s.identity.Account+")",
		"make it with aicluster up, or check the region and the account")
}

// target says what a command works on, for a person.
func (s *session) target() string {
	m := s.blueprint.Metadata
	return m.Name + " in " + m.Region + ", account " + s.identity.Account
}

// ended turns how a walk ended into a command's error. Its causes have been
// shown by then.
func ended(ctx context.Context, r engine.Result) error {
	err := r.Err()
	switch {
	case r.Interrupted && err == nil:
		return shown{context.Cause(ctx)}
	case err != nil:
		return shown{err}
	}
	return nil
}

// isInterrupted tells that err is the user's interruption.
func isInterrupted(err error) bool {
	return errors.Is(err, errInterrupted) || errors.Is(err, context.Canceled)
}
