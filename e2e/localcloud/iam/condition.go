package iam

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An operator compares one value of a policy with one of the request.
type operator func(policy, request string) bool

// operators are the condition operators without their negations, which have Not
// after the type's name (IAM User Guide, "IAM JSON policy elements: Condition
// operators").
func operators() map[string]operator {
	equal := func(policy, request string) bool { return policy == request }
	return map[string]operator{
		"StringEquals":             equal,
		"StringEqualsIgnoreCase":   strings.EqualFold,
		"StringLike":               wildcard,
		"ArnEquals":                matchARN, // the same as ArnLike, says the guide
		"ArnLike":                  matchARN,
		"Bool":                     strings.EqualFold,
		"BinaryEquals":             equal,
		"IpAddress":                inRange,
		"NumericEquals":            numbers(func(p, r float64) bool { return r == p }),
		"NumericLessThan":          numbers(func(p, r float64) bool { return r < p }),
		"NumericLessThanEquals":    numbers(func(p, r float64) bool { return r <= p }),
		"NumericGreaterThan":       numbers(func(p, r float64) bool { return r > p }),
		"NumericGreaterThanEquals": numbers(func(p, r float64) bool { return r >= p }),
		"DateEquals":               dates(func(p, r time.Time) bool { return r.Equal(p) }),
		"DateLessThan":             dates(func(p, r time.Time) bool { return r.Before(p) }),
		"DateLessThanEquals":       dates(func(p, r time.Time) bool { return !r.After(p) }),
		"DateGreaterThan":          dates(func(p, r time.Time) bool { return r.After(p) }),
		"DateGreaterThanEquals":    dates(func(p, r time.Time) bool { return !r.Before(p) }),
	}
}

var negation = regexp.MustCompile(`^(String|Arn|Numeric|Date|)Not(Equals|EqualsIgnoreCase|Like|IpAddress)$`)

// condition is an operator's name taken apart.
type condition struct {
	compare  operator
	negated  bool
	set      string // ForAnyValue, ForAllValues or ""
	ifExists bool
	null     bool
}

// parseCondition reads an operator's name; false if there is none of it.
func parseCondition(name string) (condition, bool) {
	var c condition
	if set, rest, ok := strings.Cut(name, ":"); ok {
		c.set, name = set, rest
		if set != "ForAnyValue" && set != "ForAllValues" {
			return c, false
		}
	}
	name, c.ifExists = strings.CutSuffix(name, "IfExists")
	if name == "Null" {
		c.null = true
		return c, !c.ifExists
	}
	if m := negation.FindStringSubmatch(name); m != nil {
		name, c.negated = m[1]+m[2], true
	}
	c.compare = operators()[name]
	return c, c.compare != nil
}

// holds tells whether one key of a condition is fulfilled. Values of the policy
// are alternatives; negated, none of them may match.
func holds(name, key string, values []string, context Context) bool {
	c, ok := parseCondition(name)
	if !ok {
		return false
	}
	have, exists := context[strings.ToLower(key)]
	if c.null {
		return slices.Contains(values, strconv.FormatBool(!exists))
	}
	if !exists {
		return c.ifExists || c.set == "ForAllValues" || c.negated && c.set == ""
	}
	matches := func(v string) bool {
		any := slices.ContainsFunc(values, func(p string) bool {
			p, ok := expand(p, context)
			return ok && c.compare(p, v)
		})
		return any != c.negated
	}
	if c.set == "ForAllValues" || c.set == "" && c.negated {
		return !slices.ContainsFunc(have, func(v string) bool { return !matches(v) })
	}
	return slices.ContainsFunc(have, matches)
}

var variable = regexp.MustCompile(`\$\{([^}]*)\}`)

// expand puts the request's values in the place of policy variables, such as
// ${aws:PrincipalAccount} and ${aws:PrincipalTag/team, 'none'}. A variable that
// the request does not have makes the value match nothing.
func expand(text string, context Context) (string, bool) {
	ok := true
	out := variable.ReplaceAllStringFunc(text, func(v string) string {
		name, otherwise, hasDefault := strings.Cut(v[2:len(v)-1], ",")
		if name == "$" {
			return name
		}
		if have := context[strings.ToLower(strings.TrimSpace(name))]; len(have) == 1 {
			return have[0]
		}
		ok = ok && hasDefault
		return strings.Trim(strings.TrimSpace(otherwise), "'")
	})
	return out, ok
}

func inRange(policy, request string) bool {
	address, err := netip.ParseAddr(request)
	if err != nil {
		return false
	}
	if single, err := netip.ParseAddr(policy); err == nil {
		return single == address
	}
	prefix, err := netip.ParsePrefix(policy)
	return err == nil && prefix.Contains(address)
}

func numbers(f func(policy, request float64) bool) operator {
	return func(policy, request string) bool {
		p, err := strconv.ParseFloat(policy, 64)
		r, rerr := strconv.ParseFloat(request, 64)
		return err == nil && rerr == nil && f(p, r)
	}
}

func dates(f func(policy, request time.Time) bool) operator {
	date := func(text string) (time.Time, error) {
		if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
			return time.Unix(seconds, 0), nil
		}
		return time.Parse(time.RFC3339, text)
	}
	return func(policy, request string) bool {
		p, err := date(policy)
		r, rerr := date(request)
		return err == nil && rerr == nil && f(p, r)
	}
}
