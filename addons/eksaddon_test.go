package addons

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/provision/cloud"
)

func TestAddonWithoutClusterMakesNoCall(t *testing.T) {
	a := NewEKSAddon(nil, testOwner, &fakeCluster{}, Spec{Name: "vpc-cni"}) // a nil API would panic
	if o := observe(t, a); o.Exists || fields(o) != "version" {
		t.Errorf("observed %+v", o)
	}
	if err := a.Delete(t.Context(), quiet); err != nil {
		t.Error(err)
	}
}

func TestAddonIsInstalledWithTagsConfigurationAndRole(t *testing.T) {
	api := newFakeEKS(t)
	spec := Spec{Name: "aws-ebs-csi-driver", Configuration: map[string]any{"controller": map[string]any{"replicaCount": 2}},
		PodIdentity: &PodIdentitySpec{ServiceAccount: EBSServiceAccount, Role: fakeRole("arn:role/ebs")}}
	a := NewEKSAddon(api, testOwner, &fakeCluster{ready: true}, spec)
	if o := observe(t, a); o.Exists {
		t.Fatalf("observed %+v", o)
	}
	if err := a.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	in := api.created
	if !maps.Equal(in.Tags, map[string]string{"team": "ml", "aicluster/cluster": "demo"}) {
		t.Errorf("tags %v", in.Tags)
	}
	if aws.ToString(in.AddonVersion) != "v2" || in.ResolveConflicts != types.ResolveConflictsOverwrite {
		t.Errorf("version %v, conflicts %v", aws.ToString(in.AddonVersion), in.ResolveConflicts)
	}
	if got := aws.ToString(in.ConfigurationValues); got != `{"controller":{"replicaCount":2}}` {
		t.Errorf("configuration %s", got)
	}
	if len(in.PodIdentityAssociations) != 1 || aws.ToString(in.PodIdentityAssociations[0].RoleArn) != "arn:role/ebs" {
		t.Errorf("pod identity %+v", in.PodIdentityAssociations)
	}
	settled(t, a)
	if a.Version() != "v2" || a.Status() != "ACTIVE" || !a.Exists() {
		t.Errorf("getters: %s %s %v", a.Version(), a.Status(), a.Exists())
	}
}

func TestAddonChanges(t *testing.T) {
	tags := testOwner.Tags("")
	tests := []struct {
		name string
		live types.Addon
		spec Spec
		want string // fields
		note bool
	}{
		{name: "default installed", live: types.Addon{AddonVersion: aws.String("v2"), Tags: tags}},
		{name: "an older one stays", live: types.Addon{AddonVersion: aws.String("v1"), Tags: tags}, note: true},
		{name: "a newer one stays", live: types.Addon{AddonVersion: aws.String("v3"), Tags: tags}},
		{name: "not for this Kubernetes", live: types.Addon{AddonVersion: aws.String("v0"), Tags: tags}, want: "version"},
		{name: "pinned", live: types.Addon{AddonVersion: aws.String("v2"), Tags: tags}, spec: Spec{Version: "v1"}, want: "version"},
		{name: "YAML equals JSON", live: types.Addon{AddonVersion: aws.String("v2"), Tags: tags, ConfigurationValues: aws.String("a:\n  b: 1\n")},
			spec: Spec{Configuration: map[string]any{"a": map[string]any{"b": 1}}}},
		{name: "configuration differs", live: types.Addon{AddonVersion: aws.String("v2"), Tags: tags, ConfigurationValues: aws.String(`{"a":2}`)},
			spec: Spec{Configuration: map[string]any{"a": 1}}, want: "configuration.a"},
		{name: "configuration taken away", live: types.Addon{AddonVersion: aws.String("v2"), Tags: tags, ConfigurationValues: aws.String(`{"a":2}`)}, want: "configuration.a"},
		{name: "tags lost", live: types.Addon{AddonVersion: aws.String("v2"), Tags: map[string]string{"other": "x"}}, want: "metadata.tags.aicluster/cluster metadata.tags.team"},
		{name: "degraded", live: types.Addon{AddonVersion: aws.String("v2"), Tags: tags, Status: types.AddonStatusDegraded}, want: "status"},
		{name: "role missing", live: types.Addon{AddonVersion: aws.String("v2"), Tags: tags}, spec: Spec{PodIdentity: &PodIdentitySpec{"sa", fakeRole("arn:r")}}, want: "podIdentity.role"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			api := newFakeEKS(t)
			live := tt.live
			live.AddonName, live.AddonArn = aws.String("coredns"), aws.String("arn:addon")
			if live.Status == "" {
				live.Status = types.AddonStatusActive
			}
			api.addons["coredns"] = &live
			tt.spec.Name = "coredns"
			a := NewEKSAddon(api, testOwner, &fakeCluster{ready: true}, tt.spec)
			o := observe(t, a)
			if fields(o) != tt.want {
				t.Fatalf("changes %q, want %q: %+v", fields(o), tt.want, o.Changes)
			}
			if (len(o.Notes) > 0) != tt.note {
				t.Errorf("notes %q", o.Notes)
			}
			if len(api.writes) > 0 {
				t.Errorf("Observe wrote: %v", api.writes)
			}
			if tt.want == "" || tt.want == "status" {
				return
			}
			if err := a.Apply(t.Context(), quiet); err != nil {
				t.Fatal(err)
			}
			settled(t, a)
			if !strings.HasPrefix(tt.want, "metadata.tags") && api.updated.ResolveConflicts != types.ResolveConflictsPreserve {
				t.Errorf("an update resolves conflicts by %s", api.updated.ResolveConflicts)
			}
		})
	}
}

