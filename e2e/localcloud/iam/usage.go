package iam

import (
	"fmt"
	"maps"
	"slices"
)

// Element is one part of an allowing statement that can be of use or not: an
// action, a resource, or a value of a condition.
type Element struct {
	Sid   string
	Kind  string // Action, Resource or Condition
	Value string // as the policy has it; of a condition "StringEquals iam:PassedToService eks.amazonaws.com"
}

func (e Element) String() string { return fmt.Sprintf("%s %s %s", e.Sid, e.Kind, e.Value) }

// Elements lists all that the policies of a principal consist of.
func (s *Service) Elements(principal string) []Element {
	return s.elements(principal, func(statement) bool { return true })
}

// Used lists those elements of a principal's policies by which they allow r.
func (s *Service) Used(principal string, r Request) []Element {
	return s.elements(principal, func(st statement) bool { return st.covers(r) })
}

// elements takes the allowing statements apart, and keeps what counts when it
// stands in its statement without alternatives.
func (s *Service) elements(principal string, counts func(statement) bool) []Element {
	s.mu.Lock()
	defer s.mu.Unlock()
	documents, err := s.policiesOf(principal)
	if err != nil {
		return nil
	}
	var list []Element
	for _, text := range documents {
		d, err := parse(text)
		if err != nil {
			continue
		}
		for _, st := range d.Statements {
			if st.Effect != "Allow" || !counts(st) {
				continue
			}
			for _, part := range st.parts() {
				if counts(part.alone) && !slices.Contains(list, part.Element) {
					list = append(list, part.Element)
				}
			}
		}
	}
	return list
}

// part is an element, and its statement without the alternatives to it.
type part struct {
	Element
	alone statement
}

func (st statement) parts() []part {
	var list []part
	add := func(kind, value string, alone statement) {
		list = append(list, part{Element{st.Sid, kind, value}, alone})
	}
	for _, a := range st.Action {
		alone := st
		alone.Action = stringList{a}
		add("Action", a, alone)
	}
	for _, r := range st.Resource {
		alone := st
		alone.Resource = stringList{r}
		add("Resource", r, alone)
	}
	for operator, keys := range st.Condition {
		for key, values := range keys {
			for _, v := range values {
				alone := st
				alone.Condition = maps.Clone(st.Condition)
				alone.Condition[operator] = maps.Clone(keys)
				alone.Condition[operator][key] = conditionValues{v}
				add("Condition", operator+" "+key+" "+v, alone)
			}
		}
	}
	return list
}
