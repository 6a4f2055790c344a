package serving

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"aicluster/addons"
	"aicluster/blueprints"
)

// How fast the number of replicas changes, in seconds. A replica takes minutes to
// load its model and may need a node of its own, so that a burst which is over by
// then is not worth one, and what was started is kept for the next burst.
const (
	waitToGrow   = 60
	waitToShrink = 600
	growPeriod   = 60  // at most the double, or two more, in that time
	shrinkPeriod = 120 // at most one less in that time
)

// autoscaler is what sets the number of a service's replicas: an autoscaler by
// the requests that a replica works on or has in its queue, which Prometheus reads
// from vLLM and its adapter serves. GPU utilisation would say nothing: it is high
// with a single request. A service with a fixed number has none.
//
// Replicas that still load their model have no requests; Kubernetes counts them as
// idle when it decides on more, so that it does not start ever more of them
// ("Horizontal Pod Autoscaling", algorithm details).
func autoscaler(b *blueprints.Blueprint, svc blueprints.Service) []Object {
	if svc.Autoscaling == nil {
		return nil
	}
	bounds := svc.Autoscaling
	most := autoscalingv2.MaxChangePolicySelect
	return []Object{&autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta:   metav1.TypeMeta{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler"},
		ObjectMeta: meta(b, svc),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: svc.Name},
			MinReplicas:    new(int32(bounds.Min)),
			MaxReplicas:    int32(bounds.Max),
			Metrics: []autoscalingv2.MetricSpec{{
				Type: autoscalingv2.PodsMetricSourceType,
				Pods: &autoscalingv2.PodsMetricSource{
					Metric: autoscalingv2.MetricIdentifier{Name: addons.RequestsMetric},
					Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: resource.NewQuantity(int64(bounds.Target), resource.DecimalSI)},
				},
			}},
			Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{
				ScaleUp: &autoscalingv2.HPAScalingRules{
					StabilizationWindowSeconds: new(int32(waitToGrow)),
					SelectPolicy:               &most,
					Policies: []autoscalingv2.HPAScalingPolicy{
						{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: growPeriod},
						{Type: autoscalingv2.PodsScalingPolicy, Value: 2, PeriodSeconds: growPeriod},
					},
				},
				ScaleDown: &autoscalingv2.HPAScalingRules{
					StabilizationWindowSeconds: new(int32(waitToShrink)),
					Policies:                   []autoscalingv2.HPAScalingPolicy{{Type: autoscalingv2.PodsScalingPolicy, Value: 1, PeriodSeconds: shrinkPeriod}},
				},
			},
		},
	}}
}
