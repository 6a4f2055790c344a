//go:build teardown

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// upKills are the calls at which a run of up is killed, each a state: before it is
// carried out, or after it and before the reply. Each operation that up calls to
// change something is among them; whole.txtar sees to that.
var upKills = []string{
	"after ec2:CreateVpc 1",
	"before ec2:ModifyVpcAttribute 1",
	"after ec2:CreateInternetGateway 1",
	"before ec2:AttachInternetGateway 1",
	"after ec2:CreateSubnet 1",
	"before ec2:CreateSubnet 4",
	"before ec2:ModifySubnetAttribute 2",
	"after ec2:AllocateAddress 1",
	"before ec2:CreateNatGateway 1",
	"after ec2:CreateNatGateway 3",
	"after ec2:CreateRouteTable 2",
	"before ec2:AssociateRouteTable 3",
	"after ec2:CreateRoute 1",
	"after ec2:CreateVpcEndpoint 1",
	"after iam:CreateRole 1",
	"before iam:AttachRolePolicy 2",
	"after iam:PutRolePolicy 1",
	"before iam:CreateServiceLinkedRole 2",
	"after logs:CreateLogGroup 1",
	"before eks:CreateCluster 1",
	"after eks:CreateCluster 1",
	"after ec2:CreateLaunchTemplate 1",
	"before ec2:CreateLaunchTemplate 3",
	"after eks:CreateNodegroup 1",
	"before eks:CreateNodegroup 2",
	"after eks:CreateNodegroup 3",
	"after eks:CreateAccessEntry 1",
	"before eks:AssociateAccessPolicy 1",
	"after eks:CreateAddon 1",
	"before eks:CreateAddon 3",
	"after eks:CreateAddon 6",
	"after eks:CreatePodIdentityAssociation 1",
	"after s3:CreateBucket 1",
	"before s3:PutBucketPolicy 1",
	"after s3:PutBucketLifecycleConfiguration 1",
	"after s3:CreateMultipartUpload 1",
	"before s3:UploadPart 2",
	"after s3:UploadPart 3",
	"before s3:CompleteMultipartUpload 1",
	"after s3:PutObject 1",
	"before elbv2:ModifyListenerAttributes 1",
	"after elbv2:ModifyTargetGroupAttributes 1",
}

// lateKills are calls at which up is killed where EC2's lists are three seconds behind:
// the teardown that follows at once cannot see what was made last.
var lateKills = []string{
	"after ec2:CreateVpc 1",
	"after ec2:CreateSubnet 6",
	"after ec2:CreateInternetGateway 1",
	"after ec2:CreateRouteTable 4",
	"after ec2:AllocateAddress 1",
	"after ec2:AllocateAddress 3",
	"after ec2:CreateNatGateway 1",
	"after ec2:CreateNatGateway 3",
	"after ec2:CreateVpcEndpoint 1",
	"after ec2:CreateLaunchTemplate 1",
	"after eks:CreateNodegroup 1",
}

// upLines are lines of up at which it is killed where it talks to Kubernetes.
var upLines = []string{
	"addon/gpu-operator create running installing",
	"addon/ingress-nginx create running installing",
	"addon/cluster-autoscaler create running installing",
	"addon/ingress-nginx create running waiting",
	"check/gpu verify running",
}

// teardownKills are calls at which a teardown of the whole cluster is killed.
var teardownKills = []string{
	"before eks:DeletePodIdentityAssociation 1",
	"after eks:DeleteAddon 2",
	"after eks:DeleteNodegroup 1",
	"before ec2:DeleteLaunchTemplate 2",
	"after eks:DeleteCluster 1",
	"after ec2:DeleteNatGateway 1",
	"before ec2:ReleaseAddress 2",
	"before iam:DeleteRole 1",
	"after ec2:DeleteSubnet 3",
	"after s3:DeleteObjects 1",
	"before ec2:DeleteVpc 1",
}

// teardowns are the ways to ask for one, which take turns.
var teardowns = []string{
	"--delete-models rich.yaml",
	"--name half --region us-west-2",
	"rich.yaml",
	"--name half --region us-west-2 --delete-models",
}

// beginning makes a cloud and what the blueprint names; an administrator's role was
// there before.
const beginning = `cloud 240
drift role any us-west-2 ops
inventory ` + startInventory + `
modelfiles models/tiny 24
`

// late is a profile: EC2's lists are three seconds behind at speed 240.
const late = `{"ec2.visible": "720s", "ec2.gone": "720s"}`

// TestTeardown makes half-made states, each in a cloud of its own, tears each down and
// prints a table. "make e2e-teardown" runs it.
func TestTeardown(t *testing.T) {
	dir := t.TempDir()
	blueprint, err := os.ReadFile("testdata/halfmade/rich.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var operations []string
	for _, kill := range upKills {
		operations = append(operations, strings.Fields(kill)[1])
	}
	write := func(name, script string) {
		script += "\n-- rich.yaml --\n" + string(blueprint) + "-- late.json --\n" + late + "\n-- operations.txt --\n" + strings.Join(operations, "\n") + "\n"
		if err := os.WriteFile(filepath.Join(dir, name+".txtar"), []byte(script), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i, kill := range slices.Concat(upKills, upLines) {
		script := beginning + "killed " + kill + " up --yes --output json rich.yaml\n"
		if i >= len(upKills) {
			script = beginning + "signal KILL '^" + kill + "' up --yes --output json rich.yaml\n"
		}
		if i%3 == 2 { // the next run goes on
			script += "aicluster up --yes rich.yaml\nsingle\nsettled rich.yaml\n"
		}
		write(scriptName("up", kill), script+"takenaway 0 "+teardowns[i%len(teardowns)]+"\n")
	}
	for i, kill := range lateKills {
		script := strings.Replace(beginning, "cloud 240", "cloud 240 late.json", 1) + "killed " + kill + " up --yes --output json rich.yaml\n"
		write(scriptName("late", kill), script+"takenaway 0 "+teardowns[i%len(teardowns)]+"\n")
	}
	for i, kill := range teardownKills {
		how := teardowns[i%len(teardowns)]
		write(scriptName("teardown", kill), beginning+"aicluster up --yes rich.yaml\nkilled "+kill+
			" teardown --yes --output json --delete-models rich.yaml\ntakenaway 0 "+how+"\n")
	}
	scripts, err := filepath.Glob("testdata/halfmade/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range scripts {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(strings.TrimSuffix(filepath.Base(path), ".txtar"), string(text))
	}
	rows := &table{}
	t.Cleanup(func() {
		out, err := os.Create("../bin/teardown.log")
		if err == nil {
			err = rows.write(out)
		}
		if err != nil {
			t.Error(err)
		}
	})
	runScripts(t, dir, nil, map[any]any{tableKey{}: rows})
}

var notWord = regexp.MustCompile(`[^A-Za-z0-9]+`)

// scriptName is what a state is called.
func scriptName(command, kill string) string {
	return fmt.Sprint("killed-", command, "-", notWord.ReplaceAllString(kill, "-"))
}
