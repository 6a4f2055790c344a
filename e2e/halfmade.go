package e2e

import (
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// Half-made states, and teardown from each, as script commands.

const killedUsage = "usage: killed before|after SERVICE:OPERATION N COMMAND ARGS..."

// cmdKilled runs aicluster and kills it at one call: "killed before|after
// SERVICE:OPERATION N COMMAND ARGS…". The Nth call of the operation is made, and is
// then not carried out, or carried out and not answered; the process dies meanwhile.
// What it printed is in signalled.stdout and signalled.stderr.
func cmdKilled(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 || args[0] != "before" && args[0] != "after" {
		ts.Fatalf(killedUsage)
	}
	f := of(ts)
	service, operation, _ := strings.Cut(args[1], ":")
	ts.Check(f.post("faults", map[string]any{
		"name": "stop", "kind": "hold", "service": service, "operation": operation, "mutating": true,
		"skip": number(ts, args[2]) - 1, "count": 1, "before": args[0] == "before",
	}))
	cmd := exec.Command(mustLook(ts, "aicluster"), args[3:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), environment(ts)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	ts.Check(cmd.Start())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	err, ended := error(nil), false
	for !ended && f.struck("stop") == 0 {
		select {
		case err = <-done:
			ended = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	if !ended {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		err = <-done
	}
	ts.Check(f.do("DELETE", "faults/stop", nil))
	keepSignalled(ts, args[3], stdout.String(), stderr.String())
	if how := ending(cmd, err); how != "killed" {
		ts.Fatalf("aicluster ended with %s and made no %s. call of %s:\n%s", how, args[2], args[1], stdout.String()+stderr.String())
	}
}

// tableKey finds the table of teardowns in a script's environment values.
type tableKey struct{}

// table collects what teardown did from each half-made state.
type table struct {
	mu   sync.Mutex
	rows []*row
}

// row is one state.
type row struct {
	state      string
	there      int           // resources before the first teardown
	calls      int           // of all teardowns
	took       time.Duration // all teardowns
	kept, left int           // after the last one, beyond what was there before anything
}

func (t *table) row(state string) *row {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.IndexFunc(t.rows, func(r *row) bool { return r.state == state }); i >= 0 {
		return t.rows[i]
	}
	t.rows = append(t.rows, &row{state: state, there: -1, left: -1})
	return t.rows[len(t.rows)-1]
}

// write prints the table with its sums.
func (t *table) write(w io.Writer) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.SortFunc(t.rows, func(a, b *row) int { return strings.Compare(a.state, b.state) })
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "state\tresources\tcalls\tseconds\tkept\tleft")
	var sum row
	for _, r := range t.rows {
		fmt.Fprintf(tab, "%s\t%d\t%d\t%.1f\t%d\t%d\n", r.state, r.there, r.calls, r.took.Seconds(), r.kept, r.left)
		sum.there, sum.calls, sum.took = sum.there+r.there, sum.calls+r.calls, sum.took+r.took
		sum.kept, sum.left = sum.kept+r.kept, sum.left+r.left
	}
	fmt.Fprintf(tab, "%d states\t%d\t%d\t%.1f\t%d\t%d\n", len(t.rows), sum.there, sum.calls, sum.took.Seconds(), sum.kept, sum.left)
	return tab.Flush()
}

// cmdTakenAway runs teardown, which must end with a code: "takenaway CODE ARGS…". With
// code 0 the account must be as "emptied" wants it. What it took goes into the table.
func cmdTakenAway(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: takenaway CODE FILE|FLAGS...")
	}
	f, r := of(ts), &row{}
	if t, ok := ts.Value(tableKey{}).(*table); ok {
		r = t.row(ts.Name())
	}
	if r.there < 0 {
		before, err := f.since()
		ts.Check(err)
		r.there = len(before)
	}
	ts.Check(f.do("DELETE", "calls", nil))
	start := time.Now()
	defer f.note(r, start)
	cmdExits(ts, false, slices.Concat([]string{args[0], "teardown", "--yes", "--output", "json"}, args[1:]))
	if args[0] == "0" {
		cmdEmptied(ts, false, nil)
	}
}

// note puts into a row what the teardown that began at start has done.
func (f fixture) note(r *row, start time.Time) {
	r.took += time.Since(start)
	var calls struct{ Total int }
	f.Check(f.get("calls", &calls))
	r.calls += calls.Total
	kept, _ := receipt(f.TestScript, f.ReadFile("stdout"))
	after, err := f.since()
	f.Check(err)
	r.left = len(slices.DeleteFunc(slices.Clone(after), func(line string) bool { return mentioned(line, kept) }))
	r.kept = len(after) - r.left
}

// since lists what is in the account that was not there at the start.
func (f fixture) since() ([]string, error) {
	now, err := f.inventory()
	before := strings.Split(f.ReadFile(startInventory), "\n")
	return slices.DeleteFunc(now, func(line string) bool { return slices.Contains(before, line) }), err
}

// cmdCovered checks that all that changes something and was called is in a file, one
// operation a line: "covered FILE".
func cmdCovered(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: covered FILE")
	}
	known := strings.Fields(ts.ReadFile(args[0]))
	var missing []string
	for operation := range of(ts).mutating() {
		if !slices.Contains(known, operation) {
			missing = append(missing, operation)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		ts.Fatalf("called, and not in %s:\n  %s", args[0], strings.Join(missing, "\n  "))
	}
}
