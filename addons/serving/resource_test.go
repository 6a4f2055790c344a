package serving

import (
	"strings"
	"testing"

	"aicluster/blueprints"
	"aicluster/provision/engine"
)

type fakeModel blueprints.ModelSize

func (m fakeModel) Size() blueprints.ModelSize { return blueprints.ModelSize(m) }

// absent is a control plane that is yet to be made.
type absent struct{ fakeCluster }

func (absent) Ready() bool { return false }

// TestPlan is what a plan says of a service that is to be made.
func TestPlan(t *testing.T) {
	b := blueprint(t)
	svc := b.Serving[0]
	o, err := New(absent{}, b, svc, fakeModel{}).Observe(t.Context())
	if err != nil || o.Exists {
		t.Fatalf("%+v %v", o, err)
	}
	got := map[string]any{}
	for _, c := range o.Changes {
		if c.Policy != engine.PolicyCreate {
			t.Errorf("%s: %s", c.Field, c.Policy)
		}
		got[c.Field] = c.Wanted
	}
	for field, want := range map[string]any{"model": "Llama-3.1-8B-Instruct", "pool": "gpu-a100", "gpus": 1, "replicas": 2, "load": "copy", "image": blueprints.VLLMImage, "host": "ai-api.example.com"} {
		if got[field] != want {
			t.Errorf("%s is %v, want %v", field, got[field], want)
		}
	}
}

// TestTooLargeIsRefused although the local folder did not say so: the bucket does.
func TestTooLargeIsRefused(t *testing.T) {
	b := blueprint(t)
	o, err := New(absent{}, b, b.Serving[0], fakeModel{Files: 200 << 30, Weights: 131 << 30}).Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range o.Changes {
		if c.Policy == engine.PolicyRefused {
			message := (&engine.RefusedError{Change: c}).Error()
			if !strings.Contains(message, "model cannot be Llama-3.1-8B-Instruct on pool gpu-a100: its weights have 131.0 GiB") || !strings.Contains(message, "write 'gpus: 8'") {
				t.Error(message)
			}
			return
		}
	}
	t.Errorf("changes %+v", o.Changes)
}

// TestOneReplicaIsRemarked: changing it takes the service away.
func TestOneReplicaIsRemarked(t *testing.T) {
	b := blueprint(t)
	for _, test := range []struct {
		name   string
		change func(*blueprints.Service)
		notes  int
	}{
		{"two replicas", func(*blueprints.Service) {}, 0},
		{"one", func(s *blueprints.Service) { s.Replicas = new(1) }, 1},
		{"one, with a spare GPU", func(s *blueprints.Service) { s.Replicas, s.RollingUpdate = new(1), "surge" }, 0},
		{"none", func(s *blueprints.Service) { s.Replicas = new(0) }, 0},
		{"one or more", func(s *blueprints.Service) {
			s.Replicas, s.Autoscaling = nil, &blueprints.ServiceAutoscaling{Min: 1, Max: 3}
		}, 1},
	} {
		svc := b.Serving[0]
		test.change(&svc)
		if got := New(absent{}, b, svc, nil).notes(); len(got) != test.notes {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}
