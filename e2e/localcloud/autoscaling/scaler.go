package autoscaling

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/wire"
)

const (
	// lookInterval is how often a scaler looks at instances in a passing state.
	lookInterval = 5 * time.Second
	// retryFirst and retryLast bound the pause after a launch that failed; it
	// doubles with each failure.
	retryFirst = 30 * time.Second
	retryLast  = 5 * time.Minute
	// shortest keeps a fast clock from making the scalers spin.
	shortest = 20 * time.Millisecond
)

func (s *Service) scaled(d time.Duration) time.Duration { return max(s.clock.Scale(d), shortest) }

// run is the scaler of one group; it ends when the group is gone or the service closes.
func (s *Service) run(g *group) {
	for {
		wait, gone := s.reconcile(g)
		if gone {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-g.wake:
		case <-timer.C:
		case <-s.ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// reconcile does one round and says when to look again.
func (s *Service) reconcile(g *group) (wait time.Duration, gone bool) {
	s.observe(g)
	if s.removeIfEmpty(g) {
		return 0, true
	}
	s.scaleIn(g)
	for s.ctx.Err() == nil && s.launchOne(g) {
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.passing(g) {
		return s.scaled(lookInterval), false
	}
	if left := time.Until(g.notUntil); len(g.live()) < int(g.desired) && left > 0 {
		return max(left, shortest), false
	}
	return s.scaled(time.Minute), false
}

// passing says whether an instance is neither settled nor gone; s.mu is held.
func (s *Service) passing(g *group) bool {
	return slices.ContainsFunc(g.instances, func(in *instance) bool { return in.state != types.LifecycleStateInService })
}

// observe takes over what EC2 says of the group's instances.
func (s *Service) observe(g *group) {
	s.mu.Lock()
	members := slices.Clone(g.instances)
	s.mu.Unlock()
	states := make(map[string]string, len(members))
	for _, in := range members {
		states[in.id] = "terminated"
		if i, ok := s.compute.Instance(g.key.region, in.id); ok {
			states[in.id] = string(i.State)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g.instances = slices.DeleteFunc(g.instances, func(in *instance) bool {
		state, seen := states[in.id]
		if !seen {
			return false
		}
		switch state {
		case "running":
			if in.state == types.LifecycleStatePending {
				in.state = types.LifecycleStateInService
				finish(in.activity, types.ScalingActivityStatusCodeSuccessful, "")
				in.activity = nil
			}
		case "shutting-down", "stopping", "stopped":
			s.lost(g, in)
		case "terminated":
			s.lost(g, in)
			finish(in.activity, types.ScalingActivityStatusCodeSuccessful, "")
			return true
		}
		return false
	})
}

// lost notes an instance that ends without having been asked to by the group; s.mu is held.
func (s *Service) lost(g *group, in *instance) {
	if in.state == types.LifecycleStatePending || in.state == types.LifecycleStateInService {
		finish(in.activity, types.ScalingActivityStatusCodeCancelled, "")
		in.state = types.LifecycleStateTerminating
		in.activity = g.start("Terminating EC2 instance: "+in.id, fmt.Sprintf(
			"At %s an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped.", stamp(time.Now())), in.subnet, in.zone)
	}
}

// rebalance has an instance replaced before EC2 takes it back, if its group
// wants that (https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-capacity-rebalancing.html).
func (s *Service) rebalance(region, instanceID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, g := range s.groups {
		if in := g.instance(instanceID); in != nil && key.region == region && deref(g.capacityRebalance) {
			in.leaving = true
			g.wakeUp()
		}
	}
}

// removeIfEmpty ends a group that is being deleted once its last instance is gone.
func (s *Service) removeIfEmpty(g *group) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !g.deleting || len(g.instances) > 0 {
		return false
	}
	delete(s.groups, g.key)
	return true
}

// scaleIn terminates instances beyond the desired capacity: from the zone with
// the most, the oldest first, as the default termination policy does.
func (s *Service) scaleIn(g *group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		live := g.live()
		if !g.deleting {
			live = slices.DeleteFunc(live, func(in *instance) bool { return in.protected })
		}
		surplus := len(g.live()) - int(g.desired)
		if surplus <= 0 || len(live) == 0 {
			return
		}
		perZone := map[string]int{}
		for _, in := range live {
			perZone[in.zone]++
		}
		slices.SortStableFunc(live, func(a, b *instance) int {
			return cmp.Or(cmp.Compare(perZone[b.zone], perZone[a.zone]), a.launched.Compare(b.launched))
		})
		n := len(g.live())
		cause := fmt.Sprintf("%s  At %s an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity from %d to %d.",
			g.cause, stamp(time.Now()), n, n-1)
		s.terminate(g, live[0], cause)
	}
}

// terminate drains and then terminates one instance in a goroutine of its own; s.mu is held.
func (s *Service) terminate(g *group, in *instance, cause string) *types.Activity {
	finish(in.activity, types.ScalingActivityStatusCodeCancelled, "")
	in.state = types.LifecycleStateTerminating
	if len(s.drains) > 0 {
		in.state = types.LifecycleStateTerminatingWait
	}
	in.activity = g.start("Terminating EC2 instance: "+in.id, cause, in.subnet, in.zone)
	drains := slices.Clone(s.drains)
	s.work.Go(func() {
		for _, drain := range drains {
			drain(s.ctx, g.key.region, g.key.name, in.id)
		}
		s.mu.Lock()
		in.state = types.LifecycleStateTerminatingProceed
		s.mu.Unlock()
		s.compute.Terminate(g.key.region, in.id)
		g.wakeUp()
	})
	return in.activity
}

// launchOne launches one instance if the group lacks one and says whether to go on.
func (s *Service) launchOne(g *group) bool {
	s.mu.Lock()
	n := len(g.live())
	if g.deleting || n >= int(g.desired) || time.Now().Before(g.notUntil) {
		s.mu.Unlock()
		return false
	}
	perZone := map[string]int{}
	for _, in := range g.live() {
		perZone[in.zone]++
	}
	subnets, dry := slices.Clone(g.subnets), g.dryZones
	market, kinds, spec, tags := g.market(), g.instanceTypes(), g.specification(), g.launchTags()
	cause := fmt.Sprintf("%s  At %s an instance was started in response to a difference between desired and actual capacity, increasing the capacity from %d to %d.",
		g.cause, stamp(time.Now()), n, n+1)
	s.mu.Unlock()

	subnet, err := s.chooseSubnet(g.key.region, subnets, perZone, dry)
	var launched ec2.Instance
	if err == nil {
		if market == spot {
			s.iam.EnsureServiceLinkedRole("spot.amazonaws.com")
		}
		launched, err = s.launch(g.key.region, subnet, market, kinds, spec, tags)
	}
	if err != nil {
		s.launchFailed(g, subnet, market, cause, err)
		return false
	}
	s.launched(g, launched, cause)
	return true
}

// chooseSubnet takes the zone with the fewest instances, those last where the
// last launch failed, and in it the subnet with the most free addresses.
func (s *Service) chooseSubnet(region string, ids []string, perZone map[string]int, dry map[string]bool) (ec2.Subnet, error) {
	subnets, err := s.compute.Subnets(region, ids)
	if err != nil {
		return ec2.Subnet{}, err
	}
	if len(subnets) == 0 {
		return ec2.Subnet{}, &wire.Error{Code: "InvalidSubnet", Message: "The group has no subnets."}
	}
	rank := func(sn ec2.Subnet) int {
		if dry[sn.Zone] {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(subnets, func(a, b ec2.Subnet) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(perZone[a.Zone], perZone[b.Zone]),
			cmp.Compare(a.Zone, b.Zone), cmp.Compare(b.Available, a.Available))
	})
	return subnets[0], nil
}

// launch tries the types in their order: "prioritized" for on-demand, and for
// spot as near to price-capacity-optimized as pools of unknown depth allow.
// The error is that of the first type.
func (s *Service) launch(region string, subnet ec2.Subnet, market string, kinds []string, spec types.LaunchTemplateSpecification, tags map[string]string) (ec2.Instance, error) {
	if len(kinds) == 0 {
		kinds = []string{""}
	}
	var first error
	for _, kind := range kinds {
		in, err := s.compute.Launch(region, launchSpec(subnet, market, kind, spec, tags))
		if err == nil {
			return in, nil
		}
		if first == nil {
			first = err
		}
	}
	return ec2.Instance{}, first
}

func (s *Service) launched(g *group, in ec2.Instance, cause string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.failures, g.notUntil, g.dryZones = 0, time.Time{}, nil
	g.instances = append(g.instances, &instance{
		id: in.ID, subnet: in.SubnetID, zone: in.Zone, instanceType: in.Type, state: types.LifecycleStatePending,
		protected: g.newProtected, launched: time.Now(),
		activity: g.start("Launching a new EC2 instance: "+in.ID, cause, in.SubnetID, in.Zone),
	})
}

func (s *Service) launchFailed(g *group, subnet ec2.Subnet, market, cause string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	message := failureText(market, g.mixed != nil, err)
	a := g.start("Launching a new EC2 instance.  Status Reason: "+message, cause, subnet.ID, subnet.Zone)
	finish(a, types.ScalingActivityStatusCodeFailed, message)
	if g.dryZones == nil {
		g.dryZones = map[string]bool{}
	}
	if zone := subnet.Zone; zone != "" {
		if g.dryZones[zone] {
			clear(g.dryZones) // every zone had its turn: begin again
		}
		g.dryZones[zone] = true
	}
	pause := min(retryFirst<<min(g.failures, 4), retryLast)
	g.failures++
	g.notUntil = time.Now().Add(s.scaled(pause))
}

// failureText is the status message of a launch that failed. A group with a
// mixed instances policy launches through a fleet request, which names the
// market and the code in front
// (https://docs.aws.amazon.com/autoscaling/ec2/userguide/ts-as-instancelaunchfailure.html).
func failureText(market string, mixed bool, err error) string {
	code, message := "InternalError", err.Error()
	var aws *wire.Error
	if errors.As(err, &aws) {
		code, message = aws.Code, aws.Message
	}
	message = strings.TrimSuffix(message, ".") + "."
	if !mixed {
		return message + " Launching EC2 instance failed."
	}
	kind := "On-Demand"
	if market == spot {
		kind = "Spot"
	}
	return fmt.Sprintf("Could not launch %s Instances. %s - %s Launching EC2 instance failed.", kind, code, message)
}
