package server

import (
	"cmp"
	"time"

	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/events"
	"aicluster/e2e/localcloud/faults"
	"aicluster/e2e/localcloud/wire"
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
			// A node group's, or Karpenter's.
			cluster, group := cmp.Or(i.Tags["eks:cluster-name"], i.Tags["eks:eks-cluster-name"]), cmp.Or(i.Tags["eks:nodegroup-name"], i.Tags["karpenter.sh/nodepool"])
			return (f.Instance == "" || f.Instance == i.ID) && c.faults.Interrupts(f.Name, cluster, group, i.ID)
		})
		if left -= n; left > 0 {
			c.later.After(max(c.clock.Scale(time.Second), 20*time.Millisecond), look)
		}
	}
	c.later.After(c.clock.Scale(f.After), look)
}

// warn has EC2 say on EventBridge what it has to say of instances (EC2 User Guide,
// "Spot Instance interruption notices" and "Monitor changes in state").
func (c *services) warn() {
	emit := func(detailType, region, id string, detail map[string]any) {
		detail["instance-id"] = id
		c.events.Emit(region, events.Event{
			Source: "aws.ec2", DetailType: detailType, Detail: detail,
			Resources: []string{"arn:aws:ec2:" + region + ":" + wire.AccountID + ":instance/" + id},
		})
	}
	c.ec2.OnSpotNotice(func(region, id string) {
		emit("EC2 Spot Instance Interruption Warning", region, id, map[string]any{"instance-action": "terminate"})
	})
	c.ec2.OnTerminated(func(region, id string) {
		emit("EC2 Instance State-change Notification", region, id, map[string]any{"state": "terminated"})
	})
}
