package e2e

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// The invariants of the design ("What must always hold"), as script commands:
//
//	settled FILE   after up: diff finds nothing, a second up changes nothing, and
//	               everything that is new carries the ownership tag
//	owned CLUSTER  everything new in the account is the cluster's (ownership.go)
//	single         nothing was made twice
//	emptied        after teardown: the account is as it was when the cloud started,
//	               but for what the receipt says was kept
//	unchanged      after what was refused: the account is as it was
//
// That no secret is printed is checked on every aicluster command.

// startInventory is the file with what existed when the cloud started.
const startInventory = "inventory.start"

// operations is the reply of the local cloud's call counter.
type operations struct {
	Calls []struct {
		Service   string `json:"service"`
		Operation string `json:"operation"`
		Count     int    `json:"count"`
		Mutating  bool   `json:"mutating"`
	} `json:"calls"`
}

func (f fixture) mutating() map[string]int {
	var ops operations
	f.Check(f.get("calls", &ops))
	out := map[string]int{}
	for _, c := range ops.Calls {
		if c.Mutating {
			out[c.Service+":"+c.Operation] = c.Count
		}
	}
	return out
}

// cmdCalls resets the local cloud's call counter, or checks the number of
// mutating calls since: "calls reset", "calls mutating N".
func cmdCalls(ts *testscript.TestScript, neg bool, args []string) {
	f := of(ts)
	switch {
	case len(args) == 1 && args[0] == "reset":
		ts.Check(f.do("DELETE", "calls", nil))
	case len(args) == 2 && args[0] == "mutating":
		want, err := strconv.Atoi(args[1])
		ts.Check(err)
		n := 0
		ops := f.mutating()
		for _, count := range ops {
			n += count
		}
		if (n == want) == neg {
			ts.Fatalf("%d mutating calls, wanted %d: %v", n, want, ops)
		}
	default:
		ts.Fatalf("usage: calls reset | calls mutating N")
	}
}

// cmdSettled checks what must hold after up.
func cmdSettled(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: settled FILE")
	}
	f := of(ts)
	if err := ts.Exec("aicluster", "diff", args[0]); err != nil {
		ts.Fatalf("diff after up found changes (%v):\n%s%s", err, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
	ts.Check(f.do("DELETE", "calls", nil))
	if err := ts.Exec("aicluster", "up", "--yes", "--output", "json", args[0]); err != nil {
		ts.Fatalf("a second up failed (%v):\n%s%s", err, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
	noSecrets(ts, "a second up", ts.ReadFile("stdout")+ts.ReadFile("stderr"))
	if ops := f.mutating(); len(ops) > 0 {
		ts.Fatalf("a second up made mutating calls: %v", ops)
	}
	changed, err := evaluate(ts.ReadFile("stdout"), "{.changed}")
	ts.Check(err)
	if changed != "0" {
		ts.Fatalf("a second up reports %s mutating calls:\n%s", changed, ts.ReadFile("stdout"))
	}
	cluster, err := evaluate(ts.ReadFile("stdout"), "{.cluster}")
	ts.Check(err)
	cmdOwned(ts, false, []string{cluster})
}

// cmdSingle checks that nothing was made twice: no two things of a kind have the
// same name, nodes with their disks and interfaces aside.
func cmdSingle(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: single")
	}
	lines, err := of(ts).inventory()
	ts.Check(err)
	seen := map[string]string{}
	for _, line := range lines {
		if !strings.HasPrefix(line, "ec2/") {
			continue // every other service keeps names unique itself
		}
		t := parseThing("ec2", line)
		_, name, _ := strings.Cut(line, t.id)
		if slices.Contains([]string{"instance", "volume", "network-interface"}, t.kind) || strings.TrimSpace(name) == "" {
			continue
		}
		key := t.kind + t.region + name
		if seen[key] != "" {
			ts.Fatalf("made twice:\n  %s\n  %s", seen[key], line)
		}
		seen[key] = line
	}
}

// cmdCount counts lines of the inventory: "count N REGEXP".
func cmdCount(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: count N REGEXP")
	}
	wanted, err := regexp.Compile(args[1])
	ts.Check(err)
	lines, err := of(ts).inventory()
	ts.Check(err)
	found := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return !wanted.MatchString(l) })
	if len(found) != number(ts, args[0]) {
		ts.Fatalf("%d lines match %s, wanted %s, of\n  %s", len(found), args[1], args[0], strings.Join(lines, "\n  "))
	}
}

// cmdUnchanged checks that the account is what it was when the cloud started.
func cmdUnchanged(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: unchanged")
	}
	lines, err := of(ts).inventory()
	ts.Check(err)
	if now, before := strings.Join(lines, "\n")+"\n", ts.ReadFile(startInventory); now != before {
		ts.Fatalf("the account has changed; before:\n%snow:\n%s", before, now)
	}
}

// cmdEmptied checks what must hold after teardown; it reads the receipt from
// the last command's stdout, which must have been teardown --output json.
func cmdEmptied(ts *testscript.TestScript, neg bool, args []string) {
	f := of(ts)
	kept, left := receipt(ts, ts.ReadFile("stdout"))
	if len(left) > 0 {
		ts.Fatalf("teardown left %v", left)
	}
	now, err := f.inventory()
	ts.Check(err)
	before := strings.Split(strings.TrimSuffix(ts.ReadFile(startInventory), "\n"), "\n")
	var extra []string
	for _, line := range now {
		if !slices.Contains(before, line) && !mentioned(line, kept) {
			extra = append(extra, line)
		}
	}
	if len(extra) > 0 {
		ts.Fatalf("still in the account after teardown, and not in the receipt:\n  %s\nkept: %v", strings.Join(extra, "\n  "), kept)
	}
	for _, line := range before {
		if line != "" && !slices.Contains(now, line) {
			ts.Fatalf("teardown removed what was there before: %s", line)
		}
	}
}

// mentioned tells whether what the receipt kept explains an inventory line: the
// first word of its detail is the name of the thing, or the URL of a bucket.
func mentioned(line string, kept []string) bool {
	return slices.ContainsFunc(kept, func(detail string) bool {
		name, _, _ := strings.Cut(strings.TrimPrefix(detail, "s3://"), ",")
		return name != "" && strings.Contains(line, name)
	})
}

// receipt finds the receipt among JSON lines: the details of what was kept and left.
func receipt(ts *testscript.TestScript, text string) (kept, left []string) {
	type line struct{ Resource, Detail, Reason string }
	for l := range strings.Lines(text) {
		var r struct {
			Type       string
			Kept, Left []line
		}
		if json.Unmarshal([]byte(l), &r) != nil || r.Type != "receipt" {
			continue
		}
		for _, k := range r.Kept {
			kept = append(kept, k.Detail)
		}
		for _, k := range r.Left {
			left = append(left, k.Resource+": "+k.Reason)
		}
		return kept, left
	}
	ts.Fatalf("no receipt in:\n%s", text)
	return nil, nil
}