func TestAddonRetriesWhileIAMSpreads(t *testing.T) {
	api := newFakeEKS(t)
	api.refuse = []error{&types.InvalidParameterException{Message: aws.String("Role arn:r does not exist")}}
	a := NewEKSAddon(api, testOwner, &fakeCluster{ready: true}, Spec{Name: "vpc-cni"})
	if err := a.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if want := []string{"CreateAddon", "CreateAddon"}; !slices.Equal(api.writes, want) {
		t.Errorf("wrote %v", api.writes)
	}
}

func TestAddonFailsOnTheFirstHopelessIssue(t *testing.T) {
	api := newFakeEKS(t)
	api.after = func(a *types.Addon) {
		a.Health = &types.AddonHealth{Issues: []types.AddonIssue{{Code: types.AddonIssueCodeAdmissionRequestDenied, Message: aws.String("webhook said no")}}}
	}
	a := NewEKSAddon(api, testOwner, &fakeCluster{ready: true}, Spec{Name: "coredns"})
	err := a.Apply(t.Context(), quiet)
	var e *cloud.Error
	if !errors.As(err, &e) || !strings.Contains(e.Message, "AdmissionRequestDenied: webhook said no") || e.Hint == "" {
		t.Fatalf("got %v", err)
	}
}

func TestAddonWaitsWhileReplicasAreMissing(t *testing.T) {
	api := newFakeEKS(t)
	polls := 0
	api.after = func(a *types.Addon) {
		a.Status = types.AddonStatusDegraded
		a.Health = &types.AddonHealth{Issues: []types.AddonIssue{{Code: types.AddonIssueCodeInsufficientNumberOfReplicas, Message: aws.String("0 of 2 ready")}}}
		if polls++; polls == 3 {
			a.Status, a.Health = types.AddonStatusActive, nil
		}
	}
	var said phrases
	a := NewEKSAddon(api, testOwner, &fakeCluster{ready: true}, Spec{Name: "coredns"})
	if err := a.Apply(t.Context(), said.add); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(said, "degraded: InsufficientNumberOfReplicas: 0 of 2 ready") {
		t.Errorf("said %q", said)
	}
}

