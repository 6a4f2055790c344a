package serving

import (
	"strings"
	"testing"

	"aicluster/blueprints"
)

// TestAutoscaler: bounds and target are the blueprint's, the metric is what the
// adapter serves, and a replica goes only long after the requests have.
func TestAutoscaler(t *testing.T) {
	b := blueprint(t)
	svc := b.Serving[0]
	svc.Replicas, svc.Autoscaling = nil, &blueprints.ServiceAutoscaling{Min: 1, Max: 4, Target: 8}
	text, err := YAML(autoscaler(b, svc))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "autoscaler.yaml", text)

	deployment, err := YAML([]Object{deployment(b, svc, Facts{}, load(b, svc, Facts{}))})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(deployment), "\n  replicas:") {
		t.Error("the number of replicas is the autoscaler's, and the Deployment has one, too")
	}
	svc.Autoscaling = nil
	if objects := autoscaler(b, svc); len(objects) > 0 {
		t.Errorf("a fixed number of replicas has %d autoscalers", len(objects))
	}
}
