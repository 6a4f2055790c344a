// Package podinfo plays podinfo (https://github.com/stefanprodan/podinfo), the
// application of the chart that scripts install as a user's own: it says who answers.
package podinfo

import (
	"encoding/json"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"aicluster/e2e/localcloud/traffic"
)

// port is podinfo's --port, by default.
const port = 9898

// Image is podinfo's image for the nodes of a cluster.
type Image struct{}

// Servers are podinfo's one port.
func (Image) Servers(pod *corev1.Pod, c *corev1.Container) map[int32]traffic.Server {
	if name, _, _ := strings.Cut(c.Image[strings.LastIndexByte(c.Image, '/')+1:], ":"); name != "podinfo" {
		return nil
	}
	return map[int32]traffic.Server{port: {Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		json.NewEncoder(w).Encode(map[string]string{"hostname": pod.Name}) //nolint:errcheck // the client is gone
	})}}
}
