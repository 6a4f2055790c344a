package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

// services are those that lead nowhere, or have no address.
func (e *Evidence) services() []Finding {
	var out []Finding
	for i := range e.Services {
		s := &e.Services[i]
		if !e.late(s.CreationTimestamp.Time) {
			continue
		}
		f := Finding{Resource: resource("service", s.Namespace, s.Name), Severity: Error}
		if e.unbalanced(&f, s) || e.leadsNowhere(&f, s) {
			out = append(out, f)
		}
	}
	return out
}

// unbalanced: a load balancer that does not come.
func (e *Evidence) unbalanced(f *Finding, s *corev1.Service) bool {
	if s.Spec.Type != corev1.ServiceTypeLoadBalancer || len(s.Status.LoadBalancer.Ingress) > 0 {
		return false
	}
	f.Reason, f.What, f.Message = "NoLoadBalancer", "the service has no load balancer", "EXTERNAL-IP <pending>"
	f.Next = "a load balancer takes two to three minutes; then: kubectl -n " + s.Namespace + " describe service " + s.Name
	if v := e.event("Service", s.Namespace, s.Name, "SyncLoadBalancerFailed", "FailedDeployModel", "FailedBuildModel"); v != nil {
		f.Message, f.Next = v.Reason+": "+v.Message, "mend what AWS names: subnets need the tag kubernetes.io/role/elb=1 (or internal-elb) and free addresses"
	}
	return true
}

// leadsNowhere: no pod is behind the service. Pods that are there and not ready
// are findings of their own.
func (e *Evidence) leadsNowhere(f *Finding, s *corev1.Service) bool {
	if len(s.Spec.Selector) == 0 || s.Spec.Type == corev1.ServiceTypeExternalName || e.endpoints(s) {
		return false
	}
	picks := labels.SelectorFromSet(s.Spec.Selector)
	var pods []*corev1.Pod
	for i := range e.Pods {
		p := &e.Pods[i]
		if p.Namespace == s.Namespace && picks.Matches(labels.Set(p.Labels)) && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			pods = append(pods, p)
		}
	}
	f.Severity = Warning
	switch {
	case len(pods) == 0 && e.controlled(s):
		return false
	case len(pods) == 0:
		f.Reason, f.What = "NoPods", "no pod has the labels that the service selects"
		f.Message = "no endpoints; it selects " + picks.String()
		f.Next = "correct spec.selector, or see why there are no such pods"
	case !slices.ContainsFunc(pods, ready):
		return false // said of the pods
	case e.unknownPort(f, s, pods[0]):
	default:
		return false // the endpoints follow the pods in a moment
	}
	return true
}

// endpoints tells whether a service has an address that takes requests.
func (e *Evidence) endpoints(s *corev1.Service) bool {
	return slices.ContainsFunc(e.Slices, func(l discoveryv1.EndpointSlice) bool {
		return l.Namespace == s.Namespace && l.Labels[discoveryv1.LabelServiceName] == s.Name && len(l.Ports) > 0 &&
			slices.ContainsFunc(l.Endpoints, func(p discoveryv1.Endpoint) bool { return p.Conditions.Ready == nil || *p.Conditions.Ready })
	})
}

// controlled tells that something makes such pods: it is scaled to zero, or its pods
// are refused, which is said of it.
func (e *Evidence) controlled(s *corev1.Service) bool {
	picks := labels.SelectorFromSet(s.Spec.Selector)
	return slices.ContainsFunc(e.ReplicaSets, func(rs appsv1.ReplicaSet) bool {
		return rs.Namespace == s.Namespace && picks.Matches(labels.Set(rs.Spec.Template.Labels))
	})
}

// unknownPort: the service names a port that the pods do not have.
func (e *Evidence) unknownPort(f *Finding, s *corev1.Service, pod *corev1.Pod) bool {
	var have []string
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if p.Name != "" {
				have = append(have, p.Name)
			}
		}
	}
	for _, p := range s.Spec.Ports {
		name := p.TargetPort.StrVal
		if name == "" || slices.Contains(have, name) {
			continue
		}
		f.Reason, f.What = "NoSuchPort", "the service sends to port "+name+", which its pods do not name"
		f.Message = "no endpoints; pod " + pod.Name + " names " + orElse(listed(have), "no ports")
		f.Next = "correct spec.ports[].targetPort"
		return true
	}
	return false
}

