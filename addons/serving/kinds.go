package serving

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// kind is a kind of object that a service may be made of.
type kind struct {
	schema.GroupVersionKind
	plural string // its name in addresses
	global bool   // in no namespace
}

func (k kind) resource() schema.GroupVersionResource {
	return k.GroupVersion().WithResource(k.plural)
}

// on is where a cluster has the kind's objects of the services.
func (k kind) on(dyn dynamic.Interface) dynamic.ResourceInterface {
	if k.global {
		return dyn.Resource(k.resource())
	}
	return dyn.Resource(k.resource()).Namespace(Namespace)
}

// kinds lists them all, each after those that it refers to. A service is taken
// away in the opposite order; the service account, by which services are found, is
// the last to go. What Render makes has to be of one of these.
func kinds() []kind {
	of := func(group, version, name, plural string) kind {
		return kind{GroupVersionKind: schema.GroupVersionKind{Group: group, Version: version, Kind: name}, plural: plural}
	}
	volume := of("", "v1", "PersistentVolume", "persistentvolumes")
	volume.global = true
	return []kind{
		of("", "v1", "ServiceAccount", "serviceaccounts"),
		volume,
		of("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
		of("", "v1", "ConfigMap", "configmaps"),
		of("", "v1", "Service", "services"),
		of("apps", "v1", "Deployment", "deployments"),
		of("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
		of("cert-manager.io", "v1", "Certificate", "certificates"),
		of("networking.k8s.io", "v1", "Ingress", "ingresses"),
		of("gateway.networking.k8s.io", "v1", "ListenerSet", "listenersets"),
		of("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"),
		of("gateway.envoyproxy.io", "v1alpha1", "BackendTrafficPolicy", "backendtrafficpolicies"),
		of("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors"),
		of("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"),
		of("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
	}
}

// kindOf finds an object's kind.
func kindOf(o Object) (kind, error) {
	gvk := o.GetObjectKind().GroupVersionKind()
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.GroupVersionKind == gvk })
	if i < 0 {
		return kind{}, fmt.Errorf("services are not made of %s", gvk)
	}
	return all[i], nil
}
