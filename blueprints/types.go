// Package blueprints holds the Blueprint: the one file that describes a GPU
// cluster on EKS.
//
// [Load] reads a file strictly and checks every rule that can be known offline;
// all problems come back at once as [Problems], each with its position, the
// source line and what to do. [Schema] is the JSON Schema of the same type.
// What a field means, which values it takes and what changing it does to a
// running cluster is declared once, at its struct field.
package blueprints

// APIVersion and Kind are what every blueprint of this version starts with.
const (
	APIVersion = "aicluster/v1"
	Kind       = "Blueprint"
)

// The comment of a field is its description in the schema. Its tags hold the
// rest: jsonschema the constraints and the default, jsonschema_extras
// x-update-policy (what a change does to a running cluster: live, replaces-nodes
// or refused), x-form (the pattern in words) and x-hint (what to do when it is
// missing). [Schema], the checks of [Parse] and [Blueprint.Defaults] read them.

// Blueprint describes one cluster: its network, control plane, node pools,
// add-ons and models.
type Blueprint struct {
	// Version of the blueprint format.
	APIVersion string `yaml:"apiVersion" json:"apiVersion" jsonschema:"required,enum=aicluster/v1" jsonschema_extras:"x-hint=every blueprint starts with 'apiVersion: aicluster/v1' and 'kind: Blueprint'"`
	// What the document is.
	Kind string `yaml:"kind" json:"kind" jsonschema:"required,enum=Blueprint" jsonschema_extras:"x-hint=every blueprint starts with 'apiVersion: aicluster/v1' and 'kind: Blueprint'"`
	// Name and place of the cluster.
	Metadata Metadata `yaml:"metadata" json:"metadata" jsonschema:"required" jsonschema_extras:"x-hint=write 'metadata: {name: my-cluster\\, region: us-west-2}'"`
	// The EKS control plane.
	Cluster Cluster `yaml:"cluster,omitempty" json:"cluster,omitempty"`
	// The VPC: a new one (cidr) or an existing one (vpcID and subnetIDs).
	Network Network `yaml:"network,omitempty" json:"network,omitempty"`
	// Sets of equal nodes; each becomes a launch template and a managed node group. EKS allows 30 of
	// them in a cluster.
	NodePools []NodePool `yaml:"nodePools" json:"nodePools" jsonschema:"required,minItems=1,maxItems=30" jsonschema_extras:"x-update-policy=live,x-hint=a cluster needs at least one pool without taints for the system's own pods"`
	// What runs on the cluster.
	Addons Addons `yaml:"addons,omitempty" json:"addons,omitempty"`
	// The S3 bucket for model weights and what to put there.
	Models *Models `yaml:"models,omitempty" json:"models,omitempty"`
	// Endpoints that answer with a model, in the namespace ai-serving.
	Serving []Service `yaml:"serving,omitempty" json:"serving,omitempty" jsonschema_extras:"x-update-policy=live"`

	// Dir is the folder of the file, which relative paths inside it start from.
	Dir string `yaml:"-" json:"-"`

	warnings Problems
}

// Metadata names the cluster and says where it lives.
type Metadata struct {
	// Name of the EKS cluster and root of every other name.
	Name string `yaml:"name" json:"name" jsonschema:"required,pattern=^[A-Za-z0-9][A-Za-z0-9_-]*$,maxLength=100" jsonschema_extras:"x-update-policy=refused,x-form=letters\\, digits\\, hyphens and underscores\\, the first a letter or digit"`
	// AWS region such as ap-northeast-2.
	Region string `yaml:"region" json:"region" jsonschema:"required" jsonschema_extras:"x-update-policy=refused"`
	// Tags for everything that can bear tags. At most 48: AWS allows 50 and aicluster sets two of its
	// own.
	Tags map[string]string `yaml:"tags,omitempty" json:"tags,omitempty" jsonschema_extras:"x-update-policy=live"`
}

