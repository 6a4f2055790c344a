package controlplane

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// Observe implements [engine.Resource].
func (c *Cluster) Observe(ctx context.Context) (engine.Observation, error) {
	if err := c.read(ctx); err != nil {
		return engine.Observation{}, cloud.Wrap(c.ID(), "reading the cluster", err)
	}
	if c.live == nil {
		return engine.Observation{Changes: c.creation()}, nil
	}
	obs := engine.Observation{Exists: true, Detail: fmt.Sprintf("Kubernetes %s, %s", c.Version(), strings.ToLower(c.Status()))}
	if owner := c.live.Tags[cloud.TagCluster]; owner != c.Name() {
		obs.Keep = "it does not carry the tag " + cloud.TagCluster + "=" + c.Name()
		obs.Changes = []engine.Change{{
			Field: "tags." + cloud.TagCluster, Live: owner, Wanted: c.Name(), Policy: engine.PolicyRefused,
			Hint: "an EKS cluster of this name exists that aicluster did not make: choose another metadata.name",
		}}
		return obs, nil
	}
	for _, issue := range clusterIssues(c.live) {
		obs.Notes = append(obs.Notes, fmt.Sprintf("%s: %s", issue.Code, aws.ToString(issue.Message)))
	}
	for _, d := range c.differences() {
		obs.Changes = append(obs.Changes, d.Change)
	}
	return obs, nil
}

// creation says what will be made, defaults too.
func (c *Cluster) creation() []engine.Change {
	var out []engine.Change
	add := func(field string, wanted any) {
		out = append(out, engine.Change{Field: "cluster." + field, Wanted: wanted, Policy: engine.PolicyCreate})
	}
	add("version", c.want.Version)
	add("endpoint", endpointWords(c.want.Endpoint))
	add("supportType", c.want.SupportType)
	if len(c.want.Logging) > 0 {
		add("logging", c.want.Logging)
	}
	if c.want.DeletionProtection {
		add("deletionProtection", true)
	}
	return out
}

// endpointWords says who can reach the API server.
func endpointWords(e blueprints.Endpoint) string {
	var words []string
	if e.Public == nil || *e.Public {
		from := "everywhere"
		if len(e.PublicCIDRs) > 0 {
			from = strings.Join(e.PublicCIDRs, ", ")
		}
		words = append(words, "public from "+from)
	}
	if e.Private != nil && *e.Private {
		words = append(words, "private in the VPC")
	}
	return strings.Join(words, " and ")
}

func clusterIssues(c *types.Cluster) []types.ClusterIssue {
	if c.Health == nil {
		return nil
	}
	return c.Health.Issues
}

// difference is one way in which the live cluster is not the wanted one, and the
// call that mends it; nil if waiting does, or nothing can.
type difference struct {
	engine.Change
	mend func(ctx context.Context, p engine.Progress) error
}

// differences compares live with wanted. What the blueprint leaves open is
// nobody's difference.
func (c *Cluster) differences() []difference {
	if s := c.live.Status; s != types.ClusterStatusActive {
		return []difference{{Change: engine.Change{Field: "status", Live: s, Wanted: types.ClusterStatusActive, Policy: engine.PolicyInPlace, Hint: statusHint(s)}}}
	}
	return slices.Concat(c.versionDifference(), c.endpointDifferences(), c.loggingDifference(), c.supportDifference(), c.protectionDifference(), c.tagDifferences())
}

// statusHint says what Apply does about a cluster that is not active.
func statusHint(s types.ClusterStatus) string {
	switch s {
	case types.ClusterStatusFailed:
		return "it is deleted and made again"
	case types.ClusterStatusDeleting:
		return "it is made again once it is gone"
	}
	return "it is waited for"
}

// versionDifference allows what EKS allows: one minor version up at a time (EKS
// user guide, "Update existing cluster to new Kubernetes version").
func (c *Cluster) versionDifference() []difference {
	live, want := c.Version(), c.want.Version
	if want == "" || live == want {
		return nil
	}
	d := difference{Change: engine.Change{Field: "cluster.version", Live: live, Wanted: want, Policy: engine.PolicyRefused}}
	steps, ok := minorSteps(live, want)
	switch {
	case !ok:
		d.Hint = "versions are written like 1.35"
	case steps == 1:
		d.Policy, d.Hint = engine.PolicyInPlace, "the node pools follow, which replaces their nodes; EKS cannot be taken back after 7 days"
		d.mend = c.upgrade
	case steps > 1:
		next, _ := nextMinor(live)
		d.Hint = "EKS upgrades one minor version at a time: set " + next + " and run 'aicluster up', then go on"
	default:
		d.Hint = "an older version is possible only within 7 days of an upgrade, by EKS's version rollback"
	}
	return []difference{d}
}

// minorSteps counts the minor versions from one version to another.
func minorSteps(from, to string) (int, bool) {
	a, okA := minor(from)
	b, okB := minor(to)
	return b - a, okA && okB
}

func minor(version string) (int, bool) {
	text, ok := strings.CutPrefix(version, "1.")
	n, err := strconv.Atoi(text)
	return n, ok && err == nil
}

func nextMinor(version string) (string, bool) {
	n, ok := minor(version)
	return "1." + strconv.Itoa(n+1), ok
}

// anyCIDR is EKS's default for who may reach the public endpoint.
const anyCIDR = "0.0.0.0/0"

