package addons

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// EKSAPI is what an add-on needs of EKS.
type EKSAPI interface {
	eks.ListAddonsAPIClient
	CreateAddon(context.Context, *eks.CreateAddonInput, ...func(*eks.Options)) (*eks.CreateAddonOutput, error)
	DeleteAddon(context.Context, *eks.DeleteAddonInput, ...func(*eks.Options)) (*eks.DeleteAddonOutput, error)
	DescribeAddon(context.Context, *eks.DescribeAddonInput, ...func(*eks.Options)) (*eks.DescribeAddonOutput, error)
	DescribeAddonVersions(context.Context, *eks.DescribeAddonVersionsInput, ...func(*eks.Options)) (*eks.DescribeAddonVersionsOutput, error)
	DescribePodIdentityAssociation(context.Context, *eks.DescribePodIdentityAssociationInput, ...func(*eks.Options)) (*eks.DescribePodIdentityAssociationOutput, error)
	DescribeUpdate(context.Context, *eks.DescribeUpdateInput, ...func(*eks.Options)) (*eks.DescribeUpdateOutput, error)
	TagResource(context.Context, *eks.TagResourceInput, ...func(*eks.Options)) (*eks.TagResourceOutput, error)
	UpdateAddon(context.Context, *eks.UpdateAddonInput, ...func(*eks.Options)) (*eks.UpdateAddonOutput, error)
}

// Spec says which add-on of EKS a cluster gets.
type Spec struct {
	// Name is EKS's name of the add-on: "vpc-cni".
	Name string
	// Version pins it, e.g. "v1.20.4-eksbuild.1". Empty takes EKS's default for
	// the cluster's Kubernetes version when the add-on is installed, and keeps
	// what is installed for as long as EKS calls it compatible.
	Version string
	// Configuration is the add-on's configurationValues.
	Configuration map[string]any
	// PodIdentity gives its service account an IAM role.
	PodIdentity *PodIdentitySpec
}

// PodIdentitySpec binds an add-on's service account to a role.
type PodIdentitySpec struct {
	ServiceAccount string
	Role           Role
}

// EKSAddon is an add-on that EKS installs and keeps.
type EKSAddon struct {
	api     EKSAPI
	owner   cloud.Owner
	cluster Cluster
	spec    Spec
	needs   []engine.Resource

	// OutOfReach tells that the cluster's API server does not answer.
	OutOfReach bool

	unwanted bool // it is to go: see NewRemovedEKSAddon

	configuration map[string]any // canonical spec.Configuration
	configError   error

	live    *types.Addon
	roleARN string   // of the live pod identity association
	offered versions // for the cluster's Kubernetes version
}

// NewEKSAddon makes the resource "addon/<name>". It needs the cluster and, in
// needs, whatever must run before it: a node group for an add-on that has
// Deployments, the role of its pod identity.
func NewEKSAddon(api EKSAPI, owner cloud.Owner, cluster Cluster, spec Spec, needs ...engine.Resource) *EKSAddon {
	a := &EKSAddon{api: api, owner: owner, cluster: cluster, spec: spec, needs: append([]engine.Resource{cluster}, needs...)}
	a.configuration, a.configError = canonical(spec.Configuration)
	return a
}

// ID implements engine.Resource.
func (a *EKSAddon) ID() string { return "addon/" + a.spec.Name }

// Needs implements engine.Resource.
func (a *EKSAddon) Needs() []engine.Resource { return a.needs }

// Container implements engine.Inner.
func (a *EKSAddon) Container() engine.Resource { return a.cluster }

// Exists tells whether the add-on is installed.
func (a *EKSAddon) Exists() bool { return a.live != nil }

// Version is the installed version, or empty.
func (a *EKSAddon) Version() string {
	if a.live == nil {
		return ""
	}
	return aws.ToString(a.live.AddonVersion)
}

// Status is EKS's word for the installed add-on, e.g. "ACTIVE", or empty.
func (a *EKSAddon) Status() string {
	if a.live == nil {
		return ""
	}
	return string(a.live.Status)
}

// Observe implements engine.Resource.
func (a *EKSAddon) Observe(ctx context.Context) (engine.Observation, error) {
	a.live, a.roleARN = nil, ""
	if a.unwanted {
		return a.observeUnwanted(ctx)
	}
	if a.configError != nil {
		return engine.Observation{}, cloud.Wrap(a.ID(), "reading its configuration", a.configError)
	}
	if !a.cluster.Ready() {
		return engine.Observation{Changes: a.creation()}, nil
	}
	if err := a.describe(ctx); err != nil {
		return engine.Observation{}, err
	}
	if a.live == nil {
		return engine.Observation{Changes: a.creation()}, nil
	}
	if err := a.loadVersions(ctx); err != nil {
		return engine.Observation{}, err
	}
	changes, err := a.changes()
	if err != nil {
		return engine.Observation{}, err
	}
	o := engine.Observation{Exists: true, Changes: changes, Detail: a.Version()}
	if newer := a.offered.newer(a.Version()); newer != "" && a.spec.Version == "" {
		o.Notes = append(o.Notes, fmt.Sprintf("%s is installed; EKS's default is now %s: set version to take it", a.Version(), newer))
	}
	return o, nil
}

// creation says what will be installed.
func (a *EKSAddon) creation() []engine.Change {
	wanted := a.spec.Version
	if wanted == "" {
		wanted = "EKS's default"
	}
	return []engine.Change{{Field: "version", Wanted: wanted, Policy: engine.PolicyCreate}}
}

