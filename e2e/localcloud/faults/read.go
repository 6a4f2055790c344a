package faults

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A Problem is one thing wrong with a description of faults.
type Problem struct {
	File         string // empty for what came without a file
	Line, Column int
	Path         string // such as faults[2].kind
	Text         string
}

func (p Problem) Error() string {
	s := fmt.Sprintf("%d:%d: ", p.Line, p.Column)
	if p.File != "" {
		s = p.File + ":" + s
	}
	if p.Path != "" {
		s += p.Path + ": "
	}
	return s + p.Text
}

// ReadFile reads a file with a list of faults. The error joins every [Problem].
func ReadFile(name string, data []byte) ([]Fault, error) {
	r := &reader{file: name}
	root := r.document(data)
	if root == nil {
		return nil, r.err()
	}
	var list []Fault
	for key, value := range r.pairs(root, "") {
		switch {
		case key.Value != "faults":
			r.problem(key, key.Value, unknown(key.Value, "faults"))
		case value.Kind != yaml.SequenceNode:
			r.problem(value, "faults", "want a list")
		default:
			for i, item := range value.Content {
				list = append(list, r.fault(item, fmt.Sprintf("faults[%d]", i)))
			}
			r.duplicates(value.Content, list)
		}
	}
	return list, r.err()
}

// Read reads one fault.
func Read(data []byte) (Fault, error) {
	r := &reader{}
	root := r.document(data)
	if root == nil {
		return Fault{}, r.err()
	}
	return r.fault(root, ""), r.err()
}

// reader collects the problems of one text.
type reader struct {
	file     string
	problems []Problem
}

func (r *reader) problem(at *yaml.Node, path, text string) {
	r.problems = append(r.problems, Problem{r.file, at.Line, at.Column, path, text})
}

// err is all problems, from the top of the text down.
func (r *reader) err() error {
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	var errs []error
	for _, p := range r.problems {
		errs = append(errs, p)
	}
	return errors.Join(errs...)
}

// document is the top of the text, nil if there is none that could be read.
func (r *reader) document(data []byte) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		line, text := 1, strings.TrimPrefix(err.Error(), "yaml: ")
		if _, e := fmt.Sscanf(text, "line %d:", &line); e == nil {
			_, text, _ = strings.Cut(text, ": ")
		}
		r.problem(&yaml.Node{Line: line, Column: 1}, "", text)
		return nil
	}
	if len(doc.Content) == 0 {
		r.problem(&yaml.Node{Line: 1, Column: 1}, "", "it is empty")
		return nil
	}
	return doc.Content[0]
}

// pairs goes through the keys and values of a mapping, each key once.
func (r *reader) pairs(n *yaml.Node, path string) func(func(k, v *yaml.Node) bool) {
	return func(yield func(k, v *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			r.problem(n, path, "want keys with values")
			return
		}
		seen := map[string]bool{}
		for i := 0; i < len(n.Content); i += 2 {
			k := n.Content[i]
			if seen[k.Value] {
				r.problem(k, join(path, k.Value), "given twice")
				continue
			}
			seen[k.Value] = true
			if !yield(k, n.Content[i+1]) {
				return
			}
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// fault reads one fault.
func (r *reader) fault(n *yaml.Node, path string) Fault {
	var f Fault
	given := map[string]*yaml.Node{}
	before := len(r.problems)
	for k, v := range r.pairs(n, path) {
		i := slices.IndexFunc(keys(), func(x key) bool { return x.name == k.Value })
		if i < 0 {
			var names []string
			for _, x := range keys() {
				names = append(names, x.name)
			}
			r.problem(k, join(path, k.Value), unknown(k.Value, names...))
			continue
		}
		given[k.Value] = k
		x := keys()[i]
		if into := x.into(&f); !decode(v, into) {
			r.problem(v, join(path, x.name), fmt.Sprintf("%q is not %s", v.Value, wanted(into)))
		} else if x.check != nil {
			if err := x.check(&f); err != nil {
				r.problem(v, join(path, x.name), err.Error())
			}
		}
	}
	switch {
	case n.Kind != yaml.MappingNode:
	case given["kind"] == nil && len(r.problems) == before:
		r.problem(n, join(path, "kind"), "missing, it is one of "+strings.Join(kindNames(), ", "))
	case len(r.problems) == before:
		r.fit(n, path, f.Kind, given)
	}
	return f
}

// fit checks the keys that a fault has against its kind's.
func (r *reader) fit(n *yaml.Node, path string, name Kind, given map[string]*yaml.Node) {
	k := kinds()[slices.IndexFunc(kinds(), func(k kind) bool { return k.name == name })]
	for key, at := range given {
		if !k.has(key) {
			r.problem(at, join(path, key), fmt.Sprintf("a fault of kind %s has no such key; it has %s", name, strings.ReplaceAll("name "+k.keys, " ", ", ")))
		}
	}
	for _, group := range strings.Fields(k.required) {
		choice := strings.Split(group, "|")
		if !slices.ContainsFunc(choice, func(key string) bool { return given[key] != nil }) {
			r.problem(n, join(path, choice[0]), fmt.Sprintf("missing; a fault of kind %s needs %s", name, strings.Join(choice, " or ")))
		}
	}
}

// duplicates finds names that two faults of a file have.
func (r *reader) duplicates(items []*yaml.Node, list []Fault) {
	seen := map[string]bool{}
	for i, f := range list {
		if f.Name != "" && seen[f.Name] {
			r.problem(items[i], fmt.Sprintf("faults[%d].name", i), fmt.Sprintf("another fault is named %s", f.Name))
		}
		seen[f.Name] = true
	}
}

func decode(v *yaml.Node, into any) bool {
	if d, ok := into.(*time.Duration); ok {
		var err error
		*d, err = time.ParseDuration(v.Value)
		return err == nil && v.Kind == yaml.ScalarNode
	}
	return v.Kind == yaml.ScalarNode && v.Decode(into) == nil
}

func unknown(key string, known ...string) string {
	if meant := nearest(key, known); meant != "" {
		return "unknown key, did you mean " + meant
	}
	return "unknown key"
}

// nearest is the word that s is a misspelling of, or "".
func nearest(s string, words []string) string {
	best, least := "", 3 // at most two letters off
	for _, w := range words {
		if d := distance(strings.ToLower(s), strings.ToLower(w)); d < least && d < len(w) {
			best, least = w, d
		}
	}
	return best
}

// distance counts the letters to put in, take out or change (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
