package controllers

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/record"

	"aicluster/e2e/localcloud/clock"
)

// VolumeAPI is the part of EC2 that the EBS CSI driver calls; the SDK's client
// has it.
type VolumeAPI interface {
	CreateVolume(context.Context, *ec2.CreateVolumeInput, ...func(*ec2.Options)) (*ec2.CreateVolumeOutput, error)
	DeleteVolume(context.Context, *ec2.DeleteVolumeInput, ...func(*ec2.Options)) (*ec2.DeleteVolumeOutput, error)
	AttachVolume(context.Context, *ec2.AttachVolumeInput, ...func(*ec2.Options)) (*ec2.AttachVolumeOutput, error)
	DetachVolume(context.Context, *ec2.DetachVolumeInput, ...func(*ec2.Options)) (*ec2.DetachVolumeOutput, error)
	DescribeVolumes(context.Context, *ec2.DescribeVolumesInput, ...func(*ec2.Options)) (*ec2.DescribeVolumesOutput, error)
}

// ebsDriver is the name of the EBS CSI driver, which classes name as their provisioner.
const ebsDriver = "ebs.csi.aws.com"

// ebsController is the Deployment, in kube-system, whose pods are the driver's
// controller with its sidecars.
const ebsController = "ebs-csi-controller"

// zoneLabel is the driver's topology key
// (aws-ebs-csi-driver, pkg/driver/constants.go: WellKnownZoneTopologyKey).
const zoneLabel = corev1.LabelTopologyZone

// How soon the driver looks again at what EC2 is about to do, and at what has
// failed, both at speed 1.
const (
	volumePoll  = time.Second
	volumeRetry = 10 * time.Second
	// volumeRest keeps a fast clock from making it spin.
	volumeRest = 50 * time.Millisecond
)

// volumes plays the pods of ebs-csi-controller: the driver and its sidecars
// external-provisioner and external-attacher. What they call in EC2 is called
// with the SDK as the role that those pods have. As long as none of the pods is
// available, nothing is done.
//
// Binding, scheduling by zone, the attach and detach decisions and the protection
// of claims in use are the real controllers' of the control plane.
type volumes struct {
	client  kubernetes.Interface
	clock   *clock.Clock
	cluster string
	api     func(context.Context) (VolumeAPI, error)
	worker  *worker
	events  record.EventRecorder
	sink    record.EventBroadcaster

	claims      corelisters.PersistentVolumeClaimLister
	volumes     corelisters.PersistentVolumeLister
	nodes       corelisters.NodeLister
	classes     storagelisters.StorageClassLister
	attachments storagelisters.VolumeAttachmentLister
	deployments appslisters.DeploymentLister

	// begun are the claims whose provisioning was announced; of the worker's goroutine.
	begun map[types.UID]bool
}

func newVolumes(o Options, client kubernetes.Interface, factory informers.SharedInformerFactory) (*volumes, error) {
	core, storage := factory.Core().V1(), factory.Storage().V1()
	sink := record.NewBroadcaster()
	v := &volumes{
		client: client, clock: o.Clock, cluster: o.Cluster, api: o.Volumes, sink: sink,
		events: sink.NewRecorder(scheme.Scheme, corev1.EventSource{Component: ebsDriver + "_" + ebsController}),
		claims: core.PersistentVolumeClaims().Lister(), volumes: core.PersistentVolumes().Lister(), nodes: core.Nodes().Lister(),
		classes: storage.StorageClasses().Lister(), attachments: storage.VolumeAttachments().Lister(),
		deployments: factory.Apps().V1().Deployments().Lister(), begun: map[types.UID]bool{},
	}
	v.worker = newWorker("volumes", v.sync)
	add := v.worker.queue.Add
	if err := on(core.PersistentVolumeClaims().Informer(), func(c *corev1.PersistentVolumeClaim) { add("claim/" + c.Namespace + "/" + c.Name) }); err != nil {
		return nil, err
	}
	if err := on(core.PersistentVolumes().Informer(), func(p *corev1.PersistentVolume) { add("volume/" + p.Name) }); err != nil {
		return nil, err
	}
	// The end of an attachment lets its volume go.
	if err := on(storage.VolumeAttachments().Informer(), func(a *storagev1.VolumeAttachment) {
		add("attachment/" + a.Name)
		if name := a.Spec.Source.PersistentVolumeName; name != nil {
			add("volume/" + *name)
		}
	}); err != nil {
		return nil, err
	}
	return v, on(factory.Apps().V1().Deployments().Informer(), func(d *appsv1.Deployment) {
		if d.Name == ebsController {
			v.enqueueAll()
		}
	})
}

func (v *volumes) enqueueAll() {
	claims, _ := v.claims.List(labels.Everything()) // listers over a cache do not fail
	for _, c := range claims {
		v.worker.queue.Add("claim/" + c.Namespace + "/" + c.Name)
	}
	all, _ := v.volumes.List(labels.Everything())
	for _, p := range all {
		v.worker.queue.Add("volume/" + p.Name)
	}
	attachments, _ := v.attachments.List(labels.Everything())
	for _, a := range attachments {
		v.worker.queue.Add("attachment/" + a.Name)
	}
}

func (v *volumes) run(ctx context.Context) {
	v.sink.StartRecordingToSink(&typedcore.EventSinkImpl{Interface: v.client.CoreV1().Events("")})
	defer v.sink.Shutdown()
	v.worker.run(ctx)
}

// running tells whether a pod of the driver's controller works.
func (v *volumes) running() bool {
	d, err := v.deployments.Deployments("kube-system").Get(ebsController)
	return err == nil && d.Status.AvailableReplicas > 0
}

func (v *volumes) sync(ctx context.Context, key string) (time.Duration, error) {
	if v.api == nil || !v.running() {
		return 0, nil // its Deployment's change brings everything here again
	}
	kind, name, _ := strings.Cut(key, "/")
	switch kind {
	case "claim":
		namespace, name, _ := strings.Cut(name, "/")
		claim, err := v.claims.PersistentVolumeClaims(namespace).Get(name)
		if err != nil {
			return 0, ignoreNotFound(err)
		}
		return v.provision(ctx, claim)
	case "volume":
		volume, err := v.volumes.Get(name)
		if err != nil {
			return 0, ignoreNotFound(err)
		}
		return v.reclaim(ctx, volume)
	default:
		attachment, err := v.attachments.Get(name)
		if err != nil {
			return 0, ignoreNotFound(err)
		}
		return v.publish(ctx, attachment)
	}
}

func (v *volumes) soon() time.Duration  { return max(v.clock.Scale(volumePoll), volumeRest) }
func (v *volumes) later() time.Duration { return max(v.clock.Scale(volumeRetry), volumeRest) }
