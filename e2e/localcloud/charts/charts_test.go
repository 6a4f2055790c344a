package charts

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mirror")
	if err := Write(dir); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "index.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var idx index
	if err := yaml.UnmarshalStrict(content, &idx); err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{
		"gpu-operator": "v26.7.0", "ingress-nginx": "4.15.1", "cluster-autoscaler": "9.59.0", "karpenter": "1.14.0", "podinfo": "1.0.0",
		"kube-prometheus-stack": "88.5.3", "prometheus-adapter": "5.3.0", "aws-for-fluent-bit": "0.2.0",
		"gateway-helm": "v1.9.0", "cert-manager": "v1.21.1",
	}
	for name, version := range versions {
		entries := idx.Entries[name]
		if len(entries) != 1 || entries[0].Version != version {
			t.Errorf("%s: entries %+v, want version %s", name, entries, version)
			continue
		}
		archive, err := os.ReadFile(filepath.Join(dir, entries[0].URLs[0]))
		if err != nil {
			t.Error(err)
			continue
		}
		if sum := sha256.Sum256(archive); hex.EncodeToString(sum[:]) != entries[0].Digest {
			t.Errorf("%s: the index's digest is not the archive's", name)
		}
		files := untar(t, archive)
		for _, want := range []string{"Chart.yaml", "values.yaml"} {
			if _, ok := files[name+"/"+want]; !ok {
				t.Errorf("%s: archive has no %s: %v", name, want, slices.Sorted(maps.Keys(files)))
			}
		}
	}
	if len(idx.Entries) != len(versions) {
		t.Errorf("charts %v", slices.Sorted(maps.Keys(idx.Entries)))
	}
}

func TestWriteIsReproducible(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	for _, dir := range []string{one, two} {
		if err := Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	entries, _ := os.ReadDir(one)
	for _, e := range entries {
		a, _ := os.ReadFile(filepath.Join(one, e.Name()))
		b, _ := os.ReadFile(filepath.Join(two, e.Name()))
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs between two writes", e.Name())
		}
	}
}

