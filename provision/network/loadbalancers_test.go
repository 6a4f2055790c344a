package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// fakeELB is a region's load balancers. Their interfaces stand in the fake EC2
// and go plugTime after them.
type fakeELB struct {
	ec2     *fakeEC2
	classic fakeClassic

	balancers []elbtypes.LoadBalancer
	groups    []elbtypes.TargetGroup // in use while LoadBalancerArns[0] stands
	tags      map[string]map[string]string
	protected string // name of a load balancer with deletion protection
	vanish    string // name of one that goes between listing and reading its tags
	plugTime  time.Duration
	calls     []string // mutating ones, in order
}

func newFakeELB(f *fakeEC2) *fakeELB {
	e := &fakeELB{ec2: f, tags: map[string]map[string]string{}, plugTime: 3 * time.Minute}
	e.classic = fakeClassic{fakeELB: e, tags: map[string]map[string]string{}}
	return e
}

func (f *fakeELB) api() LoadBalancerAPI { return LoadBalancerAPI{V2: f, Classic: &f.classic} }

// put adds a load balancer with a target group and an interface in a subnet, if
// one is named.
func (f *fakeELB) put(name, vpcID, subnet string, tags map[string]string) {
	arn := "arn:aws:elasticloadbalancing:x:1:loadbalancer/net/" + name + "/0a"
	group := "arn:aws:elasticloadbalancing:x:1:targetgroup/" + name + "/0b"
	f.balancers = append(f.balancers, elbtypes.LoadBalancer{LoadBalancerArn: &arn, LoadBalancerName: &name, VpcId: &vpcID})
	f.groups = append(f.groups, elbtypes.TargetGroup{TargetGroupArn: &group, TargetGroupName: &name, VpcId: &vpcID, LoadBalancerArns: []string{arn}})
	f.tags[arn], f.tags[group] = tags, tags
	if subnet != "" {
		f.ec2.enis["eni-"+name] = &types.NetworkInterface{
			NetworkInterfaceId: aws.String("eni-" + name), SubnetId: &subnet, Status: types.NetworkInterfaceStatusInUse,
			Description: aws.String("ELB net/" + name + "/0a"), RequesterManaged: aws.Bool(true), RequesterId: aws.String("amazon-elb"),
		}
	}
}

func (f *fakeELB) remove(arn string) {
	f.balancers = slices.DeleteFunc(f.balancers, func(b elbtypes.LoadBalancer) bool { return *b.LoadBalancerArn == arn })
	delete(f.tags, arn)
	name := strings.Split(arn, "/")[2]
	time.AfterFunc(f.plugTime, func() {
		f.ec2.mu.Lock()
		defer f.ec2.mu.Unlock()
		delete(f.ec2.enis, "eni-"+name)
	})
}

// DescribeLoadBalancers has pages of 30.
func (f *fakeELB) DescribeLoadBalancers(_ context.Context, in *elb.DescribeLoadBalancersInput, _ ...func(*elb.Options)) (*elb.DescribeLoadBalancersOutput, error) {
	f.ec2.mu.Lock()
	defer f.ec2.mu.Unlock()
	start := 0
	if in.Marker != nil {
		start = 30
	}
	rest := f.balancers[min(start, len(f.balancers)):]
	out := &elb.DescribeLoadBalancersOutput{LoadBalancers: slices.Clone(rest[:min(30, len(rest))])}
	if len(rest) > 30 {
		out.NextMarker = aws.String("2")
	}
	return out, nil
}

func (f *fakeELB) DescribeTargetGroups(context.Context, *elb.DescribeTargetGroupsInput, ...func(*elb.Options)) (*elb.DescribeTargetGroupsOutput, error) {
	f.ec2.mu.Lock()
	defer f.ec2.mu.Unlock()
	return &elb.DescribeTargetGroupsOutput{TargetGroups: slices.Clone(f.groups)}, nil
}

func (f *fakeELB) DescribeTags(_ context.Context, in *elb.DescribeTagsInput, _ ...func(*elb.Options)) (*elb.DescribeTagsOutput, error) {
	f.ec2.mu.Lock()
	defer f.ec2.mu.Unlock()
	if len(in.ResourceArns) > 20 {
		return nil, apiError("ValidationError", "at most 20")
	}
	out := &elb.DescribeTagsOutput{}
	for _, arn := range in.ResourceArns {
		if f.vanish != "" && strings.Contains(arn, "loadbalancer/net/"+f.vanish) {
			f.remove(arn)
		}
		if f.tags[arn] == nil {
			return nil, &elbtypes.LoadBalancerNotFoundException{Message: aws.String("One or more load balancers not found")}
		}
		d := elbtypes.TagDescription{ResourceArn: &arn}
		for k, v := range f.tags[arn] {
			d.Tags = append(d.Tags, elbtypes.Tag{Key: &k, Value: &v})
		}
		out.TagDescriptions = append(out.TagDescriptions, d)
	}
	return out, nil
}

