package blueprints_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aicluster/blueprints"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares what a test made with a file of testdata.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update rewrites it); got:\n%s", file, got)
	}
}

func TestExamples(t *testing.T) {
	for _, name := range blueprints.Examples() {
		data, err := blueprints.Example(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := blueprints.Parse(name+".yaml", data)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, w := range b.Warnings() {
			if !strings.Contains(w.Message, "does not exist yet") {
				t.Errorf("%v", w)
			}
		}
	}
}
