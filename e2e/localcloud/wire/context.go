package wire

import "context"

type contextKey struct{}

// requestInfo is what the layer knows of a request beside its input.
type requestInfo struct {
	region    string
	requestID string
	caller    Caller
}

func withInfo(ctx context.Context, info requestInfo) context.Context {
	return context.WithValue(ctx, contextKey{}, info)
}

func infoOf(ctx context.Context) requestInfo {
	info, _ := ctx.Value(contextKey{}).(requestInfo)
	return info
}

// Region is the region that the request was signed for (the scope of its
// signature); global services sign for us-east-1.
func Region(ctx context.Context) string { return infoOf(ctx).region }

// RequestID is the id that the reply to this request carries.
func RequestID(ctx context.Context) string { return infoOf(ctx).requestID }

// CallerOf is who signed the request.
func CallerOf(ctx context.Context) Caller { return infoOf(ctx).caller }

// WithCaller returns a context as a handler would get it, for calls of a
// handler's Go method by another service or by a test.
func WithCaller(ctx context.Context, region string, c Caller) context.Context {
	return withInfo(ctx, requestInfo{region: region, requestID: newRequestID(), caller: c})
}
