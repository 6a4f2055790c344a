package network

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

func pool(name string, kinds []string, zones ...string) blueprints.NodePool {
	return blueprints.NodePool{Name: name, InstanceTypes: kinds, Zones: zones}
}

func blueprint(pools ...blueprints.NodePool) *blueprints.Blueprint {
	b := &blueprints.Blueprint{
		Metadata: blueprints.Metadata{Name: "demo", Region: region, Tags: map[string]string{"team": "ml"}},
		Network:  blueprints.Network{CIDR: "10.42.0.0/16", NATGateways: natSingle}, NodePools: pools,
	}
	return b
}

var (
	system = pool("system", []string{"c6i.xlarge"})
	gpu    = pool("gpu", []string{"p4d.24xlarge"})
)

// graph is the network of b as the command line would build it.
func graph(t *testing.T, f *fakeEC2, b *blueprints.Blueprint) (*engine.Graph, *Network) {
	t.Helper()
	layout, err := ChooseZones(t.Context(), f, b)
	if err != nil {
		t.Fatal(err)
	}
	n := New(f, newFakeELB(f).api(), cloud.Owner{Cluster: b.Metadata.Name, Extra: b.Metadata.Tags}, b, layout)
	g, err := engine.NewGraph(n.Resources()...)
	if err != nil {
		t.Fatal(err)
	}
	return g, n
}

func up(t *testing.T, f *fakeEC2, b *blueprints.Blueprint) (*Network, error) {
	t.Helper()
	g, n := graph(t, f, b)
	plan, err := g.Plan(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return n, g.Up(t.Context(), plan, engine.Options{}).Err()
}

func mustUp(t *testing.T, f *fakeEC2, b *blueprints.Blueprint) *Network {
	t.Helper()
	n, err := up(t, f, b)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// mustBeSame fails if a plan has changes.
func mustBeSame(t *testing.T, f *fakeEC2, b *blueprints.Blueprint) {
	t.Helper()
	g, _ := graph(t, f, b)
	plan, err := g.Plan(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if changes := plan.Changes(); len(changes) > 0 {
		t.Errorf("changes after up: %+v", changes)
	}
}

func teardown(t *testing.T, f *fakeEC2, b *blueprints.Blueprint) error {
	t.Helper()
	layout, err := LiveZones(t.Context(), f, b)
	if err != nil {
		t.Fatal(err)
	}
	g, err := engine.NewGraph(New(f, newFakeELB(f).api(), cloud.Owner{Cluster: b.Metadata.Name}, b, layout).Resources()...)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := g.Plan(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	result, _ := g.Teardown(t.Context(), plan, engine.Options{})
	return result.Err()
}

func (f *fakeEC2) left() int {
	alive := 0
	for _, n := range f.nats {
		if !natGone(*n) {
			alive++
		}
	}
	return len(f.vpcs) + len(f.gateways) + len(f.subnets) + len(f.addresses) + len(f.tables) + len(f.endpoints) + len(f.groups) + len(f.enis) + alive
}

func (f *fakeEC2) count(op string) int {
	n := 0
	for _, c := range f.calls {
		if c == op {
			n++
		}
	}
	return n
}

// TestTheEndpointIsGoneAlready: the SDK repeats a call whose reply was lost, and EC2
// then says that there is no such endpoint.
func TestTheEndpointIsGoneAlready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(), blueprint(system)
		mustUp(t, f, b)
		g, _ := graph(t, f, b)
		plan, err := g.Plan(t.Context(), engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		clear(f.endpoints)
		result, _ := g.Teardown(t.Context(), plan, engine.Options{})
		if err := result.Err(); err != nil || f.left() != 0 {
			t.Errorf("error %v, %d left", err, f.left())
		}
	})
}

func TestUpAndTeardown(t *testing.T) {
	for _, test := range []struct {
		nat  string
		nats int
	}{{natSingle, 1}, {natPerZone, 3}, {"none", 0}} {
		t.Run(test.nat, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, b := newFake(), blueprint(system, gpu)
				b.Network.NATGateways = test.nat
				n := mustUp(t, f, b)
				if got := f.count("CreateNatGateway"); got != test.nats {
					t.Errorf("%d NAT gateways, want %d", got, test.nats)
				}
				if got := len(n.PrivateSubnetIDs()); got != 3 {
					t.Errorf("%d private subnets, want 3", got)
				}
				mustBeSame(t, f, b)
				f.mustOwnAll(t)
				if err := teardown(t, f, b); err != nil {
					t.Error(err)
				}
				if f.left() != 0 {
					t.Errorf("%d things left after teardown", f.left())
				}
			})
		})
	}
}

