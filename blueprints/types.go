// Package blueprints holds the Blueprint: the one file that describes a GPU
// cluster on EKS.
//
// [Load] reads a file strictly and checks every rule that can be known offline;
// all problems come back at once as [Problems], each with its position, the
// source line and what to do. [Schema] is the JSON Schema of the same type.
// What a field means, which values it takes and what changing it does to a
// running cluster is declared once, in the tags of its struct field.
package blueprints

// APIVersion and Kind are what every blueprint of this version starts with.
const (
	APIVersion = "aicluster/v1"
	Kind       = "Blueprint"
)

// Blueprint describes one cluster: its network, control plane, node pools,
// add-ons and models.
type Blueprint struct {
	APIVersion string     `yaml:"apiVersion" json:"apiVersion" jsonschema:"required,enum=aicluster/v1"`
	Kind       string     `yaml:"kind" json:"kind" jsonschema:"required,enum=Blueprint"`
	Metadata   Metadata   `yaml:"metadata" json:"metadata" jsonschema:"required"`
	Cluster    Cluster    `yaml:"cluster,omitempty" json:"cluster,omitempty"`
	Network    Network    `yaml:"network,omitempty" json:"network,omitempty"`
	NodePools  []NodePool `yaml:"nodePools" json:"nodePools" jsonschema:"required,minItems=1"`
	Addons     Addons     `yaml:"addons,omitempty" json:"addons,omitempty"`
	Models     *Models    `yaml:"models,omitempty" json:"models,omitempty"`

	// Dir is the folder of the file, which relative paths inside it start from.
	Dir string `yaml:"-" json:"-"`
}

// Metadata names the cluster and says where it lives.
type Metadata struct {
	// Name is the EKS cluster's name and the root of every other name.
	Name string `yaml:"name" json:"name" jsonschema:"required"`
	// Region is the AWS region, e.g. ap-northeast-2.
	Region string `yaml:"region" json:"region" jsonschema:"required"`
	// Tags go on everything that can bear tags.
	Tags map[string]string `yaml:"tags,omitempty" json:"tags,omitempty"`
}

// Cluster is the EKS control plane.
type Cluster struct {
	// Version is the Kubernetes minor version, e.g. "1.35".
	Version string `yaml:"version,omitempty" json:"version,omitempty"`
	// Endpoint says who can reach the API server.
	Endpoint Endpoint `yaml:"endpoint,omitempty" json:"endpoint,omitempty"`
	// Logging lists control-plane logs to keep in CloudWatch: api, audit, authenticator, controllerManager, scheduler.
	Logging []string `yaml:"logging,omitempty" json:"logging,omitempty"`
	// Admins are IAM principals (role or user ARNs) that get cluster-admin beside the creator.
	Admins []string `yaml:"admins,omitempty" json:"admins,omitempty"`
	// DeletionProtection makes EKS refuse to delete the cluster until it is switched off.
	DeletionProtection bool `yaml:"deletionProtection,omitempty" json:"deletionProtection,omitempty"`
	// SupportType is standard (upgraded by EKS at the end of standard support) or extended (paid).
	SupportType string `yaml:"supportType,omitempty" json:"supportType,omitempty"`
}

// Endpoint is the reach of the API server's endpoint.
type Endpoint struct {
	Public      *bool    `yaml:"public,omitempty" json:"public,omitempty"`
	Private     *bool    `yaml:"private,omitempty" json:"private,omitempty"`
	PublicCIDRs []string `yaml:"publicCIDRs,omitempty" json:"publicCIDRs,omitempty"`
}

// Network is the VPC: a new one (CIDR) or an existing one (VPCID and SubnetIDs).
type Network struct {
	CIDR string `yaml:"cidr,omitempty" json:"cidr,omitempty"`
	// NATGateways is single, perZone or none (private subnets without a way out).
	NATGateways string `yaml:"natGateways,omitempty" json:"natGateways,omitempty"`
	// Zones fixes the availability zones; otherwise they are chosen by where the pools' instance types are offered.
	Zones     []string `yaml:"zones,omitempty" json:"zones,omitempty"`
	VPCID     string   `yaml:"vpcID,omitempty" json:"vpcID,omitempty"`
	SubnetIDs []string `yaml:"subnetIDs,omitempty" json:"subnetIDs,omitempty"`
}

// Capacity is how instances of a pool are bought.
type Capacity string

// The capacities of a node pool.
const (
	OnDemand Capacity = "onDemand"
	Spot     Capacity = "spot"
)

