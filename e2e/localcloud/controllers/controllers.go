// Package controllers plays what runs inside EKS or in a cluster's pods: the
// service controller that gives Services their load balancers, NVIDIA's GPU
// Operator with the pods it starts, the EBS CSI driver's controller, the cluster
// autoscaler, Envoy Gateway, cert-manager, and the objects of EKS's add-ons.
//
// Everything works through one cluster's API, level-triggered, and only as far
// as the pods that would do it are there: no GPU Operator pod, no reconciling;
// no NFD worker on a node, no labels; no device plugin, no GPUs. Pods do not
// really run, so what a container would find on its node comes from [Facts].
package controllers

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	cloudprovider "k8s.io/cloud-provider"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/kube"
	"aicluster/e2e/localcloud/prometheus"
	"aicluster/e2e/localcloud/traffic"
)

// Options says for which cluster controllers run and what they stand on.
type Options struct {
	Cluster string       // name of the EKS cluster
	Config  *rest.Config // as cluster administrator
	Clock   *clock.Clock

	// Cloud makes the load balancers of Services; nil leaves those pending.
	Cloud cloudprovider.Interface

	// Volumes is EC2 as the pods of the EBS CSI driver's controller may call it; it
	// is asked each time, since their role may change. Nil leaves claims pending.
	Volumes func(context.Context) (VolumeAPI, error)

	// Logs is CloudWatch Logs as the pods of a service account on a node may call it;
	// it is asked each time. Nil sends no container's logs.
	Logs func(ctx context.Context, namespace, account, node string) (LogsAPI, error)

	// Network lets requests travel in the cluster; nil for none. What a controller
	// plays that answers at a Service, it gives to its Handle.
	Network *traffic.Network

	// PodStarts is AWS as pods meet it when they mount and read; with nil all they ask
	// for is there.
	PodStarts PodStarts

	// NodeFacts tells the hardware and the AMI of a node, false for one that is not
	// known (yet). It is asked again and again: a GPU may break.
	NodeFacts func(node string) (Facts, bool)

	// Autoscaler is what the cluster autoscaler's stand-in needs; nil leaves the
	// sizes of node groups alone.
	Autoscaler *AutoscalerOptions

	// HookFails tells what is wrong with a hook of a Helm release, such as
	// pre-delete: that it fails, or that it never ends. Nil means nothing.
	HookFails func(release, hook string) (fails, hangs bool)

	// PodTrouble tells what a pod's kubelet is to meet, if anything. It is asked again
	// and again. Nil means nothing.
	PodTrouble func(namespace, pod string) (kube.Trouble, bool)
}

// Facts are what software on a node finds there.
type Facts struct {
	GPUProduct   string // as NVML names it, with dashes: "NVIDIA-A100-SXM4-40GB"
	GPUs         int
	GPUMemoryMiB int
	Driver       bool // the AMI ships driver and container toolkit
	DevicePlugin bool // the AMI ships the device plugin too (Bottlerocket)
	Healthy      int  // GPUs that work
	PluginFails  bool // the AMI keeps the device plugin's container from starting
}

// Run runs the controllers until ctx ends, whose error it then returns.
func Run(ctx context.Context, o Options) error {
	config := rest.CopyConfig(o.Config)
	config.QPS, config.Burst = 200, 400 // many processes' clients are one here
	config.UserAgent = "localcloud-controllers"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	// The service controller asks for resyncs of its own, which a factory without any refuses.
	factory := informers.NewSharedInformerFactory(client, 12*time.Hour)

	var services *serviceController
	if o.Cloud != nil {
		if services, err = newServiceController(o.Cloud, o.Cluster, client, factory); err != nil {
			return fmt.Errorf("service controller: %w", err)
		}
	}
	operator, err := newGPUOperator(o, client, dyn, factory)
	if err != nil {
		return fmt.Errorf("GPU operator: %w", err)
	}
	nodes, err := newGPUNodes(o, client, factory)
	if err != nil {
		return fmt.Errorf("GPU nodes: %w", err)
	}
	watched, err := newPrometheusOperator(client, dyn, factory)
	if err != nil {
		return fmt.Errorf("Prometheus operator: %w", err)
	}
	shippers, err := newFluentBit(o, client, factory)
	if err != nil {
		return fmt.Errorf("Fluent Bit: %w", err)
	}
	hooks, err := newHooks(o, client, factory)
	if err != nil {
		return fmt.Errorf("hooks: %w", err)
	}
	wrongs, err := newTroubles(o, client, factory)
	if err != nil {
		return fmt.Errorf("troubles: %w", err)
	}
	karpenter := newKarpenter(o, dyn, factory)
	disks, err := newVolumes(o, client, factory)
	if err != nil {
		return fmt.Errorf("volumes: %w", err)
	}
	starts, err := newPodStarts(o, client, factory)
	if err != nil {
		return fmt.Errorf("pod starts: %w", err)
	}
	var scaling *autoscaler
	if o.Autoscaler != nil {
		scaling = newAutoscaler(o, factory)
	}
	envoy, err := newEnvoyGateway(o, client, dyn, factory)
	if err != nil {
		return fmt.Errorf("Envoy Gateway: %w", err)
	}
	issuing, err := newCertManager(o, client, dyn, factory)
	if err != nil {
		return fmt.Errorf("cert-manager: %w", err)
	}
	if o.Network != nil {
		o.Network.Install(&metricsServer{}, prometheus.New(o.Network, dyn))
		if err := o.Network.Watch(client, factory); err != nil {
			return fmt.Errorf("network: %w", err)
		}
	}

	group, ctx := errgroup.WithContext(ctx)
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("cache of %v: %w", kind, context.Cause(ctx))
		}
	}
	if services != nil {
		group.Go(func() error { services.run(ctx); return ctx.Err() })
	}
	if o.Network != nil {
		group.Go(func() error { return o.Network.Run(ctx) })
	}
	group.Go(func() error { operator.run(ctx); return ctx.Err() })
	group.Go(func() error { nodes.run(ctx); return ctx.Err() })
	group.Go(func() error { watched.run(ctx); return ctx.Err() })
	group.Go(func() error { shippers.run(ctx); return ctx.Err() })
	group.Go(func() error { hooks.run(ctx); return ctx.Err() })
	group.Go(func() error { wrongs.run(ctx); return ctx.Err() })
	group.Go(func() error { disks.run(ctx); return ctx.Err() })
	group.Go(func() error { karpenter.run(ctx); return ctx.Err() })
	group.Go(func() error { starts.run(ctx); return ctx.Err() })
	if scaling != nil {
		group.Go(func() error { scaling.run(ctx); return ctx.Err() })
	}
	group.Go(func() error { envoy.run(ctx); return ctx.Err() })
	group.Go(func() error { issuing.run(ctx); return ctx.Err() })
	return group.Wait()
}

// byNode indexes pods by the node they are bound to.
const byNode = "spec.nodeName"

// indexByNode adds the index byNode to a pod informer.
func indexByNode(informer cache.SharedIndexInformer) error {
	return informer.AddIndexers(cache.Indexers{byNode: func(obj any) ([]string, error) {
		if pod, ok := obj.(*corev1.Pod); ok && pod.Spec.NodeName != "" {
			return []string{pod.Spec.NodeName}, nil
		}
		return nil, nil
	}})
}
