package controlplane

import (
	"bytes"
	"errors"
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

func TestClusterLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		c := newCluster(f, unprotected())
		if obs := observe(t, c); obs.Exists || c.Exists() || c.Endpoint() != "" {
			t.Error("exists before it is made")
		}
		if _, err := c.RESTConfig(); err == nil {
			t.Error("a REST config without a cluster")
		}
		converge(t, c)
		if n := len(f.calls); n != 1 || f.cluster.Tags[cloud.TagCluster] != "demo" || f.cluster.Tags["team"] != "ml" {
			t.Errorf("calls %v, tags %v", f.calls, f.cluster.Tags)
		}
		config, err := c.RESTConfig()
		if err != nil || config.Host != "https://demo.eks" || !bytes.Equal(config.CAData, clusterCA()) {
			t.Errorf("REST config %+v, %v", config, err)
		}
		if err := c.Delete(t.Context(), quiet); err != nil || f.cluster != nil {
			t.Errorf("Delete: %v", err)
		}
		if got := strings.Join(f.calls, " "); got != "CreateCluster DeleteCluster" {
			t.Errorf("calls %s", got)
		}
		if err := c.Delete(t.Context(), quiet); err != nil {
			t.Errorf("Delete of what is gone: %v", err)
		}
	})
}

func TestCreateWaitsForIAM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		late := &types.InvalidParameterException{Message: aws.String("Role could not be assumed because the trusted entity is not correct")}
		f.errs["CreateCluster"] = []error{late, late}
		converge(t, newCluster(f, blueprint()))
		if f.count("CreateCluster") != 3 || f.tokens[0] != f.tokens[2] {
			t.Errorf("tokens %v", f.tokens)
		}
	})
}

func TestCreateErrors(t *testing.T) {
	for _, test := range []struct {
		name    string
		version string
		err     error
		hint    string
	}{
		{"version", "1.30", nil, "EKS offers 1.36, 1.35, 1.34"},
		{"zone", "1.35", &types.UnsupportedAvailabilityZoneException{Message: aws.String("no"), ValidZones: []string{"ra", "rb"}}, "set network.zones to some of ra, rb"},
		{"rights", "1.35", &types.AccessDeniedException{Message: aws.String("no")}, "permission"},
		{"quota", "1.35", &types.ResourceLimitExceededException{Message: aws.String("no")}, "higher limit"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, b := newFake(), blueprint()
				b.Cluster.Version = test.version
				if test.err != nil {
					f.errs["CreateCluster"] = []error{test.err}
				}
				c := newCluster(f, b)
				observe(t, c)
				var e *cloud.Error
				if err := c.Apply(t.Context(), quiet); !errors.As(err, &e) || !strings.Contains(e.Hint, test.hint) {
					t.Errorf("error %v, hint %q", err, e.Hint)
				}
			})
		})
	}
}

// TestResume applies to what a run that died left behind.
func TestResume(t *testing.T) {
	for _, status := range []types.ClusterStatus{types.ClusterStatusCreating, types.ClusterStatusFailed, types.ClusterStatusDeleting} {
		t.Run(string(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				first := newCluster(f, blueprint())
				observe(t, first)
				if err := first.create(t.Context(), quiet); err != nil {
					t.Fatal(err)
				}
				f.cluster.Status = status
				c := newCluster(f, blueprint())
				if obs := observe(t, c); !obs.Exists || len(obs.Changes) != 1 || obs.Changes[0].Field != "status" || c.Ready() {
					t.Errorf("%+v", obs)
				}
				converge(t, c)
				creates := 2
				if status == types.ClusterStatusCreating {
					creates = 1
				}
				if f.count("CreateCluster") != creates {
					t.Errorf("calls %v", f.calls)
				}
			})
		})
	}
}

func TestFailureIsSeenEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.issue = &types.ClusterIssue{Code: types.ClusterIssueCodeInsufficientFreeAddresses, Message: aws.String("The subnets are full")}
		c := newCluster(f, blueprint())
		observe(t, c)
		start := time.Now()
		var e *cloud.Error
		if err := c.Apply(t.Context(), quiet); !errors.As(err, &e) || e.Code != "InsufficientFreeAddresses" || !strings.Contains(e.Message, "The subnets are full") {
			t.Errorf("error %v", err)
		}
		if waited := time.Since(start); waited > time.Minute {
			t.Errorf("after %v", waited)
		}
	})
}

func TestChanges(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*blueprints.Blueprint)
		fields string
		policy engine.Policy
		hint   string
	}{
		{"one minor up", func(b *blueprints.Blueprint) { b.Cluster.Version = "1.36" }, "cluster.version", engine.PolicyInPlace, "node pools follow"},
		{"two minors up", func(b *blueprints.Blueprint) { b.Cluster.Version = "1.37" }, "cluster.version", engine.PolicyRefused, "set 1.36"},
		{"down", func(b *blueprints.Blueprint) { b.Cluster.Version = "1.34" }, "cluster.version", engine.PolicyRefused, "rollback"},
		{"endpoint", func(b *blueprints.Blueprint) {
			b.Cluster.Endpoint = blueprints.Endpoint{Public: aws.Bool(true), Private: aws.Bool(false), PublicCIDRs: []string{"10.1.0.0/16"}}
		}, "cluster.endpoint.private cluster.endpoint.publicCIDRs", engine.PolicyInPlace, ""},
		{"private only", func(b *blueprints.Blueprint) { b.Cluster.Endpoint.Public = aws.Bool(false) }, "cluster.endpoint.public", engine.PolicyInPlace, ""},
		{"logging", func(b *blueprints.Blueprint) { b.Cluster.Logging = []string{"api"} }, "cluster.logging", engine.PolicyInPlace, ""},
		{"no logging", func(b *blueprints.Blueprint) { b.Cluster.Logging = nil }, "cluster.logging", engine.PolicyInPlace, ""},
		{"support", func(b *blueprints.Blueprint) { b.Cluster.SupportType = "extended" }, "cluster.supportType", engine.PolicyInPlace, ""},
		{"protection", func(b *blueprints.Blueprint) { b.Cluster.DeletionProtection = false }, "cluster.deletionProtection", engine.PolicyInPlace, ""},
		{"all at once", func(b *blueprints.Blueprint) {
			b.Cluster.Logging, b.Cluster.SupportType, b.Cluster.Version = nil, "extended", "1.36"
		}, "cluster.version cluster.logging cluster.supportType", engine.PolicyInPlace, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, b := newFake(), blueprint()
				converge(t, newCluster(f, b))
				test.change(b)
				c := newCluster(f, b)
				var fields []string
				for _, change := range observe(t, c).Changes {
					fields = append(fields, change.Field)
					if change.Policy != test.policy || !strings.Contains(change.Hint, test.hint) {
						t.Errorf("%+v", change)
					}
				}
				if got := strings.Join(fields, " "); got != test.fields {
					t.Errorf("fields %s", got)
				}
				if test.policy == engine.PolicyInPlace {
					converge(t, c)
				}
			})
		})
	}
}

func TestTagsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		converge(t, newCluster(f, blueprint()))
		delete(f.cluster.Tags, "team")
		c := newCluster(f, blueprint())
		if obs := observe(t, c); len(obs.Changes) != 1 || obs.Changes[0].Field != "metadata.tags.team" {
			t.Errorf("%+v", obs.Changes)
		}
		converge(t, c)
	})
}

func TestForeignClusterIsLeftAlone(t *testing.T) {
	f := newFake()
	f.cluster = &types.Cluster{Status: types.ClusterStatusActive}
	obs := observe(t, newCluster(f, blueprint()))
	if obs.Keep == "" || len(obs.Changes) != 1 || obs.Changes[0].Policy != engine.PolicyRefused {
		t.Errorf("%+v", obs)
	}
}

