package ec2

import (
	"iter"
	"maps"
	"slices"
)

// region is all state of one region.
type region struct {
	name string
	tags map[string]map[string]string // by resource id

	vpcs         *table[*vpc]
	subnets      *table[*subnet]
	gateways     *table[*gateway]
	addresses    *table[*address]
	nats         *table[*nat]
	routeTables  *table[*routeTable]
	endpoints    *table[*endpoint]
	groups       *table[*group]
	interfaces   *table[*eni]
	templates    *table[*template]
	instances    *table[*instance]
	volumes      *table[*volume]
	reservations *table[*reservation]
	placements   *table[*placement]

	capacity map[capacityKey]int
	quotas   map[string]float64
	tokens   map[string]token // by operation and client token
}

func newRegion(name string) *region {
	return &region{
		name: name, tags: map[string]map[string]string{},
		vpcs: newTable[*vpc](), subnets: newTable[*subnet](), gateways: newTable[*gateway](), addresses: newTable[*address](),
		nats: newTable[*nat](), routeTables: newTable[*routeTable](), endpoints: newTable[*endpoint](), groups: newTable[*group](),
		interfaces: newTable[*eni](), templates: newTable[*template](), instances: newTable[*instance](), volumes: newTable[*volume](),
		reservations: newTable[*reservation](), placements: newTable[*placement](),
		capacity: map[capacityKey]int{}, quotas: map[string]float64{}, tokens: map[string]token{},
	}
}

// table keeps resources of one kind by id, in the order in which they were made.
type table[T any] struct {
	byID  map[string]T
	order []string
}

func newTable[T any]() *table[T] { return &table[T]{byID: map[string]T{}} }

func (t *table[T]) add(id string, v T) {
	t.byID[id] = v
	t.order = append(t.order, id)
}

func (t *table[T]) get(id string) (T, bool) {
	v, ok := t.byID[id]
	return v, ok
}

func (t *table[T]) remove(id string) {
	delete(t.byID, id)
	t.order = slices.DeleteFunc(t.order, func(have string) bool { return have == id })
}

// all goes over a copy of the order, so that the loop may remove.
func (t *table[T]) all() iter.Seq2[string, T] {
	order := slices.Clone(t.order)
	return func(yield func(string, T) bool) {
		for _, id := range order {
			if v, ok := t.byID[id]; ok && !yield(id, v) {
				return
			}
		}
	}
}

// forget drops the tags of a resource that is gone.
func (r *region) forget(id string) { delete(r.tags, id) }

// tagsOf is a copy of a resource's tags.
func (r *region) tagsOf(id string) map[string]string { return maps.Clone(r.tags[id]) }
