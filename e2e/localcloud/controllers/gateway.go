package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"

	"aicluster/e2e/localcloud/clock"
)

// What Envoy Gateway looks at.
var (
	gatewayClasses = gatewayAPI("gatewayclasses")
	gateways       = gatewayAPI("gateways")
	listenerSets   = gatewayAPI("listenersets")
	httpRoutes     = gatewayAPI("httproutes")
	envoyProxies   = envoyAPI("envoyproxies")
	clientPolicies = envoyAPI("clienttrafficpolicies")
	backendRules   = envoyAPI("backendtrafficpolicies")
)

func gatewayAPI(plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: plural}
}

func envoyAPI(plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "gateway.envoyproxy.io", Version: "v1alpha1", Resource: plural}
}

const (
	envoyController = "gateway.envoyproxy.io/gatewayclass-controller"
	envoyDeployment = "envoy-gateway"
	// The controller's finalizer on a GatewayClass that Gateways are of.
	gatewayFinalizer = "gateway-exists-finalizer.gateway.networking.k8s.io"
	owningName       = "gateway.envoyproxy.io/owning-gateway-name"
	owningNamespace  = "gateway.envoyproxy.io/owning-gateway-namespace"
)

// envoyGateway plays the process in the Deployment envoy-gateway (version 1.9): it
// accepts classes, makes proxies and a load balancer's service for each Gateway and
// reports on routes, listeners and policies. What the proxies do with requests is
// played elsewhere. It does nothing while that Deployment has no available pod.
type envoyGateway struct {
	client kubernetes.Interface
	clock  *clock.Clock
	worker *worker

	services corelisters.ServiceLister

	resident
}

func newEnvoyGateway(o Options, client kubernetes.Interface, dyn dynamic.Interface, factory informers.SharedInformerFactory) (*envoyGateway, error) {
	e := &envoyGateway{client: client, clock: o.Clock, services: factory.Core().V1().Services().Lister()}
	e.worker = newWorker("envoy-gateway", e.sync)
	e.resident = resident{dyn: dyn, deployments: factory.Apps().V1().Deployments().Lister(), is: runsEnvoyGateway,
		kinds:   []schema.GroupVersionResource{gatewayClasses, gateways, listenerSets, httpRoutes, envoyProxies, clientPolicies, backendRules},
		changed: func() { e.worker.queue.Add(everything) }}
	if err := on(factory.Apps().V1().Deployments().Informer(), func(d *appsv1.Deployment) {
		if runsEnvoyGateway(d) || d.Labels[owningName] != "" {
			e.worker.queue.Add(everything)
		}
	}); err != nil {
		return nil, err
	}
	return e, on(factory.Core().V1().Services().Informer(), func(*corev1.Service) { e.worker.queue.Add(everything) })
}

func (e *envoyGateway) run(ctx context.Context) {
	e.worker.run(ctx)
	e.end()
}

func (e *envoyGateway) sync(ctx context.Context, _ string) (time.Duration, error) {
	if runs, err := e.attend(ctx); !runs || err != nil {
		return 0, err
	}
	return e.reconcile(ctx)
}

func runsEnvoyGateway(d *appsv1.Deployment) bool {
	return d.Name == envoyDeployment && d.Labels["control-plane"] == envoyDeployment
}

// find returns one object of a kind; nil if there is none.
func (e *envoyGateway) find(kind schema.GroupVersionResource, namespace, name string) *unstructured.Unstructured {
	all := e.session.living(kind)
	i := slices.IndexFunc(all, func(u *unstructured.Unstructured) bool { return u.GetNamespace() == namespace && u.GetName() == name })
	if i < 0 {
		return nil
	}
	return all[i]
}

// reconcile is one pass over everything.
func (e *envoyGateway) reconcile(ctx context.Context) (time.Duration, error) {
	ours := map[string]*unstructured.Unstructured{} // the settings of the proxies by class; an empty object where there are none
	for _, obj := range e.session.stores[gatewayClasses].GetStore().List() {
		class := obj.(*unstructured.Unstructured).DeepCopy()
		if text(class, "spec", "controllerName") != envoyController {
			continue
		}
		proxy, err := e.class(ctx, class)
		if err != nil {
			return 0, fmt.Errorf("class %s: %w", class.GetName(), err)
		}
		if proxy != nil {
			ours[class.GetName()] = proxy
		}
	}
	var mine []*unstructured.Unstructured
	for _, g := range e.session.living(gateways) {
		proxy := ours[text(g, "spec", "gatewayClassName")]
		if proxy == nil {
			continue
		}
		mine = append(mine, g)
		if err := e.proxies(ctx, g, proxy); err != nil {
			return 0, fmt.Errorf("gateway %s: %w", g.GetName(), err)
		}
	}
	if err := e.removeProxies(ctx, mine); err != nil {
		return 0, err
	}
	return e.reports(ctx, mine)
}

// class accepts a class whose settings exist, and keeps it while Gateways are of it.
// It returns the settings.
func (e *envoyGateway) class(ctx context.Context, class *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	used := slices.ContainsFunc(e.session.living(gateways), func(g *unstructured.Unstructured) bool { return text(g, "spec", "gatewayClassName") == class.GetName() })
	if slices.Contains(class.GetFinalizers(), gatewayFinalizer) != used {
		next := slices.DeleteFunc(class.GetFinalizers(), func(f string) bool { return f == gatewayFinalizer })
		if used {
			next = append(next, gatewayFinalizer)
		}
		class.SetFinalizers(next)
		after, err := e.dyn.Resource(gatewayClasses).Update(ctx, class, metav1.UpdateOptions{})
		if err != nil {
			return nil, ignoreNotFound(err)
		}
		class = after
	}
	if class.GetDeletionTimestamp() != nil {
		return nil, nil
	}
	proxy := &unstructured.Unstructured{Object: map[string]any{}}
	accepted := gatewayCondition(class, "Accepted", metav1.ConditionTrue, "Accepted", "Valid GatewayClass")
	if name := text(class, "spec", "parametersRef", "name"); name != "" {
		namespace := text(class, "spec", "parametersRef", "namespace")
		if proxy = e.find(envoyProxies, namespace, name); proxy == nil {
			accepted = gatewayCondition(class, "Accepted", metav1.ConditionFalse, "InvalidParameters",
				fmt.Sprintf("Invalid GatewayClass: failed to find envoyproxy %s/%s", namespace, name))
		}
	}
	return proxy, e.report(ctx, gatewayClasses, class, map[string]any{"conditions": []any{accepted}})
}

// text reads a string of an object; empty if there is none.
func text(u *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(u.Object, path...)
	return s
}

// list reads a list of mappings of an object.
func list(u *unstructured.Unstructured, path ...string) []map[string]any {
	items, _, _ := unstructured.NestedSlice(u.Object, path...)
	var out []map[string]any
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// fields turns a typed object into what the dynamic client takes.
func fields(o runtime.Object) (*unstructured.Unstructured, error) {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	return &unstructured.Unstructured{Object: m}, err
}
