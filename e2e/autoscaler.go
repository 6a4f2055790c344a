package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/rogpeppe/go-internal/testscript"
	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// The cluster autoscaler, as script commands. Scripts in testdata/autoscaler hold for
// the real program and for its stand-in in the local cloud: with the program's path in
// autoscalerVariable it runs in the place of the stand-in, with the flags and the
// rights that its chart gives it.

const (
	autoscalerVariable = "CLUSTER_AUTOSCALER"
	// runsVariable is how often "cycles" goes from zero and back.
	runsVariable = "AUTOSCALER_RUNS"
)

// shortIntervals come after the chart's flags and so win. The program's own clock is
// not divided by the local cloud's speed.
var shortIntervals = []string{
	"--scan-interval=2s", "--scale-down-unneeded-time=5s", "--scale-down-delay-after-add=5s", "--scale-down-delay-after-delete=2s",
	"--scale-down-delay-after-failure=5s", "--node-delete-delay-after-taint=1s", "--unremovable-node-recheck-timeout=2s",
	"--max-node-provision-time=100s", // more than the minute after which it reads Auto Scaling again
}

// cmdAutoscaler starts the real cluster autoscaler for a cluster, if there is one to
// start: "autoscaler CLUSTER REGION".
func cmdAutoscaler(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: autoscaler CLUSTER REGION")
	}
	program := ts.Getenv(autoscalerVariable)
	if program == "" {
		return
	}
	pod := runningPod(ts, "app.kubernetes.io/instance=cluster-autoscaler")
	cmd := exec.Command(program, slices.Concat(autoscalerFlags(ts, pod, args[1]), shortIntervals)...)
	cmd.Env = autoscalerEnvironment(ts, pod, args[0], args[1])
	runProgram(ts, cmd, "autoscaler")
}

// runningPod is the pod that a program stands for.
func runningPod(ts *testscript.TestScript, label string) *corev1.Pod {
	client, pod := kubernetesOf(ts), (*corev1.Pod)(nil)
	eventually(ts, time.Minute, func(ctx context.Context) (string, error) {
		list, err := client.CoreV1().Pods("kube-system").List(ctx, metav1.ListOptions{LabelSelector: label, FieldSelector: "status.phase=Running"})
		if err != nil || len(list.Items) == 0 {
			return "no pod with " + label + " runs", err
		}
		pod = &list.Items[0]
		return "", nil
	})
	return pod
}

// autoscalerFlags are the container's, and how to find a cluster and an AWS that are
// not those of a pod: three clients read their endpoint from the file only.
func autoscalerFlags(ts *testscript.TestScript, pod *corev1.Pod, region string) []string {
	var overrides strings.Builder
	for i, service := range []string{"autoscaling", "ec2", "eks"} {
		fmt.Fprintf(&overrides, "[ServiceOverride \"%d\"]\nService = %s\nRegion = %s\nURL = %s\nSigningRegion = %s\n", i+1, service, region, of(ts).env["AWS_ENDPOINT_URL"], region)
	}
	ts.Check(os.WriteFile(ts.MkAbs("autoscaler.conf"), []byte(overrides.String()), 0o600))
	return append(slices.Clone(pod.Spec.Containers[0].Command[1:]),
		"--kubeconfig="+accountKubeconfig(ts, pod), "--cloud-config="+ts.MkAbs("autoscaler.conf"), "--address=127.0.0.1:0")
}

// accountKubeconfig is a kubeconfig with a token of the pod's service account.
func accountKubeconfig(ts *testscript.TestScript, pod *corev1.Pod) string {
	config := adminConfig(ts)
	file := clientcmdapi.NewConfig()
	file.Clusters["c"] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthority: config.CAFile, CertificateAuthorityData: config.CAData}
	file.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: accountToken(ts, pod)}
	file.Contexts["c"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	file.CurrentContext = "c"
	path := ts.MkAbs("autoscaler.kubeconfig")
	ts.Check(clientcmd.WriteToFile(*file, path))
	return path
}

// accountToken is what kubelet mounts into the pod: a token of its service account.
func accountToken(ts *testscript.TestScript, pod *corev1.Pod, audiences ...string) string {
	lasts := int64(3600)
	t, err := kubernetesOf(ts).CoreV1().ServiceAccounts(pod.Namespace).CreateToken(context.Background(), pod.Spec.ServiceAccountName, &authv1.TokenRequest{
		Spec: authv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: &lasts, BoundObjectRef: &authv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod.Name, UID: pod.UID}},
	}, metav1.CreateOptions{})
	ts.Check(err)
	return t.Status.Token
}

// autoscalerEnvironment is the container's, and what EKS Pod Identity adds to it. The
// account's own keys are not in it.
func autoscalerEnvironment(ts *testscript.TestScript, pod *corev1.Pod, cluster, region string) []string {
	token := ts.MkAbs("pod-identity-token")
	ts.Check(os.WriteFile(token, []byte(accountToken(ts, pod, "pods.eks.amazonaws.com")), 0o600))
	endpoint := of(ts).env["AWS_ENDPOINT_URL"]
	env := []string{
		"AWS_ENDPOINT_URL=" + endpoint, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + endpoint + "/_localcloud/eks/pod-identity/" + region + "/" + cluster,
		"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=" + token,
	}
	for _, e := range pod.Spec.Containers[0].Env {
		switch {
		case e.ValueFrom == nil:
		case e.ValueFrom.FieldRef.FieldPath == "metadata.namespace":
			e.Value = pod.Namespace
		case e.ValueFrom.FieldRef.FieldPath == "spec.serviceAccountName":
			e.Value = pod.Spec.ServiceAccountName
		default:
			ts.Fatalf("the autoscaler's variable %s is from %s", e.Name, e.ValueFrom.FieldRef.FieldPath)
		}
		env = append(env, e.Name+"="+e.Value)
	}
	return env
}

