package serving

import (
	"maps"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"aicluster/blueprints"
	"aicluster/provision/identity"
)

const (
	gpuResource = "nvidia.com/gpu"

	// shutdownLimit is how long a replica that is to go may take to end its answers;
	// vLLM gives them up at once unless it is told a limit (config/vllm.py,
	// shutdown_timeout).
	shutdownLimit = 5 * time.Minute
	// withdrawal is how long proxies may take to see that a replica is going; it
	// takes requests until then.
	withdrawal = 15 * time.Second
	// gracePeriod is the time of both, and for the engine to end.
	gracePeriod = withdrawal + shutdownLimit + 15*time.Second

	// The pinned image has this user for runs without root, in root's group (vLLM
	// v0.31.0, docs/deployment/docker.md, "Run as a non-root user").
	vllmUser  = 2000
	vllmGroup = 0
	vllmHome  = "/home/vllm"

	// shmPerGPU is the shared memory, for each GPU, through which the processes of a
	// replica with several GPUs talk (vLLM, docs/deployment/k8s.md).
	shmPerGPU = 2 << 30
)

// deployment runs the replicas of a service. Their number is left to the
// autoscaler if the service has one.
func deployment(b *blueprints.Blueprint, svc blueprints.Service, f Facts, l Loading) Object {
	d := &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: meta(b, svc),
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: Selector(svc)},
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: rollingUpdate(svc)},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: Labels(b, svc), Annotations: podAnnotations(b, svc, l)},
				Spec:       podSpec(b, svc, f, l),
			},
			ProgressDeadlineSeconds: new(int32(ReadyLimit(f).Seconds())),
		},
	}
	if svc.Autoscaling == nil && svc.Replicas != nil {
		d.Spec.Replicas = new(int32(*svc.Replicas))
	}
	return d
}

// rollingUpdate takes a replica away before the new one starts, which needs no GPU
// that is free, or the other way round.
func rollingUpdate(svc blueprints.Service) *appsv1.RollingUpdateDeployment {
	surge, unavailable := intstr.FromInt32(0), intstr.FromInt32(1)
	if svc.RollingUpdate == "surge" {
		surge, unavailable = unavailable, surge
	}
	return &appsv1.RollingUpdateDeployment{MaxSurge: &surge, MaxUnavailable: &unavailable}
}

// podAnnotations make the pods start anew when what they got at their start would
// be another: the role of their service account, the model, and what loading says.
func podAnnotations(b *blueprints.Blueprint, svc blueprints.Service, l Loading) map[string]string {
	a := map[string]string{
		"aicluster/model": svc.Model,
		"aicluster/role":  identity.ServingRole(b, svc).Name,
	}
	maps.Copy(a, l.Annotations)
	return a
}

func podSpec(b *blueprints.Blueprint, svc blueprints.Service, f Facts, l Loading) corev1.PodSpec {
	spec := corev1.PodSpec{
		ServiceAccountName:            svc.Name,
		AutomountServiceAccountToken:  new(false),
		EnableServiceLinks:            new(false), // a Service named vllm would set VLLM_PORT, which vLLM reads as its own
		TerminationGracePeriodSeconds: new(int64(gracePeriod.Seconds())),
		SecurityContext:               &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
			LabelSelector: &metav1.LabelSelector{MatchLabels: Selector(svc)},
		}},
		InitContainers: l.Init,
		Containers:     []corev1.Container{engineContainer(svc, f, l)},
		Volumes:        slices.Clone(l.Volumes),
	}
	if pool := b.Pool(svc.Pool); pool != nil {
		spec.NodeSelector, spec.Tolerations = nodeSelector(pool), tolerations(pool)
	}
	if ownImage(svc) {
		spec.SecurityContext.RunAsNonRoot = new(true)
		spec.SecurityContext.RunAsUser, spec.SecurityContext.RunAsGroup = new(int64(vllmUser)), new(int64(vllmGroup))
	}
	if svc.GPUs > 1 {
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "shm", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
			Medium: corev1.StorageMediumMemory, SizeLimit: resource.NewQuantity(int64(svc.GPUs)*shmPerGPU, resource.BinarySI),
		}}})
	}
	return spec
}

