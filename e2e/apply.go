package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
)

// cmdApply makes the objects of files, as "kubectl apply -f" does, or with "!"
// deletes them: "apply FILE…".
func cmdApply(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: apply FILE...")
	}
	var all []*unstructured.Unstructured
	for _, file := range args {
		all = append(all, objects(ts, ts.ReadFile(file))...)
	}
	ctx := context.Background()
	resources, err := restmapper.GetAPIGroupResources(kubernetesOf(ts).Discovery())
	ts.Check(err)
	mapper := restmapper.NewDiscoveryRESTMapper(resources)
	client := dynamic.New(kubernetesOf(ts).CoreV1().RESTClient())
	for _, o := range all {
		mapping, err := mapper.RESTMapping(o.GroupVersionKind().GroupKind(), o.GroupVersionKind().Version)
		ts.Check(err)
		api := dynamic.ResourceInterface(client.Resource(mapping.Resource))
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			if o.GetNamespace() == "" {
				o.SetNamespace(metav1.NamespaceDefault)
			}
			api = client.Resource(mapping.Resource).Namespace(o.GetNamespace())
		}
		if neg {
			if err := api.Delete(ctx, o.GetName(), metav1.DeleteOptions{}); !apierrors.IsNotFound(err) {
				ts.Check(err)
			}
			continue
		}
		_, err = api.Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: "kubectl", Force: true})
		ts.Check(err)
	}
}

// objects are the documents of a YAML text.
func objects(ts *testscript.TestScript, text string) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(text)), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := d.Decode(o)
		if errors.Is(err, io.EOF) {
			return out
		}
		ts.Check(err)
		if len(o.Object) > 0 {
			out = append(out, o)
		}
	}
}

// findWait is far more than trouble takes to show at any speed.
const findWait = time.Minute

// cmdFinds waits until "aicluster doctor --all" finds something: "finds FILE REASON
// RESOURCE MESSAGE NEXT". RESOURCE is a pattern as of path.Match; MESSAGE and NEXT
// are regular expressions and may be left out.
func cmdFinds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 5 {
		ts.Fatalf("usage: finds FILE REASON RESOURCE [MESSAGE [NEXT]]")
	}
	args = append(args, "", "")[:5]
	message, next := regexp.MustCompile(args[3]), regexp.MustCompile(args[4])
	var d struct {
		Findings []struct{ Resource, Reason, Message, Next string }
	}
	for end := time.Now().Add(findWait); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		_ = ts.Exec("aicluster", "doctor", "--all", "--output", "json", args[0]) // it exits 1 when it finds something
		text := ts.ReadFile("stdout")
		noSecrets(ts, "aicluster doctor", text+ts.ReadFile("stderr"))
		d.Findings = nil
		ts.Check(json.NewDecoder(strings.NewReader(text)).Decode(&d))
		for _, f := range d.Findings {
			matches, err := path.Match(args[2], f.Resource)
			ts.Check(err)
			if matches && f.Reason == args[1] && message.MatchString(f.Message) && next.MatchString(f.Next) {
				return
			}
		}
	}
	for _, f := range d.Findings {
		ts.Logf("%s %s\n    why:  %s\n    next: %s", f.Reason, f.Resource, f.Message, f.Next)
	}
	ts.Fatalf("doctor does not find %s", strings.Join(args[1:], " "))
}
