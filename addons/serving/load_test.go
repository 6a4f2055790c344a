package serving

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"aicluster/blueprints"
)

// loaded renders the service llama with another way of loading, or of using disks.
func loaded(t *testing.T, change func(*blueprints.Blueprint, *blueprints.Service), f Facts) (map[string]Object, corev1.PodSpec) {
	t.Helper()
	b := blueprint(t)
	svc := b.Serving[0]
	change(b, &svc)
	objects := map[string]Object{}
	for _, o := range Render(b, svc, f) {
		objects[o.GetObjectKind().GroupVersionKind().Kind] = o
	}
	return objects, objects["Deployment"].(*appsv1.Deployment).Spec.Template.Spec
}

func by(mode blueprints.LoadMode) func(*blueprints.Blueprint, *blueprints.Service) {
	return func(_ *blueprints.Blueprint, s *blueprints.Service) { s.Load = mode }
}

// arg is the value of an engine's argument, and how often it is given.
func arg(spec corev1.PodSpec, name string) (value string, times int) {
	args := spec.Containers[0].Args
	for i, a := range args {
		if a == name {
			value, times = args[i+1], times+1
		}
	}
	return value, times
}

func env(c corev1.Container, name string) string {
	i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == name })
	if i < 0 {
		return ""
	}
	return c.Env[i].Value
}

func TestCopyToNVMe(t *testing.T) {
	_, spec := loaded(t, by(blueprints.LoadCopy), Facts{ModelBytes: 16 << 30})
	loader := spec.InitContainers[0]
	if v := spec.Volumes[0].HostPath; v == nil || v.Path != "/mnt/k8s-disks/0/aicluster/models" || *v.Type != corev1.HostPathDirectoryOrCreate {
		t.Errorf("volume %+v", spec.Volumes[0])
	}
	if loader.SecurityContext.RunAsUser == nil || *loader.SecurityContext.RunAsUser != 0 || *loader.SecurityContext.RunAsNonRoot {
		t.Errorf("the loader runs as %+v", loader.SecurityContext)
	}
	if env(loader, "SOURCE") != "s3://my-models/Llama-3.1-8B-Instruct" || env(loader, "TARGET") != "/models" || env(loader, "AWS_REGION") != "ap-northeast-2" {
		t.Errorf("the loader's environment %+v", loader.Env)
	}
	if loader.Resources.Requests.Cpu().IsZero() || loader.Resources.Limits.Memory().IsZero() {
		t.Errorf("the loader's resources %+v", loader.Resources)
	}
	if m := spec.Containers[0].VolumeMounts[0]; m.MountPath != "/models" || !m.ReadOnly {
		t.Errorf("the engine's mount %+v", m)
	}
	if model, _ := arg(spec, "--model"); model != "/models/Llama-3.1-8B-Instruct" {
		t.Errorf("model %s", model)
	}
}

func TestCopyToADiskOfThePod(t *testing.T) {
	for bytes, want := range map[int64]string{16 << 30: "20Gi", 17 << 30: "20Gi", 140 << 30: "160Gi", 0: ""} {
		_, spec := loaded(t, func(b *blueprints.Blueprint, s *blueprints.Service) {
			s.Load, b.Pool(s.Pool).LocalStorage = blueprints.LoadCopy, "none"
		}, Facts{ModelBytes: bytes})
		disk := spec.Volumes[0].EmptyDir
		if disk == nil || spec.InitContainers[0].SecurityContext.RunAsUser != nil {
			t.Fatalf("%+v", spec.Volumes[0])
		}
		asked, limit := spec.Containers[0].Resources.Requests[corev1.ResourceEphemeralStorage], ""
		if disk.SizeLimit != nil {
			limit = disk.SizeLimit.String()
		}
		if limit != want || want != "" && asked.String() != want {
			t.Errorf("%d bytes: a disk of %s, asked for %s", bytes, limit, asked.String())
		}
	}
}

func TestStream(t *testing.T) {
	_, spec := loaded(t, by(blueprints.LoadStream), Facts{})
	if model, _ := arg(spec, "--model"); model != "s3://my-models/Llama-3.1-8B-Instruct" {
		t.Errorf("model %s", model)
	}
	if format, _ := arg(spec, "--load-format"); format != "runai_streamer" {
		t.Errorf("load format %s", format)
	}
	if name, _ := arg(spec, "--served-model-name"); name != "Llama-3.1-8B-Instruct" {
		t.Errorf("it is served as %s", name)
	}
	if env(spec.Containers[0], "AWS_REGION") != "ap-northeast-2" || len(spec.InitContainers) > 0 {
		t.Errorf("pod %+v", spec)
	}
	for gpus, want := range map[int]string{1: `{"concurrency":16,"memory_limit":5368709120}`, 4: `{"concurrency":16,"distributed":true,"memory_limit":5368709120}`} {
		_, spec := loaded(t, func(_ *blueprints.Blueprint, s *blueprints.Service) { s.Load, s.GPUs = blueprints.LoadStream, gpus }, Facts{})
		if got, _ := arg(spec, "--model-loader-extra-config"); got != want {
			t.Errorf("%d GPUs: %s", gpus, got)
		}
	}
	_, spec = loaded(t, func(_ *blueprints.Blueprint, s *blueprints.Service) {
		s.Load, s.Args = blueprints.LoadStream, []string{"--model-loader-extra-config", "{}"}
	}, Facts{})
	if got, times := arg(spec, "--model-loader-extra-config"); got != "{}" || times != 1 {
		t.Errorf("the user's setting is %s, given %d times", got, times)
	}
}