// poolState is a pool as EKS and Kubernetes see it.
type poolState struct{ desired, nodes, ready int }

func (f fixture) pool(ctx context.Context, client kubernetes.Interface, cluster, region, pool string) (poolState, error) {
	out, err := eks.NewFromConfig(f.config(region)).DescribeNodegroup(ctx, &eks.DescribeNodegroupInput{ClusterName: &cluster, NodegroupName: &pool})
	if err != nil {
		return poolState{}, err
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: "eks.amazonaws.com/nodegroup=" + pool})
	if err != nil {
		return poolState{}, err
	}
	s := poolState{desired: int(aws.ToInt32(out.Nodegroup.ScalingConfig.DesiredSize)), nodes: len(nodes.Items)}
	for i := range nodes.Items {
		if ready(&nodes.Items[i]) {
			s.ready++
		}
	}
	return s, nil
}

// cmdPool waits until a pool has as many ready nodes and no others, or checks that it
// keeps them for a while: "pool N CLUSTER REGION POOL [DURATION]".
func cmdPool(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 || len(args) > 5 {
		ts.Fatalf("usage: pool N CLUSTER REGION POOL [DURATION]")
	}
	f, client, want := of(ts), kubernetesOf(ts), number(ts, args[0])
	look := func(ctx context.Context) (string, error) {
		s, err := f.pool(ctx, client, args[1], args[2], args[3])
		if err != nil || s == (poolState{want, want, want}) {
			return "", err
		}
		return fmt.Sprintf("pool %s: desired %d, nodes %d, ready %d, wanted %d", args[3], s.desired, s.nodes, s.ready, want), nil
	}
	if len(args) == 4 {
		eventually(ts, objectWait, look)
		return
	}
	d, err := time.ParseDuration(args[4])
	ts.Check(err)
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		why, err := look(context.Background())
		ts.Check(err)
		if why != "" {
			ts.Fatalf("%s", why)
		}
	}
}

// cyclesKey finds the table of runs in a script's environment values.
type cyclesKey struct{}

// cycles are the runs from zero and back: how long after the pod came, and after it
// went, things happened.
type cycles struct {
	mu   sync.Mutex
	runs []cycle
}

type cycle struct{ asked, node, runs, gone time.Duration }

// write prints the table.
func (c *cycles) write(w io.Writer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "run\tnode asked for after\tnode ready after\tpod runs after\tpool at zero after\t")
	for i, r := range c.runs {
		fmt.Fprintf(tab, "%d\t%.1f s\t%.1f s\t%.1f s\t%.1f s\t\n", i+1, r.asked.Seconds(), r.node.Seconds(), r.runs.Seconds(), r.gone.Seconds())
	}
	return tab.Flush()
}

// cmdCycles takes a pool from zero to one node with a pod, and back when the pod goes,
// as often as AUTOSCALER_RUNS says, else once: "cycles FILE CLUSTER REGION POOL".
func cmdCycles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: cycles FILE CLUSTER REGION POOL")
	}
	n := 1
	if runs := ts.Getenv(runsVariable); runs != "" {
		n = number(ts, runs)
	}
	for range n {
		run := oneCycle(ts, args[0], args[1], args[2], args[3])
		if all, ok := ts.Value(cyclesKey{}).(*cycles); ok {
			all.mu.Lock()
			all.runs = append(all.runs, run)
			all.mu.Unlock()
		}
	}
}

func oneCycle(ts *testscript.TestScript, file, cluster, region, pool string) (run cycle) {
	f, client, name, start := of(ts), kubernetesOf(ts), objects(ts, ts.ReadFile(file))[0].GetName(), time.Now()
	cmdApply(ts, false, []string{file})
	eventually(ts, objectWait, func(ctx context.Context) (string, error) {
		s, err := f.pool(ctx, client, cluster, region, pool)
		if err != nil {
			return "", err
		}
		if s.desired > 1 {
			ts.Fatalf("pool %s is to have %d nodes for one pod", pool, s.desired)
		}
		if s.desired == 1 && run.asked == 0 {
			run.asked = time.Since(start)
		}
		if s.ready == 1 && run.node == 0 {
			run.node = time.Since(start)
		}
		pod, err := client.CoreV1().Pods("default").Get(ctx, name, metav1.GetOptions{})
		if err == nil && pod.Status.Phase == corev1.PodRunning && run.node > 0 {
			return "", nil
		}
		return fmt.Sprintf("pool %s: %+v, pod %s not running", pool, s, name), err
	})
	run.runs, start = time.Since(start), time.Now()
	now := int64(0)
	ts.Check(client.CoreV1().Pods("default").Delete(context.Background(), name, metav1.DeleteOptions{GracePeriodSeconds: &now}))
	eventually(ts, objectWait, func(ctx context.Context) (string, error) {
		s, err := f.pool(ctx, client, cluster, region, pool)
		if err != nil || s == (poolState{}) {
			return "", err
		}
		return fmt.Sprintf("pool %s is not at zero: %+v", pool, s), nil
	})
	run.gone = time.Since(start)
	return run
}
