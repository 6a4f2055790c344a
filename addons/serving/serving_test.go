package serving

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"aicluster/blueprints"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares text with testdata/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(got) {
		t.Errorf("%s differs (go test -update rewrites it); got:\n%s", path, got)
	}
}

// blueprint is testdata/blueprint.yaml with its services.
func blueprint(t *testing.T) *blueprints.Blueprint {
	t.Helper()
	b, err := blueprints.Load("testdata/blueprint.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRender holds the manifests of each service against testdata/NAME.yaml.
func TestRender(t *testing.T) {
	b := blueprint(t)
	for _, svc := range b.Serving {
		text, err := YAML(Render(b, svc, Facts{ModelBytes: 16 << 30}))
		if err != nil {
			t.Fatal(err)
		}
		golden(t, svc.Name+".yaml", text)
	}
}
