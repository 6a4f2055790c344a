package orphans

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
)

var (
	ours  = tags{"aicluster/cluster": "demo"}
	prods = tags{"aicluster/cluster": "prod"}
)

// one is an account with things of one type.
func one(kind types.ResourceType, things ...thing) *account {
	return &account{ec2: map[types.ResourceType][]thing{kind: things}}
}

// inVPC adds a VPC of ours.
func (a *account) inVPC() *account {
	a.ec2[types.ResourceTypeVpc] = []thing{{id: "vpc-1", tags: ours}}
	return a
}

func TestWhatCountsAsTheClusters(t *testing.T) {
	description := func(words string) func(any) {
		return func(v any) { v.(*types.NetworkInterface).Description = aws.String(words) }
	}
	tests := map[string]struct {
		account *account
		want    string
	}{
		"nothing":                          {&account{}, ""},
		"our tag":                          {one(types.ResourceTypeSubnet, thing{id: "subnet-1", tags: ours}), "subnet/subnet-1"},
		"another cluster's":                {one(types.ResourceTypeSubnet, thing{id: "subnet-1", tags: prods}), ""},
		"EKS's tag":                        {one(types.ResourceTypeSecurityGroup, thing{id: "sg-1", state: "eks-cluster-sg-demo-1", tags: tags{"aws:eks:cluster-name": "demo"}}), "security-group/sg-1"},
		"the CNI's tag":                    {one(types.ResourceTypeNetworkInterface, thing{id: "eni-1", state: "available", tags: tags{"cluster.k8s.amazonaws.com/name": "demo"}}), "network-interface/eni-1"},
		"a volume of a claim":              {one(types.ResourceTypeVolume, thing{id: "vol-1", state: "available", tags: tags{"kubernetes.io/cluster/demo": "owned"}}), "volume/vol-1"},
		"a snapshot":                       {one(types.ResourceTypeSnapshot, thing{id: "snap-1", tags: tags{"kubernetes.io/cluster/demo": "owned"}}), "snapshot/snap-1"},
		"a subnet that is shared with it":  {one(types.ResourceTypeSubnet, thing{id: "subnet-1", tags: tags{"kubernetes.io/cluster/demo": "shared"}}), ""},
		"a tag that outlives its thing":    {one(types.ResourceTypeSecurityGroup, thing{id: "gone:sg-1", tags: ours}), ""},
		"a terminated instance":            {one(types.ResourceTypeInstance, thing{id: "i-1", state: "terminated", tags: ours}), ""},
		"a running instance":               {one(types.ResourceTypeInstance, thing{id: "i-1", state: "running", tags: ours}), "instance/i-1"},
		"a deleted NAT gateway":            {one(types.ResourceTypeNatgateway, thing{id: "nat-1", state: "deleted", tags: ours}), ""},
		"a failed NAT gateway":             {one(types.ResourceTypeNatgateway, thing{id: "nat-1", state: "failed", tags: ours}), ""},
		"a deleted endpoint":               {one(types.ResourceTypeVpcEndpoint, thing{id: "vpce-1", state: "Deleted", tags: ours}), ""},
		"an address":                       {one(types.ResourceTypeElasticIp, thing{id: "eipalloc-1", tags: ours}), "elastic-ip/eipalloc-1"},
		"a launch template of EKS":         {one(types.ResourceTypeLaunchTemplate, thing{id: "lt-1", tags: tags{"eks:cluster-name": "demo"}}), "launch-template/lt-1"},
		"an instance of Karpenter's":       {one(types.ResourceTypeInstance, thing{id: "i-1", state: "running", tags: tags{"karpenter.sh/nodepool": "gpu", "eks:eks-cluster-name": "demo"}}), "instance/i-1"},
		"a launch template of Karpenter's": {one(types.ResourceTypeLaunchTemplate, thing{id: "lt-1", tags: tags{"eks:eks-cluster-name": "demo"}}), "launch-template/lt-1"},
		"the disk of an instance": {one(types.ResourceTypeVolume, thing{id: "vol-1", state: "in-use", tags: ours, set: func(v any) {
			v.(*types.Volume).Attachments = []types.VolumeAttachment{{DeleteOnTermination: aws.Bool(true)}}
		}}), ""},
		"somebody's instance in our VPC":       {one(types.ResourceTypeInstance, thing{id: "i-1", vpc: "vpc-1", state: "running"}).inVPC(), "instance/i-1! vpc/vpc-1"},
		"somebody's interface in our VPC":      {one(types.ResourceTypeNetworkInterface, thing{id: "eni-1", vpc: "vpc-1", set: description("EFS mount target for fs-1 (fsmt-1)")}).inVPC(), "network-interface/eni-1! vpc/vpc-1"},
		"a load balancer's interface there":    {one(types.ResourceTypeNetworkInterface, thing{id: "eni-1", vpc: "vpc-1", set: description("ELB net/x/0123")}).inVPC(), "vpc/vpc-1"},
		"a classic balancer's interface there": {one(types.ResourceTypeNetworkInterface, thing{id: "eni-1", vpc: "vpc-1", set: description("ELB classic")}).inVPC(), "vpc/vpc-1"},
		"the VPC's own parts":                  {one(types.ResourceTypeRouteTable, thing{id: "rtb-1", vpc: "vpc-1", state: "main"}).inVPC(), "vpc/vpc-1"},
		"somebody's group in our VPC":          {one(types.ResourceTypeSecurityGroup, thing{id: "sg-1", vpc: "vpc-1", state: "web"}, thing{id: "sg-0", vpc: "vpc-1", state: "default"}).inVPC(), "security-group/sg-1! vpc/vpc-1"},
		"somebody's instance elsewhere":        {one(types.ResourceTypeInstance, thing{id: "i-1", vpc: "vpc-2", state: "running"}).inVPC(), "vpc/vpc-1"},

		"the cluster":                     {&account{cluster: &ekstypes.Cluster{Tags: ours}}, "cluster/demo"},
		"somebody's cluster of that name": {&account{cluster: &ekstypes.Cluster{}}, "cluster/demo!"},
		"a scaling group":                 {&account{groups: map[string]tags{"eks-1": {"eks:cluster-name": "demo"}, "eks-2": {"eks:cluster-name": "prod"}}}, "auto-scaling-group/eks-1"},
		"roles":                           {&account{roles: map[string]tags{"demo-us-west-2-nodes": ours, "demo-us-east-1-nodes": ours, "other": ours}}, "role/demo-us-west-2-nodes"},
		"a role of a cluster named alike": {&account{roles: map[string]tags{"demo-us-west-2-b-us-west-2-nodes": {"aicluster/cluster": "demo-us-west-2-b"}}}, ""},
		"somebody's role of that name":    {&account{roles: map[string]tags{"demo-us-west-2-nodes": nil}}, "role/demo-us-west-2-nodes!"},
		"an instance profile with a role": {&account{roles: map[string]tags{"demo-us-west-2-nodes": ours}, profiles: map[string]string{"eks-1": "demo-us-west-2-nodes", "x": "y"}}, "instance-profile/eks-1 role/demo-us-west-2-nodes"},
		"a profile that is empty":         {&account{profiles: map[string]string{"demo-us-west-2-nodes": "", "x": ""}}, "instance-profile/demo-us-west-2-nodes"},
		"Karpenter's queue and rule":      {&account{events: []string{"queue/demo-karpenter", "rule/demo-karpenter", "queue/demo"}}, "event-rule/demo-karpenter queue/demo-karpenter"},
		"the log group":                   {&account{logs: []string{"/aws/eks/demo/cluster", "/aws/eks/demo/cluster2"}}, "log-group//aws/eks/demo/cluster"},
		"a load balancer of a service":    {&account{lbs: map[string]tags{"a": {"kubernetes.io/cluster/demo": "owned"}, "b": {}}}, "load-balancer/a"},
		"one of AWS's controller":         {&account{lbs: map[string]tags{"a": {"elbv2.k8s.aws/cluster": "demo"}}}, "load-balancer/a"},
		"a classic one of a service":      {&account{classic: map[string]tags{"a": {"kubernetes.io/cluster/demo": "owned"}, "b": {}}}, "load-balancer/a"},
		"somebody's classic one there":    {&account{ec2: map[types.ResourceType][]thing{types.ResourceTypeVpc: {{id: "vpc-1", tags: ours}}}, classic: map[string]tags{"b": {}}}, "load-balancer/b! vpc/vpc-1"},
		"somebody's balancer in our VPC":  {&account{ec2: map[types.ResourceType][]thing{types.ResourceTypeVpc: {{id: "vpc-1", tags: ours}}}, lbs: map[string]tags{"b": {}}}, "load-balancer/b! vpc/vpc-1"},
		"buckets":                         {&account{buckets: map[string]tags{"weights": ours, "other": nil}}, "bucket/weights"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.account.run(t); got != tt.want {
				t.Errorf("found %q, wanted %q", got, tt.want)
			}
		})
	}
}

