package prometheus

import (
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/metrics/pkg/apis/custom_metrics/v1beta1"
	"sigs.k8s.io/yaml"

	"aicluster/e2e/localcloud/traffic"
)

// rule is one of the adapter's rules
// (https://github.com/kubernetes-sigs/prometheus-adapter/blob/master/docs/config.md).
type rule struct {
	SeriesQuery string `json:"seriesQuery"`
	Resources   struct {
		Overrides map[string]struct {
			Resource string `json:"resource"`
		} `json:"overrides"`
	} `json:"resources"`
	Name struct {
		Matches string `json:"matches"`
		As      string `json:"as"`
	} `json:"name"`
	MetricsQuery string `json:"metricsQuery"`
}

// series is the name of the series that the rule is about, or empty.
func (r rule) series() string {
	name, _, _ := strings.Cut(r.SeriesQuery, "{")
	return name
}

// metric is what the rule calls its series.
func (r rule) metric() string {
	if r.Name.As == "" {
		return r.series()
	}
	matches, err := regexp.Compile(r.Name.Matches)
	if err != nil || !matches.MatchString(r.series()) {
		return ""
	}
	return matches.ReplaceAllString(r.series(), r.Name.As)
}

// label is the label that names a resource, empty if the rule has none.
func (r rule) label(resource string) string {
	for label, o := range r.Resources.Overrides {
		if o.Resource == resource {
			return label
		}
	}
	return ""
}

// adapter is what a pod of the adapter listens on.
func (i *Image) adapter(pod *corev1.Pod, c *corev1.Container) map[int32]traffic.Server {
	a := &adapter{image: i, pod: pod, prometheus: argument(c.Args, "--prometheus-url=")}
	port := int32(adapterPort)
	if n, err := strconv.ParseInt(argument(c.Args, "--secure-port="), 10, 32); err == nil {
		port = int32(n)
	}
	cert, err := traffic.SelfSigned(pkix.Name{CommonName: "prometheus-adapter"}, "localhost")
	if err != nil {
		return nil // no randomness
	}
	return map[int32]traffic.Server{port: {Handler: a.handler(), TLS: &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}}}
}

func argument(args []string, prefix string) string {
	for _, arg := range args {
		if value, ok := strings.CutPrefix(arg, prefix); ok {
			return value
		}
	}
	return ""
}

// adapter serves the metrics of pods as custom.metrics.k8s.io.
type adapter struct {
	image      *Image
	pod        *corev1.Pod
	prometheus string // URL
}

func (a *adapter) handler() http.Handler {
	mux := http.NewServeMux()
	version := v1beta1.SchemeGroupVersion
	v := metav1.GroupVersionForDiscovery{GroupVersion: version.String(), Version: version.Version}
	group := metav1.APIGroup{TypeMeta: metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}, Name: version.Group, Versions: []metav1.GroupVersionForDiscovery{v}, PreferredVersion: v}
	mux.HandleFunc("GET /apis/"+version.Group, func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, group) })
	mux.HandleFunc("GET /apis", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: []metav1.APIGroup{group}})
	})
	mux.HandleFunc("GET /apis/"+version.String(), func(w http.ResponseWriter, _ *http.Request) {
		list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: version.String(), APIResources: []metav1.APIResource{}}
		for _, r := range a.rules() {
			if name := r.metric(); name != "" && r.label("pod") != "" {
				list.APIResources = append(list.APIResources, metav1.APIResource{Name: "pods/" + name, Namespaced: true, Kind: "MetricValueList", Verbs: metav1.Verbs{"get"}})
			}
		}
		answer(w, http.StatusOK, list)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) }) //nolint:errcheck // the client is gone
	mux.HandleFunc("GET /apis/"+version.String()+"/namespaces/{namespace}/pods/{name}/{metric}", func(w http.ResponseWriter, r *http.Request) {
		list, err := a.values(r.Context(), r.PathValue("namespace"), r.PathValue("name"), r.PathValue("metric"), r.URL.Query().Get("labelSelector"))
		if err != nil {
			status, ok := err.(*apierrors.StatusError)
			if !ok {
				status = apierrors.NewInternalError(err)
			}
			answer(w, int(status.ErrStatus.Code), status.ErrStatus)
			return
		}
		answer(w, http.StatusOK, list)
	})
	return mux
}

