package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"aicluster/addons/serving"
	"aicluster/addons/serving/tunnel"
	"aicluster/blueprints"
)

// explain notes why a service is not verified and what to do, and says how long such
// a thing may take to pass by itself.
func (p *Prober) explain(ctx context.Context, svc blueprints.Service, r *Result, err error) (may time.Duration) {
	r.Cause = err.Error()
	var answer *answerError
	var content *contentError
	switch {
	case errors.Is(err, errNoReplicas):
		return p.noReplicas(r)
	case errors.Is(err, errNoRoute):
		r.Cause, r.Hint = "it has no "+routeKind(r), "run aicluster up: it makes what is missing"
		return 0
	case errors.Is(err, errNoAddress):
		r.Cause = "its Ingress has no address: the ingress controller has no load balancer, or does not take it"
		r.Hint = "see `kubectl get ingress,ingressclass,services -A`; a controller writes addresses within a minute"
		if r.Way == Gateway {
			r.Cause = "its Gateway has no address: there is no load balancer, or no proxy is ready"
			r.Hint = "see `kubectl get gateways,pods,services -A` and the conditions of the Gateway"
		}
		return p.Patience
	case errors.As(err, &answer):
		return p.explainAnswer(ctx, svc, r, answer)
	case errors.As(err, &content):
		r.Hint = "something else answers at this address, or the engine's arguments name the model otherwise: see `aicluster logs " + svc.Name + " FILE`"
		return settling
	case r.Way == PortForward:
		r.Hint = "the API server could not connect with pod " + r.Address + ": see `aicluster logs " + svc.Name + " FILE` and `aicluster doctor FILE`"
		return settling
	}
	return p.explainConnection(ctx, svc, r, err)
}

// routeKind is the object that lets requests in by a way.
func routeKind(r *Result) string {
	if r.Way == Gateway {
		return "HTTPRoute"
	}
	return "Ingress"
}

func (p *Prober) noReplicas(r *Result) time.Duration {
	r.Cause, r.Hint = join(r.Status, "no replica is ready"), "`aicluster doctor FILE` says why its pods are not"
	return 0
}

func join(status int, text string) string {
	if status == 0 {
		return text
	}
	return fmt.Sprintf("%d %s: %s", status, http.StatusText(status), text)
}

// replicas tells whether any replica is ready, as far as that can be known.
func (p *Prober) replicas(ctx context.Context, svc blueprints.Service) bool {
	ready, err := tunnel.Endpoints(ctx, p.client, serving.Namespace, svc.Name, serving.PortName)
	return err != nil || len(ready) > 0
}

// explainAnswer: something answered, but not as it should.
func (p *Prober) explainAnswer(ctx context.Context, svc blueprints.Service, r *Result, e *answerError) time.Duration {
	switch {
	case e.status == http.StatusUnauthorized || e.status == http.StatusForbidden:
		r.Hint = "it asks for a key or a login: give the key as --api-key in the service's args, or check what stands before it"
		return 0
	case e.server:
		r.Hint = "this is the engine's own answer: see `aicluster logs " + svc.Name + " FILE`"
		return 0
	case e.status == http.StatusNotFound:
		r.Hint = fmt.Sprintf("the proxy knows no route for %s yet, or another one has it: see `kubectl describe %s -n %s %s`", svc.Host, strings.ToLower(routeKind(r)), serving.Namespace, svc.Name)
		return settling
	case e.status >= 300 && e.status < 400:
		r.Hint = "the way in has a certificate for this host, or is told to redirect; add tls to the service in the blueprint"
		return 0
	case e.status == http.StatusBadGateway || e.status == http.StatusServiceUnavailable || e.status == http.StatusGatewayTimeout:
		if !p.replicas(ctx, svc) {
			return p.noReplicas(r)
		}
		r.Hint = "replicas are ready, but what stands before them does not reach them: see the logs of the proxy, and `aicluster logs " + svc.Name + " FILE`"
		if e.status == http.StatusGatewayTimeout {
			r.Hint = "an answer took longer than the proxy waits: see vllm:num_requests_waiting, add replicas or raise the timeout"
		}
		return p.settled(e)
	}
	r.Hint = "see `aicluster logs " + svc.Name + " FILE`"
	return settling
}

// settled is how long a proxy's own trouble may take to pass. One on the way to the
// load balancer (of HTTP_PROXY) speaks of a load balancer that is still being made.
func (p *Prober) settled(e *answerError) time.Duration {
	if e.text != "" {
		return p.Patience
	}
	return settling
}

// explainConnection: nothing answered.
func (p *Prober) explainConnection(ctx context.Context, svc blueprints.Service, r *Result, err error) time.Duration {
	var hostname x509.HostnameError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var verification *tls.CertificateVerificationError
	var dns *net.DNSError
	switch {
	case errors.As(err, &hostname):
		r.Cause = fmt.Sprintf("TLS: the certificate is for %s, not for %s", names(hostname.Certificate), svc.Host)
		r.Hint = tlsHint(svc)
		return settling // a certificate that was made just now
	case errors.As(err, &authority), errors.As(err, &invalid), errors.As(err, &verification):
		r.Cause = "TLS: " + last(err)
		r.Hint = tlsHint(svc)
		return settling
	case svc.TLS != nil && hungUp(err):
		r.Cause, r.Hint = "TLS: the proxy closed the connection: it has no certificate for "+svc.Host, tlsHint(svc)
		return settling
	case errors.As(err, &dns):
		r.Cause, r.Hint = "the load balancer's name "+dns.Name+" does not resolve", "a new load balancer takes up to five minutes; then look at it with `aws elbv2 describe-load-balancers`"
		return p.Patience
	case ctx.Err() != nil:
		r.Cause = fmt.Sprintf("no answer within %s", requestLimit)
		r.Hint = "the engine is busy or hangs: see `aicluster logs " + svc.Name + " FILE`"
		return 0
	}
	r.Cause = last(err)
	r.Hint = "the load balancer takes no connections: it is being made, its security group does not let you in, or no node runs a proxy pod (see its target group's health)"
	return p.Patience
}

// hungUp tells that the other side ended a handshake for TLS.
func hungUp(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.As(err, &op) && op.Op == "remote error" // crypto/tls: an alert
}

func tlsHint(svc blueprints.Service) string {
	if svc.TLS != nil && svc.TLS.Issuer != "" {
		return fmt.Sprintf("the certificate is not issued yet: see `kubectl describe certificate,challenge -n %s`; the issuer asks for it at %s, whose DNS has to lead to the load balancer", serving.Namespace, svc.Host)
	}
	if svc.TLS == nil {
		return "see what answers at the load balancer"
	}
	return fmt.Sprintf("the proxy has no certificate for %s that this machine trusts: see `kubectl get secret -n %s %s`, of type kubernetes.io/tls", svc.Host, serving.Namespace, svc.TLS.Secret)
}

// names are whom a certificate is for.
func names(c *x509.Certificate) string {
	if c == nil {
		return "somebody else"
	}
	if c.Subject.CommonName != "" {
		return c.Subject.CommonName
	}
	return fmt.Sprint(c.DNSNames)
}

// last is the innermost error that says something: what is around it names URLs.
func last(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		var op *net.OpError
		if errors.As(err, &op) && err == error(op) {
			return err.Error()
		}
		err = next
	}
}