func TestAddonThatFailedIsMadeAnew(t *testing.T) {
	for _, status := range []types.AddonStatus{types.AddonStatusCreateFailed, types.AddonStatusDeleting} {
		t.Run(string(status), func(t *testing.T) {
			api := newFakeEKS(t)
			api.addons["coredns"] = &types.Addon{AddonName: aws.String("coredns"), AddonVersion: aws.String("v1"), Status: status}
			a := NewEKSAddon(api, testOwner, &fakeCluster{ready: true}, Spec{Name: "coredns"})
			observe(t, a)
			if err := a.Apply(t.Context(), quiet); err != nil {
				t.Fatal(err)
			}
			if o := settled(t, a); o.Detail != "v2" {
				t.Errorf("detail %q", o.Detail)
			}
		})
	}
}

func TestAddonWithConflictIsOverwritten(t *testing.T) {
	api := newFakeEKS(t)
	api.addons["coredns"] = &types.Addon{AddonName: aws.String("coredns"), AddonVersion: aws.String("v2"), Status: types.AddonStatusUpdateFailed, Tags: testOwner.Tags("")}
	a := NewEKSAddon(api, testOwner, &fakeCluster{ready: true}, Spec{Name: "coredns"})
	if err := a.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if api.updated == nil || api.updated.ResolveConflicts != types.ResolveConflictsOverwrite {
		t.Errorf("updated %+v", api.updated)
	}
	settled(t, a)
}

func TestAddonUpdateFailureTellsEKSsWords(t *testing.T) {
	api := newFakeEKS(t)
	api.addons["coredns"] = &types.Addon{AddonName: aws.String("coredns"), AddonVersion: aws.String("v2"), Status: types.AddonStatusActive, Tags: testOwner.Tags("")}
	a := NewEKSAddon(failedUpdates{api}, testOwner, &fakeCluster{ready: true}, Spec{Name: "coredns", Version: "v3"})
	err := a.Apply(t.Context(), quiet)
	if err == nil || !strings.Contains(err.Error(), "ConfigurationConflict: conflicts found") {
		t.Fatalf("got %v", err)
	}
}

func TestAddonDeleteRetriesWhileBusy(t *testing.T) {
	api := newFakeEKS(t)
	api.addons["coredns"] = &types.Addon{AddonName: aws.String("coredns"), Status: types.AddonStatusActive}
	api.refuse = []error{&types.ResourceInUseException{Message: aws.String("Addon coredns is currently being updated")}}
	a := NewEKSAddon(api, testOwner, &fakeCluster{ready: true}, Spec{Name: "coredns"})
	if err := a.Delete(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if a.Exists() || len(api.addons) > 0 {
		t.Error("the add-on is still there")
	}
	if err := a.Delete(t.Context(), quiet); err != nil {
		t.Errorf("deleting what is gone: %v", err)
	}
}

func TestAddonWaitEndsWithContext(t *testing.T) {
	api := newFakeEKS(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupted by the user")
	api.after = func(*types.Addon) { cancel(stop) }
	a := NewEKSAddon(api, testOwner, &fakeCluster{ready: true}, Spec{Name: "coredns"})
	if err := a.Apply(ctx, quiet); !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
}

func TestPodIdentity(t *testing.T) {
	api, cluster := newFakeEKS(t), &fakeCluster{}
	role := fakeRole("arn:role/one")
	i := NewPodIdentity(api, testOwner, cluster, "kube-system", "cluster-autoscaler", role)
	if o := observe(t, i); o.Exists {
		t.Fatal("exists without a cluster")
	}
	cluster.ready = true
	api.refuse = []error{&types.InvalidParameterException{Message: aws.String("Role provided in the request does not exist.")}}
	if err := i.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	settled(t, i)
	if tags := api.pods["a-1"].Tags; tags[cloud.TagCluster] != "demo" {
		t.Errorf("tags %v", tags)
	}
	i.role = fakeRole("arn:role/two")
	if o := observe(t, i); fields(o) != "role" {
		t.Fatalf("changes %+v", o.Changes)
	}
	if err := i.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	settled(t, i)
	if err := i.Delete(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if o := observe(t, i); o.Exists || len(api.pods) > 0 {
		t.Error("still there after Delete")
	}
}