func TestDeleteWaitsForAnUpdateAndNamesHolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		c := newCluster(f, unprotected())
		converge(t, c)
		busy := &types.ResourceInUseException{Message: aws.String("Cannot delete because cluster currently has an update in progress")}
		f.errs["DeleteCluster"] = []error{busy, busy, busy}
		f.groups = []string{"handmade"}
		start := time.Now()
		err := c.Delete(t.Context(), quiet)
		if err == nil || !strings.Contains(err.Error(), "node group handmade") {
			t.Errorf("error %v", err)
		}
		if waited := time.Since(start); waited > time.Minute {
			t.Errorf("it waited %s for a node group that stays", waited)
		}
		f.groups = []string{"leaving"}
		if err := c.Delete(t.Context(), quiet); err != nil {
			t.Error(err)
		}
	})
}

func TestDeleteWhileCreating(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		c := newCluster(f, unprotected())
		observe(t, c)
		if err := c.create(t.Context(), quiet); err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(t.Context(), quiet); err != nil || f.cluster != nil {
			t.Errorf("error %v", err)
		}
	})
}

func TestDeletionProtection(t *testing.T) {
	const byHand = "aws eks update-cluster-config --no-deletion-protection --name demo --region r"
	for name, test := range map[string]struct {
		blueprint *blueprints.Blueprint
		live      types.Cluster
		hint      string // empty: it may be deleted
	}{
		"by the blueprint":   {blueprint(), types.Cluster{Status: types.ClusterStatusActive}, "set cluster.deletionProtection to false and run 'aicluster up', or run: " + byHand},
		"by hand":            {unprotected(), types.Cluster{Status: types.ClusterStatusActive}, "switch the protection off first: " + byHand},
		"while updating":     {unprotected(), types.Cluster{Status: types.ClusterStatusUpdating}, "switch the protection off first: " + byHand},
		"failed":             {blueprint(), types.Cluster{Status: types.ClusterStatusFailed}, ""},
		"being deleted":      {blueprint(), types.Cluster{Status: types.ClusterStatusDeleting}, ""},
		"somebody else's":    {blueprint(), types.Cluster{Status: types.ClusterStatusActive, Tags: map[string]string{}}, ""},
		"switched off since": {blueprint(), types.Cluster{Status: types.ClusterStatusActive, DeletionProtection: aws.Bool(false)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(newFake(), test.blueprint)
			c.live = &test.live
			c.live.Arn = aws.String("arn:aws:eks:r:1:cluster/demo")
			if c.live.Tags == nil {
				c.live.Tags = owner.Tags("")
			}
			if c.live.DeletionProtection == nil {
				c.live.DeletionProtection = aws.Bool(true)
			}
			var e *cloud.Error
			err := c.Deletable()
			if errors.As(err, &e) != (test.hint != "") || e != nil && e.Hint != test.hint {
				t.Errorf("%v, %+v", err, e)
			}
		})
	}
}

// Protection that is switched on while a teardown runs is not switched off either.
func TestDeleteLeavesTheProtectionOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		c := newCluster(f, blueprint())
		converge(t, c)
		err := c.Delete(t.Context(), quiet)
		var e *cloud.Error
		if !errors.As(err, &e) || !strings.Contains(e.Hint, "--no-deletion-protection") || f.cluster == nil || !*f.cluster.DeletionProtection {
			t.Errorf("error %v, cluster %+v", err, f.cluster)
		}
	})
}

func TestAccessEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		c := newCluster(f, blueprint())
		a := NewAccessEntry(c, "arn:aws:iam::1:role/admin")
		if obs := observe(t, a); obs.Exists || len(f.calls) > 0 {
			t.Error("looked for without a cluster")
		}
		converge(t, c)
		converge(t, a)
		if a.ID() != "access-entry/role/admin" || f.policies["arn:aws:iam::1:role/admin"][0].AccessScope.Type != types.AccessScopeTypeCluster {
			t.Errorf("%s, %+v", a.ID(), f.policies)
		}
		f.entries["arn:aws:iam::1:role/creator"] = &types.AccessEntry{}
		got, err := DiscoverAdmins(t.Context(), f, "demo")
		if err != nil || len(got) != 1 || got[0] != "arn:aws:iam::1:role/admin" {
			t.Errorf("admins %v, %v", got, err)
		}
		if err := a.Delete(t.Context(), quiet); err != nil || len(f.entries) != 1 {
			t.Errorf("error %v", err)
		}
	})
}

func TestLogGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLogs{}
		l := NewLogGroup(f, newFake(), owner, blueprint())
		converge(t, l)
		if f.tags[cloud.TagCluster] != "demo" || l.Unwanted() {
			t.Errorf("tags %v", f.tags)
		}
	})
}

// What EKS still writes makes the group again, more than once.
func TestLogGroupIsDeletedAgain(t *testing.T) {
	for name, test := range map[string]struct {
		writes []time.Duration // after the first deletion
		left   bool            // they do not end
	}{
		"nothing":        {nil, false},
		"soon":           {[]time.Duration{3 * time.Second}, false},
		"again and late": {[]time.Duration{20 * time.Second, 45 * time.Second}, false},
		"for ever":       {ticks(10*time.Second, 30), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeLogs{}
				l := NewLogGroup(f, newFake(), owner, blueprint())
				converge(t, l)
				for _, at := range test.writes {
					time.AfterFunc(at, func() { f.exists = true })
				}
				start := time.Now()
				err := l.Delete(t.Context(), quiet)
				if (err != nil) != test.left || !test.left && f.exists {
					t.Errorf("error %v, exists %v", err, f.exists)
				}
				if took := time.Since(start); took > lateLimit+lateWrites+time.Second || f.reads > int(took/time.Second)+5 {
					t.Errorf("%s and %d looks", took, f.reads)
				}
			})
		})
	}
}

func ticks(every time.Duration, n int) (at []time.Duration) {
	for i := range n {
		at = append(at, time.Duration(i+1)*every)
	}
	return at
}

// EKS makes the group without our tag when somebody switches logging on by hand.
func TestLogGroupThatEKSMade(t *testing.T) {
	made := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		cluster *types.Cluster
		group   time.Time
		keep    bool
	}{
		"for this cluster": {&types.Cluster{CreatedAt: &made, Tags: owner.Tags("")}, made.Add(time.Hour), false},
		"before it":        {&types.Cluster{CreatedAt: &made, Tags: owner.Tags("")}, made.Add(-time.Hour), true},
		"for another's":    {&types.Cluster{CreatedAt: &made}, made.Add(time.Hour), true},
		"for nothing":      {nil, made.Add(time.Hour), true},
		"by last lines":    {nil, time.Now().Add(-time.Minute), false},
	} {
		t.Run(name, func(t *testing.T) {
			clusters := newFake()
			clusters.cluster = test.cluster
			l := NewLogGroup(&fakeLogs{exists: true, created: test.group}, clusters, owner, unprotected())
			if obs := observe(t, l); (obs.Keep != "") != test.keep {
				t.Errorf("%+v", obs)
			}
		})
	}
}

func TestLogGroupWithoutLogging(t *testing.T) {
	b := blueprint()
	b.Cluster.Logging = nil
	f := &fakeLogs{}
	l := NewLogGroup(f, newFake(), owner, b)
	if observe(t, l); !l.Unwanted() {
		t.Error("it would be made")
	}
	f.exists, f.tags = true, owner.Tags("")
	if obs := observe(t, l); l.Unwanted() || !obs.Exists || len(obs.Changes) > 0 || obs.Keep != "" {
		t.Errorf("%+v", obs)
	}
	f.tags = nil
	if obs := observe(t, l); obs.Keep == "" {
		t.Error("somebody else's log group would be deleted")
	}
}
