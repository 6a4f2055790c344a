package iam

import "slices"

// CheckResourcePolicy refuses a policy of a resource that is none.
func CheckResourcePolicy(document string) error {
	d, err := parse(document)
	if err != nil {
		return err
	}
	for _, st := range d.Statements {
		if st.Principal == nil && st.NotPrincipal == nil {
			return malformed("Missing required field Principal")
		}
	}
	return nil
}

// LetsService tells whether a resource's policy lets an AWS service, such as
// events.amazonaws.com, do what r says.
func LetsService(document, service string, r Request) bool {
	d, err := parse(document)
	if err != nil {
		return false
	}
	allowed := false
	for _, st := range d.Statements {
		named := st.Principal != nil && (st.Principal.all || slices.Contains(st.Principal.byKind["Service"], service))
		if !named || !st.covers(r) {
			continue
		}
		if st.Effect == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}