// mustOwnAll checks that the create calls have set the ownership tag.
func (f *fakeEC2) mustOwnAll(t *testing.T) {
	t.Helper()
	var tags [][]types.Tag
	for _, v := range f.vpcs {
		tags = append(tags, v.Tags)
	}
	for _, v := range f.subnets {
		tags = append(tags, v.Tags)
	}
	for _, v := range f.addresses {
		tags = append(tags, v.Tags)
	}
	for _, v := range f.nats {
		tags = append(tags, v.Tags)
	}
	for _, v := range f.tables {
		tags = append(tags, v.Tags)
	}
	for _, v := range f.endpoints {
		tags = append(tags, v.Tags)
	}
	for _, list := range tags {
		if m := cloud.FromEC2(list); m[cloud.TagCluster] != "demo" || m["team"] != "ml" || m[cloud.TagName] == "" {
			t.Errorf("tags %v", m)
		}
	}
	if n := f.count("CreateTags"); n != 0 {
		t.Errorf("%d CreateTags calls; tags belong in the create calls", n)
	}
}

func TestLostRepliesMakeNoDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(), blueprint(system)
		f.lose = map[string]int{"CreateVpc": 1, "CreateSubnet": 2, "CreateInternetGateway": 1, "AllocateAddress": 1}
		mustUp(t, f, b)
		if len(f.vpcs) != 1 || len(f.subnets) != 6 || len(f.gateways) != 1 || len(f.addresses) != 1 {
			t.Errorf("%d VPCs, %d subnets, %d gateways, %d addresses", len(f.vpcs), len(f.subnets), len(f.gateways), len(f.addresses))
		}
		mustBeSame(t, f, b)
	})
}

// TestResume stops a run at each kind of call and lets the next one finish it.
func TestResume(t *testing.T) {
	for _, op := range []string{"CreateVpc", "ModifyVpcAttribute", "CreateSubnet", "AllocateAddress", "CreateNatGateway", "CreateInternetGateway"} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, b := newFake(), blueprint(system, gpu)
				f.fail[op] = apiError("UnauthorizedOperation", "no")
				if _, err := up(t, f, b); cloud.Code(err) != "UnauthorizedOperation" {
					t.Errorf("error %v", err)
				}
				delete(f.fail, op)
				mustUp(t, f, b)
				mustBeSame(t, f, b)
				if len(f.vpcs) != 1 || len(f.subnets) != 6 || len(f.addresses) != 1 || len(f.nats) != 1 {
					t.Error("duplicates")
				}
			})
		})
	}
}

func TestNATGatewaysChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(), blueprint(system)
		for _, step := range []struct {
			nat  string
			want int
		}{{natPerZone, 3}, {natSingle, 1}, {"none", 0}, {natSingle, 1}} {
			b.Network.NATGateways = step.nat
			mustUp(t, f, b)
			if len(f.addresses) != step.want {
				t.Errorf("%s: %d addresses, want %d", step.nat, len(f.addresses), step.want)
			}
			mustBeSame(t, f, b)
		}
	})
}

func TestFailedNATGatewayIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(), blueprint(system)
		f.natFails = true
		_, err := up(t, f, b)
		var e *cloud.Error
		if !errors.As(err, &e) || e.Code != "InsufficientFreeAddressesInSubnet" || e.Resource != "nat-gateway/"+region+"a" {
			t.Fatalf("error %v", err)
		}
		f.natFails = false
		mustUp(t, f, b)
		if len(f.nats) != 2 || len(f.addresses) != 1 {
			t.Errorf("%d gateways and %d addresses", len(f.nats), len(f.addresses))
		}
	})
}

func TestCIDRIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(), blueprint(system)
		mustUp(t, f, b)
		b.Network.CIDR = "10.99.0.0/16"
		g, _ := graph(t, f, b)
		plan, err := g.Plan(t.Context(), engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if refused := plan.Refused(); len(refused) != 1 || refused[0].Field != "network.cidr" || refused[0].Hint == "" || len(plan.Changes()) != 1 {
			t.Errorf("changes %+v", plan.Changes())
		}
	})
}

func TestTeardownDeletesLeftovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(), blueprint(system)
		n := mustUp(t, f, b)
		subnet := aws.String(n.PrivateSubnetIDs()[0])
		f.enis["eni-cni"] = &types.NetworkInterface{NetworkInterfaceId: aws.String("eni-cni"), SubnetId: subnet, Status: types.NetworkInterfaceStatusAvailable, Description: aws.String("aws-K8S-i-1")}
		f.enis["eni-elb"] = &types.NetworkInterface{NetworkInterfaceId: aws.String("eni-elb"), SubnetId: subnet, Status: types.NetworkInterfaceStatusInUse, Description: aws.String("ELB net/k8s-ingress")}
		f.groups["sg-elb"] = &types.SecurityGroup{
			GroupId: aws.String("sg-elb"), GroupName: aws.String("k8s-elb-a1"), VpcId: aws.String(n.VPCID()),
			Tags: []types.Tag{{Key: aws.String("kubernetes.io/cluster/demo"), Value: aws.String("owned")}},
		}
		time.AfterFunc(3*time.Minute, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			delete(f.enis, "eni-elb")
		})
		if err := teardown(t, f, b); err != nil {
			t.Error(err)
		}
		if f.left() != 0 {
			t.Errorf("%d things left", f.left())
		}
	})
}

