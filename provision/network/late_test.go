package network

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// late is by how much EC2's lists are behind in these tests, and for how long new
// ids are not known.
const late = 3 * time.Second

// mustBeSingle checks that there is one of each.
func (f *fakeEC2) mustBeSingle(t *testing.T) {
	t.Helper()
	if len(f.vpcs) != 1 || len(f.subnets) != 6 || len(f.gateways) != 1 || len(f.addresses) != 1 || len(f.nats) != 1 || len(f.tables) != 4 || len(f.endpoints) != 1 {
		t.Errorf("%d VPCs, %d subnets, %d internet gateways, %d addresses, %d NAT gateways, %d route tables, %d endpoints",
			len(f.vpcs), len(f.subnets), len(f.gateways), len(f.addresses), len(f.nats), len(f.tables), len(f.endpoints))
	}
}

func TestUpWaitsForWhatIsNotSeenYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(), blueprint(system)
		f.lag = late
		start := time.Now()
		mustUp(t, f, b)
		if took, most := time.Since(start), f.natTime+5*late; took > most {
			t.Errorf("it took %s, more than %s", took, most)
		}
		f.mustBeSingle(t)
		mustBeSame(t, f, b)
	})
}

func TestLostRepliesAreLookedForUntilListsShowThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(), blueprint(system)
		f.lag = late
		f.lose = map[string]int{"CreateVpc": 1, "CreateSubnet": 2, "CreateInternetGateway": 1, "AllocateAddress": 1}
		mustUp(t, f, b)
		f.mustBeSingle(t)
		for op, want := range map[string]int{"CreateVpc": 1, "CreateInternetGateway": 1, "AllocateAddress": 1, "DeleteVpc": 0, "ReleaseAddress": 0} {
			if got := f.count(op); got != want {
				t.Errorf("%d %s calls, want %d", got, op, want)
			}
		}
		mustBeSame(t, f, b)
	})
}

// createCalls are the calls of an up that make something.
var createCalls = []string{
	"CreateVpc", "CreateSubnet", "CreateInternetGateway", "AttachInternetGateway", "AllocateAddress", "CreateNatGateway",
	"CreateRouteTable", "AssociateRouteTable", "CreateRoute", "CreateVpcEndpoint",
}

// TestTornDownBeforeItIsSeen ends a run right after a create call and tears down at
// once. That does not take long, whatever it cannot see yet, and the next teardown
// finds the rest.
func TestTornDownBeforeItIsSeen(t *testing.T) {
	for _, op := range createCalls {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, b := newFake(), blueprint(system)
				f.lag = late
				f.upKilled(t, b, op)
				start := time.Now()
				if err := teardown(t, f, b); err != nil && (!cloud.IsDependency(err) || strings.Contains(err.Error(), "not this cluster's")) {
					t.Error(err)
				}
				if took, most := time.Since(start), f.natTime+2*foreignLimit; took > most {
					t.Errorf("it took %s, more than %s", took, most)
				}
				time.Sleep(late)
				if err := teardown(t, f, b); err != nil || f.left() != 0 {
					t.Errorf("error %v, %d left", err, f.left())
				}
			})
		})
	}
}

// TestKilledBeforeItIsSeen ends a run right after a create call and starts the
// next one at once, which cannot see what was made.
func TestKilledBeforeItIsSeen(t *testing.T) {
	for _, op := range createCalls {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, b := newFake(), blueprint(system)
				f.lag = late
				f.upKilled(t, b, op)
				mustUp(t, f, b)
				f.mustBeSingle(t)
				time.Sleep(late)
				mustBeSame(t, f, b)
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

// upKilled runs up until a call has taken effect.
func (f *fakeEC2) upKilled(t *testing.T, b *blueprints.Blueprint, op string) {
	t.Helper()
	g, _ := graph(t, f, b)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.kill[op] = cancel
	plan, err := g.Plan(ctx, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g.Up(ctx, plan, engine.Options{})
	if ctx.Err() == nil {
		t.Fatalf("the run was not ended by %s", op)
	}
}

// TestDoubles: of two of the same name and tags the one in use stays. diff shows
// the other, up and teardown take it away.
func TestDoubles(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(*fakeEC2, *blueprints.Blueprint) error
	}{
		{"vpc", func(f *fakeEC2, _ *blueprints.Blueprint) error {
			_, err := f.CreateVpc(context.Background(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.42.0.0/16"), TagSpecifications: ownTags("demo")})
			return err
		}},
		{"internet gateway", func(f *fakeEC2, _ *blueprints.Blueprint) error {
			_, err := f.CreateInternetGateway(context.Background(), &ec2.CreateInternetGatewayInput{TagSpecifications: ownTags("demo")})
			return err
		}},
		{"address", func(f *fakeEC2, _ *blueprints.Blueprint) error {
			_, err := f.AllocateAddress(context.Background(), &ec2.AllocateAddressInput{TagSpecifications: ownTags(natName("demo", region+"a"))})
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, b := newFake(), blueprint(system)
				if err := test.make(f, b); err != nil { // the first by its id
					t.Fatal(err)
				}
				before := f.next
				mustUp(t, f, b)
				if f.next == before {
					t.Fatal("up made nothing")
				}
				f.mustBeSingle(t) // what was there was adopted
				if err := test.make(f, b); err != nil {
					t.Fatal(err)
				}
				g, _ := graph(t, f, b)
				plan, err := g.Plan(t.Context(), engine.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if changes := plan.Changes(); len(changes) != 1 || changes[0].Field != "doubles" {
					t.Errorf("changes %+v", changes)
				}
				mustUp(t, f, b)
				f.mustBeSingle(t)
				mustBeSame(t, f, b)
				if err := test.make(f, b); err != nil {
					t.Fatal(err)
				}
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

// ownTags are the tags of a resource of that name, as up sets them.
func ownTags(name string) []types.TagSpecification {
	p := part{owner: cloud.Owner{Cluster: "demo", Extra: map[string]string{"team": "ml"}}, name: name}
	return p.spec("")
}
