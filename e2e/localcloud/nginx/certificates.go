package nginx

import (
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"aicluster/e2e/localcloud/traffic"
)

// fakeCertificate is what nginx shows for a host of which it has none.
type fakeCertificate struct {
	once sync.Once
	cert tls.Certificate
	err  error
}

func (f *fakeCertificate) get() (*tls.Certificate, error) {
	f.once.Do(func() {
		f.cert, f.err = traffic.SelfSigned(pkix.Name{Organization: []string{"Acme Co"}, CommonName: "Kubernetes Ingress Controller Fake Certificate"}, "ingress.local")
	})
	return &f.cert, f.err
}

// tls ends TLS with the certificate for the name that the client asks for.
func (c *controller) tls() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if cert := c.certificate(hello.Context(), strings.ToLower(hello.ServerName)); cert != nil {
				return cert, nil
			}
			if namespace, name, ok := strings.Cut(c.flags.defaultCert, "/"); ok {
				if cert := c.secret(hello.Context(), namespace, name); cert != nil {
					return cert, nil
				}
			}
			return c.fake.get()
		},
	}
}

// certificate is that of the Ingress which has the host under tls, if its Secret is
// there and can be used.
func (c *controller) certificate(ctx context.Context, host string) *tls.Certificate {
	for _, i := range c.all() {
		for _, t := range i.Spec.TLS {
			if t.SecretName == "" || !slices.ContainsFunc(t.Hosts, func(h string) bool { return covers(h, host) }) {
				continue
			}
			if cert := c.secret(ctx, i.Namespace, t.SecretName); cert != nil {
				return cert
			}
		}
	}
	return nil
}

func (c *controller) hasCertificate(ctx context.Context, host string) bool {
	return c.certificate(ctx, host) != nil
}

func covers(pattern, host string) bool {
	if parent, ok := strings.CutPrefix(strings.ToLower(pattern), "*."); ok {
		_, rest, _ := strings.Cut(host, ".")
		return rest == parent
	}
	return strings.EqualFold(pattern, host)
}

// secret reads a certificate with its key; nil if it cannot be used.
func (c *controller) secret(ctx context.Context, namespace, name string) *tls.Certificate {
	s, err := c.client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil
	}
	cert, err := tls.X509KeyPair(s.Data["tls.crt"], s.Data["tls.key"])
	if err != nil {
		return nil
	}
	return &cert
}
