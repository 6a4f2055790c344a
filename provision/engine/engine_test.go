package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// world is what exists in a test, and the order in which it was touched.
type world struct {
	mu     sync.Mutex
	exists map[string]bool
	log    []string
}

func newWorld(existing ...string) *world {
	w := &world{exists: map[string]bool{}}
	for _, id := range existing {
		w.exists[id] = true
	}
	return w
}

func (w *world) did(what, id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, what+" "+id)
}

func (w *world) set(id string, there bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.exists[id] = there
}

func (w *world) has(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.exists[id]
}

// index is the position of an entry in the log, or -1.
func (w *world) index(entry string) int { return slices.Index(w.log, entry) }

// fake is a resource in a world.
type fake struct {
	w         *world
	id        string
	needs     []Resource
	changes   []Change // while it exists and was not applied
	applied   bool
	keep      string
	unwanted  bool
	container Resource
	observe   func() error
	apply     func(ctx context.Context, p Progress) error
	del       func(ctx context.Context) error
}

func (f *fake) ID() string          { return f.id }
func (f *fake) Needs() []Resource   { return f.needs }
func (f *fake) Unwanted() bool      { return f.unwanted }
func (f *fake) Container() Resource { return f.container }

func (f *fake) Observe(context.Context) (Observation, error) {
	f.w.did("observe", f.id)
	if f.observe != nil {
		if err := f.observe(); err != nil {
			return Observation{}, err
		}
	}
	obs := Observation{Exists: f.w.has(f.id), Keep: f.keep, Detail: f.id}
	if obs.Exists && !f.applied {
		obs.Changes = slices.Clone(f.changes)
	}
	return obs, nil
}

func (f *fake) Apply(ctx context.Context, p Progress) error {
	f.w.did("apply", f.id)
	if f.apply != nil {
		if err := f.apply(ctx, p); err != nil {
			return err
		}
	}
	f.applied = true
	f.w.set(f.id, true)
	return nil
}

func (f *fake) Delete(ctx context.Context, p Progress) error {
	f.w.did("delete", f.id)
	if f.del != nil {
		if err := f.del(ctx); err != nil {
			return err
		}
	}
	f.w.set(f.id, false)
	return nil
}