// ingresses are those that no request comes through.
func (e *Evidence) ingresses() []Finding {
	var out []Finding
	for i := range e.Ingresses {
		g := &e.Ingresses[i]
		f := Finding{Resource: resource("ingress", g.Namespace, g.Name), Severity: Error}
		if e.late(g.CreationTimestamp.Time) && (e.classless(&f, g) || e.uncertified(&f, g) || e.backless(&f, g) || e.addressless(&f, g)) {
			out = append(out, f)
		}
	}
	return out
}

func (e *Evidence) classless(f *Finding, g *networkingv1.Ingress) bool {
	class := g.Annotations["kubernetes.io/ingress.class"] // the way before there was a field
	if g.Spec.IngressClassName != nil {
		class = *g.Spec.IngressClassName
	}
	var have []string
	standard := false
	for _, c := range e.IngressClasses {
		have = append(have, c.Name)
		standard = standard || c.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true"
	}
	switch {
	case class == "" && !standard:
		f.Reason, f.What, f.Message = "NoIngressClass", "no controller takes the ingress: it names no class, and there is no default one", "spec.ingressClassName is empty"
	case class != "" && g.Spec.IngressClassName != nil && !slices.Contains(have, class):
		f.Reason, f.What, f.Message = "NoIngressClass", "no controller takes the ingress", "there is no IngressClass "+class
	default:
		return false
	}
	f.Next = "set spec.ingressClassName" + suffix(have)
	if len(have) == 0 {
		f.Next = "no ingress controller is installed: switch on addons.ingressNginx (or ingress: gateway) and run 'aicluster up FILE'"
	}
	return true
}

func (e *Evidence) uncertified(f *Finding, g *networkingv1.Ingress) bool {
	for _, t := range g.Spec.TLS {
		if there, asked := e.Secrets[g.Namespace+"/"+t.SecretName]; !asked || there {
			continue
		}
		f.Reason, f.What = "TLSSecretMissing", "the secret with the certificate of "+strings.Join(t.Hosts, ", ")+" does not exist"
		f.Message = "secret " + g.Namespace + "/" + t.SecretName + " not found; the controller answers with a certificate of its own"
		f.Next = fmt.Sprintf("kubectl -n %s create secret tls %s --cert=FILE --key=FILE, or let cert-manager make it (tls.issuer, addons.certManager)", g.Namespace, t.SecretName)
		return true
	}
	return false
}

func (e *Evidence) backless(f *Finding, g *networkingv1.Ingress) bool {
	for _, r := range g.Spec.Rules {
		if r.HTTP == nil {
			continue
		}
		for _, p := range r.HTTP.Paths {
			b := p.Backend.Service
			if b == nil || slices.ContainsFunc(e.Services, func(s corev1.Service) bool { return s.Namespace == g.Namespace && s.Name == b.Name }) {
				continue
			}
			f.Reason, f.What = "NoBackend", "the ingress sends to a service that does not exist"
			f.Message, f.Next = "there is no service "+g.Namespace+"/"+b.Name, "make the service, or correct the ingress's backend"
			return true
		}
	}
	return false
}

func (e *Evidence) addressless(f *Finding, g *networkingv1.Ingress) bool {
	if len(g.Status.LoadBalancer.Ingress) > 0 {
		return false
	}
	f.Reason, f.What, f.Message = "NoAddress", "the ingress has no address", "ADDRESS is empty: the controller of its class has not taken it"
	f.Next = "see the controller's pods and log (namespace ingress-nginx) and its LoadBalancer service in 'aicluster status FILE'"
	return true
}

