package serving

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"aicluster/addons"
	"aicluster/blueprints"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// Weights are a model in the bucket.
type Weights interface {
	Name() string
	// Revision is another text when its files are others; empty while there are none.
	Revision(ctx context.Context) (string, error)
}

// fillLabel marks what copies a model to the file system; its value is the model's
// name as far as labels go.
const fillLabel = "aicluster/fill"

// Fill copies the models of services that load from EFS to the file system: by a
// Job for each, once, and again when the model is another. The Jobs run on nodes
// without GPUs, as the service account of a service that may read the model.
type Fill struct {
	cluster   addons.Cluster
	blueprint *blueprints.Blueprint
	system    func() string // the file system's id, empty while there is none
	weights   []Weights
	needs     []engine.Resource

	connect func() (connection, error)
}

// NewFill makes the resource "weights/efs" for these models. It needs the cluster
// and, in needs, what the Jobs need: the namespace, the file system and its driver,
// the models, and the roles that read them. Without models it is to go.
func NewFill(cluster addons.Cluster, b *blueprints.Blueprint, system func() string, weights []Weights, needs ...engine.Resource) *Fill {
	return &Fill{cluster: cluster, blueprint: b, system: system, weights: weights, needs: append([]engine.Resource{cluster}, needs...),
		connect: func() (connection, error) { return connect(cluster) }}
}

// ID implements engine.Resource.
func (f *Fill) ID() string { return "weights/efs" }

// Needs implements engine.Resource.
func (f *Fill) Needs() []engine.Resource { return f.needs }

// Need adds to what it needs, before a graph is made of it.
func (f *Fill) Need(more ...engine.Resource) { f.needs = append(f.needs, more...) }

// Container implements engine.Inner.
func (f *Fill) Container() engine.Resource { return f.cluster }

// Unwanted implements engine.Unwanted.
func (f *Fill) Unwanted() bool { return len(f.weights) == 0 }

// Observe implements engine.Resource.
func (f *Fill) Observe(ctx context.Context) (engine.Observation, error) {
	creation := engine.Observation{}
	for _, w := range f.weights {
		creation.Changes = append(creation.Changes, engine.Change{Field: "model", Wanted: w.Name(), Policy: engine.PolicyCreate})
	}
	if !f.cluster.Ready() {
		return creation, nil
	}
	c, err := f.connect()
	if err != nil {
		return engine.Observation{}, cloud.Wrap(f.ID(), "connecting to the cluster", err)
	}
	live, err := f.live(ctx, c)
	if err != nil {
		return engine.Observation{}, addons.Unreachable(f.ID(), "looking for what copies models", err)
	}
	if len(live) == 0 || f.Unwanted() {
		creation.Exists = len(live) > 0
		return creation, nil
	}
	return f.compare(ctx, live)
}

// compare says which models are to be copied, and what is not wanted any more.
func (f *Fill) compare(ctx context.Context, live []objectOf) (engine.Observation, error) {
	o := engine.Observation{Exists: true, Detail: f.system()}
	wanted := map[string]bool{}
	for _, w := range f.weights {
		objects, err := f.objects(ctx, w)
		if err != nil {
			return engine.Observation{}, cloud.Wrap(f.ID(), "looking at model "+w.Name(), err)
		}
		state := "none"
		for _, object := range objects {
			id := idOf(object)
			wanted[id] = true
			for _, have := range live {
				if have.id() == id && have.kind.Kind == "Job" {
					state = jobState(have.object)
				}
			}
		}
		if state != jobComplete {
			o.Changes = append(o.Changes, engine.Change{Field: w.Name(), Live: state, Wanted: "as it is in S3", Policy: engine.PolicyInPlace})
		}
	}
	for _, have := range live {
		if !wanted[have.id()] && have.object.GetDeletionTimestamp() == nil {
			o.Changes = append(o.Changes, engine.Change{Field: strings.ToLower(have.kind.Kind), Live: have.object.GetName(), Policy: engine.PolicyDelete})
		}
	}
	return o, nil
}

// objectOf is a live object with its kind.
type objectOf struct {
	kind   kind
	object *unstructured.Unstructured
}

func (o objectOf) id() string { return o.kind.Kind + "/" + o.object.GetName() }

func idOf(o Object) string { return o.GetObjectKind().GroupVersionKind().Kind + "/" + o.GetName() }

