package serving

import (
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"aicluster/blueprints"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

// TestChangesOf: only what would change is told, by its path.
func TestChangesOf(t *testing.T) {
	const live = `
kind: Deployment
metadata:
  name: a
  generation: 3
  resourceVersion: "7"
  labels: {app.kubernetes.io/name: vllm}
  annotations: {deployment.kubernetes.io/revision: "3"}
spec:
  replicas: 2
  template: {spec: {containers: [{name: vllm, image: "a:1", args: [--x]}, {name: side, image: b}], tolerations: [{key: k}]}}
status: {replicas: 2}
`
	for _, test := range []struct {
		name, applied string
		want          []string
	}{
		{"nothing but what the server writes", `
kind: Deployment
metadata: {name: a, generation: 4, resourceVersion: "8", labels: {app.kubernetes.io/name: vllm}}
spec:
  replicas: 2
  template: {spec: {containers: [{name: vllm, image: "a:1", args: [--x]}, {name: side, image: b}], tolerations: [{key: k}]}}
`, nil},
		{"a field of one container, whatever the order", `
kind: Deployment
metadata: {name: a, labels: {app.kubernetes.io/name: vllm}}
spec:
  replicas: 2
  template: {spec: {containers: [{name: side, image: b}, {name: vllm, image: "a:2", args: [--x]}], tolerations: [{key: k}]}}
`, []string{"deployment.spec.template.spec.containers[vllm].image: a:1 -> a:2"}},
		{"labels, numbers, lists without names, and what goes", `
kind: Deployment
metadata: {name: a, labels: {app.kubernetes.io/name: other}}
spec:
  replicas: 1
  template: {spec: {containers: [{name: vllm, image: "a:1", args: [--x, --y]}], tolerations: [{key: l}]}}
`, []string{
			"deployment.metadata.labels[app.kubernetes.io/name]: vllm -> other",
			"deployment.spec.replicas: 2 -> 1",
			"deployment.spec.template.spec.containers[side]: map[image:b name:side] -> <nil>",
			"deployment.spec.template.spec.containers[vllm].args: [--x] -> [--x --y]",
			"deployment.spec.template.spec.tolerations: [map[key:k]] -> [map[key:l]]",
		}},
	} {
		var got []string
		for _, c := range changesOf(object(t, live), object(t, test.applied)) {
			got = append(got, fmt.Sprintf("%s: %v -> %v", c.Field, c.Live, c.Wanted))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s:\n%q, want\n%q", test.name, got, test.want)
		}
	}
}

// TestKinds: whatever a service is made of can be compared and taken away.
func TestKinds(t *testing.T) {
	b := blueprint(t)
	for _, load := range []blueprints.LoadMode{blueprints.LoadCopy, blueprints.LoadStream, blueprints.LoadMount, blueprints.LoadEFS} {
		for _, ingress := range []string{"nginx", "gateway"} {
			b.Addons.Ingress = ingress
			svc := b.Serving[0]
			svc.Load, svc.Replicas, svc.Autoscaling = load, nil, &blueprints.ServiceAutoscaling{Min: 1, Max: 2, Target: 8}
			svc.TLS = &blueprints.TLS{Issuer: "letsencrypt"}
			for _, o := range Render(b, svc, Facts{}) {
				k, err := kindOf(o)
				if err != nil {
					t.Errorf("%s, %s: %v", load, ingress, err)
					continue
				}
				if k.global != (o.GetNamespace() == "") {
					t.Errorf("%s %s is in namespace %q", k.Kind, o.GetName(), o.GetNamespace())
				}
				if o.GetLabels()[labelInstance] != svc.Name || o.GetLabels()[labelManagedBy] != FieldManager {
					t.Errorf("%s %s would not be found again: labels %v", k.Kind, o.GetName(), o.GetLabels())
				}
			}
		}
	}
}

// TestOwns reads who has set a field.
func TestOwns(t *testing.T) {
	u := &unstructured.Unstructured{}
	u.SetManagedFields([]metav1.ManagedFieldsEntry{
		{Manager: FieldManager, Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{},"f:selector":{}}}`)},
		{Manager: "hpa", Operation: metav1.ManagedFieldsOperationUpdate, FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:paused":{}}}`)},
	})
	for field, want := range map[string]bool{"f:replicas": true, "f:paused": false, "f:template": false} {
		if got := owns(u, FieldManager, field); got != want {
			t.Errorf("%s: %v", field, got)
		}
	}
}
