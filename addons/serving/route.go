package serving

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"aicluster/blueprints"
)

// route is the way to a service from outside: an Ingress, or a route of the Gateway
// API. A service without a host has none.
func route(b *blueprints.Blueprint, svc blueprints.Service) []Object {
	if svc.Host == "" {
		return nil
	}
	return []Object{ingress(b, svc)}
}

// ingress is for ingress-nginx. Answers come slowly and in a stream: long
// timeouts, in seconds, and no buffering.
func ingress(b *blueprints.Blueprint, svc blueprints.Service) Object {
	m := meta(b, svc)
	m.Annotations = map[string]string{
		"nginx.ingress.kubernetes.io/proxy-read-timeout": "300",
		"nginx.ingress.kubernetes.io/proxy-send-timeout": "300",
		"nginx.ingress.kubernetes.io/proxy-buffering":    "off",
	}
	class, prefix := "nginx", networkingv1.PathTypePrefix
	i := &networkingv1.Ingress{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "Ingress"},
		ObjectMeta: m,
		Spec: networkingv1.IngressSpec{
			IngressClassName: &class,
			Rules: []networkingv1.IngressRule{{Host: svc.Host, IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
				Paths: []networkingv1.HTTPIngressPath{{Path: "/", PathType: &prefix, Backend: networkingv1.IngressBackend{
					Service: &networkingv1.IngressServiceBackend{Name: svc.Name, Port: networkingv1.ServiceBackendPort{Name: PortName}},
				}}},
			}}}},
		},
	}
	if svc.TLS != nil && svc.TLS.Secret != "" {
		i.Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{svc.Host}, SecretName: svc.TLS.Secret}}
	}
	return i
}