func TestTeardownNamesWhatHoldsASubnet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(), blueprint(system)
		n := mustUp(t, f, b)
		f.enis["eni-rds"] = &types.NetworkInterface{
			NetworkInterfaceId: aws.String("eni-rds"), SubnetId: aws.String(n.PrivateSubnetIDs()[0]),
			Status: types.NetworkInterfaceStatusInUse, Description: aws.String("RDSNetworkInterface"),
		}
		err := teardown(t, f, b)
		if err == nil || !strings.Contains(err.Error(), "eni-rds (RDSNetworkInterface)") || !strings.Contains(err.Error(), "DependencyViolation") {
			t.Errorf("error %v", err)
		}
	})
}

func TestExistingVPC(t *testing.T) {
	f := newFake()
	f.vpcs["vpc-old"] = &types.Vpc{VpcId: aws.String("vpc-old"), CidrBlock: aws.String("10.0.0.0/16")}
	for i, zone := range []string{"a", "b", "b"} {
		id := "subnet-" + string(rune('1'+i))
		f.subnets[id] = &types.Subnet{SubnetId: &id, VpcId: aws.String("vpc-old"), AvailabilityZone: aws.String(region + zone), CidrBlock: aws.String("10.0.0.0/24")}
	}
	f.groups["sg-lbc"] = &types.SecurityGroup{
		GroupId: aws.String("sg-lbc"), GroupName: aws.String("k8s-traffic-demo"), VpcId: aws.String("vpc-old"),
		Tags: []types.Tag{{Key: aws.String(lbcCluster), Value: aws.String("demo")}},
	}
	f.groups["sg-theirs"] = &types.SecurityGroup{GroupId: aws.String("sg-theirs"), GroupName: aws.String("web"), VpcId: aws.String("vpc-old")}
	b := blueprint(system, gpu)
	b.Network = blueprints.Network{VPCID: "vpc-old", SubnetIDs: []string{"subnet-1", "subnet-2"}}
	n := mustUp(t, f, b)
	if len(f.calls) > 0 {
		t.Errorf("calls %v", f.calls)
	}
	if got := n.PrivateSubnetIDs(region + "b"); !slices.Equal(got, []string{"subnet-2"}) {
		t.Errorf("subnets in b: %v", got)
	}
	if err := teardown(t, f, b); err != nil {
		t.Error(err)
	}
	if !slices.Equal(f.calls, []string{"DeleteSecurityGroup"}) || f.groups["sg-theirs"] == nil {
		t.Errorf("calls %v", f.calls)
	}

	b.Network.SubnetIDs = []string{"subnet-2", "subnet-3"}
	if _, err := ChooseZones(t.Context(), f, b); err == nil {
		t.Error("subnets in one zone pass")
	}
}

func TestBlocks(t *testing.T) {
	zones := []Zone{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	if err := assignBlocks("10.42.0.0/16", zones); err != nil {
		t.Fatal(err)
	}
	want := []Zone{
		{Name: "a", Private: netip.MustParsePrefix("10.42.0.0/19"), Public: netip.MustParsePrefix("10.42.128.0/22")},
		{Name: "b", Private: netip.MustParsePrefix("10.42.32.0/19"), Public: netip.MustParsePrefix("10.42.132.0/22")},
		{Name: "c", Private: netip.MustParsePrefix("10.42.64.0/19"), Public: netip.MustParsePrefix("10.42.136.0/22")},
	}
	if !slices.Equal(zones, want) {
		t.Errorf("got %+v", zones)
	}
	// Half of b exists in slot 0; a takes the next.
	zones = []Zone{{Name: "a"}, {Name: "b", Private: netip.MustParsePrefix("10.42.0.0/19")}}
	if err := assignBlocks("10.42.0.0/16", zones); err != nil {
		t.Fatal(err)
	}
	if zones[1].Public.String() != "10.42.128.0/22" || zones[0].Private.String() != "10.42.32.0/19" {
		t.Errorf("got %+v", zones)
	}
	for _, cidr := range []string{"", "10.0.0.0/8", "10.0.0.0/24", "fd00::/16"} {
		if assignBlocks(cidr, []Zone{{Name: "a"}}) == nil {
			t.Errorf("%q passes", cidr)
		}
	}
}
