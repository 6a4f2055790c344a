package server

import (
	"context"

	"aicluster/e2e/localcloud/wire"
)

// guard is asked before each call of any service. The local cloud's own calls
// always succeed.
func (c *Cloud) guard(ctx context.Context, call wire.Call) error {
	if c.own(call) {
		return nil
	}
	if err := c.faults.Before(ctx, c.wire, call); err != nil {
		return err
	}
	return c.authorize(ctx, call)
}

// answer says of each call that succeeded whether it is answered. It may take
// its time.
func (c *Cloud) answer(ctx context.Context, call wire.Call) bool {
	return c.own(call) || c.faults.After(ctx, call)
}