// rules are those of the adapter's ConfigMap.
func (a *adapter) rules() []rule {
	for _, v := range a.pod.Spec.Volumes {
		if v.ConfigMap == nil {
			continue
		}
		config, err := a.image.configs.ConfigMaps(a.pod.Namespace).Get(v.ConfigMap.Name)
		if err != nil {
			continue
		}
		var c struct {
			Rules []rule `json:"rules"`
		}
		if yaml.Unmarshal([]byte(config.Data["config.yaml"]), &c) == nil {
			return c.Rules
		}
	}
	return nil
}

// values are a metric's of the pods that are asked for; "*" is all that the
// selector picks. Without any value there is no such metric.
func (a *adapter) values(ctx context.Context, namespace, name, metric, selector string) (*v1beta1.MetricValueList, error) {
	absent := apierrors.NewNotFound(schema.GroupResource{Group: v1beta1.SchemeGroupVersion.Group, Resource: "pods"}, metric)
	absent.ErrStatus.Message = fmt.Sprintf("the server could not find the metric %s for pods", metric)
	rules := a.rules()
	at := slices.IndexFunc(rules, func(r rule) bool { return r.metric() == metric && r.label("pod") != "" })
	if at < 0 {
		return nil, absent
	}
	picked, err := labels.Parse(selector)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	pods, err := a.image.pods.Pods(namespace).List(picked)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, pod := range pods {
		if name == "*" || name == pod.Name {
			names = append(names, pod.Name)
		}
	}
	if len(names) == 0 {
		return nil, absent
	}
	slices.Sort(names)
	found, err := a.ask(ctx, rules[at], namespace, names)
	if err != nil {
		return nil, err
	}
	list := &v1beta1.MetricValueList{TypeMeta: metav1.TypeMeta{Kind: "MetricValueList", APIVersion: v1beta1.SchemeGroupVersion.String()}, Items: []v1beta1.MetricValue{}}
	for _, pod := range names {
		if value, ok := found[pod]; ok {
			list.Items = append(list.Items, v1beta1.MetricValue{
				DescribedObject: corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: pod, APIVersion: "/v1"},
				MetricName:      metric, Timestamp: metav1.Now(), Value: *resource.NewMilliQuantity(int64(value*1000), resource.DecimalSI),
			})
		}
	}
	if len(list.Items) == 0 {
		return nil, absent
	}
	return list, nil
}

// ask fills in a rule's query, has Prometheus evaluate it, and returns the values
// by pod.
func (a *adapter) ask(ctx context.Context, r rule, namespace string, pods []string) (map[string]float64, error) {
	form, err := template.New("query").Delims("<<", ">>").Parse(r.MetricsQuery)
	if err != nil {
		return nil, err
	}
	matchers := fmt.Sprintf(`%s=%q,`, r.label("namespace"), namespace)
	if len(pods) == 1 {
		matchers += fmt.Sprintf(`%s=%q`, r.label("pod"), pods[0])
	} else {
		matchers += fmt.Sprintf(`%s=~%q`, r.label("pod"), strings.Join(pods, "|"))
	}
	var query strings.Builder
	if err := form.Execute(&query, map[string]string{"Series": r.series(), "LabelMatchers": matchers, "GroupBy": r.label("pod")}); err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.prometheus+"/api/v1/query?query="+url.QueryEscape(query.String()), nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		return a.image.network.Dial(ctx, network, address)
	}}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("unable to fetch metrics: %w", err)
	}
	defer response.Body.Close()
	var reply struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&reply); err != nil {
		return nil, err
	}
	if reply.Status != "success" {
		return nil, fmt.Errorf("unable to fetch metrics: %s", reply.Error)
	}
	values := map[string]float64{}
	for _, s := range reply.Data.Result {
		text, _ := s.Value[1].(string)
		if values[s.Metric[r.label("pod")]], err = strconv.ParseFloat(text, 64); err != nil {
			return nil, err
		}
	}
	return values, nil
}
