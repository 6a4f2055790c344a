// Package ec2 plays the part of Amazon EC2 that clusters stand on: networks,
// interfaces, security groups, launch templates, instances and their types.
//
// State is per region. Codes, words and rules are AWS's: the EC2 API reference,
// its "Error codes" page, and the VPC User Guide; a rule that comes from
// elsewhere names its source. Values that leave the package are copies.
package ec2

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"reflect"
	"sync"
	"time"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/later"
	"aicluster/e2e/localcloud/wire"
)

// account owns everything.
const account = wire.AccountID

// visible is for how long AWS goes on showing what was deleted or terminated:
// about an hour (EC2 User Guide "Terminate instances", VPC User Guide "NAT gateways").
const visible = time.Hour

// Service is EC2 of the one account.
type Service struct {
	clock *clock.Clock
	iam   *iam.Service
	types map[string]*typeEntry
	later later.Queue
	// How far the API lags behind; see [Service.EventuallyConsistent].
	lagMade, lagGone time.Duration

	mu         sync.Mutex
	regions    map[string]*region
	terminated []func(region, instanceID string)
	noticed    []func(region, instanceID string)
}

// New returns an account without any resource.
func New(c *clock.Clock, i *iam.Service) *Service {
	return &Service{
		clock: c, iam: i, types: loadTypes(),
		regions: map[string]*region{},
	}
}

// EventuallyConsistent lets the API lag behind from now on, as EC2's does, by the
// clock's profile. Without it what a call did is seen by the next one, which is
// enough to try other services.
func (s *Service) EventuallyConsistent() *Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lagMade, s.lagGone = s.clock.Duration(clock.EC2Visible), s.clock.Duration(clock.EC2Gone)
	for _, r := range s.regions {
		r.sight.made, r.sight.gone = s.lagMade, s.lagGone
	}
	return s
}

// Close stops what is still under way; nothing changes any more after it.
func (s *Service) Close() { s.later.Close() }

// after runs f with the lock held once d has passed. What f returns runs then
// without the lock.
func (s *Service) after(d time.Duration, f func() (then func())) {
	s.later.After(d, func() {
		s.mu.Lock()
		then := f()
		s.mu.Unlock()
		if then != nil {
			then()
		}
	})
}

// step is after for one step of the clock's profile.
func (s *Service) step(step clock.Step, f func()) {
	s.after(s.clock.Duration(step), func() func() { f(); return nil })
}

// expire is after for the end of the time that a deleted thing stays visible.
func (s *Service) expire(f func()) {
	s.after(s.clock.Scale(visible), func() func() { f(); return nil })
}

// OnTerminated subscribes to the end of instances: f is called, in order and
// without any lock held, when one has become terminated.
func (s *Service) OnTerminated(f func(region, instanceID string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.terminated = append(s.terminated, f)
}

// region returns the state of a region as it is. The caller holds the lock.
func (s *Service) region(name string) *region {
	r := s.regions[name]
	if r == nil {
		r = newRegion(name, &sight{made: s.lagMade, gone: s.lagGone})
		s.regions[name] = r
	}
	r.sight.truth = true
	return r
}

// seenRegion returns the state of a region as calls of the API see it. The caller holds
// the lock.
func (s *Service) seenRegion(name string) *region {
	r := s.region(name)
	r.sight.truth = false
	return r
}

// lock locks the service for one call and returns the state of its region.
func (s *Service) lock(ctx context.Context) *region {
	s.mu.Lock()
	return s.seenRegion(wire.Region(ctx))
}

// handle registers one operation. All of EC2's have DryRun, which checks the
// caller's rights and does nothing (EC2 API reference, "Common query
// parameters"). RunInstances also checks the request, so it does that itself.
func handle[I, O any](w *wire.Server, f func(context.Context, *I) (*O, error)) {
	wire.Handle(w, "ec2", func(ctx context.Context, in *I) (*O, error) {
		if dry := reflect.ValueOf(in).Elem().FieldByName("DryRun"); dry.IsValid() && reflect.TypeFor[I]().Name() != "RunInstancesInput" {
			if p, ok := dry.Interface().(*bool); ok && p != nil && *p {
				return nil, errDryRun()
			}
		}
		return f(ctx, in)
	})
}

// newID returns an id of the long form: prefix, "0" and 16 hexadecimal digits.
func newID(prefix string) string {
	b := make([]byte, 8)
	rand.Read(b)
	return prefix + "-0" + hex.EncodeToString(b)
}
