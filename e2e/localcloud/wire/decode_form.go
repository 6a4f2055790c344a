package wire

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"

	"aicluster/e2e/localcloud/wire/model"
)

// formNode is the parameters of a form as the tree that their dots make:
// Tag.1.Key=a is the node Tag, in it 1, in it Key with the value a.
type formNode struct {
	path     string
	value    *string
	children map[string]*formNode
	used     bool
}

func parseForm(values url.Values) *formNode {
	root := &formNode{}
	for name, vs := range values {
		node := root
		for _, part := range strings.Split(name, ".") {
			node = node.child(part)
		}
		node.value = &vs[0]
	}
	return root
}

func (n *formNode) child(part string) *formNode {
	if c := n.children[part]; c != nil {
		return c
	}
	c := &formNode{path: part}
	if n.path != "" {
		c.path = n.path + "." + part
	}
	if n.children == nil {
		n.children = map[string]*formNode{}
	}
	n.children[part] = c
	return c
}

// unused finds the first parameter, by name, that decoding did not take.
func (n *formNode) unused() string {
	if n.value != nil && !n.used {
		return n.path
	}
	names := make([]string, 0, len(n.children))
	for name := range n.children {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if path := n.children[name].unused(); path != "" {
			return path
		}
	}
	return ""
}

// formDecoder reads the parameters of the EC2 and the query protocol.
type formDecoder struct{ ec2 bool }

// decode reads a whole request. Parameters that no operation has are refused.
func (d formDecoder) decode(values url.Values, s *model.Shape) (tree, error) {
	root := parseForm(values)
	for _, name := range []string{"Action", "Version"} {
		delete(root.children, name)
	}
	out := tree{}
	if s != nil {
		var err error
		if out, err = d.structure(root, s); err != nil {
			return nil, err
		}
	}
	if name := root.unused(); name != "" {
		return nil, &Error{Code: "UnknownParameter", Message: fmt.Sprintf("The parameter %s is not recognized", name)}
	}
	return out, nil
}

func (d formDecoder) structure(n *formNode, s *model.Shape) (tree, error) {
	out := tree{}
	for _, m := range s.Members {
		value, ok, err := d.value(n, d.key(m), m)
		if err != nil {
			return nil, err
		}
		if ok {
			out[m.Name] = value
		}
	}
	return out, nil
}

// key is the name of a member in a form.
func (d formDecoder) key(m *model.Member) string {
	switch {
	case !d.ec2 && flattened(m) && m.Shape.Member != nil && m.Shape.Member.LocationName != "":
		return m.Shape.Member.LocationName
	case !d.ec2:
		return m.Wire()
	case m.QueryName != "":
		return m.QueryName
	}
	return upperFirst(m.Wire())
}

func flattened(m *model.Member) bool { return m.Flattened || m.Shape.Flattened }

// value reads the member m, which stands under key in n; ok is false when it
// is absent.
func (d formDecoder) value(n *formNode, key string, m *model.Member) (value any, ok bool, err error) {
	c := n.children[key]
	if c == nil {
		return nil, false, nil
	}
	switch m.Shape.Type {
	case "structure":
		c.used = true
		value, err = d.structure(c, m.Shape)
	case "list":
		value, err = d.list(c, m)
	case "map":
		value, err = d.mapping(c, m)
	default:
		if c.value == nil {
			return nil, false, nil
		}
		c.used = true
		if value, err = parseScalar(*c.value, m); err != nil {
			return nil, false, d.badValue(c, m)
		}
	}
	return value, err == nil, err
}

func (d formDecoder) badValue(n *formNode, m *model.Member) error {
	if d.ec2 {
		return &Error{Code: "InvalidParameterValue", Message: fmt.Sprintf("Value (%s) for parameter %s is invalid.", *n.value, lowerFirst(n.path))}
	}
	return &Error{Code: "MalformedInput", Message: fmt.Sprintf("Value '%s' at '%s' is not a valid %s", *n.value, lowerFirst(n.path), m.Shape.Type)}
}

// list reads Name.1, Name.2 or Name.member.1, Name.member.2; gaps in the
// numbers are allowed, and Name= alone is an empty list.
func (d formDecoder) list(n *formNode, m *model.Member) ([]any, error) {
	item := m.Shape.Member
	items := n
	n.used = true
	if !d.ec2 && !flattened(m) {
		name := cmp.Or(item.LocationName, "member")
		if items = n.children[name]; items == nil {
			return []any{}, nil
		}
	}
	out := []any{}
	for _, index := range indices(items) {
		value, ok, err := d.value(items, index, item)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, value)
		}
	}
	return out, nil
}

func (d formDecoder) mapping(n *formNode, m *model.Member) (tree, error) {
	n.used = true
	if !flattened(m) {
		if n = n.children["entry"]; n == nil {
			return tree{}, nil
		}
	}
	out := tree{}
	for _, index := range indices(n) {
		entry := n.children[index]
		key, ok, err := d.value(entry, cmp.Or(m.Shape.Key.LocationName, "key"), m.Shape.Key)
		if err != nil {
			return nil, err
		}
		value, found, err := d.value(entry, cmp.Or(m.Shape.Value.LocationName, "value"), m.Shape.Value)
		if err != nil {
			return nil, err
		}
		if ok && found {
			out[key.(string)] = value
		}
	}
	return out, nil
}

// indices are the numbers among a node's children, in their order.
func indices(n *formNode) []string {
	var out []string
	number := map[string]int{}
	for name := range n.children {
		if i, err := strconv.Atoi(name); err == nil && i >= 1 {
			out = append(out, name)
			number[name] = i
		}
	}
	slices.SortFunc(out, func(a, b string) int { return number[a] - number[b] })
	return out
}