// Cluster is the EKS control plane.
type Cluster struct {
	// Kubernetes minor version. It goes up one minor version at a time; the nodes follow.
	Version string `yaml:"version,omitempty" json:"version,omitempty" jsonschema:"pattern=^1\\.[0-9]+$,default=1.35" jsonschema_extras:"x-update-policy=replaces-nodes,x-form=a Kubernetes minor version such as 1.35"`
	// Who can reach the API server.
	Endpoint Endpoint `yaml:"endpoint,omitempty" json:"endpoint,omitempty"`
	// Control-plane logs to keep in CloudWatch.
	Logging []string `yaml:"logging,omitempty" json:"logging,omitempty" jsonschema:"enum=api,enum=audit,enum=authenticator,enum=controllerManager,enum=scheduler,uniqueItems=true" jsonschema_extras:"x-update-policy=live"`
	// IAM roles and users that are cluster admins beside the one who creates the cluster.
	Admins []string `yaml:"admins,omitempty" json:"admins,omitempty" jsonschema:"uniqueItems=true,pattern=^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/.+$" jsonschema_extras:"x-update-policy=live,x-form=the ARN of an IAM role or user: arn:aws:iam::123456789012:role/NAME"`
	// Makes EKS refuse to delete the cluster until this is switched off.
	DeletionProtection bool `yaml:"deletionProtection,omitempty" json:"deletionProtection,omitempty" jsonschema:"default=false" jsonschema_extras:"x-update-policy=live"`
	// What happens when EKS ends standard support of the version: standard lets EKS upgrade the
	// control plane; extended keeps the version at six times the control plane's price. Defaults to
	// standard; to extended for a version that is past standard support already.
	SupportType string `yaml:"supportType,omitempty" json:"supportType,omitempty" jsonschema:"enum=standard,enum=extended" jsonschema_extras:"x-update-policy=live"`
}

// Endpoint is the reach of the API server's endpoint.
type Endpoint struct {
	// Reachable from the internet (with IAM credentials).
	Public *bool `yaml:"public,omitempty" json:"public,omitempty" jsonschema:"default=true" jsonschema_extras:"x-update-policy=live"`
	// Reachable inside the VPC without leaving it.
	Private *bool `yaml:"private,omitempty" json:"private,omitempty" jsonschema:"default=true" jsonschema_extras:"x-update-policy=live"`
	// Address ranges that reach the public endpoint; everybody (0.0.0.0/0) if left out.
	PublicCIDRs []string `yaml:"publicCIDRs,omitempty" json:"publicCIDRs,omitempty" jsonschema:"minItems=1,maxItems=40,uniqueItems=true" jsonschema_extras:"x-update-policy=live"`
}

