package addons

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"aicluster/provision/engine"
)

// hidden stands for a value that may be a secret.
const hidden = "(hidden)"

// valueChanges lists where canonical values differ, one change a leaf, with what
// may be a secret hidden. A list of plain values is one leaf.
func valueChanges(path string, live, wanted map[string]any) []engine.Change {
	return compare(path, branch(live), branch(wanted))
}

// tree is a value: a leaf, or what is below it, or neither where there is none.
type tree struct {
	leaf  any // what to show
	exact any // what to compare: for a secret, not what is shown
	below map[string]tree
	order []string // of below's keys, which continue the path: ".key", "[0]"
}

func compare(path string, live, wanted tree) []engine.Change {
	var out []engine.Change
	if !reflect.DeepEqual(live.exact, wanted.exact) {
		out = append(out, engine.Change{Field: path, Live: live.leaf, Wanted: wanted.leaf, Policy: engine.PolicyInPlace})
	}
	for _, key := range live.order {
		out = append(out, compare(path+key, live.below[key], wanted.below[key])...)
	}
	for _, key := range wanted.order {
		if _, both := live.below[key]; !both {
			out = append(out, compare(path+key, tree{}, wanted.below[key])...)
		}
	}
	return out
}

// grow makes the tree of a value.
func grow(v any, secret bool) tree {
	switch v := v.(type) {
	case map[string]any:
		if len(v) > 0 && !secret {
			return branch(v)
		}
		if len(v) == 0 {
			return leaf("{}", "{}")
		}
	case []any:
		if !secret && slices.ContainsFunc(v, composite) {
			t := tree{below: map[string]tree{}}
			for i, element := range v {
				t.put(fmt.Sprintf("[%d]", i), grow(element, false))
			}
			return t
		}
	case nil:
		return leaf("null", "null") // Helm takes a default away by it
	}
	if secret {
		return leaf(v, hidden)
	}
	return leaf(v, v)
}

func leaf(exact, shown any) tree { return tree{exact: exact, leaf: shown} }

// branch is the tree of a map. Beside a secret's name, as environment variables
// have it, stands the secret.
func branch(m map[string]any) tree {
	t := tree{below: map[string]tree{}}
	name, _ := m["name"].(string)
	for _, key := range slices.Sorted(maps.Keys(m)) {
		t.put("."+key, grow(m[key], secretKey(key) || key == "value" && secretKey(name)))
	}
	return t
}

func (t *tree) put(key string, below tree) {
	t.below[key], t.order = below, append(t.order, key)
}

func composite(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

func secretKey(key string) bool {
	key = strings.ToLower(key)
	for _, word := range []string{"password", "passwd", "secret", "token", "credential", "apikey", "api_key", "privatekey", "private_key"} {
		if strings.Contains(key, word) {
			return true
		}
	}
	return false
}
