package blueprints

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/agext/levenshtein"
	"github.com/invopop/jsonschema"
	"go.yaml.in/yaml/v3"
)

// checkSchema checks a file against the schema of the types, which is all that
// concerns one value at a time, and notes where every value stands.
//
// The words and positions are why this is not left to a validator of JSON
// Schema: that sees decoded values, and says which keyword failed.
func checkSchema(src source, root *yaml.Node) *document {
	d := &document{src: src, values: map[string]*yaml.Node{}, keys: map[string]*yaml.Node{}, bad: map[string]bool{}, said: map[said]bool{}}
	d.check(root, rules(), "", 0)
	return d
}

// check checks the value at path against a schema and goes on with what it holds.
func (d *document) check(n *yaml.Node, s *jsonschema.Schema, path string, depth int) {
	if d.visited++; d.visited > maxNodes || depth > maxDepth {
		d.giveUp(n, path)
		return
	}
	d.values[path] = n
	s, v := resolve(s), target(n)
	switch {
	case v.ShortTag() == "!!null" && v.Kind == yaml.ScalarNode:
		d.noValue(n, s, path)
	case s.Type == "object":
		d.checkObject(n, v, s, path, depth)
	case s.Type == "array":
		d.checkArray(n, v, s, path, depth)
	case s.Type == "integer":
		d.checkInteger(n, v, s, path)
	case s.Type == "boolean":
		d.checkBoolean(n, v, path)
	case s.Type == "string":
		d.checkString(n, v, s, path)
	}
}

func (d *document) giveUp(n *yaml.Node, path string) {
	if !d.broken {
		d.broken = true
		d.add(n, path, "the file is nested too deeply or repeats too much through its aliases", "write it without YAML anchors and aliases")
	}
}

// resolve follows a reference into the schema's definitions.
func resolve(s *jsonschema.Schema) *jsonschema.Schema {
	if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
		return rules().Definitions[name]
	}
	return s
}

// noValue: `gpuOperator:` alone would decode to nothing, and nothing would be
// installed without a word.
func (d *document) noValue(n *yaml.Node, s *jsonschema.Schema, path string) {
	hint := "give it a value, or remove the line"
	if s.Type == "object" && len(s.Required) == 0 {
		hint = fmt.Sprintf("write '%s: {}' if it is meant with its defaults, or remove the line", last(path))
	}
	if key := d.keys[path]; key != nil {
		n = key
	}
	d.add(n, path, last(path)+" has no value", hint)
}

func (d *document) checkObject(n, v *yaml.Node, s *jsonschema.Schema, path string, depth int) {
	if v.Kind != yaml.MappingNode {
		d.add(n, path, fmt.Sprintf("%s must be a mapping, not %s", last(path), kind(v)), objectHint(s))
		d.broken = d.broken || path == ""
		return
	}
	free := s.Properties == nil && s.AdditionalProperties == nil
	seen := map[string]*yaml.Node{}
	taken := map[string]bool{} // properties that an unknown key was probably meant to be
	for _, p := range d.pairs(v) {
		key, at := p.key, join(path, p.key.Value)
		if key.Kind != yaml.ScalarNode {
			d.add(key, path, "a key must be plain text", "")
			continue
		}
		if first := seen[key.Value]; first != nil {
			d.bad[at] = false
			d.add(key, at, fmt.Sprintf("the key %q is given twice", key.Value), fmt.Sprintf("the first is on line %d", first.Line))
			remove(v, key) // the decoder would refuse the whole mapping
			continue
		}
		seen[key.Value] = key
		if free {
			d.keys[at] = key
			key.Tag = "!!str" // Helm values have keys such as 8080, which JSON takes as text
			d.checkFree(p.value, at, depth+1)
			continue
		}
		property := s.AdditionalProperties
		if s.Properties != nil {
			property, _ = s.Properties.Get(key.Value)
		}
		if property == nil {
			taken[d.unknownKey(key, s, at)] = true
			continue
		}
		d.keys[at] = key
		d.check(p.value, property, at, depth+1)
	}
	for _, name := range s.Required {
		if seen[name] == nil && !taken[name] {
			d.missing(n, s, path, name)
		}
	}
}

// remove takes an entry out of a mapping.
func remove(mapping, key *yaml.Node) {
	if i := slices.Index(mapping.Content, key); i >= 0 {
		mapping.Content = slices.Delete(slices.Clone(mapping.Content), i, i+2)
	}
}

// objectHint names the keys of a mapping.
func objectHint(s *jsonschema.Schema) string {
	if s.Properties == nil {
		return "write 'key: value' lines below it"
	}
	return "its keys are " + strings.Join(keysOf(s), ", ")
}

func keysOf(s *jsonschema.Schema) []string {
	var names []string
	for pair := s.Properties.Oldest(); pair != nil; pair = pair.Next() {
		names = append(names, pair.Key)
	}
	return names
}

