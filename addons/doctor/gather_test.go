package doctor

import (
	"errors"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
)

// Each kind is listed once; of what crashed the log is read, of TLS secrets whether
// they are there. What cannot be read does not keep the rest away.
func TestGather(t *testing.T) {
	pod, node, ingress := newPod(crashes(1, "Error")), gpuNode("gpu-1"), anIngress()
	client := fake.NewClientset(&pod, &node, &ingress, &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "nginx"}})
	client.PrependReactor("list", "persistentvolumeclaims", func(k8stesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("forbidden")
	})
	kinds := map[schema.GroupVersionResource]string{}
	for _, kind := range conditionedKinds() {
		kinds[kind] = "List"
	}
	e, err := Gather(t.Context(), client, dynfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds))
	if err == nil || !strings.Contains(err.Error(), "listing volume claims: forbidden") {
		t.Errorf("error: %v", err)
	}
	if len(e.Nodes) != 1 || len(e.Pods) != 1 || len(e.IngressClasses) != 1 {
		t.Errorf("%d nodes, %d pods, %d classes", len(e.Nodes), len(e.Pods), len(e.IngressClasses))
	}
	if there, asked := e.Secrets["ai-serving/ai-api-tls"]; there || !asked {
		t.Errorf("secrets: %v", e.Secrets)
	}
	if e.Logs[Container{"ai-serving", "llama-5c9f-x2kd9", "vllm"}] == "" {
		t.Errorf("logs: %v", e.Logs)
	}
	lists := map[string]int{}
	for _, a := range client.Actions() {
		if a.GetVerb() == "list" {
			lists[a.GetResource().Resource]++
		}
	}
	for kind, n := range lists {
		if n != 1 {
			t.Errorf("%s is listed %d times", kind, n)
		}
	}
}
