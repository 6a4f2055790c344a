package kube

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func onNode(instanceType string, gpus int64) container {
	p := pod("smoke", corev1.RestartPolicyNever, gpus)
	return container{
		pod: p, spec: p.Spec.Containers[0],
		node: &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{corev1.LabelInstanceTypeStable: instanceType}}},
	}
}

func TestRun(t *testing.T) {
	query := func(fields, format string) []string {
		return []string{"nvidia-smi", "--query-gpu=" + fields, "--format=" + format}
	}
	tests := []struct {
		name     string
		instance string
		gpus     int64
		command  []string
		want     string // a regular expression for all of the output; empty: the command is not known
	}{
		{"list", "p4de.24xlarge", 2, []string{"nvidia-smi", "-L"}, `GPU 0: NVIDIA A100-SXM4-80GB \(UUID: GPU-[-0-9a-f]{36}\)\nGPU 1: .*\n`},
		{"shell", "g5.xlarge", 1, []string{"sh", "-c", "nvidia-smi -L && echo done"}, `GPU 0: NVIDIA A10G \(UUID: .*\)\n`},
		{"path", "g5.xlarge", 1, []string{"/usr/bin/nvidia-smi", "-L"}, `GPU 0: NVIDIA A10G .*\n`},
		{"query", "p5.48xlarge", 1, query("name,memory.total", "csv,noheader"), `NVIDIA H100 80GB HBM3, 81559 MiB\n`},
		{"header", "g6.xlarge", 1, query("index,memory.total", "csv"), `index, memory.total \[MiB\]\n0, 23034 MiB\n`},
		{"no units", "g6.xlarge", 1, query("memory.total", "csv,noheader,nounits"), `23034\n`},
		{"one of two", "g6.12xlarge", 2, append(query("index", "csv,noheader"), "-i", "1"), `1\n`},
		{"unknown field", "g6.xlarge", 1, query("colour", "csv,noheader"), `Field "colour" is not a valid field to query.\n\n`},
		{"no GPU asked for", "p4d.24xlarge", 0, []string{"nvidia-smi"}, `No devices were found\n`},
		{"no GPU there", "m5.large", 1, []string{"nvidia-smi"}, `No devices were found\n`},
		{"other", "p4d.24xlarge", 1, []string{"python", "train.py"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, known := onNode(tt.instance, tt.gpus).run(tt.command, time.Now())
			if known != (tt.want != "") || !regexp.MustCompile("^(?:"+tt.want+")$").MatchString(got) {
				t.Errorf("got %v, %q", known, got)
			}
		})
	}
}

func TestVectorAdd(t *testing.T) {
	c := onNode("p4d.24xlarge", 1)
	c.spec.Image = "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0"
	if got, known := c.run(nil, time.Now()); !known || !strings.HasSuffix(got, "Test PASSED\nDone\n") {
		t.Errorf("with a GPU: %s", got)
	}
	c.spec.Resources.Limits = nil
	if got, _ := c.run(nil, time.Now()); strings.Contains(got, "PASSED") {
		t.Errorf("without: %s", got)
	}
}

// The table's frame must close on every line.
func TestTable(t *testing.T) {
	got, _ := onNode("p4d.24xlarge", 8).run([]string{"nvidia-smi"}, time.Now())
	rows := 0
	for _, line := range strings.Split(strings.TrimSpace(got), "\n")[1:] {
		if line == "" {
			continue
		}
		if n := utf8.RuneCountInString(line); n != 91 {
			t.Errorf("%d columns: %s", n, line)
		}
		if strings.Contains(line, "A100-SXM4-40GB") {
			rows++
		}
	}
	if rows != 8 {
		t.Errorf("%d GPUs in\n%s", rows, got)
	}
}

func TestLogOptions(t *testing.T) {
	written := time.Date(2026, 11, 24, 21, 0, 0, 0, time.UTC)
	tests := []struct{ query, want string }{
		{"", "a\nb\nc\n"},
		{"tailLines=2", "b\nc\n"},
		{"tailLines=0", ""},
		{"tailLines=9", "a\nb\nc\n"},
		{"limitBytes=3", "a\nb"},
		{"timestamps=true&tailLines=1", "2026-11-24T21:00:00Z c\n"},
	}
	for _, tt := range tests {
		query, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		o, err := parseLogOptions(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := o.apply("a\nb\nc\n", written); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.query, got, tt.want)
		}
	}
	for name, value := range map[string]string{"tailLines": "-1", "limitBytes": "x", "sinceTime": "today"} {
		if _, err := parseLogOptions(url.Values{name: {value}}); err == nil {
			t.Errorf("%s=%s: no error", name, value)
		}
	}
}

func TestDevicesAreDistinct(t *testing.T) {
	c := onNode("p4d.24xlarge", 0)
	c.spec.Resources.Limits = corev1.ResourceList{gpuResource: resource.MustParse("3")}
	seen := map[string]bool{}
	for _, g := range c.gpus() {
		seen[g.uuid], seen[g.bus] = true, true
	}
	if len(seen) != 6 {
		t.Errorf("devices are not distinct: %v", seen)
	}
}
