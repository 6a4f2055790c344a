// Package model is the table of AWS's operations that the wire layer works by:
// how each travels, what it requires and which errors it declares. The table is
// made from botocore's service models by generate.py.
package model

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

//go:embed table.json.gz
var zipped []byte

// Protocol is how a service's operations travel.
type Protocol string

// The protocols of the services in the table.
const (
	EC2   Protocol = "ec2"       // EC2's own query dialect
	Query Protocol = "query"     // form in, XML out
	JSON  Protocol = "json"      // X-Amz-Target and JSON both ways
	REST  Protocol = "rest-json" // method, path and JSON both ways
)

// Table is all services.
type Table struct {
	Botocore string              `json:"botocore"` // version of the source
	Date     string              `json:"date"`     // when the models were read
	Services map[string]*Service `json:"services"`
}

// Service is one service's operations and shapes.
type Service struct {
	Name         string                `json:"-"`
	Protocol     Protocol              `json:"protocol"`
	Version      string                `json:"version"`
	SigningName  string                `json:"signingName"`
	ServiceID    string                `json:"serviceID"`
	TargetPrefix string                `json:"targetPrefix"`
	XMLNamespace string                `json:"xmlNamespace"`
	Operations   map[string]*Operation `json:"operations"`
	Shapes       map[string]*Shape     `json:"shapes"`
}

// Operation is one operation.
type Operation struct {
	Name          string   `json:"-"`
	Service       *Service `json:"-"`
	Method        string   `json:"method"`
	URI           string   `json:"uri"`
	Code          int      `json:"code"` // HTTP status of success; 200 when zero
	InputName     string   `json:"input"`
	OutputName    string   `json:"output"`
	ResultWrapper string   `json:"resultWrapper"`
	ErrorNames    []string `json:"errors"`
	Unsigned      bool     `json:"unsigned"` // answers requests without a signature
	Page          *Page    `json:"page"`

	Input  *Shape `json:"-"` // nil: takes nothing
	Output *Shape `json:"-"` // nil: returns nothing
}

// Page says which members page a list operation.
type Page struct {
	In      string   `json:"in"`
	Out     string   `json:"out"`
	Limit   string   `json:"limit"`
	More    string   `json:"more"`
	Results []string `json:"results"`
}

// ReadOnly tells whether the operation changes nothing in the account, which
// AWS says by its name.
func (o *Operation) ReadOnly() bool {
	for _, prefix := range []string{"Describe", "Get", "List", "Simulate", "Search", "Filter", "Assume", "Decode"} {
		if strings.HasPrefix(o.Name, prefix) {
			return true
		}
	}
	return false
}

// Declares finds the first error shape that the operation declares under one
// of names.
func (o *Operation) Declares(names ...string) (string, bool) {
	for _, name := range names {
		for _, e := range o.ErrorNames {
			if e == name {
				return e, true
			}
		}
	}
	return "", false
}

// Shape is one type of a service.
type Shape struct {
	Name            string    `json:"-"`
	Type            string    `json:"type"`
	Flattened       bool      `json:"flattened"`
	TimestampFormat string    `json:"timestampFormat"`
	Payload         string    `json:"payload"`
	Union           bool      `json:"union"`
	Required        []string  `json:"required"`
	Enum            []string  `json:"enum"`
	Pattern         string    `json:"pattern"`
	Min             *float64  `json:"min"`
	Max             *float64  `json:"max"`
	Members         []*Member `json:"members"`
	Member          *Member   `json:"member"` // of a list
	Key             *Member   `json:"key"`    // of a map
	Value           *Member   `json:"value"`
	Exception       bool      `json:"exception"`
	Error           *struct {
		Code        string `json:"code"`
		Status      int    `json:"httpStatusCode"`
		SenderFault bool   `json:"senderFault"`
	} `json:"error"`

	// Regexp is Pattern for a whole string; nil when there is none or when
	// Go's syntax cannot say it.
	Regexp *regexp.Regexp `json:"-"`

	byName map[string]*Member
}

// Find returns the member called name, or nil.
func (s *Shape) Find(name string) *Member { return s.byName[name] }

// Member is a use of a shape: a structure's member or what a list or map holds.
type Member struct {
	Name             string `json:"-"`
	ShapeName        string `json:"shape"`
	LocationName     string `json:"locationName"`
	QueryName        string `json:"queryName"`
	Location         string `json:"location"`
	Flattened        bool   `json:"flattened"`
	TimestampFormat  string `json:"timestampFormat"`
	IdempotencyToken bool   `json:"idempotencyToken"`

	Shape *Shape `json:"-"`
}

// UnmarshalJSON reads a structure's member, a pair of its name and its
// properties, or the bare properties of a list's or map's.
func (m *Member) UnmarshalJSON(data []byte) error {
	type bare Member
	if data[0] != '[' {
		return json.Unmarshal(data, (*bare)(m))
	}
	return json.Unmarshal(data, &[]any{&m.Name, (*bare)(m)})
}

// Wire is the member's name in JSON and XML.
func (m *Member) Wire() string {
	if m.LocationName != "" {
		return m.LocationName
	}
	return m.Name
}

// Load reads the embedded table.
func Load() (*Table, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil, fmt.Errorf("model table: %w", err)
	}
	var t Table
	if err := json.NewDecoder(unzipped).Decode(&t); err != nil {
		return nil, fmt.Errorf("model table: %w", err)
	}
	for name, s := range t.Services {
		s.Name = name
		if err := s.link(); err != nil {
			return nil, fmt.Errorf("model table: %s: %w", name, err)
		}
	}
	return &t, nil
}

// Operation finds an operation, or returns nil.
func (t *Table) Operation(service, name string) *Operation {
	s := t.Services[service]
	if s == nil {
		return nil
	}
	return s.Operations[name]
}

// link turns names into pointers.
func (s *Service) link() error {
	for name, shape := range s.Shapes {
		shape.Name = name
		if err := s.linkShape(shape); err != nil {
			return fmt.Errorf("shape %s: %w", name, err)
		}
	}
	for name, op := range s.Operations {
		op.Name, op.Service = name, s
		op.Input, op.Output = s.Shapes[op.InputName], s.Shapes[op.OutputName]
	}
	return nil
}

func (s *Service) linkShape(shape *Shape) error {
	shape.byName = make(map[string]*Member, len(shape.Members))
	for _, m := range shape.Members {
		shape.byName[m.Name] = m
	}
	uses := append([]*Member{}, shape.Members...)
	for _, m := range append(uses, shape.Member, shape.Key, shape.Value) {
		if m == nil {
			continue
		}
		if m.Shape = s.Shapes[m.ShapeName]; m.Shape == nil {
			return fmt.Errorf("no shape %q", m.ShapeName)
		}
	}
	if shape.Pattern != "" {
		shape.Regexp = compile(shape.Pattern)
	}
	return nil
}

// compile makes a pattern match whole strings, as AWS does. Patterns are
// Java's: surrogate pairs have to be said as code points, and look-ahead
// cannot be said at all, which leaves the pattern unchecked.
func compile(pattern string) *regexp.Regexp {
	pattern = strings.ReplaceAll(pattern, `\uD800\uDC00-\uDBFF\uDFFF`, `\x{10000}-\x{10FFFF}`)
	pattern = unicodeEscape.ReplaceAllString(pattern, `\x{$1}`)
	re, err := regexp.Compile(`^(?:` + pattern + `)\z`)
	if err != nil {
		return nil
	}
	return re
}

var unicodeEscape = regexp.MustCompile(`\\u([0-9A-Fa-f]{4,6})`)
