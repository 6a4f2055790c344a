package ec2

import (
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// filters are the filters that a Describe action knows: by name, the values of
// an item that a filter's values are compared with.
type filters[T any] map[string]func(T) []string

// maxFilterValues is how many values a request may name in all its filters
// (EC2 User Guide, "Filter your resources").
const maxFilterValues = 200

// describe answers a Describe call: of all items those with the ids, if any are
// given, that pass every filter. Ids must have been checked.
func describe[T any](items []T, ids []string, idOf func(T) *string, fs []types.Filter, known filters[T], tagsOf func(T) []types.Tag) ([]T, error) {
	if err := checkFilters(fs, known, tagsOf != nil); err != nil {
		return nil, err
	}
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	kept := []T{}
	for _, item := range items {
		if len(wanted) > 0 && !wanted[aws.ToString(idOf(item))] {
			continue
		}
		if passes(item, fs, known, tagsOf) {
			kept = append(kept, item)
		}
	}
	return kept, nil
}

func checkFilters[T any](fs []types.Filter, known filters[T], tagged bool) error {
	values := 0
	for _, f := range fs {
		name := aws.ToString(f.Name)
		_, ok := known[name]
		if !ok && !(tagged && (strings.HasPrefix(name, "tag:") || name == "tag-key" || name == "tag-value")) {
			return invalidValue("The filter '%s' is invalid", name)
		}
		if len(f.Values) == 0 {
			// Words not found.
			return invalidValue("The filter value for '%s' is missing", name)
		}
		values += len(f.Values)
	}
	if values > maxFilterValues {
		// Words not found.
		return fail("FilterLimitExceeded", "The maximum length for a filter value set is %d", maxFilterValues)
	}
	return nil
}

// passes: all filters must hold, each by one of its values.
func passes[T any](item T, fs []types.Filter, known filters[T], tagsOf func(T) []types.Tag) bool {
	for _, f := range fs {
		name := aws.ToString(f.Name)
		var have []string
		if get, ok := known[name]; ok {
			have = get(item)
		} else {
			have = tagValues(name, tagsOf(item))
		}
		if !anyMatch(f.Values, have) {
			return false
		}
	}
	return true
}

func tagValues(filter string, tags []types.Tag) []string {
	var have []string
	for _, t := range tags {
		switch {
		case filter == "tag-key":
			have = append(have, *t.Key)
		case filter == "tag-value", filter == "tag:"+*t.Key:
			have = append(have, *t.Value)
		}
	}
	return have
}

func anyMatch(patterns, values []string) bool {
	for _, p := range patterns {
		for _, v := range values {
			if matches(p, v) {
				return true
			}
		}
	}
	return false
}

// matches compares case-sensitively; * stands for any characters, ? for one,
// and a backslash takes the next character as it is. (path.Match would stop at
// slashes.)
func matches(pattern, value string) bool {
	p, v := 0, 0
	star, mark := -1, 0
	for v < len(value) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, v
			p++
		case p < len(pattern) && pattern[p] == '?':
			p++
			v++
		case p+1 < len(pattern) && pattern[p] == '\\' && pattern[p+1] == value[v]:
			p += 2
			v++
		case p < len(pattern) && pattern[p] != '\\' && pattern[p] == value[v]:
			p++
			v++
		case star >= 0:
			mark++
			p, v = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// one, yes, number and stamp turn fields into filter values.
func one(s *string) []string {
	if s == nil {
		return nil
	}
	return []string{*s}
}

func yes(b *bool) []string { return []string{strconv.FormatBool(aws.ToBool(b))} }

func number[N int32 | int64 | int](n N) []string { return []string{strconv.FormatInt(int64(n), 10)} }

func stamp(t *time.Time) []string {
	if t == nil {
		return nil
	}
	return []string{t.UTC().Format("2006-01-02T15:04:05.000Z")}
}

func each[T any](items []T, f func(T) *string) []string {
	var values []string
	for _, item := range items {
		values = append(values, one(f(item))...)
	}
	return values
}