func (d *document) missing(n *yaml.Node, s *jsonschema.Schema, path, name string) {
	property, _ := s.Properties.Get(name)
	hint, _ := property.Extras["x-hint"].(string)
	if key := d.keys[path]; key != nil && n.Style&yaml.FlowStyle == 0 {
		n = key
	}
	d.add(n, join(path, name), fmt.Sprintf("%s has no %s", last(path), name), hint)
}

// elsewhere says where a blueprint keeps what other tools' files have under
// these keys, in lower case.
var elsewhere = map[string]string{
	"spot":              "write 'capacity: spot'",
	"managednodegroups": "node groups are 'nodePools' here",
	"nodegroups":        "node groups are 'nodePools' here",
	"minsize":           "write 'nodes: {min: 1, max: 4}'",
	"maxsize":           "write 'nodes: {min: 1, max: 4}'",
	"desiredcapacity":   "leave it out: a pool starts at nodes.min, and the autoscaler owns the number up to nodes.max",
	"desiredsize":       "leave it out: a pool starts at nodes.min, and the autoscaler owns the number up to nodes.max",
	"volumesize":        "write 'rootVolume: {sizeGiB: 100}'",
	"disksize":          "write 'rootVolume: {sizeGiB: 100}'",
	"availabilityzones": "write 'zones: [...]'",
	"vpc":               "the VPC is under 'network'",
	"region":            "write 'metadata: {name: ..., region: ...}'",
	"iam":               "aicluster makes the roles itself; further admins are under 'cluster.admins'",
}

// unknownKey reports a key that is none of a mapping's, and returns the one that
// was probably meant.
func (d *document) unknownKey(key *yaml.Node, s *jsonschema.Schema, path string) (meant string) {
	known := keysOf(s)
	meant = suggest(key.Value, known)
	hint := "the keys here are " + strings.Join(known, ", ")
	switch other := elsewhere[strings.ToLower(key.Value)]; {
	case strings.EqualFold(meant, key.Value):
		hint = fmt.Sprintf("did you mean %q? Upper and lower case matter", meant)
	case other != "":
		hint = other
		meant = quoted(other)
	case meant != "":
		hint = fmt.Sprintf("did you mean %q?", meant)
	}
	d.add(key, path, fmt.Sprintf("unknown key %q", key.Value), hint)
	return meant
}

// quoted is the first key in quotes in a hint: nodes, of "write 'nodes: …'".
func quoted(hint string) string {
	_, rest, _ := strings.Cut(hint, "'")
	return rest[:max(0, strings.IndexAny(rest, ":'"))]
}

// maxWord bounds the words that are compared with others: comparing takes time
// in proportion to their length, and names are short.
const maxWord = 100

// suggest returns the candidate that word was probably meant to be, or "".
func suggest(word string, candidates []string) string {
	if len(word) > maxWord {
		return ""
	}
	best, score := "", 0.6
	for _, c := range candidates {
		if strings.EqualFold(plain(c), plain(word)) {
			return c
		}
		if s := levenshtein.Match(strings.ToLower(word), strings.ToLower(c), nil); s > score {
			best, score = c, s
		}
	}
	return best
}

// plain drops what spellings of one name differ in: on-demand, ON_DEMAND.
func plain(s string) string { return strings.NewReplacer("-", "", "_", "", " ", "").Replace(s) }

// checkFree goes through values of no schema of ours, such as a chart's. They
// end as JSON, so that what JSON has not is refused or taken as text.
func (d *document) checkFree(n *yaml.Node, path string, depth int) {
	if d.visited++; d.visited > maxNodes || depth > maxDepth {
		d.giveUp(n, path)
		return
	}
	d.values[path] = n
	switch v := target(n); v.Kind {
	case yaml.MappingNode:
		d.checkObject(n, v, &jsonschema.Schema{Type: "object"}, path, depth)
	case yaml.SequenceNode:
		for i, c := range v.Content {
			d.checkFree(c, item(path, i), depth+1)
		}
	case yaml.ScalarNode:
		var f float64
		switch v.ShortTag() {
		case "!!timestamp":
			v.Tag = "!!str"
		case "!!float":
			if v.Decode(&f) != nil || math.IsNaN(f) || math.IsInf(f, 0) {
				d.add(n, path, v.Value+" is not a number in JSON, which charts and add-ons are configured with", "")
			}
		case "!!str", "!!int", "!!bool", "!!null":
		default:
			d.add(n, path, "the YAML tag "+v.ShortTag()+" cannot be used", "")
		}
	}
}

