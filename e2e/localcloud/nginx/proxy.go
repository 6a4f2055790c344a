package nginx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"aicluster/e2e/localcloud/traffic"
)

// handler answers at nginx's port for a scheme.
func (c *controller) handler(scheme string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := strings.ToLower(r.Host)
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		l := c.find(host, r.URL.Path)
		if l == nil {
			page(w, http.StatusNotFound)
			return
		}
		s := c.settingsOf(r.Context(), l.ingress)
		if scheme == "http" && (s.forceSSL || s.sslRedirect && c.hasCertificate(r.Context(), host)) {
			w.Header().Set("Location", "https://"+host+r.URL.RequestURI())
			page(w, http.StatusPermanentRedirect)
			return
		}
		if s.bodySize > 0 {
			if r.ContentLength > s.bodySize {
				page(w, http.StatusRequestEntityTooLarge)
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, s.bodySize)
		}
		if scheme == "https" && s.hsts {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}
		c.pass(w, r, scheme, host, l, s)
	})
}

// titles are nginx's where they are not net/http's.
var titles = map[int]string{
	http.StatusServiceUnavailable: "Service Temporarily Unavailable",
	http.StatusGatewayTimeout:     "Gateway Time-out",
}

// page answers with one of nginx's own pages.
func page(w http.ResponseWriter, code int) {
	title := titles[code]
	if title == "" {
		title = http.StatusText(code)
	}
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(code)
	fmt.Fprintf(w, "<html>\r\n<head><title>%[1]d %[2]s</title></head>\r\n<body>\r\n<center><h1>%[1]d %[2]s</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n", code, title)
}

// errSilent is an upstream that sends nothing for longer than the read timeout.
var errSilent = errors.New("upstream timed out")

// pass sends a request to an endpoint of its location's Service.
func (c *controller) pass(w http.ResponseWriter, r *http.Request, scheme, host string, l *location, s settings) {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	silence := time.AfterFunc(c.clock.Scale(s.readTimeout), func() { cancel(errSilent) })
	defer silence.Stop()

	out := r.Clone(ctx)
	out.RequestURI, out.URL = "", &url.URL{Scheme: "http", Host: "upstream", Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	remote, _, _ := net.SplitHostPort(r.RemoteAddr)
	for name, value := range map[string]string{
		"X-Request-Id": strings.ReplaceAll(uuid.NewString(), "-", ""), "X-Real-Ip": remote, "X-Forwarded-For": remote, "X-Forwarded-Host": host,
		"X-Forwarded-Proto": scheme, "X-Forwarded-Scheme": scheme, "X-Scheme": scheme,
	} {
		out.Header.Set(name, value)
	}
	dropHopHeaders(out.Header)
	transport := &http.Transport{
		DisableKeepAlives: true, DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return c.network.DialBackend(ctx, l.ingress.Namespace, l.backend.Name, l.backend.Port.Name, l.backend.Port.Number)
		},
	}
	response, err := transport.RoundTrip(out)
	if err != nil {
		if r.Context().Err() == nil {
			page(w, failure(ctx, err))
		}
		return
	}
	defer response.Body.Close()
	dropHopHeaders(response.Header)
	maps.Copy(w.Header(), response.Header)
	w.WriteHeader(response.StatusCode)
	c.copy(w, response.Body, s, silence)
	if errors.Is(context.Cause(ctx), errSilent) {
		panic(http.ErrAbortHandler) // nginx closes the connection in the middle of an answer
	}
}

// failure is the status for a request that got no answer.
func failure(ctx context.Context, err error) int {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, traffic.ErrNoEndpoints):
		return http.StatusServiceUnavailable
	case errors.Is(context.Cause(ctx), errSilent):
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

// copy sends an answer on, as it comes or, with buffering, when there is a buffer
// full of it.
func (c *controller) copy(w http.ResponseWriter, body io.Reader, s settings, silence *time.Timer) {
	flush := http.NewResponseController(w)
	buffer := make([]byte, 8<<10)
	for {
		n, err := body.Read(buffer)
		silence.Reset(c.clock.Scale(s.readTimeout))
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return
			}
			if !s.buffering {
				flush.Flush() //nolint:errcheck // the next write fails as well
			}
		}
		if err != nil {
			return
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
