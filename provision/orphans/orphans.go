// Package orphans searches an account for what is or was a cluster's: by tag, by
// VPC, by name. It is the referee of a teardown, and therefore shares no finder
// with the resources that a teardown deletes. It changes nothing.
package orphans

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"aicluster/provision/cloud"
)

// Thing is something in AWS that is or was a cluster's, or that stands in its VPC.
type Thing struct {
	Kind   string `json:"kind"`             // "nat-gateway"
	ID     string `json:"id"`               // AWS's id, or the name where a service goes by names
	Detail string `json:"detail,omitempty"` // what it is, in a few words
	Why    string `json:"why"`              // why it is counted: a tag, the VPC, its name
	// CostPerHour is in US dollars, by the list prices of us-east-1; 0 for what
	// costs nothing while nothing flows through it, or has no known price.
	CostPerHour float64 `json:"costPerHour"`
	// Remove is the command that removes it by hand; empty for what is somebody
	// else's, and what goes with something else.
	Remove string `json:"remove,omitempty"`
	// Foreign things stand in the cluster's VPC and are not the cluster's.
	Foreign bool `json:"foreign"`
	// Data tells that it holds data, which no teardown deletes unasked.
	Data bool `json:"data"`

	going  bool   // AWS is taking it away
	inUse  bool   // plugged into something that stands
	pool   string // the pool that it was made for: a node group, or Karpenter's
	object string // the Kubernetes object that it was made for: "service/NAMESPACE/NAME", "pv/NAME"
}

// disown makes a thing somebody else's, which costs the cluster nothing and is not
// ours to remove.
func (t *Thing) disown(why string) {
	t.Why, t.Foreign, t.Remove, t.CostPerHour = why, true, "", 0
}

// Why a thing is counted, or disowned, that no tag claims for the cluster.
const (
	whyInVPC = "stands in the cluster's VPC"
	whyNamed = "it has the name, and not the tag " + cloud.TagCluster
)

// Name is the thing in the form of a resource's id: "nat-gateway/nat-0abc".
func (t Thing) Name() string { return t.Kind + "/" + t.ID }

// Search is where and what to search for.
type Search struct {
	EC2         EC2API
	EKS         EKSAPI
	IAM         IAMAPI
	Logs        LogsAPI
	AutoScaling AutoScalingAPI
	ELB         BalancerAPI
	Classic     ClassicAPI
	S3          BucketAPI
	EFS         FilesAPI
	Queues      QueueAPI
	Rules       RuleAPI

	Cluster string
	Region  string
}

// Run searches once. What could not be searched is in the error; the rest is
// found all the same. Things are in the order of kind and id.
func (s *Search) Run(ctx context.Context) ([]Thing, error) {
	var mu sync.Mutex
	var found []Thing
	var errs []error
	var wg sync.WaitGroup
	for _, f := range []struct {
		what string
		find func(context.Context) ([]Thing, error)
	}{
		{"EC2", s.inEC2},
		{"load balancers", s.balancers},
		{"clusters", s.clusters},
		{"Auto Scaling groups", s.scalingGroups},
		{"roles", s.roles},
		{"log groups", s.logGroups},
		{"buckets", s.buckets},
		{"file systems", s.fileSystems},
		{"queues", s.queues},
		{"event rules", s.rules},
	} {
		wg.Go(func() {
			things, err := f.find(ctx)
			mu.Lock()
			defer mu.Unlock()
			found = append(found, things...)
			if err != nil && !cloud.IsUnsupported(err) { // what an emulator does not know it does not hold
				errs = append(errs, cloud.Wrap("orphans/"+s.Cluster, "searching "+f.what, err))
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	for i := range found {
		found[i].CostPerHour = millionth(found[i].CostPerHour)
	}
	slices.SortFunc(found, func(a, b Thing) int { return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.ID, b.ID)) })
	return found, errors.Join(errs...)
}

// How long [Search.Settled] waits: for what AWS says is going, and for what it
// still describes although it is gone, since its reads lag behind.
const (
	goingLimit = 5 * time.Minute
	lagLimit   = 20 * time.Second
)

// Settled searches until everything that it finds is accounted for, as long as
// the rest may still go by itself. What is there after that is found as it is.
// waiting is told what is waited for.
func (s *Search) Settled(ctx context.Context, accounted func(Thing) bool, waiting func(Thing)) (found []Thing, err error) {
	start := time.Now()
	waited := cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		found, err = s.Run(ctx)
		pending := slices.DeleteFunc(slices.Clone(found), accounted)
		going := slices.IndexFunc(pending, func(t Thing) bool { return t.going })
		limit := lagLimit
		if going >= 0 {
			limit = goingLimit
		}
		if len(pending) == 0 || err != nil || time.Since(start) >= limit {
			return true, nil //nolint:nilerr // it is returned with what was found
		}
		waiting(pending[max(going, 0)])
		return false, nil
	})
	return found, errors.Join(err, waited)
}

// CostPerHour adds up what things cost, in US dollars to a millionth.
func CostPerHour(things []Thing) float64 {
	sum := 0.0
	for _, t := range things {
		sum += t.CostPerHour
	}
	return millionth(sum)
}

// millionth rounds to a millionth of a dollar: no price is finer.
func millionth(perHour float64) float64 { return math.Round(perHour*1e6) / 1e6 }

// command is an aws command in the search's region.
func (s *Search) command(format string, args ...any) string {
	return "aws " + fmt.Sprintf(format, args...) + " --region " + s.Region
}
