package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"k8s.io/client-go/util/jsonpath"

	"aicluster/addons"
	"aicluster/addons/serving"
	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

// A seedField is one field of a manifest, a command or a rule in the project's
// source text, and what becomes of it here.
type seedField struct {
	what string // in the text
	text string // the text's value
	doc  string // where it is here: one of seedDocuments, or "graph", or "commands"
	path string // in that document, as kubectl's JSONPath
	here string // the value here
	why  string // why it is another one; empty if it is the same
}

// seedTable has a row for each of the text's 17 parts, in its order.
func seedTable() map[string][]seedField {
	const (
		container = "{.spec.template.spec.containers[0]"
		names     = "a service's name is its own; the label set is Kubernetes' recommended one"
	)
	return map[string][]seedField{
		"01 Pod vllm-server": {
			{"metadata.labels", "app: vllm", "vllm/Deployment", `{.spec.template.metadata.labels.app\.kubernetes\.io/name}`, "vllm", names},
			{"containers[0].name", "vllm", "vllm/Deployment", container + ".name}", "vllm", ""},
			{"image", "vllm/vllm-openai:latest", "vllm/Deployment", container + ".image}", blueprints.VLLMImage, "pinned: replicas that start later run the same"},
			{"args --model", "meta-llama/Llama-3.1-8B-Instruct", "vllm/Deployment", container + ".args[0:2]}", "--model /models/Llama-3.1-8B-Instruct", "the weights come from the bucket, not from the hub; the text's later manifests do so, too"},
			{"args --host, --port", "--host 0.0.0.0 --port 8000", "vllm/Deployment", container + ".args[4:8]}", "--host 0.0.0.0 --port 8000", ""},
			{"args --max-model-len", "--max-model-len 4096", "vllm/Deployment", container + ".args[10:12]}", "--max-model-len 4096", ""},
			{"containerPort", "8000", "vllm/Deployment", container + ".ports[0].containerPort}", "8000", ""},
			{"limits nvidia.com/gpu", "1", "vllm/Deployment", container + `.resources.limits.nvidia\.com/gpu}`, "1", ""},
			{"requests nvidia.com/gpu", "1", "vllm/Deployment", container + `.resources.requests.nvidia\.com/gpu}`, "1", ""},
			{"requests memory", "24Gi", "vllm/Deployment", container + ".resources.requests.memory}", "24Gi", ""},
			{"requests cpu", "4", "vllm/Deployment", container + ".resources.requests.cpu}", "4", ""},
		},
		"02 GPU rule": {
			{"requests equal limits, no fractions", "checked by nobody", "problems", "{.fraction}", "gpus must be a whole number, not 0.5", "checked before anything is made"},
			{"needs the GPU Operator", "checked by nobody", "problems", "{.operator}", "the pool has GPUs, but nothing makes them known to Kubernetes: addons has no gpuOperator", "checked before anything is made"},
		},
		"03 Deployment": {
			{"kind", "apps/v1 Deployment", "vllm/Deployment", "{.apiVersion} {.kind}", "apps/v1 Deployment", ""},
			{"name", "vllm-deployment", "vllm/Deployment", "{.metadata.name}", "vllm", names},
			{"replicas", "2", "vllm/Deployment", "{.spec.replicas}", "2", ""},
			{"selector", "app: vllm", "vllm/Deployment", `{.spec.selector.matchLabels.app\.kubernetes\.io/instance}`, "vllm", names},
			{"args --gpu-memory-utilization", "--gpu-memory-utilization 0.90", "vllm/Deployment", container + ".args[12:14]}", "--gpu-memory-utilization 0.90", ""},
			{"readinessProbe path, port", "/health 8000", "vllm/Deployment", container + ".readinessProbe.httpGet.path} " + container + ".readinessProbe.httpGet.port}", "/health http", "by the port's name"},
			{"readinessProbe periodSeconds", "10", "vllm/Deployment", container + ".readinessProbe.periodSeconds}", "10", ""},
			{"readinessProbe initialDelaySeconds", "120", "vllm/Deployment", container + ".startupProbe.failureThreshold} × " + container + ".startupProbe.periodSeconds} s", "90 × 10 s", "a startup probe asks at once and waits as long as the model's size takes: no delay when it is small, no restart when it is large"},
			{"livenessProbe path", "/health", "vllm/Deployment", container + ".livenessProbe.httpGet.path}", "/health", ""},
			{"livenessProbe initialDelaySeconds", "180", "vllm/Deployment", container + ".startupProbe.httpGet.path}", "/health", "the startup probe holds it back"},
			{"livenessProbe periodSeconds", "30", "vllm/Deployment", container + ".livenessProbe.periodSeconds}", "30", ""},
			{"livenessProbe failureThreshold", "3", "vllm/Deployment", container + ".livenessProbe.failureThreshold}", "3", ""},
		},
		"04 Service": {
			{"kind, type", "v1 Service ClusterIP", "vllm/Service", "{.apiVersion} {.kind} {.spec.type}", "v1 Service ClusterIP", ""},
			{"name", "vllm-service", "vllm/Service", "{.metadata.name}", "vllm", names},
			{"port", "80", "vllm/Service", "{.spec.ports[0].port}", "80", ""},
			{"targetPort", "8000", "vllm/Service", "{.spec.ports[0].targetPort}", "http", "by the port's name, which is 8000 in the container"},
			{"protocol", "TCP", "vllm/Service", "{.spec.ports[0].protocol}", "TCP", ""},
			{"selector", "app: vllm", "vllm/Service", `{.spec.selector.app\.kubernetes\.io/instance}`, "vllm", names},
		},
		"05 Namespace": {
			{"name", "ai-serving", "Namespace", "{.metadata.name}", "ai-serving", ""},
			{"the Deployment's namespace", "ai-serving", "vllm/Deployment", "{.metadata.namespace}", "ai-serving", ""},
		},
		"06 GPU Operator": {
			{"helm repo", "https://helm.ngc.nvidia.com/nvidia", "gpu-operator", "{.repo}", "https://helm.ngc.nvidia.com/nvidia", ""},
			{"chart", "gpu-operator", "gpu-operator", "{.chart}", "gpu-operator", ""},
			{"namespace", "gpu-operator", "gpu-operator", "{.namespace}", "gpu-operator", ""},
			{"driver.enabled", "true", "gpu-operator", "{.values.driver.enabled}", "false", "EKS's NVIDIA AMI has the driver; a second one would not start"},
			{"toolkit.enabled", "true", "gpu-operator", "{.values.toolkit.enabled}", "false", "EKS's NVIDIA AMI has the toolkit"},
		},
		"07 GPU check": {
			{"status.capacity of each node", "a script", "graph", "check/gpu-a100", "check/gpu-a100", ""},
			{"the same, by hand", "kubectl get nodes -o json | python3", "commands", "verify", "verify", ""},
		},
		"08 Labels and taints": {
			{"label", "accelerator=nvidia-a100", "pools", "accelerator={.gpu-a100.labels.accelerator}", "accelerator=nvidia-a100", ""},
			{"taint", "nvidia.com/gpu=present:NoSchedule", "pools", "{.gpu-a100.taints[0].key}={.gpu-a100.taints[0].value}:{.gpu-a100.taints[0].effect}", "nvidia.com/gpu=present:NoSchedule", ""},
		},
		"09 Scheduling": {
			{"toleration", "nvidia.com/gpu Equal present NoSchedule", "vllm/Deployment", "{range .spec.template.spec.tolerations[*]}{.key} {.operator} {.value} {.effect}{end}", "nvidia.com/gpu Equal present NoSchedule", ""},
			{"nodeSelector", "nvidia-a100", "vllm/Deployment", "{.spec.template.spec.nodeSelector.accelerator}", "nvidia-a100", ""},
			{"the pool", "by the label only", "vllm/Deployment", `{.spec.template.spec.nodeSelector.aicluster/pool}`, "gpu-a100", "two pools have that label; a service runs on its own"},
		},
		"10 Pools": {
			{"system", "c6i.xlarge x 3", "pools", "{.system.instanceTypes[0]} x {.system.nodes.min}", "c6i.xlarge x 3", ""},
			{"system: room for all pods", "no taint", "pools", "{.system.taints}", "", ""},
			{"gpu-a100", "p4d.24xlarge 1-4", "pools", "{.gpu-a100.instanceTypes[0]} {.gpu-a100.nodes.min}-{.gpu-a100.nodes.max}", "p4d.24xlarge 1-4", ""},
			{"gpu-a100: bought", "on demand", "pools", "{.gpu-a100.capacity}", "onDemand", "EKS's word"},
			{"gpu-spot", "p4d.24xlarge 0-8", "pools", "{.gpu-spot.instanceTypes[0]} {.gpu-spot.nodes.min}-{.gpu-spot.nodes.max}", "p4d.24xlarge 0-8", ""},
			{"gpu-spot: bought", "spot", "pools", "{.gpu-spot.capacity}", "spot", ""},
		},
		"11 Storage by file system": {
			{"kind", "PersistentVolumeClaim", "shared/PersistentVolumeClaim", "{.kind}", "PersistentVolumeClaim", ""},
			{"namespace", "ai-serving", "shared/PersistentVolumeClaim", "{.metadata.namespace}", "ai-serving", ""},
			{"accessModes", "ReadOnlyMany", "shared/PersistentVolumeClaim", "{.spec.accessModes[*]}", "ReadOnlyMany", ""},
			{"storageClassName", "efs-sc", "shared/PersistentVolumeClaim", "{.spec.storageClassName}", "efs-sc", ""},
			{"storage", "100Gi", "shared/PersistentVolumeClaim", "{.spec.resources.requests.storage}", "100Gi", ""},
			{"mountPath", "/models", "shared/Deployment", container + ".volumeMounts[0].mountPath}", "/models/Llama-3.1-8B-Instruct", "the volume is the model's folder"},
			{"readOnly", "true", "shared/Deployment", container + ".volumeMounts[0].readOnly}", "true", ""},
			{"args --model", "/models/Llama-3.1-8B-Instruct", "shared/Deployment", container + ".args[1]}", "/models/Llama-3.1-8B-Instruct", ""},
		},
		"12 Storage by local NVMe": {
			{"initContainers[0].name", "model-loader", "vllm/Deployment", "{.spec.template.spec.initContainers[0].name}", "model-loader", ""},
			{"image", "amazon/aws-cli:latest", "vllm/Deployment", "{.spec.template.spec.initContainers[0].image}", "public.ecr.aws/aws-cli/aws-cli:2.37.11", "pinned, from a registry without pull limits"},
			{"from", "s3://my-models/Llama-3.1-8B-Instruct", "vllm/Deployment", `{.spec.template.spec.initContainers[0].env[?(@.name=="SOURCE")].value}`, "s3://my-models/Llama-3.1-8B-Instruct", ""},
			{"AWS_DEFAULT_REGION", "ap-northeast-2", "vllm/Deployment", `{.spec.template.spec.initContainers[0].env[?(@.name=="AWS_DEFAULT_REGION")].value}`, "ap-northeast-2", ""},
			{"args --model", "/models/Llama-3.1-8B-Instruct", "vllm/Deployment", container + ".args[1]}", "/models/Llama-3.1-8B-Instruct", ""},
			{"the server's mount", "/models readOnly", "vllm/Deployment", container + ".volumeMounts[0].mountPath} readOnly", "/models readOnly", ""},
			{"volume", "emptyDir", "vllm/Deployment", "{.spec.template.spec.volumes[0].hostPath.path}", "/mnt/k8s-disks/0/aicluster/models", "on the node's NVMe disks, where the next replica finds the weights"},
			{"volume where there is no NVMe", "emptyDir", "own-disk/Deployment", "{.spec.template.spec.volumes[0].name}", "models", "emptyDir, as large as the model"},
			{"who may read the bucket", "not said", "graph", "role/serving-vllm", "role/serving-vllm", ""},
		},
		"13 Ingress": {
			{"kind", "networking.k8s.io/v1 Ingress", "vllm/Ingress", "{.apiVersion} {.kind}", "networking.k8s.io/v1 Ingress", ""},
			{"namespace", "ai-serving", "vllm/Ingress", "{.metadata.namespace}", "ai-serving", ""},
			{"proxy-read-timeout", "300", "vllm/Ingress", `{.metadata.annotations.nginx\.ingress\.kubernetes\.io/proxy-read-timeout}`, "3600", "answers of a large model may take longer; so may the silence before them"},
			{"proxy-send-timeout", "300", "vllm/Ingress", `{.metadata.annotations.nginx\.ingress\.kubernetes\.io/proxy-send-timeout}`, "3600", "as for reading"},
			{"proxy-buffering", "off", "vllm/Ingress", `{.metadata.annotations.nginx\.ingress\.kubernetes\.io/proxy-buffering}`, "off", ""},
			{"ingressClassName", "nginx", "vllm/Ingress", "{.spec.ingressClassName}", "nginx", ""},
			{"host", "ai-api.example.com", "vllm/Ingress", "{.spec.rules[0].host}", "ai-api.example.com", ""},
			{"path, pathType", "/ Prefix", "vllm/Ingress", "{.spec.rules[0].http.paths[0].path} {.spec.rules[0].http.paths[0].pathType}", "/ Prefix", ""},
			{"backend", "vllm-service", "vllm/Ingress", "{.spec.rules[0].http.paths[0].backend.service.name}", "vllm", names},
			{"tls", "ai-api.example.com ai-api-tls", "vllm/Ingress", "{.spec.tls[0].hosts[0]} {.spec.tls[0].secretName}", "ai-api.example.com ai-api-tls", ""},
		},
		"14 Load balancing": {
			{"least connections", "recommended", "ingress-nginx", "{.values.controller.config.load-balance}", "ewma", "ingress-nginx has no least connections; the lowest moving average of latency comes closest"},
			{"aws-load-balancer-type", "nlb", "ingress-nginx", `{.values.controller.service.annotations.service\.beta\.kubernetes\.io/aws-load-balancer-type}`, "nlb", ""},
			{"externalTrafficPolicy", "Local", "ingress-nginx", "{.values.controller.service.externalTrafficPolicy}", "Local", ""},
			{"Service of type LoadBalancer", "vllm-service", "ingress-nginx", "{.chart}", "ingress-nginx", "one load balancer for all services, which ends TLS and knows hosts"},
		},
		"15 Daily commands": {
			{"get pods, deployments, services; GPU use", "kubectl get, describe nodes", "commands", "status", "status", ""},
			{"describe pod, its events", "kubectl describe", "commands", "doctor", "doctor", ""},
			{"logs -f", "kubectl logs -f", "commands", "logs", "logs", ""},
			{"exec, to ask the server", "kubectl exec", "commands", "connect", "connect", ""},
			{"kubectl itself", "kubectl", "commands", "kubeconfig", "kubeconfig", ""},
			{"kubectl top", "metrics-server", "graph", "addon/metrics-server", "addon/metrics-server", ""},
		},
		"16 Creation": {
			{"--name", "ai-serving-cluster", "graph", "cluster/ai-serving-cluster", "cluster/ai-serving-cluster", ""},
			{"--region", "ap-northeast-2", "blueprint", "{.metadata.region}", "ap-northeast-2", ""},
			{"--version", "1.29", "blueprint", "{.cluster.version}", "1.35", "1.29 is not to be had any more"},
			{"--node-type, --nodes", "c6i.xlarge 3", "pools", "{.system.instanceTypes[0]} {.system.nodes.min}", "c6i.xlarge 3", ""},
			{"nodegroup --node-type, --nodes-min, --nodes-max", "p4d.24xlarge 1 4", "pools", "{.gpu-a100.instanceTypes[0]} {.gpu-a100.nodes.min} {.gpu-a100.nodes.max}", "p4d.24xlarge 1 4", ""},
			{"--node-labels", "accelerator=nvidia-a100", "pools", "accelerator={.gpu-a100.labels.accelerator}", "accelerator=nvidia-a100", ""},
			{"nodegroup", "gpu-nodes", "graph", "nodepool/gpu-a100", "nodepool/gpu-a100", ""},
		},
		"17 What it names as next": {
			{"rolling updates without downtime", "named", "vllm/Deployment", "{.spec.strategy.rollingUpdate.maxUnavailable}/{.spec.strategy.rollingUpdate.maxSurge}", "1/0", "one replica at a time, without a spare GPU; 'rollingUpdate: surge' for a single one"},
			{"drains", "not said", "vllm/PodDisruptionBudget", "{.spec.maxUnavailable}", "1", ""},
			{"answers that are under way", "not said", "vllm/Deployment", container + ".lifecycle.preStop.sleep.seconds} {.spec.template.spec.terminationGracePeriodSeconds}", "15 330", ""},
			{"HPA on own metrics", "named", "scaled/HorizontalPodAutoscaler", "{.spec.minReplicas}-{.spec.maxReplicas} {.spec.metrics[0].type}", "1-4 Pods", ""},
			{"Cluster Autoscaler", "named", "graph", "addon/cluster-autoscaler", "addon/cluster-autoscaler", ""},
		},
	}
}

