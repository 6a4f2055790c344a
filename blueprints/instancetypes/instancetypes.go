// Package instancetypes knows EC2's instance types offline: size, GPUs, local
// disks, EFA interfaces and the on-demand price, so that a blueprint can be
// checked and priced without an AWS account.
//
// The facts are those of us-east-1 on the dates in the first line of table.csv.
// They are for checks and estimates; what a region offers today is EC2's to say
// (DescribeInstanceTypeOfferings).
package instancetypes

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/agext/levenshtein"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

//go:generate go run generate.go -types instance_types.json.gz -prices zz_generated.pricing_aws.go -sources "see the current first line"

// PriceDate is the day of the prices in [Info.OnDemandUSD].
const PriceDate = "2026-07-06"

// The architectures of [Info.Arch].
const (
	X86 = "x86_64"
	ARM = "arm64"
)

// Info is what is known of one instance type.
type Info struct {
	Name         string
	Arch         string // X86, ARM or a Mac's
	VCPUs        int
	MemoryMiB    int
	GPUs         int    // as the device plugin will report them; NVIDIA's only
	GPUName      string // EC2's name: "A100"
	GPUMemoryMiB int    // of each GPU
	NVMeGB       []int  // local NVMe disks
	EFA          int    // EFA interfaces
	// Accelerator is the value of the node label k8s.amazonaws.com/accelerator,
	// from which the cluster autoscaler knows GPU nodes; empty without GPUs.
	Accelerator string
	// OtherAccelerator names an accelerator that is not an NVIDIA GPU: "AWS Neuron".
	OtherAccelerator string
	// OnDemandUSD is the price of an hour of Linux in us-east-1 on [PriceDate];
	// 0 when the type is not sold on demand or has no public price.
	OnDemandUSD float64
}

// NVMeTotalGB is the size of all local NVMe disks together.
func (i Info) NVMeTotalGB() int {
	total := 0
	for _, gb := range i.NVMeGB {
		total += gb
	}
	return total
}

// Lookup returns the facts about an instance type. Some types that [Known]
// knows have none, being retired or in few regions.
func Lookup(name string) (Info, bool) {
	info, ok := table().facts[name]
	return info, ok
}

// Known reports whether EC2 has, or had, a type of this name.
func Known(name string) bool {
	_, ok := table().facts[name]
	return ok || slices.Contains(ec2types.InstanceType("").Values(), ec2types.InstanceType(name))
}

// All lists the types that have facts, sorted by name.
func All() []string { return table().names }

// maxName is far above the longest name (u7inh-32tb.480xlarge).
const maxName = 40

// Suggest returns the known type that is spelled most like name, or "". Types
// that aicluster cannot use are not suggested.
func Suggest(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if len(name) > maxName {
		return ""
	}
	best, score := "", 0.75
	for _, candidate := range table().names {
		s := levenshtein.Match(name, candidate, nil)
		if len(name) > len("p5.2x") && strings.HasPrefix(candidate, name) {
			s = 1 // cut short: p4d.24xl
		}
		if s > score && Unusable(candidate) == "" {
			best, score = candidate, s
		}
	}
	return best
}

// Unusable says why a known type cannot be a node of a cluster made here, in
// words that follow the type's name; "" if it can.
func Unusable(name string) string {
	info, ok := Lookup(name)
	switch {
	case !ok && hasUnknownAccelerator(name):
		return "has GPUs or accelerators that aicluster has no facts about"
	case !ok, info.Arch == X86 && info.OtherAccelerator == "":
		return ""
	case info.Arch == ARM:
		return "is an arm64 type; nodes here run x86_64 images"
	case info.Arch != X86:
		return "is a Mac; EKS has no such nodes"
	}
	return "has an accelerator that is not an NVIDIA GPU (" + info.OtherAccelerator + ")"
}

// hasUnknownAccelerator is about types without facts: the retired GPU families,
// Gaudi and FPGAs. Their count of GPUs would be taken for none.
func hasUnknownAccelerator(name string) bool {
	for _, prefix := range []string{"cg1.", "dl1.", "f1.", "g2.", "g3.", "g3s.", "g4ad.", "p2.", "p6e-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

//go:embed table.csv
var tableCSV string

type facts struct {
	facts map[string]Info
	names []string
}

// table is table.csv, parsed when it is first asked for. The tests parse it too,
// so a malformed line cannot ship.
var table = sync.OnceValue(func() facts {
	t := facts{facts: map[string]Info{}}
	for line := range strings.Lines(tableCSV) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSpace(line), ",")
		info := Info{
			Name: f[0], Arch: f[1], VCPUs: number(f[2]), MemoryMiB: number(f[3]),
			GPUs: number(f[4]), GPUName: f[5], GPUMemoryMiB: number(f[6]), NVMeGB: disks(f[7]),
			EFA: number(f[8]), OtherAccelerator: f[9], Accelerator: accelerator(f[5]),
		}
		info.OnDemandUSD, _ = strconv.ParseFloat(f[10], 64) // empty: no price
		t.facts[info.Name] = info
		t.names = append(t.names, info.Name)
	}
	return t
})

func number(s string) int { n, _ := strconv.Atoi(s); return n }

// disks reads "8x1000".
func disks(s string) []int {
	count, size, ok := strings.Cut(s, "x")
	if !ok {
		return nil
	}
	return slices.Repeat([]int{number(size)}, number(count))
}

// accelerator is the label value for a GPU. The cluster autoscaler lists those
// it knows in cloudprovider/aws/aws_cloud_provider.go (availableGPUTypes), the
// Tesla line with "tesla" in it; newer ones follow the same form without.
func accelerator(gpu string) string {
	switch gpu {
	case "":
		return ""
	case "V100", "T4", "A100":
		return "nvidia-tesla-" + strings.ToLower(gpu)
	}
	return "nvidia-" + strings.ReplaceAll(strings.ToLower(gpu), " ", "-")
}
