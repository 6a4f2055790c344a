// Package ui is how aicluster talks: plans, progress, tables, errors.
//
// The rules: data goes to stdout, talk goes to stderr. Errors start with
// "aicluster: ", carry what happened, on which resource, why and what to do
// next, and have no final period. Colour and live progress appear only on a
// terminal; NO_COLOR switches colour off (no-color.org). With --output json,
// stdout carries JSON alone: one document from commands that read, JSON lines
// from commands that act.
package ui

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// Console is where a command reads and writes.
type Console struct {
	In  io.Reader
	Out io.Writer // data
	Err io.Writer // talk

	JSON     bool // --output json
	Color    bool // on Err and Out
	Terminal bool // Err is a terminal: live progress
	Piped    bool // Out is no terminal, but a file or another program
	Asks     bool // In is a terminal: questions can be asked
	Width    int  // of the terminal, in columns

	names      int  // width of the column of resource names, see Fit
	summarised bool // the last JSON line has been written
}

// NewConsole makes the console of a process from its standard streams.
func NewConsole(stdin, stdout, stderr *os.File, jsonOutput bool) *Console {
	c := &Console{In: stdin, Out: stdout, Err: stderr, JSON: jsonOutput, Width: 100}
	c.Terminal = term.IsTerminal(int(stderr.Fd())) && os.Getenv("TERM") != "dumb"
	c.Piped = !term.IsTerminal(int(stdout.Fd()))
	c.Asks = term.IsTerminal(int(stdin.Fd())) && term.IsTerminal(int(stderr.Fd()))
	c.Color = c.Terminal && os.Getenv("NO_COLOR") == ""
	if w, _, err := term.GetSize(int(stderr.Fd())); err == nil && w > 0 {
		c.Width = w
	}
	return c
}

// Say writes one line of talk.
func (c *Console) Say(format string, args ...any) {
	fmt.Fprintf(c.Err, format+"\n", args...)
}

// Data writes one line of data.
func (c *Console) Data(format string, args ...any) {
	fmt.Fprintf(c.Out, format+"\n", args...)
}

// Document writes v as one indented JSON document.
func (c *Console) Document(v any) error {
	e := json.NewEncoder(c.Out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// Line writes v as one JSON line.
func (c *Console) Line(v any) error {
	e := json.NewEncoder(c.Out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// Summary writes the last JSON line of a command that acts.
func (c *Console) Summary(v any) error {
	c.summarised = true
	return c.Line(v)
}

// Summarised tells whether [Console.Summary] has written its line.
func (c *Console) Summarised() bool { return c.summarised }

// ErrDeclined is returned when a question was answered with no.
var ErrDeclined = errors.New("not confirmed; nothing was changed")

// ErrNoTerminal is returned when a question would have to be asked and nobody can be.
var ErrNoTerminal = errors.New("this needs a confirmation and there is no terminal to ask on; add --yes to go on without one")

// Confirm asks and goes on if wanted is typed. It returns [ErrDeclined] for any
// other answer, and [ErrNoTerminal] where nobody can be asked.
func (c *Console) Confirm(ctx context.Context, question, wanted string) error {
	if !c.Asks {
		return ErrNoTerminal
	}
	fmt.Fprintf(c.Err, "%s ", c.Bold(question))
	answer := make(chan string, 1)
	go func() { // owned by the process: a read from a terminal cannot be cancelled
		line, _ := bufio.NewReader(c.In).ReadString('\n')
		answer <- strings.TrimSpace(line)
	}()
	select {
	case a := <-answer:
		if a != wanted {
			return ErrDeclined
		}
		return nil
	case <-ctx.Done():
		fmt.Fprintln(c.Err)
		return context.Cause(ctx)
	}
}

func (c *Console) paint(code, s string) string {
	if !c.Color || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Plain is the console without colour where its data go into a file or to another
// program.
func (c *Console) Plain() *Console {
	plain := *c
	plain.Color = c.Color && !c.Piped
	return &plain
}

// Bold paints s where colour is on, as do the methods that follow.
func (c *Console) Bold(s string) string { return c.paint("1", s) }

// Dim paints s faint.
func (c *Console) Dim(s string) string { return c.paint("2", s) }

// Red paints what failed or goes.
func (c *Console) Red(s string) string { return c.paint("31", s) }

// Green paints what comes.
func (c *Console) Green(s string) string { return c.paint("32", s) }

// Yellow paints what changes, and warnings.
func (c *Console) Yellow(s string) string { return c.paint("33", s) }

// Blue paints hints and checks.
func (c *Console) Blue(s string) string { return c.paint("34", s) }

// Duration formats d for people: "0.4s", "12s", "9m02s", "1h05m".
func Duration(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// Dollars formats a price per hour: "$1.25/h", or "$0.0005/h" for less than a cent.
func Dollars(perHour float64) string {
	if perHour > 0 && perHour < 0.01 {
		return fmt.Sprintf("$%.1g/h", perHour)
	}
	return fmt.Sprintf("$%.2f/h", perHour)
}

// Wrapped breaks text into lines that fit the terminal after indent columns. What
// goes into a pipe or a file stays one line, for grep.
func (c *Console) Wrapped(text string, indent int) string {
	room := c.Width - indent
	if !c.Terminal || c.Piped || room < 20 {
		return text
	}
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n > room:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
