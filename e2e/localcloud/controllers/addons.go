package controllers

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// addonFiles holds, for each add-on, its objects and the JSON schema of its
// configuration. Names, labels, tolerations and keys are those of EKS's add-ons.
//
//go:embed addons
var addonFiles embed.FS

// addonRegistry stands for the regional ECR registry of EKS's own images.
const addonRegistry = "602401143452.dkr.ecr.us-west-2.amazonaws.com"

// Addon returns the Kubernetes objects of an EKS add-on at a version, with the
// configuration values (JSON or YAML, may be empty) applied. A configuration that
// does not fit the add-on's schema is a *[ConfigurationError].
func Addon(name, version, configuration string) ([]runtime.Object, error) {
	manifest, err := addonFiles.ReadFile("addons/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("no add-on %q", name)
	}
	values, err := addonConfiguration(name, configuration)
	if err != nil {
		return nil, err
	}
	manifest = bytes.ReplaceAll(manifest, []byte("VERSION"), []byte(version))
	manifest = bytes.ReplaceAll(manifest, []byte("REGISTRY"), []byte(addonRegistry))
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
	var objects []runtime.Object
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return append(objects, optional(name, values)...), nil
		}
		if err != nil {
			return nil, fmt.Errorf("add-on %s: %w", name, err)
		}
		if err := configure(name, object, values); err != nil {
			return nil, fmt.Errorf("add-on %s: %w", name, err)
		}
		objects = append(objects, object)
	}
}

// optional are the objects that an add-on has only when its configuration asks
// for them: the EBS CSI driver's storage class. EKS makes no class of its own
// since Kubernetes 1.30
// (https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions-standard.html).
func optional(name string, values map[string]any) []runtime.Object {
	if class := mapOf(values["defaultStorageClass"]); name != "aws-ebs-csi-driver" || class["enabled"] != true {
		return nil
	}
	return []runtime.Object{&unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
		"metadata": map[string]any{
			"name": "ebs-csi-default-sc", "labels": map[string]any{"app.kubernetes.io/name": "aws-ebs-csi-driver"},
			"annotations": map[string]any{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		"provisioner": ebsDriver, "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true,
	}}}
}

// AddonConfigurationSchema returns the JSON schema of an add-on's configuration
// values, as DescribeAddonConfiguration does.
func AddonConfigurationSchema(name string) (string, error) {
	schema, err := addonFiles.ReadFile("addons/" + name + ".schema.json")
	if err != nil {
		return "", fmt.Errorf("no add-on %q", name)
	}
	return string(schema), nil
}

func addonConfiguration(name, configuration string) (map[string]any, error) {
	if strings.TrimSpace(configuration) == "" {
		return nil, nil
	}
	text, err := AddonConfigurationSchema(name)
	if err != nil {
		return nil, err
	}
	var rules addonSchema
	if err := yaml.Unmarshal([]byte(text), &rules); err != nil {
		return nil, err
	}
	var values any
	if err := yaml.Unmarshal([]byte(configuration), &values); err != nil {
		return nil, &ConfigurationError{Problems: []string{"$: " + err.Error()}}
	}
	if problems := rules.check("$", values); len(problems) > 0 {
		return nil, &ConfigurationError{Problems: problems}
	}
	return values.(map[string]any), nil
}

// configure applies what configuration values mean for one of the add-on's objects.
// Values without an effect on pods that do not really run are only checked.
func configure(name string, object *unstructured.Unstructured, values map[string]any) error {
	if len(values) == 0 {
		return nil
	}
	switch kind := object.GetKind(); {
	case kind == "ConfigMap" && name == "coredns" && values["corefile"] != nil:
		return unstructured.SetNestedField(object.Object, values["corefile"], "data", "Corefile")
	case kind == "ConfigMap" && name == "kube-proxy" && values["mode"] != nil:
		config, _, _ := unstructured.NestedString(object.Object, "data", "config")
		config = strings.Replace(config, `"iptables"`, fmt.Sprintf("%q", values["mode"]), 1)
		return unstructured.SetNestedField(object.Object, config, "data", "config")
	case kind == "Deployment" || kind == "DaemonSet":
		return configurePods(object, settings(name, object.GetName(), values))
	}
	return nil
}

