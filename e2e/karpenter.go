package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// The real Karpenter, as script commands: it runs in the place of the pods of its
// chart, with their variables and rights. Scripts: testdata/karpenter.

const (
	karpenterVariable = "KARPENTER"
	// crdsVariable is the folder with the resource definitions of Karpenter's module.
	crdsVariable = "KARPENTER_CRDS"
)

// karpenterNodes is the label that Karpenter puts on its nodes.
const karpenterNodes = "karpenter.sh/nodepool"

// cmdKarpenter prepares the charts, or starts Karpenter for a cluster:
// "karpenter charts" gives the chart the resource definitions of the program, and
// "karpenter start CLUSTER REGION" starts it. Its pools then take an empty node away
// after seconds: the program's clock is not divided by the local cloud's speed.
func cmdKarpenter(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case !neg && slices.Equal(args, []string{"charts"}):
		ts.Setenv("AICLUSTER_CHART_MIRROR", realCRDs(ts, of(ts).env["AICLUSTER_CHART_MIRROR"]))
	case !neg && len(args) == 3 && args[0] == "start":
		startKarpenter(ts, args[1], args[2])
		soonEmpty(ts)
	default:
		ts.Fatalf("usage: karpenter charts | karpenter start CLUSTER REGION")
	}
}

// realCRDs copies a chart mirror; Karpenter's chart has the module's definitions in it.
func realCRDs(ts *testscript.TestScript, mirror string) string {
	dir := ts.MkAbs("charts")
	ts.Check(os.CopyFS(dir, os.DirFS(mirror)))
	archives, err := filepath.Glob(filepath.Join(dir, "karpenter-*.tgz"))
	ts.Check(err)
	if len(archives) != 1 {
		ts.Fatalf("%d charts of Karpenter in %s", len(archives), mirror)
	}
	content, err := os.ReadFile(archives[0])
	ts.Check(err)
	content, err = replaceCRDs(content, ts.Getenv(crdsVariable))
	ts.Check(err)
	ts.Check(os.WriteFile(archives[0], content, 0o644))
	ts.Check(os.Remove(filepath.Join(dir, "index.yaml"))) // it has the digests of the others
	return dir
}

// replaceCRDs puts the files of a folder in the place of a chart's crds.
func replaceCRDs(archive []byte, crds string) ([]byte, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	in, to := tar.NewReader(unzipped), tar.NewWriter(zipped)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(h.Name, "karpenter/crds/") {
			continue
		}
		if err := to.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := io.Copy(to, in); err != nil {
			return nil, err
		}
	}
	files, err := filepath.Glob(filepath.Join(crds, "*.yaml"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no resource definitions in %q: %v", crds, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := to.WriteHeader(&tar.Header{Name: "karpenter/crds/" + filepath.Base(file), Mode: 0o644, Size: int64(len(text))}); err != nil {
			return nil, err
		}
		if _, err := to.Write(text); err != nil {
			return nil, err
		}
	}
	err = errors.Join(to.Close(), zipped.Close())
	return out.Bytes(), err
}

