package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

// kubernetesOf returns a client of the cloud's one cluster. It has the
// administrator's certificate that the local cloud keeps; aicluster has not.
func kubernetesOf(ts *testscript.TestScript) kubernetes.Interface {
	client, err := kubernetes.NewForConfig(adminConfig(ts))
	ts.Check(err)
	return client
}

// cmdRelease writes Helm's record of a release to release.json:
// "release NAMESPACE NAME".
func cmdRelease(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: release NAMESPACE NAME")
	}
	client := kubernetesOf(ts)
	// Helm keeps each revision in a Secret: base64 of gzip of JSON.
	list, err := client.CoreV1().Secrets(args[0]).List(context.Background(), metav1.ListOptions{LabelSelector: "owner=helm,status=deployed,name=" + args[1]})
	ts.Check(err)
	if len(list.Items) != 1 {
		ts.Fatalf("%d releases %s are deployed in namespace %s, wanted one", len(list.Items), args[1], args[0])
	}
	packed, err := base64.StdEncoding.DecodeString(string(list.Items[0].Data["release"]))
	ts.Check(err)
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	ts.Check(err)
	text, err := io.ReadAll(unpacked)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("release.json"), text, 0o600))
}

// serviceWait is far more than a load balancer's name takes at any speed.
const serviceWait = time.Minute

// cmdService makes a service of type LoadBalancer, as a user would, and waits for
// its host name: "service NAME [TYPE]". Without a type, which goes into the
// annotation, EKS makes a classic load balancer.
func cmdService(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: service NAME [TYPE]")
	}
	ctx, cancel := context.WithTimeout(context.Background(), serviceWait)
	defer cancel()
	services := kubernetesOf(ts).CoreV1().Services("default")
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: args[0]},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}}, Selector: map[string]string{"app": args[0]}},
	}
	if len(args) == 2 {
		service.Annotations = map[string]string{"service.beta.kubernetes.io/aws-load-balancer-type": args[1]}
	}
	_, err := services.Create(ctx, service, metav1.CreateOptions{})
	ts.Check(err)
	ts.Check(wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		got, err := services.Get(ctx, args[0], metav1.GetOptions{})
		return err == nil && len(got.Status.LoadBalancer.Ingress) > 0, err
	}))
}

// cmdKillPlane kills the control plane of a cluster: "killplane CLUSTER". It is
// a child of the local cloud.
func cmdKillPlane(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: killplane CLUSTER")
	}
	parent := strconv.Itoa(of(ts).cmd.Process.Pid)
	processes, err := filepath.Glob("/proc/[0-9]*")
	ts.Check(err)
	for _, dir := range processes {
		command, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		stat, _ := os.ReadFile(filepath.Join(dir, "stat")) // "PID (NAME) STATE PPID …"
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 2 || fields[1] != parent || !strings.Contains(string(command), "\x00--name="+args[0]+"\x00") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		ts.Check(err)
		ts.Check(syscall.Kill(pid, syscall.SIGKILL))
		return
	}
	ts.Fatalf("the local cloud has no control plane of cluster %s", args[0])
}

// cmdBudget runs one pod that must not be evicted, as a careful user would have
// it: "budget NAME" makes a Deployment and a disruption budget, and waits until
// Kubernetes counts the pod.
func cmdBudget(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: budget NAME")
	}
	ctx, cancel := context.WithTimeout(context.Background(), serviceWait)
	defer cancel()
	client, meta, one := kubernetesOf(ts), metav1.ObjectMeta{Name: args[0]}, intstr.FromInt32(1)
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": args[0]}}
	_, err := client.AppsV1().Deployments("default").Create(ctx, &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{
		Selector: selector,
		Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: selector.MatchLabels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "busybox"}}},
		},
	}}, metav1.CreateOptions{})
	ts.Check(err)
	budgets := client.PolicyV1().PodDisruptionBudgets("default")
	_, err = budgets.Create(ctx, &policyv1.PodDisruptionBudget{ObjectMeta: meta, Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: &one, Selector: selector}}, metav1.CreateOptions{})
	ts.Check(err)
	ts.Check(wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		got, err := budgets.Get(ctx, args[0], metav1.GetOptions{})
		return err == nil && got.Status.CurrentHealthy == 1, err
	}))
}
