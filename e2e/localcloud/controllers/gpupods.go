package controllers

import (
	"context"
	"hash/fnv"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
)

// showPods makes the operands' pods look as they do: started, waiting in an init
// container for another operand, or in a crash loop.
func (l *nodeLook) showPods(ctx context.Context, devices bool) error {
	driver, driverFails := l.driver()
	toolkit, toolkitFails := l.toolkit()
	for _, o := range operands() {
		pod := l.pod(o.name)
		if pod == nil {
			continue
		}
		var t trouble
		switch {
		case o.name == driverDaemonSet:
			t = trouble{container: o.container, crashes: true}.when(driverFails)
		case o.name == toolkitDaemonSet && driver:
			t = trouble{container: o.container, crashes: true}.when(toolkitFails)
		case o.name == toolkitDaemonSet:
			t = trouble{init: initDriver}
		case o.name == validatorDaemonSet && !driver:
			t = trouble{init: initDriver, crashes: true}
		case o.name == validatorDaemonSet && !toolkit:
			t = trouble{init: initToolkit, crashes: toolkitFails}
		case o.name == validatorDaemonSet && !devices:
			t = trouble{init: initPlugin}
		case o.name == devicePluginDaemonSet && driver && toolkit && l.facts.PluginFails:
			t = trouble{container: o.container, refused: readOnlyNVIDIA}
		case len(o.inits) > 0 && !(driver && toolkit):
			t = trouble{init: initToolkit}
		}
		if err := showPod(ctx, l.client, pod, t); err != nil {
			return err
		}
		if o.name == validatorDaemonSet && devices {
			if err := l.cudaValidator(ctx, pod); err != nil {
				return err
			}
		}
	}
	return nil
}

// readOnlyNVIDIA is why containerd does not start a container that has something
// mounted read-only at /etc/nvidia (awslabs/amazon-eks-ami#2790).
const readOnlyNVIDIA = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error running createContainer hook #6: exit status 1, stdout: , stderr: failed to create application profiles directory: mkdirat etc/nvidia/nvidia-application-profiles-rc.d: read-only file system"

// cudaValidator makes the pod in which the validator runs a CUDA program, once
// for each validator pod. It stays on the node, completed.
func (l *nodeLook) cudaValidator(ctx context.Context, validator *corev1.Pod) error {
	sum := fnv.New32a()
	sum.Write([]byte(validator.UID))
	name := "nvidia-cuda-validator-" + rand.SafeEncodeString(strconv.FormatUint(uint64(sum.Sum32()), 36))
	if _, exists, err := l.gpuNodes.pods.GetByKey(validator.Namespace + "/" + name); exists || err != nil {
		return err
	}
	image := validator.Spec.Containers[0].Image
	_, err := l.client.CoreV1().Pods(validator.Namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: validator.Namespace,
			Labels:          map[string]string{"app": "nvidia-cuda-validator", "app.kubernetes.io/part-of": "gpu-operator"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(validator, corev1.SchemeGroupVersion.WithKind("Pod"))},
		},
		Spec: corev1.PodSpec{
			NodeName:       l.node.Name,
			RestartPolicy:  corev1.RestartPolicyOnFailure,
			Tolerations:    []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			InitContainers: []corev1.Container{{Name: "cuda-validation", Image: image, Command: []string{"sh", "-c"}, Args: []string{"vectorAdd"}}},
			Containers:     []corev1.Container{{Name: "nvidia-cuda-validator", Image: image, Command: []string{"sh", "-c"}, Args: []string{"echo cuda workload validation is successful"}}},
		},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) { // the namespace may be going
		return nil
	}
	return err
}
