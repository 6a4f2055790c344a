package iam

import (
	"path"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// Request is what policies are asked about.
type Request struct {
	Action   string // such as ec2:CreateVpc
	Resource string // an ARN, or "*" when the action knows no resource
	Context  Context
}

// Context holds the condition keys of a request in lower case; IAM does not
// tell cases of keys apart. Most have one value.
type Context map[string][]string

// Set gives a key its values.
func (c Context) Set(key string, values ...string) { c[strings.ToLower(key)] = values }

// Decide tells what the policies of a principal, a role or a user of this
// account, say to a request. One that does not exist may do nothing.
func (s *Service) Decide(principal string, r Request) types.PolicyEvaluationDecisionType {
	s.mu.Lock()
	defer s.mu.Unlock()
	documents, err := s.policiesOf(principal)
	if err != nil {
		return types.PolicyEvaluationDecisionTypeImplicitDeny
	}
	return decide(documents, r)
}

// decide follows the evaluation logic: an explicit deny wins, then an allow,
// and what nothing speaks of is denied.
func decide(documents []string, r Request) types.PolicyEvaluationDecisionType {
	decision := types.PolicyEvaluationDecisionTypeImplicitDeny
	for _, text := range documents {
		d, err := parse(text)
		if err != nil {
			continue
		}
		for _, st := range d.Statements {
			if !st.covers(r) {
				continue
			}
			if st.Effect == "Deny" {
				return types.PolicyEvaluationDecisionTypeExplicitDeny
			}
			decision = types.PolicyEvaluationDecisionTypeAllowed
		}
	}
	return decision
}

// covers tells whether the statement speaks of this request.
func (st statement) covers(r Request) bool {
	action := func(p string) bool { return wildcard(strings.ToLower(p), strings.ToLower(r.Action)) }
	resource := func(p string) bool {
		p, ok := expand(p, r.Context)
		return ok && matchARN(p, r.Resource)
	}
	switch {
	case st.Action != nil && !slices.ContainsFunc(st.Action, action), slices.ContainsFunc(st.NotAction, action):
		return false
	case st.Resource != nil && !slices.ContainsFunc(st.Resource, resource), slices.ContainsFunc(st.NotResource, resource):
		return false
	}
	for operator, keys := range st.Condition {
		for key, values := range keys {
			if !holds(operator, key, values, r.Context) {
				return false
			}
		}
	}
	return true
}

// matchARN matches an ARN segment by segment: a wildcard does not reach over a
// colon, but for those in the last segment, and segments that the pattern lacks
// may be anything (IAM User Guide, "IAM JSON policy elements: Resource").
func matchARN(pattern, arn string) bool {
	if pattern == "*" {
		return true
	}
	const segments = 6
	want, have := strings.SplitN(pattern, ":", segments), strings.SplitN(arn, ":", segments)
	if len(want) > len(have) {
		return false
	}
	for i, p := range want {
		if !wildcard(p, have[i]) {
			return false
		}
	}
	return len(want) == len(have) || strings.HasSuffix(pattern, "*")
}

// wildcard matches IAM's * (anything, also slashes) and ? (one character).
func wildcard(pattern, v string) bool {
	const slash = "\x00" // path.Match stops at slashes, IAM does not
	esc := strings.NewReplacer("/", slash, "[", "\\[", "\\", "\\\\")
	ok, err := path.Match(esc.Replace(pattern), strings.ReplaceAll(v, "/", slash))
	return err == nil && ok
}
