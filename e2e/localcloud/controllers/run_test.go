package controllers

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func a100() Facts {
	return Facts{GPUProduct: "NVIDIA-A100-SXM4-40GB", GPUs: 8, GPUMemoryMiB: 40960, Healthy: 8, Driver: true}
}

func taint(key string) corev1.Taint {
	return corev1.Taint{Key: key, Value: "present", Effect: corev1.TaintEffectNoSchedule}
}

// TestGPUOperator follows one cluster from an operator without GPU nodes to one
// that was taken away again, through the mistakes that people make on the way.
func TestGPUOperator(t *testing.T) {
	c := startCluster(t)
	c.addon("vpc-cni")
	c.addNode("system", Facts{})

	c.apply(manifests(t, "../charts/trees/gpu-operator/crds/nvidia.com_clusterpolicies.yaml")...)
	if _, err := c.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "gpu-operator"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.apply(manifests(t, "testdata/operator.yaml")...)

	t.Log("a cluster without GPUs is ready")
	c.policyReports("ready", "NoGPUNodes")
	if all, err := c.client.AppsV1().DaemonSets("gpu-operator").List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=gpu-operator"}); err != nil || len(all.Items) > 0 {
		t.Errorf("operands without GPU nodes: %d, %v", len(all.Items), err)
	}

	t.Log("a driver container over the AMI's driver fails, and there are no GPUs")
	c.addNode("gpu", a100(), taint("nvidia.com/gpu"))
	c.addNode("other", a100(), taint("team"))
	c.policyReports("notReady", "OperandNotReady")
	c.eventually("the driver's pod", func() error {
		pods, err := c.client.CoreV1().Pods("gpu-operator").List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + driverDaemonSet})
		if err != nil || len(pods.Items) != 1 {
			return fmt.Errorf("%d pods, %v", len(pods.Items), err)
		}
		if got := shown(&pods.Items[0]); got != (trouble{container: "nvidia-driver-ctr", crashes: true}) {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
	c.eventually("the device plugin's pod", func() error {
		pods, err := c.client.CoreV1().Pods("gpu-operator").List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + devicePluginDaemonSet})
		if err != nil || len(pods.Items) != 1 || podReady(&pods.Items[0]) {
			return fmt.Errorf("%v, %v", pods.Items, err)
		}
		return nil
	})
	if all, free := c.gpus("gpu"); all != 0 || free != 0 {
		t.Errorf("%d of %d GPUs in spite of a failing driver", free, all)
	}

	t.Log("with the AMI's driver there are GPUs, where operands tolerate the taint")
	c.patch("clusterpolicies", "", "cluster-policy", `{"spec":{"driver":{"enabled":false}}}`)
	c.eventuallyGPUs("gpu", 8, 8)
	c.policyReports("ready", "Reconciled")
	c.eventually("GFD's labels", func() error {
		set := c.node("gpu").Labels
		if set[nfdGPU] != "true" || set[gpuPresent] != "true" || set[deployLabel+"device-plugin"] != "true" ||
			set[productLabel] != "NVIDIA-A100-SXM4-40GB" || set["nvidia.com/gpu.count"] != "8" || set[migManagerLabel] != "true" {
			return fmt.Errorf("%v", set)
		}
		return nil
	})
	c.eventually("the CUDA validation's pod", func() error {
		pods, err := c.client.CoreV1().Pods("gpu-operator").List(t.Context(), metav1.ListOptions{LabelSelector: "app=nvidia-cuda-validator"})
		if err != nil || len(pods.Items) != 1 || pods.Items[0].Status.Phase != corev1.PodSucceeded {
			return fmt.Errorf("%v, %v", pods.Items, err)
		}
		return nil
	})
	if _, err := c.client.NodeV1().RuntimeClasses().Get(t.Context(), "nvidia", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	other := c.node("other")
	for key := range other.Labels {
		if strings.HasPrefix(key, nfdPrefix) || strings.HasPrefix(key, "nvidia.com/") {
			t.Errorf("a node that NFD does not tolerate has the label %s", key)
		}
	}
	if all, _ := c.gpus("other"); all != 0 {
		t.Errorf("%d GPUs on a node that NFD does not tolerate", all)
	}

	t.Log("the same mistake with pods that have run, set right again")
	c.patch("clusterpolicies", "", "cluster-policy", `{"spec":{"driver":{"enabled":true}}}`)
	c.eventuallyGPUs("gpu", 0, 0)
	c.policyReports("notReady", "OperandNotReady")
	c.patch("clusterpolicies", "", "cluster-policy", `{"spec":{"driver":{"enabled":false}}}`)
	c.eventuallyGPUs("gpu", 8, 8)
	c.policyReports("ready", "Reconciled")

	t.Log("another taint needs tolerations of the NFD worker and of the operands")
	c.patch("daemonsets", "gpu-operator", "gpu-operator-node-feature-discovery-worker", `{"spec":{"template":{"spec":{"tolerations":[{"operator":"Exists"}]}}}}`)
	c.eventually("NFD's label", func() error {
		if set := c.node("other").Labels; set[gpuPresent] != "true" {
			return fmt.Errorf("%v", set)
		}
		return nil
	})
	if all, _ := c.gpus("other"); all != 0 {
		t.Errorf("%d GPUs on a node that the operands do not tolerate", all)
	}
	c.patch("clusterpolicies", "", "cluster-policy", `{"spec":{"daemonsets":{"tolerations":[{"operator":"Exists"}]}}}`)
	c.eventuallyGPUs("other", 8, 8)
	c.policyReports("ready", "Reconciled")

	t.Log("a broken GPU is counted but not to be had")
	broken := a100()
	broken.Healthy = 7
	c.setFacts("other", broken)
	c.eventuallyGPUs("other", 8, 7)

	t.Log("without a device plugin there are no GPUs")
	c.patch("clusterpolicies", "", "cluster-policy", `{"spec":{"devicePlugin":{"enabled":false}}}`)
	c.eventuallyGPUs("gpu", 0, 0)

	t.Log("while no operator pod runs nothing new is done")
	operator := c.client.AppsV1().Deployments("gpu-operator")
	if _, err := operator.Patch(t.Context(), "gpu-operator", types.MergePatchType, []byte(`{"spec":{"replicas":0}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	c.eventually("the operator's end", func() error {
		d, err := operator.Get(t.Context(), "gpu-operator", metav1.GetOptions{})
		if err != nil || d.Status.AvailableReplicas > 0 {
			return fmt.Errorf("%d available, %v", d.Status.AvailableReplicas, err)
		}
		return nil
	})
	c.patch("clusterpolicies", "", "cluster-policy", `{"spec":{"devicePlugin":{"enabled":true}}}`)
	time.Sleep(300 * time.Millisecond) // at this speed the GPUs would be there
	if all, _ := c.gpus("gpu"); all != 0 {
		t.Errorf("%d GPUs without an operator", all)
	}

	t.Log("with NFD go its labels, and those of GFD with its DaemonSet")
	if err := c.client.AppsV1().DaemonSets("gpu-operator").Delete(t.Context(), gfdDaemonSet, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.client.AppsV1().DaemonSets("gpu-operator").Delete(t.Context(), "gpu-operator-node-feature-discovery-worker", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.eventually("the labels' end", func() error {
		for key := range c.node("gpu").Labels {
			if strings.HasPrefix(key, nfdPrefix) || key == productLabel {
				return errors.New(key)
			}
		}
		return nil
	})
}

func TestLoadBalancers(t *testing.T) {
	c := startCluster(t)
	services := c.client.CoreV1().Services("default")
	create := func(name string, class *string) {
		t.Helper()
		_, err := services.Create(t.Context(), &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, LoadBalancerClass: class,
				Ports: []corev1.ServicePort{{Port: 80}}, Selector: map[string]string{"app": name}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	eventsOf := func(name, reason string) func() error {
		return func() error {
			events, err := c.client.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + name})
			if err != nil {
				return err
			}
			for _, e := range events.Items {
				if e.Reason == reason {
					return nil
				}
			}
			return fmt.Errorf("no %s among %d events", reason, len(events.Items))
		}
	}

	create("web", nil)
	create("foreign", new("service.k8s.aws/nlb"))
	c.eventually("the host name", func() error {
		svc, err := services.Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if in := svc.Status.LoadBalancer.Ingress; len(in) != 1 || in[0].Hostname != "web.demo.elb.eu-west-1.amazonaws.com" {
			return fmt.Errorf("ingress %v", in)
		}
		if len(svc.Finalizers) != 1 || svc.Finalizers[0] != "service.kubernetes.io/load-balancer-cleanup" {
			return fmt.Errorf("finalizers %v", svc.Finalizers)
		}
		return nil
	})
	c.eventually("the event", eventsOf("web", "EnsuredLoadBalancer"))

	t.Log("the Service stays until its load balancer is deleted")
	c.lbs.fail(errors.New("DependencyViolation"))
	if err := services.Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.eventually("the failure's event", eventsOf("web", "SyncLoadBalancerFailed"))
	if _, err := services.Get(t.Context(), "web", metav1.GetOptions{}); err != nil {
		t.Errorf("the Service went without its load balancer: %v", err)
	}
	c.lbs.fail(nil)
	c.eventually("the Service's end", func() error {
		_, err := services.Get(t.Context(), "web", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("still there (%v)", err)
	})
	if left := c.lbs.all(); len(left) > 0 {
		t.Errorf("load balancers left: %v", left)
	}

	svc, err := services.Get(t.Context(), "foreign", metav1.GetOptions{})
	if err != nil || len(svc.Finalizers) > 0 || len(svc.Status.LoadBalancer.Ingress) > 0 {
		t.Errorf("a Service of another class was touched: %+v, %v", svc, err)
	}
}

func TestAddonHealth(t *testing.T) {
	c := startCluster(t)
	healthy := func(name string) (bool, string) {
		h, err := NewAddonHealth(name)
		if err != nil {
			t.Fatal(err)
		}
		return h.Healthy(t.Context(), c.client)
	}
	if ok, reason := healthy("coredns"); ok || !strings.Contains(reason, "does not exist") {
		t.Errorf("coredns before it is installed: %v, %s", ok, reason)
	}
	names := []string{"vpc-cni", "kube-proxy", "coredns", "eks-pod-identity-agent", "metrics-server", "aws-ebs-csi-driver", "aws-efs-csi-driver", "aws-mountpoint-s3-csi-driver"}
	for _, name := range names {
		c.addon(name)
	}
	for name, want := range map[string]bool{"vpc-cni": true, "coredns": false} {
		c.eventually(name, func() error {
			if ok, reason := healthy(name); ok != want {
				return fmt.Errorf("healthy without nodes is %v: %s", ok, reason)
			}
			return nil
		})
	}
	c.addNode("one", Facts{}, taint("nvidia.com/gpu"))
	c.addNode("two", Facts{})
	for _, name := range names {
		c.eventually(name, func() error {
			if ok, reason := healthy(name); !ok {
				return errors.New(reason)
			}
			return nil
		})
	}
}
