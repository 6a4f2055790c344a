package ui

import (
	"errors"
	"fmt"
	"strings"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

// Failure is an error in JSON.
type Failure struct {
	Resource  string `json:"resource,omitempty"`
	Code      string `json:"code,omitempty"`
	Message   string `json:"message"`
	RequestID string `json:"requestID,omitempty"`
	Hint      string `json:"hint,omitempty"`
}

// Failures lists the causes in err, which may join several.
func Failures(err error) []Failure {
	out := []Failure{}
	for _, e := range split(err) {
		var problems blueprints.Problems
		if errors.As(e, &problems) {
			for _, p := range problems {
				out = append(out, Failure{Resource: fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column), Message: p.Message, Hint: p.Hint})
			}
			continue
		}
		f := Failure{Message: e.Error()}
		var ce *cloud.Error
		if errors.As(e, &ce) {
			f = Failure{Resource: ce.Resource, Code: ce.Code, Message: ce.Doing + ": " + ce.Message, RequestID: ce.RequestID, Hint: ce.Hint}
		}
		out = append(out, f)
	}
	return out
}

// split takes joined errors apart. What several resources met with is one cause
// and said once.
func split(err error) []error {
	var all []error
	said := map[string]bool{}
	var add func(error)
	add = func(err error) {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				add(e)
			}
			return
		}
		if err != nil && !said[err.Error()] {
			said[err.Error()] = true
			all = append(all, err)
		}
	}
	add(err)
	return all
}

// ErrorDocument is the JSON of a command that reads and failed.
type ErrorDocument struct {
	Type   string    `json:"type"` // "error"
	Errors []Failure `json:"errors"`
}

// ShowError writes err to stderr, each cause with its hint.
func (c *Console) ShowError(err error) {
	for _, e := range split(err) {
		c.Say("%s %s", c.Red("aicluster:"), strings.TrimRight(e.Error(), "\n"))
		var ce *cloud.Error
		if errors.As(e, &ce) && ce.Hint != "" {
			c.Hint("%s", ce.Hint)
		}
	}
}

// Hint writes what to do next.
func (c *Console) Hint(format string, args ...any) {
	c.Say("  %s %s", c.Blue("hint:"), fmt.Sprintf(format, args...))
}