// TestSeed holds every block of manifests of the source text against what is made
// here, field by field. Where it is another, the table says why.
func TestSeed(t *testing.T) {
	docs := seedDocuments(t)
	table := seedTable()
	if len(table) != 17 {
		t.Fatalf("%d rows; the text has 17 parts", len(table))
	}
	for row, fields := range table {
		t.Run(row, func(t *testing.T) {
			for _, f := range fields {
				if got := lookUp(t, docs, f); got != f.here {
					t.Errorf("%s: %s of %s is %q, the table says %q", f.what, f.path, f.doc, got, f.here)
				}
				plain := f.doc != "graph" && f.doc != "commands"
				if plain && f.text != f.here && f.why == "" && f.here != "" && f.text != "not said" && f.text != "named" {
					t.Errorf("%s: %q in the text, %q here, and no reason", f.what, f.text, f.here)
				}
			}
		})
	}
}

// seedDocuments is what a blueprint of the text's cluster becomes, by name.
func seedDocuments(t *testing.T) map[string]any {
	t.Helper()
	b, err := blueprints.Load("testdata/seed/blueprint.yaml")
	if err != nil {
		t.Fatal(err)
	}
	docs := map[string]any{"blueprint": document(t, b), "Namespace": document(t, serving.NamespaceObject(b))}
	for _, svc := range b.Serving {
		for _, o := range serving.Render(b, svc, serving.Facts{ModelBytes: 16 << 30}) {
			docs[svc.Name+"/"+o.GetObjectKind().GroupVersionKind().Kind] = document(t, o)
		}
	}
	for _, spec := range []addons.ReleaseSpec{addons.GPUOperator(b), addons.IngressNginx(b)} {
		docs[spec.Name] = document(t, map[string]any{"repo": spec.Repo, "chart": spec.Chart, "namespace": spec.Namespace, "values": spec.Values})
	}
	pools := map[string]any{}
	for _, p := range b.NodePools {
		pools[p.Name] = p
	}
	docs["pools"] = document(t, pools)
	docs["problems"] = map[string]any{
		"fraction": problem(t, "gpus: 0.5", "gpuOperator: {}"),
		"operator": problem(t, "gpus: 1", ""),
	}
	s := newBuilder(&cloud.Clients{Region: b.Metadata.Region}, b, stackOptions{})
	s.discovery = imagination{}
	st, err := s.build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	docs["graph"] = st.graph.IDs()
	var commands []string
	for _, c := range newApp(nil, nil, nil).cli.Commands {
		commands = append(commands, c.Name)
	}
	docs["commands"] = commands
	return docs
}

