package blueprints_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"aicluster/blueprints"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzParse: whatever the file is, Parse returns a blueprint with its defaults
// or problems that stand inside the file.
func FuzzParse(f *testing.F) {
	for _, name := range blueprints.Examples() {
		data, err := blueprints.Example(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	files, _ := filepath.Glob("testdata/broken/*.txtar")
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, a := range archive.Files {
			if strings.HasSuffix(a.Name, ".yaml") {
				f.Add(a.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		b, err := blueprints.Parse("fuzz.yaml", data)
		if took := time.Since(start); took > 5*time.Second {
			t.Fatalf("took %v", took)
		}
		if err == nil {
			if b.Addons.VPCCNI == nil || len(b.NodePools) == 0 || b.NodePools[0].MaxUnavailable == 0 {
				t.Fatalf("incomplete: %+v", b)
			}
			inside(t, b.Warnings(), data)
			return
		}
		var problems blueprints.Problems
		if !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("%T: %v", err, err)
		}
		if b != nil {
			t.Fatal("a blueprint and an error")
		}
		inside(t, problems, data)
	})
}

func inside(t *testing.T, problems blueprints.Problems, data []byte) {
	t.Helper()
	lines := 1 + strings.Count(string(data), "\n") + strings.Count(string(data), "\r")
	for _, p := range problems {
		switch {
		case p.Line < 1 || p.Line > lines:
			t.Fatalf("line %d of %d: %s", p.Line, lines, p.Message)
		case p.Column < 1 || p.Column > utf8.RuneCountInString(p.Source)+1:
			t.Fatalf("column %d of %q: %s", p.Column, p.Source, p.Message)
		case p.Message == "":
			t.Fatalf("no message: %+v", p)
		}
	}
	_ = problems.Error()
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := blueprints.Load("ai-serving.yaml"); err != nil {
			b.Fatal(err)
		}
	}
}
