// Package nginx plays the ingress-nginx controller: it reads the Ingress objects of
// its class and proxies requests to the endpoints of their Services, as far as
// hosts, paths, certificates, timeouts, body sizes and buffering go. Rules and words
// are those of controller v1.15
// (https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/).
//
// Files: nginx (this one) is the container, routes finds the rule for a request,
// settings reads ConfigMap and annotations, proxy passes requests on, certificates
// ends TLS, status writes the address into Ingresses.
package nginx

import (
	"context"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	networklisters "k8s.io/client-go/listers/networking/v1"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/traffic"
)

// Image is the controller's image for the nodes of one cluster.
type Image struct {
	network *traffic.Network
	clock   *clock.Clock
	changed chan struct{} // something that the status of Ingresses depends on

	client    kubernetes.Interface
	ingresses networklisters.IngressLister
	classes   networklisters.IngressClassLister
	services  corelisters.ServiceLister
	pods      corelisters.PodLister
	fake      *fakeCertificate
}

// New returns the image. Timeouts take the clock's time.
func New(n *traffic.Network, c *clock.Clock) *Image {
	return &Image{network: n, clock: c, changed: make(chan struct{}, 1), fake: &fakeCertificate{}}
}

// Watch takes listers from the factory.
func (i *Image) Watch(client kubernetes.Interface, factory informers.SharedInformerFactory) error {
	network, core := factory.Networking().V1(), factory.Core().V1()
	i.client = client
	i.ingresses, i.classes = network.Ingresses().Lister(), network.IngressClasses().Lister()
	i.services, i.pods = core.Services().Lister(), core.Pods().Lister()
	return i.watchStatus(network.Ingresses().Informer(), core.Services().Informer(), core.Pods().Informer())
}

// controller is one run of the controller's container.
type controller struct {
	*Image
	flags flags
}

// flags are the controller's, with their defaults
// (https://kubernetes.github.io/ingress-nginx/user-guide/cli-arguments/).
type flags struct {
	controllerClass  string
	ingressClass     string
	configMap        string // namespace/name
	publishService   string // namespace/name
	defaultCert      string // namespace/name of a Secret
	watchNamespace   string
	withoutClass     bool
	httpPort, health int32
	httpsPort        int32
}

func is(c *corev1.Container) bool {
	return strings.Contains(c.Image, "ingress-nginx/controller") || len(c.Args) > 0 && c.Args[0] == "/nginx-ingress-controller"
}

func parse(pod *corev1.Pod, c *corev1.Container) flags {
	f := flags{controllerClass: "k8s.io/ingress-nginx", ingressClass: "nginx", httpPort: 80, httpsPort: 443, health: 10254}
	for _, arg := range c.Args {
		name, value, joined := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		value = strings.NewReplacer("$(POD_NAMESPACE)", pod.Namespace, "$(POD_NAME)", pod.Name).Replace(value)
		switch name {
		case "controller-class":
			f.controllerClass = value
		case "ingress-class":
			f.ingressClass = value
		case "configmap":
			f.configMap = value
		case "publish-service":
			f.publishService = value
		case "default-ssl-certificate":
			f.defaultCert = value
		case "watch-namespace":
			f.watchNamespace = value
		case "watch-ingress-without-class":
			f.withoutClass = !joined || value == "true"
		}
	}
	return f
}

// Servers are nginx's two ports and the controller's own.
func (i *Image) Servers(pod *corev1.Pod, c *corev1.Container) map[int32]traffic.Server {
	if !is(c) {
		return nil
	}
	ctl := &controller{Image: i, flags: parse(pod, c)}
	health := http.NewServeMux()
	health.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) }) //nolint:errcheck // the client is gone
	return map[int32]traffic.Server{
		ctl.flags.httpPort:  {Handler: ctl.handler("http")},
		ctl.flags.httpsPort: {Handler: ctl.handler("https"), TLS: ctl.tls()},
		ctl.flags.health:    {Handler: health},
	}
}

// Run keeps the addresses of Ingresses until ctx ends.
func (i *Image) Run(ctx context.Context) error { return i.keepStatus(ctx) }