// Network is the VPC: a new one (CIDR) or an existing one (VPCID and SubnetIDs).
type Network struct {
	// Addresses of a new VPC: a private range from /16 to /22. Defaults to 10.42.0.0/16.
	CIDR string `yaml:"cidr,omitempty" json:"cidr,omitempty" jsonschema_extras:"x-update-policy=refused"`
	// Way out for the private subnets of a new VPC: single is the cheapest; perZone survives the loss
	// of a zone; none gives no way out. Defaults to single.
	NATGateways string `yaml:"natGateways,omitempty" json:"natGateways,omitempty" jsonschema:"enum=single,enum=perZone,enum=none" jsonschema_extras:"x-update-policy=live"`
	// Availability zones of a new VPC; its block has room for four. If left out they are chosen by
	// where the instance types of the pools are offered.
	Zones []string `yaml:"zones,omitempty" json:"zones,omitempty" jsonschema:"minItems=2,maxItems=4,uniqueItems=true" jsonschema_extras:"x-update-policy=refused"`
	// An existing VPC to use; subnetIDs must be given too.
	VPCID string `yaml:"vpcID,omitempty" json:"vpcID,omitempty" jsonschema:"pattern=^vpc-[0-9a-f]{8\\,17}$" jsonschema_extras:"x-update-policy=refused,x-form=a VPC's id: vpc-0123456789abcdef0"`
	// Subnets of the existing VPC in at least two availability zones.
	SubnetIDs []string `yaml:"subnetIDs,omitempty" json:"subnetIDs,omitempty" jsonschema:"minItems=2,uniqueItems=true,pattern=^subnet-[0-9a-f]{8\\,17}$" jsonschema_extras:"x-update-policy=refused,x-form=a subnet's id: subnet-0123456789abcdef0"`
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
	// Name of the node group; unique in the cluster.
	Name string `yaml:"name" json:"name" jsonschema:"required,pattern=^[A-Za-z0-9][A-Za-z0-9_-]*$,maxLength=63" jsonschema_extras:"x-update-policy=replaces-nodes,x-form=letters\\, digits\\, hyphens and underscores\\, the first a letter or digit"`
	// EC2 instance types in order of preference: x86_64; all without GPUs or all with the same number
	// of NVIDIA GPUs.
	InstanceTypes []string `yaml:"instanceTypes" json:"instanceTypes" jsonschema:"required,minItems=1,maxItems=20,uniqueItems=true" jsonschema_extras:"x-update-policy=refused"`
	// How the instances are bought.
	Capacity Capacity `yaml:"capacity,omitempty" json:"capacity,omitempty" jsonschema:"enum=onDemand,enum=spot,default=onDemand" jsonschema_extras:"x-update-policy=refused"`
	// Bounds of the pool's size. The cluster autoscaler owns the number between.
	Nodes Nodes `yaml:"nodes" json:"nodes" jsonschema:"required" jsonschema_extras:"x-hint=write 'nodes: {min: 1\\, max: 4}'"`
	// Kubernetes labels of the nodes.
	Labels map[string]string `yaml:"labels,omitempty" json:"labels,omitempty" jsonschema_extras:"x-update-policy=live"`
	// Kubernetes taints of the nodes; they keep pods without a matching toleration away.
	Taints []Taint `yaml:"taints,omitempty" json:"taints,omitempty" jsonschema:"maxItems=50" jsonschema_extras:"x-update-policy=live"`
	// Restricts the pool to some of the network's availability zones.
	Zones []string `yaml:"zones,omitempty" json:"zones,omitempty" jsonschema:"minItems=1,uniqueItems=true" jsonschema_extras:"x-update-policy=refused"`
	// The gp3 root disk.
	RootVolume RootVolume `yaml:"rootVolume,omitempty" json:"rootVolume,omitempty"`
	// Use of the local NVMe disks: raid0 joins them for images and pods; mount mounts each at
	// /mnt/k8s-disks/N; none leaves them alone. Defaults to raid0 where all instance types have NVMe
	// disks.
	LocalStorage string `yaml:"localStorage,omitempty" json:"localStorage,omitempty" jsonschema:"enum=raid0,enum=mount,enum=none" jsonschema_extras:"x-update-policy=replaces-nodes"`
	// Release of the EKS node image to stay on. If left out: the newest when the pool is made.
	AMIRelease string `yaml:"amiRelease,omitempty" json:"amiRelease,omitempty" jsonschema:"pattern=^1\\.[0-9]+\\.[0-9]+-[0-9]{8}$" jsonschema_extras:"x-update-policy=replaces-nodes,x-form=an EKS AMI release such as 1.35.2-20260714"`
	// How many nodes an update may take down at once.
	MaxUnavailable int `yaml:"maxUnavailable,omitempty" json:"maxUnavailable,omitempty" jsonschema:"minimum=1,maximum=100,default=1" jsonschema_extras:"x-update-policy=live"`
}

// Nodes bounds the size of a pool.
type Nodes struct {
	// Fewest nodes; also the number at creation.
	Min int `yaml:"min" json:"min" jsonschema:"required,minimum=0,maximum=450" jsonschema_extras:"x-update-policy=live"`
	// Most nodes. EKS allows 450 in a node group.
	Max int `yaml:"max" json:"max" jsonschema:"required,minimum=1,maximum=450" jsonschema_extras:"x-update-policy=live"`
}

