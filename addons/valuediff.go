package addons

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"aicluster/provision/engine"
)

// hidden stands for a value that may be a secret.
const hidden = "(hidden)"

// valueChanges lists where canonical values differ, one change per path, with
// what may be a secret hidden.
func valueChanges(path string, live, wanted map[string]any) []engine.Change {
	var out []engine.Change
	keys := slices.Collect(maps.Keys(live))
	keys = slices.AppendSeq(keys, maps.Keys(wanted))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		l, haveLive := live[key]
		w, haveWanted := wanted[key]
		if haveLive == haveWanted && reflect.DeepEqual(l, w) {
			continue
		}
		at := path + "." + key
		lm, lok := l.(map[string]any)
		wm, wok := w.(map[string]any)
		if (lok || !haveLive) && (wok || !haveWanted) && len(lm)+len(wm) > 0 {
			out = append(out, valueChanges(at, lm, wm)...)
			continue
		}
		out = append(out, engine.Change{Field: at, Live: masked(key, l), Wanted: masked(key, w), Policy: engine.PolicyInPlace})
	}
	return out
}

// masked hides a value whose key, or a key inside it, speaks of a secret.
func masked(key string, value any) any {
	if value == nil {
		return nil
	}
	if secretKey(key) {
		return hidden
	}
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, inner := range v {
			out[k] = masked(k, inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = masked("", inner)
		}
		return out
	}
	return value
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
