package traffic

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Forward sends a request on to another server, as a proxy in a cluster does.
type Forward struct {
	Dial    func(context.Context) (net.Conn, error)
	Header  map[string]string // set in the request
	Silence time.Duration     // the longest time in which nothing comes of an answer; 0 is no limit
	Whole   time.Duration     // until the answer's end; 0 is no limit
	Buffer  bool              // collects an answer's parts rather than sending each on
}

// ErrSlow is a server that took longer than the proxy waits.
var ErrSlow = errors.New("the upstream timed out")

// Serve sends r on and answers with what comes. An error means that nothing was
// answered yet. An answer that breaks off cuts the client's connection.
func (f Forward) Serve(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	silence := after(f.Silence, cancel)
	defer silence.Stop()
	whole := after(f.Whole, cancel)
	defer whole.Stop()

	out := r.Clone(ctx)
	out.RequestURI, out.URL = "", &url.URL{Scheme: "http", Host: "upstream", Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	dropHopHeaders(out.Header)
	for name, value := range f.Header {
		out.Header.Set(name, value)
	}
	transport := &http.Transport{
		DisableKeepAlives: true, DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return f.Dial(ctx) },
	}
	response, err := transport.RoundTrip(out)
	if err != nil {
		if errors.Is(context.Cause(ctx), ErrSlow) {
			return ErrSlow
		}
		return err
	}
	defer response.Body.Close()
	dropHopHeaders(response.Header)
	maps.Copy(w.Header(), response.Header)
	w.WriteHeader(response.StatusCode)
	if err := f.copy(w, response.Body, silence); err != nil {
		panic(http.ErrAbortHandler) // the client must not take it for the end
	}
	return nil
}

// after ends a request when its time is over; zero means never.
func after(d time.Duration, cancel context.CancelCauseFunc) *time.Timer {
	t := time.AfterFunc(max(d, time.Nanosecond), func() {
		if d > 0 {
			cancel(ErrSlow)
		}
	})
	return t
}

func (f Forward) copy(w http.ResponseWriter, body io.Reader, silence *time.Timer) error {
	flush := http.NewResponseController(w)
	buffer := make([]byte, 8<<10)
	for {
		n, err := body.Read(buffer)
		if f.Silence > 0 {
			silence.Reset(f.Silence)
		}
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return err
			}
			if !f.Buffer {
				flush.Flush() //nolint:errcheck // the next write fails as well
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// dropHopHeaders removes what is about one connection only (RFC 9110, 7.6.1).
func dropHopHeaders(h http.Header) {
	hop := []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}
	for _, name := range slices.Concat(hop, strings.Split(h.Get("Connection"), ",")) {
		h.Del(strings.TrimSpace(name))
	}
}
