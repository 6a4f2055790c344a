package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"

	"github.com/urfave/cli/v2"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

func (a *app) iamPolicyCommand() *cli.Command {
	return &cli.Command{
		Name:      "iam-policy",
		Usage:     "print the least IAM policy that a caller needs for a blueprint",
		ArgsUsage: "FILE",
		Description: "Works offline, without credentials. What the blueprint does not have is not in the policy; print it anew when\n" +
			"the blueprint changes. It covers every command on the cluster, teardown and its search too.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "account", Usage: "`ID` of the account, twelve digits (default: AWS_ACCOUNT_ID, else * for any)"},
			&cli.BoolFlag{Name: "read-only", Usage: "only what diff, status and doctor need"},
		},
		Action: func(ctx *cli.Context) error {
			file, err := fileArg(ctx)
			if err != nil {
				return err
			}
			account := cmp.Or(ctx.String("account"), os.Getenv("AWS_ACCOUNT_ID"), "*")
			if !regexp.MustCompile(`^(\d{12}|\*)$`).MatchString(account) {
				return commandLine("--account is twelve digits, not %q", account)
			}
			b, err := a.load(file)
			if err != nil {
				return err
			}
			policy, err := leastPolicy(ctx.Context, b, account, ctx.Bool("read-only"))
			if err != nil {
				return err
			}
			if err := a.console.Document(policy); err != nil {
				return err
			}
			return a.sayLength(policy)
		},
	}
}

// sayLength warns of a policy that is too long for IAM.
func (a *app) sayLength(p cloud.Policy) error {
	size, err := p.Size()
	if err != nil || size <= cloud.MaxPolicy {
		return err
	}
	a.console.Say("%s this policy has %d characters; IAM takes %d in a managed policy", a.console.Yellow("warning:"), size, cloud.MaxPolicy)
	a.console.Hint("put half of its statements into a second managed policy, or make it an inline policy of a role, which may have %d", cloud.MaxRolePolicies)
	return nil
}

// leastPolicy adds up what the resources of b's graph, and what finds them, ask
// of their caller. It covers up, which also removes what was taken out of the
// blueprint, and teardown, which looks for more, also when the blueprint is
// lost. What only teardown looks for, it need not be able to make.
func leastPolicy(ctx context.Context, b *blueprints.Blueprint, account string, readOnly bool) (cloud.Policy, error) {
	m := b.Metadata
	site := cloud.Site{Partition: cloud.Partition(m.Region), Region: m.Region, Account: account, Cluster: m.Name}
	all := slices.Concat(discoveryPermissions(site), costPermissions(site))
	known := map[string]bool{}
	for _, walk := range []struct {
		blueprint *blueprints.Blueprint
		options   stackOptions
	}{
		{b, stackOptions{}},
		{b, stackOptions{teardown: true}},
		{lostBlueprint(m.Name, m.Region), stackOptions{teardown: true, lost: true}},
	} {
		s := newBuilder(&cloud.Clients{Region: m.Region}, walk.blueprint, walk.options)
		s.discovery = imagination{site}
		st, err := s.build(ctx)
		if err != nil {
			return cloud.Policy{}, fmt.Errorf("listing what a cluster is made of: %w", err)
		}
		for _, r := range st.graph.Resources() {
			if !known[r.ID()] {
				all = append(all, permissionsOf(r, site, walk.options.teardown)...)
			}
			known[r.ID()] = true
		}
	}
	if readOnly {
		for i := range all {
			all[i] = all[i].Reading()
		}
	}
	return cloud.NewPolicy(all), nil
}

// permissionsOf is what a resource asks for; reading, the part of it that
// changes nothing.
func permissionsOf(r engine.Resource, site cloud.Site, reading bool) []cloud.Permission {
	p, ok := r.(cloud.Permitted)
	if !ok {
		return nil // Kubernetes' affair
	}
	list := p.Permissions(site)
	if reading {
		for i := range list {
			list[i] = list[i].Reading()
		}
	}
	return list
}