// Taint keeps pods without a matching toleration off a pool. Value is required
// although Kubernetes allows none: the cluster autoscaler ignores a taint
// without value when it scales from zero.
type Taint struct {
	// Taint key such as nvidia.com/gpu.
	Key string `yaml:"key" json:"key" jsonschema:"required" jsonschema_extras:"x-update-policy=live"`
	// Taint value. Required: the cluster autoscaler does not see a taint without value when it scales
	// the pool from zero.
	Value string `yaml:"value" json:"value" jsonschema:"required,minLength=1" jsonschema_extras:"x-update-policy=live,x-hint=write 'value: present' or the like: the cluster autoscaler overlooks a taint without a value and would start nodes for pods that cannot run on them"`
	// What happens to pods that do not tolerate the taint.
	Effect string `yaml:"effect" json:"effect" jsonschema:"required,enum=NoSchedule,enum=PreferNoSchedule,enum=NoExecute" jsonschema_extras:"x-update-policy=live,x-hint=for a GPU pool write 'effect: NoSchedule'"`
}

// RootVolume is a pool's gp3 root disk.
type RootVolume struct {
	// Size in GiB. Defaults to 100; to 200 for GPU pools as their images are large.
	SizeGiB int `yaml:"sizeGiB,omitempty" json:"sizeGiB,omitempty" jsonschema:"minimum=20,maximum=16384" jsonschema_extras:"x-update-policy=replaces-nodes"`
}

