package main

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"aicluster/cmd/aicluster/ui"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
	"aicluster/provision/orphans"
)

// orphansDocument is the JSON of status --orphans.
type orphansDocument struct {
	Cluster     orphansCluster  `json:"cluster"`
	Orphans     []orphans.Thing `json:"orphans"`
	Held        int             `json:"held"`        // what the search found and the living cluster or the blueprint has
	CostPerHour float64         `json:"costPerHour"` // of the orphans
	Errors      []ui.Failure    `json:"errors"`      // what could not be searched
}

type orphansCluster struct {
	Name    string `json:"name"`
	Region  string `json:"region"`
	Account string `json:"account"`
	Status  string `json:"status"` // EKS's word; empty when there is no cluster
}

// orphans searches for what is or was the cluster's, and shows what nothing that
// lives accounts for. It changes nothing.
func (s *session) orphans(ctx context.Context) error {
	plan, planErr := s.plan(ctx)
	if isInterrupted(planErr) {
		return planErr
	}
	found, err := s.search().Run(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m := s.blueprint.Metadata
	d := orphansDocument{Cluster: orphansCluster{Name: m.Name, Region: m.Region, Account: s.identity.Account, Status: s.stack.cluster.Status()},
		Orphans: []orphans.Thing{}, Errors: append(ui.Failures(planErr), ui.Failures(err)...)}
	living, err := s.living(ctx, plan)
	d.Errors = append(d.Errors, ui.Failures(err)...)
	for _, t := range found {
		if living.Holds(t) {
			d.Held++
			continue
		}
		d.Orphans = append(d.Orphans, t)
	}
	d.CostPerHour = orphans.CostPerHour(d.Orphans)
	return s.showOrphans(d)
}

// living is what stands. Without a cluster it is only the bucket that the
// blueprint names, which outlives clusters.
func (s *session) living(ctx context.Context, plan *engine.Plan) (orphans.Living, error) {
	var l orphans.Living
	if s.stack.bucket != nil {
		l.Known = append(l.Known, s.stack.bucket.Name())
	}
	if !s.stack.cluster.Exists() {
		return l, nil
	}
	for _, st := range plan.Steps {
		kind, name, _ := strings.Cut(st.Resource, "/")
		if !st.Exists || slices.Contains([]string{"load-balancers", "leftovers", "volume"}, kind) { // these look for orphans themselves
			continue
		}
		if kind == "nodepool" || kind == "karpenter" {
			l.Pools = append(l.Pools, name)
		}
		for _, word := range detailWords(st.Detail) {
			l.Known = append(l.Known, strings.TrimPrefix(word, "s3://"))
		}
	}
	l.Known = append(l.Known, s.blueprint.Metadata.Name)
	var err error
	l.Objects, err = s.awsObjects(ctx)
	return l, err
}

// awsObjects lists the objects in Kubernetes for which something stands in AWS.
func (s *session) awsObjects(ctx context.Context) ([]string, error) {
	c := s.stack.cluster
	if !c.Ready() {
		return nil, nil
	}
	client, err := kubernetesClient(c)
	if err != nil {
		return nil, err
	}
	services, err := client.CoreV1().Services("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, cloud.Wrap(c.ID(), "listing its services", err)
	}
	volumes, err := client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, cloud.Wrap(c.ID(), "listing its volumes", err)
	}
	var names []string
	for _, svc := range services.Items {
		if svc.Spec.Type == corev1.ServiceTypeLoadBalancer {
			names = append(names, "service/"+svc.Namespace+"/"+svc.Name)
		}
	}
	for _, v := range volumes.Items {
		names = append(names, "pv/"+v.Name)
	}
	return names, nil
}

func (s *session) showOrphans(d orphansDocument) error {
	end := error(nil)
	if len(d.Orphans) > 0 {
		end = shown{errOrphans}
	}
	if s.console.JSON {
		if err := s.console.Document(d); err != nil {
			return err
		}
	} else {
		s.printOrphans(d)
	}
	if len(d.Errors) > 0 {
		return shown{errNotSearched}
	}
	return end
}

func (s *session) printOrphans(d orphansDocument) {
	for _, t := range d.Orphans {
		whose := t.Why
		if t.Foreign {
			whose = "not the cluster's: " + t.Why
		}
		s.console.Data("%s  %s%s", t.Name(), joined(t.Detail, whose), costWords(t.CostPerHour))
		if t.Remove != "" {
			s.console.Data("    remove it: %s", t.Remove)
		}
	}
	for _, f := range d.Errors {
		s.console.Say("%s %s %s", s.console.Red("not searched:"), f.Resource, f.Message)
	}
	switch {
	case len(d.Orphans) > 0:
		s.say("orphans of %s: %d%s", s.target(), len(d.Orphans), costWords(d.CostPerHour))
		if s.stack.cluster.Exists() {
			s.console.Hint("what was made for the cluster also goes with 'aicluster teardown'")
		} else {
			s.console.Hint("aicluster teardown --name %s --region %s takes away what was the cluster's", d.Cluster.Name, d.Cluster.Region)
		}
	case len(d.Errors) == 0:
		s.say("no orphans of %s", s.target())
	}
	if d.Held > 0 {
		s.say("not orphans, but the cluster's or the blueprint's: %d", d.Held)
	}
}
