// Package addons puts software on a cluster: the add-ons that EKS itself
// installs ([EKSAddon]), Helm charts ([Release]) and the IAM roles of their
// service accounts ([PodIdentity]).
//
// [EKSAddons], [GPUOperator], [IngressNginx], [ClusterAutoscaler] and [Charts]
// say what a blueprint asks for, with the versions and values that are known to
// work on EKS. Everything here lives inside the cluster and vanishes with it.
package addons

import (
	"k8s.io/client-go/rest"

	"aicluster/provision/engine"
)

// Cluster is what add-ons need of the control plane.
type Cluster interface {
	engine.Resource
	// Name is the EKS cluster's name.
	Name() string
	// Exists tells, after the cluster was observed or applied, whether it is there.
	Exists() bool
	// Ready tells whether it takes calls: it is neither being made nor deleted.
	Ready() bool
	// RESTConfig is how its API server is reached while it is ready.
	RESTConfig() (*rest.Config, error)
	// Version is the Kubernetes minor version, e.g. "1.35".
	Version() string
}

// Role is an IAM role whose ARN is known once it was observed or applied.
type Role interface {
	ARN() string
}