// NodePool is one set of equal nodes; it becomes a launch template and a managed node group.
type NodePool struct {
	Name          string            `yaml:"name" json:"name" jsonschema:"required"`
	InstanceTypes []string          `yaml:"instanceTypes" json:"instanceTypes" jsonschema:"required"`
	Capacity      Capacity          `yaml:"capacity,omitempty" json:"capacity,omitempty"`
	Nodes         Nodes             `yaml:"nodes" json:"nodes" jsonschema:"required"`
	Labels        map[string]string `yaml:"labels,omitempty" json:"labels,omitempty"`
	Taints        []Taint           `yaml:"taints,omitempty" json:"taints,omitempty"`
	// Zones restricts the pool to some of the network's zones.
	Zones []string `yaml:"zones,omitempty" json:"zones,omitempty"`
	// RootVolume is the gp3 root disk.
	RootVolume RootVolume `yaml:"rootVolume,omitempty" json:"rootVolume,omitempty"`
	// LocalStorage is raid0 (all NVMe disks as one, for images and pods), mount, or none.
	LocalStorage string `yaml:"localStorage,omitempty" json:"localStorage,omitempty"`
	// AMIRelease pins the EKS AMI release, e.g. 1.35.2-20260714; empty takes the newest at creation.
	AMIRelease string `yaml:"amiRelease,omitempty" json:"amiRelease,omitempty"`
	// MaxUnavailable is how many nodes an update may take down at once.
	MaxUnavailable int `yaml:"maxUnavailable,omitempty" json:"maxUnavailable,omitempty"`
}

// Nodes bounds the size of a pool. The autoscaler owns the number between.
type Nodes struct {
	Min int `yaml:"min" json:"min"`
	Max int `yaml:"max" json:"max"`
}

// Taint keeps pods without a matching toleration off a pool. Value is required
// although Kubernetes allows none: the cluster autoscaler ignores a taint
// without value when it scales from zero.
type Taint struct {
	Key    string `yaml:"key" json:"key" jsonschema:"required"`
	Value  string `yaml:"value" json:"value" jsonschema:"required"`
	Effect string `yaml:"effect" json:"effect" jsonschema:"required"` // NoSchedule, PreferNoSchedule, NoExecute
}

// RootVolume is a pool's gp3 root disk.
type RootVolume struct {
	SizeGiB int `yaml:"sizeGiB,omitempty" json:"sizeGiB,omitempty"`
}

// Addons is what runs on the cluster. EKS add-ons are on by default; a Helm
// chart is installed when its key is present.
type Addons struct {
	VPCCNI            *EKSAddon `yaml:"vpcCNI,omitempty" json:"vpcCNI,omitempty"`
	KubeProxy         *EKSAddon `yaml:"kubeProxy,omitempty" json:"kubeProxy,omitempty"`
	CoreDNS           *EKSAddon `yaml:"coreDNS,omitempty" json:"coreDNS,omitempty"`
	PodIdentityAgent  *EKSAddon `yaml:"podIdentityAgent,omitempty" json:"podIdentityAgent,omitempty"`
	MetricsServer     *EKSAddon `yaml:"metricsServer,omitempty" json:"metricsServer,omitempty"`
	EBSCSIDriver      *EKSAddon `yaml:"ebsCSIDriver,omitempty" json:"ebsCSIDriver,omitempty"`
	GPUOperator       *Release  `yaml:"gpuOperator,omitempty" json:"gpuOperator,omitempty"`
	IngressNginx      *Release  `yaml:"ingressNginx,omitempty" json:"ingressNginx,omitempty"`
	ClusterAutoscaler *Release  `yaml:"clusterAutoscaler,omitempty" json:"clusterAutoscaler,omitempty"`
	Charts            []Chart   `yaml:"charts,omitempty" json:"charts,omitempty"`
}

// EKSAddon is an add-on that EKS itself installs. Version empty takes EKS's
// default for the cluster's Kubernetes version at creation.
type EKSAddon struct {
	Enabled       *bool          `yaml:"enabled,omitempty" json:"enabled,omitempty"`
	Version       string         `yaml:"version,omitempty" json:"version,omitempty"`
	Configuration map[string]any `yaml:"configuration,omitempty" json:"configuration,omitempty"`
}

// Release is a Helm chart that aicluster knows: version and values override its own choice.
type Release struct {
	Version string         `yaml:"version,omitempty" json:"version,omitempty"`
	Values  map[string]any `yaml:"values,omitempty" json:"values,omitempty"`
}

// Chart is any further Helm chart.
type Chart struct {
	Name      string         `yaml:"name" json:"name" jsonschema:"required"`
	Namespace string         `yaml:"namespace,omitempty" json:"namespace,omitempty"`
	Repo      string         `yaml:"repo" json:"repo" jsonschema:"required"`
	Chart     string         `yaml:"chart" json:"chart" jsonschema:"required"`
	Version   string         `yaml:"version" json:"version" jsonschema:"required"`
	Values    map[string]any `yaml:"values,omitempty" json:"values,omitempty"`
}

// Models is the S3 bucket for model weights and what to put there.
type Models struct {
	Bucket string `yaml:"bucket" json:"bucket" jsonschema:"required"`
	Seed   []Seed `yaml:"seed,omitempty" json:"seed,omitempty"`
}

// Seed is one model: a local folder that goes to s3://bucket/name/.
type Seed struct {
	Name string `yaml:"name" json:"name" jsonschema:"required"`
	From string `yaml:"from" json:"from" jsonschema:"required"`
}