// bad are the conditions that must be true, by kind (Gateway API; cert-manager).
func bad(kind string) []string {
	switch kind {
	case "Certificate", "Issuer", "ClusterIssuer":
		return []string{"Ready"}
	case "Gateway", "GatewayClass", "HTTPRoute":
		return []string{"Accepted", "Programmed", "ResolvedRefs"}
	}
	return nil
}

// conditioned are objects whose conditions say that something is wrong.
func (e *Evidence) conditioned() []Finding {
	var out []Finding
	for i := range e.Conditioned {
		o := &e.Conditioned[i]
		for _, c := range conditions(o) {
			if c["status"] == "True" || !slices.Contains(bad(o.GetKind()), c["type"]) || !e.late(conditionTime(o, c)) {
				continue
			}
			f := Finding{Resource: name(o), Severity: Error, Reason: "Not" + c["type"], What: "the " + strings.ToLower(o.GetKind()) + " is not " + strings.ToLower(c["type"])}
			f.Message = strings.TrimSuffix(c["reason"]+": "+c["message"], ": ")
			f.Next = "kubectl describe " + strings.ToLower(o.GetKind()) + " " + o.GetName() + " -n " + o.GetNamespace()
			switch o.GetKind() {
			case "Certificate":
				e.uncertifiedBy(&f, o)
			case "HTTPRoute":
				f.Next = "correct the route's parent (gateway) or backend, as the message says"
			case "Gateway":
				f.Next = "see the gateway's controller (namespace envoy-gateway-system), its TLS secret and its LoadBalancer service"
			}
			out = append(out, f)
			break
		}
	}
	return out
}

// uncertifiedBy adds to a certificate's finding what the ACME server wants.
func (e *Evidence) uncertifiedBy(f *Finding, cert *unstructured.Unstructured) {
	f.Reason, f.What = "CertificateNotIssued", "the certificate is not issued"
	f.Next = "the issuer's part: kubectl -n " + cert.GetNamespace() + " describe certificaterequests,orders,challenges"
	hosts, _, _ := unstructured.NestedStringSlice(cert.Object, "spec", "dnsNames")
	for i := range e.Conditioned {
		o := &e.Conditioned[i]
		host, _, _ := unstructured.NestedString(o.Object, "spec", "dnsName")
		if o.GetKind() != "Challenge" || o.GetNamespace() != cert.GetNamespace() || !slices.Contains(hosts, host) {
			continue
		}
		reason, _, _ := unstructured.NestedString(o.Object, "status", "reason")
		state, _, _ := unstructured.NestedString(o.Object, "status", "state")
		if state == "valid" {
			continue
		}
		f.Message += "; challenge for " + host + " is " + orElse(state, "pending") + ": " + reason
		f.Next = "let " + host + " lead to the load balancer ('aicluster status FILE' shows its name; a DNS record of type CNAME), reachable on port 80; cert-manager tries again by itself"
		return
	}
}

// name is an object as findings name it; what is in no namespace has two parts.
func name(o *unstructured.Unstructured) string {
	if o.GetNamespace() == "" {
		return strings.ToLower(o.GetKind()) + "/" + o.GetName()
	}
	return resource(strings.ToLower(o.GetKind()), o.GetNamespace(), o.GetName())
}

// conditions are an object's, and those that each parent of a route has set.
func conditions(o *unstructured.Unstructured) []map[string]string {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	parents, _, _ := unstructured.NestedSlice(o.Object, "status", "parents")
	for _, p := range parents {
		if m, ok := p.(map[string]any); ok {
			more, _, _ := unstructured.NestedSlice(m, "conditions")
			list = append(list, more...)
		}
	}
	var out []map[string]string
	for _, c := range list {
		m, ok := c.(map[string]any)
		if !ok {
			continue
		}
		text := map[string]string{}
		for k, v := range m {
			if s, ok := v.(string); ok {
				text[k] = s
			}
		}
		out = append(out, text)
	}
	return out
}

// conditionTime is since when a condition is as it is.
func conditionTime(o *unstructured.Unstructured, c map[string]string) time.Time {
	t, err := time.Parse(time.RFC3339, c["lastTransitionTime"])
	if err != nil {
		return o.GetCreationTimestamp().Time
	}
	return t
}
