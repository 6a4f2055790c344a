package blueprints

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds on what a file may expand to, aliases followed. They are far above any
// blueprint with Helm values, and keep a hostile file from costing much.
const (
	maxNodes = 50_000
	maxDepth = 64
)

// document is a parsed file: where each value stands, and what is wrong with it.
type document struct {
	src    source
	values map[string]*yaml.Node // by path
	keys   map[string]*yaml.Node // by path of the value
	bad    map[string]bool       // paths that have a problem already
	said   map[said]bool

	problems, warnings Problems

	visited int
	broken  bool // so wrong that decoding makes no sense
}

// said is a message at a node. Through aliases one node has several paths.
type said struct {
	node    *yaml.Node
	message string
}

// add reports a problem at a node. There is one per path: what follows from a
// first mistake is no news.
func (d *document) add(node *yaml.Node, path, message, hint string) {
	if d.bad[path] && path != "" {
		return
	}
	d.bad[path] = true
	if id := (said{node, message}); !d.said[id] {
		d.said[id] = true
		d.problems = append(d.problems, d.place(node, path, message, hint))
	}
}

func (d *document) place(node *yaml.Node, path, message, hint string) Problem {
	return d.src.problem(node.Line, node.Column, width(node), path, message, hint)
}

// width is how many characters of its line a node takes.
func width(n *yaml.Node) int {
	switch {
	case n.Kind == yaml.AliasNode:
		return 1 + utf8.RuneCountInString(n.Value)
	case n.Kind != yaml.ScalarNode, n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0, strings.Contains(n.Value, "\n"):
		return 1
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		return 2 + utf8.RuneCountInString(n.Value)
	}
	return utf8.RuneCountInString(n.Value)
}

// errorf reports a problem with the value at path, or what holds it if the file
// does not give it.
func (d *document) errorf(path, hint, format string, args ...any) {
	d.add(d.at(path), path, fmt.Sprintf(format, args...), hint)
}

// keyErrorf is errorf for the key at path.
func (d *document) keyErrorf(path, hint, format string, args ...any) {
	node := d.keys[path]
	if node == nil {
		node = d.at(path)
	}
	d.add(node, path, fmt.Sprintf(format, args...), hint)
}

func (d *document) warnf(path, hint, format string, args ...any) {
	if !d.bad[path] {
		d.warnings = append(d.warnings, d.place(d.at(path), path, fmt.Sprintf(format, args...), hint))
	}
}

// given reports whether the file has values at all these paths, without problems.
func (d *document) given(paths ...string) bool {
	for _, p := range paths {
		if d.values[p] == nil || d.bad[p] {
			return false
		}
	}
	return true
}

// clean reports whether nothing at or below path has a problem.
func (d *document) clean(path string) bool {
	for p := range d.bad {
		if rest, below := strings.CutPrefix(p, path); below && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return false
		}
	}
	return true
}

// at is where a problem with path is shown: the value; where there is none, or
// it is a list or mapping in block style, its key; failing that, what holds it.
func (d *document) at(path string) *yaml.Node {
	for ; path != ""; path = parent(path) {
		value, key := d.values[path], d.keys[path]
		if value != nil && (value.Kind == yaml.ScalarNode || value.Kind == yaml.AliasNode || key == nil) {
			return value
		}
		if key != nil {
			return key
		}
	}
	return d.values[""]
}

// parent cuts the last step from a path.
func parent(path string) string {
	if strings.HasSuffix(path, `"]`) {
		return path[:max(0, strings.LastIndex(path, `["`))]
	}
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// join adds a key to a path: labels.team, labels["example.com/team"].
func join(path, key string) string {
	switch {
	case !plainKey.MatchString(key):
		return fmt.Sprintf("%s[%q]", path, key)
	case path == "":
		return key
	}
	return path + "." + key
}

func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// last is the last step of a path as a reader names it: "max", "instanceTypes[0]".
func last(path string) string {
	if path == "" {
		return "the blueprint"
	}
	if strings.HasSuffix(path, `"]`) {
		return strings.Trim(path[len(parent(path)):], `[]`)
	}
	return path[strings.LastIndex(path, ".")+1:]
}

// pair is one entry of a mapping.
type pair struct{ key, value *yaml.Node }

// pairs lists the entries of a mapping with those that it merges from others
// (`<<: *base`), which its own override.
func (d *document) pairs(mapping *yaml.Node) []pair {
	var own, merged []pair
	seen := map[string]bool{}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		if key.Tag != "!!merge" {
			own = append(own, pair{key, value})
			seen[key.Value] = true
			continue
		}
		for _, source := range mergeSources(value) {
			if d.visited++; d.visited < maxNodes { // a mapping may merge itself
				merged = append(merged, d.pairs(source)...)
			}
		}
	}
	for _, p := range merged {
		if !seen[p.key.Value] {
			own = append(own, p)
			seen[p.key.Value] = true
		}
	}
	return own
}

// mergeSources are the mappings that a merge key names: one, or a list of them.
func mergeSources(value *yaml.Node) []*yaml.Node {
	value = target(value)
	sources := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		sources = value.Content
	}
	var out []*yaml.Node
	for _, n := range sources {
		if n = target(n); n.Kind == yaml.MappingNode {
			out = append(out, n)
		}
	}
	return out
}

// target follows an alias.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
