package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"aicluster/blueprints"
	"aicluster/blueprints/instancetypes"
	"aicluster/cmd/aicluster/ui"
	"aicluster/provision/cloud"
	"aicluster/provision/controlplane"
	"aicluster/provision/modelstore"
)

func (a *app) statusCommand() *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "what exists, healthy or not, and what it costs an hour right now",
		ArgsUsage: "FILE (with --orphans also --name NAME --region REGION)",
		Description: "With --orphans it searches the account by tag, by VPC and by name for what is or was the cluster's, leaves out\n" +
			"what the living cluster has, and says what each orphan costs and how to remove it. It changes nothing.\n" +
			"Exits 1 if there are orphans, 3 if something could not be read or searched.",
		Flags: append(nameFlags(),
			&cli.BoolFlag{Name: "orphans", Usage: "search for what is or was the cluster's and belongs to nothing that lives"},
		),
		Action: func(ctx *cli.Context) error {
			if ctx.Bool("orphans") {
				s, err := a.openForTeardown(ctx, stackOptions{teardown: true})
				if err != nil {
					return err
				}
				return s.orphans(ctx.Context)
			}
			file, err := fileArg(ctx)
			if err != nil {
				return err
			}
			s, err := a.open(ctx.Context, file, stackOptions{})
			if err != nil {
				return err
			}
			return s.status(ctx.Context)
		},
	}
}

// statusDocument is the JSON of status.
type statusDocument struct {
	Cluster     clusterStatus       `json:"cluster"`
	NodePools   []poolStatus        `json:"nodePools"`
	Addons      []addonStatus       `json:"addons"`
	Models      []modelstore.Stored `json:"models"`
	Serving     []servingStatus     `json:"serving"`
	Workloads   workloadsStatus     `json:"workloads"`
	IdleGPUs    idleGPUs            `json:"idleGPUs"`
	Ingress     []string            `json:"ingress"` // host names of load balancers
	CostPerHour float64             `json:"costPerHour"`
	CostSource  string              `json:"costSource"`
	Errors      []ui.Failure        `json:"errors"` // what could not be read
}

type clusterStatus struct {
	Name     string `json:"name"`
	Region   string `json:"region"`
	Account  string `json:"account"`
	Status   string `json:"status"` // EKS's word
	Version  string `json:"version"`
	Endpoint string `json:"endpoint"`
}

type poolStatus struct {
	Name          string       `json:"name"`
	Status        string       `json:"status"` // EKS's word; empty when there is no node group
	Capacity      string       `json:"capacity"`
	InstanceTypes []string     `json:"instanceTypes"`
	Min           int          `json:"min"`
	Max           int          `json:"max"`
	Desired       int          `json:"desired"`
	Nodes         []nodeStatus `json:"nodes"`
	GPUs          gpuCount     `json:"gpus"`
	Issues        []string     `json:"issues"`
}

type nodeStatus struct {
	Name         string    `json:"name"`
	InstanceType string    `json:"instanceType"`
	Zone         string    `json:"zone"`
	Ready        bool      `json:"ready"`
	GPUs         gpuCount  `json:"gpus"`
	Pods         []gpuUser `json:"pods"` // that have GPUs of it
}

// gpuCount is the number of GPUs that the instance type has, that Kubernetes can
// hand out, and that pods have.
type gpuCount struct {
	Expected    int `json:"expected"`
	Allocatable int `json:"allocatable"`
	InUse       int `json:"inUse"`
}

func (g *gpuCount) add(o gpuCount) {
	g.Expected += o.Expected
	g.Allocatable += o.Allocatable
	g.InUse += o.InUse
}

type addonStatus struct {
	Name    string `json:"name"`
	Version string `json:"version"` // empty when it is not installed
	Status  string `json:"status"`
}

func (s *session) status(ctx context.Context) error {
	_, err := s.plan(ctx)
	if isInterrupted(err) {
		return err
	}
	if !s.stack.cluster.Exists() {
		if err != nil {
			return err
		}
		return s.noCluster()
	}
	d := s.statusDocument(ctx, err)
	if s.console.JSON {
		return s.console.Document(d)
	}
	s.showStatus(d)
	return nil
}

// statusDocument gathers the status after the graph was read. What cannot be
// read is told in Errors; the rest is there all the same.
func (s *session) statusDocument(ctx context.Context, planErr error) statusDocument {
	c, m := s.stack.cluster, s.blueprint.Metadata
	d := statusDocument{
		Cluster:   clusterStatus{Name: m.Name, Region: m.Region, Account: s.identity.Account, Status: c.Status(), Version: c.Version(), Endpoint: c.Endpoint()},
		NodePools: []poolStatus{}, Addons: []addonStatus{}, Models: []modelstore.Stored{}, Ingress: []string{},
	}
	errs := []error{planErr}
	failed := func(err error) { errs = append(errs, err) }
	l, err := s.readLive(ctx)
	failed(err)
	d.NodePools = append(d.NodePools, s.poolStatuses(l.nodes)...)
	d.IdleGPUs = addGPUUse(d.NodePools, l.podObjects())
	d.Serving, d.Workloads, d.Ingress = s.servingStatuses(l), l.workloads(), l.addresses()
	for _, a := range s.stack.addons {
		d.Addons = append(d.Addons, addonStatus{strings.TrimPrefix(a.ID(), "addon/"), a.Version(), a.Status()})
	}
	for _, r := range s.stack.releases {
		d.Addons = append(d.Addons, addonStatus{strings.TrimPrefix(r.ID(), "addon/"), r.Version(), r.Status()})
	}
	if s.stack.bucket != nil && s.stack.bucket.Exists() {
		stored, err := modelstore.List(ctx, s.clients.S3, s.stack.bucket.Name(), seedNames(s.blueprint)...)
		failed(err)
		d.Models = append(d.Models, stored...)
	}
	cost := s.costNow(ctx)
	d.CostPerHour, d.CostSource = cost.Total(), cost.Source()
	d.Errors = ui.Failures(errors.Join(errs...))
	return d
}

