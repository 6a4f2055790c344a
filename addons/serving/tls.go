package serving

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"aicluster/addons"
)

// expiresSoon is how long before its end a certificate of the user's is worth a word.
const expiresSoon = 14 * 24 * time.Hour

// tlsNotes says why HTTPS does not work: what is wrong with the secret that the
// blueprint names, or what cert-manager waits for. These are notes and no failures.
// The service runs, and a certificate comes at the earliest when the host's name
// leads to the load balancer, whose address nobody knows before.
func (s *Service) tlsNotes(ctx context.Context, c connection) ([]string, error) {
	switch {
	case s.unwanted || s.svc.Host == "" || s.svc.TLS == nil:
		return nil, nil
	case s.svc.TLS.Issuer != "":
		return s.issuerNotes(ctx, c)
	}
	name := s.svc.TLS.Secret
	secret, err := c.client.CoreV1().Secrets(Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return []string{fmt.Sprintf("secret %s does not exist in namespace %s, so https://%s does not work: "+
			"kubectl create secret tls %s -n %s --cert=FILE --key=FILE", name, Namespace, s.svc.Host, name, Namespace)}, nil
	}
	if err != nil {
		return nil, err
	}
	if wrong := wrongWith(secret, s.svc.Host, time.Now()); wrong != "" {
		return []string{fmt.Sprintf("secret %s in namespace %s %s", name, Namespace, wrong)}, nil
	}
	return nil, nil
}

// issuerNotes says what a certificate that has been asked for waits for.
func (s *Service) issuerNotes(ctx context.Context, c connection) ([]string, error) {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.Kind == "Certificate" })
	live, err := c.get(ctx, all[i], s.svc.Name)
	if err != nil || live == nil {
		return nil, err
	}
	ready, why := addons.Condition(live, "Ready")
	if ready {
		return nil, nil
	}
	return []string{fmt.Sprintf("the certificate for %s is not there yet: %s. It takes the name %s to lead to the load balancer that 'aicluster status' shows", s.svc.Host, why, s.svc.Host)}, nil
}

// wrongWith says what is wrong with a certificate for a host; empty if nothing is.
// Of the key it looks only whether there is one.
func wrongWith(secret *corev1.Secret, host string, now time.Time) string {
	if secret.Type != corev1.SecretTypeTLS {
		return fmt.Sprintf("is of type %s: the certificate has to be in one of type %s", secret.Type, corev1.SecretTypeTLS)
	}
	block, _ := pem.Decode(secret.Data[corev1.TLSCertKey])
	if block == nil || block.Type != "CERTIFICATE" {
		return "has no certificate in " + corev1.TLSCertKey
	}
	if len(secret.Data[corev1.TLSPrivateKeyKey]) == 0 {
		return "has no key in " + corev1.TLSPrivateKeyKey
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return "has a certificate that cannot be read: " + err.Error()
	case cert.VerifyHostname(host) != nil:
		return fmt.Sprintf("has a certificate for %s, not for %s", strings.Join(cert.DNSNames, ", "), host)
	case now.After(cert.NotAfter):
		return fmt.Sprintf("has a certificate that ended on %s", cert.NotAfter.Format(time.DateOnly))
	case cert.NotAfter.Sub(now) < expiresSoon:
		return fmt.Sprintf("has a certificate that ends on %s", cert.NotAfter.Format(time.DateOnly))
	}
	return ""
}
