package podinfo

import (
	"context"
	"net"
	"strings"
	"testing"

	"aicluster/e2e/localcloud/traffic"
	"aicluster/e2e/localcloud/traffic/traffictest"
)

// TestAnswers: podinfo says which pod it is, another image has no such port.
func TestAnswers(t *testing.T) {
	n := traffic.New()
	n.Install(Image{})
	traffictest.Start(t, n, traffictest.Pod("web", "mine", "one", "10.0.1.1", "ghcr.io/stefanprodan/podinfo:1.0.0"),
		traffictest.Pod("web", "other", "one", "10.0.1.2", "ghcr.io/somebody/podinformer:1.0.0"))
	dial := func(ctx context.Context) (net.Conn, error) { return n.DialPod(ctx, "web", "mine", port) }
	if status, _, text := traffictest.Ask(t, dial, "web.example.com", "/", 0); status != 200 || !strings.Contains(text, `"hostname":"mine"`) {
		t.Errorf("podinfo answers %d %s", status, text)
	}
	if c, err := n.DialPod(t.Context(), "web", "other", port); err == nil {
		c.Close()
		t.Error("another image listens at podinfo's port")
	}
}