func startKarpenter(ts *testscript.TestScript, cluster, region string) {
	pod := runningPod(ts, "app.kubernetes.io/instance=karpenter")
	// What the local cloud plays of Karpenter ends with this.
	_, err := kubernetesOf(ts).AppsV1().Deployments(pod.Namespace).Patch(context.Background(), "karpenter", types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"localcloud/elsewhere":"true"}}}`), metav1.PatchOptions{})
	ts.Check(err)
	cmd := exec.Command(ts.Getenv(karpenterVariable))
	cmd.Env = append(autoscalerEnvironment(ts, pod, cluster, region), "KUBECONFIG="+accountKubeconfig(ts, pod), "AWS_REGION="+region,
		"HOME="+ts.MkAbs("."), "SYSTEM_NAMESPACE="+pod.Namespace, "DISABLE_LEADER_ELECTION=true", "METRICS_PORT=0", "HEALTH_PROBE_PORT=0", "ISOLATED_VPC=true")
	runProgram(ts, cmd, "karpenter")
}

// soonEmpty lets all NodePools give up empty nodes at once.
func soonEmpty(ts *testscript.TestScript) {
	pools := dynamic.New(kubernetesOf(ts).CoreV1().RESTClient()).Resource(schema.GroupVersionResource{Group: "karpenter.sh", Version: "v1", Resource: "nodepools"})
	list, err := pools.List(context.Background(), metav1.ListOptions{})
	ts.Check(err)
	for _, p := range list.Items {
		_, err := pools.Patch(context.Background(), p.GetName(), types.MergePatchType, []byte(`{"spec":{"disruption":{"consolidateAfter":"2s"}}}`), metav1.PatchOptions{})
		ts.Check(err)
	}
}

// cmdMachines waits until Karpenter's part of a pool has as many ready nodes and no
// others: "machines N POOL". With "new" none of them is one that the last call saw,
// and with "type=T" all are of that type.
func cmdMachines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: machines N POOL [new] [type=TYPE]")
	}
	want, before := number(ts, args[0]), strings.Fields(ts.Getenv("MACHINES"))
	var names []string
	eventually(ts, objectWait, func(ctx context.Context) (string, error) {
		nodes, err := kubernetesOf(ts).CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: karpenterNodes + "=" + args[1]})
		if err != nil {
			return "", err
		}
		names = nil
		for _, n := range nodes.Items {
			why := unfit(&n, before, args[2:])
			if why != "" {
				return why, nil
			}
			names = append(names, n.Name)
		}
		if len(names) != want {
			return fmt.Sprintf("pool %s has nodes %v, wanted %d", args[1], names, want), nil
		}
		return "", nil
	})
	ts.Setenv("MACHINES", strings.Join(names, " "))
}

func unfit(n *corev1.Node, before, wanted []string) string {
	if !ready(n) {
		return n.Name + " is not ready"
	}
	for _, w := range wanted {
		if t, ok := strings.CutPrefix(w, "type="); ok && n.Labels[corev1.LabelInstanceTypeStable] != t {
			return n.Name + " is a " + n.Labels[corev1.LabelInstanceTypeStable]
		}
		if w == "new" && slices.Contains(before, n.Name) {
			return n.Name + " was there before"
		}
	}
	return ""
}

// cmdMachineCycles takes Karpenter's part of a pool from no node to one, with a pod,
// and back, as often as AUTOSCALER_RUNS says, else once: "machinecycles FILE POOL".
func cmdMachineCycles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: machinecycles FILE POOL")
	}
	n := 1
	if runs := ts.Getenv(runsVariable); runs != "" {
		n = number(ts, runs)
	}
	for i := range n {
		start := time.Now()
		cmdApply(ts, false, args[:1])
		cmdMachines(ts, false, []string{"1", args[1]})
		up := time.Since(start)
		cmdPods(ts, false, []string{"1", "Running", "app=job"})
		runs := time.Since(start)
		start = time.Now()
		cmdApply(ts, true, args[:1])
		cmdMachines(ts, false, []string{"0", args[1]})
		ts.Logf("run %d: node ready after %.1f s, pod runs after %.1f s, node gone after %.1f s", i+1, up.Seconds(), runs.Seconds(), time.Since(start).Seconds())
	}
}

// runProgram runs a program until the end of the script, with its output in a file of
// bin. A program that ends before fails the script.
func runProgram(ts *testscript.TestScript, cmd *exec.Cmd, name string) {
	cmd.Dir = ts.MkAbs(".")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	log, err := os.Create(filepath.Join(filepath.Dir(mustLook(ts, "localcloud")), name+"-"+filepath.Base(ts.Name())+".log"))
	ts.Check(err)
	cmd.Stdout, cmd.Stderr = log, log
	ts.Check(cmd.Start())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait(); log.Close() }()
	ts.Defer(func() {
		select {
		case err := <-done:
			text, _ := os.ReadFile(log.Name())
			ts.Logf("%s", text[max(0, len(text)-4000):])
			ts.Fatalf("%s ended before its script, with %v", name, err)
		default:
			_ = cmd.Process.Signal(syscall.SIGTERM)
			<-done
		}
	})
}
