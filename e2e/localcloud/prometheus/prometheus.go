// Package prometheus plays the images of Prometheus and of its adapter, as far as
// an autoscaler by a metric of its own needs them. Prometheus knows its targets by
// the PodMonitors that its object selects, and reads them when it is asked; the
// adapter asks Prometheus by the rules of its ConfigMap. A monitor that selects no
// pod, a port that has another name or a query that is wrong shows as it would there.
//
// Files: prometheus (this one) is the images and Prometheus' API, targets finds what
// to read, query evaluates, adapter serves custom.metrics.k8s.io.
package prometheus

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"

	"aicluster/e2e/localcloud/traffic"
)

// Image is Prometheus and its adapter for the nodes of a cluster.
type Image struct {
	network *traffic.Network
	dyn     dynamic.Interface
	pods    corelisters.PodLister
	configs corelisters.ConfigMapLister
}

// New returns the images; they reach each other and their targets by the network.
func New(n *traffic.Network, dyn dynamic.Interface) *Image { return &Image{network: n, dyn: dyn} }

// Watch implements traffic.Watcher.
func (i *Image) Watch(_ kubernetes.Interface, factory informers.SharedInformerFactory) error {
	core := factory.Core().V1()
	i.pods, i.configs = core.Pods().Lister(), core.ConfigMaps().Lister()
	return nil
}

// Run implements traffic.Watcher.
func (i *Image) Run(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// The port of Prometheus, and the adapter's unless its arguments say otherwise.
const (
	prometheusPort = 9090
	adapterPort    = 6443
)

// operated is the label by which a pod of Prometheus names the object that it runs for.
const operated = "operator.prometheus.io/name"

// Servers implements traffic.Image.
func (i *Image) Servers(pod *corev1.Pod, c *corev1.Container) map[int32]traffic.Server {
	name, _, _ := strings.Cut(c.Image[strings.LastIndexByte(c.Image, '/')+1:], ":")
	switch {
	case name == "prometheus" && pod.Labels[operated] != "":
		return map[int32]traffic.Server{prometheusPort: {Handler: i.api(pod)}}
	case name == "prometheus-adapter":
		return i.adapter(pod, c)
	}
	return nil
}

// api is Prometheus' HTTP API
// (https://prometheus.io/docs/prometheus/latest/querying/api/).
func (i *Image) api(pod *corev1.Pod) http.Handler {
	mux := http.NewServeMux()
	for _, probe := range []string{"/-/ready", "/-/healthy"} {
		mux.HandleFunc("GET "+probe, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("Prometheus Server is Ready.\n")) }) //nolint:errcheck // the client is gone
	}
	mux.HandleFunc("GET /api/v1/targets", func(w http.ResponseWriter, r *http.Request) {
		targets, err := i.targets(r.Context(), pod)
		if err != nil {
			fail(w, "internal", err)
			return
		}
		active := []any{}
		for _, t := range targets {
			health, last := "up", ""
			if _, err := i.scrape(r.Context(), t); err != nil {
				health, last = "down", err.Error()
			}
			active = append(active, map[string]any{"labels": t.labels, "scrapePool": t.pool, "scrapeUrl": t.url(), "health": health, "lastError": last})
		}
		succeed(w, map[string]any{"activeTargets": active, "droppedTargets": []any{}})
	})
	mux.HandleFunc("GET /api/v1/query", func(w http.ResponseWriter, r *http.Request) {
		q, err := parse(r.FormValue("query"))
		if err != nil {
			fail(w, "bad_data", err)
			return
		}
		samples, err := i.samples(r.Context(), pod)
		if err != nil {
			fail(w, "internal", err)
			return
		}
		result := []any{}
		for _, s := range q.evaluate(samples) {
			result = append(result, map[string]any{"metric": s.labels, "value": []any{float64(time.Now().UnixMilli()) / 1000, strconv.FormatFloat(s.value, 'g', -1, 64)}})
		}
		succeed(w, map[string]any{"resultType": "vector", "result": result})
	})
	return mux
}

func succeed(w http.ResponseWriter, data any) {
	answer(w, http.StatusOK, map[string]any{"status": "success", "data": data})
}

func fail(w http.ResponseWriter, kind string, err error) {
	status := http.StatusInternalServerError
	if kind == "bad_data" {
		status = http.StatusBadRequest
	}
	answer(w, status, map[string]any{"status": "error", "errorType": kind, "error": err.Error()})
}

func answer(w http.ResponseWriter, status int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(object) //nolint:errcheck // the client is gone
}
