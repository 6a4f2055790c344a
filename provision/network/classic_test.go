package network

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	classic "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	classictypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	"aicluster/blueprints"
	"aicluster/provision/engine"
)

// fakeClassic is a region's classic load balancers.
type fakeClassic struct {
	*fakeELB
	balancers []classictypes.LoadBalancerDescription
	tags      map[string]map[string]string
}

// putClassic adds what EKS makes for a service without annotations: a load
// balancer, its security group, its interface in a subnet, and a rule in the
// cluster's group that lets its traffic in.
func (f *fakeELB) putClassic(name, vpcID, subnet string, tags map[string]string) {
	group := f.ec2.putGroup("k8s-elb-"+name, vpcID, tags)
	f.classic.balancers = append(f.classic.balancers, classictypes.LoadBalancerDescription{LoadBalancerName: &name, VPCId: &vpcID, SecurityGroups: []string{group}})
	f.classic.tags[name] = tags
	f.ec2.enis["eni-"+name] = &types.NetworkInterface{
		NetworkInterfaceId: aws.String("eni-" + name), SubnetId: &subnet, Status: types.NetworkInterfaceStatusInUse, Groups: []types.GroupIdentifier{{GroupId: &group}},
		Description: aws.String("ELB " + name), RequesterManaged: aws.Bool(true), RequesterId: aws.String("amazon-elb"),
	}
}

// putGroup adds a security group and returns its id.
func (f *fakeEC2) putGroup(name, vpcID string, tags map[string]string) string {
	id := "sg-" + name
	f.groups[id] = &types.SecurityGroup{GroupId: &id, GroupName: &name, VpcId: &vpcID}
	for k, v := range tags {
		f.groups[id].Tags = append(f.groups[id].Tags, types.Tag{Key: &k, Value: &v})
	}
	return id
}

// allow lets traffic from other groups into a group, as one rule.
func (f *fakeEC2) allow(group string, from ...string) {
	rule := types.IpPermission{IpProtocol: aws.String("-1")}
	for _, id := range from {
		rule.UserIdGroupPairs = append(rule.UserIdGroupPairs, types.UserIdGroupPair{GroupId: &id})
	}
	f.groups[group].IpPermissions = append(f.groups[group].IpPermissions, rule)
}

// DescribeLoadBalancers has pages of two.
func (f *fakeClassic) DescribeLoadBalancers(_ context.Context, in *classic.DescribeLoadBalancersInput, _ ...func(*classic.Options)) (*classic.DescribeLoadBalancersOutput, error) {
	f.ec2.mu.Lock()
	defer f.ec2.mu.Unlock()
	start := len(aws.ToString(in.Marker))
	rest := f.balancers[min(start, len(f.balancers)):]
	out := &classic.DescribeLoadBalancersOutput{LoadBalancerDescriptions: slices.Clone(rest[:min(2, len(rest))])}
	if len(rest) > 2 {
		out.NextMarker = aws.String(strings.Repeat("x", start+2))
	}
	return out, nil
}

func (f *fakeClassic) DescribeTags(_ context.Context, in *classic.DescribeTagsInput, _ ...func(*classic.Options)) (*classic.DescribeTagsOutput, error) {
	f.ec2.mu.Lock()
	defer f.ec2.mu.Unlock()
	if n := len(in.LoadBalancerNames); n == 0 || n > 20 {
		return nil, apiError("ValidationError", fmt.Sprintf("%d names", n))
	}
	out := &classic.DescribeTagsOutput{}
	for _, name := range in.LoadBalancerNames {
		d := classictypes.TagDescription{LoadBalancerName: &name}
		for k, v := range f.tags[name] {
			d.Tags = append(d.Tags, classictypes.Tag{Key: &k, Value: &v})
		}
		out.TagDescriptions = append(out.TagDescriptions, d)
	}
	return out, nil
}

func (f *fakeClassic) DeleteLoadBalancer(_ context.Context, in *classic.DeleteLoadBalancerInput, _ ...func(*classic.Options)) (*classic.DeleteLoadBalancerOutput, error) {
	f.ec2.mu.Lock()
	defer f.ec2.mu.Unlock()
	f.calls = append(f.calls, "DeleteLoadBalancer classic "+*in.LoadBalancerName)
	f.balancers = slices.DeleteFunc(f.balancers, func(b classictypes.LoadBalancerDescription) bool { return *b.LoadBalancerName == *in.LoadBalancerName })
	time.AfterFunc(f.plugTime, func() {
		f.ec2.mu.Lock()
		defer f.ec2.mu.Unlock()
		delete(f.ec2.enis, "eni-"+*in.LoadBalancerName)
	})
	return &classic.DeleteLoadBalancerOutput{}, nil
}

