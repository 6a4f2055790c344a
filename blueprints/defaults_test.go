package blueprints_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"aicluster/blueprints"
)

func example(t *testing.T, name string) *blueprints.Blueprint {
	t.Helper()
	data, err := blueprints.Example(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := blueprints.Parse(name+".yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDefaults(t *testing.T) {
	b := example(t, "quickstart")
	yes, system, gpu := true, b.NodePools[0], b.NodePools[1]
	on := &blueprints.EKSAddon{Enabled: &yes}
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"version", b.Cluster.Version, "1.35"},
		{"support type", b.Cluster.SupportType, "standard"},
		{"endpoint", b.Cluster.Endpoint, blueprints.Endpoint{Public: &yes, Private: &yes}},
		{"network", b.Network, blueprints.Network{CIDR: "10.42.0.0/16", NATGateways: "single"}},
		{"capacity", gpu.Capacity, blueprints.OnDemand},
		{"root volume without GPUs", system.RootVolume.SizeGiB, 100},
		{"root volume with GPUs", gpu.RootVolume.SizeGiB, 200},
		{"storage without disks", system.LocalStorage, "none"},
		{"storage with disks", gpu.LocalStorage, "raid0"},
		{"unavailable", gpu.MaxUnavailable, 1},
		{"vpcCNI", b.Addons.VPCCNI, on},
		{"ebsCSIDriver", b.Addons.EBSCSIDriver, on},
		{"ingressNginx", b.Addons.IngressNginx, (*blueprints.Release)(nil)},
		{"dir", b.Dir, "."},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s is %+v, want %+v", c.what, c.got, c.want)
		}
	}
	before := *b
	if b.Defaults(); !reflect.DeepEqual(*b, before) {
		t.Error("Defaults changed something the second time")
	}
}

func TestDefaultsLeaveWhatIsGiven(t *testing.T) {
	b, err := blueprints.Parse("dir/b.yaml", []byte(`
apiVersion: aicluster/v1
kind: Blueprint
metadata: {name: test, region: us-west-2}
cluster: {version: "1.33", endpoint: {public: false}}
network: {vpcID: vpc-0123456789abcdef0, subnetIDs: [subnet-0123456789abcdef0, subnet-0123456789abcdef1]}
nodePools:
  - {name: system, instanceTypes: [c6id.large], nodes: {min: 2, max: 2}, localStorage: none, rootVolume: {sizeGiB: 50}}
addons:
  metricsServer: {enabled: false}
  vpcCNI: {configuration: {env: {WARM_IP_TARGET: "2"}}}
  ingressNginx: {values: {tcp: {8080: default/web:80}, since: 2026-01-02}}
  charts: [{name: a, repo: "https://charts.example.com", chart: a, version: 1.0.0}]
`))
	if err != nil {
		t.Fatalf("%v", err)
	}
	no := false
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"support type of an old version", b.Cluster.SupportType, "extended"},
		{"public", *b.Cluster.Endpoint.Public, false},
		{"cidr of an existing VPC", b.Network.CIDR, ""},
		{"storage", b.NodePools[0].LocalStorage, "none"},
		{"root volume", b.NodePools[0].RootVolume.SizeGiB, 50},
		{"metricsServer", b.Addons.MetricsServer.Enabled, &no},
		{"vpcCNI", b.Addons.VPCCNI.Configuration, map[string]any{"env": map[string]any{"WARM_IP_TARGET": "2"}}},
		{"values", b.Addons.IngressNginx.Values, map[string]any{"tcp": map[string]any{"8080": "default/web:80"}, "since": "2026-01-02"}},
		{"namespace", b.Addons.Charts[0].Namespace, "default"},
		{"path", b.Path("models/a"), filepath.Join("dir", "models", "a")},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s is %#v, want %#v", c.what, c.got, c.want)
		}
	}
}

func TestLoad(t *testing.T) {
	if _, err := blueprints.Load(filepath.Join(t.TempDir(), "none.yaml")); !os.IsNotExist(err) {
		t.Errorf("a missing file gives %v", err)
	}
	b, err := blueprints.Load("quickstart.yaml")
	if err != nil || b.Metadata.Name != "quickstart" {
		t.Errorf("got %v, %v", b, err)
	}
	if _, err := blueprints.Example("none"); err == nil || err.Error() != `there is no example "none"; there are ai-serving, quickstart` {
		t.Errorf("got %v", err)
	}
}
