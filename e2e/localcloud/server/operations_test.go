package server

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aicluster/e2e/localcloud/operations"
)

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
	product, err := operations.OfProduct("../../..")
	if err != nil {
		t.Fatal(err)
	}
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/cloud-provider-aws").Output()
	if err != nil {
		t.Fatal(err)
	}
	provider, err := operations.Called(filepath.Join(strings.TrimSpace(string(module)), "pkg/providers/v1"))
	if err != nil {
		t.Fatal(err)
	}
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

// TestRefusalsCounted: the tests of each service that the product calls count which
// of its operations were refused; see awstest.Main.
func TestRefusalsCounted(t *testing.T) {
	product, err := operations.OfProduct("../../..")
	if err != nil {
		t.Fatal(err)
	}
	services := map[string]bool{}
	for operation := range product {
		service, _, _ := strings.Cut(operation, ":")
		services[service] = true
	}
	for service := range services {
		tests, err := filepath.Glob(filepath.Join("..", service, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		counted := slices.ContainsFunc(tests, func(path string) bool {
			text, err := os.ReadFile(path)
			return err == nil && strings.Contains(string(text), `awstest.Main(m, "`+service+`")`)
		})
		if !counted {
			t.Errorf("localcloud/%s has no TestMain that ends in awstest.Main(m, %q)", service, service)
		}
	}
}