func TestRendered(t *testing.T) {
	for _, test := range []struct {
		chart, release, values string
		want                   []string // kind/name
		not                    []string
	}{
		{"podinfo", "web", ``, []string{"Deployment/web", "Service/web"}, nil},
		{"cluster-autoscaler", "cluster-autoscaler", ``,
			nil, []string{"Deployment/cluster-autoscaler-aws-cluster-autoscaler"}}, // as the real one: no group source, no Deployment
		{"cluster-autoscaler", "cluster-autoscaler",
			`{autoDiscovery: {clusterName: c}, awsRegion: eu-west-1, rbac: {serviceAccount: {name: cluster-autoscaler}}}`,
			[]string{"Deployment/cluster-autoscaler-aws-cluster-autoscaler", "ServiceAccount/cluster-autoscaler", "PodDisruptionBudget/cluster-autoscaler-aws-cluster-autoscaler"}, nil},
		{"karpenter", "karpenter", `{settings: {clusterName: c, interruptionQueue: c-karpenter}, serviceAccount: {name: karpenter}, replicas: 1}`,
			[]string{"Deployment/karpenter", "ServiceAccount/karpenter", "PodDisruptionBudget/karpenter", "ClusterRole/karpenter-core", "Role/karpenter-dns", "RoleBinding/karpenter-dns",
				"CustomResourceDefinition/nodepools.karpenter.sh", "CustomResourceDefinition/ec2nodeclasses.karpenter.k8s.aws"}, nil},
		{"ingress-nginx", "ingress-nginx", ``,
			[]string{"Deployment/ingress-nginx-controller", "Service/ingress-nginx-controller", "ConfigMap/ingress-nginx-controller", "IngressClass/nginx",
				"Job/ingress-nginx-admission-create", "Job/ingress-nginx-admission-patch", "ValidatingWebhookConfiguration/ingress-nginx-admission"},
			[]string{"PodDisruptionBudget/ingress-nginx-controller", "Service/ingress-nginx-controller-metrics"}},
		{"ingress-nginx", "edge", `{controller: {replicaCount: 2, metrics: {enabled: true}, admissionWebhooks: {enabled: false}}}`,
			[]string{"Deployment/edge-ingress-nginx-controller", "PodDisruptionBudget/edge-ingress-nginx-controller", "Service/edge-ingress-nginx-controller-metrics"},
			[]string{"Job/edge-ingress-nginx-admission-create", "ValidatingWebhookConfiguration/edge-ingress-nginx-admission"}},
		{"gpu-operator", "gpu-operator", ``,
			[]string{"Deployment/gpu-operator", "ClusterPolicy/cluster-policy", "Deployment/gpu-operator-node-feature-discovery-master",
				"Deployment/gpu-operator-node-feature-discovery-gc", "DaemonSet/gpu-operator-node-feature-discovery-worker",
				"ServiceAccount/node-feature-discovery", "Job/gpu-operator-cleanup-gpucluster", "Job/gpu-operator-upgrade-crd",
				"Job/gpu-operator-node-feature-discovery-prune",
				"CustomResourceDefinition/clusterpolicies.nvidia.com", "CustomResourceDefinition/nodefeatures.nfd.k8s-sigs.io"},
			[]string{"Job/gpu-operator-cleanup-crd", "NodeFeatureRule/nvidia-kernel-modules"}},
		{"gpu-operator", "gpu-operator",
			`{operator: {cleanupCRD: true}, nfd: {nodefeaturerules: true}, driver: {nvidiaDriverCRD: {enabled: true}}}`,
			[]string{"Job/gpu-operator-cleanup-crd", "NodeFeatureRule/nvidia-kernel-modules", "NVIDIADriver/default"}, nil},
		{"kube-prometheus-stack", "kube-prometheus-stack", ``,
			[]string{"Deployment/kube-prometheus-stack-operator", "Prometheus/kube-prometheus-stack-prometheus", "Alertmanager/kube-prometheus-stack-alertmanager",
				"Service/kube-prometheus-stack-prometheus", "Deployment/kube-prometheus-stack-grafana", "Secret/kube-prometheus-stack-grafana",
				"DaemonSet/kube-prometheus-stack-prometheus-node-exporter", "Deployment/kube-prometheus-stack-kube-state-metrics",
				"ServiceMonitor/kube-prometheus-stack-kube-etcd", "Service/kube-prometheus-stack-kube-proxy", "Job/kube-prometheus-stack-admission-create",
				"CustomResourceDefinition/prometheuses.monitoring.coreos.com", "CustomResourceDefinition/scrapeconfigs.monitoring.coreos.com"},
			[]string{"List/", "PrometheusRule/kube-prometheus-stack-aicluster"}},
		{"kube-prometheus-stack", "kube-prometheus-stack",
			`{kubeEtcd: {enabled: false}, kubeProxy: {enabled: false}, prometheusOperator: {admissionWebhooks: {enabled: false}},
			  additionalPrometheusRulesMap: {mine: {groups: [{name: g, rules: []}]}}, extraManifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: board}}]}`,
			[]string{"PrometheusRule/kube-prometheus-stack-mine", "ConfigMap/board", "ServiceMonitor/kube-prometheus-stack-kubelet"},
			[]string{"ServiceMonitor/kube-prometheus-stack-kube-etcd", "Service/kube-prometheus-stack-kube-proxy", "Job/kube-prometheus-stack-admission-create"}},
		{"prometheus-adapter", "prometheus-adapter", ``,
			[]string{"APIService/v1beta1.custom.metrics.k8s.io", "Deployment/prometheus-adapter", "ConfigMap/prometheus-adapter", "Service/prometheus-adapter"}, nil},
		{"prometheus-adapter", "prometheus-adapter", `{rules: {default: false}}`, nil, []string{"APIService/v1beta1.custom.metrics.k8s.io"}},
		{"aws-for-fluent-bit", "aws-for-fluent-bit", ``,
			[]string{"DaemonSet/aws-for-fluent-bit", "ServiceAccount/aws-for-fluent-bit", "ConfigMap/aws-for-fluent-bit", "ClusterRole/aws-for-fluent-bit"}, nil},
		{"gateway-helm", "envoy-gateway", ``,
			[]string{"Deployment/envoy-gateway", "Service/envoy-gateway", "ConfigMap/envoy-gateway-config", "Job/envoy-gateway-gateway-helm-certgen",
				"ClusterRole/envoy-gateway-gateway-helm-envoy-gateway-role", "Role/envoy-gateway-gateway-helm-infra-manager",
				"MutatingWebhookConfiguration/envoy-gateway-topology-injector.envoy-gateway", "ValidatingAdmissionPolicy/safe-upgrades.gateway.networking.k8s.io",
				"CustomResourceDefinition/gateways.gateway.networking.k8s.io", "CustomResourceDefinition/envoyproxies.gateway.envoyproxy.io"},
			[]string{"PodDisruptionBudget/envoy-gateway"}},
		{"gateway-helm", "envoy-gateway", `{topologyInjector: {enabled: false}, podDisruptionBudget: {minAvailable: 1}}`,
			[]string{"PodDisruptionBudget/envoy-gateway"}, []string{"MutatingWebhookConfiguration/envoy-gateway-topology-injector.envoy-gateway"}},
		{"cert-manager", "cert-manager", ``,
			[]string{"Deployment/cert-manager", "Deployment/cert-manager-webhook", "Deployment/cert-manager-cainjector", "Service/cert-manager-webhook",
				"Job/cert-manager-startupapicheck", "ValidatingWebhookConfiguration/cert-manager-webhook", "Role/cert-manager:leaderelection"},
			[]string{"CustomResourceDefinition/certificates.cert-manager.io", "ConfigMap/cert-manager", "PodDisruptionBudget/cert-manager"}},
		{"cert-manager", "cert-manager", `{crds: {enabled: true}, config: {gatewayAPI: {enabled: true}}, startupapicheck: {enabled: false}}`,
			[]string{"CustomResourceDefinition/certificates.cert-manager.io", "CustomResourceDefinition/challenges.acme.cert-manager.io", "ConfigMap/cert-manager"},
			[]string{"Job/cert-manager-startupapicheck"}},
	} {
		objects := render(t, test.chart, test.release, test.values)
		for _, want := range test.want {
			if objects[want] == nil {
				t.Errorf("%s with %q: no %s in %v", test.chart, test.values, want, slices.Sorted(maps.Keys(objects)))
			}
		}
		for _, not := range test.not {
			if objects[not] != nil {
				t.Errorf("%s with %q: %s is there", test.chart, test.values, not)
			}
		}
	}
}

