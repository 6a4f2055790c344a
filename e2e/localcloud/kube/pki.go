package kube

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// The files of a control plane's folder.
const (
	fileCA             = "ca.crt"
	fileServing        = "apiserver"      // .crt, .key
	fileAdmin          = "admin"          // .crt, .key: O=system:masters
	fileKubeletClient  = "kubelet-client" // .crt, .key: how the API server shows itself to a kubelet
	fileServiceAccount = "service-account.key"
	fileAdminConfig    = "admin.kubeconfig"
	fileWebhookConfig  = "token-webhook.kubeconfig"

	fileSchedulerConfig = "scheduler.yaml"
)

// certLife outlasts any run of the local cloud.
const certLife = 30 * 24 * time.Hour

// authority signs the certificates of one control plane.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// writePKI fills dir with an authority's certificate, the API server's serving
// certificate, the client certificates and the service accounts' signing key.
// The authority's own key is not kept.
func writePKI(dir string, serviceIP net.IP) error {
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(dir, fileCA), "CERTIFICATE", ca.cert.Raw); err != nil {
		return err
	}
	leaves := map[string]x509.Certificate{
		fileServing: {
			Subject:     pkix.Name{CommonName: "kube-apiserver"},
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback, serviceIP},
			DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		},
		fileAdmin: {
			Subject:     pkix.Name{CommonName: "localcloud:admin", Organization: []string{"system:masters"}},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		},
		fileKubeletClient: {
			Subject:     pkix.Name{CommonName: "kube-apiserver-kubelet-client"},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		},
	}
	for name, template := range leaves {
		if err := ca.issue(filepath.Join(dir, name), template); err != nil {
			return fmt.Errorf("certificate %s: %w", name, err)
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	return writeKey(filepath.Join(dir, fileServiceAccount), key)
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := x509.Certificate{
		Subject:               pkix.Name{CommonName: "kubernetes"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := sign(&template, &template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert, key}, err
}

// issue writes a key and the certificate that the authority signs for it.
func (a *authority) issue(path string, template x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := sign(&template, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	if err := writePEM(path+".crt", "CERTIFICATE", der); err != nil {
		return err
	}
	return writeKey(path+".key", key)
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(certLife)
	return x509.CreateCertificate(rand.Reader, template, parent, public, key)
}

func writeKey(path string, key any) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// adminConfig reads the admin's client configuration from a control plane's folder.
func adminConfig(dir string, port int) (*rest.Config, error) {
	c := &rest.Config{
		Host:  fmt.Sprintf("https://127.0.0.1:%d", port),
		QPS:   200,
		Burst: 400,
	}
	for name, to := range map[string]*[]byte{
		fileCA:             &c.CAData,
		fileAdmin + ".crt": &c.CertData,
		fileAdmin + ".key": &c.KeyData,
	} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		*to = data
	}
	return c, nil
}

// readKubeconfig is the configuration in a kubeconfig, with its files read.
func readKubeconfig(path string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, err
	}
	return config, rest.LoadTLSFiles(config)
}

// writeAdminConfig writes the admin's kubeconfig, which the controller manager
// and the scheduler take, and which a person may use to look around.
func writeAdminConfig(dir string, c *rest.Config) error {
	return writeKubeconfig(filepath.Join(dir, fileAdminConfig),
		&clientcmdapi.Cluster{Server: c.Host, CertificateAuthorityData: c.CAData},
		&clientcmdapi.AuthInfo{ClientCertificateData: c.CertData, ClientKeyData: c.KeyData})
}

// writeWebhookConfig writes the kubeconfig by which the API server finds the
// token webhook. It is the local cloud itself, on loopback, so there are no
// credentials.
func writeWebhookConfig(dir, authURL string) error {
	u, err := url.Parse(authURL)
	if err != nil {
		return fmt.Errorf("auth URL: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("auth URL %q: want http or https", authURL)
	}
	return writeKubeconfig(filepath.Join(dir, fileWebhookConfig),
		&clientcmdapi.Cluster{Server: authURL}, &clientcmdapi.AuthInfo{})
}

func writeKubeconfig(path string, cluster *clientcmdapi.Cluster, user *clientcmdapi.AuthInfo) error {
	const name = "localcloud"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = cluster
	config.AuthInfos[name] = user
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	return clientcmd.WriteToFile(*config, path)
}
