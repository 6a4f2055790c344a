package controllers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	appslisters "k8s.io/client-go/listers/apps/v1"
	netlisters "k8s.io/client-go/listers/networking/v1"
	"sigs.k8s.io/yaml"

	"aicluster/e2e/localcloud/clock"
)

var (
	certificates   = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}
	clusterIssuers = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "clusterissuers"}
)

const (
	// issuance is how long Let's Encrypt's proof and answer take (an estimate).
	issuance = 20 * time.Second
	// certificateLife and renewsBefore are Let's Encrypt's and cert-manager's: 90
	// days, of which the last third is for the renewal.
	certificateLife = 90 * 24 * time.Hour
	renewsBefore    = 30 * 24 * time.Hour
	certManagerPoll = 2 * time.Second // of its kinds, at speed 1
)

// certManager plays the process in the Deployment cert-manager (version 1.21) as far
// as ClusterIssuers and Certificates go: an ACME account is registered, and a
// certificate is made by itself where its challenge would find a way in. There are
// no CertificateRequests, Orders and Challenges. It does nothing while that
// Deployment has no available pod.
type certManager struct {
	client  kubernetes.Interface
	dyn     dynamic.Interface
	clock   *clock.Clock
	worker  *worker
	deploys appslisters.DeploymentLister
	classes netlisters.IngressClassLister

	asked map[string]time.Time // when each certificate was first seen; of the worker's goroutine
}

func newCertManager(o Options, client kubernetes.Interface, dyn dynamic.Interface, factory informers.SharedInformerFactory) (*certManager, error) {
	c := &certManager{client: client, dyn: dyn, clock: o.Clock, asked: map[string]time.Time{},
		deploys: factory.Apps().V1().Deployments().Lister(), classes: factory.Networking().V1().IngressClasses().Lister()}
	c.worker = newWorker("cert-manager", c.sync)
	return c, on(factory.Apps().V1().Deployments().Informer(), func(d *appsv1.Deployment) {
		if runsCertManager(d) {
			c.worker.queue.Add(everything)
		}
	})
}

func (c *certManager) run(ctx context.Context) { c.worker.run(ctx) }

// sync looks at all there is, again and again while the controller runs.
func (c *certManager) sync(ctx context.Context, _ string) (time.Duration, error) {
	controller, err := available(c.deploys, runsCertManager)
	if controller == nil || err != nil {
		return 0, err
	}
	issuers, err := c.dyn.Resource(clusterIssuers).List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, ignoreNotFound(err)
	}
	for i := range issuers.Items {
		if err := c.issuer(ctx, controller, &issuers.Items[i]); err != nil {
			return 0, fmt.Errorf("issuer %s: %w", issuers.Items[i].GetName(), err)
		}
	}
	found, err := c.dyn.Resource(certificates).List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, ignoreNotFound(err)
	}
	for i := range found.Items {
		if err := c.certificate(ctx, controller, &found.Items[i], issuers.Items); err != nil {
			return 0, fmt.Errorf("certificate %s: %w", found.Items[i].GetName(), err)
		}
	}
	return max(c.clock.Scale(certManagerPoll), 200*time.Millisecond), nil
}

func runsCertManager(d *appsv1.Deployment) bool {
	return d.Labels["app.kubernetes.io/name"] == "cert-manager" && d.Labels["app.kubernetes.io/component"] == "controller"
}

// issuer registers the account of an ACME issuer.
func (c *certManager) issuer(ctx context.Context, controller *appsv1.Deployment, u *unstructured.Unstructured) error {
	status := map[string]any{"conditions": []any{gatewayCondition(u, "Ready", metav1.ConditionTrue, "IsReady", "")}}
	if server := text(u, "spec", "acme", "server"); server != "" {
		key := text(u, "spec", "acme", "privateKeySecretRef", "name")
		if err := c.accountKey(ctx, controller.Namespace, key); err != nil {
			return err
		}
		status = map[string]any{
			"acme":       map[string]any{"uri": strings.TrimSuffix(server, "/directory") + "/acme/acct/1", "lastRegisteredEmail": text(u, "spec", "acme", "email")},
			"conditions": []any{gatewayCondition(u, "Ready", metav1.ConditionTrue, "ACMEAccountRegistered", "The ACME account was registered with the ACME server")},
		}
	}
	return c.report(ctx, clusterIssuers, u, status)
}

