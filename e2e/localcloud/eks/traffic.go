package eks

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"aicluster/e2e/localcloud/envoy"
	"aicluster/e2e/localcloud/nginx"
	"aicluster/e2e/localcloud/podinfo"
	"aicluster/e2e/localcloud/traffic"
	"aicluster/e2e/localcloud/vllm"
)

// newNetwork is the network of a cluster, with the images that answer requests.
func (s *Service) newNetwork() *traffic.Network {
	n := traffic.New()
	n.Install(vllm.New(s.clock), nginx.New(n, s.clock), envoy.New(n, s.clock), podinfo.Image{})
	return n
}

// NetworkPath is where [Service.Network] is to be mounted below BaseURL. The region
// and the name of the cluster follow it.
const NetworkPath = "/_localcloud/eks/network/"

func (s *Service) networkURL(key clusterKey) string {
	return strings.TrimSuffix(s.opts.BaseURL, "/") + NetworkPath + url.PathEscape(key.region) + "/" + url.PathEscape(key.name)
}

// Network lets the control planes into the networks of their clusters.
func (s *Service) Network() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		region, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, NetworkPath), "/")
		s.mu.Lock()
		c := s.clusters[clusterKey{region, name}]
		s.mu.Unlock()
		if c == nil {
			http.NotFound(w, r)
			return
		}
		c.network.ServeTunnel(w, r)
	})
}

// DialInstance connects to a port of an instance: of its node, if it is one. On
// other instances nothing listens.
func (s *Service) DialInstance(ctx context.Context, region, instanceID string, port int32) (net.Conn, error) {
	s.mu.Lock()
	var c *cluster
	node := ""
	for _, have := range s.clusters {
		if name := have.nodes[instanceID]; name != "" && have.key.region == region {
			c, node = have, name
		}
	}
	s.mu.Unlock()
	if c == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	return c.network.DialNode(ctx, node, port)
}
