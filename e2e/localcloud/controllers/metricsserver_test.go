package controllers

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metrics "k8s.io/metrics/pkg/client/clientset/versioned"
)

// TestMetricsServer: metrics.k8s.io answers while metrics-server's pods are ready,
// about what runs, and says of a container less than it requests.
func TestMetricsServer(t *testing.T) {
	c := startCluster(t)
	c.addon("vpc-cni")
	c.addon("metrics-server")
	client, err := metrics.NewForConfig(c.plane.Admin())
	if err != nil {
		t.Fatal(err)
	}
	nodes := client.MetricsV1beta1().NodeMetricses()
	if list, err := nodes.List(t.Context(), metav1.ListOptions{}); err == nil {
		t.Errorf("without a pod of metrics-server: %v", list.Items)
	}
	c.addNode("system", Facts{})
	c.eventually("node metrics", func() error {
		list, err := nodes.List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) != 1 || list.Items[0].Name != "system" || list.Items[0].Usage.Memory().Value() < 350<<20 {
			return fmt.Errorf("%v, %v", list, err)
		}
		return nil
	})
	if _, err := nodes.Get(t.Context(), "absent", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("of a node that is not there: %v", err)
	}
	c.eventually("pod metrics", func() error {
		list, err := client.MetricsV1beta1().PodMetricses("kube-system").List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=metrics-server"})
		if err != nil || len(list.Items) == 0 {
			return fmt.Errorf("%v, %v", list, err)
		}
		used := list.Items[0].Containers[0].Usage
		if requested := resource.MustParse("200Mi"); used.Memory().Cmp(requested) >= 0 || used.Memory().Value() < 100<<20 || used.Cpu().MilliValue() < 20 || used.Cpu().MilliValue() >= 40 {
			return fmt.Errorf("of 100m and 200Mi it uses %v", used)
		}
		return nil
	})

	waiting := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "waits", Namespace: "default"},
		Spec:       corev1.PodSpec{NodeSelector: map[string]string{"no": "node"}, Containers: []corev1.Container{{Name: "c", Image: "busybox"}}},
	}
	if _, err := c.client.CoreV1().Pods("default").Create(t.Context(), waiting, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if list, err := client.MetricsV1beta1().PodMetricses("").List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) < 2 {
		t.Errorf("of all namespaces: %v, %v", list, err)
	}
	if _, err := client.MetricsV1beta1().PodMetricses("default").Get(t.Context(), "waits", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("of a pod that does not run: %v", err)
	}
}
