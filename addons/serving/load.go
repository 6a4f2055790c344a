package serving

import (
	_ "embed"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

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
	modelsDir  = "/models" // in the containers; a model is in a folder of its name
	modelDisk  = "models"  // the volume there
	loaderName = "model-loader"
	// loaderImage has the AWS CLI, of Amazon. Its s3 commands hold files against S3's
	// checksums also when they get them in parts since 2.34.33 (aws-cli, CHANGELOG.rst).
	loaderImage = "public.ecr.aws/aws-cli/aws-cli:2.37.11"
	// nodeModels is where the pods of a node share models: nodeadm mounts the joined
	// disks, or else the first one, at /mnt/k8s-disks/0 (awslabs/amazon-eks-ami,
	// nodeadm/doc/api.md, LocalStorageOptions).
	nodeModels = "/mnt/k8s-disks/0/aicluster/models"
)

//go:embed load.sh
var loadScript string

// load is how svc gets its weights.
func load(b *blueprints.Blueprint, svc blueprints.Service, f Facts) Loading {
	switch svc.Load {
	case blueprints.LoadStream:
		return stream(b, svc)
	case blueprints.LoadMount:
		return mount(b, svc)
	case blueprints.LoadEFS:
		return fromEFS(b, svc, f)
	}
	return copyToNode(b, svc, f)
}

// modelPath is where a model is in the containers.
func modelPath(model string) string { return modelsDir + "/" + model }

// modelURL is where a model is in S3.
func modelURL(b *blueprints.Blueprint, model string) string {
	if b.Models == nil {
		return ""
	}
	return "s3://" + b.Models.Bucket + "/" + model
}

// region tells SDKs where S3 is. Some read the one variable, some the other.
func region(b *blueprints.Blueprint) []corev1.EnvVar {
	return []corev1.EnvVar{{Name: "AWS_REGION", Value: b.Metadata.Region}, {Name: "AWS_DEFAULT_REGION", Value: b.Metadata.Region}}
}

// copyToNode copies the weights to a disk of the node before the engine starts: to
// its NVMe disks if it has any that are in use, where the next replica on the node
// finds them; else to a disk of the pod's own.
func copyToNode(b *blueprints.Blueprint, svc blueprints.Service, f Facts) Loading {
	loader := loaderContainer(b, svc.Model)
	l := Loading{
		Model:  modelPath(svc.Model),
		Mounts: []corev1.VolumeMount{{Name: modelDisk, MountPath: modelsDir, ReadOnly: true}},
	}
	volume := corev1.Volume{Name: modelDisk}
	if pool := b.Pool(svc.Pool); pool != nil && pool.LocalStorage != "none" {
		kind := corev1.HostPathDirectoryOrCreate
		volume.HostPath = &corev1.HostPathVolumeSource{Path: nodeModels, Type: &kind}
		asRoot(&loader) // the kubelet makes the folder for root
	} else {
		limit := diskFor(f.ModelBytes)
		volume.EmptyDir = &corev1.EmptyDirVolumeSource{SizeLimit: limit}
		if limit != nil {
			l.Requests = corev1.ResourceList{corev1.ResourceEphemeralStorage: *limit}
		}
	}
	l.Init, l.Volumes = []corev1.Container{loader}, []corev1.Volume{volume}
	return l
}

// loaderContainer runs load.sh on the volume modelDisk.
func loaderContainer(b *blueprints.Blueprint, model string) corev1.Container {
	return corev1.Container{
		Name: loaderName, Image: loaderImage,
		Command: []string{"sh", "-c", loadScript},
		Env: append(region(b),
			corev1.EnvVar{Name: "SOURCE", Value: modelURL(b, model)},
			corev1.EnvVar{Name: "TARGET", Value: modelsDir},
			corev1.EnvVar{Name: "HOME", Value: "/tmp"}),
		// 32 parts of 8 MiB at once are in memory, and as many again are checked.
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Gi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("4Gi")},
		},
		VolumeMounts: []corev1.VolumeMount{{Name: modelDisk, MountPath: modelsDir}},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		// So the pod's status says why it failed.
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
}

// asRoot lets a container write where only root may.
func asRoot(c *corev1.Container) {
	c.SecurityContext.RunAsUser, c.SecurityContext.RunAsGroup, c.SecurityContext.RunAsNonRoot = new(int64(0)), new(int64(0)), new(false)
}

// diskFor is room for a model on a disk of a pod's own: a tenth more than its
// files, in steps, so that a file more does not start the pods anew. It is nil if
// the size is not known.
func diskFor(bytes int64) *resource.Quantity {
	if bytes == 0 {
		return nil
	}
	const stepSize = 10 << 30
	return resource.NewQuantity((bytes*11/10+stepSize-1)/stepSize*stepSize, resource.BinarySI)
}