func (c *certManager) accountKey(ctx context.Context, namespace, name string) error {
	_, err := c.client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	_, err = c.client.CoreV1().Secrets(namespace).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{"controller.cert-manager.io/fao": "true"}},
		Data:       map[string][]byte{corev1.TLSPrivateKeyKey: key.pem},
	}, metav1.CreateOptions{})
	return err
}

// certificate makes the secret that a Certificate asks for, once its issuer is ready
// and a challenge would be answered.
func (c *certManager) certificate(ctx context.Context, controller *appsv1.Deployment, u *unstructured.Unstructured, issuers []unstructured.Unstructured) error {
	id := string(u.GetUID())
	if _, known := c.asked[id]; !known {
		c.asked[id] = time.Now()
	}
	name := text(u, "spec", "secretName")
	secret, err := c.client.CoreV1().Secrets(u.GetNamespace()).Get(ctx, name, metav1.GetOptions{})
	switch {
	case err == nil && secret.Annotations["cert-manager.io/certificate-name"] == u.GetName():
		return c.reportIssued(ctx, u, secret)
	case err != nil && !apierrors.IsNotFound(err):
		return err
	}
	wait, err := c.obstacle(ctx, controller, u, issuers)
	if err != nil {
		return err
	}
	if wait == "" && time.Since(c.asked[id]) >= c.clock.Scale(issuance) {
		return c.issue(ctx, u)
	}
	if wait == "" {
		wait = "Issuing certificate as Secret does not exist"
	}
	return c.report(ctx, certificates, u, map[string]any{"conditions": []any{
		gatewayCondition(u, "Ready", metav1.ConditionFalse, "DoesNotExist", wait),
		gatewayCondition(u, "Issuing", metav1.ConditionTrue, "DoesNotExist", "Issuing certificate as Secret does not exist"),
	}})
}

// obstacle says why a certificate cannot be had: its issuer, or that no request for
// its host would come to the challenge's answer.
func (c *certManager) obstacle(ctx context.Context, controller *appsv1.Deployment, u *unstructured.Unstructured, issuers []unstructured.Unstructured) (string, error) {
	wanted := text(u, "spec", "issuerRef", "name")
	for i := range issuers {
		issuer := &issuers[i]
		if issuer.GetName() != wanted {
			continue
		}
		solvers := list(issuer, "spec", "acme", "solvers")
		if len(solvers) == 0 {
			return "", nil // not by ACME
		}
		class, _, _ := unstructured.NestedString(solvers[0], "http01", "ingress", "ingressClassName")
		if class != "" {
			_, err := c.classes.Get(class)
			if apierrors.IsNotFound(err) {
				return fmt.Sprintf("Waiting for HTTP-01 challenge propagation: there is no ingress class %q", class), nil
			}
			return "", err
		}
		return c.gatewayObstacle(ctx, controller, solvers[0])
	}
	return fmt.Sprintf("Referenced issuer does not exist: clusterissuer.cert-manager.io %q not found", wanted), nil
}

func (c *certManager) gatewayObstacle(ctx context.Context, controller *appsv1.Deployment, solver map[string]any) (string, error) {
	parents, _, _ := unstructured.NestedSlice(solver, "http01", "gatewayHTTPRoute", "parentRefs")
	enabled, err := c.gatewayAPI(ctx, controller)
	if err != nil || !enabled {
		return "couldn't Present challenge: gateway api is not enabled", err
	}
	for _, p := range parents {
		ref, _ := p.(map[string]any)
		namespace, _ := ref["namespace"].(string)
		name, _ := ref["name"].(string)
		g, err := c.dyn.Resource(gateways).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
		if ignoreNotFound(err) != nil {
			return "", err
		}
		if err == nil {
			for _, condition := range list(g, "status", "conditions") {
				if condition["type"] == "Programmed" && condition["status"] == "True" {
					return "", nil
				}
			}
		}
	}
	return "Waiting for HTTP-01 challenge propagation: no gateway answers", nil
}

