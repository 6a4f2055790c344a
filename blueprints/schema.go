package blueprints

import (
	"embed"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"sync"

	"github.com/invopop/jsonschema"
)

//go:embed types.go types_serving.go
var typeSources embed.FS

// Schema is the JSON Schema (draft 2020-12) of a blueprint file, generated from
// the types of this package: editors complete and check blueprints with it. What
// spans several fields is beyond it; [Parse] checks that too.
func Schema() ([]byte, error) {
	comments, err := fieldComments()
	if err != nil {
		return nil, err
	}
	s := reflectSchema(func(t reflect.Type, field string) string { return comments[t.Name()+"."+field] })
	s.Title = "aicluster blueprint"
	out, err := json.MarshalIndent(s, "", "  ")
	return append(out, '\n'), err
}

// rules is the schema that [Parse] checks a file against: the same without descriptions.
var rules = sync.OnceValue(func() *jsonschema.Schema { return reflectSchema(nil) })

func reflectSchema(comment func(reflect.Type, string) string) *jsonschema.Schema {
	r := jsonschema.Reflector{
		Anonymous:                  true,
		ExpandedStruct:             true,
		RequiredFromJSONSchemaTags: true,
		LookupComment:              comment,
	}
	return r.Reflect(&Blueprint{})
}

// fieldComments reads the comments of the types ("NodePool.") and of their
// fields ("NodePool.Labels") from the source.
func fieldComments() (map[string]string, error) {
	comments := map[string]string{}
	for _, name := range []string{"types.go", "types_serving.go"} {
		source, err := typeSources.ReadFile(name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, func(n ast.Node) bool { return addComments(comments, n) })
	}
	return comments, nil
}

// addComments notes the comments of a type's declaration; it tells whether what
// is inside n is to be looked at.
func addComments(comments map[string]string, n ast.Node) bool {
	decl, ok := n.(*ast.GenDecl)
	if !ok || decl.Tok != token.TYPE {
		return true
	}
	spec := decl.Specs[0].(*ast.TypeSpec)
	comments[spec.Name.Name+"."] = oneLine(decl.Doc)
	if t, ok := spec.Type.(*ast.StructType); ok {
		for _, f := range t.Fields.List {
			comments[spec.Name.Name+"."+f.Names[0].Name] = oneLine(f.Doc)
		}
	}
	return false
}

func oneLine(doc *ast.CommentGroup) string { return strings.Join(strings.Fields(doc.Text()), " ") }