// Addons is what runs on the cluster. EKS add-ons are on by default; a Helm
// chart is installed when its key is present.
type Addons struct {
	// Pod networking (EKS add-on vpc-cni). On by default.
	VPCCNI *EKSAddon `yaml:"vpcCNI,omitempty" json:"vpcCNI,omitempty" jsonschema_extras:"x-update-policy=live"`
	// Service networking (EKS add-on kube-proxy). On by default.
	KubeProxy *EKSAddon `yaml:"kubeProxy,omitempty" json:"kubeProxy,omitempty" jsonschema_extras:"x-update-policy=live"`
	// Cluster DNS (EKS add-on coredns). On by default.
	CoreDNS *EKSAddon `yaml:"coreDNS,omitempty" json:"coreDNS,omitempty" jsonschema_extras:"x-update-policy=live"`
	// IAM roles for pods (EKS add-on eks-pod-identity-agent). On by default.
	PodIdentityAgent *EKSAddon `yaml:"podIdentityAgent,omitempty" json:"podIdentityAgent,omitempty" jsonschema_extras:"x-update-policy=live"`
	// CPU and memory metrics (EKS add-on metrics-server). On by default.
	MetricsServer *EKSAddon `yaml:"metricsServer,omitempty" json:"metricsServer,omitempty" jsonschema_extras:"x-update-policy=live"`
	// Persistent volumes (EKS add-on aws-ebs-csi-driver). On by default.
	EBSCSIDriver *EKSAddon `yaml:"ebsCSIDriver,omitempty" json:"ebsCSIDriver,omitempty" jsonschema_extras:"x-update-policy=live"`
	// NVIDIA GPU Operator: makes GPUs schedulable as nvidia.com/gpu. Needed by GPU pools.
	GPUOperator *Release `yaml:"gpuOperator,omitempty" json:"gpuOperator,omitempty" jsonschema_extras:"x-update-policy=live"`
	// The way in that services with a host take: nginx (addons.ingressNginx) or gateway (Gateway API
	// by addons.envoyGateway). Defaults to nginx when ingressNginx is given.
	Ingress string `yaml:"ingress,omitempty" json:"ingress,omitempty" jsonschema:"enum=nginx,enum=gateway" jsonschema_extras:"x-update-policy=live"`
	// Ingress controller behind a network load balancer.
	IngressNginx *Release `yaml:"ingressNginx,omitempty" json:"ingressNginx,omitempty" jsonschema_extras:"x-update-policy=live"`
	// Gateway API by Envoy Gateway behind a network load balancer. Switched on by 'ingress: gateway'.
	EnvoyGateway *Release `yaml:"envoyGateway,omitempty" json:"envoyGateway,omitempty" jsonschema_extras:"x-update-policy=live"`
	// Issues and renews TLS certificates.
	CertManager *CertManager `yaml:"certManager,omitempty" json:"certManager,omitempty" jsonschema_extras:"x-update-policy=live"`
	// What makes nodes for pods that wait: clusterAutoscaler sizes the node groups; karpenter starts
	// instances beside them. Defaults to clusterAutoscaler when that key is given.
	Autoscaler string `yaml:"autoscaler,omitempty" json:"autoscaler,omitempty" jsonschema:"enum=clusterAutoscaler,enum=karpenter" jsonschema_extras:"x-update-policy=live"`
	// Scales the pools between min and max.
	ClusterAutoscaler *Release `yaml:"clusterAutoscaler,omitempty" json:"clusterAutoscaler,omitempty" jsonschema_extras:"x-update-policy=live"`
	// Starts instances for pods that wait. Switched on by 'autoscaler: karpenter'.
	Karpenter *Release `yaml:"karpenter,omitempty" json:"karpenter,omitempty" jsonschema_extras:"x-update-policy=live"`
	// Prometheus, Grafana and Alertmanager, with metrics of GPUs and models.
	KubePrometheusStack *Release `yaml:"kubePrometheusStack,omitempty" json:"kubePrometheusStack,omitempty" jsonschema_extras:"x-update-policy=live"`
	// Logs of all containers in CloudWatch.
	ContainerLogs *ContainerLogs `yaml:"containerLogs,omitempty" json:"containerLogs,omitempty" jsonschema_extras:"x-update-policy=live"`
	// EFS volumes (EKS add-on aws-efs-csi-driver). Off unless given; on when a service loads its model
	// from EFS.
	EFSCSIDriver *EKSAddon `yaml:"efsCSIDriver,omitempty" json:"efsCSIDriver,omitempty" jsonschema_extras:"x-update-policy=live"`
	// Buckets as volumes (EKS add-on aws-mountpoint-s3-csi-driver). Off unless given; on when a service
	// mounts its model.
	MountpointS3CSIDriver *EKSAddon `yaml:"mountpointS3CSIDriver,omitempty" json:"mountpointS3CSIDriver,omitempty" jsonschema_extras:"x-update-policy=live"`
	// Further Helm charts.
	Charts []Chart `yaml:"charts,omitempty" json:"charts,omitempty" jsonschema_extras:"x-update-policy=live"`
}

// EKSAddon is an add-on that EKS itself installs.
type EKSAddon struct {
	// Whether the add-on is installed.
	Enabled *bool `yaml:"enabled,omitempty" json:"enabled,omitempty" jsonschema:"default=true" jsonschema_extras:"x-update-policy=live"`
	// Version of the add-on. If left out: EKS's default for the cluster's Kubernetes version at
	// creation.
	Version string `yaml:"version,omitempty" json:"version,omitempty" jsonschema:"pattern=^v[0-9]+\\.[0-9]+\\.[0-9]+-eksbuild\\.[0-9]+$" jsonschema_extras:"x-update-policy=live,x-form=an EKS add-on version such as v1.20.4-eksbuild.2"`
	// Configuration values in the add-on's own schema.
	Configuration map[string]any `yaml:"configuration,omitempty" json:"configuration,omitempty" jsonschema_extras:"x-update-policy=live"`
}

// Release is a Helm chart that aicluster knows: version and values override its own choice.
type Release struct {
	// Exact chart version; aicluster's tested one if left out.
	Version string `yaml:"version,omitempty" json:"version,omitempty" jsonschema_extras:"x-update-policy=live"`
	// Helm values; they override aicluster's own.
	Values map[string]any `yaml:"values,omitempty" json:"values,omitempty" jsonschema_extras:"x-update-policy=live"`
}

