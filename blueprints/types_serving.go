package blueprints

// LoadMode is how the weights of a model come to the GPUs.
type LoadMode string

// The ways of loading weights.
const (
	LoadCopy   LoadMode = "copy"   // copied to the node's disk first
	LoadStream LoadMode = "stream" // read from S3 into GPU memory
	LoadMount  LoadMode = "mount"  // the bucket is a volume
	LoadEFS    LoadMode = "efs"    // an EFS file system is a volume
)

// Service is one endpoint: replicas of vLLM that answer with a model by the
// OpenAI API.
type Service struct {
	// Name of the service; unique in the blueprint.
	Name string `yaml:"name" json:"name" jsonschema:"required,pattern=^[a-z]([a-z0-9-]*[a-z0-9])?$,maxLength=50" jsonschema_extras:"x-update-policy=live,x-form=lowercase letters\\, digits and hyphens\\, the first a letter\\, the last no hyphen"`
	// Name of the model, one of models.seed.
	Model string `yaml:"model" json:"model" jsonschema:"required" jsonschema_extras:"x-update-policy=live,x-hint=name a model of models.seed"`
	// Node pool that the replicas run on; it has GPUs.
	Pool string `yaml:"pool" json:"pool" jsonschema:"required" jsonschema_extras:"x-update-policy=live,x-hint=name a pool of nodePools that has GPUs"`
	// GPUs of each replica: a whole number, all on one node.
	GPUs int `yaml:"gpus,omitempty" json:"gpus,omitempty" jsonschema:"minimum=1,default=1" jsonschema_extras:"x-update-policy=live,x-hint=Kubernetes hands out whole GPUs: write 'gpus: 1' or more"`
	// Number of replicas. Defaults to 1 without autoscaling.
	Replicas *int `yaml:"replicas,omitempty" json:"replicas,omitempty" jsonschema:"minimum=0,maximum=3600" jsonschema_extras:"x-update-policy=live"`
	// Lets the number of replicas follow the requests.
	Autoscaling *ServiceAutoscaling `yaml:"autoscaling,omitempty" json:"autoscaling,omitempty" jsonschema_extras:"x-update-policy=live"`
	// How the weights come to the GPUs: copy to the node's disk, stream from S3, mount the bucket, or
	// mount an EFS file system. Defaults to copy on pools that use local NVMe disks, else to stream.
	Load LoadMode `yaml:"load,omitempty" json:"load,omitempty" jsonschema:"enum=copy,enum=stream,enum=mount,enum=efs" jsonschema_extras:"x-update-policy=live"`
	// Further arguments of vLLM, such as --max-model-len=8192.
	Args []string `yaml:"args,omitempty" json:"args,omitempty" jsonschema_extras:"x-update-policy=live"`
	// Image of vLLM; aicluster's tested one if left out.
	Image string `yaml:"image,omitempty" json:"image,omitempty" jsonschema_extras:"x-update-policy=live"`
	// CPU, memory and disk of each replica. GPUs are said by gpus.
	Resources *Resources `yaml:"resources,omitempty" json:"resources,omitempty" jsonschema_extras:"x-update-policy=live"`
	// Name under which the service is reached from outside. If left out it is reached inside the
	// cluster only.
	Host string `yaml:"host,omitempty" json:"host,omitempty" jsonschema:"maxLength=253" jsonschema_extras:"x-update-policy=live"`
	// Certificate for the host. If left out the host is served without TLS.
	TLS *TLS `yaml:"tls,omitempty" json:"tls,omitempty" jsonschema_extras:"x-update-policy=live"`
	// What an update does: inPlace stops a replica before the new one starts and needs no spare GPU;
	// surge starts the new one first.
	RollingUpdate string `yaml:"rollingUpdate,omitempty" json:"rollingUpdate,omitempty" jsonschema:"enum=inPlace,enum=surge,default=inPlace" jsonschema_extras:"x-update-policy=live"`
}

// ServiceAutoscaling bounds the replicas of a service.
type ServiceAutoscaling struct {
	// Fewest replicas.
	Min int `yaml:"min" json:"min" jsonschema:"required,minimum=1,maximum=3600" jsonschema_extras:"x-update-policy=live"`
	// Most replicas.
	Max int `yaml:"max" json:"max" jsonschema:"required,minimum=1,maximum=3600" jsonschema_extras:"x-update-policy=live"`
	// Requests, running and waiting, that a replica is to have on average.
	Target int `yaml:"target,omitempty" json:"target,omitempty" jsonschema:"minimum=1,default=8" jsonschema_extras:"x-update-policy=live"`
}

// Resources are requests and limits of a container as Kubernetes writes them:
// {requests: {cpu: "8", memory: 64Gi}}.
type Resources struct {
	// What the scheduler sets aside.
	Requests map[string]string `yaml:"requests,omitempty" json:"requests,omitempty" jsonschema_extras:"x-update-policy=live"`
	// What the container may not exceed.
	Limits map[string]string `yaml:"limits,omitempty" json:"limits,omitempty" jsonschema_extras:"x-update-policy=live"`
}

// LetsEncrypt is the ClusterIssuer that aicluster makes.
const LetsEncrypt = "letsencrypt"

// TLS says where a host's certificate comes from: a secret, or an issuer of
// cert-manager.
type TLS struct {
	// Secret of type kubernetes.io/tls in the namespace ai-serving.
	Secret string `yaml:"secret,omitempty" json:"secret,omitempty" jsonschema:"pattern=^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$,maxLength=253" jsonschema_extras:"x-update-policy=live,x-form=the name of a secret"`
	// ClusterIssuer of cert-manager, such as letsencrypt.
	Issuer string `yaml:"issuer,omitempty" json:"issuer,omitempty" jsonschema:"pattern=^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$,maxLength=253" jsonschema_extras:"x-update-policy=live,x-form=the name of a ClusterIssuer"`
}
