// Package proxy is the way from this machine to the local cloud's load balancers:
// an HTTP proxy that knows their DNS names, for which there is no DNS. Clients find
// it in HTTP_PROXY and HTTPS_PROXY, as they would find a company's. To all other
// hosts it tunnels unchanged.
//
// It passes on what a client says and does not read it: a plain request whose Host
// header differs from the host of its URL, as with curl -H Host:, keeps both.
package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"aicluster/e2e/localcloud/traffic"
)

// Dial connects to a port of a host of the local cloud's; known is false for others.
type Dial func(ctx context.Context, host string, port int32) (conn net.Conn, known bool, err error)

// Upstream is the proxy by which the outside is reached, as [http.ProxyFromEnvironment]
// finds it; nil for none.
type Upstream func(*http.Request) (*url.URL, error)

// Server is a proxy that runs.
type Server struct {
	dials    []Dial
	upstream Upstream
	listener net.Listener
	ctx      context.Context
	stop     context.CancelFunc
	work     sync.WaitGroup
}

// headTime is how long a client may take for the head of its request.
const headTime = time.Minute

// Start starts a proxy on a free port of 127.0.0.1, which nobody else's machine
// reaches. [Server.Close] ends it.
func Start(upstream Upstream, dials ...Dial) (*Server, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{dials: dials, upstream: upstream, listener: listener}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.work.Go(s.accept)
	return s, nil
}

// URL is what clients have in their environment.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Close cuts all connections.
func (s *Server) Close() {
	s.stop()
	s.listener.Close()
	s.work.Wait()
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.work.Go(func() {
			defer conn.Close()
			stop := context.AfterFunc(s.ctx, func() { conn.Close() })
			defer stop()
			s.serve(conn)
		})
	}
}

// serve passes one request on. Another one needs a connection of its own.
func (s *Server) serve(client net.Conn) {
	client.SetReadDeadline(time.Now().Add(headTime)) //nolint:errcheck // never fails on TCP
	r := bufio.NewReader(client)
	h, err := readHead(r)
	if err != nil {
		refuse(client, http.StatusBadRequest, err)
		return
	}
	client.SetReadDeadline(time.Time{}) //nolint:errcheck // as above
	server, err := s.connect(h)
	if err != nil {
		code := http.StatusBadGateway
		if errors.Is(err, syscall.ETIMEDOUT) || errors.Is(err, os.ErrDeadlineExceeded) {
			code = http.StatusGatewayTimeout
		}
		refuse(client, code, err)
		return
	}
	defer server.Close()
	if h.tunnel() {
		if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
			return
		}
	} else if _, err := server.Write(h.forwarded()); err != nil {
		refuse(client, http.StatusBadGateway, err)
		return
	}
	traffic.Join(buffered{client, r}, server)
}

// buffered is a connection of which the head was read ahead.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

func refuse(client net.Conn, code int, err error) {
	text := "the local cloud's proxy: " + err.Error() + "\n"
	fmt.Fprintf(client, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		code, http.StatusText(code), len(text), text)
}

// balancerName is what names of load balancers look like: those that do not exist
// are not looked for in the real world.
var balancerName = regexp.MustCompile(`(?i)\.elb\.(?:[a-z0-9-]+\.)?amazonaws\.com$`)

// connect dials where a request wants to go.
func (s *Server) connect(h *head) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.ctx, 30*time.Second)
	defer cancel()
	for _, dial := range s.dials {
		if conn, known, err := dial(ctx, h.host, h.port); known {
			if err != nil {
				err = fmt.Errorf("dial tcp %s:%d: %w", h.host, h.port, err)
			}
			return conn, err
		}
	}
	if balancerName.MatchString(h.host) {
		return nil, &net.DNSError{Err: "no such host", Name: h.host, IsNotFound: true}
	}
	if s.upstream != nil {
		u, err := s.upstream(&http.Request{URL: h.url()})
		if err != nil {
			return nil, err
		}
		if u != nil {
			return s.throughUpstream(ctx, u, h)
		}
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", h.address())
}

// throughUpstream asks another proxy for a tunnel.
func (s *Server) throughUpstream(ctx context.Context, u *url.URL, h *head) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, fmt.Errorf("the proxy of the environment: %w", err)
	}
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: h.address()}, Host: h.address(), Header: http.Header{}}
	if u.User != nil {
		password, _ := u.User.Password()
		request.SetBasicAuth(u.User.Username(), password)
		request.Header["Proxy-Authorization"] = request.Header["Authorization"]
		request.Header.Del("Authorization")
	}
	r := bufio.NewReader(conn)
	err = request.Write(conn)
	var response *http.Response
	if err == nil {
		response, err = http.ReadResponse(r, request)
	}
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("the proxy of the environment, at %s: %w", u.Host, err)
	}
	return buffered{conn, r}, nil
}

// head is the head of a request to a proxy.
type head struct {
	method, path, version string
	host                  string
	port                  int32
	fields                [][]byte // header lines as they came
}

// maxHead bounds a head, in bytes.
const maxHead = 64 << 10

func readHead(r *bufio.Reader) (*head, error) {
	var lines [][]byte
	for size := 0; ; {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		if size += len(line); size > maxHead {
			return nil, errors.New("the request's head is too long")
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return nil, errors.New("no request")
	}
	parts := strings.Split(string(lines[0]), " ")
	if len(parts) != 3 || !strings.HasPrefix(parts[2], "HTTP/1.") {
		return nil, fmt.Errorf("not a request: %q", lines[0])
	}
	h := &head{method: parts[0], version: parts[2], fields: lines[1:]}
	address, standard := parts[1], "443"
	if !h.tunnel() {
		u, err := url.Parse(parts[1])
		if err != nil || u.Scheme != "http" || u.Host == "" {
			return nil, fmt.Errorf("%q is no request to a proxy", lines[0])
		}
		address, standard = u.Host, "80"
		h.path = u.RequestURI()
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = strings.Trim(address, "[]"), standard
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", address, err)
	}
	h.host, h.port = host, int32(n)
	return h, nil
}

func (h *head) tunnel() bool    { return h.method == http.MethodConnect }
func (h *head) address() string { return net.JoinHostPort(h.host, strconv.Itoa(int(h.port))) }

// url is where the request goes, to choose an upstream proxy for it.
func (h *head) url() *url.URL {
	if h.tunnel() {
		return &url.URL{Scheme: "https", Host: h.address()}
	}
	return &url.URL{Scheme: "http", Host: h.address(), Path: "/"}
}

// forwarded is the head for the server: its path alone, and no more requests after it.
func (h *head) forwarded() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s %s\r\n", h.method, h.path, h.version)
	for _, f := range h.fields {
		name, _, _ := bytes.Cut(f, []byte(":"))
		switch strings.ToLower(string(name)) {
		case "connection", "proxy-connection", "keep-alive", "proxy-authorization":
		default:
			b.Write(f)
			b.WriteString("\r\n")
		}
	}
	b.WriteString("Connection: close\r\n\r\n")
	return b.Bytes()
}