// gatewayAPI reads the controller's configuration (config.gatewayAPI.enabled).
func (c *certManager) gatewayAPI(ctx context.Context, controller *appsv1.Deployment) (bool, error) {
	m, err := c.client.CoreV1().ConfigMaps(controller.Namespace).Get(ctx, controller.Name, metav1.GetOptions{})
	if err != nil {
		return false, ignoreNotFound(err)
	}
	var config struct {
		GatewayAPI struct {
			Enabled bool `json:"enabled"`
		} `json:"gatewayAPI"`
	}
	err = yaml.Unmarshal([]byte(m.Data["config.yaml"]), &config)
	return config.GatewayAPI.Enabled, err
}

// issue makes the secret, with a certificate that it signs itself.
func (c *certManager) issue(ctx context.Context, u *unstructured.Unstructured) error {
	hosts, _, _ := unstructured.NestedStringSlice(u.Object, "spec", "dnsNames")
	key, err := newKey()
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second)
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: hosts[0]}, DNSNames: hosts, NotBefore: now, NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key.PrivateKey)
	if err != nil {
		return err
	}
	set, _, _ := unstructured.NestedStringMap(u.Object, "spec", "secretTemplate", "labels")
	all := map[string]string{"controller.cert-manager.io/fao": "true"}
	maps.Copy(all, set)
	_, err = c.client.CoreV1().Secrets(u.GetNamespace()).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: text(u, "spec", "secretName"), Namespace: u.GetNamespace(), Labels: all, Annotations: map[string]string{
			"cert-manager.io/certificate-name": u.GetName(), "cert-manager.io/alt-names": strings.Join(hosts, ","), "cert-manager.io/common-name": hosts[0],
			"cert-manager.io/issuer-name": text(u, "spec", "issuerRef", "name"), "cert-manager.io/issuer-kind": text(u, "spec", "issuerRef", "kind"),
		}},
		Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), corev1.TLSPrivateKeyKey: key.pem},
	}, metav1.CreateOptions{})
	return err
}

func (c *certManager) reportIssued(ctx context.Context, u *unstructured.Unstructured, secret *corev1.Secret) error {
	block, _ := pem.Decode(secret.Data[corev1.TLSCertKey])
	if block == nil {
		return fmt.Errorf("secret %s has no certificate", secret.Name)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	return c.report(ctx, certificates, u, map[string]any{
		"notBefore": cert.NotBefore.Format(time.RFC3339), "notAfter": cert.NotAfter.Format(time.RFC3339), "renewalTime": cert.NotAfter.Add(-renewsBefore).Format(time.RFC3339),
		"revision":   int64(1),
		"conditions": []any{gatewayCondition(u, "Ready", metav1.ConditionTrue, "Ready", "Certificate is up to date and has not expired")},
	})
}

func (c *certManager) report(ctx context.Context, kind schema.GroupVersionResource, u *unstructured.Unstructured, status map[string]any) error {
	was, _, _ := unstructured.NestedMap(u.Object, "status")
	if reflect.DeepEqual(timeless(was), timeless(status)) {
		return nil
	}
	next := u.DeepCopy()
	next.Object["status"] = status
	_, err := c.dyn.Resource(kind).Namespace(u.GetNamespace()).UpdateStatus(ctx, next, metav1.UpdateOptions{})
	return ignoreNotFound(err)
}

// privateKey is one with its PEM form.
type privateKey struct {
	*ecdsa.PrivateKey
	pem []byte
}

func newKey() (privateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return privateKey{}, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	return privateKey{key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})}, err
}
