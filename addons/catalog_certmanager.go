package addons

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"aicluster/blueprints"
	"aicluster/provision/engine"
)

const certManagerVersion = "v1.21.1"

// Names of what issues certificates.
const (
	CertManagerName = "cert-manager" // release and namespace
	IssuerName      = blueprints.LetsEncrypt
)

// CertManager issues and renews certificates. It is the project's own chart and not
// EKS's community add-on: that one follows the versions of EKS, has few of the
// settings, and cannot wait for the Gateway API's kinds, which cert-manager looks for
// only when it starts. Its resource definitions stay when the release goes, as the
// chart has it, and with them the certificates.
func CertManager(b *blueprints.Blueprint) ReleaseSpec {
	c := b.Addons.CertManager
	ours := map[string]any{"crds": map[string]any{"enabled": true}}
	if b.Addons.EnvoyGateway != nil { // to answer challenges by routes of a Gateway
		ours["config"] = map[string]any{"gatewayAPI": map[string]any{"enabled": true}}
	}
	return ReleaseSpec{
		Name: CertManagerName, Namespace: CertManagerName,
		Repo: "https://charts.jetstack.io", Chart: "cert-manager",
		Version: version(&blueprints.Release{Version: c.Version}, certManagerVersion),
		Values:  overlay(ours, c.Values),
	}
}

// CertificateResource is what services ask cert-manager for.
var CertificateResource = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}

// NewIssuer makes the resource "issuer/letsencrypt": a ClusterIssuer that gets
// certificates of Let's Encrypt. It proves that a host is ours by HTTP-01, through
// the way in that the blueprint's ingress names. It needs the release of cert-manager.
func NewIssuer(cluster Cluster, b *blueprints.Blueprint, needs ...engine.Resource) *Objects {
	email := ""
	if b.Addons.CertManager != nil {
		email = b.Addons.CertManager.Email
	}
	body, err := canonical(map[string]any{
		"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": map[string]any{"name": IssuerName},
		"spec": map[string]any{"acme": map[string]any{
			"server": "https://acme-v02.api.letsencrypt.org/directory", "email": email,
			"privateKeySecretRef": map[string]any{"name": IssuerName + "-account"},
			"solvers":             []any{map[string]any{"http01": solver(b)}},
		}},
	})
	if err != nil { // what is written above can be JSON
		panic(err)
	}
	return newObjects("issuer/"+IssuerName, cluster, []Object{
		{Resource: schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "clusterissuers"}, Body: body, Ready: "Ready"},
	}, needs...)
}

// solver is how a challenge is answered from outside.
func solver(b *blueprints.Blueprint) map[string]any {
	if b.Addons.Ingress == "gateway" {
		return map[string]any{"gatewayHTTPRoute": map[string]any{"parentRefs": []any{map[string]any{
			"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": GatewayName, "namespace": EnvoyGatewayNamespace, "sectionName": GatewayHTTP,
		}}}}
	}
	return map[string]any{"ingress": map[string]any{"ingressClassName": "nginx"}}
}

// NewRemovedIssuer is the issuer of a blueprint that names no address of mail any more.
func NewRemovedIssuer(cluster Cluster) *Objects {
	o := NewIssuer(cluster, &blueprints.Blueprint{})
	o.unwanted = true
	return o
}
