package wire

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"aicluster/e2e/localcloud/wire/model"
)

// violation is one constraint of the model that an input breaks.
type violation struct {
	path       string // as AWS's validation messages write it: tags.1.member.key
	parameter  string // as EC2 calls it: Tag.1.Key
	value      string
	missing    bool
	constraint string
	bound      string // EC2's own words for a number out of range
}

// validator collects what an input breaks, in the order of the model.
type validator struct {
	violations []violation
	ec2        formDecoder
}

// validate checks an input by the operation's table and returns the error that
// the service would answer, or nil.
func validate(op *model.Operation, in tree) error {
	if op.Input == nil {
		return nil
	}
	v := validator{ec2: formDecoder{ec2: true}}
	v.structure(in, op.Input, "", "")
	if len(v.violations) == 0 {
		return nil
	}
	if op.Service.Protocol == model.EC2 {
		return v.violations[0].ec2Error()
	}
	return &Error{Code: validationCode(op), Message: v.message()}
}

// unsupported refuses the first member of an input that the service's code does not
// honour, and logs it. EC2 answers UnknownParameter for a parameter that is "not
// supported for the specified API version"
// (https://docs.aws.amazon.com/ec2/latest/devguide/errors-overview.html); the other
// services have only their error for any invalid parameter.
func (s *Server) unsupported(op *model.Operation, in tree) error {
	s.mu.RLock()
	honoured := s.honoured[op.Service.Name]
	s.mu.RUnlock()
	if honoured == nil || op.Input == nil {
		return nil
	}
	for _, m := range op.Input.Members {
		if _, given := in[m.Name]; !given || honoured[op.Name][upperFirst(m.Name)] || s.generic(op, m.Name) {
			continue
		}
		s.opts.Log.Warn("unsupported parameter", "service", op.Service.Name, "operation", op.Name, "parameter", m.Name)
		if op.Service.Protocol == model.EC2 {
			return &Error{Code: "UnknownParameter", Message: "The parameter " + formDecoder{ec2: true}.key(m) + " is not recognized"}
		}
		return &Error{Code: validationCode(op), Message: "The parameter " + m.Name + " is not supported"}
	}
	return nil
}

// generic tells of members that the wire layer, or a service for all of its
// operations, takes care of.
func (s *Server) generic(op *model.Operation, member string) bool {
	if p := op.Page; p != nil && (member == p.In || member == p.Limit) {
		return true
	}
	return member == "DryRun" && op.Service.Protocol == model.EC2
}

// validationCode is the error's code. The services that declare an
// InvalidParameterException answer with it (CloudWatch Logs, EKS).
func validationCode(op *model.Operation) string {
	if op.Service.Protocol == model.Query {
		return "ValidationError"
	}
	if name, ok := op.Declares("InvalidParameterException"); ok {
		return name
	}
	return "ValidationException"
}

// ec2Error words a violation as EC2 does
// (https://docs.aws.amazon.com/ec2/latest/devguide/errors-overview.html).
func (v violation) ec2Error() error {
	switch {
	case v.missing:
		return &Error{Code: "MissingParameter", Message: "The request must contain the parameter " + v.parameter}
	case v.bound != "":
		return &Error{Code: "InvalidParameterValue", Message: fmt.Sprintf("Value ( %s ) for parameter %s is invalid. %s", v.value, lowerFirst(v.parameter), v.bound)}
	}
	return &Error{Code: "InvalidParameterValue", Message: fmt.Sprintf("Value (%s) for parameter %s is invalid.", v.value, lowerFirst(v.parameter))}
}

