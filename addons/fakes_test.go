package addons

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"k8s.io/client-go/rest"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

var testOwner = cloud.Owner{Cluster: "demo", Extra: map[string]string{"team": "ml"}}

// fakeCluster is a control plane of version 1.35.
type fakeCluster struct{ ready bool }

func (c *fakeCluster) ID() string               { return "cluster/demo" }
func (c *fakeCluster) Needs() []engine.Resource { return nil }
func (c *fakeCluster) Name() string             { return "demo" }
func (c *fakeCluster) Exists() bool             { return c.ready }
func (c *fakeCluster) Ready() bool              { return c.ready }
func (c *fakeCluster) Version() string          { return "1.35" }
func (c *fakeCluster) RESTConfig() (*rest.Config, error) {
	return nil, fmt.Errorf("a fake has no API server")
}
func (c *fakeCluster) Observe(context.Context) (engine.Observation, error) {
	return engine.Observation{}, nil
}
func (c *fakeCluster) Apply(context.Context, engine.Progress) error  { return nil }
func (c *fakeCluster) Delete(context.Context, engine.Progress) error { return nil }

type fakeRole string

func (r fakeRole) ARN() string { return string(r) }

func quiet(string, ...any) {}

// phrases collects progress.
type phrases []string

func (p *phrases) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

// fakeEKS keeps add-ons and pod identity associations of cluster demo, as EKS does.
type fakeEKS struct {
	t        *testing.T
	versions []types.AddonVersionInfo // of every add-on
	addons   map[string]*types.Addon
	pods     map[string]*types.PodIdentityAssociation // by association id
	updates  map[string]*types.Update
	writes   []string

	// after is called at each DescribeAddon with the live add-on, to let time pass.
	after func(*types.Addon)
	// refuse gives the error of the next mutating calls, one each.
	refuse []error

	created *eks.CreateAddonInput
	updated *eks.UpdateAddonInput
}

func newFakeEKS(t *testing.T) *fakeEKS {
	return &fakeEKS{t: t, addons: map[string]*types.Addon{}, pods: map[string]*types.PodIdentityAssociation{}, updates: map[string]*types.Update{},
		versions: []types.AddonVersionInfo{offered("v3", false), offered("v2", true), offered("v1", false)}}
}

func offered(version string, def bool) types.AddonVersionInfo {
	return types.AddonVersionInfo{AddonVersion: aws.String(version), Compatibilities: []types.Compatibility{{ClusterVersion: aws.String("1.35"), DefaultVersion: def}}}
}

func notFound(what string) error {
	return &types.ResourceNotFoundException{Message: aws.String("No " + what + " found")}
}

// write records a mutating call, and refuses it if told so.
func (f *fakeEKS) write(name string) error {
	f.writes = append(f.writes, name)
	if len(f.refuse) == 0 {
		return nil
	}
	err := f.refuse[0]
	f.refuse = f.refuse[1:]
	return err
}

func (f *fakeEKS) CreateAddon(_ context.Context, in *eks.CreateAddonInput, _ ...func(*eks.Options)) (*eks.CreateAddonOutput, error) {
	if err := f.write("CreateAddon"); err != nil {
		return nil, err
	}
	f.created = in
	name := aws.ToString(in.AddonName)
	if f.addons[name] != nil {
		return nil, &types.ResourceInUseException{Message: aws.String("Addon already exists.")}
	}
	a := &types.Addon{AddonName: in.AddonName, AddonArn: aws.String("arn:aws:eks:r:1:addon/demo/" + name + "/1"), AddonVersion: in.AddonVersion,
		ConfigurationValues: in.ConfigurationValues, Status: types.AddonStatusCreating, Tags: in.Tags}
	f.addons[name] = a
	f.associate(a, in.PodIdentityAssociations)
	return &eks.CreateAddonOutput{Addon: a}, nil
}

func (f *fakeEKS) associate(a *types.Addon, wanted []types.AddonPodIdentityAssociations) {
	for _, w := range wanted {
		id := fmt.Sprintf("a-%d", len(f.pods)+1)
		f.pods[id] = &types.PodIdentityAssociation{AssociationId: aws.String(id), ServiceAccount: w.ServiceAccount, RoleArn: w.RoleArn}
		a.PodIdentityAssociations = []string{"arn:aws:eks:r:1:podidentityassociation/demo/" + id}
	}
}

