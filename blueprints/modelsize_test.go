package blueprints_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aicluster/blueprints"
)

func TestSizeOf(t *testing.T) {
	for _, test := range []struct {
		name           string
		files          map[string]int64
		total, weights int64
	}{
		{"safetensors", map[string]int64{"config.json": 1, "model-1.safetensors": 10, "model-2.safetensors": 20}, 31, 30},
		{"its maker's format in a folder below", map[string]int64{"model.safetensors": 10, "original/consolidated.00.pth": 10}, 20, 10},
		{"its maker's format beside it", map[string]int64{"model.safetensors": 10, "consolidated.safetensors": 10}, 20, 10},
		{"only its maker's format", map[string]int64{"consolidated.safetensors": 10, "params.json": 1}, 11, 10},
		{"both old and new", map[string]int64{"model.safetensors": 10, "pytorch_model.bin": 10}, 20, 10},
		{"an old one", map[string]int64{"pytorch_model.bin": 10}, 10, 10},
		{"no weights", map[string]int64{"README.md": 1}, 1, 0},
	} {
		if got := blueprints.SizeOf(test.files); got.Files != test.total || got.Weights != test.weights {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

// TestModelTooLarge: a folder's size is checked against the pool.
func TestModelTooLarge(t *testing.T) {
	const gib = 1 << 30
	for _, test := range []struct {
		name    string
		files   map[string]int64 // GiB
		service string           // fields beside name and model
		want    string           // message and hint; empty if it fits
	}{
		{"8B on one A10G", map[string]int64{"model.safetensors": 16}, "pool: g5", ""},
		{"70B on one A10G", map[string]int64{"model.safetensors": 131}, "pool: g5",
			`model "m" is too large for pool "g5": its weights have 131.0 GiB, and the one A10G of g5.12xlarge has 22.4 GiB | ` +
				"a node has 4 × A10G: choose a pool with more or larger GPUs, or a model with fewer bits a weight"},
		{"70B on two A100", map[string]int64{"model.safetensors": 131}, "pool: p4d, gpus: 2",
			`model "m" is too large for pool "p4d": its weights have 131.0 GiB, and the 2 A100 of p4d.24xlarge have 80.0 GiB together | ` +
				"write 'gpus: 8', or choose a pool with larger GPUs"},
		{"70B on eight A100", map[string]int64{"model.safetensors": 131}, "pool: p4d, gpus: 8", ""},
		{"70B made smaller", map[string]int64{"model.safetensors": 131}, "pool: p4d, gpus: 2, args: [--quantization=fp8]", ""},
		{"weights in two formats", map[string]int64{"model.safetensors": 16, "original/consolidated.00.pth": 16}, "pool: g5", ""},
		{"on a small disk", map[string]int64{"model.safetensors": 80, "original/consolidated.00.pth": 80}, "pool: disk, gpus: 4, load: copy",
			`model "m" is too large for pool "disk": its files have 160.0 GiB, and the disks of g5.12xlarge have room for 150.0 GiB beside images | ` +
				"write 'load: stream', which needs no disk, or choose a type with larger disks"},
		{"streamed past a small disk", map[string]int64{"model.safetensors": 80, "original/consolidated.00.pth": 80}, "pool: disk, gpus: 4, load: stream", ""},
		{"a folder that is not there", nil, "pool: g5", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, size := range test.files {
				sparse(t, filepath.Join(dir, "m", name), size*gib)
			}
			_, err := blueprints.Parse(filepath.Join(dir, "b.yaml"), fmt.Appendf(nil, `
apiVersion: aicluster/v1
kind: Blueprint
metadata: {name: test, region: us-west-2}
nodePools:
  - {name: system, instanceTypes: [c6i.xlarge], nodes: {min: 1, max: 1}}
  - {name: g5, instanceTypes: [g5.12xlarge], nodes: {min: 1, max: 1}}
  - {name: disk, instanceTypes: [g5.12xlarge], localStorage: none, nodes: {min: 1, max: 1}}
  - {name: p4d, instanceTypes: [p4d.24xlarge], nodes: {min: 1, max: 1}}
addons: {gpuOperator: {}}
models: {bucket: test-models-1, seed: [{name: m, from: m}]}
serving: [{name: a, model: m, %s}]
`, test.service))
			var problems blueprints.Problems
			got := ""
			if errors.As(err, &problems) {
				got = problems[0].Message + " | " + problems[0].Hint
			} else if err != nil {
				t.Fatal(err)
			}
			if got != test.want || len(problems) > 1 {
				t.Errorf("got  %s\nwant %s\nall %v", got, test.want, problems)
			}
		})
	}
}

// sparse makes a file of that size that takes no room.
func sparse(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

func TestEngineArgs(t *testing.T) {
	for arg, want := range map[string]string{
		"--max-model-len":           "--max-model-len",
		"--max_model_len=8192":      "--max-model-len",
		"--compilation-config.mode": "--compilation-config",
		"8192":                      "",
		"-q":                        "",
	} {
		if got := blueprints.EngineArg(arg); got != want {
			t.Errorf("%s: %q, want %q", arg, got, want)
		}
	}
	if !strings.HasPrefix(blueprints.VLLMImage, "vllm/vllm-openai:v") {
		t.Error(blueprints.VLLMImage)
	}
}