// changes compares the live add-on with the wanted one.
func (a *EKSAddon) changes() ([]engine.Change, error) {
	var out []engine.Change
	if c, differs := a.versionChange(); differs {
		out = append(out, c)
	}
	same, live, err := a.sameConfiguration()
	if err != nil {
		return nil, err
	}
	if !same {
		out = append(out, valueChanges("configuration", live, a.configuration)...)
	}
	if p := a.spec.PodIdentity; p != nil && a.roleARN != p.Role.ARN() {
		out = append(out, engine.Change{Field: "podIdentity.role", Live: orNil(a.roleARN), Wanted: orNil(p.Role.ARN()), Policy: engine.PolicyInPlace})
	}
	out = append(out, engine.TagChanges(a.live.Tags, a.owner.Tags(""))...)
	if a.live.Status != types.AddonStatusActive {
		out = append(out, engine.Change{Field: "status", Live: string(a.live.Status), Wanted: string(types.AddonStatusActive),
			Policy: engine.PolicyInPlace, Hint: issueWords(a.live.Health)})
	}
	return out, nil
}

func (a *EKSAddon) sameConfiguration() (same bool, live map[string]any, err error) {
	live, err = parseValues(aws.ToString(a.live.ConfigurationValues))
	if err != nil {
		return false, nil, cloud.Wrap(a.ID(), "reading the configuration that EKS holds", err)
	}
	return sameValues(live, a.configuration), live, nil
}

// versionChange compares versions. An unpinned add-on differs only when EKS no
// longer offers what is installed for the cluster's Kubernetes version, as
// after an upgrade of the control plane.
func (a *EKSAddon) versionChange() (engine.Change, bool) {
	live, wanted := a.Version(), a.spec.Version
	switch {
	case wanted == "" && a.offered.has(live):
		return engine.Change{}, false
	case wanted == "":
		wanted = a.offered.byDefault
		if wanted == "" || wanted == live {
			return engine.Change{}, false
		}
		return engine.Change{Field: "version", Live: live, Wanted: wanted, Policy: engine.PolicyInPlace,
			Hint: live + " is not for Kubernetes " + a.cluster.Version()}, true
	}
	return engine.Change{Field: "version", Live: live, Wanted: wanted, Policy: engine.PolicyInPlace}, live != wanted
}

// describe reads the add-on, and whose role its service account has.
func (a *EKSAddon) describe(ctx context.Context) error {
	a.live, a.roleARN = nil, ""
	out, err := a.api.DescribeAddon(ctx, &eks.DescribeAddonInput{ClusterName: aws.String(a.cluster.Name()), AddonName: aws.String(a.spec.Name)})
	if cloud.IsAbsent(err) {
		return nil
	}
	if err != nil {
		return cloud.Wrap(a.ID(), "looking at the add-on", err)
	}
	a.live = out.Addon
	if a.spec.PodIdentity == nil {
		return nil
	}
	for _, arn := range a.live.PodIdentityAssociations {
		// arn:aws:eks:REGION:ACCOUNT:podidentityassociation/CLUSTER/ID
		found, err := a.api.DescribePodIdentityAssociation(ctx, &eks.DescribePodIdentityAssociationInput{
			ClusterName: aws.String(a.cluster.Name()), AssociationId: aws.String(path.Base(arn))})
		if cloud.IsNotFound(err) {
			continue
		}
		if err != nil {
			return cloud.Wrap(a.ID(), "looking at the pod identity", err)
		}
		if aws.ToString(found.Association.ServiceAccount) == a.spec.PodIdentity.ServiceAccount {
			a.roleARN = aws.ToString(found.Association.RoleArn)
		}
	}
	return nil
}

// versions are what EKS offers of an add-on for one Kubernetes version.
type versions struct {
	all       []string // newest first
	byDefault string
}

func (v versions) has(version string) bool { return slices.Contains(v.all, version) }

// newer is EKS's default when it stands before the installed version in the list.
func (v versions) newer(installed string) string {
	at, def := slices.Index(v.all, installed), slices.Index(v.all, v.byDefault)
	if at < 0 || def < 0 || def >= at {
		return ""
	}
	return v.byDefault
}

// loadVersions asks which versions EKS offers for the cluster's Kubernetes version.
func (a *EKSAddon) loadVersions(ctx context.Context) error {
	var v versions
	pages := eks.NewDescribeAddonVersionsPaginator(a.api, &eks.DescribeAddonVersionsInput{
		AddonName: aws.String(a.spec.Name), KubernetesVersion: aws.String(a.cluster.Version())})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return cloud.Wrap(a.ID(), "asking which versions there are", err)
		}
		for _, info := range page.Addons {
			for _, offered := range info.AddonVersions {
				v.add(offered)
			}
		}
	}
	a.offered = v
	return nil
}

func (v *versions) add(offered types.AddonVersionInfo) {
	version := aws.ToString(offered.AddonVersion)
	v.all = append(v.all, version)
	for _, c := range offered.Compatibilities {
		if c.DefaultVersion && v.byDefault == "" {
			v.byDefault = version
		}
	}
}

// configurationJSON is the configuration as EKS takes it; "{}" takes an earlier one away.
func (a *EKSAddon) configurationJSON() (string, error) {
	data, err := json.Marshal(a.configuration)
	return string(data), err
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}
