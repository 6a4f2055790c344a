package envoy

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// name is what an object is called.
type name struct{ Namespace, Name string }

// Of the Gateway API's kinds only what is read
// (https://gateway-api.sigs.k8s.io/reference/spec/).
type (
	reference struct {
		Kind        string `json:"kind"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
		SectionName string `json:"sectionName"`
		Port        int32  `json:"port"`
	}
	listener struct {
		Name     string `json:"name"`
		Hostname string `json:"hostname"`
		Port     int32  `json:"port"`
		TLS      *struct {
			CertificateRefs []reference `json:"certificateRefs"`
		} `json:"tls"`

		owner     name
		ownerKind string
	}
	gateway struct {
		metav1.ObjectMeta `json:"metadata"`
		Spec              struct {
			Listeners []listener `json:"listeners"`
		} `json:"spec"`
	}
	listenerSet struct {
		metav1.ObjectMeta `json:"metadata"`
		Spec              struct {
			ParentRef reference  `json:"parentRef"`
			Listeners []listener `json:"listeners"`
		} `json:"spec"`
	}
	route struct {
		metav1.ObjectMeta `json:"metadata"`
		Spec              struct {
			ParentRefs []reference `json:"parentRefs"`
			Hostnames  []string    `json:"hostnames"`
			Rules      []rule      `json:"rules"`
		} `json:"spec"`
	}
	rule struct {
		Matches []struct {
			Path *struct {
				Type  string `json:"type"`
				Value string `json:"value"`
			} `json:"path"`
			Method      string `json:"method"`
			Headers     []any  `json:"headers"`
			QueryParams []any  `json:"queryParams"`
		} `json:"matches"`
		Filters []struct {
			Type            string    `json:"type"`
			RequestRedirect *redirect `json:"requestRedirect"`
		} `json:"filters"`
		BackendRefs []reference `json:"backendRefs"`
		Timeouts    struct {
			Request string `json:"request"`
		} `json:"timeouts"`
	}
	redirect struct {
		Scheme     string `json:"scheme"`
		Hostname   string `json:"hostname"`
		StatusCode int    `json:"statusCode"`
	}
	policy struct {
		metav1.ObjectMeta `json:"metadata"`
		Spec              struct {
			TargetRefs []reference `json:"targetRefs"`
			Timeout    struct {
				HTTP struct {
					RequestTimeout    string `json:"requestTimeout"`
					StreamIdleTimeout string `json:"streamIdleTimeout"`
				} `json:"http"`
			} `json:"timeout"`
		} `json:"spec"`
	}
)

// objects is all that a proxy goes by.
type objects struct {
	gateway  gateway
	sets     []listenerSet
	routes   []route
	policies []policy
}

const api = "/apis/gateway.networking.k8s.io/v1/"

func (p *proxy) read(ctx context.Context) (*objects, error) {
	var o objects
	gateways, err := list[gateway](ctx, p.client, api+"gateways")
	if err != nil {
		return nil, err
	}
	for _, g := range gateways {
		if (name{g.Namespace, g.Name}) == p.gateway {
			o.gateway = g
		}
	}
	if o.routes, err = list[route](ctx, p.client, api+"httproutes"); err != nil {
		return nil, err
	}
	// The oldest wins where several match alike (Gateway API, HTTPRouteRule).
	slices.SortStableFunc(o.routes, func(a, b route) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	o.sets, _ = list[listenerSet](ctx, p.client, api+"listenersets")                                           // a younger kind
	o.policies, _ = list[policy](ctx, p.client, "/apis/gateway.envoyproxy.io/v1alpha1/backendtrafficpolicies") // may not be there
	return &o, nil
}

// listeners are the Gateway's own at a port and those of the sets attached to it.
func (o *objects) listeners(port int32) []listener {
	var out []listener
	add := func(owner metav1.ObjectMeta, kind string, all []listener) {
		for _, l := range all {
			if l.Port == port {
				l.owner, l.ownerKind = name{owner.Namespace, owner.Name}, kind
				out = append(out, l)
			}
		}
	}
	add(o.gateway.ObjectMeta, "Gateway", o.gateway.Spec.Listeners)
	for _, s := range o.sets {
		if s.Spec.ParentRef.names(s.Namespace) == (name{o.gateway.Namespace, o.gateway.Name}) {
			add(s.ObjectMeta, "ListenerSet", s.Spec.Listeners)
		}
	}
	return out
}

// names is what a reference in an object of a namespace refers to.
func (r reference) names(namespace string) name {
	if r.Namespace != "" {
		namespace = r.Namespace
	}
	return name{namespace, r.Name}
}

// match is a rule that a request goes by.
type match struct {
	route *route
	rule  *rule
}

// find returns the rule for a request: the most specific host first, then an exact
// path, then the longest prefix.
func (o *objects) find(port int32, host, path string) *match {
	var best *match
	bestHost, bestExact, bestLength := -1, false, -1
	for _, l := range o.listeners(port) {
		if !covers(l.Hostname, host) {
			continue
		}
		for i := range o.routes {
			r := &o.routes[i]
			specific, ok := r.takes(l, host)
			if !ok {
				continue
			}
			for n := range r.Spec.Rules {
				exact, length := r.Spec.Rules[n].matches(path)
				if length < 0 {
					continue
				}
				better := specific > bestHost || specific == bestHost && (exact && !bestExact || exact == bestExact && length > bestLength)
				if better {
					best, bestHost, bestExact, bestLength = &match{r, &r.Spec.Rules[n]}, specific, exact, length
				}
			}
		}
	}
	return best
}

// takes tells whether a route is attached to a listener and has the host, and how
// specific it is about that.
func (r *route) takes(l listener, host string) (specific int, ok bool) {
	attached := slices.ContainsFunc(r.Spec.ParentRefs, func(p reference) bool {
		kind := p.Kind
		if kind == "" {
			kind = "Gateway"
		}
		return kind == l.ownerKind && p.names(r.Namespace) == l.owner && (p.SectionName == "" || p.SectionName == l.Name) && (p.Port == 0 || p.Port == l.Port)
	})
	if !attached {
		return 0, false
	}
	if len(r.Spec.Hostnames) == 0 {
		return 0, true
	}
	specific = -1
	for _, h := range r.Spec.Hostnames {
		if covers(h, host) {
			specific = max(specific, len(h))
		}
	}
	return specific, specific >= 0
}

// covers tells whether a host name of the Gateway API, with or without a wildcard,
// has a host; an empty one has all.
func covers(pattern, host string) bool {
	if suffix, ok := strings.CutPrefix(strings.ToLower(pattern), "*"); ok {
		return strings.HasSuffix(host, suffix) && len(host) > len(suffix)
	}
	return pattern == "" || strings.EqualFold(pattern, host)
}

// matches tells how a rule matches a path: exactly, or by a prefix of some length;
// -1 if it does not.
func (r *rule) matches(path string) (exact bool, length int) {
	if len(r.Matches) == 0 {
		return false, 1
	}
	length = -1
	for _, m := range r.Matches {
		if m.Method != "" || len(m.Headers) > 0 || len(m.QueryParams) > 0 {
			continue
		}
		kind, value := "PathPrefix", "/"
		if m.Path != nil {
			kind, value = m.Path.Type, m.Path.Value
		}
		prefix := strings.TrimSuffix(value, "/")
		switch {
		case kind == "Exact" && path == value:
			return true, len(value)
		case kind == "PathPrefix" && (path == prefix || strings.HasPrefix(path, prefix+"/")):
			length = max(length, len(value))
		}
	}
	return false, length
}

func (r *rule) redirect() *redirect {
	for _, f := range r.Filters {
		if f.RequestRedirect != nil {
			return f.RequestRedirect
		}
	}
	return nil
}

// backend is the first; weights are not honoured.
func (r *rule) backend() *reference {
	if len(r.BackendRefs) == 0 {
		return nil
	}
	return &r.BackendRefs[0]
}

func (r *redirect) code() int {
	if r.StatusCode == 0 {
		return http.StatusFound
	}
	return r.StatusCode
}

func (r *redirect) location(request *http.Request, host string) string {
	scheme := r.Scheme
	if scheme == "" {
		scheme = "http"
	}
	if r.Hostname != "" {
		host = r.Hostname
	}
	return scheme + "://" + host + request.URL.RequestURI()
}

// Envoy's own timeouts where nobody gives any: of a route, and of a stream in which
// nothing comes.
const (
	defaultRequestTimeout = 15 * time.Second
	defaultIdleTimeout    = 5 * time.Minute
)

// policyOf is the BackendTrafficPolicy of a route.
func (o *objects) policyOf(m *match) *policy {
	for i := range o.policies {
		p := &o.policies[i]
		if p.Namespace == m.route.Namespace && slices.ContainsFunc(p.Spec.TargetRefs, func(r reference) bool { return r.Kind == "HTTPRoute" && r.Name == m.route.Name }) {
			return p
		}
	}
	return nil
}

func (o *objects) requestTimeout(m *match) time.Duration {
	if d, err := time.ParseDuration(m.rule.Timeouts.Request); err == nil {
		return d
	}
	if p := o.policyOf(m); p != nil {
		if d, err := time.ParseDuration(p.Spec.Timeout.HTTP.RequestTimeout); err == nil {
			return d
		}
	}
	return defaultRequestTimeout
}

func (o *objects) idleTimeout(m *match) time.Duration {
	if p := o.policyOf(m); p != nil {
		if d, err := time.ParseDuration(p.Spec.Timeout.HTTP.StreamIdleTimeout); err == nil {
			return d
		}
	}
	return defaultIdleTimeout
}
