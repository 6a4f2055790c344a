package addons

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/kube"
	kubefake "helm.sh/helm/v3/pkg/kube/fake"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	helmtime "helm.sh/helm/v3/pkg/time"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// helmCluster is a cluster that Helm's actions run against: releases in memory,
// a fake clientset for the rest.
type helmCluster struct {
	fakeCluster
	records *storage.Storage
	client  *fake.Clientset
	dyn     *dynfake.FakeDynamicClient
	waitErr error  // what the wait for ready objects returns
	onWait  func() // called in it
	hooks   int    // how many were run
}

// waitingKube stands for the cluster's objects; its waits end as the test says.
type waitingKube struct {
	*kubefake.PrintingKubeClient
	c *helmCluster
}

func (k waitingKube) WaitWithJobs(kube.ResourceList, time.Duration) error {
	if k.c.onWait != nil {
		k.c.onWait()
	}
	return k.c.waitErr
}

func newHelmCluster(objects ...runtime.Object) *helmCluster {
	memory := driver.NewMemory()
	memory.SetNamespace("apps")
	return &helmCluster{
		fakeCluster: fakeCluster{ready: true},
		records:     storage.Init(memory),
		client:      fake.NewClientset(objects...),
		dyn:         dynfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{crdResource: "CustomResourceDefinitionList"}),
	}
}

func (c *helmCluster) connect(context.Context, engine.Progress) (*session, error) {
	return &session{
		helm: &action.Configuration{
			Releases: c.records, KubeClient: waitingKube{&kubefake.PrintingKubeClient{Out: io.Discard}, c},
			Capabilities: chartutil.DefaultCapabilities.Copy(), Log: quiet,
		},
		client: c.client, dyn: c.dyn, knows: func(schema.GroupKind) (bool, error) { return true, nil },
	}, nil
}

func (k waitingKube) WatchUntilReady(kube.ResourceList, time.Duration) error {
	k.c.hooks++
	return nil
}

// release makes the release "hello" of a chart version that dir has.
func (c *helmCluster) release(dir, version string, values map[string]any) *Release {
	r := NewRelease(c, ChartSource{Mirror: dir}, ReleaseSpec{Name: "hello", Namespace: "apps", Repo: "https://x.invalid", Chart: "hello", Version: version, Values: values,
		NamespaceLabels: map[string]string{"pod-security.kubernetes.io/enforce": "privileged"}})
	r.connect = c.connect
	return r
}

func (c *helmCluster) last(t *testing.T) *release.Release {
	t.Helper()
	rel, err := c.records.Last("hello")
	if err != nil {
		t.Fatal(err)
	}
	return rel
}

func readyNode(taints ...corev1.Taint) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Spec: corev1.NodeSpec{Taints: taints},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}}
}

