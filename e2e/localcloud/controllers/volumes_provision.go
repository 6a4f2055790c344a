package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/util/retry"
)

// Annotations and finalizers of Kubernetes' volume controller, its scheduler and
// the sidecar external-provisioner.
const (
	annotationProvisioner   = "volume.kubernetes.io/storage-provisioner"
	annotationSelectedNode  = "volume.kubernetes.io/selected-node"
	annotationProvisionedBy = "pv.kubernetes.io/provisioned-by"
	provisionerFinalizer    = "external-provisioner.volume.kubernetes.io/finalizer"
	parameterFS             = "csi.storage.k8s.io/fstype"
)

// provision makes the volume of a claim that waits for one. A class that waits
// for the first consumer gets it in the zone of the node that the scheduler chose.
func (v *volumes) provision(ctx context.Context, claim *corev1.PersistentVolumeClaim) (time.Duration, error) {
	if claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil || claim.Annotations[annotationProvisioner] != ebsDriver || claim.Spec.StorageClassName == nil {
		delete(v.begun, claim.UID)
		return 0, nil
	}
	class, err := v.classes.Get(*claim.Spec.StorageClassName)
	if err != nil {
		return 0, ignoreNotFound(err)
	}
	zone, err := v.zoneFor(ctx, claim, class)
	if err != nil || zone == "" {
		return 0, err
	}
	name := "pvc-" + string(claim.UID)
	if _, err := v.volumes.Get(name); err == nil {
		return 0, nil // about to be bound
	}
	if !v.begun[claim.UID] {
		v.begun[claim.UID] = true
		v.events.Eventf(claim, corev1.EventTypeNormal, "Provisioning", "External provisioner is provisioning volume for claim %q", claim.Namespace+"/"+claim.Name)
	}
	gib := max((claim.Spec.Resources.Requests.Storage().Value()+(1<<30)-1)>>30, 1)
	id, err := v.createDisk(ctx, disk{name: name, zone: zone, gib: int32(gib), claim: claim, class: class})
	if err != nil {
		v.events.Eventf(claim, corev1.EventTypeWarning, "ProvisioningFailed", "failed to provision volume with StorageClass %q: rpc error: code = Internal desc = Could not create volume %q: %v", class.Name, name, err)
		return v.later(), nil
	}
	if id == "" {
		return v.soon(), nil
	}
	_, err = v.client.CoreV1().PersistentVolumes().Create(ctx, persistentVolume(name, id, zone, gib, claim, class), metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return 0, err
	}
	v.events.Eventf(claim, corev1.EventTypeNormal, "ProvisioningSucceeded", "Successfully provisioned volume %s", name)
	return 0, nil
}

// zoneFor is the zone in which a claim's volume is to be, empty while that is open.
func (v *volumes) zoneFor(ctx context.Context, claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) (string, error) {
	if class.VolumeBindingMode == nil || *class.VolumeBindingMode == storagev1.VolumeBindingImmediate {
		return v.anyZone(claim), nil
	}
	selected := claim.Annotations[annotationSelectedNode]
	if selected == "" {
		return "", nil
	}
	node, err := v.nodes.Get(selected)
	if apierrors.IsNotFound(err) { // the scheduler has to choose again
		claim = claim.DeepCopy()
		delete(claim.Annotations, annotationSelectedNode)
		_, err = v.client.CoreV1().PersistentVolumeClaims(claim.Namespace).Update(ctx, claim, metav1.UpdateOptions{})
		return "", ignoreNotFound(err)
	}
	if err != nil {
		return "", err
	}
	return node.Labels[zoneLabel], nil
}

// anyZone spreads volumes that are to be there at once over the zones that have nodes.
func (v *volumes) anyZone(claim *corev1.PersistentVolumeClaim) string {
	nodes, _ := v.nodes.List(labels.Everything()) // a lister over a cache does not fail
	var zones []string
	for _, n := range nodes {
		if z := n.Labels[zoneLabel]; z != "" && !slices.Contains(zones, z) {
			zones = append(zones, z)
		}
	}
	if len(zones) == 0 {
		return ""
	}
	slices.Sort(zones)
	return zones[int(sha256.Sum256([]byte(claim.Name))[0])%len(zones)]
}