func TestTeardownDeletesClassicLoadBalancers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(), blueprint(system)
		n := mustUp(t, f, b)
		lbs := newFakeELB(f)
		for i := range 45 {
			lbs.classic.balancers = append(lbs.classic.balancers, classictypes.LoadBalancerDescription{LoadBalancerName: aws.String(fmt.Sprintf("other-%d", i)), VPCId: aws.String(n.VPCID())})
		}
		lbs.putClassic("elsewhere", "vpc-other", "subnet-other", inTree)
		lbs.putClassic("a0123", n.VPCID(), n.PrivateSubnetIDs()[0], inTree)
		g, plan := lbs.plan(t, b)
		if s := plan.Step("load-balancers/demo"); !s.Exists || s.Detail != "a0123, security groups: 1" {
			t.Errorf("step %+v", s)
		}
		result, _ := g.Teardown(t.Context(), plan, engine.Options{})
		if err := result.Err(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(lbs.calls, []string{"DeleteLoadBalancer classic a0123"}) {
			t.Errorf("calls %v", lbs.calls)
		}
		if f.groups["sg-k8s-elb-a0123"] != nil || f.groups["sg-k8s-elb-elsewhere"] == nil || f.count("DeleteSubnet") != 6 {
			t.Errorf("groups %v, %d DeleteSubnet: the interfaces were not waited for", f.groups, f.count("DeleteSubnet"))
		}
	})
}

// TestTeardownDeletesSecurityGroupsOfLoadBalancers: rules that name them go first,
// but only those of the cluster's groups.
func TestTeardownDeletesSecurityGroupsOfLoadBalancers(t *testing.T) {
	for name, test := range map[string]struct {
		tags    map[string]string // of the group whose rule names the load balancers'
		revoked int
		fails   bool
	}{
		"a group of the cluster": {map[string]string{eksCluster: "demo"}, 2, false},
		"somebody else's group":  {nil, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.vpcs["vpc-old"] = &types.Vpc{VpcId: aws.String("vpc-old"), CidrBlock: aws.String("10.0.0.0/16")}
				b := blueprint(system)
				b.Network = blueprints.Network{VPCID: "vpc-old", SubnetIDs: []string{"subnet-1", "subnet-2"}}
				lbs := newFakeELB(f)
				lbs.put("k8s-web", "vpc-old", "subnet-1", byLBC)
				ours := []string{f.putGroup("k8s-traffic-demo-0a", "vpc-old", byLBC), f.putGroup("k8s-web-web-0b", "vpc-old", byLBC)}
				theirs := f.putGroup("k8s-traffic-demo2-0c", "vpc-old", map[string]string{lbcCluster: "demo2"})
				nodes := f.putGroup("nodes", "vpc-old", test.tags)
				f.allow(nodes, nodes, ours[0], ours[1], theirs)
				g, plan := lbs.plan(t, b)
				if got := plan.Step("load-balancers/demo").Detail; got != "k8s-web, target groups: 1, security groups: 2" {
					t.Errorf("found %s", got)
				}
				// What EKS left goes later, and would take its rules along.
				f.enis["eni-node"] = &types.NetworkInterface{NetworkInterfaceId: aws.String("eni-node"), SubnetId: aws.String("subnet-9"), Groups: []types.GroupIdentifier{{GroupId: &nodes}}}
				result, _ := g.Teardown(t.Context(), plan, engine.Options{})
				if failed := result.Err() != nil; test.fails && (!failed || !strings.Contains(result.Err().Error(), "sg-nodes (security group nodes)")) {
					t.Errorf("error %v", result.Err())
				}
				if n := f.count("RevokeSecurityGroupIngress"); n != test.revoked {
					t.Errorf("%d rules revoked, want %d", n, test.revoked)
				}
				if gone := f.groups[ours[0]] == nil && f.groups[ours[1]] == nil; gone == test.fails {
					t.Errorf("groups %v", f.groups)
				}
				if f.groups[theirs] == nil || len(rulesAbout(theirs, f.groups[nodes].IpPermissions)) != 1 || len(rulesAbout(nodes, f.groups[nodes].IpPermissions)) != 1 {
					t.Error("what is not the cluster's was touched")
				}
			})
		})
	}
}
