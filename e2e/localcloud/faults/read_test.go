package faults

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestReadFile(t *testing.T) {
	list, err := ReadFile("faults.yaml", []byte(`
faults:
- {name: no-p4d, kind: capacity, instanceType: p4d.24xlarge, market: spot, count: 2}
- name: slow-eks
  kind: slow
  service: eks
  delay: 90s
- {kind: badAMI, releaseVersion: "*-20260818", breaks: kubelet}
- {kind: error, status: 503, operation: "Create*", count: 3}
`))
	want := []Fault{
		{Name: "no-p4d", Kind: Capacity, InstanceType: "p4d.24xlarge", Market: "spot", Count: 2},
		{Name: "slow-eks", Kind: Slow, Service: "eks", Delay: 90 * time.Second},
		{Kind: BadAMI, ReleaseVersion: "*-20260818", Breaks: Kubelet},
		{Kind: Error, Status: 503, Operation: "Create*", Count: 3},
	}
	if err != nil || !reflect.DeepEqual(list, want) {
		t.Errorf("got  %+v, %v\nwant %+v", list, err, want)
	}
}

// Everything that is wrong with a file is told at once, with its place.
func TestBrokenFile(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"not YAML", "faults: [", "f.yaml:1:1: did not find expected node content"},
		{"empty", "# nothing\n", "f.yaml:1:1: it is empty"},
		{"no list", "faults: throttle", "f.yaml:1:9: faults: want a list"},
		{"misspelt top", "fault: []", "f.yaml:1:1: fault: unknown key, did you mean faults"},
		{"misspelt key", "faults:\n- kind: throttle\n- {kind: hold}\n- knid: throttle", "f.yaml:4:3: faults[2].knid: unknown key, did you mean kind"},
		{"misspelt kind", "faults: [{kind: trottle}]", `f.yaml:1:17: faults[0].kind: "trottle" is not known, did you mean throttle`},
		{"no kind", "faults: [{name: a}]", "f.yaml:1:10: faults[0].kind: missing, it is one of throttle, error, loseReply, slow, hold, capacity, quota, badAMI, nodesNeverJoin, brokenGPU, hookFails, spotInterruption, iamLate, imagePull, crash, oom"},
		{"another kind's key", "faults: [{kind: iamLate, times: 3, delay: 1s}]", "f.yaml:1:36: faults[0].delay: a fault of kind iamLate has no such key; it has name, times"},
		{"missing key", "faults: [{kind: slow}]", "f.yaml:1:10: faults[0].delay: missing; a fault of kind slow needs delay"},
		{"one of two", "faults: [{kind: error}]", "f.yaml:1:10: faults[0].code: missing; a fault of kind error needs code or status"},
		{"types", "faults:\n- kind: hold\n  skip: many\n  before: 1\n- {kind: slow, delay: 90}", "f.yaml:3:9: faults[0].skip: \"many\" is not a whole number\nf.yaml:4:11: faults[0].before: \"1\" is not true or false\nf.yaml:5:23: faults[1].delay: \"90\" is not a duration such as 90s or 15m"},
		{"values", "faults:\n- {kind: quota, quota: vCPU}\n- {kind: capacity, instanceType: a, count: -1}\n- {kind: error, status: 200}\n- {kind: hold, service: '['}", "f.yaml:2:24: faults[0].quota: \"vCPU\" does not match ^L-[0-9A-F]{8}$\nf.yaml:3:44: faults[1].count: -1 is too small\nf.yaml:4:25: faults[2].status: 200 is not between 400 and 599\nf.yaml:5:25: faults[3].service: \"[\" is not a pattern: syntax error in pattern"},
		{"twice", "faults:\n- {name: a, kind: hold, kind: hold}\n- {name: a, kind: hold}", "f.yaml:2:25: faults[0].kind: given twice\nf.yaml:3:3: faults[1].name: another fault is named a"},
		{"not a mapping", "faults: [throttle]", "f.yaml:1:10: faults[0]: want keys with values"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := ReadFile("f.yaml", []byte(test.text))
			if err == nil || strings.TrimSpace(err.Error()) != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

// The admin endpoint takes JSON, which is YAML, and has the same to say.
func TestRead(t *testing.T) {
	f, err := Read([]byte(`{"name": "stop", "kind": "hold", "mutating": true, "skip": 4, "before": false}`))
	if want := (Fault{Name: "stop", Kind: Hold, Mutating: true, Skip: 4}); err != nil || f != want {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := Read([]byte(`{"kind": "hold", "mutatin": true}`)); err == nil || err.Error() != "1:18: mutatin: unknown key, did you mean mutating" {
		t.Error(err)
	}
}
