package main

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"aicluster/addons/gpu"
	"aicluster/addons/serving/probe"
	"aicluster/blueprints"
	"aicluster/cmd/aicluster/ui"
)

// verifyServing asks all services side by side.
func (s *session) verifyServing(ctx context.Context, patience time.Duration) error {
	prober, err := probe.New(s.stack.cluster, s.blueprint)
	if err != nil {
		return err
	}
	prober.Patience = patience
	type question struct {
		svc blueprints.Service
		way string
	}
	var questions []question
	for _, svc := range s.blueprint.Serving {
		for _, way := range prober.Ways(svc) {
			questions = append(questions, question{svc, way})
		}
	}
	d := verifyDocument{
		Cluster: s.blueprint.Metadata.Name, Verified: true, NodePools: []gpu.Report{}, Serving: make([]probe.Result, len(questions)), Errors: []ui.Failure{},
	}
	errs := make([]error, len(questions))
	var all sync.WaitGroup
	for i, q := range questions {
		all.Go(func() {
			d.Serving[i], errs[i] = prober.Probe(ctx, q.svc, q.way, func(format string, args ...any) {
				s.say("  service/%s: %s", q.svc.Name, fmt.Sprintf(format, args...))
			})
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for i, r := range d.Serving {
		d.Verified = d.Verified && r.Verified && errs[i] == nil
		d.Errors = append(d.Errors, ui.Failures(errs[i])...)
	}
	if s.console.JSON {
		if err := s.console.Document(d); err != nil {
			return err
		}
	} else {
		s.showServing(d)
	}
	if !d.Verified {
		return shown{errUnproven}
	}
	return nil
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Hostname()
}

func (s *session) showServing(d verifyDocument) {
	c := s.console
	var rows [][]string
	for _, r := range d.Serving {
		status, first, verified := "-", "-", "no"
		if r.Status != 0 {
			status = fmt.Sprint(r.Status)
		}
		if r.Verified {
			first, verified = fmt.Sprintf("%.0f ms", r.FirstTokenMs), "yes"
		}
		rows = append(rows, []string{r.Service, r.Way, r.URL, r.Model, status, first, verified})
	}
	if len(rows) > 0 {
		c.Table([]string{"SERVICE", "WAY", "URL", "MODEL", "STATUS", "FIRST TOKEN", "VERIFIED"}, rows)
	}
	for _, r := range d.Serving {
		if r.Cause != "" {
			c.Say("%s %s: %s", c.Red("!"), r.Service, r.Cause)
			c.Hint("%s", r.Hint)
		}
		switch r.DNS {
		case "nowhere":
			c.Hint("%s: make a DNS record of %s (CNAME or alias) to %s", r.Service, hostOf(r.URL), r.Address)
		case "elsewhere":
			c.Hint("%s: %s leads to another address than %s", r.Service, hostOf(r.URL), r.Address)
		}
	}
	for _, f := range d.Errors {
		c.Say("%s %s", c.Red("!"), f.Message)
	}
	switch {
	case len(d.Serving) == 0:
		c.Say("the blueprint has no services")
	case d.Verified:
		c.Say("verified: every service has its model and makes tokens")
	default:
		c.Say("not verified")
	}
}
