package nodepools

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

func TestPoolLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		lt, g := pair(f, gpuPool())
		converge(t, lt, g)
		if got := strings.Join(f.calls, " "); got != "CreateLaunchTemplate CreateNodegroup" {
			t.Errorf("calls %s", got)
		}
		ng := f.groups["gpu"]
		if ng.AmiType != types.AMITypesAl2023X8664Nvidia || ng.Labels[acceleratorLabel] != "nvidia-tesla-a100" || ng.Labels[blueprints.PoolLabel] != "gpu" || ng.Tags[sizeTag+"ephemeral-storage"] != "7038G" ||
			*ng.ScalingConfig.DesiredSize != 1 || *ng.Taints[0].Value != "present" || ng.Tags[cloud.TagCluster] != "demo" ||
			strings.Join(ng.Subnets, " ") != "subnet-ra subnet-rb" || *ng.LaunchTemplate.Version != "1" {
			t.Errorf("node group %+v", ng)
		}
		if live := g.Live(); live.Status != "ACTIVE" || len(live.Instances) != 1 || live.Desired != 1 || live.Max != 4 {
			t.Errorf("live %+v", live)
		}
		if notes := observe(t, g).Notes; len(notes) != 1 || !strings.HasPrefix(notes[0], "1 node now; the autoscaler owns the number between 1 and 4") {
			t.Errorf("notes %v", notes)
		}
		for _, r := range []engine.Resource{g, lt, g, lt} {
			if err := r.Delete(t.Context(), quiet); err != nil {
				t.Error(err)
			}
		}
		if len(f.groups)+len(f.templates) > 0 {
			t.Error("something is left")
		}
	})
}

func TestClosedPoolWithoutGPUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		lt, g := pair(f, blueprints.NodePool{Name: "cpu", InstanceTypes: []string{"c6i.xlarge"}, Capacity: blueprints.Spot, RootVolume: blueprints.RootVolume{SizeGiB: 100}})
		converge(t, lt, g)
		ng := f.groups["cpu"]
		if *ng.ScalingConfig.MaxSize != 1 || ng.CapacityType != types.CapacityTypesSpot || ng.AmiType != types.AMITypesAl2023X8664Standard ||
			ng.Tags[sizeTag+"ephemeral-storage"] != "86Gi" || ng.Labels[acceleratorLabel] != "" {
			t.Errorf("node group %+v", ng)
		}
	})
}

func TestWithoutClusterNothingIsAsked(t *testing.T) {
	f := newFake()
	g := NewNodeGroup(nil, nil, owner, gpuPool(), ground{}, NewLaunchTemplate(f, owner, gpuPool()), ground{}, ground{}, nil)
	if obs := observe(t, g); obs.Exists || obs.Changes[0].Policy != engine.PolicyCreate {
		t.Errorf("%+v", obs)
	}
}

func TestTheAutoscalersNumberIsNoDifference(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		lt, g := pair(f, gpuPool())
		converge(t, lt, g)
		f.desired["gpu"], f.instances["gpu"] = 3, 3
		if obs := observe(t, g); len(obs.Changes) > 0 || !strings.HasPrefix(obs.Notes[0], "3 nodes now") {
			t.Errorf("%+v", obs)
		}
	})
}

