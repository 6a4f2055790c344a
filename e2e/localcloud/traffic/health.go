package traffic

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// HealthCheck is what a load balancer asks a target.
type HealthCheck struct {
	Path    string              // of an HTTP request; empty: it is enough that a connection is taken
	Passes  func(code int) bool // status codes of a healthy target
	Timeout time.Duration
}

// CodeError is an answer to a health check with a code that does not pass.
type CodeError int

func (e CodeError) Error() string {
	return fmt.Sprintf("Health checks failed with these codes: [%d]", int(e))
}

// Ask checks one target. A nil error means that it is healthy.
func (h HealthCheck) Ask(ctx context.Context, dial func(context.Context) (net.Conn, error)) error {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	if h.Path == "" {
		conn, err := dial(ctx)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://target"+h.Path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "ELB-HealthChecker/2.0")
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16)) //nolint:errcheck // only its code counts
	if !h.Passes(response.StatusCode) {
		return CodeError(response.StatusCode)
	}
	return nil
}
