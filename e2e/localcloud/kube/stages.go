package kube

import (
	"bytes"
	_ "embed"
	"fmt"
	"time"

	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/apis/v1alpha1"
	"sigs.k8s.io/yaml"

	"aicluster/e2e/localcloud/clock"
)

//go:embed stages.yaml
var stagesYAML []byte

type stages = map[internalversion.StageResourceRef][]*internalversion.Stage

// loadStages returns KWOK's stages with the clock's durations.
func loadStages(c *clock.Clock) (stages, error) {
	delays := map[string]time.Duration{
		"pod-start":    c.Duration(clock.PodStart),
		"pod-complete": c.Duration(clock.PodRun),
	}
	out := stages{}
	for _, doc := range bytes.Split(stagesYAML, []byte("\n---\n")) {
		var versioned v1alpha1.Stage
		if err := yaml.UnmarshalStrict(doc, &versioned); err != nil {
			return nil, fmt.Errorf("stage: %w", err)
		}
		v1alpha1.SetObjectDefaults_Stage(&versioned)
		stage, err := internalversion.ConvertToInternalStage(&versioned)
		if err != nil {
			return nil, fmt.Errorf("stage: %w", err)
		}
		if d, ok := delays[stage.Name]; ok {
			ms := d.Milliseconds()
			stage.Spec.Delay.DurationMilliseconds = &ms
		}
		out[stage.Spec.ResourceRef] = append(out[stage.Spec.ResourceRef], stage)
	}
	return out, nil
}
