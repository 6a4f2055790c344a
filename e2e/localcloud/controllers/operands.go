package controllers

import (
	"encoding/json"
	"fmt"
	"hash/fnv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// An operand is a DaemonSet that the GPU Operator keeps (NVIDIA/gpu-operator,
// assets/). Its pods have the label app=<name> and run on nodes with the label
// nvidia.com/gpu.deploy.<deploy>=true.
type operand struct {
	state     string // the operator's name for it, as conditions report it
	name      string
	section   string // of the ClusterPolicy; "" is always enabled
	deploy    string
	container string
	inits     []string
	requires  map[string]string // further node labels
}

// The operands' DaemonSets.
const (
	driverDaemonSet       = "nvidia-driver-daemonset"
	toolkitDaemonSet      = "nvidia-container-toolkit-daemonset"
	devicePluginDaemonSet = "nvidia-device-plugin-daemonset"
	gfdDaemonSet          = "gpu-feature-discovery"
	validatorDaemonSet    = "nvidia-operator-validator"
)

// Init containers that wait for what other operands do.
const (
	initDriver  = "driver-validation"
	initToolkit = "toolkit-validation"
	initCUDA    = "cuda-validation"
	initPlugin  = "plugin-validation"
)

// operands returns all operands for container workloads in the operator's order.
func operands() []operand {
	waitsForToolkit := []string{initToolkit}
	return []operand{
		{state: "state-driver", name: driverDaemonSet, section: "driver", deploy: "driver",
			container: "nvidia-driver-ctr", inits: []string{"k8s-driver-manager"}},
		{state: "state-container-toolkit", name: toolkitDaemonSet, section: "toolkit", deploy: "container-toolkit",
			container: "nvidia-container-toolkit-ctr", inits: []string{initDriver}},
		{state: "state-operator-validation", name: validatorDaemonSet, deploy: "operator-validator",
			container: "nvidia-operator-validator", inits: []string{initDriver, initToolkit, initCUDA, initPlugin}},
		{state: "state-device-plugin", name: devicePluginDaemonSet, section: "devicePlugin", deploy: "device-plugin",
			container: "nvidia-device-plugin", inits: waitsForToolkit},
		{state: "state-mps-control-daemon", name: "nvidia-device-plugin-mps-control-daemon", section: "devicePlugin", deploy: "device-plugin",
			container: "mps-control-daemon-ctr", inits: waitsForToolkit, requires: map[string]string{"nvidia.com/mps.capable": "true"}},
		{state: "state-dcgm", name: "nvidia-dcgm", section: "dcgm", deploy: "dcgm",
			container: "nvidia-dcgm-ctr", inits: waitsForToolkit},
		{state: "state-dcgm-exporter", name: "nvidia-dcgm-exporter", section: "dcgmExporter", deploy: "dcgm-exporter",
			container: "nvidia-dcgm-exporter", inits: waitsForToolkit},
		{state: "gpu-feature-discovery", name: gfdDaemonSet, section: "gfd", deploy: "gpu-feature-discovery",
			container: "gpu-feature-discovery", inits: waitsForToolkit},
		{state: "state-mig-manager", name: "nvidia-mig-manager", section: "migManager", deploy: "mig-manager",
			container: "nvidia-mig-manager", inits: waitsForToolkit},
		{state: "state-node-status-exporter", name: "nvidia-node-status-exporter", section: "nodeStatusExporter", deploy: "node-status-exporter",
			container: "nvidia-node-status-exporter"},
	}
}

// enabled reports whether the policy wants the operand. Absent means enabled, as
// the operator's IsEnabled methods have it, but for dcgm and the status exporter.
func (o operand) enabled(policy *unstructured.Unstructured) bool {
	if o.section == "" {
		return true
	}
	on, found, _ := unstructured.NestedBool(policy.Object, "spec", o.section, "enabled")
	if !found {
		return o.section != "nodeStatusExporter"
	}
	return on
}

// appliedHash is the annotation by which the operator knows its own last version of a DaemonSet.
const appliedHash = "nvidia.com/last-applied-hash"

// daemonSet builds the operand's DaemonSet from the policy.
func (o operand) daemonSet(policy *unstructured.Unstructured, namespace string) (*appsv1.DaemonSet, error) {
	var common struct {
		Labels            map[string]string   `json:"labels"`
		Annotations       map[string]string   `json:"annotations"`
		PriorityClassName string              `json:"priorityClassName"`
		Tolerations       []corev1.Toleration `json:"tolerations"`
		UpdateStrategy    string              `json:"updateStrategy"`
		RollingUpdate     struct {
			MaxUnavailable string `json:"maxUnavailable"`
		} `json:"rollingUpdate"`
	}
	if err := section(policy, "daemonsets", &common); err != nil {
		return nil, err
	}
	// Without tolerations of the user's, the built-in manifests' one stays.
	if len(common.Tolerations) == 0 {
		common.Tolerations = []corev1.Toleration{{Key: string(gpuResource), Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}}
	}
	own, err := image(policy, o.section)
	if err != nil {
		return nil, err
	}
	validator, err := image(policy, "validator")
	if err != nil {
		return nil, err
	}

	labels := map[string]string{"app": o.name, "app.kubernetes.io/part-of": "gpu-operator"}
	podLabels := map[string]string{}
	for _, set := range []map[string]string{common.Labels, labels} {
		for key, value := range set {
			podLabels[key] = value
		}
	}
	selector := map[string]string{deployLabel + o.deploy: "true"}
	for key, value := range o.requires {
		selector[key] = value
	}
	spec := corev1.PodSpec{
		NodeSelector:       selector,
		Tolerations:        common.Tolerations,
		PriorityClassName:  common.PriorityClassName,
		ServiceAccountName: "default",
		Containers:         []corev1.Container{{Name: o.container, Image: own}},
	}
	for _, name := range o.inits {
		spec.InitContainers = append(spec.InitContainers, corev1.Container{Name: name, Image: validator})
	}
	ds := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: o.name, Namespace: namespace, Labels: podLabels, Annotations: map[string]string{},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(policy, policyKind)},
		},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": o.name}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: podLabels, Annotations: common.Annotations},
				Spec:       spec,
			},
			UpdateStrategy: updateStrategy(o, common.UpdateStrategy, common.RollingUpdate.MaxUnavailable),
		},
	}
	ds.Annotations[appliedHash], err = hash(ds.Spec)
	return ds, err
}

