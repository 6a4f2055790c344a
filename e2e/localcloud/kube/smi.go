package kube

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	gpuResource = "nvidia.com/gpu"
	// The driver of EKS's AL2023 NVIDIA images in July 2026.
	driverVersion = "580.159.03"
	cudaVersion   = "13.0"
)

// gpu is one device as nvidia-smi shows it.
type gpu struct {
	index     int
	name      string
	uuid, bus string
	memoryMiB int
	watts     int // power limit
}

// model is what nvidia-smi knows of a kind of GPU.
type model struct {
	name      string
	memoryMiB int
	watts     int
}

// modelOf returns the GPUs of an EC2 instance type's family.
func modelOf(instanceType string) (model, bool) {
	family, _, _ := strings.Cut(instanceType, ".")
	m, ok := map[string]model{
		"p3":      {"Tesla V100-SXM2-16GB", 16384, 300},
		"p3dn":    {"Tesla V100-SXM2-32GB", 32768, 300},
		"p4d":     {"NVIDIA A100-SXM4-40GB", 40960, 400},
		"p4de":    {"NVIDIA A100-SXM4-80GB", 81920, 400},
		"p5":      {"NVIDIA H100 80GB HBM3", 81559, 700},
		"p5e":     {"NVIDIA H200", 143771, 700},
		"p5en":    {"NVIDIA H200", 143771, 700},
		"p6-b200": {"NVIDIA B200", 183359, 1000},
		"g4dn":    {"Tesla T4", 15360, 70},
		"g5":      {"NVIDIA A10G", 23028, 300},
		"g6":      {"NVIDIA L4", 23034, 72},
		"g6e":     {"NVIDIA L40S", 46068, 350},
	}[family]
	return m, ok
}