func (f *fakeEKS) DescribeAddon(_ context.Context, in *eks.DescribeAddonInput, _ ...func(*eks.Options)) (*eks.DescribeAddonOutput, error) {
	a := f.addons[aws.ToString(in.AddonName)]
	if a == nil {
		return nil, notFound("addon: " + aws.ToString(in.AddonName))
	}
	seen := *a
	switch {
	case f.after != nil:
		f.after(a)
	case a.Status == types.AddonStatusCreating, a.Status == types.AddonStatusUpdating:
		a.Status = types.AddonStatusActive
	case a.Status == types.AddonStatusDeleting:
		delete(f.addons, aws.ToString(in.AddonName))
	}
	return &eks.DescribeAddonOutput{Addon: &seen}, nil
}

// ListAddons answers in pages of one.
func (f *fakeEKS) ListAddons(_ context.Context, in *eks.ListAddonsInput, _ ...func(*eks.Options)) (*eks.ListAddonsOutput, error) {
	if aws.ToString(in.ClusterName) != "demo" {
		return nil, notFound("cluster")
	}
	names, at := slices.Sorted(maps.Keys(f.addons)), 0
	if in.NextToken != nil {
		at = slices.Index(names, *in.NextToken)
	}
	out := &eks.ListAddonsOutput{}
	if at < len(names) {
		out.Addons = names[at : at+1]
	}
	if at+1 < len(names) {
		out.NextToken = &names[at+1]
	}
	return out, nil
}

func (f *fakeEKS) DeleteAddon(_ context.Context, in *eks.DeleteAddonInput, _ ...func(*eks.Options)) (*eks.DeleteAddonOutput, error) {
	if err := f.write("DeleteAddon"); err != nil {
		return nil, err
	}
	a := f.addons[aws.ToString(in.AddonName)]
	if a == nil {
		return nil, notFound("addon")
	}
	a.Status = types.AddonStatusDeleting
	return &eks.DeleteAddonOutput{Addon: a}, nil
}

func (f *fakeEKS) DescribeAddonVersions(_ context.Context, in *eks.DescribeAddonVersionsInput, _ ...func(*eks.Options)) (*eks.DescribeAddonVersionsOutput, error) {
	if v := aws.ToString(in.KubernetesVersion); v != "1.35" {
		f.t.Errorf("asked for versions of Kubernetes %q", v)
	}
	return &eks.DescribeAddonVersionsOutput{Addons: []types.AddonInfo{{AddonName: in.AddonName, AddonVersions: f.versions}}}, nil
}

func (f *fakeEKS) UpdateAddon(_ context.Context, in *eks.UpdateAddonInput, _ ...func(*eks.Options)) (*eks.UpdateAddonOutput, error) {
	if err := f.write("UpdateAddon"); err != nil {
		return nil, err
	}
	f.updated = in
	a := f.addons[aws.ToString(in.AddonName)]
	if in.AddonVersion != nil {
		a.AddonVersion = in.AddonVersion
	}
	if in.ConfigurationValues != nil {
		a.ConfigurationValues = in.ConfigurationValues
	}
	f.associate(a, in.PodIdentityAssociations)
	a.Status, a.Health = types.AddonStatusUpdating, nil
	u := &types.Update{Id: aws.String("u-1"), Status: types.UpdateStatusSuccessful}
	f.updates["u-1"] = u
	return &eks.UpdateAddonOutput{Update: u}, nil
}

func (f *fakeEKS) DescribeUpdate(_ context.Context, in *eks.DescribeUpdateInput, _ ...func(*eks.Options)) (*eks.DescribeUpdateOutput, error) {
	return &eks.DescribeUpdateOutput{Update: f.updates[aws.ToString(in.UpdateId)]}, nil
}

func (f *fakeEKS) TagResource(_ context.Context, in *eks.TagResourceInput, _ ...func(*eks.Options)) (*eks.TagResourceOutput, error) {
	if err := f.write("TagResource"); err != nil {
		return nil, err
	}
	for _, a := range f.addons {
		if aws.ToString(a.AddonArn) == aws.ToString(in.ResourceArn) {
			a.Tags = in.Tags
		}
	}
	return &eks.TagResourceOutput{}, nil
}