// kubernetesClient is a client of the cluster's API server.
func kubernetesClient(cluster *controlplane.Cluster) (kubernetes.Interface, error) {
	config, err := cluster.RESTConfig()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

// listNodes lists the cluster's nodes; none while its API server takes no calls.
func listNodes(ctx context.Context, cluster *controlplane.Cluster) ([]corev1.Node, error) {
	if !cluster.Ready() {
		return nil, nil
	}
	client, err := kubernetesClient(cluster)
	if err != nil {
		return nil, err
	}
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, cloud.Wrap(cluster.ID(), "listing its nodes", err)
	}
	return list.Items, nil
}

// poolStatuses puts what EKS says of the pools and the nodes together.
func (s *session) poolStatuses(nodes []corev1.Node) []poolStatus {
	out := s.groupStatuses()
	for _, k := range s.stack.beyond {
		if k.Unwanted() {
			continue
		}
		i := slices.IndexFunc(out, func(p poolStatus) bool { return p.Name == k.Pool().Name })
		if i < 0 {
			i = len(out)
			out = append(out, poolStatus{Name: k.Pool().Name, Status: blueprints.Karpenter, Capacity: string(k.Pool().Capacity), InstanceTypes: k.Pool().InstanceTypes,
				Nodes: []nodeStatus{}, Issues: []string{}})
		}
		out[i].Max += k.Beyond()
		out[i].Desired += k.Nodes()
	}
	for i := range out {
		p := &out[i]
		for _, n := range nodes {
			if blueprints.PoolOf(n.Labels) == p.Name {
				p.Nodes = append(p.Nodes, newNodeStatus(n))
			}
		}
		slices.SortFunc(p.Nodes, func(a, b nodeStatus) int { return strings.Compare(a.Name, b.Name) })
		for _, n := range p.Nodes {
			p.GPUs.add(n.GPUs)
		}
	}
	return out
}

// groupStatuses is what EKS says of the node groups.
func (s *session) groupStatuses() []poolStatus {
	var out []poolStatus
	for _, g := range s.stack.pools {
		live := g.Live()
		out = append(out, poolStatus{Name: g.Pool().Name, Status: live.Status, Capacity: string(g.Pool().Capacity), InstanceTypes: g.Pool().InstanceTypes,
			Min: live.Min, Max: live.Max, Desired: live.Desired, Nodes: []nodeStatus{}, Issues: append([]string{}, live.Issues...)})
	}
	return out
}

func newNodeStatus(n corev1.Node) nodeStatus {
	t := n.Labels[corev1.LabelInstanceTypeStable]
	info, _ := instancetypes.Lookup(t)
	allocatable := n.Status.Allocatable["nvidia.com/gpu"]
	return nodeStatus{Name: n.Name, InstanceType: t, Zone: n.Labels[corev1.LabelTopologyZone], Ready: ready(n),
		GPUs: gpuCount{Expected: info.GPUs, Allocatable: int(allocatable.Value())}, Pods: []gpuUser{}}
}

func ready(n corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

func (s *session) showStatus(d statusDocument) {
	c := s.console
	c.Data("cluster %s in %s, account %s: %s, Kubernetes %s", d.Cluster.Name, d.Cluster.Region, d.Cluster.Account, d.Cluster.Status, d.Cluster.Version)
	c.Data("endpoint %s\n", d.Cluster.Endpoint)
	rows := [][]string{}
	for _, p := range d.NodePools {
		rows = append(rows, []string{p.Name, orNone(p.Status), p.Capacity, strings.Join(p.InstanceTypes, ","),
			fmt.Sprintf("%d of %d", readyCount(p.Nodes), max(len(p.Nodes), p.Desired)), fmt.Sprintf("%d-%d", p.Min, p.Max), gpuText(p.GPUs)})
	}
	c.Table([]string{"NODE POOL", "STATUS", "CAPACITY", "TYPES", "READY", "MIN-MAX", "GPUS"}, rows)
	for _, p := range d.NodePools {
		for _, issue := range p.Issues {
			c.Data("%s %s: %s", c.Red("!"), p.Name, issue)
		}
	}
	s.showGPUs(d)
	s.showServices(d, time.Now())
	rows = nil
	for _, a := range d.Addons {
		rows = append(rows, []string{a.Name, orNone(a.Version), orNone(a.Status)})
	}
	c.Data("")
	c.Table([]string{"ADD-ON", "VERSION", "STATUS"}, rows)
	c.Data("")
	for _, m := range d.Models {
		c.Data("model %s: %d files, %s in s3://%s", m.Name, m.Files, bytesText(m.Bytes), s.blueprint.Models.Bucket)
	}
	for _, host := range d.Ingress {
		c.Data("load balancer %s", host)
	}
	c.Data("costs %s now (%s)", ui.Dollars(d.CostPerHour), d.CostSource)
	for _, f := range d.Errors {
		c.Say("%s %s %s", c.Red("not read:"), f.Resource, f.Message)
	}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func readyCount(nodes []nodeStatus) int {
	n := 0
	for _, x := range nodes {
		if x.Ready {
			n++
		}
	}
	return n
}

func gpuText(g gpuCount) string {
	if g.Expected == 0 && g.Allocatable == 0 {
		return "-"
	}
	return fmt.Sprintf("%d of %d", g.Allocatable, g.Expected)
}
