package cloud

import (
	"context"
	"time"
)

// Polling bounds: the pause is a twentieth of the time already waited, so the
// overshoot is about 5 % at any speed, and never above ten seconds.
const (
	pollMin      = 100 * time.Millisecond
	pollMax      = 10 * time.Second
	pollFraction = 20
)

// Poll calls check until it says done, fails, or ctx ends. check reads health
// too and returns an error as soon as it sees a cause that cannot heal.
func Poll(ctx context.Context, check func(ctx context.Context) (done bool, err error)) error {
	start := time.Now()
	for {
		done, err := check(ctx)
		if done || err != nil {
			return err
		}
		if err := Sleep(ctx, min(max(time.Since(start)/pollFraction, pollMin), pollMax)); err != nil {
			return err
		}
	}
}

// Sleep waits for d, or until ctx ends, whose cause it then returns.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// RetryWhile calls f until it succeeds or fails with an error that heals does
// not know, for at most limit. It is for faults that pass by themselves, such
// as a role that IAM has not spread yet.
func RetryWhile(ctx context.Context, limit time.Duration, heals func(error) bool, f func(context.Context) error) error {
	start := time.Now()
	return Poll(ctx, func(ctx context.Context) (bool, error) {
		err := f(ctx)
		if err != nil && heals(err) && time.Since(start) < limit {
			return false, nil
		}
		return true, err
	})
}