func graph(t *testing.T, rs ...Resource) *Graph {
	t.Helper()
	g, err := NewGraph(rs...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func plan(t *testing.T, g *Graph) *Plan {
	t.Helper()
	p, err := g.Plan(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNewGraphRefuses(t *testing.T) {
	w := newWorld()
	a := &fake{w: w, id: "a"}
	b := &fake{w: w, id: "b", needs: []Resource{a}}
	c := &fake{w: w, id: "c", needs: []Resource{b}}
	a.needs = []Resource{c}
	lone := &fake{w: w, id: "lone", needs: []Resource{&fake{w: w, id: "elsewhere"}}}
	for name, tc := range map[string]struct {
		resources []Resource
		want      string
	}{
		"a circle, by name": {[]Resource{a, b, c}, "resources need each other in a circle: a -> c -> b -> a"},
		"two of one name":   {[]Resource{&fake{w: w, id: "x"}, &fake{w: w, id: "x"}}, "two resources are named x"},
		"a need outside":    {[]Resource{lone}, "lone needs elsewhere, which is not part of the graph"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewGraph(tc.resources...)
			if err == nil || err.Error() != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

// The order of steps depends on scheduling, so the rule is checked many times.
func TestUpKeepsTheOrderOfNeeds(t *testing.T) {
	for range 50 {
		w := newWorld()
		vpc := &fake{w: w, id: "vpc"}
		role := &fake{w: w, id: "role"}
		cluster := &fake{w: w, id: "cluster", needs: []Resource{vpc, role}}
		bucket := &fake{w: w, id: "bucket"}
		pool := &fake{w: w, id: "pool", needs: []Resource{cluster}}
		g := graph(t, pool, bucket, cluster, role, vpc)
		r := g.Up(t.Context(), plan(t, g), Options{})
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
		for _, pair := range [][2]string{{"vpc", "cluster"}, {"role", "cluster"}, {"cluster", "pool"}} {
			if w.index("apply "+pair[0]) > w.index("apply "+pair[1]) {
				t.Fatalf("%s was applied after %s: %v", pair[0], pair[1], w.log)
			}
		}
		if r.Changed() != 5 {
			t.Fatalf("changed %d, want 5", r.Changed())
		}
	}
}

// A step starts the moment its own needs are done, whatever else is running.
func TestUpHasNoPhases(t *testing.T) {
	w := newWorld()
	slowDone := make(chan struct{})
	slow := &fake{w: w, id: "slow", apply: func(ctx context.Context, _ Progress) error {
		select {
		case <-slowDone:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	quick := &fake{w: w, id: "quick"}
	after := &fake{w: w, id: "after quick", needs: []Resource{quick}, apply: func(context.Context, Progress) error {
		close(slowDone) // slow ends only once this has run
		return nil
	}}
	g := graph(t, slow, quick, after)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := g.Up(ctx, plan(t, g), Options{}).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestUpStopsOnlyWhatDependsOnAFailure(t *testing.T) {
	w := newWorld()
	boom := errors.New("no capacity")
	gpu := &fake{w: w, id: "gpu", apply: func(context.Context, Progress) error { return boom }}
	check := &fake{w: w, id: "check", needs: []Resource{gpu}}
	summary := &fake{w: w, id: "summary", needs: []Resource{check}}
	spot := &fake{w: w, id: "spot"}
	g := graph(t, gpu, check, summary, spot)
	r := g.Up(t.Context(), plan(t, g), Options{})
	if err := r.Err(); err == nil || err.Error() != "no capacity" {
		t.Errorf("want the cause alone, got %v", err)
	}
	if !w.has("spot") {
		t.Error("the sibling of the failed resource was not made")
	}
	for _, s := range r.Steps {
		if (s.Resource == "check" || s.Resource == "summary") && (s.State != Blocked || s.Cause != "gpu") {
			t.Errorf("%s is %s by %q, want blocked by gpu", s.Resource, s.State, s.Cause)
		}
	}
}

func TestUpAgainDoesNothing(t *testing.T) {
	w := newWorld()
	a := &fake{w: w, id: "a"}
	b := &fake{w: w, id: "b", needs: []Resource{a}}
	g := graph(t, a, b)
	g.Up(t.Context(), plan(t, g), Options{})
	w.log = nil
	p := plan(t, g)
	if len(p.Changes()) != 0 {
		t.Fatalf("changes after up: %v", p.Changes())
	}
	g.Up(t.Context(), p, Options{})
	if want := []string{"observe a", "observe b"}; !slices.Equal(w.log, want) {
		t.Errorf("second up did %v, want only the plan's %v", w.log, want)
	}
}

// What a plan found in order is read again when something under it has changed.
func TestUpReadsAgainWhatStandsOnAChange(t *testing.T) {
	w := newWorld("pool", "check")
	pool := &fake{w: w, id: "pool", changes: []Change{{Field: "nodes.max", Live: 1, Wanted: 4, Policy: PolicyInPlace}}}
	check := &fake{w: w, id: "check", needs: []Resource{pool}}
	g := graph(t, pool, check)
	p := plan(t, g)
	w.log = nil
	g.Up(t.Context(), p, Options{})
	if w.index("observe check") < w.index("apply pool") {
		t.Errorf("check was not read after the pool changed: %v", w.log)
	}
}

func TestUpRefusesWhatCannotChange(t *testing.T) {
	w := newWorld("pool")
	pool := &fake{w: w, id: "pool", changes: []Change{{Field: "capacity", Live: "spot", Wanted: "onDemand", Policy: PolicyRefused}}}
	g := graph(t, pool)
	p := plan(t, g)
	if len(p.Refused()) != 1 {
		t.Fatalf("refused: %v", p.Refused())
	}
	err := g.Up(t.Context(), p, Options{}).Err()
	if err == nil || !strings.Contains(err.Error(), "capacity cannot change from spot to onDemand") {
		t.Errorf("got %v", err)
	}
	if w.index("apply pool") >= 0 {
		t.Error("the refused change was applied")
	}
}

func TestUpDeletesTheUnwanted(t *testing.T) {
	w := newWorld("old")
	old := &fake{w: w, id: "old", unwanted: true}
	g := graph(t, old)
	p := plan(t, g)
	if got := p.Step("old").Action; got != ActionDelete {
		t.Fatalf("planned %s, want delete", got)
	}
	g.Up(t.Context(), p, Options{})
	if w.has("old") {
		t.Error("it is still there")
	}
}

func TestInterruptionStartsNothingMore(t *testing.T) {
	w := newWorld()
	ctx, cancel := context.WithCancel(t.Context())
	first := &fake{w: w, id: "first", apply: func(ctx context.Context, _ Progress) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}}
	second := &fake{w: w, id: "second", needs: []Resource{first}}
	g := graph(t, first, second)
	r := g.Up(ctx, plan(t, g), Options{})
	if !r.Interrupted || r.Err() != nil {
		t.Errorf("interrupted %v, error %v: an interruption is no failure", r.Interrupted, r.Err())
	}
	for _, s := range r.Steps {
		if s.State != Interrupted {
			t.Errorf("%s is %s, want interrupted", s.Resource, s.State)
		}
	}
	if w.index("apply second") >= 0 {
		t.Error("second was started after the interruption")
	}
}

func TestPlanGoesOnPastWhatCannotBeRead(t *testing.T) {
	w := newWorld("a", "b", "c")
	a := &fake{w: w, id: "a", observe: func() error { return errors.New("access denied") }}
	b := &fake{w: w, id: "b", needs: []Resource{a}}
	c := &fake{w: w, id: "c"}
	g := graph(t, a, b, c)
	p, err := g.Plan(t.Context(), Options{})
	if err == nil || err.Error() != "access denied" {
		t.Errorf("got %v", err)
	}
	if p.Step("b").Unknown != "a" || !p.Step("c").Exists {
		t.Errorf("b: %+v, c: %+v", p.Step("b"), p.Step("c"))
	}
}

func TestTeardown(t *testing.T) {
	w := newWorld("vpc", "cluster", "release", "bucket")
	vpc := &fake{w: w, id: "vpc"}
	cluster := &fake{w: w, id: "cluster", needs: []Resource{vpc}}
	release := &fake{w: w, id: "release", needs: []Resource{cluster}, container: cluster}
	absent := &fake{w: w, id: "absent", needs: []Resource{cluster}}
	bucket := &fake{w: w, id: "bucket", keep: "holds model weights"}
	g := graph(t, vpc, cluster, release, absent, bucket)
	r, receipt := g.Teardown(t.Context(), plan(t, g), Options{})
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	if w.index("delete release") > w.index("delete cluster") || w.index("delete cluster") > w.index("delete vpc") {
		t.Errorf("deleted in the wrong order: %v", w.log)
	}
	if w.index("delete absent") >= 0 || w.index("delete bucket") >= 0 {
		t.Errorf("deleted what was absent or to be kept: %v", w.log)
	}
	want := "deleted vpc cluster release kept bucket(holds model weights) left"
	if got := summary(receipt); got != want {
		t.Errorf("receipt: %s, want %s", got, want)
	}
}

// A cluster whose API does not answer can still be taken away, and what lived
// in it goes with it (eksctl #1070, #3575).
func TestTeardownWithoutAccessToWhatIsInside(t *testing.T) {
	w := newWorld("cluster", "release", "check")
	cluster := &fake{w: w, id: "cluster"}
	release := &fake{w: w, id: "release", needs: []Resource{cluster}, container: cluster, observe: func() error { return errors.New("no route to the API server") }}
	check := &fake{w: w, id: "check", needs: []Resource{release}, container: cluster}
	g := graph(t, cluster, release, check)
	p, _ := g.Plan(t.Context(), Options{})
	r, receipt := g.Teardown(t.Context(), p, Options{})
	if err := r.Err(); err != nil {
		t.Errorf("the failure inside should not count once the cluster is gone: %v", err)
	}
	if w.has("cluster") {
		t.Error("the cluster is still there")
	}
	if want := "deleted cluster release check kept left"; summary(receipt) != want {
		t.Errorf("receipt: %s, want %s", summary(receipt), want)
	}
	i := slices.IndexFunc(receipt.Deleted, func(l ReceiptLine) bool { return strings.HasPrefix(l.Detail, "went with cluster: ") })
	if i < 0 {
		t.Errorf("the receipt does not say what failed inside: %+v", receipt.Deleted)
	}
}

// What cannot go by itself goes with its container, or stays with it.
func TestTeardownSkipsWhatGoesWithItsContainer(t *testing.T) {
	for name, tt := range map[string]struct {
		cluster error
		want    string
	}{
		"the container goes":  {nil, "deleted cluster addon kept left"},
		"the container stays": {errors.New("in use"), "deleted kept left cluster(in use) addon(not tried: reaching it failed or is still there)"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld("cluster", "addon")
			cluster := &fake{w: w, id: "cluster", del: func(context.Context) error { return tt.cluster }}
			addon := &fake{w: w, id: "addon", needs: []Resource{cluster}, container: cluster, del: func(context.Context) error { return &SkippedError{Cause: "reaching it"} }}
			g := graph(t, cluster, addon)
			r, receipt := g.Teardown(t.Context(), plan(t, g), Options{})
			if got := summary(receipt); got != tt.want {
				t.Errorf("receipt: %s, want %s", got, tt.want)
			}
			if got := r.Err(); (got != nil) != (tt.cluster != nil) {
				t.Errorf("error %v", got)
			}
		})
	}
}

func TestTeardownLeavesWhatIsStillNeeded(t *testing.T) {
	w := newWorld("vpc", "subnet", "role")
	vpc := &fake{w: w, id: "vpc"}
	subnet := &fake{w: w, id: "subnet", needs: []Resource{vpc}, del: func(context.Context) error { return errors.New("DependencyViolation") }}
	role := &fake{w: w, id: "role"}
	g := graph(t, vpc, subnet, role)
	r, receipt := g.Teardown(t.Context(), plan(t, g), Options{})
	if r.Err() == nil {
		t.Error("no error although a deletion failed")
	}
	if w.index("delete vpc") >= 0 {
		t.Error("the VPC was tried although its subnet is still there")
	}
	want := "deleted role kept left vpc(not tried: subnet failed or is still there) subnet(DependencyViolation)"
	if got := summary(receipt); got != want {
		t.Errorf("receipt: %s, want %s", got, want)
	}
}

// A release is installed while nodes come up: it starts beside them, ends after
// them, and goes before them.
func TestAwaitStartsTogetherAndGoesFirst(t *testing.T) {
	for range 50 {
		w := newWorld()
		started, nodes := make(chan struct{}), make(chan struct{})
		cluster := &fake{w: w, id: "cluster"}
		pool := &fake{w: w, id: "pool", needs: []Resource{cluster}, apply: func(context.Context, Progress) error {
			<-started // the release has begun although no node is there
			close(nodes)
			return nil
		}}
		release := &fake{w: w, id: "release", needs: []Resource{cluster}, container: cluster, apply: func(context.Context, Progress) error {
			close(started)
			<-nodes
			return nil
		}}
		g := graph(t, cluster, release, pool)
		if err := g.Await(release, pool); err != nil {
			t.Fatal(err)
		}
		if r := g.Up(t.Context(), plan(t, g), Options{}); r.Err() != nil {
			t.Fatal(r.Err())
		}
		if r, _ := g.Teardown(t.Context(), plan(t, g), Options{}); r.Err() != nil {
			t.Fatal(r.Err())
		}
		if w.index("delete release") > w.index("delete pool") {
			t.Fatalf("the nodes went before the release: %v", w.log)
		}
	}
}

// When the nodes fail, the release that waits for them is stopped at once and
// is an echo, not a cause.
func TestAwaitEndsWithTheCause(t *testing.T) {
	w := newWorld()
	boom := errors.New("no capacity")
	started := make(chan struct{})
	pool := &fake{w: w, id: "pool", apply: func(context.Context, Progress) error {
		<-started
		return boom
	}}
	release := &fake{w: w, id: "release", apply: func(ctx context.Context, _ Progress) error {
		close(started)
		<-ctx.Done()
		return fmt.Errorf("pods are pending: %w", ctx.Err())
	}}
	check := &fake{w: w, id: "check", needs: []Resource{release}}
	g := graph(t, pool, release, check)
	if err := g.Await(release, pool); err != nil {
		t.Fatal(err)
	}
	r := g.Up(t.Context(), plan(t, g), Options{})
	if err := r.Err(); err == nil || err.Error() != "no capacity" {
		t.Errorf("want the cause alone, got %v", err)
	}
	for _, s := range r.Steps {
		if s.Resource != "pool" && (s.State != Blocked || s.Cause != "pool") {
			t.Errorf("%s is %s by %q, want blocked by pool", s.Resource, s.State, s.Cause)
		}
	}
}

func TestAwaitRefusesContradictions(t *testing.T) {
	w := newWorld()
	cluster := &fake{w: w, id: "cluster"}
	pool := &fake{w: w, id: "pool", needs: []Resource{cluster}}
	other := &fake{w: w, id: "other"}
	g := graph(t, cluster, pool, other)
	if err := g.Await(cluster, pool); err == nil {
		t.Error("a cluster that awaits its own pool was accepted")
	}
	if err := errors.Join(g.Await(other, pool), g.Await(cluster, other)); err == nil {
		t.Error("a circle through what is awaited was accepted")
	}
	if err := g.Await(other, &fake{w: w, id: "elsewhere"}); err == nil {
		t.Error("a resource outside the graph was accepted")
	}
}

func summary(r Receipt) string {
	var words []string
	for _, part := range []struct {
		name  string
		lines []ReceiptLine
	}{{"deleted", r.Deleted}, {"kept", r.Kept}, {"left", r.Left}} {
		words = append(words, part.name)
		for _, l := range part.lines {
			if l.Reason != "" {
				words = append(words, fmt.Sprintf("%s(%s)", l.Resource, l.Reason))
			} else {
				words = append(words, l.Resource)
			}
		}
	}
	return strings.Join(words, " ")
}

func TestEventsTellEveryStepOnce(t *testing.T) {
	w := newWorld("there")
	there := &fake{w: w, id: "there"}
	fresh := &fake{w: w, id: "fresh", needs: []Resource{there}, apply: func(_ context.Context, p Progress) error {
		p("%d of %d", 1, 2)
		p("%d of %d", 1, 2) // a wait repeats itself; the reader does not want to know
		return nil
	}}
	g := graph(t, there, fresh)
	p := plan(t, g)
	var got []string
	g.Up(t.Context(), p, Options{Events: func(e Event) {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", e.Resource, e.Action, e.State, e.Message)))
	}})
	want := []string{"there none succeeded there", "fresh create started", "fresh create running 1 of 2", "fresh create succeeded"}
	if !slices.Equal(got, want) {
		t.Errorf("events:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLimitBoundsConcurrency(t *testing.T) {
	w := newWorld()
	var mu sync.Mutex
	now, most := 0, 0
	var rs []Resource
	for i := range 20 {
		rs = append(rs, &fake{w: w, id: fmt.Sprint(i), apply: func(context.Context, Progress) error {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			now--
			mu.Unlock()
			return nil
		}})
	}
	g := graph(t, rs...)
	g.Up(t.Context(), plan(t, g), Options{Limit: 3})
	if most > 3 {
		t.Errorf("%d at once, limit 3", most)
	}
}

func TestMermaid(t *testing.T) {
	w := newWorld("network/vpc")
	vpc := &fake{w: w, id: "network/vpc"}
	cluster := &fake{w: w, id: "cluster/x", needs: []Resource{vpc}}
	got := plan(t, graph(t, vpc, cluster)).Mermaid()
	for _, want := range []string{"flowchart TD\n", `r0["network/vpc"]:::none`, `r1["cluster/x<br/>create"]:::create`, "r0 --> r1"} {
		if !strings.Contains(got, want) {
			t.Errorf("missing %q in:\n%s", want, got)
		}
	}
}