// CertManager is cert-manager's chart and the issuer of certificates.
type CertManager struct {
	// Exact chart version; aicluster's tested one if left out.
	Version string `yaml:"version,omitempty" json:"version,omitempty" jsonschema_extras:"x-update-policy=live"`
	// Helm values; they override aicluster's own.
	Values map[string]any `yaml:"values,omitempty" json:"values,omitempty" jsonschema_extras:"x-update-policy=live"`
	// Account of the ClusterIssuer "letsencrypt", which hears of certificates that expire. If left out
	// no issuer is made.
	Email string `yaml:"email,omitempty" json:"email,omitempty" jsonschema:"pattern=^[^@ ]+@[^@ ]+$" jsonschema_extras:"x-update-policy=live,x-form=an address of electronic mail"`
}

// ContainerLogs sends the logs of all containers to CloudWatch.
type ContainerLogs struct {
	// How long CloudWatch keeps them, in days.
	RetentionDays int `yaml:"retentionDays,omitempty" json:"retentionDays,omitempty" jsonschema:"default=30" jsonschema_extras:"x-update-policy=live"`
}

// Chart is any further Helm chart.
type Chart struct {
	// Name of the Helm release; unique in its namespace.
	Name string `yaml:"name" json:"name" jsonschema:"required,pattern=^[a-z0-9]([a-z0-9-]*[a-z0-9])?$,maxLength=53" jsonschema_extras:"x-update-policy=live,x-form=lowercase letters\\, digits and hyphens\\, the first and last no hyphen"`
	// Namespace; it is made if it does not exist.
	Namespace string `yaml:"namespace,omitempty" json:"namespace,omitempty" jsonschema:"pattern=^[a-z0-9]([a-z0-9-]*[a-z0-9])?$,maxLength=63,default=default" jsonschema_extras:"x-update-policy=live,x-form=lowercase letters\\, digits and hyphens\\, the first and last no hyphen"`
	// Chart repository: https://… or oci://….
	Repo string `yaml:"repo" json:"repo" jsonschema:"required" jsonschema_extras:"x-update-policy=live,x-hint=write the repository's address\\, such as 'repo: https://charts.example.com'"`
	// Name of the chart in the repository.
	Chart string `yaml:"chart" json:"chart" jsonschema:"required,pattern=^[A-Za-z0-9][A-Za-z0-9._-]*$" jsonschema_extras:"x-update-policy=live,x-form=a chart's name without the repository"`
	// Exact chart version.
	Version string `yaml:"version" json:"version" jsonschema:"required" jsonschema_extras:"x-update-policy=live,x-hint=pin the exact version\\, so that a later run installs the same"`
	// Helm values.
	Values map[string]any `yaml:"values,omitempty" json:"values,omitempty" jsonschema_extras:"x-update-policy=live"`
}

// Models is the S3 bucket for model weights and what to put there.
type Models struct {
	// Name of the S3 bucket; unique in all of AWS.
	Bucket string `yaml:"bucket" json:"bucket" jsonschema:"required" jsonschema_extras:"x-update-policy=refused"`
	// Models to upload.
	Seed []Seed `yaml:"seed,omitempty" json:"seed,omitempty" jsonschema_extras:"x-update-policy=live"`
}

// Seed is one model: a local folder that goes to s3://bucket/name/.
type Seed struct {
	// Name of the model and of its folder in the bucket.
	Name string `yaml:"name" json:"name" jsonschema:"required,pattern=^[A-Za-z0-9][A-Za-z0-9._-]*$,maxLength=128" jsonschema_extras:"x-update-policy=live,x-form=letters\\, digits\\, dots\\, hyphens and underscores\\, the first a letter or digit"`
	// Local folder with the weights; relative to the blueprint file.
	From string `yaml:"from" json:"from" jsonschema:"required,minLength=1" jsonschema_extras:"x-update-policy=live,x-hint=name the folder with the weights\\, such as 'from: ./models/NAME'"`
}
