// Package probe proves that services answer: it asks each for its models and for one
// token, in the way that its users come. A service with a host is asked through the
// load balancer of its ingress, whatever DNS says of the host yet; one without is
// asked through the API server, as by kubectl port-forward.
//
// Files: probe (this one) is what others use, way finds how to reach a service, ask
// speaks the OpenAI API, cause says what is wrong and what to do.
package probe

import (
	"context"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"aicluster/addons"
	"aicluster/blueprints"
	"aicluster/provision/cloud"
)

// Result is what asking a service has shown.
type Result struct {
	Service string `json:"service"`
	// Way is how it was reached: "ingress", "gateway" or "port-forward".
	Way string `json:"way"`
	// URL is what its users call; through a port-forward that is the Service's in the
	// cluster.
	URL string `json:"url"`
	// Address is the load balancer's host name, or the pod.
	Address string `json:"address,omitempty"`
	Model   string `json:"model"`
	// Verified tells that it has the model and made a token.
	Verified bool `json:"verified"`
	// Status is the HTTP status of the last answer; 0 if there was none.
	Status int `json:"status,omitempty"`
	// FirstTokenMs is the time from the request to its first token, in milliseconds.
	FirstTokenMs float64 `json:"firstTokenMs,omitempty"`
	// DNS tells where the host's name leads: "load balancer", "elsewhere" or "nowhere".
	// It is no part of the proof.
	DNS string `json:"dns,omitempty"`
	// Cause and Hint say why it is not verified and what to do.
	Cause string `json:"cause,omitempty"`
	Hint  string `json:"hint,omitempty"`
}

// Prober asks the services of one cluster.
type Prober struct {
	client    kubernetes.Interface
	dyn       dynamic.Interface
	config    *rest.Config
	blueprint *blueprints.Blueprint

	// Patience is how long a service is asked again when what is wrong may pass: its
	// load balancer is being made, its routes are being read.
	Patience time.Duration
}

// DefaultPatience is what a new NLB takes at most, most of the time, until it takes
// connections.
const DefaultPatience = 5 * time.Minute

// settling is how long wrong answers may take to become right ones, in which a proxy
// reads new routes and endpoints.
const settling = 15 * time.Second

// requestLimit bounds one request of a probe. The first token of a model that has
// just been loaded takes some seconds.
const requestLimit = time.Minute

// New makes a Prober.
func New(cluster addons.Cluster, b *blueprints.Blueprint) (*Prober, error) {
	config, err := cluster.RESTConfig()
	if err != nil {
		return nil, err
	}
	p := &Prober{config: config, blueprint: b, Patience: DefaultPatience}
	if p.client, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	p.dyn, err = dynamic.NewForConfig(config)
	return p, err
}

// Ways are those by which a service can be reached: all that the blueprint has, as
// services take each while they move from one to the other.
func (p *Prober) Ways(svc blueprints.Service) []string {
	a := p.blueprint.Addons
	switch {
	case svc.Host == "":
		return []string{PortForward}
	case a.EnvoyGateway == nil:
		return []string{Ingress}
	case a.IngressNginx == nil:
		return []string{Gateway}
	}
	return []string{Ingress, Gateway}
}

// Probe asks one service in one of its ways. Its error is that of ctx; what is wrong
// with the service is in the result.
func (p *Prober) Probe(ctx context.Context, svc blueprints.Service, by string, progress func(format string, args ...any)) (Result, error) {
	start, said := time.Now(), ""
	var r Result
	err := cloud.Poll(ctx, func(ctx context.Context) (bool, error) {
		var wait time.Duration
		r, wait = p.once(ctx, svc, by)
		if ctx.Err() != nil {
			return true, context.Cause(ctx)
		}
		if r.Verified || time.Since(start) >= min(wait, p.Patience) {
			return true, nil
		}
		if r.Cause != said {
			said = r.Cause
			progress("%s; trying again", said)
		}
		return false, nil
	})
	if r.Way != PortForward && r.Address != "" {
		r.DNS = resolves(ctx, svc.Host, r.Address)
	}
	return r, err
}

// once asks a service once, and says how long after the first time a failure may pass
// by itself.
func (p *Prober) once(ctx context.Context, svc blueprints.Service, by string) (Result, time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	r := Result{Service: svc.Name, Way: by, Model: svc.Model}
	way, err := p.wayTo(ctx, svc, &r)
	if err == nil {
		defer way.close()
		err = way.ask(ctx, svc, &r)
	}
	if err == nil {
		r.Verified = true
		return r, 0
	}
	return r, p.explain(ctx, svc, &r, err)
}
