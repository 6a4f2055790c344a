package controllers

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestOperatorLabels(t *testing.T) {
	for name, test := range map[string]struct {
		labels, want map[string]string // want "": not there
	}{
		"no NFD labels, no labels": {
			map[string]string{"a": "b"}, map[string]string{"a": "b", gpuPresent: "", deployLabel + "driver": ""}},
		"a GPU": {
			map[string]string{nfdGPU: "true"},
			map[string]string{gpuPresent: "true", deployLabel + "device-plugin": "true", deployLabel + "driver": "true", migManagerLabel: ""}},
		"by display class": {
			map[string]string{nfdPrefix + "pci-0302_10de.present": "true"}, map[string]string{gpuPresent: "true"}},
		"MIG manager only for what can": {
			map[string]string{nfdGPU: "true", productLabel: "NVIDIA-A100-SXM4-40GB"}, map[string]string{migManagerLabel: "true"}},
		"operands refused": {
			map[string]string{nfdGPU: "true", operandsLabel: "false", deployLabel + "driver": "true"},
			map[string]string{gpuPresent: "true", deployLabel + "driver": "", deployLabel + "device-plugin": ""}},
		"another value is honoured": {
			map[string]string{nfdGPU: "true", deployLabel + "driver": "pre-installed"}, map[string]string{deployLabel + "driver": "pre-installed"}},
		"GPUs taken out": {
			map[string]string{gpuPresent: "true", deployLabel + "driver": "true"},
			map[string]string{gpuPresent: "false", deployLabel + "driver": ""}},
	} {
		got := operatorLabels(test.labels)
		for key, want := range test.want {
			if got[key] != want {
				t.Errorf("%s: %s=%q, want %q", name, key, got[key], want)
			}
		}
	}
}

func TestGFDLabels(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{corev1.LabelInstanceTypeStable: "p4d.24xlarge"}}}
	got := gfdLabels(node, Facts{GPUProduct: "NVIDIA-A100-SXM4-40GB", GPUs: 8, GPUMemoryMiB: 40960, Healthy: 7})
	for key, want := range map[string]string{
		productLabel: "NVIDIA-A100-SXM4-40GB", "nvidia.com/gpu.count": "8", "nvidia.com/gpu.memory": "40960",
		"nvidia.com/gpu.family": "ampere", "nvidia.com/gpu.compute.major": "8", "nvidia.com/gpu.machine": "p4d.24xlarge",
		"nvidia.com/mig.capable": "true",
	} {
		if got[key] != want {
			t.Errorf("%s=%q, want %q", key, got[key], want)
		}
	}
	if l40s := gfdLabels(node, Facts{GPUProduct: "NVIDIA-L40S", GPUs: 1}); l40s["nvidia.com/gpu.family"] != "ada-lovelace" || l40s["nvidia.com/mig.capable"] != "false" {
		t.Errorf("L40S: %v", l40s)
	}
}
