package nginx

import (
	"cmp"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// location is a path of an Ingress, as nginx has it.
type location struct {
	ingress *networkingv1.Ingress
	host    string
	path    string
	exact   bool
	backend *networkingv1.IngressServiceBackend
}

// mine tells whether an Ingress is the controller's: by its class's controller, by
// the old annotation, or by having no class at all if the controller wants those.
func (c *controller) mine(i *networkingv1.Ingress) bool {
	if c.flags.watchNamespace != "" && i.Namespace != c.flags.watchNamespace {
		return false
	}
	if name := i.Spec.IngressClassName; name != nil {
		class, err := c.classes.Get(*name)
		return err == nil && class.Spec.Controller == c.flags.controllerClass
	}
	if old, ok := i.Annotations["kubernetes.io/ingress.class"]; ok {
		return old == c.flags.ingressClass
	}
	return c.flags.withoutClass
}

// all lists the controller's Ingresses, the oldest first: of two that claim the same
// host and path it wins.
func (c *controller) all() []*networkingv1.Ingress {
	list, err := c.ingresses.List(labels.Everything())
	if err != nil {
		return nil
	}
	list = slices.DeleteFunc(slices.Clone(list), func(i *networkingv1.Ingress) bool { return !c.mine(i) || i.DeletionTimestamp != nil })
	slices.SortStableFunc(list, func(a, b *networkingv1.Ingress) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name))
	})
	return list
}

// find returns the location for a request, or nil. A server of exactly the host goes
// before one of a wildcard, and that before the rules without a host; in it the
// longest path wins.
func (c *controller) find(host, path string) *location {
	servers := map[string][]location{}
	for _, i := range c.all() {
		for _, l := range locations(i) {
			servers[l.host] = append(servers[l.host], l)
		}
	}
	names := []string{host}
	if _, parent, ok := strings.Cut(host, "."); ok {
		names = append(names, "*."+parent)
	}
	for _, name := range append(names, "") {
		found, ok := servers[name]
		if !ok {
			continue
		}
		var best *location
		for n := range found {
			l := &found[n]
			if l.matches(path) && (best == nil || l.exact && !best.exact || l.exact == best.exact && len(l.path) > len(best.path)) {
				best = l
			}
		}
		return best // that server has the request, also when it has no location for it
	}
	return nil
}

func locations(i *networkingv1.Ingress) []location {
	var list []location
	if b := i.Spec.DefaultBackend; b != nil && b.Service != nil {
		list = append(list, location{ingress: i, path: "/", backend: b.Service})
	}
	for _, rule := range i.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for _, p := range rule.HTTP.Paths {
			if p.Backend.Service == nil {
				continue
			}
			list = append(list, location{
				ingress: i, host: strings.ToLower(rule.Host), path: cmp.Or(p.Path, "/"), backend: p.Backend.Service,
				exact: p.PathType != nil && *p.PathType == networkingv1.PathTypeExact,
			})
		}
	}
	return list
}

// matches compares paths by their elements, as Prefix wants it.
func (l *location) matches(path string) bool {
	if l.exact {
		return path == l.path
	}
	prefix := strings.TrimSuffix(l.path, "/")
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}
