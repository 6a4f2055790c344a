package controllers

import (
	"errors"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/yaml"
)

// typed decodes an add-on's objects strictly into Kubernetes' own types, by "Kind/name".
func typed(t *testing.T, name, configuration string) map[string]runtime.Object {
	t.Helper()
	objects, err := Addon(name, "v1.2.3-eksbuild.1", configuration)
	if err != nil {
		t.Fatal(err)
	}
	kinds := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(kinds), apiregistrationv1.AddToScheme(kinds)); err != nil {
		t.Fatal(err)
	}
	out := map[string]runtime.Object{}
	for _, object := range objects {
		u := object.(*unstructured.Unstructured)
		into, err := kinds.New(u.GroupVersionKind())
		if err != nil {
			t.Fatal(err)
		}
		content, err := yaml.Marshal(u.Object)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict(content, into); err != nil {
			t.Fatalf("%s %s: %v", u.GetKind(), u.GetName(), err)
		}
		out[u.GetKind()+"/"+u.GetName()] = into
	}
	return out
}

func TestAddonObjects(t *testing.T) {
	for name, want := range map[string][]string{
		"vpc-cni":                {"DaemonSet/aws-node", "ServiceAccount/aws-node"},
		"kube-proxy":             {"DaemonSet/kube-proxy"},
		"coredns":                {"Deployment/coredns", "Service/kube-dns", "PodDisruptionBudget/coredns", "ConfigMap/coredns"},
		"eks-pod-identity-agent": {"DaemonSet/eks-pod-identity-agent"},
		"metrics-server":         {"Deployment/metrics-server", "Service/metrics-server", "APIService/v1beta1.metrics.k8s.io"},
		"aws-ebs-csi-driver":     {"Deployment/ebs-csi-controller", "DaemonSet/ebs-csi-node", "CSIDriver/ebs.csi.aws.com", "ServiceAccount/ebs-csi-controller-sa"},
		"aws-efs-csi-driver":     {"Deployment/efs-csi-controller", "DaemonSet/efs-csi-node", "CSIDriver/efs.csi.aws.com", "ServiceAccount/efs-csi-controller-sa"},

		"aws-mountpoint-s3-csi-driver": {"Deployment/s3-csi-controller", "DaemonSet/s3-csi-node", "CSIDriver/s3.csi.aws.com", "ServiceAccount/s3-csi-driver-sa", "Namespace/mount-s3"},
	} {
		objects := typed(t, name, "")
		for _, key := range want {
			if objects[key] == nil {
				t.Errorf("%s: no %s", name, key)
			}
		}
		// What runs on every node has to run on tainted ones too.
		for key, object := range objects {
			if ds, ok := object.(*appsv1.DaemonSet); ok {
				if !slices.ContainsFunc(ds.Spec.Template.Spec.Tolerations, func(t corev1.Toleration) bool { return t.Key == "" && t.Operator == "Exists" }) {
					t.Errorf("%s: %s does not tolerate all taints", name, key)
				}
				if !strings.Contains(ds.Spec.Template.Spec.Containers[0].Image, ":v1.2.3-eksbuild.1") {
					t.Errorf("%s: %s runs %s", name, key, ds.Spec.Template.Spec.Containers[0].Image)
				}
			}
		}
	}
}

