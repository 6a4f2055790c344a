package server

import (
	"cmp"
	"context"

	"aicluster/e2e/localcloud/faults"
	"aicluster/e2e/localcloud/wire"
)

// guard is asked before each call of any service. The local cloud's own calls
// always succeed, those of the pods that it plays if their role may.
func (c *Cloud) guard(ctx context.Context, call wire.Call) error {
	if call.Caller.AccessKeyID == c.internal.ID {
		return nil
	}
	if !c.own(call) {
		if err := c.faults.Before(ctx, c.wire, call); err != nil {
			return err
		}
	}
	return c.authorize(ctx, call)
}

// answer says of each call that succeeded whether it is answered. It may take
// its time.
func (c *Cloud) answer(ctx context.Context, call wire.Call) bool {
	return c.own(call) || c.faults.After(ctx, call)
}

// adjust sets what the services themselves keep of faults, capacity and quotas,
// and begins what new ones do by themselves.
func (c *Cloud) adjust(gone, added, here []faults.Fault) {
	for _, f := range gone {
		c.limit(f, -1, -1)
	}
	times := 1.0
	for _, f := range here {
		c.limit(f, f.Count, f.Value)
		if f.Kind == faults.IAMLate {
			times = max(times, f.Times)
		}
	}
	c.services.iam.Delay(times)
	for _, f := range added {
		if f.Kind == faults.SpotInterruption {
			c.interrupt(f)
		}
	}
}

func (c *Cloud) limit(f faults.Fault, capacity int, quota float64) {
	region := cmp.Or(f.Region, Region)
	switch f.Kind {
	case faults.Capacity:
		c.services.ec2.SetCapacity(region, f.InstanceType, f.Zone, f.Market, capacity)
	case faults.Quota:
		c.services.ec2.SetQuota(region, f.Quota, quota)
	}
}