func TestChanges(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*blueprints.NodePool)
		fields string
		policy engine.Policy
		call   string
	}{
		{"max", func(p *blueprints.NodePool) { p.Nodes.Max = 8 }, "nodes.max", engine.PolicyInPlace, "UpdateNodegroupConfig"},
		{"min above the number", func(p *blueprints.NodePool) { p.Nodes.Min = 2 }, "nodes.min nodes", engine.PolicyInPlace, "UpdateNodegroupConfig"},
		{"labels", func(p *blueprints.NodePool) { p.Labels = map[string]string{"a": "b"} }, "labels.a labels.accelerator", engine.PolicyInPlace, "UpdateNodegroupConfig"},
		{"taint value", func(p *blueprints.NodePool) {
			p.Taints = []blueprints.Taint{{Key: "nvidia.com/gpu", Value: "true", Effect: "NoSchedule"}}
		}, "taints", engine.PolicyInPlace, "UpdateNodegroupConfig"},
		{"taint effect", func(p *blueprints.NodePool) {
			p.Taints = []blueprints.Taint{{Key: "nvidia.com/gpu", Value: "present", Effect: "NoExecute"}}
		}, "taints taints", engine.PolicyInPlace, "UpdateNodegroupConfig"},
		{"max unavailable", func(p *blueprints.NodePool) { p.MaxUnavailable = 2 }, "maxUnavailable", engine.PolicyInPlace, "UpdateNodegroupConfig"},
		{"AMI release", func(p *blueprints.NodePool) { p.AMIRelease = "1.35.9-20261101" }, "amiRelease", engine.PolicyReplace, "UpdateNodegroupVersion"},
		{"root volume", func(p *blueprints.NodePool) { p.RootVolume.SizeGiB = 300 }, "launchTemplate", engine.PolicyReplace, "UpdateNodegroupVersion"},
		{"local storage", func(p *blueprints.NodePool) { p.LocalStorage = "none" }, "launchTemplate tags.ephemeral-storage", "", "UpdateNodegroupVersion"},
		{"types", func(p *blueprints.NodePool) { p.InstanceTypes = []string{"p4de.24xlarge"} }, "instanceTypes", engine.PolicyRefused, ""},
		{"capacity", func(p *blueprints.NodePool) { p.Capacity = blueprints.Spot }, "capacity", engine.PolicyRefused, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				lt, g := pair(f, gpuPool())
				converge(t, lt, g)
				changed := gpuPool()
				test.change(&changed)
				lt, g = pair(f, changed)
				observe(t, lt)
				var fields []string
				for _, c := range observe(t, g).Changes {
					fields = append(fields, c.Field)
					if test.policy != "" && c.Policy != test.policy || c.Policy == engine.PolicyRefused && c.Hint == "" {
						t.Errorf("%+v", c)
					}
				}
				if got := strings.Join(fields, " "); got != test.fields {
					t.Errorf("fields %q, want %q", got, test.fields)
				}
				if test.call != "" {
					converge(t, lt, g)
					if f.count(test.call) != 1 {
						t.Errorf("calls %v", f.calls)
					}
				}
			})
		})
	}
}

// EKS calls a scale-up done before its nodes have joined; up ends when they have.
func TestScaleUpWaitsForNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		lt, g := pair(f, gpuPool())
		converge(t, lt, g)
		larger := gpuPool()
		larger.Nodes.Min = 2
		lt, g = pair(f, larger)
		asked := 0
		g.ReadyNodes = func(_ context.Context, pool string) (int, error) {
			asked++
			return min(asked, 2), nil // the second node joins between two looks
		}
		converge(t, lt, g)
		if asked < 2 {
			t.Errorf("Kubernetes was asked %d times, and one node was ready by then", asked)
		}
	})
}

func TestZones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		lt, g := pair(f, gpuPool())
		converge(t, lt, g)
		// AWS offers the type in a third zone now: no difference.
		g.zones = []string{"ra", "rb", "rc"}
		if obs := observe(t, g); len(obs.Changes) > 0 {
			t.Errorf("%+v", obs.Changes)
		}
		g.pool.Zones, g.zones = []string{"ra"}, []string{"ra"}
		if obs := observe(t, g); len(obs.Changes) != 1 || obs.Changes[0].Field != "zones" || obs.Changes[0].Policy != engine.PolicyRefused {
			t.Errorf("%+v", obs.Changes)
		}
	})
}

func TestClusterUpgradeReplacesNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		lt, g := pair(f, gpuPool())
		converge(t, lt, g)
		g.cluster = ground{ready: true, version: "1.36"}
		if obs := observe(t, g); len(obs.Changes) != 1 || obs.Changes[0].Policy != engine.PolicyReplace || obs.Changes[0].Wanted != "1.36" {
			t.Errorf("%+v", obs.Changes)
		}
		converge(t, g)
	})
}

func TestTagsReplaceNoNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		lt, g := pair(f, gpuPool())
		converge(t, lt, g)
		lt.owner.Extra = map[string]string{"team": "ml", "cost": "7"}
		g.owner.Extra = lt.owner.Extra
		for _, r := range []engine.Resource{lt, g} {
			if obs := observe(t, r); len(obs.Changes) != 1 || obs.Changes[0].Policy != engine.PolicyInPlace {
				t.Errorf("%s: %+v", r.ID(), obs.Changes)
			}
		}
		converge(t, lt, g)
		if f.count("UpdateNodegroupVersion") != 0 || f.count("CreateLaunchTemplateVersion") != 1 {
			t.Errorf("calls %v", f.calls)
		}
	})
}

func TestTemplateVersionIsNotMadeTwice(t *testing.T) {
	f := newFake()
	lt, _ := pair(f, gpuPool())
	converge(t, lt)
	lt.pool.RootVolume.SizeGiB = 300
	f.errs["ModifyLaunchTemplate"] = []error{errors.New("the process died here")}
	observe(t, lt)
	if err := lt.Apply(t.Context(), quiet); err == nil {
		t.Fatal("no error")
	}
	converge(t, lt)
	if f.count("CreateLaunchTemplateVersion") != 1 || lt.Version() != "2" {
		t.Errorf("calls %v, version %s", f.calls, lt.Version())
	}
}

