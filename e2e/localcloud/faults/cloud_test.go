package faults

import (
	"testing"

	"aicluster/e2e/localcloud/clock"
)

// A fault of so many nodes stays with those that it struck first.
func TestBrokenNodes(t *testing.T) {
	l := New(clock.New(1), nil)
	l.Add(Fault{Name: "gpu", Kind: BrokenGPU, GPUs: 2, Nodes: 1})
	for _, want := range []struct {
		id string
		n  int
	}{{"i-1", 6}, {"i-2", 8}, {"i-1", 6}} {
		if n := l.HealthyGPUs("", want.id, 8); n != want.n {
			t.Errorf("%s has %d GPUs, want %d", want.id, n, want.n)
		}
	}
	if n := l.report()[0]["struck"]; n != 1 {
		t.Errorf("struck %v nodes", n)
	}
	if !l.Lift("gpu") || l.HealthyGPUs("", "i-1", 8) != 8 || l.Lift("gpu") {
		t.Error("it was not lifted once")
	}
}

// Who is told of changes learns what went, what came and what is there.
func TestChanges(t *testing.T) {
	var gone, added, here int
	l := New(clock.New(1), func(g, a, h []Fault) { gone, added, here = len(g), len(a), len(h) })
	check := func(wantGone, wantAdded, wantHere int) {
		t.Helper()
		if gone != wantGone || added != wantAdded || here != wantHere {
			t.Errorf("%d gone, %d added, %d here", gone, added, here)
		}
	}
	l.Add(Fault{Name: "a", Kind: IAMLate, Times: 2}, Fault{Kind: NodesNeverJoin, NodeGroup: "gpu-*"})
	check(0, 2, 2)
	if !l.NeverJoins("demo", "gpu-a100", "i-1") || l.NeverJoins("demo", "system", "i-2") {
		t.Error("the pattern of the node group does not count")
	}
	l.Add(Fault{Name: "a", Kind: BadAMI, ReleaseVersion: "*-20260818"})
	check(1, 1, 2)
	if l.BadAMI("AL2023_x86_64_NVIDIA", "1.35.2-20260818", "i-1") != DevicePlugin || l.BadAMI("AL2023_x86_64_NVIDIA", "1.35.2-20260714", "i-2") != "" {
		t.Error("the pattern of the release does not count")
	}
	l.Clear()
	check(2, 0, 0)
}

// A fault of pods strikes those that it names, each once, until it is lifted.
func TestPodFaults(t *testing.T) {
	l := New(clock.New(1), nil)
	l.Add(Fault{Name: "a", Kind: Crash, Pod: "llama-*", Namespace: "ai-serving", Message: "boom"}, Fault{Kind: ImagePull, Pod: "web-*"})
	for _, tt := range []struct {
		namespace, pod string
		want           Kind
	}{{"ai-serving", "llama-5c9f-x", Crash}, {"default", "llama-5c9f-x", ""}, {"default", "web-1", ImagePull}, {"ai-serving", "llama-5c9f-x", Crash}} {
		if f, _ := l.OfPod("demo", tt.namespace, tt.pod); f.Kind != tt.want {
			t.Errorf("%s/%s: %q, want %q", tt.namespace, tt.pod, f.Kind, tt.want)
		}
	}
	if n := l.report()[0]["struck"]; n != 1 {
		t.Errorf("struck %v pods", n)
	}
	l.Lift("a")
	if _, ok := l.OfPod("demo", "ai-serving", "llama-5c9f-x"); ok {
		t.Error("it was not lifted")
	}
}
