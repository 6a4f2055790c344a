package ui

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"aicluster/provision/engine"
)

// Fit makes the column of resource names as wide as the plan needs.
func (c *Console) Fit(p *engine.Plan) {
	for _, s := range p.Steps {
		c.names = max(c.names, len(s.Resource))
	}
}

// Name is a resource's name in its column.
func (c *Console) Name(id string) string { return fmt.Sprintf("%-*s", c.names, id) }

// Plan shows what would change: one line a resource, its fields below it.
func (c *Console) Plan(p *engine.Plan) {
	c.Fit(p)
	for _, s := range p.Steps {
		switch {
		case s.Err != nil:
			c.Data("%s %s could not be read", c.Red("!"), c.Name(s.Resource))
		case s.Unknown != "":
			c.Data("%s %s not known: %s could not be read", c.Yellow("?"), c.Name(s.Resource), s.Unknown)
		case s.Action != engine.ActionNone:
			c.planStep(s)
		}
	}
	c.notes(p)
}

func (c *Console) planStep(s engine.Step) {
	c.Data("%s %s %s", c.mark(s.Action), c.Name(s.Resource), planned(s.Action))
	for _, ch := range s.Changes {
		if ch.Field == "" || ch.Live == nil && ch.Wanted == nil { // the resource as a whole, or what is not known yet
			continue
		}
		line := fmt.Sprintf("    %s: %s", ch.Field, arrow(ch))
		switch {
		case ch.Policy == engine.PolicyRefused && ch.Live == nil:
			line += c.Red(" (cannot be)")
		case ch.Policy == engine.PolicyRefused:
			line += c.Red(" (cannot change on a living cluster)")
		}
		c.Data("%s", line)
		if ch.Hint != "" {
			c.Data("      %s", c.Dim(ch.Hint))
		}
	}
}

// arrow shows a change as "live -> wanted", or only what is wanted of something new.
func arrow(ch engine.Change) string {
	if ch.Live == nil {
		return value(ch.Wanted)
	}
	if ch.Wanted == nil {
		return value(ch.Live) + " -> none"
	}
	return value(ch.Live) + " -> " + value(ch.Wanted)
}

// value formats a field's value on one line.
func value(v any) string {
	rv := reflect.ValueOf(v)
	switch {
	case v == nil:
		return "none"
	case rv.Kind() == reflect.Map:
		parts := make([]string, 0, rv.Len())
		for _, k := range rv.MapKeys() {
			parts = append(parts, fmt.Sprintf("%v: %s", k.Interface(), value(rv.MapIndex(k).Interface())))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	case rv.Kind() == reflect.Slice:
		parts := make([]string, rv.Len())
		for i := range parts {
			parts[i] = value(rv.Index(i).Interface())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case rv.Kind() == reflect.String && rv.Len() == 0:
		return `""`
	}
	return fmt.Sprint(v)
}

// notes shows remarks once each.
func (c *Console) notes(p *engine.Plan) {
	seen := map[string]bool{}
	for _, s := range p.Steps {
		for _, n := range s.Notes {
			if line := s.Resource + ": " + n; !seen[line] {
				seen[line] = true
				c.Say("%s %s", c.Blue("note:"), line)
			}
		}
	}
}

func (c *Console) mark(a engine.Action) string {
	switch a {
	case engine.ActionCreate:
		return c.Green("+")
	case engine.ActionDelete:
		return c.Red("-")
	case engine.ActionVerify:
		return c.Blue("?")
	case engine.ActionKeep, engine.ActionNone:
		return " "
	}
	return c.Yellow("~")
}

// planned and past are the words for an action before and after it.
func planned(a engine.Action) string {
	switch a {
	case engine.ActionReplace:
		return "update (replaces nodes)"
	case engine.ActionNone:
		return "unchanged"
	}
	return string(a)
}

func past(a engine.Action) string {
	switch a {
	case engine.ActionCreate:
		return "created"
	case engine.ActionUpdate:
		return "updated"
	case engine.ActionReplace:
		return "nodes replaced"
	case engine.ActionDelete:
		return "deleted"
	case engine.ActionVerify:
		return "verified"
	case engine.ActionKeep:
		return "kept"
	case engine.ActionRead:
		return "read"
	}
	return "unchanged"
}

func present(a engine.Action) string {
	switch a {
	case engine.ActionCreate:
		return "creating"
	case engine.ActionUpdate:
		return "updating"
	case engine.ActionReplace:
		return "replacing nodes"
	case engine.ActionDelete:
		return "deleting"
	case engine.ActionVerify:
		return "verifying"
	}
	return "reading"
}
