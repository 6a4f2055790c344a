package serving

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"aicluster/blueprints"
)

// TestRoutes holds the manifests of each way in against testdata/route-NAME.yaml.
func TestRoutes(t *testing.T) {
	on := &blueprints.Release{}
	tests := map[string]struct {
		addons blueprints.Addons
		host   string
		tls    *blueprints.TLS
	}{
		"nginx":          {blueprints.Addons{Ingress: "nginx", IngressNginx: on}, "ai-api.example.com", &blueprints.TLS{Secret: "ai-api-tls"}},
		"gateway-plain":  {blueprints.Addons{Ingress: "gateway", EnvoyGateway: on}, "ai-api.example.com", nil},
		"gateway-secret": {blueprints.Addons{Ingress: "gateway", EnvoyGateway: on}, "ai-api.example.com", &blueprints.TLS{Secret: "ai-api-tls"}},
		"both-issuer":    {blueprints.Addons{Ingress: "gateway", IngressNginx: on, EnvoyGateway: on}, "ai-api.example.com", &blueprints.TLS{Issuer: "letsencrypt"}},
		"own-chart":      {blueprints.Addons{}, "ai-api.example.com", nil},
		"none":           {blueprints.Addons{Ingress: "gateway", EnvoyGateway: on}, "", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := &blueprints.Blueprint{Metadata: blueprints.Metadata{Name: "demo"}, Addons: test.addons}
			text, err := YAML(route(b, blueprints.Service{Name: "llama", Host: test.host, TLS: test.tls}))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "route-"+name+".yaml", text)
		})
	}
}

// TestRoutesAreOfKnownKinds: what is rendered can be applied, compared and taken away.
func TestRoutesAreOfKnownKinds(t *testing.T) {
	b := &blueprints.Blueprint{Addons: blueprints.Addons{IngressNginx: &blueprints.Release{}, EnvoyGateway: &blueprints.Release{}}}
	for _, o := range route(b, blueprints.Service{Name: "llama", Host: "h.example.com", TLS: &blueprints.TLS{Issuer: "letsencrypt"}}) {
		if _, err := kindOf(o); err != nil {
			t.Error(err)
		}
	}
}

// certificateOf makes a certificate of its own for a host.
func certificateOf(t *testing.T, host string, until time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: until.AddDate(-1, 0, 0), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestSecretForTLS(t *testing.T) {
	const host = "ai-api.example.com"
	later, key := time.Now().AddDate(1, 0, 0), []byte("-----BEGIN EC PRIVATE KEY-----\nsecret\n")
	secret := func(kind corev1.SecretType, crt, key []byte) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "ai-api-tls", Namespace: Namespace}, Type: kind, Data: map[string][]byte{"tls.crt": crt, "tls.key": key}}
	}
	good := certificateOf(t, host, later)
	tests := map[string]struct {
		secret *corev1.Secret
		note   string
	}{
		"none":           {nil, "secret ai-api-tls does not exist in namespace ai-serving, so https://ai-api.example.com does not work: kubectl create secret tls ai-api-tls -n ai-serving"},
		"good":           {secret(corev1.SecretTypeTLS, good, key), ""},
		"of a wildcard":  {secret(corev1.SecretTypeTLS, certificateOf(t, "*.example.com", later), key), ""},
		"another host":   {secret(corev1.SecretTypeTLS, certificateOf(t, "www.example.com", later), key), "has a certificate for www.example.com, not for ai-api.example.com"},
		"ended":          {secret(corev1.SecretTypeTLS, certificateOf(t, host, time.Now().AddDate(0, 0, -1)), key), "has a certificate that ended on"},
		"ends soon":      {secret(corev1.SecretTypeTLS, certificateOf(t, host, time.Now().AddDate(0, 0, 3)), key), "has a certificate that ends on"},
		"no certificate": {secret(corev1.SecretTypeTLS, []byte("x"), key), "has no certificate in tls.crt"},
		"no key":         {secret(corev1.SecretTypeTLS, good, nil), "has no key in tls.key"},
		"another type":   {secret(corev1.SecretTypeOpaque, good, key), "is of type Opaque"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset()
			if test.secret != nil {
				_ = client.Tracker().Add(test.secret)
			}
			s := &Service{svc: blueprints.Service{Name: "llama", Host: host, TLS: &blueprints.TLS{Secret: "ai-api-tls"}}}
			notes, err := s.tlsNotes(t.Context(), connection{client: client})
			if err != nil || len(notes) > 1 || (test.note == "") != (len(notes) == 0) {
				t.Fatalf("notes %q, %v", notes, err)
			}
			if len(notes) > 0 && (!strings.Contains(notes[0], test.note) || bytes.Contains([]byte(notes[0]), []byte("PRIVATE"))) {
				t.Errorf("says %q, want %q", notes[0], test.note)
			}
		})
	}
}
