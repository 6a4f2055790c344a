package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"aicluster/e2e/localcloud/wire/model"
)

// decodeJSON reads a JSON body into a structure's tree. Members that the table
// does not know, and nulls, are passed over, as AWS does.
func decodeJSON(body []byte, s *model.Shape) (tree, error) {
	if len(bytes.TrimSpace(body)) == 0 || s == nil {
		return tree{}, nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var raw any
	if err := d.Decode(&raw); err != nil {
		return nil, malformed(err.Error())
	}
	value, err := fromJSON(raw, &model.Member{Shape: s})
	if err != nil {
		return nil, err
	}
	return value.(tree), nil
}

func malformed(message string) error {
	return &Error{Code: "SerializationException", Message: message}
}

func fromJSON(raw any, m *model.Member) (any, error) {
	s := m.Shape
	switch raw := raw.(type) {
	case map[string]any:
		if s.Type == "structure" {
			return structureFromJSON(raw, s)
		}
		if s.Type == "map" {
			return mapFromJSON(raw, s)
		}
	case []any:
		if s.Type == "list" {
			return listFromJSON(raw, s)
		}
	case bool:
		if s.Type == "boolean" {
			return raw, nil
		}
	case json.Number:
		return numberFromJSON(raw, m)
	case string:
		return stringFromJSON(raw, m)
	}
	return nil, malformed(fmt.Sprintf("%s cannot be converted to %s", jsonKind(raw), s.Type))
}

func structureFromJSON(raw map[string]any, s *model.Shape) (tree, error) {
	out := tree{}
	for _, m := range s.Members {
		value, ok := raw[m.Wire()]
		if !ok || value == nil || m.Location != "" {
			continue
		}
		var err error
		if out[m.Name], err = fromJSON(value, m); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func mapFromJSON(raw map[string]any, s *model.Shape) (tree, error) {
	out := tree{}
	for key, value := range raw {
		if value == nil {
			continue
		}
		var err error
		if out[key], err = fromJSON(value, s.Value); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func listFromJSON(raw []any, s *model.Shape) ([]any, error) {
	out := make([]any, 0, len(raw))
	for _, item := range raw {
		if item == nil {
			continue
		}
		value, err := fromJSON(item, s.Member)
		if err != nil {
			return nil, err
		}
		out = append(out, value)
	}
	return out, nil
}

func numberFromJSON(raw json.Number, m *model.Member) (any, error) {
	switch m.Shape.Type {
	case "integer", "long", "float", "double", "short", "byte":
		value, err := parseScalar(raw.String(), m)
		if err != nil {
			return nil, malformed(fmt.Sprintf("%s is not a valid %s", raw, m.Shape.Type))
		}
		return value, nil
	case "timestamp":
		seconds, err := raw.Float64()
		return epoch(seconds), err
	}
	return nil, malformed(fmt.Sprintf("NUMBER_VALUE cannot be converted to %s", m.Shape.Type))
}

func stringFromJSON(raw string, m *model.Member) (any, error) {
	switch m.Shape.Type {
	case "string", "character":
		return raw, nil
	case "timestamp":
		t, err := parseTime(raw)
		if err != nil {
			return nil, malformed("Unable to parse timestamp " + raw)
		}
		return t, nil
	case "blob":
		b, err := base64.StdEncoding.DecodeString(raw)
		if err != nil {
			return nil, malformed("Unable to decode base64")
		}
		return b, nil
	}
	return nil, malformed(fmt.Sprintf("STRING_VALUE cannot be converted to %s", m.Shape.Type))
}

// jsonKind names a JSON value as AWS's own messages do.
func jsonKind(raw any) string {
	switch raw.(type) {
	case map[string]any:
		return "Start of structure or map found where not expected: it"
	case []any:
		return "Start of list found where not expected: it"
	case bool:
		return "BOOLEAN_VALUE"
	}
	return "NULL_VALUE"
}

// decodeREST reads the members that stand in path, query string and headers,
// and the rest from a JSON body.
func decodeREST(r *http.Request, labels map[string]string, body []byte, s *model.Shape) (tree, error) {
	if s == nil {
		return tree{}, nil
	}
	out, err := decodeJSON(body, s)
	if err != nil {
		return nil, err
	}
	query := r.URL.Query()
	for _, m := range s.Members {
		var text string
		var ok bool
		switch m.Location {
		case "uri":
			text, ok = labels[m.Wire()]
		case "header":
			text, ok = r.Header.Get(m.Wire()), r.Header.Get(m.Wire()) != ""
		case "querystring":
			if err := decodeQueryMember(query, m, out); err != nil {
				return nil, err
			}
			continue
		}
		if !ok {
			continue
		}
		if out[m.Name], err = parseScalar(text, m); err != nil {
			return nil, malformed(fmt.Sprintf("%s is not a valid %s", text, m.Shape.Type))
		}
	}
	return out, nil
}

func decodeQueryMember(query url.Values, m *model.Member, out tree) error {
	values, ok := query[m.Wire()]
	switch {
	case m.Shape.Type == "map":
		// A map without a name takes every parameter; no operation in use has one.
		return nil
	case !ok:
		return nil
	case m.Shape.Type == "list":
		items := make([]any, 0, len(values))
		for _, text := range values {
			item, err := parseScalar(text, m.Shape.Member)
			if err != nil {
				return malformed(fmt.Sprintf("%s is not a valid %s", text, m.Shape.Member.Shape.Type))
			}
			items = append(items, item)
		}
		out[m.Name] = items
		return nil
	}
	value, err := parseScalar(values[0], m)
	if err != nil {
		return malformed(fmt.Sprintf("%s is not a valid %s", values[0], m.Shape.Type))
	}
	out[m.Name] = value
	return nil
}

// matchURI compares an escaped path with an operation's template, such as
// /clusters/{name}/node-groups, and returns the labels unescaped. A label
// {key+} takes slashes as well; any other one segment, which may not be empty.
func matchURI(template, escapedPath string) (map[string]string, bool) {
	template, _, _ = strings.Cut(template, "?")
	want, have := strings.Split(template, "/"), strings.Split(escapedPath, "/")
	labels := map[string]string{}
	for i, segment := range want {
		if i >= len(have) {
			return nil, false
		}
		name, isLabel := strings.CutPrefix(segment, "{")
		name = strings.TrimSuffix(name, "}")
		greedy := isLabel && strings.HasSuffix(name, "+")
		text := have[i]
		if greedy {
			name, text = strings.TrimSuffix(name, "+"), strings.Join(have[i:], "/")
		}
		switch {
		case !isLabel && segment != text:
			return nil, false
		case isLabel:
			value, err := url.PathUnescape(text)
			if err != nil || value == "" {
				return nil, false
			}
			labels[name] = value
		}
		if greedy {
			return labels, true
		}
	}
	return labels, len(want) == len(have)
}

// jsonTime is the form of a time in JSON: seconds since the epoch, with
// milliseconds as a fraction.
func jsonTime(t time.Time) json.Number {
	if ms := t.UnixMilli() % 1000; ms != 0 {
		return json.Number(fmt.Sprintf("%d.%03d", t.Unix(), ms))
	}
	return json.Number(fmt.Sprint(t.Unix()))
}
