package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// How often and how long a volume is looked for.
const (
	volumePoll  = 100 * time.Millisecond
	volumeLimit = time.Minute
)

// cmdPVC makes a claim for an EBS volume, in namespace default, and a pod that
// uses it, and waits until the volume is attached to the pod's node:
// "pvc NAME SIZE [retain]". With retain the volume outlives its claim.
func cmdPVC(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 || len(args) == 3 && args[2] != "retain" {
		ts.Fatalf("usage: pvc NAME SIZE [retain]")
	}
	size, err := resource.ParseQuantity(args[1])
	ts.Check(err)
	policy, class := corev1.PersistentVolumeReclaimDelete, "gp3"
	if len(args) == 3 {
		policy, class = corev1.PersistentVolumeReclaimRetain, "gp3-retain"
	}
	ctx, cancel := context.WithTimeout(context.Background(), volumeLimit)
	defer cancel()
	client := kubernetesOf(ts)
	ts.Check(makeClass(ctx, client, class, policy))
	_, err = client.CoreV1().PersistentVolumeClaims("default").Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: args[0]},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size}},
		},
	}, metav1.CreateOptions{})
	ts.Check(err)
	_, err = client.CoreV1().Pods("default").Create(ctx, mountingPod(args[0]), metav1.CreateOptions{})
	ts.Check(err)
	for {
		state, err := claimState(ctx, client, args[0])
		if err == nil && state == "" {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("claim %s after %s: %s %v", args[0], volumeLimit, state, err)
		case <-time.After(volumePoll):
		}
	}
}

// makeClass makes a storage class of the EBS CSI driver, if it is not there.
func makeClass(ctx context.Context, client kubernetes.Interface, name string, policy corev1.PersistentVolumeReclaimPolicy) error {
	wait := storagev1.VolumeBindingWaitForFirstConsumer
	_, err := client.StorageV1().StorageClasses().Create(ctx, &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "ebs.csi.aws.com", ReclaimPolicy: &policy, VolumeBindingMode: &wait,
		Parameters: map[string]string{"type": "gp3"},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// mountingPod is a pod, of the claim's name, that mounts a claim.
func mountingPod(claim string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: claim},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{
				Name: "main", Image: "public.ecr.aws/docker/library/busybox:1.37", Command: []string{"sleep", "infinity"},
				VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
			}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
			}}},
		},
	}
}

// claimState says what is missing until a claim's volume is attached, and the
// last warning about the claim; nothing once it is.
func claimState(ctx context.Context, client kubernetes.Interface, name string) (string, error) {
	claim, err := client.CoreV1().PersistentVolumeClaims("default").Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	attachments, err := client.StorageV1().VolumeAttachments().List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	for _, a := range attachments.Items {
		if v := a.Spec.Source.PersistentVolumeName; v != nil && *v == claim.Spec.VolumeName && a.Status.Attached {
			return "", nil
		}
	}
	events, err := client.CoreV1().Events("default").List(ctx, metav1.ListOptions{FieldSelector: "type=Warning,involvedObject.name=" + name})
	if err != nil {
		return "", err
	}
	state := fmt.Sprintf("%s, volume %q, not attached", claim.Status.Phase, claim.Spec.VolumeName)
	for _, e := range events.Items {
		state += "; " + e.Message
	}
	return state, nil
}
