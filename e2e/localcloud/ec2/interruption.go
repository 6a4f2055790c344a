package ec2

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// noticeTime is from a spot instance's interruption notice to its end
// (EC2 User Guide, "Spot Instance interruption notices").
const noticeTime = 2 * time.Minute

// spotEnd is the state reason of an instance that EC2 took back (API reference, StateReason).
const spotEnd = "Server.SpotInstanceTermination: Spot instance termination"

// OnSpotNotice subscribes to interruption notices: f is called, in order and
// without any lock held, when a spot instance has got one.
func (s *Service) OnSpotNotice(f func(region, instanceID string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noticed = append(s.noticed, f)
}

// InterruptSpot gives running spot instances that match their notice, at most
// n of them, and takes them back two minutes later. It returns how many.
func (s *Service) InterruptSpot(n int, is func(Instance) bool) int {
	s.mu.Lock()
	type victim struct{ region, id string }
	var victims []victim
	for _, r := range s.regions {
		for _, i := range r.instances.all() {
			if len(victims) == n || i.market != Spot || i.state != types.InstanceStateNameRunning || i.noticed || !is(r.instanceSnapshot(i)) {
				continue
			}
			i.noticed = true
			victims = append(victims, victim{r.name, i.id})
			s.after(s.clock.Scale(noticeTime), func() func() { s.terminate(r, i, spotEnd); return nil })
		}
	}
	subscribers := slices.Clone(s.noticed)
	s.mu.Unlock()
	for _, v := range victims {
		for _, f := range subscribers {
			f(v.region, v.id)
		}
	}
	return len(victims)
}