func TestAddonConfiguration(t *testing.T) {
	cni := typed(t, "vpc-cni", `{"env": {"ENABLE_PREFIX_DELEGATION": "true", "WARM_IP_TARGET": "5"}}`)["DaemonSet/aws-node"].(*appsv1.DaemonSet)
	env := map[string]string{}
	for _, e := range cni.Spec.Template.Spec.Containers[0].Env {
		env[e.Name] = e.Value
	}
	if env["ENABLE_PREFIX_DELEGATION"] != "true" || env["WARM_IP_TARGET"] != "5" || env["WARM_ENI_TARGET"] != "1" {
		t.Errorf("vpc-cni's environment %v", env)
	}

	dns := typed(t, "coredns", "replicaCount: 3\nnodeSelector: {pool: system}\ntolerations: [{key: team, operator: Exists}]\nresources: {limits: {memory: 200Mi}}")["Deployment/coredns"].(*appsv1.Deployment)
	pod := dns.Spec.Template.Spec
	if *dns.Spec.Replicas != 3 || pod.NodeSelector["pool"] != "system" || len(pod.Tolerations) != 1 || pod.Containers[0].Resources.Limits.Memory().String() != "200Mi" {
		t.Errorf("coredns %+v", dns.Spec)
	}

	for addon, node := range map[string]string{"aws-efs-csi-driver": `{"tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}]}`, "aws-mountpoint-s3-csi-driver": `{"tolerateAllTaints": false}`} {
		for key, object := range typed(t, addon, `{"node": `+node+`}`) {
			if ds, ok := object.(*appsv1.DaemonSet); ok && ds.Spec.Template.Spec.Tolerations[0].Key != "CriticalAddonsOnly" {
				t.Errorf("%s: %s tolerates %v", addon, key, ds.Spec.Template.Spec.Tolerations)
			}
		}
	}
	ebs := typed(t, "aws-ebs-csi-driver", `{"controller": {"replicaCount": 1}, "node": {"tolerateAllTaints": false}}`)
	if n := *ebs["Deployment/ebs-csi-controller"].(*appsv1.Deployment).Spec.Replicas; n != 1 {
		t.Errorf("EBS CSI controller has %d replicas", n)
	}
	if ebs["StorageClass/ebs-csi-default-sc"] != nil {
		t.Error("a storage class that nobody asked for")
	}
	class, _ := typed(t, "aws-ebs-csi-driver", `{"defaultStorageClass": {"enabled": true}}`)["StorageClass/ebs-csi-default-sc"].(*storagev1.StorageClass)
	if class == nil || class.Provisioner != ebsDriver || *class.VolumeBindingMode != storagev1.VolumeBindingWaitForFirstConsumer || class.Annotations["storageclass.kubernetes.io/is-default-class"] != "true" {
		t.Errorf("default class %+v", class)
	}
	if all := ebs["DaemonSet/ebs-csi-node"].(*appsv1.DaemonSet).Spec.Template.Spec.Tolerations; len(all) != 2 || all[0].Key != "CriticalAddonsOnly" {
		t.Errorf("EBS CSI node's tolerations %v", all)
	}
}

func TestAddonConfigurationRefused(t *testing.T) {
	for _, test := range []struct{ addon, configuration, want string }{
		{"coredns", `{"replicas": 2}`,
			"Json schema validation failed with error: [$.replicas: is not defined in the schema and the schema does not allow additional properties]"},
		{"coredns", `null`, "Json schema validation failed with error: [$: null found, object expected]"},
		{"coredns", `{"replicaCount": "2", "x": 1}`,
			"Json schema validation failed with error: [$.replicaCount: string found, integer expected, $.x: is not defined in the schema and the schema does not allow additional properties]"},
		{"aws-ebs-csi-driver", `{"node": {"nope": 1}}`,
			"Json schema validation failed with error: [$.node.nope: is not defined in the schema and the schema does not allow additional properties]"},
		{"kube-proxy", `{"mode": "userspace"}`,
			"Json schema validation failed with error: [$.mode: does not have a value in the enumeration [iptables, ipvs, nftables]]"},
	} {
		_, err := Addon(test.addon, "v1", test.configuration)
		var refused *ConfigurationError
		if !errors.As(err, &refused) || err.Error() != test.want {
			t.Errorf("%s %s:\n got %v\nwant %s", test.addon, test.configuration, err, test.want)
		}
	}
	if _, err := Addon("vpc-cni", "v1", `{"enableNetworkPolicy": "true", "nodeAgent": {"enablePolicyEventLogs": "true"}}`); err != nil {
		t.Errorf("a configuration from the user guide: %v", err)
	}
}

func TestAddonVersions(t *testing.T) {
	if got := AddonVersions("kube-proxy", "1.35"); len(got) < 2 || !strings.HasPrefix(got[0], "v1.35.") {
		t.Errorf("kube-proxy for 1.35: %v", got)
	}
	if got := AddonVersions("vpc-cni", "1.34"); len(got) < 2 {
		t.Errorf("vpc-cni for 1.34: %v", got)
	}
	if got := AddonVersions("kube-proxy", "1.20"); got != nil {
		t.Errorf("kube-proxy for 1.20: %v", got)
	}
	if got := AddonVersions("nothing", "1.35"); got != nil {
		t.Errorf("an unknown add-on: %v", got)
	}
}
