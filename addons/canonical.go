package addons

import (
	"encoding/json"
	"fmt"
	"reflect"

	"helm.sh/helm/v3/pkg/chartutil"
	"sigs.k8s.io/yaml"
)

// canonical gives values the types that JSON has, so that what was read from a
// YAML blueprint equals what a cluster stored: all numbers float64, all maps
// map[string]any. Empty and nil become an empty map. It copies deeply.
func canonical(values map[string]any) (map[string]any, error) {
	out := map[string]any{}
	if len(values) == 0 {
		return out, nil
	}
	data, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("values that JSON cannot express: %w", err)
	}
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, err
	}
	return out, nil
}

// parseValues reads a JSON or YAML document of values, as EKS stores them.
func parseValues(document string) (map[string]any, error) {
	var out map[string]any
	if err := yaml.Unmarshal([]byte(document), &out); err != nil {
		return nil, err
	}
	return canonical(out)
}

// sameValues tells whether two canonical values are equal.
func sameValues(a, b map[string]any) bool { return reflect.DeepEqual(a, b) }

// overlay lays the user's values over ours, map by map; a list or a scalar of
// the user's replaces ours. Values that JSON cannot express are left to the
// blueprint's validation, and to Helm's.
func overlay(ours, users map[string]any) map[string]any {
	base, err := canonical(ours)
	if err != nil {
		return users
	}
	over, err := canonical(users)
	if err != nil {
		return users
	}
	return chartutil.MergeTables(over, base)
}
