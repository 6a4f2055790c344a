package nginx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

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

// pass sends a request to an endpoint of its location's Service.
func (c *controller) pass(w http.ResponseWriter, r *http.Request, scheme, host string, l *location, s settings) {
	remote, _, _ := net.SplitHostPort(r.RemoteAddr)
	err := traffic.Forward{
		Dial: func(ctx context.Context) (net.Conn, error) {
			return c.network.DialBackend(ctx, l.ingress.Namespace, l.backend.Name, l.backend.Port.Name, l.backend.Port.Number)
		},
		Header: map[string]string{
			"X-Request-Id": strings.ReplaceAll(uuid.NewString(), "-", ""), "X-Real-Ip": remote, "X-Forwarded-For": remote, "X-Forwarded-Host": host,
			"X-Forwarded-Proto": scheme, "X-Forwarded-Scheme": scheme, "X-Scheme": scheme,
		},
		Silence: c.clock.Scale(s.readTimeout), Buffer: s.buffering,
	}.Serve(w, r)
	if err != nil && r.Context().Err() == nil {
		page(w, failure(err))
	}
}

// failure is the status for a request that got no answer.
func failure(err error) int {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, traffic.ErrNoEndpoints):
		return http.StatusServiceUnavailable
	case errors.Is(err, traffic.ErrSlow):
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}
