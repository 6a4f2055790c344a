package e2e

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// cmdObject writes an object of the cloud's one cluster to object.json: "object
// GROUP/VERSION/PLURAL NAMESPACE NAME", with "v1/services" for the core group. With
// "!" there must be none.
func cmdObject(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: object GROUP/VERSION/PLURAL NAMESPACE NAME")
	}
	path := objectPath(args)
	body, err := kubernetesOf(ts).CoreV1().RESTClient().Get().AbsPath(path).DoRaw(context.Background())
	switch {
	case neg && apierrors.IsNotFound(err):
		return
	case neg && err == nil:
		ts.Fatalf("there is %s:\n%s", path, body)
	}
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("object.json"), body, 0o644))
}

// objectPath is where the API server has GROUP/VERSION/PLURAL NAMESPACE NAME.
func objectPath(args []string) string {
	prefix := "/apis/"
	if strings.Count(args[0], "/") == 1 {
		prefix = "/api/"
	}
	at := strings.LastIndexByte(args[0], '/')
	return prefix + args[0][:at] + "/namespaces/" + args[1] + args[0][at:] + "/" + args[2]
}

// cmdBecomes waits until a JSONPath template picks a value of an object, which a
// controller writes: "becomes GROUP/VERSION/PLURAL NAMESPACE NAME TEMPLATE WANTED".
func cmdBecomes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 5 {
		ts.Fatalf("usage: becomes GROUP/VERSION/PLURAL NAMESPACE NAME TEMPLATE WANTED")
	}
	var body []byte
	var got string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var err error
		body, err = kubernetesOf(ts).CoreV1().RESTClient().Get().AbsPath(objectPath(args)).DoRaw(context.Background())
		if apierrors.IsNotFound(err) {
			continue
		}
		ts.Check(err)
		got, err = evaluate(string(body), args[3])
		ts.Check(err)
		if got == args[4] {
			return
		}
	}
	ts.Fatalf("%s is %q, wanted %q, in\n%s", args[3], got, args[4], body)
}

// cmdHandSet sets the image of a Deployment's first container, as `kubectl set
// image` does: "handset NAMESPACE NAME IMAGE".
func cmdHandSet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: handset NAMESPACE NAME IMAGE")
	}
	patch := `[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "` + args[2] + `"}]`
	_, err := kubernetesOf(ts).AppsV1().Deployments(args[0]).Patch(context.Background(), args[1], types.JSONPatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-set"})
	ts.Check(err)
}
