package blueprints_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"aicluster/blueprints"

	"github.com/rogpeppe/go-internal/txtar"
	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// TestSchema keeps the committed schema equal to the types, and sees that every
// field says what it is and what a change of it does.
func TestSchema(t *testing.T) {
	data, err := blueprints.Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "schema.json", string(data))

	type object struct {
		Properties map[string]struct {
			Ref         string `json:"$ref"`
			Description string
			Policy      string `json:"x-update-policy"`
		}
	}
	var schema struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	check := func(owner string, o object) {
		for name, p := range o.Properties {
			if p.Description == "" {
				t.Errorf("%s.%s has no description", owner, name)
			}
			switch p.Policy {
			case "live", "replaces-nodes", "refused":
			case "":
				if p.Ref == "" && name != "apiVersion" && name != "kind" { // those of its fields hold
					t.Errorf("%s.%s has no update policy", owner, name)
				}
			default:
				t.Errorf("%s.%s has the update policy %q", owner, name, p.Policy)
			}
		}
	}
	check("Blueprint", schema.object)
	for name, def := range schema.Defs {
		check(name, def)
	}
}

// TestSchemaAgrees holds the schema, as a validator of JSON Schema reads it,
// against what Parse says: it accepts every file that Parse accepts, and refuses
// those of testdata/broken/schema.txtar.
func TestSchemaAgrees(t *testing.T) {
	schema := compile(t)
	for _, name := range blueprints.Examples() {
		data, err := blueprints.Example(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(decode(t, data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	files, _ := filepath.Glob("testdata/broken/*.txtar")
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if !strings.HasSuffix(f.Name, ".yaml") {
				continue
			}
			_, wrong := blueprints.Parse(f.Name, f.Data)
			mustRefuse := filepath.Base(file) == "schema.txtar"
			if wrong != nil && !mustRefuse {
				continue
			}
			if err := schema.Validate(decode(t, f.Data)); (err != nil) != mustRefuse {
				t.Errorf("%s of %s: the schema says %v", f.Name, file, err)
			}
		}
	}
}

func compile(t *testing.T) *validator.Schema {
	t.Helper()
	data, err := blueprints.Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := validator.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := validator.NewCompiler()
	if err := c.AddResource("blueprint.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("blueprint.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func decode(t *testing.T, data []byte) any {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := validator.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
