package ec2

import (
	"iter"
	"maps"
	"slices"
	"time"
)

// sight is how a call sees a region. EC2's API is eventually consistent: "if you
// run a command to modify or describe a resource that you just created, its ID
// might not have propagated throughout the system, and you get an error
// responding that the resource does not exist"
// (https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html).
// What calls make is there at once, but for a while no call sees it that lists or
// names resources, and what was deleted is listed for a while yet. EC2's own
// rules (overlaps, limits, dependencies) and AWS's services, which work on their
// own behalf, see the truth. By the clock alone, so that runs repeat.
type sight struct {
	made, gone time.Duration // how long what was made is not seen, and what was deleted still is
	truth      bool          // both do not count
}

// sees tells whether what was made then is seen by now.
func (v *sight) sees(made time.Time) bool { return v.truth || time.Since(made) >= v.made }

// stillSees tells whether what was deleted then is still listed.
func (v *sight) stillSees(removed time.Time) bool { return !v.truth && time.Since(removed) < v.gone }

// ghost is a resource that was deleted and may still be listed.
type ghost[T any] struct {
	id            string
	value         T
	made, removed time.Time
}

// seen finds a resource that a call may name.
func (t *table[T]) seen(id string) (T, bool) {
	v, ok := t.byID[id]
	if !ok || !t.sight.sees(t.made[id]) {
		var none T
		return none, false
	}
	return v, true
}

// shown goes over what a Describe call lists.
func (t *table[T]) shown() iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		for id, v := range t.all() {
			if t.sight.sees(t.made[id]) && !yield(id, v) {
				return
			}
		}
		for _, g := range t.ghosts {
			if t.sight.stillSees(g.removed) && t.sight.sees(g.made) && !yield(g.id, g.value) {
				return
			}
		}
	}
}

// shows tells whether a Describe call lists the resource.
func (t *table[T]) shows(id string) bool {
	for have := range t.shown() {
		if have == id {
			return true
		}
	}
	return false
}

// haunt keeps a resource that is removed for as long as it may be listed.
func (t *table[T]) haunt(id string) {
	t.ghosts = slices.DeleteFunc(t.ghosts, func(g ghost[T]) bool { return time.Since(g.removed) >= t.sight.gone })
	if v, ok := t.byID[id]; ok {
		t.ghosts = append(t.ghosts, ghost[T]{id, v, t.made[id], time.Now()})
	}
}

// formerTags are tags that a resource had and that calls may still see.
type formerTags struct {
	tags  map[string]string
	until time.Time
}

// retag changes a resource's tags; nil drops them, for a resource that is gone.
// Calls go on seeing the old ones for a while.
func (r *region) retag(id string, tags map[string]string) {
	lag := r.sight.made
	if tags == nil {
		lag = r.sight.gone
	}
	former := slices.DeleteFunc(r.former[id], func(f formerTags) bool { return !time.Now().Before(f.until) })
	r.former[id] = append(former, formerTags{r.tags[id], time.Now().Add(lag)})
	if tags == nil {
		delete(r.tags, id)
		return
	}
	r.tags[id] = tags
}

// forget drops the tags of a resource that is gone.
func (r *region) forget(id string) {
	if _, ok := r.tags[id]; ok {
		r.retag(id, nil)
	}
}

// seenTags are the tags that a call sees.
func (r *region) seenTags(id string) map[string]string {
	if !r.sight.truth {
		for _, f := range r.former[id] {
			if time.Now().Before(f.until) {
				return f.tags
			}
		}
	}
	return r.tags[id]
}

// Tags are the tags that a resource has, whatever the API shows of them yet.
func (s *Service) Tags(region, id string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.region(region).tags[id])
}

// Associated are the route table and the subnet of an association.
func (s *Service) Associated(region, association string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, subnet, err := s.region(region).association(&association)
	switch {
	case err != nil:
		return nil
	case subnet == "":
		return []string{t.id}
	}
	return []string{t.id, subnet}
}