func TestMountpoint(t *testing.T) {
	objects, spec := loaded(t, by(blueprints.LoadMount), Facts{})
	v, c := objects["PersistentVolume"].(*corev1.PersistentVolume), objects["PersistentVolumeClaim"].(*corev1.PersistentVolumeClaim)
	if v.Spec.CSI.Driver != "s3.csi.aws.com" || v.Spec.CSI.VolumeAttributes["authenticationSource"] != "pod" || v.Spec.CSI.VolumeAttributes["bucketName"] != "my-models" {
		t.Errorf("volume %+v", v.Spec.CSI)
	}
	if got := strings.Join(v.Spec.MountOptions, ","); got != "read-only,allow-other,region ap-northeast-2,prefix Llama-3.1-8B-Instruct/" {
		t.Errorf("options %s", got)
	}
	bound(t, v, c, spec)
	if c.Spec.StorageClassName == nil || *c.Spec.StorageClassName != "" || c.Spec.AccessModes[0] != corev1.ReadOnlyMany {
		t.Errorf("claim %+v", c.Spec)
	}
	again, _ := loaded(t, by(blueprints.LoadMount), Facts{})
	other, _ := loaded(t, func(_ *blueprints.Blueprint, s *blueprints.Service) {
		s.Load, s.Model = blueprints.LoadMount, "Llama-3.1-70B-Instruct"
	}, Facts{})
	if again["PersistentVolume"].GetName() != v.Name || other["PersistentVolume"].GetName() == v.Name {
		t.Errorf("volumes %s, %s, of another model %s", v.Name, again["PersistentVolume"].GetName(), other["PersistentVolume"].GetName())
	}
}

// bound checks that a volume and a claim are each other's, and mounted to be read.
func bound(t *testing.T, v *corev1.PersistentVolume, c *corev1.PersistentVolumeClaim, spec corev1.PodSpec) {
	t.Helper()
	if c.Spec.VolumeName != v.Name || v.Spec.ClaimRef.Name != c.Name || v.Spec.ClaimRef.Namespace != c.Namespace || v.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimRetain {
		t.Errorf("volume %+v\nclaim %+v", v.Spec, c.Spec)
	}
	if p := spec.Volumes[0].PersistentVolumeClaim; p == nil || p.ClaimName != c.Name || !p.ReadOnly {
		t.Errorf("the pod's volume %+v", spec.Volumes[0])
	}
	if m := spec.Containers[0].VolumeMounts[0]; m.MountPath != "/models/Llama-3.1-8B-Instruct" || !m.ReadOnly || len(spec.InitContainers) > 0 {
		t.Errorf("the engine's mount %+v", m)
	}
	if model, _ := arg(spec, "--model"); model != "/models/Llama-3.1-8B-Instruct" {
		t.Errorf("model %s", model)
	}
}

func TestEFS(t *testing.T) {
	objects, spec := loaded(t, by(blueprints.LoadEFS), Facts{FileSystem: "fs-0123456789abcdef0"})
	v, c := objects["PersistentVolume"].(*corev1.PersistentVolume), objects["PersistentVolumeClaim"].(*corev1.PersistentVolumeClaim)
	bound(t, v, c, spec)
	if v.Spec.CSI.Driver != "efs.csi.aws.com" || v.Spec.CSI.VolumeHandle != "fs-0123456789abcdef0:/Llama-3.1-8B-Instruct" || v.Spec.StorageClassName != "efs-sc" {
		t.Errorf("volume %+v", v.Spec)
	}
	// The driver refuses a volume whose first mode is another; the claim asks to read.
	if v.Spec.AccessModes[0] != corev1.ReadWriteMany || !slices.Contains(v.Spec.AccessModes, corev1.ReadOnlyMany) ||
		!slices.Equal(c.Spec.AccessModes, []corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany}) || *c.Spec.StorageClassName != "efs-sc" {
		t.Errorf("volume %v, claim %v", v.Spec.AccessModes, c.Spec.AccessModes)
	}
}

func TestSlug(t *testing.T) {
	for model, want := range map[string]string{"Llama-3.1-8B-Instruct": "llama-3-1-8b-instruct", "a_b.": "a-b"} {
		if got := slug(model); got != want {
			t.Errorf("%s is %s", model, got)
		}
	}
}
