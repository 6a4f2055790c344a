package serving

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"aicluster/addons"
	"aicluster/blueprints"
)

// route is the way to a service from outside: by every way in that the blueprint
// has, so that one can take over from the other while both stand. A service without
// a host has none.
func route(b *blueprints.Blueprint, svc blueprints.Service) []Object {
	if svc.Host == "" {
		return nil
	}
	var objects []Object
	if svc.TLS != nil && svc.TLS.Issuer != "" {
		objects = append(objects, certificate(b, svc))
	}
	if b.Addons.IngressNginx != nil || b.Addons.EnvoyGateway == nil { // some other chart may have the class
		objects = append(objects, ingress(b, svc))
	}
	if b.Addons.EnvoyGateway != nil {
		objects = append(objects, gatewayRoute(b, svc)...)
	}
	return objects
}

// tlsSecret is the name of the secret with the service's certificate; empty without TLS.
func tlsSecret(svc blueprints.Service) string {
	switch {
	case svc.TLS == nil:
		return ""
	case svc.TLS.Secret != "":
		return svc.TLS.Secret
	}
	return svc.Name + "-tls"
}

// ingress is for ingress-nginx (annotations: its user guide, "Annotations"). Answers
// come slowly and in a stream: long timeouts, in seconds, and no buffering. They
// differ much in length: the replica with the lowest moving average of latency is
// next. These are the controller's settings already where it is aicluster's; the
// annotations say it to others, too.
func ingress(b *blueprints.Blueprint, svc blueprints.Service) Object {
	m := meta(b, svc)
	m.Annotations = map[string]string{
		"nginx.ingress.kubernetes.io/proxy-read-timeout":      addons.AnswerSeconds,
		"nginx.ingress.kubernetes.io/proxy-send-timeout":      addons.AnswerSeconds,
		"nginx.ingress.kubernetes.io/proxy-buffering":         "off",
		"nginx.ingress.kubernetes.io/proxy-request-buffering": "off",
		"nginx.ingress.kubernetes.io/proxy-body-size":         addons.BodySize,
		"nginx.ingress.kubernetes.io/load-balance":            "ewma",
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
	if secret := tlsSecret(svc); secret != "" {
		i.Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{svc.Host}, SecretName: secret}}
	}
	return i
}
