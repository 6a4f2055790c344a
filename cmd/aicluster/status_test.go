package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"aicluster/addons/doctor"
	"aicluster/addons/serving"
	"aicluster/blueprints"
)

// gpuPod is a pod on a node, of some GPUs.
func gpuPod(namespace, name, node string, gpus string, phase corev1.PodPhase) corev1.Pod {
	return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{
		{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"nvidia.com/gpu": resource.MustParse(gpus)}}}}},
		Status: corev1.PodStatus{Phase: phase}}
}

// Who has the GPUs of a node, and what those cost that nobody has: a p4d.24xlarge
// of 8 GPUs is $21.957642 an hour.
func TestGPUUse(t *testing.T) {
	pools := []poolStatus{{Name: "gpu-a100", GPUs: gpuCount{Expected: 16, Allocatable: 15}, Nodes: []nodeStatus{
		{Name: "n1", InstanceType: "p4d.24xlarge", GPUs: gpuCount{Expected: 8, Allocatable: 8}},
		{Name: "n2", InstanceType: "p4d.24xlarge", GPUs: gpuCount{Expected: 8, Allocatable: 7}},
	}}}
	idle := addGPUUse(pools, []corev1.Pod{
		gpuPod("default", "notebook", "n1", "1", corev1.PodRunning),
		gpuPod("ai-serving", "llama-1", "n1", "4", corev1.PodPending), // its images are being pulled: it has them already
		gpuPod("default", "done", "n1", "2", corev1.PodSucceeded),
		gpuPod("ai-serving", "llama-2", "", "4", corev1.PodPending),
	})
	if want := []gpuUser{{"ai-serving", "llama-1", 4}, {"default", "notebook", 1}}; !reflect.DeepEqual(pools[0].Nodes[0].Pods, want) {
		t.Errorf("pods: %v, want %v", pools[0].Nodes[0].Pods, want)
	}
	if want := (gpuCount{Expected: 16, Allocatable: 15, InUse: 5}); pools[0].GPUs != want {
		t.Errorf("the pool: %+v, want %+v", pools[0].GPUs, want)
	}
	if idle.GPUs != 10 || idle.CostPerHour != 27.447053 {
		t.Errorf("idle: %+v", idle)
	}
}

// The API server is asked as kubectl asks it, and its words are taken as they are.
func TestKubeTable(t *testing.T) {
	pod, _ := json.Marshal(gpuPod("ai-serving", "llama-1", "n1", "1", corev1.PodPending))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/namespaces/ai-serving/pods" || r.URL.RawQuery != "includeObject=Object" || !strings.Contains(r.Header.Get("Accept"), "as=Table") {
			t.Errorf("asked for %s, %s", r.URL, r.Header.Get("Accept"))
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(metav1.Table{
			TypeMeta:          metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "Table"},
			ColumnDefinitions: []metav1.TableColumnDefinition{{Name: "Name"}, {Name: "Ready"}, {Name: "Status"}},
			Rows:              []metav1.TableRow{{Cells: []any{"llama-1", "0/1", "Init:0/1"}, Object: runtime.RawExtension{Raw: pod}}},
		})
	}))
	defer server.Close()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := kubeTable[corev1.Pod](t.Context(), client.CoreV1().RESTClient(), "pods", "ai-serving")
	if err != nil || len(rows) != 1 || rows[0].cells["STATUS"] != "Init:0/1" || rows[0].object.Spec.NodeName != "n1" {
		t.Fatalf("%+v, %v", rows, err)
	}
	w := live{pods: rows}.workloads()
	if len(w.Pods) != 1 || w.Pods[0].Status != "Init:0/1" || w.Pods[0].Node != "n1" || w.Pods[0].GPUs != 1 || w.Pods[0].Ready != "0/1" {
		t.Errorf("%+v", w.Pods)
	}
}

// A service: how many replicas are ready, where it is, what is wrong with it.
func TestServingStatus(t *testing.T) {
	two, made := int32(2), metav1.NewTime(time.Date(2026, 11, 25, 4, 0, 0, 0, time.UTC))
	svc := blueprints.Service{Name: "llama", Model: "Llama", Pool: "gpu", GPUs: 1, Replicas: new(int)}
	*svc.Replicas = 2
	deployment := func(ready int32) []kubeRow[appsv1.Deployment] {
		d := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "llama", CreationTimestamp: made}, Spec: appsv1.DeploymentSpec{Replicas: &two}, Status: appsv1.DeploymentStatus{ReadyReplicas: ready}}
		return []kubeRow[appsv1.Deployment]{{object: d}}
	}
	waiting := gpuPod("ai-serving", "llama-1", "", "1", corev1.PodPending)
	waiting.Labels = serving.Selector(svc)
	waiting.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "vllm", Image: "vllm/vllm-openai:nosuch", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "not found"}}}}
	for _, tt := range []struct {
		name       string
		host       string
		tls        *blueprints.TLS
		deployment []kubeRow[appsv1.Deployment]
		pods       []corev1.Pod
		want       servingStatus
	}{
		{name: "not made", want: servingStatus{Wanted: 2, Address: "http://llama.ai-serving", Trouble: "not there: 'aicluster up' makes it"}},
		{name: "ready", host: "a.example.com", tls: &blueprints.TLS{}, deployment: deployment(2), want: servingStatus{Ready: 2, Wanted: 2, Host: "a.example.com", Address: "https://a.example.com", Created: &made.Time}},
		{name: "starting", host: "a.example.com", deployment: deployment(1), want: servingStatus{Ready: 1, Wanted: 2, Host: "a.example.com", Address: "http://a.example.com", Created: &made.Time, Trouble: "starting"}},
		{name: "in trouble", deployment: deployment(1), pods: []corev1.Pod{waiting}, want: servingStatus{Ready: 1, Wanted: 2, Address: "http://llama.ai-serving", Created: &made.Time, Trouble: "there is no image vllm/vllm-openai:nosuch"}},
	} {
		svc.Host, svc.TLS = tt.host, tt.tls
		tt.want.Name, tt.want.Model, tt.want.Pool, tt.want.GPUs = "llama", "Llama", "gpu", 1
		if got := newServingStatus(svc, tt.deployment, &doctor.Evidence{Pods: tt.pods}); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", tt.name, got, tt.want)
		}
	}
}
