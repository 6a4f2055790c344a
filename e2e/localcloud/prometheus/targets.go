package prometheus

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func kind(plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "monitoring.coreos.com", Version: "v1", Resource: plural}
}

// podMonitor is the part of a PodMonitor that is read.
type podMonitor struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		Selector          metav1.LabelSelector `json:"selector"`
		NamespaceSelector struct {
			Any        bool     `json:"any"`
			MatchNames []string `json:"matchNames"`
		} `json:"namespaceSelector"`
		PodTargetLabels     []string `json:"podTargetLabels"`
		PodMetricsEndpoints []struct {
			Port string `json:"port"`
			Path string `json:"path"`
		} `json:"podMetricsEndpoints"`
	} `json:"spec"`
}

// target is a port of a pod to be read.
type target struct {
	pool           string
	namespace, pod string
	port           int32
	path           string
	address        string
	labels         map[string]string
}

func (t target) url() string { return "http://" + t.address + t.path }

// targets are those of the PodMonitors that the object of a pod of Prometheus
// selects (prometheus-operator, Documentation/api-reference: PrometheusSpec).
func (i *Image) targets(ctx context.Context, prometheus *corev1.Pod) ([]target, error) {
	object, err := i.dyn.Resource(kind("prometheuses")).Namespace(prometheus.Namespace).Get(ctx, prometheus.Labels[operated], metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	var spec struct {
		Spec struct {
			PodMonitorSelector          *metav1.LabelSelector `json:"podMonitorSelector"`
			PodMonitorNamespaceSelector *metav1.LabelSelector `json:"podMonitorNamespaceSelector"`
		} `json:"spec"`
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &spec); err != nil {
		return nil, err
	}
	chosen, err := metav1.LabelSelectorAsSelector(spec.Spec.PodMonitorSelector) // nil selects none
	if err != nil {
		return nil, err
	}
	namespace := ""
	if spec.Spec.PodMonitorNamespaceSelector == nil {
		namespace = prometheus.Namespace
	}
	list, err := i.dyn.Resource(kind("podmonitors")).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: chosen.String()})
	if err != nil || chosen.String() == "" && spec.Spec.PodMonitorSelector == nil {
		return nil, err
	}
	var all []target
	for _, item := range list.Items {
		var m podMonitor
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &m); err != nil {
			return nil, err
		}
		found, err := i.monitored(m)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// monitored are the targets of one PodMonitor: of pods that run, whether they are
// ready or not.
func (i *Image) monitored(m podMonitor) ([]target, error) {
	selector, err := metav1.LabelSelectorAsSelector(&m.Spec.Selector)
	if err != nil {
		return nil, err
	}
	pods, err := i.pods.List(selector)
	if err != nil {
		return nil, err
	}
	where := m.Spec.NamespaceSelector
	var all []target
	for _, pod := range pods {
		there := where.Any || slices.Contains(where.MatchNames, pod.Namespace) || len(where.MatchNames) == 0 && pod.Namespace == m.Metadata.Namespace
		if !there || pod.Status.Phase != corev1.PodRunning || pod.Status.PodIP == "" {
			continue
		}
		for n, e := range m.Spec.PodMetricsEndpoints {
			for _, c := range pod.Spec.Containers {
				for _, p := range c.Ports {
					if p.Name != e.Port {
						continue
					}
					t := target{
						pool: fmt.Sprintf("podMonitor/%s/%s/%d", m.Metadata.Namespace, m.Metadata.Name, n), namespace: pod.Namespace, pod: pod.Name, port: p.ContainerPort,
						path: e.Path, address: net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(p.ContainerPort))),
					}
					if t.path == "" {
						t.path = "/metrics"
					}
					t.labels = map[string]string{
						"namespace": pod.Namespace, "pod": pod.Name, "container": c.Name, "endpoint": e.Port, "instance": t.address, "job": m.Metadata.Namespace + "/" + m.Metadata.Name,
					}
					for _, label := range m.Spec.PodTargetLabels {
						if value := pod.Labels[label]; value != "" {
							t.labels[notInName.ReplaceAllString(label, "_")] = value
						}
					}
					all = append(all, t)
				}
			}
		}
	}
	return all, nil
}

// notInName is what a label's name may not have in Prometheus.
var notInName = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// scrapeTimeout is Prometheus' scrape_timeout.
const scrapeTimeout = 10 * time.Second

// sample is the newest value of one series.
type sample struct {
	name   string
	labels map[string]string
	value  float64
}

// samples are those of all targets that answer.
func (i *Image) samples(ctx context.Context, prometheus *corev1.Pod) ([]sample, error) {
	targets, err := i.targets(ctx, prometheus)
	if err != nil {
		return nil, err
	}
	var all []sample
	for _, t := range targets {
		if found, err := i.scrape(ctx, t); err == nil {
			all = append(all, found...)
		}
	}
	return all, nil
}

// scrape reads a target. Of labels that both have, the target's count, and the
// series' are called exported_….
func (i *Image) scrape(ctx context.Context, t target) ([]sample, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return i.network.DialPod(ctx, t.namespace, t.pod, t.port)
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url(), nil)
	if err != nil {
		return nil, err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("server returned HTTP status %s", response.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return nil, err
	}
	var all []sample
	for name, family := range families {
		for _, m := range family.Metric {
			value, ok := number(m)
			if !ok {
				continue // histograms and summaries are nothing to scale by
			}
			s := sample{name: name, labels: maps.Clone(t.labels), value: value}
			for _, l := range m.Label {
				key := l.GetName()
				if _, taken := t.labels[key]; taken {
					key = "exported_" + key
				}
				s.labels[key] = l.GetValue()
			}
			all = append(all, s)
		}
	}
	return all, nil
}

func number(m *dto.Metric) (float64, bool) {
	switch {
	case m.Gauge != nil:
		return m.Gauge.GetValue(), true
	case m.Counter != nil:
		return m.Counter.GetValue(), true
	case m.Untyped != nil:
		return m.Untyped.GetValue(), true
	}
	return 0, false
}