func TestValuesReachObjects(t *testing.T) {
	gpu := render(t, "gpu-operator", "gpu-operator", `
driver: {enabled: false}
toolkit: {enabled: false}
daemonsets: {tolerations: [{key: team, operator: Exists}]}
node-feature-discovery: {worker: {tolerations: [{key: team, operator: Exists}]}}`)
	nginx := render(t, "ingress-nginx", "ingress-nginx", `
controller:
  config: {proxy-read-timeout: 3600}
  service:
    annotations: {service.beta.kubernetes.io/aws-load-balancer-type: nlb}
    externalTrafficPolicy: Local`)
	ca := render(t, "cluster-autoscaler", "cluster-autoscaler", `
autoDiscovery: {clusterName: demo}
rbac: {serviceAccount: {annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::111122223333:role/ca"}}}
extraArgs: {balance-similar-node-groups: null}`)
	for _, test := range []struct {
		object *unstructured.Unstructured
		want   any
		path   []string
	}{
		{gpu["ClusterPolicy/cluster-policy"], false, []string{"spec", "driver", "enabled"}},
		{gpu["ClusterPolicy/cluster-policy"], false, []string{"spec", "toolkit", "enabled"}},
		{gpu["ClusterPolicy/cluster-policy"], true, []string{"spec", "devicePlugin", "enabled"}},
		{gpu["ClusterPolicy/cluster-policy"], []any{map[string]any{"key": "team", "operator": "Exists"}}, []string{"spec", "daemonsets", "tolerations"}},
		{gpu["DaemonSet/gpu-operator-node-feature-discovery-worker"], []any{map[string]any{"key": "team", "operator": "Exists"}}, []string{"spec", "template", "spec", "tolerations"}},
		{nginx["ConfigMap/ingress-nginx-controller"], "3600", []string{"data", "proxy-read-timeout"}},
		{nginx["Service/ingress-nginx-controller"], "nlb", []string{"metadata", "annotations", "service.beta.kubernetes.io/aws-load-balancer-type"}},
		{nginx["Service/ingress-nginx-controller"], "Local", []string{"spec", "externalTrafficPolicy"}},
		{nginx["Service/ingress-nginx-controller"], "LoadBalancer", []string{"spec", "type"}},
		{ca["ServiceAccount/cluster-autoscaler-aws-cluster-autoscaler"], "arn:aws:iam::111122223333:role/ca", []string{"metadata", "annotations", "eks.amazonaws.com/role-arn"}},
	} {
		got, ok, err := unstructured.NestedFieldNoCopy(test.object.Object, test.path...)
		if err != nil || !ok || !equalYAML(got, test.want) {
			t.Errorf("%s %s: %v = %v (found %v, %v), want %v", test.object.GetKind(), test.object.GetName(), test.path, got, ok, err, test.want)
		}
	}
	containers, _, _ := unstructured.NestedSlice(ca["Deployment/cluster-autoscaler-aws-cluster-autoscaler"].Object, "spec", "template", "spec", "containers")
	command := containers[0].(map[string]any)["command"].([]any)
	for _, want := range []any{
		"--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/demo",
		"--balance-similar-node-groups",
	} {
		if !slices.Contains(command, want) {
			t.Errorf("cluster-autoscaler's command has no %s: %v", want, command)
		}
	}
}

func untar(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for tape := tar.NewReader(zip); ; {
		header, err := tape.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(tape); err != nil {
			t.Fatal(err)
		}
	}
}

