package server

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sdkServices are the local cloud's names for the SDK's packages.
var sdkServices = map[string]string{
	"autoscaling": "autoscaling", "cloudwatchlogs": "logs", "ec2": "ec2", "efs": "efs", "eks": "eks", "elasticloadbalancing": "elb",
	"elasticloadbalancingv2": "elbv2", "iam": "iam", "s3": "s3", "servicequotas": "servicequotas", "ssm": "ssm", "sts": "sts",
}

// autoscalerCalls is what the cluster autoscaler 1.36.1 calls (seen when it was run
// against an emulator).
var autoscalerCalls = []string{
	"ec2:DescribeInstanceTypes", "ec2:DescribeLaunchTemplateVersions", "eks:DescribeNodegroup", "autoscaling:DescribeAutoScalingGroups",
	"autoscaling:DescribeScalingActivities", "autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup",
}

// notOfServices are calls that the AWS cloud provider makes for something else than
// Services, which is the one thing that EKS runs it for.
var notOfServices = map[string]string{
	"ec2:CreateRoute": "routes", "ec2:DeleteRoute": "routes", "ec2:ModifyInstanceAttribute": "routes",
	"ec2:DescribeInstanceTopology": "labels of nodes",
	"ec2:AttachVolume":             "volumes", "ec2:CreateVolume": "volumes", "ec2:DeleteVolume": "volumes", "ec2:DescribeVolumes": "volumes",
	"ec2:DescribeVolumesModifications": "volumes", "ec2:DetachVolume": "volumes", "ec2:ModifyVolume": "volumes",
	"autoscaling:DescribeAutoScalingGroups": "instance groups", "autoscaling:UpdateAutoScalingGroup": "instance groups",
}

// TestOperationsCovered: every operation that the product's source can call has a
// handler, and so has what the machines beside it call.
func TestOperationsCovered(t *testing.T) {
	c, _ := startCloud(t)
	handlers := c.wire.Operations()
	product := calls(t, "../../../provision", "../../../nodepools", "../../../addons", "../../../cmd")
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/cloud-provider-aws").Output()
	if err != nil {
		t.Fatal(err)
	}
	provider := calls(t, filepath.Join(strings.TrimSpace(string(module)), "pkg/providers/v1"))
	for operation := range notOfServices {
		delete(provider, operation)
	}
	for who, called := range map[string]map[string]bool{
		"aicluster": product, "the AWS cloud provider": provider, "the cluster autoscaler": set(autoscalerCalls),
	} {
		covered := 0
		for _, operation := range slices.Sorted(maps.Keys(called)) {
			if _, ok := handlers[operation]; ok || strings.HasPrefix(operation, "s3:") {
				covered++ // S3 has a server of its own, which the scripts and the referees test
				continue
			}
			t.Errorf("%s calls %s, which has no handler", who, operation)
		}
		t.Logf("%s: operations covered / operations called: %d / %d", who, covered, len(called))
		if len(called) < 7 {
			t.Errorf("%s: only %d operations found", who, len(called))
		}
	}
}

func set(list []string) map[string]bool {
	out := map[string]bool{}
	for _, x := range list {
		out[x] = true
	}
	return out
}

// calls finds the operations whose input type the Go files below some folders name,
// as "service:Operation".
func calls(t *testing.T, folders ...string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "_fakes.go") {
				return err
			}
			file, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			addCalls(found, file)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func addCalls(found map[string]bool, file *ast.File) {
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
