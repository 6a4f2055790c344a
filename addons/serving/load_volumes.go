package serving

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"aicluster/blueprints"
)

const (
	mountpointDriver = "s3.csi.aws.com"
	efsDriver        = "efs.csi.aws.com"
	// efsClass is the storage class of all volumes on EFS.
	efsClass = "efs-sc"
	// volumeSize is what volumes and claims say, since Kubernetes wants a size. Neither
	// driver limits one.
	volumeSize = "100Gi"
	// unknownFileSystem stands in manifests that are printed before there is one.
	unknownFileSystem = "FILE_SYSTEM_ID"
)

// Settings of the Run:ai streamer: how many read at once, and how much memory they
// may take on the way to the GPUs, in bytes (vLLM,
// docs/models/extensions/runai_model_streamer.md).
const (
	streamers    = 16
	streamBuffer = 5 << 30
)

// stream lets the engine read the weights from S3 into the GPUs' memory. Its
// processes share the reading when there are several.
func stream(b *blueprints.Blueprint, svc blueprints.Service) Loading {
	settings := map[string]any{"concurrency": streamers, "memory_limit": streamBuffer}
	if svc.GPUs > 1 {
		settings["distributed"] = true
	}
	text, _ := json.Marshal(settings) // numbers and a bool can be written
	l := Loading{Model: modelURL(b, svc.Model), Env: region(b)}
	for _, arg := range [][2]string{{"--load-format", "runai_streamer"}, {"--model-loader-extra-config", string(text)}} {
		if !slices.ContainsFunc(svc.Args, func(a string) bool { return blueprints.EngineArg(a) == arg[0] }) {
			l.Args = append(l.Args, arg[:]...)
		}
	}
	return l
}

// mount makes the model's part of the bucket a volume, by Mountpoint for Amazon S3.
// The driver reads the bucket as the role of the pod (mountpoint-s3-csi-driver,
// docs/CONFIGURATION.md, "Pod-Level Credentials").
func mount(b *blueprints.Blueprint, svc blueprints.Service) Loading {
	bucket := ""
	if b.Models != nil {
		bucket = b.Models.Bucket
	}
	return claimed(b, svc, volumeSpec{
		source: corev1.CSIPersistentVolumeSource{
			Driver:           mountpointDriver,
			VolumeAttributes: map[string]string{"bucketName": bucket, "authenticationSource": "pod"},
		},
		modes: []corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany},
		// The engine is not the user that Mountpoint runs as.
		options: []string{"read-only", "allow-other", "region " + b.Metadata.Region, "prefix " + svc.Model + "/"},
	})
}

// fromEFS mounts the model's folder of the file system, which [Fill] has filled.
//
// The driver takes no volume whose first access mode is ReadOnlyMany
// (aws-efs-csi-driver, pkg/driver/node.go, volumeCapAccessModes; the kubelet sends
// the first): so the volume can be written by many, the claim asks to read, and the
// pods mount it to read.
func fromEFS(b *blueprints.Blueprint, svc blueprints.Service, f Facts) Loading {
	system := f.FileSystem
	if system == "" {
		system = unknownFileSystem
	}
	return claimed(b, svc, volumeSpec{
		source: corev1.CSIPersistentVolumeSource{Driver: efsDriver, VolumeHandle: system + ":/" + svc.Model},
		modes:  []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany, corev1.ReadOnlyMany},
		class:  efsClass,
	})
}

// volumeSpec is a volume that exists before its claim.
type volumeSpec struct {
	source  corev1.CSIPersistentVolumeSource
	modes   []corev1.PersistentVolumeAccessMode
	options []string
	class   string
}

// claimed is a service's volume with its claim, mounted to be read. Kubernetes lets
// neither be changed; so what they are is in their names, and another model, bucket
// or file system is another volume.
func claimed(b *blueprints.Blueprint, svc blueprints.Service, v volumeSpec) Loading {
	said, _ := json.Marshal([]any{v.source, v.modes, v.options, v.class}) // strings can be written
	sum := sha256.Sum256(said)
	name := svc.Name + "-model-" + hex.EncodeToString(sum[:4])
	volume, claim := staticVolume(Labels(b, svc), name, v), staticClaim(Labels(b, svc), name, v.class, corev1.ReadOnlyMany)
	return Loading{
		Model:   modelPath(svc.Model),
		Objects: []Object{volume, claim},
		Volumes: []corev1.Volume{{Name: modelDisk, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name, ReadOnly: true},
		}}},
		Mounts: []corev1.VolumeMount{{Name: modelDisk, MountPath: modelPath(svc.Model), ReadOnly: true}},
	}
}

// staticVolume is a volume for the claim of the same name. Volumes have no
// namespace. It stays when its claim goes, until it is taken away itself: what it
// leads to is not its own.
func staticVolume(labels map[string]string, name string, v volumeSpec) *corev1.PersistentVolume {
	if v.source.VolumeHandle == "" { // Mountpoint's are made up, and differ
		v.source.VolumeHandle = volumeName(name)
	}
	return &corev1.PersistentVolume{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolume"},
		ObjectMeta: metav1.ObjectMeta{Name: volumeName(name), Labels: labels},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(volumeSize)},
			AccessModes:                   v.modes,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			StorageClassName:              v.class,
			MountOptions:                  v.options,
			ClaimRef:                      &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: Namespace, Name: name},
			PersistentVolumeSource:        corev1.PersistentVolumeSource{CSI: &v.source},
		},
	}
}

func volumeName(claim string) string { return Namespace + "-" + claim }

// staticClaim claims the volume of its name. A class of "" keeps others from making
// a volume for it.
func staticClaim(labels map[string]string, name, class string, mode corev1.PersistentVolumeAccessMode) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: Namespace, Labels: labels},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{mode},
			StorageClassName: &class,
			VolumeName:       volumeName(name),
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(volumeSize)}},
		},
	}
}

// storageClass is for volumes on EFS, which are made by hand.
func storageClass(labels map[string]string) *storagev1.StorageClass {
	return &storagev1.StorageClass{
		TypeMeta:    metav1.TypeMeta{APIVersion: "storage.k8s.io/v1", Kind: "StorageClass"},
		ObjectMeta:  metav1.ObjectMeta{Name: efsClass, Labels: labels},
		Provisioner: efsDriver,
	}
}

// slug is a model's name as a part of an object's name.
func slug(model string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, strings.ToLower(model)), "-")
}
