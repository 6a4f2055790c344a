package faults

import (
	"fmt"
	"slices"
	"sync"

	"aicluster/e2e/localcloud/clock"
)

// List is the faults in force.
type List struct {
	clock   *clock.Clock
	changed func(gone, added, here []Fault)

	changing sync.Mutex // one change at a time

	mu      sync.Mutex // not held while anybody is called
	entries []*entry
	unnamed int // how many have been given a name
}

// entry is a fault and what it has done.
type entry struct {
	Fault
	struck  int // how many calls, nodes or instances it has struck
	holding int // how many calls it holds back right now

	seen   int             // calls that it is about
	chosen map[string]bool // nodes or instances that it has struck
	lifted chan struct{}   // closed when the fault is no more
}

// New returns an empty list. Changed, if set, is told when faults go or come,
// with all that are there then; it must not change the list.
func New(c *clock.Clock, changed func(gone, added, here []Fault)) *List {
	return &List{clock: c, changed: changed}
}

// Add puts faults in force, each in the place of one of the same name. It
// returns the names, which are made up where there are none.
func (l *List) Add(faults ...Fault) (names []string) {
	l.change(func() (gone, added []Fault) {
		for _, f := range faults {
			if f.Name == "" {
				l.unnamed++
				f.Name = fmt.Sprintf("%s-%d", f.Kind, l.unnamed)
			}
			gone = append(gone, l.remove(f.Name)...)
			names = append(names, f.Name)
			added = append(added, f)
			l.entries = append(l.entries, &entry{Fault: f, chosen: map[string]bool{}, lifted: make(chan struct{})})
		}
		return gone, added
	})
	return names
}

// Lift ends a fault and lets go what it holds. It reports whether there was one.
func (l *List) Lift(name string) (was bool) {
	l.change(func() (gone, added []Fault) {
		gone = l.remove(name)
		was = len(gone) > 0
		return gone, nil
	})
	return was
}

// Clear lifts all.
func (l *List) Clear() {
	l.change(func() (gone, added []Fault) {
		for len(l.entries) > 0 {
			gone = append(gone, l.remove(l.entries[0].Name)...)
		}
		return gone, nil
	})
}

// change makes a change and tells of it. Who is told may ask the list.
func (l *List) change(f func() (gone, added []Fault)) {
	l.changing.Lock()
	defer l.changing.Unlock()
	l.mu.Lock()
	gone, added := f()
	var here []Fault
	for _, e := range l.entries {
		here = append(here, e.Fault)
	}
	l.mu.Unlock()
	if l.changed != nil {
		l.changed(gone, added, here)
	}
}

func (l *List) remove(name string) []Fault {
	i := slices.IndexFunc(l.entries, func(e *entry) bool { return e.Name == name })
	if i < 0 {
		return nil
	}
	e := l.entries[i]
	close(e.lifted)
	l.entries = slices.Delete(l.entries, i, i+1)
	return []Fault{e.Fault}
}
