package controllers

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ConfigurationError says why configuration values do not fit an add-on, in the
// words that EKS puts after "ConfigurationValue provided in request is not
// supported: " (aws/containers-roadmap#2216).
type ConfigurationError struct {
	Problems []string
}

func (e *ConfigurationError) Error() string {
	return "Json schema validation failed with error: [" + strings.Join(e.Problems, ", ") + "]"
}

// addonSchema is as much of JSON Schema as the add-ons' schemas use.
type addonSchema struct {
	Type                 string                 `json:"type"`
	Format               string                 `json:"format"`
	Properties           map[string]addonSchema `json:"properties"`
	AdditionalProperties *bool                  `json:"additionalProperties"`
	Enum                 []string               `json:"enum"`
}

// check returns what is wrong with a value at a path.
func (s addonSchema) check(path string, value any) []string {
	is := typeOf(value)
	// The VPC CNI's switches are strings that say true or false; either is taken.
	loose := s.Format == "boolean" && is == "boolean"
	if s.Type != "" && is != s.Type && !loose {
		return []string{fmt.Sprintf("%s: %s found, %s expected", path, is, s.Type)}
	}
	if text, ok := value.(string); ok && len(s.Enum) > 0 && !slices.Contains(s.Enum, text) {
		return []string{fmt.Sprintf("%s: does not have a value in the enumeration [%s]", path, strings.Join(s.Enum, ", "))}
	}
	var problems []string
	object := mapOf(value)
	for _, key := range slices.Sorted(maps.Keys(object)) {
		at := path + "." + key
		property, known := s.Properties[key]
		switch {
		case known:
			problems = append(problems, property.check(at, object[key])...)
		case s.AdditionalProperties != nil && !*s.AdditionalProperties:
			problems = append(problems, at+": is not defined in the schema and the schema does not allow additional properties")
		}
	}
	return problems
}

// typeOf is a decoded value's JSON type.
func typeOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case int64:
		return "integer"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return fmt.Sprintf("%T", value)
}
