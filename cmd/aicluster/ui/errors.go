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
		f := Failure{Message: e.Error()}
		var ce *cloud.Error
		if errors.As(e, &ce) {
			f = Failure{Resource: ce.Resource, Code: ce.Code, Message: ce.Doing + ": " + ce.Message, RequestID: ce.RequestID, Hint: ce.Hint}
		}
		out = append(out, f)
	}
	return out
}

// split takes joined errors apart.
func split(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, split(e)...)
		}
		return all
	}
	return []error{err}
}

// ShowError writes err to stderr, each cause with its hint, and with JSON
// output as one document on stdout, too.
func (c *Console) ShowError(err error) {
	if c.JSON {
		var problems blueprints.Problems
		if errors.As(err, &problems) {
			_ = c.Line(map[string]any{"type": "error", "problems": problems})
		} else {
			_ = c.Line(map[string]any{"type": "error", "errors": Failures(err)})
		}
	}
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