func TestReleaseInstallUpgradeUninstall(t *testing.T) {
	dir := repository(t, "1.0.0", "1.1.0")
	c := newHelmCluster(readyNode())
	r := c.release(dir, "v1.0.0", map[string]any{"greeting": "hello", "count": 2})
	if o := observe(t, r); o.Exists || fields(o) != "version" {
		t.Fatalf("observed %+v", o)
	}
	// The index has 1.0.0, the blueprint says v1.0.0: the same version.
	if err := r.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	settled(t, r)
	if r.Version() != "1.0.0" || r.Status() != "deployed" {
		t.Errorf("getters: %s %s", r.Version(), r.Status())
	}
	if rel := c.last(t); rel.Labels[cloud.TagCluster] != "demo" || rel.Config["greeting"] != "hello" {
		t.Errorf("recorded %v %v", rel.Labels, rel.Config)
	}
	ns, err := c.client.CoreV1().Namespaces().Get(t.Context(), "apps", metav1.GetOptions{})
	if err != nil || ns.Labels[cloud.TagCluster] != "demo" || ns.Labels["pod-security.kubernetes.io/enforce"] != "privileged" {
		t.Fatalf("namespace %v %v", ns, err)
	}

	r = c.release(dir, "1.1.0", map[string]any{"greeting": "bye", "count": 2.0})
	if o := observe(t, r); fields(o) != "values.greeting version" {
		t.Fatalf("changes %+v", o.Changes)
	}
	if err := r.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if o := settled(t, r); !strings.Contains(o.Detail, "1.1.0") || !strings.Contains(o.Detail, "revision 2") {
		t.Errorf("detail %q", o.Detail)
	}

	if err := r.Delete(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if o := observe(t, r); o.Exists {
		t.Error("still there after Delete")
	}
	if _, err := c.client.CoreV1().Namespaces().Get(t.Context(), "apps", metav1.GetOptions{}); err == nil {
		t.Error("the namespace that we made is still there")
	}
	if err := r.Delete(t.Context(), quiet); err != nil {
		t.Errorf("deleting what is gone: %v", err)
	}
}

func TestReleaseWithoutClusterMakesNoCall(t *testing.T) {
	c := newHelmCluster()
	c.ready = false
	r := c.release("", "1.0.0", nil)
	r.connect = nil // a call would panic
	if o := observe(t, r); o.Exists {
		t.Error("exists without a cluster")
	}
	if err := r.Delete(t.Context(), quiet); err != nil {
		t.Error(err)
	}
}

func TestReleaseFailureIsRecordedAndRepaired(t *testing.T) {
	dir := repository(t, "1.0.0")
	c := newHelmCluster(readyNode())
	c.waitErr = errors.New("Deployment hello does not become ready: pod hello-1: ImagePullBackOff")
	r := c.release(dir, "1.0.0", nil)
	err := r.Apply(t.Context(), quiet)
	var e *cloud.Error
	if !errors.As(err, &e) || !strings.Contains(e.Message, "ImagePullBackOff") || !strings.Contains(e.Hint, "kubectl get pods") {
		t.Fatalf("got %v", err)
	}
	if o := observe(t, r); !o.Exists || fields(o) != "status" || !strings.Contains(o.Changes[0].Hint, "ImagePullBackOff") {
		t.Fatalf("observed %+v", o)
	}
	c.waitErr = nil
	var said phrases
	if err := r.Apply(t.Context(), said.add); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(said, "going on with an unfinished installation") {
		t.Errorf("said %q", said)
	}
	settled(t, r)
}

func TestReleaseStates(t *testing.T) {
	ours := map[string]string{cloud.TagCluster: "demo"}
	preInstall := &release.Hook{Name: "init", Kind: "Job", Events: []release.HookEvent{release.HookPreInstall}}
	both := &release.Hook{Name: "certs", Kind: "Job", Events: []release.HookEvent{release.HookPreInstall, release.HookPreUpgrade}}
	tests := []struct {
		name         string
		records      []release.Status // from revision 1 on
		labels       map[string]string
		age          time.Duration
		hooks        []*release.Hook
		wantRevision int // 1: installed anew
	}{
		{name: "our killed install goes on", records: []release.Status{release.StatusPendingInstall}, labels: ours, wantRevision: 2},
		{name: "with hooks that an upgrade runs as well", records: []release.Status{release.StatusPendingInstall}, labels: ours, hooks: []*release.Hook{both}, wantRevision: 2},
		{name: "with an install-only hook it starts anew", records: []release.Status{release.StatusPendingInstall}, labels: ours, hooks: []*release.Hook{preInstall}, wantRevision: 1},
		{name: "another client's stale lock is broken", records: []release.Status{release.StatusDeployed, release.StatusPendingUpgrade}, age: time.Hour, wantRevision: 3},
		{name: "our killed upgrade goes on", records: []release.Status{release.StatusDeployed, release.StatusPendingUpgrade}, labels: ours, wantRevision: 3},
		{name: "a failed upgrade", records: []release.Status{release.StatusDeployed, release.StatusFailed}, wantRevision: 3},
		{name: "a killed removal is finished first", records: []release.Status{release.StatusUninstalling}, wantRevision: 1},
		{name: "a kept history", records: []release.Status{release.StatusUninstalled}, wantRevision: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := repository(t, "1.0.0")
			c := newHelmCluster(readyNode())
			for i, status := range tt.records {
				rel := &release.Release{Name: "hello", Namespace: "apps", Version: i + 1, Chart: testChart("1.0.0"), Config: map[string]any{}, Hooks: tt.hooks,
					Labels: tt.labels, Info: &release.Info{Status: status, LastDeployed: helmtime.Time{Time: time.Now().Add(-tt.age)}}}
				if err := c.records.Create(rel); err != nil {
					t.Fatal(err)
				}
			}
			r := c.release(dir, "1.0.0", nil)
			if o := observe(t, r); len(o.Changes) == 0 {
				t.Fatal("no change is seen")
			}
			if err := r.Apply(t.Context(), quiet); err != nil {
				t.Fatal(err)
			}
			settled(t, r)
			if got := c.last(t).Version; got != tt.wantRevision {
				t.Errorf("revision %d, want %d", got, tt.wantRevision)
			}
		})
	}
}

