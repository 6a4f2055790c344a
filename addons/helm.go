package addons

import (
	"context"
	"fmt"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/kube"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"aicluster/provision/engine"
)

// requestTimeout bounds one request to an API server. Helm's calls take no
// context; they are short, and only its waits have to end with ours.
const requestTimeout = time.Minute

// session is one connection of Helm and of ours to a cluster.
type session struct {
	helm   *action.Configuration
	client kubernetes.Interface
	dyn    dynamic.Interface
	// knows makes Helm ask anew which kinds of object the cluster has, and tells
	// whether that is among them.
	knows func(schema.GroupKind) (bool, error)
}

// connect opens a session on a namespace. Helm's waits end with ctx and report
// to p. Its records are secrets in the namespace, as the helm command's are.
func connect(ctx context.Context, cluster Cluster, namespace string, p engine.Progress) (*session, error) {
	config, err := cluster.RESTConfig()
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = 50, 300 // Helm's own burst is 100; discovery alone needs about 40
	config.WarningHandler = rest.NoWarnings{}
	config.Timeout = requestTimeout
	getter, err := newClientGetter(config, namespace)
	if err != nil {
		return nil, err
	}
	s := &session{helm: &action.Configuration{}, knows: getter.knows}
	quiet := func(string, ...any) {}
	if err := s.helm.Init(getter, namespace, "secret", quiet); err != nil {
		return nil, err
	}
	if s.client, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	if s.dyn, err = dynamic.NewForConfig(config); err != nil {
		return nil, err
	}
	objects := kube.New(getter)
	objects.Log, objects.Namespace = quiet, namespace
	s.helm.KubeClient = &waiter{Client: objects, ctx: ctx, client: s.client, progress: p}
	return s, nil
}

// clientGetter hands Helm its clients from a configuration in memory: no
// kubeconfig file is read or written.
type clientGetter struct {
	config    *rest.Config
	namespace string
	discovery discovery.CachedDiscoveryInterface
	mapper    *restmapper.DeferredDiscoveryRESTMapper
}

func newClientGetter(config *rest.Config, namespace string) (*clientGetter, error) {
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("a client for the cluster: %w", err)
	}
	cached := memory.NewMemCacheClient(d)
	return &clientGetter{config: config, namespace: namespace, discovery: cached, mapper: restmapper.NewDeferredDiscoveryRESTMapper(cached)}, nil
}

func (g *clientGetter) ToRESTConfig() (*rest.Config, error) { return rest.CopyConfig(g.config), nil }

func (g *clientGetter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.discovery, nil
}

func (g *clientGetter) ToRESTMapper() (meta.RESTMapper, error) { return g.mapper, nil }

func (g *clientGetter) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	return clientcmd.NewDefaultClientConfig(*clientcmdapi.NewConfig(), &clientcmd.ConfigOverrides{Context: clientcmdapi.Context{Namespace: g.namespace}})
}

func (g *clientGetter) knows(kind schema.GroupKind) (bool, error) {
	if _, err := g.mapper.RESTMapping(kind); err == nil {
		return true, nil
	}
	g.mapper.Reset()
	_, err := g.mapper.RESTMapping(kind)
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	return err == nil, err
}
