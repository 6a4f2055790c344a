package instancetypes_test

import (
	"reflect"
	"strings"
	"testing"

	"aicluster/blueprints/instancetypes"
)

func TestLookup(t *testing.T) {
	got, ok := instancetypes.Lookup("p4d.24xlarge")
	want := instancetypes.Info{
		Name: "p4d.24xlarge", Arch: instancetypes.X86, VCPUs: 96, MemoryMiB: 1179648,
		GPUs: 8, GPUName: "A100", GPUMemoryMiB: 40960, NVMeGB: []int{1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000},
		EFA: 4, Accelerator: "nvidia-tesla-a100", OnDemandUSD: 21.957642,
	}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if got.NVMeTotalGB() != 8000 {
		t.Errorf("%d GB of NVMe", got.NVMeTotalGB())
	}
}

// TestTable: every line of the table is whole, and the GPU types that
// blueprints are likely to name are right where it costs most.
func TestTable(t *testing.T) {
	for _, name := range instancetypes.All() {
		i, _ := instancetypes.Lookup(name)
		if i.VCPUs == 0 || i.MemoryMiB == 0 || i.Arch == "" || !strings.Contains(name, ".") || (i.GPUs > 0) != (i.GPUMemoryMiB > 0) || (i.GPUs > 0) != (i.Accelerator != "") {
			t.Errorf("%+v", i)
		}
	}
	for name, want := range map[string]struct {
		gpus        int
		accelerator string
		usd         float64
	}{
		"c6i.xlarge":    {0, "", 0.17},
		"m6i.large":     {0, "", 0.096},
		"g4dn.xlarge":   {1, "nvidia-tesla-t4", 0.526},
		"g5.xlarge":     {1, "nvidia-a10g", 1.006},
		"g5.48xlarge":   {8, "nvidia-a10g", 16.288},
		"g6.xlarge":     {1, "nvidia-l4", 0.8048},
		"g6e.12xlarge":  {4, "nvidia-l40s", 10.49264},
		"p4de.24xlarge": {8, "nvidia-tesla-a100", 27.44705},
		"p5.48xlarge":   {8, "nvidia-h100", 55.04},
		"p5e.48xlarge":  {8, "nvidia-h200", 0},
		"p5en.48xlarge": {8, "nvidia-h200", 63.296},
	} {
		i, ok := instancetypes.Lookup(name)
		if !ok || i.GPUs != want.gpus || i.Accelerator != want.accelerator || i.OnDemandUSD != want.usd {
			t.Errorf("%s: %+v", name, i)
		}
	}
}

func TestKnownAndUnusable(t *testing.T) {
	for name, want := range map[string]struct {
		known, usable bool
	}{
		"c6i.xlarge":         {true, true},
		"i3.metal":           {true, true}, // no facts, but EC2's
		"c7g.large":          {true, false},
		"g5g.xlarge":         {true, false},
		"trn1.32xlarge":      {true, false},
		"mac2.metal":         {true, false},
		"p6e-gb200.36xlarge": {true, false},
		"p2.xlarge":          {true, false},
		"p4d.24xl":           {false, true},
		"":                   {false, true},
	} {
		known, usable := instancetypes.Known(name), instancetypes.Unusable(name) == ""
		if known != want.known || usable != want.usable {
			t.Errorf("%s: known %v, usable %v", name, known, usable)
		}
	}
}

func TestSuggest(t *testing.T) {
	for name, want := range map[string]string{
		"p4d.24xl":      "p4d.24xlarge",
		"P4D.24XLARGE":  "p4d.24xlarge",
		"g5.xlrage":     "g5.xlarge",
		"p4d24xlarge":   "p4d.24xlarge",
		"quantum.large": "",
		"":              "",
	} {
		if got := instancetypes.Suggest(name); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", name, got, want)
		}
	}
}
