package traffic

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// upgrade is what a tunnel's request asks its connection to become.
const upgrade = "tcp"

// ServeTunnel connects a request of [Tunnel] with the address in its query.
func (n *Network) ServeTunnel(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != upgrade {
		http.Error(w, "not a tunnel", http.StatusBadRequest)
		return
	}
	there, err := n.dial(r.Context(), r.URL.Query().Get("to"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	here, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		there.Close()
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if _, err := io.WriteString(here, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+upgrade+"\r\n\r\n"); err != nil {
		here.Close()
		there.Close()
		return
	}
	Join(readConn{here, buffered.Reader}, there)
}

// Tunnel connects from another process to an address inside a cluster, by way of
// the URL at which [Network.ServeTunnel] answers.
func Tunnel(ctx context.Context, at, address string) (net.Conn, error) {
	u, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	u.RawQuery = url.Values{"to": {address}}.Encode()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	reader := bufio.NewReader(conn)
	err = func() error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return err
		}
		request.Header.Set("Connection", "Upgrade")
		request.Header.Set("Upgrade", upgrade)
		if err := request.Write(conn); err != nil {
			return err
		}
		response, err := http.ReadResponse(reader, request)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusSwitchingProtocols {
			text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
			return errors.New(strings.TrimSpace(string(text)))
		}
		return nil
	}()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("dial tcp %s: connect: %w", address, err)
	}
	return readConn{conn, reader}, nil
}

// Join copies between two connections until one of them ends, and closes both.
func Join(a, b net.Conn) {
	var both sync.WaitGroup
	for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			io.Copy(pair[0], pair[1]) //nolint:errcheck // any end is the end
			a.Close()
			b.Close()
		})
	}
	both.Wait()
}
