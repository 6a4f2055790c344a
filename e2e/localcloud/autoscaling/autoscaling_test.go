package autoscaling

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	as "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/wire"
)

const region = "ap-northeast-2"

// fleet is a Compute with two zones whose instances run at once.
type fleet struct {
	mu        sync.Mutex
	instances map[string]*ec2.Instance
	dry       map[string]error // by zone or by type
	launches  []ec2.LaunchSpec
}

func (f *fleet) Subnets(_ string, ids []string) ([]ec2.Subnet, error) {
	var list []ec2.Subnet
	for _, id := range ids {
		zone, ok := strings.CutPrefix(id, "subnet-")
		if !ok {
			return nil, errors.New("no such subnet")
		}
		list = append(list, ec2.Subnet{ID: id, Zone: region + zone, Available: 100})
	}
	return list, nil
}

func (f *fleet) LaunchTemplate(_, idOrName, _ string) (ec2.Template, error) {
	switch idOrName {
	case "lt-0123456789abcdef0", "plain":
		return ec2.Template{ID: "lt-0123456789abcdef0", Name: "plain", Data: ec2types.ResponseLaunchTemplateData{ImageId: aws.String("ami-0123456789abcdef0")}}, nil
	case "imageless":
		return ec2.Template{}, nil
	}
	return ec2.Template{}, &wire.Error{Code: "InvalidLaunchTemplateName.NotFoundException", Message: "The specified launch template does not exist."}
}

func (f *fleet) Launch(_ string, in ec2.LaunchSpec) (ec2.Instance, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	zone := region + strings.TrimPrefix(in.SubnetID, "subnet-")
	if err := errors.Join(f.dry[zone], f.dry[in.Type]); err != nil {
		return ec2.Instance{}, err
	}
	f.launches = append(f.launches, in)
	i := &ec2.Instance{ID: fmt.Sprintf("i-%017d", len(f.launches)), Type: in.Type, SubnetID: in.SubnetID, Zone: zone, State: "running", Market: in.Market, Tags: in.Tags}
	f.instances[i.ID] = i
	return *i, nil
}

func (f *fleet) Terminate(_, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.instances[id].State = "terminated"
}

func (f *fleet) Instance(_, id string) (ec2.Instance, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, ok := f.instances[id]
	if !ok {
		return ec2.Instance{}, false
	}
	return *i, true
}

func (f *fleet) runOut(where string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		delete(f.dry, where)
		return
	}
	f.dry[where] = err
}

func start(t *testing.T) (*as.Client, *Service, *fleet) {
	t.Helper()
	c := clock.New(6000)
	f := &fleet{instances: map[string]*ec2.Instance{}, dry: map[string]error{}}
	s := newService(c, f, iam.New(c))
	key := wire.Key{ID: "AKIAEXAMPLE", Secret: "secret", Caller: wire.Caller{ARN: "arn:aws:iam::111122223333:user/tester"}}
	w, err := wire.NewServer(wire.Options{Keys: []wire.Key{key}})
	if err != nil {
		t.Fatal(err)
	}
	s.Register(w)
	h := httptest.NewServer(w)
	t.Cleanup(func() {
		h.Close()
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return as.NewFromConfig(aws.Config{
		Region: region, BaseEndpoint: aws.String(h.URL),
		Credentials: credentials.NewStaticCredentialsProvider(key.ID, key.Secret, ""),
	}), s, f
}

func mixed(percent int32, kinds ...string) *types.MixedInstancesPolicy {
	p := &types.MixedInstancesPolicy{
		InstancesDistribution: &types.InstancesDistribution{OnDemandPercentageAboveBaseCapacity: aws.Int32(percent)},
		LaunchTemplate: &types.LaunchTemplate{LaunchTemplateSpecification: &types.LaunchTemplateSpecification{
			LaunchTemplateId: aws.String("lt-0123456789abcdef0"), Version: aws.String("1"),
		}},
	}
	for _, k := range kinds {
		p.LaunchTemplate.Overrides = append(p.LaunchTemplate.Overrides, types.LaunchTemplateOverrides{InstanceType: aws.String(k)})
	}
	return p
}

func newGroup(name string, lo, hi, desired int32, policy *types.MixedInstancesPolicy) *as.CreateAutoScalingGroupInput {
	return &as.CreateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String(name), MinSize: aws.Int32(lo), MaxSize: aws.Int32(hi), DesiredCapacity: aws.Int32(desired),
		VPCZoneIdentifier: aws.String("subnet-a,subnet-b"), MixedInstancesPolicy: policy,
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("ml"), PropagateAtLaunch: aws.Bool(true)}, {Key: aws.String("kept"), Value: aws.String(""), PropagateAtLaunch: aws.Bool(false)}},
	}
}

