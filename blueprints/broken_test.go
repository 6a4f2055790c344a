package blueprints_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aicluster/blueprints"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestBroken parses the blueprints in testdata/broken/*.txtar and compares what
// is said about each NAME.yaml with NAME.txt, and with NAME.json if that exists.
// A valid file's text is its warnings.
func TestBroken(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	cases := 0
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		wantJSON := map[string]bool{}
		for _, f := range archive.Files {
			wantJSON[f.Name] = strings.HasSuffix(f.Name, ".json")
		}
		fresh := &txtar.Archive{Comment: archive.Comment}
		for _, f := range archive.Files {
			name, ok := strings.CutSuffix(f.Name, ".yaml")
			if !ok {
				continue
			}
			cases++
			problems := parse(t, f.Name, f.Data)
			fresh.Files = append(fresh.Files, f, txtar.File{Name: name + ".txt", Data: []byte(problems.Error() + "\n")})
			if wantJSON[name+".json"] {
				data, err := json.MarshalIndent(problems, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				fresh.Files = append(fresh.Files, txtar.File{Name: name + ".json", Data: append(data, '\n')})
			}
		}
		compare(t, file, archive, fresh)
	}
	if cases < 40 {
		t.Errorf("only %d cases", cases)
	}
}

// parse returns the problems of a file; those of a valid one are its warnings.
func parse(t *testing.T, name string, data []byte) blueprints.Problems {
	t.Helper()
	b, err := blueprints.Parse(name, data)
	if err == nil {
		return b.Warnings()
	}
	var problems blueprints.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("%s: the error is %T", name, err)
	}
	return problems
}

func compare(t *testing.T, file string, want, got *txtar.Archive) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, txtar.Format(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	old := map[string]string{}
	for _, f := range want.Files {
		old[f.Name] = string(f.Data)
	}
	for _, f := range got.Files {
		if old[f.Name] != string(f.Data) {
			t.Errorf("%s: %s differs (go test -update rewrites it); got:\n%s", file, f.Name, f.Data)
		}
	}
}
