package server

import (
	"cmp"
	"time"

	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/faults"
)

// interrupt takes back spot instances once the fault's time has come, and goes
// on looking for some until there were as many as it wants, or it is lifted.
func (c *Cloud) interrupt(f faults.Fault) {
	left := cmp.Or(f.Count, 1)
	var look func()
	look = func() {
		if !c.faults.Has(f.Name) {
			return
		}
		n := c.services.ec2.InterruptSpot(left, func(i ec2.Instance) bool {
			cluster, group := i.Tags["eks:cluster-name"], i.Tags["eks:nodegroup-name"]
			return (f.Instance == "" || f.Instance == i.ID) && c.faults.Interrupts(f.Name, cluster, group, i.ID)
		})
		if left -= n; left > 0 {
			c.later.After(max(c.clock.Scale(time.Second), 20*time.Millisecond), look)
		}
	}
	c.later.After(c.clock.Scale(f.After), look)
}
