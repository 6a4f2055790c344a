package blueprints

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"aicluster/blueprints/instancetypes"
)

// validateServing checks the services: each by itself, then what they share.
func validateServing(d *document, b *Blueprint) {
	names, hosts := map[string]int{}, map[string]int{}
	unique := func(seen map[string]int, path, value, what string) {
		if value == "" || !d.given(path) {
			return
		}
		if line := seen[value]; line > 0 {
			d.errorf(path, "give each service its own "+what, "%s %q is another service's already, on line %d", what, value, line)
			return
		}
		seen[value] = d.at(path).Line
	}
	for i := range b.Serving {
		s, at := &b.Serving[i], item("serving", i)
		unique(names, at+".name", s.Name, "name")
		unique(hosts, at+".host", s.Host, "host")
		validateModelOf(d, b, s, at)
		validatePoolOf(d, b, s, at)
		validateReplicas(d, s, at)
		validateResources(d, b.Pool(s.Pool), s, at)
		validateHost(d, b, s, at)
		validateEngine(d, s, at)
	}
	if len(b.Serving) > 0 && b.Addons.PodIdentityAgent != nil && b.Addons.PodIdentityAgent.Enabled != nil && !*b.Addons.PodIdentityAgent.Enabled {
		d.errorf("addons.podIdentityAgent.enabled", "leave it on", "services get the IAM role that reads their model from podIdentityAgent, which is off")
	}
	for i := range b.NodePools {
		validateRoom(d, b, &b.NodePools[i])
	}
}

// validateModelOf: the model is one of the blueprint's and goes onto the pool.
func validateModelOf(d *document, b *Blueprint, s *Service, at string) {
	path := at + ".model"
	if !d.given(path) {
		return
	}
	var names []string
	if b.Models != nil {
		for _, seed := range b.Models.Seed {
			names = append(names, seed.Name)
		}
	}
	i := slices.Index(names, s.Model)
	if i < 0 {
		hint := "add it under models.seed, with the folder that its weights are in"
		if meant := suggest(s.Model, names); meant != "" {
			hint = fmt.Sprintf("did you mean %q?", meant)
		} else if len(names) > 0 {
			hint = "the models are " + strings.Join(names, ", ") + "; " + hint
		}
		d.errorf(path, hint, "model %q is none of models.seed", s.Model)
		return
	}
	pool := b.Pool(s.Pool)
	if pool == nil || pool.GPUs() < s.GPUs {
		return
	}
	if why, hint := pool.TooSmallFor(*s, b.size(b.Models.Seed[i])); why != "" {
		d.errorf(path, hint, "model %q is too large for pool %q: %s", s.Model, s.Pool, why)
	}
}

// validatePoolOf: the pool is there and its nodes have the GPUs.
func validatePoolOf(d *document, b *Blueprint, s *Service, at string) {
	path := at + ".pool"
	if !d.given(path) {
		return
	}
	var names []string
	for _, p := range b.NodePools {
		if p.GPUs() > 0 {
			names = append(names, p.Name)
		}
	}
	hint := "add a pool with GPUs under nodePools"
	if len(names) > 0 {
		hint = "the pools with GPUs are " + strings.Join(names, ", ")
	}
	pool := b.Pool(s.Pool)
	switch {
	case pool == nil:
		if meant := suggest(s.Pool, names); meant != "" {
			hint = fmt.Sprintf("did you mean %q?", meant)
		}
		d.errorf(path, hint, "pool %q is none of nodePools", s.Pool)
	case pool.GPUs() == 0:
		if d.clean(item("nodePools", slices.IndexFunc(b.NodePools, func(p NodePool) bool { return p.Name == s.Pool })) + ".instanceTypes") {
			d.errorf(path, hint, "pool %q has no GPUs", s.Pool)
		}
	case s.GPUs > pool.GPUs() && d.given(at+".gpus"):
		d.errorf(at+".gpus", "a replica runs on one node: ask for "+strconv.Itoa(pool.GPUs())+" or fewer, or choose a pool with more GPUs a node",
			"a replica asks for %d GPUs, and a node of pool %q has %d", s.GPUs, pool.Name, pool.GPUs())
	}
}

func validateReplicas(d *document, s *Service, at string) {
	if d.given(at+".replicas") && d.values[at+".autoscaling"] != nil {
		d.errorf(at+".replicas", "keep one: replicas for a fixed number, or autoscaling for one that follows the requests",
			"the service has both replicas and autoscaling")
	}
	if a := s.Autoscaling; a != nil && d.given(at+".autoscaling.min", at+".autoscaling.max") && a.Min > a.Max {
		d.errorf(at+".autoscaling.min", "min is the fewest replicas, max the most", "min (%d) is above max (%d)", a.Min, a.Max)
	}
}

// gpuResource is how Kubernetes counts NVIDIA's GPUs.
const gpuResource = "nvidia.com/gpu"

