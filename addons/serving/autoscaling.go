package serving

import "aicluster/blueprints"

// autoscaler is what sets the number of a service's replicas: a
// HorizontalPodAutoscaler and what it reads. A service with a fixed number has none.
func autoscaler(*blueprints.Blueprint, blueprints.Service) []Object { return nil }
