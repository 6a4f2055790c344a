package engine

import (
	"maps"
	"slices"
)

// TagField is the blueprint's path of a tag.
func TagField(key string) string { return "metadata.tags." + key }

// TagChanges compares tags, one in-place change a tag, in the order of keys:
// those that live lacks or has otherwise. What only live has was set by others
// and is no difference.
func TagChanges(live, wanted map[string]string) []Change {
	var changes []Change
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		c := Change{Field: TagField(key), Wanted: wanted[key], Policy: PolicyInPlace}
		if old, ok := live[key]; ok {
			if old == wanted[key] {
				continue
			}
			c.Live = old
		}
		changes = append(changes, c)
	}
	return changes
}