// validateResources: what is asked for can be read, GPUs are whole and the same in
// requests, limits and gpus, and a node has it.
func validateResources(d *document, pool *NodePool, s *Service, at string) {
	if s.Resources == nil || d.values[at+".resources"] == nil {
		return
	}
	requests := validateQuantities(d, s, at+".resources.requests", s.Resources.Requests)
	limits := validateQuantities(d, s, at+".resources.limits", s.Resources.Limits)
	for name, request := range requests {
		path := join(at+".resources.requests", name)
		if limit, ok := limits[name]; ok && request.Cmp(limit) > 0 && name != gpuResource {
			d.errorf(path, "raise the limit or lower the request", "the request for %s (%s) is above the limit (%s)", name, request.String(), limit.String())
		}
		if have := pool.smallest(name); d.given(path) && have > 0 && request.Value() > have {
			d.errorf(path, "ask for less, or choose a pool with larger nodes", "a replica asks for %s of %s, and a node of pool %q has %s",
				request.String(), name, pool.Name, resource.NewQuantity(have, request.Format).String())
		}
	}
}

// validateQuantities reads requests or limits, and reports those that are wrong.
func validateQuantities(d *document, s *Service, at string, given map[string]string) map[string]resource.Quantity {
	good := map[string]resource.Quantity{}
	for name, text := range given {
		path := join(at, name)
		q, err := resource.ParseQuantity(text)
		switch {
		case !d.given(path):
			if err == nil {
				good[name] = q // a default
			}
		case err != nil || q.Sign() < 0:
			d.errorf(path, "write it as Kubernetes does: \"4\" or 500m for cpu, 24Gi for memory", "%q is no amount of %s", text, name)
		case name == gpuResource && q.MilliValue()%1000 != 0:
			d.errorf(path, "Kubernetes hands out whole GPUs; to share one among replicas, use a smaller GPU or a larger batch", "%s is %s: there are no parts of a GPU", name, text)
		case name == gpuResource && q.Value() != int64(s.GPUs):
			d.errorf(path, "leave it out and write 'gpus: "+text+"': requests and limits for GPUs are the same, and come from there",
				"%s is %s, and gpus is %d: requests, limits and gpus have to be equal", name, text, s.GPUs)
		case !slices.Contains([]string{"cpu", "memory", "ephemeral-storage", gpuResource}, name) && !strings.HasPrefix(name, "hugepages-") && !isQualifiedName(name):
			d.keyErrorf(path, nameHint, "%q cannot be the name of a resource", name)
		default:
			good[name] = q
		}
	}
	return good
}

// smallest is what each node of the pool has of cpu (cores) or memory (bytes), all
// its instance types considered; 0 if that is not known.
func (p *NodePool) smallest(name string) int64 {
	if p == nil {
		return 0
	}
	var least int64
	for _, t := range p.InstanceTypes {
		info, ok := instancetypes.Lookup(t)
		if !ok {
			continue
		}
		have := map[string]int64{"cpu": int64(info.VCPUs), "memory": int64(info.MemoryMiB) << 20}[name]
		if least == 0 || have < least {
			least = have
		}
	}
	return least
}

// validateHost: what comes from outside has a way in.
func validateHost(d *document, b *Blueprint, s *Service, at string) {
	if d.given(at + ".host") {
		chart := slices.ContainsFunc(b.Addons.Charts, func(c Chart) bool {
			return strings.Contains(c.Chart, "ingress") || strings.Contains(c.Chart, "gateway")
		})
		errs := validation.IsDNS1123Subdomain(s.Host)
		switch {
		case len(errs) > 0:
			d.errorf(at+".host", "write a name such as ai-api.example.com, in lower case, without scheme, port or path", "%q cannot be a host's name", s.Host)
		case b.Addons.Ingress == "" && !chart && d.clean("addons"):
			d.errorf(at+".host", "add 'ingress: gateway' (or 'ingressNginx: {}') under addons, or leave host out to be reached inside the cluster only",
				"the service has a host, and nothing takes requests for it: addons has no ingress")
		}
	}
	if s.TLS == nil || d.values[at+".tls"] == nil {
		return
	}
	switch {
	case s.Host == "":
		d.errorf(at+".tls", "add 'host: NAME', for which the certificate is", "the service has tls and no host")
	case s.TLS.Secret == "" && s.TLS.Issuer == "":
		d.errorf(at+".tls", "write 'tls: {secret: NAME}' or 'tls: {issuer: letsencrypt}'", "tls says neither a secret nor an issuer")
	case s.TLS.Secret != "" && s.TLS.Issuer != "":
		d.errorf(at+".tls.secret", "keep one: a secret that you make, or an issuer that makes one", "tls has both a secret and an issuer")
	case s.TLS.Issuer != "" && b.Addons.CertManager == nil && d.values["addons.certManager"] == nil:
		d.errorf(at+".tls.issuer", "add 'certManager: {email: you@example.com}' under addons", "issuer %q is of cert-manager, and addons has no certManager", s.TLS.Issuer)
	case s.TLS.Issuer == LetsEncrypt && b.Addons.CertManager != nil && b.Addons.CertManager.Email == "" && d.clean("addons"):
		d.errorf(at+".tls.issuer", "write 'certManager: {email: you@example.com}'", "aicluster makes issuer %q only if it knows an address of mail, and certManager has none", s.TLS.Issuer)
	}
}