func (v *validator) message() string {
	noun := "error"
	if len(v.violations) > 1 {
		noun = "errors"
	}
	var parts []string
	for _, x := range v.violations {
		value := "'" + x.value + "'"
		if x.missing {
			value = "null"
		}
		parts = append(parts, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: %s", value, x.path, x.constraint))
	}
	return fmt.Sprintf("%d validation %s detected: %s", len(parts), noun, strings.Join(parts, "; "))
}

func (v *validator) structure(in tree, s *model.Shape, path, parameter string) {
	for _, m := range s.Members {
		memberPath, memberParameter := join(path, lowerFirst(m.Name)), join(parameter, v.ec2.key(m))
		value, ok := in[m.Name]
		switch {
		case ok:
			v.value(value, m.Shape, memberPath, memberParameter)
		case slices.Contains(s.Required, m.Name):
			v.violations = append(v.violations, violation{
				path: memberPath, parameter: memberParameter, missing: true, constraint: "Member must not be null"})
		}
	}
}

func (v *validator) value(value any, s *model.Shape, path, parameter string) {
	for _, c := range broken(value, s) {
		v.violations = append(v.violations, violation{path: path, parameter: parameter, value: show(value), constraint: c.text, bound: c.bound})
	}
	switch value := value.(type) {
	case tree:
		if s.Type == "map" {
			v.mapping(value, s, path, parameter)
			return
		}
		v.structure(value, s, path, parameter)
	case []any:
		v.list(value, s, path, parameter)
	}
}

// list checks the items. A broken scalar item is told at the list, with all
// that an item has to satisfy.
func (v *validator) list(items []any, s *model.Shape, path, parameter string) {
	told := false
	for i, item := range items {
		index := strconv.Itoa(i + 1)
		if nested(s.Member.Shape) {
			v.value(item, s.Member.Shape, path+"."+index+".member", parameter+"."+index)
			continue
		}
		if !told && len(broken(item, s.Member.Shape)) > 0 {
			told = true
			v.violations = append(v.violations, violation{
				path: path, parameter: parameter + "." + index, value: show(items),
				constraint: "Member must satisfy constraint: " + allConstraints(s.Member.Shape)})
		}
	}
}

func (v *validator) mapping(entries tree, s *model.Shape, path, parameter string) {
	keys := make([]string, 0, len(entries))
	for key := range entries {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	badKey, badValue := false, false
	for _, key := range keys {
		badKey = badKey || len(broken(key, s.Key.Shape)) > 0
		if nested(s.Value.Shape) {
			v.value(entries[key], s.Value.Shape, path+"."+key+".member", parameter)
		} else {
			badValue = badValue || len(broken(entries[key], s.Value.Shape)) > 0
		}
	}
	if badKey {
		v.violations = append(v.violations, violation{path: path, parameter: parameter, value: show(entries),
			constraint: "Map keys must satisfy constraint: " + allConstraints(s.Key.Shape)})
	}
	if badValue {
		v.violations = append(v.violations, violation{path: path, parameter: parameter, value: show(entries),
			constraint: "Map value must satisfy constraint: " + allConstraints(s.Value.Shape)})
	}
}

func nested(s *model.Shape) bool { return s.Type == "structure" || s.Type == "list" || s.Type == "map" }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// constraint is one thing that a shape asks of a value.
type constraint struct {
	text  string
	bound string
	holds func(any) bool
}

func broken(value any, s *model.Shape) []constraint {
	var out []constraint
	for _, c := range constraintsOf(s) {
		if !c.holds(value) {
			out = append(out, c)
		}
	}
	return out
}

func allConstraints(s *model.Shape) string {
	var texts []string
	for _, c := range constraintsOf(s) {
		texts = append(texts, c.text)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

func constraintsOf(s *model.Shape) []constraint {
	var out []constraint
	if s.Max != nil {
		out = append(out, maximum(s, *s.Max))
	}
	if s.Min != nil {
		out = append(out, minimum(s, *s.Min))
	}
	if s.Regexp != nil {
		out = append(out, constraint{
			text:  "Member must satisfy regular expression pattern: " + s.Pattern,
			holds: func(v any) bool { t, ok := v.(string); return !ok || s.Regexp.MatchString(t) },
		})
	}
	if s.Enum != nil {
		out = append(out, constraint{
			text:  "Member must satisfy enum value set: [" + strings.Join(s.Enum, ", ") + "]",
			holds: func(v any) bool { t, ok := v.(string); return !ok || slices.Contains(s.Enum, t) },
		})
	}
	return out
}

func maximum(s *model.Shape, limit float64) constraint {
	number := strconv.FormatFloat(limit, 'f', -1, 64)
	if isNumber(s) {
		return constraint{
			text:  "Member must have value less than or equal to " + number,
			bound: "Expecting a value less than or equal to " + number + ".",
			holds: func(v any) bool { return size(v) <= limit },
		}
	}
	return constraint{
		text:  "Member must have length less than or equal to " + number,
		holds: func(v any) bool { return size(v) <= limit },
	}
}

func minimum(s *model.Shape, limit float64) constraint {
	number := strconv.FormatFloat(limit, 'f', -1, 64)
	if isNumber(s) {
		return constraint{
			text:  "Member must have value greater than or equal to " + number,
			bound: "Expecting a value greater than or equal to " + number + ".",
			holds: func(v any) bool { return size(v) >= limit },
		}
	}
	return constraint{
		text:  "Member must have length greater than or equal to " + number,
		holds: func(v any) bool { return size(v) >= limit },
	}
}

func isNumber(s *model.Shape) bool {
	switch s.Type {
	case "integer", "long", "float", "double", "short", "byte":
		return true
	}
	return false
}

// size is what min and max measure.
func size(v any) float64 {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	case string:
		return float64(utf8.RuneCountInString(v))
	case []byte:
		return float64(len(v))
	case []any:
		return float64(len(v))
	case tree:
		return float64(len(v))
	}
	return 0
}

// show prints a value as AWS's messages do, which are Java's toString.
func show(v any) string {
	switch v := v.(type) {
	case []any:
		var parts []string
		for _, item := range v {
			parts = append(parts, show(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case tree:
		var parts []string
		for key, item := range v {
			parts = append(parts, key+"="+show(item))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v)
}
