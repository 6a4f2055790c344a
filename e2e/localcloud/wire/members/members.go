// Package members finds out which members of its inputs a service's code reads.
// What it does not read it cannot honour, and the wire layer refuses it instead
// of passing over it in silence.
//
// A service embeds its own source and the table is made of it when the service is
// registered, which takes some milliseconds. A table that is written down would rot.
package members

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// Table tells by operation which members of its input are honoured.
type Table map[string]map[string]bool

// String writes a table with one operation a line, for people.
func (t Table) String() string {
	var b strings.Builder
	for _, operation := range slices.Sorted(maps.Keys(t)) {
		b.WriteString(operation)
		for _, name := range slices.Sorted(maps.Keys(t[operation])) {
			b.WriteString(" " + name)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Of reads the Go files of a folder, tests apart. A member is honoured if some
// function reads it from a parameter of the operation's input type, or from a
// copy of that. sdk is the last element of the import path of the SDK's package.
func Of(folder fs.FS, sdk string) (Table, error) {
	files, err := fs.Glob(folder, "*.go")
	if err != nil {
		return nil, err
	}
	t := Table{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("members: %w", err)
		}
		t.addFile(file, sdk)
	}
	return t, nil
}

func (t Table) addFile(file *ast.File, sdk string) {
	alias := importName(file, sdk)
	if alias == "" {
		return
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			t.addFunction(n.Type, n.Body, alias)
		case *ast.FuncLit:
			t.addFunction(n.Type, n.Body, alias)
		}
		return true
	})
}

// importName is how a file calls the SDK's package; empty if it does not import it.
func importName(file *ast.File, sdk string) string {
	for _, i := range file.Imports {
		p := strings.Trim(i.Path.Value, `"`)
		if path.Base(p) != sdk || !strings.Contains(p, "aws-sdk-go-v2/service/") {
			continue
		}
		if i.Name != nil {
			return i.Name.Name
		}
		return sdk
	}
	return ""
}

func (t Table) addFunction(f *ast.FuncType, body *ast.BlockStmt, alias string) {
	for _, field := range f.Params.List {
		operation := inputOf(field.Type, alias)
		if operation == "" {
			continue
		}
		if t[operation] == nil {
			t[operation] = map[string]bool{}
		}
		for _, name := range field.Names {
			t.addReads(operation, body, map[string]bool{name.Name: true})
		}
	}
}

// inputOf is the operation whose input a type is: *ec2.CreateVpcInput, or without
// the pointer.
func inputOf(typ ast.Expr, alias string) string {
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	s, ok := typ.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if pkg, ok := s.X.(*ast.Ident); !ok || pkg.Name != alias {
		return ""
	}
	operation, ok := strings.CutSuffix(s.Sel.Name, "Input")
	if !ok {
		return ""
	}
	return operation
}

// addReads adds what a body reads of the variables, and of copies of them. What
// it assigns to it does not read.
func (t Table) addReads(operation string, body *ast.BlockStmt, variables map[string]bool) {
	written := map[ast.Expr]bool{}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, left := range n.Lhs {
				written[left] = true
			}
			if len(n.Lhs) == 1 && len(n.Rhs) == 1 && isCopy(n.Rhs[0], variables) {
				if v, ok := n.Lhs[0].(*ast.Ident); ok {
					variables[v.Name] = true
				}
			}
		case *ast.SelectorExpr:
			if v, ok := n.X.(*ast.Ident); ok && variables[v.Name] && !written[n] {
				t[operation][n.Sel.Name] = true
			}
		}
		return true
	})
}

func isCopy(e ast.Expr, variables map[string]bool) bool {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	v, ok := e.(*ast.Ident)
	return ok && variables[v.Name]
}