func equalYAML(a, b any) bool {
	x, _ := yaml.Marshal(a)
	y, _ := yaml.Marshal(b)
	return bytes.Equal(x, y)
}

// render is a small part of Helm: it renders a packed chart, and the charts in
// it, with values, and returns the objects by "Kind/name".
func render(t *testing.T, chart, release, values string) map[string]*unstructured.Unstructured {
	t.Helper()
	_, archive, err := pack(chart)
	if err != nil {
		t.Fatal(err)
	}
	files := untar(t, archive)
	given := map[string]any{}
	if err := yaml.Unmarshal([]byte(values), &given); err != nil {
		t.Fatal(err)
	}
	objects := map[string]*unstructured.Unstructured{}
	renderTree(t, files, chart, release, given, objects)
	return objects
}

func renderTree(t *testing.T, files map[string][]byte, root, release string, given map[string]any, objects map[string]*unstructured.Unstructured) {
	t.Helper()
	values, chart := map[string]any{}, map[string]any{}
	for file, into := range map[string]*map[string]any{"values.yaml": &values, "Chart.yaml": &chart} {
		if err := yaml.Unmarshal(files[root+"/"+file], into); err != nil {
			t.Fatalf("%s/%s: %v", root, file, err)
		}
	}
	overlay(values, given)
	data := map[string]any{
		"Values":  values,
		"Release": map[string]any{"Name": release, "Namespace": release, "Service": "Helm"},
		"Chart":   map[string]any{"Name": chart["name"], "Version": chart["version"], "AppVersion": chart["appVersion"]},
	}
	set := template.New("chart").Option("missingkey=zero")
	set.Funcs(sprig.TxtFuncMap()).Funcs(template.FuncMap{
		"toYaml": func(v any) string {
			out, err := yaml.Marshal(v)
			if err != nil {
				panic(err)
			}
			return strings.TrimSuffix(string(out), "\n")
		},
		"lookup": func(string, string, string, string) map[string]any { return nil }, // nothing is there yet
		"include": func(name string, data any) (string, error) {
			var out strings.Builder
			err := set.ExecuteTemplate(&out, name, data)
			return out.String(), err
		},
		"tpl": func(text string, data any) (string, error) {
			inner, err := template.Must(set.Clone()).New("tpl").Parse(text)
			if err != nil {
				return "", err
			}
			var out strings.Builder
			err = inner.Execute(&out, data)
			return out.String(), err
		},
	})
	for name, content := range files {
		if strings.HasPrefix(name, root+"/templates/") {
			if _, err := set.New(name).Parse(string(content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, content := range files {
		switch {
		case strings.HasPrefix(name, root+"/crds/"):
			collect(t, name, string(content), objects)
		case strings.HasPrefix(name, root+"/templates/") && strings.HasSuffix(name, ".yaml"):
			var out strings.Builder
			if err := set.ExecuteTemplate(&out, name, data); err != nil {
				t.Fatal(err)
			}
			collect(t, name, strings.ReplaceAll(out.String(), "<no value>", ""), objects)
		case strings.HasPrefix(name, root+"/charts/") && strings.HasSuffix(name, "/Chart.yaml") && strings.Count(name[len(root):], "/") == 3:
			sub := strings.TrimSuffix(name, "/Chart.yaml")
			inner, _ := values[filepath.Base(sub)].(map[string]any)
			renderTree(t, files, sub, release, inner, objects)
		}
	}
}

func overlay(base, over map[string]any) {
	for key, value := range over {
		b, isMap := base[key].(map[string]any)
		o, both := value.(map[string]any)
		if isMap && both {
			overlay(b, o)
		} else {
			base[key] = value
		}
	}
}

func collect(t *testing.T, name, manifest string, objects map[string]*unstructured.Unstructured) {
	t.Helper()
	decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(manifest), 4096)
	for {
		object := map[string]any{}
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, manifest)
		}
		if len(object) == 0 {
			continue
		}
		u := &unstructured.Unstructured{Object: object}
		if u.GetAPIVersion() == "" || u.GetKind() == "" {
			t.Errorf("%s: an object without kind: %v", name, object)
		}
		isName := apivalidation.NameIsDNSSubdomain
		if strings.HasPrefix(u.GetAPIVersion(), "rbac.authorization.k8s.io/") { // "cert-manager:leaderelection" is one
			isName = path.ValidatePathSegmentName
		}
		if problems := isName(u.GetName(), false); len(problems) > 0 {
			t.Errorf("%s: %s %q: %v", name, u.GetKind(), u.GetName(), problems)
		}
		objects[u.GetKind()+"/"+u.GetName()] = u
	}
}