// nodeSelector picks the nodes of a pool, and says its labels.
func nodeSelector(pool *blueprints.NodePool) map[string]string {
	selector := map[string]string{blueprints.PoolLabel: pool.Name}
	maps.Copy(selector, pool.Labels)
	return selector
}

// tolerations are for the pool's own taints, by their values.
func tolerations(pool *blueprints.NodePool) []corev1.Toleration {
	var out []corev1.Toleration
	for _, t := range pool.Taints {
		out = append(out, corev1.Toleration{Key: t.Key, Operator: corev1.TolerationOpEqual, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
	return out
}

// ownImage tells that the service runs the image whose ways are known here.
func ownImage(svc blueprints.Service) bool { return svc.Image == blueprints.VLLMImage }

func engineContainer(svc blueprints.Service, f Facts, l Loading) corev1.Container {
	c := corev1.Container{
		Name: ContainerName, Image: svc.Image,
		Args:         engineArgs(svc, l),
		Env:          append([]corev1.EnvVar{{Name: "VLLM_NO_USAGE_STATS", Value: "1"}}, l.Env...),
		Ports:        []corev1.ContainerPort{{Name: PortName, ContainerPort: ContainerPort, Protocol: corev1.ProtocolTCP}},
		Resources:    engineResources(svc, l),
		VolumeMounts: slices.Clone(l.Mounts),
		// Loading takes long for a large model: until it has started, nothing else asks.
		StartupProbe:   health(10, int32(StartLimit(f)/(10*time.Second))),
		ReadinessProbe: health(10, 3),
		LivenessProbe:  health(30, 3),
		Lifecycle:      &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: int64(withdrawal.Seconds())}}},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
	if ownImage(svc) {
		c.Env = append(c.Env, corev1.EnvVar{Name: "HOME", Value: vllmHome})
	}
	if svc.GPUs > 1 {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "shm", MountPath: "/dev/shm"})
	}
	return c
}

// health asks the engine how it is, every so many seconds. An engine with much to
// do answers late.
func health(seconds, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/health", Port: intstr.FromString(PortName), Scheme: corev1.URISchemeHTTP}},
		PeriodSeconds: seconds, TimeoutSeconds: 5, FailureThreshold: failures,
	}
}

// engineArgs are what vLLM is started with: ours where the user has none of the
// same name, then the user's.
func engineArgs(svc blueprints.Service, l Loading) []string {
	args := []string{"--model", l.Model}
	given := map[string]bool{}
	for _, a := range svc.Args {
		given[blueprints.EngineArg(a)] = true
	}
	add := func(name, value string) {
		if !given[name] {
			args = append(args, name, value)
		}
	}
	add("--served-model-name", svc.Model)
	args = append(args, "--host", "0.0.0.0", "--port", strconv.Itoa(ContainerPort))
	if svc.GPUs > 1 && !given["--pipeline-parallel-size"] && !given["--data-parallel-size"] {
		add("--tensor-parallel-size", strconv.Itoa(svc.GPUs))
	}
	if ownImage(svc) { // older images do not know it
		add("--shutdown-timeout", strconv.Itoa(int(shutdownLimit.Seconds())))
	}
	args = append(args, l.Args...)
	return append(args, svc.Args...)
}

// engineResources: Kubernetes hands out whole GPUs, and requests equal limits.
func engineResources(svc blueprints.Service, l Loading) corev1.ResourceRequirements {
	gpus := *resource.NewQuantity(int64(svc.GPUs), resource.DecimalSI)
	r := corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	maps.Copy(r.Requests, l.Requests)
	if svc.Resources != nil {
		maps.Copy(r.Requests, quantities(svc.Resources.Requests))
		maps.Copy(r.Limits, quantities(svc.Resources.Limits))
	}
	r.Requests[gpuResource], r.Limits[gpuResource] = gpus, gpus
	return r
}

// quantities of a checked blueprint can be read.
func quantities(text map[string]string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for name, q := range text {
		list[corev1.ResourceName(name)] = resource.MustParse(q)
	}
	return list
}
