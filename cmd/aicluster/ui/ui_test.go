package ui

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

var update = flag.Bool("update", false, "rewrite golden files")

// golden compares got with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s\nwant:\n%s", path, got, want)
	}
}

func testConsole() (c *Console, out, errs *bytes.Buffer) {
	out, errs = &bytes.Buffer{}, &bytes.Buffer{}
	return &Console{In: strings.NewReader(""), Out: out, Err: errs, Width: 100, names: 34}, out, errs
}

func capacityError() error {
	return &cloud.Error{
		Resource: "nodepool/gpu-a100", Doing: "waiting for its nodes", Code: "InsufficientInstanceCapacity",
		Message:   "We currently do not have sufficient p4d.24xlarge capacity in the Availability Zone you requested (us-east-1d).",
		RequestID: "7a62c49f-347e-4fc4-9331-6e8e", Hint: "try other zones, more instance types, or later",
	}
}

func TestPlanText(t *testing.T) {
	c, out, errs := testConsole()
	c.Plan(&engine.Plan{Steps: []engine.Step{
		{Resource: "network/vpc", Action: engine.ActionNone, Observation: engine.Observation{Exists: true}},
		{Resource: "cluster/ai", Action: engine.ActionUpdate, Observation: engine.Observation{Changes: []engine.Change{
			{Field: "version", Live: "1.34", Wanted: "1.35", Policy: engine.PolicyInPlace, Hint: "takes about 10 minutes"},
			{Field: "logging", Live: []string{}, Wanted: []string{"api", "audit"}, Policy: engine.PolicyInPlace},
		}}},
		{Resource: "nodepool/gpu", Action: engine.ActionUpdate, Observation: engine.Observation{Notes: []string{"2 nodes now"}, Changes: []engine.Change{
			{Field: "capacity", Live: "spot", Wanted: "onDemand", Policy: engine.PolicyRefused, Hint: "rename the pool"},
		}}},
		{Resource: "nodepool/old", Action: engine.ActionDelete, Observation: engine.Observation{Changes: []engine.Change{{Live: "1 node", Policy: engine.PolicyDelete}}}},
		{Resource: "addon/ingress-nginx", Action: engine.ActionCreate, Observation: engine.Observation{Changes: []engine.Change{
			{Field: "version", Wanted: "4.15.1", Policy: engine.PolicyCreate},
		}}},
		{Resource: "check/gpu", Action: engine.ActionVerify},
		{Resource: "bucket/b", Err: errors.New("denied")},
		{Resource: "model/m", Unknown: "bucket/b"},
	}})
	golden(t, "plan.txt", out.String()+"--- stderr\n"+errs.String())
}

// events is one of everything that a walk can tell.
func events() []engine.Event {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	return []engine.Event{
		{Time: at, Resource: "network/vpc", Action: engine.ActionNone, State: engine.Succeeded, Message: "vpc-0abc"},
		{Time: at, Resource: "cluster/ai", Action: engine.ActionCreate, State: engine.Started},
		{Time: at, Resource: "cluster/ai", Action: engine.ActionCreate, State: engine.Running, Message: "CREATING", Elapsed: 30 * time.Second},
		{Time: at, Resource: "cluster/ai", Action: engine.ActionCreate, State: engine.Running, Message: "CREATING", Elapsed: 60 * time.Second},
		{Time: at, Resource: "cluster/ai", Action: engine.ActionCreate, State: engine.Succeeded, Elapsed: 542 * time.Second},
		{Time: at, Resource: "nodepool/gpu-a100", Action: engine.ActionCreate, State: engine.Failed, Err: capacityError(), Elapsed: 1500 * time.Millisecond},
		{Time: at, Resource: "check/gpu-a100", Action: engine.ActionNone, State: engine.Blocked, Cause: "nodepool/gpu-a100"},
		{Time: at, Resource: "nodepool/old", Action: engine.ActionDelete, State: engine.Succeeded, Elapsed: 4000 * time.Second},
		{Time: at, Resource: "bucket/b", Action: engine.ActionKeep, State: engine.Succeeded, Message: "holds model weights"},
		{Time: at, Resource: "model/m", Action: engine.ActionCreate, State: engine.Interrupted, Elapsed: 7 * time.Second},
		{Time: at, Resource: "model/n", Action: engine.ActionNone, State: engine.Interrupted},
	}
}

func TestProgress(t *testing.T) {
	for name, jsonOutput := range map[string]bool{"progress.txt": false, "progress.jsonl": true} {
		c, out, errs := testConsole()
		c.JSON = jsonOutput
		p := c.Progress()
		for _, e := range events() {
			p.Event(e)
		}
		p.Close()
		if jsonOutput && errs.Len() > 0 {
			t.Errorf("JSON progress also talks: %s", errs)
		}
		golden(t, name, out.String()+errs.String())
	}
}

// The live display ends with the same lines as the plain one, whatever moved
// on the screen before.
func TestLiveProgressShowsEndings(t *testing.T) {
	c, _, errs := testConsole()
	c.Terminal = true
	p := c.Progress()
	for _, e := range events() {
		p.Event(e)
	}
	p.Close()
	for _, want := range []string{"cluster/ai                         created", "nodepool/gpu-a100                  failed after 1.5s", "not tried: nodepool/gpu-a100 failed"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("missing %q in:\n%s", want, errs)
		}
	}
}

func TestErrors(t *testing.T) {
	err := errors.Join(capacityError(), errors.New("something else"), errors.Join(capacityError()))
	c, _, errs := testConsole()
	c.ShowError(err)
	golden(t, "errors.txt", errs.String())

	text, e := json.MarshalIndent(Failures(err), "", "  ")
	if e != nil {
		t.Fatal(e)
	}
	golden(t, "errors.json", string(text)+"\n")
}

func TestConfirm(t *testing.T) {
	for name, tc := range map[string]struct {
		answer string
		asks   bool
		want   string // part of the error
	}{
		"yes":         {"yes\n", true, ""},
		"no":          {"no\n", true, "nothing was changed"},
		"end of file": {"", true, "nothing was changed"},
		"no terminal": {"yes\n", false, "add --yes"},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, _ := testConsole()
			c.In, c.Asks = strings.NewReader(tc.answer), tc.asks
			err := c.Confirm(context.Background(), "Sure?", "yes")
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		400 * time.Millisecond: "0.4s", 12 * time.Second: "12s", 542 * time.Second: "9m02s", 3900 * time.Second: "1h05m",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}
