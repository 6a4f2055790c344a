package serving

import (
	"context"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"aicluster/addons"
	"aicluster/blueprints"
)

// weights is a model with a revision.
type weights struct{ name, revision string }

func (w weights) Name() string                             { return w.name }
func (w weights) Revision(context.Context) (string, error) { return w.revision, nil }

// named is a cluster that is only asked for its name.
type named struct{ addons.Cluster }

func (named) Name() string { return "demo" }

// TestFillObjects: a model is copied by a Job of its own, as the account of a service
// that may read it, into the file system as a whole.
func TestFillObjects(t *testing.T) {
	b := blueprint(t)
	b.Serving[0].Load = blueprints.LoadEFS
	model := b.Serving[0].Model
	objects := func(system, revision string) map[string]Object {
		t.Helper()
		f := NewFill(named{}, b, func() string { return system }, []Weights{weights{model, revision}})
		list, err := f.objects(t.Context(), f.weights[0])
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]Object{}
		for _, o := range list {
			found[o.GetObjectKind().GroupVersionKind().Kind] = o
		}
		return found
	}
	got := objects("fs-1", "one")
	job, volume := got["Job"].(*batchv1.Job), got["PersistentVolume"].(*corev1.PersistentVolume)
	pod := job.Spec.Template.Spec
	if !strings.HasPrefix(job.Name, "fill-llama-3-1-8b-instruct-") || len(job.Name) > 63 || job.Namespace != Namespace {
		t.Errorf("job %s/%s", job.Namespace, job.Name)
	}
	if pod.ServiceAccountName != b.Serving[0].Name || len(pod.NodeSelector)+len(pod.Tolerations) > 0 {
		t.Errorf("pod %+v", pod)
	}
	loader := pod.Containers[0]
	if env(loader, "SOURCE") != "s3://my-models/"+model || loader.Resources.Requests.Cpu().MilliValue() > 500 || *loader.SecurityContext.RunAsUser != 0 {
		t.Errorf("loader %+v", loader)
	}
	if volume.Spec.CSI.VolumeHandle != "fs-1:/" || volume.Spec.AccessModes[0] != corev1.ReadWriteMany {
		t.Errorf("volume %+v", volume.Spec)
	}
	if claim := pod.Volumes[0].PersistentVolumeClaim; claim.ClaimName != volume.Spec.ClaimRef.Name || claim.ReadOnly {
		t.Errorf("claim %+v", claim)
	}
	same, other, elsewhere := objects("fs-1", "one"), objects("fs-1", "two"), objects("fs-2", "one")
	if same["Job"].GetName() != job.Name || other["Job"].GetName() == job.Name || elsewhere["Job"].GetName() == job.Name {
		t.Errorf("jobs %s, %s, of another model %s, in another file system %s", job.Name, same["Job"].GetName(), other["Job"].GetName(), elsewhere["Job"].GetName())
	}
	if elsewhere["PersistentVolume"].GetName() == volume.Name || other["PersistentVolume"].GetName() != volume.Name {
		t.Error("a volume is of its file system, whatever the model")
	}
	for kind, o := range got {
		if l := o.GetLabels(); l[labelManagedBy] != FieldManager || l[labelInstance] != "" {
			t.Errorf("%s has labels %v", kind, l)
		}
	}
}

func TestFillNamesFit(t *testing.T) {
	if name := fillName(strings.Repeat("Very.Long_", 13), "01234567"); len(name) > 63 || strings.Contains(name, "--") || name != strings.ToLower(name) {
		t.Errorf("%s has %d characters", name, len(name))
	}
}

// TestOldFailuresMayBeMended: what failed before the wait counts when it fails again.
func TestOldFailuresMayBeMended(t *testing.T) {
	w := rollout{start: time.Now(), restarts: map[string]int32{}}
	pod := func(name string, age time.Duration, restarts int32) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(w.start.Add(-age))}}
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{{RestartCount: restarts}}
		return p
	}
	for _, tt := range []struct {
		what string
		pod  *corev1.Pod
		want bool
	}{
		{"an old pod, first seen", pod("old", time.Hour, 4), false},
		{"the same, waiting yet", pod("old", time.Hour, 4), false},
		{"the same, failed again", pod("old", time.Hour, 5), true},
		{"a pod of this run", pod("new", -time.Second, 2), true},
	} {
		if got := w.failsStill(tt.pod); got != tt.want {
			t.Errorf("%s: %v", tt.what, got)
		}
	}
}
