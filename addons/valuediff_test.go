package addons

import (
	"fmt"
	"strings"
	"testing"
)

// shown lists the changes between values, one a line, as "field: live -> wanted".
func shown(t *testing.T, live, wanted map[string]any) string {
	t.Helper()
	from, err := canonical(live)
	if err != nil {
		t.Fatal(err)
	}
	to, err := canonical(wanted)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, c := range valueChanges("values", from, to) {
		out = append(out, fmt.Sprintf("%s: %v -> %v", c.Field, c.Live, c.Wanted))
	}
	return strings.Join(out, "\n")
}

func TestValueChanges(t *testing.T) {
	toleration := func(key string) map[string]any { return map[string]any{"key": key, "operator": "Exists"} }
	tests := map[string]struct {
		live, wanted map[string]any
		want         string
	}{
		"equal":           {map[string]any{"a": 1, "b": []any{"x"}}, map[string]any{"a": 1.0, "b": []any{"x"}}, ""},
		"leaves":          {map[string]any{"a": map[string]any{"b": 1, "same": true}, "gone": 1}, map[string]any{"a": map[string]any{"b": 2, "same": true}, "new": map[string]any{"x": "y"}}, "values.a.b: 1 -> 2\nvalues.gone: 1 -> <nil>\nvalues.new.x: <nil> -> y"},
		"plain list":      {map[string]any{"zones": []any{"a"}}, map[string]any{"zones": []any{"a", "b"}}, "values.zones: [a] -> [a b]"},
		"list of maps":    {map[string]any{"t": []any{toleration("a")}}, map[string]any{"t": []any{toleration("a"), toleration("b")}}, "values.t[1].key: <nil> -> b\nvalues.t[1].operator: <nil> -> Exists"},
		"scalar to map":   {map[string]any{"a": 1}, map[string]any{"a": map[string]any{"b": 2}}, "values.a: 1 -> <nil>\nvalues.a.b: <nil> -> 2"},
		"emptied":         {map[string]any{"a": map[string]any{"b": 2}, "l": []any{1}}, map[string]any{"a": map[string]any{}, "l": []any{}}, "values.a: <nil> -> {}\nvalues.a.b: 2 -> <nil>\nvalues.l: [1] -> []"},
		"null":            {map[string]any{"a": 1}, map[string]any{"a": nil, "b": nil}, "values.a: 1 -> null\nvalues.b: <nil> -> null"},
		"a secret":        {map[string]any{"adminPassword": "old"}, map[string]any{"adminPassword": "new"}, "values.adminPassword: (hidden) -> (hidden)"},
		"secrets below":   {nil, map[string]any{"credentials": map[string]any{"user": "u", "pin": 1}}, "values.credentials: <nil> -> (hidden)"},
		"in a list":       {map[string]any{"env": []any{map[string]any{"token": "t0"}}}, map[string]any{"env": []any{map[string]any{"token": "t1"}}}, "values.env[0].token: (hidden) -> (hidden)"},
		"by its name":     {nil, map[string]any{"env": []any{map[string]any{"name": "DB_PASSWORD", "value": "p"}}}, "values.env[0].name: <nil> -> DB_PASSWORD\nvalues.env[0].value: <nil> -> (hidden)"},
		"same but hidden": {map[string]any{"token": "t"}, map[string]any{"token": "t"}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := shown(t, tt.live, tt.wanted); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}
