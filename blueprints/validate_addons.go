package blueprints

import (
	"net/url"
	"strings"

	"github.com/Masterminds/semver/v3"
)

func validateAddons(d *document, b *Blueprint) {
	a := b.Addons
	validateEKSAddons(d, a)
	for name, release := range map[string]*Release{"gpuOperator": a.GPUOperator, "ingressNginx": a.IngressNginx, "clusterAutoscaler": a.ClusterAutoscaler,
		"envoyGateway": a.EnvoyGateway, "karpenter": a.Karpenter, "kubePrometheusStack": a.KubePrometheusStack} {
		if release != nil {
			validateChartVersion(d, "addons."+name+".version", release.Version)
		}
	}
	if a.CertManager != nil {
		validateChartVersion(d, "addons.certManager.version", a.CertManager.Version)
		if d.given("addons.certManager.email") && a.Ingress == "" && d.clean("addons") {
			d.errorf("addons.certManager.email", "add 'ingress: gateway' (or 'ingressNginx: {}') under addons, or leave email out and make an issuer of your own",
				"Let's Encrypt asks a host for proof that it is yours, and nothing takes its requests: addons has no ingress")
		}
	}
	validateMonitoring(d, b)
	validateCharts(d, a.Charts)
}

// validateEKSAddons warns of clusters that lack what every cluster needs, unless
// a chart stands in, and refuses add-ons without the one they get IAM roles from.
func validateEKSAddons(d *document, a Addons) {
	on := func(addon *EKSAddon) bool { return addon.Enabled == nil || *addon.Enabled }
	for _, needed := range []struct {
		path  string
		addon *EKSAddon
		lost  string
	}{
		{"addons.vpcCNI.enabled", a.VPCCNI, "without vpcCNI no node becomes ready until another CNI is installed, and EKS gives up on a node group after 15 minutes"},
		{"addons.kubeProxy.enabled", a.KubeProxy, "without kubeProxy services have no addresses unless the CNI replaces it"},
		{"addons.coreDNS.enabled", a.CoreDNS, "without coreDNS pods cannot resolve names"},
	} {
		if !on(needed.addon) {
			d.warnf(needed.path, "leave it on, or install a chart in its place", "%s", needed.lost)
		}
	}
	if on(a.PodIdentityAgent) {
		return
	}
	const path = "addons.podIdentityAgent.enabled"
	switch {
	case on(a.EBSCSIDriver):
		d.errorf(path, "leave it on, or switch ebsCSIDriver off too", "ebsCSIDriver gets its IAM role from podIdentityAgent, which is off")
	case a.ClusterAutoscaler != nil:
		d.errorf(path, "leave it on, or remove clusterAutoscaler", "clusterAutoscaler gets its IAM role from podIdentityAgent, which is off")
	case a.ContainerLogs != nil:
		d.errorf(path, "leave it on, or remove containerLogs", "containerLogs gets its IAM role from podIdentityAgent, which is off")
	case a.Karpenter != nil:
		d.errorf(path, "leave it on, or remove karpenter", "karpenter gets its IAM role from podIdentityAgent, which is off")
	}
}

func validateChartVersion(d *document, path, version string) {
	if !d.given(path) {
		return
	}
	if _, err := semver.StrictNewVersion(strings.TrimPrefix(version, "v")); err != nil {
		d.errorf(path, "write it in full, such as 4.15.1: a range would install something else next time", "%q is not an exact chart version", version)
	}
}

func validateCharts(d *document, charts []Chart) {
	// Where aicluster's own releases are, a second one of the name would replace them.
	line := map[string]int{}
	own := map[string]string{"gpu-operator": "gpuOperator", "ingress-nginx": "ingressNginx", "cluster-autoscaler": "clusterAutoscaler", "karpenter": "karpenter",
		"kube-prometheus-stack": "kubePrometheusStack", "prometheus-adapter": "kubePrometheusStack", "aws-for-fluent-bit": "containerLogs",
		"envoy-gateway": "envoyGateway", "cert-manager": "certManager"}
	for i, c := range charts {
		at := item("addons.charts", i)
		id := c.Namespace + "/" + c.Name
		switch addon := own[c.Name]; {
		case !d.given(at + ".name"):
		case addon != "":
			d.errorf(at+".name", "write '"+addon+": {}' under addons, with values if need be", "the release name %q is for addons.%s", c.Name, addon)
		case line[id] > 0:
			d.errorf(at+".name", "give each release its own name", "release %q of namespace %s exists already, on line %d", c.Name, c.Namespace, line[id])
		default:
			line[id] = d.at(at + ".name").Line
		}
		validateRepo(d, at+".repo", c.Repo)
		validateChartVersion(d, at+".version", c.Version)
	}
}

func validateRepo(d *document, path, repo string) {
	if !d.given(path) {
		return
	}
	u, err := url.Parse(repo)
	switch {
	case err == nil && u.User != nil:
		d.errorf(path, "log in with 'helm registry login' instead", "the repository's address holds a user name or password")
	case err != nil, u.Host == "", u.Scheme != "https" && u.Scheme != "oci":
		hint := "write https://… or oci://…"
		if err == nil && u.Scheme == "http" {
			hint = "write https://" + u.Host + u.Path + ": charts run with all rights, so they must not be altered on the way"
		}
		d.errorf(path, hint, "%q is not the address of a chart repository", repo)
	}
}