func (f *fakeEKS) DescribePodIdentityAssociation(_ context.Context, in *eks.DescribePodIdentityAssociationInput, _ ...func(*eks.Options)) (*eks.DescribePodIdentityAssociationOutput, error) {
	a := f.pods[aws.ToString(in.AssociationId)]
	if a == nil {
		return nil, notFound("association")
	}
	return &eks.DescribePodIdentityAssociationOutput{Association: a}, nil
}

func (f *fakeEKS) ListPodIdentityAssociations(_ context.Context, in *eks.ListPodIdentityAssociationsInput, _ ...func(*eks.Options)) (*eks.ListPodIdentityAssociationsOutput, error) {
	out := &eks.ListPodIdentityAssociationsOutput{}
	for _, a := range f.pods {
		if aws.ToString(a.ServiceAccount) == aws.ToString(in.ServiceAccount) && aws.ToString(a.Namespace) == aws.ToString(in.Namespace) {
			out.Associations = append(out.Associations, types.PodIdentityAssociationSummary{AssociationId: a.AssociationId})
		}
	}
	return out, nil
}

func (f *fakeEKS) CreatePodIdentityAssociation(_ context.Context, in *eks.CreatePodIdentityAssociationInput, _ ...func(*eks.Options)) (*eks.CreatePodIdentityAssociationOutput, error) {
	if err := f.write("CreatePodIdentityAssociation"); err != nil {
		return nil, err
	}
	id := fmt.Sprintf("a-%d", len(f.pods)+1)
	f.pods[id] = &types.PodIdentityAssociation{AssociationId: aws.String(id), Namespace: in.Namespace, ServiceAccount: in.ServiceAccount, RoleArn: in.RoleArn, Tags: in.Tags}
	return &eks.CreatePodIdentityAssociationOutput{Association: f.pods[id]}, nil
}

func (f *fakeEKS) UpdatePodIdentityAssociation(_ context.Context, in *eks.UpdatePodIdentityAssociationInput, _ ...func(*eks.Options)) (*eks.UpdatePodIdentityAssociationOutput, error) {
	if err := f.write("UpdatePodIdentityAssociation"); err != nil {
		return nil, err
	}
	f.pods[aws.ToString(in.AssociationId)].RoleArn = in.RoleArn
	return &eks.UpdatePodIdentityAssociationOutput{}, nil
}

func (f *fakeEKS) DeletePodIdentityAssociation(_ context.Context, in *eks.DeletePodIdentityAssociationInput, _ ...func(*eks.Options)) (*eks.DeletePodIdentityAssociationOutput, error) {
	if err := f.write("DeletePodIdentityAssociation"); err != nil {
		return nil, err
	}
	delete(f.pods, aws.ToString(in.AssociationId))
	return &eks.DeletePodIdentityAssociationOutput{}, nil
}

// observe reads a resource and fails the test on an error.
func observe(t *testing.T, r engine.Resource) engine.Observation {
	t.Helper()
	o, err := r.Observe(t.Context())
	if err != nil {
		t.Fatalf("Observe: %v", err)
	}
	return o
}

// settled fails unless the resource exists without a difference.
func settled(t *testing.T, r engine.Resource) engine.Observation {
	t.Helper()
	o := observe(t, r)
	if !o.Exists || len(o.Changes) > 0 {
		t.Fatalf("after Apply: exists %v, changes %+v", o.Exists, o.Changes)
	}
	return o
}

// fields lists the fields that an observation finds different.
func fields(o engine.Observation) string {
	var out []string
	for _, c := range o.Changes {
		out = append(out, c.Field)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// failedUpdates is an EKS whose updates fail.
type failedUpdates struct{ *fakeEKS }

func (f failedUpdates) DescribeUpdate(context.Context, *eks.DescribeUpdateInput, ...func(*eks.Options)) (*eks.DescribeUpdateOutput, error) {
	return &eks.DescribeUpdateOutput{Update: &types.Update{Status: types.UpdateStatusFailed,
		Errors: []types.ErrorDetail{{ErrorCode: types.ErrorCodeConfigurationConflict, ErrorMessage: aws.String("conflicts found")}}}}, nil
}