// persistentVolume is the object that external-provisioner makes of the driver's answer.
func persistentVolume(name, id, zone string, gib int64, claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) *corev1.PersistentVolume {
	policy := corev1.PersistentVolumeReclaimDelete
	if class.ReclaimPolicy != nil {
		policy = *class.ReclaimPolicy
	}
	fs := class.Parameters[parameterFS]
	if fs == "" {
		fs = "ext4"
	}
	mode := corev1.PersistentVolumeFilesystem
	if claim.Spec.VolumeMode != nil {
		mode = *claim.Spec.VolumeMode
	}
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{
			annotationProvisionedBy:                                 ebsDriver,
			"volume.kubernetes.io/provisioner-deletion-secret-name": "", "volume.kubernetes.io/provisioner-deletion-secret-namespace": "",
		}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: *resource.NewQuantity(gib<<30, resource.BinarySI)},
			AccessModes: claim.Spec.AccessModes, StorageClassName: class.Name, MountOptions: class.MountOptions,
			PersistentVolumeReclaimPolicy: policy, VolumeMode: &mode,
			ClaimRef: &corev1.ObjectReference{
				Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
				Driver: ebsDriver, VolumeHandle: id, FSType: fs,
				VolumeAttributes: map[string]string{"storage.kubernetes.io/csiProvisionerIdentity": hex.EncodeToString([]byte(class.UID))[:13] + "-" + ebsDriver},
			}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: zoneLabel, Operator: corev1.NodeSelectorOpIn, Values: []string{zone}}},
			}}}},
		},
	}
	if policy == corev1.PersistentVolumeReclaimDelete {
		pv.Finalizers = []string{provisionerFinalizer}
	}
	return pv
}

// reclaim deletes a volume that its claim has released, if that is its policy.
// One that is retained stays, and its object with it.
func (v *volumes) reclaim(ctx context.Context, pv *corev1.PersistentVolume) (time.Duration, error) {
	if pv.Spec.CSI == nil || pv.Spec.CSI.Driver != ebsDriver || pv.Annotations[annotationProvisionedBy] != ebsDriver {
		return 0, nil
	}
	attached := v.attachmentsOf(pv.Name)
	if pv.DeletionTimestamp != nil && len(attached) == 0 {
		if done, err := v.dropVolumeFinalizer(ctx, pv, attacherFinalizer); err != nil || done {
			return 0, err
		}
	}
	if pv.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete || pv.Status.Phase != corev1.VolumeReleased {
		return 0, nil
	}
	if len(attached) > 0 {
		v.events.Eventf(pv, corev1.EventTypeWarning, "VolumeFailedDelete", "persistentvolume %s is still attached to node %s", pv.Name, attached[0].Spec.NodeName)
		return v.later(), nil
	}
	if err := v.deleteDisk(ctx, pv.Spec.CSI.VolumeHandle); err != nil {
		v.events.Eventf(pv, corev1.EventTypeWarning, "VolumeFailedDelete", "rpc error: code = Internal desc = Could not delete volume ID %q: %v", pv.Spec.CSI.VolumeHandle, err)
		return v.later(), nil
	}
	err := v.client.CoreV1().PersistentVolumes().Delete(ctx, pv.Name, metav1.DeleteOptions{})
	if ignoreNotFound(err) != nil {
		return 0, fmt.Errorf("volume %s: %w", pv.Name, err)
	}
	_, err = v.dropVolumeFinalizer(ctx, pv, provisionerFinalizer)
	return 0, err
}

// dropVolumeFinalizer removes a finalizer and tells whether it was there.
func (v *volumes) dropVolumeFinalizer(ctx context.Context, pv *corev1.PersistentVolume, finalizer string) (bool, error) {
	if !slices.Contains(pv.Finalizers, finalizer) {
		return false, nil
	}
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error { // others take theirs off at the same time
		fresh, err := v.client.CoreV1().PersistentVolumes().Get(ctx, pv.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		fresh.Finalizers = slices.DeleteFunc(fresh.Finalizers, func(f string) bool { return f == finalizer })
		_, err = v.client.CoreV1().PersistentVolumes().Update(ctx, fresh, metav1.UpdateOptions{})
		return err
	})
	return true, ignoreNotFound(err)
}
