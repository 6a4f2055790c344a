package blueprints

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed *.yaml
var examples embed.FS

// Examples lists the names of the built-in examples, sorted.
func Examples() []string {
	files, _ := fs.Glob(examples, "*.yaml") // only a malformed pattern is an error
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ".yaml")
	}
	return files
}

// Example returns the commented blueprint of a built-in example.
func Example(name string) ([]byte, error) {
	data, err := examples.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("there is no example %q; there are %s", name, strings.Join(Examples(), ", "))
	}
	return data, nil
}
