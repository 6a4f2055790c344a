package addons

import (
	"errors"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
)

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name, Namespace: "team"} }

// fakeGateways is a cluster with Gateways of these names.
func fakeGateways(names ...string) *dynfake.FakeDynamicClient {
	dyn := dynfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{GatewayResource: "GatewayList"})
	for _, name := range names {
		u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway"}}
		u.SetNamespace("team")
		u.SetName(name)
		_ = dyn.Tracker().Create(GatewayResource, u, "team")
	}
	return dyn
}

func TestRemoveWorkloads(t *testing.T) {
	claims := []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
	deleted, retained := corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRetain
	// An operator would make this set anew.
	database := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "db.io/v1", "kind": "Database", "metadata": map[string]any{"name": "db", "namespace": "team"}}}
	dyn := fakeGateways("door")
	_ = dyn.Tracker().Add(database)
	kept := named("db")
	kept.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(database, database.GroupVersionKind())}
	client := fake.NewClientset(
		&corev1.Service{ObjectMeta: named("vllm"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "envoy-door", Namespace: EnvoyGatewayNamespace, Labels: map[string]string{owningGatewayName: "door"}},
			Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}},
		&corev1.Service{ObjectMeta: named("inner"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP}},
		&corev1.PersistentVolumeClaim{ObjectMeta: named("data")},
		&corev1.Pod{ObjectMeta: named("db-0"), Spec: corev1.PodSpec{Volumes: claims}},
		&corev1.Pod{ObjectMeta: named("web")},
		&appsv1.StatefulSet{ObjectMeta: kept, Spec: appsv1.StatefulSetSpec{VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{}}}},
		&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-data"}, Spec: corev1.PersistentVolumeSpec{PersistentVolumeReclaimPolicy: deleted}},
		&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-kept"}, Spec: corev1.PersistentVolumeSpec{PersistentVolumeReclaimPolicy: retained}},
	)
	budget := func(meta metav1.ObjectMeta) {
		_, _ = client.PolicyV1().PodDisruptionBudgets(meta.Namespace).Create(t.Context(), &policyv1.PodDisruptionBudget{ObjectMeta: meta}, metav1.CreateOptions{})
	}
	budget(named("always"))
	budget(metav1.ObjectMeta{Name: "chart", Namespace: "team", Annotations: map[string]string{releaseAnnotation: "chart"}})
	budget(metav1.ObjectMeta{Name: "coredns", Namespace: "kube-system"})
	// The EBS driver deletes the volume once the claim is gone.
	client.PrependReactor("delete", "persistentvolumeclaims", func(k8stesting.Action) (bool, runtime.Object, error) {
		return false, nil, client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("persistentvolumes"), "", "pv-data")
	})
	client.Resources = append(client.Resources, &metav1.APIResourceList{GroupVersion: "db.io/v1", APIResources: []metav1.APIResource{{Name: "databases/status", Kind: "Database"}, {Name: "databases", Kind: "Database"}}})
	// Envoy Gateway takes its service away once the Gateway is gone.
	dyn.PrependReactor("delete", "gateways", func(k8stesting.Action) (bool, runtime.Object, error) {
		return false, nil, client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("services"), EnvoyGatewayNamespace, "envoy-door")
	})
	found, err := findWorkloads(t.Context(), client, dyn, "workloads/demo")
	if err != nil {
		t.Fatal(err)
	}
	if got := found.String(); got != "gateways team/door; load balancers of envoy-gateway-system/envoy-door, team/vllm; volumes of team/data; disruption budgets team/always" {
		t.Errorf("found %s", got)
	}
	if err := removeWorkloads(t.Context(), client, dyn, "workloads/demo", quiet); err != nil {
		t.Fatal(err)
	}
	if _, err := dyn.Resource(schema.GroupVersionResource{Group: "db.io", Version: "v1", Resource: "databases"}).Namespace("team").Get(t.Context(), "db", metav1.GetOptions{}); err == nil {
		t.Error("what an operator keeps the set for is still there")
	}
	var left []string
	services, _ := client.CoreV1().Services("team").List(t.Context(), metav1.ListOptions{})
	for _, s := range services.Items {
		left = append(left, s.Name)
	}
	pods, _ := client.CoreV1().Pods("team").List(t.Context(), metav1.ListOptions{})
	for _, p := range pods.Items {
		left = append(left, p.Name)
	}
	sets, _ := client.AppsV1().StatefulSets("team").List(t.Context(), metav1.ListOptions{})
	for _, s := range sets.Items {
		left = append(left, s.Name)
	}
	budgets, _ := client.PolicyV1().PodDisruptionBudgets("").List(t.Context(), metav1.ListOptions{})
	for _, b := range budgets.Items {
		left = append(left, b.Name)
	}
	if got := strings.Join(left, " "); got != "inner web coredns chart" {
		t.Errorf("left %s", got)
	}
}

func TestWorkloadsTellThatTheClusterIsOutOfReach(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("list", "services", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("connection refused")
	})
	_, err := findWorkloads(t.Context(), client, fakeGateways(), "workloads/demo")
	if err == nil || !strings.Contains(err.Error(), "the cluster's API server: connection refused") {
		t.Fatalf("got %v", err)
	}
	w := NewWorkloads(&fakeCluster{})
	if obs, err := w.Observe(t.Context()); err != nil || obs.Exists || !w.Unwanted() {
		t.Errorf("without a cluster: %+v, %v", obs, err)
	}
}

// Without a node for the driver volumes stay until somebody else deletes them:
// waiting is of no use.
func TestVolumesAreLeftWhereTheDriverCannotRun(t *testing.T) {
	client := fake.NewClientset(&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"},
		Spec: corev1.PersistentVolumeSpec{PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete}})
	var said phrases
	if err := waitVolumesGone(t.Context(), client, said.add); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(said, "; "); got != "1 volume left to be deleted after the nodes: no node can run the driver" {
		t.Errorf("said %s", got)
	}
}

// TestServicesOfAGatewayWithoutItsController are deleted: nobody makes them anew.
func TestServicesOfAGatewayWithoutItsController(t *testing.T) {
	client := fake.NewClientset(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "envoy-door", Namespace: EnvoyGatewayNamespace, Labels: map[string]string{owningGatewayName: "door"}},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}})
	dyn := fakeGateways("door")
	if err := deleteGateways(t.Context(), client, dyn, quiet); err != nil {
		t.Fatal(err)
	}
	left, _ := gateways(t.Context(), dyn)
	services, _ := client.CoreV1().Services("").List(t.Context(), metav1.ListOptions{})
	if len(left)+len(services.Items) > 0 {
		t.Errorf("left: %d gateways, %d services", len(left), len(services.Items))
	}
}
