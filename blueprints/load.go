package blueprints

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxBytes bounds a blueprint file; real ones are a few KiB.
const maxBytes = 1 << 20

// Load reads, checks and completes the blueprint in a file. When the file is
// wrong the error is [Problems]; otherwise it is what reading the file gave.
func Load(path string) (*Blueprint, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	b, err := parse(path, data, filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Parse is [Load] for the content of a file. name stands for the file in
// problems; its folder is where relative paths start.
func Parse(name string, data []byte) (*Blueprint, error) {
	return parse(name, data, filepath.Dir(name))
}

// Warnings are remarks on a valid file: what it says is possible but seldom meant.
func (b *Blueprint) Warnings() Problems { return b.warnings }

func parse(name string, data []byte, dir string) (*Blueprint, error) {
	src := newSource(name, data)
	root, problem := readDocument(src, data)
	if problem != nil {
		return nil, Problems{*problem}
	}
	doc := checkSchema(src, root)
	b := &Blueprint{Dir: dir}
	if !doc.broken {
		if err := root.Decode(b); err != nil && len(doc.problems) == 0 {
			doc.add(root, "", err.Error(), "") // the schema's checks leave nothing for the decoder to find
		}
	}
	if !doc.broken {
		b.Defaults()
		validate(doc, b)
	}
	doc.problems.sort()
	doc.warnings.sort()
	if len(doc.problems) > 0 {
		return nil, doc.problems
	}
	b.warnings = doc.warnings
	return b, nil
}

// readDocument parses the one YAML document of a file.
func readDocument(src source, data []byte) (*yaml.Node, *Problem) {
	fail := func(line, column int, message, hint string) (*yaml.Node, *Problem) {
		p := src.problem(line, column, 1, "", message, hint)
		return nil, &p
	}
	if len(data) > maxBytes {
		return fail(1, 1, fmt.Sprintf("the file has %d bytes; a blueprint has at most %d", len(data), maxBytes), "is this the right file?")
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, next yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return fail(1, 1, "the file is empty", "start with 'aicluster init', which writes a commented example")
	case err != nil:
		line, column, message, hint := syntaxError(src, err)
		return fail(line, column, message, hint)
	}
	if err := decoder.Decode(&next); !errors.Is(err, io.EOF) {
		line := next.Line
		if err != nil {
			line = parserLine(err)
		}
		return fail(line, 1, "a second YAML document begins here", "a file describes one cluster; put the other one in a file of its own")
	}
	if len(doc.Content) == 0 || doc.Content[0].ShortTag() == "!!null" {
		return fail(1, 1, "the file is empty", "start with 'aicluster init', which writes a commented example")
	}
	return doc.Content[0], nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntaxError words what the YAML parser could not read, and where.
func syntaxError(src source, err error) (line, column int, message, hint string) {
	line = brokenLine(src, err)
	text := src.lines[line-1]
	indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	if strings.Contains(indent, "\t") {
		return line, 1 + strings.Index(indent, "\t"), "a tab is used for indentation", "YAML allows only spaces there"
	}
	return line, 1 + len(indent), "this is not valid YAML: " + yamlLine.ReplaceAllString(err.Error(), ""), ""
}

// maxRetries bounds the parses that finding a line takes.
const maxRetries = 500

// brokenLine is the line after the longest beginning of the file that is valid
// YAML. The parser names the line where the surrounding construct began, or one
// beside it, and only in its text.
func brokenLine(src source, err error) int {
	for n := len(src.lines) - 1; n > max(0, len(src.lines)-maxRetries); n-- {
		var doc yaml.Node
		beginning := strings.Join(src.lines[:n], "\n") + "\n"
		if e := yaml.Unmarshal([]byte(beginning), &doc); e == nil {
			return n + 1
		}
	}
	return min(max(parserLine(err), 1), len(src.lines))
}

// parserLine is the line in the text of an error of the YAML parser; 0 if there is none.
func parserLine(err error) int {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1]) // empty: none
		return line
	}
	return 0
}