// updateStrategy is RollingUpdate or what the policy says; the driver's is always
// OnDelete, to disrupt nobody.
func updateStrategy(o operand, kind, maxUnavailable string) appsv1.DaemonSetUpdateStrategy {
	if o.name == driverDaemonSet || kind == string(appsv1.OnDeleteDaemonSetStrategyType) {
		return appsv1.DaemonSetUpdateStrategy{Type: appsv1.OnDeleteDaemonSetStrategyType}
	}
	rolling := appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType}
	if maxUnavailable != "" {
		value := intstr.Parse(maxUnavailable)
		rolling.RollingUpdate = &appsv1.RollingUpdateDaemonSet{MaxUnavailable: &value}
	}
	return rolling
}

// image is repository/image:version of a section of the policy.
func image(policy *unstructured.Unstructured, name string) (string, error) {
	if name == "" {
		name = "validator"
	}
	var spec struct{ Repository, Image, Version string }
	if err := section(policy, name, &spec); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s/%s:%s", spec.Repository, spec.Image, spec.Version), nil
}

// section decodes spec.<name> of the policy into v.
func section(policy *unstructured.Unstructured, name string, v any) error {
	raw, _, err := unstructured.NestedFieldNoCopy(policy.Object, "spec", name)
	if err != nil {
		return err
	}
	content, err := json.Marshal(raw)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, v); err != nil {
		return fmt.Errorf("spec.%s: %w", name, err)
	}
	return nil
}

func hash(v any) (string, error) {
	content, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	sum := fnv.New32a()
	sum.Write(content)
	return fmt.Sprint(sum.Sum32()), nil
}
