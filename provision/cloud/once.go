package cloud

import (
	"context"
	"time"
)

// EC2 is eventually consistent: for a moment, what was made is in no list and its
// id is unknown to other calls
// (https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html).
const (
	// settleLimit bounds how long a call may not know yet what was just made. AWS
	// names five minutes as the most that a client should wait; the Terraform
	// provider's two are enough in practice.
	settleLimit = 2 * time.Minute

	// lookLimit bounds the search for what a call may have made whose reply was
	// lost. Lists are behind by a second or two as a rule.
	lookLimit = 10 * time.Second
)

// Settled calls f until AWS knows all that it names. It is for calls that name
// what was just made.
func Settled(ctx context.Context, f func(context.Context) error) error {
	return RetryWhile(ctx, settleLimit, IsNotFound, f)
}

// WaitListed waits until a list shows what was just made. listed says whether it
// does; that it never will is an error after a while.
func WaitListed(ctx context.Context, listed func(context.Context) (bool, error)) error {
	start := time.Now()
	return Poll(ctx, func(ctx context.Context) (bool, error) {
		ok, err := listed(ctx)
		if err == nil && !ok && time.Since(start) >= settleLimit {
			err = errNotListed
		}
		return ok, err
	})
}

// Bounds of [CreateOnce].
const (
	maxCreates  = 5
	throttleMin = 250 * time.Millisecond
)

// CreateOnce makes something whose create call has no idempotency token
// (CreateVpc, AllocateAddress and others). The SDK's blind retry after a lost
// reply would make a second one, so create must be called with
// RetryMaxAttempts 1. After a failure that may have taken effect, find looks by
// tag, for as long as lists may be behind, before create is called again. find
// says ok=false when there is none.
func CreateOnce[T any](ctx context.Context, find func(context.Context) (t T, ok bool, err error), create func(context.Context) (T, error)) (T, error) {
	for attempt := 0; ; attempt++ {
		t, err := create(ctx)
		if err == nil || !IsTransient(err) && !IsExists(err) {
			return t, err
		}
		if isThrottle(err) { // it took no effect
			if attempt+1 >= maxAttempts {
				return t, err
			}
			if err := Sleep(ctx, min(throttleMin<<attempt, pollMax)); err != nil {
				return t, err
			}
			continue
		}
		found, ok, lookErr := look(ctx, find)
		switch {
		case lookErr != nil:
			return t, lookErr
		case ok:
			return found, nil
		case IsExists(err) || attempt+1 >= maxCreates:
			return t, err
		}
	}
}

// look calls find until it finds something, for at most lookLimit.
func look[T any](ctx context.Context, find func(context.Context) (t T, ok bool, err error)) (T, bool, error) {
	var (
		out   T
		found bool
	)
	start := time.Now()
	err := Poll(ctx, func(ctx context.Context) (bool, error) {
		var err error
		out, found, err = find(ctx)
		return found || time.Since(start) >= lookLimit, err
	})
	return out, found, err
}

// WithToken calls f with a token that is the same after a crash ([TokenOf]). AWS
// refuses it if the thing that it made then was deleted since, or was asked for
// with other tags: then f gets a fresh one.
func WithToken(ctx context.Context, token string, f func(ctx context.Context, token string) error) error {
	err := f(ctx, token)
	if hasCode(err, "IdempotentParameterMismatch") {
		return f(ctx, NewToken())
	}
	return err
}