func TestReleaseWaitsForAnotherClient(t *testing.T) {
	dir := repository(t, "1.0.0")
	c := newHelmCluster(readyNode())
	rel := &release.Release{Name: "hello", Namespace: "apps", Version: 1, Chart: testChart("1.0.0"), Info: &release.Info{Status: release.StatusPendingInstall, LastDeployed: helmtime.Now()}}
	if err := c.records.Create(rel); err != nil {
		t.Fatal(err)
	}
	r := c.release(dir, "1.0.0", nil)
	waited := 0
	err := r.Apply(t.Context(), func(format string, args ...any) {
		if strings.HasPrefix(format, "waiting: another Helm client") {
			if waited++; waited == 2 {
				rel.SetStatus(release.StatusDeployed, "done")
				if err := c.records.Update(rel); err != nil {
					t.Error(err)
				}
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if waited != 2 || c.last(t).Info.Status != release.StatusDeployed {
		t.Errorf("waited %d times, status %s", waited, c.last(t).Info.Status)
	}
}

func TestReleaseInterruptedStaysInterrupted(t *testing.T) {
	dir := repository(t, "1.0.0")
	c := newHelmCluster(readyNode())
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupted by the user")
	c.waitErr = errors.New("only words")
	r := c.release(dir, "1.0.0", nil)
	c.onWait = func() { cancel(stop) }
	if err := r.Apply(ctx, quiet); !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
}

func TestReleaseDeleteRemovesLoadBalancersFirst(t *testing.T) {
	dir := repository(t, "1.0.0")
	lb := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "front", Namespace: "apps", Annotations: map[string]string{releaseAnnotation: "hello"}}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}}
	other := lb.DeepCopy()
	other.Name, other.Annotations = "users-own", nil
	c := newHelmCluster(readyNode(), lb, other)
	r := c.release(dir, "1.0.0", nil)
	if err := r.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	list, err := c.client.CoreV1().Services("apps").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 || list.Items[0].Name != "users-own" {
		t.Errorf("services left: %v", list.Items)
	}
}

// TestReleaseRemovalGoesOn kills a removal during and after its pre-delete hook.
// After it, the service account that the hook's pod runs as may be gone.
func TestReleaseRemovalGoesOn(t *testing.T) {
	for phase, hooks := range map[release.HookPhase]int{release.HookPhaseRunning: 1, release.HookPhaseSucceeded: 0} {
		c := newHelmCluster(readyNode())
		hook := &release.Hook{Name: "cleanup", Kind: "Job", Events: []release.HookEvent{release.HookPreDelete}, LastRun: release.HookExecution{Phase: phase}}
		rel := &release.Release{Name: "hello", Namespace: "apps", Version: 1, Chart: testChart("1.0.0"), Hooks: []*release.Hook{hook}, Info: &release.Info{Status: release.StatusUninstalling}}
		if err := c.records.Create(rel); err != nil {
			t.Fatal(err)
		}
		r := c.release(repository(t, "1.0.0"), "1.0.0", nil)
		if err := r.Delete(t.Context(), quiet); err != nil {
			t.Fatal(err)
		}
		if o := observe(t, r); o.Exists || c.hooks != hooks {
			t.Errorf("%s: exists %v, %d hooks ran", phase, o.Exists, c.hooks)
		}
	}
}

func TestReleaseDeleteKeepsANamespaceInUse(t *testing.T) {
	dir := repository(t, "1.0.0")
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data", Namespace: "apps"}}
	c := newHelmCluster(readyNode(), claim)
	r := c.release(dir, "1.0.0", nil)
	if err := r.Apply(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if _, err := c.client.CoreV1().Namespaces().Get(t.Context(), "apps", metav1.GetOptions{}); err != nil {
		t.Errorf("the namespace with someone's data: %v", err)
	}
}

func TestSchedulableNodes(t *testing.T) {
	gpu := corev1.Taint{Key: "nvidia.com/gpu", Effect: corev1.TaintEffectNoSchedule}
	cordoned := readyNode()
	cordoned.Spec.Unschedulable = true
	dead := readyNode()
	dead.Status.Conditions[0].Status = corev1.ConditionUnknown
	for name, tt := range map[string]struct {
		node *corev1.Node
		want bool
	}{
		"free":     {readyNode(), true},
		"tainted":  {readyNode(gpu), false},
		"cordoned": {cordoned, false},
		"dead":     {dead, false},
	} {
		got, err := hasSchedulableNode(t.Context(), fake.NewClientset(tt.node))
		if err != nil || got != tt.want {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

func TestUpgradeFollowsTheChartsCRDs(t *testing.T) {
	// Two in a file, as those of node-feature-discovery are.
	crd := []byte("# both\n---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: parts.demo.io}\nspec: {group: demo.io}\nstatus: {conditions: [{type: Established, status: \"True\"}]}\n---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.demo.io}\nspec: {group: demo.io}\nstatus: {conditions: [{type: Established, status: \"True\"}]}\n")
	c := newHelmCluster()
	s, err := c.connect(t.Context(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	with := testChart("1.0.0")
	with.Files = []*chart.File{{Name: "crds/things.yaml", Data: crd}}
	for range 2 { // created, then updated
		if err := applyCRDs(t.Context(), s, with); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"things.demo.io", "parts.demo.io"} {
		if _, err := c.dyn.Resource(crdResource).Get(t.Context(), name, metav1.GetOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := deleteCRDs(t.Context(), c.dyn, []string{"things.demo.io", "absent.demo.io"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.dyn.Resource(crdResource).Get(t.Context(), "things.demo.io", metav1.GetOptions{}); err == nil {
		t.Error("the definition is still there")
	}
}

func TestReleaseWaitsForItsOldNamespaceToGo(t *testing.T) {
	dir := repository(t, "1.0.0")
	now := metav1.Now()
	old := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "apps", DeletionTimestamp: &now, Finalizers: []string{"kubernetes"}}}
	c := newHelmCluster(readyNode(), old)
	r := c.release(dir, "1.0.0", nil)
	waited := false
	err := r.Apply(t.Context(), func(format string, _ ...any) {
		if strings.HasPrefix(format, "waiting for the old namespace") && !waited {
			waited = true
			if err := c.client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("namespaces"), "", "apps"); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil || !waited {
		t.Fatalf("waited %v: %v", waited, err)
	}
	ns, err := c.client.CoreV1().Namespaces().Get(t.Context(), "apps", metav1.GetOptions{})
	if err != nil || ns.DeletionTimestamp != nil {
		t.Errorf("namespace %+v %v", ns, err)
	}
}

func TestInstallWaitsForDyingCRDs(t *testing.T) {
	c := newHelmCluster()
	now := metav1.Now()
	for name, dying := range map[string]bool{"old.demo.io": true, "living.demo.io": false} {
		crd := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": name}}}
		if dying {
			crd.SetDeletionTimestamp(&now)
			crd.SetFinalizers([]string{"customresourcecleanup.apiextensions.k8s.io"})
		}
		if err := c.dyn.Tracker().Create(crdResource, crd, ""); err != nil {
			t.Fatal(err)
		}
	}
	waited := false
	err := waitDyingCRDsGone(t.Context(), c.dyn, []string{"absent.demo.io", "living.demo.io", "old.demo.io"}, func(string, ...any) {
		if !waited {
			waited = true
			if err := c.dyn.Tracker().Delete(crdResource, "", "old.demo.io"); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil || !waited {
		t.Errorf("waited %v: %v", waited, err)
	}
}

// TestForgottenDefinition: Kubernetes may forget a definition whose objects it could not
// list when it was deleted. A change of it makes it try again.
func TestForgottenDefinition(t *testing.T) {
	c := newHelmCluster()
	crd := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"status": map[string]any{"conditions": []any{map[string]any{"type": "Terminating", "status": "True", "reason": "InstanceDeletionFailed", "message": "could not list instances: storage is (re)initializing"}}}}}
	now := metav1.Now()
	crd.SetName("old.demo.io")
	crd.SetDeletionTimestamp(&now)
	crd.SetFinalizers([]string{"customresourcecleanup.apiextensions.k8s.io"})
	if err := c.dyn.Tracker().Create(crdResource, crd, ""); err != nil {
		t.Fatal(err)
	}
	patched := 0
	c.dyn.PrependReactor("patch", "customresourcedefinitions", func(a k8stesting.Action) (bool, runtime.Object, error) {
		patched++
		return true, crd, c.dyn.Tracker().Delete(crdResource, "", a.(k8stesting.PatchAction).GetName())
	})
	if err := waitDyingCRDsGone(t.Context(), c.dyn, []string{"old.demo.io"}, func(string, ...any) {}); err != nil || patched != 1 {
		t.Errorf("%d patches, %v", patched, err)
	}
}

// TestWhyADefinitionStays: in Kubernetes' words, where it has any.
func TestWhyADefinitionStays(t *testing.T) {
	crd := &unstructured.Unstructured{Object: map[string]any{}}
	if got := whyItStays(crd); got != "an object of that kind keeps its finalizers" {
		t.Error(got)
	}
	crd.Object["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Terminating", "status": "True", "message": "could not list instances: timeout"}}}
	if got := whyItStays(crd); got != "could not list instances: timeout" {
		t.Error(got)
	}
}
