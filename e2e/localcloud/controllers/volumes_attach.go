package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// What external-attacher puts on attachments and volumes: its finalizer, and the
// instance that a node was when it was attached to.
const (
	attacherFinalizer = "external-attacher/ebs-csi-aws-com"
	annotationNodeID  = "csi.alpha.kubernetes.io/node-id"
)

// attachmentsOf lists the attachments of a volume.
func (v *volumes) attachmentsOf(volume string) []*storagev1.VolumeAttachment {
	all, _ := v.attachments.List(labels.Everything()) // a lister over a cache does not fail
	return slices.DeleteFunc(all, func(a *storagev1.VolumeAttachment) bool {
		name := a.Spec.Source.PersistentVolumeName
		return name == nil || *name != volume
	})
}

// publish attaches a volume to the node of an attachment, and detaches it when
// the attachment is being deleted.
func (v *volumes) publish(ctx context.Context, a *storagev1.VolumeAttachment) (time.Duration, error) {
	if a.Spec.Attacher != ebsDriver || a.Spec.Source.PersistentVolumeName == nil {
		return 0, nil
	}
	if a.DeletionTimestamp != nil && !slices.Contains(a.Finalizers, attacherFinalizer) || a.DeletionTimestamp == nil && a.Status.Attached {
		return 0, nil
	}
	pv, err := v.volumes.Get(*a.Spec.Source.PersistentVolumeName)
	if err != nil {
		return 0, ignoreNotFound(err)
	}
	if pv.Spec.CSI == nil {
		return 0, nil
	}
	if a.DeletionTimestamp != nil {
		return v.unpublish(ctx, a, pv.Spec.CSI.VolumeHandle)
	}
	if done, err := v.claimAttachment(ctx, a, pv); err != nil || !done {
		return 0, err // the update brings it here again
	}
	handle, instance := pv.Spec.CSI.VolumeHandle, a.Annotations[annotationNodeID]
	device, err := v.attachDisk(ctx, handle, instance)
	if err != nil {
		message := fmt.Sprintf("rpc error: code = Internal desc = Could not attach volume %q to node %q: %v", handle, instance, err)
		return v.later(), v.report(ctx, a, func(s *storagev1.VolumeAttachmentStatus) {
			s.AttachError = &storagev1.VolumeError{Time: metav1.Now(), Message: message}
		})
	}
	if device == "" {
		return v.soon(), nil
	}
	return 0, v.report(ctx, a, func(s *storagev1.VolumeAttachmentStatus) {
		*s = storagev1.VolumeAttachmentStatus{Attached: true, AttachmentMetadata: map[string]string{"devicePath": device}}
	})
}

// claimAttachment puts the finalizers on volume and attachment and notes the
// instance. It tells whether all that was done before.
func (v *volumes) claimAttachment(ctx context.Context, a *storagev1.VolumeAttachment, pv *corev1.PersistentVolume) (bool, error) {
	if !slices.Contains(pv.Finalizers, attacherFinalizer) {
		pv = pv.DeepCopy()
		pv.Finalizers = append(pv.Finalizers, attacherFinalizer)
		if _, err := v.client.CoreV1().PersistentVolumes().Update(ctx, pv, metav1.UpdateOptions{}); err != nil {
			return false, ignoreNotFound(err)
		}
	}
	if slices.Contains(a.Finalizers, attacherFinalizer) && a.Annotations[annotationNodeID] != "" {
		return true, nil
	}
	node, err := v.nodes.Get(a.Spec.NodeName)
	if err != nil {
		return false, ignoreNotFound(err)
	}
	a = a.DeepCopy()
	if !slices.Contains(a.Finalizers, attacherFinalizer) {
		a.Finalizers = append(a.Finalizers, attacherFinalizer)
	}
	metav1.SetMetaDataAnnotation(&a.ObjectMeta, annotationNodeID, instanceOf(node))
	_, err = v.client.StorageV1().VolumeAttachments().Update(ctx, a, metav1.UpdateOptions{})
	return false, ignoreNotFound(err)
}

// unpublish detaches the volume and then lets the attachment go.
func (v *volumes) unpublish(ctx context.Context, a *storagev1.VolumeAttachment, handle string) (time.Duration, error) {
	instance := a.Annotations[annotationNodeID]
	done, err := v.detachDisk(ctx, handle, instance)
	if err != nil {
		message := fmt.Sprintf("rpc error: code = Internal desc = Could not detach volume %q from node %q: %v", handle, instance, err)
		return v.later(), v.report(ctx, a, func(s *storagev1.VolumeAttachmentStatus) {
			s.DetachError = &storagev1.VolumeError{Time: metav1.Now(), Message: message}
		})
	}
	if !done {
		return v.soon(), nil
	}
	a = a.DeepCopy()
	a.Finalizers = slices.DeleteFunc(a.Finalizers, func(f string) bool { return f == attacherFinalizer })
	_, err = v.client.StorageV1().VolumeAttachments().Update(ctx, a, metav1.UpdateOptions{})
	return 0, ignoreNotFound(err)
}

// report changes the status of an attachment.
func (v *volumes) report(ctx context.Context, a *storagev1.VolumeAttachment, change func(*storagev1.VolumeAttachmentStatus)) error {
	a = a.DeepCopy()
	change(&a.Status)
	_, err := v.client.StorageV1().VolumeAttachments().UpdateStatus(ctx, a, metav1.UpdateOptions{})
	return ignoreNotFound(err)
}
