package blueprints

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Problem is one thing that is wrong with a blueprint file, or worth knowing.
type Problem struct {
	File string `json:"file"`
	// Line and Column count from 1, columns in characters.
	Line   int `json:"line"`
	Column int `json:"column"`
	// Path is the place in the blueprint: "nodePools[1].nodes.max"; empty for the whole file.
	Path    string `json:"path"`
	Message string `json:"message"`
	// Hint says what to do; it may be empty.
	Hint string `json:"hint,omitempty"`
	// Source is the line of the file.
	Source string `json:"source"`

	width int // characters to underline, from Column on
}

// String renders the problem as a compiler does: position and message, the
// source line, a caret, and the hint.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s\n", p.File, p.Line, p.Column, p.Message)
	if source := strings.TrimRight(p.Source, " \t"); source != "" {
		fmt.Fprintf(&b, "    %s\n    %s%s\n", source, p.margin(), strings.Repeat("^", max(1, p.width)))
	}
	if p.Hint != "" {
		fmt.Fprintf(&b, "  hint: %s\n", p.Hint)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// margin is blank up to the column; tabs stay tabs so that the caret lines up.
func (p Problem) margin() string {
	var b strings.Builder
	column := 1
	for _, r := range p.Source {
		if column >= p.Column {
			break
		}
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
		column++
	}
	return b.String()
}

// Problems is all that is wrong with a file, in the order of the file. As an
// error it is never empty.
type Problems []Problem

func (ps Problems) Error() string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.String()
	}
	return strings.Join(texts, "\n")
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// source is a file's name and lines, from which problems are made.
type source struct {
	file  string
	lines []string
}

func newSource(file string, data []byte) source {
	text := strings.ToValidUTF8(strings.TrimPrefix(string(data), "\uFEFF"), "\uFFFD")
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(hideSecrets(text)), "\n")
	return source{file: file, lines: lines}
}

var userInfo = regexp.MustCompile(`://[^/\s"']+@`)

// hideSecrets blots out user names and passwords in addresses, character for
// character so that columns stay.
func hideSecrets(text string) string {
	return userInfo.ReplaceAllStringFunc(text, func(s string) string {
		return "://" + strings.Repeat("*", utf8.RuneCountInString(s)-len("://@")) + "@"
	})
}

// problem places a message, within the file whatever line and column say.
func (s source) problem(line, column, width int, path, message, hint string) Problem {
	line = min(max(line, 1), len(s.lines))
	text := s.lines[line-1]
	length := utf8.RuneCountInString(text)
	column = min(max(column, 1), length+1)
	width = min(width, length-column+1)
	return Problem{File: s.file, Line: line, Column: column, Path: path, Message: hideSecrets(message), Hint: hideSecrets(hint), Source: text, width: width}
}