// fillKinds are the kinds of object that copying takes, each after those that it
// refers to.
func fillKinds() []kind {
	class := kind{plural: "storageclasses", global: true}
	class.Group, class.Version, class.Kind = "storage.k8s.io", "v1", "StorageClass"
	job := kind{plural: "jobs"}
	job.Group, job.Version, job.Kind = "batch", "v1", "Job"
	list := []kind{class}
	for _, k := range kinds() {
		if k.Kind == "PersistentVolume" || k.Kind == "PersistentVolumeClaim" {
			list = append(list, k)
		}
	}
	return append(list, job)
}

// ours picks what copies models for the cluster's services.
func (f *Fill) ours() labels.Set {
	set := labels.Set{labelManagedBy: FieldManager, labelName: "model-fill"}
	for k, v := range addons.OwnerLabels(f.cluster.Name()) {
		set[k] = v
	}
	return set
}

func (f *Fill) live(ctx context.Context, c connection) ([]objectOf, error) {
	var all []objectOf
	for _, k := range fillKinds() {
		found, err := c.list(ctx, k, f.ours())
		if err != nil {
			return nil, err
		}
		for i := range found {
			all = append(all, objectOf{k, &found[i]})
		}
	}
	return all, nil
}

// objects are what copies one model: the class of volumes on EFS, the whole file
// system as a volume, its claim, and the Job. The Job's name is another when the
// model is, or the way to copy it: Kubernetes lets no Job be changed.
func (f *Fill) objects(ctx context.Context, w Weights) ([]Object, error) {
	revision, err := w.Revision(ctx)
	if err != nil {
		return nil, err
	}
	marks := f.ours()
	class := storageClass(marks)
	marks = labels.Merge(marks, labels.Set{fillLabel: slug(w.Name())})
	sum := sha256.Sum256([]byte(f.system()))
	name := fillName(w.Name(), hex.EncodeToString(sum[:4]))
	volume := staticVolume(marks, name, volumeSpec{
		source: corev1.CSIPersistentVolumeSource{Driver: efsDriver, VolumeHandle: f.system() + ":/"},
		modes:  []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}, class: efsClass,
	})
	claim := staticClaim(marks, name, efsClass, corev1.ReadWriteMany)
	job := f.job(w.Name(), name, marks)
	text, err := json.Marshal([]any{revision, job.Spec})
	if err != nil {
		return nil, err
	}
	sum = sha256.Sum256(text)
	job.Name = fillName(w.Name(), hex.EncodeToString(sum[:4]))
	return []Object{class, volume, claim, job}, nil
}

// fillName fits into a label, which the pods of a Job get it as.
func fillName(model, hash string) string {
	const most = 40
	model = slug(model)
	return "fill-" + strings.Trim(model[:min(len(model), most)], "-") + "-" + hash
}

func (f *Fill) job(model, claim string, marks labels.Set) *batchv1.Job {
	loader := loaderContainer(f.blueprint, model)
	asRoot(&loader) // the root of a new file system is root's
	// It finds a place on small nodes, too.
	loader.Resources.Requests[corev1.ResourceCPU] = resource.MustParse("250m")
	i := slices.IndexFunc(f.blueprint.Serving, func(s blueprints.Service) bool { return s.Load == blueprints.LoadEFS && s.Model == model })
	return &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Labels: marks},
		Spec: batchv1.JobSpec{
			BackoffLimit: new(int32(fillTries - 1)),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: marks},
				Spec: corev1.PodSpec{
					ServiceAccountName:           f.blueprint.Serving[i].Name,
					AutomountServiceAccountToken: new(false),
					RestartPolicy:                corev1.RestartPolicyNever,
					SecurityContext:              &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
					Containers:                   []corev1.Container{loader},
					Volumes: []corev1.Volume{{Name: modelDisk, VolumeSource: corev1.VolumeSource{
						PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
					}}},
				},
			},
		},
	}
}

// fillTries is how often a model is copied before it is given up.
const fillTries = 3

// The states of a Job.
const (
	jobComplete = "complete"
	jobFailed   = "failed"
	jobRunning  = "running"
)

func jobState(u *unstructured.Unstructured) string {
	var j batchv1.Job
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &j); err != nil {
		return fmt.Sprintf("unreadable: %v", err)
	}
	for _, c := range j.Status.Conditions {
		switch {
		case c.Status != corev1.ConditionTrue:
		case c.Type == batchv1.JobComplete:
			return jobComplete
		case c.Type == batchv1.JobFailed:
			return jobFailed
		}
	}
	return jobRunning
}
