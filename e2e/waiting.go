package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// What becomes of objects, as script commands. They wait for at most objectWait.

const objectWait = 4 * time.Minute

// adminConfig is the administrator's configuration for the cloud's one cluster.
func adminConfig(ts *testscript.TestScript) *rest.Config {
	configs, err := filepath.Glob(filepath.Join(of(ts).dir, "clusters", "*", "*", "admin.kubeconfig"))
	ts.Check(err)
	if len(configs) != 1 {
		ts.Fatalf("%d clusters in %s, wanted one", len(configs), of(ts).dir)
	}
	config, err := clientcmd.BuildConfigFromFlags("", configs[0])
	ts.Check(err)
	return config
}

// eventually waits until done returns an empty string, or fails the script with what
// it returned last.
func eventually(ts *testscript.TestScript, limit time.Duration, done func(context.Context) (string, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for {
		why, err := done(ctx)
		if err == nil && why == "" {
			return
		}
		if ctx.Err() != nil {
			ts.Fatalf("after %s: %s %v", limit, why, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// cmdPods waits until as many pods with a label are in a phase: "pods N PHASE LABELS",
// such as "pods 2 Running app=llama". One that is on its way out is in none.
func cmdPods(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: pods N PHASE LABELS")
	}
	want, client := number(ts, args[0]), kubernetesOf(ts)
	eventually(ts, objectWait, func(ctx context.Context) (string, error) {
		list, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: args[2]})
		if err != nil {
			return "", err
		}
		n, states := 0, []string{}
		for _, p := range list.Items {
			states = append(states, fmt.Sprintf("%s %s", p.Name, p.Status.Phase))
			if p.DeletionTimestamp == nil && string(p.Status.Phase) == args[1] {
				n++
			}
		}
		if n == want {
			return "", nil
		}
		return fmt.Sprintf("pods with %s: %v, wanted %d %s", args[2], states, want, args[1]), nil
	})
}

// cmdEvent waits for an event of an object, or of any if its name is "*":
// "event NAME REASON REGEXP".
func cmdEvent(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: event NAME REASON REGEXP")
	}
	wanted, err := regexp.Compile(args[2])
	ts.Check(err)
	client := kubernetesOf(ts)
	eventually(ts, objectWait, func(ctx context.Context) (string, error) {
		list, err := client.CoreV1().Events("").List(ctx, metav1.ListOptions{FieldSelector: "reason=" + args[1]})
		if err != nil {
			return "", err
		}
		var seen []string
		for _, e := range list.Items {
			if (args[0] == "*" || e.InvolvedObject.Name == args[0]) && wanted.MatchString(e.Message) {
				return "", nil
			}
			seen = append(seen, e.Message)
		}
		return fmt.Sprintf("events %s of %s: %q, wanted %s", args[1], args[0], seen, args[2]), nil
	})
}

// ready tells whether a node is Ready.
func ready(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