func describe(t *testing.T, client *as.Client, name string) types.AutoScalingGroup {
	t.Helper()
	out, err := client.DescribeAutoScalingGroups(t.Context(), &as.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.AutoScalingGroups) == 0 {
		return types.AutoScalingGroup{}
	}
	return out.AutoScalingGroups[0]
}

func inService(g types.AutoScalingGroup) (n int) {
	for _, i := range g.Instances {
		if i.LifecycleState == types.LifecycleStateInService {
			n++
		}
	}
	return n
}

// eventually waits for a scaler.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestGroupFollowsDesiredCapacity(t *testing.T) {
	client, s, f := start(t)
	if _, err := client.CreateAutoScalingGroup(t.Context(), newGroup("g", 0, 4, 4, mixed(100, "p4d.24xlarge"))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "4 in service", func() bool { return inService(describe(t, client, "g")) == 4 })
	g := describe(t, client, "g")
	perZone := map[string]int{}
	for _, i := range g.Instances {
		perZone[*i.AvailabilityZone]++
	}
	if perZone[region+"a"] != 2 || perZone[region+"b"] != 2 {
		t.Errorf("zones: %v, want 2 and 2", perZone)
	}
	for _, l := range f.launches {
		if l.Tags["team"] != "ml" || l.Tags["aws:autoscaling:groupName"] != "g" || l.Tags["kept"] != "" || l.Market != "on-demand" {
			t.Errorf("launch %+v", l)
		}
	}
	if _, err := client.SetDesiredCapacity(t.Context(), &as.SetDesiredCapacityInput{AutoScalingGroupName: aws.String("g"), DesiredCapacity: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "1 left", func() bool { return len(describe(t, client, "g").Instances) == 1 })

	var drained []string
	s.OnTerminating(func(_ context.Context, r, name, id string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		drained = append(drained, r+"/"+name+"/"+id)
	})
	last := *describe(t, client, "g").Instances[0].InstanceId
	out, err := client.TerminateInstanceInAutoScalingGroup(t.Context(), &as.TerminateInstanceInAutoScalingGroupInput{InstanceId: &last, ShouldDecrementDesiredCapacity: aws.Bool(true)})
	if err != nil || out.Activity == nil || out.Activity.StartTime == nil {
		t.Fatalf("activity %v, error %v", out, err)
	}
	eventually(t, "none left", func() bool { return len(describe(t, client, "g").Instances) == 0 })
	if d := *describe(t, client, "g").DesiredCapacity; d != 0 {
		t.Errorf("desired %d, want 0", d)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(drained) != 1 || drained[0] != region+"/g/"+last {
		t.Errorf("drained %v", drained)
	}
}

func TestCapacityFailureMovesToAnotherZone(t *testing.T) {
	client, _, f := start(t)
	words := "We currently do not have sufficient p4d.24xlarge capacity in the Availability Zone you requested (ap-northeast-2a)."
	f.runOut(region+"a", &wire.Error{Code: "InsufficientInstanceCapacity", Message: words, Status: 500})
	f.runOut(region+"b", &wire.Error{Code: "InsufficientInstanceCapacity", Message: "b is dry", Status: 500})
	if _, err := client.CreateAutoScalingGroup(t.Context(), newGroup("g", 0, 4, 1, mixed(100, "p4d.24xlarge"))); err != nil {
		t.Fatal(err)
	}
	activities := func() []types.Activity {
		out, err := client.DescribeScalingActivities(t.Context(), &as.DescribeScalingActivitiesInput{AutoScalingGroupName: aws.String("g"), MaxRecords: aws.Int32(100)})
		if err != nil {
			t.Fatal(err)
		}
		return out.Activities
	}
	eventually(t, "two failures", func() bool { return len(activities()) >= 2 })
	list := activities()
	first := list[len(list)-1]
	want := "Could not launch On-Demand Instances. InsufficientInstanceCapacity - " + words + " Launching EC2 instance failed."
	if first.StatusCode != types.ScalingActivityStatusCodeFailed || *first.StatusMessage != want {
		t.Errorf("got %s %q\nwant %q", first.StatusCode, *first.StatusMessage, want)
	}
	for i, want := range []string{`{"Subnet ID":"subnet-a","Availability Zone":"` + region + `a"}`, `{"Subnet ID":"subnet-b","Availability Zone":"` + region + `b"}`} {
		if got := *list[len(list)-1-i].Details; got != want {
			t.Errorf("details of failure %d: got %s, want %s", i, got, want)
		}
	}
	f.runOut(region+"b", nil)
	eventually(t, "an instance in the other zone", func() bool { return inService(describe(t, client, "g")) == 1 })
	if z := *describe(t, client, "g").Instances[0].AvailabilityZone; z != region+"b" {
		t.Errorf("zone %s", z)
	}
}

func TestSpotTriesTypesInOrder(t *testing.T) {
	client, _, f := start(t)
	f.runOut("p4d.24xlarge", &wire.Error{Code: "InsufficientInstanceCapacity", Message: "none"})
	if _, err := client.CreateAutoScalingGroup(t.Context(), newGroup("g", 0, 4, 1, mixed(0, "p4d.24xlarge", "p4de.24xlarge"))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "in service", func() bool { return inService(describe(t, client, "g")) == 1 })
	f.mu.Lock()
	defer f.mu.Unlock()
	if l := f.launches[0]; l.Market != "spot" || l.Type != "p4de.24xlarge" {
		t.Errorf("launched %+v", l)
	}
}

func TestLostInstanceIsReplaced(t *testing.T) {
	client, s, f := start(t)
	if _, err := client.CreateAutoScalingGroup(t.Context(), newGroup("g", 1, 1, 1, mixed(100, "c6i.xlarge"))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "in service", func() bool { return inService(describe(t, client, "g")) == 1 })
	first := *describe(t, client, "g").Instances[0].InstanceId
	f.Terminate(region, first)
	s.instanceTerminated(region, first)
	eventually(t, "replaced", func() bool {
		g := describe(t, client, "g")
		return inService(g) == 1 && *g.Instances[0].InstanceId != first
	})
}

func TestFiltersAndDeletion(t *testing.T) {
	client, s, _ := start(t)
	ctx := t.Context()
	if _, err := client.CreateAutoScalingGroup(ctx, newGroup("g", 0, 2, 1, mixed(100, "c6i.xlarge"))); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		value string
		want  int
	}{{"tag-key", "team", 1}, {"tag-key", "other", 0}, {"tag:team", "ml", 1}, {"tag:team", "x", 0}, {"tag-value", "ml", 1}} {
		out, err := client.DescribeAutoScalingGroups(ctx, &as.DescribeAutoScalingGroupsInput{Filters: []types.Filter{{Name: aws.String(test.name), Values: []string{test.value}}}})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.AutoScalingGroups) != test.want {
			t.Errorf("%s=%s: %d groups, want %d", test.name, test.value, len(out.AutoScalingGroups), test.want)
		}
	}
	if inv := s.Inventory(); len(inv) != 1 {
		t.Errorf("inventory %v", inv)
	}
	if _, err := client.DeleteAutoScalingGroup(ctx, &as.DeleteAutoScalingGroupInput{AutoScalingGroupName: aws.String("g"), ForceDelete: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "gone", func() bool { return len(s.Inventory()) == 0 })
}
