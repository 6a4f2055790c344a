package controllers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/cloud-provider/controllers/service"
	"k8s.io/component-base/featuregate"
	controllersmetrics "k8s.io/component-base/metrics/prometheus/controllers"
)

// serviceController is Kubernetes' own service controller, which is what EKS
// runs in its cloud controller manager. It keeps the finalizer
// service.kubernetes.io/load-balancer-cleanup and writes status and events;
// Services with a loadBalancerClass it leaves to others.
type serviceController struct {
	controller *service.Controller
}

// serviceWorkers is how many load balancers are made or deleted at a time.
const serviceWorkers = 5

func newServiceController(o Options, client kubernetes.Interface, factory informers.SharedInformerFactory) (*serviceController, error) {
	core := factory.Core().V1()
	c, err := service.New(cloud{loadBalancers: o.LoadBalancers}, client, core.Services(), core.Nodes(), o.Cluster, featuregate.NewFeatureGate())
	if err != nil {
		return nil, err
	}
	return &serviceController{controller: c}, nil
}

func (s *serviceController) run(ctx context.Context) {
	s.controller.Run(ctx, serviceWorkers, controllersmetrics.NewControllerManagerMetrics("localcloud"))
}

// cloud is AWS as far as the service controller wants to know it.
type cloud struct {
	cloudprovider.Interface // nil: nothing but load balancers is asked for
	loadBalancers           LoadBalancers
}

func (c cloud) Initialize(cloudprovider.ControllerClientBuilder, <-chan struct{}) {}
func (c cloud) ProviderName() string                                              { return "aws" }
func (c cloud) HasClusterID() bool                                                { return true }

func (c cloud) LoadBalancer() (cloudprovider.LoadBalancer, bool) {
	return balancer{c.loadBalancers}, true
}

// balancer turns [LoadBalancers] into what the service controller calls.
type balancer struct{ LoadBalancers }

// GetLoadBalancer claims that there is one. The controller asks before it
// deletes, and Delete of what is not there is no error.
func (b balancer) GetLoadBalancer(_ context.Context, _ string, svc *corev1.Service) (*corev1.LoadBalancerStatus, bool, error) {
	return svc.Status.LoadBalancer.DeepCopy(), true, nil
}

// GetLoadBalancerName is the name by which AWS's provider finds a load balancer again.
func (b balancer) GetLoadBalancerName(_ context.Context, _ string, svc *corev1.Service) string {
	return cloudprovider.DefaultLoadBalancerName(svc)
}

func (b balancer) EnsureLoadBalancer(ctx context.Context, cluster string, svc *corev1.Service, _ []*corev1.Node) (*corev1.LoadBalancerStatus, error) {
	hostname, err := b.Ensure(ctx, cluster, svc)
	if err != nil {
		return nil, err
	}
	return &corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{Hostname: hostname}}}, nil
}

// UpdateLoadBalancer is told the nodes, which the local cloud's load balancers do not keep.
func (b balancer) UpdateLoadBalancer(context.Context, string, *corev1.Service, []*corev1.Node) error {
	return nil
}

func (b balancer) EnsureLoadBalancerDeleted(ctx context.Context, cluster string, svc *corev1.Service) error {
	return b.Delete(ctx, cluster, svc)
}
