package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"aicluster/addons"
	"aicluster/addons/doctor"
	"aicluster/addons/serving"
	"aicluster/blueprints"
	"aicluster/cmd/aicluster/ui"
	"aicluster/provision/cloud"
)

// defaultGrace is how long something may be unhealthy before doctor speaks of it:
// pods that start are not ill.
const defaultGrace = time.Minute

func (a *app) doctorCommand() *cli.Command {
	return a.onCluster(&cli.Command{
		Name:  "doctor",
		Usage: "why pods are pending or crash, and what to do next",
		Description: "Looks at the pods of all namespaces, at what they need (nodes, GPUs, volumes) and at what leads to them (services,\n" +
			"ingresses, certificates), and at what AWS says of the pools. It changes nothing.\n" +
			"Exits 0 if it finds nothing, 1 if it does, 3 if something could not be read.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "also what has been unhealthy for less than a minute"},
		},
	}, func(ctx *cli.Context, s *session) error {
		grace := defaultGrace
		if ctx.Bool("all") {
			grace = 0
		}
		return s.doctor(ctx.Context, grace)
	})
}

// doctorDocument is the JSON of doctor.
type doctorDocument struct {
	Cluster  doctorCluster    `json:"cluster"`
	Findings []doctor.Finding `json:"findings"`
	Errors   []ui.Failure     `json:"errors"` // what could not be read
}

type doctorCluster struct {
	Name    string `json:"name"`
	Region  string `json:"region"`
	Account string `json:"account"`
	Status  string `json:"status"` // EKS's word
}

