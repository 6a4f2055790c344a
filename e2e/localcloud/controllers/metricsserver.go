package controllers

import (
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/json"
	"hash/fnv"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"aicluster/e2e/localcloud/traffic"
)

// metricsServer plays the image of metrics-server: the API metrics.k8s.io, by which
// "kubectl top" and autoscalers learn what nodes and pods use. Containers do not
// run, so what they use is made up from what they request, and is the same each time.
type metricsServer struct {
	pods  corelisters.PodLister
	nodes corelisters.NodeLister
}

// Watch implements traffic.Watcher.
func (m *metricsServer) Watch(_ kubernetes.Interface, factory informers.SharedInformerFactory) error {
	core := factory.Core().V1()
	m.pods, m.nodes = core.Pods().Lister(), core.Nodes().Lister()
	return nil
}

// Run implements traffic.Watcher.
func (m *metricsServer) Run(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// Servers implements traffic.Image.
func (m *metricsServer) Servers(_ *corev1.Pod, c *corev1.Container) map[int32]traffic.Server {
	return apiServer(c, "metrics-server", 10250, m.handler())
}

// apiServer is what an aggregated API server listens on, if the container's image
// has that name: its --secure-port, with a certificate of its own.
func apiServer(c *corev1.Container, image string, port int32, h http.Handler) map[int32]traffic.Server {
	if imageName(c.Image) != image {
		return nil
	}
	if n, err := strconv.ParseInt(argument(c.Args, "--secure-port="), 10, 32); err == nil {
		port = int32(n)
	}
	cert, err := traffic.SelfSigned(pkix.Name{CommonName: image}, "localhost")
	if err != nil {
		return nil // no randomness
	}
	return map[int32]traffic.Server{port: {Handler: h, TLS: &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}}}
}

// handler is the API, with the probes.
func (m *metricsServer) handler() http.Handler {
	mux := http.NewServeMux()
	const api = "/apis/metrics.k8s.io/v1beta1"
	serveGroup(mux, v1beta1.SchemeGroupVersion, []metav1.APIResource{
		{Name: "nodes", SingularName: "node", Kind: "NodeMetrics", Verbs: metav1.Verbs{"get", "list"}},
		{Name: "pods", SingularName: "pod", Namespaced: true, Kind: "PodMetrics", Verbs: metav1.Verbs{"get", "list"}},
	})
	mux.HandleFunc("GET "+api+"/nodes", func(w http.ResponseWriter, r *http.Request) { m.listNodes(w, r) })
	mux.HandleFunc("GET "+api+"/nodes/{name}", func(w http.ResponseWriter, r *http.Request) {
		node, err := m.nodes.Get(r.PathValue("name"))
		if err != nil || !nodeReady(node) {
			absent(w, "nodes", r.PathValue("name"))
			return
		}
		answer(w, m.node(node))
	})
	mux.HandleFunc("GET "+api+"/pods", func(w http.ResponseWriter, r *http.Request) { m.listPods(w, r, "") })
	mux.HandleFunc("GET "+api+"/namespaces/{namespace}/pods", func(w http.ResponseWriter, r *http.Request) { m.listPods(w, r, r.PathValue("namespace")) })
	mux.HandleFunc("GET "+api+"/namespaces/{namespace}/pods/{name}", func(w http.ResponseWriter, r *http.Request) {
		pod, err := m.pods.Pods(r.PathValue("namespace")).Get(r.PathValue("name"))
		if err != nil || !measured(pod) {
			absent(w, "pods", r.PathValue("namespace")+"/"+r.PathValue("name"))
			return
		}
		answer(w, m.pod(pod))
	})
	return mux
}

// serveGroup is an aggregated API server's discovery, and its probes.
func serveGroup(mux *http.ServeMux, version schema.GroupVersion, resources []metav1.APIResource) {
	v := metav1.GroupVersionForDiscovery{GroupVersion: version.String(), Version: version.Version}
	group := metav1.APIGroup{
		TypeMeta: metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}, Name: version.Group,
		Versions: []metav1.GroupVersionForDiscovery{v}, PreferredVersion: v,
	}
	give := func(path string, object any) {
		mux.HandleFunc("GET "+path+"/{$}", func(w http.ResponseWriter, _ *http.Request) { answer(w, object) })
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { answer(w, object) })
	}
	give("/apis", metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: []metav1.APIGroup{group}})
	give("/apis/"+version.Group, group)
	give("/apis/"+version.String(), metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: version.String(), APIResources: resources})
	for _, probe := range []string{"/healthz", "/livez", "/readyz"} {
		mux.HandleFunc("GET "+probe, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) }) //nolint:errcheck // the client is gone
	}
}

func answer(w http.ResponseWriter, object any) { answerStatus(w, http.StatusOK, object) }

func answerStatus(w http.ResponseWriter, status int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(object) //nolint:errcheck // the client is gone
}