// endpoint is the wanted reach of the API server; what the blueprint leaves open
// is as live.
func (c *Cluster) endpoint(live *types.VpcConfigResponse) (public, private bool, cidrs []string) {
	public, private = true, false // EKS's defaults
	if live != nil {
		public, private = live.EndpointPublicAccess, live.EndpointPrivateAccess
	}
	if c.want.Endpoint.Public != nil {
		public = *c.want.Endpoint.Public
	}
	if c.want.Endpoint.Private != nil {
		private = *c.want.Endpoint.Private
	}
	if !public {
		return public, private, nil
	}
	if cidrs = sorted(c.want.Endpoint.PublicCIDRs); len(cidrs) == 0 {
		cidrs = []string{anyCIDR}
	}
	return public, private, cidrs
}

func sorted(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return out
}

// endpointDifferences are mended by one call, the first's.
func (c *Cluster) endpointDifferences() []difference {
	live := c.live.ResourcesVpcConfig
	if live == nil {
		return nil
	}
	public, private, cidrs := c.endpoint(live)
	var out []difference
	add := func(field string, live, wanted any) {
		out = append(out, difference{Change: engine.Change{Field: "cluster.endpoint." + field, Live: live, Wanted: wanted, Policy: engine.PolicyInPlace}})
	}
	if live.EndpointPublicAccess != public {
		add("public", live.EndpointPublicAccess, public)
	}
	if live.EndpointPrivateAccess != private {
		add("private", live.EndpointPrivateAccess, private)
	}
	if public && !slices.Equal(sorted(live.PublicAccessCidrs), cidrs) {
		add("publicCIDRs", live.PublicAccessCidrs, cidrs)
	}
	if len(out) > 0 {
		out[0].mend = c.configure("changing the endpoint's reach", &eks.UpdateClusterConfigInput{ResourcesVpcConfig: &types.VpcConfigRequest{
			EndpointPublicAccess: &public, EndpointPrivateAccess: &private, PublicAccessCidrs: cidrs,
		}})
	}
	return out
}

// liveLogs lists the kinds of control-plane logs that are on, sorted.
func (c *Cluster) liveLogs() []string {
	var on []string
	if c.live.Logging != nil {
		for _, setup := range c.live.Logging.ClusterLogging {
			if aws.ToBool(setup.Enabled) {
				for _, t := range setup.Types {
					on = append(on, string(t))
				}
			}
		}
	}
	slices.Sort(on)
	return on
}

// logging is the request that has exactly these kinds of logs on.
func logging(on []string) *types.Logging {
	yes := types.LogSetup{Enabled: aws.Bool(true)}
	no := types.LogSetup{Enabled: aws.Bool(false)}
	for _, t := range types.LogType("").Values() {
		if slices.Contains(on, string(t)) {
			yes.Types = append(yes.Types, t)
		} else {
			no.Types = append(no.Types, t)
		}
	}
	var l types.Logging
	for _, setup := range []types.LogSetup{yes, no} {
		if len(setup.Types) > 0 {
			l.ClusterLogging = append(l.ClusterLogging, setup)
		}
	}
	return &l
}

func (c *Cluster) loggingDifference() []difference {
	live, want := c.liveLogs(), sorted(c.want.Logging)
	if slices.Equal(live, want) {
		return nil
	}
	return []difference{{
		Change: engine.Change{Field: "cluster.logging", Live: live, Wanted: want, Policy: engine.PolicyInPlace},
		mend:   c.configure("changing the logging", &eks.UpdateClusterConfigInput{Logging: logging(want)}),
	}}
}

// supportType is EKS's word for the blueprint's; empty if that leaves it open.
func (c *Cluster) supportType() types.SupportType {
	return types.SupportType(strings.ToUpper(c.want.SupportType))
}

func (c *Cluster) supportDifference() []difference {
	want := c.supportType()
	if want == "" || c.live.UpgradePolicy == nil || c.live.UpgradePolicy.SupportType == want {
		return nil
	}
	live := strings.ToLower(string(c.live.UpgradePolicy.SupportType))
	return []difference{{
		Change: engine.Change{Field: "cluster.supportType", Live: live, Wanted: c.want.SupportType, Policy: engine.PolicyInPlace},
		mend:   c.configure("changing the support type", &eks.UpdateClusterConfigInput{UpgradePolicy: &types.UpgradePolicyRequest{SupportType: want}}),
	}}
}

func (c *Cluster) protectionDifference() []difference {
	live := aws.ToBool(c.live.DeletionProtection)
	if live == c.want.DeletionProtection {
		return nil
	}
	return []difference{{
		Change: engine.Change{Field: "cluster.deletionProtection", Live: live, Wanted: c.want.DeletionProtection, Policy: engine.PolicyInPlace},
		mend:   c.protect(c.want.DeletionProtection),
	}}
}

// tagDifferences are mended by one call, the first's.
func (c *Cluster) tagDifferences() []difference {
	set := cloud.TagChanges(c.live.Tags, c.owner.Tags(""))
	var out []difference
	for _, change := range engine.TagChanges(c.live.Tags, c.owner.Tags("")) {
		d := difference{Change: change}
		if len(out) == 0 {
			d.mend = func(ctx context.Context, _ engine.Progress) error {
				_, err := c.api.TagResource(ctx, &eks.TagResourceInput{ResourceArn: c.live.Arn, Tags: set})
				return cloud.Wrap(c.ID(), "tagging the cluster", err)
			}
		}
		out = append(out, d)
	}
	return out
}

// Issues is what EKS says is wrong with the cluster: its code and words.
func (c *Cluster) Issues() []string {
	if c.live == nil {
		return nil
	}
	var out []string
	for _, issue := range clusterIssues(c.live) {
		out = append(out, string(issue.Code)+": "+aws.ToString(issue.Message))
	}
	return out
}
