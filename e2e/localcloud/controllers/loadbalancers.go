package controllers

import (
	"context"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/cloud-provider/controllers/service"
	"k8s.io/component-base/featuregate"
	controllersmetrics "k8s.io/component-base/metrics/prometheus/controllers"
)

// serviceController is Kubernetes' own service controller, which EKS runs in its
// cloud controller manager with the AWS cloud provider behind it. It keeps the
// finalizer service.kubernetes.io/load-balancer-cleanup and writes status and
// events; Services with a loadBalancerClass it leaves to others.
type serviceController struct {
	controller *service.Controller
}

// serviceWorkers is how many load balancers are made or deleted at a time.
const serviceWorkers = 5

func newServiceController(cloud cloudprovider.Interface, cluster string, client kubernetes.Interface, factory informers.SharedInformerFactory) (*serviceController, error) {
	core := factory.Core().V1()
	c, err := service.New(cloud, client, core.Services(), core.Nodes(), cluster, featuregate.NewFeatureGate())
	if err != nil {
		return nil, err
	}
	return &serviceController{controller: c}, nil
}

func (s *serviceController) run(ctx context.Context) {
	s.controller.Run(ctx, serviceWorkers, controllersmetrics.NewControllerManagerMetrics("localcloud"))
}
