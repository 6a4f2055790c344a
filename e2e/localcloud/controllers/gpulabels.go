package controllers

import (
	"maps"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

const gpuResource corev1.ResourceName = "nvidia.com/gpu"

// Labels of NVIDIA/gpu-operator controllers/state_manager.go.
const (
	gpuPresent      = "nvidia.com/gpu.present"
	deployLabel     = "nvidia.com/gpu.deploy."
	operandsLabel   = deployLabel + "operands"
	migManagerLabel = deployLabel + "mig-manager"
	productLabel    = "nvidia.com/gpu.product"
	nfdPrefix       = "feature.node.kubernetes.io/"
	nfdGPU          = nfdPrefix + "pci-10de.present"
)

// deployed are the operands that a GPU node for container workloads gets a label for.
func deployed() []string {
	return []string{"driver", "gpu-feature-discovery", "container-toolkit", "device-plugin", "dcgm",
		"dcgm-exporter", "node-status-exporter", "operator-validator", "client"}
}

// operatorLabels returns a node's labels as the GPU Operator's node labelling
// wants them. It may be that nothing changes.
func operatorLabels(labels map[string]string) map[string]string {
	want := maps.Clone(labels)
	gpu := false
	for _, key := range []string{nfdGPU, nfdPrefix + "pci-0302_10de.present", nfdPrefix + "pci-0300_10de.present"} {
		gpu = gpu || labels[key] == "true"
	}
	if !gpu {
		if labels[gpuPresent] == "true" { // its GPUs were taken out
			want[gpuPresent] = "false"
			removeDeployLabels(want)
		}
		return want
	}
	want[gpuPresent] = "true"
	if labels[operandsLabel] == "false" { // the user wants no operands here
		removeDeployLabels(want)
		return want
	}
	for _, name := range deployed() {
		if want[deployLabel+name] == "" { // another value is honoured
			want[deployLabel+name] = "true"
		}
	}
	if _, ok := want[migManagerLabel]; !ok && migCapable(labels) {
		want[migManagerLabel] = "true"
	}
	return want
}

func removeDeployLabels(labels map[string]string) {
	for _, name := range deployed() {
		delete(labels, deployLabel+name)
	}
	delete(labels, migManagerLabel)
}

func migCapable(labels map[string]string) bool {
	if capable, ok := labels["nvidia.com/mig.capable"]; ok {
		return capable == "true"
	}
	product := strings.ToLower(labels[productLabel])
	return strings.Contains(product, "h100") || strings.Contains(product, "a100") || strings.Contains(product, "a30")
}

// nfdLabels are the labels of an NFD worker with the GPU Operator's
// configuration (PCI devices of network and display classes, label by vendor).
// 1d0f is Amazon: the ENA and EFA devices of every instance.
func nfdLabels(node *corev1.Node, facts Facts) map[string]string {
	labels := map[string]string{
		nfdPrefix + "pci-1d0f.present":    "true",
		nfdPrefix + "kernel-version.full": node.Status.NodeInfo.KernelVersion,
		nfdPrefix + "system-os_release.ID": strings.ToLower(
			strings.SplitN(node.Status.NodeInfo.OSImage+" ", " ", 2)[0]),
	}
	if isAmazonLinux(node) {
		labels[nfdPrefix+"system-os_release.ID"] = "amzn"
		labels[nfdPrefix+"system-os_release.VERSION_ID"] = "2023"
	}
	if facts.GPUs > 0 {
		labels[nfdGPU] = "true"
	}
	return labels
}

func isAmazonLinux(node *corev1.Node) bool {
	return strings.HasPrefix(node.Status.NodeInfo.OSImage, "Amazon Linux")
}

// family is a GPU architecture with its CUDA compute capability.
type family struct {
	name         string
	major, minor string
	mig          bool
}

// families knows products by a part of their name, longest first where one holds another.
func families() []struct {
	part string
	family
} {
	return []struct {
		part string
		family
	}{
		{"A100", family{"ampere", "8", "0", true}},
		{"A10G", family{"ampere", "8", "6", false}},
		{"H100", family{"hopper", "9", "0", true}},
		{"H200", family{"hopper", "9", "0", true}},
		{"B200", family{"blackwell", "10", "0", true}},
		{"B300", family{"blackwell", "10", "3", true}},
		{"L40S", family{"ada-lovelace", "8", "9", false}},
		{"L4", family{"ada-lovelace", "8", "9", false}},
		{"T4", family{"turing", "7", "5", false}},
		{"V100", family{"volta", "7", "0", false}},
	}
}

// Driver and CUDA of the EKS AL2023 NVIDIA AMI (580 branch).
const (
	driverMajor, driverMinor, driverRev = "580", "159", "03"
	cudaMajor, cudaMinor                = "13", "0"
)

// gfdLabels are the labels of GPU feature discovery (NVIDIA/k8s-device-plugin
// docs/gpu-feature-discovery) with the MIG strategy single and no MIG devices.
func gfdLabels(node *corev1.Node, facts Facts) map[string]string {
	labels := map[string]string{
		"nvidia.com/cuda.driver.major":         driverMajor,
		"nvidia.com/cuda.driver.minor":         driverMinor,
		"nvidia.com/cuda.driver.rev":           driverRev,
		"nvidia.com/cuda.driver-version.full":  driverMajor + "." + driverMinor + "." + driverRev,
		"nvidia.com/cuda.driver-version.major": driverMajor,
		"nvidia.com/cuda.driver-version.minor": driverMinor,
		"nvidia.com/cuda.runtime.major":        cudaMajor,
		"nvidia.com/cuda.runtime.minor":        cudaMinor,
		"nvidia.com/gpu.count":                 strconv.Itoa(facts.GPUs),
		"nvidia.com/gpu.memory":                strconv.Itoa(facts.GPUMemoryMiB),
		productLabel:                           facts.GPUProduct,
		"nvidia.com/gpu.machine":               node.Labels[corev1.LabelInstanceTypeStable],
		"nvidia.com/gpu.mode":                  "compute",
		"nvidia.com/gpu.replicas":              "1",
		"nvidia.com/gpu.sharing-strategy":      "none",
		"nvidia.com/mps.capable":               "false",
		"nvidia.com/vgpu.present":              "false",
		"nvidia.com/mig.strategy":              "single",
		"nvidia.com/mig.capable":               "false",
	}
	for _, f := range families() {
		if strings.Contains(facts.GPUProduct, f.part) {
			labels["nvidia.com/gpu.family"] = f.name
			labels["nvidia.com/gpu.compute.major"] = f.major
			labels["nvidia.com/gpu.compute.minor"] = f.minor
			labels["nvidia.com/mig.capable"] = strconv.FormatBool(f.mig)
			break
		}
	}
	return labels
}