func (s *session) doctor(ctx context.Context, grace time.Duration) error {
	if err := s.readCluster(ctx); err != nil {
		return err
	}
	m := s.blueprint.Metadata
	d := doctorDocument{Cluster: doctorCluster{m.Name, m.Region, s.identity.Account, s.stack.cluster.Status()}, Errors: []ui.Failure{}}
	pools, poolErr := s.doctorPools(ctx)
	evidence, err := s.evidence(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if evidence == nil {
		evidence = &doctor.Evidence{Now: time.Now()}
		d.Findings = s.clusterFindings(err)
		err = nil
	} else {
		d.Findings = s.clusterFindings(nil)
	}
	evidence.Grace, evidence.First, evidence.Pools = grace, serving.Namespace, pools
	evidence.Autoscaler = s.blueprint.Addons.Autoscaler
	if s.blueprint.Models != nil {
		evidence.Bucket = s.blueprint.Models.Bucket
	}
	d.Findings = append(d.Findings, evidence.Diagnose()...)
	d.Errors = append(d.Errors, ui.Failures(errors.Join(poolErr, err))...)
	return s.showDoctor(d)
}

// apiPatience is how long the API server may take to answer the first call.
const apiPatience = 15 * time.Second

// evidence reads the cluster's objects. It is nil if its API server takes no
// calls; the error says why.
func (s *session) evidence(ctx context.Context) (*doctor.Evidence, error) {
	c := s.stack.cluster
	if !c.Ready() {
		return nil, nil
	}
	config, err := c.RESTConfig()
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	first, cancel := context.WithTimeout(ctx, apiPatience)
	defer cancel()
	if _, err := client.CoreV1().Namespaces().List(first, metav1.ListOptions{Limit: 1}); err != nil {
		return nil, addons.Unreachable(c.ID(), "reading its objects", err)
	}
	e, err := doctor.Gather(ctx, client, dyn)
	return e, errors.Join(err, s.gpuTroubles(ctx, e))
}

// gpuTroubles asks why nodes offer fewer GPUs than they have.
func (s *session) gpuTroubles(ctx context.Context, e *doctor.Evidence) error {
	var errs []error
	for _, check := range s.stack.checks {
		lacking := false
		for i := range e.Nodes {
			n := newNodeStatus(e.Nodes[i])
			lacking = lacking || blueprints.PoolOf(e.Nodes[i].Labels) == check.Pool() && n.GPUs.Allocatable < n.GPUs.Expected
		}
		if !lacking {
			continue
		}
		report, err := check.Report(ctx)
		errs = append(errs, err)
		for _, n := range report.Nodes {
			e.GPUs[n.Name] = strings.Join(n.Problems, "; ")
		}
	}
	return errors.Join(errs...)
}

// doctorPools reads what AWS says of the pools, side by side. Pools without a node
// group, such as Karpenter's, are known by the blueprint only.
func (s *session) doctorPools(ctx context.Context) ([]doctor.Pool, error) {
	pools, errs := []doctor.Pool{}, make([]error, len(s.stack.pools))
	for _, p := range s.blueprint.NodePools {
		pools = append(pools, doctor.Pool{NodePool: p})
	}
	var wg sync.WaitGroup
	for i, g := range s.stack.pools {
		at := slices.IndexFunc(pools, func(p doctor.Pool) bool { return p.Name == g.Pool().Name })
		wg.Go(func() {
			if _, errs[i] = g.Observe(ctx); errs[i] == nil {
				live := g.Live()
				pools[at] = doctor.Pool{NodePool: g.Pool(), Status: live.Status, Desired: live.Desired, Issues: live.Issues, Failure: g.Failure(ctx)}
			}
		})
	}
	wg.Wait()
	return pools, errors.Join(errs...)
}

// clusterFindings is what AWS says of the control plane, and that it does not
// answer.
func (s *session) clusterFindings(unreachable error) []doctor.Finding {
	c := s.stack.cluster
	found := []doctor.Finding{}
	if issues := c.Issues(); len(issues) > 0 {
		found = append(found, doctor.Finding{Resource: c.ID(), Reason: "ClusterUnhealthy", Severity: doctor.Error,
			What: "EKS reports the cluster as unhealthy", Message: strings.Join(issues, "; "), Next: "mend what EKS names, then run 'aicluster up FILE'"})
	}
	switch {
	case !c.Ready():
		found = append(found, doctor.Finding{Resource: c.ID(), Reason: "ClusterNotActive", Severity: doctor.Error,
			What: "the control plane takes no calls", Message: "EKS reports it as " + c.Status(), Next: "CREATING and DELETING end by themselves; else run 'aicluster up FILE'"})
	case unreachable != nil:
		f := doctor.Finding{Resource: c.ID(), Reason: "APINotReached", Severity: doctor.Error,
			What: "the cluster's API server does not answer, so that nothing is known of its pods", Message: unreachable.Error(), Next: "check cluster.endpoint and the network"}
		var e *cloud.Error
		if errors.As(unreachable, &e) {
			f.Message = e.Message
			if e.Hint != "" {
				f.Next = e.Hint
			}
		}
		f.Message = fmt.Sprintf("EKS reports it as %s; %s", c.Status(), f.Message)
		found = append(found, f)
	}
	return found
}

func (s *session) showDoctor(d doctorDocument) error {
	if s.console.JSON {
		if err := s.console.Document(d); err != nil {
			return err
		}
	} else {
		s.printDoctor(d)
	}
	switch {
	case len(d.Errors) > 0:
		return shown{errNotExamined}
	case len(d.Findings) > 0:
		return shown{errFindings}
	}
	return nil
}

func (s *session) printDoctor(d doctorDocument) {
	c := s.console.Plain()
	for _, f := range d.Findings {
		word := c.Red("error")
		if f.Severity == doctor.Warning {
			word = c.Yellow("warning")
		}
		c.Data("%s %s%s: %s (%s)", word, c.Bold(f.Resource), andMore(f.Also), f.What, f.Reason)
		c.Data("    why:  %s", c.Wrapped(f.Message, 10))
		c.Data("    next: %s", c.Wrapped(f.Next, 10))
	}
	for _, f := range d.Errors {
		c.Say("%s %s %s", c.Red("not read:"), f.Resource, f.Message)
	}
	switch {
	case len(d.Findings) > 0:
		c.Say("findings on %s: %d", s.target(), len(d.Findings))
	case len(d.Errors) == 0:
		c.Say("nothing found on %s", s.target())
	}
}

// andMore counts the other resources of a finding.
func andMore(also []string) string {
	if len(also) == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", len(also))
}
