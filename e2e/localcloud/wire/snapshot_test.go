package wire

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"aicluster/e2e/localcloud/wire/model"
)

// decodeSnapshot reads one snapshot: method and path, headers and body, each
// set apart by an empty line.
func decodeSnapshot(op *model.Operation, text string) error {
	line, rest, _ := strings.Cut(text, "\n")
	_, body, _ := strings.Cut(rest[1:], "\n\n")
	method, target, _ := strings.Cut(line, " ")
	if method != op.Method {
		return fmt.Errorf("method %s, the table says %s", method, op.Method)
	}
	switch op.Service.Protocol {
	case model.EC2, model.Query:
		form, err := url.ParseQuery(body)
		if err != nil {
			return err
		}
		_, err = formDecoder{ec2: op.Service.Protocol == model.EC2}.decode(form, op.Input)
		return err
	case model.JSON:
		return knownJSON(body, op.Input)
	}
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	labels, ok := matchURI(op.URI, u.EscapedPath())
	if !ok {
		return fmt.Errorf("path %s does not match %s", u.Path, op.URI)
	}
	in, err := decodeREST(&http.Request{URL: u}, labels, []byte(body), op.Input)
	if err != nil {
		return err
	}
	for name := range u.Query() {
		if !hasQueryMember(op.Input, name) {
			return fmt.Errorf("query parameter %s is unknown", name)
		}
	}
	if len(in) == 0 && op.Input != nil && len(op.Input.Members) > 0 {
		return fmt.Errorf("nothing decoded")
	}
	return knownJSON(body, op.Input)
}

func hasQueryMember(s *model.Shape, name string) bool {
	for _, m := range s.Members {
		if m.Location == "querystring" && m.Wire() == name {
			return true
		}
	}
	return false
}

// knownJSON decodes a body and prints it again: nothing may be lost.
func knownJSON(body string, s *model.Shape) error {
	if strings.TrimSpace(body) == "" {
		return nil
	}
	in, err := decodeJSON([]byte(body), s)
	if err != nil {
		return err
	}
	again, err := encodeJSON(toJSON(in, &model.Member{Shape: s}))
	if err != nil {
		return err
	}
	var a, b any
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		return err
	}
	if err := json.Unmarshal(again, &b); err != nil {
		return err
	}
	if lost := lostKey(a, b); lost != "" {
		return fmt.Errorf("member %s is unknown", lost)
	}
	return nil
}

func lostKey(a, b any) string {
	switch a := a.(type) {
	case map[string]any:
		b, _ := b.(map[string]any)
		for name, v := range a {
			if _, ok := b[name]; !ok {
				return name
			}
			if lost := lostKey(v, b[name]); lost != "" {
				return name + "." + lost
			}
		}
	case []any:
		b, _ := b.([]any)
		for i, v := range a {
			if i >= len(b) {
				return fmt.Sprint(i)
			}
			if lost := lostKey(v, b[i]); lost != "" {
				return lost
			}
		}
	}
	return ""
}