// absent is metrics-server's answer about what it has not measured.
func absent(w http.ResponseWriter, resource, name string) {
	err := apierrors.NewNotFound(schema.GroupResource{Group: v1beta1.SchemeGroupVersion.Group, Resource: resource}, name)
	answerStatus(w, http.StatusNotFound, err.ErrStatus)
}

// selected are the labels that a request selects by; false after an answer.
func selected(w http.ResponseWriter, r *http.Request) (labels.Selector, bool) {
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		answerStatus(w, http.StatusBadRequest, apierrors.NewBadRequest(err.Error()).ErrStatus)
	}
	return selector, err == nil
}

func (m *metricsServer) listNodes(w http.ResponseWriter, r *http.Request) {
	selector, ok := selected(w, r)
	if !ok {
		return
	}
	nodes, _ := m.nodes.List(selector) // listers over a cache do not fail
	list := v1beta1.NodeMetricsList{TypeMeta: metav1.TypeMeta{Kind: "NodeMetricsList", APIVersion: v1beta1.SchemeGroupVersion.String()}, Items: []v1beta1.NodeMetrics{}}
	for _, node := range nodes {
		if nodeReady(node) {
			list.Items = append(list.Items, m.node(node))
		}
	}
	answer(w, list)
}

func (m *metricsServer) listPods(w http.ResponseWriter, r *http.Request, namespace string) {
	selector, ok := selected(w, r)
	if !ok {
		return
	}
	pods, _ := m.pods.Pods(namespace).List(selector)
	list := v1beta1.PodMetricsList{TypeMeta: metav1.TypeMeta{Kind: "PodMetricsList", APIVersion: v1beta1.SchemeGroupVersion.String()}, Items: []v1beta1.PodMetrics{}}
	for _, pod := range pods {
		if measured(pod) {
			list.Items = append(list.Items, m.pod(pod))
		}
	}
	answer(w, list)
}

// resolution is metrics-server's --metric-resolution, over which it averages.
const resolution = 15 * time.Second

// node is what a node uses: the sum of its pods, and the kubelet and the runtime
// with 60 thousandths of a CPU and 350 MiB.
func (m *metricsServer) node(node *corev1.Node) v1beta1.NodeMetrics {
	cpu, memory := int64(60), int64(350<<20)
	pods, _ := m.pods.List(labels.Everything())
	for _, pod := range pods {
		if pod.Spec.NodeName != node.Name || !measured(pod) {
			continue
		}
		for i := range pod.Spec.Containers {
			c, b := usage(pod, &pod.Spec.Containers[i])
			cpu, memory = cpu+c, memory+b
		}
	}
	return v1beta1.NodeMetrics{
		TypeMeta:   metav1.TypeMeta{Kind: "NodeMetrics", APIVersion: v1beta1.SchemeGroupVersion.String()},
		ObjectMeta: metav1.ObjectMeta{Name: node.Name, Labels: node.Labels, CreationTimestamp: metav1.Now()},
		Timestamp:  metav1.Now(), Window: metav1.Duration{Duration: resolution}, Usage: amounts(cpu, memory),
	}
}

func (m *metricsServer) pod(pod *corev1.Pod) v1beta1.PodMetrics {
	out := v1beta1.PodMetrics{
		TypeMeta:   metav1.TypeMeta{Kind: "PodMetrics", APIVersion: v1beta1.SchemeGroupVersion.String()},
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, Labels: pod.Labels, CreationTimestamp: metav1.Now()},
		Timestamp:  metav1.Now(), Window: metav1.Duration{Duration: resolution}, Containers: []v1beta1.ContainerMetrics{},
	}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		out.Containers = append(out.Containers, v1beta1.ContainerMetrics{Name: c.Name, Usage: amounts(usage(pod, c))})
	}
	return out
}

// measured tells that all of a pod's containers run; of others metrics-server says
// nothing.
func measured(pod *corev1.Pod) bool {
	if pod.Status.Phase != corev1.PodRunning || len(pod.Status.ContainerStatuses) < len(pod.Spec.Containers) {
		return false
	}
	for _, s := range pod.Status.ContainerStatuses {
		if s.State.Running == nil {
			return false
		}
	}
	return true
}

// usage is what a container is said to use: 20 to 39 % of the CPU and 50 to 69 % of
// the memory that it requests, and a little if it requests none.
func usage(pod *corev1.Pod, c *corev1.Container) (milliCPU, memory int64) {
	sum := fnv.New32a()
	sum.Write([]byte(string(pod.UID) + c.Name))
	share := int64(sum.Sum32() % 20)
	milliCPU, memory = 2, 12<<20
	if cpu := c.Resources.Requests.Cpu(); !cpu.IsZero() {
		milliCPU = max(1, cpu.MilliValue()*(20+share)/100)
	}
	if bytes := c.Resources.Requests.Memory(); !bytes.IsZero() {
		memory = bytes.Value() / 100 * (50 + share)
	}
	return milliCPU, memory
}

func amounts(milliCPU, memory int64) corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewMilliQuantity(milliCPU, resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(memory&^1023, resource.BinarySI),
	}
}