func (f *fakeELB) DeleteLoadBalancer(_ context.Context, in *elb.DeleteLoadBalancerInput, _ ...func(*elb.Options)) (*elb.DeleteLoadBalancerOutput, error) {
	f.ec2.mu.Lock()
	defer f.ec2.mu.Unlock()
	name := strings.Split(*in.LoadBalancerArn, "/")[2]
	if name == f.protected {
		return nil, &elbtypes.OperationNotPermittedException{Message: aws.String("Load balancer '" + *in.LoadBalancerArn + "' cannot be deleted because deletion protection is enabled")}
	}
	f.calls = append(f.calls, "DeleteLoadBalancer "+name)
	f.remove(*in.LoadBalancerArn)
	return &elb.DeleteLoadBalancerOutput{}, nil
}

func (f *fakeELB) DeleteTargetGroup(_ context.Context, in *elb.DeleteTargetGroupInput, _ ...func(*elb.Options)) (*elb.DeleteTargetGroupOutput, error) {
	f.ec2.mu.Lock()
	defer f.ec2.mu.Unlock()
	for i, g := range f.groups {
		if *g.TargetGroupArn != *in.TargetGroupArn {
			continue
		}
		if slices.ContainsFunc(f.balancers, func(b elbtypes.LoadBalancer) bool { return *b.LoadBalancerArn == g.LoadBalancerArns[0] }) {
			return nil, &elbtypes.ResourceInUseException{Message: aws.String("Target group is currently in use by a listener or a rule")}
		}
		f.calls = append(f.calls, "DeleteTargetGroup "+*g.TargetGroupName)
		f.groups = slices.Delete(f.groups, i, i+1)
		break
	}
	return &elb.DeleteTargetGroupOutput{}, nil
}

// plan is what a teardown of b finds.
func (f *fakeELB) plan(t *testing.T, b *blueprints.Blueprint) (*engine.Graph, *engine.Plan) {
	t.Helper()
	layout, err := LiveZones(t.Context(), f.ec2, b)
	if err != nil {
		t.Fatal(err)
	}
	g, err := engine.NewGraph(New(f.ec2, f.api(), cloud.Owner{Cluster: b.Metadata.Name}, b, layout).Resources()...)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := g.Plan(t.Context(), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return g, plan
}

var (
	inTree = map[string]string{"kubernetes.io/cluster/demo": "owned", "kubernetes.io/service-name": "ingress-nginx/controller"}
	byLBC  = map[string]string{lbcCluster: "demo"}
)

func TestTeardownDeletesLoadBalancers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(), blueprint(system)
		n := mustUp(t, f, b)
		lbs := newFakeELB(f)
		for i := range 45 { // others', in this VPC and elsewhere
			lbs.put(fmt.Sprintf("other-%d", i), n.VPCID(), "", map[string]string{"kubernetes.io/cluster/demo2": "owned", lbcCluster: "dem"})
		}
		lbs.put("elsewhere", "vpc-other", "", inTree)
		lbs.put("ingress", n.VPCID(), inOrder(n.public)[0].id, inTree)
		lbs.put("web", n.VPCID(), inOrder(n.private)[0].id, byLBC)
		g, plan := lbs.plan(t, b)
		if s := plan.Step("load-balancers/demo"); !s.Exists || s.Action != engine.ActionNone || s.Detail != "ingress, web, target groups: 2" {
			t.Errorf("step %+v", s)
		}
		if changes := plan.Changes(); len(changes) > 0 && slices.ContainsFunc(changes, func(c engine.Change) bool { return strings.HasPrefix(c.Resource, "load") }) {
			t.Errorf("changes %+v", changes)
		}
		result, receipt := g.Teardown(t.Context(), plan, engine.Options{})
		if err := result.Err(); err != nil {
			t.Fatal(err)
		}
		want := []string{"DeleteLoadBalancer ingress", "DeleteLoadBalancer web", "DeleteTargetGroup ingress", "DeleteTargetGroup web"}
		if !slices.Equal(lbs.calls, want) {
			t.Errorf("calls %v", lbs.calls)
		}
		if !slices.ContainsFunc(receipt.Deleted, func(l engine.ReceiptLine) bool { return l.Resource == "load-balancers/demo" }) {
			t.Errorf("receipt %+v", receipt)
		}
		if f.left() != 0 || f.count("DeleteSubnet") != 6 || f.count("DetachInternetGateway") != 1 {
			t.Errorf("%d left, %d DeleteSubnet, %d DetachInternetGateway: the interfaces were not waited for",
				f.left(), f.count("DeleteSubnet"), f.count("DetachInternetGateway"))
		}
	})
}

func TestLoadBalancersThatKubernetesRemoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(), blueprint(system)
		n := mustUp(t, f, b)
		lbs := newFakeELB(f)
		if _, plan := lbs.plan(t, b); plan.Step("load-balancers/demo").Exists {
			t.Error("there are load balancers")
		}
		lbs.put("ingress", n.VPCID(), n.PrivateSubnetIDs()[0], inTree)
		lbs.put("late", n.VPCID(), "", inTree)
		lbs.vanish = "late"
		g, plan := lbs.plan(t, b)
		if got := plan.Step("load-balancers/demo").Detail; got != "ingress, target groups: 2" {
			t.Errorf("found %s", got)
		}
		lbs.remove(*lbs.balancers[0].LoadBalancerArn)
		lbs.groups = nil
		result, _ := g.Teardown(t.Context(), plan, engine.Options{Events: func(e engine.Event) {
			if e.Resource == "load-balancers/demo" && e.Message != "" {
				t.Errorf("it says %q", e.Message)
			}
		}})
		if err := result.Err(); err != nil || len(lbs.calls) > 0 || f.left() != 0 {
			t.Errorf("error %v, calls %v, %d left", err, lbs.calls, f.left())
		}
	})
}

func TestUpLeavesLoadBalancersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(), blueprint(system)
		n := mustUp(t, f, b)
		lbs := newFakeELB(f)
		lbs.put("ingress", n.VPCID(), n.PrivateSubnetIDs()[0], inTree)
		g, plan := lbs.plan(t, b)
		if err := g.Up(t.Context(), plan, engine.Options{}).Err(); err != nil || len(lbs.calls) > 0 {
			t.Errorf("error %v, calls %v", err, lbs.calls)
		}
	})
}

func TestDeletionProtectionOfLoadBalancer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(), blueprint(system)
		n := mustUp(t, f, b)
		lbs := newFakeELB(f)
		lbs.put("ingress", n.VPCID(), n.PrivateSubnetIDs()[0], inTree)
		lbs.protected = "ingress"
		g, plan := lbs.plan(t, b)
		result, receipt := g.Teardown(t.Context(), plan, engine.Options{})
		var e *cloud.Error
		if err := result.Err(); !errors.As(err, &e) || e.Code != "OperationNotPermitted" || !strings.Contains(e.Hint, "deletion protection") {
			t.Errorf("error %v", err)
		}
		if f.count("DeleteSubnet") > 0 || len(receipt.Left) == 0 {
			t.Error("the subnets were tried all the same")
		}
	})
}

func TestLoadBalancersInExistingVPC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		b := blueprint(system)
		b.Network = blueprints.Network{VPCID: "vpc-old", SubnetIDs: []string{"subnet-1", "subnet-2"}}
		lbs := newFakeELB(f)
		lbs.put("theirs", "vpc-old", "subnet-1", map[string]string{"team": "web"})
		lbs.put("ingress", "vpc-old", "subnet-1", inTree)
		if _, plan := lbs.plan(t, b); plan.Exists() {
			t.Error("load balancers were looked for in a VPC that is gone")
		}
		f.vpcs["vpc-old"] = &types.Vpc{VpcId: aws.String("vpc-old"), CidrBlock: aws.String("10.0.0.0/16")}
		g, plan := lbs.plan(t, b)
		result, _ := g.Teardown(t.Context(), plan, engine.Options{})
		if err := result.Err(); err != nil {
			t.Error(err)
		}
		if !slices.Equal(lbs.calls, []string{"DeleteLoadBalancer ingress", "DeleteTargetGroup ingress"}) {
			t.Errorf("calls %v", lbs.calls)
		}
		if f.enis["eni-ingress"] != nil || f.enis["eni-theirs"] == nil {
			t.Errorf("interfaces %v", f.enis)
		}
	})
}