func TestUserData(t *testing.T) {
	text, err := base64.StdEncoding.DecodeString(userData("raid0"))
	if err != nil {
		t.Fatal(err)
	}
	message, err := mail.ReadMessage(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	part, err := multipart.NewReader(message.Body, params["boundary"]).NextPart()
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(part)
	if err != nil || part.Header.Get("Content-Type") != "application/node.eks.aws" || !strings.Contains(string(body), "strategy: RAID0") {
		t.Errorf("%s, %v", body, err)
	}
	if userData("none") != "" {
		t.Error("user data for nothing")
	}
}

const (
	dryA   = "Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not have sufficient p4d.24xlarge capacity in the Availability Zone you requested (ra). Launching EC2 instance failed."
	noSpot = "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity due to your request configuration. Launching EC2 instance failed."
	noVCPU = "Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more vCPU capacity than your current vCPU limit of 0 allows. Launching EC2 instance failed."
)

func TestFailsEarly(t *testing.T) {
	for _, test := range []struct {
		name  string
		setup func(*fakeCloud)
		code  string
		hint  string
		limit time.Duration
	}{
		{"dry everywhere", func(f *fakeCloud) { f.fails("ra", dryA); f.fails("rb", dryA) }, "InsufficientInstanceCapacity", "more instance types or other zones", 5 * time.Second},
		{"dry in one zone", func(f *fakeCloud) { f.fails("ra", dryA) }, "InsufficientInstanceCapacity", "more instance types or other zones", 2 * time.Minute},
		{"dry, and no zone is named", func(f *fakeCloud) {
			for range 3 {
				f.fails("", noSpot)
			}
		}, "UnfulfillableCapacity", "more instance types", 5 * time.Second},
		{"quota", func(f *fakeCloud) { f.fails("ra", noVCPU) }, "VcpuLimitExceeded", "Service Quotas", 5 * time.Second},
		{"health only", func(f *fakeCloud) {
			f.issues = []types.Issue{
				{Code: types.NodegroupIssueCodeNodeCreationFailure, Message: aws.String("Instances failed to join the kubernetes cluster"), ResourceIds: []string{"DUMMY_1"}},
				{Code: types.NodegroupIssueCodeAsgInstanceLaunchFailures, Message: aws.String(dryA)},
			}
		}, "InsufficientInstanceCapacity", "more instance types", 2 * time.Minute},
		{"no node of an instance", func(f *fakeCloud) {
			f.issues = []types.Issue{{Code: types.NodegroupIssueCodeNodeCreationFailure, Message: aws.String("Instances failed to join the kubernetes cluster"), ResourceIds: []string{"i-0abc"}}}
		}, "NodeCreationFailure", "get-console-output --latest --instance-id i-0abc", 5 * time.Second},
		{"rights", func(f *fakeCloud) {
			f.issues = []types.Issue{{Code: types.NodegroupIssueCodeAccessDenied, Message: aws.String("no")}}
		}, "AccessDenied", "role", 5 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.takes = time.Hour
				test.setup(f)
				lt, g := pair(f, gpuPool())
				converge(t, lt)
				observe(t, g)
				start := time.Now()
				err := g.Apply(t.Context(), quiet)
				var e *cloud.Error
				if !errors.As(err, &e) || e.Code != test.code || !strings.Contains(e.Hint, test.hint) || e.Resource != "nodepool/gpu" {
					t.Fatalf("error %v", err)
				}
				if waited := time.Since(start); waited > test.limit {
					t.Errorf("after %v", waited)
				}
			})
		})
	}
}

func TestCapacityHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.takes = time.Minute
		f.fails("ra", dryA)
		time.AfterFunc(40*time.Second, func() { f.failures = nil })
		lt, g := pair(f, gpuPool())
		converge(t, lt, g)
	})
}

// TestResumeAfterCapacity runs again after a lack of capacity. Launches that
// failed before say nothing of now; that there is still none shows in time.
func TestResumeAfterCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.takes = time.Minute
		f.fails("ra", dryA)
		f.fails("rb", dryA)
		f.issues = []types.Issue{{Code: types.NodegroupIssueCodeAsgInstanceLaunchFailures, Message: aws.String(dryA)}}
		lt, g := pair(f, gpuPool())
		converge(t, lt)
		observe(t, g)
		if err := g.Apply(t.Context(), quiet); !cloud.IsCapacity(err) {
			t.Fatalf("error %v", err)
		}
		observe(t, g)
		start := time.Now()
		if err := g.Apply(t.Context(), quiet); err == nil || time.Since(start) < 30*time.Second || time.Since(start) > 2*time.Minute {
			t.Errorf("still dry: %v after %v", err, time.Since(start))
		}
		time.AfterFunc(40*time.Second, func() { f.failures, f.issues = nil, nil })
		converge(t, g)
	})
}