func TestAThingSaysWhyWhatItCostsAndHowToRemoveIt(t *testing.T) {
	a := one(types.ResourceTypeVolume, thing{id: "vol-1", state: "available", tags: tags{
		"kubernetes.io/cluster/demo": "owned", "kubernetes.io/created-for/pvc/name": "data-0", "kubernetes.io/created-for/pvc/namespace": "db"}})
	found, err := a.search().Run(t.Context())
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	v := found[0]
	if v.Detail != "73 GiB, gp3, available, of claim db/data-0" || v.Why != "tag kubernetes.io/cluster/demo=owned" || !v.Data {
		t.Errorf("%+v", v)
	}
	if v.CostPerHour != 0.008 || CostPerHour(append(found, found...)) != 0.016 { // 73 GiB at 8 cents in 730 hours
		t.Errorf("costs %v", v.CostPerHour)
	}
	if v.Remove != "aws ec2 delete-volume --volume-id vol-1 --region us-west-2" {
		t.Errorf("remove: %s", v.Remove)
	}
}

func TestSomebodyElsesThingIsNotOursToPriceOrRemove(t *testing.T) {
	found, err := one(types.ResourceTypeInstance, thing{id: "i-1", vpc: "vpc-1", state: "running"}).inVPC().search().Run(t.Context())
	if err != nil || len(found) != 2 {
		t.Fatal(found, err)
	}
	if i := found[0]; i.Remove != "" || i.CostPerHour != 0 || !strings.Contains(i.Why, "VPC") {
		t.Errorf("%+v", i)
	}
}