// gpus are the devices that the device plugin gave to the container: as many as
// it asked for, of its node's kind.
func (c container) gpus() []gpu {
	quantity := c.spec.Resources.Limits[gpuResource]
	if c.node == nil || quantity.IsZero() {
		return nil
	}
	m, ok := modelOf(c.node.Labels[corev1.LabelInstanceTypeStable])
	if !ok {
		return nil
	}
	out := make([]gpu, quantity.Value())
	for i := range out {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", c.node.Name, c.pod.UID, i))
		out[i] = gpu{
			index:     i,
			name:      m.name,
			uuid:      fmt.Sprintf("GPU-%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]),
			bus:       fmt.Sprintf("00000000:%02X:%02X.0", 0x10+i/2*0x10, 0x1C+i%2),
			memoryMiB: m.memoryMiB,
			watts:     m.watts,
		}
	}
	return out
}

// run is what a command line writes in the container, and whether it is one that
// is known: nvidia-smi, also within a shell's command, and the CUDA samples'
// vectorAdd, which is its image's entrypoint. All else writes nothing.
func (c container) run(command []string, now time.Time) (string, bool) {
	if len(command) == 0 && strings.Contains(c.spec.Image, "cuda-sample") && strings.Contains(c.spec.Image, "vectoradd") {
		return vectorAdd(c.gpus()), true
	}
	words := strings.Fields(strings.NewReplacer(";", " ; ", "&&", " ; ", "||", " ; ", "|", " ; ", "'", "", `"`, "").Replace(strings.Join(command, " ")))
	var out strings.Builder
	known := false
	for i, word := range words {
		if word != "nvidia-smi" && !strings.HasSuffix(word, "/nvidia-smi") {
			continue
		}
		known = true
		args := words[i+1:]
		for j, arg := range args {
			if arg == ";" {
				args = args[:j]
				break
			}
		}
		out.WriteString(nvidiaSMI(c.gpus(), args, now))
	}
	return out.String(), known
}

func vectorAdd(gpus []gpu) string {
	const begin = "[Vector addition of 50000 elements]\n"
	if len(gpus) == 0 {
		return begin + "Failed to allocate device vector A (error code no CUDA-capable device is detected)!\n"
	}
	return begin + `Copy input data from the host memory to the CUDA device
CUDA kernel launch with 196 blocks of 256 threads
Copy output data from the CUDA device to the host memory
Test PASSED
Done
`
}

// nvidiaSMI is nvidia-smi's output without arguments, with -L and with --query-gpu.
func nvidiaSMI(gpus []gpu, args []string, now time.Time) string {
	if len(gpus) == 0 {
		return "No devices were found\n"
	}
	var query string
	format := ""
	for i, arg := range args {
		switch key, value, _ := strings.Cut(arg, "="); key {
		case "-L", "--list-gpus":
			return list(gpus)
		case "--query-gpu":
			query = value
		case "--format":
			format = value
		case "-i", "--id":
			if value == "" && i+1 < len(args) {
				value = args[i+1]
			}
			if n, err := strconv.Atoi(value); err == nil && n >= 0 && n < len(gpus) {
				gpus = gpus[n : n+1]
			}
		}
	}
	if query != "" {
		return queryGPU(gpus, strings.Split(query, ","), format)
	}
	return table(gpus, now)
}

func list(gpus []gpu) string {
	var b strings.Builder
	for _, g := range gpus {
		fmt.Fprintf(&b, "GPU %d: %s (UUID: %s)\n", g.index, g.name, g.uuid)
	}
	return b.String()
}

// queryGPU is the CSV that --query-gpu gives. A field that nvidia-smi does not
// know ends it with nvidia-smi's words.
func queryGPU(gpus []gpu, fields []string, format string) string {
	var b strings.Builder
	header, units := true, true
	for option := range strings.SplitSeq(format, ",") {
		header = header && option != "noheader"
		units = units && option != "nounits"
	}
	unit := func(u string) string {
		if units && u != "" {
			return " " + u
		}
		return ""
	}
	if header {
		for i, f := range fields {
			_, u, _ := gpus[0].field(f)
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(f)
			if u != "" && units {
				fmt.Fprintf(&b, " [%s]", u)
			}
		}
		b.WriteString("\n")
	}
	for _, g := range gpus {
		var row []string
		for _, f := range fields {
			v, u, ok := g.field(f)
			if !ok {
				return fmt.Sprintf("Field %q is not a valid field to query.\n\n", f)
			}
			row = append(row, v+unit(u))
		}
		b.WriteString(strings.Join(row, ", ") + "\n")
	}
	return b.String()
}

// field is one of --query-gpu's properties, with its unit.
func (g gpu) field(name string) (value, unit string, ok bool) {
	switch name {
	case "index":
		return strconv.Itoa(g.index), "", true
	case "name", "gpu_name":
		return g.name, "", true
	case "uuid", "gpu_uuid":
		return g.uuid, "", true
	case "pci.bus_id", "gpu_bus_id":
		return g.bus, "", true
	case "driver_version":
		return driverVersion, "", true
	case "memory.total":
		return strconv.Itoa(g.memoryMiB), "MiB", true
	case "memory.used":
		return "0", "MiB", true
	case "memory.free":
		return strconv.Itoa(g.memoryMiB), "MiB", true
	case "utilization.gpu", "utilization.memory":
		return "0", "%", true
	case "temperature.gpu":
		return "31", "", true
	case "power.limit":
		return fmt.Sprintf("%d.00", g.watts), "W", true
	case "mig.mode.current":
		return "Disabled", "", true
	case "ecc.errors.uncorrected.volatile.total", "ecc.errors.corrected.volatile.total":
		return "0", "", true
	case "count":
		return "1", "", true
	}
	return "", "", false
}

// table is nvidia-smi's summary.
func table(gpus []gpu, now time.Time) string {
	var b strings.Builder
	line := func(s string) { b.WriteString(s + "\n") }
	line(now.UTC().Format(time.ANSIC))
	line("+-----------------------------------------------------------------------------------------+")
	line(fmt.Sprintf("| NVIDIA-SMI %-22s Driver Version: %-14s CUDA Version: %-8s |", driverVersion, driverVersion, cudaVersion))
	line("+-----------------------------------------+------------------------+----------------------+")
	line("| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |")
	line("| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |")
	line("|                                         |                        |               MIG M. |")
	line("|=========================================+========================+======================|")
	for _, g := range gpus {
		line(fmt.Sprintf("| %3d  %-30.30s On  |   %16s Off |                    0 |", g.index, g.name, g.bus))
		power := fmt.Sprintf("%dW / %5s", g.watts/8, fmt.Sprintf("%dW", g.watts))
		memory := fmt.Sprintf("0MiB / %9s", fmt.Sprintf("%dMiB", g.memoryMiB))
		line(fmt.Sprintf("| N/A   31C    P0  %22s | %22s |      0%%      Default |", power, memory))
		line("|                                         |                        |             Disabled |")
		line("+-----------------------------------------+------------------------+----------------------+")
	}
	line("")
	line("+-----------------------------------------------------------------------------------------+")
	line("| Processes:                                                                              |")
	line("|  GPU   GI   CI              PID   Type   Process name                        GPU Memory |")
	line("|        ID   ID                                                               Usage      |")
	line("|=========================================================================================|")
	line("|  No running processes found                                                             |")
	line("+-----------------------------------------------------------------------------------------+")
	return b.String()
}
