package cloud

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	smithymw "github.com/aws/smithy-go/middleware"
)

// finishTimeout bounds a mutating call that is in flight when the run is interrupted.
const finishTimeout = 30 * time.Second

// apiOptions adds to every operation: the user agent, the call counter, and
// that a mutating call in flight outlives an interruption, so that its result
// is known.
func apiOptions(calls *Calls, version string) []func(*smithymw.Stack) error {
	return []func(*smithymw.Stack) error{
		middleware.AddUserAgentKeyValue("aicluster", version),
		func(s *smithymw.Stack) error {
			return s.Initialize.Add(smithymw.InitializeMiddlewareFunc("aicluster/Call",
				func(ctx context.Context, in smithymw.InitializeInput, next smithymw.InitializeHandler) (smithymw.InitializeOutput, smithymw.Metadata, error) {
					mutating := Mutating(smithymw.GetOperationName(ctx)) // not all of the SDK's modules set its own this early
					if err := ctx.Err(); err != nil {
						return smithymw.InitializeOutput{}, smithymw.Metadata{}, err
					}
					calls.Count(mutating)
					if mutating {
						var cancel context.CancelFunc
						ctx, cancel = detach(ctx)
						defer cancel()
					}
					return next.HandleInitialize(ctx, in)
				}), smithymw.Before)
		},
	}
}

// detach returns a context that goes on for finishTimeout after parent ends.
func detach(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() {
		t := time.AfterFunc(finishTimeout, func() { cancel(context.Cause(parent)) })
		context.AfterFunc(ctx, func() { t.Stop() })
	})
	return ctx, func() { stop(); cancel(nil) }
}

// Mutating tells whether an AWS operation changes anything. AWS names its
// reading operations by their verb.
func Mutating(operation string) bool {
	for _, verb := range []string{"Describe", "List", "Get", "Head", "Simulate", "Assume", "Filter"} {
		if strings.HasPrefix(operation, verb) {
			return false
		}
	}
	return true
}

// maxAttempts bounds how often one call is sent. With AWS's backoff of up to
// 20 seconds, the last attempts are minutes after the first: an account's other
// users can throttle a call for that long.
const maxAttempts = 10

// newRetryer retries what can heal: throttling and server faults, with AWS's
// default backoff. A lack of capacity is none of these although EC2 answers it
// with HTTP 500.
func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.Retryables = append([]retry.IsErrorRetryable{
			retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
				if IsCapacity(err) {
					return aws.FalseTernary
				}
				return aws.UnknownTernary
			}),
		}, o.Retryables...)
	})
}
