package addons

import (
	"reflect"
	"strings"
	"testing"

	"aicluster/blueprints"
)

func testBlueprint() *blueprints.Blueprint {
	b := &blueprints.Blueprint{
		Metadata: blueprints.Metadata{Name: "demo", Region: "ap-northeast-2", Tags: map[string]string{"team": "ml", "odd": "a=b"}},
		Cluster:  blueprints.Cluster{Version: "1.35"},
		NodePools: []blueprints.NodePool{
			{Name: "system", InstanceTypes: []string{"c6i.xlarge"}, Taints: []blueprints.Taint{{Key: "cpu-only", Value: "x", Effect: "NoSchedule"}}},
			{Name: "gpu", InstanceTypes: []string{"p4d.24xlarge"}, Taints: []blueprints.Taint{
				{Key: "nvidia.com/gpu", Value: "present", Effect: "NoSchedule"}, {Key: "team", Value: "ml", Effect: "NoExecute"}}},
			{Name: "spot", InstanceTypes: []string{"p4d.24xlarge"}, Taints: []blueprints.Taint{{Key: "team", Value: "batch", Effect: "NoExecute"}}},
		},
		Addons: blueprints.Addons{GPUOperator: &blueprints.Release{}, IngressNginx: &blueprints.Release{}, ClusterAutoscaler: &blueprints.Release{}},
	}
	b.Defaults()
	return b
}

// at reads a value by its path.
func at(values map[string]any, path string) any {
	var v any = values
	for _, key := range strings.Split(path, "/") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

func TestGPUOperatorToleratesEveryTaintOfGPUPools(t *testing.T) {
	spec := GPUOperator(testBlueprint())
	want := []any{
		map[string]any{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
		map[string]any{"key": "team", "operator": "Exists", "effect": "NoExecute"},
	}
	for _, path := range []string{"daemonsets/tolerations", "node-feature-discovery/worker/tolerations"} {
		if got := at(spec.Values, path); !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %v", path, got)
		}
	}
	if at(spec.Values, "driver/enabled") != false || at(spec.Values, "toolkit/enabled") != false {
		t.Error("driver and toolkit are in the AMI and must be off")
	}
	if spec.Version != "v26.7.0" || spec.NamespaceLabels["pod-security.kubernetes.io/enforce"] != "privileged" || len(spec.CRDs) == 0 {
		t.Errorf("spec %+v", spec)
	}
}

func TestUsersValuesWin(t *testing.T) {
	b := testBlueprint()
	b.Addons.GPUOperator = &blueprints.Release{Version: "v26.3.1", Values: map[string]any{
		"driver":     map[string]any{"enabled": true, "version": "580"},
		"daemonsets": map[string]any{"tolerations": []any{}},
		"mig":        map[string]any{"strategy": "mixed"},
	}}
	spec := GPUOperator(b)
	for path, want := range map[string]any{"driver/enabled": true, "driver/version": "580", "toolkit/enabled": false, "mig/strategy": "mixed", "daemonsets/tolerations": []any{}} {
		if got := at(spec.Values, path); !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
	if spec.Version != "v26.3.1" {
		t.Errorf("version %s", spec.Version)
	}
}

func TestClusterAutoscalerFollowsTheCluster(t *testing.T) {
	b := testBlueprint()
	for version, tag := range map[string]string{"1.33": "v1.33.6", "1.34": "v1.34.5", "1.35": "v1.35.2", "1.36": "v1.36.1", "1.37": "v1.37.0"} {
		b.Cluster.Version = version
		spec := ClusterAutoscaler(b)
		if got := at(spec.Values, "image/tag"); got != tag {
			t.Errorf("Kubernetes %s: image %v", version, got)
		}
		if at(spec.Values, "autoDiscovery/clusterName") != "demo" || at(spec.Values, "rbac/serviceAccount/name") != AutoscalerServiceAccount {
			t.Errorf("values %v", spec.Values)
		}
		// Pools bear a label of their own, and would never be similar.
		if at(spec.Values, "extraArgs/balancing-ignore-label") != blueprints.PoolLabel {
			t.Errorf("balancing of pools: %v", spec.Values)
		}
	}
}

func TestEKSAddonsOfABlueprint(t *testing.T) {
	b, off := testBlueprint(), false
	b.Addons.MetricsServer = &blueprints.EKSAddon{Enabled: &off}
	b.Addons.VPCCNI = &blueprints.EKSAddon{Version: "v1.20.4-eksbuild.1", Configuration: map[string]any{"env": map[string]any{"ENABLE_PREFIX_DELEGATION": "true"}}}
	var names []string
	for _, a := range EKSAddons(b, map[string]Role{EBSCSIDriver: fakeRole("arn:ebs")}) {
		names = append(names, a.Name)
		switch a.Name {
		case "vpc-cni":
			if a.NeedsNodes || a.Version == "" || a.Configuration == nil {
				t.Errorf("vpc-cni %+v", a)
			}
		case "aws-ebs-csi-driver":
			if !a.NeedsNodes || a.PodIdentity.Role.ARN() != "arn:ebs" {
				t.Errorf("EBS %+v", a)
			}
		}
	}
	if got := strings.Join(names, " "); got != "vpc-cni kube-proxy eks-pod-identity-agent coredns aws-ebs-csi-driver" {
		t.Errorf("add-ons %s", got)
	}
}

func TestDriversOfVolumesAreOffUnlessGiven(t *testing.T) {
	b := testBlueprint()
	b.Addons.EFSCSIDriver = &blueprints.EKSAddon{}
	b.Addons.MountpointS3CSIDriver = &blueprints.EKSAddon{Configuration: map[string]any{"node": map[string]any{"logLevel": 2}}}
	drivers := map[string]EKSAddonChoice{}
	for _, a := range EKSAddons(b, map[string]Role{EFSCSIDriver: fakeRole("arn:efs")}) {
		drivers[a.Name] = a
	}
	if efs := drivers[EFSCSIDriver]; efs.PodIdentity == nil || efs.PodIdentity.Role.ARN() != "arn:efs" || efs.PodIdentity.ServiceAccount != "efs-csi-controller-sa" || !efs.NeedsNodes {
		t.Errorf("EFS %+v", efs)
	}
	mount := drivers[MountpointDriver]
	if mount.PodIdentity != nil || at(mount.Configuration, "node/tolerateAllTaints") != true || at(mount.Configuration, "node/logLevel") != 2.0 {
		t.Errorf("Mountpoint %+v", mount)
	}
}

func TestChartsDefaultNamespace(t *testing.T) {
	b := testBlueprint()
	b.Addons.Charts = []blueprints.Chart{{Name: "keda", Repo: "https://x", Chart: "keda", Version: "2.0.0"}}
	if got := Charts(b); len(got) != 1 || got[0].Namespace != "keda" {
		t.Errorf("charts %+v", got)
	}
}
