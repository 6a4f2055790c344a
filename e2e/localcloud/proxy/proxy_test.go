package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"aicluster/e2e/localcloud/proxy"
)

// balancer is a load balancer's name; "slow" takes no connections yet.
const (
	balancer = "web-0123.elb.eu-west-1.amazonaws.com"
	slow     = "slow-0123.elb.eu-west-1.amazonaws.com"
)

func answer(who string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s", who, r.Host, r.RequestURI, body)
	}))
}

func start(t *testing.T, upstream proxy.Upstream, server string) *url.URL {
	p, err := proxy.Start(upstream, func(ctx context.Context, host string, port int32) (net.Conn, bool, error) {
		switch {
		case host == slow:
			return nil, true, syscall.ETIMEDOUT
		case host != balancer:
			return nil, false, nil
		case port != 80:
			return nil, true, syscall.ECONNREFUSED
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", server)
		return conn, true, err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	u, err := url.Parse(p.URL())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestProxy: load balancers by name, everything else as it is.
func TestProxy(t *testing.T) {
	web, outside := answer("web"), answer("outside")
	defer web.Close()
	defer outside.Close()
	at := start(t, nil, web.Listener.Addr().String())
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(at)}}
	elsewhere := outside.Listener.Addr().String()
	for _, c := range []struct {
		url    string
		status int
		answer string
	}{
		{"http://" + balancer + "/v1?x=1", 200, "web " + balancer + " /v1?x=1 hello"},
		{"http://" + balancer, 200, "web " + balancer + " / hello"},
		{"http://" + balancer + ":81/", 502, "connection refused"},
		{"http://" + slow + "/", 504, "timed out"},
		{"http://other-1.eu-west-1.elb.amazonaws.com/", 502, "no such host"},
		{outside.URL + "/x", 200, "outside " + elsewhere + " /x hello"},
	} {
		response, err := client.Post(c.url, "text/plain", strings.NewReader("hello")) //nolint:noctx // a test's
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != c.status || !strings.Contains(string(body), c.answer) {
			t.Errorf("%s: %d %s, %v, want %d %s", c.url, response.StatusCode, body, err, c.status, c.answer)
		}
	}
}

// TestRaw: what only a client that writes its own requests says.
func TestRaw(t *testing.T) {
	web := answer("web")
	defer web.Close()
	at := start(t, nil, web.Listener.Addr().String())
	for name, c := range map[string]struct{ request, answer string }{
		"curl -H Host:":   {"GET http://" + balancer + "/v1/models HTTP/1.1\r\nHost: ai-api.example.com\r\nProxy-Connection: Keep-Alive\r\n\r\n", "web ai-api.example.com /v1/models"},
		"a tunnel":        {"CONNECT " + balancer + ":80 HTTP/1.1\r\nHost: " + balancer + ":80\r\n\r\nGET /t HTTP/1.1\r\nHost: inside\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK"},
		"no tunnel":       {"CONNECT " + balancer + ":443 HTTP/1.1\r\n\r\n", "HTTP/1.1 502 Bad Gateway"},
		"no proxy's":      {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request"},
		"nothing of HTTP": {"hello\r\n\r\n", "HTTP/1.1 400 Bad Request"},
	} {
		conn, err := net.Dial("tcp", at.Host) //nolint:noctx // a test's
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, c.request); err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(conn)
		conn.Close()
		if err != nil || !strings.Contains(string(all), c.answer) {
			t.Errorf("%s: %q, %v, want %q", name, all, err, c.answer)
		}
	}
}

// TestUpstream: the outside is reached by the proxy of the environment.
func TestUpstream(t *testing.T) {
	web := answer("web")
	defer web.Close()
	asked := make(chan string, 1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		request, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		asked <- request.Method + " " + request.Host + " " + request.Header.Get("Proxy-Authorization")
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthere") //nolint:errcheck // the test fails then
	}()
	at := start(t, func(*http.Request) (*url.URL, error) {
		return &url.URL{Scheme: "http", Host: listener.Addr().String(), User: url.UserPassword("me", "secret")}, nil
	}, web.Listener.Addr().String())
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(at)}}
	response, err := client.Get("http://example.invalid/") //nolint:noctx // a test's
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); string(body) != "there" {
		t.Errorf("%s", body)
	}
	if got := <-asked; got != "CONNECT example.invalid:80 Basic bWU6c2VjcmV0" {
		t.Errorf("the other proxy was asked %s", got)
	}
}
