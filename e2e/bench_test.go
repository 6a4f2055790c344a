package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"aicluster/e2e/localcloud/clock"
)

// criticalPath is the shortest time in which the seed's cluster can be up and
// proven, by the local cloud's own durations: the longest chain of things of
// which none can start before the one before it has ended, whoever asks for
// them. The product's clock has no part in it.
//
//	role usable -> control plane -> node group made -> instance boots -> vpc-cni runs: nodes are ready, then
//	  GPUs:    operator runs -> device plugin runs -> GPUs offered -> smoke pod starts -> ends
//	  ingress: hook job -> controller runs -> hook job
//	  EKS:     node group is reported active
//
// A load balancer has a host name as soon as it is asked for, so its own two
// minutes hold up nobody.
func criticalPath(c *clock.Clock) time.Duration {
	sum := func(steps ...clock.Step) (d time.Duration) {
		for _, s := range steps {
			d += c.Duration(s)
		}
		return d
	}
	nodesReady := sum(clock.IAMPropagation, clock.ClusterCreate, clock.NodegroupCreate, clock.InstanceBoot, clock.PodStart)
	return nodesReady + max(
		sum(clock.PodStart, clock.PodStart, clock.GPUOperand, clock.PodStart, clock.PodRun),
		sum(clock.PodStart, clock.PodRun, clock.PodStart, clock.PodStart, clock.PodRun),
		sum(clock.NodegroupActive),
	)
}

// BenchmarkUp brings the seed's cluster up and reports the wall time as a ratio
// to the critical path of the simulated durations, and what it took in calls
// and memory.
func BenchmarkUp(b *testing.B) {
	for _, speed := range []float64{10, 60} {
		b.Run(fmt.Sprintf("speed=%g", speed), func(b *testing.B) {
			for range b.N {
				up, again := seedRun(b, fmt.Sprint(speed), "")
				path := criticalPath(clock.New(speed))
				b.ReportMetric(up.wall.Seconds()/path.Seconds(), "x-critical-path")
				b.ReportMetric(path.Seconds(), "s-critical-path")
				b.ReportMetric(up.wall.Seconds(), "s-up")
				b.ReportMetric(up.peakMiB, "MiB-peak")
				b.ReportMetric(float64(up.summary.Changed), "mutating-calls")
				b.ReportMetric(float64(up.summary.Read), "reading-calls")
				b.ReportMetric(float64(again.summary.Changed), "mutating-calls-2nd-up")
				b.ReportMetric(float64(again.summary.Read), "reading-calls-2nd-up")
				b.ReportMetric(again.wall.Seconds(), "s-2nd-up")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// oneService is added to the seed's blueprint.
const oneService = `
serving:
  - {name: llama, model: Llama-3.1-8B-Instruct, pool: gpu-a100, host: ai-api.example.com}
`

// BenchmarkServing brings the seed's cluster up without and with one service, and
// reports what the service adds to the critical path beyond what its pod takes to
// start and to load its model, which is the clock's to say.
func BenchmarkServing(b *testing.B) {
	for _, speed := range []float64{10, 60} {
		b.Run(fmt.Sprintf("speed=%g", speed), func(b *testing.B) {
			for range b.N {
				c := clock.New(speed)
				without, _ := seedRun(b, fmt.Sprint(speed), "")
				with, again := seedRun(b, fmt.Sprint(speed), oneService)
				pod := c.Duration(clock.PodStart) + c.Duration(clock.ModelLoad)
				added := with.wall - without.wall
				b.ReportMetric(without.wall.Seconds(), "s-up-without")
				b.ReportMetric(with.wall.Seconds(), "s-up-with")
				b.ReportMetric(pod.Seconds(), "s-pod")
				b.ReportMetric(100*(added-pod).Seconds()/criticalPath(c).Seconds(), "%-of-critical-path-beyond-pod")
				b.ReportMetric(float64(again.summary.Changed), "mutating-calls-2nd-up")
				b.ReportMetric(again.wall.Seconds(), "s-2nd-up")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// measured is one run of aicluster.
type measured struct {
	wall    time.Duration
	peakMiB float64
	summary struct {
		Result        string
		Changed, Read int64
	}
}

// seedRun brings the seed's cluster up twice on a cloud of its own, with more at the
// end of its blueprint.
func seedRun(b *testing.B, speed, more string) (up, again measured) {
	b.Helper()
	dir := b.TempDir()
	bin, err := filepath.Abs("../bin")
	if err != nil {
		b.Fatal(err)
	}
	c := &cloud{}
	if err := c.start(filepath.Join(bin, "localcloud"), filepath.Join(dir, "cloud"), speed); err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := c.stop(); err != nil {
			b.Log(err)
		}
	}()
	blueprint := copySeed(b, dir)
	if more != "" {
		text, err := os.ReadFile(blueprint)
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(blueprint, append(text, more...), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	run := func() measured {
		return measure(b, c, filepath.Join(bin, "aicluster"), "up", "--yes", "--output", "json", blueprint)
	}
	return run(), run()
}

// copySeed puts the shipped blueprint and a small model into dir.
func copySeed(b *testing.B, dir string) string {
	b.Helper()
	text, err := os.ReadFile("../blueprints/ai-serving.yaml")
	if err != nil {
		b.Fatal(err)
	}
	model := filepath.Join(dir, "models", "Llama-3.1-8B-Instruct")
	if err := os.MkdirAll(model, 0o755); err != nil {
		b.Fatal(err)
	}
	for name, size := range map[string]int{"model.safetensors": 64 << 20, "config.json": 1 << 10} {
		if err := os.WriteFile(filepath.Join(model, name), make([]byte, size), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	path := filepath.Join(dir, "ai-serving.yaml")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		b.Fatal(err)
	}
	return path
}

// measure runs a command that must succeed and print a summary.
func measure(b *testing.B, c *cloud, program string, args ...string) measured {
	b.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	for name, value := range c.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	m := measured{wall: time.Since(start), peakMiB: peakMiB(cmd)}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &m.summary); err != nil {
		b.Fatal(err)
	}
	return m
}

// peakMiB is the largest resident size of a finished command.
func peakMiB(cmd *exec.Cmd) float64 {
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return float64(usage.Maxrss) / 1024 // Linux counts in KiB
}

// BenchmarkCLI times whole runs of commands that need no cloud, and reports the
// size of the binary.
func BenchmarkCLI(b *testing.B) {
	program, err := filepath.Abs("../bin/aicluster")
	if err != nil {
		b.Fatal(err)
	}
	for name, args := range map[string][]string{
		"version":  {"version"},
		"validate": {"validate", "../blueprints/ai-serving.yaml"},
	} {
		b.Run(name, func(b *testing.B) {
			var peak float64
			for b.Loop() {
				cmd := exec.Command(program, args...)
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				peak = max(peak, peakMiB(cmd))
			}
			b.ReportMetric(peak, "MiB-peak")
			info, err := os.Stat(program)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(info.Size())/(1<<20), "MiB-binary")
		})
	}
}