// problem is the first thing that is said of a blueprint with one service.
func problem(t *testing.T, gpus, operator string) string {
	t.Helper()
	_, err := blueprints.Parse("b.yaml", fmt.Appendf(nil, `
apiVersion: aicluster/v1
kind: Blueprint
metadata: {name: x, region: us-west-2}
nodePools:
  - {name: system, instanceTypes: [m6i.large], nodes: {min: 1, max: 1}}
  - {name: gpu, instanceTypes: [g5.xlarge], nodes: {min: 1, max: 1}}
addons: {%s}
models: {bucket: x-models-1, seed: [{name: m, from: m}]}
serving: [{name: a, model: m, pool: gpu, %s}]
`, operator, gpus))
	problems, _ := err.(blueprints.Problems)
	if len(problems) == 0 {
		t.Fatalf("no problems: %v", err)
	}
	return problems[0].Message
}

// document is a value as JSON has it.
func document(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func lookUp(t *testing.T, docs map[string]any, f seedField) string {
	t.Helper()
	doc, ok := docs[f.doc]
	if !ok {
		t.Errorf("%s: there is no %s", f.what, f.doc)
		return ""
	}
	if names, ok := doc.([]string); ok {
		for _, name := range names {
			if name == f.path {
				return name
			}
		}
		return "none of " + strings.Join(names, ", ")
	}
	template := jsonpath.New(f.what).AllowMissingKeys(true)
	if err := template.Parse(f.path); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := template.Execute(&out, doc); err != nil {
		t.Fatalf("%s: %v", f.what, err)
	}
	return out.String()
}
