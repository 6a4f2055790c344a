// Package operations reads in Go source which operations of AWS a program calls.
package operations

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
)

// sdkServices are the local cloud's names for the SDK's packages.
var sdkServices = map[string]string{
	"autoscaling": "autoscaling", "cloudwatchlogs": "logs", "ec2": "ec2", "efs": "efs", "eks": "eks", "elasticloadbalancing": "elb",
	"elasticloadbalancingv2": "elbv2", "eventbridge": "events", "iam": "iam", "s3": "s3", "servicequotas": "servicequotas", "sqs": "sqs", "ssm": "ssm", "sts": "sts",
}

// ServiceName is the local cloud's name for a service, given the SDK's ServiceID.
func ServiceName(id string) string {
	name := strings.ToLower(strings.ReplaceAll(id, " ", "")) // "Elastic Load Balancing v2": elasticloadbalancingv2
	if local, ok := sdkServices[name]; ok {
		return local
	}
	return name
}

// OfProduct are the operations that the product's source can call, as
// "service:Operation", in the repository at root.
func OfProduct(root string) (map[string]bool, error) {
	return Called(filepath.Join(root, "provision"), filepath.Join(root, "nodepools"), filepath.Join(root, "addons"), filepath.Join(root, "cmd"))
}

// Called finds the operations whose input type the Go files below some folders
// name, as "service:Operation". Tests and fakes do not count.
func Called(folders ...string) (map[string]bool, error) {
	found := map[string]bool{}
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "_fakes.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			add(found, file)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

func add(found map[string]bool, file *ast.File) {
	services := map[string]string{} // by the file's name for the package
	for _, i := range file.Imports {
		p, ok := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), "github.com/aws/aws-sdk-go-v2/service/")
		if !ok || sdkServices[p] == "" {
			continue
		}
		name := p
		if i.Name != nil {
			name = i.Name.Name
		}
		services[name] = sdkServices[p]
	}
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := s.X.(*ast.Ident)
		if !ok || services[pkg.Name] == "" {
			return true
		}
		for _, suffix := range []string{"Input", "APIClient"} {
			if operation, ok := strings.CutSuffix(s.Sel.Name, suffix); ok {
				found[services[pkg.Name]+":"+operation] = true
			}
		}
		return true
	})
}
