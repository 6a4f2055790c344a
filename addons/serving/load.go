package serving

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"aicluster/blueprints"
)

// Loading is how the weights of a model come to a service's replicas: what its
// pods need for that beside the engine.
type Loading struct {
	// Model is what --model is: a path in the container, or an address.
	Model string
	// Args are further arguments of the engine.
	Args []string
	// Env is for the engine's container.
	Env []corev1.EnvVar
	// Init runs before the engine.
	Init []corev1.Container
	// Volumes are the pod's, Mounts the engine's.
	Volumes []corev1.Volume
	Mounts  []corev1.VolumeMount
	// Requests are added to the engine's, such as ephemeral-storage.
	Requests corev1.ResourceList
	// Annotations are the pods': a change of them starts the pods anew.
	Annotations map[string]string
	// Objects are made before the Deployment: volumes and claims.
	Objects []Object
}

const (
	modelsDir  = "/models"
	loaderName = "model-loader"
	modelDisk  = "model"
	// loaderImage has the AWS CLI.
	loaderImage = "public.ecr.aws/aws-cli/aws-cli:2.31.0"
)

// load is how svc gets its weights.
func load(b *blueprints.Blueprint, svc blueprints.Service, _ Facts) Loading {
	return copyLoading(b, svc)
}

// copyLoading copies the weights to the node's disk before the engine starts.
func copyLoading(b *blueprints.Blueprint, svc blueprints.Service) Loading {
	path := modelsDir + "/" + svc.Model
	mount := corev1.VolumeMount{Name: modelDisk, MountPath: modelsDir}
	from := ""
	if b.Models != nil {
		from = "s3://" + b.Models.Bucket + "/" + svc.Model
	}
	reading := mount
	reading.ReadOnly = true
	return Loading{
		Model: path,
		Init: []corev1.Container{{
			Name: loaderName, Image: loaderImage,
			Command:      []string{"sh", "-ec", strings.Join([]string{"aws s3 sync --only-show-errors", from, path}, " ")},
			Env:          []corev1.EnvVar{{Name: "AWS_DEFAULT_REGION", Value: b.Metadata.Region}, {Name: "HOME", Value: "/tmp"}},
			VolumeMounts: []corev1.VolumeMount{mount},
		}},
		Volumes: []corev1.Volume{{Name: modelDisk, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
		Mounts:  []corev1.VolumeMount{reading},
	}
}
