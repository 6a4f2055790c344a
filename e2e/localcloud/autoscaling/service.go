// Package autoscaling is Amazon EC2 Auto Scaling in the local cloud: groups that
// keep the number of instances they are told to keep, spread over zones, and
// that say in their scaling activities why they could not.
//
// Each group has one goroutine, its scaler, which compares the instances that
// exist with the desired capacity, launches and terminates. Handlers only
// change what is desired and wake the scaler.
package autoscaling

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/wire"
)

// DrainFunc is called before an instance of a group is terminated; the group
// waits for it, as for a lifecycle hook on
// autoscaling:EC2_INSTANCE_TERMINATING. EKS drains the Kubernetes node in it.
type DrainFunc func(ctx context.Context, region, group, instanceID string)

// Compute is what a group needs of EC2; [ec2.Service] has it.
type Compute interface {
	Subnets(region string, ids []string) ([]ec2.Subnet, error)
	LaunchTemplate(region, idOrName, version string) (ec2.Template, error)
	Launch(region string, in ec2.LaunchSpec) (ec2.Instance, error)
	Terminate(region, id string)
	Instance(region, id string) (ec2.Instance, bool)
}

// Service is the Auto Scaling API of all regions.
type Service struct {
	clock   *clock.Clock
	compute Compute
	iam     *iam.Service

	ctx  context.Context // ends with the service; scalers live by it
	stop context.CancelFunc
	work sync.WaitGroup

	// mu guards everything below and all fields of the groups. It is never held
	// while EC2 is called: EC2 calls back when instances end.
	mu     sync.Mutex
	groups map[groupKey]*group
	drains []DrainFunc
}

type groupKey struct{ region, name string }

// New returns a service without groups.
func New(c *clock.Clock, e *ec2.Service, i *iam.Service) *Service {
	s := newService(c, e, i)
	e.OnTerminated(s.instanceTerminated)
	e.OnSpotNotice(s.rebalance)
	return s
}

func newService(c *clock.Clock, compute Compute, i *iam.Service) *Service {
	ctx, stop := context.WithCancel(context.Background())
	return &Service{clock: c, compute: compute, iam: i, ctx: ctx, stop: stop, groups: map[groupKey]*group{}}
}

// Register adds the operations to w.
func (s *Service) Register(w *wire.Server) {
	w.Honours("autoscaling", "autoscaling", goFiles)
	wire.Handle(w, "autoscaling", s.CreateAutoScalingGroup)
	wire.Handle(w, "autoscaling", s.UpdateAutoScalingGroup)
	wire.Handle(w, "autoscaling", s.DeleteAutoScalingGroup)
	wire.Handle(w, "autoscaling", s.DescribeAutoScalingGroups)
	wire.Handle(w, "autoscaling", s.DescribeAutoScalingInstances)
	wire.Handle(w, "autoscaling", s.DescribeScalingActivities)
	wire.Handle(w, "autoscaling", s.SetDesiredCapacity)
	wire.Handle(w, "autoscaling", s.TerminateInstanceInAutoScalingGroup)
	wire.Handle(w, "autoscaling", s.CreateOrUpdateTags)
	wire.Handle(w, "autoscaling", s.DeleteTags)
	wire.Handle(w, "autoscaling", s.DescribeTags)
}

// OnTerminating adds a function to call before an instance is terminated.
func (s *Service) OnTerminating(f DrainFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drains = append(s.drains, f)
}

// Inventory lists every group that exists, as "region/auto-scaling-group/name".
func (s *Service) Inventory() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for key := range s.groups {
		list = append(list, fmt.Sprintf("%s/auto-scaling-group/%s", key.region, key.name))
	}
	slices.Sort(list)
	return list
}

// Close ends all scalers and waits for them, or until ctx ends.
func (s *Service) Close(ctx context.Context) error {
	s.stop()
	done := make(chan struct{})
	go func() { s.work.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("autoscaling: scalers still at work: %w", ctx.Err())
	}
}

// instanceTerminated wakes the group that the instance was in.
func (s *Service) instanceTerminated(region, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g, _ := s.groupOf(region, id); g != nil {
		g.wakeUp()
	}
}

// groupOf finds the group of an instance; s.mu is held.
func (s *Service) groupOf(region, id string) (*group, *instance) {
	for key, g := range s.groups {
		if key.region != region {
			continue
		}
		if in := g.instance(id); in != nil {
			return g, in
		}
	}
	return nil, nil
}

// lookup finds a group that is not being deleted; s.mu is held.
func (s *Service) lookup(region string, name *string) (*group, error) {
	if name != nil {
		if g, ok := s.groups[groupKey{region, *name}]; ok {
			return g, nil
		}
	}
	return nil, validation("AutoScalingGroup name not found - AutoScalingGroup '%s' not found", deref(name))
}

// validation is the one error that Auto Scaling has for nearly every mistake.
func validation(format string, args ...any) error {
	return &wire.Error{Code: "ValidationError", Message: fmt.Sprintf(format, args...), Status: 400}
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
