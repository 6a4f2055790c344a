package main

import (
	"context"
	"errors"
	"fmt"

	"aicluster/blueprints"
	"aicluster/cmd/aicluster/ui"
	"aicluster/provision/engine"
)

// The exit codes of aicluster. docs/guide.md repeats this table.
const (
	exitOK          = 0   // done; diff: nothing differs
	exitDiffers     = 1   // diff: something differs; status --orphans: there are some; doctor: it found something
	exitUsage       = 2   // wrong command line or blueprint, or a change that is refused; nothing was touched
	exitFailed      = 3   // AWS, Kubernetes or the machine refused something
	exitVerify      = 4   // the GPUs are not what they should be, or a service does not answer as it should
	exitLeft        = 5   // teardown left something behind
	exitDeclined    = 6   // the confirmation was not given
	exitInterrupted = 130 // interrupted; running again goes on
)

var (
	errInterrupted = errors.New("interrupted")
	errDiffers     = errors.New("live state and blueprint differ")
	errOrphans     = errors.New("there are orphans")
	errNotSearched = errors.New("not everything could be searched")
	errFindings    = errors.New("something is wrong")
	errNotExamined = errors.New("not everything could be examined")
	errNotVerified = errors.New("the GPUs are not what they should be")
	errUnproven    = errors.New("a service does not answer as it should")
	errLeft        = errors.New("teardown left something behind")
)

// usageError is a mistake of the caller's.
type usageError struct {
	err  error
	help bool // the command's help would help
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// commandLine is a mistake on the command line.
func commandLine(format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...), help: true}
}

// mistake is another mistake of the caller's.
func mistake(format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...)}
}

// shown marks an error that the user has been told already.
type shown struct{ error }

func (e shown) Unwrap() error { return e.error }

// exitCode maps an error to the table above.
func exitCode(err error) int {
	var usage *usageError
	var problems blueprints.Problems
	var refused *engine.RefusedError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errDiffers), errors.Is(err, errOrphans), errors.Is(err, errFindings):
		return exitDiffers
	case errors.As(err, &usage), errors.As(err, &problems), errors.As(err, &refused):
		return exitUsage
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, errNotVerified), errors.Is(err, errUnproven):
		return exitVerify
	case errors.Is(err, errLeft):
		return exitLeft
	case errors.Is(err, ui.ErrDeclined), errors.Is(err, ui.ErrNoTerminal):
		return exitDeclined
	}
	return exitFailed
}
