package iam

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// document is a policy document (IAM User Guide, "Grammar of the IAM JSON
// policy language"). Elements that may be one value or a list are lists here.
type document struct {
	Version    string
	ID         string `json:"Id"`
	Statements statements
}

type statement struct {
	Sid                     string
	Effect                  string
	Action, NotAction       stringList
	Resource, NotResource   stringList
	Principal, NotPrincipal *principals
	Condition               map[string]map[string]conditionValues
}

// statements is one statement or a list of them.
type statements []statement

func (s *statements) UnmarshalJSON(b []byte) error {
	if strings.HasPrefix(strings.TrimSpace(string(b)), "{") {
		*s = make(statements, 1)
		return decodeStrict(b, &(*s)[0])
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	*s = make(statements, len(raw))
	for i := range raw {
		if err := decodeStrict(raw[i], &(*s)[i]); err != nil {
			return err
		}
	}
	return nil
}

type stringList []string

func (l *stringList) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*l = stringList{one}
		return nil
	}
	*l = stringList{}
	return json.Unmarshal(b, (*[]string)(l))
}

// conditionValues are strings; JSON's booleans and numbers may stand for them.
type conditionValues []string

func (l *conditionValues) UnmarshalJSON(b []byte) error {
	var raw any
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	list, ok := raw.([]any)
	if !ok {
		list = []any{raw}
	}
	for _, v := range list {
		switch v.(type) {
		case string, bool, float64:
			*l = append(*l, fmt.Sprint(v))
		default:
			return fmt.Errorf("condition value %v is no scalar", v)
		}
	}
	return nil
}

// principals is "*" or a map from kind (Service, AWS, Federated) to values.
type principals struct {
	all    bool
	byKind map[string]stringList
}

func (p *principals) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		if one != "*" {
			return fmt.Errorf("principal %q", one)
		}
		p.all = true
		return nil
	}
	return json.Unmarshal(b, &p.byKind)
}

func decodeStrict(b []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

func parse(text string) (*document, error) {
	if !json.Valid([]byte(text)) {
		return nil, malformed("This policy contains invalid Json")
	}
	var raw struct {
		Version   string
		Id        string
		Statement statements
	}
	if err := decodeStrict([]byte(text), &raw); err != nil || len(raw.Statement) == 0 {
		return nil, malformed("Syntax errors in policy.")
	}
	d := &document{Version: raw.Version, ID: raw.Id, Statements: raw.Statement}
	if d.Version != "2012-10-17" && d.Version != "2008-10-17" && d.Version != "" {
		return nil, malformed("Syntax errors in policy.")
	}
	sids := map[string]bool{}
	for _, st := range d.Statements {
		if err := st.check(); err != nil {
			return nil, err
		}
		if st.Sid != "" && sids[st.Sid] {
			return nil, malformed("Statement IDs (SID) in a single policy must be unique.")
		}
		sids[st.Sid] = true
	}
	return d, nil
}

var vendor = regexp.MustCompile(`^[a-zA-Z0-9\-.]+$`)

// check is what all kinds of policies have in common.
func (st statement) check() error {
	if st.Effect != "Allow" && st.Effect != "Deny" {
		return malformed("Syntax errors in policy.")
	}
	if st.Action != nil && st.NotAction != nil || st.Resource != nil && st.NotResource != nil {
		return malformed("Syntax errors in policy.")
	}
	actions := append(slices.Clone(st.Action), st.NotAction...)
	if len(actions) == 0 {
		return malformed("Policy statement must contain actions.")
	}
	for _, a := range actions {
		service, _, ok := strings.Cut(a, ":")
		switch {
		case a == "*":
		case !ok:
			return malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
		case strings.Count(a, ":") > 1:
			return malformed("Actions/Condition can contain only one colon.")
		case service != "*" && !vendor.MatchString(service):
			return malformed("Vendor %s is not valid", service)
		}
	}
	for operator := range st.Condition {
		if _, ok := parseCondition(operator); !ok {
			return malformed("Syntax errors in policy.")
		}
	}
	return nil
}

// checkTrust validates a role's trust policy.
func checkTrust(text string) error {
	d, err := parse(text)
	if err != nil {
		return err
	}
	for _, st := range d.Statements {
		if st.Resource != nil || st.NotResource != nil {
			return malformed("Has prohibited field Resource")
		}
		if st.Principal == nil && st.NotPrincipal == nil {
			return malformed("Missing required field Principal")
		}
		if err := st.checkAssumeActions(); err != nil {
			return err
		}
		if st.Principal == nil {
			continue
		}
		for kind, values := range st.Principal.byKind {
			if err := checkPrincipal(kind, values); err != nil {
				return err
			}
		}
	}
	return nil
}

func (st statement) checkAssumeActions() error {
	for _, a := range st.Action {
		if !strings.HasPrefix(strings.ToLower(a), "sts:") && a != "*" {
			return malformed("AssumeRole policy may only specify STS AssumeRole actions.")
		}
	}
	return nil
}

var serviceName = regexp.MustCompile(`^[a-z0-9.\-]+\.(amazonaws\.com|amazon\.com|aws\.internal)$`)

func checkPrincipal(kind string, values []string) error {
	for _, v := range values {
		ok := true
		switch kind {
		case "Service":
			ok = serviceName.MatchString(v)
		case "AWS":
			ok = v == "*" || regexp.MustCompile(`^\d{12}$`).MatchString(v) || strings.HasPrefix(v, "arn:aws")
		case "Federated", "CanonicalUser":
		default:
			return malformed("Unknown principal type: \"%s\"", kind)
		}
		if !ok {
			quoted := `"` + kind + `":"` + v + `"`
			return malformed("Invalid principal in policy: %s", quoted)
		}
	}
	return nil
}

// checkPermissions validates an inline or customer managed policy.
func checkPermissions(text string) error {
	d, err := parse(text)
	if err != nil {
		return err
	}
	if d.Version != "2012-10-17" && d.Version != "" {
		return malformed("Policy document must be version 2012-10-17 or greater.")
	}
	for _, st := range d.Statements {
		if st.Principal != nil || st.NotPrincipal != nil {
			return malformed("Policy document should not specify a principal.")
		}
		resources := append(slices.Clone(st.Resource), st.NotResource...)
		if len(resources) == 0 {
			return malformed("Policy statement must contain resources.")
		}
		for _, r := range resources {
			if r != "*" && !strings.Contains(r, ":") {
				return malformed("Resource %s must be in ARN format or \"*\".", r)
			}
		}
	}
	return nil
}

// trustsAny tells whether a trust policy allows sts:AssumeRole to one of the
// principals of this kind (Service, AWS).
func trustsAny(trust, kind string, anyOf ...string) bool {
	d, err := parse(trust)
	if err != nil {
		return false
	}
	allowed := false
	for _, st := range d.Statements {
		if st.Principal == nil || !slices.ContainsFunc(st.Action, func(a string) bool { return wildcard(a, "sts:AssumeRole") }) {
			continue
		}
		named := slices.ContainsFunc(st.Principal.byKind[kind], func(p string) bool { return slices.Contains(anyOf, p) })
		if st.Principal.all || named {
			if st.Effect == "Deny" {
				return false
			}
			allowed = true
		}
	}
	return allowed
}