// settings are the values for a workload's pods: the CSI drivers have a section
// for each workload.
func settings(addon, workload string, values map[string]any) map[string]any {
	_, part, isDriver := strings.Cut(workload, "-csi-")
	if !strings.HasSuffix(addon, "-csi-driver") || !isDriver {
		return values
	}
	section, _ := values[part].(map[string]any)
	section = maps.Clone(section)
	if addon == "aws-efs-csi-driver" || part != "node" {
		return section // EFS's has tolerations, which tolerate all unless they are given
	}
	// The charts' default is to tolerate all, and tolerations count only without that.
	if all, set := section["tolerateAllTaints"].(bool); !set || all {
		delete(section, "tolerations")
	} else if section["tolerations"] == nil {
		section["tolerations"] = []any{
			map[string]any{"key": "CriticalAddonsOnly", "operator": "Exists"},
			map[string]any{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": int64(300)},
		}
	}
	return section
}

// configurePods applies values that say how a workload's pods are run.
func configurePods(object *unstructured.Unstructured, values map[string]any) error {
	pod := []string{"spec", "template", "spec"}
	paths := map[string][]string{
		"replicaCount":              {"spec", "replicas"},
		"replicas":                  {"spec", "replicas"},
		"tolerations":               append(slices.Clone(pod), "tolerations"),
		"nodeSelector":              append(slices.Clone(pod), "nodeSelector"),
		"affinity":                  append(slices.Clone(pod), "affinity"),
		"topologySpreadConstraints": append(slices.Clone(pod), "topologySpreadConstraints"),
		"priorityClassName":         append(slices.Clone(pod), "priorityClassName"),
	}
	for key, path := range paths {
		if value, ok := values[key]; ok {
			if err := unstructured.SetNestedField(object.Object, integers(value), path...); err != nil {
				return err
			}
		}
	}
	for key, field := range map[string]string{"podLabels": "labels", "podAnnotations": "annotations"} {
		for label, value := range mapOf(values[key]) {
			if err := unstructured.SetNestedField(object.Object, fmt.Sprint(value), "spec", "template", "metadata", field, label); err != nil {
				return err
			}
		}
	}
	return configureContainer(object, values)
}

// configureContainer applies resources and environment to the main container.
func configureContainer(object *unstructured.Unstructured, values map[string]any) error {
	path := []string{"spec", "template", "spec", "containers"}
	containers, _, err := unstructured.NestedSlice(object.Object, path...)
	if err != nil || len(containers) == 0 {
		return err
	}
	main := containers[0].(map[string]any)
	if resources, ok := values["resources"]; ok {
		main["resources"] = integers(resources)
	}
	env, _ := main["env"].([]any)
	switch given := values["env"].(type) {
	case map[string]any: // the VPC CNI's
		for _, name := range slices.Sorted(maps.Keys(given)) {
			env = setEnv(env, map[string]any{"name": name, "value": fmt.Sprint(given[name])})
		}
	case []any: // the EBS CSI driver's
		for _, entry := range given {
			env = setEnv(env, mapOf(entry))
		}
	}
	if len(env) > 0 {
		main["env"] = env
	}
	return unstructured.SetNestedSlice(object.Object, containers, path...)
}

// setEnv replaces or adds one variable.
func setEnv(env []any, variable map[string]any) []any {
	for i, entry := range env {
		if mapOf(entry)["name"] == variable["name"] {
			env[i] = variable
			return env
		}
	}
	return append(env, variable)
}

func mapOf(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// integers copies a decoded value with whole numbers as int64, which is what
// unstructured objects hold.
func integers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[key] = integers(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = integers(value)
		}
		return out
	case float64:
		if whole := int64(v); float64(whole) == v {
			return whole
		}
	}
	return v
}
