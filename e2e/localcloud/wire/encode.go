package wire

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"aicluster/e2e/localcloud/wire/model"
)

// toJSON turns a tree value into what encoding/json prints as AWS would.
func toJSON(value any, m *model.Member) any {
	switch m.Shape.Type {
	case "structure":
		out := map[string]any{}
		for name, v := range value.(tree) {
			if f := m.Shape.Find(name); f.Location == "" {
				out[f.Wire()] = toJSON(v, f)
			}
		}
		return out
	case "map":
		out := map[string]any{}
		for key, v := range value.(tree) {
			out[key] = toJSON(v, m.Shape.Value)
		}
		return out
	case "list":
		out := []any{}
		for _, v := range value.([]any) {
			out = append(out, toJSON(v, m.Shape.Member))
		}
		return out
	case "timestamp":
		if format := timestampFormat(m); format == "iso8601" || format == "rfc822" {
			return formatScalar(value, m)
		}
		return jsonTime(value.(time.Time))
	}
	return value
}

// encodeJSON prints without HTML escaping, which AWS does not do.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// xmlWriter prints trees in the EC2 or the query protocol's XML.
type xmlWriter struct{ b bytes.Buffer }

var xmlEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\r", "&#xD;")

func (w *xmlWriter) open(name string)  { w.b.WriteString("<" + name + ">") }
func (w *xmlWriter) close(name string) { w.b.WriteString("</" + name + ">") }

func (w *xmlWriter) text(name, value string) {
	w.open(name)
	xmlEscaper.WriteString(&w.b, value)
	w.close(name)
}

// members prints a structure's members in the model's order. Absent lists at
// the top are printed empty, too: clients count on them being there.
func (w *xmlWriter) members(t tree, s *model.Shape, top bool) {
	if top {
		addEmptyLists(t, s)
	}
	for _, m := range s.Members {
		if value, ok := t[m.Name]; ok {
			w.member(m.Wire(), value, m)
		}
	}
}

func (w *xmlWriter) member(name string, value any, m *model.Member) {
	switch m.Shape.Type {
	case "structure":
		w.open(name)
		w.members(value.(tree), m.Shape, false)
		w.close(name)
	case "list":
		w.list(name, value.([]any), m)
	case "map":
		w.mapping(name, value.(tree), m)
	default:
		w.text(name, formatScalar(value, m))
	}
}

func (w *xmlWriter) list(name string, items []any, m *model.Member) {
	item := m.Shape.Member
	if flattened(m) {
		for _, v := range items {
			w.member(cmp.Or(item.LocationName, name), v, item)
		}
		return
	}
	w.open(name)
	for _, v := range items {
		w.member(cmp.Or(item.LocationName, "member"), v, item)
	}
	w.close(name)
}

func (w *xmlWriter) mapping(name string, entries tree, m *model.Member) {
	keys := make([]string, 0, len(entries))
	for key := range entries {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	entryName := "entry"
	if flattened(m) {
		entryName = name
	} else {
		w.open(name)
		defer w.close(name)
	}
	for _, key := range keys {
		w.open(entryName)
		w.text(cmp.Or(m.Shape.Key.LocationName, "key"), key)
		w.member(cmp.Or(m.Shape.Value.LocationName, "value"), entries[key], m.Shape.Value)
		w.close(entryName)
	}
}
