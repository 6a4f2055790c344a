package tunnel

import (
	"context"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func pod(name string, ready, going bool) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ai", Name: name}}
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}
	if going {
		p.DeletionTimestamp = new(metav1.Now())
	}
	return p
}

// TestEndpoints: the ready pods behind the port, of all slices, each once.
func TestEndpoints(t *testing.T) {
	slice := func(name, service, port string, number int32, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ai", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
			Ports:      []discoveryv1.EndpointPort{{Name: &port, Port: &number}}, Endpoints: endpoints,
		}
	}
	of := func(pod string, ready *bool) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{Conditions: discoveryv1.EndpointConditions{Ready: ready}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: pod}}
	}
	client := fake.NewClientset(
		slice("one", "llama", "http", 8000, of("b", nil), of("a", new(true)), of("c", new(false)), discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}}),
		slice("two", "llama", "http", 8000, of("b", nil)),
		slice("three", "llama", "metrics", 9000, of("d", nil)),
		slice("four", "other", "http", 8000, of("e", nil)))
	got, err := Endpoints(t.Context(), client, "ai", "llama", "http")
	if err != nil || !slices.Equal(got, []Endpoint{{"a", 8000}, {"b", 8000}}) {
		t.Errorf("%v, %v", got, err)
	}
}

// TestServes: endpoints may still have a pod that is going.
func TestServes(t *testing.T) {
	client := fake.NewClientset(pod("ready", true, false), pod("unready", false, false), pod("going", true, true))
	for name, want := range map[string]bool{"ready": true, "unready": false, "going": false, "gone": false} {
		if got, err := Serves(t.Context(), client, "ai", name); err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// TestWaitGone: it returns when the pod is deleted or not ready any more.
func TestWaitGone(t *testing.T) {
	for name, change := range map[string]func(context.Context, *fake.Clientset) error{
		"deleted": func(ctx context.Context, c *fake.Clientset) error {
			return c.CoreV1().Pods("ai").Delete(ctx, "a", metav1.DeleteOptions{})
		},
		"not ready": func(ctx context.Context, c *fake.Clientset) error {
			_, err := c.CoreV1().Pods("ai").UpdateStatus(ctx, pod("a", false, false), metav1.UpdateOptions{})
			return err
		},
	} {
		client := fake.NewClientset(pod("a", true, false))
		gone := make(chan error, 1)
		go func() { gone <- WaitGone(t.Context(), client, "ai", "a") }()
		for watching := false; !watching; time.Sleep(time.Millisecond) {
			for _, a := range client.Actions() {
				watching = watching || a.GetVerb() == "watch"
			}
		}
		time.Sleep(10 * time.Millisecond) // the fake counts a watch before it is there
		if err := change(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-gone:
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: it is not noticed", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := WaitGone(ctx, fake.NewClientset(pod("a", true, false)), "ai", "a"); err == nil {
		t.Error("without time it says gone")
	}
}