// What AWS is taking away is waited for, but not for ever.
func TestSettledWaitsForWhatGoes(t *testing.T) {
	a := one(types.ResourceTypeNatgateway, thing{id: "nat-1", state: "deleting", tags: ours})
	told := ""
	found, err := a.search().Settled(t.Context(), nobody, func(going Thing) {
		told = going.Name()
		if a.calls >= 3 {
			a.ec2[types.ResourceTypeNatgateway][0].state = "deleted"
		}
	})
	if err != nil || len(found) != 0 || told != "nat-gateway/nat-1" {
		t.Errorf("found %v, told %q, %v", found, told, err)
	}
}

// What a receipt accounts for is not waited for.
func TestSettledDoesNotWaitForWhatIsAccountedFor(t *testing.T) {
	a := one(types.ResourceTypeNatgateway, thing{id: "nat-1", state: "deleting", tags: ours})
	found, err := a.search().Settled(t.Context(), func(Thing) bool { return true }, func(Thing) { t.Error("waited") })
	if err != nil || len(found) != 1 {
		t.Errorf("%v %v", found, err)
	}
}

func nobody(Thing) bool { return false }

func TestWhatTheLivingClusterHolds(t *testing.T) {
	living := Living{Pools: []string{"system"}, Objects: []string{"service/web/api", "pv/pvc-1"}, Known: []string{"subnet-1"}}
	tests := map[string]struct {
		thing Thing
		want  bool
	}{
		"a resource of the graph":        {Thing{ID: "subnet-1"}, true},
		"an instance of a pool":          {Thing{ID: "i-1", pool: "system"}, true},
		"an instance of a pool no more":  {Thing{ID: "i-1", pool: "gpu", inUse: true}, false},
		"a service's load balancer":      {Thing{ID: "a", object: "service/web/api"}, true},
		"a service's that is no more":    {Thing{ID: "a", object: "service/web/old"}, false},
		"a claim's volume":               {Thing{ID: "vol-1", object: "pv/pvc-1"}, true},
		"an interface in use":            {Thing{ID: "eni-1", inUse: true}, true},
		"an interface that is available": {Thing{ID: "eni-1"}, false},
		"somebody else's":                {Thing{ID: "i-1", Foreign: true, inUse: true}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := living.Holds(tt.thing); got != tt.want {
				t.Errorf("%v, wanted %v", got, tt.want)
			}
		})
	}
}

func TestFileSystems(t *testing.T) {
	a := &account{files: map[string]tags{"fs-1": ours, "fs-2": {"aicluster/cluster": "other"}, "fs-3": nil}}
	if got := a.run(t); got != "file-system/fs-1" {
		t.Errorf("found %s", got)
	}
	found, err := a.search().Run(t.Context())
	if err != nil || found[0].CostPerHour != 0.00411 || found[0].Data || found[0].Remove != "aws efs delete-file-system --file-system-id fs-1 --region us-west-2" {
		t.Errorf("%+v %v", found, err)
	}
}
