package ec2

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// region is all state of one region.
type region struct {
	name string
	tags map[string]map[string]string // by resource id

	sight  *sight // of the call that holds the lock
	former map[string][]formerTags

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
	tokens   map[string]token                  // by operation and client token
	fleets   map[string]*ec2.CreateFleetOutput // what a token's call answered, by the fleet's id
}

func newRegion(name string, v *sight) *region {
	return &region{
		name: name, sight: v, former: map[string][]formerTags{}, tags: map[string]map[string]string{},
		vpcs: newTable[*vpc](v), subnets: newTable[*subnet](v), gateways: newTable[*gateway](v), addresses: newTable[*address](v),
		nats: newTable[*nat](v), routeTables: newTable[*routeTable](v), endpoints: newTable[*endpoint](v), groups: newTable[*group](v),
		interfaces: newTable[*eni](v), templates: newTable[*template](v), instances: newTable[*instance](v), volumes: newTable[*volume](v),
		reservations: newTable[*reservation](v), placements: newTable[*placement](v),
		capacity: map[capacityKey]int{}, quotas: map[string]float64{}, tokens: map[string]token{}, fleets: map[string]*ec2.CreateFleetOutput{},
	}
}

// table keeps resources of one kind by id, in the order in which they were made.
type table[T any] struct {
	byID   map[string]T
	order  []string
	made   map[string]time.Time
	ghosts []ghost[T]
	sight  *sight
}

func newTable[T any](v *sight) *table[T] {
	return &table[T]{byID: map[string]T{}, made: map[string]time.Time{}, sight: v}
}

func (t *table[T]) add(id string, v T) {
	t.byID[id], t.made[id] = v, time.Now()
	t.order = append(t.order, id)
}

func (t *table[T]) get(id string) (T, bool) {
	v, ok := t.byID[id]
	return v, ok
}

func (t *table[T]) remove(id string) {
	t.haunt(id)
	delete(t.byID, id)
	delete(t.made, id)
	t.order = slices.DeleteFunc(t.order, func(have string) bool { return have == id })
}

// all goes over what there is, whether or not calls see it yet: over a copy of the order, so that the loop may remove.
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

// tagsOf is a copy of a resource's tags.
func (r *region) tagsOf(id string) map[string]string { return maps.Clone(r.tags[id]) }
