package prometheus

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// query is the one form of PromQL that is understood, in which the adapter asks:
// sum(NAME{MATCHERS}) by (LABELS).
type query struct {
	matchers []matcher
	by       []string
}

type matcher struct {
	label, operator, value string
	pattern                *regexp.Regexp
}

var (
	sumBy    = regexp.MustCompile(`^sum\(([a-zA-Z_:][a-zA-Z0-9_:]*)?(?:\{(.*)\})?\)\s*by\s*\(([\w, ]+)\)$`)
	oneMatch = regexp.MustCompile(`^\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*")\s*(?:,|$)`)
)

func parse(text string) (query, error) {
	parts := sumBy.FindStringSubmatch(strings.TrimSpace(text))
	if parts == nil {
		return query{}, fmt.Errorf("%q: only sum(NAME{MATCHERS}) by (LABELS) is played", text)
	}
	var q query
	if parts[1] != "" {
		q.matchers = append(q.matchers, matcher{label: "__name__", operator: "=", value: parts[1]})
	}
	for rest := parts[2]; strings.TrimSpace(rest) != ""; {
		m := oneMatch.FindStringSubmatch(rest)
		if m == nil {
			return query{}, fmt.Errorf("invalid parameter \"query\": parse error: unexpected %q in label matching", rest)
		}
		value, err := strconv.Unquote(m[3])
		if err != nil {
			return query{}, err
		}
		next := matcher{label: m[1], operator: m[2], value: value}
		if strings.HasSuffix(m[2], "~") {
			if next.pattern, err = regexp.Compile("^(?:" + value + ")$"); err != nil {
				return query{}, err
			}
		}
		q.matchers = append(q.matchers, next)
		rest = rest[len(m[0]):]
	}
	for label := range strings.SplitSeq(parts[3], ",") {
		q.by = append(q.by, strings.TrimSpace(label))
	}
	return q, nil
}

func (m matcher) fits(value string) bool {
	switch m.operator {
	case "=":
		return value == m.value
	case "!=":
		return value != m.value
	case "=~":
		return m.pattern.MatchString(value)
	}
	return !m.pattern.MatchString(value)
}

// evaluate adds up the samples that fit.
func (q query) evaluate(samples []sample) []sample {
	sums := map[string]*sample{}
	for _, s := range samples {
		fits := !slices.ContainsFunc(q.matchers, func(m matcher) bool {
			value := s.labels[m.label]
			if m.label == "__name__" {
				value = s.name
			}
			return !m.fits(value)
		})
		if !fits {
			continue
		}
		group, key := map[string]string{}, ""
		for _, label := range q.by {
			if value := s.labels[label]; value != "" {
				group[label] = value
			}
			key += s.labels[label] + "\x00"
		}
		if sums[key] == nil {
			sums[key] = &sample{labels: group}
		}
		sums[key].value += s.value
	}
	var out []sample
	for _, key := range slices.Sorted(maps.Keys(sums)) {
		out = append(out, *sums[key])
	}
	return out
}