func (d *document) checkArray(n, v *yaml.Node, s *jsonschema.Schema, path string, depth int) {
	if v.Kind != yaml.SequenceNode {
		hint := ""
		switch v.Kind {
		case yaml.ScalarNode:
			hint = fmt.Sprintf("write '%s: [%s]'", last(path), v.Value)
		case yaml.MappingNode:
			hint = "begin each entry with '- '"
		}
		d.add(n, path, fmt.Sprintf("%s must be a list, not %s", last(path), kind(v)), hint)
		return
	}
	switch count := uint64(len(v.Content)); {
	case s.MinItems != nil && count < *s.MinItems && count == 0:
		hint, _ := s.Extras["x-hint"].(string)
		d.add(n, path, last(path)+" is empty", hint)
	case s.MinItems != nil && count < *s.MinItems:
		d.add(n, path, fmt.Sprintf("%s needs at least %d entries and has %d", last(path), *s.MinItems, count), "")
	case s.MaxItems != nil && count > *s.MaxItems:
		d.add(n, path, fmt.Sprintf("%s has %d entries; at most %d are allowed", last(path), count, *s.MaxItems), "")
	}
	items := s.Items
	if s.Extras["x-form"] != nil { // the form of a list's entries is declared at the list
		copied := *items
		copied.Extras = map[string]any{"x-form": s.Extras["x-form"]}
		items = &copied
	}
	seen := map[string]bool{}
	for i, c := range v.Content {
		at, v := item(path, i), target(c)
		d.check(c, items, at, depth+1)
		if s.UniqueItems && v.Kind == yaml.ScalarNode && seen[v.Value] {
			d.add(c, at, fmt.Sprintf("%q is listed twice", v.Value), "")
		}
		seen[v.Value] = true
	}
}

func (d *document) checkInteger(n, v *yaml.Node, s *jsonschema.Schema, path string) {
	var i int
	if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!int" || v.Decode(&i) != nil {
		hint, _ := s.Extras["x-hint"].(string)
		if _, err := strconv.Atoi(v.Value); err == nil && v.Kind == yaml.ScalarNode {
			hint = "write it without quotes: " + v.Value
		}
		d.add(n, path, fmt.Sprintf("%s must be a whole number, not %s", last(path), kind(v)), hint)
		return
	}
	if low, err := s.Minimum.Int64(); err == nil && int64(i) < low {
		d.add(n, path, fmt.Sprintf("%s is %d; the least is %d", last(path), i, low), "")
	}
	if high, err := s.Maximum.Int64(); err == nil && int64(i) > high {
		d.add(n, path, fmt.Sprintf("%s is %d; the most is %d", last(path), i, high), "")
	}
}

func (d *document) checkBoolean(n, v *yaml.Node, path string) {
	if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!bool" {
		d.add(n, path, fmt.Sprintf("%s must be true or false, not %s", last(path), kind(v)), "")
	}
}

func (d *document) checkString(n, v *yaml.Node, s *jsonschema.Schema, path string) {
	switch tag := v.ShortTag(); {
	case v.Kind != yaml.ScalarNode:
		d.add(n, path, fmt.Sprintf("%s must be text, not %s", last(path), kind(v)), "")
		return
	case tag != "!!str" && v.Style == 0:
		d.add(n, path, fmt.Sprintf("%s must be text, but YAML reads %s as %s", last(path), v.Value, reading(tag)), fmt.Sprintf("write it in quotes: %q", v.Value))
		return
	case tag != "!!str":
		d.add(n, path, fmt.Sprintf("%s must be text; the YAML tag %s cannot be used", last(path), tag), "")
		return
	}
	value := v.Value
	form, _ := s.Extras["x-form"].(string)
	switch length := uint64(utf8.RuneCountInString(value)); {
	case len(s.Enum) > 0 && !slices.Contains(s.Enum, any(value)):
		d.notInEnum(n, s, path, value)
	case s.MinLength != nil && length < *s.MinLength:
		hint, _ := s.Extras["x-hint"].(string)
		d.add(n, path, last(path)+" is empty", hint)
	case s.MaxLength != nil && length > *s.MaxLength:
		d.add(n, path, fmt.Sprintf("%s has %d characters; at most %d are allowed", last(path), length, *s.MaxLength), "")
	case s.Pattern != "" && !matches(s.Pattern, value):
		d.add(n, path, fmt.Sprintf("%s is %q; it must be %s", last(path), value, form), "")
	}
}

func matches(pattern, value string) bool {
	ok, err := regexp.MatchString(pattern, value)
	return ok && err == nil
}

func (d *document) notInEnum(n *yaml.Node, s *jsonschema.Schema, path, value string) {
	var allowed []string
	for _, e := range s.Enum {
		allowed = append(allowed, fmt.Sprint(e))
	}
	message := fmt.Sprintf("%s is %q; it must be %s", last(path), value, orList(allowed))
	hint := ""
	if meant := suggest(value, allowed); meant != "" && len(allowed) > 1 {
		hint = fmt.Sprintf("did you mean %q?", meant)
	}
	d.add(n, path, message, hint)
}

// orList joins words as "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// kind names what a node is.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!str":
		return fmt.Sprintf("the text %q", n.Value)
	case "!!int", "!!float", "!!bool", "!!timestamp":
		return n.Value
	}
	return "a value with the tag " + n.ShortTag()
}

// reading names what YAML takes a word without quotes for.
func reading(tag string) string {
	switch tag {
	case "!!bool":
		return "a boolean"
	case "!!timestamp":
		return "a date"
	}
	return "a number"
}
