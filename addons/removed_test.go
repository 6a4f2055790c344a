package addons

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/metadata/fake"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

func TestRemovedAddon(t *testing.T) {
	api, cluster := newFakeEKS(t), &fakeCluster{}
	for name, tags := range map[string]map[string]string{"coredns": testOwner.Tags(""), "metrics-server": testOwner.Tags(""), "adot": nil} {
		api.addons[name] = &types.Addon{AddonName: aws.String(name), AddonVersion: aws.String("v2"), Status: types.AddonStatusActive, Tags: tags}
	}
	found, err := DiscoverAddons(t.Context(), api, "demo", "coredns")
	if err != nil || !slices.Equal(found, []string{"metrics-server"}) {
		t.Fatalf("found %v, %v", found, err)
	}
	if found, err := DiscoverAddons(t.Context(), api, "other"); err != nil || found != nil {
		t.Errorf("without a cluster: %v, %v", found, err)
	}
	a := NewRemovedEKSAddon(api, testOwner, cluster, "metrics-server")
	if o := observe(t, a); o.Exists || len(o.Changes) > 0 || !a.Unwanted() || !a.NeedsNodes() {
		t.Errorf("without a cluster: %+v", o)
	}
	cluster.ready = true
	if o := observe(t, a); !o.Exists || o.Detail != "v2" || len(o.Changes) > 0 {
		t.Errorf("observed %+v", o)
	}
	if o := observe(t, NewRemovedEKSAddon(api, testOwner, cluster, "adot")); o.Exists {
		t.Error("somebody else's add-on is to go")
	}
	if err := a.Delete(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if o := observe(t, a); o.Exists || len(api.addons) != 2 {
		t.Errorf("after Delete: %+v, left %d", o, len(api.addons))
	}
}

func TestRemovedPodIdentity(t *testing.T) {
	api, cluster := newFakeEKS(t), &fakeCluster{}
	i := NewRemovedPodIdentity(api, testOwner, cluster, "kube-system", "cluster-autoscaler")
	if o := observe(t, i); o.Exists || len(o.Changes) > 0 || !i.Unwanted() {
		t.Errorf("without a cluster: %+v", o)
	}
	cluster.ready = true
	if o := observe(t, i); o.Exists {
		t.Errorf("there is none: %+v", o)
	}
	if err := NewPodIdentity(api, testOwner, cluster, "kube-system", "cluster-autoscaler", fakeRole("arn:r")).Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if o := observe(t, i); !o.Exists || len(o.Changes) > 0 {
		t.Errorf("observed %+v", o)
	}
	api.pods["a-1"].Tags = nil
	if o := observe(t, i); o.Exists {
		t.Error("somebody else's is to go")
	}
	if err := i.Delete(t.Context(), quiet); err != nil || len(api.pods) > 0 {
		t.Errorf("Delete: %v, left %d", err, len(api.pods))
	}
}

// record is a revision of a release as Helm keeps it.
func record(namespace, name, revision string, labels map[string]string) *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "sh.helm.release.v1." + name + ".v" + revision, Labels: map[string]string{"owner": "helm", "name": name}}}
	for k, v := range labels {
		o.Labels[k] = v
	}
	return o
}

func TestOwnReleases(t *testing.T) {
	ours := OwnerLabels("demo")
	plain := record("web", "secret", "1", ours)
	delete(plain.Labels, "owner")
	scheme := fake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	client := fake.NewSimpleMetadataClient(scheme, record("web", "podinfo", "1", ours), record("web", "podinfo", "2", ours), record("apps", "podinfo", "1", ours),
		record("web", "theirs", "1", nil), record("web", "another", "1", OwnerLabels("other")), plain)
	found, err := ownReleases(t.Context(), client, "demo")
	if want := []ReleaseName{{"apps", "podinfo"}, {"web", "podinfo"}}; err != nil || !slices.Equal(found, want) {
		t.Errorf("found %v, %v", found, err)
	}
}

func TestNoReleasesOfAClusterThatIsNotReady(t *testing.T) {
	if found, err := DiscoverReleases(t.Context(), &fakeCluster{}); err != nil || found != nil {
		t.Errorf("found %v, %v", found, err)
	}
}

func TestRemovedRelease(t *testing.T) {
	c := newHelmCluster(readyNode(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "front", Namespace: "apps", Annotations: map[string]string{releaseAnnotation: "hello"}}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}})
	if err := c.release(repository(t, "1.0.0"), "1.0.0", nil).Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	r := NewRemovedRelease(c, "addon/apps/hello", ReleaseName{"apps", "hello"})
	r.connect = c.connect
	if o := observe(t, r); !o.Exists || len(o.Changes) > 0 || o.Detail != "1.0.0, namespace apps, revision 1" || !r.Unwanted() || r.ID() != "addon/apps/hello" {
		t.Errorf("observed %+v", o)
	}
	if err := r.Delete(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if o := observe(t, r); o.Exists || len(o.Changes) > 0 {
		t.Errorf("after Delete: %+v", o)
	}
	if _, err := c.client.CoreV1().Namespaces().Get(t.Context(), "apps", metav1.GetOptions{}); err == nil {
		t.Error("the namespace that we made is still there")
	}
	if services, err := c.client.CoreV1().Services("apps").List(t.Context(), metav1.ListOptions{}); err != nil || len(services.Items) > 0 {
		t.Errorf("the load balancer is still there: %v", err)
	}
}

func TestRemovedGPUOperatorTakesItsDefinitionsAlong(t *testing.T) {
	c := newHelmCluster()
	if r := NewRemovedRelease(c, "addon/gpu-operator", ReleaseName{GPUOperatorNamespace, "gpu-operator"}); !slices.Contains(r.spec.CRDs, "clusterpolicies.nvidia.com") {
		t.Errorf("definitions %v", r.spec.CRDs)
	}
	if r := NewRemovedRelease(c, "addon/x", ReleaseName{"team", "gpu-operator"}); r.spec.CRDs != nil {
		t.Errorf("those of somebody's own chart: %v", r.spec.CRDs)
	}
}

// standingCluster is a cluster that can be deleted.
type standingCluster struct {
	fakeCluster
	deleted bool
}

func (c *standingCluster) Observe(context.Context) (engine.Observation, error) {
	return engine.Observation{Exists: true}, nil
}

func (c *standingCluster) Delete(context.Context, engine.Progress) error {
	c.deleted = true
	return nil
}

func TestUnknownReleasesDoNotHoldUpTeardown(t *testing.T) {
	c := &standingCluster{fakeCluster: fakeCluster{ready: true}}
	u := NewUnknownReleases(c, cloud.Fail("releases/demo", "looking for releases", "no answer", ""))
	if _, err := u.Observe(t.Context()); err == nil {
		t.Error("a plan does not say that they are not known")
	}
	g, err := engine.NewGraph(c, u)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := g.Plan(t.Context(), engine.Options{})
	var e *cloud.Error
	if !errors.As(err, &e) {
		t.Errorf("plan: %v", err)
	}
	if result, receipt := g.Teardown(t.Context(), plan, engine.Options{}); result.Err() != nil || len(receipt.Left) > 0 || !c.deleted {
		t.Errorf("teardown: %v, left %v", result.Err(), receipt.Left)
	}
	c.ready = false
	if o := observe(t, u); o.Exists || len(o.Changes) > 0 {
		t.Errorf("without a cluster: %+v", o)
	}
}