// TestResume applies to what a run that died, or a creation that failed, left behind.
func TestResume(t *testing.T) {
	for _, test := range []struct {
		status  types.NodegroupStatus
		creates int
	}{
		{types.NodegroupStatusCreating, 1},
		{types.NodegroupStatusCreateFailed, 2},
		{types.NodegroupStatusDeleting, 2},
		{types.NodegroupStatusDeleteFailed, 2},
	} {
		t.Run(string(test.status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				lt, g := pair(f, gpuPool())
				converge(t, lt)
				observe(t, g)
				if err := g.create(t.Context(), quiet); err != nil {
					t.Fatal(err)
				}
				f.groups["gpu"].Status = test.status
				lt, g = pair(f, gpuPool())
				observe(t, lt)
				if obs := observe(t, g); !obs.Exists || len(obs.Changes) != 1 || obs.Changes[0].Field != "status" {
					t.Errorf("%+v", obs)
				}
				converge(t, g)
				if f.count("CreateNodegroup") != test.creates {
					t.Errorf("calls %v", f.calls)
				}
			})
		})
	}
}

func TestDegraded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		lt, g := pair(f, gpuPool())
		converge(t, lt, g)
		f.groups["gpu"].Status = types.NodegroupStatusDegraded
		f.issues = []types.Issue{{Code: types.NodegroupIssueCodeAsgInstanceLaunchFailures, Message: aws.String(dryA)}}
		if obs := observe(t, g); len(obs.Changes) > 0 || len(obs.Notes) != 2 {
			t.Errorf("with its minimum: %+v", obs)
		}
		f.instances["gpu"] = 0
		if obs := observe(t, g); len(obs.Changes) != 1 || obs.Changes[0].Policy != engine.PolicyVerify {
			t.Errorf("below its minimum: %+v", obs)
		}
		if err := g.Apply(t.Context(), quiet); !strings.Contains(err.Error(), "InsufficientInstanceCapacity") {
			t.Errorf("error %v", err)
		}
	})
}

func TestCreateWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.errs["CreateNodegroup"] = []error{
			&types.InvalidParameterException{Message: aws.String("Following required service principals [ec2.amazonaws.com] were not found in the trust relationships of nodeRole arn")},
			&types.ResourceInUseException{Message: aws.String("Cannot VersionUpdate because cluster currently has an update in progress")},
		}
		lt, g := pair(f, gpuPool())
		converge(t, lt, g)
		if f.count("CreateNodegroup") != 3 {
			t.Errorf("calls %v", f.calls)
		}
	})
}

func TestDeleteIsTriedTwice(t *testing.T) {
	for _, test := range []struct {
		stuck int
		err   string
	}{{1, ""}, {2, "Ec2SecurityGroupDeletionFailure"}} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			lt, g := pair(f, gpuPool())
			converge(t, lt, g)
			f.stuck = test.stuck
			f.issues = []types.Issue{{Code: types.NodegroupIssueCodeEc2SecurityGroupDeletionFailure, Message: aws.String("sg-1"), ResourceIds: []string{"sg-1"}}}
			err := g.Delete(t.Context(), quiet)
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestDiscoverAndRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		lt, g := pair(f, gpuPool())
		converge(t, lt, g)
		orphan, _ := pair(f, blueprints.NodePool{Name: "orphan"}) // its node group is gone
		converge(t, orphan)
		f.groups["foreign"] = &types.Nodegroup{NodegroupName: aws.String("foreign")}
		pools, err := Discover(t.Context(), f, f, ground{ready: true})
		if err != nil || strings.Join(pools, " ") != "gpu orphan" {
			t.Fatalf("pools %v, %v", pools, err)
		}
		for _, name := range pools {
			r := NewRemoved(name, f, f, f, ground{ready: true})
			if obs := observe(t, r); !obs.Exists || !r.Unwanted() {
				t.Errorf("%s: %+v", name, obs)
			}
			if err := r.Delete(t.Context(), quiet); err != nil {
				t.Error(err)
			}
			if obs := observe(t, r); obs.Exists {
				t.Errorf("%s is still there", name)
			}
		}
		if len(f.groups) != 1 || len(f.templates) != 0 {
			t.Errorf("left %v, %v", f.groups, f.templates)
		}
	})
}
